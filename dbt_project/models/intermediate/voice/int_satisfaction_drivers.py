"""What each item of the survey does to the satisfaction overall, by our own regression."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per item answered beside the overall question in the last 12 months."""
    dbt.config(materialized="table")

    from customer_marts.voice.model_tables import satisfaction_drivers

    return satisfaction_drivers(
        session,
        dbt.ref("int_satisfaction_item_answers"),
        dbt.ref("int_voice_parameters"),
    )
