"""Weight-of-evidence bins: what a value of one variable says about default.

Weight of evidence (WoE) of a bin = ln(its share of the goods / its share of the bads); information
value (IV) of a variable = sum over its bins of (goods share - bads share) * WoE. A good customer
did not default; a bad one did. Source: N. Siddiqi, Credit Risk Scorecards (2006), chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.errors import ConfigurationError, DataError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EMPTY_CELL_COUNT = 0.5


class BinKind(StrEnum):
    """What a bin holds; a value belongs to the first kind of this order that fits it."""

    MISSING = "missing"
    SPECIAL = "special"
    NUMERIC = "numeric"
    CATEGORY = "category"
    OTHER = "other"


class VariableKind(StrEnum):
    """Ordered numbers, or unordered levels."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True)
class BinningOptions:
    """How fine the bins may be.

    count_pre_bins: quantiles that merging starts from. maximum_bins: ordered bins that remain.
    minimum_share: of all rows, in each ordered bin and each level. minimum_events: bads, and
    likewise goods, in each bin; a missing, special or other bin with fewer is neutral.
    """

    count_pre_bins: int = 20
    maximum_bins: int = 6
    minimum_share: float = 0.05
    minimum_events: int = 5

    def __post_init__(self) -> None:
        is_sound = (
            self.count_pre_bins >= 2
            and self.maximum_bins >= 2
            and 0 <= self.minimum_share < 0.5
            and self.minimum_events >= 0
        )
        if not is_sound:
            raise ConfigurationError(
                "The binning options contradict themselves",
                where=repr(self),
                todo="count_pre_bins and maximum_bins at least 2, minimum_share in [0, 0.5), "
                "minimum_events not negative",
            )


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of one variable with what it held when it was fitted.

    lower (inclusive) and upper (exclusive) bound a numeric bin, None meaning unbounded; both hold
    the value of a special bin. levels are a category's names. woe is 0 (neutral) where the bin
    held too little to say anything.
    """

    kind: BinKind
    lower: float | None
    upper: float | None
    levels: tuple[str, ...]
    count_goods: int
    count_bads: int
    woe: float

    @property
    def label(self) -> str:
        if self.kind is BinKind.MISSING:
            return "missing / 缺失"
        if self.kind is BinKind.OTHER:
            return "other / 其他"
        if self.kind is BinKind.CATEGORY:
            return " | ".join(self.levels)
        if self.kind is BinKind.SPECIAL:
            return f"= {self.lower:.6g}"
        if self.lower is None:
            return "any / 任意" if self.upper is None else f"< {self.upper:.6g}"
        return (
            f"≥ {self.lower:.6g}"
            if self.upper is None
            else f"{self.lower:.6g} – < {self.upper:.6g}"
        )


@dataclass(frozen=True, slots=True)
class VariableBins:
    """All bins of one variable: every value there is belongs to exactly one of them.

    The order is numeric bins by lower bound (or categories, most rows first), specials, other (of
    a categorical variable), missing. iv is the information value on the rows it was fitted on.
    """

    name: str
    kind: VariableKind
    bins: tuple[Bin, ...]
    iv: float

    def positions(self, values: npt.NDArray[Any]) -> Integers:
        """The position in ``bins`` of each of ``values``, row by row: no row sees another.

        NaN, infinities, None and masked entries are missing. A level never seen is "other".
        """
        if self.kind is VariableKind.CATEGORICAL:
            return self._category_positions(values)
        return self._numeric_positions(values)

    def woe(self, values: npt.NDArray[Any]) -> Floats:
        """The weight of evidence of each of ``values``."""
        table = np.array([each.woe for each in self.bins], dtype=np.float64)
        weights: Floats = table[self.positions(values)]
        return weights

    def _numeric_positions(self, values: npt.NDArray[Any]) -> Integers:
        numbers = as_numbers(values, self.name)
        cuts = [each.lower for each in self.bins if each.kind is BinKind.NUMERIC]
        inner = np.array([cut for cut in cuts if cut is not None], dtype=np.float64)
        found: Integers = np.searchsorted(inner, numbers, side="right").astype(np.int64)
        for position, each in enumerate(self.bins):
            if each.kind is BinKind.SPECIAL:
                found[numbers == each.lower] = position
        found[np.isnan(numbers)] = len(self.bins) - 1
        return found

    def _category_positions(self, values: npt.NDArray[Any]) -> Integers:
        known = {level: at for at, each in enumerate(self.bins) for level in each.levels}
        other, missing = len(self.bins) - 2, len(self.bins) - 1
        return np.fromiter(
            (missing if level is None else known.get(level, other) for level in as_levels(values)),
            dtype=np.int64,
            count=len(values),
        )


def is_numeric(values: npt.NDArray[Any]) -> bool:
    """Whether a column is read as ordered numbers (else as levels)."""
    return bool(np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_)


def as_numbers(values: npt.NDArray[Any], name: str) -> Floats:
    """A column as doubles; missing entries and infinities are NaN.

    An infinity is a ratio without a denominator: it says that the value is unknown.
    """
    mask = np.ma.getmaskarray(values)
    plain = np.asarray(np.ma.getdata(values))
    try:
        numbers = np.array(plain, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            "A column that must hold numbers holds something else",
            where=f"variable {name}: {error}",
            todo="give the variable as numbers, NaN where unknown",
        ) from error
    numbers[mask | ~np.isfinite(numbers)] = np.nan
    return numbers


def as_levels(values: npt.NDArray[Any]) -> list[str | None]:
    """A column as level names; None, NaN and masked entries are None (missing)."""
    plain: list[Any] = np.ma.getdata(values).tolist()
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        plain = [None if hidden else value for value, hidden in zip(plain, mask, strict=True)]
    return [
        value if type(value) is str else None if value is None or value != value else str(value)
        for value in plain
    ]


def weights_of_evidence(goods: npt.ArrayLike, bads: npt.ArrayLike) -> tuple[Floats, float]:
    """WoE of each bin and the information value, from counts of goods and bads by bin.

    A bin without a good or without a bad would be infinite: a half is added to both of its cells,
    in its own shares only. Bins without an empty cell are exact.

    Raises:
        DataError: a count is negative, or there is no good or no bad at all.
    """
    good_counts = np.asarray(goods, dtype=np.float64)
    bad_counts = np.asarray(bads, dtype=np.float64)
    count_goods, count_bads = float(good_counts.sum()), float(bad_counts.sum())
    if min(good_counts.min(initial=0), bad_counts.min(initial=0)) < 0 or not (
        count_goods > 0 and count_bads > 0
    ):
        raise DataError(
            "Weight of evidence needs goods and bads",
            where=f"{count_goods:g} goods, {count_bads:g} bads",
            todo="score with the last promoted scorecard until both are known",
        )
    added = np.where((good_counts == 0) | (bad_counts == 0), EMPTY_CELL_COUNT, 0.0)
    good_shares = (good_counts + added) / count_goods
    bad_shares = (bad_counts + added) / count_bads
    woe = np.log(good_shares / bad_shares)
    return woe, float(((good_shares - bad_shares) * woe).sum())


def bin_numeric(
    name: str,
    values: npt.NDArray[Any],
    is_bad: Flags,
    options: BinningOptions,
    specials: Iterable[float] = (),
) -> VariableBins:
    """Bins of a numeric variable whose rate of bads only rises, or only falls, with the value.

    Quantile pre-bins are pooled until the rate is monotone (pool-adjacent-violators), each holds
    the minimum share and events, and no more than the maximum remain; of the rising and the
    falling order the one with the higher IV stands. Missing is a bin of its own, as is each of
    ``specials`` (codes such as -1 = no history); one too thin to judge is neutral.
    """
    numbers = as_numbers(values, name)
    is_missing = np.isnan(numbers)
    special_values = sorted(set(map(float, specials)))
    is_special = np.isin(numbers, special_values)
    is_ordinary = ~(is_missing | is_special)
    cells = _Cells(len(numbers), options)
    cuts, goods, bads = _ordered_cells(numbers[is_ordinary], is_bad[is_ordinary], cells, options)
    bounds: list[float | None] = [None, *cuts, None]
    drafts = [
        _Draft(BinKind.NUMERIC, (), goods[at], bads[at], bounds[at], bounds[at + 1])
        for at in range(len(goods))
    ]
    for special in special_values:
        bad = is_bad[numbers == special]
        drafts.append(
            _Draft(BinKind.SPECIAL, (), int((~bad).sum()), int(bad.sum()), special, special)
        )
    bad = is_bad[is_missing]
    drafts.append(_Draft(BinKind.MISSING, (), int((~bad).sum()), int(bad.sum())))
    return _finish(name, VariableKind.NUMERIC, drafts, cells)


def bin_categorical(
    name: str, values: npt.NDArray[Any], is_bad: Flags, options: BinningOptions
) -> VariableBins:
    """A bin for each level that holds the minimum share and events; the rare ones are "other".

    Missing is a bin of its own. A level not seen at the fit scores as "other", which is neutral
    (WoE 0) where the rare levels together are still too thin to judge.
    """
    index: dict[str | None, int] = {}
    codes = np.fromiter(
        (index.setdefault(level, len(index)) for level in as_levels(values)),
        dtype=np.int64,
        count=len(values),
    )
    bad_counts = np.bincount(codes[is_bad], minlength=len(index)).tolist()
    good_counts = np.bincount(codes[~is_bad], minlength=len(index)).tolist()
    cells = _Cells(len(values), options)
    counted = {level: (good_counts[code], bad_counts[code]) for level, code in index.items()}
    missing = counted.pop(None, (0, 0))
    levels = sorted(
        ((level, *count) for level, count in counted.items() if level is not None),
        key=lambda row: (-(row[1] + row[2]), row[0]),
    )
    common = [row for row in levels if cells.is_enough(row[1], row[2])]
    rare = [row for row in levels if not cells.is_enough(row[1], row[2])]
    drafts = [_Draft(BinKind.CATEGORY, (level,), good, bad) for level, good, bad in common]
    drafts.append(
        _Draft(BinKind.OTHER, (), sum(row[1] for row in rare), sum(row[2] for row in rare))
    )
    drafts.append(_Draft(BinKind.MISSING, (), *missing))
    return _finish(name, VariableKind.CATEGORICAL, drafts, cells)


@dataclass(frozen=True, slots=True)
class _Draft:
    kind: BinKind
    levels: tuple[str, ...]
    count_goods: int
    count_bads: int
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class _Cells:
    """When a bin of so many goods and bads says enough."""

    count_rows: int
    options: BinningOptions

    def is_enough(self, goods: int, bads: int) -> bool:
        return goods + bads >= self.options.minimum_share * self.count_rows and self.is_evidence(
            goods, bads
        )

    def is_evidence(self, goods: int, bads: int) -> bool:
        return goods + bads > 0 and min(goods, bads) >= self.options.minimum_events


def _finish(name: str, kind: VariableKind, drafts: Sequence[_Draft], cells: _Cells) -> VariableBins:
    """WoE of the drafts against all goods and bads; one without evidence is neutral."""
    goods = np.array([each.count_goods for each in drafts], dtype=np.float64)
    bads = np.array([each.count_bads for each in drafts], dtype=np.float64)
    woe, _ = weights_of_evidence(goods, bads)
    neutral = np.array(
        [not cells.is_evidence(each.count_goods, each.count_bads) for each in drafts], dtype=bool
    )
    woe = np.where(neutral, 0.0, woe)
    added = np.where((goods == 0) | (bads == 0), EMPTY_CELL_COUNT, 0.0)
    parts = ((goods + added) / goods.sum() - (bads + added) / bads.sum()) * woe
    bins = tuple(
        Bin(
            kind=each.kind,
            lower=each.lower,
            upper=each.upper,
            levels=each.levels,
            count_goods=each.count_goods,
            count_bads=each.count_bads,
            woe=float(weight),
        )
        for each, weight in zip(drafts, woe, strict=True)
    )
    return VariableBins(name, kind, bins, math.fsum(parts))


def _ordered_cells(
    numbers: Floats, is_bad: Flags, cells: _Cells, options: BinningOptions
) -> tuple[list[float], list[int], list[int]]:
    """Inner cuts and the goods and bads between them, merged as the options ask."""
    if not len(numbers):
        return [], [0], [0]
    cuts = _pre_bin_cuts(numbers, options.count_pre_bins)
    at = np.searchsorted(cuts, numbers, side="right")
    bads = np.bincount(at[is_bad], minlength=len(cuts) + 1)
    goods = np.bincount(at[~is_bad], minlength=len(cuts) + 1)
    candidates = [_Merged.start(cuts, goods, bads).merge(is_rising, cells) for is_rising in (1, 0)]
    best = max(candidates, key=lambda merged: round(merged.information(), 12))
    return best.cuts, best.goods, best.bads


def _pre_bin_cuts(numbers: Floats, count: int) -> Floats:
    """Observed values at the quantiles, and after each the next larger value.

    The second keeps a point mass apart: without it a variable that is 0 for 96 % of the rows
    would have no cut at all.
    """
    ordered = np.sort(numbers)
    at_quantiles = np.unique(ordered[(np.arange(count) * len(ordered)) // count])
    after = np.searchsorted(ordered, at_quantiles, side="right")
    following = ordered[after[after < len(ordered)]]
    cuts: Floats = np.unique(np.concatenate([at_quantiles, following]))
    kept: Floats = cuts[cuts > ordered[0]]
    return kept


@dataclass(slots=True)
class _Merged:
    """Neighbouring bins while they are merged: ``cuts[i]`` parts bin i from bin i + 1."""

    cuts: list[float]
    goods: list[int]
    bads: list[int]

    @classmethod
    def start(cls, cuts: Floats, goods: Integers, bads: Integers) -> _Merged:
        return cls(cuts.tolist(), goods.tolist(), bads.tolist())

    def merge(self, is_rising: int, cells: _Cells) -> _Merged:
        """Monotone first; merging neighbours of a monotone row leaves it monotone."""
        self._pool_violators(bool(is_rising))
        while len(self.goods) > 1:
            thin = [at for at in range(len(self.goods)) if not self._is_enough(at, cells)]
            if thin:
                self._join(self._nearest_neighbour(min(thin, key=self._rows)))
            elif len(self.goods) > cells.options.maximum_bins:
                gaps = [self._gap(at) for at in range(len(self.cuts))]
                self._join(gaps.index(min(gaps)))
            else:
                break
        return self

    def information(self) -> float:
        return weights_of_evidence(self.goods, self.bads)[1] if self._has_both() else 0.0

    def _has_both(self) -> bool:
        return sum(self.goods) > 0 and sum(self.bads) > 0

    def _rows(self, at: int) -> int:
        return self.goods[at] + self.bads[at]

    def _rate(self, at: int) -> float:
        return self.bads[at] / self._rows(at)

    def _gap(self, at: int) -> float:
        return abs(self._rate(at) - self._rate(at + 1))

    def _is_enough(self, at: int, cells: _Cells) -> bool:
        return cells.is_enough(self.goods[at], self.bads[at])

    def _nearest_neighbour(self, at: int) -> int:
        """The cut to remove so that bin ``at`` joins the neighbour whose rate is nearest."""
        sides = [cut for cut in (at - 1, at) if 0 <= cut < len(self.cuts)]
        return min(sides, key=self._gap)

    def _join(self, cut: int) -> None:
        self.goods[cut] += self.goods.pop(cut + 1)
        self.bads[cut] += self.bads.pop(cut + 1)
        del self.cuts[cut]

    def _pool_violators(self, is_rising: bool) -> None:
        """Join neighbours until each rate is strictly above (or below) the one before."""
        at = 0
        while at < len(self.cuts):
            # bads[a] / rows[a] against bads[b] / rows[b] in whole numbers: no rounding decides
            before = self.bads[at] * self._rows(at + 1)
            after = self.bads[at + 1] * self._rows(at)
            if before < after if is_rising else before > after:
                at += 1
            else:
                self._join(at)
                at = max(at - 1, 0)
