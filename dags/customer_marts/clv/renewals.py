"""Contract years: sBG fitted to how many were renewed, tested on the last one, and its forecasts.

A run is an unbroken row of contract years of a customer, each with a contract order. At the end of
a year it is renewed, or the run is over. An end is judged once the year after it is complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Metrics, calibration_curve, metrics
from customer_marts.clv.books import Floats, Integers, tally
from customer_marts.clv.fitting import USABLE, Fit
from customer_marts.clv.refit_results import (
    CHAMPION,
    TOO_FEW,
    Refit,
    figures_told,
    fit_told,
    judged,
    not_fitted,
    point_told,
)
from customer_marts.clv.refit_rules import RefitRules
from customer_marts.clv.sbg import ShiftedBetaGeometric, fit_sbg
from customer_marts.clv.value import parameter_interval

SBG, NAIVE_RENEWAL = "sbg", "naive_renewal"


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of contract years, grouped: all arrays of whole numbers, one entry a group.

    first, last: the run's first and last contract year, numbered by customer from its first
    contract order. complete: the customer's contract years that were over. number: runs like this.
    """

    first: Integers
    last: Integers
    complete: Integers
    number: Integers

    def a_year_ago(self) -> Runs:
        """The same runs when one contract year less was complete."""
        return Runs(self.first, self.last, self.complete - 1, self.number)

    @property
    def judged(self) -> tuple[Floats, Floats]:
        """lost, kept: the runs by how many ends were judged, as ``fit_sbg`` takes them."""
        is_lost = self.last < self.complete
        ends = np.where(is_lost, self.last + 1, self.complete) - self.first
        known = ends > 0
        size = int(ends[known].max(initial=0)) + 1
        number = self.number.astype(np.float64)
        lost, kept = (
            tally(ends[known & chosen], number[known & chosen], size)[1:]
            for chosen in (is_lost, ~is_lost)
        )
        return lost, kept

    @property
    def count_ends(self) -> tuple[int, int]:
        """How many ends were judged, and at how many of them the run went on."""
        lost, kept = self.judged
        ends = np.arange(1, lost.size + 1)
        over = int(lost.sum())
        renewed = int(ends @ kept + (ends - 1) @ lost)
        return renewed + over, renewed


def refit_renewals(
    runs: Runs, as_of: date, champion: Fit[ShiftedBetaGeometric] | None, rules: RefitRules
) -> Refit:
    """Fit sBG, and judge it on the last complete contract year of every run.

    Promoted where the expected number of renewals of that year is within the bounds of bias and
    the squared error (a probability's proper measure) is below that of the share renewed until
    then, and not above the champion's by more than the seed allows.
    """
    ends, renewed = runs.count_ends
    found: dict[str, Any] = {"customers": int(runs.number.sum()), "ends": ends, "renewed": renewed}
    needed = rules.renewals_at_least
    if ends < needed:
        return not_fitted(
            TOO_FEW,
            f"contract years whose renewal is judged: {ends}; {needed} are needed",
            f"可判定续约的合同年度仅 {ends} 个,至少需要 {needed} 个",
            found,
        )
    fit = fit_sbg(*runs.judged)
    found |= {"candidate": SBG, "fits": [fit_told(SBG, fit, asdict(fit.model))]}
    if fit.status not in USABLE:
        return not_fitted(fit.status.value, "the likelihood has no maximum", "模型未收敛", found)
    is_promoted, reason_en, reason_zh = _judged(runs, as_of, champion, rules, found)
    artefact = json.dumps({"candidate": SBG, "fit": json.loads(fit.to_json())}, sort_keys=True)
    return judged(fit.status.value, artefact, is_promoted, [reason_en], [reason_zh], found)


def renewal_fit(artefact: str) -> Fit[ShiftedBetaGeometric]:
    """The fit that ``refit_renewals`` wrote."""
    return Fit.from_json(json.dumps(json.loads(artefact)["fit"]))


