"""The life of a quarantined row: open, decided (fixed or waived), replayed, closed.

A decision says who, when and why, and waits in ``quarantine/decisions.jsonl`` of the state folder.
A replay lands the decided rows as a batch of their own, through the same types, rules and gate as
any pull; the row keeps its origin (file and record, or table), so that a later version at the
source still wins over it. The next release closes the row and keeps how it ended.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from customer_marts import releases
from customer_marts.errors import ConfigurationError
from customer_marts.feeds import FEEDS, Company, FeedMapping, Mapped, load_contract
from customer_marts.gates.rules import row_rules
from customer_marts.landing import Batch, feed_work_folder, land, landed_batches, suite_path
from customer_marts.settings import Settings, StatePaths
from customer_marts.sources.extract import SOURCE_COLUMN, Extract
from customer_marts.sql import trim
from customer_marts.warehouse import WAIVER_EXPIRED, connect, held_rules

State = Literal["open", "fixed", "waived", "replayed"]

# what an export tells about a row before the row itself
_EXPORT_COLUMNS = ("quarantine_id", "rule", "reason", "owner", "first_seen_at", "age_days")


@dataclass(frozen=True)
class Decision:
    """What a person decided about a row.

    changes: source column -> new text (a fix). rules: those the row may break until
    ``waived_until`` (a waiver).
    """

    quarantine_id: str
    feed: str
    action: Literal["fix", "waive"]
    by: str
    reason: str
    decided_at: str
    changes: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    waived_until: str | None = None


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that the current release leaves out, and how far its case is.

    raw: source column -> text as the source wrote it (of a row that waits for a reference:
    contract column -> value), personal values masked; empty for a row that could not be split
    into columns, whose text is ``raw_text``.
    """

    quarantine_id: str
    feed: str
    rule: str
    reason: str
    owner: str
    row_key: str
    column: str | None
    value: str | None
    source: str
    batch_id: str
    currency: str | None
    amount: Any
    first_seen_at: datetime
    row_hash: int
    raw_text: str | None
    is_held: bool
    state: State
    decision: Decision | None

    @property
    def raw(self) -> dict[str, str | None]:
        try:
            found = json.loads(self.raw_text or "")
        except json.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) and self.rule != "unreadable_row" else {}

    def age_days(self, today: date) -> int:
        """Whole days since the row was first seen."""
        return (today - self.first_seen_at.date()).days


def quarantined_rows(settings: Settings) -> list[QuarantinedRow]:
    """The open cases of the current release, oldest first; none before the first release."""
    current = releases.current_release(settings.paths)
    if current is None:
        return []
    if not current.build_database.exists():
        raise ConfigurationError(
            f"the build database of {current.release_id} was pruned",
            where=str(current.folder),
            kept="everything landed",
            todo="run marts run; the next release has its quarantine",
        )
    waiting = held_rules()
    decisions = _decisions(settings.paths)
    replayed = _replayed(settings.paths)
    with connect(
        current.build_database, settings, settings.paths.cache, read_only=True
    ) as connection:
        found = connection.execute(
            """
            select quarantine_id, feed, rule, reason, owner, row_key, column_name as "column",
                value, source, batch_id, currency, amount, first_seen_at, _row_hash as row_hash,
                raw as raw_text
            from landing.quarantine order by first_seen_at, feed, rule, source, row_key
            """
        )
        names = [item[0] for item in found.description]
        lines = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    rows = []
    for line in lines:
        decision = decisions.get(line["quarantine_id"])
        state: State = "open"
        if line["quarantine_id"] in replayed:
            state = "replayed"
        elif decision is not None:
            state = "fixed" if decision.action == "fix" else "waived"
        is_held = line["rule"] in waiting
        rows.append(QuarantinedRow(**line, is_held=is_held, state=state, decision=decision))
    return rows


