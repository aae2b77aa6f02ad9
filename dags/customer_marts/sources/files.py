"""Files in a folder, here or remote: each complete file is read once, in its declared format."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.feeds import FeedMapping, FilesSource, TypeFamily
from customer_marts.settings import Settings
from customer_marts.sources.extract import (
    SOURCE_COLUMN,
    ControlTotal,
    Extract,
    Reject,
    Watermark,
    check_columns,
    check_types,
    total_stated,
)
from customer_marts.sources.file_delivery import Delivery
from customer_marts.sources.file_folders import open_folder, reading_from
from customer_marts.sources.file_tables import FileRows, RawWriter, Reading, SourceFile
from customer_marts.sql import identifier, literal

MOST_THREADS = 4


def extract_files(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: FilesSource,
    watermark: Watermark,
    work: Path,
    now: datetime,
) -> Extract | None:
    """Read the new files of the feed's table; or, for a query over several tables, all their files
    as soon as one is new. A file is known by its content's hash, so each is read once, whatever
    its name; one that is not complete yet by ``now`` is left for the next pull.
    """
    where = f"feed {feed}, source {mapping.source}"
    names = _table_names(mapping, source, where)
    folder = open_folder(settings, source, work, where)
    delivery = Delivery(folder, source, watermark, now, where)
    found = {name: delivery.files(name) for name in names}
    fresh = [file for files in found.values() for file in files if file.is_fresh]
    if not fresh or not all(found.values()):
        return None
    wanted = {
        name: [file for file in files if mapping.query or file.is_fresh]
        for name, files in found.items()
    }
    paths = {
        name: [SourceFile(file.entry.name, delivery.path(file)) for file in files]
        for name, files in wanted.items()
    }
    read = [file for files in wanted.values() for file in files]
    pull = _Pull(settings, feed, mapping, source, watermark, work, where)
    try:
        with reading_from(f"{folder.where}/{read[0].entry.name}{' …' if len(read) > 1 else ''}"):
            extract = pull.read(paths)
    finally:
        # a file that is still being written is no faulty one
        for file in read:
            folder.check_unchanged(file.entry)
    if extract is None:
        return None
    label = fresh[0].entry.name if len(fresh) == 1 else f"{len(fresh)} files"
    seen = {file.entry.name: file.seen for file in read + delivery.repeated}
    return replace(extract, description=f"{mapping.source}: {label}", files=list(seen.values()))


def _table_names(mapping: FeedMapping, source: FilesSource, where: str) -> list[str]:
    if mapping.table is not None:
        if mapping.table not in source.tables:
            raise ConfigurationError(
                f"the source declares no table '{mapping.table}'",
                where=where,
                kept="nothing was read",
                todo=f"use one of {', '.join(source.tables)} in the company file",
            )
        return [mapping.table]
    names = [name for name in source.tables if _mentions(mapping.query or "", name)]
    if not names:
        raise ConfigurationError(
            "the feed's query names none of its source's tables",
            where=where,
            kept="nothing was read",
            todo=f"read from {', '.join(source.tables)} in the company file",
        )
    return names


def _mentions(query: str, table: str) -> bool:
    return re.search(rf"\b{re.escape(table)}\b", query) is not None


@dataclass
class _Read:
    """What the files of one table gave. rows: rejects included."""

    rows: int = 0
    rejects: list[Reject] = field(default_factory=list)
    stated: list[tuple[int | None, Decimal | None]] = field(default_factory=list)
    currencies: set[str | None] = field(default_factory=set)
    types: dict[str, TypeFamily] = field(default_factory=dict)
    # SQL that selects the rows
    query: str = ""

    def add(self, file: FileRows) -> None:
        self.rows += file.rows
        self.rejects += file.rejects
        if file.stated is not None:
            self.stated.append(file.stated)
            self.currencies |= file.currencies


class _Pull:
    """Reads files into raw.parquet."""

    def __init__(
        self,
        settings: Settings,
        feed: str,
        mapping: FeedMapping,
        source: FilesSource,
        watermark: Watermark,
        work: Path,
        where: str,
    ) -> None:
        self.settings, self.feed, self.mapping, self.source = settings, feed, mapping, source
        self.watermark, self.work, self.where = watermark, work, where
        self.raw = work / "raw.parquet"

    def read(self, files: dict[str, list[SourceFile]]) -> Extract | None:
        if self.mapping.query is not None:
            return self._read_query(files, self.mapping.query)
        [(name, table_files)] = files.items()
        reading = self._reading(name)
        if reading.table.kind == "parquet":
            with self._database() as connection:
                read = self._read_parquet(connection, reading, table_files)
                self._copy(connection, read.query, reading)
        else:
            read = self._read_texts(reading, table_files)
        if read.rows == 0:  # a day without movements: a header and nothing to land
            return None
        return Extract(
            self.raw,
            read.rows,
            "",
            read.rejects,
            unmapped=list(reading.unmapped),
            controls=self._controls(reading, read),
            types=read.types,
        )

    def _read_query(self, files: dict[str, list[SourceFile]], query: str) -> Extract | None:
        import duckdb

        rejects: list[Reject] = []
        with self._database() as connection:
            for name, table_files in files.items():
                reading = self._reading(name)
                if reading.table.kind == "parquet":
                    read = self._read_parquet(connection, reading, table_files)
                else:
                    read = self._read_texts(reading, table_files)
                rejects += read.rejects
                connection.execute(f"create view {identifier(name)} as {read.query}")
            try:
                relation = connection.sql(query)
                types = dict(zip(relation.columns, map(str, relation.types), strict=True))
                unmapped = check_columns(self.feed, self.mapping, list(types))
                families = self._families(types) if self._is_typed(files) else {}
                check_types(self.feed, self.mapping, families, self.watermark.types)
                if SOURCE_COLUMN not in types:
                    label = literal(", ".join(sorted(files)))
                    relation = relation.project(f"*, {label} as {SOURCE_COLUMN}")
                relation.write_parquet(str(self.raw), compression="lz4")
            except duckdb.Error as error:
                raise BatchFault(
                    f"the feed's query does not fit its files: {str(error).splitlines()[0]}",
                    where=self.where,
                    kept="nothing landed; the last release stands",
                    todo="compare the files' columns with the query in the company file",
                ) from error
            # a query may join and aggregate: what it returns is what was pulled
            [[count]] = connection.execute(
                "select count(*) from read_parquet(?)", [str(self.raw)]
            ).fetchall()
        if count + len(rejects) == 0:
            return None
        return Extract(
            self.raw, count + len(rejects), "", rejects, unmapped=unmapped, types=families
        )

    def _is_typed(self, files: dict[str, list[SourceFile]]) -> bool:
        return all(self.source.tables[name].kind == "parquet" for name in files)

    def _families(self, types: dict[str, str]) -> dict[str, TypeFamily]:
        from customer_marts.sources.file_parquet import family_of

        return {
            name: family_of(types[name]) for name in self.mapping.source_columns if name in types
        }

    def _reading(self, name: str) -> Reading:
        table = self.source.tables[name]
        is_text = table.kind in ("csv", "jsonl")
        # a mark at the beginning is taken off, whether it was declared (utf-8-sig) or not
        encoding = self.source.encoding_of(name).removesuffix("-sig") if is_text else None
        return Reading(self.feed, self.mapping, name, table, encoding)

    def _database(self) -> Any:
        import duckdb

        connection = duckdb.connect()
        connection.execute(f"set memory_limit = '{self.settings.memory_limit}'")
        connection.execute("set temp_directory = ?", [str(self.work)])
        connection.execute("set timezone = 'UTC'")
        return connection

    def _read_texts(self, reading: Reading, files: list[SourceFile]) -> _Read:
        """Read files whose values are texts, in a reader of their format."""
        read = _Read()
        is_query = reading.wanted is None
        stem = f"table_{reading.table_name}" if is_query else self.raw.stem
        threads = min(os.cpu_count() or 1, MOST_THREADS)
        with (
            RawWriter(self.work, stem, reading.wanted) as writer,
            ThreadPoolExecutor(threads) as pool,
        ):
            for file in files:
                if reading.table.kind == "csv":
                    from customer_marts.sources.file_delimited import read_delimited

                    read.add(read_delimited(reading, file, writer, self.work, pool))
                elif reading.table.kind == "jsonl":
                    from customer_marts.sources.file_json import read_json_lines

                    read.add(read_json_lines(reading, file, writer))
                else:
                    from customer_marts.sources.file_workbook import read_workbook

                    read.add(read_workbook(reading, file, writer))
        if is_query:
            parts = ", ".join(literal(str(part)) for part in writer.parts)
            read.query = f"select * from read_parquet([{parts}], union_by_name = true)"
        return read

    def _read_parquet(self, connection: Any, reading: Reading, files: list[SourceFile]) -> _Read:
        from customer_marts.sources.file_parquet import read_parquet_files

        found = read_parquet_files(connection, reading, files, self.watermark.types, self.work)
        return _Read(found.rows, found.rejects, types=found.types, query=found.query)

    def _copy(self, connection: Any, query: str, reading: Reading) -> None:
        import duckdb

        try:
            connection.execute(
                f"copy ({query}) to {literal(str(self.raw))} (format parquet, compression lz4)"
            )
        except duckdb.Error as error:
            raise BatchFault(
                f"the Parquet files cannot be read: {str(error).splitlines()[0]}",
                where=f"{self.where}, files {reading.table.path}",
                kept="nothing of this feed landed; the last release stands",
                todo="have the files delivered again, then rerun",
            ) from error

    def _controls(self, reading: Reading, read: _Read) -> list[ControlTotal]:
        """The trailers' totals, where they can be told apart by currency: when none is mapped, or
        all rows are in the same one.
        """
        if not read.stated:
            return []
        code = None
        if reading.source_column("currency") is not None:
            if len(read.currencies) != 1:
                return []
            [code] = read.currencies
        amount = None
        trailer = reading.table.trailer
        if trailer and trailer.amount_column == reading.source_column("amount"):
            amount = total_stated(amount for _, amount in read.stated)
        return [ControlTotal(code, total_stated(rows for rows, _ in read.stated), amount)]
