"""Volume and freshness: faults on ordinary days are found, festivals and small numbers are not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pytest

from customer_marts.feeds import Contract, Volume, load_contract
from customer_marts.gates.calendar import ONE_DAY, BusinessCalendar, days_after
from customer_marts.gates.volume import (
    Finding,
    expected,
    judge,
    status_of,
    to_gate_line,
)

CHINA = BusinessCalendar.load("china")
ORDERS = load_contract("orders")  # late after three business days, 0.2 to 5 times the median
START = date(2023, 7, 1)
END = date(2026, 12, 31)

SHARE_OF_CLASS = {
    "business": 1.0,
    "make_up_workday": 0.8,
    "month_end": 1.8,
    "weekend": 0.08,
    "holiday": 0.02,
}
SHARE_OF_WEEKDAY = (1.2, 1.0, 1.0, 0.95, 0.85, 1.0, 1.0)


def usual_rows(day: date, rows: float) -> float:
    """What a dealer books: more on Mondays and month ends, a third around long holidays."""
    share = SHARE_OF_CLASS[CHINA.day_class(day)] * SHARE_OF_WEEKDAY[day.weekday()]
    return rows * share * (0.35 if CHINA.is_near_long_holiday(day) else 1)


def simulated(rows: float, seed: int) -> dict[date, int]:
    draw = np.random.default_rng(seed)
    days = list(days_after(START, END))
    counts = draw.poisson([usual_rows(day, rows) for day in days])
    return {day: int(count) for day, count in zip(days, counts, strict=True) if count}


def even(rows: int, start: date, end: date) -> dict[date, int]:
    """``rows`` on every business day after start up to end."""
    return {day: rows for day in days_after(start, end) if CHINA.is_business_day(day)}


def until(rows: Mapping[date, int], day: date) -> dict[date, int]:
    """A year of history before a day."""
    return {known: n for known, n in rows.items() if day - timedelta(days=366) < known < day}


def judged(
    history: Mapping[date, int],
    arrived: Mapping[date, int],
    today: date,
    contract: Contract = ORDERS,
    judged_through: date | None = None,
) -> list[Finding]:
    newest = max([*history, *(day for day, rows in arrived.items() if rows)], default=None)
    return judge("orders", contract, CHINA, history, arrived, today, newest, judged_through)


def rules(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.day.isoformat()) for finding in findings]


def with_volume(**changes: object) -> Contract:
    return ORDERS.model_copy(update={"volume": Volume.model_validate(changes)})


# --- the simulated feed --------------------------------------------------------------------------


def found_day_by_day(feed: Mapping[date, int]) -> list[Finding]:
    """Findings of three years in which every night brings the day's rows."""
    found: list[Finding] = []
    history = until(feed, date(2024, 1, 1))
    for day in days_after(date(2023, 12, 31), END):
        arrived = {day: feed[day]} if day in feed else {}
        found += judged(history, arrived, day + ONE_DAY)
        history |= arrived
        history.pop(day - timedelta(days=366), None)
    return found


@pytest.mark.parametrize(("rows", "seed"), [(5, 1), (30, 2), (1000, 3)])
def test_three_chinese_years_of_daily_batches_raise_nothing(rows: int, seed: int) -> None:
    assert found_day_by_day(simulated(rows, seed)) == []


def test_a_feed_of_two_rows_a_day_is_at_most_late_once_in_a_while() -> None:
    found = found_day_by_day(simulated(2, 4))
    assert {finding.rule for finding in found} <= {"late"}
    assert len(found) < 5


@pytest.mark.parametrize("seed", [6, 7])
@pytest.mark.parametrize(
    ("factor", "rule"), [(0.1, "volume_low"), (0, "empty"), (10, "volume_high")]
)
def test_a_real_fault_on_any_ordinary_day_is_found(factor: float, rule: str, seed: int) -> None:
    feed = simulated(60, seed)
    ordinary = [
        day
        for day in days_after(date(2023, 12, 31), END - ONE_DAY)
        if CHINA.day_class(day) == "business" and not CHINA.is_near_long_holiday(day)
    ]
    for day in ordinary[seed::9]:
        after = day + ONE_DAY
        while not feed.get(after):
            after += ONE_DAY
        arrived = {day: max(round(usual_rows(day, 60) * factor), 0), after: feed[after]}
        found = judged(until(feed, day), arrived, after + ONE_DAY)
        assert (rule, day.isoformat()) in rules(found), found


