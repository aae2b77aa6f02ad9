"""Fit the candidates on a book, hold each against what customers then did, promote or refuse.

The best of the candidates on the holdouts is the challenger. It is promoted where its bias is
within bounds and its error below both naive rules at every origin, and not above the champion's;
else the champion stays. The champion is measured with the parameters it has, which may have seen
some of the holdout: the comparison favours it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from customer_marts.clv.backtest import Backtest
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book
from customer_marts.clv.coding import PartedBook
from customer_marts.clv.covariate_trial import Plain, try_covariates
from customer_marts.clv.covariates import CovariateModel
from customer_marts.clv.fitting import USABLE, Fit, FitStatus
from customer_marts.clv.holdouts import (
    Holdout,
    PurchaseFit,
    Rows,
    curves,
    tested,
    told_rows,
)
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.refit_results import (
    CHAMPION,
    TOO_FEW,
    Refit,
    best_of,
    bias_told,
    fit_told,
    judged,
    not_fitted,
    verdict_on,
)
from customer_marts.clv.refit_rules import RefitRules

SALE_TYPES = ("contract", "spot")


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
        return not_fitted(
            TOO_FEW,
            f"customers that bought again: {repeaters}; {needed} are needed",
            f"仅 {repeaters} 个客户重复购买,至少需要 {needed} 个",
            found,
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
        return not_fitted(
            FitStatus.FAILED.value,
            "no candidate's likelihood has a maximum",
            "所有候选模型均未收敛",
            found,
        )
    chosen = best_of({name: tests[name] for name in able}, rules)
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
    found |= bias_told(tests[chosen]) | _naive_told(tests[chosen])
    verdict = verdict_on(chosen, tests[chosen], tests.get(CHAMPION, []), rules)
    is_promoted, reasons_en, reasons_zh = verdict
    return judged(
        fits[chosen].fit.status.value,
        fits[chosen].to_json(),
        is_promoted,
        [*reasons_en, trial.reason_en],
        [*reasons_zh, trial.reason_zh],
        found,
    )


def _tests(fits: Sequence[PurchaseFit], holdouts: Sequence[Holdout]) -> list[Backtest]:
    return [tested(fit, holdout) for fit, holdout in zip(fits, holdouts, strict=True)]


def _test_rows(tests: Mapping[str, Sequence[Backtest]], holdouts: Sequence[Holdout]) -> Rows:
    return [
        row
        for at, holdout in enumerate(holdouts)
        for row in told_rows({name: found[at] for name, found in tests.items()}, holdout)
    ]


def _naive_told(tests: Sequence[Backtest]) -> dict[str, float]:
    if not tests:
        return {}
    return {
        "naive_rate_mae": float(np.mean([test.naive_rate.mae for test in tests])),
        "naive_silence_mae": float(np.mean([test.naive_silence.mae for test in tests])),
    }


def _fit_told(made: PurchaseFit) -> dict[str, Any]:
    fit = made.fit
    base = fit.model.base if isinstance(fit.model, CovariateModel) else fit.model
    told = {parameter: float(getattr(base, parameter)) for parameter in base.names}
    if isinstance(base, MbgCnbdK):
        told["k"] = base.k
    return fit_told(made.candidate, fit, told)
