"""The current release in a real PostgreSQL: what readers see, may see, and never see."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import psycopg2.errors
import pytest
from click.testing import CliRunner, Result

from customer_marts.cli import marts
from customer_marts.errors import Busy, ConfigurationError, SourceUnavailable
from customer_marts.releases import point_current
from customer_marts.serving import Served, Target, serve, shown_release
from customer_marts.settings import Settings
from tests.mini import MiniCompany
from tests.postgres import running_postgres

CUSTOMERS = """
    select * from (values
        ('C1', '山西焦化', 1234567890123456.78::decimal(18, 2), 0.1::double, 3::integer,
            9007199254740993::bigint, true, date '2026-06-30',
            timestamp '2026-06-30 23:59:59.123456', 0.00000001::decimal(18, 8)),
        ('C2', 'a tab	and "quotes"', null, null, null, null, null, null, null, null)
    ) as t(customer_id, name, amount, rate, count_orders, big, is_active, on_day, at_time, fx_rate)
"""
DICTIONARY = """
    select * from (values
        ('customers', 0, null, null, 'One row per customer.'),
        ('customers', 1, 'customer_id', '客户', 'The customer'),
        ('not_built', 0, null, null, 'Of an area that is not built.')
    ) as t(table_name, column_no, column_name, label_zh, description)
