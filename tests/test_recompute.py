"""A past day again: as the release of that day knew it, and as it is known now."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from customer_marts import pipeline, releases
from customer_marts.cli import marts
from customer_marts.errors import ConfigurationError
from customer_marts.recompute import recompute
from tests.mini import MiniCompany


def revenue(file: Path) -> str:
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute("select sum(revenue_amount) from fct_orders").fetchall()
    return str(rows[0][0])


def test_then_and_now_differ_by_what_was_learnt_in_between(released: MiniCompany) -> None:
    mini = released
    first = releases.current_release(mini.settings.paths)
    assert first is not None
    mini.execute(
        "update so_order_line set net_amount = '4000.00', price = '400.0000', "
        "updated_at = '2026-02-01 08:00:00' where order_no = 'O1'"
    )
    mini.add_order("O3", "C2", at="2026-02-02 09:00:00")
    second = pipeline.refresh(pipeline.open_run(mini.settings))
    assert second is not None
    assert second.as_of > first.as_of

    then = mini.root / "then.duckdb"
    run = pipeline.open_run(mini.settings)
    done = recompute(run, first.as_of, then, known_then=True)
    assert done.knowledge_of == first.release_id
    assert done.same_code
    assert done.differences is not None
    assert len(done.differences) >= 12
    assert "customer_360" not in done.differences
    assert {name for name, rows in done.differences.items() if rows} == set()
    assert revenue(then) == "10000.00"

    now = mini.root / "now.duckdb"
    answer = CliRunner().invoke(
        marts,
        ["recompute", "--as-of", str(first.as_of), "--known", "now", "--to", str(now)],
        env=dict(mini.settings.environment),
    )
    assert answer.exit_code == 0, answer.output
    assert second.release_id in answer.output
    assert revenue(now) == "9000.00"
    assert list(run.settings.paths.runs.glob("*/recompute")) == []

    with pytest.raises(ConfigurationError, match="exists already"):
        recompute(run, first.as_of, now, known_then=True)
    with pytest.raises(ConfigurationError, match="nothing was known"):
        recompute(run, first.as_of - timedelta(days=1), mini.root / "x.duckdb", known_then=True)


def test_before_the_first_release_it_says_so(mini: MiniCompany) -> None:
    with pytest.raises(ConfigurationError, match="no release yet"):
        recompute(
            pipeline.open_run(mini.settings), date(2026, 1, 1), mini.root / "x", known_then=True
        )
