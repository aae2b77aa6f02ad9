"""Every kind of rule bites: one mart corrupted by each, and the build names the rule and rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from customer_marts.warehouse import open_build
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing

# statement that breaks the rule -> the rule and the count of rows that break it
BREAKS = {
    "unique_combination": (
        "insert into marts.dim_products from marts.dim_products limit 1",
        "dim_products__unique_combination: 1",
    ),
    "unique_combination, null key": (
        (
            "alter table marts.fct_payments alter payment_id drop not null; "
            "update marts.fct_payments set payment_id = null "
            "where payment_id = (select min(payment_id) from marts.fct_payments)"
        ),
        "fct_payments__unique_combination: 1",
    ),
    "not_negative": (
        (
            "update marts.dim_products set tonnes_per_unit = -1 "
            "where product_id = (select min(product_id) from marts.dim_products)"
        ),
        "dim_products__not_negative: 1",
    ),
    "holds": (
        (
            "update marts.fct_orders set gross_amount = gross_amount + 0.01 "
            "where order_id in (select order_id from marts.fct_orders order by 1 limit 2)"
        ),
        "fct_orders__holds: 2",
    ),
    "holds, null": (
        (
            "update marts.fct_orders set fx_rate = null "
            "where order_id = (select min(order_id) from marts.fct_orders)"
        ),
        "fct_orders__holds: 1",
    ),
    "known_as_of, date": (
        (
            "update marts.fct_payments set received_on = date '2999-01-01' "
            "where payment_id = (select min(payment_id) from marts.fct_payments)"
        ),
        "fct_payments__known_as_of: 1",
    ),
    "known_as_of, currency": (
        (
            "update marts.fct_payments set currency = 'XXX' "
            "where payment_id = (select min(payment_id) from marts.fct_payments)"
        ),
        "fct_payments__known_as_of: 1",
    ),
    "relationships": (
        (
            "update marts.fct_order_lines set product_id = 'nowhere' "
            "where order_id = (select min(order_id) from marts.fct_order_lines) and line_no = '1'"
        ),
        "fct_order_lines__relationships: 1",
    ),
    "sums_to in total": (
        (
            "update marts.fct_customer_totals set revenue_amount = revenue_amount + 0.01 "
            "where customer_id = (select min(customer_id) from marts.fct_customer_totals)"
        ),
        "fct_customer_totals__revenue_amount_sum_to_fct_orders: 1",
    ),
    "sums_to by key": (
        (
            "update marts.receivables_balances set open_amount = case customer_id "
            "when 'steady' then open_amount + 1 else open_amount - 1 end "
            "where customer_id in ('steady', 'slow')"
        ),
        "receivables_balances__open_amount_sum_to_open_documents: 2",
    ),
    "agrees_with": (
        (
            "update marts.fct_customer_months set open_balance_amount = open_balance_amount + 1, "
            "unapplied_cash_amount = unapplied_cash_amount + 1 "
            "where customer_id = 'steady' "
            "and month_on = (select max(month_on) from marts.fct_customer_months)"
        ),
        "fct_customer_months__balances_are_those_of_fct_receivables: 1",
    ),
    "agrees_with, a key of the other side alone": (
        (
            "delete from marts.fct_customer_months "
            "where (customer_id, month_on) = (select (customer_id, month_on) "
            "from marts.fct_receivables where open_balance_amount > 0 order by all limit 1)"
        ),
        "fct_customer_months__balances_are_those_of_fct_receivables: 1",
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_named_with_its_rows(
    dbt: Dbt, landing: Landing, database: Path, rule: str
) -> None:
    statement, broken = BREAKS[rule]
    with open_build(database, read_only=False) as connection:
        connection.execute(statement)
    mart = broken.partition("__")[0]
    with pytest.raises(AssertionError) as caught:
        dbt("test", "--select", f"{mart}__is_sound")
    assert re.search(rf"\b{broken}$", str(caught.value), re.MULTILINE), caught.value


@pytest.mark.parametrize(
    "statement",
    [
        "delete from marts.fct_order_lines where order_id = 'o-abroad'",
        # as many lines as before
        (
            "update marts.fct_order_lines set line_no = line_no + 100 "
            "where order_id = (select min(order_id) from marts.fct_order_lines) and line_no = 1"
        ),
    ],
)
def test_a_line_that_was_accepted_and_is_not_in_the_fact_is_found(
    dbt: Dbt, landing: Landing, database: Path, statement: str
) -> None:
    rule = "accepted_order_lines_are_in_the_fact"
    dbt("test", "--select", rule)
    with open_build(database, read_only=False) as connection:
        connection.execute(statement)
    with pytest.raises(AssertionError) as caught:
        dbt("test", "--select", rule)
    assert rule in str(caught.value)
