"""The allocation policy written a second time: slow, on plain records, one document at a time.

It shares no code with customer_marts.credit.allocation. Ids and references are texts here, amounts
whole cents; what names what is looked up again for every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from math import floor

CLASSES = {
    "invoice": 0,
    "credit_note": 1,
    "receipt": 2,
    "prepayment": 2,
    "dishonour": 3,
    "chargeback": 4,
    "refund": 5,
}


@dataclass(frozen=True)
class Document:
    """A landed invoice, credit note or payment; amounts are positive, the kind gives the sign."""

    kind: str
    id: str
    on: date
    cents: int
    customer: str = "c"
    currency: str = "CNY"
    worth: int | None = None
    due: date | None = None
    order: str | None = None
    reference: str | None = None
    dishonoured_on: date | None = None

    @property
    def account(self) -> tuple[str, str]:
        return self.customer, self.currency

    @property
    def order_key(self) -> str | None:
        return self.order if self.order is not None else self.reference

    @property
    def is_claim(self) -> bool:
        return self.kind in ("invoice", "refund", "chargeback")

    @property
    def ledger_id(self) -> str:
        prefix = "" if self.kind in ("invoice", "receipt", "prepayment") else f"{self.kind}:"
        return prefix + self.id

    @property
    def reporting_cents(self) -> int:
        return self.cents if self.worth is None else self.worth


@dataclass(frozen=True)
class Entry:
    """A row of the ledger; claim is None where something is only held or released."""

    credit: str
    claim: str | None
    number: int
    on: date
    basis: str
    cents: int
    claim_cents: int
    credit_cents: int


def share(document: Document, part: int) -> int:
    return floor(Fraction(document.reporting_cents * part, document.cents) + Fraction(1, 2))


@dataclass
class _Payment:
    """An allocation, what of it is not reversed, and the order that the credit then was of."""

    credit: Document
    claim: Document
    live: int
    order: str | None


@dataclass
class _Account:
    entries: list[Entry] = field(default_factory=list)
    paid: list[_Payment] = field(default_factory=list)
    claims: list[Document] = field(default_factory=list)
    credits: list[Document] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    settled: dict[str, int] = field(default_factory=dict)
    of_refunds: dict[str, str | None] = field(default_factory=dict)

    def rest(self, document: Document) -> int:
        if document.ledger_id in self.cancelled:
            return 0
        return document.cents - self.settled.get(document.ledger_id, 0)

    def open_claims(self) -> list[Document]:
        found = [claim for claim in self.claims if self.rest(claim) > 0]
        return sorted(
            found,
            key=lambda claim: (claim.due or claim.on, claim.on, CLASSES[claim.kind], claim.id),
        )

    def unapplied(self) -> list[Document]:
        return [credit for credit in self.credits if self.rest(credit) > 0]

    def invoices(self) -> list[Document]:
        return [claim for claim in self.claims if claim.kind == "invoice"]

    def named(self, document: Document) -> Document | None:
        for invoice in self.invoices():
            if invoice.id == document.reference:
                return invoice
        return None

    def order_of(self, document: Document) -> str | None:
        """Of a credit or a refund: the order of the invoice it names before the one it names."""
        named = None if document.kind == "credit_note" else self.named(document)
        return document.order_key if named is None or named.order is None else named.order

    def write(self, credit: Document, claim: Document | None, on: date, basis: str, n: int) -> None:
        number = 1 + sum(entry.credit == credit.ledger_id for entry in self.entries)
        shares = [0, 0]
        if claim is not None:
            for position, document in enumerate((claim, credit)):
                before = self.settled.get(document.ledger_id, 0)
                self.settled[document.ledger_id] = before + n
                shares[position] = share(document, before + n) - share(document, before)
        claim_id = None if claim is None else claim.ledger_id
        self.entries.append(Entry(credit.ledger_id, claim_id, number, on, basis, n, *shares))

    def pay(self, credit: Document, claim: Document, on: date, basis: str) -> None:
        n = min(self.rest(credit), self.rest(claim))
        if n == 0:
            return
        if claim.kind != "invoice":
            basis = "refund"
        elif credit.ledger_id in self.held:
            basis = "prepayment"
        self.write(credit, claim, on, basis, n)
        self.paid.append(_Payment(credit, claim, n, self.order_of(credit)))

    def take_back(self, payment: _Payment, n: int, on: date, reason: str) -> None:
        payment.live -= n
        self.write(payment.credit, payment.claim, on, reason, -n)

    def settle(self, claim: Document, on: date, *, with_held: bool) -> None:
        """Rule 2 for an invoice, rule 5 for a refund or chargeback."""
        if claim.kind == "invoice":
            for credit in self.unapplied():
                if credit.kind != "credit_note" and credit.reference == claim.id:
                    self.pay(credit, claim, on, "reference")
        self.take_from_order(claim, on)
        for credit in self.unapplied():
            if credit.ledger_id not in self.held:
                self.pay(credit, claim, on, "fifo")
        for credit in self.unapplied():
            if with_held and credit.ledger_id in self.held:
                self.pay(credit, claim, on, "refund")

    def claim_order(self, claim: Document) -> str | None:
        if claim.kind == "invoice":
            return claim.order
        return self.of_refunds.get(claim.ledger_id, claim.order_key)

    def take_from_order(self, claim: Document, on: date) -> None:
        order = self.claim_order(claim)
        for credit in self.unapplied():
            if order is not None and credit.order_key == order:
                self.pay(credit, claim, on, "order")

    def settle_reopened(self, claims: list[Document], on: date) -> None:
        for claim in self.open_claims():
            if claim in claims:
                self.settle(claim, on, with_held=False)

    def enter_claim(self, claim: Document) -> None:
        self.claims.append(claim)
        self.settle(claim, claim.on, with_held=False)
        for credit in self.unapplied():
            if credit.ledger_id in self.held and credit.reference == claim.id:
                self.held.remove(credit.ledger_id)
                self.write(credit, None, claim.on, "released", self.rest(credit))
                self.spread(credit, claim.on)

    def enter_refund(self, refund: Document) -> None:
        self.claims.append(refund)
        order, reopened = self.order_of(refund), []
        self.of_refunds[refund.ledger_id] = order
        if order is not None:
            self.take_from_order(refund, refund.on)
            for payment in list(reversed(self.paid)):
                invoice = payment.claim
                is_elsewhere = (
                    payment.order == order
                    and invoice.kind == "invoice"
                    and invoice.order not in (order, payment.credit.order_key)
                    and not (
                        payment.credit.kind != "credit_note"
                        and payment.credit.reference == invoice.id
                    )
                )
                n = min(payment.live, self.rest(refund))
                if is_elsewhere and n > 0:
                    self.take_back(payment, n, refund.on, "refunded")
                    self.pay(payment.credit, refund, refund.on, "refund")
                    reopened.append(invoice)
            self.settle_reopened(reopened, refund.on)
        self.settle(refund, refund.on, with_held=True)

    def spread(self, credit: Document, on: date) -> None:
        for claim in self.open_claims():
            self.pay(credit, claim, on, "fifo")

    def enter_credit(self, credit: Document) -> None:
        if credit.dishonoured_on is not None and credit.dishonoured_on <= credit.on:
            return
        self.credits.append(credit)
        order = credit.order_key
        named = None if credit.kind == "credit_note" else self.named(credit)
        is_there = named is not None
        if named is not None:
            self.pay(credit, named, credit.on, "reference")
        elif order is not None:
            for claim in self.open_claims():
                if self.claim_order(claim) == order:
                    self.pay(credit, claim, credit.on, "order")
            is_there = any(invoice.order == order for invoice in self.invoices())
        if self.rest(credit) == 0:
            return
        if credit.kind == "prepayment" and order is not None and not is_there:
            self.held.add(credit.ledger_id)
            self.write(credit, None, credit.on, "held", self.rest(credit))
        else:
            self.spread(credit, credit.on)

    def dishonour(self, credit: Document) -> None:
        assert credit.dishonoured_on is not None
        mine = [payment for payment in reversed(self.paid) if payment.credit == credit]
        # those of invoices first, then those of refunds and chargebacks
        mine.sort(key=lambda payment: payment.claim.kind != "invoice")
        for payment in mine:
            if payment.live > 0:
                self.take_back(payment, payment.live, credit.dishonoured_on, "dishonoured")
        self.cancelled.add(credit.ledger_id)
        self.held.discard(credit.ledger_id)
        self.settle_reopened([payment.claim for payment in mine], credit.dishonoured_on)

    def enter_chargeback(self, chargeback: Document) -> None:
        self.claims.append(chargeback)
        on, reopened = chargeback.on, []
        receipts = [credit for credit in self.credits if credit.kind != "credit_note"]
        receipt = next((c for c in receipts if c.id == chargeback.reference), None)
        invoice = self.named(chargeback)
        candidates = [
            payment
            for payment in reversed(self.paid)
            if payment.claim.kind == "invoice" and payment.credit in receipts
        ]
        if receipt is not None:
            wanted = max(chargeback.cents - self.rest(receipt), 0)
            for payment in candidates:
                n = min(wanted, payment.live)
                if payment.credit == receipt and n > 0:
                    self.take_back(payment, n, on, "chargeback")
                    wanted -= n
                    reopened.append(payment.claim)
            self.pay(receipt, chargeback, on, "refund")
        elif invoice is not None:
            for payment in candidates:
                n = min(self.rest(chargeback), payment.live)
                if payment.claim == invoice and n > 0:
                    self.take_back(payment, n, on, "chargeback")
                    self.pay(payment.credit, chargeback, on, "refund")
                    reopened.append(payment.claim)
        self.settle_reopened(reopened, on)
        self.settle(chargeback, on, with_held=True)


def allocate_slowly(documents: list[Document], as_of: date) -> dict[tuple[str, str], list[Entry]]:
    """The ledger of each account as of a day, in the order in which things happened."""
    steps: list[tuple[date, int, str, Document]] = []
    for document in documents:
        steps.append((document.on, CLASSES[document.kind], document.id, document))
        late = document.dishonoured_on
        if late is not None and late > document.on:
            steps.append((late, CLASSES["dishonour"], document.id, document))
    accounts: dict[tuple[str, str], _Account] = {}
    for on, rank, _, document in sorted(steps, key=lambda step: step[:3]):
        if on > as_of:
            continue
        account = accounts.setdefault(document.account, _Account())
        if rank == CLASSES["dishonour"]:
            account.dishonour(document)
        elif document.kind == "chargeback":
            account.enter_chargeback(document)
        elif document.kind == "refund":
            account.enter_refund(document)
        elif document.is_claim:
            account.enter_claim(document)
        else:
            account.enter_credit(document)
    return {key: account.entries for key, account in accounts.items()}
