"""The value models between tables: who is promoted, refused, in force on which day, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from customer_marts.clv.books import Book
from customer_marts.clv.coding import Coding
from customer_marts.clv.fitting import FitStatus
from customer_marts.clv.forecasts import ForecastRules, purchase_interval
from customer_marts.clv.gammagamma import fit_gammagamma
from customer_marts.clv.holdouts import PurchaseFit
from customer_marts.clv.margin_refit import MarginFit, Margins, _holds
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd
from customer_marts.clv.model_tables import forecast_table, model_runs, renewal_table
from customer_marts.errors import ConfigurationError
from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun
from tests.clv.simulated import coin_days

DAYS, HOLDOUT = 1460, 365
AS_OF = date(2026, 1, 1)
PARAMETERS = {
    "discount_rate": 0.1,
    "days_12_months": 365,
    "days_36_months": 1095,
    "interval_level": 0.8,
    "next_purchase_level": 0.5,
    "alive_at_least": 0.3,
    "refit_days": 7,
    "repeat_buyers_at_least": 10,
    "test_repeat_buyers_at_least": 30,
    "promote_maximum_bias": 0.1,
    "promote_maximum_mae_loss": 0.02,
    "margins_at_least": 10,
    "renewals_at_least": 30,
    "covariate_customers_at_least": 50,
    "covariate_minimum_mae_gain": 0.01,
}
# 200 runs over two ends, 100 of them lost at the first
CONTRACTS = """
    select 1 as first_year_no, 1 + cast(number >= 100 as integer) * 2 as last_year_no,
        2 as complete_years
    from range(200) as runs(number)
"""
SPOT = {"k": 1, "r": 3.0, "alpha": 100.0, "a": 0.8, "b": 6.0}
CONTRACT = {"k": 4, "r": 6.0, "alpha": 30.0, "a": 0.6, "b": 12.0}
# What int_clv_histories does, of purchase days told as (type, customer, day).
HISTORIES = f"""
    create or replace table histories as
    with spread as (
        select *, ln(day - lag(day) over (partition by customer_id order by day)) as log_gap
        from purchase_days
    ),
    origins as (
        select no as origin_no, {DAYS} - no * {HOLDOUT} as origin from range(3) as numbers(no)
    )
    select
        customer_id, sale_type, industry, region, size_class,
        cast(origin_no as integer) as origin_no,
        date '{AS_OF}' - cast(origin_no * {HOLDOUT} as integer) as origin_on,
        {HOLDOUT} as holdout_days,
        cast(count(*) filter (day < origin) - 1 as integer) as repeats,
        cast(max(day) filter (day < origin) - min(day) as integer) as last_at_days,
        cast(origin - min(day) as integer) as age_days,
        coalesce(sum(cast(log_gap as decimal(18, 12))) filter (day < origin), 0) as log_gap_sum,
        cast(count(*) filter (day >= origin and day < origin + {HOLDOUT}) as integer)
            as holdout_purchases,
        cast(count(*) filter (day < origin) as integer) as value_purchases,
        avg(value) filter (day < origin) as value_mean,
        var_samp(value) filter (day < origin) as value_variance,
        cast(null as double) as revenue_mean,
        cast(count(*) filter (day >= origin and day < origin + {HOLDOUT}) as integer)
            as holdout_value_purchases,
        avg(value) filter (day >= origin and day < origin + {HOLDOUT}) as holdout_value_mean
    from spread cross join origins
    group by customer_id, sale_type, industry, region, size_class, origin_no, origin
    having count(*) filter (day < origin) > 0
