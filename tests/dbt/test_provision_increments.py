"""Provisions by increments give what a rebuild gives. A file of its own, as it takes minutes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.warehouse import open_build
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing
from tests.dbt.test_incremental import read_marts
from tests.dbt.toy_company import invoice, payment


def test_provisions_go_on_from_the_first_month_that_changed(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """Days pass, a payment comes two months late, a bill is dishonoured, a group moves, a write-off
    comes into force, months pass and come back: as after a rebuild each time.
    """
    provisions = (
        *("run", "--select", "+int_customer_provisions"),
        *("+provision_matrix", "+credit_loss_movement"),
    )
    tables = (
        *("int_bucket_transitions", "int_provision_group_months", "int_customer_provisions"),
        *("provision_matrix", "credit_loss_movement"),
    )

    def months_before(day: date) -> list[tuple[Any, ...]]:
        with open_build(database) as con:
            return con.execute(
                "from intermediate.int_customer_provisions where month_on < ? order by all", [day]
            ).fetchall()

    def increment() -> None:
        dbt(*provisions)
        incremented = read_marts(database, *tables)
        landing.execute("update landing.run_context set is_rebuild = true")
        dbt(*provisions)
        rebuilt = read_marts(database, *tables)
        for table in tables:
            assert incremented[table] == rebuilt[table], table

    january = months_before(date(2026, 2, 1))
    landing.begin_release(date(2026, 3, 20))
    increment()
    assert months_before(date(2026, 2, 1)) == january

    landing.begin_release(date(2026, 3, 21))
    landing.put("payments", [payment("p-two-months-late", "bills", date(2026, 1, 20), "120.00")])
    landing.put("customers", [{"customer_id": "slow", "customer_type": "related_party"}])
    increment()
    assert months_before(date(2026, 2, 1)) != january

    landing.begin_release(date(2026, 3, 22))
    landing.put(
        "payments",
        [
            payment(
                "p-bill",
                "bills",
                date(2026, 2, 1),
                "300.00",
                method="bank_acceptance",
                bill_matures_on=date(2026, 3, 10),
                bill_status="dishonoured",
                bill_status_on=date(2026, 3, 11),
            )
        ],
    )
    increment()

    landing.execute(
        """
        insert into seeds.write_offs (version, valid_from, credit_id)
        values ('1', date '2026-03-23', 'p-steady-1')
        """
    )
    before = months_before(date(2026, 3, 1))
    landing.begin_release(date(2026, 3, 23))
    increment()
    assert months_before(date(2026, 3, 1)) != before

    for as_of in (date(2026, 5, 4), date(2026, 4, 10), date(2026, 4, 11)):
        landing.begin_release(as_of)
        landing.put("invoices", [invoice(f"i-{as_of}", "credited", date(2026, 4, 2), "70.00")])
        increment()
