"""The voice marts find what the sample company's surveys hold, and nothing in shuffled scores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from customer_marts.warehouse import copy_build, open_build
from scripts.company.columns import Window, customer_code
from scripts.company.effects import DRIVER_ITEM, FAILING_CATEGORY
from scripts.company.facts import ARCHETYPES, PRODUCTS, SKUS
from scripts.company.surveys import survey_responses
from scripts.company.trade import Chunk, simulate
from scripts.company.world import Parameters, World, day_date
from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt

VOICE_MODELS = (
    *("int_customer_categories", "int_satisfaction_sums", "customer_satisfaction"),
    *("int_satisfaction_item_answers", "int_satisfaction_drivers", "satisfaction_drivers"),
    "loyalty",
)
TYPES = {"电力": "power", "钢铁": "steel", "水泥": "cement", "化工": "chemical", "贸易": "trader"}


@pytest.fixture(scope="module")
def company() -> tuple[World, Chunk]:
    """Three years of 600 customers: their orders and answers alone, without what is paid."""
    world = World(Parameters(customers=600))
    return world, next(simulate(world, world.end))


def facts(world: World, chunk: Chunk) -> dict[str, pa.Table]:
    """The simulated company as the rows of the marts that the voice reads."""
    customers, orders, lines = chunk.customers, chunk.orders, chunk.lines
    codes = [customer_code(int(number)) for number in customers.number]
    is_known = customers.number <= world.parameters.customers
    days = [day_date(day) for day in orders.day.tolist()]
    owners = [codes[owner] for owner in orders.owner.tolist()]
    answers: dict[str, list[Any]] = {
        name: []
        for name in (
            *("response_id", "question_code", "customer_id", "answered_on", "answered_at"),
            *("score", "scale_min", "scale_max", "measure"),
        )
    }
    for response in survey_responses(world, chunk, Window(world.end)):
        day = date.fromisoformat(response["submitted_at"][:10])
        for answer in response["answers"]:
            prefix = answer["question"].split("_")[0]
            row = (
                response["response_id"],
                answer["question"],
                response["customer_code"],
                day,
                day,
                answer["score"],
                answer["min"],
                answer["max"],
                prefix if prefix in ("nps", "csat", "ces") else None,
            )
            for column, value in zip(answers.values(), row, strict=True):
                column.append(value)
    return {
        "dim_customers": pa.table(
            {
                "customer_id": codes,
                "customer_type": [
                    TYPES.get(ARCHETYPES[kind].customer_type, "other")
                    for kind in customers.archetype.tolist()
                ],
            }
        ).filter(pa.array(is_known)),
        "dim_products": pa.table(
            {
                "product_id": [product.sku for product in PRODUCTS],
                "category": [product.category for product in PRODUCTS],
            }
        ),
        "fct_orders": pa.table(
            {
                "order_id": [str(number) for number in orders.number.tolist()],
                "customer_id": owners,
                "ordered_on": days,
                "order_month": [day.replace(day=1) for day in days],
            }
        ),
        "fct_order_lines": pa.table(
            {
                "customer_id": [owners[order] for order in lines.order.tolist()],
                "ordered_on": [days[order] for order in lines.order.tolist()],
                "product_id": [SKUS[sku] for sku in lines.sku.tolist()],
                "revenue_amount": (lines.price * lines.quantity / 1e6).tolist(),
            }
        ),
        "fct_survey_responses": pa.table(answers),
    }


FILLED = {
    "dim_customers": "customer_id, customer_id as customer_name, customer_type",
    "dim_products": "product_id, category",
    "fct_orders": "order_id, customer_id, ordered_on, order_month, false as is_cancelled",
    "fct_order_lines": """customer_id, ordered_on, product_id, false as is_cancelled,
        cast(round(revenue_amount, 2) as decimal(18, 2)) as revenue_amount""",
    "fct_survey_responses": """*,
        cast((score - scale_min) / (scale_max - scale_min) as decimal(9, 6)) as score_rate""",
}


def build(
    dbt: Dbt, database: Path, tables: dict[str, pa.Table], as_of: date, folder: Path
) -> duckdb.DuckDBPyConnection:
    """The voice models over these rows; everything else of the toy company is emptied."""
    with open_build(database, read_only=False) as con:
        con.execute("update landing.run_context set as_of = ?", [as_of])
        for name, rows in tables.items():
            con.register("rows_of_company", rows)
            con.execute(
                f"""create or replace table marts.{name} as
                select {FILLED[name]} from rows_of_company"""
            )
            con.unregister("rows_of_company")
        con.execute(
            """create or replace table marts.fct_customer_months as
            select customer_id, order_month as month_on, count(*)::integer as count_orders
            from marts.fct_orders group by all"""
        )
        con.execute(
            """create or replace table marts.customer_lifecycle as
            select customer_id, date_trunc('month', $1)::date as month_on,
                $1 - min(ordered_on) as tenure_days
            from marts.fct_orders group by customer_id""",
            [as_of],
        )
        con.execute("delete from marts.customer_segment_history")
    dbt("build", *WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test", "--select", *VOICE_MODELS)
    copy_build(database, folder / "build.duckdb")
    return open_build(folder / "build.duckdb")


def shuffled(answers: pa.Table, seed: int) -> pa.Table:
    """The same scores of every question, each given to another response."""
    draws = np.random.default_rng(seed)
    questions = np.array(answers["question_code"].to_pylist())
    scores = np.array(answers["score"].to_pylist())
    for question in sorted(set(questions.tolist())):
        rows = np.flatnonzero(questions == question)
        scores[rows] = draws.permutation(scores[rows])
    return answers.set_column(answers.column_names.index("score"), "score", pa.array(scores))


@pytest.fixture(scope="module")
def marts(
    dbt: Dbt,
    first_build: Path,
    database: Path,
    company: tuple[World, Chunk],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, duckdb.DuckDBPyConnection]]:
    """The marts of the company as it is, and of its shuffled copy."""
    world, chunk = company
    tables, as_of = facts(world, chunk), day_date(world.end) + timedelta(days=1)
    built = {}
    for name in ("as it is", "shuffled"):
        if name == "shuffled":
            tables = {
                **tables,
                "fct_survey_responses": shuffled(tables["fct_survey_responses"], seed=20260630),
            }
        copy_build(first_build, database)
        built[name] = build(dbt, database, tables, as_of, tmp_path_factory.mktemp("voice"))
    yield built
    for con in built.values():
        con.close()


DRIVERS = "select question_code from marts.satisfaction_drivers where is_driver"
CHANGES = """
    select dimension, member, measure, trend_change from marts.customer_satisfaction
    where is_trend_significant and dimension <> 'customer'
        and month_on = (select max(month_on) from marts.customer_satisfaction)"""


def test_the_driver_is_found(marts: dict[str, duckdb.DuckDBPyConnection]) -> None:
    """It stands first by effect, clear of the item that has no effect of its own."""
    found = (
        marts["as it is"]
        .execute(
            """select question_code, effect, low, high, is_driver
            from marts.satisfaction_drivers order by effect desc"""
        )
        .fetchall()
    )
    items = {row[0]: row for row in found}
    assert found[0][0] == DRIVER_ITEM
    assert found[0][4]
    assert items[DRIVER_ITEM][2] > items["csat_price"][3], "the intervals do not touch"


def test_the_failing_product_line_is_found(
    marts: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    """And no other product line is said to have got worse."""
    found = marts["as it is"].execute(CHANGES).fetchall()
    worse = {
        (member, measure)
        for dimension, member, measure, change in found
        if dimension == "product_category" and change < 0
    }
    assert worse == {(FAILING_CATEGORY, "nps"), (FAILING_CATEGORY, "csat")}


def test_the_churning_segment_is_found(marts: dict[str, duckdb.DuckDBPyConnection]) -> None:
    """Traders come back least often, and more of them than chance allows are gone: of the customers
    of old they bought on no day of the year that can be judged.
    """
    found = (
        marts["as it is"]
        .execute(
            """select customers.customer_type,
                sum(count_repurchased) / sum(count_purchases_judged) as rate,
                count(*) filter (where tenure_days > 455) as count_old,
                count(*) filter (where tenure_days > 455 and count_purchases_judged = 0)
                    as count_gone
            from marts.loyalty as loyalty
            inner join marts.dim_customers as customers using (customer_id)
            group by all"""
        )
        .fetchall()
    )
    rates = {kind: rate for kind, rate, _, _ in found}
    assert min(rates, key=lambda kind: float(rates[kind])) == "trader"
    old, gone = (
        {kind: row[place] for kind, *row in found} for place in (1, 2)
    )  # fmt: skip
    traders, others = old["trader"], sum(old.values()) - old["trader"]
    share = sum(gone.values()) / sum(old.values())
    difference = gone["trader"] / traders - (sum(gone.values()) - gone["trader"]) / others
    error = (share * (1 - share) * (1 / traders + 1 / others)) ** 0.5
    assert difference / error > 2.5


def test_nothing_is_found_in_shuffled_scores(
    marts: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    judged = marts["shuffled"].execute(
        "select count(*) from marts.satisfaction_drivers where status = 'known'"
    )
    assert judged.fetchall()[0][0] >= 10
    assert marts["shuffled"].execute(DRIVERS).fetchall() == []
    tested = marts["shuffled"].execute(
        """select count(*) from marts.customer_satisfaction
        where trend_p_value is not null and dimension <> 'customer'
            and month_on = (select max(month_on) from marts.customer_satisfaction)"""
    )
    assert tested.fetchall()[0][0] >= 20
    assert marts["shuffled"].execute(CHANGES).fetchall() == []


def test_who_was_not_asked_is_null_with_a_reason(
    marts: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    found = marts["as it is"].execute(
        """select distinct status from marts.customer_satisfaction
        where value_12_months is null and shrunk_value is null and n_12_months = 0"""
    )
    assert {status for (status,) in found.fetchall()} == {"none_yet", "not_asked"}