"""


class Book:
    """Releases on disk, as the pipeline leaves them, and the environment that serves them."""

    def __init__(self, root: Path, uri: str) -> None:
        self.environment = {
            "MARTS_HOME": str(root),
            "MARTS_SERVING_URI": uri,
            "MARTS_SERVING_READERS": "bi",
            "MARTS_SERVING_RESTRICTED_READERS": "sales",
        }

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environment)

    @property
    def target(self) -> Target:
        target = Target.of(self.settings)
        assert target is not None
        return target

    def release(self, number: int, customers: str = CUSTOMERS, run: str = "run") -> str:
        """Make it and point readers to it."""
        release_id = f"r{number:05d}-20260630"
        folder = self.settings.paths.releases / release_id
        (folder / "restricted").mkdir(parents=True)
        tables = {
            "customers": customers,
            "data_dictionary": DICTIONARY,
            "release_log": f"select '{release_id}' as release_id",
        }
        with duckdb.connect(str(folder / "marts.duckdb")) as marts:
            for name, query in tables.items():
                marts.execute(f"create table {name} as {query}")
            marts.execute(
                "copy (select 'C1' as customer_id, '13812345678' as phone) "
                f"to '{folder}/restricted/customers.parquet' (format parquet)"
            )
        manifest = {
            "release_id": release_id,
            "release_sequence": number,
            "run_id": f"{run}{number}",
            "as_of": "2026-06-30",
            "rows": dict.fromkeys(tables, 1),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        point_current(self.settings.paths, folder)
        return release_id

    def serve(self, patience_seconds: float = 30) -> Served:
        served = serve(self.settings, replace(self.target, patience_seconds=patience_seconds))
        assert served is not None
        return served


@pytest.fixture(scope="module")
def postgres() -> Iterator[Any]:
    with running_postgres() as server:
        server.psql("create role bi login; create role sales login; create role other login;")
        yield server


@pytest.fixture
def book(postgres: Any, tmp_path: Path) -> Iterator[Book]:
    """An empty database each."""
    postgres.psql("create database book;")
    yield Book(tmp_path, postgres.get_uri(database="book"))
    postgres.psql("drop database book with (force);")


@contextmanager
def session(book: Book, role: str | None = None) -> Iterator[Any]:
    with closing(psycopg2.connect(book.environment["MARTS_SERVING_URI"])) as connection:
        cursor = connection.cursor()
        if role:
            cursor.execute(f"set role {role}")
            connection.commit()
        yield cursor


def read(book: Book, query: str, role: str | None = None) -> list[Any]:
    with session(book, role) as cursor:
        cursor.execute(query)
        found: list[Any] = cursor.fetchall()
        return found


def schemas(book: Book) -> set[str]:
    query = "select nspname from pg_namespace where nspname like 'marts%'"
    return {name for (name,) in read(book, query)}


def test_readers_see_every_value_with_its_type_and_what_it_means(book: Book) -> None:
    release_id = book.release(1)
    assert book.serve() == Served(release_id, "marts", 3, was_loaded=True, was_turned=True)
    assert read(book, "select * from marts.customers order by 1", "bi") == [
        (
            "C1",
            "山西焦化",
            Decimal("1234567890123456.78"),
            0.1,
            3,
            9007199254740993,
            True,
            date(2026, 6, 30),
            datetime(2026, 6, 30, 23, 59, 59, 123456),  # noqa: DTZ001 a mart's times are UTC
            Decimal("0.00000001"),
        ),
        ("C2", 'a tab	and "quotes"', *[None] * 8),
    ]
    kinds = "select attname, format_type(atttypid, atttypmod) from pg_attribute where attnum > 0 "
    assert dict(read(book, kinds + "and attrelid = 'marts.customers'::regclass")) == {
        "customer_id": "text",
        "name": "text",
        "amount": "numeric(18,2)",
        "rate": "double precision",
        "count_orders": "integer",
        "big": "bigint",
        "is_active": "boolean",
        "on_day": "date",
        "at_time": "timestamp without time zone",
        "fx_rate": "numeric(18,8)",
    }
    said = "select obj_description('marts.customers'::regclass), "
    said += "col_description('marts.customers'::regclass, 1)"
    assert read(book, said) == [("One row per customer.", "客户\nThe customer")]
    # again: nothing to do
    assert book.serve() == Served(release_id, "marts", 3, was_loaded=False, was_turned=False)
    assert shown_release(book.target) == release_id


def test_rights_are_those_of_the_roles_that_are_named(book: Book) -> None:
    book.release(1)
    book.serve()
    phones = "select phone from marts_restricted.customers"
    assert read(book, phones, "sales") == [("13812345678",)]
    assert len(read(book, "select * from marts.customers", "sales")) == 2
    for role, query in (
        ("bi", phones),
        ("bi", "select phone from marts_r00001_20260630.restricted_customers"),
        ("bi", "select * from marts_r00001_20260630.customers"),
        ("bi", "delete from marts.customers"),
        ("other", "select * from marts.customers"),
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            read(book, query, role)
    # who is no longer named reads no longer, though the release is the same
    book.environment["MARTS_SERVING_READERS"] = "other"
    book.environment["MARTS_SERVING_RESTRICTED_READERS"] = ""
    served = book.serve()
    assert (served.was_loaded, served.was_turned) == (False, True)
    assert len(read(book, "select * from marts.customers", "other")) == 2
    for role in ("bi", "sales"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            read(book, "select * from marts.customers", role)
    assert read(book, "select viewname from pg_views where schemaname = 'marts_restricted'") == []
    assert "restricted_customers" not in str(
        read(book, "select viewname from pg_views where schemaname = 'marts'")
    )


def test_personal_data_stay_out_unless_somebody_may_read_them(book: Book) -> None:
    book.environment["MARTS_SERVING_RESTRICTED_READERS"] = ""
    book.release(1)
    book.serve()
    tables = "select relname from pg_class where relname like '%restricted%' and relkind <> 'i'"
    assert read(book, tables) == []
    book.environment["MARTS_SERVING_RESTRICTED_READERS"] = "sales"
    assert book.serve().was_loaded
    assert read(book, "select phone from marts_restricted.customers", "sales") == [("13812345678",)]


def test_views_built_on_the_marts_go_on_with_the_next_release(book: Book) -> None:
    book.release(1)
    book.serve()
    with session(book) as cursor:
        cursor.execute("create view public.own as select count(*) as n from marts.customers")
        cursor.connection.commit()
    book.release(
        2,
        f"select *, 1 as one_more from ({CUSTOMERS}) union all by name select 'C3' as customer_id",
    )
    book.serve()
    assert read(book, "select * from public.own") == [(3,)]
    assert read(book, "select one_more from marts.customers where customer_id = 'C1'", "bi") == [
        (1,)
    ]
    assert read(book, "select * from marts.release_log", "bi") == [("r00002-20260630",)]
    book.release(3)
    with pytest.raises(ConfigurationError, match="view own depends on view") as told:
        book.serve()  # a column is gone
    assert "run marts serve" in str(told.value)
    # the old release stands whole
    assert read(book, "select * from public.own") == [(3,)]
    assert read(book, "select * from marts.release_log", "bi") == [("r00002-20260630",)]
    with session(book) as cursor:
        cursor.execute("drop view public.own")
        cursor.connection.commit()
    served = book.serve()
    assert (served.was_loaded, served.was_turned) == (False, True)
    assert read(book, "select * from marts.release_log", "bi") == [("r00003-20260630",)]
    # the release before is kept to go back to, also when asked again; the one before it is not
    assert not book.serve().was_turned
    assert schemas(book) == {
        "marts", "marts_restricted", "marts_r00002_20260630", "marts_r00003_20260630"
    }  # fmt: skip


def test_going_back_moves_no_data(book: Book) -> None:
    book.release(1)
    book.serve()
    book.release(2, "select 'C9' as customer_id")
    book.serve()
    point_current(book.settings.paths, book.settings.paths.releases / "r00001-20260630")
    served = book.serve()
    assert (served.was_loaded, served.was_turned) == (False, True)
    assert len(read(book, "select * from marts.customers", "bi")) == 2


def test_a_state_folder_made_anew_is_not_taken_for_the_old_one(book: Book, tmp_path: Path) -> None:
    book.release(1)
    book.serve()
    book.environment["MARTS_HOME"] = str(tmp_path / "anew")
    book.release(1, "select 'C9' as customer_id", run="other")
    assert book.serve().was_loaded
    assert read(book, "select customer_id from marts.customers", "bi") == [("C9",)]


def test_a_reader_within_a_transaction_is_waited_for_and_never_ended(book: Book) -> None:
    book.release(1)
    book.serve()
    book.release(2, "select 'C9' as customer_id")
    with session(book, "bi") as reader:
        reader.execute(
            "set application_name = 'monthly report'; select count(*) from marts.customers"
        )
        with pytest.raises(SourceUnavailable, match="monthly report") as told:
            book.serve(patience_seconds=1)
        assert "run marts serve" in str(told.value)
        # others are not kept waiting for it
        assert len(read(book, "select * from marts.customers", "bi")) == 2
        reader.execute("select count(*) from marts.customers")
        assert reader.fetchall() == [(2,)]
        reader.connection.commit()
        served = book.serve()
        assert (served.was_loaded, served.was_turned) == (False, True)
        reader.execute("select customer_id from marts.customers")
        assert reader.fetchall() == [("C9",)]


def test_statements_read_one_release_while_views_are_turned(book: Book) -> None:
    """Two marts in one statement are of one release, however often they are turned meanwhile."""
    query = "select release_id, customer_id from marts.release_log, marts.customers"
    for number in (1, 2):
        book.release(number, f"select 'r{number:05d}-20260630' as customer_id")
        book.serve()
    over, seen = threading.Event(), set()

    def read_on() -> None:
        with session(book, "bi") as cursor:
            cursor.connection.autocommit = True
            while not over.is_set():
                cursor.execute(query)
                seen.update(cursor.fetchall())

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        for turn in range(6):
            release_id = f"r{1 + turn % 2:05d}-20260630"
            point_current(book.settings.paths, book.settings.paths.releases / release_id)
            assert book.serve().was_turned
    finally:
        over.set()
        reader.join()
    assert seen == {(f"r{n:05d}-20260630",) * 2 for n in (1, 2)}


def test_a_load_that_dies_has_changed_nothing(book: Book) -> None:
    book.release(1)
    book.serve()
    book.release(2, "select range as n, repeat('x', 200) as customer_id from range(500000)")
    ended = threading.Event()

    def end_the_load() -> None:
        with session(book) as cursor:
            cursor.connection.autocommit = True
            while not ended.is_set():
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where query like 'COPY%' and datname = 'book' and pid <> pg_backend_pid()"
                )
                if cursor.fetchall():
                    ended.set()

    thread = threading.Thread(target=end_the_load)
    thread.start()
    try:
        with pytest.raises(SourceUnavailable, match="could not be served"):
            book.serve()
    finally:
        ended.set()
        thread.join()
    assert len(read(book, "select * from marts.customers", "bi")) == 2
    assert schemas(book) == {"marts", "marts_restricted", "marts_r00001_20260630"}
    assert book.serve().was_loaded
    assert read(book, "select count(*) from marts.customers", "bi") == [(500_000,)]


def test_one_process_serves_at_a_time(book: Book) -> None:
    book.release(1)
    with session(book) as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('customer-marts'), hashtext('marts'))")
        with pytest.raises(Busy, match="another process serves the schema marts"):
            book.serve()
    book.serve()


def test_a_schema_of_somebody_else_is_not_touched(book: Book) -> None:
    book.release(1)
    with session(book) as cursor:
        cursor.execute("create schema marts; create table marts.customers (id text)")
        cursor.connection.commit()
    with pytest.raises(ConfigurationError, match="holds what customer-marts did not make"):
        book.serve()
    assert read(book, "select * from marts.customers") == []
    book.environment["MARTS_SERVING_SCHEMA"] = "customer_marts"
    book.serve()
    assert len(read(book, "select * from customer_marts.customers", "bi")) == 2


def test_what_is_wrong_is_said_without_the_password(book: Book) -> None:
    book.release(1)
    book.environment["MARTS_SERVING_READERS"] = "nobody_knows"
    with pytest.raises(ConfigurationError, match='role "nobody_knows" does not exist'):
        book.serve()
    assert "marts" not in schemas(book)
    book.environment["MARTS_SERVING_READERS"] = "BI; drop"
    with pytest.raises(ConfigurationError, match="no name of a schema or a role"):
        book.serve()
    book.environment["MARTS_SERVING_READERS"] = ""
    for uri, kind in (
        ("postgresql://writer:hush@127.0.0.1:1/bi", SourceUnavailable),
        ("postgresql://writer:hush@hush@127.0.0.1:1/bi", ConfigurationError),
        ("mysql://writer:hush@127.0.0.1/bi", ConfigurationError),
        ("${NO_SUCH_VARIABLE}", ConfigurationError),
    ):
        book.environment["MARTS_SERVING_URI"] = uri
        with pytest.raises(kind) as told:
            book.serve()
        assert "hush" not in str(told.value)


def test_a_release_is_served_or_the_next_run_does_it(
    released: MiniCompany, book: Book, postgres: Any
) -> None:
    """From a run, the command, and back by a rollback; a failure to serve keeps no file back."""

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(
            marts, arguments, env={**released.environment, **serving}, prog_name="marts"
        )

    def shown() -> str:
        [(release_id,)] = read(book, "select max(release_id) from marts.release_log", "bi")
        return str(release_id)

    serving = {
        "MARTS_SERVING_URI": book.environment["MARTS_SERVING_URI"],
        "MARTS_SERVING_READERS": "bi, later",
    }
    status = call("status").output
    assert re.search(r"PostgreSQL +shows nothing, not (r00001-\d+): run marts serve", status)
    released.write_bank("2026-01-21", [released.payment("B2")])
    result = call("run")
    assert result.exit_code == 2
    summary, _, failure = result.output.partition("marts: not everything went well:")
    assert "published, as of" in summary
    assert 'role "later" does not exist' in failure
    assert "kept:  release r00002-" in failure
    postgres.psql("create role later;")
    result = call("run")  # nothing new, but to serve
    assert result.exit_code == 0, result.output
    assert re.search(r"✓ serve \(PostgreSQL\) +marts shows r00002-\d+, \d+ marts", result.output)
    assert shown().startswith("r00002-")
    assert re.search(r"PostgreSQL +shows r00002-", call("status").output)
    assert "PostgreSQL: marts shows r00001-" in call("rollback").output
    assert shown().startswith("r00001-")
    assert re.search(r"marts shows r00001-\d+ already", call("serve").output)
    with duckdb.connect(str(released.settings.paths.current / "marts.duckdb")) as files:
        for (mart,) in files.execute("select table_name from duckdb_tables()").fetchall():
            [count] = files.execute(f"select count(*) from {mart}").fetchall()
            assert read(book, f"select count(*) from marts.{mart}", "bi") == [count], mart
        query = "select customer_id, open_amount, overdue_amount from {}.customer_360 order by 1"
        if "customer_360" in str(
            files.execute("select table_name from duckdb_tables()").fetchall()
        ):
            assert files.execute(query.format("main")).fetchall() == read(
                book, query.format("marts"), "bi"
            )
    postgres.psql("drop owned by later;")


def test_nothing_is_served_where_nothing_is_configured(book: Book) -> None:
    assert serve(book.settings) is None  # no release
    book.release(1)
    book.environment["MARTS_SERVING_URI"] = ""
    assert serve(book.settings) is None
    assert Target.of(book.settings) is None
