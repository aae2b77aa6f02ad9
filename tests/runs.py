"""Runs of a test's company, and what they released."""

from __future__ import annotations

from typing import Any

import duckdb

from customer_marts import pipeline, releases
from customer_marts.recompute import TRUST_MARTS
from tests.mini import MiniCompany


def refresh(mini: MiniCompany, **options: Any) -> releases.Release | None:
    return pipeline.refresh(pipeline.open_run(mini.settings), **options)


def published(mini: MiniCompany, **options: Any) -> releases.Release:
    release = refresh(mini, **options)
    assert release is not None
    return release


def query(release: releases.Release, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(release.marts), read_only=True) as connection:
        rows = connection.execute(sql).fetchall()
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def tables(release: releases.Release) -> dict[str, list[tuple[Any, ...]]]:
    """Every mart's rows, but for the columns that tell of the run itself."""
    names = [name for (name,) in query(release, "select table_name from duckdb_tables()")]
    return {
        name: sorted(query(release, f"from {name}"), key=str)
        for name in sorted(set(names) - TRUST_MARTS)
    }
