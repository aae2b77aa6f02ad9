"""Probabilities of default by state of lateness, from the book's own monthly moves."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per state other than default."""
    dbt.config(materialized="table")

    from customer_marts.credit.model_tables import roll_rate_probabilities

    parameters = dict(dbt.ref("int_credit_parameters").project("parameter, value").fetchall())
    return roll_rate_probabilities(
        session,
        dbt.ref("int_credit_roll_moves"),
        dbt.ref("int_credit_roll_prior"),
        parameters["roll_prior_strength"],
        int(parameters["horizon_months"]),
    )
