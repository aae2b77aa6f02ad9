"""The compiled ledger against the policy written a second time, and what must hold on every day."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_marts.credit.allocation import Basis, EventKind, Events, Ledger, allocate
from tests.credit.ledger_reference import CLASSES, Document, Entry, allocate_slowly

START = date(2026, 1, 1)
LAST_DAY = 12
BASIS_NAMES = {
    Basis.REVERSAL_DISHONOURED: "dishonoured",
    Basis.REVERSAL_CHARGEBACK: "chargeback",
    Basis.REVERSAL_REFUND: "refunded",
}


def day(number: int) -> date:
    return START + timedelta(days=number)


def as_events(documents: list[Document], as_of: date) -> tuple[Events, list[Document]]:
    """What the SQL model makes of documents: numbered events, and each one's document."""
    steps = []
    for document in documents:
        steps.append((document.account, document.on, CLASSES[document.kind], document.id, document))
        late = document.dishonoured_on
        if late is not None and late > document.on:
            steps.append((document.account, late, CLASSES["dishonour"], document.id, document))
    steps = sorted((step for step in steps if step[1] <= as_of), key=lambda step: step[:4])
    accounts = sorted({step[0] for step in steps})
    orders: dict[tuple[tuple[str, str], str], int] = {}
    receipts, invoices = {}, {}
    for at, (account, _, rank, id_, document) in enumerate(steps):
        key = document.order if document.kind == "invoice" else document.order_key
        if key is not None and rank != EventKind.DISHONOUR:
            orders.setdefault((account, key), len(orders))
        if rank == EventKind.RECEIPT:
            receipts[account, id_] = at
        elif document.kind == "invoice":
            invoices[account, id_] = at
    rows = []
    for account, on, rank, id_, document in steps:
        key = document.order if document.kind == "invoice" else document.order_key
        target = -1
        if rank == EventKind.DISHONOUR:
            key, target = None, receipts[account, id_]
        elif rank == EventKind.CHARGEBACK:
            named = (account, document.reference)
            target = receipts.get(named, invoices.get(named, -1))
        elif rank in (EventKind.RECEIPT, EventKind.REFUND):
            target = invoices.get((account, document.reference), -1)
        never_pays = document.dishonoured_on is not None and document.dishonoured_on <= document.on
        rows.append(
            (
                accounts.index(account),
                rank,
                (on - START).days,
                ((document.due or on) - START).days,
                0 if never_pays or rank == EventKind.DISHONOUR else document.cents,
                document.reporting_cents,
                -1 if key is None else orders[account, key],
                target,
                document.kind == "prepayment" and rank == EventKind.RECEIPT,
                key is not None,
                0,
                0,
            )
        )
    columns = list(zip(*rows, strict=True)) if rows else [()] * 12
    kinds = (*("i4", "i1", "i4", "i4", "i8", "i8", "i4", "i4"), "?", "?", "i8", "i4")
    arrays = [np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
    return Events(*arrays), [step[4] for step in steps]


def entries(ledger: Ledger, documents: list[Document]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for row in range(len(ledger)):
        credit, claim = documents[ledger.credit[row]], int(ledger.claim[row])
        basis = Basis(int(ledger.basis[row]))
        found[credit.account].append(
            Entry(
                credit.ledger_id,
                None if claim < 0 else documents[claim].ledger_id,
                int(ledger.number[row]),
                day(int(ledger.day[row])),
                BASIS_NAMES.get(basis, basis.name.lower()),
                int(ledger.cents[row]),
                int(ledger.claim_cents[row]),
                int(ledger.credit_cents[row]),
            )
        )
    return dict(found)


def run(documents: list[Document], as_of: int = 10_000) -> dict[tuple[str, str], list[Entry]]:
    events, of = as_events(documents, day(as_of))
    return entries(allocate(events), of)


def run_slowly(
    documents: list[Document], as_of: int = 10_000
) -> dict[tuple[str, str], list[Entry]]:
    found = allocate_slowly(documents, day(as_of))
    return {account: rows for account, rows in found.items() if rows}


days = st.integers(0, LAST_DAY)
names = st.sampled_from(["o1", "o2", "i0", "i1", "i2", "i3", "p0", "p1", "p2", "p3", "nothing"])


EVERY_KIND = (
    *("invoice", "invoice", "invoice", "receipt", "receipt", "prepayment"),
    *("credit_note", "refund", "chargeback", "bill"),
)
# what is given back, or bounces, is run from its account's beginning: here it is rare
MOSTLY_PAID = ("invoice",) * 12 + ("receipt",) * 10 + ("prepayment",) * 8 + EVERY_KIND[6:]


@st.composite
def books(
    draw: st.DrawFn, among: tuple[str, ...] = EVERY_KIND, at_least: int = 0, at_most: int = 14
) -> list[Document]:
    """A few documents of two customers in two currencies, close enough to meet one another."""
    documents = []
    kinds = draw(st.lists(st.sampled_from(among), min_size=at_least, max_size=at_most))
    counts: dict[str, int] = defaultdict(int)
    for kind in kinds:
        letter = "i" if kind in ("invoice", "credit_note") else "p"
        on, cents = draw(days), draw(st.integers(1, 12))
        currency = draw(st.sampled_from(["CNY", "CNY", "CNY", "USD"]))
        document = Document(
            "receipt" if kind == "bill" else kind,
            f"{letter}{counts[letter]}",
            day(on),
            cents * 100 if draw(st.booleans()) else cents,
            customer=draw(st.sampled_from(["c", "c", "c", "d"])),
            currency=currency,
            due=day(draw(days)) if kind == "invoice" else None,
            order=draw(st.none() | st.sampled_from(["o1", "o2"])),
            reference=draw(st.none() | names) if letter == "p" else None,
            dishonoured_on=day(draw(days)) if kind == "bill" else None,
        )
        if currency == "USD":
            rate = draw(st.sampled_from([7, 0.14, 1.37]))
            document = replace(document, worth=round(document.cents * rate))
        counts[letter] += 1
        documents.append(document)
    return documents


proven = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@proven
@given(books(), days)
def test_the_ledger_is_the_policy_written_a_second_time(book: list[Document], as_of: int) -> None:
    assert run(book, as_of) == run_slowly(book, as_of)


@proven
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(book: list[Document], shuffle: random.Random) -> None:
    shuffled = list(book)
    shuffle.shuffle(shuffled)
    assert run(shuffled) == run(book)


@proven
@given(books(), days)
def test_a_later_row_changes_nothing_that_was_applied(book: list[Document], as_of: int) -> None:
    whole = run(book)
    until = {
        account: [entry for entry in rows if entry.on <= day(as_of)]
        for account, rows in whole.items()
    }
    assert run(book, as_of) == {account: rows for account, rows in until.items() if rows}


def moves(rows: list[Entry]) -> list[Entry]:
    return [entry for entry in rows if entry.claim is not None]


def marks(rows: list[Entry], credits_of: list[Document]) -> list[tuple[str, date, str]]:
    ids = {document.ledger_id for document in credits_of}
    return [(e.credit, e.on, e.basis) for e in rows if e.claim is None and e.credit in ids]


@settings(proven, max_examples=600)
@given(books(MOSTLY_PAID, 10, 22), st.integers(3, LAST_DAY - 3))
def test_the_ledger_goes_on_from_any_day(book: list[Document], number: int) -> None:
    first, whole = day(number), run(book)
    for account in {document.account for document in book}:
        documents = [document for document in book if document.account == account]
        rows = whole.get(account, [])
        before = [entry for entry in moves(rows) if entry.on < first]

        def settled(document: Document, before: list[Entry] = before) -> int:
            own = document.ledger_id
            return sum(entry.cents for entry in before if own in (entry.credit, entry.claim))

        still_open = [
            document
            for document in documents
            if document.on < first
            and document.dishonoured_on is None
            and settled(document) < document.cents
        ]
        if any(
            (document.dishonoured_on or first - timedelta(1)) >= first
            or (document.kind in ("chargeback", "refund") and document.on >= first)
            for document in documents
        ) or any(document.kind in ("chargeback", "refund") for document in still_open):
            continue
        kept = [
            document for document in documents if document.on >= first or document in still_open
        ]
        named = {document.reference for document in kept} | {
            document.order_key for document in kept if not document.is_claim
        }
        kept += [
            document
            for document in documents
            if document not in kept
            and document.kind == "invoice"
            and (document.id in named or (document.order and document.order in named))
        ]
        events, of = as_events(kept, day(10_000))
        known = [settled(document) if document.on < first else 0 for document in of]
        counts = [sum(entry.credit == document.ledger_id for entry in before) for document in of]
        events = replace(
            events, settled=np.array(known, dtype="i8"), count_rows=np.array(counts, dtype="i4")
        )
        resumed = entries(allocate(events), of).get(account, [])
        assert moves(resumed) == [entry for entry in moves(rows) if entry.on >= first]
        assert marks(resumed, kept) == marks(rows, kept)


@proven
@given(books())
def test_every_day_adds_up(book: list[Document]) -> None:
    ledger = run(book)
    by_id = {(document.account, document.ledger_id): document for document in book}
    for account in {document.account for document in book}:
        rows = ledger.get(account, [])
        for number in range(LAST_DAY + 1):
            covered: dict[str, int] = defaultdict(int)
            worth: dict[str, int] = defaultdict(int)
            held: set[str] = set()
            for entry in rows:
                if entry.on > day(number):
                    continue
                if entry.claim is None:
                    (held.add if entry.basis == "held" else held.discard)(entry.credit)
                    continue
                for id_, cents in (
                    (entry.claim, entry.claim_cents),
                    (entry.credit, entry.credit_cents),
                ):
                    covered[id_] += entry.cents
                    worth[id_] += cents
            open_cents = free_cents = held_cents = balance = 0
            for (owner, id_), document in by_id.items():
                if owner != account or document.on > day(number):
                    assert owner != account or covered[id_] == 0
                    continue
                is_cancelled = (document.dishonoured_on or day(99)) <= day(number)
                cents = 0 if is_cancelled else document.cents
                assert 0 <= covered[id_] <= cents
                if covered[id_] == document.cents:
                    assert worth[id_] == document.reporting_cents
                assert 0 <= worth[id_] <= document.reporting_cents
                rest = cents - covered[id_]
                if document.is_claim:
                    open_cents += rest
                    balance += cents
                else:
                    balance -= cents
                    if id_ in held:
                        held_cents += rest
                    else:
                        free_cents += rest
            assert balance == open_cents - free_cents - held_cents
            assert open_cents == 0 or free_cents == 0


def short(documents: list[Document]) -> list[tuple[str, str | None, int, str, int]]:
    rows = run(documents).get(("c", "CNY"), [])
    return [(e.credit, e.claim, (e.on - START).days, e.basis, e.cents) for e in rows]


def invoice(id_: str, on: int, cents: int, due: int, **values: str) -> Document:
    return Document("invoice", id_, day(on), cents, due=day(due), **values)  # type: ignore[arg-type]


def test_a_prepayment_waits_for_its_order_while_another_invoice_is_open() -> None:
    book = [
        Document("prepayment", "p", day(1), 100, order="o"),
        invoice("other", 2, 50, 3),
        invoice("part", 5, 60, 9, order="o"),
        invoice("rest", 7, 30, 9, order="o"),
    ]
    assert short(book) == [
        ("p", None, 1, "held", 100),
        ("p", "part", 5, "prepayment", 60),
        ("p", "rest", 7, "prepayment", 30),
    ]


def test_what_an_awaited_invoice_leaves_of_a_prepayment_is_spread() -> None:
    book = [
        Document("prepayment", "p", day(1), 100, reference="i"),
        invoice("other", 2, 50, 3),
        invoice("i", 5, 60, 9),
    ]
    assert short(book) == [
        ("p", None, 1, "held", 100),
        ("p", "i", 5, "prepayment", 60),
        ("p", None, 5, "released", 40),
        ("p", "other", 5, "fifo", 40),
    ]


def test_a_dishonoured_bill_reopens_what_it_paid_and_money_that_waits_takes_its_place() -> None:
    book = [
        invoice("i1", 1, 100, 5),
        Document("receipt", "bill", day(2), 100, dishonoured_on=day(8)),
        Document("receipt", "cash", day(3), 30),
    ]
    assert short(book) == [
        ("bill", "i1", 2, "fifo", 100),
        ("bill", "i1", 8, "dishonoured", -100),
        ("cash", "i1", 8, "fifo", 30),
    ]


def test_a_chargeback_takes_the_rest_then_the_newest_allocations() -> None:
    book = [
        invoice("i1", 1, 50, 5),
        invoice("i2", 1, 40, 6),
        Document("receipt", "p", day(2), 100),
        Document("chargeback", "back", day(4), 60, reference="p"),
    ]
    assert short(book) == [
        ("p", "i1", 2, "fifo", 50),
        ("p", "i2", 2, "fifo", 40),
        ("p", "i2", 4, "chargeback", -40),
        ("p", "i1", 4, "chargeback", -10),
        ("p", "chargeback:back", 4, "refund", 60),
    ]


def test_a_refund_takes_back_what_the_credit_note_of_its_order_covered_elsewhere() -> None:
    book = [
        invoice("returned", 1, 100, 3, order="o"),
        Document("receipt", "p", day(2), 100, order="o"),
        invoice("other", 4, 80, 9, order="next"),
        Document("credit_note", "cn", day(5), 30, order="o"),
        Document("refund", "back", day(7), 30, order="o"),
    ]
    assert short(book) == [
        ("p", "returned", 2, "order", 100),
        ("credit_note:cn", "other", 5, "fifo", 30),
        ("credit_note:cn", "other", 7, "refunded", -30),
        ("credit_note:cn", "refund:back", 7, "refund", 30),
    ]


def test_a_refund_takes_back_an_overpayment_and_the_reopened_invoice_takes_waiting_money() -> None:
    book = [
        invoice("returned", 1, 100, 3, order="o"),
        Document("credit_note", "cn", day(2), 30, order="o"),
        invoice("other", 2, 40, 9),
        # pays the 70 that are left, and of the other invoice 30
        Document("receipt", "p", day(4), 100, reference="returned"),
        Document("receipt", "late", day(5), 25),
        Document("refund", "back", day(7), 30, reference="returned"),
    ]
    assert short(book) == [
        ("credit_note:cn", "returned", 2, "order", 30),
        ("p", "returned", 4, "reference", 70),
        ("p", "other", 4, "fifo", 30),
        ("late", "other", 5, "fifo", 10),
        ("p", "other", 7, "refunded", -30),
        ("p", "refund:back", 7, "refund", 30),
        ("late", "other", 7, "fifo", 15),
    ]


def test_a_refund_leaves_what_was_paid_on_its_own_order_alone() -> None:
    book = [
        invoice("i", 1, 100, 3, order="o"),
        Document("receipt", "p", day(2), 100, order="o"),
        Document("refund", "back", day(7), 30, order="o"),
        # the goods' credit note comes after the money
        Document("credit_note", "cn", day(9), 30, order="o"),
    ]
    assert short(book) == [
        ("p", "i", 2, "order", 100),
        ("credit_note:cn", "refund:back", 9, "refund", 30),
    ]


def test_another_accounts_document_is_not_named() -> None:
    book = [
        invoice("i1", 1, 50, 5),
        invoice("dollars", 1, 50, 2, currency="USD"),
        invoice("theirs", 1, 50, 2, customer="d"),
        Document("receipt", "p1", day(2), 20, reference="dollars"),
        Document("receipt", "p2", day(2), 30, reference="theirs"),
    ]
    assert short(book) == [("p1", "i1", 2, "fifo", 20), ("p2", "i1", 2, "fifo", 30)]
    assert run(book).keys() == {("c", "CNY")}


def test_shares_are_exact_beyond_64_bits() -> None:
    # ten thousand billion of either currency
    whole, worth = 999_999_999_999_999, 987_654_321_987_654
    parts = (123_456_789_012_345, 400_000_000_000_001, whole - 523_456_789_012_346)
    book = [
        replace(invoice("i", 0, whole, 1), worth=worth),
        *(
            Document("receipt", f"p{n}", day(n + 1), cents, worth=cents // 3)
            for n, cents in enumerate(parts)
        ),
    ]
    assert run(book) == run_slowly(book)
    assert sum(entry.claim_cents for entry in run(book)["c", "CNY"]) == worth


def test_ten_thousand_invoices_of_one_contract_are_not_quadratic() -> None:
    count = 10_000
    book = [
        *(invoice(f"i{n:05}", n // 100, 100, 300 - n // 100, order="o") for n in range(count)),
        *(
            Document("receipt", f"p{n:05}", day(n // 100), 100, order="o", dishonoured_on=day(350))
            for n in range(0, count, 2)
        ),
        *(Document("prepayment", f"r{n:05}", day(200), 99, order="o") for n in range(count // 2)),
        *(
            Document("chargeback", f"x{n:05}", day(360), 10, reference=f"i{n:05}")
            for n in range(count)
        ),
    ]
    events, of = as_events(book, day(1000))
    ledger = allocate(events)
    assert len(ledger) > count
    cents = defaultdict(int)
    for at, amount in zip(ledger.claim, ledger.cents, strict=True):
        cents[int(at)] += int(amount)
    assert all(0 <= amount <= of[at].cents for at, amount in cents.items())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cents": np.array([-1, 1])}, "negative"),
        ({"day": np.array([2, 1], dtype=np.int32)}, "not ordered"),
        ({"account": np.array([1, 0], dtype=np.int32)}, "not ordered"),
        ({"target": np.array([-1, 2], dtype=np.int32)}, "not there"),
        ({"account": np.array([0, 1], dtype=np.int32)}, "another account"),
        ({"cents": np.array([1])}, "length"),
        ({"settled": np.array([2, 0])}, "more was settled"),
    ],
)
def test_wrong_input_is_refused(change: dict[str, np.ndarray], complaint: str) -> None:
    events, _ = as_events(
        [invoice("i", 1, 1, 1), Document("receipt", "p", day(1), 1, reference="i")], day(9)
    )
    with pytest.raises(ValueError, match=complaint):
        allocate(replace(events, **change))
