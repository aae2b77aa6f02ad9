"""How well probabilities of default rank customers, and how true they are.

``risk`` is any number that grows with the risk (a probability, or minus a score); ``default`` is 0
or 1 for each customer. A figure that the data cannot carry raises; ``assess_holdout`` in
``promotion`` turns that into a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit.binning import Flags, Floats, Integers
from customer_marts.errors import DataError

EMPTY_SHARE = 1e-4


@dataclass(frozen=True, slots=True)
class AucDifference:
    """The AUC of two scores on the same customers; difference = first - second."""

    first: float
    second: float
    difference: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """Customers of near probabilities: what was expected, what came.

    lower, upper: Wilson interval of the observed rate. is_within: the expected rate lies in it.
    """

    bin_no: int
    count_rows: int
    count_defaults: int
    expected_rate: float
    observed_rate: float
    lower: float
    upper: float
    is_within: bool


def auc(default: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """The chance that a random defaulter has a higher risk than a random good; ties count half."""
    is_bad, numbers = _checked(default, risk)
    return float(_placements(is_bad, numbers)[0].mean())


def auc_standard_error(default: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """The standard error of the AUC; NaN with a single good or a single bad.

    Source: E. DeLong et al., Biometrics 44 (1988), by the mid-ranks of X. Sun and W. Xu, IEEE
    Signal Processing Letters 21 (2014).
    """
    is_bad, numbers = _checked(default, risk)
    of_bads, of_goods = _placements(is_bad, numbers)
    if min(len(of_bads), len(of_goods)) < 2:
        return math.nan
    return math.sqrt(of_bads.var(ddof=1) / len(of_bads) + of_goods.var(ddof=1) / len(of_goods))


def auc_difference(
    default: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike
) -> AucDifference:
    """Two scores compared on the same customers, their correlation counted (DeLong)."""
    is_bad, one = _checked(default, first)
    _, other = _checked(default, second)
    bads_one, goods_one = _placements(is_bad, one)
    bads_other, goods_other = _placements(is_bad, other)
    error = math.nan
    if min(len(bads_one), len(goods_one)) >= 2:
        error = math.sqrt(
            (bads_one - bads_other).var(ddof=1) / len(bads_one)
            + (goods_one - goods_other).var(ddof=1) / len(goods_one)
        )
    first_auc, second_auc = float(bads_one.mean()), float(bads_other.mean())
    return AucDifference(first_auc, second_auc, first_auc - second_auc, error)


def gini(default: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """2 AUC - 1: 0 is chance, 1 is perfect."""
    return 2.0 * auc(default, risk) - 1.0


def ks(default: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """Kolmogorov-Smirnov: the widest gap between the distributions of the goods and the bads."""
    is_bad, numbers = _checked(default, risk)
    _, at = np.unique(numbers, return_inverse=True)
    bads = np.bincount(at[is_bad], minlength=at.max() + 1).cumsum() / is_bad.sum()
    goods = np.bincount(at[~is_bad], minlength=at.max() + 1).cumsum() / (~is_bad).sum()
    return float(np.abs(bads - goods).max())


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Population stability index of two spreads over the same bands, as shares or counts.

    The sum over the bands of (actual - expected) * ln(actual / expected); an empty band counts as
    a share of 0.0001. .1/.2/.4/.2/.1 against .15/.25/.35/.15/.10 gives .05249. By custom below .1
    is stable and above .25 is another population.

    Raises:
        DataError: the numbers of bands differ, a share is negative, or a spread is empty.
    """
    before, after = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    is_sound = (
        before.shape == after.shape
        and before.ndim == 1
        and before.size > 0
        and bool(np.isfinite(before).all() and np.isfinite(after).all())
        and before.min() >= 0
        and after.min() >= 0
        and before.sum() > 0
        and after.sum() > 0
    )
    if not is_sound:
        raise DataError(
            "Two spreads cannot be compared",
            where=f"{before.shape} and {after.shape} bands, or a negative or empty spread",
            todo="give non-negative shares over the same bands",
        )
    before = np.maximum(before / before.sum(), EMPTY_SHARE)
    after = np.maximum(after / after.sum(), EMPTY_SHARE)
    return float(((after - before) * np.log(after / before)).sum())


