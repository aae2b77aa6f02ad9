"""The shared equations of BG/NBD, MBG/NBD and MBG/CNBD-k: a coin decides who leaves.

A customer buys at gaps that are Erlang-k with stage rate lambda (k = 1: a Poisson process), and
after a purchase leaves for good with probability p. lambda is Gamma(r, alpha) and p is Beta(a, b)
over the customers. ``first`` is 1 where the coin is also tossed after the very first purchase (the
"modified" models) and 0 where it is not (BG/NBD).

With c = r + k x, n = x + first coins tossed, s = T - t_x:

    L = B(a, b+n)/B(a, b) * Gamma(c)/Gamma(r) * alpha^r (alpha+T)^-c * (e^d + S)
    d = ln a - ln(b+n-1) + c ln((alpha+T)/(alpha+t_x))         (no such term where n = 0)
    S = sum over j < k of (c)_j / j! * (s/(alpha+T))^j         (1 where k = 1)

times the gaps' constant (see ``gap_constant``). e^d is "left after the last purchase", S is "still
there, j stages into the gap": P(alive) = S/(e^d + S).
Sources: Fader, Hardie & Lee 2005; Batislam et al. 2007; Reutterer, Platzer & Schroeder 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from customer_marts.clv.books import Book, Floats, Integers, each, slices, unique_pairs
from customer_marts.clv.special import log_add, log_beta_growth
from customer_marts.errors import DataError

PAIRS_AT_ONCE = 4_096
STEPS_BETWEEN_CHECKS = 16
# A forecast's sum ends where what is left of it is below this share of it.
PRECISION = 1e-11
MOST_STEPS = 200_000
# With k = 1, forecasts of more terms than this come from the hypergeometric function instead.
MANY_STEPS = 2_000


@dataclass(frozen=True)
class Rule:
    """Which of the models: Erlang order k, and whether the first purchase tosses a coin too."""

    k: int
    first: int


@dataclass(frozen=True)
class Parameters:
    """The parameters r, alpha, a, b."""

    r: float
    alpha: float
    a: float
    b: float


@dataclass(frozen=True)
class _Terms:
    count: Floats  # c
    log_upto: Floats  # ln(alpha + T)
    log_last: Floats  # ln(alpha + t_x)
    left: Floats  # d
    log_stages: Floats | float  # ln S


def _terms(rule: Rule, at: Parameters, repeats: Floats, last_at: Floats, age: Floats) -> _Terms:
    count = at.r + rule.k * repeats
    log_upto = np.log(at.alpha + age)
    log_last = np.log(at.alpha + last_at)
    coins = repeats + rule.first
    left = np.log(at.a) - np.log(np.maximum(at.b + coins - 1, 1e-300))
    left += count * (log_upto - log_last)
    if not rule.first:
        left = np.where(repeats > 0, left, -np.inf)
    stages: Floats | float = 0.0
    if rule.k > 1:
        stages = np.log(
            stage_weights(rule.k, count, (age - last_at) / (at.alpha + age)).sum(axis=0)
        )
    return _Terms(count, log_upto, log_last, left, stages)


def stage_weights(k: int, count: Floats, share: Floats) -> Floats:
    """(c)_j / j! * share^j for j < k, of shape (k, rows): how likely is each stage of the gap."""
    weights = np.empty((k, count.size))
    weights[0] = 1.0
    for stage in range(1, k):
        weights[stage] = weights[stage - 1] * share * (count + stage - 1) / stage
    return weights


def log_likelihood(
    rule: Rule, at: Parameters, repeats: Floats, last_at: Floats, age: Floats
) -> Floats:
    """The log of L of each history, without the gaps' constant."""
    terms = _terms(rule, at, repeats, last_at, age)
    return np.asarray(
        _shared(rule, at, repeats)
        - terms.count * terms.log_upto
        + log_add(terms.left, terms.log_stages)
    )


def _shared(rule: Rule, at: Parameters, repeats: Floats) -> Floats:
    """What depends on x alone."""
    return np.asarray(
        special.gammaln(at.r + rule.k * repeats)
        - special.gammaln(at.r)
        + at.r * np.log(at.alpha)
        + log_beta_growth(at.a, at.b, repeats + rule.first)
    )


