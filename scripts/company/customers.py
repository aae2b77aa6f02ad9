"""Simulated customers and their latent lives: satisfaction, risk, leaving, default."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.company.facts import ARCHETYPES, CAMPAIGNS, MANAGERS, SIZE_CLASS_FLOORS
from scripts.company.world import NEVER, Booleans, Draws, Floats, Integers, World

EPISODE_DROP = 1.5

DEFAULTER_SUPPLY_DAYS = 45


@dataclass(frozen=True)
class Customers:
    """A chunk of customers, one array element each; days are day numbers, `NEVER` if not at all.

    The latent variables are `risk`, `satisfaction` and `has_episode` (customer x quarter),
    `left_on`, `defaulted_on`, `paused_from` and `paused_to`, `growth_rate` (a year),
    `payment_delay_days` and `demand` (how much attention it takes, 1 in the mean). `currency` is
    a position in `CURRENCIES`, `campaign_on` (customer x campaign) the day of the contact, `parent`
    the number of the group's head (0: none).
    """

    number: Integers
    archetype: Integers
    identity: Integers
    joined_on: Integers
    created_on: Integers
    left_on: Integers
    defaulted_on: Integers
    stopped_on: Integers
    paused_from: Integers
    paused_to: Integers
    is_contract: Booleans
    gap_days: Floats
    irregularity: Floats
    order_value: Floats
    growth_rate: Floats
    risk: Floats
    payment_delay_days: Floats
    payment_delay_spread_days: Floats
    terms_days: Integers
    payday_kind: Integers
    is_prepaying: Booleans
    omits_due_date: Booleans
    satisfaction: Floats
    has_episode: Booleans
    group: Integers
    parent: Integers
    main_sku: Integers
    currency: Integers
    demand: Floats
    campaign_on: Integers
    manager: Integers
    manager_moves_on: Integers

    def __len__(self) -> int:
        return len(self.number)

    def of(self, name: str) -> Floats:
        """A number of the archetype, per customer."""
        values = np.array([getattr(archetype, name) for archetype in ARCHETYPES], dtype=np.float64)
        return values[self.archetype]

    def manager_on(self, owner: Integers, day: Integers) -> Integers:
        """Position in `MANAGERS` of the account manager of these customers on these days."""
        return (self.manager[owner] + 3 * (self.manager_moves_on[owner] <= day)) % len(MANAGERS)

    @property
    def monthly_value(self) -> Floats:
        """Expected orders in yuan a month, without tax."""
        return self.order_value * 30 / self.gap_days

    @property
    def size_class(self) -> Integers:
        """Position in `SIZE_CLASSES`."""
        floors = np.array(SIZE_CLASS_FLOORS)
        return np.searchsorted(floors, self.monthly_value, side="right") - 1


GROUP_BLOCK = 8
"""Groups (集团) are found among this many consecutive customer numbers of one archetype."""


def _archetypes(draws: Draws, numbers: Integers) -> tuple[Integers, Integers]:
    """The archetype's position and the group's number (0: none) per customer number."""
    shares = np.cumsum([archetype.share for archetype in ARCHETYPES])
    block = (numbers + GROUP_BLOCK - 1) // GROUP_BLOCK
    own = np.searchsorted(shares, draws.uniform("archetype", numbers) * shares[-1])
    of_block = np.searchsorted(shares, draws.uniform("archetype of block", block) * shares[-1])
    archetype = np.where(draws.uniform("follows block", numbers) < 0.35, of_block, own)
    return archetype, np.where((archetype == of_block) & (of_block < 4), block, 0)


def _joining(world: World, numbers: Integers) -> tuple[Integers, Integers]:
    """The days of becoming a customer and of being registered."""
    draws = world.draws
    # Three quarters were customers before the start; the rest were won at a steady rate.
    when = draws.uniform("joined", numbers)
    span = world.end - world.start
    joined = np.where(
        when < 0.74, world.start, world.start + ((when - 0.74) / 0.26 * span).astype(np.int64)
    )
    is_future = numbers > world.parameters.customers
    later = world.end + 20 + (when * (world.horizon - world.end - 40)).astype(np.int64)
    joined = world.next_business(np.where(is_future, later, joined))
    before = (draws.uniform("known for", numbers) * 3000).astype(np.int64)
    # A new customer is registered with the first contact, weeks before the first order.
    first_contact = (
        joined - 12 - (100 * draws.uniform("courted for", numbers) ** 2).astype(np.int64)
    )
    first_contact = np.where(
        is_future, np.maximum(first_contact, world.end + 1 + (when * 18).astype(np.int64)),
        first_contact,
    )  # fmt: skip
    return joined, np.where(joined <= world.start + 4, world.start - 30 - before, first_contact)


def _parents(world: World, numbers: Integers, group: Integers, created: Integers) -> Integers:
    """The head of each customer's group: of its members the one with the lowest number. Who was
    registered before the head has no parent in the books, and nor has the head.
    """
    head = np.zeros(len(numbers), dtype=np.int64)
    for place in range(GROUP_BLOCK):
        candidate = np.maximum((group - 1) * GROUP_BLOCK + 1 + place, 1)
        is_member = (group > 0) & (_archetypes(world.draws, candidate)[1] == group)
        head = np.where((head == 0) & is_member, candidate, head)
    head_created = _joining(world, np.maximum(head, 1))[1]
    return np.where((head > 0) & (head < numbers) & (head_created <= created), head, 0)


def simulate_customers(world: World, numbers: Integers) -> Customers:
    """The customers with these numbers (1, 2, …) and their latent lives up to the horizon."""
    draws, count = world.draws, len(numbers)
    archetype, group = _archetypes(draws, numbers)
    # One legal entity under two codes, as happens when two branches open an account each.
    is_double = (draws.uniform("same legal entity", numbers) < 0.04) & (numbers > 1)
    is_double &= archetype == _archetypes(draws, numbers - 1)[0]

    def trait(name: str) -> Floats:
        values = np.array([getattr(each, name) for each in ARCHETYPES], dtype=np.float64)
        return values[archetype]

    joined, created = _joining(world, numbers)

    risk = 1 / (1 + np.exp(-(trait("risk_mean") + 0.9 * draws.normal("risk", numbers))))
    mean = trait("satisfaction_mean") + 0.45 * draws.normal("satisfaction mean", numbers)
    satisfaction = np.empty((count, world.count_quarters))
    has_episode = np.zeros((count, world.count_quarters), dtype=np.bool_)
    left = np.full(count, NEVER, dtype=np.int64)
    defaulted = np.full(count, NEVER, dtype=np.int64)
    level = mean
    for quarter in range(world.count_quarters):
        position = np.full(count, quarter, dtype=np.int64)
        opens = int(world.quarter_opens[quarter])
        previous = level
        has_episode[:, quarter] = draws.uniform("episode", numbers, position) < 0.06
        shock = 0.4 * draws.normal("satisfaction", numbers, position)
        level = mean + 0.65 * (level - mean) + shock - EPISODE_DROP * has_episode[:, quarter]
        satisfaction[:, quarter] = level
        day = opens + (draws.uniform("day in quarter", numbers, position) * 91).astype(np.int64)
        known = joined < opens - 60
        # A customer of the first quarters has been one for long: only new ones are exempt.
        known |= (joined <= world.start + 4) & (quarter > 0)
        leaves = draws.uniform("leaves", numbers, position) < (
            trait("leave_hazard") * np.exp(-1.1 * previous)
        )
        left = np.where(known & leaves & (left == NEVER), day, left)
        fails = draws.uniform("defaults", numbers, position) < 0.0012 + 0.032 * risk**2
        defaulted = np.where(known & fails & (defaulted == NEVER), day, defaulted)
    # Who has left or stopped paying is gone: the earlier of the two is what happened.
    defaulted = np.where(defaulted < left, defaulted, NEVER)
    left = np.where(defaulted < NEVER, NEVER, left)
    stopped = np.minimum(np.minimum(left, defaulted + DEFAULTER_SUPPLY_DAYS), world.horizon)

    pauses = draws.uniform("pauses", numbers) < 0.06
    paused_from = joined + 120 + (draws.uniform("paused from", numbers) * 700).astype(np.int64)
    paused_for = 200 + (draws.uniform("paused for", numbers) * 250).astype(np.int64)
    is_contract = draws.uniform("contract", numbers) < trait("contract_share")
    gap_factor = np.exp(0.35 * draws.normal("gap", numbers))
    gap = np.where(is_contract, trait("contract_gap_days"), trait("spot_gap_days") * gap_factor)
    gap = np.where(is_contract & (draws.uniform("monthly", numbers) < 0.3), 30.4, gap)
    scatter = trait("order_value_sigma") * draws.normal("order value", numbers)
    terms_choice = draws.uniform("terms", numbers)
    terms = np.array(
        [
            ARCHETYPES[kind].terms_days[int(part * len(ARCHETYPES[kind].terms_days))]
            for kind, part in zip(archetype.tolist(), terms_choice.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    sku_counts = np.array([len(each.skus) for each in ARCHETYPES])[archetype]
    # The first products of an archetype's list are its staples.
    main = (draws.uniform("main sku", numbers) ** 2 * sku_counts).astype(np.int64)
    # A quarter of the customers change their account manager once.
    moves = world.start + (draws.uniform("manager day", numbers) * 1400).astype(np.int64)
    moves = np.where(draws.uniform("manager moves", numbers) < 0.3, moves, NEVER)
    identity = np.where(is_double, numbers - 1, numbers)
    abroad = draws.uniform("trades abroad", identity) / np.maximum(trait("export_share"), 1e-9)
    contacts = np.full((count, len(CAMPAIGNS)), NEVER, dtype=np.int64)
    for place, campaign in enumerate(CAMPAIGNS):
        position = np.full(count, place, dtype=np.int64)
        contact = (
            world.end
            - campaign.days_before_end
            + draws.choice("campaign day", campaign.window_days, numbers, position)
        )
        contact = world.next_business(contact)
        chosen = draws.uniform("campaign", numbers, position) < campaign.share
        chosen &= (joined <= contact) & (contact <= stopped)
        contacts[:, place] = np.where(chosen, contact, NEVER)
    return Customers(
        number=numbers,
        archetype=archetype,
        identity=identity,
        joined_on=joined,
        created_on=created,
        left_on=left,
        defaulted_on=defaulted,
        stopped_on=stopped,
        paused_from=np.where(pauses, paused_from, NEVER),
        paused_to=np.where(pauses, paused_from + paused_for, NEVER),
        is_contract=is_contract,
        gap_days=gap,
        irregularity=np.where(is_contract, 0.12, 0.9),
        order_value=trait("order_value") * np.exp(scatter) * np.where(is_contract, 1.15, 0.85),
        growth_rate=0.02 + 0.12 * draws.normal("growth", numbers),
        risk=risk,
        payment_delay_days=-4 + 50 * risk**1.3 + 4 * draws.normal("delay", numbers),
        payment_delay_spread_days=3 + 26 * risk,
        terms_days=terms,
        payday_kind=np.where(is_contract, draws.choice("payday", 4, numbers), 0),
        is_prepaying=draws.uniform("prepays", numbers) < trait("prepay_share"),
        omits_due_date=draws.uniform("omits due date", numbers) < 0.025,
        satisfaction=satisfaction,
        has_episode=has_episode,
        group=group,
        parent=_parents(world, numbers, group, created),
        main_sku=main,
        # Customer 1 stands in the dirty rows, which are in yuan.
        currency=np.select([identity == 1, abroad < 0.2, abroad < 1], [0, 2, 1], 0),
        demand=np.exp(0.5 * draws.normal("demand", numbers) - 0.125),
        campaign_on=contacts,
        manager=draws.choice("manager", len(MANAGERS), numbers),
        manager_moves_on=np.where(moves > joined + 60, world.next_business(moves), NEVER),
    )
