"""The build database of a candidate: landed rows by key, what changed, what is held, the ledger.

Schema ``landing`` holds one table a feed (the current version of every key), a table of versions
for the feeds of ``HISTORY_FEEDS``, and the control tables that the dbt models read: run_context,
releases, batches, ledger, quarantine, feeds, model_runs, deadlines.
"""

from __future__ import annotations

import fcntl
import shutil
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from customer_marts.casting import TOTAL_LINE
from customer_marts.deadlines import DeadlineSource, write_deadlines
from customer_marts.errors import DataError, MartsError
from customer_marts.feeds import FEEDS, Company, Contract, load_contract
from customer_marts.identity import (
    FEEDS_WITH_CUSTOMERS,
    Identity,
    resolve_customers,
    write_identities,
)
from customer_marts.landing import GONE, Batch, file_of_source, readings, reread_files
from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun
from customer_marts.settings import Settings
from customer_marts.sources.extract import SOURCE_COLUMN
from customer_marts.sql import literal

_FICLONE = 0x40049409

MARTS_FILE = "marts.duckdb"
# as profiles.yml has it: DuckDB 1.2 and later read it
MARTS_STORAGE_VERSION = "v1.2.0"

META_COLUMNS = {
    "_row_hash": "ubigint",
    "_source": "varchar",
    "_batch_id": "varchar",
    "_changed_in": "integer",
    "_held_reason": "varchar",
    "_waived": "varchar",
    "_waived_until": "date",
}

# feeds of which every version is kept, not the current one only -> the table that keeps them
HISTORY_FEEDS = {"customers": "customer_versions", "opportunities": "opportunity_versions"}
VERSION_COLUMNS = {
    "_row_hash": "ubigint",
    "_source": "varchar",
    "_batch_id": "varchar",
    "_changed_in": "integer",
    "_customer_id": "varchar",
    "_updated_on": "date",
    "_landed_at": "timestamp",
}

# a rate holds until the next one, over holidays too, but no longer than this
FX_RATE_VALID_DAYS = 10

WAIVER_EXPIRED = "waiver_expired"

_CONTROL_TABLES = """
create or replace table landing.releases (
    release_id varchar, release_sequence integer, parent_release_id varchar, run_id varchar,
    as_of date, started_at timestamp, code_version varchar, count_batches integer,
    is_rebuild boolean
);
create table if not exists landing.batches (
    feed varchar, batch_id varchar, landed_at timestamp, rows_pulled bigint,
    release_sequence integer, cursor_max varchar, source varchar, mapping varchar,
    control_rows bigint, control_amount decimal(38, 2), control_cursor varchar, is_replay boolean
);
create table if not exists landing.ledger (
    feed varchar, currency varchar, batch_id varchar, release_sequence integer,
    rows_pulled bigint, rows_accepted bigint, rows_quarantined bigint, rows_duplicate bigint,
    rows_superseded bigint, rows_held bigint,
    amount_pulled decimal(38, 2), amount_accepted decimal(38, 2),
    amount_quarantined decimal(38, 2), amount_duplicate decimal(38, 2),
    amount_superseded decimal(38, 2), amount_held decimal(38, 2),
    source_rows bigint, source_amount decimal(38, 2)
);
create table if not exists landing.quarantine (
    quarantine_id varchar, feed varchar, batch_id varchar, rule varchar, reason varchar,
    column_name varchar, value varchar, source varchar, row_key varchar, raw varchar,
    currency varchar, amount decimal(18, 2), owner varchar, first_seen_at timestamp,
    release_sequence integer, _row_hash ubigint
);
create table if not exists landing.quarantine_closed (
    quarantine_id varchar, feed varchar, rule varchar, row_key varchar, source varchar,
    owner varchar, currency varchar, amount decimal(18, 2), first_seen_at timestamp,
    batch_id varchar, closed_by varchar, decided_by varchar, decision_reason varchar,
    waived_until date, replay_batch_id varchar, release_sequence integer, _row_hash ubigint
);
create table if not exists landing.fx_days (
    currency varchar, valid_on date, rate_on date, rate decimal(18, 8)
);
"""