def renewal_forecasts(
    fit: Fit[ShiftedBetaGeometric], renewals: Floats, level: float
) -> dict[str, Floats]:
    """P(renewed at the next end) of runs renewed so often, and the parameters' interval of it."""
    found = parameter_interval(
        fit, lambda model: model.retention(renewals + 1), level=level, probability=True
    )
    return {
        "renewals": renewals,
        "renewal_probability": found.estimate,
        "renewal_probability_low": found.low,
        "renewal_probability_high": found.high,
    }


def _judged(
    runs: Runs,
    as_of: date,
    champion: Fit[ShiftedBetaGeometric] | None,
    rules: RefitRules,
    found: dict[str, Any],
) -> tuple[bool, str, str]:
    before = runs.a_year_ago()
    ends, renewed = before.count_ends
    # who was under contract in the last year that was complete then
    tried = (before.first <= before.complete) & (before.last >= before.complete)
    number = before.number[tried].astype(np.float64)
    tests = int(number.sum())
    needed = rules.renewals_at_least
    if ends < needed or tests < needed:
        told_en = f"{ends} contract years judged a year ago, {tests} renewals due since"
        told_zh = f"一年前已判定 {ends} 个合同年度、此后到期 {tests} 个"
        return (
            False,
            f"no holdout: {told_en}; {needed} of each are needed",
            f"没有可用的检验期:{told_zh},各需至少 {needed} 个",
        )
    at_end = (before.complete - before.first + 1)[tried].astype(np.float64)
    happened = (before.last > before.complete)[tried].astype(np.float64)
    forecasts = {
        SBG: fit_sbg(*before.judged).model.retention(at_end),
        NAIVE_RENEWAL: np.full(at_end.size, renewed / ends),
    }
    if champion is not None:
        forecasts[CHAMPION] = champion.model.retention(at_end)
    measured = {name: metrics(each, happened, number) for name, each in forecasts.items()}
    on = _year_before(as_of)
    days = (as_of - on).days
    actual = float(number @ happened)
    found["tests"] = [
        figures_told(name, on, days, tests, actual, each) for name, each in measured.items()
    ]
    curve = calibration_curve(forecasts[SBG], happened, number)
    points = zip(curve.forecast, curve.happened, curve.customers, strict=True)
    found["curves"] = [
        point_told(SBG, on, days, "calibration", at, *point)
        for at, point in enumerate(points, start=1)
    ]
    found |= {"bias": measured[SBG].bias, "mae": measured[SBG].mae, "origins": 1}
    return _verdict(measured, tests, rules)


def _verdict(
    measured: Mapping[str, Metrics], tests: int, rules: RefitRules
) -> tuple[bool, str, str]:
    own, naive = measured[SBG], measured[NAIVE_RENEWAL]
    told_en = f"bias {own.bias:+.1%} over {tests} renewals due"
    told_zh = f"{tests} 个到期续约的偏差 {own.bias:+.1%}"
    is_sound = abs(own.bias) <= rules.maximum_bias
    if not is_sound:
        told_en += f", beyond ±{rules.maximum_bias:.0%}"
        told_zh += f",超出±{rules.maximum_bias:.0%}"
    compared = [("the share renewed before", "既往续约率", naive.rmse, naive.rmse > own.rmse)]
    if CHAMPION in measured:
        other = measured[CHAMPION].rmse
        most = other * (1 + rules.maximum_mae_loss)
        compared.append(("the model in force", "现用模型", other, own.rmse <= most))
    for name_en, name_zh, error, is_better in compared:
        told_en += f"; root mean squared error {own.rmse:.4g} against {error:.4g} of {name_en}"
        told_zh += f";均方根误差 {own.rmse:.4g},{name_zh}为 {error:.4g}"
        is_sound = is_sound and is_better
    return is_sound, told_en, told_zh


def _year_before(day: date) -> date:
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)
