"""A book of customers as the models read it: grouped purchase histories with counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from customer_marts.errors import DataError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Part = TypeVar("Part")
Chunk = TypeVar("Chunk")

# Rows worked on at once: their arrays stay in the processor's cache, and numpy's products of such
# arrays (BLAS) start no threads of their own, which would cost more than the products.
CHUNK_ROWS = 8_192
# A second thread pays from this many chunks on.
CHUNKS_A_THREAD = 16
# A lookup table of at most this many cells is quicker than sorting.
TABLE_CELLS = 50_000_000


@dataclass(frozen=True, eq=False)
class Book:
    """Customers grouped by purchase history, all at one as-of date and in one unit of time.

    repeats: x, days with a purchase after the first one (same-day purchases are one purchase).
    last_at: t_x, time from the first purchase to the last one; 0 where x = 0.
    age: T, time from the first purchase to the as-of date.
    customers: how many customers have this history (may be fractional: a sampling weight).
    log_gap_sum: sum over the group's customers and their gaps between purchases of ln(gap). Only
        the choice of k in MBG/CNBD-k needs it; NaN when not known.
    All arrays have one length, one entry a group. Build with ``Book.of``, which checks them. Give
    the groups in a fixed order: sums, and so the last digits of a fit, follow it.
    """

    repeats: Floats
    last_at: Floats
    age: Floats
    customers: Floats
    log_gap_sum: Floats

    @classmethod
    def of(
        cls,
        repeats: npt.ArrayLike,
        last_at: npt.ArrayLike,
        age: npt.ArrayLike,
        customers: npt.ArrayLike | None = None,
        log_gap_sum: npt.ArrayLike | None = None,
    ) -> Book:
        """Check the arrays and make a book of them.

        Raises DataError, naming the first row at fault, where lengths differ, a value is not
        finite, x is not a whole number from 0, or not 0 <= t_x <= T with t_x > 0 where x > 0.
        """
        x, last, upto = histories(repeats, last_at, age)
        count = np.ones(x.shape) if customers is None else as_floats(customers, "customers")
        if count.shape != x.shape:
            raise DataError(f"{count.size} counts of customers for {x.size} histories")
        _refuse(~(count > 0), "a group's number of customers is not above 0", count)
        if x.size == 0:
            raise DataError("the book holds no customer", todo="fit where there are customers")
        if log_gap_sum is None:
            return cls(x, last, upto, count, np.full(x.shape, np.nan))
        gaps = as_floats(log_gap_sum, "log_gap_sum")
        if gaps.shape != x.shape:
            raise DataError(f"{gaps.size} sums of ln(gap) for {x.size} histories")
        return cls(x, last, upto, count, gaps)

    @cached_property
    def size(self) -> float:
        """Number of customers."""
        return float(self.customers.sum())

    @property
    def groups(self) -> int:
        """Number of different histories given."""
        return int(self.repeats.size)

    @cached_property
    def purchases(self) -> float:
        """Repeat purchases of all customers."""
        return float(self.customers @ self.repeats)

    @cached_property
    def repeat_buyers(self) -> float:
        """Customers with at least one repeat purchase."""
        return float(self.customers[self.repeats > 0].sum())

    @cached_property
    def mean_age(self) -> float:
        """Mean observation time of a customer."""
        return float(self.customers @ self.age) / self.size

    @cached_property
    def time_scale(self) -> float:
        """The mean age, or 1 where nobody has any: what times are measured against."""
        return self.mean_age if self.mean_age > 0 else 1.0

    @cached_property
    def by_repeats(self) -> tuple[Floats, Floats]:
        """The different x, ascending, and the number of customers at each."""
        values, index = np.unique(self.repeats, return_inverse=True)
        return values, tally(index, self.customers, values.size)

    @classmethod
    def joined(cls, books: Sequence[Book]) -> Book:
        """One book of the groups of several."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(book, name) for book in books]) for name in names))

    def chunks(self) -> list[Book]:
        """The book in pieces that fit the processor's cache."""
        if self.groups <= CHUNK_ROWS:
            return [self]
        return [self.rows(part) for part in slices(self.groups)]

    def rows(self, part: slice | Integers | npt.NDArray[np.bool_]) -> Book:
        """Some of the groups."""
        return Book(
            self.repeats[part],
            self.last_at[part],
            self.age[part],
            self.customers[part],
            self.log_gap_sum[part],
        )

    def sample(self, groups: int) -> Book:
        """About ``groups`` of the groups, re-weighted so that expected sums stay the same.

        Groups of many customers are kept for certain; of the rest every group has one chance,
        and counts for 1/chance of itself. The same book gives the same sample. A book of at most
        twice as many groups is its own sample.
        """
        if self.groups <= 2 * groups:
            return self
        certain = self.customers > 2 * self.size / groups
        wanted = max(groups - int(certain.sum()), groups // 2)
        chance = min(1.0, wanted / max(int((~certain).sum()), 1))
        drawn = np.random.default_rng(20_050_224).random(self.groups) < chance
        kept = np.flatnonzero(certain | drawn)
        weight = np.where(certain[kept], 1.0, 1.0 / chance)
        part = self.rows(kept)
        return replace(
            part, customers=part.customers * weight, log_gap_sum=part.log_gap_sum * weight
        )


def histories(
    repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """The three arrays as floats of one shape; DataError where they are no purchase histories."""
    x = as_floats(repeats, "repeats")
    last = as_floats(last_at, "last_at")
    upto = as_floats(age, "age")
    if not x.shape == last.shape == upto.shape:
        raise DataError(
            f"{x.size} repeats, {last.size} times of the last purchase and {upto.size} ages: "
            "one of each is needed for every history"
        )
    _refuse((x < 0) | (x != np.floor(x)), "repeats is not a whole number from 0", x)
    _refuse((last < 0) | (last > upto), "the last purchase is not between the first and T", last)
    _refuse((x > 0) & (last <= 0), "repeat purchases, but the last one is the first", last)
    _refuse((x == 0) & (last > 0), "a last purchase after the first, but no repeats", last)
    return x, last, upto


def as_floats(values: npt.ArrayLike, name: str) -> Floats:
    """One-dimensional finite floats, or a DataError that names the array."""
    array = np.atleast_1d(np.ascontiguousarray(values, dtype=np.float64))
    if array.ndim != 1:
        raise DataError(f"{name} has {array.ndim} dimensions, not one")
    _refuse(~np.isfinite(array), f"{name} is not a finite number", array)
    return array


def _refuse(bad: npt.NDArray[np.bool_], what: str, values: Floats) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            what,
            where=f"row {row}, value {values[row]}; {int(bad.sum())} rows in all",
            todo="correct these histories; times and counts come from the same as-of date",
        )


def tally(index: Integers, weights: Floats, size: int) -> Floats:
    """The sum of the weights at each index below ``size``."""
    return np.asarray(np.bincount(index, weights, size), dtype=np.float64)


def unique_pairs(first: Floats, second: Floats) -> tuple[Floats, Floats, Integers]:
    """The different (first, second) pairs, and for each row the number of its pair.

    Whole numbers (days) are looked up in a table, in one pass; other values are sorted.
    """
    top = float(second.max(initial=0.0)) + 1.0
    cells = (float(first.max(initial=0.0)) + 1.0) * top
    low = min(float(first.min(initial=0.0)), float(second.min(initial=0.0)))
    if low >= 0 and cells <= TABLE_CELLS and _are_whole(first) and _are_whole(second):
        width = int(top)
        keys = first.astype(np.int64) * width + second.astype(np.int64)
        seen = np.zeros(int(cells), dtype=np.bool_)
        seen[keys] = True
        found = np.flatnonzero(seen)
        number = np.zeros(int(cells), dtype=np.int32)
        number[found] = np.arange(found.size, dtype=np.int32)
        return (
            (found // width).astype(np.float64),
            (found % width).astype(np.float64),
            number[keys].astype(np.int64),
        )
    first_values, first_index = np.unique(first, return_inverse=True)
    second_values, second_index = np.unique(second, return_inverse=True)
    keys, index = np.unique(
        first_index.astype(np.int64) * second_values.size + second_index, return_inverse=True
    )
    return first_values[keys // second_values.size], second_values[keys % second_values.size], index


def _are_whole(values: Floats) -> bool:
    return bool((values == np.floor(values)).all())


def slices(rows: int, size: int = CHUNK_ROWS) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``rows`` rows."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def each(work: Callable[[Chunk], Part], chunks: list[Chunk]) -> list[Part]:
    """``work`` on every chunk, in the chunks' order, on as many cores as we may use.

    numpy lets go of the interpreter while it works on an array, so threads are enough. The order
    of the answers, and so every sum over them, does not depend on the number of cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    workers = min(cores, len(chunks) // CHUNKS_A_THREAD)
    if workers < 2:
        return [work(chunk) for chunk in chunks]
    bounds = np.linspace(0, len(chunks), workers + 1).astype(int)
    runs = [chunks[start:end] for start, end in pairwise(bounds)]
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda run: [work(chunk) for chunk in run], runs)
        return [part for run in done for part in run]
