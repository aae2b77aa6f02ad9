"""The known bad rows of the simulated sources, and the verdict on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.company.sources import customer_code
from scripts.company.surveys import answer
from scripts.company.world import World, day_date


@dataclass(frozen=True)
class Dirty:
    """Known bad rows: ERP rows per table, bank lines, survey responses, and the verdicts on them.

    Every part begins with the day number on which it shows.
    """

    erp: list[tuple[int, str, tuple[Any, ...]]]
    bank: list[tuple[int, str, int]]
    surveys: list[tuple[int, dict[str, Any]]]
    verdicts: list[tuple[int, dict[str, str]]]


def dirty_rows(world: World) -> Dirty:
    """One or two rows of every kind of fault that a source can hand over, all before `end`.

    A verdict's `expect` is the rule that must catch the row, or what must become of it:
    `held …` waits for its reference, `duplicate` counts once, `key_conflict` and the other rule
    names go to quarantine, `absent` must not show in any fact.
    """
    dirty = Dirty([], [], [], [])
    first_day = world.end - 150
    known = customer_code(1)

    def business_day(offset: int) -> int:
        return int(world.next_business(np.array([first_day + offset]))[0])

    def verdict(day: int, where: str, key: str, kind: str, expect: str) -> None:
        row = {"where": where, "key": key, "kind": kind, "expect": expect}
        dirty.verdicts.append((day, row))

    def order(day: int, key: str, customer: str, status: str = "已完成", deleted: int = 0) -> None:
        stamp = f"{day_date(day)} 10:30:00"
        row = (key, customer, stamp, status, "CNY", "电话", None, "现货", stamp, deleted)
        dirty.erp.append((day, "so_order", row))

    def line(day: int, key: str, number: int, quantity: str, net: str, deleted: int = 0) -> None:
        tax = f"{float(net) * 0.13:.2f}"
        row = (key, number, "M5500", quantity, "800.0000", "0.00", tax, net, "752.0000",
               f"{day_date(day)} 10:30:00", deleted)  # fmt: skip
        dirty.erp.append((day, "so_order_line", row))

    def order_key(day: int, number: int) -> str:
        return f"SO{day_date(day):%y%m%d}{990_000 + number}"

    day = business_day(0)
    key = order_key(day, 1)
    order(day, key, "C999999")
    line(day, key, 1, "50.000", "40000.00")
    line(day, key, 2, "20.000", "16000.00")
    verdict(day, "so_order", key, "order_of_unknown_customer", "held unknown_customer")
    for place in ("1", "2"):
        verdict(day, "so_order_line", f"{key}/{place}", "line_of_held_order", "held unknown_order")

    day = business_day(5)
    key = order_key(day, 2)
    line(day, key, 1, "30.000", "24000.00")
    line(day, key, 2, "10.000", "8000.00")
    for place in ("1", "2"):
        verdict(day, "so_order_line", f"{key}/{place}", "line_of_missing_order",
                "held unknown_order")  # fmt: skip

    day = business_day(10)
    duplicated = order_key(day, 3)
    order(day, duplicated, known)
    order(day, duplicated, known)
    line(day, duplicated, 1, "25.000", "20000.00")
    verdict(day, "so_order", duplicated, "duplicate_row", "duplicate")

    day = business_day(15)
    key = order_key(day, 4)
    order(day, key, known, "已完成")
    order(day, key, customer_code(2), "已发货")
    line(day, key, 1, "15.000", "12000.00")
    verdict(day, "so_order", key, "same_key_other_content", "key_conflict")
    verdict(day, "so_order_line", f"{key}/1", "line_of_conflicting_order", "held unknown_order")

    day = business_day(20)
    key = order_key(day, 5)
    order(day, key, known)
    line(day, key, 1, "约50吨", "40000.00")
    line(day, key, 2, "12.000", "9600.00")
    verdict(day, "so_order_line", f"{key}/1", "text_in_number", "invalid_quantity")

    day = business_day(25)
    key = order_key(day, 6)
    order(day, key, known)
    line(day, key, 1, "-12.000", "9600.00")
    line(day, key, 2, "18.000", "14400.00")
    verdict(day, "so_order_line", f"{key}/1", "negative_quantity", "quantity_positive")

    day = business_day(30)
    for number, invoiced, due, kind in (
        (7, "2025-02-30", "2025-04-01", "impossible_date"),
        (8, str(day_date(day)), str(day_date(day - 20)), "due_before_invoice"),
    ):
        key = order_key(day, number).replace("SO", "FP")
        row = (key, duplicated, known, invoiced, due, "22600.00", "2600.00", "CNY", "蓝字", 0,
               f"{day_date(day)} 16:00:00", 0)  # fmt: skip
        dirty.erp.append((day, "fi_invoice", row))
        verdict(day, "fi_invoice", key, kind,
                "invalid_invoiced_on" if number == 7 else "due_on_after_invoiced_on")  # fmt: skip

    day = business_day(35)
    key = order_key(day, 9)
    order(day, key, known, "已取消", deleted=1)
    line(day, key, 1, "40.000", "32000.00", deleted=1)
    verdict(day, "so_order", key, "soft_deleted", "absent")
    verdict(day, "so_order_line", f"{key}/1", "soft_deleted", "absent")

    movements = (
        ("壹拾万元", known, "转账", "text_in_amount", "invalid_amount"),
        ("-5000.00", known, "转账", "negative_amount", "amount_in_range"),
        ("0.00", known, "转账", "zero_amount", "amount_in_range"),
        ("8800.00", "", "转账", "missing_customer", "missing_customer_id"),
        ("6600.00", known, "微信红包", "unknown_method", "method_known"),
    )
    for number, (amount, customer, method, kind, expect) in enumerate(movements, start=1):
        day = business_day(40 + 7 * number)
        key = f"YH{day_date(day):%y%m%d}{990_000 + number}0"
        stamp = f"{day_date(day)} 15:20:00"
        text = f"{key},{stamp},{customer},不详,{amount},CNY,{method},收款,,,,,{stamp}"
        cents = 0 if amount == "壹拾万元" else round(float(amount) * 100)
        dirty.bank.append((day, text, cents))
        verdict(day, f"bank/bank_{day_date(day)}.csv", key, kind, expect)
    day = business_day(85)
    key = f"YH{day_date(day):%y%m%d}9900060"
    dirty.bank.append((day, f"{key},{day_date(day)} 15:20:00,{known},不详", 0))
    verdict(day, f"bank/bank_{day_date(day)}.csv", key, "too_few_columns", "unreadable_row")

    day = business_day(95)
    for number, customer, score, kind, expect in (
        (990_001, "C999998", 8, "answer_of_unknown_customer", "held unknown_customer"),
        (990_002, known, 11, "score_outside_scale", "score_within_scale"),
    ):
        stamp = f"{day_date(day)}T11:0{number % 10}:00+08:00"
        response = {
            "response_id": f"SVDIRTY-{number}", "customer_code": customer, "survey_id": "SVDIRTY",
            "submitted_at": stamp, "updated_at": stamp,
            "answers": [answer("nps", score, 0, 10)],
        }  # fmt: skip
        dirty.surveys.append((day, response))
        verdict(day, "surveys/responses.jsonl", f"SVDIRTY-{number}/nps", kind, expect)
    return dirty
