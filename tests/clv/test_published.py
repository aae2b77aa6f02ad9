"""The figures the papers print, on the papers' own data."""

from __future__ import annotations

import numpy as np
import pytest

from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.fitting import FitStatus
from customer_marts.clv.gammagamma import (
    GammaGamma,
    fit_gammagamma,
    frequency_value_correlation,
)
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.regularity import regularity_of_gaps, regularity_of_variance
from customer_marts.clv.sbg import fit_sbg, fit_sbg_cohort
from tests.clv import cdnow

BGNBD = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)


def test_cdnow_is_the_published_sample() -> None:
    book = cdnow.BOOK
    assert book.size == 2357
    assert book.purchases == 2457
    assert book.size - book.repeat_buyers == 1411
    assert cdnow.HOLDOUT @ cdnow.CUSTOMERS == 1882


def test_bgnbd_parameters_of_fader_hardie_lee_2005() -> None:
    fit = fit_bgnbd(cdnow.BOOK)
    assert round(fit.model.r, 3) == 0.243
    assert round(fit.model.alpha, 3) == 4.414
    assert round(fit.model.a, 3) == 0.793
    assert round(fit.model.b, 3) == 2.426
    assert round(fit.log_likelihood, 2) == -9582.43
    assert fit.status is FitStatus.OK
    assert fit.prior is None


def test_bgnbd_of_one_customer() -> None:
    model = BGNBD
    assert model.probability_alive(2, 30.43, 38.86)[0] == pytest.approx(0.7266, abs=5e-5)
    fitted = fit_bgnbd(cdnow.BOOK).model
    assert fitted.expected_purchases(2, 30.43, 38.86, 39)[0] == pytest.approx(1.2259, abs=5e-5)
    assert model.expected_purchases(26, 30.857, 31, 52)[0] == pytest.approx(25.757, abs=1e-3)
    assert model.probability_alive(26, 30.857, 31)[0] == pytest.approx(0.96885, abs=5e-6)


def test_bgnbd_of_a_new_customer() -> None:
    model = fit_bgnbd(cdnow.BOOK).model
    assert model.expected_of_new([39, 52]).round(4).tolist() == [1.1950, 1.4440]
    assert model.expected_purchases(0, 0, 0, 39)[0] == model.expected_of_new(39)[0]


def test_bgnbd_forecasts_the_holdout_as_printed() -> None:
    forecast = fit_bgnbd(cdnow.BOOK).model.expected_purchases(
        cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE, 39
    )
    actual, expected = [], []
    for repeats in range(8):
        rows = repeats == cdnow.REPEATS if repeats < 7 else cdnow.REPEATS >= 7
        count = cdnow.CUSTOMERS[rows]
        actual.append(round(count @ cdnow.HOLDOUT[rows] / count.sum(), 3))
        expected.append(round(count @ forecast[rows] / count.sum(), 3))
    assert actual == [0.237, 0.697, 1.393, 1.560, 2.532, 2.947, 3.862, 6.359]
    assert expected == [0.225, 0.523, 1.044, 1.520, 2.164, 2.654, 3.504, 6.157]


def test_mbgnbd_parameters() -> None:
    fit = fit_mbgnbd(cdnow.BOOK)
    assert np.round(np.exp(fit.model.theta), 3).tolist() == [0.525, 6.183, 0.891, 1.614]
    assert round(fit.log_likelihood, 2) == -9582.13
    # no customer is alive for certain: one purchase tells something too
    assert fit.model.probability_alive(0, 0, 38)[0] < 0.65


def test_cdnow_customers_buy_at_random() -> None:
    best = fit_mbgcnbd_best(cdnow.BOOK)
    assert best.model.k == 1
    assert best.log_likelihood == pytest.approx(-9582.13, abs=0.005)


def test_paretonbd_parameters() -> None:
    fit = fit_paretonbd(cdnow.BOOK)
    assert fit.model.r == pytest.approx(0.553, abs=1e-3)
    assert fit.model.alpha == pytest.approx(10.578, abs=1e-2)
    assert fit.model.s == pytest.approx(0.606, abs=2e-3)
    assert fit.model.beta == pytest.approx(11.669, abs=0.1)
    assert fit.log_likelihood == pytest.approx(-9594.97, abs=0.01)