def gap_constant(k: int, book: Book) -> float:
    """The log of C of the whole book: (k-1) sum ln(gap) - ln Gamma(k) sum x; 0 for k = 1."""
    if k == 1:
        return 0.0
    return (k - 1) * float(book.log_gap_sum.sum()) - book.purchases * float(special.gammaln(k))


def probability_alive(
    rule: Rule, at: Parameters, repeats: Floats, last_at: Floats, age: Floats
) -> Floats:
    """S / (e^d + S)."""
    terms = _terms(rule, at, repeats, last_at, age)
    return np.asarray(special.expit(terms.log_stages - terms.left))


class BookLikelihood:
    """The log of L of a book and its gradient in (ln r, ln alpha, ln a, ln b).

    Without the gaps' constant.
    What depends on x alone is worked out once for every different x.
    """

    def __init__(self, rule: Rule, book: Book) -> None:
        self.rule = rule
        self.chunks = book.chunks()
        self.values, self.weights = book.by_repeats

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        at = Parameters(*np.exp(theta))
        rule, x, weight = self.rule, self.values, self.weights
        total = float(weight @ _shared(rule, at, x))
        slope = np.zeros(4)
        slope[0] = weight @ (
            special.digamma(at.r + rule.k * x) - special.digamma(at.r) + np.log(at.alpha)
        )
        slope[1] = weight.sum() * at.r / at.alpha
        end = special.digamma(at.a + at.b + x + rule.first) - special.digamma(at.a + at.b)
        slope[2] = -(weight @ end)
        slope[3] = weight @ (special.digamma(at.b + x + rule.first) - special.digamma(at.b) - end)
        for part_total, part_slope in each(lambda part: _chunk(rule, at, part), self.chunks):
            total += part_total
            slope += part_slope
        return total, slope * np.exp(theta)


def _chunk(rule: Rule, at: Parameters, book: Book) -> tuple[float, Floats]:
    weight, x = book.customers, book.repeats
    terms = _terms(rule, at, x, book.last_at, book.age)
    gap = terms.left - terms.log_stages
    small = np.exp(-np.abs(gap))
    total = np.maximum(gap, 0.0) + np.log1p(small) + terms.log_stages
    gone = np.where(gap > 0, 1.0, small) / (1.0 + small)
    total -= terms.count * terms.log_upto
    gone_weight = weight * gone
    upto, last = 1 / (at.alpha + book.age), 1 / (at.alpha + book.last_at)
    r_slope = gone * (terms.log_upto - terms.log_last) - terms.log_upto
    alpha_slope = -terms.count * (upto + gone * (last - upto))
    if rule.k > 1:
        by_count, by_share = _stage_slopes(rule.k, terms.count, (book.age - book.last_at) * upto)
        r_slope += (1 - gone) * by_count
        alpha_slope -= (1 - gone) * by_share * upto
    b_floor = np.maximum(at.b + x + rule.first - 1, 1e-300)
    return float(weight @ total), np.array(
        [
            weight @ r_slope,
            weight @ alpha_slope,
            gone_weight.sum() / at.a,
            -float((gone_weight / b_floor).sum()),
        ]
    )


def _stage_slopes(k: int, count: Floats, share: Floats) -> tuple[Floats, Floats]:
    """The slopes d ln S / d c, and d ln S / d ln(share)."""
    weights = stage_weights(k, count, share)
    harmonic = np.zeros_like(count)
    by_count = np.zeros_like(count)
    by_share = np.zeros_like(count)
    for stage in range(1, k):
        harmonic += 1 / (count + stage - 1)
        by_count += weights[stage] * harmonic
        by_share += weights[stage] * stage
    total = weights.sum(axis=0)
    return by_count / total, by_share / total


