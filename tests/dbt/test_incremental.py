"""Increments by changed keys give what a rebuild gives, table by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.toy_company import (
    land_fourth_release,
    land_second_release,
    land_third_release,
)


def read_marts(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(database), read_only=True) as con:
        names = con.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts' order by 1"
        ).fetchall()
        return {
            name: con.execute(f"from marts.{name} order by all").fetchall() for (name,) in names
        }


def test_three_increments_equal_a_rebuild(
    dbt: Dbt, first_build: Any, database: Path, workspace: Path
) -> None:
    landing, _ = first_build
    first = read_marts(workspace / "first" / "build.duckdb")
    for land in (land_second_release, land_third_release):
        land(landing)
        dbt("run")
    land_fourth_release(landing)
    dbt("build", *WITHOUT_UNIT_TESTS)
    incremented = read_marts(database)

    landing.execute("update landing.run_context set is_rebuild = true")
    dbt("run")
    rebuilt = read_marts(database)

    assert incremented.keys() == rebuilt.keys()
    for mart, rows in incremented.items():
        assert rows == rebuilt[mart], mart
    # the changes reached the facts at all, or equality would prove nothing
    for fact in (
        "fct_orders",
        "fct_order_lines",
        "fct_invoices",
        "fct_payments",
        "fct_survey_responses",
        "fct_customer_months",
    ):
        assert first[fact] != incremented[fact], fact
    order_ids = {row[0] for row in incremented["fct_orders"]}
    assert "o-slow-deleted" not in order_ids  # deleted
    assert "o-future" not in order_ids  # shown as of 10 March, gone again as of 4 March
    assert {"o-late", "o-held"} <= order_ids  # landed late, let in
