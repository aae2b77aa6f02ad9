"""Every analytic gradient against central differences of its own likelihood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from customer_marts.clv.books import Floats
from customer_marts.clv.dropout import BookLikelihood as CoinLikelihood
from customer_marts.clv.dropout import Rule
from customer_marts.clv.gammagamma import ValueLikelihood
from customer_marts.clv.mbgcnbd import MbgCnbdK
from customer_marts.clv.paretonbd import BookLikelihood as ParetoLikelihood
from customer_marts.clv.paretonbd import ParetoNbd
from customer_marts.clv.sbg import _likelihood as sbg_likelihood
from tests.clv import cdnow

STEP = 1e-5


def check(objective: Callable[[Floats], tuple[float, Floats]], theta: list[float]) -> None:
    at = np.array(theta)
    value, gradient = objective(at)
    for place in range(at.size):
        step = np.zeros(at.size)
        step[place] = STEP
        slope = (objective(at + step)[0] - objective(at - step)[0]) / (2 * STEP)
        assert gradient[place] == pytest.approx(slope, rel=2e-6, abs=1e-9 * abs(value) / STEP)


@pytest.mark.parametrize("rule", [Rule(1, 0), Rule(1, 1), Rule(2, 1), Rule(8, 1), Rule(12, 1)])
@pytest.mark.parametrize("theta", [[-1.4, 1.5, -0.2, 0.9], [0.4, 3.0, -5.0, 2.0], [2, 2, 0, 0]])
def test_coin_models(rule: Rule, theta: list[float]) -> None:
    check(CoinLikelihood(rule, cdnow.BOOK), theta)


@pytest.mark.parametrize(
    "theta", [[-0.6, 2.3, -0.5, 2.4], [-0.6, 2.4, -0.5, 2.3], [1.0, 5.0, 0.5, -2.0], [0, -1, 1, 6]]
)
def test_paretonbd(theta: list[float]) -> None:
    check(ParetoLikelihood(cdnow.BOOK), theta)


def test_gammagamma() -> None:
    some = cdnow.REPEATS > 0
    objective = ValueLikelihood(cdnow.REPEATS[some], cdnow.MEAN_VALUE[some], cdnow.CUSTOMERS[some])
    check(objective, [1.8, 1.3, 2.7])
    check(objective, [-1.0, 0.2, 5.0])


def test_sbg() -> None:
    lost, kept = np.array([131.0, 126, 90]), np.array([5.0, 0, 653])
    check(lambda theta: sbg_likelihood(theta, lost, kept), [-0.4, 1.3])


def test_the_book_s_likelihood_is_the_sum_of_the_customers() -> None:
    coin = MbgCnbdK(r=0.7, alpha=3.0, a=0.5, b=2.0, k=3)
    pareto = ParetoNbd(r=0.55, alpha=10.6, s=0.6, beta=11.7)
    for model, objective in (
        (coin, CoinLikelihood(coin.rule, cdnow.BOOK)),
        (pareto, ParetoLikelihood(cdnow.BOOK)),
    ):
        rows = model.log_likelihood(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE)
        assert objective(model.theta)[0] == pytest.approx(float(cdnow.CUSTOMERS @ rows), rel=1e-12)
