"""Fits between DuckDB tables and :mod:`customer_marts.model_runs`: what the models share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun

if TYPE_CHECKING:
    import duckdb

_TYPES = {
    "varchar": pa.string(),
    "date": pa.date32(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
}
RUN_COLUMNS = {name: _TYPES[kind] for name, kind in MODEL_RUN_COLUMNS.items()}


class Refitted(Protocol):
    """What a fit came to, whatever was fitted."""

    @property
    def version(self) -> str: ...
    @property
    def fit_status(self) -> str: ...
    @property
    def is_promoted(self) -> bool: ...
    @property
    def verdict_en(self) -> str: ...
    @property
    def verdict_zh(self) -> str: ...
    @property
    def artefact(self) -> str | None: ...
    @property
    def measures(self) -> str: ...


@dataclass(frozen=True)
class ThisRun:
    """What is known of the run that computes."""

    as_of: date
    is_refit: bool
    release_id: str
    release_sequence: int

    @classmethod
    def of(cls, context: duckdb.DuckDBPyRelation) -> ThisRun:
        """From stg_landing__run_context, a table of one row."""
        names = "as_of, is_refit, release_id, release_sequence"
        return cls(*context.project(names).fetchall()[0])

    def record(self, model: str, fitted: Refitted) -> ModelRun:
        """The fit as one that this run made."""
        return ModelRun(
            model,
            fitted.version,
            self.as_of,
            self.release_id,
            self.release_sequence,
            fitted.is_promoted,
            str(fitted.fit_status),
            fitted.verdict_en,
            fitted.verdict_zh,
            fitted.artefact,
            fitted.measures,
        )


def known_runs(runs: duckdb.DuckDBPyRelation, models: Collection[str]) -> list[ModelRun]:
    """The fits of these models that came with the parent release (stg_landing__model_runs)."""
    rows = runs.project(", ".join(MODEL_RUN_COLUMNS)).fetchall()
    return [run for run in (ModelRun(*row) for row in rows) if run.model in models]


def table_of(rows: Sequence[tuple[Any, ...]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Rows as a table of these columns and types; with its columns also where there is no row."""
    arrays = [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(columns.values())]
    return pa.Table.from_arrays(arrays, names=list(columns))
