"""A simulated book: its card is promoted, a later challenger refused, the past stays the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from customer_marts.credit.scorecard import Scorecard
from customer_marts.warehouse import open_build
from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.landing_fixture import Landing

MODELS = (
    "--select",
    *("+credit_scores", "+rating_migration", "+credit_model_calibration"),
    *("+credit_population_drift", "+credit_model_runs"),
)
BEFORE, AFTER = date(2025, 6, 30), date(2026, 1, 31)
# Every customer buys each month from July 2023. Three in ten are careless: half their payments come
# 15 to 75 days late, and one in twelve 100 days; the others pay within a week. No random number.
BOOK = """
    create or replace temp table book as
    with customers as (
        select
            number,
            format('S{:03d}', number) as customer_id,
            number % 10 < 3 as is_careless
        from range(240) as numbers(number)
    ),
    documents as (
        select
            *,
            format('{}-{:02d}', customer_id, month) as invoice_id,
            cast(
                date '2023-07-03' + to_months(month::integer) + to_days((number % 20)::integer)
                as date
            ) as invoiced_on,
            10000 * (1 + number % 7) as amount,
            (number * 7919 + month * 104729 + number * month * 31) % 1009 as chance
        from customers, range(31) as months(month)
    )
    select
        *,
        cast(invoiced_on + 30 as date) as due_on,
        cast(invoiced_on + 30 + (case
            when is_careless and chance < 84 then 100
            when is_careless and chance < 540 then 15 + chance % 60
            else chance % 8 - 1
        end)::integer as date) as received_on
    from documents
"""
INVOICES = """
    insert into landing.invoices by name
    select
        invoice_id, customer_id, customer_id as _customer_id, invoiced_on, due_on, amount,
        0 as tax, 'CNY' as currency, 'invoice' as kind, false as is_deleted,
        {sequence} as _changed_in
    from book where invoiced_on between ? and ?
"""
PAYMENTS = """
    insert into landing.payments by name
    select
        invoice_id || '-p' as payment_id, customer_id, customer_id as _customer_id,
        cast(received_on as timestamp) + interval 4 hour as received_at, received_on, amount,
        'CNY' as currency, 'transfer' as method, 'receipt' as kind, invoice_id as reference,
        false as is_deleted, {sequence} as _changed_in
    from book where received_on between ? and ?
"""
PANEL = """
    select * from intermediate.int_credit_months
    where month_on <= date '2025-06-01' order by customer_id, month_on
