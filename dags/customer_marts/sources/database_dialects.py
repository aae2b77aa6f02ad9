"""What differs between databases: the SQL of a pull, their types, and how rows reach Parquet."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from customer_marts.errors import BatchFault, ConfigurationError, MartsError
from customer_marts.feeds import TypeFamily
from customer_marts.sources.extract import SOURCE_COLUMN, ControlTotal
from customer_marts.sql import identifier, literal

if TYPE_CHECKING:
    from pathlib import Path

    from adbc_driver_manager import AdbcDatabase, AdbcStatement

LOCK_SECONDS = 60  # how long a table that somebody else has locked is waited for
NOTHING_LANDED = "nothing of this feed landed; the last release stands"

# what a driver's error means to the operator
Explain = Callable[[Exception], MartsError]

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class SourceColumn:
    """A column of a feed's query. kind: its type in the database's words (Arrow's, in plain SQL).
    is_exact: its sum is. is_odd: it may hold moments that Arrow cannot (infinity).
    """

    name: str
    kind: str = ""
    family: TypeFamily | None = None
    is_exact: bool = False
    is_odd: bool = False

    @property
    def quoted(self) -> str:
        return identifier(self.name)


@dataclass(frozen=True)
class Measured:
    """The columns that control totals are about (None: the feed maps none), and all it reads."""

    currency: SourceColumn | None
    amount: SourceColumn | None
    cursor: SourceColumn | None
    columns: list[SourceColumn]


@dataclass(frozen=True)
class Totals:
    """controls, cursor: as in Extract. odd: the columns that hold moments which Arrow cannot."""

    controls: list[ControlTotal] = field(default_factory=list)
    cursor: str | None = None
    odd: frozenset[str] = frozenset()


class Database:
    """An open database, read in plain SQL: identifiers in double quotes, literals as in
    ``date '2026-01-05'`` and ``timestamp '2026-01-05 12:00:00'``.

    Control totals need a transaction that sees one moment; a driver without one has none.
    """

    sample_rows = 0  # rows that ``_select`` puts before the feed's
    options: ClassVar[dict[str, str]] = {}  # of the driver's statements

    def __init__(self, database: AdbcDatabase, where: str, explain: Explain) -> None:
        from adbc_driver_manager import AdbcConnection

        self.database, self.where, self.explain = database, where, explain
        try:
            self.connection = AdbcConnection(database)
        except Exception:
            database.close()
            raise
        self.statement: AdbcStatement | None = None
        self.reader: Any = None
        self.table: str | None = None
        self.has_snapshot = False
        # the driver works in a thread of its own: a signal is answered while it is at work, and a
        # batch is fetched while the last one is written (neither holds Python's lock)
        self.thread = ThreadPoolExecutor(1)

    def close(self) -> None:
        self.thread.submit(self._release)
        self.thread.shutdown()
        self.connection.close()
        self.database.close()

    def begin(self, table: str | None, query: str | None) -> str:
        """Settle the transaction; returns the feed's rows as they are written after ``from``."""
        self._begin()
        self.table = table
        if table is not None:
            return f"{self._table(table)} feed_rows"
        # the line break ends a comment that the query may end with
        return f"({(query or '').strip().rstrip(';')}\n) feed_rows"

    def columns(self, relation: str) -> dict[str, SourceColumn]:
        """The columns by name, in the query's order."""
        return {
            item.name: SourceColumn(
                item.name, str(item.type), _family(item.type), _is_exact(item.type)
            )
            for item in self._run(f"select * from {relation} where 1 = 0").schema
        }

    def from_mark(self, column: SourceColumn, mark: str) -> str:
        """The condition that the cursor stands at or past the mark."""
        bound = literal(mark)
        if column.family == "number" and _NUMBER.fullmatch(mark):
            bound = mark
        elif "tz=" in column.kind:
            bound = f"cast({bound} as timestamp with time zone)"
        elif column.kind.startswith("timestamp"):
            bound = f"timestamp {bound}"
        elif column.kind.startswith("date"):
            bound = f"date {literal(mark[:10])}"
        return f"{column.quoted} >= {bound}"

    def totals(self, relation: str, measured: Measured) -> Totals:
        """Count, exact sum and greatest cursor of the rows, by currency."""
        if not self.has_snapshot:
            return Totals()
        currency, amount, cursor = measured.currency, measured.amount, measured.cursor
        is_exact = amount is not None and amount.is_exact
        measures = [
            currency.quoted if currency else "null",
            "count(*)",
            f"sum({amount.quoted})" if amount and is_exact else "null",
            f"max({cursor.quoted})" if cursor else "null",
        ]
        by = f" group by {currency.quoted}" if currency else ""
        found = self._rows(f"select {', '.join(measures)} from {relation}{by}")
        latest = max((row[3] for row in found if row[3] is not None), default=None)
        controls = [
            ControlTotal(_text(code), int(count), Decimal(str(total or 0)) if is_exact else None)
            for code, count, total, _ in found
        ]
        return Totals(controls, _text(latest))

    def copy(
        self, relation: str, columns: list[SourceColumn], target: Path, label: str | None = None
    ) -> int:
        """Stream these columns of all rows to Parquet, ``label`` as their source; count them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        reader = self._run(self._select(relation, columns))
        schema = pa.schema([(item.name, self._stored_type(item)) for item in reader.schema])
        if label is not None:
            schema = schema.append(pa.field(SOURCE_COLUMN, pa.dictionary(pa.int8(), pa.string())))
        writer = pq.ParquetWriter(
            target,
            schema,
            compression="lz4",
            # read once, then thrown away: dictionaries and statistics cost more than they save
            use_dictionary=[SOURCE_COLUMN],
            write_statistics=False,
            store_schema=False,
        )
        rows, skip = 0, self.sample_rows
        with writer:
            for batch in self._batches(reader):
                batch, skip = batch.slice(skip), max(0, skip - batch.num_rows)
                arrays = [
                    self._checked(array, item)
                    for array, item in zip(batch.columns, schema, strict=False)
                ]
                if label is not None:
                    arrays.append(_repeated(label, batch.num_rows))
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                rows += batch.num_rows
        return rows

    def _begin(self) -> None:
        from adbc_driver_manager import Error

        option = "adbc.connection.transaction.isolation"
        for level in ("snapshot", "serializable"):
            with suppress(Error):
                self.connection.set_autocommit(False)
                self.connection.set_options(**{f"{option}_level": f"{option}.{level}"})
                self.has_snapshot = True
                break

    def _table(self, name: str) -> str:
        parts = name.split(".")
        if '"' in name or all(re.fullmatch(r"[A-Za-z_]\w*", part) for part in parts):
            return name
        return ".".join(identifier(part) for part in parts)

    def _select(self, relation: str, columns: list[SourceColumn]) -> str:
        return f"select {', '.join(column.quoted for column in columns)} from {relation}"

    def _run(self, query: str) -> Any:
        """Execute; returns a reader of record batches, good until the next query."""
        from adbc_driver_manager import AdbcStatement

        # of the readers, the one whose errors tell the SQLSTATE
        from adbc_driver_manager._reader import AdbcRecordBatchReader

        self._call(self._release)
        statement = self.statement = AdbcStatement(self.connection)
        statement.set_options(**self.options)
        statement.set_sql_query(query)
        stream, _ = self._call(statement.execute_query)
        self.reader = AdbcRecordBatchReader._import_from_c(stream.address)
        return self.reader

    def _release(self) -> None:
        # a result must go before its statement, and a statement before its connection
        if self.reader:
            self.reader.close()
        if self.statement:
            self.statement.close()
        self.reader = self.statement = None

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return self._result(self.thread.submit(call, *arguments))

    def _batches(self, reader: Any) -> Iterator[Any]:
        batches = iter(reader)
        fetched = self.thread.submit(next, batches, None)
        while (batch := self._result(fetched)) is not None:
            fetched = self.thread.submit(next, batches, None)
            yield batch

    def _result(self, work: Future[Any]) -> Any:
        import pyarrow as pa
        from adbc_driver_manager import Error

        try:
            return work.result()
        except (Error, pa.ArrowException, OSError) as error:
            # from None: a log would print the cause, and that may hold secrets
            raise self.explain(error) from None
        except BaseException:  # told to stop
            if self.statement:
                with suppress(Exception):  # not every driver can
                    self.statement.cancel()
            raise

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return [
            row
            for batch in self._batches(self._run(query))
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]

    def _stored_type(self, item: Any) -> Any:
        """A result column's type in Parquet."""
        import pyarrow as pa

        kind = item.type.storage_type if isinstance(item.type, pa.BaseExtensionType) else item.type
        if _family(kind) is None and not pa.types.is_null(kind):
            raise ConfigurationError(
                f"column {item.name} is of a type that cannot be landed: {item.type}",
                where=self.where,
                kept=NOTHING_LANDED,
                todo="cast it to a text in a query of the company file",
            )
        return kind

    def _checked(self, array: Any, item: Any) -> Any:
        import pyarrow as pa

        plain = array.storage if isinstance(array, pa.ExtensionArray) else array
        try:
            plain.validate(full=True)
        except pa.ArrowInvalid as error:
            raise BatchFault(
                f"column {item.name} holds a text that is not UTF-8: {error}",
                where=self.where,
                kept=NOTHING_LANDED,
                todo="mend the value at the source, or leave its row out with a query",
            ) from error
        return plain


class PostgreSQL(Database):
    """PostgreSQL 10 and later, from one repeatable-read snapshot."""

    # PLAIN is sent as it is. The others go as texts, which PostgreSQL writes exactly; numeric too,
    # of which the driver would make a text in five times the time
    INTEGERS = frozenset({"int2", "int4", "int8"})
    FLOATS = frozenset({"float4", "float8"})
    MOMENTS = frozenset({"date", "timestamp", "timestamptz"})
    PLAIN = INTEGERS | FLOATS | MOMENTS | {"bool", "bpchar", "text", "varchar"}
    EXACT = INTEGERS | {"money", "numeric"}
    NUMBERS = EXACT | FLOATS | {"oid"}
    TIMES = MOMENTS | {"time", "timetz"}

    def columns(self, relation: str) -> dict[str, SourceColumn]:
        schema = self._run(f"select * from {relation} where false").schema
        kinds = {item.name: item.metadata[b"POSTGRESQL:type"].decode() for item in schema}
        return {
            name: SourceColumn(name, kind, self._family(kind), kind in self.EXACT)
            for name, kind in kinds.items()
        }

    def from_mark(self, column: SourceColumn, mark: str) -> str:
        return f"{column.quoted} >= {literal(mark)}"

    def totals(self, relation: str, measured: Measured) -> Totals:
        currency, amount, cursor = measured.currency, measured.amount, measured.cursor
        moments = [column for column in measured.columns if column.kind in self.MOMENTS]
        code = self._value(currency) if currency else "null"
        summed = self._number(amount) if amount and amount.is_exact else None

        def found(finite: str = "") -> list[tuple[Any, ...]]:
            measures = [
                code,
                "count(*)",
                f"cast(coalesce(sum({summed}){finite}, 0) as text)" if summed else "null",
                _pg_text(cursor, f"max(max({cursor.quoted})) over ()") if cursor else "null",
                *(
                    f"coalesce(max({column.quoted}) > '9999-12-31 23:59:59.999999' "
                    f"or min({column.quoted}) < '0001-01-01', false)"
                    for column in moments
                ),
            ]
            by = f" group by {code}" if currency else ""
            return self._rows(f"select {', '.join(measures)} from {relation}{by}")

        rows = found()
        unsummed = ("NaN", "Infinity", "-Infinity")
        if any(total in unsummed for _, _, total, *_ in rows):
            # they end in the quarantine, without an amount
            rows = found(f" filter (where cast({summed} as text) not in {unsummed})")
        return Totals(
            [
                ControlTotal(_text(code), count, Decimal(total) if summed else None)
                for code, count, total, *_ in rows
            ],
            rows[0][3] if rows else None,
            frozenset(
                column.name
                for place, column in enumerate(moments, start=4)
                if any(row[place] for row in rows)
            ),
        )

    def _begin(self) -> None:
        self._call(self.connection.set_autocommit, False)
        self._run("set transaction isolation level repeatable read, read only")
        # the driver takes every text for UTF-8, whatever the database's encoding; the styles make
        # texts of values the same for every login
        self._run(
            f"""
            select set_config('client_encoding', 'UTF8', true),
                set_config('datestyle', 'ISO', true),
                set_config('bytea_output', 'hex', true),
                set_config('lock_timeout', case current_setting('lock_timeout')
                    when '0' then '{LOCK_SECONDS}s' else current_setting('lock_timeout') end, true)
            """
        )
        self.has_snapshot = True

    def _table(self, name: str) -> str:
        # in lower case, as PostgreSQL folds it; else as it is written
        exact = name if '"' in name else ".".join(identifier(part) for part in name.split("."))
        found = self._rows(
            f"select cast(coalesce(to_regclass({literal(name)}), to_regclass({literal(exact)})) "
            "as text)"
        )
        if found[0][0] is None:
            raise ConfigurationError(
                f"the database has no table {name}, or hides it from this login",
                where=self.where,
                kept=NOTHING_LANDED,
                todo="check the table in the company file and the login's rights",
            )
        return str(found[0][0])

    def _select(self, relation: str, columns: list[SourceColumn]) -> str:
        selected = ", ".join(f"{self._value(column)} as {column.quoted}" for column in columns)
        return f"select {selected} from {relation}"

    def _value(self, column: SourceColumn) -> str:
        """SQL for the column as it is sent."""
        if column.kind in self.PLAIN and not (column.is_odd and column.kind in self.MOMENTS):
            return column.quoted
        return _pg_text(column, self._number(column))

    def _family(self, kind: str) -> TypeFamily:
        families: dict[str, TypeFamily] = {
            **dict.fromkeys(self.NUMBERS, "number"),
            **dict.fromkeys(self.TIMES, "time"),
            "bool": "boolean",
            "bytea": "binary",
        }
        return families.get(kind, "text")

    @staticmethod
    def _number(column: SourceColumn) -> str:
        # money written out has its currency's sign
        return f"cast({column.quoted} as numeric)" if column.kind == "money" else column.quoted


class SQLite(Database):
    """SQLite types values, not columns: all are read as texts, so that a stray text in a column of
    numbers reaches the quarantine instead of breaking the pull.
    """

    sample_rows = 1
    options: ClassVar[dict[str, str]] = {"adbc.sqlite.query.batch_rows": "65536"}
    MILLION = 1_000_000  # halves of a sum: neither overflows
    FAMILIES: tuple[tuple[str, TypeFamily], ...] = (
        ("BOOL", "boolean"),
        ("DATE|TIME", "time"),
        ("CHAR|CLOB|TEXT", "text"),
        ("BLOB|BINARY", "binary"),
        ("INT|REAL|FLOA|DOUB|NUM|DEC|MONEY", "number"),
    )

    def columns(self, relation: str) -> dict[str, SourceColumn]:
        names = self._run(f"select * from {relation} where 1 = 0").schema.names
        declared: dict[str, str] = {}
        if self.table is not None:
            schema, _, table = self.table.replace('"', "").rpartition(".")
            arguments = ", ".join(literal(part) for part in (table, schema) if part)
            declared = dict(self._rows(f"select name, type from pragma_table_xinfo({arguments})"))
        return {
            name: SourceColumn(name, "", self._family(declared.get(name) or "")) for name in names
        }

    def from_mark(self, column: SourceColumn, mark: str) -> str:
        if _NUMBER.fullmatch(mark):
            # an untyped number and a text compare by type, not by value
            number = f"cast({column.quoted} as {'real' if '.' in mark else 'integer'})"
            return f"{column.quoted if column.family == 'number' else number} >= {mark}"
        # as texts, 12:00:00.5 is not at or past 12:00:00.500000
        return f"{column.quoted} >= {literal(mark.rstrip('0') if '.' in mark else mark)}"

    def totals(self, relation: str, measured: Measured) -> Totals:
        """As in any database. SQLite adds decimals up as floats: here their digits are added up as
        whole numbers, by the number of decimals. An amount in another notation (1e5) leaves its
        currency without a sum.
        """
        currency, amount, cursor = measured.currency, measured.amount, measured.cursor
        # limit -1 is no limit; with it, SQLite computes a text once and not for each use
        found = self._rows(
            f"""
            select currency, decimals, count(*),
                sum(digits / {self.MILLION}), sum(digits % {self.MILLION}),
                cast(max(max(mark)) over () as text)
            from (
                select currency, mark, cast(replace(amount, '.', '') as integer) as digits,
                    case
                        when amount is null or amount = '' then 0
                        when amount glob '*[^0-9.-]*' or amount glob '?*-*'
                            or amount glob '*.*.*' or amount not glob '*[0-9]*'
                            or length(amount) > 18 then -1
                        when instr(amount, '.') = 0 then 0
                        else length(amount) - instr(amount, '.')
                    end as decimals
                from (
                    select {_sqlite_text(currency) if currency else "null"} as currency,
                        trim({_sqlite_text(amount) if amount else "null"}) as amount,
                        {cursor.quoted if cursor else "null"} as mark
                    from {relation}
                    limit -1
                )
                limit -1
            )
            group by currency, decimals
            """
        )
        rows: dict[str | None, int] = {}
        sums: dict[str | None, Decimal | None] = {}
        for code, decimals, count, millions, rest, _ in found:
            rows[code] = rows.get(code, 0) + count
            before = sums.get(code, Decimal(0))
            if amount is None or decimals < 0 or before is None:
                sums[code] = None
            else:
                digits = (millions or 0) * self.MILLION + (rest or 0)
                sums[code] = before + Decimal(digits).scaleb(-decimals)
        controls = [ControlTotal(code, rows[code], sums[code]) for code in rows]
        return Totals(controls, found[0][5] if found else None)

    def _begin(self) -> None:
        self._call(self.connection.set_autocommit, False)
        self._rows(f"pragma busy_timeout = {LOCK_SECONDS * 1000}")
        self.has_snapshot = True

    def _table(self, name: str) -> str:
        return name if '"' in name else ".".join(identifier(part) for part in name.split("."))

    def _select(self, relation: str, columns: list[SourceColumn]) -> str:
        # the driver types a column by the first batch and takes nulls for numbers: a row of texts
        # goes before them
        sample = ", ".join(f"'' as {column.quoted}" for column in columns)
        selected = ", ".join(_sqlite_text(column) for column in columns)
        return f"select {sample} union all select {selected} from {relation}"

    def _family(self, declared: str) -> TypeFamily | None:
        for pattern, family in self.FAMILIES:
            if re.search(pattern, declared, re.IGNORECASE):
                return family
        return None


def _sqlite_text(column: SourceColumn) -> str:
    return f"cast({column.quoted} as text)"


def _pg_text(column: SourceColumn, value: str) -> str:
    """SQL for a value of the column's type as a text, as landing writes it."""
    if column.kind == "timestamptz":
        return (
            f"case when isfinite({value}) then cast({value} at time zone 'UTC' as text) || '+00' "
            f"else cast({value} as text) end"
        )
    return f"cast({value} as text)"


def _family(kind: Any) -> TypeFamily | None:
    """The family of an Arrow type; None where a column of it cannot be landed."""
    from pyarrow import types

    if _is_exact(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return "time"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "binary"
    return None


def _is_exact(kind: Any) -> bool:
    """Whether a sum over an Arrow type is exact."""
    import pyarrow as pa

    if isinstance(kind, pa.OpaqueType):
        return bool(kind.type_name in ("decimal", "numeric"))
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _repeated(text: str, rows: int) -> Any:
    # from buffers: pyarrow's own conversions import pandas, which takes longer than a day's pull
    import pyarrow as pa

    data = text.encode()
    ends = struct.pack("=2i", 0, len(data))
    values = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    zeros = pa.Array.from_buffers(pa.int8(), rows, [None, pa.py_buffer(bytes(rows))])
    return pa.DictionaryArray.from_arrays(zeros, values)


def _text(value: Any) -> str | None:
    """A value as landing writes it."""
    if not isinstance(value, datetime):
        return None if value is None else str(value)
    moment, zone = (value, "") if value.tzinfo is None else (value.astimezone(UTC), "+00")
    text = moment.replace(tzinfo=None).isoformat(sep=" ")
    return (text.rstrip("0") if "." in text else text) + zone