@dataclass(frozen=True)
class RunContext:
    """What a candidate is built for; one row in ``landing.run_context``.

    Raises ValueError for a release that goes on from none, yet is no rebuild.
    """

    release_id: str
    release_sequence: int
    parent_release_id: str | None
    parent_as_of: date | None
    as_of: date
    is_rebuild: bool
    is_refit: bool
    reporting_currency: str
    calendar: str | None
    is_small_or_medium: bool
    company: str
    company_name_en: str
    company_name_zh: str
    run_id: str
    started_at: datetime
    code_version: str

    def __post_init__(self) -> None:
        if self.parent_as_of is None and not self.is_rebuild:
            raise ValueError(f"{self.release_id} has no parent: it is a rebuild")

    @classmethod
    def of(
        cls,
        company: Company,
        name: str,
        *,
        release_id: str,
        release_sequence: int,
        parent_release_id: str | None,
        parent_as_of: date | None,
        as_of: date,
        is_rebuild: bool,
        is_refit: bool,
        run_id: str,
        started_at: datetime,
        code_version: str,
    ) -> RunContext:
        """The context of a run for the company whose file is called ``name``."""
        return cls(
            release_id=release_id,
            release_sequence=release_sequence,
            parent_release_id=parent_release_id,
            parent_as_of=parent_as_of,
            as_of=as_of,
            is_rebuild=is_rebuild,
            is_refit=is_refit,
            reporting_currency=company.reporting_currency,
            calendar=company.calendar,
            is_small_or_medium=company.is_small_or_medium,
            company=name,
            company_name_en=company.name.en,
            company_name_zh=company.name.zh,
            run_id=run_id,
            started_at=started_at,
            code_version=code_version,
        )

    def as_history(self, count_batches: int) -> dict[str, Any]:
        """The release as a row of ``landing.releases``, in the order of its columns."""
        return {
            "release_id": self.release_id,
            "release_sequence": self.release_sequence,
            "parent_release_id": self.parent_release_id,
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "started_at": self.started_at.isoformat(),
            "code_version": self.code_version,
            "count_batches": count_batches,
            "is_rebuild": self.is_rebuild,
        }


def marts_beside(build_database: Path) -> Path:
    """The marts of a build database: a file of their own, which a release gives to its readers."""
    return build_database.with_name(MARTS_FILE)


def open_build(build_database: Path, *, read_only: bool = True) -> Any:
    """A build database with its marts attached as ``marts``, the names that dbt's SQL knows."""
    import duckdb

    connection = duckdb.connect(str(build_database), read_only=read_only)
    options = "read_only" if read_only else f"storage_version '{MARTS_STORAGE_VERSION}'"
    connection.execute(f"attach {literal(str(marts_beside(build_database)))} as marts ({options})")
    return connection


def copy_database(source: Path, target: Path) -> None:
    """Copy a closed database file; shares blocks where the file system can (reflink)."""
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            return
        except OSError:
            pass
    shutil.copyfile(source, target)


def copy_build(source: Path, target: Path) -> Path:
    """Copy a closed build database and its marts; returns the copy."""
    copy_database(source, target)
    copy_database(marts_beside(source), marts_beside(target))
    return target


def connect(database: Path, settings: Settings, temp: Path, *, read_only: bool = False) -> Any:
    """Open a DuckDB file under the process's memory limit, in UTC."""
    import duckdb

    connection = duckdb.connect(str(database), read_only=read_only)
    connection.execute(f"set memory_limit = '{settings.memory_limit}'")
    connection.execute("set temp_directory = ?", [str(temp)])
    connection.execute("set timezone = 'UTC'")
    return connection


def apply_batches(
    connection: Any,
    company: Company,
    context: RunContext,
    batches: dict[str, list[Batch]],
    history: list[dict[str, Any]],
    crosswalk: list[Identity],
    model_runs: list[ModelRun],
    deadlines: DeadlineSource | None,
) -> dict[str, dict[str, int]]:
    """Bring the batches into schema ``landing`` and write the control tables.

    history: the releases on the chain, this one last (rows of ``landing.releases``). crosswalk:
    which customers count for which others. model_runs: the fits of earlier releases. deadlines:
    where it stands what they asked of people.

    Returns the count of accepted, duplicate, superseded, quarantined rows by feed. What stands in
    the end depends on the batches' contents and landing order only, not on how releases grouped
    them.
    """
    connection.execute("create schema if not exists landing")
    connection.execute(_CONTROL_TABLES)
    outcome: dict[str, dict[str, int]] = {}
    for feed in FEEDS:
        applier = _FeedApplier(connection, company, context, feed)
        applier.create_table()
        if batches.get(feed):
            outcome[feed] = applier.apply(batches[feed])
    write_identities(connection, crosswalk)
    if crosswalk:
        for feed in FEEDS_WITH_CUSTOMERS:
            resolve_customers(connection, feed, context.release_sequence)
        for feed, table in HISTORY_FEEDS.items():
            resolve_customers(connection, feed, context.release_sequence, table)
    for feed in FEEDS:
        _FeedApplier(connection, company, context, feed).hold(set(company.feeds))
    _count_held(connection)
    _convert_currencies(connection, context)
    _write_context(connection, company, context)
    _write_history(connection, history)
    _write_model_runs(connection, model_runs)
    write_deadlines(connection, deadlines)
    return outcome