def closed_rows(settings: Settings) -> list[dict[str, Any]]:
    """How cases ended, as the current release knows it, the last first."""
    current = releases.current_release(settings.paths)
    if current is None or not current.build_database.exists():
        return []
    with connect(
        current.build_database, settings, settings.paths.cache, read_only=True
    ) as connection:
        found = connection.execute(
            """
            select * exclude (_row_hash) from landing.quarantine_closed
            order by release_sequence desc, feed, rule, row_key
            """
        )
        names = [item[0] for item in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def find_row(settings: Settings, quarantine_id: str) -> QuarantinedRow:
    """The open case with this id; raises ConfigurationError when there is none."""
    for row in quarantined_rows(settings):
        if row.quarantine_id == quarantine_id:
            return row
    raise ConfigurationError(
        f"no quarantined row has the id {quarantine_id}",
        where="the current release",
        todo="marts quarantine list shows the ids; a row that was closed is in --closed",
    )


def fix(
    settings: Settings,
    company: Company,
    row: QuarantinedRow,
    changes: dict[str, str],
    *,
    by: str,
    reason: str,
) -> Decision:
    """Decide new texts for a row's columns, named as in the source or as in the contract.

    Raises ConfigurationError for a column the feed does not read, or a key of a row that waits
    for its reference (its old key would wait for ever).
    """
    _check_open(row)
    sources = _source_names(company, row)
    unknown = sorted(name for name in changes if name not in sources)
    if unknown or not changes:
        raise ConfigurationError(
            f"not a column of this row: {', '.join(unknown)}" if unknown else "nothing to set",
            where=f"{row.quarantine_id}, feed {row.feed}",
            todo=f"set one of {', '.join(dict.fromkeys(sources.values()))}",
        )
    if row.is_held and set(changes) & set(load_contract(row.feed).key):
        raise ConfigurationError(
            "the key of a row that waits for its reference cannot be changed",
            where=f"{row.quarantine_id}, feed {row.feed}",
            kept="the row waits on",
            todo="delete the row at the source and enter it anew",
        )
    new = {sources[name]: value for name, value in changes.items()}
    _check_key_is_free(settings, company, row, new)
    decision = Decision(
        row.quarantine_id,
        row.feed,
        "fix",
        by,
        reason,
        _now(),
        changes=new,
    )
    _record(settings.paths, [decision])
    return decision


def _check_key_is_free(
    settings: Settings, company: Company, row: QuarantinedRow, new: dict[str, str]
) -> None:
    """A row that is given a key must not take the place of another."""
    contract, mapping = load_contract(row.feed), company.feeds[row.feed]
    names = [mapping.columns[name].column for name in contract.key if name in mapping.columns]
    if row.is_held or not set(new) & {name for name in names if name}:
        return
    values = [trim(new.get(name, row.raw.get(name) or "")) for name in names if name]
    current = releases.current_release(settings.paths)
    assert current is not None
    key = ", ".join(f'cast("{name}" as varchar)' for name in contract.key)
    with connect(
        current.build_database, settings, settings.paths.cache, read_only=True
    ) as connection:
        taken = connection.execute(
            f"select count(*) from landing.{row.feed} "
            f"where not is_deleted and concat_ws('/', {key}) = ?",
            ["/".join(values)],
        ).fetchall()[0][0]
    if taken:
        raise ConfigurationError(
            f"another row has the key {'/'.join(values)}",
            where=f"{row.quarantine_id}, feed {row.feed}",
            kept="both rows as they are",
            todo="give this row a key of its own",
        )


def waive(
    settings: Settings,
    row: QuarantinedRow,
    *,
    rules: Iterable[str],
    by: str,
    reason: str,
    until: date,
    today: date,
) -> Decision:
    """Decide that a row may break its rule (and ``rules`` beside it) until a day, inclusive.

    Raises ConfigurationError for a rule that cannot be waived: what has no type, no key or an
    unknown reference cannot be counted.
    """
    _check_open(row)
    wanted = list(dict.fromkeys([row.rule, *rules]))
    if row.rule == WAIVER_EXPIRED:
        wanted = [rule for rule in (row.value or "").split(";") if rule]
    known = {rule.rule for rule in row_rules(suite_path(row.feed))}
    never = [rule for rule in wanted if rule not in known]
    if never:
        raise ConfigurationError(
            f"{', '.join(never)} cannot be waived",
            where=f"{row.quarantine_id}, feed {row.feed}",
            kept="the row stays in quarantine",
            todo="fix the row; only rules of expectations/landing can be waived",
        )
    if until < today:
        raise ConfigurationError(
            f"{until} has passed", where="--until", todo="name a day from today on"
        )
    decision = Decision(
        row.quarantine_id,
        row.feed,
        "waive",
        by,
        reason,
        _now(),
        rules=wanted,
        waived_until=until.isoformat(),
    )
    _record(settings.paths, [decision])
    return decision


def export(rows: list[QuarantinedRow], target: Path, today: date) -> None:
    """Write rows of one feed for a person to mend: their case, then every source column.

    UTF-8 with a byte order mark, which spreadsheets need. Raises ConfigurationError when the rows
    are of several feeds, or the file exists.
    """
    feeds = sorted({row.feed for row in rows})
    if len(feeds) > 1:
        raise ConfigurationError(
            f"the rows are of several feeds: {', '.join(feeds)}",
            where="marts quarantine export",
            todo="name one with --feed",
        )
    columns = list(dict.fromkeys(name for row in rows for name in row.raw))
    try:
        with target.open("x", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([*_EXPORT_COLUMNS, *columns])
            for row in rows:
                case = (row.quarantine_id, row.rule, row.reason, row.owner, row.first_seen_at,
                        row.age_days(today))  # fmt: skip
                writer.writerow([*case, *(row.raw.get(name) for name in columns)])
    except FileExistsError:
        raise ConfigurationError(
            "the file exists", where=str(target), todo="name another, or remove it"
        ) from None


def changes_in(target: Path, rows: list[QuarantinedRow]) -> dict[str, dict[str, str]]:
    """What a person changed in an exported file: id -> source column -> new text."""
    known = {row.quarantine_id: row for row in rows}
    try:
        with target.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file cannot be read: {error}",
            where=str(target),
            todo="save it as CSV in UTF-8, with the columns of the export",
        ) from error
    changes: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=2):
        row = known.get(line.get("quarantine_id") or "")
        if row is None:
            raise ConfigurationError(
                f"'{line.get('quarantine_id')}' is not a row in quarantine",
                where=f"{target}, line {number}",
                kept="no decision was recorded",
                todo="keep the column quarantine_id as exported; export again if it is old",
            )
        changed = {
            name: line[name]
            for name, value in row.raw.items()
            if line.get(name) is not None and line[name] != (value or "")
        }
        if changed:
            changes[row.quarantine_id] = changed
    return changes


