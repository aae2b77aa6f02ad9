"""Simulated orders, lines, deliveries, invoices and payments of a chunk of customers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scripts.company.customers import Customers, simulate_customers
from scripts.company.facts import (
    ARCHETYPES,
    BANK_BILL,
    CAMPAIGNS,
    CASH,
    CATEGORIES,
    COMMERCIAL_BILL,
    DISCOUNTED,
    DISHONOURED,
    ENDORSED,
    MATURED,
    PREPAYMENT,
    PRODUCTS,
    RECEIPT,
    REFUND,
    SKUS,
    TRANSFER,
)
from scripts.company.world import DAY_SECONDS, NEVER, Booleans, Draws, Floats, Integers, World

CUSTOMERS_PER_CHUNK = 1000
"""Customers simulated at a time. Part of the result: it decides the rows' order in a bank file."""

VAT_PERCENT = 13
"""On domestic sales; exports are zero-rated."""

PROMISED_DAYS = 13
"""Calendar days from an order to its promised delivery, before the distance to the customer."""

LEAVER_FADE_DAYS = 120

DEFAULTER_STRESS_DAYS = 150


TONNES_PER_UNIT = np.array([product.tonnes_per_unit for product in PRODUCTS])


def _segments(counts: Integers) -> tuple[Integers, Integers]:
    """For ragged rows: the owner of each element and its position within the owner."""
    owner = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - np.repeat(starts, counts)


def clock_time(draws: Draws, name: str, *positions: Integers) -> Integers:
    """A second of the working day (08:00 to 18:00)."""
    return 28_800 + (draws.uniform(name, *positions) * 36_000).astype(np.int64)


@dataclass(frozen=True)
class Orders:
    """Orders of a chunk: `owner` is the position in the chunk, `slot` numbers a customer's orders.

    Times are seconds since 1970 on the local clock; `NEVER` x 86 400 and more if not at all.
    """

    owner: Integers
    slot: Integers
    number: Integers
    day: Integers
    ordered_at: Integers
    confirmed_at: Integers
    shipped_at: Integers
    completed_at: Integers
    cancelled_at: Integers
    deleted_at: Integers
    is_contract: Booleans
    channel: Integers
    promised_on: Integers


