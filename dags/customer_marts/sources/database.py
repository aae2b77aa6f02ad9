"""Databases through ADBC, streamed in record batches at flat memory.

Whatever a pull reads (control totals, rows, keys) comes from one transaction, so that it speaks of
one moment. PostgreSQL and SQLite have dialects of their own (``database_dialects``); any other
database is read in plain SQL through the ADBC driver that the company file names.
"""

from __future__ import annotations

import importlib.util
import re
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

from customer_marts.errors import BatchFault, ConfigurationError, MartsError, SourceUnavailable
from customer_marts.feeds import Contract, DatabaseSource, FeedMapping, load_contract
from customer_marts.settings import Settings
from customer_marts.sources.database_dialects import (
    NOTHING_LANDED,
    Database,
    Explain,
    Measured,
    PostgreSQL,
    SQLite,
)
from customer_marts.sources.extract import (
    Extract,
    Watermark,
    check_columns,
    check_types,
    cursor_start,
)

# user:password@ with what must be escaped, no second @ in the authority, then the rest
_POSTGRES_ADDRESS = re.compile(
    r"postgres(?:ql)?://(?:(?:[^\s@/%]|%[0-9A-Fa-f]{2})*@)?"
    r"(?:[^\s@/?%]|%[0-9A-Fa-f]{2})*(?:[/?](?:[^\s%]|%[0-9A-Fa-f]{2})*)?"
)
_POSTGRES_OPTIONS = {
    "connect_timeout": "20",
    "keepalives_idle": "60",  # a line that died is noticed within minutes
    "fallback_application_name": "customer-marts",
}
_SECRETS = (
    re.compile(r":([^/@\s][^@\s]*)@"),
    re.compile(r"(?:password|pwd|token|secret)=([^&;\s]+)", re.IGNORECASE),
)
_SQLITE_QUERY_FAULT = re.compile(r"no such (table|column|function)|syntax error|incomplete input")


def extract_database(
    settings: Settings,
    feed: str,
    mapping: FeedMapping,
    source: DatabaseSource,
    watermark: Watermark,
    work: Path,
    now: datetime,
) -> Extract | None:
    """Run the feed's query (from the cursor on) and stream its result to ``work``/raw.parquet;
    when the keys are due for reconciliation, stream those of all rows to ``work``/keys.parquet.

    Raises SourceUnavailable (down, refused, cut off), BatchFault (columns or types changed, a
    value that cannot be given) or ConfigurationError (address, driver, table, query).
    """
    where = f"feed {feed}, source {mapping.source}"
    contract = load_contract(feed)
    raw, keys = work / "raw.parquet", work / "keys.parquet"
    with closing(_open(settings.expand(source.uri, where), source.driver, where)) as database:
        everything = database.begin(mapping.table, mapping.query)
        found = database.columns(everything)
        unmapped = check_columns(feed, mapping, list(found))
        columns = {name: column for name, column in found.items() if name not in unmapped}
        types = {name: column.family for name, column in columns.items() if column.family}
        check_types(feed, mapping, types, watermark.types)

        since = _since(mapping, watermark)
        wanted = everything
        if since is not None and mapping.cursor is not None:
            cursor = columns[mapping.cursor.column]
            # a row without a cursor value is never behind the mark
            wanted += f" where ({database.from_mark(cursor, since)} or {cursor.quoted} is null)"
        currency = _source_column(mapping, contract.currency)
        amount = _source_column(mapping, contract.amount)
        measured = Measured(
            currency=columns[currency] if currency else None,
            amount=columns[amount] if amount else None,
            cursor=columns[mapping.cursor.column] if mapping.cursor else None,
            columns=list(columns.values()),
        )
        totals = database.totals(wanted, measured)

        key = _key_due(mapping, contract, watermark, now)
        read = {
            # the totals do not speak of the rows that only their keys are read of
            name: replace(column, is_odd=name in totals.odd or name in key)
            for name, column in columns.items()
        }
        try:
            label = mapping.table or mapping.source
            rows = database.copy(wanted, list(read.values()), raw, label)
            # after the rows: without a snapshot, a row that came meanwhile must not lack its key
            if key:
                database.copy(everything, [read[name] for name in key], keys)
        except OSError as error:
            raise MartsError(
                f"the rows pulled could not be written: {error}",
                where=f"{where}: {work}",
                kept=NOTHING_LANDED,
                todo="make room there, or move the state folder (MARTS_HOME); then run again",
            ) from error
    if rows == 0 and not key:
        return None
    return Extract(
        raw,
        rows,
        f"{mapping.source}: {mapping.table or 'query'}",
        unmapped=unmapped,
        controls=totals.controls,
        control_cursor=totals.cursor,
        types=types,
        keys=keys if key else None,
    )


def _key_due(
    mapping: FeedMapping, contract: Contract, watermark: Watermark, now: datetime
) -> list[str]:
    """The key's source columns when all keys are to be read, else none."""
    if mapping.reconcile_keys is None:
        return []
    last = watermark.reconciled_on
    if last is not None and (now.date() - last).days < mapping.reconcile_keys.every_days:
        return []
    columns = [_source_column(mapping, name) for name in contract.key]
    return list(dict.fromkeys(column for column in columns if column))


