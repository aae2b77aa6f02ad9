"""Which fit scores, when a model is due, and that releases carry their fits."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun, in_force, is_due, released_runs

JUNE, JULY = date(2026, 6, 30), date(2026, 7, 31)


def fit(version: str, as_of: date, sequence: int, *, promoted: bool = True) -> ModelRun:
    return ModelRun(
        *("card", version, as_of, f"r{sequence:05d}", sequence, promoted),
        *("ok", "Promoted", "已启用", "{}", "{}"),
    )


def test_the_last_promoted_fit_of_the_day_scores() -> None:
    runs = [fit("a", JUNE, 1), fit("b", JULY, 2), fit("c", JULY, 3, promoted=False)]
    assert in_force(runs, "card", date(2026, 7, 30)) == runs[0]
    assert in_force(runs, "card", JULY) == runs[1]
    assert in_force(runs, "card", date(2026, 6, 29)) is None
    assert in_force(runs, "other", JULY) is None


def test_a_model_is_due_the_first_time_and_then_when_asked_and_old_enough() -> None:
    refused = [fit("a", JUNE, 1, promoted=False)]
    assert is_due([], "card", JUNE, is_refit=False, every_days=28)
    assert not is_due(refused, "card", JULY, is_refit=False, every_days=28)
    assert is_due(refused, "card", JULY, is_refit=True, every_days=28)
    assert not is_due(refused, "card", JULY, is_refit=True, every_days=32)
    # a past day knows nothing of a later fit
    assert is_due(refused, "card", date(2026, 6, 1), is_refit=False, every_days=28)


def test_a_release_carries_its_fits(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    runs = [fit("a", JUNE, 1), fit("b", JULY, 2)]
    columns = ", ".join(f"{name} {kind}" for name, kind in MODEL_RUN_COLUMNS.items())
    with duckdb.connect(str(marts)) as connection:
        connection.execute(f"create table credit_model_runs ({columns}, auc_rate double)")
        for run in runs:
            values = [getattr(run, name) for name in MODEL_RUN_COLUMNS]
            marks = ", ".join("?" * len(values))
            connection.execute(f"insert into credit_model_runs values ({marks}, 0.8)", values)
    assert released_runs(marts) == runs
    assert released_runs(marts, until_sequence=1) == runs[:1]