def brier(default: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """The mean squared distance of the probabilities from what came; 0 is perfect."""
    is_bad, numbers = _checked(default, probability, both=False)
    return float(np.mean((numbers - is_bad) ** 2))


def spiegelhalter_z(default: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Calibration as a standard normal figure: near 0 when the probabilities are true.

    The Brier score less its expectation, over its standard deviation. Source: D. Spiegelhalter,
    Statistics in Medicine 5 (1986). 0 where every probability is 0, 1/2 or 1.
    """
    is_bad, numbers = _checked(default, probability, both=False)
    tilt = 1.0 - 2.0 * numbers
    variance = float((tilt**2 * numbers * (1.0 - numbers)).sum())
    if variance == 0:
        return 0.0
    return float(((is_bad - numbers) * tilt).sum() / math.sqrt(variance))


def wilson_interval(count: int, count_rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share; 80 of 100 gives .7112 to .8666.

    Source: E. Wilson, Journal of the American Statistical Association 22 (1927).
    """
    if not 0 <= count <= count_rows or count_rows == 0:
        raise DataError(
            "A share needs a part and a whole",
            where=f"{count} of {count_rows}",
            todo="give 0 <= count <= count_rows with count_rows above 0",
        )
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share, widening = count / count_rows, z * z / count_rows
    centre = (share + widening / 2.0) / (1.0 + widening)
    reach = (
        z
        * math.sqrt(share * (1.0 - share) / count_rows + widening / (4.0 * count_rows))
        / (1.0 + widening)
    )
    lower = 0.0 if count == 0 else max(0.0, centre - reach)
    upper = 1.0 if count == count_rows else min(1.0, centre + reach)
    return lower, upper


def calibration_table(
    default: npt.ArrayLike,
    probability: npt.ArrayLike,
    count_bins: int = 10,
    confidence: float = 0.95,
) -> tuple[CalibrationRow, ...]:
    """Expected and observed default rates by quantile of the probability; ties stay together."""
    is_bad, numbers = _checked(default, probability, both=False)
    ordered = np.sort(numbers)
    edges = np.unique(ordered[(np.arange(1, count_bins) * len(ordered)) // count_bins])
    edges = edges[edges > ordered[0]]
    at = np.searchsorted(edges, numbers, side="right")
    rows = np.bincount(at, minlength=len(edges) + 1)
    bads = np.bincount(at[is_bad], minlength=len(edges) + 1)
    expected = np.bincount(at, weights=numbers, minlength=len(edges) + 1) / rows
    table = []
    for number, (count, bad, rate) in enumerate(
        zip(rows.tolist(), bads.tolist(), expected.tolist(), strict=True), start=1
    ):
        lower, upper = wilson_interval(bad, count, confidence)
        table.append(
            CalibrationRow(
                number, count, bad, rate, bad / count, lower, upper, lower <= rate <= upper
            )
        )
    return tuple(table)


def _checked(
    default: npt.ArrayLike, numbers: npt.ArrayLike, *, both: bool = True
) -> tuple[Flags, Floats]:
    outcome: npt.NDArray[Any] = np.asarray(default)
    values = np.asarray(numbers, dtype=np.float64)
    is_flag = np.isin(outcome, (0, 1))
    if outcome.ndim != 1 or outcome.shape != values.shape or not outcome.size:
        problem = f"shapes {outcome.shape} and {values.shape}"
    elif not is_flag.all() or np.isnan(values).any():
        problem = f"{int((~is_flag | np.isnan(values)).sum())} entries are unknown"
    elif both and len(np.unique(outcome)) < 2:
        problem = "only goods or only bads"
    else:
        return outcome.astype(bool), values
    raise DataError(
        "The quality of a model cannot be measured",
        where=problem,
        todo="give known outcomes of goods and bads with one number each",
    )


def _placements(is_bad: Flags, numbers: Floats) -> tuple[Floats, Floats]:
    """For each bad the share of goods below it; for each good the share of bads above it."""
    bads, goods = np.sort(numbers[is_bad]), np.sort(numbers[~is_bad])
    return (
        _mid_position(goods, numbers[is_bad]) / len(goods),
        1.0 - _mid_position(bads, numbers[~is_bad]) / len(bads),
    )


def _mid_position(ordered: Floats, numbers: Floats) -> Floats:
    """How many of ``ordered`` lie below each number, equal ones counting half."""
    below: Integers = np.searchsorted(ordered, numbers, side="left")
    not_above: Integers = np.searchsorted(ordered, numbers, side="right")
    middle: Floats = (below + not_above) / 2.0
    return middle