def test_a_fault_on_month_ends_is_held_against_month_ends() -> None:
    feed = simulated(60, 8)
    day = date(2026, 7, 31)
    # 100 rows are much on a Friday and usual on a month's last day
    assert judged(until(feed, day), {day: 100}, day + ONE_DAY) == []
    assert rules(judged(until(feed, day), {day: 10}, day + ONE_DAY)) == [
        ("volume_low", "2026-07-31")
    ]
    bounds = expected(ORDERS, CHINA, until(feed, day), day)
    assert bounds is not None
    assert bounds.baseline_days < 12


# --- holidays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (date(2024, 2, 9), date(2024, 2, 18)),
        (date(2025, 1, 27), date(2025, 2, 5)),
        (date(2026, 2, 14), date(2026, 2, 24)),
        (date(2025, 9, 30), date(2025, 10, 9)),
        (date(2026, 9, 30), date(2026, 10, 8)),
    ],
)
def test_a_break_without_a_row_is_no_outage(before: date, after: date) -> None:
    history = even(80, before - timedelta(days=120), before)
    assert judged(history, {after: 80}, after + ONE_DAY) == []
    for today in days_after(before, after):
        assert judged(history, {}, today) == []
        status = status_of("orders", ORDERS, CHINA, history, {}, today, before)
        assert status.status == "on_time"


def test_a_holiday_without_rows_is_none_even_where_holidays_bring_some() -> None:
    # one that delivers through every break, until Labour Day
    days = days_after(date(2025, 8, 31), date(2026, 4, 30))
    history = dict.fromkeys(days, 100)
    assert judged(history, {date(2026, 5, 6): 100}, date(2026, 5, 7)) == []
    surge = judged(history, {date(2026, 5, 1): 900}, date(2026, 5, 2))
    assert rules(surge) == [("volume_high", "2026-05-01")]


def test_trade_may_fade_before_spring_festival_but_not_in_june() -> None:
    history = even(100, date(2025, 9, 30), date(2026, 2, 11))
    assert judged(history, {date(2026, 2, 12): 12}, date(2026, 2, 13)) == []
    history = even(100, date(2026, 1, 31), date(2026, 6, 10))
    found = judged(history, {date(2026, 6, 11): 12}, date(2026, 6, 12))
    assert rules(found) == [("volume_low", "2026-06-11")]


def test_a_large_feed_must_not_vanish_before_the_festival_either() -> None:
    history = even(5000, date(2025, 9, 30), date(2026, 2, 11))
    found = judged(history, {date(2026, 2, 12): 40}, date(2026, 2, 13))
    assert rules(found) == [("volume_low", "2026-02-12")]


def test_a_sunday_worked_counts_as_a_business_day_and_another_does_not() -> None:
    worked, plain = date(2024, 4, 7), date(2024, 4, 21)
    for sunday, after in ((worked, date(2024, 4, 8)), (plain, date(2024, 4, 22))):
        history = even(50, date(2023, 12, 31), sunday - ONE_DAY)
        found = rules(judged(history, {after: 50}, after + ONE_DAY))
        assert found == ([("empty", sunday.isoformat())] if sunday == worked else [])
    history = even(50, date(2023, 12, 31), worked - ONE_DAY)
    assert judged(history, {worked: 50}, worked + ONE_DAY) == []
    history = even(50, date(2023, 12, 31), plain - ONE_DAY)
    assert rules(judged(history, {plain: 50}, plain + ONE_DAY)) == [("volume_high", "2024-04-21")]


# --- the baseline --------------------------------------------------------------------------------

WEDNESDAY = date(2025, 6, 18)
LONG = even(100, date(2025, 1, 1), date(2025, 6, 17))


def test_the_tested_day_and_later_ones_never_enter_their_own_baseline() -> None:
    history = even(10, WEDNESDAY - timedelta(days=55), WEDNESDAY - ONE_DAY)
    alone = expected(ORDERS, CHINA, history, WEDNESDAY)
    later = even(1000, WEDNESDAY - ONE_DAY, WEDNESDAY + timedelta(days=90))
    assert alone == expected(ORDERS, CHINA, history | later, WEDNESDAY)
    assert alone is not None
    assert alone.median == 10