def simulate_orders(world: World, customers: Customers, last_day: int) -> Orders:
    """All orders up to and including `last_day`, in the order of customer and time."""
    draws = world.draws
    season = np.array([world.season_names.index(each.season) for each in ARCHETYPES])
    clock_of = season[customers.archetype]
    opening = np.empty(len(customers))
    closing = np.empty(len(customers))
    for index, clock in enumerate(world.clocks):
        chosen = clock_of == index
        opening[chosen] = clock[customers.joined_on[chosen] - world.first - 1]
        closing[chosen] = clock[customers.stopped_on[chosen] - world.first]
    expected = np.maximum(closing - opening, 0) / customers.gap_days
    # Five standard deviations of room: the slots are the same for every last_day.
    counts = np.ceil(expected + 5 * customers.irregularity * np.sqrt(expected) + 5).astype(np.int64)
    owner, slot = _segments(counts)
    number = customers.number[owner]
    irregularity = customers.irregularity[owner]
    waits = -np.log(draws.uniform("gap of order", number, slot))
    gaps = customers.gap_days[owner] * ((1 - irregularity) + irregularity * waits)
    gaps = np.where(slot == 0, gaps * draws.uniform("first order", number), gaps)
    total = np.cumsum(gaps)
    before = total[np.cumsum(counts) - counts] - gaps[np.cumsum(counts) - counts]
    position = opening[owner] + total - before[owner]
    day = np.empty(len(owner), dtype=np.int64)
    for index, clock in enumerate(world.clocks):
        chosen = clock_of[owner] == index
        day[chosen] = world.first + np.searchsorted(clock, position[chosen])
    stopped = customers.stopped_on[owner]
    fading = day > customers.left_on[owner] - LEAVER_FADE_DAYS
    kept = (day <= stopped) & (day <= min(last_day, world.horizon))
    kept &= ~(fading & (draws.uniform("faded", number, slot) < 0.45))
    kept &= ~((day >= customers.paused_from[owner]) & (day < customers.paused_to[owner]))
    # One order a customer and day: the order number is made of the two.
    kept[1:] &= ~((day[1:] == day[:-1]) & (owner[1:] == owner[:-1]))
    owner, slot, day = owner[kept], slot[kept], day[kept]
    number = number[kept]

    is_contract = customers.is_contract[owner] & (
        draws.uniform("off contract", number, slot) > 0.08
    )
    route = draws.uniform("channel", number, slot)
    channel = np.where(is_contract, (route > 0.85) * 1, np.digitize(route, (0.4, 0.68)))
    online = 21_600 + (draws.uniform("online hour", number, slot) * 64_000).astype(np.int64)
    second = np.where(channel == 2, online, clock_time(draws, "order hour", number, slot))
    ordered = day * DAY_SECONDS + second
    confirmed = ordered + 3600 + (draws.uniform("confirm", number, slot) * 100_000).astype(np.int64)
    quarter = world.at(world.quarters, day)
    late = np.where(customers.has_episode[owner, quarter], 6.0, 0.0)
    wait = 1 + np.exp(1.0 + 0.5 * draws.normal("ship", number, slot)) + late
    shipped = (
        (confirmed // DAY_SECONDS + wait.astype(np.int64)) * DAY_SECONDS
        + clock_time(draws, "ship hour", number, slot)
    )  # fmt: skip
    transit = 2 + draws.choice("transit", 9, number, slot)
    completed = (shipped // DAY_SECONDS + transit) * DAY_SECONDS + clock_time(
        draws, "complete hour", number, slot
    )
    fate = draws.uniform("fate", number, slot)
    cancelled = (
        confirmed + 7200 + (draws.uniform("cancel", number, slot) * 160_000).astype(np.int64)
    )
    is_cancelled = (fate < 0.022) & (cancelled < shipped)
    is_mistake = fate > 0.9985
    never = NEVER * DAY_SECONDS
    erased = ordered + DAY_SECONDS * (1 + draws.choice("erase", 9, number, slot))
    return Orders(
        owner=owner,
        slot=slot,
        number=world.at(world.yymmdd, day) * 1_000_000 + number,
        day=day,
        ordered_at=ordered,
        confirmed_at=np.where(is_mistake, never, confirmed),
        shipped_at=np.where(is_cancelled | is_mistake, never, shipped),
        completed_at=np.where(is_cancelled | is_mistake, never, completed),
        cancelled_at=np.where(is_cancelled, cancelled, never),
        deleted_at=np.where(is_mistake, erased, never),
        is_contract=is_contract,
        channel=channel,
        promised_on=day + PROMISED_DAYS + draws.choice("distance", 5, number),
    )


@dataclass(frozen=True)
class Lines:
    """Order lines; `order` is the position of the order.

    Quantities in thousandths of the unit; prices and costs in 0.0001 of the customer's currency,
    amounts in its hundredths.
    """

    order: Integers
    line: Integers
    sku: Integers
    quantity: Integers
    first_quantity: Integers
    price: Integers
    cost: Integers
    discount_rate: Floats
    vat_percent: Integers

    def amounts(self, quantity: Integers) -> tuple[Integers, Integers, Integers]:
        """(discount, net, tax) in hundredths for a quantity: net = quantity x price - discount."""
        value = (quantity * self.price + 50_000) // 100_000
        discount = np.rint(value * self.discount_rate).astype(np.int64)
        net = value - discount
        return discount, net, (net * self.vat_percent + 50) // 100


def simulate_lines(world: World, customers: Customers, orders: Orders) -> Lines:
    """The lines of the orders, in order; the first is the customer's main product as a rule."""
    draws = world.draws
    customer = customers.number[orders.owner]
    kind_of_order = customers.archetype[orders.owner]
    sku_counts = np.array([len(each.skus) for each in ARCHETYPES])
    more = customers.of("lines_mean")[orders.owner] - 1
    extra = np.log(draws.uniform("count of lines", customer, orders.slot)) / np.log(
        more / (1 + more)
    )
    counts = 1 + np.minimum(extra.astype(np.int64), sku_counts[kind_of_order] - 1)
    order, line = _segments(counts)
    number, slot, day = customer[order], orders.slot[order], orders.day[order]
    owner, kind = orders.owner[order], kind_of_order[order]
    width = sku_counts[kind]

    # Neighbours in the archetype's list are bought together; now and then the main product differs.
    strays = draws.uniform("stray", customer, orders.slot)[order] < 0.12
    head = customers.main_sku[owner] + strays * (1 + slot % 2)
    place = (head + line) % width
    sku_table = np.zeros((len(ARCHETYPES), sku_counts.max()), dtype=np.int64)
    for row, each in enumerate(ARCHETYPES):
        sku_table[row, : len(each.skus)] = [SKUS.index(sku) for sku in each.skus]
    sku = sku_table[kind, place]
    category = np.array([CATEGORIES.index(each.category) for each in PRODUCTS])[sku]
    base = np.array([each.base_price for each in PRODUCTS])[sku]
    is_tonnes = np.array([each.unit == "t" for each in PRODUCTS])[sku]

    position = line + 64 * slot
    market = world.price_index[category, day - world.first]
    of_month = world.price_index[category, world.at(world.month_starts, day) - world.first]
    is_contract = orders.is_contract[order]
    level = np.where(is_contract, 0.5 + 0.5 * of_month, market)
    noise = 1 + np.where(is_contract, 0.003, 0.012) * draws.normal("price", number, position)
    # Large buyers pay less.
    size = np.log(customers.order_value / customers.of("order_value"))[owner]
    rate = world.rates[customers.currency[owner], day - world.first]
    price = base * level * noise * (1 - 0.006 * size) / rate
    cost_level = world.price_index[category, day - world.first - 15]
    cost_level = np.where(is_contract, 0.5 + 0.5 * cost_level, cost_level)
    margin = customers.of("margin_rate")[owner]
    cost = base * cost_level * (1 - margin) * (1 + 0.006 * draws.normal("cost", number, position))
    cost = cost / rate

    years = (day - world.start) / 365.25
    age = (day - customers.joined_on[owner]) / 180.0
    is_new = customers.joined_on[owner] > world.start + 4
    ramp = np.where(is_new, np.minimum(0.45 + 0.55 * age, 1.0), 1.0)
    fading = np.where(day > customers.left_on[owner] - LEAVER_FADE_DAYS, 0.7, 1.0)
    pressure = np.log(market / world.price_mean[category, day - world.first])
    response = np.exp(
        np.where(is_contract, 0.2, 1.0) * customers.of("elasticity")[owner] * pressure
    )
    part = np.where(line == 0, 1.0, 0.12 + 0.4 * draws.uniform("part", number, position))
    value = (
        customers.order_value[owner] * part * ramp * fading * response
        * np.exp(customers.growth_rate[owner] * years)
        * np.exp(0.3 * draws.normal("quantity", number, position))
    )  # fmt: skip
    for place, campaign in enumerate(CAMPAIGNS):
        since = day - customers.campaign_on[owner, place]
        works = ~is_contract & (since > 0) & (since <= campaign.effect_days)
        value = np.where(works, value * (1 + campaign.uplift), value)
    units = value / base
    quantity = np.where(
        is_tonnes, np.maximum(np.rint(units * 100), 50) * 10, np.maximum(np.rint(units), 1) * 1000
    ).astype(np.int64)
    # Two lines in a hundred were first entered with another quantity, corrected on confirmation.
    amended = draws.uniform("amended", number, position) < 0.02
    step = np.where(is_tonnes, 10, 1000)
    first = np.where(amended, (quantity * 11 // 10) // step * step + step, quantity)
    # Two draws in one: the chance of a discount, and how far below the chance gives its size.
    chance = draws.uniform("discount", number, position)
    limit = np.where(is_contract, 0.5, 0.15)
    depth = np.maximum(1 - chance / limit, 0) * np.where(is_contract, 0.02, 0.01)
    return Lines(
        order=order,
        line=line + 1,
        sku=sku,
        quantity=quantity,
        first_quantity=first,
        price=np.rint(price * 100).astype(np.int64) * 100,
        cost=np.rint(cost * 100).astype(np.int64) * 100,
        discount_rate=depth,
        vat_percent=np.where(customers.currency[owner] > 0, 0, VAT_PERCENT),
    )


@dataclass(frozen=True)
class Deliveries:
    """Deliveries; `order` is the position of the order, `part` counts an order's from 1.

    Weights in kilograms: `loaded` is what left us; where the customer's scale said otherwise,
    `weight` replaces it at `weighed_at`. `amount` is the part of the order's net amount.
    """

    order: Integers
    part: Integers
    at: Integers
    loaded: Integers
    weight: Integers
    weighed_at: Integers
    amount: Integers


def simulate_deliveries(
    world: World, customers: Customers, orders: Orders, tonnes: Floats, net: Integers
) -> Deliveries:
    """The deliveries of shipped orders, in one to three parts; the last completes the order.

    Args:
        world: the world.
        customers: the chunk.
        orders: its orders.
        tonnes: weight of each order.
        net: net amount of each order.
    """
    draws = world.draws
    shipped = np.flatnonzero(orders.completed_at < NEVER * DAY_SECONDS)
    owner = orders.owner[shipped]
    # Large orders come in parts more often.
    split = np.clip(0.03 + 0.05 * np.log10(np.maximum(tonnes[shipped], 1)), 0.03, 0.4)
    draw = draws.uniform("parts", customers.number[owner], orders.slot[shipped])
    counts = 1 + (draw < split).astype(np.int64) + (draw < 0.3 * split)
    place, part = _segments(counts)
    order, count, part = shipped[place], counts[place], part + 1
    number, position = customers.number[orders.owner[order]], 4 * orders.slot[order] + part
    first, last = orders.shipped_at[order], orders.completed_at[order]
    days = first // DAY_SECONDS + (last - first) // DAY_SECONDS * part // count
    at = days * DAY_SECONDS + clock_time(draws, "delivery hour", number, position)
    at = np.where(part == count, last, np.minimum(np.maximum(at, first + 3600), last))
    weight = np.maximum(np.rint(tonnes[order] * 1000 / count), 1).astype(np.int64)
    differs = draws.uniform("scale differs", number, position) < 0.012
    short = np.maximum(weight * 994 // 1000, 1)
    weighed = at + DAY_SECONDS * (1 + draws.choice("weighed after", 8, number, position))
    amount = net[order] * part // count - net[order] * (part - 1) // count
    return Deliveries(
        order=order,
        part=part,
        at=at,
        loaded=weight,
        weight=np.where(differs, short, weight),
        weighed_at=np.where(differs, weighed, NEVER * DAY_SECONDS),
        amount=amount,
    )


@dataclass(frozen=True)
class Invoices:
    """One invoice per shipped order (`order` is its position), in fen (or cents) with tax."""

    order: Integers
    owner: Integers
    day: Integers
    due: Integers
    is_due_stated: Booleans
    gross: Integers
    tax: Integers
    disputed_on: Integers
    resolved_on: Integers
    credit: Integers


def simulate_invoices(
    world: World,
    customers: Customers,
    orders: Orders,
    gross: Integers,
    tax: Integers,
    last_day: int,
) -> Invoices:
    """Invoices issued up to `last_day` with their disputes, whenever those come."""
    draws = world.draws
    number = customers.number[orders.owner]
    lag = draws.choice("invoice lag", 6, number, orders.slot)
    day = world.next_business(orders.shipped_at // DAY_SECONDS + lag)
    order = np.flatnonzero(day <= last_day)
    owner, day, slot = orders.owner[order], day[order], orders.slot[order]
    number = number[order]
    quarter = np.minimum(world.at(world.quarters, day), world.count_quarters - 1)
    rate = customers.of("dispute_rate")[owner] * np.exp(
        -0.4 * customers.satisfaction[owner, quarter]
    )
    rate = np.where(customers.has_episode[owner, quarter], 6 * rate, rate)
    is_disputed = draws.uniform("dispute", number, slot) < rate
    disputed = world.next_business(day + 4 + draws.choice("disputed after", 16, number, slot))
    resolved = world.next_business(disputed + 15 + draws.choice("resolved after", 60, number, slot))
    outcome = draws.uniform("outcome", number, slot)
    resolved = np.where(outcome > 0.92, NEVER, resolved)
    part = 0.02 + 0.1 * draws.uniform("credit part", number, slot)
    credited = is_disputed & (outcome < 0.6)
    states_due = draws.uniform("due date", number, slot) > 0.015
    return Invoices(
        order=order,
        owner=owner,
        day=day,
        due=day + customers.terms_days[owner],
        is_due_stated=states_due & ~customers.omits_due_date[owner],
        gross=gross[order],
        tax=tax[order],
        disputed_on=np.where(is_disputed, disputed, NEVER),
        resolved_on=np.where(is_disputed, resolved, NEVER),
        credit=np.where(credited, np.rint(gross[order] * part).astype(np.int64), 0),
    )


@dataclass(frozen=True)
class Payments:
    """Bank movements, at most one per customer, day and kind; amounts in fen or cents, positive.

    `reference` is the position of the invoice's order, or of the order itself (prepayments), or -1.
    `turned_on` is when a bill was endorsed or discounted (`turned_to`), `ended_on` when it matured
    or was dishonoured (`ended_as`).
    """

    owner: Integers
    day: Integers
    kind: Integers
    amount: Integers
    method: Integers
    reference: Integers
    matures_on: Integers
    turned_on: Integers
    turned_to: Integers
    ended_on: Integers
    ended_as: Integers


def simulate_payments(
    world: World, customers: Customers, orders: Orders, invoices: Invoices, gross: Integers,
    last_day: int,
) -> Payments:  # fmt: skip
    """Payments made up to `last_day`, with the bills' later fates whenever those come."""
    draws = world.draws
    number = customers.number[invoices.owner]
    slot = orders.slot[invoices.order]

    # Prepayments: on the day of the order, in full or 30 %.
    prepays = customers.is_prepaying[orders.owner] & ~orders.is_contract
    in_full = draws.uniform("prepaid part", customers.number[orders.owner], orders.slot) < 0.6
    share = np.where(in_full, 100, 30)
    prepaid = np.where(prepays, gross * share // 100, 0)
    is_void = np.minimum(orders.cancelled_at, orders.deleted_at) // DAY_SECONDS
    returned_on = np.where(prepays & (is_void < NEVER), world.next_business(is_void + 5), NEVER)

    # Receipts: due date plus delay, on the customer's payday.
    spread = customers.payment_delay_spread_days[invoices.owner]
    wait = -np.log(draws.uniform("wait", number, slot))
    delay = customers.payment_delay_days[invoices.owner] + spread * (wait - 0.6)
    planned = invoices.due + np.rint(np.clip(delay, -invoices.due + invoices.day + 1, 240)).astype(
        np.int64
    )
    defaulted = customers.defaulted_on[invoices.owner]
    stress = np.clip((planned - (defaulted - DEFAULTER_STRESS_DAYS)) / DEFAULTER_STRESS_DAYS, 0, 1)
    planned = planned + (stress * 75).astype(np.int64)
    payday = customers.payday_kind[invoices.owner]
    paid_on = world.next_payday(payday, planned)
    is_disputed = invoices.disputed_on < NEVER
    # A refund follows where the invoice was paid in full although a credit note came.
    waits = is_disputed & ~(
        (invoices.credit > 0) & (draws.uniform("pays first", number, slot) < 0.3)
    )
    resumed = world.next_payday(payday, np.minimum(invoices.resolved_on, NEVER - 100) + 5)
    paid_on = np.where(waits, np.maximum(paid_on, resumed), paid_on)
    owed = np.maximum(invoices.gross - prepaid[invoices.order], 0)
    due_cents = np.where(waits, np.maximum(owed - invoices.credit, 0), owed)
    deducts = draws.uniform("deducts", number, slot) < 0.012
    due_cents = np.where(deducts, due_cents * 98 // 100, due_cents)
    in_parts = draws.uniform("in parts", number, slot) < 0.08
    second_on = world.next_payday(
        payday, paid_on + 15 + draws.choice("second part", 30, number, slot)
    )
    first_part = np.where(in_parts, due_cents * 6 // 10, due_cents)
    refund = np.where(
        (invoices.credit > 0) & ~waits, np.minimum(invoices.credit, due_cents), 0
    )  # fmt: skip
    refund_on = world.next_business(
        np.maximum(paid_on, np.minimum(invoices.resolved_on, NEVER)) + 7
    )
    paid = paid_on < defaulted
    first_part = np.where(paid, first_part, 0)
    second_part = np.where(in_parts & (second_on < defaulted), due_cents - first_part, 0)

    every_order = np.arange(len(orders.owner))
    parts = (
        (orders.owner, world.next_business(orders.day), PREPAYMENT, prepaid, every_order),
        (orders.owner, returned_on, REFUND, np.where(returned_on < NEVER, prepaid, 0), every_order),
        (invoices.owner, paid_on, RECEIPT, first_part, invoices.order),
        (invoices.owner, second_on, RECEIPT, np.where(paid, second_part, 0), invoices.order),
        (invoices.owner, refund_on, REFUND, np.where(paid, refund, 0), invoices.order),
    )
    owner = np.concatenate([part[0] for part in parts])
    day = np.concatenate([part[1] for part in parts])
    kind = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    amount = np.concatenate([part[3] for part in parts])
    about = np.concatenate([part[4] for part in parts])
    kept = np.flatnonzero((amount > 0) & (day <= last_day))
    kept = kept[np.lexsort((about[kept], kind[kept], day[kept], owner[kept]))]
    owner, day, kind, amount, about = owner[kept], day[kept], kind[kept], amount[kept], about[kept]
    # What a customer pays on one day is one movement.
    starts = np.ones(len(kept), dtype=np.bool_)
    starts[1:] = (np.diff(owner) != 0) | (np.diff(day) != 0) | (np.diff(kind) != 0)
    heads = np.flatnonzero(starts)
    sizes = np.diff(np.append(heads, len(kept)))
    amount = np.add.reduceat(amount, heads) if len(heads) else amount
    owner, day, kind, about = owner[heads], day[heads], kind[heads], about[heads]

    number = customers.number[owner]
    position = day * 4 + kind
    states_reference = draws.uniform("reference", number, position) < np.where(
        sizes == 1, 0.93, 0.45
    )
    near_default = day > customers.defaulted_on[owner] - 240
    commercial = customers.of("commercial_bill_share")[owner] * (0.5 + 2 * customers.risk[owner])
    commercial = np.where(near_default, 0.65, commercial)
    bank = customers.of("bank_bill_share")[owner]
    way = draws.uniform("method", number, position)
    method = np.where(way < commercial, COMMERCIAL_BILL, TRANSFER)
    method = np.where((way >= commercial) & (way < commercial + bank), BANK_BILL, method)
    method = np.where((way > 0.985) & (amount < 5_000_000), CASH, method)
    method = np.where((kind != RECEIPT) | (amount < 2_000_000) & (method != CASH), TRANSFER, method)
    method = np.where(customers.currency[owner] > 0, TRANSFER, method)
    is_bill = (method == BANK_BILL) | (method == COMMERCIAL_BILL)
    tenor = np.array((90, 120, 180, 180))[draws.choice("tenor", 4, number, position)]
    matures = np.where(is_bill, day + tenor, NEVER)
    use = draws.uniform("bill use", number, position)
    used = is_bill & (use < np.where(method == BANK_BILL, 0.6, 0.2))
    used_on = world.next_business(day + 4 + draws.choice("used after", 50, number, position))
    fails = (method == COMMERCIAL_BILL) & (
        (customers.defaulted_on[owner] < matures)
        | (draws.uniform("bill fails", number, position) < 0.004)
    )
    # A bill that was passed on comes back only when it is dishonoured.
    ends = is_bill & (fails | ~used)
    return Payments(
        owner=owner,
        day=day,
        kind=kind,
        amount=amount,
        method=method,
        reference=np.where(states_reference, about, -1),
        matures_on=matures,
        turned_on=np.where(used, used_on, NEVER),
        turned_to=np.where(
            draws.uniform("endorsed", number, position) < 0.65, ENDORSED, DISCOUNTED
        ),
        ended_on=np.where(
            ends, world.next_business(np.minimum(matures, NEVER - 100) + fails), NEVER
        ),
        ended_as=np.where(fails, DISHONOURED, MATURED),
    )


@dataclass(frozen=True)
class Chunk:
    """Everything traded with one chunk of customers up to a day; `net` is by order."""

    customers: Customers
    orders: Orders
    lines: Lines
    deliveries: Deliveries
    invoices: Invoices
    payments: Payments
    net: Integers


def simulate(world: World, last_day: int) -> Iterator[Chunk]:
    """Simulate the company up to a day, chunk by chunk of customers."""
    for first in range(1, world.parameters.customers_ever + 1, CUSTOMERS_PER_CHUNK):
        stop = min(first + CUSTOMERS_PER_CHUNK, world.parameters.customers_ever + 1)
        customers = simulate_customers(world, np.arange(first, stop, dtype=np.int64))
        orders = simulate_orders(world, customers, last_day)
        lines = simulate_lines(world, customers, orders)
        _, net, tax = lines.amounts(lines.quantity)
        heads = np.flatnonzero(lines.line == 1)
        nets, taxes = (np.add.reduceat(each, heads) if len(heads) else each for each in (net, tax))
        tonnes = lines.quantity * TONNES_PER_UNIT[lines.sku] / 1000
        weights = np.add.reduceat(tonnes, heads) if len(heads) else tonnes
        gross = nets + taxes
        deliveries = simulate_deliveries(world, customers, orders, weights, nets)
        invoices = simulate_invoices(world, customers, orders, gross, taxes, last_day)
        payments = simulate_payments(world, customers, orders, invoices, gross, last_day)
        yield Chunk(customers, orders, lines, deliveries, invoices, payments, nets)
