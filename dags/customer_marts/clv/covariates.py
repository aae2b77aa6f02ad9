"""Static covariates (industry, scale, region): proportional effects on a model's parameters.

Fader & Hardie (2007), "Incorporating Time-Invariant Covariates into the Pareto/NBD and BG/NBD
Models": for customers with covariates z, ln parameter = its base + effect . z. In the Pareto/NBD,
minus the effect on alpha is the effect on the purchase rate, minus the effect on beta the one on
the rate of leaving; in the coin models the effects on a and b shift the chance to leave.
Covariates are categories, so one book a combination of them (a cell) keeps the grouping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import Book, Floats
from customer_marts.clv.coin import CoinModel, coin_problem
from customer_marts.clv.fitting import Fit, fit_problem, known_model
from customer_marts.clv.optimiser import Objective, Problem
from customer_marts.clv.paretonbd import ParetoNbd, pareto_problem
from customer_marts.errors import DataError

Model = TypeVar("Model", CoinModel, ParetoNbd, covariant=True)
WIDEST_EFFECT = 8.0


@known_model
@dataclass(frozen=True)
class CovariateModel(Generic[Model]):
    """base: the model where all covariates are 0. effects[parameter][i]: of the i-th covariate."""

    base: Model
    effects: dict[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        effects = {name: tuple(values) for name, values in self.effects.items()}
        object.__setattr__(self, "effects", effects)

    def for_cell(self, covariates: npt.ArrayLike) -> Model:
        """The model of the customers with these covariates."""
        row = np.asarray(covariates, dtype=np.float64)
        theta = self.base.theta
        for name, effects in self.effects.items():
            theta[self.base.names.index(name)] += float(row @ np.array(effects))
        return self.base.with_theta(theta)


def fit_with_covariates(
    kind: Model, books: Sequence[Book], covariates: npt.ArrayLike, on: Sequence[str]
) -> Fit[CovariateModel[Model]]:
    """Fit one model with covariate effects to the books of all cells.

    kind: which model (``BgNbd``, ``MbgCnbdK`` with its k, ``ParetoNbd``) and where to start.
    covariates: one row a book, one column a covariate, such as 0/1 for "is spot". on: the names of
    the parameters that the covariates act on. The fit's names are the parameters, and then
    parameter[i] for the effects; the covariance is of the parameters' logarithms and the effects.
    A book's gaps are not counted: k is chosen without covariates.
    """
    rows = np.atleast_2d(np.asarray(covariates, dtype=np.float64))
    unknown = [name for name in on if name not in kind.names]
    if rows.shape[0] != len(books) or unknown or not len(books):
        raise DataError(
            f"{len(books)} books with {rows.shape[0]} rows of covariates on {', '.join(on)}",
            todo=f"give one row a book, and parameters out of {', '.join(kind.names)}",
        )
    problems = [_problem(kind, book) for book in books]
    places = [kind.names.index(name) for name in on]
    problem = _joined(problems, rows, places, tuple(on), kind)

    def build(theta: Floats) -> CovariateModel[Model]:
        base, effects = _split(theta, len(kind.names), rows.shape[1])
        return CovariateModel(
            kind.with_theta(base),
            {name: tuple(row.tolist()) for name, row in zip(on, effects, strict=True)},
        )

    return fit_problem(problem, build, repeat_buyers=sum(book.repeat_buyers for book in books))


def _problem(kind: CoinModel | ParetoNbd, book: Book) -> Problem:
    if isinstance(kind, ParetoNbd):
        return pareto_problem(book, kind)
    return coin_problem(kind.rule, book, kind)


def _split(theta: Floats, size: int, covariates: int) -> tuple[Floats, Floats]:
    return theta[:size], theta[size:].reshape(-1, covariates)


def _joined(
    problems: list[Problem],
    rows: Floats,
    places: list[int],
    on: tuple[str, ...],
    kind: CoinModel | ParetoNbd,
) -> Problem:
    size, covariates = len(kind.names), rows.shape[1]

    def objective_of(parts: list[Objective]) -> Objective:
        def objective(theta: Floats) -> tuple[float, Floats]:
            base, effects = _split(theta, size, covariates)
            total, by_base, by_effect = 0.0, np.zeros(size), np.zeros(effects.shape)
            for part, row in zip(parts, rows, strict=True):
                moved = base.copy()
                moved[places] += effects @ row
                value, slope = part(moved)
                total += value
                by_base += slope
                by_effect += np.outer(slope[places], row)
            return total, np.concatenate([by_base, by_effect.ravel()])

        return objective

    widest = np.full(len(places) * covariates, WIDEST_EFFECT)
    sampled = any(problem.sample is not None for problem in problems)
    return Problem(
        kind.names + tuple(f"{name}[{at}]" for name in on for at in range(covariates)),
        np.concatenate([kind.theta, np.zeros(widest.size)]),
        np.concatenate([np.min([problem.lower for problem in problems], axis=0), -widest]),
        np.concatenate([np.max([problem.upper for problem in problems], axis=0), widest]),
        objective_of([problem.objective for problem in problems]),
        sum(problem.weight for problem in problems),
        objective_of([problem.sample or problem.objective for problem in problems])
        if sampled
        else None,
    )
