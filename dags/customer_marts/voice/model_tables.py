"""Survey drivers between DuckDB tables and :mod:`customer_marts.voice.drivers`."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from customer_marts.voice.drivers import DriverRules, driver_effects

if TYPE_CHECKING:
    import duckdb

DRIVER_COLUMNS = {
    "question_code": pa.string(),
    "count_answers": pa.int32(),
    "count_customers": pa.int32(),
    "effect": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "p_value": pa.float64(),
    "p_adjusted": pa.float64(),
    "correlation": pa.float64(),
    "is_driver": pa.bool_(),
    "status": pa.string(),
}


def satisfaction_drivers(
    session: Any, answers: duckdb.DuckDBPyRelation, parameters: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """One row per item, as :class:`~customer_marts.voice.drivers.DriverEffect`.

    answers: response_id, customer_id, question_code, score_rate, overall_rate, one row per answer
    to an item by a response that also scored the whole. parameters: parameter, value.
    """
    rules = dict(parameters.project("parameter, value").fetchall())
    rows = answers.project(
        "response_id, customer_id, question_code, score_rate, overall_rate"
    ).fetchall()
    responses = sorted({row[0] for row in rows})
    items = sorted({row[2] for row in rows})
    numbers = {name: number for number, name in enumerate(sorted({row[1] for row in rows}))}
    at_response = {name: number for number, name in enumerate(responses)}
    at_item = {name: number for number, name in enumerate(items)}
    scores = np.full((len(responses), len(items)), np.nan)
    overall, customers = np.zeros(len(responses)), np.zeros(len(responses), dtype=np.int64)
    for response, customer, item, score, whole in rows:
        place = at_response[response]
        scores[place, at_item[item]] = score
        overall[place], customers[place] = whole, numbers[customer]
    effects = driver_effects(
        items,
        scores,
        overall,
        customers,
        DriverRules(
            core_share=rules["driver_core_share"],
            minimum_customers=int(rules["driver_customers_at_least"]),
            significance=rules["significance"],
        ),
    )
    columns = list(zip(*(astuple(each) for each in effects), strict=True))
    relation: duckdb.DuckDBPyRelation = session.from_arrow(
        pa.table(
            {
                name: pa.array(columns[place] if columns else [], type=kind)
                for place, (name, kind) in enumerate(DRIVER_COLUMNS.items())
            }
        )
    )
    return relation
