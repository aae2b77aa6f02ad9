"""Which credit paid which claim, and when: one pass over the events of each account.

An account is one customer in one document currency. Amounts are whole cents of that currency; a
credit that names a document of another account names nothing here. What counts is the order of the
events: nothing that comes later changes what was applied before, except by reversals with a date
of their own. So the ledger up to a day is the same whatever follows.

**Order.** By date; within a date claims (invoices), then credit notes, then receipts and
prepayments, dishonours, chargebacks, refunds; ties by id. The caller numbers the events so.

**A claim arrives.** It takes, oldest first, the unapplied credits that name it, then those that
name its order, then those that are not held.

**A credit arrives.** It pays the claim it names; where that is not there (yet), the open claims of
the order it names, due first. The remainder goes to all open claims by due date, then by the order
of events (date, id); the rest stays unapplied. A prepayment that names a claim or an order of which
no invoice is there is *held*: no other invoice takes it. It is held for good for an order, which is
invoiced in parts, and until the invoice arrives for an invoice: what that leaves of it is spread
like any other remainder.

**A bill is dishonoured.** Every allocation of it is reversed and its rest is cancelled. The claims
that reopen, due first, take credits again as if they arrived, but no held ones of other orders.

**A chargeback or a refund** is a claim due on its day. A chargeback that names a receipt takes the
rest of it, then what it paid invoices with, the newest allocation first: these are reversed and the
money goes to the chargeback. One that names an invoice does the same with what receipts and
prepayments paid that invoice. A refund takes the unapplied credits that name its order; then what
credits of that order paid other orders' invoices with, the newest allocation first: these are
reversed and the money goes to the refund. (What is given back was never payment of another
invoice: it only lay there until it was claimed.) Reopened invoices take credits again. What is left
of either takes the unapplied credits that name the same order, then those not held, then the held
ones, each oldest first; the excess stays open until later credits settle it.

A refund that names an invoice is of that invoice's order; so is what a credit that names one pays
from when it is there.

**Reporting currency.** Of a claim (a credit) worth R cents there and C cents in its own currency,
of which c are settled (used), the share is R c / C, halves rounded up. A row has the difference of
the shares after and before it, so a claim that is settled in full clears to the cent.

At no time are there both an open claim and a credit that is unapplied and not held.

**Going on from a day.** What was applied before a day stands, so the events of an account from that
day on make the rest of its ledger with no more of the past than what is still open, each with what
was settled of it, and the settled invoices that later or open credits name: between these nothing
is left to apply. Marks of the past are written again, as they were. Reversals look for the rows
they undo, so an account with a dishonour, a chargeback or a refund from that day on, or with one of
the latter two still open, is run from its first event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Days = NDArray[np.int32]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., Any])

NONE = -1
LOW_BITS = 0xFFFFFFFF


class EventKind(IntEnum):
    """What an event is, in the order within a date."""

    INVOICE = 0
    CREDIT_NOTE = 1
    RECEIPT = 2
    DISHONOUR = 3
    CHARGEBACK = 4
    REFUND = 5


class Basis(IntEnum):
    """Why a row is there. HELD and RELEASED rows move no money: they say what is held since when.

    REFERENCE: the credit names the claim. ORDER: it names the claim's order. FIFO: neither.
    PREPAYMENT: it was held for the claim or its order. REFUND: it was given back, or taken back.
    REVERSAL_DISHONOURED, REVERSAL_CHARGEBACK, REVERSAL_REFUND: an earlier row is undone, its amount
    is negative.
    """

    REFERENCE = 0
    ORDER = 1
    FIFO = 2
    PREPAYMENT = 3
    REFUND = 4
    REVERSAL_DISHONOURED = 5
    REVERSAL_CHARGEBACK = 6
    HELD = 7
    RELEASED = 8
    REVERSAL_REFUND = 9


@dataclass(frozen=True)
class Events:
    """Events of all accounts, one per position, account by account, each in the order above.

    account: number of the account. kind: an :class:`EventKind`. day, due: days since any epoch; due
    is read of claims (invoices, chargebacks, refunds). cents: what it is worth, not negative, in
    the account's currency; 0 for a credit that never pays. reporting_cents: the same in the
    reporting currency. order: number of the order it names or belongs to, dense from 0 and of one
    account only; -1 for none. target: position of the event it names, -1 for none: of a credit or a
    refund an invoice, of a dishonour the receipt, of a chargeback a receipt or an invoice.
    is_prepayment: of receipts. names: it names anything, known or not. settled: cents that were
    settled (of a claim) or used (of a credit) before these events, and count_rows, how many rows of
    the ledger a credit had by then, marks left out: 0 for an account that is run from its first.
    """

    account: Days
    kind: Codes
    day: Days
    due: Days
    cents: Ints
    reporting_cents: Ints
    order: Days
    target: Days
    is_prepayment: Flags
    names: Flags
    settled: Ints
    count_rows: Days

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Ledger:
    """One row per allocation, reversal or mark, in the order in which they happened per account.

    credit, claim: positions of the events; claim is -1 for marks. number: the how-manieth row of
    its credit, from 1. day: of the event that caused it. basis: a :class:`Basis`. cents: in the
    account's currency, reversals negative. claim_cents, credit_cents: the claim's and the credit's
    share in the reporting currency. A mark has the amount held or released in cents.
    """

    credit: Days
    claim: Days
    number: Days
    day: Days
    basis: Codes
    cents: Ints
    claim_cents: Ints
    credit_cents: Ints

    def __len__(self) -> int:
        return len(self.basis)


COLUMNS = tuple(Ledger.__dataclass_fields__)


def allocate(events: Events) -> Ledger:
    """The ledger of the events; see the module for the policy.

    Linear in events and rows but for two heaps of open claims. Raises ValueError where the arrays
    differ in length, an account's events are apart or out of order, an amount is negative, or a
    number points outside its range or account.
    """
    _check(events)
    capacity = len(events) + 1
    while True:
        state = _new_state(events, capacity)
        if _run(state, events.account, events.day):
            break
        # reversals make more rows than there are events; how many, only the loop knows
        capacity *= 2
    rows = state.rows[: int(state.sizes[ROWS])]
    return Ledger(**{column: np.ascontiguousarray(rows[column]) for column in COLUMNS})


def _check(events: Events) -> None:
    size = len(events)
    if any(len(column) != size for column in vars(events).values()):
        raise ValueError("the events' columns differ in length")
    if size == 0:
        return
    if size >= 2**31:
        raise ValueError(f"{size} events: positions are 32 bits wide")
    same = events.account[1:] == events.account[:-1]
    later = (events.day[1:] > events.day[:-1]) | (
        (events.day[1:] == events.day[:-1]) & (events.kind[1:] >= events.kind[:-1])
    )
    if not np.all(np.where(same, later, events.account[1:] > events.account[:-1])):
        raise ValueError("the events are not ordered by account, day and kind")
    if events.cents.min() < 0:
        raise ValueError("an event's amount is negative: its kind gives the sign")
    if np.any((events.settled < 0) | (events.settled > events.cents)):
        raise ValueError("more was settled of an event than it is worth, or less than nothing")
    if events.target.min() < NONE or events.target.max() >= size or events.order.min() < NONE:
        raise ValueError("an event names one that is not there")
    named = np.flatnonzero(events.target != NONE)
    if np.any(events.account[named] != events.account[events.target[named]]):
        raise ValueError("an event names one of another account")
    ordered = np.flatnonzero(events.order != NONE)
    first = np.zeros(int(events.order.max()) + 1, dtype=np.int32)
    first[events.order[ordered]] = events.account[ordered]
    if np.any(first[events.order[ordered]] != events.account[ordered]):
        raise ValueError("an order belongs to two accounts")


def _compiled(function: Function) -> Function:
    """Compile on the first call and keep the machine code for the next process.

    Numba keeps it in NUMBA_CACHE_DIR, or in __pycache__ beside this file, or where that cannot be
    written in the user's cache folder. Where there is none either, every process compiles anew.
    """
    try:
        return cast("Function", numba.njit(cache=True)(function))
    except RuntimeError:
        return cast("Function", numba.njit(function))


INVOICE = int(EventKind.INVOICE)
CREDIT_NOTE = int(EventKind.CREDIT_NOTE)
RECEIPT = int(EventKind.RECEIPT)
DISHONOUR = int(EventKind.DISHONOUR)
CHARGEBACK = int(EventKind.CHARGEBACK)
REFUND = int(EventKind.REFUND)
B_REFERENCE = int(Basis.REFERENCE)
B_ORDER = int(Basis.ORDER)
B_FIFO = int(Basis.FIFO)
B_PREPAYMENT = int(Basis.PREPAYMENT)
B_REFUND = int(Basis.REFUND)
B_DISHONOURED = int(Basis.REVERSAL_DISHONOURED)
B_CHARGEBACK = int(Basis.REVERSAL_CHARGEBACK)
B_HELD = int(Basis.HELD)
B_RELEASED = int(Basis.RELEASED)
B_REFUNDED = int(Basis.REVERSAL_REFUND)

# What the loop knows of an event. done: settled of a claim, used of a credit; a cancelled credit
# counts as used up. The queues hold the credits that name a claim, or an order, oldest first.
# home: the order it belongs to, that of the invoice it names before the one it names itself.
# claim_row, credit_row, given_row: the newest row that paid this invoice from a receipt, with which
# this receipt paid an invoice, with which it paid a refund or a chargeback.
EVENT = np.dtype(
    [
        ("cents", np.int64),
        ("worth", np.int64),
        ("done", np.int64),
        ("due", np.int32),
        ("order", np.int32),
        ("home", np.int32),
        ("target", np.int32),
        ("queue", np.int32),
        ("queue_end", np.int32),
        ("next_of_claim", np.int32),
        ("next_of_order", np.int32),
        ("claim_row", np.int32),
        ("credit_row", np.int32),
        ("given_row", np.int32),
        ("count_rows", np.int32),
        ("kind", np.int8),
        ("may_be_held", np.bool_),
        ("is_held", np.bool_),
        ("is_reopened", np.bool_),
        ("is_in_open_heap", np.bool_),
        ("is_in_order_heap", np.bool_),
    ],
    align=True,
)
# Of an order: its credits, its heap of open claims, the newest row with which a credit of it paid
# an invoice of none or of another, and whether an invoice of it has arrived.
ORDER = np.dtype(
    [
        ("heap_first", np.int64),
        ("heap_size", np.int64),
        ("queue", np.int32),
        ("queue_end", np.int32),
        ("away_row", np.int32),
        ("is_there", np.bool_),
    ],
    align=True,
)
# A row of the ledger, what is not reversed of it, and the rows before it of its claim, its credit
# and its credit's order.
ROW = np.dtype(
    [
        ("cents", np.int64),
        ("claim_cents", np.int64),
        ("credit_cents", np.int64),
        ("live", np.int64),
        ("credit", np.int32),
        ("claim", np.int32),
        ("number", np.int32),
        ("day", np.int32),
        ("before_of_claim", np.int32),
        ("before_of_credit", np.int32),
        ("before_of_order", np.int32),
        ("basis", np.int8),
    ],
    align=True,
)
# The slots of State.sizes: rows written, and of the account: claims in the heap of open claims,
# credits in the heap of free ones, the queue of held ones, claims that the event reopened. Then
# where each of these begins in State.heap, after the heaps of the orders.
ROWS, OPEN, FREE, HELD, HELD_END, REOPENED = range(6)
OPEN_FIRST, FREE_FIRST, HELD_FIRST, REOPENED_FIRST = range(6, 10)
COUNT_SIZES = 10


class _State(NamedTuple):
    """What the loop knows: records of EVENT, ORDER and ROW, the heaps' keys, and sizes."""

    events: NDArray[np.void]
    orders: NDArray[np.void]
    rows: NDArray[np.void]
    heap: Ints
    sizes: Ints