def _source_column(mapping: FeedMapping, name: str | None) -> str | None:
    mapped = mapping.columns.get(name) if name else None
    return mapped.column if mapped else None


def _since(mapping: FeedMapping, watermark: Watermark) -> str | None:
    if mapping.cursor and watermark.cursor and re.fullmatch(r"-?\d+\.\d+", watermark.cursor):
        return watermark.cursor  # a number, whole or not, has no overlap
    return cursor_start(mapping, watermark)


# --- connecting ----------------------------------------------------------------------------------


def _open(uri: str, driver: str | None, where: str) -> Database:
    """Connect; read-only where the dialect is ours."""
    import adbc_driver_manager
    import adbc_driver_postgresql
    import adbc_driver_sqlite

    explain: Explain = partial(_explained, uri=uri, where=where)
    try:
        if driver is not None:
            handle = adbc_driver_manager.AdbcDatabase(driver=_library(driver), uri=uri)
            return Database(handle, where, explain)
        if uri.startswith("sqlite:///"):
            handle = adbc_driver_sqlite.connect(_sqlite_address(uri, where))
            return SQLite(handle, where, explain)
        if uri.startswith(("postgresql://", "postgres://")):
            handle = adbc_driver_postgresql.connect(postgresql_address(uri, where))
            return PostgreSQL(handle, where, explain)
    except adbc_driver_manager.Error as error:
        # from None: a log would print the cause, and that may hold secrets
        if "[Driver Manager]" in str(error):
            raise ConfigurationError(
                f"the ADBC driver {driver} cannot be loaded",
                where=where,
                kept=NOTHING_LANDED,
                todo="install its package and name that (adbc_driver_snowflake), or name the path "
                "of its shared library",
            ) from None
        if "connection option" in str(error) or "URI" in str(error):
            raise _unreadable_address(where) from None
        raise explain(error) from None
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)", uri)
    raise ConfigurationError(
        f"'{scheme.group() if scheme else ''}' is not a database this connector reads by itself",
        where=where,
        kept=NOTHING_LANDED,
        todo="use sqlite:///path or postgresql://user:password@host/database, or name the ADBC "
        "driver",
    )


def _library(driver: str) -> str:
    """A driver's shared library: in its Python package, or where the manager looks for it."""
    if re.fullmatch(r"adbc_driver_\w+", driver) and importlib.util.find_spec(driver):
        return str(importlib.import_module(driver)._driver_path())
    return driver


def _sqlite_address(uri: str, where: str) -> str:
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.is_file():
        raise SourceUnavailable(
            "the database file does not exist",
            where=f"{where}: {path}",
            kept="the last release and everything landed",
            todo="check the path in the company file or its environment variable",
        )
    return f"file:{quote(str(path))}?mode=ro"


def postgresql_address(uri: str, where: str) -> str:
    """The address with our connection options, where it names none of its own. Raises
    ConfigurationError where the driver could not read it.
    """
    # checked here: the driver quotes the piece it cannot read, which may be of the password
    if not _POSTGRES_ADDRESS.fullmatch(uri):
        raise _unreadable_address(where)
    options = [
        f"{name}={value}" for name, value in _POSTGRES_OPTIONS.items() if f"{name}=" not in uri
    ]
    return uri + ("&" if "?" in uri.rpartition("@")[2] else "?") + "&".join(options)


def _unreadable_address(where: str) -> ConfigurationError:
    return ConfigurationError(
        "the database's address cannot be read",
        where=where,
        kept=NOTHING_LANDED,
        todo="write postgresql://user:password@host/database; in a user's name or a password, "
        "write special characters as %2F …",
    )


def without_secrets(text: str, uri: str) -> str:
    """A driver's words without the secrets of the address that it was given."""
    for secret in (found for pattern in _SECRETS for found in pattern.findall(uri)):
        for written in (secret, unquote(secret)):
            text = text.replace(written, "***")
    return re.sub(r"//[^@/\s]+@", "//***@", text)


def _explained(error: Exception, uri: str, where: str) -> MartsError:
    """What a driver's error means to the operator: its first line, without secrets."""
    text = without_secrets(str(error).split("\n")[0], uri)
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith("22"):
        return BatchFault(
            f"the database cannot give a value: {text}",
            where=where,
            kept=NOTHING_LANDED,
            todo="mend the value at the source, or leave its row out with a query",
        )
    wrong_query = state.startswith(("0A", "42", "25006")) and state != "42501"
    if wrong_query or _SQLITE_QUERY_FAULT.search(text):
        return ConfigurationError(
            f"the database cannot run the feed's query: {text}",
            where=where,
            kept=NOTHING_LANDED,
            todo="correct the table or the query in the company file",
        )
    return SourceUnavailable(
        f"the database could not be read: {text}",
        where=where,
        kept="the last release and everything landed",
        todo="check that the database is up, the login and the query; then run again",
    )
