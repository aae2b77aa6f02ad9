"""The flows of a customer's months, and of the 3 and 12 months up to each."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per customer and month from the first that this run computes to the as-of month."""
    dbt.config(materialized="table")

    from customer_marts.credit.panel_tables import trailing_months

    return trailing_months(
        session,
        dbt.ref("int_credit_customers"),
        dbt.ref("int_credit_flows"),
        dbt.ref("int_credit_months_before"),
    )
