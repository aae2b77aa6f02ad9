"""What BG/NBD and MBG/CNBD-k share as objects: parameters, forecasts, and the way to fit them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from customer_marts.clv import dropout
from customer_marts.clv.books import Book, Floats
from customer_marts.clv.dropout import Parameters, Rule
from customer_marts.clv.fitting import SAMPLE_GROUPS, Fit, Prior, fit_problem
from customer_marts.clv.optimiser import Problem
from customer_marts.clv.purchases import PurchaseModel, check_times
from customer_marts.told import Told

Kind = TypeVar("Kind", bound="CoinModel")

# Of the logarithms, times against the book's mean age. A shape of 8,000 is no spread at all.
LOWEST, HIGHEST, HIGHEST_SHAPE = -14.0, 14.0, 9.0

# Weak: two customers in three lie within a factor of 4.5 of the medians; mean churn 1 in 4.
PRIOR = Prior(
    Told(
        "weak log-normal prior on a (median 1) and b (median 3), log-sd 1.5",
        "对 a(中位数 1)与 b(中位数 3)采用弱对数正态先验,对数标准差 1.5",
    ),
    {"a": 0.0, "b": float(np.log(3))},
    1.5,
)


@dataclass(frozen=True)
class CoinModel(PurchaseModel):
    """A coin model's parameters.

    r, alpha: the gamma distribution of purchase rates (alpha in the unit of time). a, b: the beta
    distribution of the chance to leave after a purchase.
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")

    r: float
    alpha: float
    a: float
    b: float

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """Which of the models this is."""

    @property
    def _at(self) -> Parameters:
        return Parameters(self.r, self.alpha, self.a, self.b)

    def with_theta(self, theta: Floats) -> Self:
        r, alpha, a, b = np.exp(theta).tolist()
        return replace(self, r=r, alpha=alpha, a=a, b=b)

    def _log_likelihood(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        return dropout.log_likelihood(self.rule, self._at, repeats, last_at, age)

    def _probability_alive(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        return dropout.probability_alive(self.rule, self._at, repeats, last_at, age)

    def _expected(
        self, repeats: Floats, last_at: Floats, age: Floats, horizons: Floats, weights: Floats
    ) -> Floats:
        return dropout.expected(self.rule, self._at, repeats, last_at, age, horizons, weights)

    def _expected_squares(
        self, repeats: Floats, last_at: Floats, age: Floats, horizon: float
    ) -> Floats:
        return dropout.expected_squares(self.rule, self._at, repeats, last_at, age, horizon)

    def expected_of_new(self, times: npt.ArrayLike) -> Floats:
        """E[X(t)]: expected repeat purchases of a new customer within t of the first one."""
        horizons = check_times(times)
        none = np.zeros(horizons.size)
        alive = self._probability_alive(none[:1], none[:1], none[:1])
        fresh = dropout.expected_if_alive(self.rule, self._at, none, none, horizons)[0]
        return np.asarray(alive * fresh)


def fit_coin_model(kind: Kind, book: Book, start: Kind | None) -> Fit[Kind]:
    """Fit the kind of model that ``kind`` is (its parameters do not matter) to a book."""
    return fit_problem(
        coin_problem(kind.rule, book, start),
        kind.with_theta,
        repeat_buyers=book.repeat_buyers,
        prior=PRIOR,
        nobody_leaves={"a": LOWEST, "b": 0.0},
        constant=dropout.gap_constant(kind.rule.k, book),
    )


def coin_problem(rule: Rule, book: Book, start: CoinModel | None) -> Problem:
    """The likelihood of a book in (ln r, ln alpha, ln a, ln b), from ``start`` or a rough guess."""
    rate = max(book.purchases, 0.5) / (book.time_scale * book.size)
    guess = np.log([0.5, 0.5 / (rule.k * rate), 1.0, 3.0])
    scale = np.array([0.0, np.log(book.time_scale), 0.0, 0.0])
    lower = LOWEST + scale
    upper = np.array([HIGHEST_SHAPE, HIGHEST, HIGHEST_SHAPE, HIGHEST_SHAPE]) + scale
    small = book.sample(SAMPLE_GROUPS)
    problem = Problem(
        CoinModel.names,
        guess,
        lower,
        upper,
        dropout.BookLikelihood(rule, book),
        book.size,
        None if small is book else dropout.BookLikelihood(rule, small),
    )
    return problem.starting_at(guess if start is None else start.theta)
