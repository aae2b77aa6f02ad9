"""Simulated dealings with customers beside trade: complaints, contacts, opportunities, costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scripts.company.customers import Customers
from scripts.company.effects import FAILING_COMPLAINTS, is_failing
from scripts.company.facts import (
    ACQUISITION,
    BILLING,
    CALL,
    CAMPAIGNS,
    FREIGHT,
    LATE,
    LEAD,
    LOST,
    MAIL,
    QUALITY,
    QUANTITY,
    SERVICE,
    SERVING,
    VISIT,
    WON,
)
from scripts.company.trade import Chunk, clock_time
from scripts.company.world import DAY_SECONDS, NEVER, Booleans, Floats, Integers, World

NEVER_SECOND = NEVER * DAY_SECONDS


def _logistic(value: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-value))
    return chance


# --- complaints ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tickets:
    """Complaints; `order` is the position of the order or -1, times are local seconds.

    `code` is unique. A ticket reopened at `reopened_at` is resolved again at `resolved_again_at`.
    `compensation` in fen, known with the resolution, as is `satisfied` (1, 0, or -1: not asked).
    """

    owner: Integers
    code: Integers
    order: Integers
    category: Integers
    severity: Integers
    opened_at: Integers
    responded_at: Integers
    resolved_at: Integers
    reopened_at: Integers
    resolved_again_at: Integers
    compensation: Integers
    satisfied: Integers


@dataclass(frozen=True)
class _Causes:
    """What is complained of, when, and its worth in fen; `resolved_on` is 0 where not given."""

    owner: Integers
    code: Integers
    order: Integers
    category: Integers
    day: Integers
    value: Floats
    resolved_on: Integers
    is_credited: Booleans


def simulate_tickets(world: World, chunk: Chunk) -> Tickets:
    """Complaints of late deliveries, of disputed invoices and of service.

    A tenth of late deliveries and more with every day of delay, two disputes in three, and a
    background rate that falls with satisfaction and is six times as high in a bad episode; the
    first and the last in proportion to the customer's demand. Episodes also make the
    answer slower, the complaint graver and more likely to be opened again.
    """
    causes = [_late_deliveries(world, chunk), _disputes(world, chunk), _service(world, chunk)]
    owner, code, order, category, day, value, resolved_on, is_credited = (
        np.concatenate([getattr(cause, name) for cause in causes])
        for name in _Causes.__dataclass_fields__
    )
    draws, customers = world.draws, chunk.customers
    quarter = np.minimum(world.at(world.quarters, day), world.count_quarters - 1)
    level = customers.satisfaction[owner, quarter]
    episode = customers.has_episode[owner, quarter]
    opened = day * DAY_SECONDS + clock_time(draws, "ticket hour", code)
    gravity = 0.7 * draws.normal("gravity", code) + 0.3 * np.log(value / 1e7) + 0.9 * episode
    severity = np.digitize(gravity, (-0.6, 0.7, 1.8))

    hours = np.exp(1.0 + 0.9 * draws.normal("response", code) - 0.4 * severity + 1.0 * episode)
    responded = opened + 600 + (np.minimum(hours, 400) * 3600).astype(np.int64)
    speed = np.array((1.3, 1.0, 0.85, 0.7))[severity] * (1 + 0.8 * episode)
    days = np.minimum(speed * np.exp(1.2 + 0.7 * draws.normal("resolution", code)), 90)
    resolved = opened + 7200 + (days * DAY_SECONDS).astype(np.int64)
    resolved = np.where(draws.uniform("unresolved", code) < 0.03, NEVER_SECOND, resolved)
    # A dispute is settled by the accountants: on the day of the credit note.
    settled = resolved_on * DAY_SECONDS + 60_300
    resolved = np.where(resolved_on > 0, np.maximum(settled, opened + 7200), resolved)
    resolved = np.where(resolved_on >= NEVER, NEVER_SECOND, resolved)
    responded = np.minimum(responded, resolved)
    responded = np.where(draws.uniform("unanswered", code) < 0.02, NEVER_SECOND, responded)
    reopens = draws.uniform("reopens", code) < 0.06 + 0.12 * episode
    reopens &= resolved < NEVER_SECOND
    again = resolved + DAY_SECONDS * (2 + draws.choice("reopened after", 13, code))
    finished = again + DAY_SECONDS * (3 + draws.choice("resolved again after", 18, code))

    pays = draws.uniform("compensated", code) < np.where(is_credited, 0.0, 0.1 + 0.14 * severity)
    part = (0.002 + 0.006 * draws.uniform("compensation", code)) * (1 + 0.5 * severity)
    compensation = np.where(pays, np.rint(np.minimum(value * part, 2e7) / 1000) * 1000, 0)
    took = (np.where(reopens, finished, resolved) - opened) / DAY_SECONDS
    contentment = 1.5 + 0.7 * level - 0.06 * np.minimum(took, 60)
    contentment = contentment + 0.7 * ((compensation > 0) | is_credited) - 0.9 * reopens
    satisfied = draws.uniform("satisfied", code) < _logistic(contentment)
    asked = draws.uniform("asked", code) < 0.75
    return Tickets(
        owner=owner,
        code=code,
        order=order,
        category=category,
        severity=severity,
        opened_at=opened,
        responded_at=responded,
        resolved_at=resolved,
        reopened_at=np.where(reopens, again, NEVER_SECOND),
        resolved_again_at=np.where(reopens, finished, NEVER_SECOND),
        compensation=compensation.astype(np.int64),
        satisfied=np.where(asked, satisfied, -1),
    )


def _order_values(world: World, chunk: Chunk) -> Floats:
    """Net amount of each order in fen, at the rate of its day."""
    orders, customers = chunk.orders, chunk.customers
    rate = world.rates[customers.currency[orders.owner], orders.day - world.first]
    return np.asarray(chunk.net * rate, dtype=np.float64)


def _late_deliveries(world: World, chunk: Chunk) -> _Causes:
    draws, orders, customers = world.draws, chunk.orders, chunk.customers
    arrived = orders.completed_at // DAY_SECONDS
    delay = np.where(arrived < NEVER, arrived - orders.promised_on, 0)
    number = customers.number[orders.owner]
    chance = np.minimum(0.1 + 0.03 * delay, 0.5) * np.minimum(customers.demand[orders.owner], 1.8)
    complains = (delay > 0) & (draws.uniform("complains of delay", number, orders.slot) < chance)
    order = np.flatnonzero(complains)
    patience = 1 + draws.choice("patience", 4, number[order], orders.slot[order])
    day = np.minimum(orders.promised_on[order] + patience, arrived[order] + 1)
    return _Causes(
        owner=orders.owner[order],
        code=10**12 + orders.number[order],
        order=order,
        category=np.full(len(order), LATE),
        day=day,
        value=_order_values(world, chunk)[order],
        resolved_on=np.zeros(len(order), dtype=np.int64),
        is_credited=np.zeros(len(order), dtype=np.bool_),
    )


def _disputes(world: World, chunk: Chunk) -> _Causes:
    draws, invoices = world.draws, chunk.invoices
    number, slot = chunk.customers.number[invoices.owner], chunk.orders.slot[invoices.order]
    complains = (invoices.disputed_on < NEVER) & (draws.uniform("complains", number, slot) < 0.65)
    row = np.flatnonzero(complains)
    order = invoices.order[row]
    about = np.digitize(draws.uniform("cause of dispute", number[row], slot[row]), (0.5, 0.8))
    return _Causes(
        owner=invoices.owner[row],
        code=2 * 10**12 + chunk.orders.number[order],
        order=order,
        category=np.array((QUALITY, QUANTITY, BILLING))[about],
        day=invoices.disputed_on[row] - draws.choice("told before", 4, number[row], slot[row]),
        value=_order_values(world, chunk)[order],
        resolved_on=invoices.resolved_on[row],
        is_credited=invoices.credit[row] > 0,
    )


def _service(world: World, chunk: Chunk) -> _Causes:
    draws, customers = world.draws, chunk.customers
    owner = np.repeat(np.arange(len(customers)), world.count_quarters)
    quarter = np.tile(np.arange(world.count_quarters, dtype=np.int64), len(customers))
    number = customers.number[owner]
    chance = 0.05 * customers.demand[owner] * np.exp(-0.5 * customers.satisfaction[owner, quarter])
    day = world.quarter_opens[quarter] + draws.choice("service day", 90, number, quarter)
    day = world.next_business(day)
    chance = chance * (1 + 5 * customers.has_episode[owner, quarter])
    chance = chance * np.where(is_failing(world, customers, owner, day), FAILING_COMPLAINTS, 1)
    chance = np.minimum(chance, 0.8)
    complains = draws.uniform("complains of service", number, quarter) < chance
    complains &= (day > customers.joined_on[owner]) & (day <= customers.stopped_on[owner] + 30)
    row = np.flatnonzero(complains & (day >= world.start))
    owner, number, day = owner[row], number[row], day[row]
    # What got worse is the product: it is complained of as such.
    share = np.where(is_failing(world, customers, owner, day), 0.9, 0.3)
    is_quality = draws.uniform("service or quality", number, quarter[row]) < share
    return _Causes(
        owner=owner,
        code=3 * 10**12 + world.at(world.yymmdd, day) * 1_000_000 + number,
        order=np.full(len(row), -1),
        category=np.where(is_quality, QUALITY, SERVICE),
        day=day,
        value=customers.monthly_value[owner] * 100,
        resolved_on=np.zeros(len(row), dtype=np.int64),
        is_credited=np.zeros(len(row), dtype=np.bool_),
    )


# --- contacts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activities:
    """Contacts with customers; `campaign` is a position in `CAMPAIGNS` or -1, `cost` in fen.

    Sellers enter them at `entered_at`, up to three days late; those entered twice are removed.
    """

    owner: Integers
    code: Integers
    kind: Integers
    at: Integers
    entered_at: Integers
    removed_at: Integers
    cost: Integers
    campaign: Integers


CONTACT_SLOTS = (CALL, CALL, CALL, VISIT, MAIL)
"""The contacts that a month may bring."""

_Contacts = tuple[Integers, Integers, Integers, Integers, Integers]
"""Owner, code, kind, day, campaign."""


def _monthly_contacts(world: World, customers: Customers) -> Iterator[_Contacts]:
    """Calls grow with demand and in bad episodes, visits with the customer's size."""
    draws, months = world.draws, len(world.month_firsts)
    owner = np.repeat(np.arange(len(customers)), months)
    month = np.tile(np.arange(months, dtype=np.int64), len(customers))
    number = customers.number[owner]
    quarter = np.maximum(world.at(world.quarters, world.month_firsts[month]), 0)
    calls = 0.15 * customers.demand[owner] * (1 + 1.5 * customers.has_episode[owner, quarter])
    chances = {
        CALL: np.minimum(calls, 0.9),
        VISIT: 0.05 + 0.09 * customers.size_class[owner],
        MAIL: np.full(len(owner), 0.18),
    }
    for slot, kind in enumerate(CONTACT_SLOTS):
        position = 8 * month + slot
        row = np.flatnonzero(draws.uniform("contact", number, position) < chances[kind])
        first = world.month_firsts[month[row]]
        day = first + draws.choice("contact day", 28, number[row], position[row])
        code = (world.at(world.yymmdd, first) // 100 * 10 + slot) * 1_000_000 + number[row]
        of_kind, no_campaign = np.full(len(row), kind), np.full(len(row), -1)
        yield owner[row], code, of_kind, world.next_business(day), no_campaign


def _campaign_contacts(customers: Customers) -> Iterator[_Contacts]:
    for place, campaign in enumerate(CAMPAIGNS):
        owner = np.flatnonzero(customers.campaign_on[:, place] < NEVER)
        code = (90_000 + place) * 1_000_000 + customers.number[owner]
        of_kind, of_campaign = np.full(len(owner), campaign.kind), np.full(len(owner), place)
        yield owner, code, of_kind, customers.campaign_on[owner, place], of_campaign


def simulate_activities(world: World, customers: Customers) -> Activities:
    """The sellers' contacts of every month, and those of the campaigns."""
    draws = world.draws
    contacts = [*_monthly_contacts(world, customers), *_campaign_contacts(customers)]
    owner, code, kind, day, campaign = map(np.concatenate, zip(*contacts, strict=True))
    kept = (day >= np.maximum(customers.created_on[owner], world.start)) & (
        day <= customers.stopped_on[owner] + 20
    )
    owner, code, kind, day, campaign = (
        each[kept] for each in (owner, code, kind, day, campaign)
    )  # fmt: skip
    at = day * DAY_SECONDS + clock_time(draws, "contact hour", code)
    lag = draws.uniform("entered after", code)
    late = ((lag - 0.7) * 10).astype(np.int64) * DAY_SECONDS + DAY_SECONDS // 2
    entered = at + np.where(lag < 0.7, (lag * 10_000).astype(np.int64), late)
    doubled = draws.uniform("entered twice", code) < 0.006
    removed = entered + DAY_SECONDS * (1 + draws.choice("removed after", 30, code))
    spread = np.exp(0.4 * draws.normal("contact cost", code))
    visit = 60_000 * (1 + 0.3 * customers.size_class[owner])
    cost = np.select([kind == CALL, kind == VISIT], [2_500.0, visit], 200.0) * spread
    of_campaign = np.array([each.cost for each in CAMPAIGNS])[np.maximum(campaign, 0)]
    return Activities(
        owner=owner,
        code=code,
        kind=kind,
        at=at,
        entered_at=entered,
        removed_at=np.where(doubled, removed, NEVER_SECOND),
        cost=np.where(campaign >= 0, of_campaign, np.rint(cost)).astype(np.int64),
        campaign=campaign,
    )


# --- opportunities -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deals:
    """Opportunities; `steps` (deal x 3) are the days on which the stages after the lead began.

    `closed_on` ends the deal, won or lost; from then on steps do not count. Amounts in hundreds of
    the customer's currency: `estimate` until the proposal, then `amount`.
    """

    owner: Integers
    code: Integers
    opened_on: Integers
    steps: Integers
    closed_on: Integers
    is_won: Booleans
    is_doubled: Booleans
    estimate: Integers
    amount: Integers
    expected_on: Integers
    lost_reason: Integers

    def stage(self, days: Integers) -> Integers:
        """The stage reached at the end of a day, one for each deal."""
        begun = (self.steps <= np.minimum(days, self.closed_on - 1)[:, None]).sum(axis=1)
        closed = np.where(self.is_won, WON, LOST)
        return np.where(self.closed_on <= days, closed, LEAD + begun)


NEW_BUSINESS = 99
"""Stands for the quarter in the code of the deal that won the customer."""


def _deal_openings(world: World, customers: Customers) -> tuple[Integers, Integers, Integers]:
    """Owner, code and first day: about one a year, and one that won each customer."""
    draws, quarters = world.draws, world.count_quarters
    owner = np.repeat(np.arange(len(customers)), quarters)
    quarter = np.tile(np.arange(quarters, dtype=np.int64), len(customers))
    number = customers.number[owner]
    opened = world.quarter_opens[quarter] + draws.choice("deal day", 89, number, quarter)
    opened = world.next_business(opened)
    kept = draws.uniform("deal", number, quarter) < 0.3
    kept &= (opened > customers.joined_on[owner]) & (opened < customers.stopped_on[owner])
    kept &= opened >= world.start
    won = np.flatnonzero(customers.joined_on > world.start + 4)
    return (
        np.concatenate([owner[kept], won]),
        np.concatenate([(number * 100 + quarter)[kept],
                        customers.number[won] * 100 + NEW_BUSINESS]),
        np.concatenate([opened[kept], customers.created_on[won]]),
    )  # fmt: skip


def simulate_deals(world: World, customers: Customers) -> Deals:
    """The course of every deal.

    The chance to win one rises with satisfaction and falls when prices are above their half-year
    mean. A deal takes some fifty days; one in twelve gets stuck at a stage. When the customer
    leaves or fails, what is open is lost.
    """
    draws = world.draws
    owner, code, opened = _deal_openings(world, customers)
    is_new = code % 100 == NEW_BUSINESS
    waits = np.stack([
        2 + np.rint(np.exp(2.2 + 0.6 * draws.normal(f"deal step {step}", code))).astype(np.int64)
        for step in range(4)
    ], axis=1)  # fmt: skip
    days = world.next_business(opened[:, None] + np.cumsum(waits, axis=1))
    pressure = np.log(world.price_index[:, opened - world.first]).mean(axis=0)
    pressure -= np.log(world.price_mean[:, opened - world.first]).mean(axis=0)
    at = np.clip(world.at(world.quarters, opened), 0, world.count_quarters - 1)
    chance = _logistic(0.8 * customers.satisfaction[owner, at] - 4 * pressure - 0.15)
    is_won = draws.uniform("wins", code) < chance
    # A lost deal is lost where it would have gone a step further, the later the likelier.
    last = np.where(is_won, 3, (4 * draws.uniform("lost at", code) ** 0.6).astype(np.int64))
    closed = days[np.arange(len(code)), last]
    sticks = ~is_new & (draws.uniform("sticks", code) < 0.08)
    stuck_after = draws.choice("sticks after", 3, code)
    steps = np.where(
        sticks[:, None] & (np.arange(3) >= stuck_after[:, None]), NEVER, days[:, :3]
    )  # fmt: skip
    closed = np.where(sticks, NEVER, closed)
    # What won a customer was closed with the first order.
    joined = customers.joined_on[owner]
    courted = (joined - opened)[:, None] * np.array((0.2, 0.45, 0.75))
    steps = np.where(is_new[:, None], opened[:, None] + courted.astype(np.int64), steps)
    closed, is_won = np.where(is_new, joined, closed), is_won | is_new
    gone = customers.stopped_on[owner] + 7
    is_gone = closed > gone
    closed, is_won = np.where(is_gone, gone, closed), is_won & ~is_gone

    months = np.where(customers.is_contract[owner], 3.0, 1.5) * np.exp(
        0.6 * draws.normal("deal size", code)
    )
    rate = world.rates[customers.currency[owner], opened - world.first]
    amount = np.maximum(np.rint(customers.monthly_value[owner] * months / rate / 100), 1)
    guess = np.exp(0.25 * draws.normal("deal estimate", code))
    episode = customers.has_episode[owner, at]
    weights = np.stack([
        np.exp(6 * pressure) * 0.35, np.where(episode, 0.5, 0.1), np.full(len(code), 0.25),
        np.full(len(code), 0.12), np.full(len(code), 0.18),
    ], axis=1)  # fmt: skip
    reached = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    reason = (draws.uniform("lost because", code)[:, None] > reached[:, :4]).sum(axis=1)
    return Deals(
        owner=owner,
        code=code,
        opened_on=opened,
        steps=steps,
        closed_on=closed,
        is_won=is_won,
        is_doubled=~is_new & (draws.uniform("deal entered twice", code) < 0.01),
        estimate=np.maximum(np.rint(amount * guess), 1).astype(np.int64),
        amount=amount.astype(np.int64),
        expected_on=opened + 30 + draws.choice("expected after", 45, code),
        lost_reason=np.where(is_gone, 4, reason),
    )


# --- costs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """What winning and serving customers costs, in fen; at most one a customer, day and kind."""

    owner: Integers
    day: Integers
    kind: Integers
    amount: Integers
    entered_at: Integers


def simulate_costs(world: World, chunk: Chunk) -> Costs:
    """The cost of winning a customer on the day it joins; service and freight at month's end.

    Service grows with demand and doubles in an episode. Freight is a customer's own rate of what
    the month delivered: .5 to 2 %, more for the demanding. Both are entered on the second
    business day of the next month.
    """
    draws, customers, months = world.draws, chunk.customers, len(world.month_firsts)
    won = np.flatnonzero(customers.joined_on > world.start + 4)
    effort = np.exp(0.5 * draws.normal("acquisition", customers.number[won]))
    acquisition = (400_000 + customers.monthly_value[won] * 2) * effort
    owner = np.repeat(np.arange(len(customers)), months)
    month = np.tile(np.arange(months, dtype=np.int64), len(customers))
    number = customers.number[owner]
    active = customers.joined_on[owner] <= world.month_lasts[month]
    active &= customers.stopped_on[owner] >= world.month_firsts[month]
    quarter = np.maximum(world.at(world.quarters, world.month_firsts[month]), 0)
    service = 20_000 + customers.monthly_value * 0.2 * customers.demand
    service = service[owner] * (1.0 + customers.has_episode[owner, quarter])
    service = service * np.exp(0.25 * draws.normal("service cost", number, month))
    tariff = 0.005 + 0.015 * draws.uniform("freight", customers.number)
    tariff = tariff * np.sqrt(customers.demand)
    freight = tariff[owner] * _delivered(world, chunk).ravel()
    kinds = np.repeat([ACQUISITION, SERVING, FREIGHT], [len(won), len(owner), len(owner)])
    every = np.concatenate([won, owner, owner])
    months_end = world.month_lasts[month]
    day = np.concatenate([customers.joined_on[won], months_end, months_end])
    amount = np.rint(np.concatenate([acquisition, service * active, freight])).astype(np.int64)
    first = world.next_business(day + 1)
    entered = np.where(kinds == ACQUISITION, day, world.next_business(first + 1))
    kept = np.flatnonzero(amount > 0)
    return Costs(
        owner=every[kept],
        day=day[kept],
        kind=kinds[kept],
        amount=amount[kept],
        entered_at=(entered * DAY_SECONDS + 36_000 + customers.number[every] % 3600)[kept],
    )


def _delivered(world: World, chunk: Chunk) -> Floats:
    """Fen delivered by customer and month, whole fen so that the order of adding is no matter."""
    customers, deliveries = chunk.customers, chunk.deliveries
    months = len(world.month_lasts)
    day = deliveries.at // DAY_SECONDS
    kept = day <= world.month_lasts[-1]
    owner, day = chunk.orders.owner[deliveries.order[kept]], day[kept]
    rate = world.rates[customers.currency[owner], day - world.first]
    fen = np.rint(deliveries.amount[kept] * rate)
    cell = owner * months + np.searchsorted(world.month_lasts, day)
    total = np.bincount(cell, fen, minlength=len(customers) * months)
    return np.asarray(total.reshape(len(customers), months), dtype=np.float64)
