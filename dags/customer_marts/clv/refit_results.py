"""What a fit came to, whichever model was fitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Tested, promotion_verdict
from customer_marts.clv.refit_rules import RefitRules

CHAMPION = "champion"
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
            reasons_en.append(f"mean absolute error {own:.4g} against {other:.4g} of the champion")
            reasons_zh.append(f"平均绝对误差 {own:.4g},现用模型为 {other:.4g}")
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
