"""What is owed on any day: the ledger's cases end to end, and the same figures told twice."""

from __future__ import annotations

import copy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from customer_marts.warehouse import copy_build, open_build
from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.landing_fixture import Landing
from tests.dbt.toy_company import fx_rate, invoice, order, payment

MARTS = (
    "fct_receivables",
    "open_documents",
    "open_credits",
    "receivables_balances",
    "receivables_ageing",
    "receivables_ageing_groups",
    "bill_ladder",
    "receivables_exceptions",
)
SELECTED = ("--select", *(f"+{mart}" for mart in MARTS), "--indirect-selection", "buildable")
LAST_DAY = date(2026, 6, 30)


def land_awkward_accounts(landing: Landing) -> None:
    """One account per case, with movements in March to June 2026."""
    names = ("part", "noted", "back", "charged", "ahead", "bounced", "endorsed", "silent")
    landing.put(
        "customers",
        [{"customer_id": name, "name": name, "payment_terms_days": 30} for name in names]
        + [
            {"customer_id": "dollars", "name": "dollars"},
            {"customer_id": "early", "name": "early", "group_id": "g"},
            {"customer_id": "stray", "name": "stray", "group_id": "g", "size_class": "large"},
        ],
    )
    landing.put(
        "fx_rates",
        [fx_rate(date(2026, month, day), rate) for month, day, rate in DOLLARS],
    )
    landing.put("orders", [order("o-ahead", "ahead", date(2026, 3, 2), amount="80.00")])
    bill: dict[str, Any] = {"method": "bank_acceptance", "bill_no": "b-9"}
    landing.put(
        "invoices",
        [
            invoice("part-1", "part", date(2026, 3, 2), "100.00"),
            invoice("noted-1", "noted", date(2026, 3, 2), "100.00"),
            invoice("noted-2", "noted", date(2026, 3, 9), "100.00"),
            invoice("back-1", "back", date(2026, 3, 2), "50.00"),
            invoice("charged-1", "charged", date(2026, 3, 2), "40.00"),
            invoice("ahead-1", "ahead", date(2026, 4, 2), "30.00"),
            invoice("ahead-2", "ahead", date(2026, 5, 4), "60.00", order_id="o-ahead"),
            invoice("bounced-1", "bounced", date(2026, 3, 2), "90.00"),
            invoice("endorsed-1", "endorsed", date(2026, 3, 2), "70.00"),
            invoice("silent-1", "silent", date(2026, 3, 2), "20.00"),
            invoice("dollars-1", "dollars", date(2026, 3, 2), "100.00", currency="USD"),
            invoice("early-1", "early", date(2026, 4, 20), "10.00", due_on=date(2026, 3, 20)),
            invoice("stray-1", "stray", date(2026, 3, 2), "500.00", due_on=date(2026, 4, 30)),
            invoice(
                "noted-c", "noted", date(2026, 4, 7), "30.00", kind="credit_note", order_id="noted"
            ),
        ],
    )
    landing.put(
        "payments",
        [
            # in part in March, 20 too much in April
            payment("part-p1", "part", date(2026, 3, 20), "60.00", reference="part-1"),
            payment("part-p2", "part", date(2026, 4, 20), "60.00"),
            # names the later of two
            payment("noted-p", "noted", date(2026, 4, 20), "100.00", reference="noted-2"),
            # paid, then 70 given back
            payment("back-p", "back", date(2026, 3, 20), "50.00"),
            payment("back-r", "back", date(2026, 4, 20), "70.00", kind="refund"),
            # the bank takes the payment back
            payment("charged-p", "charged", date(2026, 3, 20), "40.00"),
            payment(
                *("charged-c", "charged", date(2026, 5, 11), "40.00"),
                kind="chargeback",
                reference="charged-p",
            ),
            # for an order, before it is invoiced: no other invoice takes it
            payment(
                "ahead-p", "ahead", date(2026, 3, 3), "80.00", kind="prepayment", order_id="o-ahead"
            ),
            payment(
                *("bounced-b", "bounced", date(2026, 3, 10), "90.00"),
                **bill,
                bill_matures_on=date(2026, 5, 10),
                bill_status="dishonoured",
                bill_status_on=date(2026, 5, 14),
            ),
            payment(
                *("endorsed-b", "endorsed", date(2026, 3, 10), "70.00"),
                **bill,
                bill_matures_on=date(2026, 7, 10),
                bill_status="endorsed",
                bill_status_on=date(2026, 4, 22),
            ),
            payment(
                *("silent-b", "silent", date(2026, 3, 10), "20.00"),
                **bill,
                bill_matures_on=date(2026, 6, 29),
                bill_status="held",
            ),
            payment("dollars-p", "dollars", date(2026, 4, 20), "40.00", currency="USD"),
            payment("stray-1", "stray", date(2026, 3, 16), "5.00", reference="no such invoice"),
            payment("stray-2", "stray", date(2026, 3, 17), "6.00", reference="part-1"),
            payment(
                *("stray-3", "stray", date(2026, 3, 18), "7.00"),
                reference="stray-1",
                currency="USD",
            ),
        ],
    )