def test_a_day_that_the_last_release_held_in_part_is_judged_by_all_its_rows() -> None:
    history = {**LONG, WEDNESDAY: 1}
    thursday, yesterday = WEDNESDAY + ONE_DAY, WEDNESDAY - ONE_DAY
    today = thursday + ONE_DAY
    found = judged(history, {WEDNESDAY: 2, thursday: 100}, today, judged_through=yesterday)
    assert rules(found) == [("volume_low", "2025-06-18")]
    # a seventh Wednesday would be the tested one
    assert (found[0].observed, found[0].baseline_days) == (3, 6)
    complete = {WEDNESDAY: 97, thursday: 100}
    assert judged(history, complete, today, judged_through=yesterday) == []
    # without being told, what the release holds counts as judged
    assert judged(history, {WEDNESDAY: 2, thursday: 100}, today) == []


def test_a_huge_day_would_hide_itself_if_it_were_in_its_baseline() -> None:
    rows = [9, 9, 9, 900, 900]
    first = WEDNESDAY - timedelta(days=35)
    history = {first + timedelta(days=7 * week): count for week, count in enumerate(rows)}
    # with the tested 900 among them, the median would be 454.5 and 900 well within five times it
    found = judged(history, {WEDNESDAY: 900}, WEDNESDAY + ONE_DAY)
    assert rules(found) == [("volume_high", "2025-06-18")]
    bounds = expected(ORDERS, CHINA, {**history, WEDNESDAY: 900}, WEDNESDAY)
    assert bounds is not None
    assert (bounds.median, bounds.high, bounds.baseline_days) == (9, 45, 5)


def test_fewer_than_five_comparable_days_say_nothing() -> None:
    four_days = even(100, date(2025, 6, 12), date(2025, 6, 17) + ONE_DAY)
    assert len(four_days) == 4
    day = date(2025, 6, 19)
    assert judged(four_days, {day: 1}, day + ONE_DAY) == []
    status = status_of("orders", ORDERS, CHINA, four_days, {day: 1}, day + ONE_DAY, day)
    assert status.status == "on_time"
    assert "no baseline yet (5 comparable days are needed)" in status.message_en
    assert "暂无基线" in status.message_zh
    five_days = even(100, date(2025, 6, 11), date(2025, 6, 18))
    assert rules(judged(five_days, {day: 1}, day + ONE_DAY)) == [("volume_low", "2025-06-19")]


def test_a_weekly_feed_with_little_history_does_not_alarm_on_its_day() -> None:
    fridays = {date(2025, 5, 30): 200, date(2025, 6, 6): 210, date(2025, 6, 13): 190}
    assert judged(fridays, {date(2025, 6, 20): 205}, date(2025, 6, 21)) == []


def test_a_quiet_weekday_with_little_history_does_not_alarm() -> None:
    history = even(100, date(2025, 6, 3), date(2025, 6, 19)) | {
        date(2025, 6, 6): 6,
        date(2025, 6, 13): 8,
    }
    assert judged(history, {date(2025, 6, 20): 7}, date(2025, 6, 21)) == []
    assert rules(judged(history, {date(2025, 6, 20): 1}, date(2025, 6, 21))) == [
        ("volume_low", "2025-06-20")
    ]


def test_bursts_alarm_when_they_are_larger_than_any_before() -> None:
    history = even(0, date(2025, 1, 1), date(2025, 6, 17)) | {
        date(2025, 1, 2): 1,
        date(2025, 3, 4): 300,
        date(2025, 6, 17): 1,
    }
    assert judged(history, {WEDNESDAY: 320}, WEDNESDAY + ONE_DAY) == []
    assert rules(judged(history, {WEDNESDAY: 1600}, WEDNESDAY + ONE_DAY)) == [
        ("volume_high", "2025-06-18")
    ]


# --- which days are tested -----------------------------------------------------------------------

THURSDAY = WEDNESDAY + ONE_DAY


def test_the_first_load_has_no_findings() -> None:
    assert judged({}, {WEDNESDAY: 1, date(2025, 6, 17): 100_000}, date(2025, 7, 30)) == []


