"""HTTP services with pages: retried politely, raw pages kept, records flattened to rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from customer_marts.errors import BatchFault, SourceUnavailable
from customer_marts.feeds import FeedMapping, RestSource, RestTable, load_contract
from customer_marts.settings import Settings
from customer_marts.sources.extract import SOURCE_COLUMN, Extract, Watermark, cursor_start

ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 60.0
MOST_PAGES = 100_000


def extract_rest(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: RestSource,
    watermark: Watermark,
    work: Path,
) -> Extract | None:
    """Page through the feed's resource; raw pages go to ``work``/raw.jsonl.gz before anything
    else, then every record (or element of its list field) becomes a row of texts.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

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
    rows: list[dict[str, str | None]] = []
    count = 0
    # mtime 0: the same pages give the same bytes
    with (
        pages.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as zipped,
    ):
        for page in _pages(settings, source, table, since, where):
            zipped.write(json.dumps(page, ensure_ascii=False).encode() + b"\n")
            items = page.get(table.items)
            if not isinstance(items, list):
                raise _malformed(f"a page has no list '{table.items}'", where)
            for record in items:
                count += 1
                if not isinstance(record, dict):
                    raise _malformed("a record is not an object", where)
                rows.extend(_rows(record, table, count))
    if not rows:
        return None
    # JSON leaves out what is empty: a field that no record of a page has is null, not dropped
    contract = load_contract(feed)
    optional = [
        mapped.column
        for name, mapped in mapping.columns.items()
        if mapped.column and not contract.all_columns[name].required
    ]
    names = list(dict.fromkeys([*(name for row in rows for name in row), *optional]))
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    target = work / "raw.parquet"
    pq.write_table(pa.table(columns), target, compression="snappy")
    label = f"{mapping.source}: {table.path}"
    return Extract(target, len(rows), label, pages=pages)


def _rows(record: dict[str, Any], table: RestTable, number: int) -> Iterator[dict[str, str | None]]:
    plain = {name: _text(value) for name, value in record.items() if name != table.explode}
    plain[SOURCE_COLUMN] = f"{table.path}:record {number}"
    if table.explode is None:
        yield plain
        return
    elements = record.get(table.explode)
    for element in elements if isinstance(elements, list) else []:
        fields = element if isinstance(element, dict) else {table.explode: element}
        yield {**plain, **{name: _text(value) for name, value in fields.items()}}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:  # not a bool; spares most values the general encoder
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _pages(
    settings: Settings, source: RestSource, table: RestTable, since: str | None, where: str
) -> Iterator[dict[str, Any]]:
    import httpx

    url = settings.expand(source.url, where).rstrip("/") + table.path
    token = settings.expand(source.token, where).strip()
    parameters: dict[str, str] = dict(table.parameters)
    if since is not None and table.since_parameter:
        parameters[table.since_parameter] = since
    seen: set[str] = set()
    with httpx.Client(
        headers={"Authorization": f"Bearer {token}"}, timeout=source.timeout_seconds
    ) as client:
        while True:
            page = _get(client, url, parameters, where)
            yield page
            following = page.get(table.next_cursor)
            if not following:
                return
            if following in seen or len(seen) >= MOST_PAGES:
                raise SourceUnavailable(
                    f"the service repeats its page cursor '{following}'",
                    where=f"{where}: {_shown(url)}",
                    kept="nothing landed; the last release stands",
                    todo="report it to the service's operator, then run again",
                )
            seen.add(str(following))
            parameters[table.cursor_parameter] = str(following)


def _get(client: Any, url: str, parameters: dict[str, str], where: str) -> dict[str, Any]:
    import httpx
    import tenacity

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, httpx.HTTPStatusError):
            asked = error.response.headers.get("Retry-After", "")
            if asked.isdigit():
                return min(float(asked), LONGEST_WAIT_SECONDS)
        return float(min(0.1 * 2**state.attempt_number, LONGEST_WAIT_SECONDS))

    def passing(error: BaseException) -> bool:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code == 429 or error.response.status_code >= 500
        return isinstance(error, httpx.TransportError | json.JSONDecodeError)

    def once() -> dict[str, Any]:
        response = client.get(url, params=parameters)
        response.raise_for_status()
        page = response.json()
        if not isinstance(page, dict):
            raise _malformed("a page is not an object", where)
        return page

    retry = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        wait=wait,
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        reraise=True,
    )
    try:
        return retry(once)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        refused = status in (401, 403)
        raise SourceUnavailable(
            f"the service answered {status}" + (": it refuses our token" if refused else ""),
            where=f"{where}: {_shown(url)}",
            kept="nothing landed; the last release stands",
            todo="renew the token's environment variable" if refused else "try again later",
        ) from error
    except (httpx.TransportError, json.JSONDecodeError) as error:
        raise SourceUnavailable(
            f"the service gave no usable answer: {error}",
            where=f"{where}: {_shown(url)}",
            kept="nothing landed; the last release stands",
            todo="check that the service is up and its address is right, then run again",
        ) from error


def _shown(url: str) -> str:
    """The address without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _malformed(what: str, where: str) -> BatchFault:
    return BatchFault(
        what,
        where=where,
        kept="nothing landed; the last release stands",
        todo="compare the service's answer with the company file (items, explode)",
    )
