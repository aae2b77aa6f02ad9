"""What a candidate changes against the last release, measure by measure, each within a bound.

Rules and suites judge a candidate by itself, and a book may be sound by itself yet be another book:
a source that lost half its customers, a unit that became 万元, a mapping that moves every class.
``expectations/changes.json`` names the measures and how much each may change. What goes further
waits until a person approves it, by name and with a reason; the release keeps both.

Kinds of measures, and their rate of change: ``rows`` of a mart, of which only a loss is judged;
``keys`` that are still there, of those there were; ``sum`` of a column; ``past_sum``, the same over
the months that were over as of the last release; ``classes`` that stayed the same, of the keys in
both.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

from customer_marts.errors import ConfigurationError
from customer_marts.releases import Release
from customer_marts.settings import EXPECTATIONS_DIR, Settings, StatePaths
from customer_marts.warehouse import MARTS_FILE, connect

CHANGES_FILE = EXPECTATIONS_DIR / "changes.json"
CHANGES_SUITE = "changes against the last release"
Kind = Literal["rows", "keys", "sum", "past_sum", "classes"]


@dataclass(frozen=True)
class Measure:
    """A line of ``expectations/changes.json``.

    max_rate, max_rate_per_day: what may change, and how much more for each day between the as-of
    dates. column: whose values count; key: whose classes they are; month: which months they are of.
    """

    name: str
    kind: Kind
    mart: str
    label_en: str
    label_zh: str
    max_rate: float
    max_rate_per_day: float
    column: str = "*"
    key: str = ""
    month: str = ""


@dataclass(frozen=True)
class Approval:
    """A person's word that a measure may change so far on top of one release, in the release of
    this number: what was released and taken back asks again.
    """

    parent_release_id: str
    release_sequence: int
    name: str
    rate: float
    by: str
    reason: str
    approved_at: str


@dataclass(frozen=True)
class Change:
    """How a measure changed. before, after: a count or an amount, as text. rate: the change as a
    share of before, None where that is zero; allowed: its bound, None where it is not judged.
    """

    name: str
    mart: str
    label_en: str
    label_zh: str
    before: str
    after: str
    rate: float | None
    allowed: float | None
    approval: Approval | None = None

    @property
    def is_beyond(self) -> bool:
        """Whether it goes beyond its bound, approved or not."""
        return self.rate is not None and self.allowed is not None and abs(self.rate) > self.allowed

    @property
    def waits(self) -> bool:
        """Whether a person must approve it first."""
        return self.is_beyond and self.approval is None

    @property
    def message(self) -> str:
        """The change in words."""
        if self.before == self.after:
            return f"{self.label_en}: {_grouped(self.before)}, as before"
        by = "" if self.rate is None else f" ({self.rate:+.1%})"
        bound = "" if self.allowed is None else f", at most {self.allowed:.1%}"
        return f"{self.label_en}: {_grouped(self.before)} to {_grouped(self.after)}{by}{bound}"


@dataclass(frozen=True)
class Successor:
    """A release, or the candidate that would be one: its number, day and marts."""

    sequence: int
    as_of: date
    marts: Path

    @classmethod
    def of(cls, release: Release) -> Successor:
        return cls(release.sequence, release.as_of, release.marts)

    @classmethod
    def of_candidate(cls, paths: StatePaths, state: Mapping[str, Any]) -> Successor:
        """state: the candidate's, as ``build_candidate`` left it."""
        as_of = date.fromisoformat(state["as_of"])
        return cls(state["release_sequence"], as_of, paths.candidate / MARTS_FILE)


@cache
def measures() -> tuple[int, list[Measure]]:
    """The least rows of a mart that is judged, and every measure of the file."""
    given = json.loads(CHANGES_FILE.read_text("utf-8"))
    return given["least_rows"], [Measure(**line) for line in given["measures"]]


