"""Loss rates from roll rates: customer_marts.credit.provision_rates run on the moves."""

from __future__ import annotations

from typing import Any


def model(dbt: Any, session: Any) -> Any:
    """One row per month, provision group and bucket of int_provision_cells."""
    dbt.config(materialized="table")

    from customer_marts.credit.provision_rates import loss_rate_table

    cells = dbt.ref("int_provision_cells").to_arrow_table()
    moves = dbt.ref("int_provision_moves").to_arrow_table()
    return session.from_arrow(loss_rate_table(cells, moves))
