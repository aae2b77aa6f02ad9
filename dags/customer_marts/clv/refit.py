"""Fit the candidates on a book, hold each against what customers then did, promote or refuse.

The best of the candidates on the holdouts is the challenger. It is promoted where its bias is
within bounds and its error below both naive rules at every origin, and not above the champion's;
else the champion stays. The champion is measured with the parameters it has, which may have seen
some of the holdout: the comparison favours it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Backtest, promotion_verdict
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book, Floats
from customer_marts.clv.coding import PartedBook
from customer_marts.clv.covariate_trial import Plain, try_covariates
from customer_marts.clv.covariates import CovariateModel
from customer_marts.clv.fitting import USABLE, Fit, FitStatus
from customer_marts.clv.gammagamma import (
    GammaGamma,
    fit_gammagamma,
    frequency_value_correlation,
)
from customer_marts.clv.holdouts import (
    Holdout,
    PurchaseFit,
    Rows,
    curves,
    naive_rows,
    tested,
    told_row,
)
from customer_marts.clv.margin import Credibility, MarginBasis, fit_credibility
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.refit_rules import RefitRules

SALE_TYPES = ("contract", "spot")
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


@dataclass(frozen=True)
class _Candidate:
    name: str
    fit: Callable[[Book, PurchaseModel | None], Fit[PurchaseModel]]


def _warm(kind: type[PurchaseModel], start: PurchaseModel | None) -> Any:
    return start if isinstance(start, kind) else None


def _regular(book: Book, start: PurchaseModel | None) -> Fit[PurchaseModel]:
    """MBG/CNBD-k; k is chosen on the whole book, and kept at the origins (``start`` has it)."""
    if isinstance(start, MbgCnbdK):
        return fit_mbgcnbd(book, start.k, start)
    return fit_mbgcnbd_best(book)


CANDIDATES = (
    _Candidate("bg_nbd", lambda book, start: fit_bgnbd(book, _warm(BgNbd, start))),
    _Candidate("mbg_nbd", lambda book, start: fit_mbgnbd(book, _warm(MbgCnbdK, start))),
    _Candidate("mbg_cnbd_k", _regular),
    _Candidate("pareto_nbd", lambda book, start: fit_paretonbd(book, _warm(ParetoNbd, start))),
)
# Without a backtest nothing can choose: the model without the defect of one-time buyers.
UNTESTED = CANDIDATES[1]


def refit_purchases(
    book: Book | None,
    holdouts: Sequence[Holdout],
    champion: PurchaseFit | None,
    rules: RefitRules,
    load_parted: Callable[[], PartedBook],
) -> Refit:
    """Fit, test and judge the models of when customers buy.

    book: None without customers. load_parted: reads the same book split by category.
    """
    needed = rules.repeat_buyers_at_least
    repeaters = int(book.repeat_buyers) if book is not None else 0
    found: dict[str, Any] = {
        "customers": int(book.size) if book is not None else 0,
        "repeat_buyers": repeaters,
        "purchases": int(book.purchases) if book is not None else 0,
    }
    if book is None or repeaters < needed:
        return Refit(
            "too_few",
            None,
            False,
            f"Not fitted: {repeaters} customers bought again; {needed} are needed",
            f"未建模:仅 {repeaters} 个客户重复购买,至少需要 {needed} 个",
            _as_json(found),
        )
    usable = [
        each for each in holdouts if each.book.repeat_buyers >= rules.test_repeat_buyers_at_least
    ]
    candidates = CANDIDATES if usable else (UNTESTED,)
    fits = {each.name: PurchaseFit(each.name, each.fit(book, None)) for each in candidates}
    at_origins = {
        each.name: [
            PurchaseFit(each.name, each.fit(holdout.book, fits[each.name].fit.model))
            for holdout in usable
        ]
        for each in candidates
    }
    tests = {name: _tests(made, usable) for name, made in at_origins.items()}
    if champion is not None:
        tests[CHAMPION] = _tests([champion] * len(usable), usable)
    able = [name for name, each in fits.items() if each.fit.status in USABLE]
    if not able:
        found["fits"] = [_fit_told(each) for each in fits.values()]
        found["tests"] = _test_rows(tests, usable)
        return Refit(
            FitStatus.FAILED.value,
            None,
            False,
            "Not fitted: no candidate's likelihood has a maximum",
            "未建模:所有候选模型均未收敛",
            _as_json(found),
        )
    sound = {name: promotion_verdict(tests[name], rules.maximum_bias).is_promoted for name in able}
    chosen = min(able, key=lambda name: (not sound[name], _error(tests[name]), able.index(name)))
    plain = Plain(fits[chosen], at_origins[chosen], tests[chosen])
    trial = try_covariates(plain, usable, rules, load_parted)
    if trial.tests:
        tests[trial.name] = trial.tests
        at_origins[trial.name] = trial.at_origins
    if trial.fit is not None:
        chosen, fits[trial.name] = trial.name, trial.fit
    found["fits"] = [_fit_told(each) for each in fits.values()]
    found["tests"] = _test_rows(tests, usable)
    found["candidate"] = chosen
    found["covariates"] = trial.told
    found["curves"] = [
        point
        for made, holdout in zip(at_origins[chosen], usable, strict=True)
        for point in curves(made, holdout)
    ]
    found |= _bias_told(tests[chosen])
    verdict = _verdict(chosen, tests[chosen], tests.get(CHAMPION, []), rules)
    is_promoted, reasons_en, reasons_zh = verdict
    word_en, word_zh = ("Promoted", "启用") if is_promoted else ("Refused", "不启用")
    return Refit(
        fits[chosen].fit.status.value,
        fits[chosen].to_json(),
        is_promoted,
        f"{word_en}: {'; '.join([*reasons_en, trial.reason_en])}",
        f"{word_zh}:{';'.join([*reasons_zh, trial.reason_zh])}",
        _as_json(found),
    )


def _tests(fits: Sequence[PurchaseFit], holdouts: Sequence[Holdout]) -> list[Backtest]:
    return [tested(fit, holdout) for fit, holdout in zip(fits, holdouts, strict=True)]


def _test_rows(tests: Mapping[str, Sequence[Backtest]], holdouts: Sequence[Holdout]) -> Rows:
    rows: Rows = []
    for at, holdout in enumerate(holdouts):
        rows += [told_row(name, holdout, found[at]) for name, found in tests.items()]
        rows += naive_rows(holdout, next(iter(tests.values()))[at])
    return rows


def refit_margins(
    purchases: Floats, mean_value: Floats, variance: Floats, rules: RefitRules
) -> Refit:
    """Fit what a purchase is worth, over customers with a known margin; one entry a customer.

    Gamma-Gamma where value does not go with frequency and its fit is ok, for the customers whose
    mean is above 0; the shrunken mean (credibility) for all others, and for all where it is not.
    """
    number = purchases.size
    found: dict[str, Any] = {
        "customers": number,
        "not_above_zero": int((mean_value <= 0).sum()),
    }
    if number < rules.margins_at_least:
        return Refit(
            "too_few",
            None,
            False,
            f"Not fitted: the margin of {number} customers is known; {rules.margins_at_least} are "
            "needed",
            f"未建模:仅 {number} 个客户毛利已知,至少需要 {rules.margins_at_least} 个",
            _as_json(found),
        )
    credibility = fit_credibility(purchases, mean_value, variance=variance)
    correlation = frequency_value_correlation(purchases, mean_value)
    fit = fit_gammagamma(purchases, mean_value) if (mean_value > 0).any() else None
    found["frequency_value_correlation"] = correlation
    found["gamma_gamma_reasons"] = list(fit.reasons) if fit else []
    holds = fit is not None and fit.status is FitStatus.OK
    basis = MarginBasis.GAMMA_GAMMA if holds else MarginBasis.SHRUNKEN_MEAN
    left = found["not_above_zero"]
    also_en = f"; {left} customers with a mean not above 0 take the shrunken mean" if left else ""
    also_zh = f";{left} 个平均毛利不为正的客户采用收缩均值" if left else ""
    if holds:
        text_en = (
            f"Gamma-Gamma: frequency and margin correlate by {correlation:.2f} over {number} "
            f"customers{also_en}"
        )
        text_zh = (
            f"采用Gamma-Gamma:{number} 个客户购买频率与毛利相关系数 {correlation:.2f}{also_zh}"
        )
    else:
        why = "; ".join(fit.reasons) if fit else "no mean margin is above 0"
        text_en = f"Shrunken mean, as Gamma-Gamma does not hold: {why}"
        text_zh = f"采用收缩均值:Gamma-Gamma假设不成立(购买频率与毛利相关系数 {correlation:.2f})"
    return Refit(
        FitStatus.OK.value if holds else FitStatus.WEAK_DATA.value,
        json.dumps(_margin_parameters(basis, credibility, fit), sort_keys=True),
        True,
        f"Promoted: {text_en}",
        f"启用:{text_zh}",
        _as_json(found),
    )


def _margin_parameters(
    basis: MarginBasis, credibility: Credibility, fit: Fit[GammaGamma] | None
) -> dict[str, Any]:
    model = asdict(fit.model) if fit is not None and basis is MarginBasis.GAMMA_GAMMA else {}
    return {"basis": basis.value, **asdict(credibility), **model}


def _verdict(
    chosen: str, tests: Sequence[Backtest], champion: Sequence[Backtest], rules: RefitRules
) -> tuple[bool, list[str], list[str]]:
    verdict = promotion_verdict(tests, rules.maximum_bias)
    reasons_en, reasons_zh = [], []
    if not verdict.is_promoted:
        reasons_en += [f"{chosen}, {reason}" for reason in verdict.reasons]
        reasons_zh += [f"{chosen},{reason}" for reason in verdict.reasons_zh]
    is_better = True
    if champion:
        own, other = _error(tests), _error(champion)
        is_better = own <= other * (1 + rules.maximum_mae_loss)
        if not is_better or verdict.is_promoted:
            reasons_en.append(f"mean absolute error {own:.4g} against {other:.4g} of the champion")
            reasons_zh.append(f"平均绝对误差 {own:.4g},现用模型为 {other:.4g}")
    if verdict.is_promoted and is_better:
        biases = ", ".join(f"{test.model.bias:+.1%}" for test in tests)
        reasons_en.insert(0, f"{chosen} beats both naive rules, bias {biases}")
        reasons_zh.insert(0, f"{chosen} 优于两条朴素规则,偏差 {biases}")
    return verdict.is_promoted and is_better, reasons_en, reasons_zh


def _error(tests: Sequence[Backtest]) -> float:
    return float(np.mean([test.model.mae for test in tests])) if tests else float("inf")


def _bias_told(tests: Sequence[Backtest]) -> dict[str, Any]:
    if not tests:
        return {}
    forecast = sum((1 + test.model.bias) * test.actual for test in tests if test.actual)
    actual = sum(test.actual for test in tests)
    return {
        "bias": forecast / actual - 1 if actual else None,
        "mae": _error(tests),
        "naive_rate_mae": float(np.mean([test.naive_rate.mae for test in tests])),
        "naive_silence_mae": float(np.mean([test.naive_silence.mae for test in tests])),
        "origins": len(tests),
    }


def _fit_told(made: PurchaseFit) -> dict[str, Any]:
    fit = made.fit
    base = fit.model.base if isinstance(fit.model, CovariateModel) else fit.model
    told = {parameter: float(getattr(base, parameter)) for parameter in base.names}
    if isinstance(base, MbgCnbdK):
        told["k"] = base.k
    return {
        "candidate": made.candidate,
        "status": fit.status.value,
        "reasons": list(fit.reasons),
        "log_likelihood": fit.log_likelihood,
        "parameters": told,
    }


def _kept(value: Any) -> Any:
    """Figures to six decimals; what is not a number is not known."""
    if isinstance(value, dict):
        return {name: _kept(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_kept(each) for each in value]
    if isinstance(value, float):
        return round(value, KEPT_DECIMALS) if np.isfinite(value) else None
    return value


def _as_json(found: dict[str, Any]) -> str:
    return json.dumps(_kept(found), sort_keys=True, ensure_ascii=False, allow_nan=False)