"""


def land(landing: Landing, first: date, last: date) -> None:
    """What was invoiced and paid in a span of days."""
    with duckdb.connect(str(landing.path)) as con:
        con.execute(BOOK)
        for statement in (INVOICES, PAYMENTS):
            con.execute(statement.format(sequence=landing.sequence), [first, last])
    landing.put("invoices", [])


def read(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_build(database) as con:
        return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def landing(database: Path) -> Landing:
    return Landing(database, without_feeds=["orders", "order_lines", "complaints"])


@pytest.fixture(scope="module")
def built(
    dbt: Dbt, database: Path, landing: Landing
) -> Iterator[tuple[Path, list[tuple[Any, ...]], tuple[Any, ...]]]:
    """Two releases of the book; the panel and the fit of the first, the file of the second."""
    landing.begin_release(BEFORE)
    land(landing, date(2023, 1, 1), BEFORE)
    dbt("build", *WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test", *MODELS)
    panel = read(database, PANEL)
    (fit,) = read(database, "select version, is_promoted, is_in_force from marts.credit_model_runs")

    landing.begin_release(AFTER, is_refit=True)
    land(landing, BEFORE + timedelta(days=1), AFTER)
    # a limit that no card reaches: the challenger must be refused
    landing.execute(
        "update seeds.credit_scorecard_parameters set value = 1"
        " where parameter = 'promote_minimum_auc'"
    )
    dbt("run", *MODELS)
    yield database, panel, fit
    database.unlink()


Built = tuple[Path, list[tuple[Any, ...]], tuple[Any, ...]]


def test_the_first_card_is_promoted_and_a_refused_one_leaves_it_in_force(built: Built) -> None:
    database, _, (version, is_promoted, is_in_force) = built
    assert (is_promoted, is_in_force) == (True, True)
    first, second = read(
        database,
        """
        select version, is_promoted, is_in_force, fitted_as_of, auc_rate, verdict_en,
            champion_version
        from marts.credit_model_runs order by release_sequence
        """,
    )
    assert first[:4] == (version, True, True, BEFORE)
    assert first[4] > 0.65
    assert second[1:4] == (False, False, AFTER)
    assert "at least 1 needed" in second[5]
    assert second[6] == version
    versions = read(database, "select distinct model_version from marts.credit_scores")
    assert set(versions) <= {(version,), (None,)}


def test_later_rows_leave_the_months_before_as_they_were(built: Built) -> None:
    database, before, _ = built
    after = read(database, PANEL)
    assert len(before) == 240 * 24
    assert after == before
    # the outcomes, of course, have become known: from October 2023 to January 2025
    known = read(
        database,
        """
        select min(month_no), max(month_no), bool_or(is_default), bool_and(is_default)
        from intermediate.int_credit_observations
        """,
    )
    assert known == [(-15, 0, True, False)]


def test_a_customer_alone_scores_what_it_scores_among_all(built: Built) -> None:
    """The SQL of the mart gives the points that the saved card gives each customer by itself."""
    database, _, _ = built
    ((artefact,),) = read(
        database, "select artefact from marts.credit_model_runs where is_in_force"
    )
    card = Scorecard.from_json(artefact)
    columns = ", ".join(f"int_credit_months.{name}" for name in card.names)
    rows = read(
        database,
        f"""
        select credit_scores.score, credit_scores.pd_probability, reason_code_1, points_lost_1,
            reason_code_2, points_lost_2, {columns}
        from marts.credit_scores
        inner join intermediate.int_credit_months using (customer_id)
        where month_on = date '2026-01-01' and score_basis = 'scorecard'
        """,
    )
    assert len(rows) > 150
    for score, probability, code_1, lost_1, code_2, lost_2, *values in rows:
        alone = card.score(
            {
                name: np.array([value], dtype=object if isinstance(value, str) else float)
                for name, value in zip(card.names, values, strict=True)
            }
        )
        assert alone.score[0] == score
        assert probability == pytest.approx(alone.probability[0], rel=1e-12)
        reasons = [pair for pair in ((code_1, lost_1), (code_2, lost_2)) if pair[1] is not None]
        # the mart leaves out what costs points but is no worse than the book
        every = list(alone.reason_codes(len(card.names))[0])
        assert [pair for pair in every if pair in reasons] == reasons


def test_careless_payers_get_worse_grades(built: Built) -> None:
    database, _, _ = built
    rows = read(
        database,
        """
        select cast(substr(customer_id, 4, 1) as integer) < 3 as is_careless, avg(grade_order)
        from marts.credit_scores group by 1 order by 1
        """,
    )
    assert rows[0][1] + 1 < rows[1][1]


def test_calibration_and_drift_are_those_of_the_fits(built: Built) -> None:
    database, _, (version, _, _) = built
    bands = read(
        database,
        """
        select release_sequence, sum(count_rows), sum(count_defaults)
        from marts.credit_model_calibration group by 1 order by 1
        """,
    )
    measured = read(
        database, "select release_sequence, measures from marts.credit_model_runs order by 1"
    )
    assert bands == [
        (sequence, found["holdout_rows"], found["holdout_defaults"])
        for sequence, found in ((row[0], json.loads(row[1])) for row in measured)
    ]
    drift = read(
        database,
        """
        select distinct version, drift_status, abs(psi - total) < 1e-12 from (
            select *, sum(psi_part) over () as total from marts.credit_population_drift
        )
        """,
    )
    assert len(drift) == 1
    assert drift[0][0] == version
    assert drift[0][2]


def test_the_months_go_on_by_the_card_in_force_and_are_scored_anew_by_another(
    dbt: Dbt, landing: Landing, built: Built
) -> None:
    """A day on by the same card, and by a new one in the same month: as after a rebuild each."""
    database, _, (version, _, _) = built
    scores = """
        select * from intermediate.int_credit_scores order by customer_id, month_on
    """

    def score(as_of: date, *, is_refit: bool) -> list[tuple[Any, ...]]:
        landing.begin_release(as_of, is_refit=is_refit)
        land(landing, as_of, as_of)
        dbt("run", *MODELS)
        incremented = read(database, scores)
        landing.execute("update landing.run_context set is_rebuild = true")
        dbt("run", *MODELS)
        assert read(database, scores) == incremented
        return read(
            database,
            """
            select distinct model_version from intermediate.int_credit_scores
            where model_version is not null
            """,
        )

    assert score(AFTER + timedelta(days=1), is_refit=False) == [(version,)]
    # limits that any card keeps
    landing.execute(
        """
        update seeds.credit_scorecard_parameters set value = case parameter
            when 'promote_minimum_defaults' then 1
            when 'promote_minimum_expected_to_observed' then 0.01
            when 'promote_minimum_auc' then 0
            else 100
        end
        where parameter like 'promote_%'
        """
    )
    ((later,),) = score(AFTER + timedelta(days=28), is_refit=True)
    assert later != version