class _FeedApplier:
    def __init__(self, connection: Any, company: Company, context: RunContext, feed: str) -> None:
        self.mapping = company.mapping_digest(feed) if feed in company.feeds else ""
        self.connection, self.company, self.context, self.feed = connection, company, context, feed
        self.contract: Contract = load_contract(feed)
        self.columns = {**self.contract.landed_columns, **META_COLUMNS}
        if feed in FEEDS_WITH_CUSTOMERS:
            self.columns["_customer_id"] = "varchar"
        self.key = [f'"{column}"' for column in self.contract.key]
        amount, currency = self.contract.amount, self.contract.currency
        self.amount = f'coalesce("{amount}", 0)' if amount else "0"
        reporting = f"'{context.reporting_currency}'"
        self.currency = f'coalesce("{currency}", {reporting})' if currency else reporting

    def create_table(self) -> None:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        self.connection.execute(f"create table if not exists landing.{self.feed} ({columns})")
        if self.feed in HISTORY_FEEDS:
            columns = ", ".join(
                f'"{name}" {kind}'
                for name, kind in {**self.contract.landed_columns, **VERSION_COLUMNS}.items()
            )
            self.connection.execute(
                f"create table if not exists landing.{HISTORY_FEEDS[self.feed]} ({columns})"
            )
        if self.contract.personal:
            clear = ", ".join(f'"{name}" varchar' for name in self.contract.personal)
            self.connection.execute("create schema if not exists restricted")
            self.connection.execute(
                f"create table if not exists restricted.{self.feed} (_row_hash ubigint, {clear})"
            )

    def apply(self, batches: list[Batch]) -> dict[str, int]:
        before = self._one(f"select count(*) from landing.{self.feed}")
        known = self.connection.execute(
            "select mapping, max(landed_at) from landing.batches where feed = ? group by 1",
            [self.feed],
        ).fetchall()
        self._readings = readings(
            [*known, *((batch.mapping, batch.landed_at) for batch in batches)], self.mapping
        )
        self._reread = reread_files(batches, self.mapping)
        self._read_incoming(batches)
        self._note_mended(batches)
        self._judge()
        if self.feed in HISTORY_FEEDS:
            self._keep_versions()
        keys = ", ".join(self.key)
        replaced = self._one(
            f"select count(*) from judged where verdict = 'accepted' and ({keys}) in "
            f"(select ({keys}) from landing.{self.feed})"
        )
        if replaced:
            self.connection.execute(
                f"delete from landing.{self.feed} where ({keys}) in "
                f"(select ({keys}) from judged where verdict = 'accepted')"
            )
        names = ", ".join(f'"{name}"' for name in self.contract.landed_columns)
        carried = f"{names}, _row_hash, _source, _batch_id, _waived, _waived_until"
        if "_customer_id" in self.columns:
            carried += ", customer_id as _customer_id"
        contested = "incoming.contested" if self._contested else "false"
        fresh = f"from incoming where not {contested}"
        judged = "from judged where verdict = 'accepted'"
        for rows in [fresh, judged] if self._contested else [fresh]:
            self.connection.execute(
                f"""
                insert into landing.{self.feed} by name
                select {carried}, {self.context.release_sequence} as _changed_in {rows}
                """
            )
        if self._contested:
            same = " and ".join(f"rows.{key} = judged.{key}" for key in self.key)
            # the newest copy's file ranks the row, however releases grouped the batches
            self.connection.execute(
                f"""
                update landing.{self.feed} as rows set _source = judged._source
                from judged where judged.stands and judged.verdict = 'duplicate' and {same}
                """
            )
        counts = self._write_ledger(batches)
        after = self._one(f"select count(*) from landing.{self.feed}")
        if after != before + counts["accepted"] - replaced:
            raise MartsError(
                f"the landed table has {after} rows, the ledger says "
                f"{before} + {counts['accepted']} - {replaced}",
                where=f"feed {self.feed}",
                kept="the last release stands; the candidate is discarded",
                todo="this is a fault of the program: report it with the batches' manifests",
            )
        self._read_quarantine(batches)
        self._close_quarantine(batches)
        if self.contract.personal:
            self._read_restricted(batches)
        for table in ("incoming", "judged", "mended_contents"):
            self.connection.execute(f"drop table {table}")
        return counts

    def _read_incoming(self, batches: list[Batch]) -> None:
        parts = " union all by name ".join(
            f"select *, '{batch.batch_id}' as _batch_id, {number} as _batch_no, "
            f"{self._readings.index(batch.mapping)} as _reading, "
            f"{self._read_again(batch)} as _read_again, "
            f"timezone('UTC', timestamptz '{batch.manifest['landed_at']}') as _landed_at "
            f"from read_parquet('{batch.data}')"
            for number, batch in enumerate(batches)
        )
        keys = ", ".join(self.key)
        names = ", ".join(f'"{name}"' for name in self.contract.landed_columns)
        # a batch that landed before a column was contracted does not have it
        self.connection.execute(
            f"create temp table incoming as select {names} from landing.{self.feed} where false "
            f"union all by name {parts}"
        )
        doubled = self._one(f"select count(*) - count(distinct ({keys})) from incoming")
        known = self._one(
            f"select count(*) from incoming semi join landing.{self.feed} using ({keys})"
        )
        again = self._one("select count(*) from incoming where _read_again")
        self._contested = bool(doubled or known or again)
        if not self._contested:
            return
        self.connection.execute("alter table incoming add column contested boolean default false")
        self.connection.execute(
            f"""
            update incoming set contested = true
            where _read_again or ({keys}) in (
                select ({keys}) from incoming group by {keys} having count(*) > 1
                union all
                select ({keys}) from landing.{self.feed} semi join incoming using ({keys})
            )
            """
        )

    def _reading_of(self, mapping: str) -> str:
        """SQL: the place of a mapping among the readings, the present one's being the last."""
        cases = " ".join(
            f"when '{digest}' then {number}" for number, digest in enumerate(self._readings)
        )
        return f"case {mapping} {cases} end"

    def _read_again(self, batch: Batch, column: str = SOURCE_COLUMN) -> str:
        """SQL: whether a row of the batch comes from a file that was read again under a mapping
        that came after. column: the one that tells the row's place.
        """
        files = self._reread.get(batch.batch_id)
        if files is None:
            return "false"
        if len(files) == len(batch.manifest["files"]):
            return "true"  # also where a query joined them and no row names its own
        names = ", ".join(literal(name) for name in files)
        # one that could not be split into columns has a line, or a row of a sheet
        file = f"regexp_replace({column}, ':(record|line|row) [^:]*$', '')"
        return f"{file} in ({names})"

    def _note_mended(self, batches: list[Batch]) -> None:
        """Contents that a person has replaced: the source's unchanged row does not come back."""
        hashes = [(item["row_hash"],) for batch in batches for item in batch.manifest["replays"]]
        self.connection.execute(
            f"""
            create or replace temp table mended_contents as
            select distinct _row_hash from landing.quarantine_closed
            where feed = '{self.feed}' and closed_by <> 'source'
            """
        )
        if hashes:
            self.connection.executemany("insert into mended_contents values (?)", hashes)

    def _judge(self) -> None:
        """Of all versions of a key, one stands: of those read under the last mapping, the latest
        updated_at, then the later file, then the later batch and row. Its exact copies are
        duplicates, the others superseded; and so is, with or without a successor, what an earlier
        mapping made of a file that was read again.
        """
        keys = ", ".join(self.key)
        names = ", ".join(f'"{name}"' for name in self.contract.landed_columns)
        if not self._contested:
            self.connection.execute(
                "create temp table judged as "
                "select *, false as stands, '' as verdict from incoming limit 0"
            )
            return
        self.connection.execute(
            f"""
            create temp table judged as
            with versions as (
                select {names}, _row_hash, _source, _batch_id, _waived, _waived_until, _batch_no,
                    _row, _reading, _read_again, false as is_current
                from incoming where contested
                union all
                select {names}, _row_hash, _source, _batch_id, _waived, _waived_until, -1, 0,
                    known._reading, false, true
                from landing.{self.feed} semi join incoming using ({keys})
                left join (
                    select batch_id as _batch_id, {self._reading_of("mapping")} as _reading
                    from landing.batches where feed = '{self.feed}'
                ) as known using (_batch_id)
            ),
            ranked as (
                select *, row_number() over (
                    partition by {keys}
                    order by
                        _read_again,
                        _row_hash in (select _row_hash from mended_contents),
                        -- a row outranks what an earlier mapping made of it
                        _reading desc, updated_at desc nulls last, {file_of_source()} desc,
                        _batch_no desc, _row desc
                ) as version_no
                from versions
            ),
            copies as (
                select *,
                    min(version_no) over copies_of_one = 1 as is_latest,
                    -- the first to bring a content keeps it, in whatever groups batches are applied
                    row_number() over (
                        copies_of_one order by is_current desc, _batch_no, _row
                    ) as copy_no
                from ranked
                -- the same texts under another mapping are another content
                window copies_of_one as (
                    partition by {keys}, _row_hash, _reading, _read_again
                )
            )
            select
                * exclude (copy_no, version_no, is_latest, is_current),
                version_no = 1 and not _read_again as stands,
                case
                    when copy_no > 1 then 'duplicate'
                    when is_latest and not _read_again then 'accepted'
                    else 'superseded'
                end as verdict
            from copies
            where not is_current
            """
        )

    def _keep_versions(self) -> None:
        """Every content that carries the source's update time is kept once, also a superseded one;
        the first batch to bring it counts, however releases grouped the batches. What an earlier
        mapping made of a version gives way to what the last one makes of it.

        ``_updated_on`` is the business date from which it holds: that of the update; of a deletion
        that was found by comparing keys, which carries its last update's time, the landing's.
        """
        table = HISTORY_FEEDS[self.feed]
        names = ", ".join(f'"{name}"' for name in self.contract.landed_columns)
        same = " and ".join(
            f"known.{column} = incoming.{column}"
            for column in (*self.key, "updated_at", "_row_hash")
        )
        same_key = " and ".join(f"later.{column} = incoming.{column}" for column in self.key)
        moment = f"case when _source like '%{GONE}' then _landed_at else updated_at end"
        local = f"timezone('{self.company.time_zone}', timezone('UTC', {moment}))"
        shift = f"interval {int(self.company.day_shift.total_seconds())} second"
        self.connection.execute(
            f"""
            insert into landing.{table} by name
            select {names}, _row_hash, _source, _batch_id, customer_id as _customer_id,
                {self.context.release_sequence} as _changed_in, _landed_at,
                cast({local} + {shift} as date) as _updated_on
            from incoming
            where updated_at is not null and not _read_again
                and not exists (select 1 from landing.{table} as known where {same})
                and not exists (
                    select 1 from incoming as later
                    where later._reading > incoming._reading
                        and later.is_deleted = incoming.is_deleted
                        and {same_key} and (
                            later._row_hash = incoming._row_hash
                            or later.updated_at = incoming.updated_at
                        )
                )
            qualify row_number() over (
                partition by {", ".join(self.key)}, updated_at, _row_hash order by _batch_no, _row
            ) = 1
            """
        )

    def _write_ledger(self, batches: list[Batch]) -> dict[str, int]:
        rows = self.connection.execute(
            f"""
            select _batch_id, {self.currency}, verdict, count(*), sum({self.amount})
            from judged where verdict in ('duplicate', 'superseded') group by all
            """
        ).fetchall()
        judged = {(batch, code, verdict): (n, total) for batch, code, verdict, n, total in rows}
        nothing = (0, Decimal(0))
        totals = {"accepted": 0, "duplicate": 0, "superseded": 0, "quarantined": 0}
        ledger, listed = [], []
        for batch in batches:
            for line in batch.manifest["ledger"]:
                code = line["currency"]
                copies, copies_amount = judged.get((batch.batch_id, code, "duplicate"), nothing)
                older, older_amount = judged.get((batch.batch_id, code, "superseded"), nothing)
                accepted = line["rows_accepted"] - copies - older
                ledger.append(
                    (
                        self.feed,
                        code,
                        batch.batch_id,
                        self.context.release_sequence,
                        line["rows_pulled"],
                        accepted,
                        line["rows_quarantined"],
                        copies,
                        older,
                        0,
                        Decimal(line["amount_pulled"]),
                        Decimal(line["amount_accepted"]) - copies_amount - older_amount,
                        Decimal(line["amount_quarantined"]),
                        copies_amount,
                        older_amount,
                        Decimal(0),
                        line["source_rows"],
                        None if line["source_amount"] is None else Decimal(line["source_amount"]),
                    )
                )
                totals["accepted"] += accepted
                totals["duplicate"] += copies
                totals["superseded"] += older
                totals["quarantined"] += line["rows_quarantined"]
            manifest = batch.manifest
            listed.append(
                (
                    self.feed,
                    batch.batch_id,
                    batch.landed_at,
                    manifest["rows"]["pulled"],
                    self.context.release_sequence,
                    manifest["cursor"],
                    manifest["source"],
                    manifest["mapping"],
                    manifest["control_rows"],
                    manifest["control_amount"],
                    manifest["control_cursor"],
                    bool(manifest["replays"]),
                )
            )
        marks = ", ".join("?" * 18)
        if ledger:
            self.connection.executemany(f"insert into landing.ledger values ({marks})", ledger)
        self.connection.executemany(
            f"insert into landing.batches values ({', '.join('?' * 12)})", listed
        )
        return totals

    def _read_quarantine(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.connection.execute(
                f"""
                insert into landing.quarantine
                select
                    {_quarantine_id(self.feed, "rule", "_row_hash")},
                    '{self.feed}', '{batch.batch_id}', rule, reason, column_name, value, source,
                    row_key, raw, currency, amount, owner,
                    cast('{batch.manifest["landed_at"]}' as timestamptz),
                    {self.context.release_sequence}, _row_hash
                from read_parquet('{batch.quarantine}')
                """
            )

    def _close_quarantine(self, batches: list[Batch]) -> None:
        """A row that was replayed, or whose key a later batch brought right or in another faulty
        version, is closed; the same faulty row pulled again is listed once, and not again after it
        was closed.
        """
        sequence = self.context.release_sequence
        replays = [
            (
                item["quarantine_id"],
                self.feed,
                item["rule"],
                item["row_key"],
                item["origin_source"],
                item["owner"],
                item["currency"],
                item["amount"],
                item["first_seen_at"],
                item["origin_batch_id"],
                "fix" if item["action"] == "fix" else "waiver",
                item["by"],
                item["reason"],
                item["waived_until"],
                batch.batch_id,
                sequence,
                item["row_hash"],
            )
            for batch in batches
            for item in batch.manifest["replays"]
        ]
        if replays:
            marks = ", ".join("?" * len(replays[0]))
            self.connection.executemany(
                f"insert into landing.quarantine_closed values ({marks})", replays
            )
        key = ", ".join(f"cast(rows.{column} as varchar)" for column in self.key)
        self.connection.execute(
            f"""
            create or replace temp table mended as
            select faulty.rowid as row_no, origin.landed_at
            from landing.quarantine as faulty
            inner join landing.batches as origin using (feed, batch_id)
            inner join (
                select concat_ws('/', {key}) as row_key, batches.landed_at
                from landing.{self.feed} as rows
                inner join landing.batches
                    on batches.feed = '{self.feed}' and batches.batch_id = rows._batch_id
                where not batches.is_replay
            ) as better on better.row_key = faulty.row_key and better.landed_at > origin.landed_at
            where feed = '{self.feed}' and rule not in ({_held_rules()})
            """
        )
        self._mend_outdated(batches)
        self._mend_misread(batches)
        self.connection.execute(
            f"""
            insert into landing.quarantine_closed
            select quarantine_id, feed, rule, row_key, source, owner, currency, amount,
                first_seen_at, batch_id, 'source', null, null, null, null, {sequence}, _row_hash
            from landing.quarantine as faulty
            inner join mended on faulty.rowid = mended.row_no
            where quarantine_id not in (select quarantine_id from landing.quarantine_closed)
            qualify row_number() over (
                partition by quarantine_id order by mended.landed_at, batch_id
            ) = 1
            """
        )
        # a fault that comes back after the source had mended it is a new one
        self.connection.execute(
            f"""
            delete from landing.quarantine where feed = '{self.feed}' and (
                rowid in (select row_no from mended)
                or quarantine_id in (
                    select quarantine_id from landing.quarantine_closed
                    where closed_by <> 'source'
                )
            )
            """
        )
        self.connection.execute(
            f"""
            create or replace temp table seen_again as
            select
                faulty.rowid as row_no,
                min(first_seen_at) over same_row as first_seen_at,
                row_number() over (
                    -- as it is read now: a decision on it must fit the present company file
                    same_row order by {self._reading_of("origin.mapping")} desc nulls last,
                        first_seen_at, row_no
                ) as copy_no
            from landing.quarantine as faulty
            left join landing.batches as origin using (feed, batch_id)
            where feed = '{self.feed}'
            window same_row as (partition by quarantine_id)
            """
        )
        self.connection.execute(
            "delete from landing.quarantine "
            "where rowid in (select row_no from seen_again where copy_no > 1)"
        )
        self.connection.execute(
            """
            update landing.quarantine as faulty set first_seen_at = seen_again.first_seen_at
            from seen_again
            where faulty.rowid = seen_again.row_no
                and faulty.first_seen_at <> seen_again.first_seen_at
            """
        )
        for name in ("mended", "seen_again"):
            self.connection.execute(f"drop table {name}")

    def _mend_outdated(self, batches: list[Batch]) -> None:
        """Note as mended the faulty version of a row of which a later pull brought another one,
        faulty too, and that one no more. Rows without a key of their own are nobody's version.
        """
        pulls = ", ".join(
            literal(batch.batch_id) for batch in batches if not batch.manifest["replays"]
        )
        if not pulls:
            return
        keys = ", ".join(map(literal, self.contract.key))
        self.connection.execute(
            f"""
            insert into mended
            with faulty as (
                select
                    quarantine.rowid as row_no, quarantine_id, batch_id, row_key, batches.landed_at
                from landing.quarantine
                inner join landing.batches using (feed, batch_id)
                where feed = '{self.feed}' and rule not in ({_held_rules()}, '{TOTAL_LINE}')
                    and row_key <> '' and (
                        rule = 'key_conflict' or coalesce(column_name, '') not in ({keys})
                    )
            )
            select faulty.row_no, max(later.landed_at)
            from faulty
            inner join faulty as later
                on later.row_key = faulty.row_key and later.landed_at > faulty.landed_at
            where later.batch_id in ({pulls}) and faulty.row_no not in (select row_no from mended)
                and not exists (
                    select 1 from faulty as same
                    where same.batch_id = later.batch_id
                        and same.quarantine_id = faulty.quarantine_id
                )
            group by 1
            """
        )

    def _mend_misread(self, batches: list[Batch]) -> None:
        """Note as mended what an earlier mapping found faulty in a file in which a later one finds
        it no more.
        """
        misread = [
            f"(batch_id = '{batch.batch_id}' and {self._read_again(batch, 'source')})"
            for batch in batches
            if batch.batch_id in self._reread
        ]
        if not misread:
            return
        self.connection.execute(
            f"""
            insert into mended
            with origins as (
                select batch_id, landed_at, {self._reading_of("mapping")} as reading
                from landing.batches where feed = '{self.feed}'
            ),
            listed as (
                select quarantine.rowid as row_no, quarantine_id, batch_id, source, reading
                from landing.quarantine inner join origins using (batch_id)
                where feed = '{self.feed}'
            )
            select row_no, (select max(landed_at) from origins where reading > listed.reading)
            from listed
            where ({" or ".join(misread)}) and row_no not in (select row_no from mended)
                and not exists (
                    select 1 from listed as later
                    where later.quarantine_id = listed.quarantine_id
                        and later.reading > listed.reading
                )
            """
        )

    def _read_restricted(self, batches: list[Batch]) -> None:
        for batch in batches:
            if batch.restricted.exists():
                self.connection.execute(
                    f"insert into restricted.{self.feed} by name "
                    f"select * from read_parquet('{batch.restricted}')"
                )

    def hold(self, configured: set[str]) -> None:
        """Hold rows whose reference is unknown or whose waiver has ended, and free the others.

        Only rows that changed, that are held or waived, or whose parent is held now are looked at:
        a parent never disappears (a deleted one stays as a tombstone). The first reason in the
        contract's order counts, so that it does not hang on which came first.
        """
        sequence = self.context.release_sequence
        candidates = [
            f"rows._changed_in = {sequence}",
            "rows._held_reason is not null",
            "rows._waived_until is not null",
        ]
        reasons = []
        for reference in self.contract.references:
            if reference.feed not in configured:
                continue
            parent_key = load_contract(reference.feed).key[0]
            # a row refers to the customer it counts for
            moved = reference.column == "customer_id" and "_customer_id" in self.columns
            column = f'rows."{"_customer_id" if moved else reference.column}"'
            candidates.append(
                f'{column} in (select "{parent_key}" from landing.{reference.feed} '
                "where _held_reason is not null)"
            )
            reasons.append(
                f"when {column} is not null and not exists ("
                f"select 1 from landing.{reference.feed} as parents "
                f'where parents."{parent_key}" = {column} and parents._held_reason is null) '
                f"then '{reference.rule}'"
            )
        reasons.append(
            f"when rows._waived_until < date '{self.context.as_of}' then '{WAIVER_EXPIRED}'"
        )
        self.connection.execute(
            f"""
            create or replace temp table reasons as
            select rows.rowid as row_no,
                case when rows.is_deleted then null {" ".join(reasons)} end as reason
            from landing.{self.feed} as rows
            where {" or ".join(candidates)}
            """
        )
        self.connection.execute(
            f"""
            update landing.{self.feed} as rows
            set _held_reason = reasons.reason, _changed_in = {sequence}
            from reasons
            where rows.rowid = reasons.row_no
                and rows._held_reason is distinct from reasons.reason
            """
        )
        self.connection.execute("drop table reasons")
        self._list_held()

    def _list_held(self) -> None:
        """Held rows stand in the quarantine for as long as they are held."""
        # as texts: a number in JSON would come back as a double
        columns = ", ".join(
            f'cast(rows."{name}" as varchar) as "{name}"'
            for name in (*self.contract.all_columns, "_waived", "_waived_until")
        )
        key = " || '/' || ".join(f"cast(rows.{column} as varchar)" for column in self.key)
        value = " ".join(
            f"when '{reference.rule}' then rows.\"{reference.column}\""
            for reference in self.contract.references
        )
        column = " ".join(
            f"when '{reference.rule}' then '{reference.column}'"
            for reference in self.contract.references
        )
        self.connection.execute(
            "delete from landing.quarantine "
            f"where feed = '{self.feed}' and rule in ({_held_rules()})"
        )
        self.connection.execute(
            f"""
            insert into landing.quarantine
            select
                {_quarantine_id(self.feed, "rows._held_reason", "rows._row_hash")},
                '{self.feed}', rows._batch_id, rows._held_reason,
                case rows._held_reason
                    when '{WAIVER_EXPIRED}' then 'its waiver has expired / 豁免已到期'
                    else 'the referenced row is not known yet; the row waits for it / '
                        '引用的记录尚未出现'
                end,
                case rows._held_reason {column} when '{WAIVER_EXPIRED}' then null end,
                case rows._held_reason {value} when '{WAIVER_EXPIRED}' then rows._waived end,
                rows._source, {key},
                (select cast(to_json(t) as varchar) from (select {columns}) as t),
                {self.currency}, cast({self.amount} as decimal(18, 2)),
                '{self.contract.owner}', batches.landed_at, batches.release_sequence,
                rows._row_hash
            from landing.{self.feed} as rows
            inner join landing.batches
                on batches.feed = '{self.feed}' and rows._batch_id = batches.batch_id
            where rows._held_reason is not null
            """
        )

    def _one(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0])


