"""Backtests: a model fitted on the past against what customers then did, beside naive rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import Book, Floats, as_floats, tally
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.errors import DataError

# A model is promoted only within this relative bias.
MOST_BIAS = 0.10
# The silence rule: still a customer while silent for at most this many of his own gaps.
SILENT_GAPS = 2.0


@dataclass(frozen=True)
class Metrics:
    """How near forecasts came, over customers.

    bias: sum of forecasts / sum of actuals - 1 (NaN when nothing was bought). mae, rmse: mean
    absolute error and root of the mean squared error a customer. spearman: rank correlation, ties
    at their mean rank (NaN where either side is flat). gini: normalised Gini, the concentration
    of actuals when customers are ordered by forecast, over that of the perfect order (1 is perfect,
    0 is chance; NaN where all actuals are equal).
    """

    bias: float
    mae: float
    rmse: float
    spearman: float
    gini: float


@dataclass(frozen=True)
class Backtest:
    """One origin: the model's metrics and those of the two naive rules, on one holdout."""

    model: Metrics
    naive_rate: Metrics
    naive_silence: Metrics
    customers: float
    actual: float

    @property
    def rules(self) -> tuple[tuple[str, str, Metrics], ...]:
        """The naive rules: their names in both languages and their metrics."""
        return (
            ("the rate x/T", "按平均频率", self.naive_rate),
            ("the silence rule", "按沉默规则", self.naive_silence),
        )


class Tested(Protocol):
    """A model on one holdout beside naive rules, whatever it forecasts."""

    @property
    def model(self) -> Metrics: ...
    @property
    def actual(self) -> float: ...
    @property
    def rules(self) -> tuple[tuple[str, str, Metrics], ...]: ...


