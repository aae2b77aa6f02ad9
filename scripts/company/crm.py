"""What the CRM database shows of the simulation at the end of a day: an office system of its own.

Times in UTC, money in fen or 万, flags as Y and N, English codes. An activity that was entered
twice is removed outright: its row is gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.company.columns import (
    Window,
    customer_codes,
    date_text,
    decimal_text,
    join,
    latest,
    only,
    table_of,
    take,
    utc_text,
    yes_no,
)
from scripts.company.facts import (
    ACTIVITY_TYPES,
    CAMPAIGNS,
    COMPENSATED,
    COMPLAINT_CATEGORIES,
    CRM_TABLES,
    LOST,
    LOST_REASONS,
    MANAGERS,
    PRIORITIES,
    PROPOSAL,
    RESOLUTIONS,
    STAGE_PERCENTS,
    STAGES,
    WON,
)
from scripts.company.relations import Activities, Deals, Tickets
from scripts.company.trade import Chunk
from scripts.company.world import CURRENCIES, DAY_SECONDS, NEVER, Integers


def ticket_rows(chunk: Chunk, tickets: Tickets, window: Window) -> Any:
    """Rows of tickets in their latest state: open, answered, resolved, reopened, resolved again."""
    updated = latest(
        window, tickets.opened_at, tickets.responded_at, tickets.resolved_at, tickets.reopened_at,
        tickets.resolved_again_at,
    )  # fmt: skip
    shown = window.changed(updated)
    until = window.until_second
    answered = tickets.responded_at[shown] <= until
    reopened = tickets.reopened_at[shown] <= until
    resolved_at = np.where(reopened, tickets.resolved_again_at[shown], tickets.resolved_at[shown])
    resolved = resolved_at <= until
    compensation, satisfied = tickets.compensation[shown], tickets.satisfied[shown]
    order = tickets.order[shown]
    numbers = chunk.orders.number
    known = numbers[np.maximum(order, 0)] if len(numbers) else np.zeros(len(order), dtype=np.int64)
    resolution = take(RESOLUTIONS, tickets.category[shown])
    resolution = pc.if_else(pa.array(compensation > 0), COMPENSATED, resolution)
    return table_of(
        CRM_TABLES["tickets"],
        join("TK", pa.array(tickets.code[shown]).cast(pa.string())),
        customer_codes(chunk.customers.number[tickets.owner[shown]]),
        only(order >= 0, join("SO", pa.array(known).cast(pa.string()))),
        utc_text(tickets.opened_at[shown]),
        take(COMPLAINT_CATEGORIES, tickets.category[shown]),
        take(PRIORITIES, tickets.severity[shown]),
        utc_text(tickets.responded_at[shown], answered),
        utc_text(resolved_at, resolved),
        yes_no(reopened),
        only(resolved, resolution),
        pa.array(compensation, mask=~resolved),
        only(resolved & (satisfied >= 0), yes_no(satisfied == 1)),
        utc_text(updated[shown]),
    )


def activity_rows(chunk: Chunk, activities: Activities, window: Window) -> Any:
    """Rows of activities entered and not removed."""
    is_gone = activities.removed_at <= window.until_second
    shown = window.changed(np.where(is_gone, NEVER * DAY_SECONDS, activities.entered_at))
    owner, at = activities.owner[shown], activities.at[shown]
    about = activities.campaign[shown]
    codes = take(pa.array([campaign.code for campaign in CAMPAIGNS]), np.maximum(about, 0))
    return table_of(
        CRM_TABLES["activities"],
        _activity_codes(activities, shown),
        customer_codes(chunk.customers.number[owner]),
        utc_text(at),
        take(ACTIVITY_TYPES, activities.kind[shown]),
        pa.array(activities.cost[shown]),
        only(about >= 0, codes),
        take(pa.array(MANAGERS), chunk.customers.manager_on(owner, at // DAY_SECONDS)),
        utc_text(activities.entered_at[shown]),
    )


def removed_activities(activities: Activities, window: Window) -> list[str]:
    """Keys of the rows that disappeared in the window."""
    if window.since is None:
        return []
    keys: list[str] = _activity_codes(activities, window.changed(activities.removed_at)).to_pylist()
    return keys


def _activity_codes(activities: Activities, shown: Integers) -> Any:
    return join("AC", pa.array(activities.code[shown]).cast(pa.string()))


def deal_rows(chunk: Chunk, deals: Deals, window: Window) -> Any:
    """Rows of deals, one a change in the window: the CRM keeps what they were before.

    A deal is opened, goes on stage by stage and is closed; one entered twice is marked as deleted.
    """
    doubled_on = np.where(deals.is_doubled, deals.opened_on + 5, NEVER)
    steps = np.where(deals.steps < deals.closed_on[:, None], deals.steps, NEVER)
    events = np.sort(np.column_stack((deals.opened_on, steps, deals.closed_on, doubled_on)), axis=1)
    events[:, 1:][events[:, 1:] == events[:, :-1]] = NEVER  # one row shows what a day changed
    rows = [_deal_rows_of(chunk, deals, window, days, doubled_on) for days in events.T]
    return pa.concat_tables(rows)


def _deal_rows_of(
    chunk: Chunk, deals: Deals, window: Window, days: Integers, doubled_on: Integers
) -> Any:
    """The deals as they stood at the end of a day each, of those whose day is in the window."""
    customers = chunk.customers
    updated = days * DAY_SECONDS + 32_400 + deals.code % 30_000
    shown = window.changed(updated)
    day = days[shown]
    stage = deals.stage(days)[shown]
    owner, opened = deals.owner[shown], deals.opened_on[shown]
    is_closed = stage >= WON
    proposed = (stage >= PROPOSAL) & (deals.steps[shown, 1] <= day)
    amount = np.where(proposed, deals.amount[shown], deals.estimate[shown])
    return table_of(
        CRM_TABLES["deals"],
        join("OP", pa.array(deals.code[shown]).cast(pa.string())),
        customer_codes(customers.number[owner]),
        take(STAGES, stage),
        decimal_text(amount, 2),
        take(pa.array(CURRENCIES), customers.currency[owner]),
        take(pa.array(STAGE_PERCENTS), stage),
        date_text(opened),
        date_text(deals.expected_on[shown]),
        date_text(deals.closed_on[shown], is_closed),
        only(is_closed, yes_no(stage == WON)),
        take(pa.array(MANAGERS), customers.manager_on(owner, opened)),
        only(stage == LOST, take(LOST_REASONS, deals.lost_reason[shown])),
        utc_text(updated[shown]),
        yes_no(doubled_on[shown] <= day),
    )
