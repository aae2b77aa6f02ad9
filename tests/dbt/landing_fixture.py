"""Schema `landing` with hand-written rows: what the warehouse step leaves for dbt to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

Row = Mapping[str, Any]

KEYS = {
    "customers": ("customer_id",),
    "products": ("product_id",),
    "orders": ("order_id",),
    "order_lines": ("order_id", "line_no"),
    "invoices": ("invoice_id",),
    "payments": ("payment_id",),
    "survey_responses": ("response_id", "question_code"),
}
BUSINESS_DATES = {
    "orders": ("ordered_at", "ordered_on"),
    "payments": ("received_at", "received_on"),
    "survey_responses": ("answered_at", "answered_on"),
}
FEED_COLUMNS = {
    "customers": """customer_id varchar, name varchar, legal_id varchar, group_id varchar,
        industry varchar, size_class varchar, region varchar, customer_type varchar,
        account_manager varchar, payment_terms_days integer, credit_limit decimal(18, 2),
        onboarded_on date""",
    "products": """product_id varchar, name varchar, category varchar, unit varchar,
        tonnes_per_unit decimal(18, 4)""",
    "orders": """order_id varchar, customer_id varchar, ordered_at timestamp, ordered_on date,
        status varchar, currency varchar, channel varchar, contract_id varchar,
        sale_type varchar, amount decimal(18, 2)""",
    "order_lines": """order_id varchar, line_no integer, product_id varchar,
        quantity decimal(18, 3), unit_price decimal(18, 4), discount decimal(18, 2),
        tax decimal(18, 2), amount decimal(18, 2), unit_cost decimal(18, 4)""",
    "invoices": """invoice_id varchar, order_id varchar, customer_id varchar, invoiced_on date,
        due_on date, amount decimal(18, 2), tax decimal(18, 2), currency varchar, kind varchar,
        disputed boolean""",
    "payments": """payment_id varchar, customer_id varchar, received_at timestamp,
        received_on date, amount decimal(18, 2), currency varchar, method varchar,
        reference varchar, order_id varchar, bill_no varchar, bill_matures_on date,
        bill_status varchar, kind varchar""",
    "survey_responses": """response_id varchar, question_code varchar, customer_id varchar,
        order_id varchar, survey_id varchar, answered_at timestamp, answered_on date,
        score decimal(9, 2), scale_min decimal(9, 2), scale_max decimal(9, 2),
        importance decimal(9, 2), urgency decimal(9, 2), need_type varchar, text varchar""",
}
ROW_COLUMNS = """updated_at timestamp, is_deleted boolean default false, _batch_id varchar,
    _row_hash ubigint, _source varchar, _changed_in integer, _held_reason varchar"""
CONTROL_TABLES = {
    "run_context": """release_id varchar, release_sequence integer, parent_release_id varchar,
        parent_as_of date, as_of date, is_rebuild boolean, reporting_currency varchar,
        company varchar, company_name_en varchar, company_name_zh varchar, run_id varchar,
        started_at timestamp, code_version varchar""",
    "releases": """release_id varchar, release_sequence integer, parent_release_id varchar,
        run_id varchar, as_of date, started_at timestamp, code_version varchar,
        count_batches integer, is_rebuild boolean""",
    "batches": """feed varchar, batch_id varchar, landed_at timestamp, rows_pulled bigint,
        release_sequence integer, cursor_max varchar, source varchar""",
    "ledger": """feed varchar, currency varchar, batch_id varchar, release_sequence integer,
        rows_pulled bigint, rows_accepted bigint, rows_quarantined bigint, rows_duplicate bigint,
        rows_superseded bigint, amount_pulled decimal(38, 2), amount_accepted decimal(38, 2),
        amount_quarantined decimal(38, 2), amount_duplicate decimal(38, 2),
        amount_superseded decimal(38, 2), rows_held bigint, amount_held decimal(38, 2)""",
    "quarantine": """feed varchar, batch_id varchar, rule varchar, reason varchar,
        column_name varchar, value varchar, source varchar, row_key varchar, raw varchar,
        currency varchar, amount decimal(18, 2), owner varchar, first_seen_at timestamp,
        release_sequence integer, _row_hash ubigint""",
    "feeds": """feed varchar, is_configured boolean, data_through date, count_rows bigint""",
}


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A naive UTC time, as landing stores it."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC).replace(tzinfo=None)


class Landing:
    """A landing schema in a DuckDB file; closed after every call, as dbt needs the file.

    `put` upserts rows by key and stamps them with the release that is being built, `delete` leaves
    tombstones, `begin_release` sets the run context. The company's zone is UTC+8.
    """

    def __init__(self, path: Path, without_feeds: Iterable[str] = ()) -> None:
        self.path = path
        self.without_feeds = set(without_feeds)
        self.sequence = 0
        self.parent_as_of: date | None = None
        self.as_of: date | None = None
        with duckdb.connect(str(path)) as con:
            con.execute("create schema landing")
            for feed, columns in FEED_COLUMNS.items():
                con.execute(f"create table landing.{feed} ({columns}, {ROW_COLUMNS})")
            for table, columns in CONTROL_TABLES.items():
                con.execute(f"create table landing.{table} ({columns})")

    def begin_release(self, as_of: date, *, is_rebuild: bool = False) -> None:
        """Start the next release: its parent is the release begun before."""
        self.parent_as_of, self.as_of = self.as_of, as_of
        self.sequence += 1
        release_id = f"release-{self.sequence}"
        parent_id = f"release-{self.sequence - 1}" if self.sequence > 1 else None
        started_at = utc(2026, 1, self.sequence)
        with duckdb.connect(str(self.path)) as con:
            con.execute("delete from landing.run_context")
            con.execute(
                "insert into landing.run_context values"
                " (?, ?, ?, ?, ?, ?, 'CNY', 'toy', 'Toy company', '玩具公司', ?, ?, 'test')",
                [
                    release_id,
                    self.sequence,
                    parent_id,
                    self.parent_as_of,
                    as_of,
                    is_rebuild,
                    f"run-{self.sequence}",
                    started_at,
                ],
            )
            con.execute(
                "insert into landing.releases values (?, ?, ?, ?, ?, ?, 'test', 1, ?)",
                [
                    release_id,
                    self.sequence,
                    parent_id,
                    f"run-{self.sequence}",
                    as_of,
                    started_at,
                    is_rebuild,
                ],
            )
            self._count_feeds(con)

    def put(self, feed: str, rows: Iterable[Row]) -> None:
        """Upsert rows by key; a `*_at` column gives its business date where that is missing."""
        with duckdb.connect(str(self.path)) as con:
            for row in rows:
                values = {"is_deleted": False, "_changed_in": self.sequence, **row}
                if feed in BUSINESS_DATES:
                    at_column, on_column = BUSINESS_DATES[feed]
                    values.setdefault(on_column, (values[at_column] + timedelta(hours=8)).date())
                keys = KEYS[feed]
                condition = " and ".join(f"{key} = ?" for key in keys)
                con.execute(
                    f"delete from landing.{feed} where {condition}", [row[key] for key in keys]
                )
                con.execute(
                    f"insert into landing.{feed} ({', '.join(values)})"
                    f" values ({', '.join('?' * len(values))})",
                    list(values.values()),
                )
            self._count_feeds(con)

    def delete(self, feed: str, *key: Any) -> None:
        """Leave a tombstone of the row, as a source's deletion does."""
        condition = " and ".join(f"{column} = ?" for column in KEYS[feed])
        self.execute(
            f"update landing.{feed} set is_deleted = true, _changed_in = {self.sequence}"
            f" where {condition}",
            list(key),
        )

    def execute(self, sql: str, parameters: list[Any] | None = None) -> None:
        """Run one statement on the file."""
        with duckdb.connect(str(self.path)) as con:
            con.execute(sql, parameters)

    def _count_feeds(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("delete from landing.feeds")
        for feed in FEED_COLUMNS:
            con.execute(
                f"insert into landing.feeds"
                f" select ?, ?, cast(null as date), count(*) from landing.{feed}",
                [feed, feed not in self.without_feeds],
            )
