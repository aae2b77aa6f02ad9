"""A challenger is judged on customers it has not seen, promoted or refused, and says why."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from customer_marts.credit.model_tables import model_runs, roll_rate_probabilities
from customer_marts.credit.refit import (
    Observations,
    Refit,
    RefitRules,
    calibration_slope,
    fit_explainable,
    held_out,
    refit,
)
from customer_marts.credit.scorecard import Scorecard
from customer_marts.credit.scorecard_fit import FitStatus
from customer_marts.errors import ConfigurationError
from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun
from tests.credit.made_up import customers, rows_of

PARAMETERS = {
    "points_to_double_odds": 20.0,
    "base_score": 600.0,
    "base_odds": 50.0,
    "refit_days": 28.0,
    "holdout_percent": 30.0,
    "cross_fit_folds": 5.0,
    "out_of_time_observations_at_least": 4.0,
    "minimum_defaults": 30.0,
    "minimum_iv": 0.02,
    "maximum_correlation": 0.7,
    "maximum_variables": 10.0,
    "ridge": 1.0,
    "maximum_bins": 5.0,
    "minimum_bin_share": 0.05,
    "minimum_bin_events": 10.0,
    "promote_minimum_defaults": 15.0,
    "promote_minimum_auc": 0.65,
    "promote_minimum_expected_to_observed": 0.7,
    "promote_maximum_expected_to_observed": 1.4,
    "promote_maximum_psi": 0.25,
    "promote_maximum_auc_loss": 0.01,
}
RULES = RefitRules.of(PARAMETERS)


def book(count: int = 4000, months: int = 5, seed: int = 7) -> Observations:
    """Each customer at one month end, the months taken in turns."""
    columns, default = customers(count, seed)
    names = np.array([f"C{number}" for number in range(count)], dtype=object)
    return Observations(names, np.arange(count) % months, default, columns)


@pytest.fixture(scope="module")
def champion() -> Refit:
    return refit(book(), None, RULES)


def test_a_card_that_ranks_unseen_customers_is_promoted(champion: Refit) -> None:
    assert champion.is_promoted
    assert champion.fit_status is FitStatus.OK
    assert champion.verdict_en.startswith("Promoted: ")
    assert champion.verdict_zh.startswith("启用:留出样本违约")
    measures = json.loads(champion.measures)
    # 30 of 100 customers, of the others those of the fifth month
    assert measures["holdout_rows"] == pytest.approx(1200, abs=90)
    assert measures["fit_rows"] == pytest.approx(4000 * 0.7 * 0.8, abs=90)
    assert measures["out_of_time_rows"] == 800
    assert measures["auc"] == pytest.approx(0.72, abs=0.06)
    assert measures["out_of_time_auc"] == pytest.approx(0.72, abs=0.08)
    assert sum(row["count_rows"] for row in measures["calibration"]) == measures["holdout_rows"]
    assert (
        sum(row["count_defaults"] for row in measures["calibration"])
        == (measures["holdout_defaults"])
    )


def test_a_worse_challenger_is_refused(champion: Refit) -> None:
    """Its defaults are dealt out at random among those it is fitted on: it learns nothing."""
    random = np.random.default_rng(3)
    good = book(seed=8)
    is_held = held_out(good.customer, 30)
    outcome = good.is_default.copy()
    outcome[~is_held] = random.permutation(outcome[~is_held])
    features = {**good.features, "late_days": -good.features["late_days"]}
    noisy = RefitRules.of({**PARAMETERS, "minimum_iv": 0.0})
    challenger = refit(
        Observations(good.customer, good.month, outcome, features), champion.card, noisy
    )
    assert challenger.fit_status is FitStatus.OK
    assert not challenger.is_promoted
    assert "AUC" in challenger.verdict_en
    assert challenger.verdict_en.startswith("Refused: ")
    assert challenger.verdict_zh.startswith("不启用:")
    assert champion.card is not None
    assert json.loads(challenger.measures)["champion_version"] == champion.card.version


def test_the_order_of_rows_and_columns_leaves_no_trace(champion: Refit) -> None:
    given = book()
    order = np.random.default_rng(1).permutation(len(given))
    features = dict(reversed(rows_of(dict(given.features), order).items()))
    again = refit(
        Observations(given.customer[order], given.month[order], given.is_default[order], features),
        None,
        RULES,
    )
    assert again == champion
    assert again.version == champion.version


def test_too_few_customers_that_defaulted_fit_nothing() -> None:
    """Thirty rows of one customer are one default, not thirty."""
    given = book(400)
    one = np.where(given.is_default, "C-late", given.customer)
    result = refit(
        Observations(one.astype(object), given.month, given.is_default, given.features), None, RULES
    )
    assert result.fit_status is FitStatus.TOO_FEW_DEFAULTS
    assert result.card is None
    assert not result.is_promoted
    assert "30 are needed" in result.verdict_en
    assert "至少需要 30 个" in result.verdict_zh
    assert len(result.version) == 16


def test_an_empty_book_fits_nothing() -> None:
    empty = book().of(np.zeros(4000, dtype=bool))
    assert refit(empty, None, RULES).fit_status is FitStatus.TOO_FEW_DEFAULTS


def test_a_large_book_needs_no_shrinkage() -> None:
    """Its slope is that of a model that holds for others as well."""
    slope = calibration_slope(book(20_000), RULES)
    assert slope == pytest.approx(1.0, abs=0.05)
    assert RULES.shrunk_by(1.3).options.shrinkage == 1.0


def test_a_fit_on_few_defaults_is_shrunk_and_foretells_others_better() -> None:
    """Thirty columns of noise beside what drives the risk, and fifty defaults: the fit believes
    some of the noise. Judged on ten thousand others, whose outcome it never saw.
    """
    random = np.random.default_rng(5)
    eager = RefitRules.of({**PARAMETERS, "minimum_iv": 0.0, "maximum_variables": 40.0})

    def noisy(given: Observations) -> Observations:
        noise = {f"noise_{at}": random.normal(size=len(given)) for at in range(30)}
        return Observations(
            given.customer, given.month, given.is_default, {**given.features, **noise}
        )

    few, others = noisy(book(500, seed=9)), noisy(book(10_000, seed=10))
    slope = calibration_slope(few, eager)
    assert 0.2 < slope < 0.9
    losses = {}
    for name, rules in (("fitted", eager), ("shrunk", eager.shrunk_by(slope))):
        card = fit_explainable(few.features, few.is_default, rules).scorecard
        assert card is not None
        chance = card.score(others.features).probability
        assert card.score(few.features).probability.mean() == pytest.approx(
            few.is_default.mean(), rel=0.05
        )
        losses[name] = -np.log(np.where(others.is_default, chance, 1 - chance)).mean()
    assert losses["shrunk"] < 0.97 * losses["fitted"]


def test_a_variable_against_its_direction_is_left_out() -> None:
    """Lateness that protects and tenure that endangers: neither can be told to a customer."""
    rules = RefitRules.of(PARAMETERS, {"late_days": "falls", "tenure_months": "falls"})
    result = refit(book(), None, rules)
    assert result.card is not None
    assert "late_days" not in result.card.names
    assert "tenure_months" in result.card.names
    reports = {each["name"]: each for each in json.loads(result.measures)["variables"]}
    assert reports["late_days"]["outcome"] == "wrong_sign"
    assert "falls" in reports["late_days"]["detail"]
    assert reports.keys() == book().features.keys()


def test_held_out_goes_by_the_customer_alone() -> None:
    names = np.array([f"C{number}" for number in range(5000)], dtype=object)
    assert held_out(names, 30).mean() == pytest.approx(0.3, abs=0.02)
    twice = np.concatenate([names[::-1], names])
    assert (held_out(twice, 30)[5000:] == held_out(names, 30)).all()
    assert not held_out(names, 0).any()


def test_an_absent_parameter_is_named() -> None:
    with pytest.raises(ConfigurationError, match="ridge"):
        RefitRules.of({name: value for name, value in PARAMETERS.items() if name != "ridge"})


# --- the table of fits ----------------------------------------------------------------------------


@pytest.fixture
def session() -> Any:
    with duckdb.connect() as connection:
        yield connection


def table_of_runs(
    session: Any,
    given: Observations,
    known: list[ModelRun],
    as_of: date,
    *,
    is_refit: bool = False,
    sequence: int = 1,
) -> list[dict[str, Any]]:
    """What the model gives for a book and the fits that came with the parent release."""
    listed = ", ".join(f"{name} {kind}" for name, kind in MODEL_RUN_COLUMNS.items())
    session.execute(f"create or replace table known ({listed})")
    for run in known:
        values = [getattr(run, name) for name in MODEL_RUN_COLUMNS]
        session.execute(f"insert into known values ({', '.join('?' * len(values))})", values)
    session.execute(
        "create or replace table context as select cast(? as date) as as_of, "
        "cast(? as boolean) as is_refit, 'r' as release_id, cast(? as integer) as release_sequence",
        [as_of, is_refit, sequence],
    )
    columns = {
        "customer_id": given.customer.tolist(),
        "month_no": given.month.tolist(),
        "is_default": given.is_default.tolist(),
        **{
            name: [None if value != value else value for value in given.features[name].tolist()]
            for name in ("late_days", "tenure_months", "region")
        },
    }
    session.from_arrow(pa.table(columns)).to_view("observations", replace=True)
    session.from_arrow(
        pa.table({"parameter": list(PARAMETERS), "value": list(PARAMETERS.values())})
    ).to_view("parameters", replace=True)
    session.execute("create or replace table directions (code varchar, risk_direction varchar)")
    found = model_runs(
        session,
        *(
            session.sql(f"from {name}")
            for name in ("known", "context", "observations", "parameters", "directions")
        ),
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def as_run(row: dict[str, Any]) -> ModelRun:
    return ModelRun(**{name: row[name] for name in MODEL_RUN_COLUMNS})


def test_the_champion_stays_until_a_better_one_comes(session: Any) -> None:
    given = book()
    (first,) = table_of_runs(session, given, [], date(2026, 1, 31))
    assert first["is_in_force"]
    assert Scorecard.from_json(first["artefact"]).version == first["version"]
    known = [as_run(first)]
    # a day like any other fits nothing, nor does a refit that comes too soon
    assert table_of_runs(session, given, known, date(2026, 2, 1), sequence=2) == [first]
    assert table_of_runs(session, given, known, date(2026, 2, 20), is_refit=True, sequence=3) == [
        first
    ]
    # a month later the outcomes make no sense: a fit, a refusal, and the champion stays
    random = np.random.default_rng(5)
    noise = Observations(
        given.customer, given.month, random.permutation(given.is_default), given.features
    )
    rows = table_of_runs(session, noise, known, date(2026, 2, 28), is_refit=True, sequence=4)
    assert [row["is_in_force"] for row in rows] == [True, False]
    assert [row["is_promoted"] for row in rows] == [True, False]
    assert rows[1]["release_sequence"] == 4
    # on a day before the first fit nothing is known that may score, so that one is made
    earlier = table_of_runs(session, given, known, date(2025, 12, 31), sequence=5)
    assert [row["fitted_as_of"] for row in earlier] == [date(2026, 1, 31), date(2025, 12, 31)]
    assert [row["is_in_force"] for row in earlier] == [False, True]


def test_a_card_of_a_variable_that_is_gone_is_not_in_force(session: Any) -> None:
    (first,) = table_of_runs(session, book(), [], date(2026, 1, 31))
    artefact = json.loads(first["artefact"])
    artefact["variables"][0]["bins"]["name"] = "gone"
    del artefact["version"]
    content = json.dumps({"version": "x", **artefact})
    with pytest.raises(ConfigurationError, match="changed after it was written") as caught:
        Scorecard.from_json(content)
    version = str(caught.value).split("its content has ")[1].split()[0].rstrip(".;\n")
    gone = ModelRun(
        **{
            **{name: first[name] for name in MODEL_RUN_COLUMNS},
            "version": version,
            "artefact": json.dumps({"version": version, **artefact}),
        }
    )
    (row,) = table_of_runs(session, book(100), [gone], date(2026, 2, 1), sequence=2)
    assert not row["is_in_force"]


# --- roll rates -----------------------------------------------------------------------------------


def roll_rates(session: Any, moves: str, strength: float, months: int = 12) -> dict[str, float]:
    prior = """
        select * from (values
            ('good', 1, 'good', 1, 0.9), ('good', 1, 'late', 2, 0.1),
            ('good', 1, 'default', 3, 0.0),
            ('late', 2, 'good', 1, 0.5), ('late', 2, 'late', 2, 0.3), ('late', 2, 'default', 3, 0.2)
        ) as priors(from_state, from_order, to_state, to_order, rate)
    """
    found = roll_rate_probabilities(
        session, session.sql(moves), session.sql(prior), strength, months
    )
    return {state: probability for state, probability, _, _ in found.fetchall()}


def test_roll_rates_are_the_chance_of_absorption_within_the_horizon(session: Any) -> None:
    """One month: the share that moves to default. Two: by hand."""
    none = "select '' as from_state, '' as to_state, 0 as count_moves where false"
    assert roll_rates(session, none, 50, 1) == pytest.approx({"good": 0.0, "late": 0.2})
    # good: .1 to late, then .2; late: .2 at once, .5 to good, .3 stays late and then .2
    assert roll_rates(session, none, 50, 2) == pytest.approx({"good": 0.02, "late": 0.26})
    assert roll_rates(session, none, 50)["late"] > roll_rates(session, none, 50)["good"] > 0.1


def test_own_moves_outweigh_the_prior_as_they_grow(session: Any) -> None:
    moves = """
        select * from (values ('late', 'default', {n}), ('late', 'good', {n}))
            as moves(from_state, to_state, count_moves)
    """
    few = roll_rates(session, moves.format(n=1), 50, 1)["late"]
    many = roll_rates(session, moves.format(n=5000), 50, 1)["late"]
    assert few == pytest.approx(0.2 * 50 / 52 + 0.5 * 2 / 52)
    assert many == pytest.approx(0.5, abs=0.002)
