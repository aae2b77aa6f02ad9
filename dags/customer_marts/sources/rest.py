"""HTTP services with pages: answers kept as they came, records made into rows of texts.

Every page goes to ``raw.jsonl.gz`` before anything is made of its records. Memory stays flat: rows
are written some thousands at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from customer_marts.errors import BatchFault, SourceUnavailable
from customer_marts.feeds import FeedMapping, RestSource, RestTable, load_contract
from customer_marts.settings import Settings
from customer_marts.sources.extract import (
    ControlTotal,
    Extract,
    Reject,
    Watermark,
    check_columns,
    cursor_start,
)
from customer_marts.sources.file_tables import RawWriter, unreadable
from customer_marts.sources.rest_service import KEPT, Answer, Number, Service

MOST_PAGES = 100_000
ROWS_AT_ONCE = 20_000

_OFFERS_MORE = re.compile(
    r"(.*[._])?(next(_?(page|cursor|link|url|href|token|page_?token))?|cursor|page_?token"
    r"|has_?(more|next)(_?page)?|@odata\.nextLink)",
    re.IGNORECASE,
)
_SAYS_LAST = re.compile(r"(.*\.)?has_?(more|next)(_?page)?", re.IGNORECASE)
# what services call the explanation of an error; other fields may hold people's data
_EXPLAINS = re.compile(r"(err(or)?_?)?(code|no|msg|message)|errors?|detail|status|reason|title")


def extract_rest(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: RestSource,
    watermark: Watermark,
    work: Path,
    most_rows: int | None = None,
) -> Extract | None:
    """Page through the feed's resource and make every record (or element of its list field) a row
    of texts. A mapped name with dots (``customer.code``) reads inside objects.

    most_rows: stop after the page that brings so many (a sample; the total is then not compared).

    Raises SourceUnavailable when the service does not answer, refuses us or goes round in circles,
    and BatchFault when its answers are not what the company file says or fewer than it counts.
    """
    where = f"feed {feed}, source {mapping.source}"
    if mapping.table not in source.tables:
        raise BatchFault(
            f"the source declares no table '{mapping.table}'",
            where=where,
            kept="nothing landed",
            todo=f"use one of {', '.join(source.tables)}",
        )
    table = source.tables[mapping.table]
    since = cursor_start(mapping, watermark)
    pages = work / "raw.jsonl.gz"
    count = _Count(table, where)
    is_whole = False
    # mtime 0: the same pages give the same bytes
    with (
        _RawRows(work, mapping, table, where) as rows,
        pages.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped,
        Service(settings, source, table, where) as service,
    ):
        for answer, items in _pages(service, table, since):
            zipped.write(answer.line)
            rows.add(items, is_suspect=answer.is_suspect)
            count.add(answer.content, len(items))
            if most_rows is not None and rows.count >= most_rows:
                break
        else:
            count.check()
            is_whole = True
    unmapped = rows.check(feed)
    if rows.count == 0:
        return None
    label = f"{mapping.source}: {table.path}"
    return Extract(
        work / "raw.parquet",
        rows.count,
        label,
        rows.rejects,
        unmapped,
        pages=pages,
        controls=_controls(feed, mapping, table, count) if is_whole else [],
    )


def look(settings: Settings, source: RestSource, table: RestTable, where: str) -> tuple[Any, bool]:
    """The content of a resource's first answer, whatever its form, and whether its header Link
    leads on.
    """
    with Service(settings, source, table, where) as service:
        answer = service.get(service.url, service.parameters)
    return answer.content, answer.link is not None


def _controls(
    feed: str, mapping: FeedMapping, table: RestTable, count: _Count
) -> list[ControlTotal]:
    """The service's count, where it counts what we land: not elements, and no single currency."""
    currency = mapping.columns.get(load_contract(feed).currency or "")
    if count.stated is None or table.explode or (currency and currency.column):
        return []
    return [ControlTotal(None, count.stated, None)]


# --- pages ----------------------------------------------------------------------------------------