def test_paretonbd_of_one_customer_as_in_the_btyd_vignette() -> None:
    model = fit_paretonbd(cdnow.BOOK).model
    assert model.probability_alive(26, 30.86, 31)[0] == pytest.approx(0.9979, abs=5e-5)
    assert model.expected_purchases(26, 30.86, 31, 52)[0] == pytest.approx(25.456, abs=5e-3)
    assert model.expected_of_new(52)[0] == pytest.approx(1.4734, abs=5e-4)


def test_gammagamma_of_note_025() -> None:
    assert frequency_value_correlation(
        cdnow.REPEATS, cdnow.MEAN_VALUE, cdnow.CUSTOMERS
    ) == pytest.approx(0.11, abs=0.01)
    fit = fit_gammagamma(cdnow.REPEATS, cdnow.MEAN_VALUE, cdnow.CUSTOMERS)
    assert fit.customers == 946
    assert round(fit.model.p, 2) == 6.25
    assert round(fit.model.q, 2) == 3.74
    assert fit.model.gamma == pytest.approx(15.44, abs=0.01)
    assert round(fit.log_likelihood, 2) == -4055.92
    assert fit.model.expected_value([2, 0], [22.35, np.nan]).tolist() == pytest.approx(
        [24.66, 35.17], abs=0.005
    )


def test_gammagamma_expectations_at_the_printed_parameters() -> None:
    model = GammaGamma(p=6.25, q=3.74, gamma=15.44)
    assert model.expected_value([2, 0], [22.35, 0]).round(2).tolist() == [24.66, 35.22]
    assert model.mean == pytest.approx(35.22, abs=0.005)


def test_sbg_of_the_high_end_customers() -> None:
    survivors = [1000, 869, 743, 653, 593, 551, 517, 491]
    fit = fit_sbg_cohort(survivors)
    assert round(fit.model.alpha, 3) == 0.668
    assert round(fit.model.beta, 3) == 3.806
    assert round(fit.log_likelihood, 2) == -1611.16
    assert fit.status is FitStatus.OK
    # the paper's projection of year 12: 38 % still there
    assert fit.model.survival(12)[0] == pytest.approx(0.38, abs=0.01)
    lost, kept = -np.diff(survivors), np.zeros(7)
    kept[-1] = 491
    assert fit_sbg(lost, kept).model == fit.model


def test_regularity_of_wheat_and_morrison() -> None:
    assert regularity_of_variance(1 / 12) == pytest.approx(1)
    assert regularity_of_variance(1 / 28) == pytest.approx(3)
    chance = np.random.default_rng(5)
    rate = chance.gamma(1, 1, 40_000)
    gaps = chance.gamma(4, 1, (2, 40_000)) / rate
    assert regularity_of_gaps(*gaps) == pytest.approx(4, rel=0.05)


def test_the_models_agree_where_they_are_the_same() -> None:
    at = {"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6}
    ours = MbgCnbdK(**at, k=1).log_likelihood(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE)
    theirs = BgNbd(**at).log_likelihood(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE)
    # they differ by the coin of the first purchase alone
    assert not np.allclose(ours, theirs)
    buyers = cdnow.REPEATS > 0
    shifted = BgNbd(**{**at, "b": at["b"] + 1}).log_likelihood(
        cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE
    )
    stays = np.log(at["b"] / (at["a"] + at["b"]))
    assert np.allclose(ours[buyers], shifted[buyers] + stays)


def test_paretonbd_does_not_break_at_s_of_one() -> None:
    near = [ParetoNbd(0.55, 10.0, s, 10.0) for s in (1 - 1e-9, 1.0, 1 + 1e-9)]
    values = [model.expected_purchases(2, 30, 39, 39)[0] for model in near]
    assert np.ptp(values) < 1e-8
