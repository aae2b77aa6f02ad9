"""The allocation ledger in numbers: customer_marts.credit.allocation run on the events."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per allocation, reversal or mark, with the numbers of int_receivable_events."""
    dbt.config(materialized="table")

    from customer_marts.credit.tables import entries_of

    return entries_of(session, dbt.ref("int_receivable_events"))
