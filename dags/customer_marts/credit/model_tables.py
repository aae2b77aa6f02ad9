"""The scorecard's fits between DuckDB tables and :mod:`customer_marts.credit.refit`."""

from __future__ import annotations

from dataclasses import astuple
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from customer_marts.credit.refit import MODEL, Observations, RefitRules, refit
from customer_marts.credit.roll_rates import estimate_transitions
from customer_marts.credit.scorecard import Scorecard
from customer_marts.model_run_tables import RUN_COLUMNS, ThisRun, known_runs, table_of
from customer_marts.model_runs import ModelRun, in_force, is_due

if TYPE_CHECKING:
    import duckdb

# what identifies an observation and its outcome; every other column is a variable
OBSERVATION_COLUMNS = ("customer_id", "month_no", "is_default")
POINTS_COLUMNS = {
    "model_version": pa.string(),
    "variable_no": pa.int32(),
    "variable": pa.string(),
    "kind": pa.string(),
    "bin_no": pa.int32(),
    "lower_value": pa.float64(),
    "upper_value": pa.float64(),
    "level": pa.string(),
    "woe": pa.float64(),
    "points": pa.int32(),
    "best_points": pa.int32(),
    "bin_label": pa.string(),
}


def model_runs(
    session: Any,
    runs: duckdb.DuckDBPyRelation,
    context: duckdb.DuckDBPyRelation,
    observations: duckdb.DuckDBPyRelation,
    parameters: duckdb.DuckDBPyRelation,
    directions: duckdb.DuckDBPyRelation,
) -> duckdb.DuckDBPyRelation:
    """The fits known before this run, and its own where one is due.

    Columns: MODEL_RUN_COLUMNS and ``is_in_force``, true for the one that scores on the as-of date.
    ``observations`` (see OBSERVATION_COLUMNS) are only read for a fit; a champion with a variable
    that they have no more can neither score nor be compared with.
    """
    known = known_runs(runs, {MODEL})
    this = ThisRun.of(context)
    rules = RefitRules.of(
        dict(parameters.project("parameter, value").fetchall()),
        dict(directions.project("code, risk_direction").fetchall()),
    )
    variables = set(observations.columns) - set(OBSERVATION_COLUMNS)
    if is_due(known, MODEL, this.as_of, is_refit=this.is_refit, every_days=rules.refit_days):
        champion = card_in_force(known, this.as_of, variables)
        fitted = refit(_observations(observations), champion[1] if champion else None, rules)
        known.append(this.record(MODEL, fitted))
    scoring = card_in_force(known, this.as_of, variables)
    rows = [(*astuple(run), scoring is not None and run is scoring[0]) for run in known]
    return _relation(session, rows, {**RUN_COLUMNS, "is_in_force": pa.bool_()})


def card_in_force(
    runs: list[ModelRun], as_of: date, variables: set[str]
) -> tuple[ModelRun, Scorecard] | None:
    """The fit that scores on a day and its card; None where its variables are not all there."""
    run = in_force(runs, MODEL, as_of)
    if run is None or run.artefact is None:
        return None
    card = Scorecard.from_json(run.artefact)
    return (run, card) if set(card.names) <= variables else None


def card_points(session: Any, runs: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The points table of the card in force (see Scorecard.points_table); empty without one."""
    rows: list[tuple[Any, ...]] = []
    for (artefact,) in runs.filter("is_in_force").project("artefact").fetchall():
        card = Scorecard.from_json(artefact)
        best = {each.bins.name: each.best_points for each in card.variables}
        numbers = {name: number for number, name in enumerate(card.names, start=1)}
        rows += [
            (
                card.version,
                numbers[row.variable],
                row.variable,
                row.kind,
                row.bin_no,
                row.lower,
                row.upper,
                row.level,
                row.woe,
                row.points,
                best[row.variable],
                row.label,
            )
            for row in card.points_table()
        ]
    return _relation(session, rows, POINTS_COLUMNS)


def roll_rate_probabilities(
    session: Any,
    moves: duckdb.DuckDBPyRelation,
    prior: duckdb.DuckDBPyRelation,
    prior_strength: float,
    horizon_months: int,
) -> duckdb.DuckDBPyRelation:
    """Probability of default within the horizon, by state of lateness.

    moves: from_state, to_state, count_moves of one month. prior: from_state, from_order, to_state,
    to_order, rate; the last to_state, default, is never left. Each row of the matrix is its own
    shares and the prior's, see estimate_transitions. The chain runs for ``horizon_months``: who is
    not absorbed by then has not defaulted. Columns: roll_state, pd_probability, count_moves,
    own_weight (the weight of the own moves against the prior).
    """
    cells = prior.project("from_order, to_order, from_state, rate").fetchall()
    states = {order: state for order, _, state, _ in cells}
    orders = sorted(states)
    columns = sorted({to for _, to, _, _ in cells})
    given = np.zeros((len(orders), len(columns)))
    for from_order, to_order, _, rate in cells:
        given[orders.index(from_order), columns.index(to_order)] = rate
    names = dict(prior.project("to_state, to_order").distinct().fetchall())
    counts = np.zeros_like(given)
    index = {states[order]: at for at, order in enumerate(orders)}
    for from_state, to_state, count in moves.project(
        "from_state, to_state, count_moves"
    ).fetchall():
        counts[index[from_state], columns.index(names[to_state])] += count
    chain = estimate_transitions(counts, given, prior_strength)
    survival = np.linalg.matrix_power(chain.transient, horizon_months).sum(axis=1)
    rows = [
        (states[order], 1.0 - float(survival[at]), int(counts[at].sum()), float(credibility))
        for at, (order, credibility) in enumerate(zip(orders, chain.credibility, strict=True))
    ]
    kinds = (pa.string(), pa.float64(), pa.int64(), pa.float64())
    return _relation(
        session,
        rows,
        dict(
            zip(("roll_state", "pd_probability", "count_moves", "own_weight"), kinds, strict=True)
        ),
    )


def _observations(relation: duckdb.DuckDBPyRelation) -> Observations:
    columns = relation.order("customer_id, month_no").fetchnumpy()
    return Observations(
        np.ma.getdata(columns.pop("customer_id")),
        np.ma.getdata(columns.pop("month_no")).astype(np.int64),
        np.ma.getdata(columns.pop("is_default")).astype(bool),
        columns,
    )


def _relation(
    session: Any, rows: list[tuple[Any, ...]], columns: dict[str, pa.DataType]
) -> duckdb.DuckDBPyRelation:
    relation: duckdb.DuckDBPyRelation = session.from_arrow(table_of(rows, columns))
    return relation
