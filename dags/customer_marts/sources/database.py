"""Databases through ADBC: SQLite and PostgreSQL, streamed in record batches at flat memory."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from customer_marts.errors import BatchFault, ConfigurationError, SourceUnavailable
from customer_marts.feeds import DatabaseSource, FeedMapping
from customer_marts.settings import Settings
from customer_marts.sources.extract import (
    SOURCE_COLUMN,
    Extract,
    Watermark,
    check_columns,
    cursor_start,
)

BATCH_ROWS = 65_536


def extract_database(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: DatabaseSource,
    watermark: Watermark,
    work: Path,
    now: datetime,
) -> Extract | None:
    """Run the feed's query (from the cursor on) and stream its result to ``work``/raw.parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = f"feed {feed}, source {mapping.source}"
    uri = settings.expand(source.uri, where)
    since = cursor_start(mapping, watermark)
    raw = work / "raw.parquet"
    rows = 0
    with (
        closing(_connect(uri, where)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        sqlite = uri.startswith("sqlite:")
        try:
            statement, unmapped = _statement(cursor, feed, mapping, since, sqlite)
            if sqlite:
                cursor.adbc_statement.set_options(
                    **{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)}
                )
            cursor.execute(statement)
            reader = cursor.fetch_record_batch()
            columns = [_plain_type(field.type) for field in reader.schema]
            schema = pa.schema(
                [(field.name, kind) for field, kind in zip(reader.schema, columns, strict=True)]
                + [(SOURCE_COLUMN, pa.string())]
            )
            label = mapping.table or mapping.source
            with pq.ParquetWriter(raw, schema, compression="snappy") as writer:
                for batch in reader:
                    arrays = [_plain(batch.column(i), columns[i]) for i in range(len(columns))]
                    arrays.append(pa.repeat(pa.scalar(label, pa.string()), batch.num_rows))
                    writer.write_batch(pa.record_batch(arrays, schema=schema))
                    rows += batch.num_rows
        except BatchFault:
            raise
        except Exception as error:
            raise _explained(error, uri, where) from error
    if rows == 0:
        return None
    description = f"{mapping.source}: {mapping.table or 'query'}"
    return Extract(raw, rows, description, unmapped=unmapped)


def _connect(uri: str, where: str) -> Any:
    """Open the database read-only; a missing file or a refused login is SourceUnavailable."""
    if uri.startswith("sqlite:///"):
        import adbc_driver_sqlite.dbapi as driver

        path = Path(uri.removeprefix("sqlite:///"))
        if not path.is_file():
            raise SourceUnavailable(
                "the database file does not exist",
                where=f"{where}: {path}",
                kept="the last release and everything landed",
                todo="check the path in the company file or its environment variable",
            )
        return driver.connect(f"file:{path}?mode=ro")
    if uri.startswith(("postgresql://", "postgres://")):
        import adbc_driver_postgresql.dbapi as postgres

        try:
            return postgres.connect(uri)
        except Exception as error:
            raise _explained(error, uri, where) from error
    raise ConfigurationError(
        f"'{urlsplit(uri).scheme}' is not a database this connector reads",
        where=where,
        todo="use sqlite:///path or postgresql://user:password@host/database",
    )


def _statement(
    cursor: Any, feed: str, mapping: FeedMapping, since: str | None, sqlite: bool
) -> tuple[str, list[str]]:
    query = (mapping.query or f"select * from {mapping.table}").strip().rstrip(";")
    cursor.execute(f"select * from ({query}) as feed_rows limit 0")
    names = [item[0] for item in cursor.description]
    unmapped = check_columns(feed, mapping, names)
    # only what is mapped is read. SQLite types values, not columns: as text, a stray text in a
    # number column reaches the quarantine instead of breaking the pull
    selected = ", ".join(
        f'cast("{name}" as text) as "{name}"' if sqlite else f'"{name}"'
        for name in names
        if name not in unmapped
    )
    statement = f"select {selected} from ({query}) as feed_rows"
    if since is not None and mapping.cursor is not None:
        column = f'feed_rows."{mapping.cursor.column}"'
        literal = "'" + since.replace("'", "''") + "'"
        bound = f"{column} >= {literal}"
        if sqlite and since.lstrip("-").isdigit():
            # SQLite compares an untyped number with a text by type, not by value
            bound = f"cast({column} as integer) >= {since}"
        # a row without a cursor value is never behind the mark
        statement += f" where ({bound} or {column} is null)"
    return statement, unmapped


def _plain_type(kind: Any) -> Any:
    import pyarrow as pa

    # PostgreSQL's numeric arrives as an opaque type over its exact text
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _plain(array: Any, kind: Any) -> Any:
    import pyarrow as pa

    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return storage.cast(kind)


def _explained(error: Exception, uri: str, where: str) -> SourceUnavailable:
    text = str(error).split("\n")[0]
    if "connection option" in text or "connection string" in text or "URI" in text:
        # the driver quotes pieces of an address it cannot read, which may be of the password
        text = "its address cannot be read (special characters in a password are written as %2F …)"
    else:
        password = urlsplit(uri).password
        text = text.replace(password, "***") if password else text
        text = re.sub(r"//[^@/\s]+@", "//***@", text)
    return SourceUnavailable(
        f"the database could not be read: {text}",
        where=where,
        kept="the last release and everything landed",
        todo="check that the database is up, the login and the query; then run again",
    )
