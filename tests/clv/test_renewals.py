"""Renewals of contract years: what is judged when, who is promoted, and what is forecast."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from customer_marts.clv.refit_results import Refit
from customer_marts.clv.refit_rules import RefitRules
from customer_marts.clv.renewals import (
    Runs,
    refit_renewals,
    renewal_fit,
    renewal_forecasts,
)

AS_OF = date(2024, 2, 29)
RULES = RefitRules(
    refit_days=7,
    repeat_buyers_at_least=10,
    test_repeat_buyers_at_least=30,
    margins_at_least=10,
    maximum_bias=0.1,
    maximum_mae_loss=0.02,
    renewals_at_least=30,
    covariate_customers_at_least=50,
    covariate_minimum_mae_gain=0.01,
)


def runs_of(*rows: tuple[int, int, int, int]) -> Runs:
    return Runs(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def simulated(customers: int, alpha: float, beta: float, *, years: int = 5, seed: int = 1) -> Runs:
    """Runs that began up to ``years`` years ago, each end a coin of the customer's own."""
    chance = np.random.default_rng(seed)
    complete = chance.integers(1, years + 1, customers)
    leaves = chance.beta(alpha, beta, customers)
    # the year it ends after, one more than complete where it goes on
    last = np.minimum(chance.geometric(leaves), complete + 1)
    grouped, number = np.unique(np.stack([complete, last]), axis=1, return_counts=True)
    return Runs(np.ones(number.size, dtype=np.int64), grouped[1], grouped[0], number)


def test_an_end_is_judged_once_the_year_after_it_is_over() -> None:
    runs = runs_of(
        (1, 1, 1, 5),  # its second year has begun, without an order so far: not judged
        (1, 2, 1, 7),  # ordered in its second year, which is not over: not judged either
        (1, 1, 2, 11),  # a whole year without an order: lost at its first end
        (1, 3, 3, 13),  # renewed at two ends
        (1, 4, 3, 17),  # the same, and already in its fourth year
        (4, 4, 6, 19),  # came back in its fourth year, and left at that run's first end
        (7, 7, 6, 23),  # came back in the year that runs
    )
    lost, kept = runs.judged
    assert lost.tolist() == [30.0, 0.0]
    assert kept.tolist() == [0.0, 30.0]
    assert runs.count_ends == (90, 60)
    lost, kept = runs.a_year_ago().judged
    assert lost.tolist() == [19.0]
    assert kept.tolist() == [30.0]


def test_a_book_of_contracts_is_recovered_and_promoted() -> None:
    refit = refit_renewals(simulated(20_000, 0.7, 3.8), AS_OF, None, RULES)
    assert refit.is_promoted, refit.verdict_en
    assert "启用" in refit.verdict_zh
    fit = renewal_fit(refit.artefact or "")
    assert fit.model.alpha == pytest.approx(0.7, rel=0.15)
    assert fit.model.beta == pytest.approx(3.8, rel=0.15)
    told = json.loads(refit.measures)
    assert abs(told["bias"]) < 0.03
    assert {row["origin_on"] for row in told["tests"]} == {"2023-02-28"}
    assert {row["candidate"] for row in told["tests"]} == {"sbg", "naive_renewal"}
    curve = told["curves"]
    assert sum(row["customers"] for row in curve) == told["tests"][0]["customers"]


def test_the_holdout_sees_nothing_of_the_last_year() -> None:
    """Whatever the last year brought, what was fitted before it is the same."""
    runs = simulated(3_000, 0.7, 3.8)
    went_on = (runs.last >= runs.complete) & (runs.complete > 1)
    other = replace(runs, last=np.where(went_on, runs.complete - 1, runs.last))
    assert other.count_ends != runs.count_ends
    for one, two in zip(runs.a_year_ago().judged, other.a_year_ago().judged, strict=True):
        assert one.tolist() == two.tolist()


def test_a_year_unlike_those_before_is_refused_for_its_bias() -> None:
    runs = simulated(3_000, 0.7, 3.8)
    stayed = (runs.last >= runs.complete) & (runs.complete > 1)
    ended = replace(runs, last=np.where(stayed, runs.complete - 1, runs.last))
    half = Runs(
        *(
            np.concatenate([getattr(runs, name), getattr(ended, name)])
            for name in ("first", "last", "complete", "number")
        )
    )
    refit = refit_renewals(half, AS_OF, None, RULES)
    assert not refit.is_promoted
    assert "beyond ±10%" in refit.verdict_en
    assert "超出±10%" in refit.verdict_zh
    assert refit.artefact is not None


def test_where_all_are_alike_the_share_renewed_is_as_good() -> None:
    """A geometric book: sBG has nothing to gain on the naive rule, and is not promoted for luck."""
    rows = [(1, last, 4, number) for last, number in ((1, 200), (2, 160), (3, 128), (5, 512))]
    refit = refit_renewals(runs_of(*rows), AS_OF, None, RULES)
    told = {row["candidate"]: row for row in json.loads(refit.measures)["tests"]}
    assert told["sbg"]["rmse"] == pytest.approx(told["naive_renewal"]["rmse"], abs=1e-3)
    assert refit.is_promoted == (told["sbg"]["rmse"] < told["naive_renewal"]["rmse"])


def test_too_few_ends_and_no_holdout_say_so() -> None:
    few = refit_renewals(runs_of((1, 2, 2, 29)), AS_OF, None, RULES)
    assert (few.fit_status, few.artefact, few.is_promoted) == ("too_few", None, False)
    assert "contract years whose renewal is judged: 29; 30 are needed" in few.verdict_en
    none = refit_renewals(runs_of((1, 3, 2, 0)), AS_OF, None, RULES)
    assert none.fit_status == "too_few"
    young = refit_renewals(runs_of((1, 3, 2, 80), (1, 1, 2, 20)), AS_OF, None, RULES)
    assert "no holdout: 0 contract years judged a year ago, 100 renewals due" in young.verdict_en
    assert young.artefact is not None
    assert not young.is_promoted


def test_a_champion_that_did_better_stays() -> None:
    def refit(**changed: Any) -> Refit:
        rules = replace(RULES, **changed)
        return refit_renewals(simulated(5_000, 0.7, 3.8, seed=3), AS_OF, champion, rules)

    champion = renewal_fit(
        refit_renewals(simulated(5_000, 0.7, 3.8, seed=3), AS_OF, None, RULES).artefact or ""
    )
    assert refit().is_promoted
    refused = refit(maximum_mae_loss=-0.5)
    assert not refused.is_promoted
    assert "of the model in force" in refused.verdict_en


def test_a_renewal_is_surer_the_more_came_before() -> None:
    refit = refit_renewals(simulated(400, 0.7, 3.8), AS_OF, None, RULES)
    found = renewal_forecasts(renewal_fit(refit.artefact or ""), np.arange(6.0), 0.8)
    assert (np.diff(found["renewal_probability"]) > 0).all()
    assert (found["renewal_probability_low"] < found["renewal_probability"]).all()
    assert (found["renewal_probability"] < found["renewal_probability_high"]).all()
    # the interval of 80 % holds the truth at the first end, 3.8 / 4.5
    assert found["renewal_probability_low"][0] < 3.8 / 4.5 < found["renewal_probability_high"][0]
