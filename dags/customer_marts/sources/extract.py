"""What a connector gets and gives."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.feeds import FeedMapping

# raw Parquet carries, beside the source's own columns, where each row came from
SOURCE_COLUMN = "_source"


@dataclass(frozen=True)
class SeenFile:
    """A source file as it was when read. ``modified_ns`` spares hashing what is unchanged."""

    path: str
    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class Watermark:
    """What the last release has of a feed: the cursor's maximum and the files' digests."""

    cursor: str | None = None
    files: dict[str, SeenFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Reject:
    """A row that could not be split into columns: where it stands, its text, and why."""

    source: str
    raw: str
    reason: str


@dataclass(frozen=True)
class Extract:
    """One pull of one feed.

    raw: Parquet of the rows read, in source columns plus ``_source``. rows: how many the connector
    counted while reading, rejects included. unmapped: source columns left unread because nobody
    mapped them.
    """

    raw: Path
    rows: int
    description: str
    rejects: list[Reject] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    files: list[SeenFile] = field(default_factory=list)
    pages: Path | None = None


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
    wanted = [mapped.column for mapped in mapping.columns.values() if mapped.column]
    if mapping.cursor:
        wanted.append(mapping.cursor.column)
    missing = sorted({column for column in wanted if column not in found})
    added = [column for column in found if column not in wanted and column != SOURCE_COLUMN]
    if not missing:
        return added
    lines = [f"the source no longer has {', '.join(missing)}"]
    for column in missing:
        close = difflib.get_close_matches(column, added, n=1, cutoff=0.6)
        lines.append(f"  - {column}" + (f"   (renamed to {close[0]}?)" if close else ""))
    lines += [f"  + {column}" for column in added]
    raise BatchFault(
        "\n".join(lines),
        where=f"feed {feed}, source {mapping.source}, {mapping.table or 'query'}",
        kept="nothing of this feed landed; the last release stands",
        todo="map the new name in the company file, or have the source restore the column",
    )
