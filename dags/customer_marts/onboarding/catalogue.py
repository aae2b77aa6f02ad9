"""What a source holds: its tables and their columns, before anything is mapped."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from customer_marts.errors import BatchFault, ConfigurationError, MartsError
from customer_marts.feeds import (
    DatabaseSource,
    Encoding,
    FeedMapping,
    FilesSource,
    FileTable,
    RestSource,
    RestTable,
    Trailer,
)
from customer_marts.settings import Settings
from customer_marts.sources.extract import Watermark
from customer_marts.sources.file_records import as_number

HEAD_BYTES = 1 << 18
WHOLE_FILE_BYTES = 32 << 20
DELIMITERS = ",;\t|"
CLOSING_WORDS = {"合计", "总计", "小计", "total", "sum", "trailer", "trl", "eof", "end"}
TEXT_ENDINGS = {".csv", ".txt", ".tsv", ".dat"}
ENDINGS = {*TEXT_ENDINGS, ".jsonl", ".ndjson", ".parquet", ".xlsx"}

ITEM_FIELDS = ("items", "data", "results", "records", "rows", "list", "value", "content")
CURSOR_FIELDS = ("next_cursor", "nextCursor", "cursor", "next_page_token", "nextPageToken")
LINK_FIELDS = ("next", "next_link", "nextLink", "@odata.nextLink")
PAGE_FIELDS = ("page", "page_no", "pageNo", "current_page", "currentPage", "total_pages")
TOTAL_FIELDS = ("total", "total_count", "totalCount", "count", "totalElements")

_SQLITE_CATALOGUE = """
select m.name as table_name, p.name as column_name, p.cid as position
from sqlite_master as m join pragma_table_info(m.name) as p
where m.type in ('table', 'view') and m.name not like 'sqlite_%'
"""
_CATALOGUE = """
select case when table_schema in ('public', 'main') then '' else table_schema || '.' end
        || table_name as table_name,
    column_name as column_name, ordinal_position as position
