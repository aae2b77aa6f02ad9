"""Fit a scorecard: bin, select, regress, drop wrong signs, scale to points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit.binning import (
    BinningOptions,
    Flags,
    Floats,
    Integers,
    VariableBins,
    bin_categorical,
    bin_numeric,
    is_numeric,
)
from customer_marts.credit.logistic import LogisticFit, calibrate_intercept, fit_ridge_logistic
from customer_marts.credit.scorecard import (
    Features,
    PointsScale,
    Population,
    Scorecard,
    ScoredVariable,
    whole_points,
)
from customer_marts.errors import ConfigurationError, DataError
from customer_marts.told import Told

COUNT_POPULATION_BANDS = 10
KEPT_DECIMALS = 10


class FitStatus(StrEnum):
    """How a fit ended; only ``ok`` has a scorecard."""

    OK = "ok"
    TOO_FEW_DEFAULTS = "too_few_defaults"
    NO_SIGNAL = "no_signal"
    FAILED = "failed"


class VariableOutcome(StrEnum):
    """What became of a variable."""

    SELECTED = "selected"
    LOW_IV = "low_iv"
    CORRELATED = "correlated"
    BEYOND_MAXIMUM = "beyond_maximum"
    WRONG_SIGN = "wrong_sign"
    NOT_FITTED = "not_fitted"


@dataclass(frozen=True, slots=True)
class ScorecardOptions:
    """All thresholds of a fit.

    minimum_defaults: defaults, and likewise goods, below which nothing is fitted. minimum_iv: a
    variable below it is left out. maximum_correlation: of two variables whose WoE correlate more
    (in absolute value), the one with the lower IV is left out. ridge: see fit_ridge_logistic.
    shrinkage: what the fitted coefficients are multiplied by, in (0, 1]; the intercept then gives
    the rows' default rate again. long_run_default_rate: the mean probability that the scorecard is
    calibrated to; None: the default rate of the rows. specials: by variable, codes with a bin of
    their own.
    """

    binning: BinningOptions = field(default_factory=BinningOptions)
    scale: PointsScale = field(default_factory=PointsScale)
    minimum_defaults: int = 30
    minimum_iv: float = 0.02
    maximum_correlation: float = 0.7
    maximum_variables: int = 12
    ridge: float = 1.0
    shrinkage: float = 1.0
    long_run_default_rate: float | None = None
    specials: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rate = self.long_run_default_rate
        is_sound = (
            self.minimum_defaults >= 1
            and self.minimum_iv >= 0
            and 0 < self.maximum_correlation <= 1
            and self.maximum_variables >= 1
            and self.ridge >= 0
            and 0 < self.shrinkage <= 1
            and (rate is None or 0 < rate < 1)
        )
        if not is_sound:
            raise ConfigurationError(
                "The scorecard options contradict themselves",
                where=repr(self),
                todo="minimum_defaults and maximum_variables at least 1, minimum_iv and ridge not "
                "negative, maximum_correlation and shrinkage in (0, 1], long_run_default_rate in "
                "(0, 1)",
            )


@dataclass(frozen=True, slots=True)
class VariableReport:
    """A variable's information value, what became of it, and why in one sentence."""

    name: str
    iv: float | None
    outcome: VariableOutcome
    detail: str


@dataclass(frozen=True, slots=True)
class FitResult:
    """A scorecard, or the reasons that there is none; and what became of each variable."""

    fit_status: FitStatus
    reasons: tuple[Told, ...]
    scorecard: Scorecard | None
    variables: tuple[VariableReport, ...]
    count_rows: int
    count_defaults: int