# Fields of 32 bits are widened before they are handed on: one machine code per function.
_wide: Any = np.int64


@_compiled
def _share(worth: int, part: int, whole: int) -> int:
    """Give worth * part / whole with halves up, where the product may need more than 64 bits."""
    if part == whole or worth == whole:
        return worth if part == whole else part
    quotient = (worth // whole) * part
    left = worth % whole
    if left < 2**31 and part < 2**31:
        product = left * part
        quotient += product // whole
        remainder = product % whole
    else:
        # the product, bit by bit of the part, always divided by the whole
        high, remainder = 0, 0
        bit = 62
        while bit >= 0:
            high *= 2
            remainder *= 2
            if remainder >= whole:
                remainder -= whole
                high += 1
            if (part >> bit) & 1:
                remainder += left
                if remainder >= whole:
                    remainder -= whole
                    high += 1
            bit -= 1
        quotient += high
    return quotient + 1 if remainder >= whole - remainder else quotient


@_compiled
def _push(heap: Ints, first: int, size: int, key: int) -> None:
    """Add a key to the heap of this size that begins at first."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if heap[first + above] <= key:
            break
        heap[first + at] = heap[first + above]
        at = above
    heap[first + at] = key


@_compiled
def _pop(heap: Ints, first: int, size: int) -> None:
    """Remove the smallest key of the heap of this size that begins at first."""
    key = heap[first + size - 1]
    size -= 1
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[first + below + 1] < heap[first + below]:
            below += 1
        if heap[first + below] >= key:
            break
        heap[first + at] = heap[first + below]
        at = below
    heap[first + at] = key


@_compiled
def _rest(s: Any, at: int) -> int:
    return s.events[at].cents - s.events[at].done  # type: ignore[no-any-return]


@_compiled
def _key(s: Any, claim: int) -> int:
    """Orders claims by due date, then by position."""
    return (_wide(s.events[claim].due) << 32) | claim  # type: ignore[no-any-return]


@_compiled
def _write(s: Any, credit: int, claim: int, day: int, basis: int, cents: int) -> int:
    """Append a row; its number, or -1 where the ledger is full (the caller starts anew)."""
    row = s.sizes[ROWS]
    s.sizes[ROWS] += 1
    if row >= len(s.rows):
        return NONE
    s.events[credit].count_rows += 1
    s.rows[row].number = s.events[credit].count_rows
    s.rows[row].credit = credit
    s.rows[row].claim = claim
    s.rows[row].day = day
    s.rows[row].basis = basis
    s.rows[row].cents = cents
    s.rows[row].claim_cents = 0
    s.rows[row].credit_cents = 0
    s.rows[row].live = 0
    return row  # type: ignore[no-any-return]


@_compiled
def _book(s: Any, at: int, cents: int) -> int:
    """Settle or use cents (negative: undo) of an event; the change of its reporting share."""
    event = s.events[at]
    before = _share(event.worth, event.done, event.cents)
    event.done += cents
    return _share(event.worth, event.done, event.cents) - before


@_compiled
def _move(s: Any, credit: int, claim: int, day: int, basis: int, cents: int) -> int:
    """Write the row of an allocation, or of a reversal (negative), and book it on both sides."""
    row = _write(s, credit, claim, day, basis, cents)
    claim_cents = _book(s, claim, cents)
    credit_cents = _book(s, credit, cents)
    if row != NONE:
        s.rows[row].claim_cents = claim_cents
        s.rows[row].credit_cents = credit_cents
    return row


@_compiled
def _note_away(s: Any, row: int, credit: int, claim: int) -> None:
    """Let a refund of the credit's order find a row that paid an invoice of none or of another."""
    event = s.events[credit]
    order = s.events[claim].order
    if event.home == NONE or claim == event.target:
        return
    if order == NONE or (order != event.home and order != event.order):
        s.rows[row].before_of_order = s.orders[event.home].away_row
        s.orders[event.home].away_row = row


@_compiled
def _pay(s: Any, credit: int, claim: int, day: int, basis: int) -> None:
    """Let the credit pay what it can of the claim."""
    cents = min(_rest(s, credit), _rest(s, claim))
    if cents <= 0:
        return
    is_invoice = s.events[claim].kind == INVOICE
    if not is_invoice:
        basis = B_REFUND
    elif s.events[credit].is_held:
        basis = B_PREPAYMENT
    row = _move(s, credit, claim, day, basis, cents)
    if row == NONE:
        return
    s.rows[row].live = cents
    if is_invoice:
        _note_away(s, row, credit, claim)
    if s.events[credit].kind != RECEIPT:
        return
    if is_invoice:
        s.rows[row].before_of_claim = s.events[claim].claim_row
        s.events[claim].claim_row = row
        s.rows[row].before_of_credit = s.events[credit].credit_row
        s.events[credit].credit_row = row
    else:
        s.rows[row].before_of_credit = s.events[credit].given_row
        s.events[credit].given_row = row


@_compiled
def _reverse(s: Any, row: int, cents: int, day: int, basis: int) -> None:
    """Take back cents of an earlier row; its claim is reopened."""
    claim = _wide(s.rows[row].claim)
    s.rows[row].live -= cents
    _move(s, _wide(s.rows[row].credit), claim, day, basis, -cents)
    if not s.events[claim].is_reopened:
        s.events[claim].is_reopened = True
        s.heap[s.sizes[REOPENED_FIRST] + s.sizes[REOPENED]] = _key(s, claim)
        s.sizes[REOPENED] += 1


@_compiled
def _keep_open(s: Any, claim: int) -> None:
    """Let later credits find what is left of the claim."""
    if _rest(s, claim) == 0:
        return
    event = s.events[claim]
    if not event.is_in_open_heap:
        _push(s.heap, s.sizes[OPEN_FIRST], s.sizes[OPEN], _key(s, claim))
        s.sizes[OPEN] += 1
        event.is_in_open_heap = True
    if event.order != NONE and not event.is_in_order_heap:
        order = s.orders[event.order]
        _push(s.heap, order.heap_first, order.heap_size, _key(s, claim))
        order.heap_size += 1
        event.is_in_order_heap = True


@_compiled
def _take_from_order(s: Any, claim: int, day: int) -> None:
    """Let a claim take the unapplied credits that name its order."""
    event = s.events[claim]
    if event.order == NONE:
        return
    order = s.orders[event.order]
    credit = _wide(order.queue)
    while credit != NONE:
        _pay(s, credit, claim, day, B_ORDER)
        if _rest(s, credit) > 0:
            break
        credit = _wide(s.events[credit].next_of_order)
    order.queue = credit


@_compiled
def _settle(s: Any, claim: int, day: int, with_held: bool) -> None:
    """Let a claim take credits; with_held: at last also those held for something else."""
    event = s.events[claim]
    if event.kind == INVOICE:
        credit = _wide(event.queue)
        while credit != NONE:
            _pay(s, credit, claim, day, B_REFERENCE)
            if _rest(s, credit) > 0:
                break
            credit = _wide(s.events[credit].next_of_claim)
        event.queue = credit
    _take_from_order(s, claim, day)
    while _rest(s, claim) > 0 and s.sizes[FREE] > 0:
        credit = s.heap[s.sizes[FREE_FIRST]]
        _pay(s, credit, claim, day, B_FIFO)
        if _rest(s, credit) == 0:
            _pop(s.heap, s.sizes[FREE_FIRST], s.sizes[FREE])
            s.sizes[FREE] -= 1
    while with_held and _rest(s, claim) > 0 and s.sizes[HELD] < s.sizes[HELD_END]:
        credit = s.heap[s.sizes[HELD_FIRST] + s.sizes[HELD]]
        if s.events[credit].is_held:
            _pay(s, credit, claim, day, B_REFUND)
        if not s.events[credit].is_held or _rest(s, credit) == 0:
            s.sizes[HELD] += 1
    _keep_open(s, claim)


@_compiled
def _spread(s: Any, credit: int, day: int) -> None:
    """Let a credit pay the open claims, due first; what is left of it is free."""
    while _rest(s, credit) > 0 and s.sizes[OPEN] > 0:
        claim = s.heap[s.sizes[OPEN_FIRST]] & LOW_BITS
        _pay(s, credit, claim, day, B_FIFO)
        if _rest(s, claim) == 0:
            _pop(s.heap, s.sizes[OPEN_FIRST], s.sizes[OPEN])
            s.sizes[OPEN] -= 1
            s.events[claim].is_in_open_heap = False
    if _rest(s, credit) > 0:
        _push(s.heap, s.sizes[FREE_FIRST], s.sizes[FREE], credit)
        s.sizes[FREE] += 1


@_compiled
def _enter_invoice(s: Any, claim: int, day: int) -> None:
    event = s.events[claim]
    if event.order != NONE:
        s.orders[event.order].is_there = True
    _settle(s, claim, day, False)
    # what names this invoice, and is not used up, is of its order and held no longer
    credit = _wide(event.queue)
    while credit != NONE:
        if event.order != NONE:
            s.events[credit].home = event.order
        if s.events[credit].is_held and _rest(s, credit) > 0:
            s.events[credit].is_held = False
            _write(s, credit, NONE, day, B_RELEASED, _rest(s, credit))
            _spread(s, credit, day)
        credit = _wide(s.events[credit].next_of_claim)


@_compiled
def _enter_credit(s: Any, credit: int, day: int) -> None:
    event = s.events[credit]
    target, order_no = _wide(event.target), _wide(event.order)
    # an invoice of a later event is not there yet
    is_there = target != NONE and target < credit
    if is_there:
        _pay(s, credit, target, day, B_REFERENCE)
    elif order_no != NONE:
        order = s.orders[order_no]
        is_there = order.is_there
        while _rest(s, credit) > 0 and order.heap_size > 0:
            claim = s.heap[order.heap_first] & LOW_BITS
            _pay(s, credit, claim, day, B_ORDER)
            if _rest(s, claim) == 0:
                _pop(s.heap, order.heap_first, order.heap_size)
                order.heap_size -= 1
                s.events[claim].is_in_order_heap = False
    if _rest(s, credit) == 0:
        return
    if event.may_be_held and not is_there:
        event.is_held = True
        s.heap[s.sizes[HELD_FIRST] + s.sizes[HELD_END]] = credit
        s.sizes[HELD_END] += 1
        _write(s, credit, NONE, day, B_HELD, _rest(s, credit))
    else:
        _spread(s, credit, day)
        if _rest(s, credit) == 0:
            return
    if target != NONE:
        if s.events[target].queue == NONE:
            s.events[target].queue = credit
        else:
            s.events[s.events[target].queue_end].next_of_claim = credit
        s.events[target].queue_end = credit
    if order_no != NONE:
        if s.orders[order_no].queue == NONE:
            s.orders[order_no].queue = credit
        else:
            s.events[s.orders[order_no].queue_end].next_of_order = credit
        s.orders[order_no].queue_end = credit


@_compiled
def _settle_reopened(s: Any, day: int) -> None:
    """Let the claims that one event reopened take credits again, due first."""
    first, count = s.sizes[REOPENED_FIRST], s.sizes[REOPENED]
    s.sizes[REOPENED] = 0
    keys = np.sort(s.heap[first : first + count])
    for key in keys:
        claim = key & LOW_BITS
        s.events[claim].is_reopened = False
        _settle(s, claim, day, False)


@_compiled
def _reverse_credit(s: Any, newest: int, limit: int, day: int, basis: int) -> int:
    """Reverse a credit's rows, the newest first, up to so many cents; the first that is left."""
    row = newest
    while row != NONE:
        cents = min(s.rows[row].live, limit)
        if cents > 0:
            _reverse(s, row, cents, day, basis)
            limit -= cents
        if s.rows[row].live > 0:
            break
        row = _wide(s.rows[row].before_of_credit)
    return row


@_compiled
def _enter_dishonour(s: Any, credit: int, day: int) -> None:
    event = s.events[credit]
    for newest in (_wide(event.credit_row), _wide(event.given_row)):
        _reverse_credit(s, newest, event.cents, day, B_DISHONOURED)
    event.credit_row = NONE
    event.given_row = NONE
    event.done = event.cents
    event.is_held = False
    _settle_reopened(s, day)


@_compiled
def _enter_chargeback(s: Any, claim: int, day: int) -> None:
    target = _wide(s.events[claim].target)
    # a document of a later event is not there yet
    if target != NONE and target < claim:
        event = s.events[target]
        if event.kind == RECEIPT:
            limit = max(_rest(s, claim) - _rest(s, target), 0)
            newest = _wide(event.credit_row)
            event.credit_row = _reverse_credit(s, newest, limit, day, B_CHARGEBACK)
            _pay(s, target, claim, day, B_REFUND)
        elif event.kind == INVOICE:
            row = _wide(event.claim_row)
            while row != NONE:
                cents = min(s.rows[row].live, _rest(s, claim))
                if cents > 0:
                    _reverse(s, row, cents, day, B_CHARGEBACK)
                    _pay(s, _wide(s.rows[row].credit), claim, day, B_REFUND)
                if s.rows[row].live > 0:
                    break
                row = _wide(s.rows[row].before_of_claim)
            event.claim_row = row
    _settle_reopened(s, day)
    _settle(s, claim, day, True)


@_compiled
def _enter_refund(s: Any, claim: int, day: int) -> None:
    event = s.events[claim]
    if event.order != NONE:
        _take_from_order(s, claim, day)
        row = _wide(s.orders[event.order].away_row)
        while row != NONE:
            cents = min(s.rows[row].live, _rest(s, claim))
            if cents > 0:
                _reverse(s, row, cents, day, B_REFUNDED)
                _pay(s, _wide(s.rows[row].credit), claim, day, B_REFUND)
            if s.rows[row].live > 0:
                break
            row = _wide(s.rows[row].before_of_order)
        s.orders[event.order].away_row = row
        _settle_reopened(s, day)
    _settle(s, claim, day, True)


@_compiled
def _run(s: Any, account: Days, days: Days) -> bool:
    """All events; false when the ledger did not fit into its rows."""
    for at in range(len(account)):
        if at > 0 and account[at] != account[at - 1]:
            s.sizes[OPEN] = 0
            s.sizes[FREE] = 0
            s.sizes[HELD] = 0
            s.sizes[HELD_END] = 0
        kind = s.events[at].kind
        day = _wide(days[at])
        if kind == INVOICE:
            _enter_invoice(s, at, day)
        elif kind in (CREDIT_NOTE, RECEIPT):
            _enter_credit(s, at, day)
        elif kind == DISHONOUR:
            _enter_dishonour(s, _wide(s.events[at].target), day)
        elif kind == CHARGEBACK:
            _enter_chargeback(s, at, day)
        else:
            _enter_refund(s, at, day)
        if s.sizes[ROWS] > len(s.rows):
            return False
    return True


def _new_state(events: Events, capacity: int) -> _State:
    """Everything as before the first event, with room for so many rows."""
    # an invoice of a later event is not there yet
    of_named = np.where(
        (events.target != NONE) & (events.target < np.arange(len(events))),
        events.order[events.target],
        NONE,
    )
    home = np.where(of_named == NONE, events.order, of_named)
    known = np.zeros(len(events), dtype=EVENT)
    known["cents"] = events.cents
    known["worth"] = events.reporting_cents
    known["done"] = events.settled
    known["count_rows"] = events.count_rows
    known["due"] = events.due
    known["order"] = np.where(events.kind == REFUND, home, events.order)
    known["home"] = home
    known["target"] = events.target
    known["kind"] = events.kind
    known["may_be_held"] = events.is_prepayment & events.names
    for link in ("queue", "next_of_claim", "next_of_order"):
        known[link] = NONE
    for newest in ("claim_row", "credit_row", "given_row"):
        known[newest] = NONE
    is_claim = np.isin(events.kind, (INVOICE, CHARGEBACK, REFUND))
    count_orders = int(events.order.max(initial=NONE)) + 1
    claims_of_orders = np.bincount(
        known["order"][is_claim & (known["order"] != NONE)], minlength=count_orders
    )
    orders = np.zeros(count_orders, dtype=ORDER)
    orders["queue"] = NONE
    orders["away_row"] = NONE
    orders["heap_first"] = np.cumsum(claims_of_orders) - claims_of_orders
    bounds = np.flatnonzero(np.diff(events.account, prepend=NONE, append=NONE))
    longest = int(np.diff(bounds).max(initial=0))
    in_orders = int(claims_of_orders.sum())
    sizes = np.zeros(COUNT_SIZES, dtype=np.int64)
    sizes[OPEN_FIRST:] = in_orders + longest * np.arange(4)
    return _State(
        known,
        orders,
        rows=np.empty(capacity, dtype=ROW),
        heap=np.empty(in_orders + 4 * longest, dtype=np.int64),
        sizes=sizes,
    )