def changes(settings: Settings, before: Release, after: Successor) -> list[Change]:
    """Every measure whose mart is on both sides, those beyond their bound with their approvals.

    Nothing is judged of a successor for an earlier day: all that came since is gone from it.
    """
    least_rows, wanted = measures()
    days = (after.as_of - before.as_of).days
    found = []
    with connect(Path(":memory:"), settings, settings.paths.cache) as connection:
        connection.execute(f"attach '{before.marts}' as old (read_only)")
        connection.execute(f"attach '{after.marts}' as new (read_only)")
        marts = _marts(connection, "old") & _marts(connection, "new")
        for measure in wanted:
            if measure.mart not in marts:
                continue
            old, new = f'old."{measure.mart}"', f'new."{measure.mart}"'
            [(rows, was, now)] = connection.execute(
                f"select (select count(*) from {old}), * "
                f"from ({_sql(measure, old, new, before.as_of)})"
            ).fetchall()
            was, now = Decimal(was or 0), Decimal(now or 0)
            is_judged = days >= 0 and rows >= least_rows
            if measure.kind == "rows" and now > was:
                is_judged = False
            found.append(
                Change(
                    name=measure.name,
                    mart=measure.mart,
                    label_en=measure.label_en,
                    label_zh=measure.label_zh,
                    before=str(was),
                    after=str(now),
                    rate=round(float((now - was) / abs(was)), 6) if was else None,
                    allowed=round(measure.max_rate + measure.max_rate_per_day * days, 6)
                    if is_judged
                    else None,
                )
            )
    given = [
        item
        for item in approvals(settings.paths)
        if (item.parent_release_id, item.release_sequence) == (before.release_id, after.sequence)
    ]
    return [_with_approval(change, given) for change in found]


def _marts(connection: Any, database: str) -> set[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = ?", [database]
    ).fetchall()
    return {name for (name,) in rows}


def _sql(measure: Measure, old: str, new: str, from_on: date) -> str:
    column, key = measure.column, measure.key
    if measure.kind == "rows":
        return f"select (select count(*) from {old}), (select count(*) from {new})"
    if measure.kind == "keys":
        return (
            f"select count(*), count(*) filter ({column} in (select {column} from {new})) "
            f"from {old}"
        )
    if measure.kind == "classes":
        return (
            f"select count(*), count(*) filter (old.{column} is not distinct from new.{column}) "
            f"from {old} as old inner join {new} as new using ({key})"
        )
    over = f" where {measure.month} < date_trunc('month', date '{from_on}')"
    rows = over if measure.kind == "past_sum" else ""
    return (
        f"select (select sum({column}) from {old}{rows}), (select sum({column}) from {new}{rows})"
    )


def _with_approval(change: Change, given: list[Approval]) -> Change:
    covering = [item for item in given if change.is_beyond and _covers(item, change)]
    return replace(change, approval=covering[-1]) if covering else change


def _covers(approval: Approval, change: Change) -> bool:
    """The same measure, in the same direction, and no further than its bound beyond what was
    approved.
    """
    assert change.rate is not None
    assert change.allowed is not None
    return (
        approval.name == change.name
        and (approval.rate < 0) == (change.rate < 0)
        and abs(change.rate) <= abs(approval.rate) + change.allowed
    )


def to_gate_line(found: list[Change], seconds: float) -> dict[str, Any]:
    """The changes as a line of a release's gates; what was approved is a warning."""
    return {
        "gate": "changes",
        "suite": CHANGES_SUITE,
        "table": "all marts",
        "success": not any(change.waits for change in found),
        "rows": len(found),
        "seconds": round(seconds, 3),
        "checks": sum(change.allowed is not None for change in found),
        "failed": [
            {
                "expectation": "change_within_bound",
                "column": None,
                "severity": "critical" if change.waits else "warning",
                "rule": change.name,
                "message": change.message
                + (f"; approved by {item.by}: {item.reason}" if (item := change.approval) else ""),
            }
            for change in found
            if change.is_beyond
        ],
    }


def approvals(paths: StatePaths) -> list[Approval]:
    """What was approved, the first first."""
    if not paths.approvals.exists():
        return []
    lines = paths.approvals.read_text("utf-8").splitlines()
    return [Approval(**json.loads(line)) for line in lines]


def waiting_changes(state: Mapping[str, Any], current: Release | None) -> list[Change]:
    """What a candidate changes beyond a bound, while readers see the release it is on.

    state: the candidate's, as ``gate_candidate`` left it; empty where there is none.
    """
    if current is None or state.get("parent_release_id") != current.release_id:
        return []
    return [Change(**line) for line in state.get("changes_waiting", [])]


def approve(
    paths: StatePaths, state: Mapping[str, Any], waiting: list[Change], *, by: str, reason: str
) -> list[Approval]:
    """Record that the candidate of this state may be released with these changes."""
    if not by.strip() or not reason.strip():
        raise ConfigurationError("an approval has a name and a reason", todo="give both")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    parent, sequence = state["parent_release_id"], state["release_sequence"]
    given = [
        Approval(parent, sequence, change.name, change.rate or 0.0, by, reason, at)
        for change in waiting
    ]
    with paths.approvals.open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for approval in given:
            stream.write(json.dumps(asdict(approval), ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return given


def _grouped(number: str) -> str:
    return f"{Decimal(number):,}"