def fit_scorecard(
    features: Features, default: npt.NDArray[Any], options: ScorecardOptions | None = None
) -> FitResult:
    """Fit a scorecard of ``default`` (n of True / False or 1 / 0) on columns of length n.

    Deterministic: no random number; neither the order of the columns nor that of the rows decides.
    Numeric and boolean columns are ordered; every other column holds levels.

    Raises:
        DataError: a column's length is not n, or ``default`` is unknown somewhere.
    """
    options = options or ScorecardOptions()
    is_bad = _defaults(default)
    _check_lengths(features, len(is_bad))
    reports: dict[str, VariableReport] = {}

    def ended(status: FitStatus, *reasons: Told, card: Scorecard | None = None) -> FitResult:
        rows = tuple(
            reports.get(name)
            or VariableReport(name, None, VariableOutcome.NOT_FITTED, "the fit ended before it")
            for name in sorted(features)
        )
        return FitResult(status, reasons, card, rows, len(is_bad), int(is_bad.sum()))

    bads, goods = int(is_bad.sum()), int((~is_bad).sum())
    if min(bads, goods) < options.minimum_defaults:
        return ended(
            FitStatus.TOO_FEW_DEFAULTS,
            Told(
                f"defaults: {bads}, goods: {goods}; {options.minimum_defaults} of each are needed",
                f"违约 {bads} 个、正常 {goods} 个,各至少需要 {options.minimum_defaults} 个",
            ),
        )
    binned = [_bin(name, features[name], is_bad, options) for name in sorted(features)]
    binned.sort(key=lambda each: (-round(each.iv, 12), each.name))
    chosen, woe = _select(binned, features, options, reports)
    if not chosen:
        return ended(
            FitStatus.NO_SIGNAL,
            Told(
                f"no variable has an IV of {options.minimum_iv:g}",
                f"没有变量的信息值达到 {options.minimum_iv:g}",
            ),
        )
    while True:
        fit = fit_ridge_logistic(woe, is_bad, options.ridge)
        if not fit.is_converged:
            return ended(
                FitStatus.FAILED,
                Told(
                    f"the regression did not converge in {fit.count_iterations} steps",
                    f"回归在 {fit.count_iterations} 步内未收敛",
                ),
            )
        worst = int(np.argmax(fit.coefficients))
        if fit.coefficients[worst] < 0:
            break
        dropped = chosen.pop(worst)
        woe = np.delete(woe, worst, axis=1)
        reports[dropped.name] = VariableReport(
            dropped.name,
            dropped.iv,
            VariableOutcome.WRONG_SIGN,
            "beside the others its coefficient goes against its own weight of evidence: "
            f"{fit.coefficients[worst]:.4f}, not below 0",
        )
        if not chosen:
            return ended(
                FitStatus.NO_SIGNAL,
                Told(
                    "every variable went against its own evidence",
                    "所有变量的系数方向均与其自身证据相反",
                ),
            )
    return ended(FitStatus.OK, card=_scorecard(chosen, woe, is_bad, fit, options, features))


def _defaults(default: npt.NDArray[Any]) -> Flags:
    """The outcome as flags; anything but 0 and 1 is an error."""
    is_masked = np.ma.getmaskarray(default)
    plain = np.asarray(np.ma.getdata(default))
    is_flag = np.isin(plain, (0, 1)) & ~is_masked
    if plain.ndim != 1 or not is_flag.all():
        raise DataError(
            "The outcome must be known for each customer of a fit",
            where=f"{int((~is_flag).sum())} of {len(plain)} entries are neither 0 nor 1",
            todo="leave out the customers whose outcome is not known yet",
        )
    return plain.astype(bool)


def _check_lengths(features: Features, count: int) -> None:
    wrong = [name for name, column in features.items() if np.shape(column) != (count,)]
    if wrong:
        raise DataError(
            "A column has not one entry per customer",
            where=", ".join(f"{name} {np.shape(features[name])}" for name in sorted(wrong)),
            todo=f"give {count} entries in each column",
        )


def _bin(
    name: str, values: npt.NDArray[Any], is_bad: Flags, options: ScorecardOptions
) -> VariableBins:
    if is_numeric(values):
        return bin_numeric(name, values, is_bad, options.binning, options.specials.get(name, ()))
    return bin_categorical(name, values, is_bad, options.binning)


