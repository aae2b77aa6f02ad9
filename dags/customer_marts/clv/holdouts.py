"""Past days' books and what came after them, and how a fit did there: figures and curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from customer_marts.clv.backtest import (
    Backtest,
    Metrics,
    calibration_curve,
    cumulative_tracking,
    metrics,
    naive_rate,
    naive_silence,
)
from customer_marts.clv.books import Book, Floats
from customer_marts.clv.coding import Coding, PartedBook
from customer_marts.clv.covariates import fit_of_cell
from customer_marts.clv.fitting import Fit
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.refit_results import figures_told, point_told

NAIVE_RATE, NAIVE_SILENCE = "naive_rate", "naive_silence"
TRACKED_DAYS = 30

Rows = list[dict[str, Any]]
# Customers of one model: the model, their histories, and what one of each group bought.
Part = tuple[PurchaseModel, Book, Floats]


@dataclass(frozen=True, eq=False)
class Holdout:
    """A book as of a past day and what came after it.

    on: the origin, the as-of date of ``book``. days: length of the holdout. bought: purchases in
    it of one customer of each group (all customers of a group bought as many). tracked: repeat
    purchases of these customers by months of 30 days, month 1 the first after the origin.
    load_parted: reads the same book split by category.
    """

    on: date
    days: int
    book: Book
    bought: Floats
    tracked: Mapping[int, int]
    load_parted: Callable[[], PartedBook]

    @cached_property
    def parted(self) -> PartedBook:
        """The same book split by category."""
        return self.load_parted()

    @cached_property
    def naive(self) -> tuple[Metrics, Metrics]:
        """How the naive rules did: the rate, and the rate while not silent."""
        x, last, upto = self.book.repeats, self.book.last_at, self.book.age
        return (
            metrics(naive_rate(x, upto, self.days), self.bought, self.book.customers),
            metrics(naive_silence(x, last, upto, self.days), self.bought, self.book.customers),
        )


@dataclass(frozen=True)
class PurchaseFit:
    """A fit that forecasts purchases.

    candidate: its name. coding: how its covariates read a customer's categories; None of a fit
    without, which is one ``PurchaseModel`` for all.
    """

    candidate: str
    fit: Fit[Any]
    coding: Coding | None = None

    def parts(self, holdout: Holdout) -> list[Part]:
        """The holdout's customers by the model that forecasts them."""
        if self.coding is None:
            return [(self.fit.model, holdout.book, holdout.bought)]
        parted = holdout.parted
        return [
            (self.fit.model.for_cell(row), parted.book.rows(groups), parted.bought[groups])
            for row, groups in self.coding.cells(parted)
        ]

    def of_categories(self, categories: Mapping[str, str]) -> Fit[PurchaseModel]:
        """The fit as one of the customers of these categories."""
        if self.coding is None:
            return self.fit
        return fit_of_cell(self.fit, self.coding.row(categories))

    def to_json(self) -> str:
        """What ``from_json`` reads back unchanged."""
        told = {"candidate": self.candidate, "fit": json.loads(self.fit.to_json())}
        if self.coding is not None:
            told["covariates"] = asdict(self.coding)
        return json.dumps(told, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> PurchaseFit:
        """Read what ``to_json`` wrote."""
        content = json.loads(text)
        coding = content.get("covariates")
        return cls(
            content["candidate"],
            Fit.from_json(json.dumps(content["fit"])),
            Coding(**coding) if coding else None,
        )


def tested(fit: PurchaseFit, holdout: Holdout) -> Backtest:
    """How the fit did on a holdout, beside the naive rules."""
    parts = fit.parts(holdout)
    expected = [
        model.expected_purchases(book.repeats, book.last_at, book.age, holdout.days)
        for model, book, _ in parts
    ]
    bought = np.concatenate([actual for _, _, actual in parts])
    customers = np.concatenate([book.customers for _, book, _ in parts])
    return Backtest(
        metrics(np.concatenate(expected), bought, customers),
        *holdout.naive,
        holdout.book.size,
        float(holdout.book.customers @ holdout.bought),
    )


def told_rows(tests: Mapping[str, Backtest], holdout: Holdout) -> Rows:
    """The figures on a holdout of candidates by name, and of the naive rules."""
    any_test = next(iter(tests.values()))
    found = {name: test.model for name, test in tests.items()}
    found |= {NAIVE_RATE: any_test.naive_rate, NAIVE_SILENCE: any_test.naive_silence}
    return [
        figures_told(name, holdout.on, holdout.days, any_test.customers, any_test.actual, each)
        for name, each in found.items()
    ]


def curves(fit: PurchaseFit, holdout: Holdout) -> Rows:
    """Calibration and tracking of a fit made as of the origin."""
    parts = fit.parts(holdout)
    return _calibrated(fit.candidate, parts, holdout) + _tracked(fit.candidate, parts, holdout)


def _calibrated(name: str, parts: list[Part], holdout: Holdout) -> Rows:
    """Forecast chance of a purchase in the holdout against the share that bought, by tenths."""
    silent = [
        model.probability_silent(book.repeats, book.last_at, book.age, holdout.days)
        for model, book, _ in parts
    ]
    bought = [actual > 0 for _, _, actual in parts]
    customers = [book.customers for _, book, _ in parts]
    curve = calibration_curve(
        1 - np.concatenate(silent), np.concatenate(bought), np.concatenate(customers)
    )
    points = zip(curve.forecast, curve.happened, curve.customers, strict=True)
    return [
        point_told(name, holdout.on, holdout.days, "calibration", at, forecast, happened, number)
        for at, (forecast, happened, number) in enumerate(points, start=1)
    ]


def _tracked(name: str, parts: list[Part], holdout: Holdout) -> Rows:
    """Repeat purchases of the book so far, expected and actual, by months of 30 days."""
    book, last = holdout.book, -(-holdout.days // TRACKED_DAYS)
    first = min(holdout.tracked, default=0)
    months = np.arange(max(first, -11), last + 1)
    oldest = float(book.age.max())
    times = oldest + np.minimum(months * TRACKED_DAYS, holdout.days)
    expected = np.sum(
        [
            cumulative_tracking(model, oldest - part.age, part.customers, times)
            for model, part, _ in parts
        ],
        axis=0,
    )
    sums = [sum(n for at, n in holdout.tracked.items() if at <= month) for month in months]
    return [
        point_told(
            name, holdout.on, holdout.days, "tracking", int(month), forecast, actual, book.size
        )
        for month, forecast, actual in zip(months, expected, sums, strict=True)
    ]
