"""Landing: a pull becomes an immutable batch, its faulty rows beside the accepted ones.

``landing/<feed>/<batch_id>/`` holds ``data.parquet`` (accepted rows, typed by the contract),
``quarantine.parquet`` (faulty rows with rule, reason and raw values), ``manifest.json`` and, for
a feed with personal data, ``restricted.parquet``: the one place where they stand in clear.
The id is the hash of what was pulled and how it was read: the same input is the same batch. A
batch appears by one rename and never changes; its gate verdict is a file beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from customer_marts.casting import Casting, Fault, masked
from customer_marts.errors import BatchFault, ConfigurationError, MartsError
from customer_marts.feeds import Company, Contract, FeedMapping, load_contract
from customer_marts.gates.rules import row_rules
from customer_marts.settings import EXPECTATIONS_DIR, Settings, StatePaths
from customer_marts.sources.extract import (
    SOURCE_COLUMN,
    Extract,
    SeenFile,
    Watermark,
    check_columns,
    total_stated,
)
from customer_marts.sql import PARQUET, identifier, literal, trim, trimmed

LEDGER_STATES = ("pulled", "accepted", "quarantined")

# ends the place of a row that was found gone; a record's number stands there otherwise
GONE = ":record gone"

# raised when batches that landed before cannot be read any more
MANIFEST_FORMAT = 2


@dataclass(frozen=True)
class Batch:
    """A landed batch, as its manifest tells it."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def batch_id(self) -> str:
        return str(self.manifest["batch_id"])

    @property
    def feed(self) -> str:
        return str(self.manifest["feed"])

    @property
    def mapping(self) -> str:
        """Digest of the mapping it was read under."""
        return str(self.manifest["mapping"])

    @property
    def landed_at(self) -> datetime:
        """The moment it landed, UTC, without zone as the build database has it."""
        return datetime.fromisoformat(self.manifest["landed_at"]).replace(tzinfo=None)

    @property
    def data(self) -> Path:
        return self.folder / "data.parquet"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine.parquet"

    @property
    def restricted(self) -> Path:
        return self.folder / "restricted.parquet"

    @property
    def has_rows_to_judge(self) -> bool:
        """Whether any accepted row is there to be judged, neither deleted nor waived."""
        return bool(self.manifest["rows_to_judge"])

    @property
    def verdict_file(self) -> Path:
        return self.folder.with_name(f"{self.batch_id}.gate.json")

    @property
    def verdict(self) -> dict[str, Any] | None:
        """The gate's verdict on this batch under the suites as they are now, if it was judged."""
        try:
            verdict: dict[str, Any] = json.loads(self.verdict_file.read_text("utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # cut short by a crash: judge again
            return None
        return verdict if verdict["suite"] == suite_digest(self.feed) else None


def suite_path(feed: str) -> Path:
    """Gate ①'s suite of a feed."""
    return EXPECTATIONS_DIR / "landing" / f"{feed}.json"


def suite_digest(feed: str) -> str:
    """Identifies suite and contract as they are now: a verdict under others does not count."""
    contract = load_contract(feed).model_dump_json()
    return hashlib.sha256(suite_path(feed).read_bytes() + contract.encode()).hexdigest()[:16]


def landed_batches(paths: StatePaths, feed: str) -> list[Batch]:
    """All batches of a feed, in the order they landed."""
    folder = paths.landing / feed
    if not folder.is_dir():
        return []
    batches = [
        Batch(item.parent, json.loads(item.read_text("utf-8")))
        for item in folder.glob("*/manifest.json")
        if not item.parent.name.startswith(".")
    ]
    for batch in batches:
        if batch.manifest.get("format") != MANIFEST_FORMAT:
            raise ConfigurationError(
                "a batch was landed by another version of customer-marts",
                where=str(batch.folder),
                kept="everything as it is",
                todo="move the state folder away; the next run pulls everything anew",
            )
    return sorted(batches, key=lambda batch: (batch.manifest["landed_at"], batch.batch_id))


def watermark(batches: list[Batch], mapping_digest: str, paths: StatePaths) -> Watermark:
    """What ``batches`` (those of the last release) have of a feed read in the present way."""
    same = [batch.manifest for batch in batches if batch.manifest["mapping"] == mapping_digest]
    cursors = [item["cursor"] for item in same if item["cursor"] is not None]
    files = {file["path"]: SeenFile(**file) for item in same for file in item["files"]}
    numeric = bool(cursors) and all(cursor.lstrip("-").isdigit() for cursor in cursors)
    compared = [item["reconciled_on"] for item in same if item["reconciled_on"]]
    if batches:
        # comparing keys without finding anything lands no batch; the note of it may be lost
        note = _reconciled_note(paths, batches[0].feed)
        compared += [note.read_text("utf-8").strip()] if note.exists() else []
    return Watermark(
        cursor=max(cursors, key=int) if numeric else max(cursors, default=None),
        files=files,
        types=next((item["types"] for item in reversed(same) if item["types"]), {}),
        reconciled_on=date.fromisoformat(max(compared)) if compared else None,
    )


def reread_note(paths: StatePaths, feed: str) -> Path:
    """A note that the next pull of ``feed`` must read everything the source has."""
    return paths.landing / feed / ".reread"


def _reconciled_note(paths: StatePaths, feed: str) -> Path:
    return paths.landing / feed / ".reconciled"


@contextmanager
def feed_work_folder(paths: StatePaths, feed: str) -> Iterator[Path]:
    """A private folder for one pull of ``feed``; one pull of a feed at a time. What a killed pull
    left behind is removed here, under the feed's lock.
    """
    folder = paths.landing / feed
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = folder / ".work"
        if work.exists():
            shutil.rmtree(work)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def land(
    settings: Settings,
    company: Company,
    feed: str,
    extract: Extract,
    work: Path,
    released: Path | None,
    today: date,
    applied: list[str] | None = None,
) -> Batch | None:
    """Type the pulled rows, split off the faulty ones and put the batch in place.

    released: the last release's build database, to recognise a pull that brings nothing new
    (then None is returned and nothing lands). today: the day on which waivers of rules are
    judged. applied: ids of the feed's batches in that release, in order. Raises BatchFault on a
    schema change or when the faults exceed the contract's budget.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{settings.memory_limit}'")
        connection.execute("set temp_directory = ?", [str(work)])
        connection.execute("set timezone = 'UTC'")
        landing = _Landing(settings, company, feed, extract, work, connection)
        return landing.run(released, today, applied or [])


class _Landing:
    def __init__(
        self,
        settings: Settings,
        company: Company,
        feed: str,
        extract: Extract,
        work: Path,
        connection: Any,
    ) -> None:
        self.paths, self.company, self.feed = settings.paths, company, feed
        self.extract, self.work, self.connection = extract, work, connection
        self.contract: Contract = load_contract(feed)
        self.mapping: FeedMapping = extract.mapping or company.feeds[feed]
        zone = company.sources[self.mapping.source].time_zone or company.time_zone
        self.casting = Casting(
            company, self.contract, self.mapping, "UTC" if extract.mapping else zone
        )
        # personal columns that the source gives
        self.personal = {
            name: kind
            for name, kind in self.contract.personal.items()
            if name in self.mapping.columns
        }

    def run(self, released: Path | None, today: date, applied: list[str]) -> Batch | None:
        unmapped = self.extract.unmapped + check_columns(
            self.feed, self.mapping, self._raw_columns()
        )
        self._check_controls()
        faults = self._stage(today)
        tombstones = self._append_tombstones(released) if self.extract.keys and released else 0
        self._mark_conflicts(faults)
        has_news = self.extract.files or self.extract.replays or tombstones
        if released and not has_news and not self._brings_news(released):
            if self.extract.keys:
                _reconciled_note(self.paths, self.feed).write_text(str(today), "utf-8")
            return None
        batch_id = self._batch_id()
        # contents that came before, then others, and now come back are a batch of their own
        if batch_id in applied and (released or self.extract.files):
            batch_id = _digest(batch_id, applied[-1])
        target = self.paths.landing / self.feed / batch_id
        if target.exists():
            return Batch(target, json.loads((target / "manifest.json").read_text("utf-8")))
        staging = self.work / batch_id
        staging.mkdir()
        self._write_rows(staging, faults)
        manifest = self._manifest(batch_id, staging, unmapped, tombstones)
        manifest["reconciled_on"] = today if self.extract.keys and released else None
        if self.extract.replays:
            self._check_replay(staging)
        else:
            self._check_budget(manifest, staging)
        if self.extract.pages:
            target_pages = staging / "raw.jsonl.gz"
            shutil.move(self.extract.pages, target_pages)
            target_pages.chmod(0o600)
        text = json.dumps(manifest, ensure_ascii=False, indent=1, default=str)
        (staging / "manifest.json").write_text(text, "utf-8")
        _sync_tree(staging)
        staging.rename(target)
        sync_folder(target.parent)
        return Batch(target, json.loads(text))

    def _rows(
        self, query: str, parameters: list[Any] | dict[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(query, parameters).fetchall()
        return rows

    def _raw_columns(self) -> list[str]:
        described = self._rows(f"describe select * from read_parquet('{self.extract.raw}')")
        return [name for name, *_ in described]

    def _check_controls(self) -> None:
        """The source's own totals against what arrived, before anything is made of it."""
        controls = self.extract.controls
        if not controls:
            return
        problems = []
        stated = total_stated(control.rows for control in controls)
        if stated not in (None, self.extract.rows):
            problems.append(f"the source counts {stated} rows, {self.extract.rows} arrived")
        currency = self._source_of(self.contract.currency)
        amount = self._source_of(self.contract.amount)
        arrived = dict.fromkeys([control.currency for control in controls], (0, Decimal(0), 0))
        number = f"cast({identifier(amount)} as varchar)" if amount else "null"
        group = f"cast({identifier(currency)} as varchar)" if currency else "null"
        for code, rows, total, unread in self._rows(
            f"""
            select {group}, count(*), coalesce(sum(try_cast({number} as decimal(38, 8))), 0),
                count({number}) - count(try_cast({number} as decimal(38, 8)))
            from read_parquet('{self.extract.raw}') group by 1
            """
        ):
            arrived[code] = (rows, total, unread)
        for control in controls:
            rows, total, unread = arrived[control.currency]
            named = f" in {control.currency}" if control.currency else ""
            # what is counted without currencies has been compared above
            if named and control.rows not in (None, rows) and not self.extract.rejects:
                problems.append(f"the source counts {control.rows} rows{named}, {rows} arrived")
            # an unreadable amount is unknown: the sum can then only be checked without it
            whole = control.amount is not None and not unread and not self.extract.rejects
            if whole and control.amount != total:
                problems.append(f"the source sums {control.amount}{named}, the rows sum {total}")
        if self.mapping.cursor and not self._has_greatest(self.extract.control_cursor):
            problems.append(
                f"the source's greatest {self.mapping.cursor.column}, "
                f"{self.extract.control_cursor}, did not arrive"
            )
        if problems:
            raise BatchFault(
                "the pull is not what the source says it gave: " + "; ".join(problems),
                where=f"feed {self.feed}, {self.extract.description}",
                kept="nothing of this feed landed; the last release stands",
                todo="run again; if it stays so, have the source's operator look at the totals",
            )

    def _has_greatest(self, stated: str | None) -> bool:
        """Whether the greatest cursor value that arrived is the one the source states, however the
        two write it.
        """
        if stated is None or self.mapping.cursor is None:
            return True
        given = f"cast({identifier(self.mapping.cursor.column)} as varchar)"
        [[same]] = self._rows(
            f"""
            select max({given}) = $stated
                or max(try_cast({given} as hugeint)) = try_cast($stated as hugeint)
                or max(try_cast({given} as timestamptz)) = try_cast($stated as timestamptz)
            from read_parquet('{self.extract.raw}')
            """,
            {"stated": stated},
        )
        return bool(same)

    def _source_of(self, column: str | None) -> str | None:
        mapped = self.mapping.columns.get(column or "")
        return mapped.column if mapped else None

    def _stage(self, today: date) -> list[Fault]:
        """Table ``staged``: every row typed, with its hash and the number of its first fault."""
        texts, content, values = [], [], []
        # what else such a line lacks is of no interest
        faults = self.casting.total_faults()
        for name in self.contract.all_columns:
            column_texts, column_content = self.casting.texts(name)
            texts += column_texts
            content += column_content
            values += self.casting.values(name)
            faults += self.casting.faults(name)
        faults += self._suite_faults(today)
        hashed = ", ".join(f"coalesce({text}, '\x1e')" for text in content)
        if self.extract.mapping:
            # a decision on a landed row is a content of its own, though its values be the same; a
            # time tells decisions of one second not apart, and a case is decided once
            case = min(str(item["quarantine_id"]) for item in self.extract.replays)
            decided = max(item["decided_at"] for item in self.extract.replays)
            hashed += ", " + literal(f"{case} {decided}")
        waived = ["_waived", "_waived_until"]
        if not self.extract.replays:
            waived = ["cast(null as varchar) as _waived", "cast(null as date) as _waived_until"]
        clear = [f'"text_{name}"' for name in self.personal]
        cases = " ".join(
            f"when {self._breaks(fault)} then {number}" for number, fault in enumerate(faults)
        )
        self.connection.execute(
            f"""
            create temp table staged as
            with texts as (
                select file_row_number as _row, {SOURCE_COLUMN}, {", ".join([*texts, *waived])}
                from read_parquet('{self.extract.raw}', file_row_number = true)
            ),
            typed as (
                select *, {", ".join(values)},
                    md5_number_upper(concat_ws('\x1f', {hashed})) as _row_hash
                from texts
            )
            select
                _row, {SOURCE_COLUMN}, _row_hash, _waived, _waived_until,
                {", ".join([*map(identifier, self.contract.landed_columns), *clear])},
                case {cases} end as _fault
            from typed
            """
        )
        return faults

    def _breaks(self, fault: Fault) -> str:
        conditions = [fault.sql]
        if fault.column not in self.contract.key:
            # of a deleted row only the key counts: a fault in a value must not lose the deletion
            conditions.insert(0, "not is_deleted")
        if self.extract.replays and fault.may_be_waived:
            conditions.append(f"not coalesce(contains(_waived, ';{fault.rule};'), false)")
        return " and ".join(conditions)

    def _suite_faults(self, today: date) -> list[Fault]:
        faults = [
            Fault(
                f"({rule.fault_sql})",
                rule.rule,
                rule.column,
                f"{rule.reason_en} / {rule.reason_zh}",
                rule.owner,
                may_be_waived=True,
            )
            for rule in row_rules(suite_path(self.feed), today)
        ]
        if self.contract.currency:
            declared = [self.company.reporting_currency, *self.company.currencies]
            listed = ", ".join(literal(code) for code in declared)
            faults.append(
                Fault(
                    f"({identifier(self.contract.currency)} not in ({listed}))",
                    "currency_without_rate",
                    self.contract.currency,
                    "the company file declares no exchange rates for this currency / "
                    "公司文件未声明该币种的汇率",
                    "finance",
                )
            )
        return faults

    def _append_tombstones(self, released: Path) -> int:
        """Rows of the last release whose keys the source no longer holds land as deletions."""
        limits = self.mapping.reconcile_keys
        assert limits is not None
        assert self.extract.keys is not None
        keys = [identifier(column) for column in self.contract.key]
        texts = [text for name in self.contract.key for text in self.casting.texts(name)[0]]
        values = [value for name in self.contract.key for value in self.casting.values(name)]
        self.connection.execute(f"attach '{released}' as released (read_only)")
        self.connection.execute(
            f"""
            create temp table gone as
            with source_keys as (
                select {", ".join(values)}
                from (select {", ".join(texts)} from read_parquet('{self.extract.keys}'))
            )
            select landed.*, exists (
                    select 1 from source_keys
                    where {" and ".join(f"source_keys.{key} = landed.{key}" for key in keys)}
                ) as is_there
            from released.landing.{self.feed} as landed
            where not is_deleted or {SOURCE_COLUMN} like '%{GONE}'
            """
        )
        [[returned]] = self._rows("select count(*) from gone where is_deleted and is_there")
        if returned:
            # its version may lie behind the cursor: the next pull reads everything
            reread_note(self.paths, self.feed).touch()
        own_key = f"concat_ws('/', {', '.join(f'gone.{key}' for key in keys)})"
        self.connection.execute(
            f"""
            delete from gone where is_deleted or is_there or (
                -- a key that a person gave is not the source's to lose
                _batch_id in (select batch_id from released.landing.batches where is_replay)
                and not exists (
                    select 1 from released.landing.quarantine_closed as closed
                    where closed.replay_batch_id = gone._batch_id and closed.row_key = {own_key}
                )
            )
            """
        )
        [[held]] = self._rows(
            f"select count(*) from released.landing.{self.feed} where not is_deleted"
        )
        self.connection.execute("detach released")
        [[gone]] = self._rows("select count(*) from gone")
        if gone > max(limits.limit_rate * held, 2):
            examples = self._rows(f"select concat_ws('/', {', '.join(keys)}) from gone limit 3")
            raise BatchFault(
                f"{gone} of {held} rows are gone at the source, more than {limits.limit_rate:.0%}: "
                f"e.g. {', '.join(str(key) for (key,) in examples)}",
                where=f"feed {self.feed}, {self.extract.description}",
                kept="nothing was deleted; the last release stands",
                todo="if they were really deleted, raise reconcile_keys.limit_rate in the company "
                "file for one run; else have the source restored",
            )
        names = [identifier(name) for name in self.contract.landed_columns if name != "is_deleted"]
        self.connection.execute(
            f"""
            insert into staged by name
            select {", ".join(names)}, true as is_deleted, file || '{GONE}' as {SOURCE_COLUMN},
                md5_number_upper(_row_hash || ' deleted') as _row_hash,
                {self.extract.rows} + row_number() over (order by {", ".join(keys)}) as _row
            from (select *, {file_of_source()} as file from gone)
            """
        )
        return int(gone)

    def _mark_conflicts(self, faults: list[Fault]) -> None:
        """Rows of one key and one version that differ: neither is known to be right."""
        key = ", ".join(identifier(column) for column in self.contract.key)
        doubled = self._rows(
            f"select count(*) - count(distinct ({key})) from staged where _fault is null"
        )
        number = len(faults)
        faults.append(
            Fault(
                "",
                "key_conflict",
                self.contract.key[0],
                "one key, one version, different contents / 同一主键同一版本内容不一致",
                self.contract.owner,
            )
        )
        if doubled[0][0] == 0:
            return
        self.connection.execute(
            f"""
            create temp table conflicts as
            select {key}, updated_at, {file_of_source()} as _file
            from staged
            where _fault is null
            group by all
            having count(distinct _row_hash) > 1
            """
        )
        same_key = " and ".join(
            f"staged.{identifier(column)} = conflicts.{identifier(column)}"
            for column in self.contract.key
        )
        self.connection.execute(
            f"""
            update staged set _fault = {number}
            from conflicts
            where staged._fault is null and {same_key}
                and staged.updated_at is not distinct from conflicts.updated_at
                and {file_of_source(f"staged.{SOURCE_COLUMN}")} is not distinct from conflicts._file
            """
        )

    def _brings_news(self, released: Path) -> bool:
        """Whether any row differs from what the last release made of it in the present way."""
        self.connection.execute(f"attach '{released}' as released (read_only)")
        same_key = " and ".join(
            f"staged.{identifier(column)} = landed.{identifier(column)}"
            for column in self.contract.key
        )
        news = self._rows(
            f"""
            select count(*) from staged
            where not exists (
                select 1 from released.landing.{self.feed} as landed
                inner join released.landing.batches
                    on batches.feed = '{self.feed}' and batches.batch_id = landed._batch_id
                where {same_key} and batches.mapping = '{self.company.mapping_digest(self.feed)}'
                    and (landed._row_hash = staged._row_hash
                        or landed.updated_at > staged.updated_at)
            )
            and not exists (
                select 1 from released.landing.quarantine
                where quarantine.feed = '{self.feed}' and quarantine._row_hash = staged._row_hash
                    and staged._fault is not null
            )
            and not exists (
                select 1 from released.landing.quarantine_closed as closed
                where closed.feed = '{self.feed}' and closed._row_hash = staged._row_hash
                    and closed.closed_by <> 'source'
            )
            """
        )
        self.connection.execute("detach released")
        return bool(news[0][0]) or bool(self.extract.rejects)

    def _batch_id(self) -> str:
        sums = self._rows(
            "select count(*), sum(cast(_row_hash as hugeint)), bit_xor(_row_hash) from staged"
        )[0]
        rejects = sorted(reject.raw for reject in self.extract.rejects)
        rejects += [str(item["quarantine_id"]) for item in self.extract.replays]
        parts = [self.feed, self.company.mapping_digest(self.feed), *map(str, sums), *rejects]
        return _digest(*parts)

    def _write_rows(self, staging: Path, faults: list[Fault]) -> None:
        columns = ", ".join(identifier(column) for column in self.contract.landed_columns)
        self.connection.execute(
            f"""
            copy (
                select {columns}, _row_hash, {SOURCE_COLUMN}, _row, _waived, _waived_until
                from staged where _fault is null order by _row
            ) to '{staging / "data.parquet"}' ({PARQUET})
            """
        )
        self._write_restricted(staging)
        self.connection.execute(
            """
            create temp table faults (
                _fault integer, rule varchar, column_name varchar, reason varchar, owner varchar
            )
            """
        )
        self.connection.executemany(
            "insert into faults values (?, ?, ?, ?, ?)",
            [
                (number, fault.rule, fault.column, fault.reason, fault.owner)
                for number, fault in enumerate(faults)
            ],
        )
        raw = ", ".join(
            f"{identifier(column)} := {self._shown(column)}"
            for column in self.mapping.source_columns
        )
        value = " ".join(
            f"when {literal(name)} then {self._shown(mapped.column)}"
            for name, mapped in self.mapping.columns.items()
            if mapped.column
        )
        reporting = self.company.reporting_currency
        # a key that cannot be typed is shown as the source wrote it
        key = ", ".join(
            f"coalesce(cast(staged.{identifier(column)} as varchar), "
            f"{trimmed(f'raw.{identifier(source)}')}, '')"
            for column in self.contract.key
            if (source := self._source_of(column))
        )
        self.connection.execute(
            f"""
            create temp table quarantined as
            select
                faults.rule, faults.reason, faults.column_name,
                case faults.column_name {value} end as value,
                staged.{SOURCE_COLUMN} as source,
                concat_ws('/', {key or "''"}) as row_key,
                cast(to_json(struct_pack({raw})) as varchar) as raw,
                coalesce({self._currency("staged.")}, '{reporting}') as currency,
                cast({self._amount("staged.")} as decimal(18, 2)) as amount,
                faults.owner,
                staged._row_hash
            from staged
            inner join faults using (_fault)
            inner join read_parquet('{self.extract.raw}', file_row_number = true) as raw
                on staged._row = raw.file_row_number
            order by staged._row
            """
        )
        if self.extract.rejects:
            self.connection.executemany(
                """
                insert into quarantined
                select 'unreadable_row', ?, ?, ?, ?, '', ?, ?, null, ?, md5_number_upper(?)
                """,
                [
                    (
                        f"{reject.reason} / 该行无法解析",
                        reject.column,
                        self._unless_personal(reject.value),
                        reject.source,
                        self._unless_personal(reject.raw),
                        reporting,
                        self.contract.owner,
                        reject.raw,
                    )
                    for reject in self.extract.rejects
                ],
            )
        self.connection.execute(
            f"copy quarantined to '{staging / 'quarantine.parquet'}' (format parquet)"
        )

    def _shown(self, column: str) -> str:
        """A source value for people to look at: a personal one masked."""
        text = f"cast(raw.{identifier(column)} as varchar)"
        for name, kind in self.personal.items():
            if self.mapping.columns[name].column == column:
                return masked(text, kind)
        return text

    def _unless_personal(self, text: str | None) -> str | None:
        """The text of an unreadable row, unless one cannot tell what in it is personal."""
        withheld = "(withheld: this feed holds personal data; see the source)"
        return withheld if self.personal and text else text

    def _write_restricted(self, staging: Path) -> None:
        if not self.personal:
            return
        file = staging / "restricted.parquet"
        clear = ", ".join(f'"text_{name}" as {identifier(name)}' for name in self.personal)
        self.connection.execute(
            f"copy (select distinct _row_hash, {clear} from staged where _row_hash is not null) "
            f"to '{file}' (format parquet)"
        )
        file.chmod(0o600)

    def _currency(self, prefix: str = "") -> str:
        column = self.contract.currency
        return f"{prefix}{identifier(column)}" if column else "null"

    def _amount(self, prefix: str = "") -> str:
        column = self.contract.amount
        return f"{prefix}{identifier(column)}" if column else "null"

    def _manifest(
        self, batch_id: str, staging: Path, unmapped: list[str], tombstones: int
    ) -> dict[str, Any]:
        data = f"read_parquet('{staging / 'data.parquet'}')"
        ledger = self._ledger(staging)
        totals = {
            state: sum(line[f"rows_{state}"] for line in ledger.values()) for state in LEDGER_STATES
        }
        split = totals["accepted"] + totals["quarantined"]
        if not self.extract.rows + tombstones == totals["pulled"] == split:
            raise MartsError(
                f"rows were lost: {self.extract.rows} read, {tombstones} deletions found, "
                f"{totals['pulled']} typed, {split} split",
                where=f"feed {self.feed}",
                kept="nothing landed; the last release stands",
                todo="this is a fault of the program: report it with the company file",
            )
        through: tuple[Any, Any] = (None, None)
        if self.contract.event_date:
            event = self.contract.event_date
            through = self._rows(f"select min({event}), max({event}) from {data}")[0]
        [[deleted, to_judge]] = self._rows(
            f"""
            select count(*) filter (where is_deleted),
                count(*) filter (where not is_deleted and _waived is null)
            from {data}
            """
        )
        controls = self.extract.controls
        return {
            "format": MANIFEST_FORMAT,
            "batch_id": batch_id,
            "feed": self.feed,
            "mapping": self.company.mapping_digest(self.feed),
            "source": self.extract.description,
            "landed_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "rows": totals,
            "rows_deleted": deleted,
            "rows_to_judge": to_judge,
            "rows_reconciled": tombstones,
            "ledger": [ledger[code] for code in sorted(ledger)],
            "data_from": through[0],
            "data_through": through[1],
            "cursor": self._cursor(),
            "control_rows": total_stated(control.rows for control in controls),
            "control_amount": self._control_amount(),
            "control_cursor": self.extract.control_cursor,
            "files": [asdict(file) for file in self.extract.files],
            "types": self.extract.types,
            "unmapped_columns": sorted(set(unmapped)),
            "replays": self.extract.replays,
        }

    def _control_amount(self) -> str | None:
        """The source's own sum; none across currencies."""
        amounts = [control.amount for control in self.extract.controls]
        return str(amounts[0]) if len(amounts) == 1 and amounts[0] is not None else None

    def _ledger(self, staging: Path) -> dict[str, dict[str, Any]]:
        """Rows and amounts by currency: pulled, accepted, quarantined, and what the source says."""
        reporting = self.company.reporting_currency
        currency = f"coalesce({self._currency()}, '{reporting}')"
        amount = f"coalesce(sum(cast({self._amount()} as decimal(38, 2))), 0)"
        parts = {
            "pulled": self._rows(f"select {currency}, count(*), {amount} from staged group by all"),
            "accepted": self._rows(
                f"select {currency}, count(*), {amount} "
                f"from read_parquet('{staging / 'data.parquet'}') group by all"
            ),
            "quarantined": self._rows(
                "select currency, count(*), coalesce(sum(cast(amount as decimal(38, 2))), 0) "
                f"from read_parquet('{staging / 'quarantine.parquet'}') group by all"
            ),
        }
        ledger: dict[str, dict[str, Any]] = {}
        for state, rows in parts.items():
            for code, count, total in rows:
                line = ledger.setdefault(code, {"currency": code})
                line[f"rows_{state}"] = count
                line[f"amount_{state}"] = str(total)
        if self.extract.rejects:
            line = ledger.setdefault(reporting, {"currency": reporting})
            line["rows_pulled"] = line.get("rows_pulled", 0) + len(self.extract.rejects)
        for line in ledger.values():
            for state in LEDGER_STATES:
                line.setdefault(f"rows_{state}", 0)
                line.setdefault(f"amount_{state}", "0.00")
            line["source_rows"] = line["source_amount"] = None
        self._state_source_totals(ledger)
        return ledger

    def _state_source_totals(self, ledger: dict[str, dict[str, Any]]) -> None:
        """Put the source's totals beside ours where they count the same thing: rows, and amounts
        that are in the contract's own unit and all readable.
        """
        # deletions that we found, and rows that could not be read, are in no currency of the source
        if self.extract.keys or (self.extract.rejects and len(ledger) > 1):
            return
        codes = [self._ledger_currency(control.currency) for control in self.extract.controls]
        # totals across currencies cannot be split, nor added up where one is unknown
        if set(codes) != set(ledger):
            return
        mapped = self.mapping.columns.get(self.contract.amount or "")
        converted = mapped is None or mapped.unit or mapped.unit_column or mapped.tax
        [[faulty]] = self._rows(
            f"select count(*) from quarantined where column_name = '{self.contract.amount}'"
        )
        unstated = {
            code
            for code, control in zip(codes, self.extract.controls, strict=True)
            if converted or faulty or control.amount is None
        }
        for code, control in zip(codes, self.extract.controls, strict=True):
            line = ledger[code]
            if control.rows is not None:
                line["source_rows"] = (line["source_rows"] or 0) + control.rows
            if code not in unstated and control.amount is not None:
                line["source_amount"] = str(Decimal(line["source_amount"] or 0) + control.amount)

    def _ledger_currency(self, given: str | None) -> str:
        """The ledger's currency of a source's own code."""
        mapped = self.mapping.columns.get(self.contract.currency or "")
        code = trim(given or "") or None
        if mapped is not None and mapped.constant is not None:
            code = mapped.constant
        if mapped is not None and mapped.values and code is not None:
            code = mapped.values.get(code, code)
        return code or self.company.reporting_currency

    def _cursor(self) -> str | None:
        """The greatest cursor value of the accepted rows: a faulty one must not move the mark."""
        if self.mapping.cursor is None or self.extract.replays:
            return None
        column = f"cast(raw.{identifier(self.mapping.cursor.column)} as varchar)"
        greatest = self._rows(
            f"""
            select {column} from read_parquet('{self.extract.raw}', file_row_number = true) as raw
            inner join staged on staged._row = raw.file_row_number
            where staged._fault is null and {column} is not null
            order by try_cast({column} as hugeint) desc nulls last, {column} desc limit 1
            """
        )
        return str(greatest[0][0]) if greatest else None

    def _check_budget(self, manifest: dict[str, Any], staging: Path) -> None:
        rows, rate = manifest["rows"], self.contract.quarantine_budget_rate
        # one or two bad rows in a small pull are rows to mend, not a broken batch
        if rows["quarantined"] <= 2:
            return
        quarantine = f"read_parquet('{staging / 'quarantine.parquet'}')"
        exceeded = ""
        if rows["quarantined"] > rate * rows["pulled"]:
            exceeded = f"{rows['quarantined']} of {rows['pulled']} rows are faulty"
        # an amount that is itself at fault says nothing about how much is held back
        amounts = {
            code: (amount, count)
            for code, amount, count in self._rows(
                f"""
                select currency, sum(abs(cast(amount as decimal(38, 2)))), count(*)
                from {quarantine} where column_name is distinct from '{self.contract.amount}'
                group by currency
                """
            )
        }
        for line in manifest["ledger"]:
            held, count = amounts.get(line["currency"], (None, 0))
            accepted = abs(Decimal(line["amount_accepted"]))
            if (
                held
                and count > 2
                and not exceeded
                and held > Decimal(str(rate)) * (accepted + held)
            ):
                exceeded = (
                    f"faulty rows hold {held} of {accepted + held} {line['currency']} of the amount"
                )
        if not exceeded:
            return
        reasons = self._rows(
            f"""
            select rule, count(*), any_value(column_name), any_value(value)
            from {quarantine} group by rule order by 2 desc
            """
        )
        listed = "; ".join(
            f"{rule} {count} rows" + (f" (column {column}, e.g. '{value}')" if column else "")
            for rule, count, column, value in reasons[:5]
        )
        raise BatchFault(
            f"{exceeded}, more than the budget of {rate:.0%}: {listed}",
            where=f"feed {self.feed}, {self.extract.description}",
            kept="nothing of this feed landed; the last release stands",
            todo="a column's type or meaning has probably changed at the source: compare it with "
            f"expectations/contracts/{self.feed}.yml and the company file",
        )

    def _check_replay(self, staging: Path) -> None:
        """A replayed row that is still faulty is no repair."""
        still = self._rows(
            f"""
            select source, rule, column_name, value, reason
            from read_parquet('{staging / "quarantine.parquet"}') limit 5
            """
        )
        if still:
            listed = "\n".join(
                f"  - {source}: {rule}, {column} = '{value}': {reason}"
                for source, rule, column, value, reason in still
            )
            raise BatchFault(
                f"replayed rows are still faulty:\n{listed}",
                where=f"feed {self.feed}",
                kept="the rows stay in quarantine and the decisions on file; nothing landed",
                todo="decide these rows anew (marts quarantine fix or waive), then replay",
            )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def file_of_source(column: str = SOURCE_COLUMN) -> str:
    """SQL for the file a row came from, which orders versions that carry no updated_at."""
    return f"split_part({column}, ':record ', 1)"


def readings(landed: Iterable[tuple[str, datetime]], present: str) -> list[str]:
    """The mappings under which batches (mapping, moment) landed, the one last used last; but the
    present one after all, as it is the company file's word.
    """
    latest: dict[str, datetime] = {}
    for mapping, moment in landed:
        latest[mapping] = max(moment, latest.get(mapping, moment))
    latest.pop(present, None)
    return [*sorted(latest, key=lambda mapping: (latest[mapping], mapping)), present]


def reread_files(batches: list[Batch], present: str) -> dict[str, list[str]]:
    """Which files of which batches were read again, the very same contents, under a mapping that
    came after: names by batch id. Replays are decisions, not readings.
    """
    order = readings([(batch.mapping, batch.landed_at) for batch in batches], present)
    last: dict[str, int] = {}
    for batch in batches:
        for file in batch.manifest["files"]:
            digest = file["sha256"]
            last[digest] = max(order.index(batch.mapping), last.get(digest, 0))
    found = {
        batch.batch_id: [
            file["path"]
            for file in batch.manifest["files"]
            if last[file["sha256"]] > order.index(batch.mapping)
        ]
        for batch in batches
    }
    return {batch_id: files for batch_id, files in found.items() if files}


def data_through(batches: list[Batch]) -> date | None:
    """The latest business date among the batches' accepted rows."""
    days = [batch.manifest["data_through"] for batch in batches]
    return max((date.fromisoformat(day) for day in days if day), default=None)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for item in folder.iterdir():
        with item.open("rb") as stream:
            os.fsync(stream.fileno())
    sync_folder(folder)
