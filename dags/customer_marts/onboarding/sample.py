"""A small part of a feed, read by the very connectors that will read the whole."""

from __future__ import annotations

import glob
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from customer_marts.errors import ConfigurationError
from customer_marts.feeds import DatabaseSource, FeedMapping, FilesSource, RestSource, Source
from customer_marts.settings import Settings
from customer_marts.sources.extract import Extract, Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator


def take_sample(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: Source,
    rows: int,
    work: Path,
    now: datetime,
) -> tuple[FeedMapping, Extract | None]:
    """About ``rows`` rows of a feed in ``work``, and the mapping by which to land them.

    A database gives its first rows, a service its first pages, a folder its newest file (whole,
    with its trailer; all files where the feed queries several tables). None: there are no rows.
    Raises what the connectors raise.
    """
    if isinstance(source, DatabaseSource):
        return _from_database(settings, feed, mapping, source, rows, work, now)
    whole = mapping.model_copy(update={"cursor": None})
    if isinstance(source, RestSource):
        from customer_marts.sources.rest import extract_rest

        return whole, extract_rest(settings, feed, whole, source, Watermark(), work, rows)
    from customer_marts.sources.files import extract_files

    extract = None
    for narrowed in _newest_first(settings, mapping, source, work):
        extract = extract_files(settings, feed, whole, narrowed, Watermark(), work, now)
        if extract is not None:
            break
    return whole, extract


def _from_database(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: DatabaseSource,
    rows: int,
    work: Path,
    now: datetime,
) -> tuple[FeedMapping, Extract | None]:
    from customer_marts.sources.database import extract_database

    def limited(query: str) -> FeedMapping:
        sampled = f"select * from ({query.strip().rstrip(';')}\n) sampled limit {rows}"
        update = {"table": None, "query": sampled, "cursor": None, "reconcile_keys": None}
        return mapping.model_copy(update=update)

    def pull(query: str) -> tuple[FeedMapping, Extract | None]:
        sampled = limited(query)
        extract = extract_database(settings, feed, sampled, source, Watermark(), work, now)
        # which rows a limit takes is the database's choice, each time anew: so totals do not fit
        if extract is not None:
            name = f"{mapping.source}: {mapping.table or 'query'}"
            extract = replace(extract, controls=[], control_cursor=None, description=name)
        return sampled, extract

    if mapping.query is not None:
        return pull(mapping.query)
    name = str(mapping.table)
    exact = ".".join(f'"{part}"' for part in name.split("."))
    if '"' in name:
        return pull(f"select * from {name}")
    if not all(re.fullmatch(r"[A-Za-z_]\w*", part, re.ASCII) for part in name.split(".")):
        return pull(f"select * from {exact}")
    try:
        return pull(f"select * from {name}")
    except ConfigurationError:  # its name holds capitals, or there is none
        return pull(f"select * from {exact}")


def _newest_first(
    settings: Settings, mapping: FeedMapping, source: FilesSource, work: Path
) -> Iterator[FilesSource]:
    """The source with one file of the feed's table alone, the newest by name, then with all: the
    newest may not be complete yet, or hold no rows.
    """
    from customer_marts.sources.file_folders import open_folder

    table = source.tables.get(mapping.table or "")
    if table is not None:
        folder = open_folder(settings, source, work, f"source {mapping.source}")
        files = folder.find(table.path)
        if len(files) > 1:
            one = table.model_copy(update={"path": glob.escape(files[-1].name)})
            tables = {**source.tables, str(mapping.table): one}
            yield source.model_copy(update={"tables": tables})
    yield source
