"""A landed book: its models are found and promoted, a refused challenger leaves them in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from customer_marts.warehouse import open_build
from tests.clv.simulated import coin_days
from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.landing_fixture import Landing

MODELS = ("--select", "+clv_backtest", "+clv_model_runs", "+int_clv_forecasts")
DAYS = 1460
AS_OF = date(2026, 1, 1)
FIRST = AS_OF - timedelta(DAYS)
RATE, LEAVES = 3.0 / 100, 0.8 / 6.8


def land(landing: Landing, until: int) -> None:
    """The spot orders of 700 buyers up to a day of the book, two a day now and then."""
    bought = coin_days(700, k=1, r=3.0, alpha=100.0, a=0.8, b=6.0, days=DAYS + 10, seed=8)
    days = [(number, day) for number, day in bought if day < until]
    twice = [(number, day, copy) for number, day in days for copy in range(1 + (day % 7 == 0))]
    rows = pa.table(
        {
            "order_id": [f"{number}-{day}-{copy}" for number, day, copy in twice],
            "customer_id": [f"S{number:03d}" for number, _, _ in twice],
            "day": [day for _, day, _ in twice],
        }
    )
    with duckdb.connect(str(landing.path)) as con:
        con.register("simulated", rows)
        con.execute("delete from landing.orders")
        con.execute(
            f"""
            insert into landing.orders by name
            select
                order_id, customer_id, customer_id as _customer_id,
                cast(date '{FIRST}' + cast(day as integer) as timestamp) + interval 4 hour
                    as ordered_at,
                cast(date '{FIRST}' + cast(day as integer) as date) as ordered_on,
                'completed' as status, 'CNY' as currency, 'spot' as sale_type,
                100.00 + 10 * (cast(split_part(order_id, '-', 1) as integer) % 9) as amount,
                false as is_deleted, {landing.sequence} as _changed_in
            from simulated
            """
        )
    landing.put("orders", [])


def read(database: Path, sql: str) -> list[dict[str, Any]]:
    with open_build(database) as con:
        return list(con.sql(sql).to_arrow_table().to_pylist())


@pytest.fixture(scope="module")
def built(dbt: Dbt, database: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Two releases: the first fits and promotes, the second asks too much of a refit."""
    landing = Landing(database, without_feeds=["order_lines", "invoices", "complaints"])
    landing.begin_release(AS_OF)
    land(landing, DAYS)
    dbt("build", *WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test", *MODELS)
    first = read(database, "from marts.clv_model_runs order by model")
    landing.begin_release(AS_OF + timedelta(7), is_refit=True)
    land(landing, DAYS + 7)
    landing.execute(
        "update seeds.clv_parameters set value = 0 where parameter = 'promote_maximum_bias'"
    )
    dbt("run", *MODELS)
    dbt("test", "--indirect-selection", "cautious", "--select", "clv_backtest", "clv_model_runs")
    yield database, first
    database.unlink()


Built = tuple[Path, list[dict[str, Any]]]


def test_the_world_is_recovered_from_landed_orders(built: Built) -> None:
    runs = {row["model"]: row for row in built[1]}
    spot = runs["clv_purchases_spot"]
    assert spot["is_in_force"], spot["verdict_en"]
    assert spot["fit_status"] == "ok"
    assert abs(spot["bias_rate"]) < 0.1
    assert spot["mae"] < min(spot["naive_rate_mae"], spot["naive_silence_mae"])
    fits = {fit["candidate"]: fit["parameters"] for fit in json.loads(spot["measures"])["fits"]}
    found = fits["mbg_nbd"]
    assert found["r"] / found["alpha"] == pytest.approx(RATE, rel=0.15)
    assert found["a"] / (found["a"] + found["b"]) == pytest.approx(LEAVES, rel=0.3)
    # nobody is under contract
    assert runs["clv_purchases_contract"]["fit_status"] == "too_few"


def test_a_refused_challenger_leaves_the_champion_in_force(built: Built) -> None:
    database, first = built
    runs = read(
        database,
        "select * from marts.clv_model_runs where model = 'clv_purchases_spot'"
        " order by release_sequence",
    )
    assert [(row["is_promoted"], row["is_in_force"]) for row in runs] == [
        (True, True),
        (False, False),
    ]
    (champion,) = [row["version"] for row in first if row["model"] == "clv_purchases_spot"]
    (version,) = read(database, "select distinct model_version from intermediate.int_clv_forecasts")
    assert version["model_version"] == champion
    assert "bias" in runs[1]["verdict_en"]


def test_the_champion_is_measured_beside_the_candidates(built: Built) -> None:
    found = read(
        built[0],
        """
        select release_sequence, origin_on, list(candidate order by candidate) as candidates
        from marts.clv_backtest where curve = 'measures' group by all order by all
        """,
    )
    assert {row["release_sequence"] for row in found} == {1, 2}
    for row in found:
        has_champion = "champion" in row["candidates"]
        assert has_champion == (row["release_sequence"] == 2)
        assert {"naive_rate", "naive_silence", "mbg_cnbd_k"} <= set(row["candidates"])


def test_the_curves_of_the_backtest_add_up(built: Built) -> None:
    found = read(
        built[0],
        """
        select
            origin_on,
            sum(count_customers * actual) filter (curve = 'calibration') as buyers,
            max(actual) filter (curve = 'tracking')
                - max(actual) filter (curve = 'tracking' and point_no = 0) as bought,
            max(actual) filter (curve = 'measures' and candidate = 'mbg_nbd') as actual
        from marts.clv_backtest where release_sequence = 1 group by origin_on
        """,
    )
    assert len(found) == 2
    for row in found:
        assert row["bought"] == row["actual"]
        assert 0 < row["buyers"] < row["actual"]


def test_purchases_of_one_day_are_one_and_what_came_later_is_not_seen(built: Built) -> None:
    as_of = AS_OF + timedelta(7)
    (wrong,) = read(
        built[0],
        f"""
        with days as (
            select distinct customer_id, ordered_on from marts.fct_orders
        ),
        counted as (
            select
                histories.customer_id, histories.origin_no, any_value(histories.repeats) as repeats,
                count(*) filter (days.ordered_on <= histories.origin_on) - 1 as expected,
                any_value(histories.holdout_purchases) as holdout_purchases,
                count(*) filter (
                    days.ordered_on > histories.origin_on
                    and days.ordered_on <= histories.origin_on + histories.holdout_days
                ) as came
            from intermediate.int_clv_histories as histories
            inner join days using (customer_id)
            where histories.origin_on <= date '{as_of}'
            group by histories.customer_id, histories.origin_no
        )
        select
            count(*) filter (repeats <> expected) as repeats,
            count(*) filter (origin_no > 0 and holdout_purchases <> came) as holdouts,
            count(*) as rows
        from counted
        """,
    )
    assert (wrong["repeats"], wrong["holdouts"]) == (0, 0)
    assert wrong["rows"] > 1000
