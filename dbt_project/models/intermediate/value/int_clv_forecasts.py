"""What the scoring fits forecast for every different purchase history."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per sale type and purchase history of the as-of date."""
    dbt.config(materialized="table")

    from customer_marts.clv.model_tables import forecast_table

    return session.from_arrow(
        forecast_table(
            dbt.ref("int_clv_model_runs"),
            dbt.ref("int_clv_histories"),
            dbt.ref("int_clv_parameters"),
        )
    )
