"""Increments by changed keys give what a rebuild gives; a crosswalk undone gives what was."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts.identity import Identity
from customer_marts.warehouse import open_build
from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.landing_fixture import Landing, utc
from tests.dbt.toy_company import (
    invoice,
    land_fourth_release,
    land_second_release,
    land_third_release,
    line,
    order,
    payment,
)


def read_marts(database: Path, *only: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every mart and of the tables that go on from those of the release before, or of
    these ``only``.
    """
    with open_build(database) as con:
        names = con.execute(
            """
            select if(database_name = 'marts', database_name, schema_name), table_name
            from duckdb_tables()
            where database_name = 'marts'
                or table_name in (
                    'int_customer_states', 'int_receivable_credits', 'int_open_claims',
                    'int_open_credits', 'int_bucket_transitions', 'int_provision_group_months',
                    'int_customer_provisions', 'int_credit_late_spans', 'int_credit_defaults',
                    'int_credit_flow_months', 'int_credit_months', 'int_credit_model_scores'
                )
            order by 2
            """
        ).fetchall()
        found = {
            name: con.execute(f"from {schema}.{name} order by all").fetchall()
            for schema, name in names
            if not only or name in only
        }
    assert found.keys() >= set(only)
    return found


def one(database: Path, sql: str) -> tuple[Any, ...]:
    with open_build(database) as con:
        (row,) = con.execute(sql).fetchall()
        return tuple(row)


def amount(database: Path, column: str, mart: str, where: str) -> Decimal | None:
    value: Decimal | None
    (value,) = one(database, f"select sum({column}) from marts.{mart} where {where}")
    return value


def test_three_increments_equal_a_rebuild(
    dbt: Dbt, landing: Landing, database: Path, first_build: Path
) -> None:
    first = read_marts(first_build)
    for land in (land_second_release, land_third_release):
        land(landing)
        dbt("run")
    land_fourth_release(landing)
    dbt("build", *WITHOUT_UNIT_TESTS)
    incremented = read_marts(database)

    landing.execute("update landing.run_context set is_rebuild = true")
    dbt("run")
    rebuilt = read_marts(database)

    assert incremented.keys() == rebuilt.keys()
    for mart, rows in incremented.items():
        assert rows == rebuilt[mart], mart
    # the changes reached the facts at all, or equality would prove nothing
    for fact in (
        "fct_orders",
        "fct_order_lines",
        "fct_invoices",
        "fct_payments",
        "fct_survey_responses",
        "fct_complaints",
        "fct_interactions",
        "fct_customer_costs",
        "fct_opportunities",
        "fct_deliveries",
        "fct_payment_allocations",
        "int_receivable_credits",
        "fct_receivables",
        "int_bucket_transitions",
        "int_provision_group_months",
        "int_customer_provisions",
        "int_credit_flow_months",
        "int_credit_months",
        "int_credit_model_scores",
        "credit_loss_movement",
        "fct_customer_months",
        "int_customer_states",
        "customer_rfm",
        "customer_abc",
        "customer_lifecycle",
        "customer_values",
        "customer_segment_history",
        "segment_migration",
        "book_concentration",
    ):
        assert first[fact] != incremented[fact], fact
    order_ids = {row[0] for row in incremented["fct_orders"]}
    assert "o-slow-deleted" not in order_ids  # deleted
    assert "o-future" not in order_ids  # shown as of 10 March, gone again as of 4 March
    assert {"o-late", "o-held"} <= order_ids  # landed late, let in
    # 100 dollars at the corrected rate
    assert amount(database, "revenue_amount", "fct_orders", "order_id = 'o-abroad'") == 705


