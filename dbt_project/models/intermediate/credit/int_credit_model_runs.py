"""The fits of the credit scorecard: those that came with the parent release, and a new one if due."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per fit, with the one in force marked."""
    dbt.config(materialized="table")

    from customer_marts.credit.model_tables import model_runs

    return model_runs(
        session,
        dbt.ref("stg_landing__model_runs"),
        dbt.ref("stg_landing__run_context"),
        dbt.ref("int_credit_observations"),
        dbt.ref("int_credit_parameters"),
        dbt.ref("int_credit_directions"),
    )