from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
"""


@dataclass(frozen=True)
class Table:
    """A table of a source. reads: how the company file declares it, where files and services do.
    notes: what a person should look at.
    """

    source: str
    name: str
    columns: list[str]
    reads: FileTable | RestTable | None = None
    notes: tuple[str, ...] = ()


def tables_of_database(
    settings: Settings, name: str, source: DatabaseSource, work: Path, now: datetime
) -> list[Table]:
    """All tables and views that the login sees, through the connector that will read them."""
    import pyarrow.parquet as pq

    from customer_marts.sources.database import extract_database

    is_sqlite = settings.expand(source.uri, f"source {name}").startswith("sqlite:")
    catalogue = FeedMapping.model_validate(
        {
            "source": name,
            "query": _SQLITE_CATALOGUE if is_sqlite else _CATALOGUE,
            "columns": {
                "customer_id": "table_name",
                "name": "column_name",
                "legal_id": "position",
            },
        }
    )
    try:
        extract = extract_database(settings, "customers", catalogue, source, Watermark(), work, now)
    except MartsError as error:
        place = f"source {name}, its list of tables"
        raise type(error)(
            error.what, where=place, kept="nothing was written", todo=error.todo
        ) from error
    if extract is None:
        return []
    listed: dict[str, list[tuple[int, str]]] = {}
    for row in pq.read_table(extract.raw).to_pylist():
        entry = (int(row["position"]), str(row["column_name"]))
        listed.setdefault(str(row["table_name"]), []).append(entry)
    return [
        Table(name, table, [column for _, column in sorted(columns)])
        for table, columns in sorted(listed.items())
    ]


# --- files ----------------------------------------------------------------------------------------


def tables_of_files(settings: Settings, name: str, source: FilesSource, work: Path) -> list[Table]:
    """The files of a folder and of the folders in it; those whose names differ in digits alone are
    one table (bank_2026-01-05.csv, bank_2026-01-06.csv: bank_*.csv), read by the newest name.
    """
    from customer_marts.sources.file_folders import Entry, open_folder

    folder = open_folder(settings, source, work, f"source {name}")
    groups: dict[str, list[Entry]] = {}
    for entry in [*folder.find("*"), *folder.find("*/*")]:
        ending = PurePosixPath(entry.name).suffix.lower()
        if ending in ENDINGS and not re.search(r"(^|/)\.", entry.name):
            groups.setdefault(re.sub(r"[\d*]+([-_.]?[\d*]+)*", "*", entry.name), []).append(entry)
    tables: list[Table] = []
    for pattern, members in groups.items():
        *older, newest = sorted(members, key=lambda entry: entry.name)
        ending = PurePosixPath(newest.name).suffix.lower()
        file = folder.fetch(newest)
        columns = _header(file, ending, source.encoding)[0]
        notes = []
        if older:
            before = _header(folder.fetch(older[-1]), ending, source.encoding)[0]
            changed = sorted(set(before) ^ set(columns))
            if changed:
                notes.append(f"its newest two files differ in {', '.join(changed)}")
        described = {
            "path": pattern if older else newest.name,
            **_reading(file, ending, source.encoding, columns),
        }
        slug = re.sub(r"[\W\d_]+", "_", PurePosixPath(pattern).stem).strip("_").lower() or "table"
        taken = [table.name for table in tables]
        label = slug if slug not in taken else f"{slug}_{len(tables) + 1}"
        reads = FileTable.model_validate(described)
        tables.append(Table(name, label, columns, reads, tuple(notes)))
    return tables


def _header(file: Path, ending: str, encoding: Encoding | None) -> tuple[list[str], str]:
    """A file's columns, and the delimiter of a text file."""
    if ending == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(file).names), ","
    if ending == ".xlsx":
        import openpyxl

        book = openpyxl.load_workbook(file, read_only=True)
        row = next(book.worksheets[0].iter_rows(max_row=1, values_only=True), ())
        book.close()
        return [str(cell).strip() for cell in row if cell is not None], ","
    lines = _head(file, encoding).splitlines()
    first = lines[0] if lines else ""
    if ending in (".jsonl", ".ndjson"):
        record = json.loads(first) if first else {}
        return (list(record) if isinstance(record, dict) else []), ","
    delimiter = max(DELIMITERS, key=first.count)
    row_of_names = next(csv.reader([first], delimiter=delimiter), [])
    return [column.strip().lstrip("\ufeff") for column in row_of_names], delimiter


def _head(file: Path, encoding: Encoding | None) -> str:
    if encoding is None:
        raise ConfigurationError(
            f"{file.name} is a text file: its encoding must be known, it is never guessed",
            where=str(file.parent),
            todo="give --encoding (gb18030, utf-8, utf-8-sig, gbk)",
        )
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    with file.open("rb") as stream:
        start = stream.read(HEAD_BYTES)
    try:
        return decoder.decode(start)
    except UnicodeDecodeError as error:
        raise BatchFault(
            f"{file.name} is not {encoding}: byte {error.start} cannot be decoded",
            where=str(file.parent),
            kept="nothing was written",
            todo="ask the system's owner for the encoding and give it with --encoding",
        ) from error


def _reading(
    file: Path, ending: str, encoding: Encoding | None, columns: list[str]
) -> dict[str, Any]:
    """Delimiter and trailer of a text file, as a FileTable declares them."""
    if ending not in TEXT_ENDINGS:
        return {}
    found: dict[str, Any] = {}
    _, delimiter = _header(file, ending, encoding)
    if delimiter != ",":
        found["delimiter"] = delimiter
    trailer = _trailer(file, str(encoding), delimiter, columns)
    return found | ({"trailer": trailer.model_dump()} if trailer else {})


