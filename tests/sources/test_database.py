"""SQLite, PostgreSQL and any ADBC driver through one connector: one snapshot, exact values and
totals, a cursor with overlap, flat memory, clear errors.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_postgresql
import adbc_driver_sqlite
import duckdb
import psycopg2
import pytest

from customer_marts.errors import (
    BatchFault,
    ConfigurationError,
    MartsError,
    SourceUnavailable,
)
from customer_marts.feeds import DatabaseSource, FeedMapping, load_contract
from customer_marts.settings import PROJECT_ROOT, Settings
from customer_marts.sources.database import extract_database
from customer_marts.sources.extract import ControlTotal, Extract, Watermark
from tests.landings import NOW, land_feed, land_feed_or_nothing, quarantined, rows_of
from tests.mini import MiniCompany
from tests.postgres import running_postgres

COSTS = {
    "cost_id": "id",
    "customer_id": "customer",
    "incurred_on": "day",
    "kind": {"constant": "service"},
    "amount": "amount",
    "currency": "currency",
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Any]:
    with running_postgres() as server:
        yield server


@dataclass
class Erp:
    """A database and how the feed customer_costs is read from its table ``costs``."""

    root: Path
    uri: str
    driver: str | None = None
    mapping: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.map()

    @property
    def file(self) -> Path:
        return self.root / "erp.sqlite"

    def map(self, **changes: Any) -> None:
        self.mapping = {"source": "erp", "table": "costs", "columns": COSTS, **changes}

    def pull(self, mark: Watermark | None = None, feed: str = "customer_costs") -> Extract:
        extract = self.pull_or_nothing(mark, feed)
        assert extract is not None
        return extract

    def pull_or_nothing(
        self, mark: Watermark | None = None, feed: str = "customer_costs"
    ) -> Extract | None:
        settings = Settings.load({"ERP_URI": self.uri, "MARTS_HOME": str(self.root)})
        source = DatabaseSource(kind="database", uri="${ERP_URI}", driver=self.driver)
        mapping = FeedMapping.model_validate(self.mapping)
        return extract_database(
            settings, feed, mapping, source, mark or Watermark(), self.root, NOW
        )

    def execute(self, statement: str, rows: Iterable[Any] = ((),)) -> None:
        """Runs SQL on the SQLite file, once a row."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.executemany(statement, rows)

    def insert(self, *rows: Iterable[Any]) -> None:
        lists = [list(row) for row in rows]
        self.execute(f"insert into costs values ({', '.join('?' * len(lists[0]))})", lists)


@pytest.fixture
def erp(tmp_path: Path) -> Erp:
    """In SQLite; in PostgreSQL for a test that asks for ``pg`` too."""
    return Erp(tmp_path, f"sqlite:///{tmp_path}/erp.sqlite")


@pytest.fixture
def pg(postgres: Any, erp: Erp) -> Iterator[Callable[[str], None]]:
    """Runs SQL in PostgreSQL, where the ERP is then. Its clock is not UTC."""
    uri = postgres.get_uri()
    erp.uri = f"{uri}&options=-c%20timezone%3DAsia/Shanghai"
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("drop schema if exists public, sales cascade; create schema public")
        yield cursor.execute


def numbers(last: int) -> str:
    """SQLite's rows ``i`` from 1 to ``last``."""
    rest = f"select 1 as i union all select i + 1 from numbers limit {last}"
    return f"(with recursive numbers as ({rest}) select i from numbers)"


def values(file: Path | None, columns: str = "*") -> list[Any]:
    """A pulled file's rows as landing reads them: as texts, one column bare."""
    assert file is not None
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        texts = f"select columns(*)::varchar from (select {columns} from read_parquet('{file}'))"
        rows = connection.execute(texts).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def controls(extract: Extract) -> dict[str | None, tuple[int, str | None]]:
    return {
        total.currency: (total.rows, None if total.amount is None else str(total.amount))
        for total in extract.controls
    }