def replay(
    settings: Settings, company: Company, rows: list[QuarantinedRow], today: date
) -> list[Batch]:
    """Land the decided rows, one batch a feed and kind; raises BatchFault when one is still faulty.

    Nothing counts until the next release.
    """
    batches = []
    decided = [row for row in rows if row.state in ("fixed", "waived")]
    for feed in dict.fromkeys(row.feed for row in decided):
        for is_held in (False, True):
            group = [row for row in decided if row.feed == feed and row.is_held == is_held]
            if group:
                batches.append(_replay_group(settings, company, group, today))
    return batches


def _replay_group(
    settings: Settings, company: Company, group: list[QuarantinedRow], today: date
) -> Batch:
    import pyarrow as pa
    import pyarrow.parquet as pq

    feed, is_held = group[0].feed, group[0].is_held
    if not is_held:
        _check_mapping(settings, company, group)
    mapping = _own_mapping(company, feed) if is_held else company.feeds[feed]
    lines = [_replayed_line(settings, row, mapping) for row in group]
    names = [*mapping.source_columns, SOURCE_COLUMN, "_waived"]
    table = {name: pa.array([line.get(name) for line in lines], pa.string()) for name in names}
    ends = [line.get("_waived_until") for line in lines]
    until = [date.fromisoformat(end) if end else None for end in ends]
    with feed_work_folder(settings.paths, feed) as work:
        raw = work / "raw.parquet"
        pq.write_table(pa.table({**table, "_waived_until": pa.array(until, pa.date32())}), raw)
        extract = Extract(
            raw,
            len(group),
            "quarantine: replayed rows",
            replays=[_replay_entry(row) for row in group],
            mapping=mapping if is_held else None,
        )
        applied = releases.current_release(settings.paths)
        ids = applied.manifest["batches"].get(feed, []) if applied else []
        batch = land(settings, company, feed, extract, work, None, today, ids)
    assert batch is not None
    return batch


