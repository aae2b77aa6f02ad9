"""What a connector gets and gives."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.feeds import FeedMapping, TypeFamily

# raw Parquet carries, beside the source's own columns, where each row came from
SOURCE_COLUMN = "_source"

_Number = TypeVar("_Number", int, Decimal)


@dataclass(frozen=True)
class SeenFile:
    """A source file as it was when read. ``modified_ns`` spares hashing what is unchanged."""

    path: str
    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class Watermark:
    """What the last release has of a feed: the cursor's maximum, the files' digests, the families
    of its source columns' types, and the day its keys were last compared with the source's.
    """

    cursor: str | None = None
    files: dict[str, SeenFile] = field(default_factory=dict)
    types: dict[str, TypeFamily] = field(default_factory=dict)
    reconciled_on: date | None = None


@dataclass(frozen=True)
class Reject:
    """A row that could not be split into columns: where it stands, its text, why; and, where one
    column is to blame, which one and its value.
    """

    source: str
    raw: str
    reason: str
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class ControlTotal:
    """What the source itself says it gave, for one value of its currency column (None: the feed
    maps none). rows: count. amount: exact sum of the feed's amount column as the source holds it.
    None where the source cannot say.
    """

    currency: str | None
    rows: int | None
    amount: Decimal | None


def total_stated(numbers: Iterable[_Number | None]) -> _Number | None:
    """The sum of what is stated; None where nothing is."""
    stated = [number for number in numbers if number is not None]
    return sum(stated[1:], stated[0]) if stated else None


@dataclass(frozen=True)
class Extract:
    """One pull of one feed.

    raw: Parquet of the rows read, in source columns plus ``_source``. rows: how many the connector
    counted while reading, rejects included. unmapped: source columns left unread because nobody
    mapped them. controls: the source's own totals of exactly these rows, taken in the same
    snapshot (empty: it gives none), and control_cursor the greatest cursor value it saw. types:
    families of the source columns' types, where the source has types. keys: Parquet with every key
    the source holds now (in source columns), when they were to be reconciled. replays: the decided
    rows of the quarantine that this is (see ``quarantine``), whose raw Parquet also has ``_waived``
    and ``_waived_until``; mapping: how to read them, if not as the company file says.
    """

    raw: Path
    rows: int
    description: str
    rejects: list[Reject] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    files: list[SeenFile] = field(default_factory=list)
    pages: Path | None = None
    controls: list[ControlTotal] = field(default_factory=list)
    control_cursor: str | None = None
    types: dict[str, TypeFamily] = field(default_factory=dict)
    keys: Path | None = None
    replays: list[dict[str, Any]] = field(default_factory=list)
    mapping: FeedMapping | None = None


def cursor_start(mapping: FeedMapping, watermark: Watermark) -> str | None:
    """The value to pull from: the watermark less the overlap, in the watermark's own notation."""
    if mapping.cursor is None or watermark.cursor is None:
        return None
    if watermark.cursor.lstrip("-").isdigit():
        return watermark.cursor
    try:
        moment = datetime.fromisoformat(watermark.cursor)
    except ValueError as error:
        raise ConfigurationError(
            f"the cursor value '{watermark.cursor}' is neither a whole number nor an ISO time",
            where=f"source {mapping.source}, cursor {mapping.cursor.column}",
            kept="the last release stands",
            todo="name another cursor column, or none: the feed is then read whole each time",
        ) from error
    earlier = moment - timedelta(minutes=mapping.cursor.overlap_minutes)
    separator = "T" if "T" in watermark.cursor else " "
    return earlier.isoformat(sep=separator)


def check_columns(feed: str, mapping: FeedMapping, found: list[str]) -> list[str]:
    """The source columns nobody mapped. Raises BatchFault with the schema difference when a
    mapped column is missing, naming the likely rename.
    """
    wanted = mapping.source_columns
    missing = sorted(column for column in wanted if column not in found)
    added = [column for column in found if column not in wanted and column != SOURCE_COLUMN]
    if not missing:
        return added
    lines = [f"the source no longer has {', '.join(missing)}"]
    for column in missing:
        close = difflib.get_close_matches(column, added, n=1, cutoff=0.6)
        lines.append(f"  - {column}" + (f"   (renamed to {close[0]}?)" if close else ""))
    lines += [f"  + {column}" for column in added]
    raise _schema_fault("\n".join(lines), feed, mapping)


def check_types(
    feed: str,
    mapping: FeedMapping,
    found: dict[str, TypeFamily],
    known: dict[str, TypeFamily],
) -> None:
    """Raise BatchFault with the difference when a mapped column is of another family than the
    company file states or, where it states none, than at the last release.
    """
    stated = {
        mapped.column: mapped.source_type
        for mapped in mapping.columns.values()
        if mapped.column and mapped.source_type
    }
    lines = []
    for column in mapping.source_columns:
        before, now = stated.get(column, known.get(column)), found.get(column)
        if before and now and before != now:
            lines.append(f"  ~ {column}: {before} -> {now}")
    if lines:
        raise _schema_fault(
            "\n".join(["the source changed the type of columns", *lines]),
            feed,
            mapping,
            todo="have the source restore the type; or, if the new one is right, state it in the "
            "company file (source_type) and run again",
        )


def _schema_fault(
    what: str,
    feed: str,
    mapping: FeedMapping,
    todo: str = "map the new name in the company file, or have the source restore the column",
) -> BatchFault:
    return BatchFault(
        what,
        where=f"feed {feed}, source {mapping.source}, {mapping.table or 'query'}",
        kept="nothing of this feed landed; the last release stands",
        todo=todo,
    )
