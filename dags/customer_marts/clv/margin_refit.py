"""Fit what a purchase is worth, and hold it against what purchases then brought.

The candidates: the shrunken mean (credibility) for all; Gamma-Gamma for the customers whose mean is
above 0, where its independence of value and frequency holds; and, beside which the revenue is
known, margins shrunk as rates of it. On a holdout the expected margin of a purchase is compared
with the mean one that each customer who bought realised, each counting as often as it bought:
errors and bias are those of the margin at the volume that came. The best candidate is promoted by
the gates of the purchase models; the naive rules are the customer's own mean so far, and the mean
of all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Metrics, metrics
from customer_marts.clv.books import Floats
from customer_marts.clv.fitting import FitStatus
from customer_marts.clv.gammagamma import GammaGamma, fit_gammagamma, frequency_value_correlation
from customer_marts.clv.margin import Credibility, MarginBasis, expected_margin, fit_credibility
from customer_marts.clv.refit_results import (
    CHAMPION,
    TOO_FEW,
    Refit,
    best_of,
    bias_told,
    figures_told,
    judged,
    not_fitted,
    verdict_on,
)
from customer_marts.clv.refit_rules import RefitRules
from customer_marts.told import Told

NAIVE_MEAN, NAIVE_OWN_MEAN = "naive_mean", "naive_own_mean"


@dataclass(frozen=True, eq=False)
class Margins:
    """Of customers with purchases of known margin: how many, their mean and their variance.

    All arrays have one entry a customer; the variance is 0 where there is one purchase. revenue:
    the mean revenue of these purchases; all 0 where the margin is the revenue itself.
    """

    purchases: Floats
    mean: Floats
    variance: Floats
    revenue: Floats


@dataclass(frozen=True, eq=False)
class MarginHoldout:
    """Margins as of a past day and what came after it.

    on: the origin. days: length of the holdout. bought: purchases of known margin in it. realised:
    the mean margin of these; not read where none was bought.
    """

    on: date
    days: int
    margins: Margins
    bought: Floats
    realised: Floats


@dataclass(frozen=True)
class MarginFit:
    """What a purchase is expected to bring.

    values: Gamma-Gamma, where that is the candidate. is_rate: whether the credibility is of rates
    of the customer's revenue of a purchase.
    """

    credibility: Credibility
    values: GammaGamma | None = None
    is_rate: bool = False

    @property
    def candidate(self) -> MarginBasis:
        """The candidate's name."""
        if self.is_rate:
            return MarginBasis.SHRUNKEN_RATE
        return MarginBasis.SHRUNKEN_MEAN if self.values is None else MarginBasis.GAMMA_GAMMA

    def expected(self, margins: Margins) -> Floats:
        """The expected margin of a purchase of each customer."""
        if self.is_rate:
            return self.credibility.expected_value(margins.purchases, margins.mean, margins.revenue)
        return expected_margin(margins.purchases, margins.mean, self.values, self.credibility)[0]

    def to_json(self) -> str:
        """What ``from_json`` reads back unchanged."""
        model = asdict(self.values) if self.values is not None else {}
        told = {"basis": self.candidate.value, **asdict(self.credibility), **model}
        return json.dumps(told, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> MarginFit:
        """Read what ``to_json`` wrote."""
        told = json.loads(text)

        def part(kind: type[Any]) -> Any:
            return kind(**{field.name: told[field.name] for field in fields(kind)})

        return cls(
            part(Credibility),
            part(GammaGamma) if told["basis"] == MarginBasis.GAMMA_GAMMA else None,
            told["basis"] == MarginBasis.SHRUNKEN_RATE,
        )


@dataclass(frozen=True)
class MarginTest:
    """One origin: the model's metrics and those of the naive rules, in margin of a purchase."""

    model: Metrics
    naive_mean: Metrics
    naive_own_mean: Metrics
    customers: int
    actual: float

    @property
    def rules(self) -> tuple[tuple[str, str, Metrics], ...]:
        """The naive rules: their names in both languages and their metrics."""
        return (
            ("the mean of all", "按全体均值", self.naive_mean),
            ("the customer's own mean", "按客户自身均值", self.naive_own_mean),
        )


def refit_margins(
    margins: Margins,
    holdouts: Sequence[MarginHoldout],
    champion: MarginFit | None,
    rules: RefitRules,
) -> Refit:
    """Fit, test and judge what a purchase is worth, over customers with a known margin."""
    number, least = margins.purchases.size, rules.margins_at_least
    found: dict[str, Any] = {
        "customers": number,
        "not_above_zero": int((margins.mean <= 0).sum()),
    }
    if number < least:
        return not_fitted(
            TOO_FEW,
            f"customers of a known margin: {number}; {least} are needed",
            f"仅 {number} 个客户毛利已知,至少需要 {least} 个",
            found,
        )
    fits, doubts = _fitted(margins)
    correlation = frequency_value_correlation(margins.purchases, margins.mean)
    found |= {
        "frequency_value_correlation": correlation,
        "gamma_gamma_reasons": [*map(asdict, doubts)],
    }
    usable = [each for each in holdouts if _compared(each).sum() >= least]
    at_origins = [_fitted(each.margins)[0] for each in usable]
    able = [name for name in fits if all(name in each for each in at_origins)]
    pairs = list(zip(at_origins, usable, strict=True))
    tests = {name: [_tested(each[name], holdout) for each, holdout in pairs] for name in able}
    chosen = best_of({name: tests[name] for name in able}, rules)
    if champion is not None:
        tests[CHAMPION] = [_tested(champion, holdout) for holdout in usable]
    found["candidate"] = chosen
    found["tests"] = [row for at, holdout in enumerate(usable) for row in _rows(tests, at, holdout)]
    found |= bias_told(tests[chosen])
    is_promoted, reasons_en, reasons_zh = verdict_on(
        chosen, tests[chosen], tests.get(CHAMPION, []), rules
    )
    if fits[chosen].is_rate:
        status, held = FitStatus.OK, _rated(fits[chosen].credibility, number)
    else:
        status = FitStatus.WEAK_DATA if doubts else FitStatus.OK
        held = _holds(doubts, correlation, number, found["not_above_zero"])
    return judged(
        status.value,
        fits[chosen].to_json(),
        is_promoted,
        [*reasons_en, held.text_en],
        [*reasons_zh, held.text_zh],
        found,
    )


def _fitted(margins: Margins) -> tuple[dict[str, MarginFit], tuple[Told, ...]]:
    """The candidates by name, and why Gamma-Gamma is none of them."""
    credibility = fit_credibility(margins.purchases, margins.mean, variance=margins.variance)
    found = {MarginBasis.SHRUNKEN_MEAN.value: MarginFit(credibility)}
    known = margins.revenue > 0
    if known.any():
        revenue = margins.revenue[known]
        rates = fit_credibility(
            margins.purchases[known],
            margins.mean[known] / revenue,
            margins.purchases[known] * revenue,
            margins.variance[known] / revenue**2,
        )
        found = {MarginBasis.SHRUNKEN_RATE.value: MarginFit(rates, is_rate=True), **found}
    if not (margins.mean > 0).any():
        return found, (Told("no mean margin is above 0", "没有大于0的平均毛利"),)
    fit = fit_gammagamma(margins.purchases, margins.mean)
    if fit.status is not FitStatus.OK:
        return found, fit.reasons
    return {MarginBasis.GAMMA_GAMMA.value: MarginFit(credibility, fit.model), **found}, ()


def _rated(rates: Credibility, number: int) -> Told:
    return Told(
        f"margins as rates of revenue, over {number} customers {rates.mean:.1%} of it",
        f"毛利按占收入的比率估计,{number} 个客户整体为 {rates.mean:.1%}",
    )


def _holds(doubts: Sequence[Told], correlation: float, number: int, left: int) -> Told:
    if doubts:
        doubt = Told.joined(doubts)
        return Told(
            f"Gamma-Gamma does not hold: {doubt.text_en}",
            f"Gamma-Gamma假设不成立:{doubt.text_zh}",
        )
    also_en = f"; with a mean not above 0, {left} of them take the shrunken mean" if left else ""
    also_zh = f";{left} 个平均毛利不为正的客户采用收缩均值" if left else ""
    return Told(
        f"frequency and margin correlate by {correlation:.2f} over {number} customers{also_en}",
        f"{number} 个客户购买频率与毛利相关系数 {correlation:.2f}{also_zh}",
    )


def _compared(holdout: MarginHoldout) -> Any:
    return (holdout.margins.purchases > 0) & (holdout.bought > 0)


def _tested(fit: MarginFit, holdout: MarginHoldout) -> MarginTest:
    compared, own = _compared(holdout), holdout.margins.mean
    bought, realised = holdout.bought[compared], holdout.realised[compared]
    mean = np.full(own.size, float(own.mean()))
    model, by_mean, by_own = (
        metrics(each[compared], realised, bought)
        for each in (fit.expected(holdout.margins), mean, own)
    )
    return MarginTest(model, by_mean, by_own, int(compared.sum()), float(bought @ realised))


def _rows(
    tests: dict[str, list[MarginTest]], at: int, holdout: MarginHoldout
) -> list[dict[str, Any]]:
    any_test = next(iter(tests.values()))[at]
    found = {name: each[at].model for name, each in tests.items()}
    found |= {NAIVE_MEAN: any_test.naive_mean, NAIVE_OWN_MEAN: any_test.naive_own_mean}
    return [
        figures_told(name, holdout.on, holdout.days, any_test.customers, any_test.actual, each)
        for name, each in found.items()
    ]