"""


@pytest.fixture(scope="module")
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    """A book of 320 contract and 400 spot buyers, whose categories say nothing of them."""
    with duckdb.connect() as connection:
        rows = [
            (kind, f"{kind}-{number}", day, ("east", "west")[number % 2])
            for kind, seed, number_of, world in (
                ("contract", 1, 320, CONTRACT),
                ("spot", 8, 400, SPOT),
            )
            for number, day in coin_days(number_of, days=DAYS, seed=seed, **world)  # type: ignore[arg-type]
        ]
        put(connection, rows)
        yield connection


def put(connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, str, int, str]]) -> None:
    """The tables a refit reads, of (sale type, customer, day of a purchase, region)."""
    columns = zip(
        ("sale_type", "customer_id", "day", "region"), zip(*rows, strict=True), strict=True
    )
    told = {name: list(values) for name, values in columns}
    table = connection.from_arrow(pa.table(told))
    # a customer's own mean, and around it the luck of the day
    value = "200 + 10 * (hash(customer_id) % 11) + 30 * (hash(customer_id || day) % 13)"
    table.project(
        f"*, 'unknown' as industry, 'small' as size_class, cast({value} as double) as value"
    ).create("purchase_days")
    connection.execute(HISTORIES)
    connection.execute(
        f"""
        create table tracking as
        select histories.sale_type, histories.origin_no,
            cast(floor((day - ({DAYS} - origin_no * {HOLDOUT})) / 30.0) + 1 as integer)
                as month_no,
            cast(count(*) as integer) as count_repeats
        from histories inner join purchase_days using (customer_id)
        where origin_no > 0 and day < {DAYS} - (origin_no - 1) * {HOLDOUT}
            and day > {DAYS} - origin_no * {HOLDOUT} - age_days
        group by histories.sale_type, origin_no, month_no
        """
    )


def runs_of(
    session: Any,
    known: Sequence[ModelRun] = (),
    as_of: date = AS_OF,
    *,
    is_refit: bool = False,
    sequence: int = 1,
    where: str = "true",
    **changed: float,
) -> list[dict[str, Any]]:
    """What model_runs gives for the book and the fits that came with the parent release."""
    kinds = ", ".join(f"{name} {kind}" for name, kind in MODEL_RUN_COLUMNS.items())
    session.execute(f"create or replace table known ({kinds})")
    for run in known:
        values = [getattr(run, name) for name in MODEL_RUN_COLUMNS]
        session.execute(f"insert into known values ({', '.join('?' * len(values))})", values)
    context = session.sql(
        f"select date '{as_of}' as as_of, {is_refit} as is_refit, 'r' as release_id, "
        f"cast({sequence} as integer) as release_sequence"
    )
    found = model_runs(
        session.sql("from known"),
        context,
        session.sql(f"from histories where {where}"),
        session.sql("from tracking"),
        session.sql(CONTRACTS),
        parameters_of(session, **changed),
    )
    return list(found.to_pylist())


def parameters_of(session: Any, **changed: float) -> Any:
    given = PARAMETERS | changed
    return session.from_arrow(
        pa.table({"parameter": list(given), "value": [float(each) for each in given.values()]})
    )


def forecasts_of(session: Any, runs: list[dict[str, Any]], where: str = "true") -> list[Any]:
    session.from_arrow(pa.Table.from_pylist(runs)).create_view("scored", replace=True)
    found = forecast_table(
        session.sql("from scored"),
        session.sql(f"from histories where {where}"),
        parameters_of(session),
    )
    return list(found.to_pylist())


def as_run(row: dict[str, Any]) -> ModelRun:
    return ModelRun(**{name: row[name] for name in MODEL_RUN_COLUMNS})


def named(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in rows}


@pytest.fixture(scope="module")
def first(session: Any) -> list[dict[str, Any]]:
    return runs_of(session)


def test_the_first_run_finds_the_worlds_it_was_simulated_from(first: list[dict[str, Any]]) -> None:
    for sale_type, world in (("contract", CONTRACT), ("spot", SPOT)):
        run = named(first)[f"clv_purchases_{sale_type}"]
        assert run["is_in_force"], run["verdict_en"]
        assert run["is_scoring"]
        assert run["fit_status"] == "ok"
        made = PurchaseFit.from_json(run["artefact"])
        candidate, fit = made.candidate, made.fit
        if sale_type == "contract":
            assert candidate == "mbg_cnbd_k"
            assert isinstance(fit.model, MbgCnbdK)
            assert abs(fit.model.k - world["k"]) <= 1
        # purchases a day of a customer who stays, and the mean chance to leave
        if isinstance(fit.model, MbgCnbdK):
            rate = fit.model.r / fit.model.alpha / fit.model.k
            assert rate == pytest.approx(world["r"] / world["alpha"] / world["k"], rel=0.15)
            leaves = fit.model.a / (fit.model.a + fit.model.b)
            assert leaves == pytest.approx(world["a"] / (world["a"] + world["b"]), rel=0.3)


def test_what_is_doubted_is_the_same_in_both_languages() -> None:
    chance = np.random.default_rng(1)
    purchases = chance.integers(1, 30, 500).astype(float)
    mean = chance.gamma(6, 100, 500) + 100 * purchases
    held = _holds(fit_gammagamma(purchases, mean).reasons, -0.09, 100, 0)
    # how wide p, q and gamma are known hangs on the last digits of the likelihood
    pairs = zip(
        held.text_en.removeprefix("Gamma-Gamma does not hold: ").split("; "),
        held.text_zh.removeprefix("Gamma-Gamma假设不成立:").split("、"),
        strict=True,
    )
    for text_en, text_zh in pairs:
        if "factor" in text_en:
            name, factor = text_en.split()[0], text_en.split()[-1]
            assert text_zh == f"参数 {name} 的误差达 {factor} 倍"
        else:
            assert text_en == "frequency and value correlate by 0.96, more than 0.3"
            assert text_zh == "购买频率与毛利相关系数 0.96,超过 0.3"


def test_margins_are_held_against_what_purchases_brought(first: list[dict[str, Any]]) -> None:
    for sale_type in ("contract", "spot"):
        run = named(first)[f"clv_margin_{sale_type}"]
        assert run["is_in_force"], run["verdict_en"]
        assert "beats both naive rules, bias" in run["verdict_en"]
        assert ("Gamma-Gamma does not hold" in run["verdict_en"]) == (run["fit_status"] != "ok")
        assert "启用" in run["verdict_zh"]
        told = json.loads(run["measures"])
        assert told["origins"] == 2
        assert abs(told["bias"]) < 0.1
        for test in told["tests"]:
            assert {"shrunken_mean", "naive_mean", "naive_own_mean"} <= {
                other["candidate"]
                for other in told["tests"]
                if other["origin_on"] == test["origin_on"]
            }
        made = MarginFit.from_json(run["artefact"])
        assert made.to_json() == run["artefact"]
        assert made.credibility.mean == pytest.approx(430, rel=0.1)


def test_margins_that_moved_are_refused_and_give_provisional_figures(
    session: Any, first: list[dict[str, Any]]
) -> None:
    session.execute("create or replace table kept as from histories")
    session.execute("update histories set holdout_value_mean = 1.5 * holdout_value_mean")
    run = named(runs_of(session))["clv_margin_spot"]
    session.execute("create or replace table histories as from kept")
    assert (run["is_promoted"], run["is_scoring"]) == (False, True)
    assert "beyond ±10%" in run["verdict_en"]
    assert "偏差" in run["verdict_zh"]
    # the margins it expects are those of before: only what came after them differs
    before = MarginFit.from_json(named(first)["clv_margin_spot"]["artefact"])
    assert MarginFit.from_json(run["artefact"]).credibility == before.credibility


def test_margins_of_known_cost_are_rates_of_the_customers_own_revenue(
    session: Any, first: list[dict[str, Any]]
) -> None:
    """Customers earned 4, 5 or 6 % of their revenue by chance: in the year held out all earn 5."""
    session.execute("create or replace table kept as from histories")
    session.execute(
        "update histories set revenue_mean = value_mean / (.04 + .01 * (hash(customer_id) % 3))"
    )
    session.execute("update histories set holdout_value_mean = .05 * revenue_mean")
    rows = runs_of(session, [as_run(row) for row in first], AS_OF + timedelta(7), is_refit=True)
    session.execute("create or replace table histories as from kept")
    run = [row for row in rows if row["model"] == "clv_margin_spot"][-1]
    told = json.loads(run["measures"])
    # what is fitted in money is measured beside
    told_of = {row["candidate"] for row in told["tests"]}
    assert {"shrunken_rate", "shrunken_mean", "champion"} <= told_of
    made = MarginFit.from_json(run["artefact"])
    assert made.credibility.mean == pytest.approx(0.05, rel=0.1)
    rate = f"{made.credibility.mean:.1%}"
    assert f"margins as rates of revenue, over 400 customers {rate} of it" in run["verdict_en"]
    assert f"400 个客户整体为 {rate}" in run["verdict_zh"]
    assert made.candidate == "shrunken_rate"
    assert made.to_json() == run["artefact"]
    # a purchase of 100 that earned 6, of 10,000 that earned 600, many of these, and none known
    margins = Margins(
        np.array([1.0, 1.0, 10_000.0, 0.0]),
        np.array([6.0, 600.0, 600.0, 0.0]),
        np.zeros(4),
        np.array([100.0, 10_000.0, 10_000.0, 200.0]),
    )
    small, large, known, unknown = made.expected(margins).tolist()
    assert 100 * made.credibility.mean < small < 6
    assert large == pytest.approx(100 * small)
    assert known == pytest.approx(600, rel=0.01)
    assert unknown == pytest.approx(200 * made.credibility.mean)


def test_a_champion_of_margins_is_measured_beside(
    session: Any, first: list[dict[str, Any]]
) -> None:
    rows = runs_of(
        session,
        [as_run(row) for row in first],
        AS_OF + timedelta(7),
        is_refit=True,
        sequence=2,
        promote_maximum_mae_loss=-0.5,
    )
    refused = [row for row in rows if row["model"] == "clv_margin_spot"][-1]
    assert not refused["is_promoted"]
    assert "of the champion" in refused["verdict_en"]
    candidates = {row["candidate"] for row in json.loads(refused["measures"])["tests"]}
    assert "champion" in candidates


def test_margins_without_a_holdout_are_provisional(session: Any) -> None:
    run = named(runs_of(session, where="origin_no = 0"))["clv_margin_spot"]
    assert (run["is_promoted"], run["is_scoring"]) == (False, True)
    assert "there is no backtest" in run["verdict_en"]


def test_between_fits_nothing_is_fitted(session: Any, first: list[dict[str, Any]]) -> None:
    known = [as_run(row) for row in first]
    assert runs_of(session, known, AS_OF + timedelta(1), sequence=2) == first
    too_soon = AS_OF + timedelta(6)
    assert runs_of(session, known, too_soon, is_refit=True, sequence=2) == first
    # a model that came later is fitted at once
    before = [run for run in known if run.model != "clv_renewals_contract"]
    rows = runs_of(session, before, AS_OF + timedelta(1), sequence=2)
    assert named(rows)["clv_renewals_contract"]["release_sequence"] == 2


def test_a_refused_challenger_keeps_the_champion(session: Any, first: list[dict[str, Any]]) -> None:
    later = AS_OF + timedelta(7)
    rows = runs_of(
        session,
        [as_run(row) for row in first],
        later,
        is_refit=True,
        sequence=2,
        promote_maximum_bias=0.0,
    )
    purchases = [row for row in rows if row["model"] == "clv_purchases_spot"]
    assert [(row["is_promoted"], row["is_in_force"], row["is_scoring"]) for row in purchases] == [
        (True, True, True),
        (False, False, False),
    ]
    assert purchases[1]["verdict_en"].startswith("Refused: ")
    assert "bias" in purchases[1]["verdict_en"]
    assert "偏差" in purchases[1]["verdict_zh"]
    assert '"candidate": "champion"' in purchases[1]["measures"]


def test_a_challenger_worse_than_the_champion_is_refused_though_sound(
    session: Any, first: list[dict[str, Any]]
) -> None:
    rows = runs_of(
        session,
        [as_run(row) for row in first],
        AS_OF + timedelta(7),
        is_refit=True,
        sequence=2,
        promote_maximum_mae_loss=-0.5,
    )
    refused = [row for row in rows if row["model"] == "clv_purchases_spot"][-1]
    assert not refused["is_promoted"]
    assert "of the champion" in refused["verdict_en"]
    assert "beyond" not in refused["verdict_en"]


def test_a_past_day_is_scored_by_the_fit_in_force_then(
    session: Any, first: list[dict[str, Any]]
) -> None:
    known = [as_run(row) for row in first]
    later = [
        ModelRun(**{**row.__dict__, "version": "later", "fitted_as_of": AS_OF + timedelta(30)})
        for row in known
    ]
    for as_of, version in ((AS_OF + timedelta(29), None), (AS_OF + timedelta(30), "later")):
        rows = runs_of(session, known + later, as_of, sequence=9)
        scoring = [row for row in rows if row["is_scoring"]]
        assert len(scoring) == 5
        assert {row["version"] == "later" for row in scoring} == {version == "later"}


def test_a_customer_alone_is_forecast_as_among_all(
    session: Any, first: list[dict[str, Any]]
) -> None:
    everybody = forecasts_of(session, first)
    key = ("sale_type", "repeats", "last_at_days", "age_days")
    picked = everybody[:: len(everybody) // 5]
    assert {row["sale_type"] for row in picked} == {"contract", "spot"}
    for row in picked:
        where = " and ".join(f"{name} = '{row[name]}'" for name in key)
        (alone,) = forecasts_of(session, first, where)
        for name, value in row.items():
            if isinstance(value, float):
                assert alone[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
            else:
                assert alone[name] == value, name


def test_forecasts_are_in_order(session: Any, first: list[dict[str, Any]]) -> None:
    for row in forecasts_of(session, first):
        assert 0 <= row["probability_alive"] <= 1
        assert 0 <= row["discounted_purchases_12_months"] <= row["expected_purchases_12_months"]
        assert row["expected_purchases_12_months"] <= row["expected_purchases_36_months"]
        for horizon in ("12_months", "36_months"):
            assert (
                row[f"purchases_low_rate_{horizon}"] <= 1 <= row[f"purchases_high_rate_{horizon}"]
            )
        is_awaited = row["probability_alive"] >= PARAMETERS["alive_at_least"]
        assert (row["next_purchase_from_days"] is not None) == is_awaited
        if is_awaited:
            assert row["next_purchase_from_days"] <= row["next_purchase_until_days"]


def test_too_small_a_book_forecasts_nothing_and_says_why(session: Any) -> None:
    rows = runs_of(session, where="sale_type = 'spot' and age_days > 1450")
    run = named(rows)["clv_purchases_spot"]
    assert (run["fit_status"], run["artefact"], run["is_scoring"]) == ("too_few", None, False)
    assert "10 are needed" in run["verdict_en"]
    assert forecasts_of(session, rows) == []


def test_without_a_backtest_the_figures_are_provisional(session: Any) -> None:
    rows = runs_of(session, where="origin_no = 0 and age_days > 1100")
    run = named(rows)["clv_purchases_spot"]
    assert (run["is_promoted"], run["is_in_force"], run["is_scoring"]) == (False, False, True)
    assert run["fit_status"] in set(FitStatus)
    assert "there is no backtest" in run["verdict_en"]
    assert "没有可用的回测" in run["verdict_zh"]
    told = forecasts_of(session, rows)
    assert told
    assert not any(row["is_promoted"] for row in told)


@pytest.fixture(scope="module")
def two_regions() -> Iterator[duckdb.DuckDBPyConnection]:
    """700 spot buyers: those of the east buy four times as often and leave less."""
    east = SPOT | {"alpha": SPOT["alpha"] / 4, "a": SPOT["a"] / 2}
    worlds = (("east", 350, east, 21), ("west", 340, SPOT, 22), ("north", 10, SPOT, 23))
    with duckdb.connect() as connection:
        rows = [
            ("spot", f"{region}-{number}", day, region)
            for region, number_of, world, seed in worlds
            for number, day in coin_days(number_of, days=DAYS, seed=seed, **world)  # type: ignore[arg-type]
        ]
        put(connection, rows)
        yield connection


@pytest.fixture(scope="module")
def with_regions(two_regions: Any) -> list[dict[str, Any]]:
    return runs_of(two_regions)


def test_a_covariate_that_matters_is_promoted_and_lowers_the_error(
    with_regions: list[dict[str, Any]],
) -> None:
    run = named(with_regions)["clv_purchases_spot"]
    assert run["is_in_force"], run["verdict_en"]
    assert "covariates region: MAE with / without" in run["verdict_en"]
    assert "协变量region" in run["verdict_zh"]
    made = PurchaseFit.from_json(run["artefact"])
    assert made.candidate.endswith("_covariates")
    # the ten of the north are too few for an effect of their own
    assert made.coding == Coding({"region": "east"}, {"region": ("west",)})
    assert made.coding.row({"region": "nowhere seen before"}).tolist() == [0.0]
    assert PurchaseFit.from_json(made.to_json()) == made
    # the west buys at a quarter of the rate
    assert made.fit.model.effects["alpha"][0] == pytest.approx(np.log(4), abs=0.35)
    told = json.loads(run["measures"])
    assert told["covariates"]["used"] == ["region"]
    assert told["covariates"]["mae"] < 0.99 * told["covariates"]["plain_mae"]
    assert told["mae"] == told["covariates"]["mae"]
    curves = {point["candidate"] for point in told["curves"]}
    assert curves == {made.candidate}


def test_covariates_that_say_nothing_are_refused_and_the_run_says_so(
    first: list[dict[str, Any]],
) -> None:
    for sale_type in ("contract", "spot"):
        run = named(first)[f"clv_purchases_{sale_type}"]
        assert (
            "covariates refused: none tells buyers apart (Wald statistic region"
            in (run["verdict_en"])
        )
        assert "协变量未采用" in run["verdict_zh"]
        assert json.loads(run["measures"])["covariates"]["used"] == []


def test_covariates_that_gain_less_than_the_margin_are_refused(two_regions: Any) -> None:
    run = named(runs_of(two_regions, covariate_minimum_mae_gain=0.9))["clv_purchases_spot"]
    assert "covariates refused: region: MAE with / without" in run["verdict_en"]
    assert "90% less needed" in run["verdict_en"]
    told = json.loads(run["measures"])
    candidates = {row["candidate"] for row in told["tests"]}
    # what was refused is told beside the rest
    assert f"{told['candidate']}_covariates" in candidates


def test_small_categories_leave_nothing_to_tell_apart(two_regions: Any) -> None:
    run = named(runs_of(two_regions, covariate_customers_at_least=1000))["clv_purchases_spot"]
    assert "no covariate has two categories of 1000 customers" in run["verdict_en"]


def test_a_customer_is_forecast_by_its_category_alone_as_among_all(
    two_regions: Any, with_regions: list[dict[str, Any]]
) -> None:
    everybody = forecasts_of(two_regions, with_regions)
    assert {row["region"] for row in everybody} == {"east", "west", "north"}
    assert {row["industry"] for row in everybody} == {None}
    for row in everybody[:: len(everybody) // 5]:
        (alone,) = forecasts_of(
            two_regions,
            with_regions,
            f"region = '{row['region']}' and repeats = {row['repeats']}"
            f" and last_at_days = {row['last_at_days']} and age_days = {row['age_days']}",
        )
        for name, value in row.items():
            if isinstance(value, float):
                assert alone[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
            else:
                assert alone[name] == value, name


def test_a_refit_judges_a_champion_with_covariates(
    two_regions: Any, with_regions: list[dict[str, Any]]
) -> None:
    rows = runs_of(
        two_regions,
        [as_run(row) for row in with_regions],
        AS_OF + timedelta(7),
        is_refit=True,
        sequence=2,
    )
    (later,) = [
        row for row in rows if row["model"] == "clv_purchases_spot" and row["release_sequence"] == 2
    ]
    told = json.loads(later["measures"])
    errors = {
        name: [row["mae"] for row in told["tests"] if row["candidate"] == name]
        for name in ("champion", told["candidate"])
    }
    assert errors["champion"] == pytest.approx(errors[told["candidate"]], rel=0.02)


def test_at_least_four_in_five_numbers_lie_in_their_interval(session: Any) -> None:
    for sale_type in ("contract", "spot"):
        columns = session.sql(
            f"from histories where sale_type = '{sale_type}' and origin_no = 1 order by customer_id"
        ).fetchnumpy()
        x, last, age, bought = (
            np.asarray(columns[name], dtype=np.float64)
            for name in ("repeats", "last_at_days", "age_days", "holdout_purchases")
        )
        book = Book.of(x, last, age, log_gap_sum=columns["log_gap_sum"])
        fit = fit_mbgcnbd(book, (CONTRACT if sale_type == "contract" else SPOT)["k"])  # type: ignore[arg-type]
        low, high = purchase_interval(fit, x, last, age, HOLDOUT, 0.8)
        # whole numbers: an end between two of them takes in the next, hence more than four in five
        covered = (bought >= np.floor(low)) & (bought <= np.ceil(high))
        assert 0.8 <= covered.mean() <= 0.97


def test_renewals_are_fitted_beside_and_forecast_by_how_often_renewed(
    session: Any, first: list[dict[str, Any]]
) -> None:
    run = named(first)["clv_renewals_contract"]
    assert (run["is_promoted"], run["is_scoring"]) == (False, True)
    assert run["verdict_en"].startswith("Refused: no holdout: 0 contract years judged")
    session.from_arrow(pa.Table.from_pylist(first)).create_view("scored", replace=True)
    found = renewal_table(
        session.sql("from scored"), session.sql(CONTRACTS), parameters_of(session)
    ).to_pylist()
    assert [row["renewals"] for row in found] == [0, 2]
    once, thrice = found
    assert once["renewal_probability"] == pytest.approx(0.5, abs=0.1)
    assert once["renewal_probability"] < thrice["renewal_probability"]
    for row in found:
        assert not row["is_promoted"]
        assert row["model_version"] == run["version"]
        low, high = row["renewal_probability_low"], row["renewal_probability_high"]
        assert 0 < low < row["renewal_probability"] < high < 1


def test_an_absent_parameter_is_named(session: Any) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        ForecastRules.of({"discount_rate": 0.1})
