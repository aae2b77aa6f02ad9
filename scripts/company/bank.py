"""What the bank's daily files show of the simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.company.columns import (
    Window,
    customer_codes,
    date_text,
    decimal_text,
    join,
    padded,
    take,
    time_text,
)
from scripts.company.facts import (
    BANK_BILL,
    BILL_STATUSES,
    HELD,
    METHODS,
    MOVEMENTS,
    NO_BILL,
    RECEIPT,
)
from scripts.company.trade import Chunk, clock_time
from scripts.company.world import CURRENCIES, DAY_SECONDS, NEVER, Integers, World


@dataclass(frozen=True)
class BankRows:
    """Lines of the bank's files, in file order within a day and account.

    `day` and `currency` (a position in `CURRENCIES`: each has an account) say which file, `amount`
    is in fen or cents.
    """

    day: Integers
    currency: Integers
    text: list[str]
    amount: Integers


def bank_rows(world: World, chunk: Chunk, names: list[str], window: Window) -> BankRows:
    """Movements and later changes of bills; each is a line in the file of the day it happened."""
    payments, owners = chunk.payments, chunk.customers.number
    number = owners[payments.owner]
    at_day = payments.day * 4 + payments.kind
    received = payments.day * DAY_SECONDS + clock_time(world.draws, "bank hour", number, at_day)
    changed_second = 61_200 + number % 3600
    count = len(number)
    is_bill = payments.matures_on < NEVER
    events = (
        (payments.day, received, np.where(is_bill, HELD, NO_BILL)),
        (payments.turned_on, payments.turned_on * DAY_SECONDS + changed_second, payments.turned_to),
        (payments.ended_on, payments.ended_on * DAY_SECONDS + changed_second, payments.ended_as),
    )
    day = np.concatenate([event[0] for event in events])
    updated = np.concatenate([event[1] for event in events])
    status = np.concatenate([event[2] for event in events])
    movement = np.tile(np.arange(count), 3)
    currency = chunk.customers.currency[payments.owner][movement]
    shown = np.flatnonzero((day > window.begins) & (day <= window.day))
    shown = shown[np.lexsort((movement[shown], updated[shown], currency[shown], day[shown]))]
    row, day, updated, status = movement[shown], day[shown], updated[shown], status[shown]
    yymmdd = world.at(world.yymmdd, payments.day[row])
    flow = (yymmdd * 1_000_000 + number[row]) * 10 + payments.kind[row]
    about = payments.reference[row]
    document = pc.if_else(pa.array(payments.kind[row] == RECEIPT), "FP", "SO")
    known = chunk.orders.number[np.maximum(about, 0)] if len(row) else about
    reference = pc.if_else(
        pa.array(about >= 0), join(document, pa.array(known).cast(pa.string())), ""
    )
    bill_kind = pc.if_else(pa.array(payments.method[row] == BANK_BILL), "1", "2")
    serial = padded(payments.day[row] % 10 + 10 * number[row], 9)
    bill_no = join(bill_kind, "990000000000", "20", padded(yymmdd, 6), serial)
    has_bill = pa.array(is_bill[row])
    text = pc.binary_join_element_wise(
        join("YH", pa.array(flow).cast(pa.string())),
        time_text(received[row]),
        take(customer_codes(owners), payments.owner[row]),
        take(pa.array(names), payments.owner[row]),
        decimal_text(payments.amount[row], 2),
        take(pa.array(CURRENCIES), currency[shown]),
        take(METHODS, payments.method[row]),
        take(MOVEMENTS, payments.kind[row]),
        reference,
        pc.if_else(has_bill, bill_no, ""),
        pc.if_else(has_bill, date_text(payments.matures_on[row]), ""),
        take(BILL_STATUSES, status),
        pc.if_else(has_bill, date_text(day), ""),
        time_text(updated),
        ",",
    )
    return BankRows(day, currency[shown], text.to_pylist(), payments.amount[row])
