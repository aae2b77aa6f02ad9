"""The toy company's first release against figures worked by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts.gates.calendar import BusinessCalendar, days_after
from customer_marts.warehouse import open_build
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing


def one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    (row,) = con.execute(sql).fetchall()
    return tuple(row)


def test_customers(first_marts: duckdb.DuckDBPyConnection) -> None:
    """Ten of the eleven: the one who comes in June is not known in February."""
    names = first_marts.execute("select customer_id from marts.dim_customers").fetchall()
    assert {name for (name,) in names} == {
        *("steady", "slow", "prospect", "cancelled_only", "refunded", "credited"),
        *("bills", "leaving", "idle", "abroad"),
    }
    assert one(first_marts, "select count(*) from marts.customer_360") == (10,)


@pytest.mark.parametrize(
    ("customer_id", "count_orders", "revenue", "margin", "stage"),
    [
        # 1000 and 200 (the held and the future order do not count), cost 60 %
        ("steady", 2, "1200.00", "480.00", "active"),
        # 330 of unknown cost in part; 40 and 80 at 40 % margin
        ("slow", 3, "450.00", "48.00", "new"),
        ("prospect", 0, "0.00", "0.00", "potential"),
        ("cancelled_only", 0, "0.00", "0.00", "potential"),
        # an order without lines: its amount is its revenue, its cost is unknown
        ("bills", 1, "500.00", None, "new"),
        # 100 dollars at 7.00, cost 60 %
        ("abroad", 1, "700.00", "280.00", "new"),
        # 415 days ago
        ("leaving", 1, "60.00", "24.00", "lost"),
    ],
)
def test_value_and_stage(
    first_marts: duckdb.DuckDBPyConnection,
    customer_id: str,
    count_orders: int,
    revenue: str,
    margin: str | None,
    stage: str,
) -> None:
    assert one(
        first_marts,
        f"""select count_orders, revenue_amount, margin_amount, lifecycle
            from marts.customer_segments where customer_id = '{customer_id}'""",
    ) == (count_orders, Decimal(revenue), None if margin is None else Decimal(margin), stage)


@pytest.mark.parametrize(
    ("customer_id", "open_amount", "overdue", "unapplied"),
    [
        # 1130 + 226 less 1200 and 10; what is left of the second falls due on 4 March
        ("steady", "146.00", "0.00", "0.00"),
        ("slow", "372.90", "372.90", "0.00"),
        # 100 invoiced and paid, then 130 refunded: the refund is owed
        ("refunded", "130.00", "130.00", "0.00"),
        ("credited", "0.00", "0.00", "150.00"),
        # the held bill pays on receipt, the dishonoured one never
        ("bills", "200.00", "200.00", "0.00"),
        # 63 of 113 dollars at the invoice's 7.10; the 50 paid were worth 7.20
        ("abroad", "447.30", "447.30", "0.00"),
    ],
)
def test_receivables(
    first_marts: duckdb.DuckDBPyConnection,
    customer_id: str,
    open_amount: str,
    overdue: str,
    unapplied: str,
) -> None:
    assert one(
        first_marts,
        f"""select open_amount, overdue_amount, unapplied_cash_amount
            from marts.customer_360 where customer_id = '{customer_id}'""",
    ) == (Decimal(open_amount), Decimal(overdue), Decimal(unapplied))


def test_a_bill_is_cash_in_the_month_it_matures(first_marts: duckdb.DuckDBPyConnection) -> None:
    assert one(
        first_marts,
        """select sum(cash_in_amount), max(open_balance_amount) filter (month_on = '2026-02-01')
           from marts.fct_customer_months where customer_id = 'bills'""",
    ) == (Decimal("0.00"), Decimal("200.00"))


def test_an_order_after_midnight_counts_in_the_next_month(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    months = first_marts.execute(
        """select month_on::varchar, revenue_amount
           from marts.fct_customer_months where customer_id = 'slow' order by 1"""
    ).fetchall()
    assert months == [
        ("2025-12-01", Decimal("330.00")),
        ("2026-01-01", Decimal("40.00")),
        ("2026-02-01", Decimal("80.00")),
    ]


def test_documents_keep_their_own_currency_beside_the_reporting_one(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    assert one(
        first_marts,
        """select currency, document_currency, fx_rate, document_unit_price, unit_price,
            document_ordered_amount, ordered_amount, discount_amount, tax_amount, cost_amount
           from marts.fct_order_lines where order_id = 'o-abroad'""",
    ) == (
        *("CNY", "USD", Decimal("7.00000000")),
        *(Decimal("10.0000"), Decimal("70.0000")),
        *(Decimal("100.00"), Decimal("700.00")),
        *(Decimal("35.00"), Decimal("91.00"), Decimal("420.00")),
    )
    assert first_marts.execute(
        """select document_currency, document_amount, fx_rate, invoice_amount
           from marts.fct_invoices where customer_id = 'abroad'
           union all
           select document_currency, document_amount, fx_rate, payment_amount
           from marts.fct_payments where customer_id = 'abroad' order by 2 desc"""
    ).fetchall() == [
        ("USD", Decimal("113.00"), Decimal("7.10000000"), Decimal("802.30")),
        ("USD", Decimal("50.00"), Decimal("7.20000000"), Decimal("360.00")),
    ]


def test_the_ledger_sets_what_the_source_states_beside_what_was_pulled(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    assert first_marts.execute(
        """select batch_id, count_rows_pulled, count_rows_accepted, source_rows, source_amount
           from marts.conservation_ledger order by 1"""
    ).fetchall() == [("b-1", 10, 6, 10, Decimal("600.00")), ("b-2", 1, 1, None, None)]


def test_a_closed_row_tells_how_it_ended(first_marts: duckdb.DuckDBPyConnection) -> None:
    assert one(
        first_marts,
        """select quarantine_id, owner, quarantined_amount, closed_by, decided_by,
            decision_reason, batch_id, replay_batch_id
           from marts.quarantine_history""",
    ) == (*("q-1", "unassigned", Decimal("100.00"), "fix", "li"), "typing error", "b-1", "b-2")


def test_satisfaction(first_marts: duckdb.DuckDBPyConnection) -> None:
    rows = first_marts.execute(
        """select customer_id, satisfaction_status, last_nps_score, csat_score_rate_mean
           from marts.customer_360 where customer_id in ('prospect', 'slow', 'steady') order by 1"""
    ).fetchall()
    assert rows == [
        ("prospect", "no_survey_answered", None, None),
        ("slow", "available", None, 0.25),
        ("steady", "available", Decimal("9.00"), 1.0),
    ]


def test_costs_opportunities_and_deliveries_are_in_the_reporting_currency(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    # 20 dollars at Friday's 7.00; 50 at 7.10; 60 at the rate of their order's day, 7.00
    assert one(
        first_marts,
        """
        select
            (select cost_amount from marts.fct_customer_costs where cost_id = 'k-abroad'),
            (select opportunity_amount from marts.fct_opportunities
                where opportunity_id = 's-abroad'),
            (select delivered_amount from marts.fct_deliveries where delivery_id = 'd-abroad')
        """,
    ) == (Decimal("140.00"), Decimal("355.00"), Decimal("420.00"))


def test_business_days_are_those_of_the_gates(first_marts: duckdb.DuckDBPyConnection) -> None:
    """From the year of the earliest fact to the as-of year, day by day."""
    calendar = BusinessCalendar.load("china")
    days = first_marts.execute(
        """
        select date_on, is_business_day, is_holiday, is_makeup_workday, is_calendar_known
        from marts.dim_dates order by 1
        """
    ).fetchall()
    expected = []
    for day in days_after(date(2021, 12, 31), date(2026, 12, 31)):
        announced = calendar.announced.get(day)
        kind = announced.kind if announced else None
        expected.append(
            (
                day,
                calendar.is_business_day(day),
                kind == "holiday",
                kind == "workday",
                calendar.is_known(day),
            )
        )
    assert days == expected


@pytest.mark.parametrize(
    ("calendar", "as_of", "known_years"),
    [
        ("weekends", "2026-02-27", range(2022, 2027)),
        # the company names none
        (None, "2026-02-27", range(0)),
        # next year's notice is not out
        ("china", "2027-01-05", range(2022, 2027)),
    ],
)
def test_a_year_whose_days_off_are_not_known_works_every_weekday(
    dbt: Dbt,
    landing: Landing,
    database: Path,
    calendar: str | None,
    as_of: str,
    known_years: range,
) -> None:
    landing.execute("update landing.run_context set calendar = ?, as_of = ?", [calendar, as_of])
    dbt("run", "--select", "dim_dates")
    of_python = BusinessCalendar.load(calendar or "weekends")
    with open_build(database) as con:
        days = con.execute(
            "select date_on, is_business_day, is_calendar_known from marts.dim_dates order by 1"
        ).fetchall()
    assert days[-1][0] == date(int(as_of[:4]), 12, 31)
    assert days == [
        (day, of_python.is_business_day(day), day.year in known_years)
        for day in days_after(date(2021, 12, 31), days[-1][0])
    ]


def test_weeks_quarters_and_the_running_number_of_a_business_day(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    # Sunday in the last ISO week of the year before; the eve of Labour Day, a make-up Saturday
    assert first_marts.execute(
        """
        select week_on, iso_week, day_of_week, quarter_on, month_on, business_day_of_month
        from marts.dim_dates
        where date_on in ('2023-01-01', '2024-04-30', '2024-05-11') order by date_on
        """
    ).fetchall() == [
        (date(2022, 12, 26), 52, 7, date(2023, 1, 1), date(2023, 1, 1), 0),
        (date(2024, 4, 29), 18, 2, date(2024, 4, 1), date(2024, 4, 1), 22),
        # 1 to 5 May were off; 6 to 11 May were worked
        (date(2024, 5, 6), 19, 6, date(2024, 4, 1), date(2024, 5, 1), 6),
    ]


def test_sentences_are_whole_and_agree_with_a_single_one(
    first_marts: duckdb.DuckDBPyConnection,
) -> None:
    columns = first_marts.execute(
        """
        select table_name, column_name from information_schema.columns
        where table_catalog = 'marts' and regexp_matches(column_name, '_(en|zh)(_[123])?$')
            and column_name not like 'step_%'
        """
    ).fetchall()
    assert len(columns) > 200
    unfinished = (
        r"[\[\]{}<>?|]|(^|[^0-9.,])1 ([a-z-]+ )?(days|months|orders|customers|complaints|answers"
        r"|deliveries|invoices|products|purchases|rules|defaults)\b"
    )
    told = [
        (mart, column, text)
        for mart, column in columns
        for (text,) in first_marts.execute(
            f"select distinct {column} from marts.{mart} where regexp_matches({column}, ?)",
            [unfinished],
        ).fetchall()
    ]
    assert told == []
    # and there are such sentences among them
    assert one(
        first_marts, "select count(*) > 0 from marts.customer_segments where recency_days = 1"
    )
