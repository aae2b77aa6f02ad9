"""Discounting, margins, the value itself and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special

from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.dropout import stage_weights
from customer_marts.clv.fitting import Fit, FitStatus
from customer_marts.clv.forecasts import purchase_interval
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


def numbers_of(
    chance: np.random.Generator, model: MbgCnbdK, x: float, last: float, age: float, days: float
) -> np.ndarray:
    """How often 4,000 customers of one history go on to buy, by the model's own story."""
    size = 4_000
    count, share = model.r + model.k * x, (age - last) / (model.alpha + age)
    weights = stage_weights(model.k, np.array([count]), np.array([share]))[:, 0]
    stage = chance.choice(model.k, size, p=weights / weights.sum())
    rate = chance.gamma(count + stage) / (model.alpha + age)
    leaves = chance.beta(model.a, model.b + x + 1, size)
    active = chance.random(size) < model.probability_alive(x, last, age)
    at = chance.gamma(model.k - stage) / rate
    bought = np.zeros(size)
    while (active := active & (at <= days)).any():
        bought += active
        active &= chance.random(size) >= leaves
        at += chance.gamma(model.k, size=size) / rate
    return bought


# a mean gap of 20 and of 18 days; one in 97 and one in 190 leaves after a purchase
@pytest.mark.parametrize(
    "model", [MbgCnbdK(6.65, 131.8, 0.5, 48.0), MbgCnbdK(5.5, 12.3, 0.24, 45.8, k=8)]
)
@pytest.mark.parametrize(
    "history", [(5, 100, 110), (12, 290, 300), (25, 590, 600), (60, 1440, 1450)]
)
def test_the_interval_of_three_years_knows_who_leaves_meanwhile(
    model: MbgCnbdK, history: tuple[float, float, float]
) -> None:
    parameters_known = ((0.0,) * 4,) * 4
    fit = Fit(model, FitStatus.OK, (), 0.0, 1e6, model.names, parameters_known, None, 0)
    one = [np.array([float(number)]) for number in history]
    bought = numbers_of(np.random.default_rng(36), model, *history, 1095)
    squares = float((bought**2).mean())
    assert model.expected_purchases(*one, 1095)[0] == pytest.approx(bought.mean(), rel=0.05)
    assert model.expected_squares(*one, 1095)[0] == pytest.approx(squares, rel=0.1)
    low, high = purchase_interval(fit, *one, 1095, 0.8)
    assert 0.75 <= ((bought >= np.floor(low)) & (bought <= np.ceil(high))).mean() <= 0.95


@pytest.mark.parametrize(
    "model",
    [
        BgNbd(0.243, 4.414, 0.793, 2.426),
        MbgCnbdK(2.0, 3.0, 0.9, 5.0, k=4),
        # so many terms that the closed form is used
        MbgCnbdK(0.6, 0.3, 1.3, 4.0),
        BgNbd(0.6, 0.1, 0.02, 4.0),
    ],
)
@pytest.mark.parametrize("history", [(0.0, 0.0, 1.0), (4.0, 30.0, 38.0), (60.0, 700.0, 730.0)])
def test_squares_are_the_sum_of_two_n_less_one(
    model: BgNbd | MbgCnbdK, history: tuple[float, float, float]
) -> None:
    (x, last, age), horizon, first = history, 1095.0, model.rule.first
    count = model.r + model.rule.k * x
    n = np.arange(1.0, 60_000 / model.rule.k)
    weights = stage_weights(
        model.rule.k, np.array([count]), np.array([(age - last) / (model.alpha + age)])
    )[:, 0]
    odds = horizon / (model.alpha + age + horizon)
    reached = sum(
        weight / weights.sum() * special.betainc(n * model.rule.k - stage, count + stage, odds)
        for stage, weight in enumerate(weights)
    )
    coins = model.b + x + first
    stays = np.exp(special.betaln(model.a, coins + n - 1) - special.betaln(model.a, coins))
    chances = model.probability_alive(*history) * reached * stays
    assert model.expected_purchases(*history, horizon)[0] == pytest.approx(chances.sum(), rel=1e-6)
    squares = (2 * n - 1) @ chances
    assert model.expected_squares(*history, horizon)[0] == pytest.approx(squares, rel=1e-5)


@pytest.mark.parametrize(
    "model", [ParetoNbd(0.553, 10.578, 0.606, 11.669), ParetoNbd(3, 50, 2, 1e7)]
)
def test_squares_of_paretonbd_are_the_integral_over_its_story(model: ParetoNbd) -> None:
    x, last, age, horizon = 4.0, 30.0, 38.0, 52.0

    def there(upto: float) -> float:
        return float(((model.beta + age) / (model.beta + age + upto)) ** model.s)

    time = integrate.quad(there, 0, horizon)[0]
    time_squared = integrate.quad(lambda upto: 2 * upto * there(upto), 0, horizon)[0]
    size, scale = model.r + x, model.alpha + age
    story = size / scale * time + size * (size + 1) / scale**2 * time_squared
    story *= model.probability_alive(x, last, age)[0]
    assert model.expected_squares(x, last, age, horizon)[0] == pytest.approx(story, rel=1e-8)


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
