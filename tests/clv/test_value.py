"""Discounting, margins, the value itself and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.gammagamma import fit_gammagamma
from customer_marts.clv.margin import Credibility, expected_margin, fit_credibility
from customer_marts.clv.mbgcnbd import MbgCnbdK
from customer_marts.clv.paretonbd import ParetoNbd
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.sbg import ShiftedBetaGeometric
from customer_marts.clv.value import customer_value, parameter_interval
from customer_marts.errors import DataError
from tests.clv import cdnow

MODELS: list[PurchaseModel] = [
    BgNbd(0.243, 4.414, 0.793, 2.426),
    MbgCnbdK(2.0, 3.0, 0.9, 5.0, k=4),
    ParetoNbd(0.553, 10.578, 0.606, 11.669),
]


@pytest.mark.parametrize("model", MODELS)
def test_discounting_month_by_month_comes_to_the_same(model: PurchaseModel) -> None:
    history = (4.0, 30.0, 38.0)
    ends = np.linspace(0, 104, 313)
    upto = np.array([model.expected_purchases(*history, end)[0] for end in ends])
    middles = (ends[1:] + ends[:-1]) / 2
    plain = float(np.diff(upto) @ 1.15 ** (-middles / 52))
    assert model.discounted_purchases(*history, 104, 0.15, 52)[0] == pytest.approx(plain, rel=2e-4)


@pytest.mark.parametrize("model", MODELS)
def test_no_rate_is_no_discount(model: PurchaseModel) -> None:
    plain = model.expected_purchases(4, 30, 38, 52)
    assert model.discounted_purchases(4, 30, 38, 52, 0.0, 52) == plain
    assert model.discounted_purchases(4, 30, 38, 0, 0.1, 52) == 0


def test_silence_of_bgnbd_is_the_negative_binomial_one() -> None:
    model, x, last, age, horizon = BgNbd(0.243, 4.414, 0.793, 2.426), 2, 30.43, 38.86, 39
    alive = model.probability_alive(x, last, age)[0]
    bought = 1 - ((4.414 + age) / (4.414 + age + horizon)) ** (0.243 + x)
    assert model.probability_silent(x, last, age, horizon)[0] == pytest.approx(1 - alive * bought)


def test_paretonbd_agrees_with_the_integral_over_its_story() -> None:
    model, x, last, age = ParetoNbd(0.553, 10.578, 0.606, 11.669), 3, 20.0, 30.0

    def gone_at(when: float) -> float:
        return 0.606 / (11.669 + when) ** 1.606 / (10.578 + when) ** 3.553

    alive = (10.578 + age) ** -3.553 * (11.669 + age) ** -0.606
    gone = integrate.quad(gone_at, last, age)[0]
    found = model.probability_alive(x, last, age)[0]
    assert found == pytest.approx(alive / (alive + gone), rel=1e-9)


def test_value_of_a_customer() -> None:
    value = customer_value([10.0, 0.5], [3_000.0, 200.0], [400.0, 300.0], 100.0)
    assert value.tolist() == [25_000.0, -100.0]
    assert customer_value([2.0], 50.0).tolist() == [100.0]
    with pytest.raises(DataError, match="finite"):
        customer_value([2.0], [np.nan])


def test_renewals_of_contracts() -> None:
    model = ShiftedBetaGeometric(0.668, 3.806)
    by_hand = sum(model.survival([t])[0] for t in (1, 2, 3))
    assert model.expected_renewals(0, 3)[0] == pytest.approx(by_hand)
    later = model.survival(5)[0] / model.survival(4)[0]
    assert model.expected_renewals([4], 1, rate=0.25)[0] == pytest.approx(later / 1.25)
    assert model.retention([1, 2, 9]).tolist() == sorted(model.retention([1, 2, 9]))


def test_margins_say_what_they_rest_on() -> None:
    fit = fit_gammagamma(cdnow.REPEATS, cdnow.MEAN_VALUE, cdnow.CUSTOMERS)
    plain = Credibility(mean=30.0, between=100.0, within=300.0)
    expected, basis = expected_margin([2, 0, 3, 6], [22.35, np.nan, -10.0, 0.0], fit.model, plain)
    assert basis.tolist() == ["gamma_gamma", "mean_of_all", "shrunken_mean", "shrunken_mean"]
    assert expected.round(2).tolist() == [24.66, 30.0, 10.0, 10.0]
    _, without = expected_margin([2], [22.35], None, plain)
    assert without.tolist() == ["shrunken_mean"]


def test_credibility_finds_both_variances() -> None:
    chance = np.random.default_rng(2)
    x = chance.integers(1, 25, 20_000).astype(float)
    own = chance.normal(500, 30, x.size)
    m = own + chance.normal(0, 1, x.size) * 90 / np.sqrt(x)
    variance = 90**2 * chance.chisquare(np.maximum(x - 1, 1)) / np.maximum(x - 1, 1)
    for found in (fit_credibility(x, m), fit_credibility(x, m, variance=variance)):
        assert found.mean == pytest.approx(500, abs=2)
        assert found.between == pytest.approx(900, rel=0.15)
        assert found.within == pytest.approx(8_100, rel=0.1)
    flat = fit_credibility([2.0, 3.0], [7.0, 7.0])
    assert flat.expected_value([2, 0], [7.0, 0.0]).tolist() == [7.0, 7.0]


def test_the_interval_covers_what_other_samples_would_have_said() -> None:
    """The delta method reaches as far as forecasts of parameters drawn from their errors."""
    fit = fit_bgnbd(cdnow.BOOK)

    def forecast(model: BgNbd) -> np.ndarray:
        return model.expected_purchases([0, 2, 26], [0, 30.43, 30.857], [38, 38.86, 31], 39)

    interval = parameter_interval(fit, forecast, level=0.8)
    assert (interval.low < interval.estimate).all()
    assert (interval.estimate < interval.high).all()
    chance = np.random.default_rng(4)
    draws = chance.multivariate_normal(fit.model.theta, np.array(fit.covariance), 400)
    drawn = np.array([forecast(fit.model.with_theta(draw)) for draw in draws])
    low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
    width = np.log(high / low)
    assert np.log(interval.high / interval.low) == pytest.approx(width, rel=0.15)


def test_the_interval_of_a_probability_stays_one() -> None:
    fit = fit_bgnbd(cdnow.BOOK)
    interval = parameter_interval(
        fit,
        lambda model: model.probability_alive([0, 2, 7], [0, 30, 2], [38, 39, 39]),
        level=0.99,
        probability=True,
    )
    assert interval.estimate[0] == interval.low[0] == interval.high[0] == 1
    assert ((interval.low >= 0) & (interval.high <= 1)).all()
    with pytest.raises(DataError, match="level"):
        parameter_interval(fit, lambda model: model.expected_of_new(1.0), level=1.0)