def _select(
    binned: Sequence[VariableBins],
    features: Features,
    options: ScorecardOptions,
    reports: dict[str, VariableReport],
) -> tuple[list[VariableBins], Floats]:
    """The variables of a fit, the highest IV first, and their WoE columns; reports on each."""
    chosen: list[VariableBins] = []
    columns: list[Floats] = []
    units: list[Floats] = []
    for each in binned:
        outcome, detail = VariableOutcome.SELECTED, ""
        if each.iv < options.minimum_iv or not _tells_apart(each):
            outcome = VariableOutcome.LOW_IV
            detail = f"IV {each.iv:.4f}; {options.minimum_iv:g} is needed"
            if each.iv >= options.minimum_iv:
                detail = "all customers have the same weight of evidence"
        elif len(chosen) == options.maximum_variables:
            outcome = VariableOutcome.BEYOND_MAXIMUM
            detail = f"{options.maximum_variables} variables with a higher IV came first"
        else:
            column = each.woe(features[each.name])
            unit = _unit(column)
            nearest = [abs(float(unit @ other)) for other in units]
            if nearest and max(nearest) > options.maximum_correlation:
                twin = chosen[nearest.index(max(nearest))].name
                outcome = VariableOutcome.CORRELATED
                detail = f"correlates {max(nearest):.2f} with {twin}, whose IV is higher"
            else:
                chosen.append(each)
                columns.append(column)
                units.append(unit)
        reports[each.name] = VariableReport(each.name, each.iv, outcome, detail)
    return chosen, np.column_stack(columns) if columns else np.empty((0, 0))


def _tells_apart(variable: VariableBins) -> bool:
    """Whether two customers differ in WoE; smoothing can make a variable's two bins equal."""
    held = {each.woe for each in variable.bins if each.count_goods + each.count_bads}
    return len(held) > 1


def _unit(column: Floats) -> Floats:
    """Centred and of length 1: the product of two is their correlation."""
    centred = column - column.mean()
    unit: Floats = centred / np.sqrt((centred * centred).sum())
    return unit


def _scorecard(
    chosen: Sequence[VariableBins],
    woe: Floats,
    is_bad: Flags,
    fit: LogisticFit,
    options: ScorecardOptions,
    features: Features,
) -> Scorecard:
    """The fit on the points scale. Rounded, so that the order of the rows leaves no trace."""
    coefficients = fit.coefficients * options.shrinkage
    intercept, rate = fit.intercept, options.long_run_default_rate
    if rate is not None or options.shrinkage < 1:
        log_odds = intercept + woe @ coefficients
        intercept += calibrate_intercept(log_odds, float(is_bad.mean()) if rate is None else rate)
    intercept = round(intercept, KEPT_DECIMALS)
    coefficients = np.round(coefficients, KEPT_DECIMALS)
    errors = np.round(fit.standard_errors[1:] * options.shrinkage, KEPT_DECIMALS)
    points = whole_points(options.scale, intercept, tuple(chosen), coefficients)
    variables = tuple(
        ScoredVariable(bins, float(coefficient), float(error), whole)
        for bins, coefficient, error, whole in zip(
            chosen, coefficients, errors, points, strict=True
        )
    )
    unplaced = Scorecard(options.scale, intercept, variables, Population(0, 0, (), (1.0,)))
    return replace(unplaced, population=_population(unplaced.score(features).score, is_bad))


def _population(scores: Integers, is_bad: Flags) -> Population:
    """Bands of about equal numbers; equal scores stay together."""
    ordered = np.sort(scores)
    at = (np.arange(1, COUNT_POPULATION_BANDS) * len(ordered)) // COUNT_POPULATION_BANDS
    edges = np.unique(ordered[at])
    edges = edges[edges > ordered[0]]
    placed = Population(
        len(scores), int(is_bad.sum()), tuple(edges.tolist()), (0.0,) * (len(edges) + 1)
    )
    return replace(placed, shares=tuple(placed.shares_of(scores).tolist()))
