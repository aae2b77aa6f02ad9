"""Columns of text for the sources, and which rows show at the end of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.company.facts import Table
from scripts.company.world import DAY_SECONDS, NEVER, Booleans, Integers

UTC_OFFSET_SECONDS = 28_800
"""China has one time zone and no summer time."""


@dataclass(frozen=True)
class Window:
    """The rows to show: those whose last change visible at the end of `day` lies after `since`.

    `since` is a day number too (its end); None shows everything.
    """

    day: int
    since: int | None = None

    @property
    def until_second(self) -> int:
        """The last visible second, on the local clock since 1970."""
        return (self.day + 1) * DAY_SECONDS - 1

    def changed(self, updated_at: Integers) -> Integers:
        """Positions of the rows to show, by the second of their last visible change."""
        after = -(2**62) if self.since is None else (self.since + 1) * DAY_SECONDS - 1
        return np.flatnonzero((updated_at > after) & (updated_at <= self.until_second))

    @property
    def begins(self) -> int:
        """The last day that was shown before, far in the past if none was."""
        return -NEVER if self.since is None else self.since


def decimal_text(values: Integers, digits: int) -> Any:
    """Integers as decimal text: 123456 with two digits is "1234.56"."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63  # the upper half of the 128-bit integer: the sign
    decimals = pa.Array.from_buffers(
        pa.decimal128(18, digits), len(values), [None, pa.py_buffer(words)]
    )
    return decimals.cast(pa.string())


def time_text(seconds: Integers, known: Booleans | None = None) -> Any:
    """Seconds since 1970 as "2026-06-30 17:05:00"; null where not `known`."""
    if known is None:
        return pa.array(seconds, pa.timestamp("s")).cast(pa.string())
    shown = np.where(known, seconds, 0)
    return pa.array(shown, pa.timestamp("s"), mask=~known).cast(pa.string())


def utc_text(seconds: Integers, known: Booleans | None = None) -> Any:
    """Seconds on the local clock as UTC, in the form of `time_text`."""
    return time_text(seconds - UTC_OFFSET_SECONDS, known)


def date_text(days: Integers, known: Booleans | None = None) -> Any:
    """Day numbers as "2026-06-30"; null where not `known`."""
    mask = None if known is None else ~known
    clipped = np.minimum(days, 100_000).astype(np.int32)
    return pa.array(clipped, pa.int32(), mask=mask).cast(pa.date32()).cast(pa.string())


def join(*parts: Any) -> Any:
    """Strings joined element by element; null if a part is."""
    return pc.binary_join_element_wise(*parts, "")


def padded(values: Integers, width: int) -> Any:
    """Integers as text with leading zeros."""
    return pc.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")


def flags(values: Booleans) -> Any:
    """1 and 0."""
    return pa.array(values.astype(np.int64))


def constant(text: str | None, count: int) -> Any:
    """The same text, or null, `count` times."""
    return pa.repeat(pa.scalar(text, pa.string()), count)


def take(names: Any, positions: Integers) -> Any:
    """The names at the given positions."""
    return names.take(pa.array(positions))


def yes_no(values: Booleans) -> Any:
    """Y and N."""
    return take(pa.array(["N", "Y"]), values.astype(np.int64))


def only(known: Booleans, texts: Any) -> Any:
    """The texts where `known`, else null."""
    return pc.if_else(pa.array(known), texts, pa.scalar(None, texts.type))


def customer_codes(numbers: Integers) -> Any:
    """The ERP's codes of the customers with these numbers."""
    return join("C", padded(numbers, 6))


def customer_code(number: int) -> str:
    """The ERP's code of the customer with this number."""
    return f"C{number:06d}"


def table_of(table: Table, *columns: Any) -> Any:
    """Columns in the order of the table's."""
    return pa.table(dict(zip(table.columns, columns, strict=True)))


def table_of_rows(table: Table, rows: list[tuple[Any, ...]]) -> Any:
    """Rows as a table with its types."""
    kinds = [pa.int64() if kind == "INTEGER" else pa.string() for kind in table.columns.values()]
    return table_of(table, *map(pa.array, zip(*rows, strict=True), kinds))


def latest(window: Window, *times: Integers) -> Integers:
    """The last of some events visible in the window (the first argument happens always)."""
    last = times[0]
    for moment in times[1:]:
        last = np.where(moment <= window.until_second, np.maximum(last, moment), last)
    return last
