"""Do industry, scale and region help? The chosen model against itself with covariates.

Which covariates enter is decided on the oldest origin's book, so that no holdout chooses: one stays
where, fitted alone, the Wald statistic of its effects exceeds their number times ln(customers), as
in BIC. With these together the model is fitted at every origin. It is accepted where it passes the
gates, its MAE is lower at every origin than without them, and on the mean lower by the margin of
the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Backtest, promotion_verdict
from customer_marts.clv.coding import Coding, PartedBook
from customer_marts.clv.covariates import fit_with_covariates
from customer_marts.clv.fitting import NO_MAXIMUM, SAMPLE_GROUPS, USABLE, Fit, FitStatus
from customer_marts.clv.holdouts import Holdout, PurchaseFit, tested
from customer_marts.clv.paretonbd import ParetoNbd
from customer_marts.clv.refit_rules import RefitRules

WITH_COVARIATES = "_covariates"


@dataclass(frozen=True)
class Plain:
    """The chosen model without covariates: fitted on the whole book, at each origin, tested."""

    fit: PurchaseFit
    at_origins: Sequence[PurchaseFit]
    tests: Sequence[Backtest]


@dataclass(frozen=True)
class Trial:
    """What came of the covariates. fit: on the whole book, None where they were refused."""

    name: str
    reason_en: str
    reason_zh: str
    told: dict[str, Any]
    fit: PurchaseFit | None = None
    tests: list[Backtest] = field(default_factory=list)
    at_origins: list[PurchaseFit] = field(default_factory=list)


def try_covariates(
    plain: Plain,
    holdouts: Sequence[Holdout],
    rules: RefitRules,
    load_parted: Callable[[], PartedBook],
) -> Trial:
    """Fit the model with covariates at the origins, and on the whole book where it does better.

    holdouts: those ``plain`` was tested on, the latest first. load_parted: reads the whole book
    split by category.
    """
    name = plain.fit.candidate + WITH_COVARIATES
    if not holdouts:
        return _refused(name, "there is no backtest", "没有可用的回测", {})
    oldest = holdouts[-1].parted
    least = rules.covariate_customers_at_least
    coding = Coding.of(oldest, least)
    if not coding.levels:
        return _refused(
            name,
            f"no covariate has two categories of {least} customers",
            f"没有协变量具备两个不少于 {least} 个客户的类别",
            {},
        )
    small = oldest.sample(SAMPLE_GROUPS)
    alone = {
        each: _fitted(name, plain.at_origins[-1], small, coding.only([each])).fit
        for each in coding.levels
    }
    wald = {each: _wald(fit) for each, fit in alone.items()}
    needed = {each: _effects(fit) * float(np.log(small.book.size)) for each, fit in alone.items()}
    told: dict[str, Any] = {
        "wald": wald,
        "wald_needed": needed,
        "used": [each for each in wald if wald[each] > needed[each]],
    }
    if not told["used"]:
        compared = ", ".join(f"{each} {wald[each]:.1f} of {needed[each]:.1f}" for each in wald)
        compared_zh = "、".join(f"{each} {wald[each]:.1f},需 {needed[each]:.1f}" for each in wald)
        return _refused(
            name,
            f"none tells buyers apart (Wald statistic {compared} needed)",
            f"均不能显著区分客户(Wald 统计量 {compared_zh})",
            told,
        )
    coding = coding.only(told["used"])
    fits = [
        _fitted(name, made, holdout.parted, coding)
        for made, holdout in zip(plain.at_origins, holdouts, strict=True)
    ]
    tests = [tested(fit, holdout) for fit, holdout in zip(fits, holdouts, strict=True)]
    own, other = ([test.model.mae for test in each] for each in (tests, plain.tests))
    told |= {"mae": float(np.mean(own)), "plain_mae": float(np.mean(other))}
    compared = ", ".join(f"{a:.4g} / {b:.4g}" for a, b in zip(own, other, strict=True))
    text_en = f"{', '.join(coding.levels)}: MAE with / without {compared}"
    text_zh = f"{'、'.join(coding.levels)}:平均绝对误差(有 / 无){compared}"
    verdict = promotion_verdict(tests, rules.maximum_bias)
    gain = rules.covariate_minimum_mae_gain
    is_better = all(a < b for a, b in zip(own, other, strict=True))
    if not (is_better and np.mean(own) <= (1 - gain) * np.mean(other)):
        text_en += f", {gain:.0%} less needed"
        text_zh += f",至少需降低 {gain:.0%}"
    elif not verdict.is_promoted:
        text_en += f", but {'; '.join(verdict.reasons)}"
        text_zh += f",但{';'.join(verdict.reasons_zh)}"
    else:
        fit = _fitted(name, plain.fit, load_parted(), coding)
        if fit.fit.status in USABLE:
            return Trial(name, f"covariates {text_en}", f"协变量{text_zh}", told, fit, tests, fits)
        text_en, text_zh = NO_MAXIMUM.text_en, NO_MAXIMUM.text_zh
    return _refused(name, text_en, text_zh, told, tests, fits)


def _refused(
    name: str,
    reason_en: str,
    reason_zh: str,
    told: dict[str, Any],
    tests: Sequence[Backtest] = (),
    fits: Sequence[PurchaseFit] = (),
) -> Trial:
    return Trial(
        name,
        f"covariates refused: {reason_en}",
        f"协变量未采用:{reason_zh}",
        told,
        None,
        list(tests),
        list(fits),
    )


def _fitted(name: str, plain: PurchaseFit, parted: PartedBook, coding: Coding) -> PurchaseFit:
    """The model of ``plain`` with covariates, from its parameters on."""
    model = plain.fit.model
    rate, leaving = ("alpha", "beta") if isinstance(model, ParetoNbd) else ("alpha", "a")
    on = [rate] if plain.fit.status is FitStatus.NO_CHURN else [rate, leaving]
    cells = coding.cells(parted)
    fit: Fit[Any] = fit_with_covariates(
        model, [parted.book.rows(groups) for _, groups in cells], [row for row, _ in cells], on
    )
    return PurchaseFit(name, fit, coding)


def _effects(fit: Fit[Any]) -> int:
    return len(fit.names) - len(fit.model.base.names)


def _wald(fit: Fit[Any]) -> float:
    """The effects against no effect: their squares in units of their covariance."""
    size = len(fit.model.base.names)
    covariance = np.array(fit.covariance)[size:, size:]
    known = np.isfinite(np.diag(covariance))
    effects = fit.model.theta[size:][known]
    return float(effects @ np.linalg.pinv(covariance[np.ix_(known, known)]) @ effects)
