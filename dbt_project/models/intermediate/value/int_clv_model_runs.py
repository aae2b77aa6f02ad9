"""The value models' fits: those that came with the parent release, and new ones where due."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per fit, with the ones in force and the ones that give figures marked."""
    dbt.config(materialized="table")

    from customer_marts.clv.model_tables import model_runs

    return session.from_arrow(
        model_runs(
            dbt.ref("stg_landing__model_runs"),
            dbt.ref("stg_landing__run_context"),
            dbt.ref("int_clv_histories"),
            dbt.ref("int_clv_tracking"),
            dbt.ref("int_clv_contracts"),
            dbt.ref("int_clv_parameters"),
        )
    )