def _count_held(connection: Any) -> None:
    connection.execute("update landing.ledger set rows_held = 0, amount_held = 0")
    connection.execute(
        f"""
        update landing.ledger
        set rows_held = held.held_rows, amount_held = held.held_amount
        from (
            select feed, batch_id, currency, count(*) as held_rows,
                sum(coalesce(amount, 0)) as held_amount
            from landing.quarantine where rule in ({_held_rules()}) group by all
        ) as held
        where ledger.feed = held.feed and ledger.batch_id = held.batch_id
            and ledger.currency = held.currency
        """
    )


def _convert_currencies(connection: Any, context: RunContext) -> None:
    """Table ``landing.fx_days``: which rate holds on which day. Rows whose rate changed count as
    changed. Raises DataError when a released row has no rate on its business day.
    """
    connection.execute("create temp table fx_days_before as from landing.fx_days")
    connection.execute("delete from landing.fx_days")
    connection.execute(
        f"""
        insert into landing.fx_days
        with rates as (
            select currency, rate_on, rate,
                least(
                    date '{context.as_of}',
                    rate_on + {FX_RATE_VALID_DAYS},
                    coalesce(
                        lead(rate_on) over (partition by currency order by rate_on) - 1,
                        date '9999-12-31'
                    )
                ) as valid_until
            from landing.fx_rates
            where not is_deleted and rate_on <= date '{context.as_of}'
        )
        select currency,
            cast(unnest(generate_series(rate_on, valid_until, interval 1 day)) as date),
            rate_on, rate
        from rates
        """
    )
    connection.execute(
        """
        create temp table fx_days_changed as
        select distinct currency, valid_on from (
            (from landing.fx_days except from fx_days_before)
            union all
            (from fx_days_before except from landing.fx_days)
        )
        """
    )
    missing = []
    for feed in FEEDS:
        contract = load_contract(feed)
        if contract.currency is None or contract.event_date is None:
            continue
        foreign = f"{contract.currency} <> '{context.reporting_currency}'"
        on_day = f"(rows.{contract.currency}, rows.{contract.event_date})"
        connection.execute(
            f"""
            update landing.{feed} as rows set _changed_in = {context.release_sequence}
            where {foreign} and {on_day} in (select (currency, valid_on) from fx_days_changed)
            """
        )
        missing += [
            f"  - {feed}: {count} rows in {code}, {first} to {last}"
            for code, count, first, last in connection.execute(
                f"""
                select {contract.currency}, count(*), min({contract.event_date}),
                    max({contract.event_date})
                from landing.{feed} as rows
                where {foreign} and not is_deleted and _held_reason is null
                    and {contract.event_date} <= date '{context.as_of}'
                    and {on_day} not in (select (currency, valid_on) from landing.fx_days)
                group by 1 order by 1
                """
            ).fetchall()
        ]
    connection.execute("drop table fx_days_before")
    connection.execute("drop table fx_days_changed")
    if missing:
        raise DataError(
            "exchange rates are missing:\n" + "\n".join(missing),
            where=f"feed fx_rates; a rate holds for {FX_RATE_VALID_DAYS} days at most",
            kept="everything landed; the last release stands",
            todo="deliver the rates of these days, then run again",
        )


