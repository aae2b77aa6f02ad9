"""Delimited files in a declared encoding: decoded strictly, rejects kept row by row."""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from customer_marts.errors import BatchFault, ConfigurationError, SourceUnavailable
from customer_marts.feeds import FeedMapping, FilesSource, FileTable, Trailer
from customer_marts.settings import PROJECT_ROOT, Settings
from customer_marts.sources.extract import SOURCE_COLUMN, Extract, Reject, SeenFile, Watermark

CHUNK_BYTES = 1 << 22


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
    as soon as one is new. A file is known by its content's hash, so each is read once.
    """
    where = f"feed {feed}, source {mapping.source}"
    # a relative folder is relative to the project, wherever the command is run
    folder = PROJECT_ROOT / Path(settings.expand(source.folder, where)).expanduser()
    if not folder.is_dir():
        raise SourceUnavailable(
            "the folder does not exist",
            where=f"{where}: {folder}",
            kept="the last release and everything landed",
            todo="check the folder in the company file or its environment variable",
        )
    names = [mapping.table] if mapping.table else list(source.tables)
    names = [name for name in names if mapping.table or _mentions(mapping.query or "", name)]
    if not names:
        raise ConfigurationError(
            "the feed's query names none of its source's tables",
            where=where,
            kept="nothing landed",
            todo=f"read from {', '.join(source.tables)} in the company file",
        )
    found = {name: _found(folder, source.tables, str(name), where) for name in names}
    seen = {file: _seen(folder, file, watermark) for files in found.values() for file in files}
    known = {file.sha256 for file in watermark.files.values()}
    fresh = [file for file, state in seen.items() if state.sha256 not in known]
    if not fresh:
        return None
    rows = 0
    rejects: list[Reject] = []
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{settings.memory_limit}'")
        connection.execute("set temp_directory = ?", [str(work)])
        for name in names:
            files = [file for file in found[name] if mapping.query or file in fresh]
            if not files:
                continue
            table = source.tables[str(name)]
            read = _Table(connection, str(name), table, source.encoding, folder, work, feed)
            counted, rejected = read.load(files)
            rows += counted
            rejects += rejected
        query = mapping.query or f'select * from "{mapping.table}"'
        raw = work / "raw.parquet"
        try:
            relation = connection.sql(query)
        except duckdb.Error as error:
            raise BatchFault(
                f"the feed's query does not fit its files: {str(error).splitlines()[0]}",
                where=where,
                kept="nothing landed; the last release stands",
                todo="compare the files' columns with the query in the company file",
            ) from error
        if SOURCE_COLUMN not in relation.columns:
            label = ", ".join(sorted(str(name) for name in names))
            relation = relation.project(f"*, '{label}' as {SOURCE_COLUMN}")
        relation.write_parquet(str(raw), compression="snappy")
        if mapping.query:
            # a query may join and aggregate: what it returns is what was pulled
            counts = connection.execute("select count(*) from read_parquet(?)", [str(raw)])
            rows = counts.fetchall()[0][0] + len(rejects)
    if rows == 0:  # a day without movements: a header and nothing to land
        return None
    label = fresh[0].name if len(fresh) == 1 else f"{len(fresh)} files"
    read_files = [seen[file] for file in (seen if mapping.query else fresh)]
    return Extract(raw, rows, f"{mapping.source}: {label}", rejects, files=read_files)


def _mentions(query: str, table: str) -> bool:
    return re.search(rf"\b{re.escape(table)}\b", query) is not None


def _found(folder: Path, tables: dict[str, FileTable], name: str, where: str) -> list[Path]:
    if name not in tables:
        raise BatchFault(
            f"the source declares no table '{name}'",
            where=where,
            kept="nothing landed",
            todo=f"use one of {', '.join(tables)}",
        )
    files = sorted(file for file in folder.glob(tables[name].path) if file.is_file())
    if not files:
        raise SourceUnavailable(
            f"no file matches {tables[name].path}",
            where=f"{where}: {folder}",
            kept="the last release and everything landed",
            todo="check that the files were delivered and the pattern in the company file",
        )
    return files


def _seen(folder: Path, file: Path, watermark: Watermark) -> SeenFile:
    state = file.stat()
    name = str(file.relative_to(folder))
    known = watermark.files.get(name)
    if known and (known.size, known.modified_ns) == (state.st_size, state.st_mtime_ns):
        return known
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SeenFile(name, state.st_size, state.st_mtime_ns, digest)


class _Table:
    """Loads the files of one layout into one DuckDB table of texts."""

    def __init__(
        self,
        connection: Any,
        name: str,
        table: FileTable,
        encoding: str,
        folder: Path,
        work: Path,
        feed: str,
    ) -> None:
        self.connection, self.name, self.table = connection, name, table
        self.encoding, self.folder, self.work, self.feed = encoding, folder, work, feed

    def load(self, files: list[Path]) -> tuple[int, list[Reject]]:
        """Decode, check, read; returns how many data rows there were and the rejected ones."""
        texts = self.work / f"texts_{self.name}"
        texts.mkdir()
        trailers: dict[str, list[str]] = {}
        decoded: dict[str, Path] = {}
        header: list[str] | None = None
        for number, file in enumerate(files):
            target = texts / f"{number:06d}.csv"
            trailer = self._decode(file, target)
            if trailer is not None:
                trailers[str(target)] = trailer
            columns = self._header(file, target)
            header = header or columns
            if columns != header:
                raise self._fault(
                    f"its columns differ from those of {files[0].name}: "
                    f"{_difference(header, columns)}",
                    file,
                )
            decoded[str(target)] = file
        assert header is not None
        import duckdb

        try:
            rejects = self._read(list(decoded), header, decoded)
        except duckdb.Error as error:
            raise self._fault(
                f"the files cannot be read as a table: {str(error).splitlines()[0]}", files[0]
            ) from error
        rejected = len(rejects)
        rows = self._count(f'select count(*) from "{self.name}"')
        if self.table.trailer:
            self._check_trailers(self.table.trailer, trailers, decoded, rejects)
        self.connection.execute(f'alter table "{self.name}" drop column _file')
        return rows + rejected, rejects

    def _decode(self, file: Path, target: Path) -> list[str] | None:
        """Transcode to UTF-8, strictly; cut off and return the trailer line's fields."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="strict")
        tail = ""
        offset = 0
        if file.stat().st_size == 0:
            raise self._fault("the file is empty, it has not even a header", file)
        with file.open("rb") as stream, target.open("w", encoding="utf-8", newline="") as out:
            while True:
                chunk = stream.read(CHUNK_BYTES)
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    raise self._fault(
                        f"the file is not {self.encoding}: byte {offset + error.start} "
                        f"cannot be decoded ({error.reason})",
                        file,
                    ) from error
                offset += len(chunk)
                if self.table.trailer is None:
                    out.write(text)
                else:
                    # hold back the last lines until the end is known
                    tail += text
                    cut = tail.rfind("\n", 0, max(len(tail) - 4096, 0)) + 1
                    out.write(tail[:cut])
                    tail = tail[cut:]
                if not chunk:
                    break
            if self.table.trailer is None:
                return None
            body, _, last = tail.rstrip("\r\n").rpartition("\n")
            fields = next(csv.reader([last], delimiter=self.table.delimiter), [])
            if not fields or fields[0].strip() != self.table.trailer.marker:
                raise self._fault(
                    f"its last line is not the trailer '{self.table.trailer.marker}': "
                    "the file is truncated or still being written",
                    file,
                )
            out.write(body + "\n")
            return [field.strip() for field in fields]

    def _header(self, file: Path, target: Path) -> list[str]:
        with target.open(encoding="utf-8", newline="") as stream:
            columns = next(csv.reader(stream, delimiter=self.table.delimiter), [])
        columns = [column.strip().lstrip("\ufeff") for column in columns]
        doubled = {column for column in columns if columns.count(column) > 1}
        if doubled:
            raise self._fault(f"columns appear twice: {', '.join(sorted(doubled))}", file)
        return columns

    def _read(self, paths: list[str], header: list[str], names: dict[str, Path]) -> list[Reject]:
        connection = self.connection
        labels = [(path, str(file.relative_to(self.folder))) for path, file in names.items()]
        connection.execute("create or replace temp table file_names (path varchar, label varchar)")
        connection.executemany("insert into file_names values (?, ?)", labels)
        for table in ("reject_errors", "reject_scans"):
            connection.execute(f"drop table if exists {table}")
        columns = ", ".join(f"{_text(column)}: 'varchar'" for column in header)
        # all columns are read: DuckDB checks only what is projected
        connection.execute(
            f"""
            create table "{self.name}" as
            with records as (
                select *, row_number() over () as _record
                from read_csv(
                    [{", ".join(_text(path) for path in paths)}],
                    columns = {{{columns}}}, auto_detect = false, header = true,
                    delim = {_text(self.table.delimiter)}, quote = '"', escape = '"',
                    strict_mode = true, store_rejects = true, rejects_limit = 0,
                    filename = '_path', max_line_size = 8388608
                )
            ),
            starts as (select _path, min(_record) as first_record from records group by _path)
            select
                records.* exclude (_path, _record),
                file_names.label as _file,
                file_names.label || ':record ' || (_record - first_record + 1) as {SOURCE_COLUMN}
            from records
            inner join starts using (_path)
            inner join file_names on records._path = file_names.path
            order by _record
            """
        )
        rejected = connection.execute(
            """
            select reject_scans.file_path, reject_errors.line,
                any_value(reject_errors.csv_line), string_agg(distinct reject_errors.error_message)
            from reject_errors
            inner join reject_scans using (scan_id, file_id)
            group by all order by all
            """
        ).fetchall()
        return [
            Reject(
                f"{names[path].relative_to(self.folder)}:line {line}",
                (text or "").strip("\r\n"),
                " ".join((message or "unreadable").split()),
            )
            for path, line, text, message in rejected
        ]

    def _check_trailers(
        self,
        trailer: Trailer,
        trailers: dict[str, list[str]],
        names: dict[str, Path],
        rejects: list[Reject],
    ) -> None:
        total = "cast(0 as decimal(38, 2))"
        if trailer.amount_column:
            total = f'sum(try_cast("{trailer.amount_column}" as decimal(38, 2)))'
        read = self.connection.execute(
            f'select _file, count(*), {total} from "{self.name}" group by _file'
        ).fetchall()
        found = {label: (count, amount or Decimal(0)) for label, count, amount in read}
        for path, fields in trailers.items():
            file = names[path]
            label = str(file.relative_to(self.folder))
            count, amount = found.get(label, (0, Decimal(0)))
            unreadable = [row for row in rejects if row.source.startswith(f"{label}:")]
            try:
                stated = int(fields[trailer.rows_field - 1])
                stated_amount = (
                    Decimal(fields[trailer.amount_field - 1]) if trailer.amount_field else None
                )
            except (IndexError, ValueError, InvalidOperation):
                raise self._fault(f"its trailer cannot be read: {','.join(fields)}", file) from None
            if stated != count + len(unreadable):
                raise self._fault(
                    f"its trailer counts {stated} rows, {count + len(unreadable)} were read", file
                )
            # an unreadable row's amount is unknown: the sum can then only be checked without it
            if stated_amount is not None and not unreadable and stated_amount != amount:
                raise self._fault(f"its trailer sums {stated_amount}, the rows sum {amount}", file)

    def _count(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0])

    def _fault(self, what: str, file: Path) -> BatchFault:
        return BatchFault(
            what,
            where=f"feed {self.feed}, file {file}",
            kept="nothing of this feed landed; the file is untouched; the last release stands",
            todo="have the file delivered again, then rerun; other feeds are not affected",
        )


def _difference(expected: Iterable[str], found: Iterable[str]) -> str:
    expected, found = list(expected), list(found)
    missing = [column for column in expected if column not in found]
    added = [column for column in found if column not in expected]
    parts = []
    if missing:
        parts.append(f"missing {', '.join(missing)}")
    if added:
        parts.append(f"new {', '.join(added)}")
    return "; ".join(parts) or "their order differs"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
