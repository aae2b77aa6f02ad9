"""Landing one feed in a test, bringing batches into a build database, and reading what is there."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from customer_marts import sources, warehouse
from customer_marts.feeds import FEEDS
from customer_marts.identity import load_crosswalk
from customer_marts.landing import Batch, feed_work_folder, land, watermark
from customer_marts.warehouse import copy_database
from tests.mini import MiniCompany

NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)


def land_feed(
    mini: MiniCompany, feed: str, after: list[Batch] | None = None, released: Path | None = None
) -> Batch:
    """Pull ``feed`` as after a release that holds ``after``, and land it."""
    batch = land_feed_or_nothing(mini, feed, after, released)
    assert batch is not None
    return batch


def land_feed_or_nothing(
    mini: MiniCompany,
    feed: str,
    after: list[Batch] | None = None,
    released: Path | None = None,
    now: datetime = NOW,
) -> Batch | None:
    settings, company = mini.settings, mini.company
    mark = watermark(after or [], company.mapping_digest(feed), settings.paths)
    with feed_work_folder(settings.paths, feed) as work:
        extract = sources.extract(settings, company, feed, mark, work, now)
        if extract is None:
            return None
        ids = [batch.batch_id for batch in after or []]
        return land(settings, company, feed, extract, work, released, now.date(), ids)


def apply(
    mini: MiniCompany,
    database: Path,
    batches: dict[str, list[Batch]],
    *,
    sequence: int = 1,
    as_of: date = date(2026, 6, 30),
) -> Path:
    """Bring batches into a build database, new or of the release before, as a refresh does."""
    context = warehouse.RunContext.of(
        mini.company,
        "mini",
        release_id=f"r{sequence:05d}",
        release_sequence=sequence,
        parent_release_id=None,
        parent_as_of=None,
        as_of=as_of,
        is_rebuild=True,
        is_refit=False,
        run_id="test",
        started_at=NOW.replace(tzinfo=None),
        code_version="test",
    )
    history = [context.as_history(count_batches=1)]
    crosswalk = load_crosswalk(mini.settings)
    temp = database.with_suffix(".spill")
    with warehouse.connect(database, mini.settings, temp) as connection:
        warehouse.apply_batches(
            connection, mini.company, context, batches, history, crosswalk, [], None
        )
    return database


def land_everything(mini: MiniCompany) -> dict[str, list[Batch]]:
    """First batch of every feed that brings anything."""
    feeds = [feed for feed in FEEDS if feed in mini.company.feeds]
    landed = {feed: land_feed_or_nothing(mini, feed) for feed in feeds}
    return {feed: [batch] for feed, batch in landed.items() if batch is not None}


def table(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query on a build database, values as texts."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return _texts(connection.execute(sql).fetchall())


def rows_of(batch: Batch, columns: str = "*") -> list[tuple[Any, ...]]:
    """Accepted rows, values as texts, in landing order."""
    return _read(batch.data, columns, "order by _row")


def quarantined(batch: Batch, columns: str = "rule, column_name, value") -> list[tuple[Any, ...]]:
    return _read(batch.quarantine, columns, "")


def _read(path: Any, columns: str, order: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return _texts(
            connection.execute(f"select {columns} from read_parquet('{path}') {order}").fetchall()
        )


def _texts(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def publish(mini: MiniCompany, database: Path, batches: dict[str, list[Batch]]) -> None:
    """Let readers see a build database as a release, without dbt, gate two and report."""
    folder = mini.settings.paths.releases / "r00001"
    folder.mkdir(parents=True, exist_ok=True)
    copy_database(database, folder / "build.duckdb")
    manifest = {
        "release_id": "r00001",
        "release_sequence": 1,
        "as_of": "2026-06-30",
        "code_version": "test",
        "batches": {feed: [item.batch_id for item in items] for feed, items in batches.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    if not mini.settings.paths.current.is_symlink():
        mini.settings.paths.current.symlink_to(folder)
