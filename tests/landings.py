"""Landing one feed in a test, and reading what landed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb

from customer_marts import sources
from customer_marts.landing import Batch, feed_work_folder, land, watermark
from tests.mini import MiniCompany

NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)


def land_feed(mini: MiniCompany, feed: str, after: list[Batch] | None = None) -> Batch:
    """Pull ``feed`` as after a release that holds ``after``, and land it."""
    batch = land_feed_or_nothing(mini, feed, after)
    assert batch is not None
    return batch


def land_feed_or_nothing(
    mini: MiniCompany, feed: str, after: list[Batch] | None = None
) -> Batch | None:
    settings, company = mini.settings, mini.company
    mark = watermark(after or [], company.mapping_digest(feed), settings.paths)
    with feed_work_folder(settings.paths, feed) as work:
        extract = sources.extract(settings, company, feed, mark, work, NOW)
        if extract is None:
            return None
        return land(settings, company, feed, extract, work, None, date(2026, 6, 30))


def rows_of(batch: Batch, columns: str = "*") -> list[tuple[Any, ...]]:
    """Accepted rows, values as texts, in landing order."""
    return _read(batch.data, columns, "order by _row")


def quarantined(batch: Batch, columns: str = "rule, column_name, value") -> list[tuple[Any, ...]]:
    return _read(batch.quarantine, columns, "")


def _read(path: Any, columns: str, order: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {columns} from read_parquet('{path}') {order}"
        ).fetchall()
    return [tuple(None if value is None else str(value) for value in row) for row in rows]
