"""The credit panel by increments gives what a rebuild gives, also where only days go by."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.warehouse import open_build
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing
from tests.dbt.test_incremental import read_marts
from tests.dbt.toy_company import invoice, payment

PANEL = ("run", "--select", "+credit_score_history")
TABLES = (
    *("int_credit_late_spans", "int_credit_defaults", "int_credit_flow_months"),
    *("int_credit_months", "int_credit_model_scores", "credit_score_history"),
)
# 12,000 unpaid are less than 2 % of 1,012,000 invoiced, until the large invoice is a year old
DOCUMENTS = {
    "invoices": [
        invoice("i-line", "line", date(2025, 10, 1), "50000.00", due_on=date(2025, 12, 1)),
        invoice("i-large", "share", date(2025, 3, 4), "1000000.00", due_on=date(2025, 4, 1)),
        invoice("i-small", "share", date(2025, 11, 1), "12000.00", due_on=date(2025, 11, 10)),
        invoice("i-bill", "cured", date(2025, 11, 1), "2000.00", due_on=date(2026, 6, 1)),
    ],
    "payments": [
        payment("p-large", "share", date(2025, 4, 1), "1000000.00", reference="i-large"),
        payment(
            "p-bill",
            "cured",
            date(2025, 11, 20),
            "2000.00",
            method="bank_acceptance",
            bill_matures_on=date(2025, 12, 4),
            bill_status="dishonoured",
            bill_status_on=date(2025, 12, 5),
        ),
    ],
}

Tables = dict[str, list[tuple[Any, ...]]]


def test_the_panel_goes_on_as_days_go_by_and_come_back(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """A claim passes the line of 90 days, an invoice leaves the year, a bill is cured, a month
    turns, and all of it back, while no row of these customers changes.
    """

    def tables_of(as_of: date) -> Tables:
        landing.begin_release(as_of)
        dbt(*PANEL)
        return read_marts(database, *TABLES)

    def is_as_rebuilt(incremented: Tables) -> None:
        landing.execute("update landing.run_context set is_rebuild = true")
        dbt(*PANEL)
        rebuilt = read_marts(database, *TABLES)
        for table, rows in incremented.items():
            assert rows == rebuilt[table], table

    def defaults() -> list[tuple[Any, ...]]:
        with open_build(database) as con:
            return con.execute(
                """
                select customer_id, default_on, cured_on from intermediate.int_credit_defaults
                where customer_id in ('line', 'share', 'cured') order by 1
                """
            ).fetchall()

    bill = ("cured", date(2025, 12, 5), None)
    landing.begin_release(date(2026, 3, 1))
    for feed, rows in DOCUMENTS.items():
        landing.put(feed, rows)
    dbt(*PANEL)
    assert defaults() == [bill]

    on_the_line = tables_of(date(2026, 3, 2))
    assert defaults() == [bill, ("line", date(2026, 3, 2), None)]

    cured = tables_of(date(2026, 3, 6))
    assert defaults() == [
        ("cured", date(2025, 12, 5), date(2026, 3, 5)),
        ("line", date(2026, 3, 2), None),
        ("share", date(2026, 3, 4), None),
    ]
    is_as_rebuilt(cured)

    landing.begin_release(date(2026, 5, 2))
    landing.put("payments", [payment("p-line", "line", date(2026, 3, 20), "50000.00")])
    dbt(*PANEL)
    is_as_rebuilt(read_marts(database, *TABLES))

    # what was paid since is not known yet
    assert tables_of(date(2026, 3, 2)) == on_the_line


def test_a_row_of_a_past_month_moves_that_month_and_all_after_it(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """A payment lands two months late: the months before it stand."""

    def months() -> Tables:
        return read_marts(database, *TABLES)

    def months_to_compute() -> list[tuple[Any, ...]]:
        with open_build(database) as con:
            return con.execute(
                """
                select customer_id, from_month_on from intermediate.int_credit_customers
                where customer_id in ('line', 'share') order by 1
                """
            ).fetchall()

    landing.begin_release(date(2026, 3, 1))
    for feed, rows in DOCUMENTS.items():
        landing.put(feed, rows)
    dbt(*PANEL)
    landing.begin_release(date(2026, 3, 2))
    landing.put("payments", [payment("p-late", "line", date(2026, 1, 5), "20000.00")])
    dbt(*PANEL)
    incremented = months()
    assert months_to_compute() == [("line", date(2026, 1, 1)), ("share", date(2026, 3, 1))]

    landing.execute("update landing.run_context set is_rebuild = true")
    dbt(*PANEL)
    for table, rebuilt in months().items():
        assert incremented[table] == rebuilt, table