class _Count:
    """Records read against the total that the service states on every page."""

    def __init__(self, table: RestTable, where: str) -> None:
        self.table, self.where = table, where
        self.read = 0
        self.first: int | None = None
        self.stated: int | None = None

    def add(self, content: Any, items: int) -> None:
        """Count a page. Raises as soon as more came than the service says it has."""
        self.read += items
        if self.table.total is None:
            return
        value = _at(content, self.table.total)
        if not isinstance(value, str) or not value.isdigit():
            raise _malformed(f"a page states no count in '{self.table.total}'", self.where, content)
        self.stated = int(value)
        self.first = self.stated if self.first is None else self.first
        if self.read > self.stated:
            self._raise()

    def check(self) -> None:
        """Compare at the end of the pages."""
        if self.stated is not None and self.read != self.stated:
            self._raise()

    def _raise(self) -> NoReturn:
        if self.first != self.stated:
            raise SourceUnavailable(
                f"records came or went while the pages were read: the service counted "
                f"{self.first}, then {self.stated}, and gave {self.read}",
                where=self.where,
                kept=KEPT,
                todo="run again, at a quieter time of the service",
            )
        raise BatchFault(
            f"the service counts {self.stated} records, {self.read} were read",
            where=f"{self.where}, field {self.table.total}",
            kept=KEPT,
            todo="run again; if it stays so, have the service's operator look at the count "
            "and the pages",
        )


def _pages(
    service: Service, table: RestTable, since: str | None
) -> Iterator[tuple[Answer, list[Any]]]:
    """Answers and their items, in order, until the service has no more."""
    url = service.url
    parameters = dict(service.parameters)
    if since is not None and table.since_parameter:
        parameters[table.since_parameter] = since
    steps: set[str] = set()
    contents: set[bytes] = set()
    for number in range(MOST_PAGES):
        if table.paging == "page":
            parameters[table.page_parameter] = str(table.first_page + number)
        answer = service.get(url, parameters)
        items = _items(answer.content, table, service.where)
        if items:
            digest = hashlib.blake2b(repr(items).encode("utf-8", "backslashreplace")).digest()
            if digest in contents:
                raise service.circle(f"repeats the content of a page (its page {number + 1})", url)
            contents.add(digest)
        elif table.paging == "page":
            return
        yield answer, items
        if table.paging == "page":
            continue
        following = _following(answer, table)
        if following is None:
            if not steps:
                _refuse_overlooked(answer, table, service.where)
            return
        if following in steps and not items:
            return  # some repeat the last cursor beside an empty page
        if following in steps:
            what = "page cursor" if table.paging == "cursor" else "link to the next page"
            raise service.circle(f"repeats its {what} '{service.shown(following)}'", url)
        steps.add(following)
        if table.paging == "cursor":
            parameters[table.cursor_parameter] = following
        else:
            # the link carries every parameter itself
            url, parameters = service.own(answer.url, following), {}
            steps.add(url)
    raise service.circle(f"has more than {MOST_PAGES:,} pages", url)


def _items(content: Any, table: RestTable, where: str) -> list[Any]:
    items = _at(content, table.items) if table.items else content
    if isinstance(items, list):
        return items
    if not table.items:
        raise _malformed("the answer is not a list", where, content)
    hint = "; the answer itself is a list (items: '')" if isinstance(content, list) else ""
    raise _malformed(f"a page has no list '{table.items}'{hint}", where, content)


def _following(answer: Answer, table: RestTable) -> str | None:
    """The next page's cursor or address; None at the end."""
    says_last = any(
        value is False for name, value in _scalars(answer.content, 2) if _SAYS_LAST.fullmatch(name)
    )
    if says_last:
        return None
    if table.paging == "link" and table.next_link is None:
        return answer.link
    value = _at(answer.content, table.next_cursor if table.paging == "cursor" else table.next_link)
    if isinstance(value, dict):  # {"next": {"href": …}}
        value = value.get("href")
    if not isinstance(value, str) or not value or (isinstance(value, Number) and value == "0"):
        return None
    return str(value)


def _refuse_overlooked(answer: Answer, table: RestTable, where: str) -> None:
    """A first page that offers a next one where we do not look must not pass for the only one."""
    read = table.next_cursor if table.paging == "cursor" else table.next_link
    offers = [
        name
        for name, value in _scalars(answer.content, 2)
        if name != read and _OFFERS_MORE.fullmatch(name) and value not in (None, False, "", "0")
    ]
    if answer.link and not (table.paging == "link" and read is None):
        offers.append("the header Link")
    if offers:
        raise BatchFault(
            f"the answer offers another page in {', '.join(offers)}, "
            f"the company file looks for it in {read or 'the header Link'}",
            where=where,
            kept=KEPT,
            todo="set paging, next_cursor or next_link of the table in the company file",
        )


def _scalars(content: Any, depth: int, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, dict) and depth > 1:
                yield from _scalars(value, depth - 1, f"{prefix}{name}.")
            elif not isinstance(value, list | dict):
                yield prefix + name, value


def _at(content: Any, path: str | None) -> Any:
    """The value at a field, or at a path of fields with dots; None where there is none."""
    if not isinstance(content, dict) or path is None:
        return None
    if path in content:
        return content[path]
    first, _, rest = path.partition(".")
    return _at(content.get(first), rest) if rest else None


