"""Row rules: every critical rule of every landing suite bites, and nothing else does."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.gates.rules import RowRule, row_rules
from tests.gates.feed_rows import CORRUPTIONS, FEEDS, GOOD, Row, create_table, suite_path

EVERY_RULE = [(feed, rule) for feed in FEEDS for rule in CORRUPTIONS[feed]]


def broken_rules(feed: str, row: Row) -> set[str]:
    rules = row_rules(suite_path(feed))
    with duckdb.connect() as connection:
        create_table(connection, "batch", feed, [row])
        faults = ", ".join(rule.fault_sql for rule in rules)
        (found,) = connection.execute(f"select {faults} from batch").fetchall()
    assert all(isinstance(fault, bool) for fault in found), "a fault is true or false, never null"
    return {rule.rule for rule, fault in zip(rules, found, strict=True) if fault}


@pytest.mark.parametrize("feed", FEEDS)
def test_every_critical_row_rule_has_a_corruption(feed: str) -> None:
    assert {rule.rule for rule in row_rules(suite_path(feed))} == set(CORRUPTIONS[feed])


@pytest.mark.parametrize("feed", FEEDS)
def test_a_good_row_breaks_no_rule(feed: str) -> None:
    assert broken_rules(feed, GOOD[feed]) == set()


@pytest.mark.parametrize("feed", FEEDS)
def test_nulls_break_no_rule(feed: str) -> None:
    # required columns are the contract's business, not the suite's
    assert broken_rules(feed, {}) == set()


@pytest.mark.parametrize(("feed", "rule"), EVERY_RULE, ids=[f"{f}-{r}" for f, r in EVERY_RULE])
def test_a_corrupted_value_breaks_exactly_its_rule(feed: str, rule: str) -> None:
    assert broken_rules(feed, {**GOOD[feed], **CORRUPTIONS[feed][rule]}) == {rule}


@pytest.mark.parametrize(
    "line",
    [
        # an order item of a marketplace: one piece, unit price, no discount
        {"quantity": "1", "unit_price": "58.9000", "discount": None, "amount": "58.90"},
        # amount rounded to cents from an exact price
        {"quantity": "1234.567", "unit_price": "640.1250", "discount": "0", "amount": "790277.20"},
        # price printed with two decimals, amount from the unrounded one (612.3449)
        {"quantity": "5000", "unit_price": "612.3400", "discount": None, "amount": "3061724.50"},
        # books kept in whole yuan
        {"quantity": "1.5", "unit_price": "2823.0000", "discount": None, "amount": "4234.00"},
        # given away
        {"quantity": "3", "unit_price": "10.0000", "discount": "30.00", "amount": "0.00"},
    ],
    ids=["single-item", "cents", "two-decimals", "whole-units", "full-discount"],
)
def test_line_arithmetic_accepts_rounded_books(line: Row) -> None:
    assert broken_rules("order_lines", {**GOOD["order_lines"], "tax": None, **line}) == set()


@pytest.mark.parametrize(
    "line",
    [
        {"amount": "1130.00"},  # tax included
        {"amount": "1001.11"},  # discount forgotten
        {"amount": "100000.00"},  # decimal sign lost
        {"quantity": "10000"},  # kilograms for tonnes
    ],
    ids=["tax", "discount", "decimal-sign", "unit"],
)
def test_line_arithmetic_refuses_real_faults(line: Row) -> None:
    assert broken_rules("order_lines", {**GOOD["order_lines"], **line}) == {"line_arithmetic"}


# --- what a suite may say ------------------------------------------------------------------------


def suite_with(tmp_path: Path, kind: str, kwargs: dict[str, Any], **meta: Any) -> Path:
    floor = {"rule": "row_floor", "owner": "o", "reason_en": "r", "reason_zh": "r"}
    entry = {"rule": "tested", "owner": "finance", "reason_en": "wrong", "reason_zh": "错", **meta}
    severity = entry.pop("severity", "critical")
    content = {
        "name": "landing.tested",
        "expectations": [
            {
                "type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": 1},
                "severity": "critical",
                "meta": floor,
            },
            {"type": kind, "kwargs": kwargs, "severity": severity, "meta": entry},
        ],
    }
    path = tmp_path / "tested.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def faulty_values(rule: RowRule, values: str) -> list[Any]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select a from (values {values}) batch(a) where {rule.fault_sql}"
        ).fetchall()
    return [value for (value,) in rows]


def test_a_rule_carries_what_quarantine_shows(tmp_path: Path) -> None:
    path = suite_with(
        tmp_path, "expect_column_values_to_be_between", {"column": "a", "min_value": 0}
    )
    (rule,) = row_rules(path)
    assert (rule.rule, rule.column, rule.owner) == ("tested", "a", "finance")
    assert (rule.reason_en, rule.reason_zh) == ("wrong", "错")


def test_not_null_and_set_with_a_quote(tmp_path: Path) -> None:
    (rule,) = row_rules(
        suite_with(tmp_path, "expect_column_values_to_not_be_null", {"column": "a"})
    )
    assert faulty_values(rule, "(1), (null)") == [None]
    (rule,) = row_rules(
        suite_with(
            tmp_path,
            "expect_column_values_to_be_in_set",
            {"column": "a", "value_set": ["it's", None]},
        )
    )
    assert faulty_values(rule, "('it''s'), ('its'), (null)") == ["its"]


def test_warnings_split_nothing(tmp_path: Path) -> None:
    kwargs = {"column": "a", "min_value": 0}
    kind = "expect_column_values_to_be_between"
    assert row_rules(suite_with(tmp_path, kind, kwargs, severity="warning")) == []


def test_a_waived_rule_splits_nothing_until_its_waiver_expires(tmp_path: Path) -> None:
    waiver = {"owner": "finance", "reason": "migration", "expires_on": "2026-06-30"}
    path = suite_with(
        tmp_path,
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 0},
        waiver=waiver,
    )
    assert row_rules(path, date(2026, 6, 30)) == []
    assert [rule.rule for rule in row_rules(path, date(2026, 7, 1))] == ["tested"]
    assert [rule.rule for rule in row_rules(path)] == ["tested"]


@pytest.mark.parametrize(
    ("kind", "kwargs", "complaint"),
    [
        ("expect_column_values_to_be_unique", {"column": "a"}, "has no row form"),
        (
            "expect_column_values_to_be_between",
            {"column": "a", "min_value": 0, "mostly": 0.9},
            "mostly",
        ),
        ("expect_column_values_to_be_between", {"column": "a"}, "both missing"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": []}, "empty"),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "a", "column_B": "b", "ignore_row_if": "neither"},
            "neither",
        ),
        (
            "unexpected_rows_expectation",
            {"unexpected_rows_query": "SELECT a FROM {batch} WHERE a > 1"},
            "exactly",
        ),
    ],
)
def test_what_has_no_row_form_is_refused(
    tmp_path: Path, kind: str, kwargs: dict[str, Any], complaint: str
) -> None:
    path = suite_with(tmp_path, kind, kwargs, column="a")
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        row_rules(path)
    assert "tested" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_query_rule_needs_its_column(tmp_path: Path) -> None:
    path = suite_with(
        tmp_path,
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a > b"},
    )
    with pytest.raises(ConfigurationError, match=r"meta\.column"):
        row_rules(path)
