"""What was fitted, when, and which fit scores: one record a fit, carried from release to release.

A model is fitted by the run that says so (``is_refit``, the DAG ``refit_models``) or that finds
none, judged against the one in force, and promoted or refused. Days between score with the fit in
force: the last one promoted whose own as-of date is not after the run's, so that no figure of a
past day rests on a fit that saw later rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

# the marts that carry the fits of their models, with these columns first
MODEL_RUN_MARTS = ("credit_model_runs", "clv_model_runs")
MODEL_RUN_COLUMNS = {
    "model": "varchar",
    "version": "varchar",
    "fitted_as_of": "date",
    "release_id": "varchar",
    "release_sequence": "integer",
    "is_promoted": "boolean",
    "fit_status": "varchar",
    "verdict_en": "varchar",
    "verdict_zh": "varchar",
    "artefact": "varchar",
    "measures": "varchar",
}


@dataclass(frozen=True)
class ModelRun:
    """One fit of one model.

    version: hash of the artefact. artefact: the fitted model as JSON, None when nothing was fitted.
    measures: what it was judged by, as JSON. fit_status: the model's own word on its fit.
    """

    model: str
    version: str
    fitted_as_of: date
    release_id: str
    release_sequence: int
    is_promoted: bool
    fit_status: str
    verdict_en: str
    verdict_zh: str
    artefact: str | None
    measures: str


def in_force(runs: Iterable[ModelRun], model: str, as_of: date) -> ModelRun | None:
    """The fit that scores on a day: the last one promoted of those fitted by then."""
    known = [
        run for run in runs if run.model == model and run.is_promoted and run.fitted_as_of <= as_of
    ]
    return max(known, key=lambda run: (run.fitted_as_of, run.release_sequence), default=None)


def is_due(
    runs: Iterable[ModelRun], model: str, as_of: date, *, is_refit: bool, every_days: int
) -> bool:
    """Whether to fit: the first time; then when asked to, not sooner than after so many days."""
    days = [
        (as_of - run.fitted_as_of).days
        for run in runs
        if run.model == model and run.fitted_as_of <= as_of
    ]
    return not days or (is_refit and min(days) >= every_days)


def released_runs(marts: Path, until_sequence: int | None = None) -> list[ModelRun]:
    """The fits that a release's marts file carries, up to those of a release if one is given."""
    import duckdb

    names = ", ".join(MODEL_RUN_COLUMNS)
    found: list[Any] = []
    with duckdb.connect(str(marts), read_only=True) as connection:
        tables = {
            name
            for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()
        }
        for table in MODEL_RUN_MARTS:
            if table in tables:
                found += connection.execute(
                    f"select {names} from {table} order by release_sequence, model, version"
                ).fetchall()
    runs = [ModelRun(*row) for row in found]
    return [run for run in runs if until_sequence is None or run.release_sequence <= until_sequence]
