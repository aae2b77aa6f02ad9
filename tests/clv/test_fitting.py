"""What a fit says of itself: grouping, warm starts, samples, errors, priors, storage."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from customer_marts.clv import bgnbd, coin, dropout, mbgcnbd
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import CHUNK_ROWS, Book, unique_pairs
from customer_marts.clv.covariates import CovariateModel, fit_with_covariates
from customer_marts.clv.fitting import Fit, FitStatus, fit_problem
from customer_marts.clv.gammagamma import GammaGamma, fit_gammagamma
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.optimiser import Problem
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.sbg import fit_sbg_cohort
from customer_marts.errors import DataError
from customer_marts.told import Told
from tests.clv import cdnow
from tests.clv.simulated import coin_book


def test_groups_with_counts_are_the_customers_one_by_one() -> None:
    count = cdnow.CUSTOMERS.astype(int)
    flat = Book.of(*(np.repeat(v, count) for v in (cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE)))
    one, many = fit_bgnbd(cdnow.BOOK), fit_bgnbd(flat)
    assert flat.groups == 2357
    assert one.log_likelihood == pytest.approx(many.log_likelihood, abs=1e-8)
    assert one.model.theta == pytest.approx(many.model.theta, abs=1e-6)


def test_days_or_weeks_give_the_same_customers() -> None:
    days = Book.of(cdnow.REPEATS, cdnow.LAST_AT * 7, cdnow.AGE * 7, cdnow.CUSTOMERS)
    for fit in (fit_bgnbd, fit_mbgnbd, fit_paretonbd):
        in_weeks, in_days = fit(cdnow.BOOK), fit(days)
        # a density of x times: each has one factor of the unit
        assert in_days.log_likelihood == pytest.approx(
            in_weeks.log_likelihood - 2457 * np.log(7), abs=1e-6
        )
        assert in_days.model.alpha == pytest.approx(7 * in_weeks.model.alpha, rel=1e-4)


@pytest.mark.parametrize("fit", [fit_bgnbd, fit_mbgnbd, fit_paretonbd])
def test_a_warm_start_is_quicker_and_ends_at_the_same_place(fit) -> None:  # type: ignore[no-untyped-def]
    cold = fit(cdnow.BOOK)
    warm = fit(cdnow.BOOK, cold.model)
    assert warm.evaluations < cold.evaluations
    assert warm.model.theta == pytest.approx(cold.model.theta, abs=1e-4)
    assert warm.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-6)


def test_a_sample_leads_to_the_optimum_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    book = coin_book(40_000, k=1, first=0, r=0.8, alpha=40.0, a=0.8, b=3.0)
    whole = fit_bgnbd(book)
    monkeypatch.setattr(coin, "SAMPLE_GROUPS", 4_000)
    sampled = fit_bgnbd(book)
    assert book.groups > 3 * CHUNK_ROWS
    assert sampled.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-6)
    assert sampled.model.theta == pytest.approx(whole.model.theta, abs=1e-4)
    assert sampled.covariance == pytest.approx(np.array(whole.covariance), rel=1e-3)
    small = book.sample(4_000)
    assert small.size == pytest.approx(book.size, rel=0.05)
    assert small.purchases == pytest.approx(book.purchases, rel=0.1)


def test_errors_shrink_with_the_book() -> None:
    doubled = Book.of(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE, cdnow.CUSTOMERS * 4)
    one, four = fit_bgnbd(cdnow.BOOK), fit_bgnbd(doubled)
    for name in one.names:
        assert four.standard_errors[name] == pytest.approx(one.standard_errors[name] / 2, rel=1e-3)


def test_errors_cover_the_truth_as_often_as_they_say() -> None:
    truth = {"r": 0.8, "alpha": 40.0, "a": 0.8, "b": 3.0}
    off = []
    for seed in range(16):
        fit = fit_bgnbd(coin_book(1_500, k=1, first=0, seed=seed, **truth))
        off += [np.log(getattr(fit.model, n) / v) / fit.log_errors[n] for n, v in truth.items()]
    assert 0.75 < float(np.sqrt(np.mean(np.square(off)))) < 1.3


def test_the_likelihood_reported_has_no_prior_in_it() -> None:
    small = fit_bgnbd(coin_book(150, k=1, first=0, r=1.0, alpha=30.0, a=0.8, b=3.0))
    assert small.prior is not None
    book = coin_book(150, k=1, first=0, r=1.0, alpha=30.0, a=0.8, b=3.0)
    rows = small.model.log_likelihood(book.repeats, book.last_at, book.age)
    assert small.log_likelihood == pytest.approx(rows.sum(), abs=1e-8)


def test_a_well_known_book_is_not_penalised() -> None:
    """A penalty of .001 moved b of such a book from 76 to 3.7: here nothing is added."""
    book = coin_book(3_000, k=1, first=0, r=3.0, alpha=40.0, a=4.0, b=76.0)
    fit = fit_bgnbd(book)
    assert fit.prior is None
    assert abs(np.log(fit.model.b / 76)) < 4 * fit.log_errors["b"]


def test_k_needs_the_gaps() -> None:
    with pytest.raises(DataError, match="gaps between purchases"):
        fit_mbgcnbd_best(Book.of(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE))


def test_gammagamma_says_whom_it_left_out_and_when_to_doubt() -> None:
    chance = np.random.default_rng(1)
    x = chance.integers(1, 30, 500).astype(float)
    m = chance.gamma(6, 100, 500)
    m[:7] = -50
    fit = fit_gammagamma(x, m)
    assert fit.status is FitStatus.OK
    assert fit.reasons == (
        Told(
            "customers left out, their mean value not being above 0: 7",
            "7 个平均毛利不为正的客户未计入",
        ),
    )
    doubted = fit_gammagamma(x, m + 100 * x)
    assert doubted.status is FitStatus.WEAK_DATA
    assert "correlate" in doubted.reasons[-1].text_en
    assert "相关系数" in doubted.reasons[-1].text_zh
    with pytest.raises(DataError, match="above 0"):
        fit_gammagamma([1.0, 2.0], [-1.0, 0.0])


def test_covariates_find_what_differs_between_cells() -> None:
    base = {"r": 0.8, "a": 0.8, "b": 3.0}
    books = [
        coin_book(6_000, k=1, first=0, alpha=60.0, seed=1, **base),
        coin_book(6_000, k=1, first=0, alpha=60.0 * np.exp(-0.7), seed=2, **base),
    ]
    fit = fit_with_covariates(BgNbd(1.0, 50.0, 1.0, 3.0), books, [[0.0], [1.0]], ["alpha"])
    assert fit.status is FitStatus.OK
    assert fit.names == ("r", "alpha", "a", "b", "alpha[0]")
    effect = fit.model.effects["alpha"][0]
    assert effect == pytest.approx(-0.7, abs=4 * np.sqrt(fit.covariance[4][4]))
    assert fit.model.for_cell([1.0]).alpha == pytest.approx(fit.model.base.alpha * np.exp(effect))
    apart = sum(fit_bgnbd(book).log_likelihood for book in books)
    assert 0 <= apart - fit.log_likelihood < 15  # three parameters more bring next to nothing
    together = Book.of(
        *(np.concatenate([getattr(b, n) for b in books]) for n in ("repeats", "last_at", "age"))
    )
    assert fit.log_likelihood > fit_bgnbd(together).log_likelihood + 100
    assert Fit.from_json(fit.to_json()) == fit
    assert isinstance(fit.model, CovariateModel)
    with pytest.raises(DataError, match="parameters out of r, alpha, a, b"):
        fit_with_covariates(BgNbd(1, 50, 1, 3), books, [[0.0], [1.0]], ["beta"])


def test_paretonbd_takes_covariates_too() -> None:
    books = [cdnow.BOOK, cdnow.BOOK]
    start = ParetoNbd(0.5, 10.0, 0.5, 10.0)
    fit = fit_with_covariates(start, books, [[0.0], [1.0]], ["alpha", "beta"])
    assert fit.model.effects["alpha"][0] == pytest.approx(0, abs=1e-3)
    assert fit.log_likelihood == pytest.approx(2 * -9594.97, abs=0.02)


def test_fits_can_be_stored() -> None:
    fits: list[Fit[object]] = [
        fit_bgnbd(cdnow.BOOK),
        fit_mbgnbd(cdnow.BOOK),
        fit_paretonbd(cdnow.BOOK),
        fit_gammagamma(cdnow.REPEATS, cdnow.MEAN_VALUE, cdnow.CUSTOMERS),
        fit_sbg_cohort([1000, 869, 743, 653]),
    ]
    for fit in fits:
        assert Fit.from_json(fit.to_json()) == fit
    nothing = float("nan")
    failed = replace(fits[0], log_likelihood=nothing, covariance=((nothing,) * 4,) * 4)
    assert "NaN" not in failed.to_json()
    assert json.loads(failed.to_json())["covariance"][0] == [None] * 4
    assert np.isnan(Fit.from_json(failed.to_json()).covariance[3][3])
    small = fit_bgnbd(coin_book(150, k=1, first=0, r=1.0, alpha=30.0, a=0.8, b=3.0))
    assert small.prior is not None
    assert small.reasons
    assert Fit.from_json(small.to_json()) == small
    # as releases of before November 2026 hold it: in English alone
    english = json.loads(small.to_json()) | {"reasons": ["q runs to its bound"], "prior": "weak"}
    old = Fit.from_json(json.dumps(english))
    assert old.reasons == (Told("q runs to its bound", "q runs to its bound"),)
    assert old.prior == Told("weak", "weak")
    for text in ("", "{}", '{"model": {"kind": "Other"}}', "[1]"):
        with pytest.raises(DataError, match="no stored fit"):
            Fit.from_json(text)


def test_k_is_chosen_on_a_sample_of_a_large_book(monkeypatch: pytest.MonkeyPatch) -> None:
    book = coin_book(3_000, k=4, r=3.0, alpha=12.0, a=0.6, b=6.0)
    monkeypatch.setattr(mbgcnbd, "K_SAMPLE_GROUPS", 1_000)
    fit = fit_mbgcnbd_best(book)
    assert fit.model.k == 4
    assert fit.customers == 3_000
    assert fit.log_likelihood == pytest.approx(fit_mbgcnbd(book, 4).log_likelihood, abs=1e-5)


def test_a_likelihood_that_is_none_fails() -> None:
    nothing = Problem(
        ("a", "b"),
        np.zeros(2),
        np.full(2, -1.0),
        np.full(2, 1.0),
        lambda theta: (float("nan"), np.zeros(2)),
        500.0,
    )
    fit = fit_problem(nothing, lambda theta: BgNbd(1, 1, *theta.tolist()), repeat_buyers=400.0)
    assert fit.status is FitStatus.FAILED
    assert fit.reasons == (Told("no maximum of the likelihood was found", "未收敛"),)


def test_pairs_by_table_and_by_sorting() -> None:
    chance = np.random.default_rng(0)
    first = chance.integers(0, 9, 500).astype(float)
    second = chance.integers(0, 90, 500).astype(float)
    for shift in (0.0, 0.5):
        one, two, index = unique_pairs(first, second + shift)
        assert (one[index] == first).all()
        assert (two[index] == second + shift).all()
        assert one.size == len({*zip(first.tolist(), second.tolist(), strict=True)})


def test_models_have_their_own_names() -> None:
    assert bgnbd.BgNbd.names == MbgCnbdK.names == ("r", "alpha", "a", "b")
    assert dropout.gap_constant(1, cdnow.BOOK) == 0
    assert GammaGamma.names == ("p", "q", "gamma")