def test_the_rules_of_an_increment_hold_for_the_keys_that_it_may_append(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    land_second_release(landing)
    built = dbt("run", "--select", "+fct_orders").results[-1].node
    assert built.name == "fct_orders"
    guard = built.compiled_code.rpartition("select * from final")[2]
    with open_build(database, read_only=False) as con:
        changed = "order_id in (from intermediate.int_orders_changed)"
        count_changed, count_orders = con.execute(
            f"select count(*) filter (where {changed}), count(*) from marts.fct_orders"
        ).fetchall()[0]
        assert 0 < count_changed < count_orders
        # the guard lets the changed orders pass and breaks on any other
        con.execute(f"with final as (from marts.fct_orders where {changed}) from final {guard}")
        with pytest.raises(duckdb.Error, match="goes by no changed orders"):
            con.execute(f"from marts.fct_orders {guard}").fetchall()
        ordered = f"select {{}}(order_id) from marts.fct_orders where {changed}"
        con.execute(
            "insert into marts.fct_orders from marts.fct_orders "
            f"where order_id = ({ordered.format('min')})"
        )
        con.execute(
            f"update marts.fct_orders set fx_rate = 0 where order_id = ({ordered.format('max')})"
        )
    with pytest.raises(AssertionError) as caught:
        dbt("test", "--select", "fct_orders__is_sound")
    assert "fct_orders__unique_combination: 1" in str(caught.value)
    assert "fct_orders__holds: 1" in str(caught.value)


def test_customer_months_go_on_from_the_first_that_changed(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """A late row, a moved one, an attribute, two months on and one back: each customer's months go
    on from its first change, and are as after a rebuild.
    """
    segments = ("run", "--select", "+marts.segments", "+int_credit_scores")

    def first_months() -> dict[str, date]:
        with open_build(database) as con:
            return dict(
                con.execute(
                    "select customer_id, first_month_on from intermediate.int_customers_changed"
                ).fetchall()
            )

    def customers_of(table: str) -> set[str]:
        with open_build(database) as con:
            found = con.execute(f"select distinct customer_id from intermediate.{table}")
            return {customer for (customer,) in found.fetchall()}

    landing.begin_release(date(2026, 3, 2))
    dbt(*segments)
    assert set(first_months().values()) == {date(2026, 2, 1)}
    customers_of_marts = {row[0] for row in read_marts(database, "dim_customers")["dim_customers"]}

    landing.begin_release(date(2026, 3, 20))
    landing.put("orders", [order("o-early", "steady", date(2025, 6, 15), sale_type="contract")])
    landing.put("order_lines", [line("o-early", "70.00")])
    landing.put("orders", [order("o-abroad", "idle", date(2025, 12, 5))])
    landing.put("payments", [payment("p-back", "bills", date(2026, 1, 2), "1.00")])
    landing.put("customers", [{"customer_id": "slow", "name": "Slow", "industry": "cement"}])
    dbt(*segments)
    changed = first_months()
    assert {name: changed[name] for name in ("steady", "idle", "abroad", "bills", "slow")} == {
        "steady": date(2025, 6, 1),
        "idle": date(2025, 12, 1),
        # where the order was before
        "abroad": date(2026, 2, 1),
        "bills": date(2026, 1, 1),
        "slow": date(1, 1, 1),
    }
    assert "credited" not in changed

    for as_of in (date(2026, 5, 4), date(2026, 4, 10)):
        landing.begin_release(as_of)
        landing.put("orders", [order(f"o-{as_of}", "credited", date(2026, 4, 2))])
        dbt(*segments)
        # everybody's months go on; the ledger is that of customers with movements
        moved = customers_of("int_customers_changed where has_movements")
        assert "credited" in moved
        assert moved < customers_of("int_customers_changed") >= customers_of_marts
        assert customers_of("int_receivable_events") <= moved
        incremented = read_marts(database)
        landing.execute("update landing.run_context set is_rebuild = true")
        dbt(*segments)
        for mart, rows in read_marts(database).items():
            assert incremented[mart] == rows, (mart, as_of)


def test_what_a_later_date_brings_comes_and_goes(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """As of 27 February, then 10 March, then 4 March: no row of these changed in between."""
    states = """
        select
            (select is_open from marts.fct_complaints where complaint_id = 'c-slow'),
            (select compensation_amount from marts.fct_complaints where complaint_id = 'c-slow'),
            (select responded_at is not null from marts.fct_complaints
                where complaint_id = 'c-idle'),
            (select stage from marts.fct_opportunities where opportunity_id = 's-lost-later'),
            (select is_won from marts.fct_opportunities where opportunity_id = 's-lost-later'),
            (select count(*) from marts.fct_deliveries where delivery_id = 'd-future'),
            (select count(*) from marts.fct_customer_costs where cost_id = 'k-future')
    """
    assert one(database, states) == (True, None, False, "open", None, 0, 0)
    landing.begin_release(date(2026, 3, 10))
    dbt("run", "--select", "+marts.core")
    assert one(database, states) == (False, 30, True, "lost", False, 1, 1)
    landing.begin_release(date(2026, 3, 4))
    dbt("run", "--select", "+marts.core")
    assert one(database, states) == (True, None, True, "open", None, 0, 1)


def test_claims_turn_overdue_as_the_days_pass_without_a_changed_row(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    months = ("run", "--select", "+fct_customer_months")
    ledger = ("fct_receivables", "fct_customer_months")

    def overdue(mart: str) -> list[tuple[Any, ...]]:
        with open_build(database) as con:
            return con.execute(
                f"""
                select customer_id, overdue_amount from marts.{mart}
                where month_on = '2026-03-01' and customer_id in ('idle', 'prospect') order by 1
                """
            ).fetchall()

    # the claim is due, and the excess refunded, on the as-of date itself
    landing.begin_release(date(2026, 3, 5))
    landing.put(
        "invoices",
        [invoice("i-due", "idle", date(2026, 3, 2), "40.00", due_on=date(2026, 3, 5))],
    )
    landing.put(
        "payments",
        [payment("p-excess", "prospect", date(2026, 3, 5), "30.00", kind="refund")],
    )
    dbt(*months)
    on_the_day = read_marts(database, *ledger)
    assert overdue("fct_receivables") == [("idle", 0), ("prospect", 0)]

    landing.begin_release(date(2026, 3, 6))
    dbt(*months)
    incremented = read_marts(database, *ledger)
    for mart in ledger:
        assert overdue(mart) == [("idle", 40), ("prospect", 30)]
    landing.execute("update landing.run_context set is_rebuild = true")
    dbt(*months)
    assert read_marts(database, *ledger) == incremented

    landing.begin_release(date(2026, 3, 5))
    dbt(*months)
    assert read_marts(database, *ledger) == on_the_day


def test_missing_rates_and_wrong_source_totals_stop_the_build(dbt: Dbt, landing: Landing) -> None:
    landing.execute("delete from landing.fx_days")
    landing.execute("update landing.ledger set source_amount = source_amount + 0.01")
    landing.execute("update landing.run_context set is_rebuild = true")
    stopped = ("+fct_order_lines", "+fct_payments", "conservation_ledger")
    with pytest.raises(AssertionError) as caught:
        dbt("build", *WITHOUT_UNIT_TESTS, "--select", *stopped)
    for test in (
        "fct_order_lines__holds",
        "fct_payments__holds",
        "conservation_ledger__pulled_is_what_the_source_states",
    ):
        assert test in str(caught.value)


def decision(entry_no: int, kind: str, of: str, to: str, **where: Any) -> Identity:
    fields = {"feed": None, "row_key": None, "valid_from": None, "valid_to": None, **where}
    return Identity(
        entry_no,
        kind,
        of,
        to,
        decided_by="li",
        decided_on=date(2026, 2, 27),
        reason="toy",
        **fields,
    )


CROSSWALK = [
    decision(2, "merge", "leaving", "idle"),
    decision(3, "rekey", "slow", "slower", valid_from=date(2026, 1, 1)),
    decision(4, "split", "steady", "branch", feed="orders", row_key="o-steady-2"),
    decision(5, "distinct", "refunded", "credited"),
]
TOTALS = """
    select
        (select sum(revenue_amount) from marts.fct_customer_totals),
        (select sum(margin_amount) from marts.fct_orders),
        (select sum(invoice_amount) from marts.fct_invoices),
        (select sum(payment_amount) from marts.fct_payments),
        (select sum(balance_amount) from marts.receivables_balances),
        (select sum(count_survey_responses) from marts.fct_customer_months),
        (select count(*) from marts.fct_order_lines),
        (select count(*) from marts.fct_complaints),
        (select sum(cost_amount) from marts.fct_interactions),
        (select sum(cost_amount) from marts.fct_customer_costs),
        (select sum(opportunity_amount) from marts.fct_opportunities),
        (select sum(delivered_amount) from marts.fct_deliveries)
"""


def test_a_crosswalk_moves_rows_conserves_totals_and_is_undone(
    dbt: Dbt, landing: Landing, database: Path, first_build: Path
) -> None:
    first = read_marts(first_build)
    before = one(first_build, TOTALS)

    landing.decide(CROSSWALK)
    dbt("build", *WITHOUT_UNIT_TESTS)
    assert one(database, TOTALS) == before
    customers = {row[0] for row in read_marts(database, "dim_customers")["dim_customers"]}
    assert customers == {row[0] for row in first["dim_customers"]} - {"leaving"} | {
        "slower",
        "branch",
    }
    revenue = {
        customer: amount(
            database, "revenue_amount", "fct_customer_totals", f"customer_id = '{customer}'"
        )
        for customer in ("idle", "slow", "slower", "branch")
    }
    # 10 and 60; the order of December stays with slow; the split takes one order of 200
    assert revenue == {"idle": 70, "slow": 330, "slower": 120, "branch": 200}
    assert one(
        database,
        "select customer_id, source_customer_id from marts.fct_orders where order_id = 'o-leaving'",
    ) == ("idle", "leaving")
    with open_build(database) as con:
        moved = con.execute(
            """
            select source_customer_id, customer_id, kind, is_split, count_rows, count_rows_moved
            from marts.customer_identities where kind <> 'own' order by 1
            """
        ).fetchall()
    assert moved == [
        ("leaving", "idle", "merge", False, 2, 2),
        # its record and the order and invoice of December stay
        ("slow", "slower", "rekey", False, 9, 6),
        ("steady", "steady", "split", True, 13, 1),
    ]

    landing.decide([])
    dbt("run")
    for mart, rows in read_marts(database).items():
        assert rows == first[mart], mart


def test_the_as_of_date_passes_a_version_of_a_customer_and_returns(
    dbt: Dbt, landing: Landing, database: Path
) -> None:
    """Terms change on 3 March: invoices without a due date of that day on follow them, increment
    as rebuild, and as of the day before nobody knows of it.
    """
    landing.begin_release(date(2026, 3, 2))
    for day, terms in ((1, 10), (3, 90)):
        record = {"customer_id": "slow", "name": "Slow Cement", "payment_terms_days": terms}
        landing.put("customers", [{**record, "updated_at": utc(2026, 3, day, 4)}])
    for day in (1, 2, 3):
        landing.put("invoices", [invoice(f"i-terms-{day}", "slow", date(2026, 3, day), "1.00")])
    known = """
        select
            (select payment_terms_days from marts.dim_customers where customer_id = 'slow'),
            (
                select string_agg(due_on - invoiced_on, ' ' order by invoice_id)
                from marts.fct_invoices where invoice_id like 'i-terms-%'
            )
    """
    dbt("run")
    before = read_marts(database)
    assert one(database, known) == (10, "10 10")

    landing.begin_release(date(2026, 3, 4))
    dbt("run")
    after = read_marts(database)
    assert one(database, known) == (90, "10 10 90")
    landing.execute("update landing.run_context set is_rebuild = true")
    dbt("run")
    assert read_marts(database) == after

    landing.begin_release(date(2026, 3, 2))
    dbt("run")
    customers = ("dim_customer_history", "dim_customers", "fct_invoices", "customer_360")
    returned = read_marts(database, *customers)
    assert one(database, known) == (10, "10 10")
    for mart in customers:
        assert returned[mart] == before[mart], mart
