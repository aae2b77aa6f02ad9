"""What a fit came to, whichever model was fitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Metrics, Tested, error_told, promotion_verdict
from customer_marts.clv.fitting import Fit
from customer_marts.clv.refit_rules import RefitRules

CHAMPION = "champion"
TOO_FEW = "too_few"
KEPT_DECIMALS = 6


@dataclass(frozen=True)
class Refit:
    """What a fit came to. artefact: JSON of what was fitted, None where nothing was.

    version: the artefact's hash; without one, that of what was found instead.
    """

    fit_status: str
    artefact: str | None
    is_promoted: bool
    verdict_en: str
    verdict_zh: str
    measures: str

    @property
    def version(self) -> str:
        told = self.artefact or self.fit_status + self.measures
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def not_fitted(fit_status: str, why_en: str, why_zh: str, found: dict[str, Any]) -> Refit:
    """No artefact, and why."""
    return Refit(
        fit_status, None, False, f"Not fitted: {why_en}", f"未建模:{why_zh}", as_json(found)
    )


def judged(
    fit_status: str,
    artefact: str,
    is_promoted: bool,
    reasons_en: Sequence[str],
    reasons_zh: Sequence[str],
    found: dict[str, Any],
) -> Refit:
    """What was fitted, promoted or refused for these reasons."""
    word_en, word_zh = ("Promoted", "启用") if is_promoted else ("Refused", "不启用")
    return Refit(
        fit_status,
        artefact,
        is_promoted,
        f"{word_en}: {'; '.join(reasons_en)}",
        f"{word_zh}:{';'.join(reasons_zh)}",
        as_json(found),
    )


def fit_told(candidate: str, fit: Fit[Any], parameters: Mapping[str, float]) -> dict[str, Any]:
    """A candidate's fit on the whole book, as the measures tell it."""
    return {
        "candidate": candidate,
        "status": fit.status.value,
        "reasons": [asdict(reason) for reason in fit.reasons],
        "log_likelihood": fit.log_likelihood,
        "parameters": dict(parameters),
    }


def figures_told(
    candidate: str, on: date, days: int, customers: float, actual: float, found: Metrics
) -> dict[str, Any]:
    """A candidate's figures on the holdout of ``days`` after the origin ``on``."""
    return {
        "candidate": candidate,
        "origin_on": on.isoformat(),
        "holdout_days": days,
        "customers": int(customers),
        "actual": actual,
        **asdict(found),
    }


def point_told(
    candidate: str,
    on: date,
    days: int,
    curve: str,
    at: int,
    forecast: float,
    actual: float,
    customers: float,
) -> dict[str, Any]:
    """A point of a candidate's curve on the holdout of ``days`` after the origin ``on``."""
    return {
        "candidate": candidate,
        "origin_on": on.isoformat(),
        "holdout_days": days,
        "curve": curve,
        "point": at,
        "forecast": float(forecast),
        "actual": float(actual),
        "customers": int(customers),
    }


def bias_told(tests: Sequence[Tested]) -> dict[str, Any]:
    """Bias and error over all origins; nothing without one."""
    if not tests:
        return {}
    forecast = sum((1 + test.model.bias) * test.actual for test in tests if test.actual)
    actual = sum(test.actual for test in tests)
    return {
        "bias": forecast / actual - 1 if actual else None,
        "mae": mean_error(tests),
        "origins": len(tests),
    }


def mean_error(tests: Sequence[Tested]) -> float:
    """The mean over the origins of the mean absolute error; endless without one."""
    return float(np.mean([test.model.mae for test in tests])) if tests else float("inf")


def best_of(tests: Mapping[str, Sequence[Tested]], rules: RefitRules) -> str:
    """The challenger: of those that pass the gates, or else of all, the one of the least error."""
    names = list(tests)
    is_sound = {
        name: promotion_verdict(tests[name], rules.maximum_bias).is_promoted for name in names
    }
    return min(names, key=lambda name: (not is_sound[name], mean_error(tests[name])))


def verdict_on(
    chosen: str, tests: Sequence[Tested], champion: Sequence[Tested], rules: RefitRules
) -> tuple[bool, list[str], list[str]]:
    """Whether the challenger is promoted, and the reasons in both languages.

    It passes the gates, and its error is not above the champion's by more than the seed allows.
    """
    verdict = promotion_verdict(tests, rules.maximum_bias)
    reasons_en, reasons_zh = [], []
    if not verdict.is_promoted:
        reasons_en += [f"{chosen}, {reason}" for reason in verdict.reasons]
        reasons_zh += [f"{chosen},{reason}" for reason in verdict.reasons_zh]
    is_better = True
    if champion:
        own, other = mean_error(tests), mean_error(champion)
        is_better = own <= other * (1 + rules.maximum_mae_loss)
        if not is_better or verdict.is_promoted:
            told, champions = error_told(own), error_told(other)
            reasons_en.append(f"mean absolute error {told} against {champions} of the champion")
            reasons_zh.append(f"平均绝对误差 {told},现用模型为 {champions}")
    if verdict.is_promoted and is_better:
        biases = ", ".join(f"{test.model.bias:+.1%}" for test in tests)
        reasons_en.insert(0, f"{chosen} beats both naive rules, bias {biases}")
        reasons_zh.insert(0, f"{chosen} 优于两条朴素规则,偏差 {biases}")
    return verdict.is_promoted and is_better, reasons_en, reasons_zh


def as_json(found: dict[str, Any]) -> str:
    """Measures as JSON: figures to six decimals; what is not a number is not known."""
    return json.dumps(_kept(found), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _kept(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_kept(each) for each in value]
    if isinstance(value, float):
        return round(value, KEPT_DECIMALS) if np.isfinite(value) else None
    return value
