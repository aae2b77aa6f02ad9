"""Rows of every feed for the gates' tests: a good one, one corruption per rule, random ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from customer_marts.feeds import FEEDS, load_contract
from customer_marts.gates.suites import load_suite
from customer_marts.settings import EXPECTATIONS_DIR

Row = dict[str, str | None]

# Values as texts: DuckDB casts them to the contract's types, as landing does.
GOOD: Mapping[str, Row] = {
    "customers": {
        "customer_id": "C1",
        "name": "Huaneng",
        "size_class": "large",
        "customer_type": "power",
        "payment_terms_days": "60",
        "credit_limit": "1000000.00",
        "onboarded_on": "1998-05-01",
    },
    "products": {"product_id": "P1", "name": "Q5500", "unit": "t", "tonnes_per_unit": "1"},
    "orders": {
        "order_id": "O1",
        "customer_id": "C1",
        "ordered_at": "2026-03-01 08:00:00",
        "ordered_on": "2026-03-01",
        "status": "completed",
        "currency": "CNY",
        "contract_id": "K1",
        "sale_type": "contract",
        "amount": "1000.00",
    },
    "order_lines": {
        "order_id": "O1",
        "line_no": "1",
        "product_id": "P1",
        "quantity": "10.000",
        "unit_price": "100.1000",
        "discount": "1.00",
        "tax": "130.00",
        "amount": "1000.00",
        "unit_cost": "80.0000",
    },
    "invoices": {
        "invoice_id": "I1",
        "order_id": "O1",
        "customer_id": "C1",
        "invoiced_on": "2026-03-02",
        "due_on": "2026-05-01",
        "amount": "1130.00",
        "tax": "130.00",
        "currency": "CNY",
        "kind": "invoice",
    },
    "payments": {
        "payment_id": "R1",
        "customer_id": "C1",
        "received_at": "2026-04-01 02:00:00",
        "received_on": "2026-04-01",
        "amount": "1130.00",
        "currency": "CNY",
        "method": "bank_acceptance",
        "bill_no": "B1",
        "bill_matures_on": "2026-10-01",
        "bill_status": "held",
        "bill_status_on": "2026-04-01",
        "kind": "receipt",
    },
    "survey_responses": {
        "response_id": "S1",
        "question_code": "nps",
        "customer_id": "C1",
        "answered_at": "2026-04-02 03:00:00",
        "answered_on": "2026-04-02",
        "score": "9",
        "scale_min": "0",
        "scale_max": "10",
        "importance": "5",
        "urgency": "1",
    },
    "fx_rates": {"rate_on": "2026-03-02", "currency": "USD", "rate": "7.12345678"},
    "market_prices": {
        "price_on": "2026-03-02",
        "price_code": "thermal_coal_5500",
        "price": "715.0000",
        "currency": "CNY",
        "category": "coal",
    },
    "deliveries": {
        "delivery_id": "D1",
        "order_id": "O1",
        "delivered_at": "2026-03-05 06:00:00",
        "delivered_on": "2026-03-05",
        "promised_on": "2026-03-04",
        "quantity": "10.000",
        "amount": "1000.00",
    },
    "complaints": {
        "complaint_id": "K1",
        "customer_id": "C1",
        "order_id": "O1",
        "opened_at": "2026-03-06 01:00:00",
        "opened_on": "2026-03-06",
        "category": "quality",
        "severity": "high",
        "responded_at": "2026-03-06 03:00:00",
        "resolved_at": "2026-03-09 08:00:00",
        "resolved_on": "2026-03-09",
        "reopened": "false",
        "compensation": "500.00",
        "satisfied": "true",
    },
    "interactions": {
        "interaction_id": "V1",
        "customer_id": "C1",
        "occurred_at": "2026-03-10 02:00:00",
        "occurred_on": "2026-03-10",
        "kind": "visit",
        "cost": "120.00",
    },
    "opportunities": {
        "opportunity_id": "N1",
        "customer_id": "C1",
        "stage": "won",
        "amount": "50000.00",
        "currency": "CNY",
        "probability": "1",
        "opened_on": "2026-01-05",
        "expected_on": "2026-02-20",
        "closed_on": "2026-02-25",
        "won": "true",
    },
    "customer_costs": {
        "cost_id": "X1",
        "customer_id": "C1",
        "incurred_on": "2026-03-31",
        "kind": "logistics",
        "amount": "80.00",
        "currency": "CNY",
    },
}

# feed -> rule -> what to change in the good row so that this rule, and only it, is broken
CORRUPTIONS: Mapping[str, Mapping[str, Row]] = {
    "customers": {
        "size_class_known": {"size_class": "huge"},
        "customer_type_known": {"customer_type": "bakery"},
        "payment_terms_days_in_range": {"payment_terms_days": "366"},
        "credit_limit_in_range": {"credit_limit": "-0.01"},
        "onboarded_on_plausible": {"onboarded_on": "1900-01-01"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "products": {
        "tonnes_per_unit_in_range": {"tonnes_per_unit": "-1"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "orders": {
        "status_known": {"status": "lost"},
        "sale_type_known": {"sale_type": "gift"},
        "currency_is_iso_4217": {"currency": "RMB "},
        "amount_in_range": {"amount": "-0.01"},
        "ordered_at_plausible": {"ordered_at": "1999-12-31 23:59:59"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "order_lines": {
        "quantity_positive": {"quantity": "0", "discount": "0", "amount": "0", "tax": "0"},
        # a negative price breaks the arithmetic too unless the amount follows it
        "unit_price_not_negative": {
            "unit_price": "-0.0010",
            "discount": None,
            "amount": "0",
            "tax": "0",
        },
        "discount_not_negative": {"discount": "-1.00", "amount": "1002.00"},
        # the amount is whole, so that the arithmetic rule allows half a unit
        "discount_within_value": {"discount": "1001.30", "amount": "0.00", "tax": "0"},
        "amount_in_range": {"discount": "1001.00", "amount": "-0.01", "tax": None},
        "line_arithmetic": {"amount": "1000.11"},
        "tax_not_negative": {"tax": "-0.01"},
        "tax_within_amount": {"tax": "1000.01"},
        "unit_cost_not_negative": {"unit_cost": "-0.0001"},
        "updated_at_plausible": {"updated_at": "1999-12-31 23:59:59"},
    },
    "invoices": {
        "kind_known": {"kind": "pro_forma"},
        "currency_is_iso_4217": {"currency": "yuan"},
        "amount_in_range": {"amount": "0", "tax": "0"},
        "tax_not_negative": {"tax": "-0.01"},
        "tax_within_amount": {"tax": "1130.01"},
        "invoiced_on_plausible": {"invoiced_on": "0026-03-02"},
        "due_on_plausible": {"due_on": "2100-01-01"},
        "due_on_after_invoiced_on": {"due_on": "2026-03-01"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "payments": {
        "kind_known": {"kind": "gift"},
        "method_known": {"method": "barter"},
        "bill_status_known": {"bill_status": "lost"},
        "currency_is_iso_4217": {"currency": "cny"},
        "amount_in_range": {"amount": "0"},
        "received_at_plausible": {"received_at": "2100-01-01 00:00:00"},
        "bill_matures_on_plausible": {"bill_matures_on": "2100-01-01"},
        "bill_status_on_plausible": {"bill_status_on": "2100-01-01"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "survey_responses": {
        "scale_ascending": {"scale_min": "10", "score": "10"},
        "score_within_scale": {"score": "10.01"},
        "importance_in_range": {"importance": "0"},
        "urgency_in_range": {"urgency": "6"},
        "answered_at_plausible": {"answered_at": "1970-01-01 00:00:00"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "fx_rates": {
        "rate_positive": {"rate": "1000000"},
        "currency_is_iso_4217": {"currency": "US$"},
        "rate_on_plausible": {"rate_on": "2100-01-01"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "market_prices": {
        "price_positive": {"price": "0"},
        "price_on_plausible": {"price_on": "1999-12-31"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "deliveries": {
        "quantity_positive": {"quantity": "0"},
        "delivered_at_plausible": {"delivered_at": "1999-12-31 23:59:59"},
        "amount_in_range": {"amount": "-0.01"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "complaints": {
        "severity_known": {"severity": "urgent"},
        "resolved_after_opened": {"resolved_at": "2026-03-06 00:59:59"},
        "compensation_not_negative": {"compensation": "-0.01"},
        "opened_at_plausible": {"opened_at": "1999-12-31 23:59:59"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "interactions": {
        "kind_known": {"kind": "fax"},
        "cost_not_negative": {"cost": "-0.01"},
        "occurred_at_plausible": {"occurred_at": "2100-01-01 00:00:00"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "opportunities": {
        "stage_known": {"stage": "maybe"},
        "probability_between_0_and_1": {"probability": "1.00000001"},
        "amount_in_range": {"amount": "10000000000.01"},
        "closed_after_opened": {"closed_on": "2026-01-04"},
        "opened_on_plausible": {"opened_on": "1999-12-31"},
        "updated_at_plausible": {"updated_at": "2999-01-01 00:00:00"},
    },
    "customer_costs": {
        "kind_known": {"kind": "bribe"},
        "amount_not_negative": {"amount": "-0.01"},
        "incurred_on_plausible": {"incurred_on": "2100-01-01"},
        "updated_at_plausible": {"updated_at": "1999-12-31 23:59:59"},
    },
}

# as CORRUPTIONS, for the rules that only warn
DOUBTS: Mapping[str, Mapping[str, Row]] = {
    "customers": {"name_present": {"name": None}},
    "products": {"name_present": {"name": None}},
    "orders": {"contract_id_present": {"contract_id": None}},
    "order_lines": {"unit_cost_plausible": {"unit_cost": "300.3001"}},
    "payments": {
        "bill_matures_after_receipt": {"bill_matures_on": "2026-03-31"},
        "bill_status_after_receipt": {"bill_status_on": "2026-03-31"},
        "bill_maturity_present": {"bill_matures_on": None},
    },
    "survey_responses": {"scale_present": {"scale_min": None}},
    "fx_rates": {"rate_plausible_in_cny": {"rate": "712.345678"}},
    "market_prices": {"currency_is_iso_4217": {"currency": "yuan"}},
    "deliveries": {"promised_within_a_year": {"promised_on": "2025-03-04"}},
    "complaints": {
        "resolved_at_plausible": {"resolved_at": "2100-01-01 00:00:00"},
        "responded_after_opened": {"responded_at": "2026-03-06 00:59:59"},
        "resolved_after_responded": {"responded_at": "2026-03-10 00:00:00"},
    },
    "opportunities": {
        "expected_on_plausible": {"expected_on": "2100-01-01"},
        "closed_on_plausible": {"closed_on": "2100-01-01"},
        "won_agrees_with_stage": {"won": "false"},
        "closed_on_present": {"closed_on": None},
    },
}

# Around every threshold, on both sides, and null.
_POOLS: Mapping[str, list[str | None]] = {
    "money": [None, "-0.01", "0", "0.01", "1", "5", "999.95", "1000", "10000000000.01"],
    "price": [None, "-0.0001", "0", "0.0001", "1", "99.995", "300.0001", "10000.0001"],
    "quantity": [None, "-1", "0", "0.001", "1", "10", "500"],
    "score": [None, "-1", "0", "1", "4.99", "5", "5.01", "10"],
    "rate": [None, "-0.00000001", "0", "0.5", "1", "1.00000001", "7.1", "999999", "1000000"],
    "integer": [None, "-1", "0", "1", "365", "366"],
    "boolean": [None, "true", "false"],
    "date": [
        None,
        "0026-01-01",
        "1949-12-31",
        "1999-12-31",
        "2000-01-01",
        "2026-01-01",
        "2026-01-02",
        "2099-12-31",
        "2100-01-01",
    ],
    "timestamp": [
        None,
        "1999-12-31 23:59:59.999",
        "2000-01-01 00:00:00",
        "2026-01-01 09:00:00",
        "2099-12-31 23:59:59.999",
        "2100-01-01 00:00:00",
    ],
}


def suite_path(feed: str) -> Path:
    return EXPECTATIONS_DIR / "landing" / f"{feed}.json"


def create_table(
    connection: duckdb.DuckDBPyConnection, table: str, feed: str, rows: Iterable[Row]
) -> None:
    """A temporary table of the feed's landed columns in the contract's types."""
    columns = load_contract(feed).landed_columns
    definition = ", ".join(f'"{name}" {sql_type}' for name, sql_type in columns.items())
    connection.execute(f"create temp table {table} ({definition})")
    # one statement: a prepared insert a row costs seconds here
    values = ", ".join(
        f"({', '.join(_literal(row.get(name)) for name in columns)})" for row in rows
    )
    connection.execute(f"insert into {table} values {values}")


def _literal(value: str | None) -> str:
    return "null" if value is None else "'" + value.replace("'", "''") + "'"


def changed_rows(feed: str) -> list[Row]:
    """For every rule of the feed's suite, the row that breaks it."""
    changes = [*CORRUPTIONS[feed].values(), *DOUBTS.get(feed, {}).values()]
    return [{**GOOD[feed], **change} for change in changes]


def random_rows(feed: str, count: int, seed: int) -> list[Row]:
    """Rows in which every column is drawn from values around the thresholds, and null."""
    draw = random.Random(seed)
    pools: dict[str, list[str | None]] = {}
    for name, column in load_contract(feed).all_columns.items():
        pools[name] = _POOLS.get(column.type, [None, "CNY", "EURO", "", "it's"])
        if column.business_date:
            pools[column.business_date] = _POOLS["date"]
    for expectation in load_suite(suite_path(feed)).expectations:
        if "value_set" in expectation.kwargs:
            allowed = expectation.kwargs["value_set"]
            pools[expectation.kwargs["column"]] = [None, "unknown", "", *allowed]
    return [{name: draw.choice(pool) for name, pool in pools.items()} for _ in range(count)]


__all__ = [
    "CORRUPTIONS",
    "DOUBTS",
    "FEEDS",
    "GOOD",
    "Row",
    "changed_rows",
    "create_table",
    "random_rows",
    "suite_path",
]
