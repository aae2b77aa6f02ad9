"""Pareto/NBD: irregular buyers who may leave at any moment.

Schmittlein, Morrison & Colombo (1987); the individual likelihood as in Fader & Hardie (2005), "A
Note on Deriving the Pareto/NBD Model". Purchases at rate lambda ~ Gamma(r, alpha); gone after an
exponential time with rate mu ~ Gamma(s, beta). With g(y) = (alpha+y)^-(r+x) (beta+y)^-s,

    L = Gamma(r+x)/Gamma(r) alpha^r beta^s * ( g(T) + D(t_x) - D(T) )
    D(t) = integral from t to infinity of s/(beta+y) g(y) dy = g(t) R(t)

The usual form writes D by 2F1 and breaks at alpha = beta. Here, with M and m the larger and the
smaller of alpha+t and beta+t, zeta = M/m - 1, c = r+s+x and e the power of the smaller one (s+1 or
r+x), the substitution v = (M/(M+y-t))^c gives

    R(t) = s/(beta+t) M/c * integral over v in (0, 1) of (1 + zeta (1 - v^(1/c)))^-e

a smooth integrand between 0 and 1, worked out once for every different (x, t) by a fixed tanh-sinh
rule, its derivatives too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from customer_marts.clv.books import Book, Floats, each, slices, tally, unique_pairs
from customer_marts.clv.fitting import SAMPLE_GROUPS, Fit, Prior, fit_problem, known_model
from customer_marts.clv.optimiser import Problem
from customer_marts.clv.purchases import PurchaseModel, check_times
from customer_marts.clv.special import LOG_NODES, WEIGHTS, log_diff, mean_decay
from customer_marts.told import Told

# Of the logarithms, times against the book's mean age. A shape of 8,000 is no spread at all.
LOWEST, HIGHEST, HIGHEST_SHAPE = -14.0, 14.0, 9.0
PAIRS_AT_ONCE = 2_048


@known_model
@dataclass(frozen=True)
class ParetoNbd(PurchaseModel):
    """Parameters r, alpha: the gamma of purchase rates; s, beta: the gamma of the rates of leaving.

    alpha and beta are in the unit of time.
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")

    r: float
    alpha: float
    s: float
    beta: float

    def with_theta(self, theta: Floats) -> ParetoNbd:
        return ParetoNbd(*np.exp(theta).tolist())

    def _parts(self, repeats: Floats, last_at: Floats, age: Floats) -> tuple[Floats, Floats]:
        """The log of g(T), and ln (D(t_x) - D(T))."""
        count, times, index = unique_pairs(
            np.concatenate([repeats, repeats]), np.concatenate([last_at, age])
        )
        log_rest = np.empty(count.size)
        for part in slices(count.size, PAIRS_AT_ONCE):
            log_rest[part] = _log_rest(self, count[part], times[part])
        log_here = -(self.r + count) * np.log(self.alpha + times)
        log_here -= self.s * np.log(self.beta + times)
        last, upto = index[: repeats.size], index[repeats.size :]
        gone = log_diff((log_here + log_rest)[last], (log_here + log_rest)[upto])
        return log_here[upto], gone

    def _log_likelihood(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        alive, gone = self._parts(repeats, last_at, age)
        shared = special.gammaln(self.r + repeats) - special.gammaln(self.r)
        shared += self.r * np.log(self.alpha) + self.s * np.log(self.beta)
        return np.asarray(shared + np.logaddexp(alive, gone))

    def _probability_alive(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        alive, gone = self._parts(repeats, last_at, age)
        return np.asarray(special.expit(alive - gone))

    def _expected(
        self, repeats: Floats, last_at: Floats, age: Floats, horizons: Floats, weights: Floats
    ) -> Floats:
        per_rate = np.zeros(repeats.size)
        for horizon, weight in zip(horizons, weights, strict=True):
            per_rate += weight * self._time_alive(age, horizon)
        rate = (self.r + repeats) / (self.alpha + age)
        return np.asarray(self._probability_alive(repeats, last_at, age) * rate * per_rate)

    def _time_alive(self, age: Floats, horizon: Floats | float) -> Floats:
        """Expected time alive in (T, T + horizon] of a customer alive at T."""
        log_growth = np.log1p(horizon / (self.beta + age))
        return np.asarray((self.beta + age) * mean_decay(self.s - 1, log_growth))

    def _expected_squares(
        self, repeats: Floats, last_at: Floats, age: Floats, horizon: float
    ) -> Floats:
        # of a Poisson number over the time alive u: E[rate] E[u] + E[rate^2] E[u^2]
        size, scale = self.r + repeats, self.alpha + age
        upto = self._time_alive(age, horizon)
        log_growth = np.log1p(horizon / (self.beta + age))
        slower = (self.beta + age) * mean_decay(self.s - 2, log_growth)
        squares = 2 * (self.beta + age) * np.maximum(slower - upto, 0.0)
        if_alive = size / scale * (upto + (size + 1) / scale * squares)
        return np.asarray(self._probability_alive(repeats, last_at, age) * if_alive)

    def expected_of_new(self, times: npt.ArrayLike) -> Floats:
        """E[X(t)]: expected repeat purchases of a new customer within t of the first one."""
        horizons = check_times(times)
        return self.r / self.alpha * self._time_alive(np.zeros(horizons.size), horizons)


def fit_paretonbd(book: Book, start: ParetoNbd | None = None) -> Fit[ParetoNbd]:
    """Maximum likelihood on a book; ``start``: yesterday's parameters, to begin from."""
    return fit_problem(
        pareto_problem(book, start),
        ParetoNbd(1.0, 1.0, 1.0, 1.0).with_theta,
        repeat_buyers=book.repeat_buyers,
        prior=pareto_prior(book.time_scale),
        nobody_leaves={"s": LOWEST, "beta": float(np.log(book.time_scale))},
    )


def pareto_prior(time_scale: float) -> Prior:
    """The weak prior of small books; time_scale: the customers' mean age."""
    return Prior(
        Told(
            "weak log-normal prior on s (median 1) and beta (median "
            f"{time_scale:.4g}, the mean age), log-sd 1.5",
            "对 s(中位数 1)与 beta(中位数 "
            f"{time_scale:.4g},即平均客龄)采用弱对数正态先验,对数标准差 1.5",
        ),
        {"s": 0.0, "beta": float(np.log(time_scale))},
        1.5,
    )


def pareto_problem(book: Book, start: ParetoNbd | None) -> Problem:
    """The likelihood of a book in the logarithms, from ``start`` or a rough guess."""
    guess = _guess(book)
    scale = np.log(book.time_scale) * np.array([0.0, 1.0, 0.0, 1.0])
    small = book.sample(SAMPLE_GROUPS)
    problem = Problem(
        ParetoNbd.names,
        guess,
        scale + LOWEST,
        scale + np.array([HIGHEST_SHAPE, HIGHEST, HIGHEST_SHAPE, HIGHEST]),
        BookLikelihood(book),
        book.size,
        None if small is book else BookLikelihood(small),
    )
    return problem.starting_at(guess if start is None else start.theta)


def _guess(book: Book) -> Floats:
    rate = max(book.purchases, 0.5) / (book.time_scale * book.size)
    return np.log([0.5, 0.5 / rate, 0.5, book.time_scale])


def _log_rest(at: ParetoNbd, count: Floats, times: Floats) -> Floats:
    """The log of R(t) for pairs of (x, t)."""
    return _rest(at, count, times, slopes=False)[0]


def _rest(at: ParetoNbd, count: Floats, times: Floats, *, slopes: bool) -> tuple[Floats, Floats]:
    """The log of R(t); its derivatives in r, alpha, s, beta, of shape (4, pairs), if asked for."""
    power = at.r + at.s + count  # c
    alpha_time, beta_time = at.alpha + times, at.beta + times
    beta_is_less = at.beta <= at.alpha
    larger, smaller = (alpha_time, beta_time) if beta_is_less else (beta_time, alpha_time)
    exponent = np.full(count.size, at.s + 1) if beta_is_less else at.r + count
    spread = abs(at.alpha - at.beta) / smaller  # zeta
    log_base = LOG_NODES[:, None] / power
    short = -np.expm1(log_base)  # 1 - v^(1/c)
    grown = np.log1p(spread * short)
    value = WEIGHTS[:, None] * np.exp(-exponent * grown)
    integral = value.sum(axis=0)
    log_rest = np.log(at.s / beta_time * larger / power * integral)
    if not slopes:
        return log_rest, np.empty((4, 0))
    inner = value / (1 + spread * short)
    by_exponent = -(value * grown).sum(axis=0) / integral
    by_spread = -exponent * (inner * short).sum(axis=0) / integral
    # d(1 - v^(1/c))/dc = v^(1/c) ln v / c^2
    by_power = -exponent * spread * (inner * (1 - short) * log_base).sum(axis=0)
    by_power = by_power / (integral * power) - 1 / power
    by_r, by_s = by_power.copy(), by_power + 1 / at.s
    if beta_is_less:
        by_s += by_exponent
        by_alpha = by_spread / beta_time + 1 / alpha_time
        by_beta = -by_spread * alpha_time / beta_time**2 - 1 / beta_time
    else:
        by_r += by_exponent
        by_alpha = -by_spread * beta_time / alpha_time**2
        by_beta = by_spread / alpha_time
    return log_rest, np.stack([by_r, by_alpha, by_s, by_beta])


class BookLikelihood:
    """The log of L of a book and its gradient in (ln r, ln alpha, ln s, ln beta)."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.values, self.weights = book.by_repeats
        self.count, self.times, index = unique_pairs(
            np.concatenate([book.repeats, book.repeats]),
            np.concatenate([book.last_at, book.age]),
        )
        self.last, self.upto = index[: book.groups], index[book.groups :]

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        at = ParetoNbd(*np.exp(theta).tolist())
        log_here, here, log_gone, gone = self._pairs(at)
        alive = log_here[self.upto]
        before = log_gone[self.last]
        since = log_gone[self.upto]
        total = np.logaddexp(alive, log_diff(before, since))
        weight = self.book.customers
        pairs = self.count.size
        # the share of each term in each likelihood, summed by pair: each sum is then a short one
        still = tally(self.upto, weight * np.exp(alive - total), pairs)
        left = tally(self.last, weight * np.exp(before - total), pairs)
        left -= tally(self.upto, weight * np.exp(since - total), pairs)
        x, x_weight = self.values, self.weights
        value = float(weight @ total)
        value += float(x_weight @ (special.gammaln(at.r + x) - special.gammaln(at.r)))
        value += x_weight.sum() * (at.r * np.log(at.alpha) + at.s * np.log(at.beta))
        slope = here @ still + gone @ left
        slope[0] += x_weight @ (special.digamma(at.r + x) - special.digamma(at.r))
        slope += x_weight.sum() * np.array(
            [np.log(at.alpha), at.r / at.alpha, np.log(at.beta), at.s / at.beta]
        )
        return value, slope * np.exp(theta)

    def _pairs(self, at: ParetoNbd) -> tuple[Floats, Floats, Floats, Floats]:
        """For every (x, t): ln g and its slopes, ln D and its slopes."""
        alpha_time, beta_time = np.log(at.alpha + self.times), np.log(at.beta + self.times)
        power = at.r + self.count
        log_here = -power * alpha_time - at.s * beta_time
        here = np.stack(
            [
                -alpha_time,
                -power / (at.alpha + self.times),
                -beta_time,
                -at.s / (at.beta + self.times),
            ]
        )
        parts = list(slices(self.count.size, PAIRS_AT_ONCE))
        done = each(lambda part: _rest(at, self.count[part], self.times[part], slopes=True), parts)
        log_gone = log_here + np.concatenate([log_rest for log_rest, _ in done])
        gone = here + np.concatenate([slopes for _, slopes in done], axis=1)
        return log_here, here, log_gone, gone
