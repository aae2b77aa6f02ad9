"""The credit metrics of a random book, worked out once more from its claims and payments alone."""

from __future__ import annotations

import calendar
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from customer_marts.warehouse import open_build
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing
from tests.dbt.toy_company import invoice, payment

RUN = ("run", "--select", "+credit_metrics", "+book_credit_metrics")
BOOK = "the book"
AS_OF = date(2026, 5, 19)
LATE_DAYS = [0, 15, 22, 30, 60, 90, 120]
POINTS = [80, 70, 60, 50, 40, 30, 20]


def land_random_book(landing: Landing, as_of: date) -> None:
    """Three customers with invoices of 16 months; some payments are bills, bounce, come back."""
    chance = random.Random(5)
    landing.begin_release(as_of)
    landing.put(
        "customers",
        [{"customer_id": name, "name": name, "payment_terms_days": 30} for name in "abc"],
    )
    days = [date(2025, 1, 1) + timedelta(days=days) for days in range(510)]
    invoices, payments = [], []
    for customer in "abc":
        for number in range(45):
            day, amount = chance.choice(days[: 500 - 60 * "abc".index(customer)]), chance.random()
            invoice_id = f"{customer}-{number}"
            kind = {"kind": "credit_note"} if chance.random() < 0.1 else {}
            invoices.append(invoice(invoice_id, customer, day, f"{1000 * amount + 1:.2f}", **kind))
            if kind or chance.random() < 0.15:
                continue
            paid_on = day + timedelta(days=chance.randrange(-5, 150))
            values: dict[str, Any] = {"reference": invoice_id} if chance.random() < 0.7 else {}
            if chance.random() < 0.35:
                values |= {
                    "method": "bank_acceptance",
                    "bill_matures_on": paid_on + timedelta(days=chance.randrange(90)),
                    "bill_status": chance.choice(["held", "held", "dishonoured"]),
                }
            paid = f"{(1000 * amount + 1) * chance.choice([0.5, 1, 1, 1.2]):.2f}"
            payments.append(payment(f"p-{invoice_id}", customer, paid_on, paid, **values))
            if not values and chance.random() < 0.3:
                back_on = paid_on + timedelta(days=chance.randrange(1, 40))
                payments.append(
                    payment(
                        *(f"back-{invoice_id}", customer, back_on, paid),
                        kind="chargeback",
                        reference=f"p-{invoice_id}",
                    )
                )
    landing.put("invoices", invoices)
    landing.put("payments", payments)


@dataclass(frozen=True)
class Claim:
    """What a customer was asked for, and the changes of what is open of it."""

    customer: str
    is_invoice: bool
    claimed_on: date
    due_on: date
    amount: float
    covered: tuple[tuple[date, float], ...]

    def open_on(self, day: date) -> float:
        """What is open of it at the end of the day."""
        if self.claimed_on > day:
            return 0
        return self.amount - sum(amount for on, amount in self.covered if on <= day)


def query(database: Path, sql: str) -> list[dict[str, Any]]:
    with open_build(database) as con:
        cursor = con.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def month_end(day: date) -> date:
    return min(day.replace(day=calendar.monthrange(day.year, day.month)[1]), AS_OF)


