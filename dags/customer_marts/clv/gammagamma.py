"""Gamma-Gamma: what a purchase of a customer is worth on average.

Fader & Hardie (2013), note 025, "The Gamma-Gamma Model of Monetary Value". A customer's purchases
are gamma with shape p and a rate that is itself gamma (q, gamma) over the customers; with x
purchases of mean value m

    ln L = lnG(px+q) - lnG(px) - lnG(q) + q ln gamma + (px-1) ln m + px ln x - (px+q) ln(gamma+xm)
    E[M | x, m] = (gamma + x m) p / (p x + q - 1)

It holds only where value does not depend on frequency: see ``frequency_value_correlation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from customer_marts.clv.books import CHUNK_ROWS, Floats, as_floats, each, slices, tally
from customer_marts.clv.fitting import Fit, FitStatus, fit_problem, known_model, with_reason
from customer_marts.clv.optimiser import Problem
from customer_marts.errors import DataError
from customer_marts.told import Told

# Below q = 1 the model has no mean.
LOWEST_Q = 1.05
SAMPLE_CUSTOMERS = 100_000
# Beyond this correlation between frequency and value the model's independence is in doubt.
MOST_CORRELATION = 0.3


@known_model
@dataclass(frozen=True)
class GammaGamma:
    """p, q, gamma of note 025; gamma in money."""

    names: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")

    p: float
    q: float
    gamma: float

    @property
    def theta(self) -> Floats:
        """The logarithms of the parameters."""
        return np.log([self.p, self.q, self.gamma])

    @property
    def mean(self) -> float:
        """E[M] of a customer nothing is known of."""
        return self.p * self.gamma / (self.q - 1)

    def expected_value(self, purchases: npt.ArrayLike, mean_value: npt.ArrayLike) -> Floats:
        """E[M | x, m]: the expected value of a purchase, between the customer's mean and all's.

        purchases: x, how many purchases ``mean_value`` is the mean of; where x = 0 the mean is
        not read (it may be NaN).
        """
        x = as_floats(purchases, "purchases")
        m = np.atleast_1d(np.asarray(mean_value, dtype=np.float64))
        total = np.where(x > 0, x * m, 0.0)
        return np.asarray((self.gamma + total) * self.p / (self.p * x + self.q - 1))


def fit_gammagamma(
    purchases: npt.ArrayLike,
    mean_value: npt.ArrayLike,
    customers: npt.ArrayLike | None = None,
    start: GammaGamma | None = None,
) -> Fit[GammaGamma]:
    """Maximum likelihood over customers (or groups of equal ones) with x > 0 and m > 0.

    Others do not enter; the fit's reasons say how many had a mean that is not above 0.
    The status is weak_data where frequency and value correlate by more than ``MOST_CORRELATION``.
    """
    x, m, count = _spenders(purchases, mean_value, customers)
    used = (x > 0) & (m > 0)
    left_out = float(count[(x > 0) & ~(m > 0)].sum())
    if not used.any():
        raise DataError(
            "no customer has purchases of a value above 0",
            todo="use the plain mean for everyone until there are some",
        )
    correlation = frequency_value_correlation(x, m, count)
    x, m, count = x[used], m[used], count[used]
    mean = float(count @ m / count.sum())
    guess = np.log([2.0, 3.0, mean])
    small = _sample(x, m, count)
    problem = Problem(
        GammaGamma.names,
        guess,
        np.array([-12.0, np.log(LOWEST_Q), np.log(mean) - 14]),
        np.array([14.0, 14.0, np.log(mean) + 14]),
        ValueLikelihood(x, m, count),
        float(count.sum()),
        None if small is None else ValueLikelihood(*small),
    )
    fit = fit_problem(
        problem.starting_at(guess if start is None else start.theta),
        lambda theta: GammaGamma(*np.exp(theta).tolist()),
        repeat_buyers=float(count.sum()),
    )
    if left_out:
        fit = with_reason(
            fit,
            Told(
                f"customers left out, their mean value not being above 0: {left_out:g}",
                f"{left_out:g} 个平均毛利不为正的客户未计入",
            ),
        )
    if abs(correlation) > MOST_CORRELATION:
        doubt = Told(
            f"frequency and value correlate by {correlation:.2f}, more than {MOST_CORRELATION}",
            f"购买频率与毛利相关系数 {correlation:.2f},超过 {MOST_CORRELATION}",
        )
        fit = with_reason(fit, doubt, FitStatus.WEAK_DATA)
    return fit


def frequency_value_correlation(
    purchases: npt.ArrayLike, mean_value: npt.ArrayLike, customers: npt.ArrayLike | None = None
) -> float:
    """Pearson correlation of x and m over customers with x > 0 and m > 0; 0 where either is flat.

    Gamma-Gamma assumes it to be about 0.
    """
    x, m, count = _spenders(purchases, mean_value, customers)
    used = (x > 0) & (m > 0)
    x, m, count = x[used], m[used], count[used]
    if x.size < 2:
        return 0.0
    x, m = x - np.average(x, weights=count), m - np.average(m, weights=count)
    spread = float(np.sqrt((count @ x**2) * (count @ m**2)))
    return float(count @ (x * m)) / spread if spread > 0 else 0.0


class ValueLikelihood:
    """The log of L and its gradient in (ln p, ln q, ln gamma)."""

    def __init__(self, x: Floats, m: Floats, count: Floats) -> None:
        self.x, self.count, self.total = x, count, x * m
        self.values, index = np.unique(x, return_inverse=True)
        self.weights = tally(index, count, self.values.size)
        self.log_mean = float(count @ np.log(m))
        self.log_total = float(count @ (x * np.log(self.total)))
        self.parts = list(slices(x.size, CHUNK_ROWS))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        p, q, gamma = np.exp(theta).tolist()
        shape, weight = p * self.values, self.weights
        number = float(weight.sum())
        sums = np.sum(each(lambda part: self._part(part, gamma), self.parts), axis=0)
        # sums over customers of L, xL, 1/(gamma+xm), x/(gamma+xm) with L = ln(gamma+xm)
        logs, x_logs, shares, x_shares = sums
        value = float(
            weight @ (special.gammaln(shape + q) - special.gammaln(shape) - special.gammaln(q))
        )
        value += number * q * theta[2] + p * self.log_total - self.log_mean - p * x_logs - q * logs
        end = special.digamma(shape + q)
        slope = np.array(
            [
                weight @ (self.values * (end - special.digamma(shape))) + self.log_total - x_logs,
                weight @ (end - special.digamma(q)) + number * theta[2] - logs,
                number * q / gamma - p * x_shares - q * shares,
            ]
        )
        return value, slope * np.array([p, q, gamma])

    def _part(self, part: slice, gamma: float) -> Floats:
        sums = gamma + self.total[part]
        logs, shares = np.log(sums), 1 / sums
        x, count = self.x[part], self.count[part]
        weighted = count * x
        return np.array([count @ logs, weighted @ logs, count @ shares, weighted @ shares])


def _spenders(
    purchases: npt.ArrayLike, mean_value: npt.ArrayLike, customers: npt.ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    x = as_floats(purchases, "purchases")
    m = np.atleast_1d(np.asarray(mean_value, dtype=np.float64))
    count = np.ones(x.shape) if customers is None else as_floats(customers, "customers")
    if not x.shape == m.shape == count.shape:
        raise DataError(f"{x.size} numbers of purchases, {m.size} means, {count.size} counts")
    as_floats(np.where(x > 0, m, 0.0), "mean_value")
    return x, m, count


def _sample(x: Floats, m: Floats, count: Floats) -> tuple[Floats, Floats, Floats] | None:
    if x.size <= SAMPLE_CUSTOMERS:
        return None
    kept = np.random.default_rng(20_050_224).random(x.size) < SAMPLE_CUSTOMERS / x.size
    return x[kept], m[kept], count[kept] * (count.sum() / count[kept].sum())