def expected(
    rule: Rule,
    at: Parameters,
    repeats: Floats,
    last_at: Floats,
    age: Floats,
    horizons: Floats,
    weights: Floats,
) -> Floats:
    """Sum over horizons of weight x expected purchases in (T, T + horizon], given the history.

    Given alive and the stage of the gap, the forecast depends on (x, T) alone: it is made once for
    every different pair. t_x enters through P(alive) and the stage's probability.
    """
    pair_repeats, pair_age, pair = unique_pairs(repeats, age)
    by_stage = np.zeros((rule.k, pair_repeats.size))
    for horizon, weight in zip(horizons, weights, strict=True):
        by_stage += weight * expected_if_alive(rule, at, pair_repeats, pair_age, horizon)
    return _of_histories(rule, at, repeats, last_at, age, by_stage, pair)


def expected_squares(
    rule: Rule,
    at: Parameters,
    repeats: Floats,
    last_at: Floats,
    age: Floats,
    horizon: float,
) -> Floats:
    """Expected square of the number of purchases in (T, T + horizon], given the history."""
    pair_repeats, pair_age, pair = unique_pairs(repeats, age)
    by_stage = expected_if_alive(rule, at, pair_repeats, pair_age, horizon, power=2)
    return _of_histories(rule, at, repeats, last_at, age, by_stage, pair)


def _of_histories(
    rule: Rule,
    at: Parameters,
    repeats: Floats,
    last_at: Floats,
    age: Floats,
    by_stage: Floats,
    pair: Integers,
) -> Floats:
    """A forecast given the history from the one of who is alive, by stage: (k, pairs)."""
    result = np.empty(repeats.size)
    for part in slices(repeats.size):
        alive = probability_alive(rule, at, repeats[part], last_at[part], age[part])
        if rule.k == 1:
            result[part] = alive * by_stage[0, pair[part]]
            continue
        share = (age[part] - last_at[part]) / (at.alpha + age[part])
        chances = stage_weights(rule.k, at.r + rule.k * repeats[part], share)
        mixed = (chances * by_stage[:, pair[part]]).sum(axis=0) / chances.sum(axis=0)
        result[part] = alive * mixed
    return result


def expected_if_alive(
    rule: Rule,
    at: Parameters,
    repeats: Floats,
    age: Floats,
    horizon: float | Floats,
    power: Literal[1, 2] = 1,
) -> Floats:
    """Expected purchases in (T, T + horizon] of a customer alive at T, by stage: (k, rows).

    power: 2 for the expected square of their number.

    A customer j stages into the gap passes N further stages, N negative binomial with size c + j
    and success chance horizon/(alpha + T + horizon). He makes his n-th purchase when N >= n k - j
    and n - 1 coins let him stay, with probability m_n = B(a, b+x+first+n-1)/B(a, b+x+first). So
    E = sum over N of P(N) G(floor((N+j)/k)), G(m) = m_1 + ... + m_m: positive terms only, and
    nothing special at a = 1, a -> 0 or b -> infinity. Of the square, m_n counts 2n - 1 times.
    DataError where it would take more than
    ``MOST_STEPS`` terms (k > 1, T = 0 and alpha a small part of a day).
    """
    count = at.r + rule.k * repeats
    odds = np.broadcast_to(horizon / (at.alpha + age + horizon), count.shape)
    coins = at.b + repeats + rule.first
    odds = np.minimum(odds, 1 - 1e-15)
    steps = (count + rule.k) * odds / (1 - odds) * 1.5 + 35 / -np.log(np.maximum(odds, 1e-300))
    result = np.empty((rule.k, count.size))
    long = (steps > MANY_STEPS) & (rule.k == 1)
    if long.any():
        result[0, long] = _hypergeometric(at.a, count[long], odds[long], coins[long], power)
        long &= np.isfinite(result[0])
    if (steps[~long] > MOST_STEPS).any():
        raise _out_of_reason(rule.k, count, odds)
    order = np.flatnonzero(~long)
    order = order[np.argsort(steps[order], kind="stable")]
    for part in slices(order.size, PAIRS_AT_ONCE):
        rows = order[part]
        result[:, rows] = _purchase_sum(rule.k, at.a, count[rows], odds[rows], coins[rows], power)
    return result