def until(happened: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def refuses(uri: str) -> bool:
    try:
        psycopg2.connect(uri).close()
    except psycopg2.OperationalError:
        return True
    return False


@pytest.fixture
def erp_in_postgres(postgres: Any, mini: MiniCompany) -> MiniCompany:
    postgres.psql(
        """
        drop table if exists so_order_line, so_order;
        create table so_order (
            order_no text, cust_code text, order_time timestamp, status text, currency text,
            channel text, contract_no text, sale_type text, updated_at timestamp, deleted boolean);
        create table so_order_line (
            order_no text, line_no integer, sku text, qty numeric(12, 3), price numeric(14, 4),
            discount numeric(14, 2), tax numeric(14, 2), net_amount numeric(14, 2),
            unit_cost numeric(14, 4), updated_at timestamp, deleted boolean);
        insert into so_order values
            ('O1', 'C1', '2026-01-05 00:30:00', '已完成', 'CNY', '电话', null, '现货',
             '2026-01-05 10:00:00', false),
            ('O2', 'C1', '2026-01-06 10:00:00', '已发货', 'CNY', null, 'K7', '长协',
             '2026-01-06 10:00:00', true);
        insert into so_order_line values
            ('O1', 1, 'P1', 10.125, 500.0001, 0, 1, 5062.50, 400, '2026-01-05 10:00:00',
             false);
        """
    )
    mini.environment["SAMPLE_ERP_URI"] = postgres.get_uri()
    return mini


def test_postgres_gives_exact_decimals_and_business_dates(erp_in_postgres: MiniCompany) -> None:
    lines = land_feed(erp_in_postgres, "order_lines")
    assert rows_of(lines, "quantity, unit_price, amount") == [("10.125", "500.0001", "5062.50")]
    orders = land_feed(erp_in_postgres, "orders")
    # half past midnight in Shanghai is the day before in UTC; the business day is Shanghai's
    assert rows_of(orders, "order_id, ordered_at, ordered_on, sale_type, is_deleted") == [
        ("O1", "2026-01-04 16:30:00", "2026-01-05", "spot", "False"),
        ("O2", "2026-01-06 02:00:00", "2026-01-06", "contract", "True"),
    ]


def test_postgres_and_sqlite_land_the_same_rows(erp_in_postgres: MiniCompany) -> None:
    from_postgres = land_feed(erp_in_postgres, "orders")
    erp_in_postgres.environment["SAMPLE_ERP_URI"] = f"sqlite:///{erp_in_postgres.erp}"
    erp_in_postgres.insert(
        "so_order",
        ["O1", "C1", "2026-01-05 00:30:00", "已完成", "CNY", "电话", None, "现货",
         "2026-01-05 10:00:00", "0"],
        ["O2", "C1", "2026-01-06 10:00:00", "已发货", "CNY", None, "K7", "长协",
         "2026-01-06 10:00:00", "1"],
    )  # fmt: skip
    from_sqlite = land_feed(erp_in_postgres, "orders")
    columns = "order_id, customer_id, ordered_at, ordered_on, status, sale_type, is_deleted"
    assert rows_of(from_postgres, columns) == rows_of(from_sqlite, columns)


def test_a_wrong_password_is_infrastructure_and_not_printed(
    postgres: Any, mini: MiniCompany
) -> None:
    host = quote(str(postgres.pgdata), safe="")
    postgres.psql("drop role if exists reader; create role reader login password 'right'")
    hba = Path(postgres.pgdata) / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("local all reader scram-sha-256\n" + before)
    try:
        postgres.psql("select pg_reload_conf()")
        uri = f"postgresql://reader:not-the-password@/postgres?host={host}"
        until(lambda: refuses(uri))  # the server reloads in its own time
        mini.environment["SAMPLE_ERP_URI"] = uri
        with pytest.raises(SourceUnavailable, match="password authentication failed") as caught:
            land_feed(mini, "orders")
    finally:
        hba.write_text(before)
        postgres.psql("select pg_reload_conf()")
    assert "not-the-password" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_server_that_is_down_is_infrastructure(mini: MiniCompany) -> None:
    mini.environment["SAMPLE_ERP_URI"] = "postgresql://nobody:secret-word@127.0.0.1:1/none"
    with pytest.raises(SourceUnavailable, match="could not be read") as caught:
        land_feed(mini, "orders")
    assert "secret-word" not in str(caught.value)


def test_a_missing_sqlite_file_is_infrastructure(mini: MiniCompany) -> None:
    mini.environment["SAMPLE_ERP_URI"] = f"sqlite:///{mini.root}/nowhere.sqlite"
    with pytest.raises(SourceUnavailable, match="does not exist"):
        land_feed(mini, "orders")


def test_a_dropped_column_stops_the_feed_and_names_the_likely_rename(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.execute("alter table so_order rename column cust_code to customer_code")
    with pytest.raises(BatchFault) as caught:
        land_feed(mini, "orders")
    assert "- cust_code   (renamed to customer_code?)" in caught.value.what
    assert "+ customer_code" in caught.value.what


def test_an_added_column_is_recorded_and_not_read(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.execute("alter table so_order add column note text")
    batch = land_feed(mini, "orders")
    assert batch.manifest["unmapped_columns"] == ["note"]


def test_contact_fields_never_leave_the_source(mini: MiniCompany) -> None:
    batch = land_feed(mini, "customers")
    assert batch.manifest["unmapped_columns"] == ["contact_name", "contact_phone"]
    for file in batch.folder.iterdir():
        assert b"19000001111" not in file.read_bytes()


def test_a_text_where_a_number_belongs_goes_to_quarantine(mini: MiniCompany) -> None:
    mini.add_order("O1", quantity="ten")
    mini.add_order("O2")
    batch = land_feed(mini, "order_lines")
    assert quarantined(batch) == [("invalid_quantity", "quantity", "ten")]
    assert [row[0] for row in rows_of(batch, "order_id")] == ["O2"]


def test_what_postgres_calls_no_number_goes_to_quarantine(
    erp_in_postgres: MiniCompany, postgres: Any
) -> None:
    postgres.psql(
        """
        insert into so_order_line
        select order_no, 2, sku, 'NaN', price, discount, tax, 'NaN', unit_cost, updated_at, deleted
        from so_order_line;
        insert into so_order
        select 'O3', cust_code, 'infinity', status, currency, channel, contract_no, sale_type,
            updated_at, deleted
        from so_order where order_no = 'O1';
        """
    )
    lines = land_feed(erp_in_postgres, "order_lines")
    assert quarantined(lines) == [("invalid_quantity", "quantity", "NaN")]
    assert len(rows_of(lines)) == 1
    orders = land_feed(erp_in_postgres, "orders")
    assert quarantined(orders) == [("ordered_at_plausible", "ordered_at", "infinity")]


def test_the_cursor_overlaps_so_that_late_commits_are_seen(mini: MiniCompany) -> None:
    mini.add_order("O1", updated="2026-01-05 12:00:00")
    first = land_feed(mini, "orders")
    assert first.manifest["cursor"] == "2026-01-05 12:00:00"
    # committed after the first pull with a stamp from before it
    mini.add_order("O2", updated="2026-01-05 11:30:00")
    mini.add_order("O3", updated="2026-01-04 12:00:00")
    second = land_feed(mini, "orders", after=[first])
    assert [row[0] for row in rows_of(second, "order_id")] == ["O1", "O2"]


def test_nothing_at_or_after_the_cursor_lands_nothing(mini: MiniCompany) -> None:
    assert land_feed_or_nothing(mini, "orders") is None


def test_a_faulty_row_does_not_move_the_cursor(mini: MiniCompany) -> None:
    mini.add_order("O1", updated="2026-01-05 12:00:00")
    mini.add_order("O2", customer="", updated="2999-12-31 00:00:00")
    batch = land_feed(mini, "orders")
    assert quarantined(batch) == [("missing_customer_id", "customer_id", "")]
    assert batch.manifest["cursor"] == "2026-01-05 12:00:00"


def test_a_row_without_a_cursor_value_is_always_read(mini: MiniCompany) -> None:
    mini.add_order("O1", updated="2026-01-05 12:00:00")
    first = land_feed(mini, "orders")
    mini.add_order("O2")
    mini.execute("update so_order set updated_at = null where order_no = 'O2'")
    second = land_feed(mini, "orders", after=[first])
    assert "O2" in {row[0] for row in rows_of(second, "order_id")}


# --- one snapshot, and what the source says of it ------------------------------------------------


def assert_one_moment(extract: Extract, rows_after: int) -> None:
    [total] = extract.controls
    ids = values(extract.raw, "id")
    assert sorted(ids) == sorted(values(extract.keys, "id"))
    assert (total.rows, total.amount) == (
        len(ids),
        sum(map(Decimal, values(extract.raw, "amount"))),
    )
    assert extract.control_cursor == max(values(extract.raw, "changed_at"))
    assert len(ids) < rows_after, "nothing was committed while the pull ran: it proves nothing"


def test_postgres_rows_totals_and_keys_are_of_one_moment(pg: Any, postgres: Any, erp: Erp) -> None:
    pg("create table costs (id text, customer text, day date, amount numeric, currency text, "
       "changed_at timestamptz default clock_timestamp())")  # fmt: skip
    erp.map(
        table=None,
        # each reading takes a while, in which others commit
        query="select costs.* from costs cross join (select pg_sleep(0.1)) as pause -- slow",
        cursor={"column": "changed_at"},
        reconcile_keys={},
    )
    done = threading.Event()

    def write() -> None:
        for number in itertools.count(1):
            if done.is_set():
                return
            pg(f"insert into costs values ('{number}', 'C1', '2026-01-05', 1.10, 'CNY')")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        extract = erp.pull()
    finally:
        done.set()
        thread.join()
    rows = postgres.psql("copy (select count(*) from costs) to stdout")
    assert_one_moment(extract, int(rows))


SQLITE_WRITER = """
import itertools, sqlite3, sys
erp = sqlite3.connect(sys.argv[1], isolation_level=None)
erp.execute("pragma synchronous = off")
for number in itertools.count(1):
    row = [number, "C1", "2026-01-05", "1.10", "CNY", f"2026-01-06 {number:09}"]
    erp.execute("insert into costs values (?, ?, ?, ?, ?, ?)", row)
    if number == 10:
        print("under way", flush=True)
"""


def test_sqlite_rows_totals_and_keys_are_of_one_moment(erp: Erp) -> None:
    erp.map(cursor={"column": "changed_at"}, reconcile_keys={})
    erp.execute("pragma journal_mode = wal")  # readers and a writer at once
    erp.execute("create table costs (id, customer, day, amount, currency, changed_at)")
    row = "-i, 'C1', '2026-01-05', '1.10', 'CNY', '2026'"
    erp.execute(f"insert into costs select {row} from {numbers(30_000)}")
    # of its own process, as another program is: two SQLite libraries in one process lose locks
    command = [sys.executable, "-c", SQLITE_WRITER, str(erp.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            extract = erp.pull()
        finally:
            process.kill()
    with closing(sqlite3.connect(erp.file)) as connection:
        [[rows]] = connection.execute("select count(*) from costs")
    assert_one_moment(extract, rows)


def make_costs(pg: Callable[[str], None], rows: str, amount: str = "numeric(18, 2)") -> None:
    pg(f"create table costs (id text, customer text, day date, amount {amount}, currency text, "
       f"changed_at timestamp); insert into costs values {rows}")  # fmt: skip


def test_postgres_controls_are_of_the_rows_that_the_cursor_selects(pg: Any, erp: Erp) -> None:
    make_costs(
        pg,
        """
        ('old', 'C1', '2026-01-05', 7000.00, 'CNY', '2026-01-04 09:00:00'),
        ('a', 'C1', '2026-01-05', 90071992547409.93, 'CNY', '2026-01-06 11:00:00.5'),
        ('b', 'C1', '2026-01-05', 0.01, 'CNY', null),
        ('c', 'C1', '2026-01-05', -5.50, 'USD', '2026-01-06 10:00:00'),
        ('d', 'C1', '2026-01-05', null, null, '2026-01-06 10:00:00')
        """,
    )
    erp.map(cursor={"column": "changed_at"})
    extract = erp.pull(Watermark(cursor="2026-01-06 10:30:00"))
    assert controls(extract) == {
        "CNY": (2, "90071992547409.94"),
        "USD": (1, "-5.50"),
        None: (1, "0"),
    }
    assert extract.control_cursor == "2026-01-06 11:00:00.5"
    assert sorted(values(extract.raw, "id")) == ["a", "b", "c", "d"]


def test_a_sum_leaves_out_what_is_no_number(pg: Any, erp: Erp) -> None:
    make_costs(
        pg, "('a', 'C1', '2026-01-05', 'NaN', 'CNY'), ('b', 'C1', '2026-01-05', 2.50, 'CNY')"
    )
    erp.map()
    extract = erp.pull()
    assert extract.controls == [ControlTotal("CNY", 2, Decimal("2.50"))]
    assert sorted(values(extract.raw, "amount")) == ["2.50", "NaN"]


def test_an_amount_that_cannot_be_summed_exactly_has_no_control_sum(pg: Any, erp: Erp) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', 2.5, 'CNY')", "double precision")
    erp.map()
    assert erp.pull().controls == [ControlTotal("CNY", 1, None)]


def test_a_feed_without_currency_has_one_control_total(pg: Any, erp: Erp) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', '$2.50', 'CNY')", "money")
    columns = {name: column for name, column in COSTS.items() if name != "currency"}
    erp.map(columns=columns)
    extract = erp.pull()
    assert extract.controls == [ControlTotal(None, 1, Decimal("2.50"))]
    assert values(extract.raw, "amount") == ["2.50"]


def make_sqlite_costs(erp: Erp, *rows: tuple[Any, ...]) -> None:
    erp.execute("create table costs (id, customer, day, amount, currency)")
    erp.insert(*(list(row) for row in rows))


def test_sqlite_sums_decimals_exactly(erp: Erp) -> None:
    make_sqlite_costs(
        erp,
        *((str(number), "C1", "2026-01-05", "0.1", "CNY") for number in range(1000)),
        ("big", "C1", "2026-01-05", "90071992547409.93", "CNY"),
        ("real", "C1", "2026-01-05", -2.25, "CNY"),
        ("whole", "C1", "2026-01-05", 7, "CNY"),
        ("blank", "C1", "2026-01-05", " ", "CNY"),
        ("none", "C1", "2026-01-05", None, "CNY"),
        ("text", "C1", "2026-01-05", "ten", "USD"),
        ("fine", "C1", "2026-01-05", "1.00", "USD"),
    )
    erp.map()
    assert controls(erp.pull()) == {"CNY": (1005, "90071992547514.68"), "USD": (2, None)}


@pytest.mark.parametrize("notation", ["1e5", "1.2.3", "1-2", "12,50", "-", "1234567890123456.123"])
def test_sqlite_has_no_sum_of_amounts_it_might_misread(erp: Erp, notation: str) -> None:
    make_sqlite_costs(erp, ("a", "C1", "2026-01-05", notation, "CNY"))
    erp.map()
    assert controls(erp.pull()) == {"CNY": (1, None)}


# --- types ---------------------------------------------------------------------------------------


def test_postgres_types_are_known_by_family(pg: Any, erp: Erp) -> None:
    pg("create domain cents as bigint; create type mood as enum ('good')")
    pg("create table costs (id uuid, customer varchar(9), day timestamptz, amount cents, "
       "currency mood, flag boolean, note bytea)")  # fmt: skip
    columns = {**COSTS, "is_deleted": "flag", "kind": "note"}
    erp.map(columns=columns, reconcile_keys={})
    assert erp.pull().types == {
        "id": "text",
        "customer": "text",
        "day": "time",
        "amount": "number",
        "currency": "text",
        "flag": "boolean",
        "note": "binary",
    }


def test_sqlite_types_are_those_a_table_declares(erp: Erp) -> None:
    erp.execute(
        "create table costs (id varchar(9), customer, day datetime, amount decimal(18, 2), "
        "currency text)"
    )
    erp.insert(["a", "C1", "2026-01-05", "1.00", "CNY"])
    erp.map()
    families = {"id": "text", "day": "time", "amount": "number", "currency": "text"}
    assert erp.pull().types == families
    erp.map(table=None, query="select * from costs")
    assert erp.pull().types == {}


def test_a_retyped_column_stops_the_feed_before_a_row_is_read(pg: Any, erp: Erp) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', 1, 'CNY')")
    erp.map()
    types = erp.pull().types
    (erp.root / "raw.parquet").unlink()
    pg("alter table costs alter column amount type text")
    with pytest.raises(BatchFault, match="~ amount: number -> text"):
        erp.pull(Watermark(types=types))
    assert not (erp.root / "raw.parquet").exists()


# declared type, value, what is pulled
POSTGRES_VALUES = [
    ("numeric(18, 4)", "12.3000", "12.3000"),
    ("numeric", "123456789012345678901234567890.000000001", None),
    ("numeric", "NaN", "NaN"),
    ("real", "1.1", "1.1"),
    ("double precision", "0.1", "0.1"),
    ("money", "12.30", "12.30"),
    ("oid", "4294967295", "4294967295"),
    ("boolean", "true", "true"),
    ("date", "2026-01-05", "2026-01-05"),
    ("time", "10:00:00", "10:00:00"),
    ("timetz", "10:00:00+08", "10:00:00+08"),
    ("timestamp", "2026-01-05 10:00:00.12", "2026-01-05 10:00:00.12"),
    ("timestamptz", "2026-01-05 10:00:00+08", "2026-01-05 02:00:00+00"),
    ("interval", "1 day 02:00:00", "1 day 02:00:00"),
    ("json", '{"a":1}', '{"a":1}'),
    ("jsonb", '{"a": "煤"}', '{"a": "煤"}'),
    ("uuid", "12345678-1234-1234-1234-123456789012", None),
    ("integer[]", "{1,2}", "{1,2}"),
    ("text[]", "{a,NULL}", "{a,NULL}"),
    ("bytea", r"\xdeadbeef", r"\xdeadbeef"),
    ("mood", "good", "good"),
    ("inet", "10.0.0.1", "10.0.0.1/32"),
    ("int4range", "[1,3)", "[1,3)"),
    ("cents", "1.50", "1.50"),
    ("name", "a name", "a name"),
]


@pytest.mark.parametrize("part", [slice(0, 13), slice(13, None)])
def test_postgres_values_arrive_exactly_as_the_source_writes_them(
    pg: Any, erp: Erp, part: slice
) -> None:
    pg("create domain cents as numeric(12, 2) check (value > 0)")
    pg("create type mood as enum ('good', 'bad')")
    cases = {f"v{number}": case for number, case in enumerate(POSTGRES_VALUES[part])}
    declared = ", ".join(f"{name} {kind}" for name, (kind, *_) in cases.items())
    given = ", ".join(f"'{value}'" for _, value, _ in cases.values())
    pg(f"create table md_customer (id text, {declared})")
    pg(f"insert into md_customer values ('a', {given}); insert into md_customer values ('b')")
    free = [name for name in load_contract("customers").columns if name != "customer_id"]
    erp.map(
        table="md_customer",
        columns={"customer_id": "id", **dict(zip(free, cases, strict=False))},
    )
    pulled, nulls = values(erp.pull(feed="customers").raw, ", ".join(cases))
    expected = [value if arrives is None else arrives for _, value, arrives in cases.values()]
    assert list(pulled) == expected
    assert set(nulls) == {None}


def test_moments_that_no_calendar_has_arrive_as_the_source_writes_them(pg: Any, erp: Erp) -> None:
    pg("create table costs (id text, customer date, day timestamp, amount numeric, "
       "seen timestamptz)")  # fmt: skip
    pg("insert into costs values ('a', 'infinity', '-infinity', 1, 'infinity'), "
       "('b', '0044-03-15 BC', '294276-12-31 00:00:00', 1, "
       "'2026-01-05 10:00:00.5+08')")  # fmt: skip
    erp.map(columns={**COSTS, "currency": {"constant": "CNY"}, "updated_at": "seen"})
    assert values(erp.pull().raw, "customer, day, seen") == [
        ("infinity", "-infinity", "infinity"),
        ("0044-03-15 BC", "294276-12-31 00:00:00", "2026-01-05 02:00:00.5+00"),
    ]


def test_an_ended_moment_does_not_change_the_others_texts(pg: Any, erp: Erp) -> None:
    # else every row would be news: landing recognises rows by their texts
    row = "2026-01-05 10:00:00.250000+08"
    pg("create table costs (id text, customer text, day timestamptz, amount numeric, "
       "currency text)")  # fmt: skip
    pg(f"insert into costs values ('a', 'C1', '{row}', 1, 'CNY')")
    erp.map()
    before = values(erp.pull().raw)
    pg("insert into costs values ('b', 'C1', 'infinity', 1, 'CNY')")
    assert values(erp.pull().raw)[0] == before[0]


def test_a_database_in_a_chinese_encoding_gives_chinese_texts(postgres: Any, erp: Erp) -> None:
    postgres.psql("create database erp_gb encoding 'EUC_CN' locale 'C' template template0")
    uri = postgres.get_uri("erp_gb")
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        connection.set_client_encoding("UTF8")
        cursor.execute("create table costs (id text, customer text, day date, amount numeric, "
                    "currency text); insert into costs values ('a', '宝山钢厂')")  # fmt: skip
        connection.commit()
    erp.uri = uri
    erp.map()
    assert values(erp.pull().raw, "customer") == ["宝山钢厂"]


def test_a_sqlite_column_that_begins_with_nulls_is_read_to_its_end(erp: Erp) -> None:
    erp.execute("create table costs (id, customer, day, amount, currency)")
    # the driver takes 65,536 at a time
    erp.execute(f"insert into costs select i, null, null, 1, 'CNY' from {numbers(70_000)}")
    erp.insert(["last", "C9", "2026-01-05", "1", "CNY"])
    extract = erp.pull()
    assert extract.rows == 70_001
    assert values(extract.raw, "max(customer)") == ["C9"]


def test_a_sqlite_text_that_is_not_utf8_stops_the_feed_and_names_its_column(
    erp: Erp,
) -> None:
    make_sqlite_costs(erp, ("a", "宝山".encode("gb18030"), "2026-01-05", "1", "CNY"))
    erp.map()
    with pytest.raises(BatchFault, match="column customer holds a text that is not UTF-8"):
        erp.pull()


# --- cursor and keys -----------------------------------------------------------------------------

# the cursor's type; of the row that sets the mark, of one committed late, of one long seen
CURSORS = [
    ("timestamp", "2026-01-05 12:00:00.25", "2026-01-05 11:30:00", "2026-01-04 12:00:00"),
    ("timestamptz", "2026-01-05 12:00:00+00", "2026-01-05 11:30:00+00", "2026-01-05 10:30:00+00"),
    ("date", "2026-01-05", "2026-01-05", "2026-01-03"),
    ("bigint", "1000", "1000", "999"),
    ("numeric(20, 6)", "1767571200.500000", "1767571200.500000", "1767571200.499999"),
    ("text", "2026-01-05T12:00:00", "2026-01-05T11:30:00", "2026-01-04T12:00:00"),
]


@pytest.mark.parametrize(("kind", "newest", "late", "old"), CURSORS)
def test_each_kind_of_postgres_cursor_finds_its_mark(
    pg: Any, erp: Erp, kind: str, newest: str, late: str, old: str
) -> None:
    pg("create table costs (id text, customer text, day date, amount numeric, currency text, "
       f"changed {kind})")  # fmt: skip
    pg(f"insert into costs (id, changed) values ('newest', '{newest}')")
    erp.map(cursor={"column": "changed"})
    first = erp.pull()
    assert values(first.raw, "changed") == [first.control_cursor]
    pg(f"insert into costs (id, changed) values ('late', '{late}'), ('old', '{old}'), "
       "('none', null)")  # fmt: skip
    second = erp.pull(Watermark(cursor=first.control_cursor))
    assert values(second.raw, "id") == ["newest", "late", "none"]


@pytest.mark.parametrize(
    ("kind", "newest", "late", "old"),
    [
        ("", "2026-01-05 12:00:00", "2026-01-05 11:30:00", "2026-01-04 12:00:00"),
        ("", "2026-01-05 12:00:00.5", "2026-01-05 11:00:00.5", "2026-01-05 11:00:00.4"),
        ("", "1000", 1000, "999"),
        ("integer", 1000, 1000, 999),
        ("", "2.5", 2.75, "1.5"),
        ("", "9007199254740993", 9007199254740993, "9007199254740992"),  # no float holds it
        ("real", 2 / 3, 2 / 3, 0.5),
    ],
)
def test_each_kind_of_sqlite_cursor_finds_its_mark(
    erp: Erp, kind: str, newest: Any, late: Any, old: Any
) -> None:
    erp.execute(f"create table costs (id, customer, day, amount, currency, changed {kind})")
    erp.insert(["newest", None, None, None, None, newest])
    erp.map(cursor={"column": "changed"})
    first = erp.pull()
    assert values(first.raw, "changed") == [first.control_cursor]
    for name, changed in (("late", late), ("old", old), ("none", None)):
        erp.insert([name, None, None, None, None, changed])
    second = erp.pull(Watermark(cursor=first.control_cursor))
    assert values(second.raw, "id") == ["newest", "late", "none"]


def test_an_incremental_pull_reads_the_cursors_index(pg: Any, postgres: Any, erp: Erp) -> None:
    make_costs(pg, "('new', 'C1', '2026-01-05', 1, 'CNY', '2026-01-06 12:00:00')")
    pg("insert into costs select i, 'C1', '2026-01-05', 1, 'CNY', '2025-01-01' "
       "from generate_series(1, 20000) i")  # fmt: skip
    pg("create index on costs (changed_at); analyze costs")
    erp.map(cursor={"column": "changed_at"})
    whole = "select seq_scan from pg_stat_user_tables where relname = 'costs'"
    by_index = "select idx_scan from pg_stat_user_indexes where relname = 'costs'"
    before = postgres.psql(f"{whole}; {by_index}")
    assert values(erp.pull(Watermark(cursor="2026-01-06 12:00:00")).raw, "id") == ["new"]
    # the counts of a session arrive when it ends
    until(lambda: postgres.psql(by_index) not in before)
    assert postgres.psql(whole) in before


@pytest.mark.parametrize(
    ("reconciled_on", "due"),
    [(None, True), (date(2026, 6, 24), False), (date(2026, 6, 23), True)],
)
def test_keys_are_read_when_they_are_due(
    pg: Any, erp: Erp, reconciled_on: date | None, due: bool
) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', 1, 'CNY', '2026-01-01'), "
                   "('b', 'C1', '2026-01-05', 1, 'CNY', '2026-01-06')")  # fmt: skip
    erp.map(cursor={"column": "changed_at"}, reconcile_keys={"every_days": 7})
    extract = erp.pull(Watermark(cursor="2026-01-06 00:00:00", reconciled_on=reconciled_on))
    assert values(extract.raw, "id") == ["b"]
    assert (sorted(values(extract.keys)) if due else extract.keys) == (["a", "b"] if due else None)


@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_keys_that_are_due_come_without_any_new_row(pg: Any, erp: Erp, database: str) -> None:
    create = "create table costs (id text, customer text, day date, amount decimal, currency text)"
    row = "insert into costs values ('a', 'C1', '2026-01-05', 1, 'CNY')"
    if database == "sqlite":
        erp.uri = f"sqlite:///{erp.file}"
        erp.execute(create)
        erp.execute(row)
    else:
        pg(f"{create}; {row}")
    erp.map(
        table=None,
        query="select *, '2026-01-05' as changed_at from costs",
        cursor={"column": "changed_at"},
        reconcile_keys={},
    )
    mark = Watermark(cursor="2026-02-01 00:00:00")
    extract = erp.pull(mark)
    assert (extract.rows, values(extract.raw), values(extract.keys)) == (0, [], ["a"])
    with duckdb.connect() as connection:
        described = connection.execute(f"describe from read_parquet('{extract.raw}')").fetchall()
    assert [name for name, *_ in described] == [
        "id", "customer", "day", "amount", "currency", "changed_at", "_source"
    ]  # fmt: skip
    done = Watermark(cursor=mark.cursor, reconciled_on=NOW.date())
    assert erp.pull_or_nothing(done) is None


def test_key_columns_of_every_kind_are_read_as_in_the_rows(pg: Any, erp: Erp) -> None:
    pg("create table rates (day date, code char(5), rate numeric, changed_at date)")
    pg("insert into rates values ('2026-01-05', 'USD', 7.1, '2026-01-05'), "
       "('infinity', 'EUR', 7.9, '2026-01-01')")  # fmt: skip
    erp.map(
        table="rates",
        cursor={"column": "changed_at"},
        reconcile_keys={},
        columns={"rate_on": "day", "currency": "code", "rate": "rate"},
    )
    extract = erp.pull(Watermark(cursor="2026-01-05"), feed="fx_rates")
    assert values(extract.raw, "day, code") == [("2026-01-05", "USD  ")]
    assert values(extract.keys) == [("2026-01-05", "USD  "), ("infinity", "EUR  ")]


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_columns_may_have_any_name(pg: Any, erp: Erp, database: str) -> None:
    names = ['no "1"', "select", "50%", "金额 (元)", "O'Neil", "{}"]
    declared = ", ".join('"' + name.replace('"', '""') + '" text' for name in names)
    run = pg
    if database == "sqlite":
        erp.uri = f"sqlite:///{erp.file}"
        run = erp.execute
    run(f"create table costs ({declared})")
    row = "'a', 'C1', '2026-01-05', '1.5', 'CNY', '2026-01-06'"
    run(f"insert into costs values ({row})")
    columns = dict(zip(["cost_id", "customer_id", "incurred_on", "amount", "currency"], names,
                       strict=False))  # fmt: skip
    erp.map(columns={**columns, "kind": {"constant": "service"}},
              cursor={"column": names[5]}, reconcile_keys={})  # fmt: skip
    extract = erp.pull(Watermark(cursor="2026-01-06 00:00:00"))
    assert values(extract.raw) == [("a", "C1", "2026-01-05", "1.5", "CNY", "2026-01-06", "costs")]
    assert values(extract.keys) == ["a"]
    assert [(total.currency, total.rows) for total in extract.controls] == [("CNY", 1)]


@pytest.mark.parametrize(
    ("created", "mapped"),
    [
        ("sales.costs", "sales.costs"),
        ("sales.costs", "Sales.COSTS"),
        ('"order"', "order"),
        ('sales."Order Costs"', "sales.Order Costs"),
        ('"a.b"', '"a.b"'),
    ],
)
def test_a_postgres_table_is_found_as_people_write_it(
    pg: Any, erp: Erp, created: str, mapped: str
) -> None:
    pg("drop schema if exists sales cascade; create schema sales")
    pg(f"create table {created} (id text, customer text, day date, amount int, currency text)")
    pg(f"insert into {created} values ('a')")
    erp.map(table=mapped)
    assert values(erp.pull().raw, "id, _source") == [("a", mapped)]


def test_a_sqlite_file_may_lie_anywhere(erp: Erp) -> None:
    make_sqlite_costs(erp, ("a", "C1", "2026-01-05", "1", "CNY"))
    erp.map(table="main.costs")
    folder = erp.root / "a folder #1? 100%41 煤"
    folder.mkdir()
    erp.file.rename(folder / "erp.db")
    erp.uri = f"sqlite:///{folder}/erp.db"
    assert values(erp.pull().raw, "id") == ["a"]


# --- other drivers -------------------------------------------------------------------------------


def through(erp: Erp, driver: str, uri: str) -> None:
    erp.driver, erp.uri = driver, uri


@pytest.mark.parametrize("driver", [adbc_driver_sqlite._driver_path(), "adbc_driver_sqlite"])
def test_another_driver_is_loaded_by_path_or_package(erp: Erp, driver: str) -> None:
    erp.execute("create table costs (id, customer, day, amount, currency, changed)")
    erp.insert(
        ["old", "C1", "2026-01-05", 1, "CNY", "2026-01-04 12:00:00"],
        ["new", "C1", "2026-01-05", 2, "CNY", "2026-01-05 12:00:00"],
    )
    erp.map(cursor={"column": "changed"}, reconcile_keys={})
    through(erp, driver, f"file:{erp.file}?mode=ro")
    extract = erp.pull(Watermark(cursor="2026-01-05 12:00:00"))
    assert values(extract.raw, "id, amount, _source") == [("new", "2", "costs")]
    assert sorted(values(extract.keys)) == ["new", "old"]
    assert extract.controls == []  # this driver promises no snapshot


@pytest.mark.parametrize(("kind", "newest", "late", "old"), CURSORS)
def test_plain_sql_finds_the_mark_and_the_totals(
    pg: Any, erp: Erp, kind: str, newest: str, late: str, old: str
) -> None:
    pg("create table costs (id text, customer text, day date, amount numeric, currency text, "
       f"changed {kind})")  # fmt: skip
    pg("insert into costs values "
       f"('newest', 'C1', '2026-01-05', 0.10, 'CNY', '{newest}'), "
       f"('late', 'C1', '2026-01-05', 0.20, 'CNY', '{late}'), "
       f"('old', 'C1', '2026-01-05', 7, 'CNY', '{old}')")  # fmt: skip
    erp.map(cursor={"column": "changed"})
    through(erp, adbc_driver_postgresql._driver_path(), erp.uri)
    first = erp.pull()
    mark = dict(values(first.raw, "id, changed"))["newest"]
    assert first.control_cursor == mark
    extract = erp.pull(Watermark(cursor=mark))
    assert values(extract.raw, "id, amount") == [("newest", "0.10"), ("late", "0.20")]
    assert extract.controls == [ControlTotal("CNY", 2, Decimal("0.30"))]
    assert extract.types["day"] == "time"


@pytest.mark.parametrize("driver", ["adbc_driver_nonesuch", "/no/such/libadbc.so", "/etc/hostname"])
def test_a_driver_that_is_not_there_is_a_matter_of_configuration(erp: Erp, driver: str) -> None:
    erp.map()
    through(erp, driver, "other://reader:secret-word@host/erp")
    with pytest.raises(ConfigurationError, match=f"driver {driver} cannot be loaded") as caught:
        erp.pull()
    assert "secret-word" not in str(caught.value)


def test_a_type_that_cannot_be_landed_is_named(pg: Any, erp: Erp) -> None:
    pg("create table costs (id text, customer int[], day date, amount numeric, currency text)")
    erp.map()
    through(erp, adbc_driver_postgresql._driver_path(), erp.uri)
    with pytest.raises(ConfigurationError, match="column customer is of a type that cannot be"):
        erp.pull()


# --- what goes wrong -----------------------------------------------------------------------------

COST = "select i::text as id, 'C1' as customer, current_date as day, 1 as amount, 'CNY' as currency"


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("select * from nowhere", ConfigurationError, 'relation "nowhere" does not exist'),
        ("select costs.nothing from costs", ConfigurationError, "costs.nothing does not exist"),
        ("select from where", ConfigurationError, "syntax error"),
        ("delete from costs returning *", ConfigurationError, "cannot run the feed's query"),
        (f"{COST} from generate_series(1, 1) i where 1 / (i - 1) = 1", BatchFault,
         "division by zero"),
        (f"{COST} from generate_series(1, 1) i, pg_read_file('/etc/hostname') f",
         SourceUnavailable, "permission denied"),
    ],
)  # fmt: skip
def test_a_query_that_fails_says_whose_matter_it_is(
    pg: Any, erp: Erp, query: str, error: type[MartsError], message: str
) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', 1, 'CNY')")
    pg("drop role if exists limited; create role limited login; "
       "grant usage on schema public to limited; grant all on costs to limited")  # fmt: skip
    erp.map(table=None, query=query)
    erp.uri = erp.uri.replace("postgres:@", "limited@")
    with pytest.raises(error, match=message) as caught:
        erp.pull()
    assert type(caught.value) is error


def test_a_table_that_is_not_there_is_a_matter_of_configuration(pg: Any, erp: Erp) -> None:
    erp.map()
    with pytest.raises(ConfigurationError, match="has no table costs, or hides it"):
        erp.pull()
    erp.uri = f"sqlite:///{erp.file}"
    erp.execute("create table cost (id)")
    with pytest.raises(ConfigurationError, match="no such table: costs"):
        erp.pull()


def test_a_connection_lost_while_rows_come_lands_nothing(
    pg: Any, erp: Erp, mini: MiniCompany
) -> None:
    erp.map(table=None, query=f"{COST} from generate_series(1, 2000000) i")
    mini.mapping["feeds"]["customer_costs"] = erp.mapping
    mini.environment["SAMPLE_ERP_URI"] = erp.uri
    mini.save_mapping()
    streaming = "query like 'COPY (select \"id\"%' and state = 'active'"

    def cut() -> None:
        pg(
            f"""
            do $$ begin
                for tries in 1..4000 loop
                    perform pg_stat_clear_snapshot(), pg_sleep(0.005);
                    perform pg_terminate_backend(pid) from pg_stat_activity where {streaming};
                    exit when found;
                end loop;
            end $$
            """
        )

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(SourceUnavailable, match=r"PQgetCopyData|terminat|closed the connection"):
        land_feed(mini, "customer_costs")
    cutter.join()
    landing = mini.settings.paths.landing / "customer_costs"
    assert [item.name for item in landing.iterdir()] == [".lock"]


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout"])
def test_a_pull_that_the_server_ends_is_infrastructure(
    pg: Any, postgres: Any, erp: Erp, limit: str
) -> None:
    make_costs(pg, "('a', 'C1', '2026-01-05', 1, 'CNY')")
    erp.map()
    erp.uri += f"%20-c%20{limit}%3D200"
    with (
        closing(psycopg2.connect(postgres.get_uri())) as other,
        other.cursor() as cursor,
    ):
        cursor.execute("lock table costs in access exclusive mode")
        with pytest.raises(SourceUnavailable, match=f"due to {limit.replace('_', ' ')}"):
            erp.pull()


def test_a_pull_changes_nothing_and_does_not_wait_for_ever(pg: Any, erp: Erp) -> None:
    settings = ("transaction_read_only", "transaction_isolation", "lock_timeout")
    shown = ", ".join(f"current_setting('{name}')" for name in settings)
    erp.map(
        table=None,
        query=f"select * from (select 'a' as id, {shown}) as costs (id, customer, day, amount)",
        columns={**COSTS, "currency": {"constant": "CNY"}},
    )
    assert values(erp.pull().raw, "customer, day, amount") == [("on", "repeatable read", "1min")]


def test_a_file_that_is_no_database_is_infrastructure(erp: Erp) -> None:
    erp.file.write_text("no database" * 1000)
    with pytest.raises(SourceUnavailable, match="file is not a database"):
        erp.pull()


def test_a_full_disk_is_not_the_databases_fault(pg: Any, erp: Erp) -> None:
    erp.map(table=None, query=f"{COST} from generate_series(1, 50000) i")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(MartsError, match="the rows pulled could not be written") as caught:
            erp.pull()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 1


def test_a_pull_can_be_interrupted_while_the_database_works(
    pg: Any, postgres: Any, erp: Erp
) -> None:
    erp.map(table=None, query=f"{COST} from (select 1 as i, pg_sleep(60)) slow")
    running = "select 'it runs' from pg_stat_activity where query like '%count(*)%pg_sleep(60)%'"

    def interrupt() -> None:
        until(lambda: "it runs" in postgres.psql(f"{running} and pid <> pg_backend_pid()"))
        os.kill(os.getpid(), signal.SIGINT)

    begun = time.monotonic()
    thread = threading.Thread(target=interrupt)
    # a shell that starts the tests in the background lets them ignore SIGINT
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            erp.pull()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 50


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://reader:hush-%zz-hush@127.0.0.1:1/erp",
        "postgresql://reader:hush@hush@127.0.0.1:1/erp",
        "postgresql://reader:hush/hush@127.0.0.1:1/erp",
        "postgresql://reader:hu sh@127.0.0.1:1/erp",
        "postgresql://reader:hush?hush@127.0.0.1:1/erp",
        "postgresql://reader:hush[hush@127.0.0.1:1/erp",
        "postgresql://reader@127.0.0.1:1/erp?password=hush%zz",
        "postgresql://reader@127.0.0.1:hush/erp",
        "host=127.0.0.1 port=1 password=hush",
        "mysql://reader:hush@127.0.0.1/erp",
        "/no/such/folder/reader:hush@host/erp?password=hush",
    ],
)
def test_a_password_is_in_no_message(erp: Erp, uri: str) -> None:
    erp.uri = uri
    erp.driver = "adbc_driver_sqlite" if uri.startswith("/") else None
    with pytest.raises(MartsError) as caught:
        erp.pull()
    logged = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "hush" not in logged
    assert "hu sh" not in logged


PULL = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from customer_marts.feeds import DatabaseSource, FeedMapping
from customer_marts.settings import Settings
from customer_marts.sources.database import extract_database
from customer_marts.sources.extract import Watermark
extract = extract_database(
    Settings.load({"ERP_URI": sys.argv[1]}), "customer_costs",
    FeedMapping.model_validate(json.loads(sys.argv[2])),
    DatabaseSource(kind="database", uri="${ERP_URI}"),
    Watermark(), Path(sys.argv[3]), datetime.now(UTC),
)
# not getrusage: its maximum outlives exec, so it would tell of the test process
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(extract.rows, int(status["VmHWM"].split()[0]) // 1024)
"""


def test_memory_does_not_grow_with_the_table(pg: Any, erp: Erp) -> None:
    wide = COST.replace("'C1'", "repeat(md5(i::text), 50)")
    erp.map(table=None, query=f"{wide} from generate_series(1, 150000) i")
    output = subprocess.check_output(
        [sys.executable, "-c", PULL, erp.uri, json.dumps(erp.mapping), str(erp.root)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "dags")},
    )
    rows, peak_mb = map(int, output.split())
    assert rows == 150_000  # 240 MB of texts
    assert peak_mb < 300
