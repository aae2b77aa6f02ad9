"""What the simulated surveys and complaints hold for the marts of the customer's voice to find."""

from __future__ import annotations

import numpy as np

from scripts.company.customers import Customers
from scripts.company.facts import ARCHETYPES, PRODUCTS
from scripts.company.world import Booleans, Integers, World

DRIVER_ITEM = "csat_delivery"
DRIVER_WEIGHT = 0.4
"""What the item's own ups and downs add to the satisfaction overall and the recommendation."""

FAILING_CATEGORY = "无烟煤"
FAILING_DAYS = 270
"""The product line that got worse, and for how long before the end."""

FAILING_DROP = 1.1
FAILING_COMPLAINTS = 5
"""The drop of what its buyers say of us, and how many times as often they complain."""


def is_failing(world: World, customers: Customers, owner: Integers, day: Integers) -> Booleans:
    """Whether these customers, on these days, mainly buy what got worse."""
    categories = {product.sku: product.category for product in PRODUCTS}
    buys = np.zeros(len(customers), dtype=np.bool_)
    for position, archetype in enumerate(ARCHETYPES):
        failing = np.array([categories[sku] == FAILING_CATEGORY for sku in archetype.skus])
        chosen = customers.archetype == position
        buys[chosen] = failing[customers.main_sku[chosen] % len(archetype.skus)]
    fails: Booleans = buys[owner] & (day > world.end - FAILING_DAYS)
    return fails