def _hypergeometric(
    a: float, count: Floats, odds: Floats, coins: Floats, power: Literal[1, 2]
) -> Floats:
    """The same forecast for k = 1 in closed form; NaN where it is not finite or out of bounds.

    Its bound is what a customer who never leaves would buy. The square rests on
    (coins + n - 1) m_n = coins m_n', where m' has a - 1 and coins + 1.
    """
    most = count * odds / (1 - odds)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = _closed_form(a, count, odds, coins)
        if power == 2:
            value += 2 * coins * (_closed_form(a - 1, count, odds, coins + 1) - value)
            most *= most + 1 / (1 - odds)
    fine = np.isfinite(value) & (value >= 0) & (value <= most * (1 + 1e-9))
    return np.where(fine, value, np.nan)


def _closed_form(a: float, count: Floats, odds: Floats, coins: Floats) -> Floats:
    """Expected purchases as in Fader, Hardie & Lee (10), after Euler's transformation."""
    if abs(a - 1) < 1e-6:
        a = 1 + 1e-6  # the forecast is smooth in a, the formula is not
    end = a + coins - 1
    growth = special.hyp2f1(end - count, a - 1, end, odds)
    return np.asarray(end * -np.expm1((a - 1) * np.log1p(-odds) + np.log(growth)) / (a - 1))


def _out_of_reason(k: int, count: Floats, odds: Floats) -> DataError:
    with np.errstate(divide="ignore"):
        most = float((count * odds / (1 - odds)).max()) / k
    return DataError(
        f"a forecast needs more than {MOST_STEPS:,} terms",
        where=f"a customer who stays would buy {most:.3g} times within the horizon",
        todo="the parameters are out of reason, or not in the unit of time of the horizon",
    )


def _purchase_sum(
    k: int, a: float, count: Floats, odds: Floats, coins: Floats, power: Literal[1, 2]
) -> Floats:
    """The sum of ``expected_if_alive`` for some rows, by recurrence over N."""
    sizes = count + np.arange(k)[:, None]
    chance = np.ones((k, count.size))  # of N, up to a factor that the end divides out
    total = np.ones((k, count.size))
    result = np.zeros((k, count.size))
    bought = np.zeros((k, count.size))  # G at this N
    reached = np.zeros(count.size)  # G of the purchase reached last
    stays = np.ones(count.size)  # m of the next purchase
    purchase = 0
    for step in range(1, MOST_STEPS):
        chance *= (sizes + (step - 1)) * (odds / step)
        stage = -step % k
        number = (step + stage) // k
        if number > purchase:
            reached = reached + stays * (number**power - purchase**power)
            stays = stays * ((coins + purchase) / (a + coins + purchase))
            purchase = number
        bought[stage] = reached
        total += chance
        result += chance * bought
        if step % STEPS_BETWEEN_CHECKS == 0:
            reach = bought + stays * ((purchase + 1) ** power - purchase**power)
            more = 0 if power == 1 else purchase + 1
            if _is_done(sizes, odds, step, chance, total, reach, result, more):
                break
            big = total > 1e150
            if big.any():
                scale = np.where(big, 1e-150, 1.0)
                chance *= scale
                total *= scale
                result *= scale
    else:
        raise _out_of_reason(k, count, odds)
    return np.asarray(result / total)


def _is_done(
    sizes: Floats,
    odds: Floats,
    step: int,
    chance: Floats,
    total: Floats,
    bought: Floats,
    result: Floats,
    purchase: int,
) -> bool:
    """Whether the terms left are below PRECISION of both sums, by a geometric bound.

    purchase: 0 for numbers; for squares the number of the next purchase.
    """
    growth = (sizes + step) / (step + 1) * odds
    if (growth >= 1).any():
        return False
    left = chance * growth / (1 - growth)
    # bought grows by at most one a step (squares by 2n + 1 from n): the second factor bounds its
    # growth over the tail
    rest = 1 / (1 - growth)
    value = left * (bought + rest * (2 * (purchase + rest) if purchase else 1.0))
    small_chance = left <= PRECISION * total
    return bool((small_chance & (value <= PRECISION * result + 1e-300)).all())
