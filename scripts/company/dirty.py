"""The known bad rows of the simulated sources, and the verdict on each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.company.columns import customer_code
from scripts.company.market import price_file, price_line, rate_file
from scripts.company.surveys import answer
from scripts.company.world import World, day_date

KNOWN = customer_code(1)


@dataclass(frozen=True)
class Dirty:
    """Known bad rows: database rows per table, bank lines, survey responses, lines of the rates and
    of the prices; and the verdicts on them.

    Every part begins with the day number on which it shows.
    """

    tables: list[tuple[int, str, tuple[Any, ...]]] = field(default_factory=list)
    bank: list[tuple[int, str, int]] = field(default_factory=list)
    surveys: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    rates: dict[int, list[str]] = field(default_factory=dict)
    prices: dict[int, list[str]] = field(default_factory=dict)
    verdicts: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def verdict(self, day: int, where: str, key: str, kind: str, expect: str) -> None:
        """Note what must become of a row."""
        row = {"where": where, "key": key, "kind": kind, "expect": expect}
        self.verdicts.append((day, row))

    def insert(self, day: int, table: str, *row: Any) -> None:
        """Add a row to a table."""
        self.tables.append((day, table, row))

    def order(self, day: int, key: str, customer: str, **other: Any) -> None:
        """Add an order; `other` are its status, currency and deleted flag where not usual."""
        stamp = f"{day_date(day)} 10:30:00"
        self.insert(
            day, "so_order", key, customer, stamp, other.get("status", "已完成"),
            other.get("currency", "CNY"), "电话", None, "现货", stamp, other.get("deleted", 0),
        )  # fmt: skip

    def line(
        self, day: int, key: str, number: int, quantity: str, net: str, deleted: int = 0
    ) -> None:
        """Add a line of an order."""
        tax = f"{float(net) * 0.13:.2f}"
        self.insert(
            day, "so_order_line", key, number, "M5500", quantity, "800.0000", "0.00", tax, net,
            "752.0000", f"{day_date(day)} 10:30:00", deleted,
        )  # fmt: skip


@dataclass(frozen=True)
class _Calendar:
    world: World

    def __call__(self, offset: int) -> int:
        """A business day counted from 150 days before the end."""
        day = np.array([self.world.end - 150 + offset])
        return int(self.world.next_business(day)[0])


def dirty_rows(world: World) -> Dirty:
    """One or two rows of every kind of fault that a source can hand over, all before `end`.

    A verdict's `expect` is the rule that must catch the row, or what must become of it:
    `held …` waits for its reference, `duplicate` counts once, `key_conflict` and the other rule
    names go to quarantine, `absent` must not show in any fact.
    """
    dirty, calendar = Dirty(), _Calendar(world)
    for add in (_orders, _documents, _bank, _surveys, _crm, _market):
        add(dirty, calendar)
    return dirty


def _order_key(day: int, number: int) -> str:
    return f"SO{day_date(day):%y%m%d}{990_000 + number}"


def _orders(dirty: Dirty, calendar: _Calendar) -> None:
    day = calendar(0)
    key = _order_key(day, 1)
    dirty.order(day, key, "C999999")
    dirty.line(day, key, 1, "50.000", "40000.00")
    dirty.line(day, key, 2, "20.000", "16000.00")
    dirty.verdict(day, "so_order", key, "order_of_unknown_customer", "held unknown_customer")
    for place in ("1", "2"):
        dirty.verdict(
            day, "so_order_line", f"{key}/{place}", "line_of_held_order", "held unknown_order"
        )

    day = calendar(5)
    key = _order_key(day, 2)
    dirty.line(day, key, 1, "30.000", "24000.00")
    dirty.line(day, key, 2, "10.000", "8000.00")
    for place in ("1", "2"):
        dirty.verdict(
            day, "so_order_line", f"{key}/{place}", "line_of_missing_order", "held unknown_order"
        )

    day = calendar(10)
    key = _duplicated(calendar)
    dirty.order(day, key, KNOWN)
    dirty.order(day, key, KNOWN)
    dirty.line(day, key, 1, "25.000", "20000.00")
    dirty.verdict(day, "so_order", key, "duplicate_row", "duplicate")

    day = calendar(15)
    key = _order_key(day, 4)
    dirty.order(day, key, KNOWN)
    dirty.order(day, key, customer_code(2), status="已发货")
    dirty.line(day, key, 1, "15.000", "12000.00")
    dirty.verdict(day, "so_order", key, "same_key_other_content", "key_conflict")
    dirty.verdict(
        day, "so_order_line", f"{key}/1", "line_of_conflicting_order", "held unknown_order"
    )

    day = calendar(20)
    key = _order_key(day, 5)
    dirty.order(day, key, KNOWN)
    dirty.line(day, key, 1, "约50吨", "40000.00")
    dirty.line(day, key, 2, "12.000", "9600.00")
    dirty.verdict(day, "so_order_line", f"{key}/1", "text_in_number", "invalid_quantity")

    day = calendar(25)
    key = _order_key(day, 6)
    dirty.order(day, key, KNOWN)
    dirty.line(day, key, 1, "-12.000", "9600.00")
    dirty.line(day, key, 2, "18.000", "14400.00")
    dirty.verdict(day, "so_order_line", f"{key}/1", "negative_quantity", "quantity_positive")

    day = calendar(35)
    key = _order_key(day, 9)
    dirty.order(day, key, KNOWN, status="已取消", deleted=1)
    dirty.line(day, key, 1, "40.000", "32000.00", deleted=1)
    dirty.verdict(day, "so_order", key, "soft_deleted", "absent")
    dirty.verdict(day, "so_order_line", f"{key}/1", "soft_deleted", "absent")

    day = calendar(100)
    key = _order_key(day, 10)
    dirty.order(day, key, KNOWN, currency="JPY")
    dirty.line(day, key, 1, "8.000", "6400.00")
    dirty.verdict(day, "so_order", key, "undeclared_currency", "currency_without_rate")
    dirty.verdict(day, "so_order_line", f"{key}/1", "line_of_faulty_order", "held unknown_order")


def _duplicated(calendar: _Calendar) -> str:
    """The key of the order that stands, though it comes twice."""
    return _order_key(calendar(10), 3)


def _documents(dirty: Dirty, calendar: _Calendar) -> None:
    day = calendar(30)
    for number, invoiced, due, kind, expect in (
        (7, "2025-02-30", "2025-04-01", "impossible_date", "invalid_invoiced_on"),
        (8, str(day_date(day)), str(day_date(day - 20)), "due_before_invoice",
         "due_on_after_invoiced_on"),
    ):  # fmt: skip
        key = _order_key(day, number).replace("SO", "FP")
        dirty.insert(
            day, "fi_invoice", key, _duplicated(calendar), KNOWN, invoiced, due, "22600.00",
            "2600.00", "CNY", "蓝字", 0, f"{day_date(day)} 16:00:00", 0,
        )  # fmt: skip
        dirty.verdict(day, "fi_invoice", key, kind, expect)

    day = calendar(105)
    stamp = f"{day_date(day)} 14:00:00"
    for number, about, tonnes, kind, expect in (
        (11, _order_key(day, 11), "25.000", "delivery_of_unknown_order", "held unknown_order"),
        (12, _duplicated(calendar), "-25.000", "negative_weight", "quantity_positive"),
    ):
        key = _order_key(day, number).replace("SO", "DN") + "1"
        promised = str(day_date(day + 2))
        dirty.insert(
            day, "so_delivery", key, about, stamp, promised, tonnes, "20000.00", stamp, 0
        )  # fmt: skip
        dirty.verdict(day, "so_delivery", key, kind, expect)

    day = calendar(125)
    key = f"CB{day_date(day):%y%m%d}9900011"
    dirty.insert(
        day, "fi_cost", key, KNOWN, str(day_date(day)), "服务费用", "-350.00", "CNY",
        f"{day_date(day)} 10:00:00", 0,
    )  # fmt: skip
    dirty.verdict(day, "fi_cost", key, "negative_cost", "amount_not_negative")


def _bank(dirty: Dirty, calendar: _Calendar) -> None:
    movements = (
        ("壹拾万元", KNOWN, "转账", "text_in_amount", "invalid_amount"),
        ("-5000.00", KNOWN, "转账", "negative_amount", "amount_in_range"),
        ("0.00", KNOWN, "转账", "zero_amount", "amount_in_range"),
        ("8800.00", "", "转账", "missing_customer", "missing_customer_id"),
        ("6600.00", KNOWN, "微信红包", "unknown_method", "method_known"),
    )
    for number, (amount, customer, method, kind, expect) in enumerate(movements, start=1):
        day = calendar(40 + 7 * number)
        key = f"YH{day_date(day):%y%m%d}{990_000 + number}0"
        stamp = f"{day_date(day)} 15:20:00"
        text = f"{key},{stamp},{customer},不详,{amount},CNY,{method},收款,,,,,,{stamp}"
        cents = 0 if amount == "壹拾万元" else round(float(amount) * 100)
        dirty.bank.append((day, text, cents))
        dirty.verdict(day, f"bank/bank_{day_date(day)}.csv", key, kind, expect)
    day = calendar(85)
    key = f"YH{day_date(day):%y%m%d}9900060"
    dirty.bank.append((day, f"{key},{day_date(day)} 15:20:00,{KNOWN},不详", 0))
    where = f"bank/bank_{day_date(day)}.csv"
    dirty.verdict(day, where, key, "too_few_columns", "unreadable_row")


def _surveys(dirty: Dirty, calendar: _Calendar) -> None:
    day = calendar(95)
    for number, customer, score, kind, expect in (
        (990_001, "C999998", 8, "answer_of_unknown_customer", "held unknown_customer"),
        (990_002, KNOWN, 11, "score_outside_scale", "score_within_scale"),
    ):
        stamp = f"{day_date(day)}T11:0{number % 10}:00+08:00"
        response = {
            "response_id": f"SVDIRTY-{number}", "customer_code": customer, "survey_id": "SVDIRTY",
            "submitted_at": stamp, "updated_at": stamp,
            "answers": [answer("nps", score, 0, 10)],
        }  # fmt: skip
        dirty.surveys.append((day, response))
        where = "surveys/responses.jsonl"
        dirty.verdict(day, where, f"SVDIRTY-{number}/nps", kind, expect)


def _crm(dirty: Dirty, calendar: _Calendar) -> None:
    day = calendar(110)
    for number, priority, resolved, kind, expect in (
        (1, "P3", day - 3, "resolved_before_opened", "resolved_after_opened"),
        (2, "P9", day, "unknown_severity", "severity_known"),
    ):
        key = f"TK9{day_date(day):%y%m%d}{990_000 + number}"
        dirty.insert(
            day, "tickets", key, KNOWN, None, f"{day_date(day)} 02:00:00", "service", priority,
            None, f"{day_date(resolved)} 06:00:00", "N", "apology", 0, None,
            f"{day_date(day)} 06:00:00",
        )  # fmt: skip
        dirty.verdict(day, "tickets", key, kind, expect)

    day = calendar(115)
    for number, customer, channel, kind, expect in (
        (1, KNOWN, "fax", "unknown_kind", "kind_known"),
        (2, "C999997", "phone", "contact_with_unknown_customer", "held unknown_customer"),
    ):
        key = f"AC{day_date(day):%y%m}9{990_000 + number}"
        dirty.insert(
            day, "activities", key, customer, f"{day_date(day)} 03:00:00", channel, 2500, None,
            "周建军", f"{day_date(day)} 05:00:00",
        )  # fmt: skip
        dirty.verdict(day, "activities", key, kind, expect)

    day = calendar(120)
    for number, stage, percent, closed, won, kind, expect in (
        (1, "Proposal", 170, None, None, "probability_above_one", "probability_between_0_and_1"),
        (2, "Closed Lost", 0, str(day_date(day - 30)), "N", "closed_before_opened",
         "closed_after_opened"),
    ):  # fmt: skip
        key = f"OP{990_000 + number}00"
        dirty.insert(
            day, "deals", key, KNOWN, stage, "12.50", "CNY", percent, str(day_date(day)),
            str(day_date(day + 60)), closed, won, "周建军", None, f"{day_date(day)} 07:00:00", "N",
        )  # fmt: skip
        dirty.verdict(day, "deals", key, kind, expect)


def _market(dirty: Dirty, calendar: _Calendar) -> None:
    day = calendar(130)
    dirty.rates[day] = [f"{day_date(day):%Y%m%d},HKD,港元,0.00"]
    where, key = f"files/treasury/{rate_file(day)}", f"{day_date(day):%Y%m%d}/HKD"
    dirty.verdict(day, where, key, "zero_rate", "rate_positive")
    dirty.prices[day] = [price_line(day, "METHANOL", "甲醇", -2310.0, day)]
    where, key = f"files/market/{price_file(day)}", f"{day_date(day)}/METHANOL"
    dirty.verdict(day, where, key, "negative_price", "price_positive")
