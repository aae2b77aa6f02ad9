"""sBG: how long contracts last when each period's end is a chance to leave.

Fader & Hardie (2007), "How to Project Customer Retention", Journal of Interactive Marketing 21(1).
A contract is not renewed with a probability that is Beta(alpha, beta) over the customers:
S(t) = B(alpha, beta+t)/B(alpha, beta), P(leaves at t) = B(alpha+1, beta+t-1)/B(alpha, beta), and
the share renewed at the t-th end is (beta+t-1)/(alpha+beta+t-1): it rises as the fickle leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from customer_marts.clv.books import Floats, as_floats
from customer_marts.clv.fitting import Fit, Prior, fit_problem, known_model
from customer_marts.clv.optimiser import Problem
from customer_marts.clv.special import log_beta_growth
from customer_marts.errors import DataError
from customer_marts.told import Told

LOWEST, HIGHEST = -14.0, 14.0


@known_model
@dataclass(frozen=True)
class ShiftedBetaGeometric:
    """alpha, beta: the beta distribution of the chance to leave at a period's end."""

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    alpha: float
    beta: float

    @property
    def theta(self) -> Floats:
        """The logarithms of the parameters."""
        return np.log([self.alpha, self.beta])

    def with_theta(self, theta: Floats) -> ShiftedBetaGeometric:
        """The same model with other parameters."""
        return ShiftedBetaGeometric(*np.exp(theta).tolist())

    def survival(self, periods: npt.ArrayLike) -> Floats:
        """S(t): the share still there after t periods' ends."""
        return np.exp(log_beta_growth(self.alpha, self.beta, _periods(periods)))

    def retention(self, periods: npt.ArrayLike) -> Floats:
        """The share renewed at the t-th end (t from 1) of those who came to it."""
        t = _periods(periods)
        return np.asarray((self.beta + t - 1) / (self.alpha + self.beta + t - 1))

    def expected_renewals(self, renewed: npt.ArrayLike, horizon: int, rate: float = 0.0) -> Floats:
        """Expected renewals at the next ``horizon`` ends of a contract renewed so many times.

        rate: discount rate a period; the i-th of these ends counts (1 + rate)^-i.
        """
        t = _periods(renewed)
        if horizon < 0 or rate <= -1:
            raise DataError(f"no forecast over {horizon} periods at a discount rate of {rate}")
        there, total = np.ones(t.size), np.zeros(t.size)
        for ahead in range(1, horizon + 1):
            there = there * self.retention(t + ahead)
            total += there * (1 + rate) ** -ahead
        return total


def fit_sbg(
    lost: npt.ArrayLike, kept: npt.ArrayLike, start: ShiftedBetaGeometric | None = None
) -> Fit[ShiftedBetaGeometric]:
    """Maximum likelihood from contracts counted by age.

    lost[i]: contracts that ended at their (i+1)-th period's end. kept[i]: contracts seen renewed
    at i+1 ends and not since (still running). Both of one length, cohorts added together.
    """
    left, stay = as_floats(lost, "lost"), as_floats(kept, "kept")
    if left.shape != stay.shape or (left < 0).any() or (stay < 0).any():
        raise DataError("lost and kept are counts of one length, none below 0")
    number = float(left.sum() + stay.sum())
    if number == 0:
        raise DataError("there is no contract to fit")
    guess = np.zeros(2)
    problem = Problem(
        ShiftedBetaGeometric.names,
        guess,
        np.full(2, LOWEST),
        np.full(2, HIGHEST),
        lambda theta: _likelihood(theta, left, stay),
        number,
    )
    theta = guess if start is None else np.log([start.alpha, start.beta])
    return fit_problem(
        problem.starting_at(theta),
        ShiftedBetaGeometric(1.0, 1.0).with_theta,
        repeat_buyers=number,
        prior=Prior(
            Told(
                "weak log-normal prior on alpha (median 1) and beta (median 3), log-sd 1.5",
                "对 alpha(中位数 1)与 beta(中位数 3)采用弱对数正态先验,对数标准差 1.5",
            ),
            {"alpha": 0.0, "beta": float(np.log(3))},
            1.5,
        ),
        nobody_leaves={"alpha": LOWEST, "beta": 0.0},
    )


def fit_sbg_cohort(survivors: npt.ArrayLike) -> Fit[ShiftedBetaGeometric]:
    """Fit to one cohort: survivors[t] = contracts still there after t periods' ends."""
    there = as_floats(survivors, "survivors")
    if there.size < 2 or (np.diff(there) > 0).any():
        raise DataError("a cohort's survivors are two or more numbers, none above the one before")
    kept = np.zeros(there.size - 1)
    kept[-1] = there[-1]
    return fit_sbg(-np.diff(there), kept)


def _likelihood(theta: Floats, lost: Floats, kept: Floats) -> tuple[float, Floats]:
    alpha, beta = np.exp(theta).tolist()
    t = np.arange(1, lost.size + 1)
    base = special.betaln(alpha, beta)
    value = lost @ (special.betaln(alpha + 1, beta + t - 1) - base)
    value += kept @ (special.betaln(alpha, beta + t) - base)
    digamma = special.digamma
    both = digamma(alpha + beta) - digamma(alpha + beta + t)
    by_alpha = lost @ (digamma(alpha + 1) - digamma(alpha) + both) + kept @ both
    by_beta = lost @ (digamma(beta + t - 1) - digamma(beta) + both)
    by_beta += kept @ (digamma(beta + t) - digamma(beta) + both)
    return float(value), np.array([by_alpha * alpha, by_beta * beta])


def _periods(values: npt.ArrayLike) -> Floats:
    array = as_floats(values, "periods")
    if (array < 0).any():
        raise DataError("a number of periods is below 0", where=f"value {array.min()}")
    return array
