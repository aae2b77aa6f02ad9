"""Books told apart by their customers' categories, and which categories a model tells apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from customer_marts.clv.books import Book, Floats, Integers, tally

# In the alphabet's order, as JSON keeps it: the order of a coding's columns.
COVARIATES = ("industry", "region", "size_class")


@dataclass(frozen=True, eq=False)
class PartedBook:
    """A book whose groups are split by category.

    names: by covariate, its categories. codes: by covariate, of each group, which one of them.
    bought: purchases in the holdout of one customer of each group; 0 where there is none.
    """

    book: Book
    bought: Floats
    names: Mapping[str, Sequence[str]]
    codes: Mapping[str, Integers]

    def sample(self, groups: int) -> PartedBook:
        """About ``groups`` of the groups at random, all of a book of at most twice as many."""
        if self.book.groups <= 2 * groups:
            return self
        drawn = np.random.default_rng(20_050_224).random(self.book.groups)
        kept = np.flatnonzero(drawn < groups / self.book.groups)
        codes = {name: code[kept] for name, code in self.codes.items()}
        return PartedBook(self.book.rows(kept), self.bought[kept], self.names, codes)


@dataclass(frozen=True)
class Coding:
    """Which categories a covariate model tells apart.

    reference: by covariate the most common category, whose effect is 0. levels: by covariate the
    categories with an effect of their own, each a column of ``row``; None stands for all others
    together. A category that is none of these goes with None, or with the reference where None is
    no level.
    """

    reference: dict[str, str]
    levels: dict[str, tuple[str | None, ...]]

    def __post_init__(self) -> None:
        levels = {name: tuple(self.levels[name]) for name in sorted(self.levels)}
        object.__setattr__(self, "levels", levels)

    @classmethod
    def of(cls, parted: PartedBook, customers_at_least: int) -> Coding:
        """The categories of at least so many customers; a covariate with one such is left out."""
        reference: dict[str, str] = {}
        levels: dict[str, tuple[str | None, ...]] = {}
        for covariate, names in parted.names.items():
            counts = tally(parted.codes[covariate], parted.book.customers, len(names))
            common = sorted(zip(-counts, names, strict=True))
            own = [name for count, name in common if -count >= customers_at_least]
            rest = sum(-count for count, _ in common if -count < customers_at_least)
            others = [None] if rest >= customers_at_least else []
            if own and len(own) + len(others) > 1:
                reference[covariate] = own[0]
                levels[covariate] = (*own[1:], *others)
        return cls(reference, levels)

    def only(self, covariates: Iterable[str]) -> Coding:
        """The coding of these covariates alone."""
        names = list(covariates)
        return Coding(
            {name: self.reference[name] for name in names},
            {name: self.levels[name] for name in names},
        )

    def row(self, categories: Mapping[str, str]) -> Floats:
        """The covariates, 0 or 1, of a customer of these categories."""
        places = [self._place(name, categories[name]) for name in self.levels]
        return self._row(places)

    def cells(self, parted: PartedBook) -> list[tuple[Floats, Integers]]:
        """Of each combination of levels that occurs: its row, and which groups have it."""
        sizes = [len(levels) + 1 for levels in self.levels.values()]
        places = [
            np.array([self._place(name, each) for each in parted.names[name]], dtype=np.int64)[
                parted.codes[name]
            ]
            for name in self.levels
        ]
        found, cell = np.unique(np.ravel_multi_index(places, sizes), return_inverse=True)
        order = np.argsort(cell, kind="stable")
        parts = np.split(order, np.searchsorted(cell[order], np.arange(1, found.size)))
        at = np.transpose(np.unravel_index(found, sizes))
        return [(self._row(own.tolist()), part) for own, part in zip(at, parts, strict=True)]

    def _place(self, covariate: str, category: str) -> int:
        """0 for the reference, else the level's number from 1."""
        levels = self.levels[covariate]
        if category == self.reference[covariate]:
            return 0
        told = category if category in levels else None
        return levels.index(told) + 1 if told in levels else 0

    def _row(self, places: Sequence[int]) -> Floats:
        parts = [
            np.arange(1, len(levels) + 1) == place
            for place, levels in zip(places, self.levels.values(), strict=True)
        ]
        return np.concatenate(parts).astype(np.float64)
