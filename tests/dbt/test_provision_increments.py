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
    comes into force, months pass and come back, an invoice becomes a default and another rule says
    that it was one before: as after a rebuild each time.
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

    def months_of_the_large_one() -> list[tuple[Any, ...]]:
        """Its month ends with what is provided for, and by how much more than its group's rates."""
        with open_build(database) as con:
            return con.execute(
                """
                select month(month_on), is_in_default, closing_step > general_step
                from intermediate.int_customer_provisions where customer_id = 'large'
                order by month_on
                """
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
                "3000.00",
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

    # due on 14 January and 90 days late on 14 April; more of it is not due before August
    landing.begin_release(date(2026, 3, 24))
    landing.put("customers", [{"customer_id": "large", "name": "large"}])
    landing.put(
        "invoices",
        [
            invoice("i-late", "large", date(2026, 1, 5), "20000.00", due_on=date(2026, 1, 14)),
            invoice("i-not-due", "large", date(2026, 3, 5), "5000.00", due_on=date(2026, 8, 1)),
        ],
    )
    increment()
    for as_of in (date(2026, 5, 4), date(2026, 4, 10), date(2026, 4, 11)):
        landing.begin_release(as_of)
        landing.put("invoices", [invoice(f"i-{as_of}", "credited", date(2026, 4, 2), "70.00")])
        increment()
        in_default = [(4, True, True), (5, True, True)] if as_of.month == 5 else [(4, False, False)]
        sound = [(month, False, False) for month in (1, 2, 3)]
        assert months_of_the_large_one() == sound + in_default

    landing.execute(
        """
        insert into seeds.credit_default_rules
        select * replace (
            60 as days_overdue_over, date '2026-04-12' as valid_from, '2' as version
        )
        from seeds.credit_default_rules where rule_code = 'overdue';
        update seeds.credit_default_rules set valid_to = date '2026-04-12'
        where rule_code = 'overdue' and version = '1'
        """
    )
    landing.begin_release(date(2026, 4, 12))
    increment()
    assert months_of_the_large_one()[2:] == [(3, True, True), (4, True, True)]