DOLLARS = (
    *((3, 2, "7.00"), (3, 9, "7.00"), (3, 16, "7.00"), (3, 23, "7.00"), (3, 30, "7.00")),
    *((4, 6, "7.00"), (4, 13, "7.00"), (4, 20, "7.25"), (4, 27, "7.25")),
)


@pytest.fixture(scope="module")
def built(
    dbt: Dbt,
    first_landing: Landing,
    first_build: Path,
    database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Landing, Path]:
    """The accounts as of the last day, in a file of their own; all rules hold of the marts."""
    copy_build(first_build, database)
    landing = copy.copy(first_landing)
    landing.begin_release(LAST_DAY)
    land_awkward_accounts(landing)
    dbt("build", *SELECTED, *WITHOUT_UNIT_TESTS)
    return landing, copy_build(database, tmp_path_factory.mktemp("awkward") / "build.duckdb")


@pytest.fixture
def awkward(built: tuple[Landing, Path]) -> Path:
    return built[1]


def rows(database: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with open_build(database) as con:
        return con.execute(sql, list(parameters)).fetchall()


def state(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {mart: rows(database, f"from marts.{mart} order by all") for mart in MARTS}


def money(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in amounts)


def test_what_is_owed_on_the_last_day(awkward: Path) -> None:
    # open, unapplied, prepaid, exchange difference
    assert {
        row[0]: row[1:]
        for row in rows(
            awkward,
            """select customer_id, open_amount, unapplied_cash_amount, prepaid_amount,
                exchange_difference_amount
               from marts.receivables_balances""",
        )
    }.items() >= {
        "part": money("0.00", "20.00", "0.00", "0.00"),
        "noted": money("70.00", "0.00", "0.00", "0.00"),
        "back": money("70.00", "0.00", "0.00", "0.00"),
        "charged": money("40.00", "0.00", "0.00", "0.00"),
        # 60 of 80 paid the order's invoice; the other invoice waits for its own money
        "ahead": money("30.00", "0.00", "20.00", "0.00"),
        "bounced": money("90.00", "0.00", "0.00", "0.00"),
        "endorsed": money("0.00", "0.00", "0.00", "0.00"),
        # 60 dollars at 7.00 are open; the 40 paid were worth 10 more in April
        "dollars": money("420.00", "0.00", "0.00", "10.00"),
        "early": money("10.00", "0.00", "0.00", "0.00"),
        # the dollars wait for a claim in dollars
        "stray": money("489.00", "49.00", "0.00", "0.00"),
    }.items()
    [(open_dollars, currency)] = rows(
        awkward,
        "select document_open_amount, document_currency from marts.open_documents"
        " where document_id = 'dollars-1'",
    )
    assert (open_dollars, currency) == (Decimal("60.00"), "USD")
    assert rows(
        awkward,
        "select distinct statutory_status, statutory_due_on, is_statutory_overdue"
        " from marts.open_documents where document_id = 'stray-1'",
    ) == [("covered", date(2026, 5, 1), True)]
    # the group's two members in one bucket
    assert rows(
        awkward,
        """select count_customers, open_amount from marts.receivables_ageing_groups
           where group_key = 'g' and ageing_basis = 'invoice_date' order by bucket_order""",
    ) == [(1, Decimal("10.00")), (1, Decimal("489.00"))]


def test_doubtful_documents_are_told_and_bills_stand_on_the_ladder(awkward: Path) -> None:
    exceptions = set(
        rows(awkward, "select document_id, exception_code from marts.receivables_exceptions")
    )
    assert exceptions >= {
        ("stray-1", "reference_unknown"),
        ("stray-2", "reference_other_customer"),
        ("stray-3", "reference_other_currency"),
        ("early-1", "due_before_invoice"),
        ("silent-b", "matured_without_status"),
        ("refund:back-r", "refund_not_covered"),
        ("part", "credit_balance"),
    }
    # a waived invoice is due on its own date, not a month before it was asked for
    assert rows(
        awkward,
        "select due_on, overdue_days from marts.open_documents where document_id = 'early-1'",
    ) == [(date(2026, 4, 20), 71)]
    assert rows(
        awkward,
        """select customer_id, ladder_status, outstanding_amount, contingent_amount
           from marts.bill_ladder where customer_id <> 'bills' order by 1""",
    ) == [
        ("endorsed", "endorsed", *money("0.00", "70.00")),
        ("silent", "matured_without_status", *money("0.00", "0.00")),
    ]


def test_the_buckets_of_every_day_sum_to_what_is_owed_on_it(awkward: Path) -> None:
    """Told by the ledger alone, of each month end, per basis: Σ buckets = Σ open = the month's."""
    wrong = rows(
        awkward,
        """
        with month_ends as (from marts.fct_receivables),
        covered as (
            select claims.*, month_ends.month_end_on, claims.claim_amount - coalesce((
                select sum(allocated_amount) from marts.fct_payment_allocations as allocations
                where allocations.document_id = claims.document_id
                    and allocations.allocated_on <= month_ends.month_end_on
            ), 0) as open_amount
            from month_ends
            inner join intermediate.int_receivable_claims as claims
                on claims.customer_id = month_ends.customer_id
                    and claims.claimed_on <= month_ends.month_end_on
        ),
        bucketed as (
            select covered.customer_id, covered.month_end_on, buckets.ageing_basis,
                sum(covered.open_amount) as open_amount,
                sum(covered.open_amount) filter (where buckets.bucket_code = 'not_due')
                    as not_due_amount
            from covered
            inner join seeds.ageing_buckets as buckets
                on coalesce(case when buckets.ageing_basis = 'due_date'
                    then greatest(covered.month_end_on - covered.due_on, 0)
                    else covered.month_end_on - covered.claimed_on end
                    between coalesce(buckets.days_from, -999999)
                        and coalesce(buckets.days_to, 999999), false)
            group by all
        )
        select bucketed.*, month_ends.open_balance_amount, month_ends.not_due_amount
        from bucketed inner join month_ends using (customer_id, month_end_on)
        where bucketed.open_amount <> month_ends.open_balance_amount
            or (bucketed.ageing_basis = 'due_date'
                and coalesce(bucketed.not_due_amount, 0) <> month_ends.not_due_amount)
        """,
    )
    assert wrong == []


def test_a_past_month_end_is_what_a_run_of_that_day_said(
    dbt: Dbt, built: tuple[Landing, Path], database: Path
) -> None:
    """Two month ends and two days between, each by increment; the last day again, and rebuilt."""
    landing = copy.copy(built[0])
    copy_build(built[1], database)
    late = state(database)
    assert len(late["fct_receivables"]) > 60
    for as_of in (date(2026, 4, 30), date(2026, 3, 31)):
        landing.begin_release(as_of)
        dbt("run", *SELECTED)
        early = state(database)
        assert early["fct_receivables"] == [
            row for row in late["fct_receivables"] if row[1] <= as_of
        ]
        assert_month_ends_as_told(database, as_of)
    # 14 May is after the maturity and the day the bill came back; the 13th is between
    for as_of, open_amount, outstanding in (
        (date(2026, 5, 13), "0.00", "90.00"),
        (date(2026, 5, 14), "90.00", "0.00"),
    ):
        landing.begin_release(as_of)
        dbt("run", *SELECTED)
        assert_month_ends_as_told(database, as_of)
        assert rows(
            database,
            """select open_balance_amount, bills_outstanding_amount from marts.fct_receivables
               where customer_id = 'bounced' and month_on = '2026-05-01'""",
        ) == [money(open_amount, outstanding)]

    landing.begin_release(LAST_DAY)
    dbt("run", *SELECTED)
    assert state(database) == late
    landing.execute("update landing.run_context set is_rebuild = true")
    dbt("run", *SELECTED)
    assert state(database) == late


def assert_month_ends_as_told(database: Path, as_of: date) -> None:
    """The month of the as-of date has what the marts of the day sum to."""
    [(count,)] = rows(database, "select count(*) from marts.receivables_balances")
    assert count > 10
    assert not rows(
        database,
        """
        select * from marts.fct_receivables as months
        full join marts.receivables_balances as balances using (customer_id)
        where months.month_on = date_trunc('month', ?::date) and (
            months.month_end_on <> ?
            or (months.open_balance_amount, months.unapplied_cash_amount, months.prepaid_amount,
                months.overdue_amount, months.disputed_amount, months.balance_amount,
                months.bills_outstanding_amount)
            is distinct from (balances.open_amount, balances.unapplied_cash_amount,
                balances.prepaid_amount, balances.overdue_amount, balances.disputed_amount,
                balances.balance_amount, balances.bills_outstanding_amount)
        )
        """,
        as_of,
        as_of,
    )
