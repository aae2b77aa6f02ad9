"""The scorecard as an artefact: bins, points and what they mean, saved as text with a version.

Scale: a score rises by ``factor`` * ln 2 = ``points_to_double_odds`` when the odds of good to bad
double: score = offset + factor * ln(odds), factor = pdo / ln 2, offset = base score - factor *
ln(base odds). PDO 20 and 600 points at 50:1 give 28.8539 and 487.1229, and 560 points a probability
of default of .07407. Source: N. Siddiqi, Credit Risk Scorecards (2006), chapter 6.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit.binning import (
    Bin,
    BinKind,
    Floats,
    Integers,
    VariableBins,
    VariableKind,
)
from customer_marts.errors import ConfigurationError, DataError

FORMAT = 1

Features = Mapping[str, npt.NDArray[Any]]
"""Columns by variable name, one entry per customer, all in one order."""


@dataclass(frozen=True, slots=True)
class PointsScale:
    """base_score points mean odds of base_odds goods to one bad; pdo points double the odds."""

    pdo: float = 20.0
    base_score: float = 600.0
    base_odds: float = 50.0

    def __post_init__(self) -> None:
        if not (self.pdo > 0 and self.base_odds > 0 and math.isfinite(self.base_score)):
            raise ConfigurationError(
                "The points scale is not a scale",
                where=repr(self),
                todo="points to double the odds and base odds above 0, a finite base score",
            )

    @property
    def factor(self) -> float:
        return self.pdo / math.log(2.0)

    @property
    def offset(self) -> float:
        return self.base_score - self.factor * math.log(self.base_odds)

    def score(self, probability: float) -> float:
        """Points of a probability of default in (0, 1)."""
        return self.offset + self.factor * math.log((1.0 - probability) / probability)

    def probability(self, score: float) -> float:
        """Probability of default of a score: 1 / (1 + odds)."""
        log_odds = (score - self.offset) / self.factor
        if log_odds >= 0:
            return math.exp(-log_odds) / (1.0 + math.exp(-log_odds))
        return 1.0 / (1.0 + math.exp(log_odds))


@dataclass(frozen=True, slots=True)
class ScoredVariable:
    """One variable of a scorecard: its bins, its part in the model and the points of each bin.

    coefficient: of the WoE in the log odds of default, always negative (more evidence of good,
    less default). points: whole points, in the order of ``bins.bins``.
    """

    bins: VariableBins
    coefficient: float
    standard_error: float
    points: tuple[int, ...]

    @property
    def best_points(self) -> int:
        return max(self.points)


@dataclass(frozen=True, slots=True)
class PointsRow:
    """One line of the points table; see ``Scorecard.points_table`` for the join."""

    variable: str
    kind: str
    bin_no: int
    lower: float | None
    upper: float | None
    level: str | None
    is_missing: bool
    woe: float
    points: int
    label: str


@dataclass(frozen=True, slots=True)
class Population:
    """Where the scores of the customers it was fitted on lie, for later drift checks.

    edges: inner score edges, rising; a score on an edge belongs above it. shares: one more than
    edges, summing to 1.
    """

    count_rows: int
    count_defaults: int
    edges: tuple[int, ...]
    shares: tuple[float, ...]

    def shares_of(self, scores: Integers) -> Floats:
        """How other scores spread over the same bands."""
        bands = np.searchsorted(np.array(self.edges, dtype=np.int64), scores, side="right")
        counts = np.bincount(bands, minlength=len(self.shares))
        shares: Floats = counts / max(len(scores), 1)
        return shares


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n customers on k variables, in the order they were given.

    score: whole points. probability: of default. points, points_lost (against the variable's best
    bin): n x k, columns as in ``variables``.
    """

    variables: tuple[str, ...]
    score: Integers
    probability: Floats
    points: Integers
    points_lost: Integers

    def reason_codes(self, count: int | None = None) -> list[tuple[tuple[str, int], ...]]:
        """For each customer the variables that cost points, the dearest first, and how many.

        Equal losses keep the order of the scorecard; a variable at its best bin is no reason.
        """
        order = np.argsort(-self.points_lost, axis=1, kind="stable")[:, :count]
        lost = np.take_along_axis(self.points_lost, order, axis=1)
        return [
            tuple((self.variables[at], many) for at, many in zip(ranks, row, strict=True) if many)
            for ranks, row in zip(order.tolist(), lost.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Scorecard:
    """A fitted scorecard. Its version is a hash of its content: same content, same version.

    Points are whole and the base is spread over the variables, so that the sum of one row per
    variable is the score, exactly, in any order and any engine. The probability is that of the
    rounded score.
    """

    scale: PointsScale
    intercept: float
    variables: tuple[ScoredVariable, ...]
    population: Population

    @cached_property
    def version(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the content."""
        return hashlib.sha256(_as_text(_content(self)).encode()).hexdigest()[:16]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.bins.name for each in self.variables)

    def score(self, features: Features) -> Scores:
        """Score customers: each row by itself, so that alone or in a batch it scores the same.

        Columns that the scorecard does not use are ignored.

        Raises:
            DataError: a variable is absent, or the columns differ in length.
        """
        columns = self._columns(features)
        points = np.column_stack(
            [
                np.array(each.points, dtype=np.int64)[each.bins.positions(column)]
                for each, column in zip(self.variables, columns, strict=True)
            ]
        )
        best = np.array([each.best_points for each in self.variables], dtype=np.int64)
        score: Integers = points.sum(axis=1)
        return Scores(self.names, score, self.probabilities(score), points, best - points)

    def probabilities(self, scores: Integers) -> Floats:
        """Probability of default of whole scores, to the bit the same for the same score."""
        distinct, at = np.unique(scores, return_inverse=True)
        # one by one: numpy's exp may differ in the last bit with the length of its input
        table = np.array([self.scale.probability(float(each)) for each in distinct])
        probabilities: Floats = table[at] if len(table) else np.empty(0)
        return probabilities

    def points_table(self) -> tuple[PointsRow, ...]:
        """What a customer's value of each variable is worth; a score is the sum of one row each.

        A value takes the first row of its variable that fits: ``missing`` (null, NaN or infinite),
        ``special`` (value = lower), ``numeric`` (lower <= value < upper, null meaning unbounded),
        ``category`` (value = level), ``other`` (any level not listed). Rows of one bin share
        bin_no, which starts at 1.
        """
        return tuple(
            PointsRow(
                variable=each.bins.name,
                kind=one.kind.value,
                bin_no=number,
                lower=one.lower,
                upper=one.upper,
                level=level,
                is_missing=one.kind is BinKind.MISSING,
                woe=one.woe,
                points=points,
                label=one.label,
            )
            for each in self.variables
            for number, (one, points) in enumerate(
                zip(each.bins.bins, each.points, strict=True), start=1
            )
            for level in (one.levels or (None,))
        )

    def to_json(self) -> str:
        """Stable text: the same scorecard gives the same bytes."""
        return _as_text({"version": self.version, **_content(self)}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        """Read what ``to_json`` wrote.

        Raises:
            ConfigurationError: the text is no scorecard, or was changed after it was written.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}, not {FORMAT}")
            card = cls(
                scale=PointsScale(**content["scale"]),
                intercept=float(content["intercept"]),
                variables=tuple(_variable(each) for each in content["variables"]),
                population=Population(
                    count_rows=content["population"]["count_rows"],
                    count_defaults=content["population"]["count_defaults"],
                    edges=tuple(content["population"]["edges"]),
                    shares=tuple(content["population"]["shares"]),
                ),
            )
            stated = content["version"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(
                "A saved scorecard cannot be read",
                where=f"{type(error).__name__}: {error}",
                todo="take the file from the release it belongs to, or fit the scorecard again",
            ) from error
        if stated != card.version:
            raise ConfigurationError(
                "A saved scorecard was changed after it was written",
                where=f"it states version {stated}, its content has {card.version}",
                todo="take the file from the release it belongs to, or fit the scorecard again",
            )
        return card

    def _columns(self, features: Features) -> list[npt.NDArray[Any]]:
        absent = [name for name in self.names if name not in features]
        if absent:
            raise DataError(
                "A variable of the scorecard is absent",
                where=", ".join(absent),
                todo="give every variable; a value that is not known is missing, not absent",
            )
        columns = [features[name] for name in self.names]
        if len({len(column) for column in columns}) > 1:
            raise DataError(
                "Columns of one batch differ in length",
                where=", ".join(
                    f"{name} {len(column)}"
                    for name, column in zip(self.names, columns, strict=True)
                ),
                todo="give one entry per customer in each column",
            )
        return columns


def whole_points(
    scale: PointsScale, intercept: float, bins: tuple[VariableBins, ...], coefficients: Floats
) -> tuple[tuple[int, ...], ...]:
    """Points of every bin of every variable, whole.

    The base, offset - factor * intercept, is rounded once and dealt out evenly, the remainder one
    point each to the first variables; a bin adds -factor * coefficient * WoE, rounded. A neutral
    bin is thus worth the variable's part of the base.
    """
    base = round(scale.offset - scale.factor * intercept)
    part, rest = divmod(base, len(bins))
    return tuple(
        tuple(
            part + (at < rest) + round(-scale.factor * float(coefficient) * each.woe)
            for each in variable.bins
        )
        for at, (variable, coefficient) in enumerate(zip(bins, coefficients, strict=True))
    )


def _content(card: Scorecard) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(card)}


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)


def _variable(saved: dict[str, Any]) -> ScoredVariable:
    bins = VariableBins(
        name=saved["bins"]["name"],
        kind=VariableKind(saved["bins"]["kind"]),
        bins=tuple(
            Bin(
                kind=BinKind(each["kind"]),
                lower=each["lower"],
                upper=each["upper"],
                levels=tuple(each["levels"]),
                count_goods=each["count_goods"],
                count_bads=each["count_bads"],
                woe=each["woe"],
            )
            for each in saved["bins"]["bins"]
        ),
        iv=saved["bins"]["iv"],
    )
    return ScoredVariable(
        bins, saved["coefficient"], saved["standard_error"], tuple(saved["points"])
    )
