"""The toy company's first release against figures worked by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pytest
from dbt.artifacts.schemas.results import TestStatus


def test_the_build_ran_every_unit_and_data_test(first_build: Any) -> None:
    _, results = first_build
    tested = [result for result in results if result.node.resource_type in ("test", "unit_test")]
    assert len(tested) > 80
    assert {result.status for result in tested} == {TestStatus.Pass}


def one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    (row,) = con.execute(sql).fetchall()
    return tuple(row)


def test_customers(first_marts: duckdb.DuckDBPyConnection) -> None:
    """Nine of the ten: the one who comes in June is not known in February."""
    names = first_marts.execute("select customer_id from marts.dim_customers").fetchall()
    assert {name for (name,) in names} == {
        *("steady", "slow", "prospect", "cancelled_only", "refunded", "credited"),
        *("bills", "leaving", "idle"),
    }
    assert one(first_marts, "select count(*) from marts.customer_360") == (9,)


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
        # 100 invoiced and paid, then 130 refunded: 130 are owed, 100 by invoice, 30 in excess
        ("refunded", "130.00", "130.00", "0.00"),
        ("credited", "0.00", "0.00", "150.00"),
        # the held bill pays on receipt, the dishonoured one never
        ("bills", "200.00", "200.00", "0.00"),
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
