"""Since when somebody is asked for what: rows of ``deadline_history``, from release to release.

A deadline counts from the day it was told first, which no landed row says: the marts of the release
before do. Models read them in ``landing.deadlines`` beside what is told now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.sql import literal

DEADLINE_MART = "deadline_history"
DEADLINE_COLUMNS = {
    "subject_kind": "varchar",
    "subject_id": "varchar",
    "since_on": "date",
    "customer_id": "varchar",
    "code": "varchar",
    "due_on": "date",
    "last_told_on": "date",
    "release_sequence": "integer",
}


@dataclass(frozen=True)
class DeadlineSource:
    """Where it stands what releases told: the rows of a marts file that those up to
    ``until_sequence`` began, as they stood on the day ``until``.
    """

    marts: Path
    until_sequence: int
    until: date

    @classmethod
    def by(cls, marts: Path, history: Sequence[dict[str, Any]]) -> DeadlineSource | None:
        """By these releases of a chain, of which ``marts`` is the last or a later one; None by
        none. An as-of date may lie before that of the release before.
        """
        if not history:
            return None
        days = [date.fromisoformat(release["as_of"]) for release in history]
        return cls(marts, history[-1]["release_sequence"], max(days))


def write_deadlines(connection: Any, source: DeadlineSource | None) -> None:
    """Make ``landing.deadlines``: empty without a source, or where its marts have no such mart."""
    columns = ", ".join(f"{name} {kind}" for name, kind in DEADLINE_COLUMNS.items())
    connection.execute(f"create or replace table landing.deadlines ({columns})")
    if source is None:
        return
    connection.execute(f"attach {literal(str(source.marts))} as told (read_only)")
    try:
        found = connection.execute(
            "select 1 from duckdb_tables() where database_name = 'told' and table_name = ?",
            [DEADLINE_MART],
        ).fetchall()
        if found:
            connection.execute(
                f"""
                insert into landing.deadlines by name
                select * replace (least(last_told_on, $until) as last_told_on)
                from (select {", ".join(DEADLINE_COLUMNS)} from told.{DEADLINE_MART})
                where release_sequence <= $until_sequence and since_on <= $until
                """,
                {"until": source.until, "until_sequence": source.until_sequence},
            )
    finally:
        connection.execute("detach told")
