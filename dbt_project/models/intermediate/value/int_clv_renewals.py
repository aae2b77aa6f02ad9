"""What the scoring fit of renewals forecasts, by how often a contract was renewed."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per number of renewals that a run of contract years has had."""
    dbt.config(materialized="table")

    from customer_marts.clv.model_tables import renewal_table

    return session.from_arrow(
        renewal_table(
            dbt.ref("int_clv_model_runs"),
            dbt.ref("int_clv_contracts"),
            dbt.ref("int_clv_parameters"),
        )
    )