def _malformed(what: str, where: str, content: Any) -> BatchFault:
    """Names the fields that there are; of their values only those that explain an error."""
    fields = []
    if isinstance(content, dict):
        fields = [
            f"{name}={_text(value)}"[:80]
            if _EXPLAINS.fullmatch(name.lower()) and not isinstance(value, list | dict)
            else str(name)
            for name, value in list(content.items())[:12]
        ]
    return BatchFault(
        what + (f"; it has {', '.join(fields)}" if fields else ""),
        where=where,
        kept=KEPT,
        todo="compare the service's answer with the company file (items, explode, total)",
    )


# --- rows -----------------------------------------------------------------------------------------


class _RawRows:
    """Turns records into rows of texts and writes them, some thousands at a time."""

    def __init__(self, work: Path, mapping: FeedMapping, table: RestTable, where: str) -> None:
        self.mapping, self.table, self.where = mapping, table, where
        self.wanted = mapping.source_columns
        self.rejects: list[Reject] = []
        self.count = 0
        self.records = 0
        self._found: set[str] = set()
        self._exploded = False
        self._writer = RawWriter(work, "raw", self.wanted)
        self._columns: dict[str, list[str | None]] = {name: [] for name in self.wanted}
        self._sources: list[str] = []

    def __enter__(self) -> _RawRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, items: list[Any], is_suspect: bool) -> None:
        """Add a page's records; is_suspect: look for characters that are none."""
        rows: list[dict[str, Any]] = []
        for record in items:
            self.records += 1
            if not isinstance(record, dict):
                raise _malformed("a record is not an object", self.where, record)
            source = f"{self.table.path}:record {self.records}"
            for row in self._rows(record):
                self._found.update(row)
                self.count += 1
                if not (is_suspect and self._reject(row, source)):
                    rows.append(row)
                    self._sources.append(source)
        for name in self.wanted:
            self._columns[name] += [_text(row.get(name)) for row in rows]
        if len(self._sources) >= ROWS_AT_ONCE:
            self._flush()

    def check(self, feed: str) -> list[str]:
        """The fields nobody mapped. Raises BatchFault when a mapped one never came, unless it may
        be empty: JSON leaves out what is.
        """
        if self.records == 0:
            return []
        if self.table.explode and not self._exploded:
            raise _malformed(
                f"no record has the list '{self.table.explode}'",
                self.where,
                dict.fromkeys(self._found),
            )
        if self.count == 0:
            return []
        contract = load_contract(feed)
        optional = [
            column
            for name, mapped in self.mapping.columns.items()
            if not contract.all_columns[name].required
            for column in mapped.source_columns
        ]
        return check_columns(feed, self.mapping, sorted({*self._found, *optional}))

    def _rows(self, record: dict[str, Any]) -> Iterable[dict[str, Any]]:
        explode = self.table.explode
        fields = self._fields(record)
        if explode is None:
            return [fields]
        elements = _at(record, explode)
        plain = {name: value for name, value in fields.items() if name != explode}
        if elements is None:
            self._found.update(plain)
            return []
        if not isinstance(elements, list):
            raise _malformed(f"'{explode}' of a record is not a list", self.where, record)
        self._exploded = True
        return [
            {**plain, **(self._fields(item) if isinstance(item, dict) else {explode: item})}
            for item in elements
        ]

    def _fields(self, record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        """The record's fields, and those of its objects by names with dots."""
        if not prefix and dict not in map(type, record.values()):
            return record
        fields: dict[str, Any] = {}
        for name, value in record.items():
            path = prefix + name
            if isinstance(value, dict) and value and path not in self.wanted:
                fields |= self._fields(value, f"{path}.")
            else:
                fields[path] = value
        return fields

    def _reject(self, row: dict[str, Any], source: str) -> bool:
        values = {name: _text(row.get(name)) for name in self.wanted}
        for name, value in values.items():
            reason = unreadable(name, value or "")
            if reason is not None:
                columns = [c for c, item in self.mapping.columns.items() if item.column == name]
                column = columns[0] if columns else None
                raw = json.dumps(values)
                self.rejects.append(Reject(source, raw, reason, column, json.dumps(value)))
                return True
        return False

    def _flush(self) -> None:
        if self._sources:
            self._writer.write(self._columns, self._sources)
        self._columns = {name: [] for name in self.wanted}
        self._sources = []


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _json(value)


def _json(value: Any) -> str:
    """JSON text in which numbers stand as they came."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        fields = (
            f"{json.dumps(name, ensure_ascii=False)}: {_json(v)}" for name, v in value.items()
        )
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