def test_a_feed_without_a_business_date_has_no_findings() -> None:
    lines = load_contract("order_lines")
    assert judged(LONG, {WEDNESDAY: 1}, THURSDAY, lines) == []
    status = status_of("order_lines", lines, CHINA, {}, {}, THURSDAY, None)
    assert status.status == "no_expectation"


def test_today_is_never_low() -> None:
    assert judged(LONG, {WEDNESDAY: 1}, WEDNESDAY) == []
    assert rules(judged(LONG, {WEDNESDAY: 1}, THURSDAY)) == [("volume_low", "2025-06-18")]


def test_data_that_stand_still_are_judged_on_their_last_day() -> None:
    assert judged(LONG, {}, max(LONG)) == []
    assert judged(LONG, {WEDNESDAY: 100, THURSDAY: 1}, THURSDAY) == []


def test_a_day_delivered_again_is_not_judged() -> None:
    assert judged(LONG, {date(2025, 6, 17): 1, date(2025, 6, 16): 2000}, WEDNESDAY) == []


def test_days_that_the_batch_leaves_out_are_empty_and_weekends_are_not() -> None:
    monday = date(2025, 6, 23)
    found = judged(LONG, {WEDNESDAY: 100, monday: 100}, monday + ONE_DAY)
    assert rules(found) == [("empty", "2025-06-19"), ("empty", "2025-06-20")]


def test_a_row_from_the_future_switches_nothing_off() -> None:
    history = {**LONG, date(2031, 1, 1): 1}
    assert rules(judged(history, {WEDNESDAY: 1}, THURSDAY)) == [("volume_low", "2025-06-18")]
    found = judged(history, {date(2032, 1, 1): 1}, date(2025, 7, 30))
    assert rules(found) == [("late", "2025-06-17")]


# --- freshness -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "is_late"),
    [
        (date(2025, 6, 20), False),  # Wednesday, Thursday, Friday
        (date(2025, 6, 22), False),  # and the weekend
        (date(2025, 6, 23), True),
    ],
)
def test_late_counts_business_days(today: date, is_late: bool) -> None:
    found = judged(LONG, {date(2025, 6, 17): 1}, today)
    assert rules(found) == ([("late", "2025-06-17")] if is_late else [])
    status = status_of("orders", ORDERS, CHINA, LONG, None, today, date(2025, 6, 17))
    assert status.status == ("late" if is_late else "on_time")
    assert status.business_days_behind == (4 if is_late else 3)


def test_a_feed_with_rows_now_and_then_is_late_when_the_gap_is_unusual() -> None:
    days = [day for day in days_after(date(2025, 1, 1), date(2025, 6, 17)) if day.weekday() == 1]
    weekly = dict.fromkeys(days, 3)
    for today, is_late in ((date(2025, 6, 24), False), (date(2025, 8, 25), True)):
        assert [rule for rule, _ in rules(judged(weekly, {}, today))] == (["late"] * is_late)
        status = status_of("orders", ORDERS, CHINA, weekly, None, today, max(weekly))
        assert status.status == ("late" if is_late else "on_time")
        assert ("a gap like this is usual" in status.message_en) == (not is_late)


def test_one_rate_a_day_is_late_at_once() -> None:
    rates = load_contract("fx_rates")
    daily = even(1, date(2025, 1, 1), date(2025, 6, 17))
    assert judged(daily, {}, date(2025, 6, 20), rates) == []
    assert rules(judged(daily, {}, date(2025, 6, 23), rates)) == [("late", "2025-06-17")]


def test_an_answer_without_rows_is_empty_only_once_a_business_day_is_over() -> None:
    friday = date(2025, 6, 13)
    history = even(100, date(2025, 1, 1), friday)
    for today in (date(2025, 6, 14), date(2025, 6, 15), date(2025, 6, 16)):
        assert judged(history, {}, today) == []
    found = judged(history, {}, date(2025, 6, 17))
    assert rules(found) == [("empty", "2025-06-16")]
    assert found[0].severity == "warning"
    small = even(2, date(2025, 1, 1), friday)
    assert judged(small, {}, date(2025, 6, 17)) == []


