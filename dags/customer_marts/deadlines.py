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
    "first_told_on": "date",
    "customer_id": "varchar",
    "code": "varchar",
    "due_on": "date",
    "last_told_on": "date",
    "last_stood_on": "date",
    "release_sequence": "integer",
}
# what a later release may have moved on
_LAST_DAYS = {"last_told_on", "last_stood_on"}


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
            "select column_name from duckdb_columns()"
            " where database_name = 'told' and table_name = ?",
            [DEADLINE_MART],
        ).fetchall()
        if found:
            # a release of older code has fewer of them
            known = DEADLINE_COLUMNS.keys() & {name for (name,) in found}
            cut = ", ".join(f"least({name}, $until) as {name}" for name in known & _LAST_DAYS)
            connection.execute(
                f"""
                insert into landing.deadlines by name
                select * replace ({cut})
                from (select {", ".join(known)} from told.{DEADLINE_MART})
                where release_sequence <= $until_sequence and since_on <= $until
                """,
                {"until": source.until, "until_sequence": source.until_sequence},
            )
    finally:
        connection.execute("detach told")