def months_before(day: date, count: int) -> date:
    month = day.year * 12 + day.month - 1 - count
    return date(month // 12, month % 12 + 1, 1)


def points(late_days: float) -> float:
    return round(float(np.interp(late_days, LATE_DAYS, POINTS)), 4)


def claims_of(database: Path) -> list[Claim]:
    covered = defaultdict(list)
    for row in query(database, "from marts.fct_payment_allocations"):
        covered[row["document_id"]].append((row["allocated_on"], float(row["allocated_amount"])))
    return [
        Claim(
            *(row["customer_id"], row["document_kind"] == "invoice", row["claimed_on"]),
            *(row["due_on"], float(row["claim_amount"]), tuple(covered[row["document_id"]])),
        )
        for row in query(database, "from intermediate.int_receivable_claims")
    ]


def payments_of(database: Path) -> list[tuple[str, date, float, int]]:
    """Customer, day it counts, amount, days late: of every allocation that paid an invoice."""
    rows = query(
        database,
        """
        select allocations.*, invoices.due_on
        from marts.fct_payment_allocations as allocations
        inner join marts.fct_invoices as invoices using (invoice_id)
        where credit_kind <> 'credit_note' and paid_on is not null and basis <> 'reversal'
        """,
    )
    return [
        (
            row["customer_id"],
            row["paid_on"],
            float(row["allocated_amount"]),
            (row["paid_on"] - row["due_on"]).days,
        )
        for row in rows
    ]


def countback(balance: float, sales: dict[date, float], end: date) -> float | None:
    """Days of sales that the balance covers, the newest month first."""
    if balance < 0.005:
        return 0
    days = 0.0
    for month in sorted((month for month in sales if month <= end), reverse=True):
        last = min(month_end(month), end)
        length = (last - month).days + 1
        if sales[month] >= balance - 0.005:
            return days + balance / sales[month] * length
        balance -= sales[month]
        days += length
    return None


def weighted(pairs: Iterable[tuple[float, float]]) -> float | None:
    total, weight = 0.0, 0.0
    for amount, value in pairs:
        total += amount * value
        weight += amount
    return total / weight if weight > 0.005 else None


def worked_out(
    claims: list[Claim], paid: list[tuple[str, date, float, int]], first_month: date, month: date
) -> dict[str, float | None]:
    """The metrics of one month end, by their definitions."""
    end = month_end(month)
    balance = sum(claim.open_on(end) for claim in claims)
    overdue = [(claim, claim.open_on(end)) for claim in claims if claim.due_on < end]
    overdue = [(claim, left) for claim, left in overdue if left > 0.005]
    late = [(left, (end - claim.due_on).days) for claim, left in overdue if claim.is_invoice]
    sales = {months_before(month, back): 0.0 for back in range(40)}
    for claim in claims:
        if claim.is_invoice and claim.claimed_on <= end:
            sales[claim.claimed_on.replace(day=1)] += claim.amount
    since = max(months_before(month, 2), first_month)
    opening = sum(claim.open_on(since - timedelta(days=1)) for claim in claims)
    sold = sum(amount for of, amount in sales.items() if of >= since)
    days = (end - since).days + 1
    not_due = balance - sum(left for _, left in overdue)
    recent = [
        (amount, delay) for _, on, amount, delay in paid if months_before(month, 11) <= on <= end
    ]
    # a window in which more was taken back than paid weighs nothing
    with_open = (recent if sum(amount for amount, _ in recent) > 0.005 else []) + late
    collected = opening + sold - balance
    return {
        "open_amount": balance,
        "dso_days": balance / sold * days if sold else None,
        "best_possible_dso_days": not_due / sold * days if sold else None,
        "countback_dso_days": countback(
            balance, {of: amount for of, amount in sales.items() if of >= first_month}, end
        )
        if any(sales.values())
        else None,
        "cei_rate": collected / (collected + balance - not_due)
        if collected > -0.005 and collected + balance - not_due > 0.005
        else None,
        "window_delay_days": weighted(recent),
        "days_beyond_terms": weighted((amount, max(delay, 0)) for amount, delay in recent),
        "delay_with_open_days": weighted(with_open),
        "payment_index": weighted((amount, points(delay)) for amount, delay in with_open),
        "overdue_share": (balance - not_due) / balance if balance > 0.005 else None,
    }


def test_a_random_book_as_its_definitions_have_it(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    land_random_book(landing, AS_OF)
    dbt(*RUN)
    claims, paid = claims_of(database), payments_of(database)
    rows = query(database, "from marts.credit_metrics") + [
        {"customer_id": BOOK, **row} for row in query(database, "from marts.book_credit_metrics")
    ]
    first_months: dict[str, date] = {}
    for row in sorted(rows, key=lambda row: row["month_on"]):
        first_months.setdefault(row["customer_id"], row["month_on"])
    assert len(rows) > 70
    for row in rows:
        customer = row["customer_id"]
        expected = worked_out(
            [claim for claim in claims if customer in (BOOK, claim.customer)],
            [paying for paying in paid if customer in (BOOK, paying[0])],
            first_months[customer],
            row["month_on"],
        )
        for name, value in expected.items():
            found = None if row[name] is None else float(row[name])
            assert found == (None if value is None else pytest.approx(value, abs=1e-5)), (
                *(customer, row["month_on"], name),
            )
    # every case was there, or equality would prove little
    statuses = {row["countback_dso_status"] for row in rows} | {row["cei_status"] for row in rows}
    assert {"known", "balance_exceeds_sales"} <= statuses


def test_a_month_is_told_later_as_it_was_on_its_last_day_and_by_increments_as_by_a_rebuild(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    told: dict[date, dict[str, list[dict[str, Any]]]] = {}
    # all is landed at once; what lies after a day comes into view later
    for day in (date(2026, 3, 31), date(2026, 5, 12), AS_OF):
        if told:
            landing.begin_release(day)
        else:
            land_random_book(landing, day)
        dbt(*RUN)
        told[day] = {
            mart: query(database, f"from marts.{mart} order by all")
            for mart in ("credit_metrics", "book_credit_metrics")
        }
    for mart, rows in told[AS_OF].items():
        march = [row for row in rows if row["month_on"] <= date(2026, 3, 1)]
        assert march == told[date(2026, 3, 31)][mart], mart
        assert rows != told[date(2026, 5, 12)][mart]
    landing.execute("update landing.run_context set is_rebuild = true")
    dbt(*RUN)
    for mart, rows in told[AS_OF].items():
        assert query(database, f"from marts.{mart} order by all") == rows, mart
