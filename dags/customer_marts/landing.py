"""Landing: a pull becomes an immutable batch, its faulty rows beside the accepted ones.

``landing/<feed>/<batch_id>/`` holds ``data.parquet`` (accepted rows, typed by the contract),
``quarantine.parquet`` (faulty rows with rule, reason and raw values) and ``manifest.json``.
The id is the hash of what was pulled and how it was read: the same input is the same batch. A
batch appears by one rename and never changes; its gate verdict is a file beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from customer_marts.errors import BatchFault, MartsError
from customer_marts.feeds import Column, Company, Contract, FeedMapping, Mapped, load_contract
from customer_marts.gates.rules import row_rules
from customer_marts.settings import EXPECTATIONS_DIR, Settings, StatePaths
from customer_marts.sources.extract import (
    SOURCE_COLUMN,
    Extract,
    SeenFile,
    Watermark,
    check_columns,
)

LEDGER_STATES = ("pulled", "accepted", "quarantined")


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
    def data(self) -> Path:
        return self.folder / "data.parquet"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine.parquet"

    @property
    def holds_only_deletions(self) -> bool:
        """Whether every accepted row is a tombstone, so that there is no value to judge."""
        return bool(self.manifest["rows_deleted"] == self.manifest["rows"]["accepted"] > 0)

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
    """Identifies the suite as it is now: a verdict under another one does not count."""
    return hashlib.sha256(suite_path(feed).read_bytes()).hexdigest()[:16]


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
    return sorted(batches, key=lambda batch: (batch.manifest["landed_at"], batch.batch_id))


def watermark(batches: list[Batch], mapping_digest: str) -> Watermark:
    """What ``batches`` (those of the last release) have of a feed read in the present way."""
    same = [batch.manifest for batch in batches if batch.manifest["mapping"] == mapping_digest]
    cursors = [item["cursor"] for item in same if item["cursor"] is not None]
    files = {file["path"]: SeenFile(**file) for item in same for file in item["files"]}
    if cursors and all(cursor.lstrip("-").isdigit() for cursor in cursors):
        return Watermark(str(max(int(cursor) for cursor in cursors)), files)
    return Watermark(max(cursors, default=None), files)


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
        self.mapping: FeedMapping = company.feeds[feed]
        zone = company.sources[self.mapping.source].time_zone or company.time_zone
        self.typing = _Typing(company, zone)

    def run(self, released: Path | None, today: date, applied: list[str]) -> Batch | None:
        unmapped = self.extract.unmapped + check_columns(
            self.feed, self.mapping, self._raw_columns()
        )
        faults = self._stage(today)
        self._mark_conflicts(faults)
        if released and not self.extract.files and not self._brings_news(released):
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
        manifest = self._manifest(batch_id, staging, unmapped)
        self._check_budget(manifest, staging)
        if self.extract.pages:
            shutil.move(self.extract.pages, staging / "raw.jsonl.gz")
        text = json.dumps(manifest, ensure_ascii=False, indent=1, default=str)
        (staging / "manifest.json").write_text(text, "utf-8")
        _sync_tree(staging)
        staging.rename(target)
        sync_folder(target.parent)
        return Batch(target, json.loads(text))

    def _rows(self, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(query, parameters).fetchall()
        return rows

    def _raw_columns(self) -> list[str]:
        described = self._rows(f"describe select * from read_parquet('{self.extract.raw}')")
        return [name for name, *_ in described]

    def _stage(self, today: date) -> list[dict[str, Any]]:
        """Table ``staged``: every row typed, with its hash and the number of its first fault."""
        texts, hashed, values, faults = [], [], [], []
        for name, column in self.contract.all_columns.items():
            mapped = self.mapping.columns.get(name)
            if mapped is None:
                texts.append(f'cast(null as varchar) as "text_{name}"')
            elif mapped.constant is not None:
                texts.append(f'{_literal(mapped.constant)} as "text_{name}"')
            else:
                assert mapped.column is not None
                texts.append(
                    f"nullif(trim(cast({_name(mapped.column)} as varchar)), '') as \"text_{name}\""
                )
                hashed.append(f"coalesce(\"text_{name}\", '\x1e')")
            values += self.typing.values(name, column, mapped)
            faults += self.typing.faults(name, column, self.contract)
        faults += self._suite_faults(today)
        # of a deleted row only the key counts: a fault in a value must not lose the deletion
        cases = " ".join(
            f"when {fault['sql']} then {i}"
            if fault["column"] in self.contract.key
            else f"when not is_deleted and {fault['sql']} then {i}"
            for i, fault in enumerate(faults)
        )
        self.connection.execute(
            f"""
            create temp table staged as
            with texts as (
                select file_row_number as _row, {SOURCE_COLUMN}, {", ".join(texts)}
                from read_parquet('{self.extract.raw}', file_row_number = true)
            ),
            typed as (
                select
                    *, {", ".join(values)},
                    md5_number_upper(concat_ws('\x1f', {", ".join(hashed)})) as _row_hash
                from texts
            )
            select
                _row, {SOURCE_COLUMN}, _row_hash,
                {", ".join(_name(column) for column in self.contract.landed_columns)},
                case {cases} end as _fault
            from typed
            """
        )
        return faults

    def _suite_faults(self, today: date) -> list[dict[str, Any]]:
        faults = [
            {
                "sql": f"({rule.fault_sql})",
                "rule": rule.rule,
                "column": rule.column,
                "reason": f"{rule.reason_en} / {rule.reason_zh}",
                "owner": rule.owner,
            }
            for rule in row_rules(suite_path(self.feed), today)
        ]
        if self.contract.currency:
            currency = self.company.reporting_currency
            faults.append(
                {
                    "sql": f"({_name(self.contract.currency)} <> {_literal(currency)})",
                    "rule": "currency_without_rate",
                    "column": self.contract.currency,
                    "reason": f"no exchange rate into {currency} is known / 没有折算汇率",
                    "owner": "finance",
                }
            )
        return faults

    def _mark_conflicts(self, faults: list[dict[str, Any]]) -> None:
        """Rows of one key and one version that differ: neither is known to be right."""
        key = ", ".join(_name(column) for column in self.contract.key)
        doubled = self._rows(
            f"select count(*) - count(distinct ({key})) from staged where _fault is null"
        )
        number = len(faults)
        faults.append(
            {
                "rule": "key_conflict",
                "column": self.contract.key[0],
                "reason": "one key, one version, different contents / 同一主键同一版本内容不一致",
                "owner": self.contract.owner,
            }
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
            f"staged.{_name(column)} = conflicts.{_name(column)}" for column in self.contract.key
        )
        self.connection.execute(
            f"""
            update staged set _fault = {number}
            from conflicts
            where staged._fault is null and {same_key}
                and staged.updated_at is not distinct from conflicts.updated_at
                and {file_of_source("staged.")} is not distinct from conflicts._file
            """
        )

    def _brings_news(self, released: Path) -> bool:
        self.connection.execute(f"attach '{released}' as released (read_only)")
        same_key = " and ".join(
            f"staged.{_name(column)} = landed.{_name(column)}" for column in self.contract.key
        )
        news = self._rows(
            f"""
            select count(*) from staged
            where not exists (
                select 1 from released.landing.{self.feed} as landed
                where {same_key}
                    and (landed._row_hash = staged._row_hash
                        or landed.updated_at > staged.updated_at)
            )
            and not exists (
                select 1 from released.landing.quarantine
                where quarantine.feed = '{self.feed}' and quarantine._row_hash = staged._row_hash
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
        parts = [self.feed, self.company.mapping_digest(self.feed), *map(str, sums), *rejects]
        return _digest(*parts)

    def _write_rows(self, staging: Path, faults: list[dict[str, Any]]) -> None:
        columns = ", ".join(_name(column) for column in self.contract.landed_columns)
        self.connection.execute(
            f"""
            copy (
                select {columns}, _row_hash, {SOURCE_COLUMN}, _row
                from staged where _fault is null order by _row
            ) to '{staging / "data.parquet"}' (format parquet, compression zstd)
            """
        )
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
                (i, fault["rule"], fault["column"], fault["reason"], fault["owner"])
                for i, fault in enumerate(faults)
            ],
        )
        sources = {
            name: mapped.column for name, mapped in self.mapping.columns.items() if mapped.column
        }
        raw = ", ".join(
            f"{_name(column)} := cast(raw.{_name(column)} as varchar)"
            for column in dict.fromkeys(sources.values())
        )
        value = " ".join(
            f"when {_literal(name)} then cast(raw.{_name(column)} as varchar)"
            for name, column in sources.items()
        )
        reporting = self.company.reporting_currency
        # the key as the source wrote it: a key that cannot be typed must still be shown
        key = ", ".join(
            f"coalesce(trim(cast(raw.{_name(sources[column])} as varchar)), '')"
            for column in self.contract.key
            if column in sources
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
        self.connection.executemany(
            """
            insert into quarantined
            select 'unreadable_row', ?, null, null, ?, '', ?, ?, null, ?,
                md5_number_upper(?)
            """,
            [
                (
                    f"{reject.reason} / 该行无法解析",
                    reject.source,
                    reject.raw,
                    self.company.reporting_currency,
                    self.contract.owner,
                    reject.raw,
                )
                for reject in self.extract.rejects
            ],
        ) if self.extract.rejects else None
        self.connection.execute(
            f"copy quarantined to '{staging / 'quarantine.parquet'}' (format parquet)"
        )

    def _currency(self, prefix: str = "") -> str:
        column = self.contract.currency
        return f"{prefix}{_name(column)}" if column else "null"

    def _amount(self, prefix: str = "") -> str:
        column = self.contract.amount
        return f"{prefix}{_name(column)}" if column else "null"

    def _manifest(self, batch_id: str, staging: Path, unmapped: list[str]) -> dict[str, Any]:
        currency = f"coalesce({self._currency()}, '{self.company.reporting_currency}')"
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
            line = ledger.setdefault(
                self.company.reporting_currency, {"currency": self.company.reporting_currency}
            )
            line["rows_pulled"] = line.get("rows_pulled", 0) + len(self.extract.rejects)
        for line in ledger.values():
            for state in LEDGER_STATES:
                line.setdefault(f"rows_{state}", 0)
                line.setdefault(f"amount_{state}", "0.00")
        totals = {
            state: sum(line[f"rows_{state}"] for line in ledger.values()) for state in LEDGER_STATES
        }
        split = totals["accepted"] + totals["quarantined"]
        if not self.extract.rows == totals["pulled"] == split:
            raise MartsError(
                f"rows were lost: {self.extract.rows} read, "
                f"{totals['pulled']} typed, {split} split",
                where=f"feed {self.feed}",
                kept="nothing landed; the last release stands",
                todo="this is a fault of the program: report it with the company file",
            )
        through: tuple[Any, Any] = (None, None)
        if self.contract.event_date:
            through = self._rows(
                f"select min({self.contract.event_date}), max({self.contract.event_date}) "
                f"from read_parquet('{staging / 'data.parquet'}')"
            )[0]
        return {
            "batch_id": batch_id,
            "feed": self.feed,
            "mapping": self.company.mapping_digest(self.feed),
            "source": self.extract.description,
            "landed_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "rows": totals,
            "rows_deleted": self._rows(
                "select count(*) filter (where is_deleted) "
                f"from read_parquet('{staging / 'data.parquet'}')"
            )[0][0],
            "ledger": [ledger[code] for code in sorted(ledger)],
            "data_from": through[0],
            "data_through": through[1],
            "cursor": self._cursor(),
            "files": [asdict(file) for file in self.extract.files],
            "unmapped_columns": sorted(set(unmapped)),
        }

    def _cursor(self) -> str | None:
        """The greatest cursor value of the accepted rows: a faulty one must not move the mark."""
        if self.mapping.cursor is None:
            return None
        column = f"cast(raw.{_name(self.mapping.cursor.column)} as varchar)"
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
        rows = manifest["rows"]
        allowed = self.contract.quarantine_budget_rate * rows["pulled"]
        # one or two bad rows in a small pull are rows to mend, not a broken batch
        if rows["quarantined"] <= max(allowed, 2):
            return
        reasons = self._rows(
            "select rule, count(*), any_value(column_name), any_value(value) "
            f"from read_parquet('{staging / 'quarantine.parquet'}') group by rule order by 2 desc"
        )
        listed = "; ".join(
            f"{rule} {count} rows" + (f" (column {column}, e.g. '{value}')" if column else "")
            for rule, count, column, value in reasons[:5]
        )
        raise BatchFault(
            f"{rows['quarantined']} of {rows['pulled']} rows are faulty, more than the budget of "
            f"{self.contract.quarantine_budget_rate:.0%}: {listed}",
            where=f"feed {self.feed}, {self.extract.description}",
            kept="nothing of this feed landed; the last release stands",
            todo="a column's type or meaning has probably changed at the source: compare it with "
            f"expectations/contracts/{self.feed}.yml and the company file",
        )


# a time of day, then Z or an offset: what follows a bare date's day is no offset
_ZONED = "[0-9]:[0-9]{2}.*([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"


class _Typing:
    """SQL that types a column's text and finds the texts that do not fit, losing nothing."""

    def __init__(self, company: Company, zone: str) -> None:
        self.zone, self.business_zone = zone, company.time_zone
        hours, minutes = company.cut_off.split(":")
        # a business day that begins at 17:00 is named by the day it ends in
        self.shift_minutes = -(int(hours) * 60 + int(minutes)) % 1440

    def values(self, name: str, column: Column, mapped: Mapped | None) -> list[str]:
        text = self._mapped_text(name, mapped)
        if column.type == "timestamp":
            moment = (
                f"case when regexp_matches({text}, '{_ZONED}') "
                f"then try_cast({text} as timestamptz) "
                f"else timezone('{self.zone}', {self._parsed(text, mapped, 'timestamp')}) end"
            )
            values = [f"timezone('UTC', {moment}) as {_name(name)}"]
            if column.business_date:
                local = f"timezone('{self.business_zone}', {moment})"
                if self.shift_minutes:
                    local = f"{local} + interval {self.shift_minutes} minute"
                values.append(f"cast({local} as date) as {_name(column.business_date)}")
            return values
        if column.type == "date":
            parsed = self._parsed(text, mapped, "date")
            whole = f"cast({self._parsed(text, mapped, 'timestamp')} as date)"
            return [f"coalesce({parsed}, {whole}) as {_name(name)}"]
        if column.type == "boolean":
            value = (
                f"case when lower({text}) in ('1', 'true', 't', 'yes', 'y', '是') then true "
                f"when lower({text}) in ('0', 'false', 'f', 'no', 'n', '否') then false end"
            )
            if name == "is_deleted":
                return [
                    f'{value} as "given_{name}"',
                    f'coalesce("given_{name}", false) as {_name(name)}',
                ]
            return [f"{value} as {_name(name)}"]
        if column.type == "text":
            return [f"{text} as {_name(name)}"]
        return [f"try_cast({text} as {column.sql_type}) as {_name(name)}"]

    def faults(self, name: str, column: Column, contract: Contract) -> list[dict[str, Any]]:
        text, faults = f'"text_{name}"', []

        def fault(sql: str, rule: str, en: str, zh: str) -> None:
            faults.append(
                {
                    "sql": f"({sql})",
                    "rule": rule,
                    "column": name,
                    "reason": f"{en} / {zh}",
                    "owner": contract.owner,
                }
            )

        if column.required:
            fault(f"{text} is null", f"missing_{name}", f"{name} is missing", f"缺少{name}")
        if column.type in ("date", "timestamp"):
            fault(
                f"{text} is not null and {_name(name)} is null",
                f"invalid_{name}",
                f"{name} is not a {column.type}",
                f"{name}不是有效日期",
            )
        elif column.type in ("integer", "money", "price", "quantity", "score"):
            fault(
                f"{text} is not null and {_name(name)} is null",
                f"invalid_{name}",
                f"{name} is not a number",
                f"{name}不是数字",
            )
            fault(
                f"{_name(name)} <> try_cast({text} as decimal(38, 12))",
                f"too_precise_{name}",
                f"{name} has more decimals than {column.sql_type} holds",
                f"{name}小数位过多",
            )
        elif column.type == "boolean":
            value = f'"given_{name}"' if name == "is_deleted" else _name(name)
            fault(
                f"{text} is not null and {value} is null",
                f"invalid_{name}",
                f"{name} is neither yes nor no",
                f"{name}不是布尔值",
            )
        return faults

    @staticmethod
    def _mapped_text(name: str, mapped: Mapped | None) -> str:
        text = f'"text_{name}"'
        if mapped is None or not mapped.values:
            return text
        cases = " ".join(
            f"when {_literal(given)} then {_literal(meant)}"
            for given, meant in mapped.values.items()
        )
        return f"case {text} {cases} else {text} end"

    @staticmethod
    def _parsed(text: str, mapped: Mapped | None, kind: str) -> str:
        if mapped is not None and mapped.format:
            return f"cast(try_strptime({text}, {_literal(mapped.format)}) as {kind})"
        return f"try_cast({text} as {kind})"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def file_of_source(prefix: str = "") -> str:
    """SQL for the file a row came from, which orders versions that carry no updated_at."""
    return f"split_part({prefix}{SOURCE_COLUMN}, ':record ', 1)"


def data_through(batches: list[Batch]) -> date | None:
    """The latest business date among the batches' accepted rows."""
    days = [batch.manifest["data_through"] for batch in batches]
    return max((date.fromisoformat(day) for day in days if day), default=None)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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