def _check_mapping(settings: Settings, company: Company, group: list[QuarantinedRow]) -> None:
    """What an older company file read of a row may lack columns that are mapped now."""
    feed = group[0].feed
    present = company.mapping_digest(feed)
    read_so = {
        batch.batch_id
        for batch in landed_batches(settings.paths, feed)
        if batch.manifest["mapping"] == present
    }
    old = [row.quarantine_id for row in group if row.batch_id not in read_so]
    if old:
        raise ConfigurationError(
            f"rows were read before the company file changed: {', '.join(old)}",
            where=f"feed {feed}",
            kept="the rows stay in quarantine and the decisions on file; nothing landed",
            todo="the next pull lists the row anew as it is read now: decide that one",
        )


def _replayed_line(
    settings: Settings, row: QuarantinedRow, mapping: FeedMapping
) -> dict[str, str | None]:
    assert row.decision is not None
    line: dict[str, str | None] = dict(row.raw)
    # the list of the quarantine is masked; what counts is what the source gave
    for name, clear in _personal_texts(settings, row).items():
        mapped = mapping.columns.get(name)
        if mapped and mapped.column:
            line[mapped.column] = clear
    line.update(row.decision.changes)
    line[SOURCE_COLUMN] = row.source
    # a row that is held may be waived as well; a fix leaves that as it is
    if row.decision.rules:
        line["_waived"] = f";{';'.join(row.decision.rules)};"
        line["_waived_until"] = row.decision.waived_until
    return line


def _replay_entry(row: QuarantinedRow) -> dict[str, Any]:
    assert row.decision is not None
    decision = asdict(row.decision)
    # the texts themselves may be personal; the landed row has them
    decision["changes"] = sorted(row.decision.changes)
    return {
        **decision,
        "rule": row.rule,
        "row_key": row.row_key,
        "owner": row.owner,
        "currency": row.currency,
        "amount": row.amount,
        "row_hash": row.row_hash,
        "origin_batch_id": row.batch_id,
        "origin_source": row.source,
        "first_seen_at": row.first_seen_at.isoformat(),
    }


def _own_mapping(company: Company, feed: str) -> FeedMapping:
    """Reads rows that are in the contract's own columns already."""
    columns = {name: Mapped(column=name) for name in load_contract(feed).all_columns}
    return FeedMapping(source=company.feeds[feed].source, table="quarantine", columns=columns)


def _personal_texts(settings: Settings, row: QuarantinedRow) -> dict[str, str | None]:
    import duckdb

    file = settings.paths.landing / row.feed / row.batch_id / "restricted.parquet"
    if not file.exists():
        return {}
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select * exclude (_row_hash) from read_parquet('{file}') where _row_hash = ?",
            [row.row_hash],
        )
        names = [item[0] for item in found.description]
        rows = found.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else {}


def _source_names(company: Company, row: QuarantinedRow) -> dict[str, str]:
    """Every name a column of the row may be called by -> its name in the row."""
    mapping = _own_mapping(company, row.feed) if row.is_held else company.feeds[row.feed]
    names = {name: mapped.column for name, mapped in mapping.columns.items() if mapped.column}
    return {**names, **{name: name for name in mapping.source_columns}}


def _check_open(row: QuarantinedRow) -> None:
    if row.state == "replayed":
        raise ConfigurationError(
            "the row was replayed already",
            where=f"{row.quarantine_id}, feed {row.feed}",
            kept="its batch has landed",
            todo="run marts run: the next release closes it",
        )


def _replayed(paths: StatePaths) -> set[str]:
    return {
        str(item["quarantine_id"])
        for feed in FEEDS
        for batch in landed_batches(paths, feed)
        if batch.verdict is None or batch.verdict["success"]
        for item in batch.manifest["replays"]
    }


def _decisions_file(paths: StatePaths) -> Path:
    return paths.root / "quarantine" / "decisions.jsonl"


def _decisions(paths: StatePaths) -> dict[str, Decision]:
    """The latest decision on each row."""
    file = _decisions_file(paths)
    if not file.exists():
        return {}
    found = [Decision(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]
    return {decision.quarantine_id: decision for decision in found}


def _record(paths: StatePaths, decisions: list[Decision]) -> None:
    file = _decisions_file(paths)
    file.parent.mkdir(parents=True, exist_ok=True)
    # a fix may hold personal texts
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for decision in decisions:
            stream.write(json.dumps(asdict(decision), ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
