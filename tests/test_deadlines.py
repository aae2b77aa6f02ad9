"""A deadline counts from the day it was told first: releases hand on what they told."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from customer_marts import pipeline, releases
from customer_marts.deadlines import DEADLINE_COLUMNS, DeadlineSource, write_deadlines
from customer_marts.recompute import recompute
from tests.mini import MiniCompany
from tests.runs import published, query

DAY = date(2026, 6, 20)
CHAIN = [
    {"release_sequence": sequence, "as_of": (DAY + timedelta(days=days)).isoformat()}
    for sequence, days in ((1, 0), (2, 3), (5, 1))
]
ASKED = "select subject_kind, subject_id, since_on, due_on from deadline_history where is_open"
OVERDUE = """
    select since_on, due_on, overdue_days from customer_actions where overdue_days > 0
    union all
    select since_on, due_on, overdue_days from risk_register where overdue_days > 0
"""


def handed_on(told: DeadlineSource | None) -> list[tuple[Any, ...]]:
    """Subject, first and last day told, last day that it stood, as models read them."""
    with duckdb.connect() as connection:
        connection.execute("create schema landing")
        write_deadlines(connection, told)
        assert [name for (name,) in connection.execute("show databases").fetchall()] == ["memory"]
        return connection.execute(
            "select subject_id, since_on - date '2026-06-20', last_told_on - date '2026-06-20',"
            " last_stood_on - date '2026-06-20' from landing.deadlines order by all"
        ).fetchall()


def marts_with(folder: Path, *rows: tuple[str, int, int, int]) -> Path:
    """A release's marts; rows: subject, first day told, last day told (and a day more on which it
    stood), release that told it.
    """
    marts = folder / "marts.duckdb"
    columns = ", ".join(f"{name} {kind}" for name, kind in DEADLINE_COLUMNS.items())
    with duckdb.connect(str(marts)) as connection:
        # columns in another order, and more of them
        connection.execute(f"create table deadline_history (is_open boolean, {columns})")
        for subject, first, last, sequence in rows:
            days = [DAY + timedelta(days=day) for day in (first, last, last + 1)]
            connection.execute(
                "insert into deadline_history values"
                " (true, 'action', ?, ?, ?, 'C1', 'visit', date '2026-07-20', ?, ?, ?)",
                [subject, days[0], *days, sequence],
            )
    return marts


def test_what_later_releases_told_is_not_handed_on(tmp_path: Path) -> None:
    """Of a chain whose last as-of date lies before that of the release before."""
    marts = marts_with(
        tmp_path, ("kept", 0, 9, 1), ("ended", 0, 2, 1), ("back", 1, 1, 5), ("new", 3, 9, 6)
    )
    assert handed_on(DeadlineSource.by(marts, CHAIN)) == [
        ("back", 1, 1, 2),
        ("ended", 0, 2, 3),
        ("kept", 0, 3, 3),
    ]
    assert handed_on(DeadlineSource.by(marts, CHAIN[:1])) == [("ended", 0, 0, 0), ("kept", 0, 0, 0)]
    assert handed_on(DeadlineSource.by(marts, CHAIN[:0])) == []


def test_nothing_is_handed_on_by_a_release_without_the_mart(tmp_path: Path) -> None:
    marts = tmp_path / "it's old.duckdb"
    duckdb.connect(str(marts)).close()
    assert handed_on(DeadlineSource.by(marts, CHAIN)) == []
    assert handed_on(None) == []


def test_a_release_that_kept_fewer_days_hands_on_those(tmp_path: Path) -> None:
    marts = marts_with(tmp_path, ("kept", 0, 9, 1))
    with duckdb.connect(str(marts)) as connection:
        connection.execute("alter table deadline_history drop column last_stood_on")
    assert handed_on(DeadlineSource.by(marts, CHAIN)) == [("kept", 0, 3, None)]


def test_deadlines_come_and_a_past_day_keeps_its_own(released_in_full: MiniCompany) -> None:
    """A day later the same is due on the same day; five weeks later, after a rebuild, it is
    overdue; each day computed again is what it was.
    """
    mini = released_in_full
    first = releases.current_release(mini.settings.paths)
    assert first is not None
    asked = query(first, ASKED)
    assert {since_on for _, _, since_on, _ in asked} == {str(first.as_of)}

    second = published(mini, as_of=first.as_of + timedelta(days=1))
    still_asked = set(query(second, ASKED)) & set(asked)
    assert {kind for kind, *_ in still_asked} == {"action", "risk"}
    assert query(second, OVERDUE) == []

    later = published(mini, as_of=first.as_of + timedelta(days=35), rebuild=True)
    overdue = query(later, OVERDUE)
    assert overdue
    for since_on, due_on, days in overdue:
        assert since_on == str(first.as_of)
        assert date.fromisoformat(str(due_on)) + timedelta(days=int(days)) == later.as_of

    run = pipeline.open_run(mini.settings)
    for release in (first, second):
        done = recompute(run, release.as_of, mini.root / f"{release.as_of}", known_then=True)
        assert done.differences is not None
        assert {name: rows for name, rows in done.differences.items() if rows} == {}
    now = mini.root / "now.duckdb"
    recompute(run, second.as_of, now, known_then=False)
    with duckdb.connect(str(now), read_only=True) as connection:
        days = connection.execute(
            "select min(since_on), max(last_told_on) from deadline_history"
        ).fetchall()
    assert days == [(first.as_of, second.as_of)]
