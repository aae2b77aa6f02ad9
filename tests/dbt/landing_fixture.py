"""Schema `landing` with hand-written rows: what the warehouse step leaves for dbt to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from customer_marts.deadlines import DEADLINE_COLUMNS, DEADLINE_MART
from customer_marts.feeds import FEEDS, load_contract
from customer_marts.identity import (
    FEEDS_WITH_CUSTOMERS,
    Identity,
    resolve_customers,
    write_identities,
)
from customer_marts.model_runs import MODEL_RUN_COLUMNS, MODEL_RUN_MARTS
from customer_marts.warehouse import (
    FX_RATE_VALID_DAYS,
    HISTORY_FEEDS,
    META_COLUMNS,
    VERSION_COLUMNS,
    marts_beside,
    open_build,
)

Row = Mapping[str, Any]

CONTRACTS = {feed: load_contract(feed) for feed in FEEDS}
CONTROL_TABLES = {
    "run_context": """release_id varchar, release_sequence integer, parent_release_id varchar,
        parent_as_of date, as_of date, is_rebuild boolean, is_refit boolean,
        reporting_currency varchar, calendar varchar, is_small_or_medium boolean,
        company varchar, company_name_en varchar,
        company_name_zh varchar, run_id varchar, started_at timestamp, code_version varchar""",
    "releases": """release_id varchar, release_sequence integer, parent_release_id varchar,
        run_id varchar, as_of date, started_at timestamp, code_version varchar,
        count_batches integer, is_rebuild boolean""",
    "batches": """feed varchar, batch_id varchar, landed_at timestamp, rows_pulled bigint,
        release_sequence integer, cursor_max varchar, source varchar, mapping varchar,
        control_rows bigint, control_amount decimal(38, 2), control_cursor varchar,
        is_replay boolean""",
    "ledger": """feed varchar, currency varchar, batch_id varchar, release_sequence integer,
        rows_pulled bigint, rows_accepted bigint, rows_quarantined bigint, rows_duplicate bigint,
        rows_superseded bigint, rows_held bigint, amount_pulled decimal(38, 2),
        amount_accepted decimal(38, 2), amount_quarantined decimal(38, 2),
        amount_duplicate decimal(38, 2), amount_superseded decimal(38, 2),
        amount_held decimal(38, 2), source_rows bigint, source_amount decimal(38, 2)""",
    "quarantine": """quarantine_id varchar, feed varchar, batch_id varchar, rule varchar,
        reason varchar, column_name varchar, value varchar, source varchar, row_key varchar,
        raw varchar, currency varchar, amount decimal(18, 2), owner varchar,
        first_seen_at timestamp, release_sequence integer, _row_hash ubigint""",
    "quarantine_closed": """quarantine_id varchar, feed varchar, rule varchar, row_key varchar,
        source varchar, owner varchar, currency varchar, amount decimal(18, 2),
        first_seen_at timestamp, batch_id varchar, closed_by varchar, decided_by varchar,
        decision_reason varchar, waived_until date, replay_batch_id varchar,
        release_sequence integer, _row_hash ubigint""",
    "fx_days": "currency varchar, valid_on date, rate_on date, rate decimal(18, 8)",
    "model_runs": ", ".join(f"{name} {kind}" for name, kind in MODEL_RUN_COLUMNS.items()),
    "deadlines": ", ".join(f"{name} {kind}" for name, kind in DEADLINE_COLUMNS.items()),
    "feeds": """feed varchar, is_configured boolean, data_through date, count_rows bigint""",
}


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A naive UTC time, as landing stores it."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC).replace(tzinfo=None)


class Landing:
    """A landing schema in a DuckDB file; closed after every call, as dbt needs the file.

    `put` upserts rows by key and stamps them with the release that is being built; a customer with
    an `updated_at` also becomes a version of its record. `delete` leaves tombstones,
    `begin_release` sets the run context, `decide` the crosswalk. The company's zone is UTC+8, its
    currency CNY.
    """

    def __init__(self, path: Path, without_feeds: Iterable[str] = ()) -> None:
        self.path = path
        self.without_feeds = set(without_feeds)
        self.sequence = 0
        self.parent_as_of: date | None = None
        self.as_of: date | None = None
        self.crosswalk: list[Identity] = []
        for file in (path, marts_beside(path)):
            file.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as con:
            con.execute("create schema landing")
            for feed, contract in CONTRACTS.items():
                columns = contract.landed_columns | META_COLUMNS
                if feed in FEEDS_WITH_CUSTOMERS:
                    columns["_customer_id"] = "varchar"
                listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                con.execute(f"create table landing.{feed} ({listed})")
            for feed, table in HISTORY_FEEDS.items():
                columns = CONTRACTS[feed].landed_columns | VERSION_COLUMNS
                listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                con.execute(f"create table landing.{table} ({listed})")
            for table, listed in CONTROL_TABLES.items():
                con.execute(f"create table landing.{table} ({listed})")
            write_identities(con, [])

    def begin_release(
        self, as_of: date, *, is_rebuild: bool = False, is_refit: bool = False
    ) -> None:
        """Start the next release: its parent is the release begun before."""
        self.parent_as_of, self.as_of = self.as_of, as_of
        is_rebuild = is_rebuild or self.parent_as_of is None
        self.sequence += 1
        release_id = f"release-{self.sequence}"
        parent_id = f"release-{self.sequence - 1}" if self.sequence > 1 else None
        started_at = utc(2026, 1, self.sequence)
        with duckdb.connect(str(self.path)) as con:
            con.execute("delete from landing.run_context")
            con.execute(
                "insert into landing.run_context values"
                " (?, ?, ?, ?, ?, ?, ?, 'CNY', 'china', true, 'toy', 'Toy company', '玩具公司',"
                " ?, ?, 'test')",
                [
                    release_id,
                    self.sequence,
                    parent_id,
                    self.parent_as_of,
                    as_of,
                    is_rebuild,
                    is_refit,
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
            self._settle(con)
        self._carry_what_marts_hand_on()

    def _carry_what_marts_hand_on(self) -> None:
        """The fits and deadlines of the release before, as the warehouse brings them."""
        if self.sequence == 1:
            return
        marts = dict.fromkeys(MODEL_RUN_MARTS, ("model_runs", MODEL_RUN_COLUMNS))
        marts[DEADLINE_MART] = ("deadlines", DEADLINE_COLUMNS)
        with open_build(self.path, read_only=False) as con:
            built = con.execute(
                "select table_name from duckdb_tables() where database_name = 'marts'"
            ).fetchall()
            for table in ("model_runs", "deadlines"):
                con.execute(f"delete from landing.{table}")
            for mart, (table, columns) in marts.items():
                if (mart,) in built:
                    con.execute(
                        f"insert into landing.{table} select {', '.join(columns)} from marts.{mart}"
                    )

    def put(self, feed: str, rows: Iterable[Row]) -> None:
        """Upsert rows by key; a `*_at` column gives its business date where that is missing."""
        contract = CONTRACTS[feed]
        business_dates = {
            name: column.business_date
            for name, column in contract.columns.items()
            if column.business_date
        }
        with duckdb.connect(str(self.path)) as con:
            for row in rows:
                values = {"is_deleted": False, "_changed_in": self.sequence, **row}
                for at_column, on_column in business_dates.items():
                    if values.get(at_column):
                        day = (values[at_column] + timedelta(hours=8)).date()
                        values.setdefault(on_column, day)
                if feed in FEEDS_WITH_CUSTOMERS:
                    values["_customer_id"] = values["customer_id"]
                condition = " and ".join(f"{key} = ?" for key in contract.key)
                con.execute(
                    f"delete from landing.{feed} where {condition}",
                    [row[key] for key in contract.key],
                )
                con.execute(
                    f"insert into landing.{feed} ({', '.join(values)})"
                    f" values ({', '.join('?' * len(values))})",
                    list(values.values()),
                )
                if feed in HISTORY_FEEDS and values.get("updated_at"):
                    self._keep_version(con, feed, values)
            self._settle(con)

    def _keep_version(self, con: duckdb.DuckDBPyConnection, feed: str, values: Row) -> None:
        """The row as a version, its content's hash in both tables."""
        at = values["updated_at"]
        content = {**values, "_row_hash": hash(str(values)) % 2**63}
        condition = " and ".join(f"{key} = ?" for key in CONTRACTS[feed].key)
        con.execute(
            f"update landing.{feed} set _row_hash = ? where {condition}",
            [content["_row_hash"], *(values[key] for key in CONTRACTS[feed].key)],
        )
        content |= {"_updated_on": (at + timedelta(hours=8)).date(), "_landed_at": at}
        con.execute(
            f"insert into landing.{HISTORY_FEEDS[feed]} ({', '.join(content)})"
            f" values ({', '.join('?' * len(content))})",
            list(content.values()),
        )

    def put_control(self, table: str, row: Row) -> None:
        """Add a row to a table that accounts for landing."""
        with duckdb.connect(str(self.path)) as con:
            con.execute(
                f"insert into landing.{table} ({', '.join(row)})"
                f" values ({', '.join('?' * len(row))})",
                list(row.values()),
            )

    def delete(self, feed: str, *key: Any) -> None:
        """Leave a tombstone of the row, as a source's deletion does."""
        condition = " and ".join(f"{column} = ?" for column in CONTRACTS[feed].key)
        self.execute(
            f"update landing.{feed} set is_deleted = true, _changed_in = {self.sequence}"
            f" where {condition}",
            list(key),
        )

    def decide(self, entries: list[Identity]) -> None:
        """Make these the crosswalk; another crosswalk is a rebuild, where every row changed."""
        self.crosswalk = entries
        with duckdb.connect(str(self.path)) as con:
            write_identities(con, entries)
            con.execute("update landing.run_context set is_rebuild = true")
            for feed in FEEDS:
                con.execute(f"update landing.{feed} set _changed_in = {self.sequence}")
            for feed in (*FEEDS_WITH_CUSTOMERS, *HISTORY_FEEDS.values()):
                con.execute(f"update landing.{feed} set _customer_id = customer_id")
            for table in HISTORY_FEEDS.values():
                con.execute(f"update landing.{table} set _changed_in = {self.sequence}")
            self._settle(con)

    def execute(self, sql: str, parameters: list[Any] | None = None) -> None:
        """Run one statement on the file."""
        with duckdb.connect(str(self.path)) as con:
            con.execute(sql, parameters)

    def _settle(self, con: duckdb.DuckDBPyConnection) -> None:
        """What the warehouse derives from the landed rows: identities, rates, counts."""
        if self.crosswalk:
            for feed in FEEDS_WITH_CUSTOMERS:
                resolve_customers(con, feed, self.sequence)
            for feed, table in HISTORY_FEEDS.items():
                resolve_customers(con, feed, self.sequence, table)
        self._convert_currencies(con)
        con.execute("delete from landing.feeds")
        for feed in FEEDS:
            con.execute(
                f"insert into landing.feeds"
                f" select ?, ?, cast(null as date), count(*) from landing.{feed}",
                [feed, feed not in self.without_feeds],
            )

    def _convert_currencies(self, con: duckdb.DuckDBPyConnection) -> None:
        """The rate of every day up to the as-of date; rows whose rate changed count as changed."""
        con.execute("create temp table fx_days_before as from landing.fx_days")
        con.execute(
            f"""
            create or replace table landing.fx_days as
            select rates.currency, cast(days.day as date) as valid_on, rates.rate_on, rates.rate
            from (select distinct currency from landing.fx_rates) as currencies
            cross join (
                select unnest(generate_series(min(rate_on), date '{self.as_of}', interval 1 day))
                    as day
                from landing.fx_rates
            ) as days
            asof inner join (from landing.fx_rates where not is_deleted) as rates
                on currencies.currency = rates.currency and days.day >= rates.rate_on
            where date_diff('day', rates.rate_on, days.day) <= {FX_RATE_VALID_DAYS}
            """
        )
        for feed, contract in CONTRACTS.items():
            if contract.currency and contract.event_date:
                con.execute(
                    f"""
                    update landing.{feed} set _changed_in = {self.sequence}
                    where ({contract.currency}, {contract.event_date}) in (
                        select (currency, valid_on) from (
                            (from landing.fx_days except from fx_days_before)
                            union all
                            (from fx_days_before except from landing.fx_days)
                        )
                    )
                    """
                )
        con.execute("drop table fx_days_before")