def _trailer(file: Path, encoding: str, delimiter: str, columns: list[str]) -> Trailer | None:
    """A closing line whose fields count the rows or sum a column, if the file ends with one."""
    if file.stat().st_size > WHOLE_FILE_BYTES:
        return None
    with file.open(encoding=encoding, errors="replace", newline="") as stream:
        rows = [row for row in csv.reader(stream, delimiter=delimiter) if any(row)]
    if len(rows) < 2 or rows[-1][0].strip(" :：").lower() not in CLOSING_WORDS:
        return None
    body, last = rows[1:-1], [field.strip() for field in rows[-1]]
    numbers = {place: as_number(field) for place, field in enumerate(last[1:], start=2)}
    counted = next((place for place, value in numbers.items() if value == len(body)), None)
    for place, value in numbers.items():
        for position, column in enumerate(columns):
            cells = [as_number(row[position]) if position < len(row) else None for row in body]
            known = [cell for cell in cells if cell is not None]
            if place != counted and value is not None and known and sum(known) == value:
                return Trailer(
                    marker=last[0], rows_field=counted, amount_field=place, amount_column=column
                )
    return Trailer(marker=last[0], rows_field=counted) if counted else None


# --- services -------------------------------------------------------------------------------------


def table_of_service(
    settings: Settings, name: str, source: RestSource, path: str, work: Path
) -> Table:
    """One resource by its first answer: where the records lie, and how the pages go on."""
    from customer_marts.sources.rest import extract_rest, look

    where = f"source {name}"
    content, has_link = look(settings, source, RestTable(path=path), where)
    fields = _flat(content) if isinstance(content, dict) else {"": content}
    lists = [
        name
        for name, value in fields.items()
        if isinstance(value, list) and (not value or isinstance(value[0], dict))
    ]
    if not lists:
        raise BatchFault(
            "the answer holds no list of records",
            where=f"{where}, {path}",
            kept="nothing was written",
            todo="give the --path of a resource that lists records",
        )
    items = _first_of(ITEM_FIELDS, lists) or lists[0]
    described: dict[str, Any] = {"path": path, "items": items, **_paging(fields, has_link)}
    inner = [
        name
        for record in fields[items][:20]
        for name, value in record.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    if inner:
        described["explode"] = inner[0]
    table = RestTable.model_validate(described)
    one = source.model_copy(update={"tables": {"table": table}})
    unread = FeedMapping(source=name, table="table", columns={})
    extract = extract_rest(settings, "customers", unread, one, Watermark(), work, most_rows=1)
    label = re.sub(r"\W+", "_", path.rstrip("/").rsplit("/", 1)[-1]).strip("_").lower() or "table"
    notes = ["how its pages go on is a guess: compare with the service's documentation"]
    if inner:
        notes.append(f"one row an element of {inner[0]}; without explode, one row a record")
    return Table(name, label, extract.unmapped if extract else [], table, tuple(notes))


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """The fields, and those of objects as ``object.field``."""
    inside = {
        f"{name}.{inner}": value
        for name, fields in content.items()
        if isinstance(fields, dict)
        for inner, value in fields.items()
    }
    return {**content, **inside}


def _first_of(names: tuple[str, ...], fields: Iterable[str]) -> str | None:
    """The field that has the first of these names, at whatever depth."""
    found = {field.rsplit(".", 1)[-1]: field for field in reversed(list(fields))}
    return next((found[name] for name in names if name in found), None)


def _paging(fields: dict[str, Any], has_link: bool) -> dict[str, Any]:
    if has_link:
        return {"paging": "link"}
    total = _first_of(TOTAL_FIELDS, [f for f, value in fields.items() if str(value).isdigit()])
    found: dict[str, Any] = {"total": total} if total else {}
    addresses = [
        field
        for field, value in fields.items()
        if isinstance(value, str) and (value.startswith("/") or "://" in value)
    ]
    link = _first_of(LINK_FIELDS, addresses)
    if link:
        return {**found, "paging": "link", "next_link": link}
    # what is no address, though it stands where addresses do, is sent back as it is
    marks = [f for f, value in fields.items() if value and isinstance(value, str)]
    cursor = _first_of(CURSOR_FIELDS, fields) or _first_of(LINK_FIELDS, marks)
    if cursor:
        return {**found, "paging": "cursor", "next_cursor": cursor}
    if _first_of(PAGE_FIELDS, fields):
        return {**found, "paging": "page"}
    return found


def with_tables(source: FilesSource | RestSource, tables: list[Table]) -> FilesSource | RestSource:
    """The source with the tables found, as the connectors want it."""
    return source.model_copy(update={"tables": {table.name: table.reads for table in tables}})
