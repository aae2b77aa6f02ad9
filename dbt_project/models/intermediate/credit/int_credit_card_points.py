"""What each value of each variable is worth on the scorecard in force."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per variable, bin and level; none without a card in force."""
    dbt.config(materialized="table")

    from customer_marts.credit.model_tables import card_points

    return card_points(session, dbt.ref("int_credit_model_runs"))