@dataclass(frozen=True)
class Verdict:
    """Whether to promote the model, and every reason against it, in both languages."""

    is_promoted: bool
    reasons: tuple[str, ...]
    reasons_zh: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Forecast probabilities against what happened, by bin of forecast; empty bins are left out."""

    forecast: Floats
    happened: Floats
    customers: Floats


def rolling_origins(first: date, last: date, holdout_days: int, origins: int) -> list[date]:
    """As-of dates to fit at, latest first: each followed by a whole holdout that ends by ``last``.

    They lie one holdout apart, and none before ``first`` + one holdout, so that every fit has at
    least as much past as it forecasts.
    """
    if holdout_days < 1 or origins < 1:
        raise DataError(f"{origins} origins with a holdout of {holdout_days} days are none")
    holdout = timedelta(days=holdout_days)
    found = [last - holdout * number for number in range(1, origins + 1)]
    return [origin for origin in found if origin >= first + holdout]


def naive_rate(repeats: npt.ArrayLike, age: npt.ArrayLike, horizon: float) -> Floats:
    """X / T carried forward; 0 where T = 0."""
    x, upto = as_floats(repeats, "repeats"), as_floats(age, "age")
    return horizon * np.divide(x, upto, out=np.zeros(x.shape), where=upto > 0)


def naive_silence(
    repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike, horizon: float
) -> Floats:
    """The same rate while the silence T - t_x is at most two own gaps t_x/x; 0 afterwards."""
    x, last = as_floats(repeats, "repeats"), as_floats(last_at, "last_at")
    upto = as_floats(age, "age")
    still = (upto - last) * x <= SILENT_GAPS * last
    return np.asarray(naive_rate(x, upto, horizon) * still)


def metrics(
    forecast: npt.ArrayLike, actual: npt.ArrayLike, customers: npt.ArrayLike | None = None
) -> Metrics:
    """Compare forecasts with actuals; ``customers`` counts equal rows."""
    guess, true = as_floats(forecast, "forecast"), as_floats(actual, "actual")
    count = np.ones(guess.shape) if customers is None else as_floats(customers, "customers")
    if not guess.shape == true.shape == count.shape or guess.size == 0:
        raise DataError(f"{guess.size} forecasts, {true.size} actuals, {count.size} counts")
    total = float(count @ true)
    off = guess - true
    return Metrics(
        bias=float(count @ guess) / total - 1 if total else float("nan"),
        mae=float(np.average(np.abs(off), weights=count)),
        rmse=float(np.sqrt(np.average(off**2, weights=count))),
        spearman=_correlation(_ranks(guess, count), _ranks(true, count), count),
        gini=_normalised_gini(guess, true, count),
    )


def backtest_model(
    model: PurchaseModel,
    book: Book,
    actual: npt.ArrayLike,
    horizon: float,
) -> Backtest:
    """The model and both naive rules on one holdout of length ``horizon``.

    book: the histories at the origin (one entry a customer, or groups of customers with the same
    history and the same number bought). actual: purchases each made in the holdout.
    """
    x, last, upto = book.repeats, book.last_at, book.age
    true = as_floats(actual, "actual")
    return Backtest(
        metrics(model.expected_purchases(x, last, upto, horizon), true, book.customers),
        metrics(naive_rate(x, upto, horizon), true, book.customers),
        metrics(naive_silence(x, last, upto, horizon), true, book.customers),
        book.size,
        float(book.customers @ true),
    )


def promotion_verdict(tests: Sequence[Tested], most_bias: float = MOST_BIAS) -> Verdict:
    """Promoted when at every origin the bias is within bounds and the MAE beats all naive rules.

    most_bias: the relative bias allowed either way.
    """
    if not tests:
        return Verdict(False, ("there is no backtest",), ("没有可用的回测",))
    reasons, reasons_zh = [], []
    for number, test in enumerate(tests, start=1):
        if not abs(test.model.bias) <= most_bias:
            reasons.append(f"origin {number}: bias {test.model.bias:+.1%}, beyond ±{most_bias:.0%}")
            reasons_zh.append(
                f"第 {number} 个起点:偏差 {test.model.bias:+.1%},超出±{most_bias:.0%}"
            )
        own = error_told(test.model.mae)
        for rule, rule_zh, naive in test.rules:
            if not test.model.mae < naive.mae:
                other = error_told(naive.mae)
                reasons.append(f"origin {number}: MAE {own} does not beat {other} of {rule}")
                reasons_zh.append(
                    f"第 {number} 个起点:平均绝对误差 {own} 未优于{rule_zh}的 {other}"
                )
    return Verdict(not reasons, tuple(reasons), tuple(reasons_zh))


def error_told(error: float) -> str:
    """An error for a sentence: four digits; from a thousand on whole, the thousands apart."""
    return f"{error:,.0f}" if error >= 999.5 else f"{error:.4g}"


def calibration_curve(
    forecast: npt.ArrayLike,
    happened: npt.ArrayLike,
    customers: npt.ArrayLike | None = None,
    bins: int = 10,
) -> Calibration:
    """Mean forecast probability and observed share, by equal-width bins of the forecast.

    Nobody sees whether a customer is alive: compare P(alive) only as a ranking, and calibrate
    1 - P(silent in the holdout) against "bought in the holdout".
    """
    chance, event = as_floats(forecast, "forecast"), as_floats(happened, "happened")
    count = np.ones(chance.shape) if customers is None else as_floats(customers, "customers")
    if (chance < 0).any() or (chance > 1).any() or bins < 1:
        raise DataError("a calibration needs probabilities between 0 and 1, and a bin or more")
    at = np.minimum((chance * bins).astype(np.int64), bins - 1)
    number = tally(at, count, bins)
    some = number > 0
    return Calibration(
        tally(at, count * chance, bins)[some] / number[some],
        tally(at, count * event, bins)[some] / number[some],
        number[some],
    )


def cumulative_tracking(
    model: PurchaseModel,
    first_at: npt.ArrayLike,
    customers: npt.ArrayLike,
    times: npt.ArrayLike,
) -> Floats:
    """Expected repeat purchases of the whole book up to each time, to hold beside the actual ones.

    first_at: when customers made their first purchase, in the model's unit since a common start;
    customers: how many did. A customer counts from his first purchase on.
    """
    entry, count = as_floats(first_at, "first_at"), as_floats(customers, "customers")
    until = as_floats(times, "times")
    since = np.maximum(until[:, None] - entry, 0.0)
    different, index = np.unique(since, return_inverse=True)
    expected = model.expected_of_new(different)
    return np.asarray(expected[index.reshape(since.shape)] @ count)


def _ranks(values: Floats, count: Floats) -> Floats:
    """Mean rank of each row among all customers."""
    different, index = np.unique(values, return_inverse=True)
    number = tally(index, count, different.size)
    return np.asarray((np.cumsum(number) - (number - 1) / 2)[index])


def _correlation(first: Floats, second: Floats, count: Floats) -> float:
    first = first - np.average(first, weights=count)
    second = second - np.average(second, weights=count)
    spread = float(np.sqrt((count @ first**2) * (count @ second**2)))
    return float(count @ (first * second)) / spread if spread > 0 else float("nan")


def _normalised_gini(forecast: Floats, actual: Floats, count: Floats) -> float:
    best = _concentration(actual, actual, count)
    return _concentration(forecast, actual, count) / best if best > 0 else float("nan")


def _concentration(order: Floats, actual: Floats, count: Floats) -> float:
    """The Gini of actuals, customers ordered by ``order``; ties share what they bought evenly."""
    total = float(count @ actual)
    if total <= 0:
        return float("nan")
    different, index = np.unique(order, return_inverse=True)
    people = tally(index, count, different.size) / count.sum()
    bought = tally(index, count * actual, different.size) / total
    below = np.concatenate([[0.0], np.cumsum(bought)])
    return float(1 - people @ (below[1:] + below[:-1]))
