"""What a candidate changes against the last release: measured, bounded, approved by a person."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.gates.changes import (
    CHANGES_FILE,
    Change,
    Successor,
    approvals,
    approve,
    changes,
    measures,
    to_gate_line,
)
from customer_marts.releases import Release
from customer_marts.settings import DBT_PROJECT_DIR, Settings

AS_OF = date(2026, 6, 15)
WHO = {"by": "王芳", "reason": "the plant was sold"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings.load({"MARTS_HOME": str(tmp_path)}, company="sample")
    found.paths.cache.mkdir(parents=True)
    return found


def release(folder: Path, sequence: int, as_of: date, *statements: str) -> Release:
    """200 customers, half of them active, with 10.00 a month in May and 1.00 in June, and a change
    that the statements make.
    """
    folder = folder / f"r{sequence}"
    folder.mkdir()
    with duckdb.connect(str(folder / "marts.duckdb")) as connection:
        connection.execute(
            """
            create table dim_customers as select 'C' || i as customer_id from range(200) as t(i);
            create table fct_orders as select 'O' || i as order_id from range(1000) as t(i);
            create table fct_customer_months as
            select customer_id, month_on, case month_on when date '2026-05-01' then 10.00
                else 1.00 end as revenue_amount, 0.00 as cash_in_amount
            from dim_customers, (values (date '2026-05-01'), (date '2026-06-01')) as t(month_on);
            create table customer_segments as
            select customer_id, 'A' as abc_class, case when customer_id < 'C2' then 'active' end
                as lifecycle from dim_customers;
            """
        )
        for statement in statements:
            connection.execute(statement)
    manifest = {
        "release_id": f"r{sequence}",
        "release_sequence": sequence,
        "as_of": as_of.isoformat(),
    }
    return Release(folder, manifest)


def measured(
    settings: Settings, tmp_path: Path, *statements: str, as_of: date = AS_OF
) -> dict[str, Change]:
    before = release(tmp_path, 1, AS_OF)
    after = release(tmp_path, 2, as_of, *statements)
    return {change.name: change for change in changes(settings, before, Successor.of(after))}


def test_nothing_changed(settings: Settings, tmp_path: Path) -> None:
    found = measured(settings, tmp_path)
    assert set(found) == {
        *("customers_kept", "orders", "past_revenue", "past_cash_in", "lifecycle_kept", "abc_kept")
    }
    assert not any(change.is_beyond for change in found.values())
    assert found["past_revenue"].message == (
        "revenue of the months that were over: 2,000.00, as before"
    )
    # of nothing there is no share
    assert found["past_cash_in"].rate is None


BEYOND = {
    "customers_kept": (
        "update dim_customers set customer_id = 'D' || customer_id where customer_id < 'C11'",
        "200",
        "187",
        -0.065,
    ),
    "orders": ("delete from fct_orders where order_id < 'O11'", "1000", "987", -0.013),
    "past_revenue": (
        "update fct_customer_months set revenue_amount = 12.50 where month_on < date '2026-06-01'",
        "2000.00",
        "2500.00",
        0.25,
    ),
    "lifecycle_kept": (
        "update customer_segments set lifecycle = 'lost' where lifecycle is null",
        "200",
        "112",
        -0.44,
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_goes_beyond_its_bound_waits(settings: Settings, tmp_path: Path, name: str) -> None:
    statement, before, after, rate = BEYOND[name]
    found = measured(settings, tmp_path, statement)
    assert (found[name].before, found[name].after) == (before, after)
    assert found[name].rate == pytest.approx(rate, abs=1e-6)
    assert [change.name for change in found.values() if change.waits] == [name]
    line = to_gate_line(list(found.values()), 0.1)
    assert not line["success"]
    assert [(item["rule"], item["severity"]) for item in line["failed"]] == [(name, "critical")]


@pytest.mark.parametrize(
    "statement",
    [
        # a book grows
        "insert into fct_orders select 'N' || i from range(900) as t(i)",
        "insert into dim_customers select 'N' || i from range(900) as t(i)",
        # the month that runs is not over
        "update fct_customer_months set revenue_amount = 9 where month_on = date '2026-06-01'",
        # within the bound
        "delete from fct_orders where order_id < 'O100'",
        "update customer_segments set abc_class = 'B' where customer_id < 'C11'",
    ],
)
def test_what_every_day_brings_passes(settings: Settings, tmp_path: Path, statement: str) -> None:
    assert not any(change.is_beyond for change in measured(settings, tmp_path, statement).values())


def test_more_days_may_move_more_classes_but_no_settled_month(
    settings: Settings, tmp_path: Path
) -> None:
    moved = "update customer_segments set abc_class = 'B' where customer_id < 'C13'"
    restated = "update fct_customer_months set revenue_amount = 10.30"
    found = measured(settings, tmp_path, moved, restated, as_of=date(2026, 6, 25))
    assert found["abc_kept"].allowed == pytest.approx(0.1 + 10 * 0.02)
    assert not found["abc_kept"].is_beyond
    assert found["past_revenue"].waits


def test_an_earlier_day_and_a_small_book_are_told_not_judged(
    settings: Settings, tmp_path: Path
) -> None:
    found = measured(settings, tmp_path, "delete from fct_orders", as_of=date(2026, 6, 14))
    assert found["orders"].rate == -1
    assert not any(change.is_beyond for change in found.values())
    small = release(tmp_path, 3, AS_OF, "delete from fct_orders where order_id >= 'O18'")
    none_left = release(tmp_path, 4, AS_OF, "delete from fct_orders")
    orders = next(
        change
        for change in changes(settings, small, Successor.of(none_left))
        if change.name == "orders"
    )
    assert int(orders.before) < measures()[0]
    assert (orders.rate, orders.is_beyond) == (-1, False)


def test_an_approval_covers_its_measure_on_its_release_as_far_as_it_went(
    settings: Settings, tmp_path: Path
) -> None:
    before = release(tmp_path, 1, AS_OF)
    state = {"parent_release_id": "r1", "release_sequence": 2}

    def orders(earlier: Release, sequence: int, least: str) -> Change:
        after = release(
            tmp_path, sequence, AS_OF, f"delete from fct_orders where order_id < '{least}'"
        )
        found = changes(settings, earlier, Successor(2, AS_OF, after.marts))
        assert [change.name for change in found if change.is_beyond] == ["orders"]
        return next(change for change in found if change.is_beyond)

    lost = orders(before, 2, "O2")
    assert lost.waits
    approve(settings.paths, state, [lost], **WHO)
    [line] = approvals(settings.paths)
    assert (line.name, line.by, line.reason) == ("orders", WHO["by"], WHO["reason"])

    again = orders(before, 3, "O2")
    assert not again.waits
    gate = to_gate_line([again], 0.1)
    assert gate["success"]
    assert [item["severity"] for item in gate["failed"]] == ["warning"]
    assert gate["failed"][0]["message"].endswith("approved by 王芳: the plant was sold")

    assert orders(before, 4, "O3").waits
    # on another release
    other = release(tmp_path, 5, AS_OF, "delete from fct_orders where order_id < 'O10'")
    assert orders(other, 6, "O2").waits
    # released, then taken back: a rollback is no approval
    taken_back = changes(settings, before, Successor(3, AS_OF, tmp_path / "r3/marts.duckdb"))
    assert [change.name for change in taken_back if change.waits] == ["orders"]


def test_an_approval_is_never_anonymous(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="a name and a reason"):
        approve(settings.paths, {}, [], by=" ", reason="because")
    assert approvals(settings.paths) == []


def test_every_measure_reads_a_mart_and_columns_that_exist() -> None:
    import yaml

    columns: dict[str, set[str]] = {}
    for file in (DBT_PROJECT_DIR / "models" / "marts").rglob("*.yml"):
        for model in yaml.safe_load(file.read_text("utf-8")).get("models", []):
            columns[model["name"]] = {column["name"] for column in model.get("columns", [])}
    least_rows, wanted = measures()
    assert least_rows > 0
    assert len({measure.name for measure in wanted}) == len(wanted)
    assert json.loads(CHANGES_FILE.read_text("utf-8"))["meta"]
    for measure in wanted:
        used = {measure.column, measure.key, measure.month} - {"*", ""}
        assert used <= columns[measure.mart], measure.name
        assert measure.max_rate > 0, measure.name