def test_a_source_that_is_down_is_never_called_empty() -> None:
    for today in (WEDNESDAY, date(2025, 6, 30)):
        for arrived in ({}, None):
            status = status_of(
                "orders", ORDERS, CHINA, LONG, arrived, today, max(LONG), is_down=True
            )
            assert status.status == "down"
    fault = "the source no longer has amount"
    failed = status_of("orders", ORDERS, CHINA, LONG, None, WEDNESDAY, max(LONG), failure=fault)
    assert (failed.status, failed.message_en) == ("failed", fault)
    answered = status_of("orders", ORDERS, CHINA, LONG, {}, THURSDAY, max(LONG))
    assert answered.status == "empty"
    unknown = status_of("orders", ORDERS, CHINA, LONG, None, THURSDAY, max(LONG))
    assert unknown.status == "on_time"


def test_nothing_is_expected_of_a_feed_that_never_came_or_may_come_any_time() -> None:
    status = status_of("orders", ORDERS, CHINA, {}, {}, WEDNESDAY, None)
    assert (status.status, status.newest, status.business_days_behind) == (
        "no_expectation",
        None,
        None,
    )
    anytime = with_volume(late_after_business_days=None)
    found = judged(LONG, {date(2025, 6, 17): 1}, date(2025, 12, 1), anytime)
    assert found == []
    status = status_of("orders", anytime, CHINA, LONG, None, date(2025, 12, 1), max(LONG))
    assert status.status == "no_expectation"


# --- what a finding says -------------------------------------------------------------------------


def test_the_contract_sets_the_bounds_and_the_severity_of_volume() -> None:
    strict = with_volume(low=0.9, high=1.1, severity="critical", late_after_business_days=0)
    history = even(10_000, date(2025, 1, 1), date(2025, 6, 17))
    assert judged(history, {WEDNESDAY: 8_500}, THURSDAY) == []
    low, late = judged(history, {WEDNESDAY: 8_500}, THURSDAY, strict)
    assert (low.rule, low.severity) == ("volume_low", "critical")
    # refusing the rows that came would not bring those that did not
    assert (late.rule, late.severity, late.observed, late.expected_high) == (
        "late",
        "warning",
        1,
        0,
    )


def test_a_finding_says_what_was_expected_in_both_languages() -> None:
    (found,) = judged(LONG, {WEDNESDAY: 1}, THURSDAY)
    assert found == Finding(
        feed="orders",
        rule="volume_low",
        severity="warning",
        day=WEDNESDAY,
        observed=1,
        expected_low=20.0,
        expected_high=500.0,
        baseline_days=6,
        column="ordered_on",
        owner="sales-operations",
        message_en="2025-06-18 (business) has 1 row, expected are 20 to 500 "
        "(median 100 of 6 comparable days)",
        message_zh="2025-06-18（工作日）有 1 行，预期 20–500 行（6 个可比日的中位数为 100）",
    )
    (late,) = judged(LONG, {}, date(2025, 6, 30))
    assert late.message_en == (
        "the newest row is of 2025-06-17; business days from then to 2025-06-30: 9, allowed: 3"
    )


def test_a_year_without_announced_holidays_only_warns_and_says_so() -> None:
    strict = with_volume(severity="critical", late_after_business_days=3)
    history = even(100, date(2026, 10, 31), date(2027, 1, 5))
    low, late = judged(history, {date(2027, 1, 6): 1}, date(2027, 2, 20), strict)
    assert (low.rule, low.severity) == ("volume_low", "warning")
    for finding in (low, late):
        assert "the public holidays of 2027 are not in the calendar" in finding.message_en
        assert "日历中没有 2027 年的节假日" in finding.message_zh


def test_the_gate_line_has_the_shape_of_the_others() -> None:
    findings = judged(LONG, {WEDNESDAY: 1}, THURSDAY)
    line = to_gate_line("orders", 1, findings)
    assert line == {
        "gate": "landing",
        "suite": "volume and freshness",
        "table": "orders",
        "success": True,
        "rows": 1,
        "seconds": 0.0,
        "checks": 4,
        "failed": [
            {
                "expectation": "volume_low",
                "column": "ordered_on",
                "severity": "warning",
                "rule": "volume_low",
                "message": findings[0].message,
            }
        ],
    }
    strict = with_volume(severity="critical")
    assert not to_gate_line("orders", 1, judged(LONG, {WEDNESDAY: 1}, THURSDAY, strict))["success"]
    assert to_gate_line("orders", 5, [])["success"]
