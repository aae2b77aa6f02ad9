"""Static covariates (industry, scale, region): proportional effects on a model's parameters.

Fader & Hardie (2007), "Incorporating Time-Invariant Covariates into the Pareto/NBD and BG/NBD
Models": for customers with covariates z, ln parameter = its base + effect . z. In the Pareto/NBD,
minus the effect on alpha is the effect on the purchase rate, minus the effect on beta the one on
the rate of leaving; in the coin models the effects on a and b shift the chance to leave.
Covariates are categories, so one book a combination of them (a cell) keeps the grouping. A cell's
parameters are a linear map of the base and the effects: so is its gradient, and its covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import Book, Floats
from customer_marts.clv.coin import PRIOR, CoinModel, coin_problem
from customer_marts.clv.fitting import SAMPLE_GROUPS, Fit, Prior, fit_problem, known_model
from customer_marts.clv.optimiser import Objective, Problem, central_differences
from customer_marts.clv.paretonbd import ParetoNbd, pareto_prior, pareto_problem
from customer_marts.errors import DataError

Model = TypeVar("Model", CoinModel, ParetoNbd, covariant=True)
WIDEST_EFFECT = 8.0
# Of a large book each cell gives its share of the sample, and no fewer groups than this.
FEWEST_SAMPLED = 20


@known_model
@dataclass(frozen=True)
class CovariateModel(Generic[Model]):
    """base: the model where all covariates are 0. effects[parameter][i]: of the i-th covariate."""

    base: Model
    effects: dict[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        effects = {name: tuple(values) for name, values in self.effects.items()}
        object.__setattr__(self, "effects", effects)

    @property
    def theta(self) -> Floats:
        """The logarithms of the base's parameters, and then the effects."""
        return np.concatenate([self.base.theta, *map(np.array, self.effects.values())])

    def for_cell(self, covariates: npt.ArrayLike) -> Model:
        """The model of the customers with these covariates."""
        return self.base.with_theta(self._map(covariates) @ self.theta)

    def _map(self, covariates: npt.ArrayLike) -> Floats:
        row = np.atleast_1d(np.asarray(covariates, dtype=np.float64))
        places = [self.base.names.index(name) for name in self.effects]
        return _map_of(len(self.base.names), places, row)


def fit_of_cell(fit: Fit[Any], covariates: npt.ArrayLike) -> Fit[Any]:
    """The fit of a ``CovariateModel`` as one of the customers with these covariates.

    Its errors are those of the cell; a parameter at its bound counts as known.
    """
    to_cell = fit.model._map(covariates)
    covariance = to_cell @ np.nan_to_num(np.array(fit.covariance)) @ to_cell.T
    return replace(
        fit,
        model=fit.model.for_cell(covariates),
        names=fit.model.base.names,
        covariance=tuple(tuple(row) for row in covariance.tolist()),
    )


def fit_with_covariates(
    kind: Model, books: Sequence[Book], covariates: npt.ArrayLike, on: Sequence[str]
) -> Fit[CovariateModel[Model]]:
    """Fit one model with covariate effects to the books of all cells.

    kind: which model (``BgNbd``, ``MbgCnbdK`` with its k, ``ParetoNbd``) and where to start.
    covariates: one row a book, one column a covariate, such as 0/1 for "is spot". on: the names of
    the parameters that the covariates act on. The fit's names are the parameters, and then
    parameter[i] for the effects, in the alphabet's order; the covariance is of the parameters'
    logarithms and the effects. A book's gaps are not counted: k is chosen without covariates.
    """
    on = sorted(on)
    rows = np.atleast_2d(np.asarray(covariates, dtype=np.float64))
    unknown = [name for name in on if name not in kind.names]
    if rows.shape[0] != len(books) or unknown or not len(books):
        raise DataError(
            f"{len(books)} books with {rows.shape[0]} rows of covariates on {', '.join(on)}",
            todo=f"give one row a book, and parameters out of {', '.join(kind.names)}",
        )
    size = len(kind.names)
    places = [kind.names.index(name) for name in on]
    maps = [_map_of(size, places, row) for row in rows]

    def build(theta: Floats) -> CovariateModel[Model]:
        effects = theta[size:].reshape(-1, rows.shape[1])
        return CovariateModel(
            kind.with_theta(theta[:size]),
            {name: tuple(row.tolist()) for name, row in zip(on, effects, strict=True)},
        )

    return fit_problem(
        _joined(kind, books, maps, on, rows.shape[1]),
        build,
        repeat_buyers=sum(book.repeat_buyers for book in books),
        prior=_prior(kind, books),
    )


def _map_of(size: int, places: Sequence[int], row: Floats) -> Floats:
    """From base and effects to the theta of a cell, of shape (size, size + effects)."""
    result = np.zeros((size, size + len(places) * row.size))
    result[:, :size] = np.eye(size)
    for at, place in enumerate(places):
        start = size + at * row.size
        result[place, start : start + row.size] = row
    return result


def _prior(kind: CoinModel | ParetoNbd, books: Sequence[Book]) -> Prior:
    if not isinstance(kind, ParetoNbd):
        return PRIOR
    age = sum(book.mean_age * book.size for book in books) / sum(book.size for book in books)
    return pareto_prior(age if age > 0 else 1.0)


def _problem(kind: CoinModel | ParetoNbd, book: Book) -> Problem:
    if isinstance(kind, ParetoNbd):
        return pareto_problem(book, kind)
    return coin_problem(kind.rule, book, kind)


def _joined(
    kind: CoinModel | ParetoNbd,
    books: Sequence[Book],
    maps: list[Floats],
    on: Sequence[str],
    covariates: int,
) -> Problem:
    problems = [_problem(kind, book) for book in books]
    groups = sum(book.groups for book in books)
    sample = None
    if groups > 2 * SAMPLE_GROUPS:
        wanted = [max(SAMPLE_GROUPS * book.groups // groups, FEWEST_SAMPLED) for book in books]
        small = [book.sample(number) for book, number in zip(books, wanted, strict=True)]
        sample = _Cells([_problem(kind, book).objective for book in small], maps)
    widest = np.full(len(on) * covariates, WIDEST_EFFECT)
    return Problem(
        kind.names + tuple(f"{name}[{at}]" for name in on for at in range(covariates)),
        np.concatenate([kind.theta, np.zeros(widest.size)]),
        np.concatenate([np.min([problem.lower for problem in problems], axis=0), -widest]),
        np.concatenate([np.max([problem.upper for problem in problems], axis=0), widest]),
        _Cells([problem.objective for problem in problems], maps),
        sum(problem.weight for problem in problems),
        sample,
    )


def _gradient(objective: Objective, theta: Floats) -> Floats:
    return objective(theta)[1]


class _Cells:
    """ln L of all cells and its gradient; the Hessian costs what that of the base alone does."""

    def __init__(self, parts: list[Objective], maps: list[Floats]) -> None:
        self.parts = list(zip(parts, maps, strict=True))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        total, gradient = 0.0, np.zeros(theta.size)
        for part, to_cell in self.parts:
            value, slope = part(to_cell @ theta)
            total += value
            gradient += slope @ to_cell
        return total, gradient

    def curvature(self, theta: Floats) -> Floats:
        total = np.zeros((theta.size, theta.size))
        for part, to_cell in self.parts:
            own = central_differences(partial(_gradient, part), to_cell @ theta)
            total += to_cell.T @ own @ to_cell
        return total