def held_rules() -> set[str]:
    """Rules whose rows have landed and wait, instead of being left out of the batch."""
    rules = {reference.rule for feed in FEEDS for reference in load_contract(feed).references}
    return {*rules, WAIVER_EXPIRED}


def _held_rules() -> str:
    return ", ".join(f"'{rule}'" for rule in sorted(held_rules()))


def _quarantine_id(feed: str, rule: str, row_hash: str) -> str:
    """SQL of a case's id: the same faulty row is the same case, however often it is pulled."""
    return f"left(md5('{feed}/' || {rule} || '/' || {row_hash}), 10)"


def _write_history(connection: Any, history: list[dict[str, Any]]) -> None:
    connection.executemany(
        "insert into landing.releases values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [[value for name, value in release.items() if name != "batches"] for release in history],
    )


def _write_model_runs(connection: Any, runs: list[ModelRun]) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in MODEL_RUN_COLUMNS.items())
    connection.execute(f"create or replace table landing.model_runs ({columns})")
    if runs:
        connection.executemany(
            f"insert into landing.model_runs values ({', '.join('?' * len(MODEL_RUN_COLUMNS))})",
            [[getattr(run, name) for name in MODEL_RUN_COLUMNS] for run in runs],
        )


def _write_context(connection: Any, company: Company, context: RunContext) -> None:
    connection.execute(
        """
        create or replace table landing.run_context (
            release_id varchar, release_sequence integer, parent_release_id varchar,
            parent_as_of date, as_of date, is_rebuild boolean, is_refit boolean,
            reporting_currency varchar, calendar varchar, is_small_or_medium boolean,
            company varchar, company_name_en varchar, company_name_zh varchar,
            run_id varchar, started_at timestamp, code_version varchar
        )
        """
    )
    values = list(vars(context).values())
    connection.execute(
        f"insert into landing.run_context values ({', '.join('?' * len(values))})", values
    )
    parts = []
    for feed in FEEDS:
        event = load_contract(feed).event_date
        through = f"max({event}) filter (where {event} <= date '{context.as_of}')"
        parts.append(
            f"select '{feed}' as feed, {str(feed in company.feeds).lower()} as is_configured, "
            f"cast({through if event else 'null'} as date) as data_through, "
            f"count(*) as count_rows from landing.{feed} where _held_reason is null"
        )
    connection.execute("create or replace table landing.feeds as " + " union all ".join(parts))
