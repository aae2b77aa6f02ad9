"""Volume and freshness of a feed, judged day by day against the company's calendar.

A day is compared with days of its own kind before it: a Tuesday with Tuesdays, a month's last
business day with such days, a holiday with holidays. The bounds are the contract's multiples of
their median, widened by the chance that small counts have. Nothing here reads the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any, Literal

from customer_marts.feeds import Contract
from customer_marts.gates.calendar import ONE_DAY, BusinessCalendar, DayClass, days_after
from customer_marts.gates.suites import Severity

__all__ = [
    "VOLUME_SUITE",
    "Expected",
    "FeedStatus",
    "Finding",
    "Rule",
    "Status",
    "expected",
    "judge",
    "status_of",
    "to_gate_line",
]

VOLUME_SUITE = "volume and freshness"
Rule = Literal["volume_low", "volume_high", "empty", "late"]
RULES: tuple[Rule, ...] = ("volume_low", "volume_high", "empty", "late")
Status = Literal["on_time", "late", "empty", "down", "failed", "no_expectation"]

LEAST_BASELINE_DAYS = 5
RECENT = timedelta(days=56)
YEAR = timedelta(days=365)
# Of the lowest rate a contract allows, the part that may be left in the week around a long break.
_AROUND_LONG_HOLIDAYS = 0.25
# Standard deviations of a Poisson count that are put down to chance: about one day in 30,000.
_DEVIATIONS = 4.0
_LEAST_CHANCE_OF_A_GAP = 0.001

_CLASS_ZH: dict[DayClass, str] = {
    "business": "工作日",
    "month_end": "月末最后工作日",
    "make_up_workday": "调休上班日",
    "weekend": "周末",
    "holiday": "节假日",
}

Rows = Mapping[date, int]


@dataclass(frozen=True)
class Expected:
    """How many rows a day may bring: ``low`` to ``high``, both included, and what says so."""

    low: float
    high: float
    median: float
    baseline_days: int


@dataclass(frozen=True)
class Finding:
    """A day, or a feed, that is not as expected.

    observed and the bounds are in rows of ``day``; for ``late``, ``day`` is the newest business
    date known and they are in business days since. ``column``: the contract's business date.
    """

    feed: str
    rule: Rule
    severity: Severity
    day: date
    observed: int
    expected_low: float
    expected_high: float
    baseline_days: int
    column: str
    owner: str
    message_en: str
    message_zh: str

    @property
    def message(self) -> str:
        return f"{self.message_en} / {self.message_zh}"


@dataclass(frozen=True)
class FeedStatus:
    """Whether a feed is on time. business_days_behind: those after ``newest`` up to today."""

    feed: str
    status: Status
    newest: date | None
    business_days_behind: int | None
    message_en: str
    message_zh: str


def judge(
    feed: str,
    contract: Contract,
    calendar: BusinessCalendar,
    history: Rows,
    arrived: Rows,
    today: date,
    newest: date | None,
    judged_through: date | None = None,
) -> list[Finding]:
    """What is unexpected in a batch, in the order of days; nothing for a feed without a business
    date or without history (the first load is its own baseline).

    Tested are the days after the release's last one that are over, up to the newest that the batch
    brings: a day between them without rows is tested too, one delivered again is not. A day without
    five comparable days is not judged. Volume findings have the contract's severity; ``late`` and
    ``empty`` days behind the batch only warn, for refusing the rows that did come mends nothing.
    In a year the calendar does not cover, days count by their weekday and every finding warns.

    Args:
        feed: the feed's name.
        contract: its contract; ``volume`` holds the bounds.
        calendar: the company's calendar.
        history: rows per business date in the last release (0 may be left out).
        arrived: accepted rows per business date in the batch, tombstones aside; empty where the
            source answered and brought nothing.
        today: the business day that is running; never judged, for it is not over.
        newest: newest business date known after this batch. Dates after today are set aside.
        judged_through: last day that was over when the last release was made. Given, a day that
            the release holds in part is judged now, by all its rows; else every day it holds
            counts as judged.
    """
    if contract.event_date is None:
        return []
    judge_ = _Judge(feed, contract, calendar, history, today, judged_through)
    if judge_.through is None:
        return []
    found = [*judge_.volume(judge_.through, arrived), *judge_.freshness(arrived, newest)]
    return sorted(found, key=lambda finding: finding.day)


def expected(
    contract: Contract, calendar: BusinessCalendar, history: Rows, day: date
) -> Expected | None:
    """How many rows ``day`` may bring, by the comparable days before it; None where they are fewer
    than five. The day itself, and what came after it, never enter.

    Comparable are days of the same class and weekday in the eight weeks before, else in the year
    before, else of the same class (their extremes are then allowed too). Days around a long
    holiday are no measure for others. Days of ``history``'s span without rows count as zero.
    """
    before = [known for known in history if known < day]
    if not before:
        return None
    comparable = _Comparable(calendar, history, day, min(before), max(before))
    rows, is_pooled = comparable.rows()
    if len(rows) < LEAST_BASELINE_DAYS:
        return None
    usual = float(median(rows))
    least, most = _by_chance(usual, len(rows))
    low = min(contract.volume.low * usual, least)
    high = max(contract.volume.high * usual, most)
    if usual == 0:
        # seldom any rows: a multiple of nothing says nothing, the largest day of the year does
        high = max(high, contract.volume.high * comparable.largest())
    if is_pooled:
        low, high = min(low, *rows), max(high, *rows)
    if calendar.day_class(day) == "holiday":
        low = 0.0
    elif calendar.is_near_long_holiday(day):
        faded = contract.volume.low * usual * _AROUND_LONG_HOLIDAYS
        low = min(low, _by_chance(faded, len(rows))[0])
    return Expected(low, high, usual, len(rows))


def status_of(
    feed: str,
    contract: Contract,
    calendar: BusinessCalendar,
    history: Rows,
    arrived: Rows | None,
    today: date,
    newest: date | None,
    *,
    is_down: bool = False,
    failure: str | None = None,
) -> FeedStatus:
    """Whether a feed is on time.

    down: the source did not answer the last pull (``is_down``), so that nothing is known of its
    data; never called empty. failed: the last pull landed nothing for another reason. ``failure``
    says what befell it. empty: it answered and brought nothing though business days are over
    on which rows are expected. late: the newest row lies further behind than the contract allows.
    no_expectation: nothing is known yet, or the contract expects nothing.

    arrived: what the last pull brought, None where there is no news of it. Others: see
    :func:`judge`.
    """
    judge_ = _Judge(feed, contract, calendar, history, today, None)
    newest = judge_.newest(arrived or {}, newest)
    behind = None if newest is None else calendar.business_days_between(newest, today)
    if is_down or failure is not None:
        status: Status = "down" if is_down else "failed"
        en = failure or "the source did not answer"
        zh = "数据源没有响应" if is_down else "上次拉取失败"
    elif contract.event_date is None:
        status, en, zh = "no_expectation", "its rows have no business date", "该数据没有业务日期"
    elif newest is None:
        status, en, zh = "no_expectation", "nothing is known of it yet", "尚无数据"
    else:
        found = judge_.freshness(arrived, newest)
        if found:
            status = "late" if found[0].rule == "late" else "empty"
            en, zh = found[0].message_en, found[0].message_zh
        elif contract.volume.late_after_business_days is None:
            status, en, zh = "no_expectation", "it may come at any time", "没有时效要求"
        elif behind is not None and behind > contract.volume.late_after_business_days:
            status, en = "on_time", "rows come on few days only, a gap like this is usual"
            zh = "该数据只在少数日子有记录，此类间隔属正常"
        else:
            status, en, zh = "on_time", "on time", "按时"
        if expected(contract, calendar, history, today) is None:
            en += f"; no baseline yet ({LEAST_BASELINE_DAYS} comparable days are needed)"
            zh += f"；暂无基线（至少需要 {LEAST_BASELINE_DAYS} 个可比日）"
    return FeedStatus(feed, status, newest, behind, en, zh)


def to_gate_line(feed: str, rows: int, findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings on a batch of ``rows`` rows as a line of the gate's report."""
    return {
        "gate": "landing",
        "suite": VOLUME_SUITE,
        "table": feed,
        "success": all(finding.severity == "warning" for finding in findings),
        "rows": rows,
        "seconds": 0.0,
        "checks": len(RULES),
        "failed": [
            {
                "expectation": finding.rule,
                "column": finding.column,
                "severity": finding.severity,
                "rule": finding.rule,
                "message": finding.message,
            }
            for finding in findings
        ],
    }


# --- the days compared ---------------------------------------------------------------------------


class _Comparable:
    """The days from ``first`` to ``last`` that ``day``, which comes later, is compared with."""

    def __init__(
        self, calendar: BusinessCalendar, history: Rows, day: date, first: date, last: date
    ) -> None:
        self.calendar, self.history, self.day = calendar, history, day
        self.first, self.last = first, last
        self.kind = calendar.day_class(day)

    def rows(self) -> tuple[list[int], bool]:
        """Rows of the comparable days, and whether they are of any weekday."""
        if self.kind in ("holiday", "month_end"):
            return self._rows(YEAR, self._is_of_class), False
        if self.kind != "make_up_workday":
            for span in (RECENT, YEAR):
                rows = self._rows(span, self._is_of_class_and_weekday)
                if len(rows) >= LEAST_BASELINE_DAYS:
                    return rows, False
        for span in (RECENT, YEAR):
            rows = self._rows(span, self._is_of_class)
            if len(rows) >= LEAST_BASELINE_DAYS:
                break
        return rows, True

    def largest(self) -> int:
        return max(self._rows(YEAR, self._is_of_class), default=0)

    def _rows(self, span: timedelta, is_comparable: Callable[[date], bool]) -> list[int]:
        start = max(self.first, self.day - span) - ONE_DAY
        return [
            self.history.get(day, 0) for day in days_after(start, self.last) if is_comparable(day)
        ]

    def _is_of_class(self, day: date) -> bool:
        # a weekend day worked is no weekend: it is held against ordinary business days
        wanted = "business" if self.kind == "make_up_workday" else self.kind
        return self.calendar.day_class(day) == wanted and (
            not self.calendar.is_near_long_holiday(day)
        )

    def _is_of_class_and_weekday(self, day: date) -> bool:
        return day.weekday() == self.day.weekday() and self._is_of_class(day)


def _by_chance(rate: float, count_days: int) -> tuple[float, float]:
    """The least and the most that a Poisson count of mean ``rate`` shows by chance, where the mean
    itself is the median of ``count_days`` such counts.

    Anscombe's transform 2 sqrt(x + 3/8) has a standard deviation of 1 for any rate (F. J. Anscombe,
    Biometrika 35, 1948); the median of n counts adds pi / 2n to the variance.
    """
    deviations = _DEVIATIONS * math.sqrt(1 + math.pi / (2 * count_days)) / 2
    root = math.sqrt(rate + 3 / 8)
    least = max(root - deviations, 0.0) ** 2 - 3 / 8
    return max(least, 0.0), (root + deviations) ** 2 - 3 / 8


def _may_be_a_gap(calendar: BusinessCalendar, history: Rows, newest: date, today: date) -> bool:
    """Whether a feed that has rows on few days only may well bring none from newest to today.

    The chance of a business day without rows is the share of such days in the last eight weeks of
    history, never quite 1; a day around a long holiday counts half. Unlikely is a gap of less than
    1 in 1,000.
    """
    if not history:
        return False
    last = max(history)
    past = [
        history.get(day, 0) == 0
        for day in days_after(max(last - RECENT, min(history)), last)
        if calendar.is_business_day(day)
    ]
    if len(past) < LEAST_BASELINE_DAYS:
        return False
    missed = sum(
        0.5 if calendar.is_near_long_holiday(day) else 1.0
        for day in days_after(newest, today)
        if calendar.is_business_day(day)
    )
    chance: float = (sum(past) / (len(past) + 1)) ** missed
    return chance >= _LEAST_CHANCE_OF_A_GAP


# --- judging -------------------------------------------------------------------------------------


class _Judge:
    """Judges one feed on one day."""

    def __init__(
        self,
        feed: str,
        contract: Contract,
        calendar: BusinessCalendar,
        history: Rows,
        today: date,
        judged_through: date | None,
    ) -> None:
        self.feed, self.contract, self.calendar, self.today = feed, contract, calendar, today
        self.column = contract.event_date or ""
        # a row dated in the future must not make every day until then count as judged
        self.released = {day: rows for day, rows in history.items() if rows and day <= today}
        last = max(self.released, default=None)
        self.through = min(last, judged_through) if last and judged_through else last

    def newest(self, arrived: Rows, newest: date | None) -> date | None:
        """The newest business date that is not in the future."""
        if newest is not None and newest <= self.today:
            return newest
        days = {day for day, rows in arrived.items() if rows and day <= self.today}
        return max(days | set(self.released), default=None)

    def volume(self, through: date, arrived: Rows) -> list[Finding]:
        """The days after ``through`` that are out of bounds."""
        new = [day for day, rows in arrived.items() if rows and through < day < self.today]
        found = []
        for day in days_after(through, max(new, default=through)):
            bounds = expected(self.contract, self.calendar, self.released, day)
            rows = self.released.get(day, 0) + arrived.get(day, 0)
            if bounds is None or bounds.low <= rows <= bounds.high:
                continue
            rule: Rule = "volume_high" if rows > bounds.high else "volume_low" if rows else "empty"
            severity = self.contract.volume.severity if self.calendar.is_known(day) else "warning"
            found.append(self._of_day(rule, severity, day, rows, bounds))
        return found

    def freshness(self, arrived: Rows | None, newest: date | None) -> list[Finding]:
        """Late, or empty, or neither. arrived: None where there is no news of the last pull."""
        newest = self.newest(arrived or {}, newest)
        if newest is None:
            return []
        behind = self.calendar.business_days_between(newest, self.today)
        allowed = self.contract.volume.late_after_business_days
        if allowed is not None and behind > allowed:
            is_usual = _may_be_a_gap(self.calendar, self.released, newest, self.today)
            return [] if is_usual else [self._late(newest, behind, allowed)]
        if arrived is None or any(arrived.values()):
            return []
        for day in reversed(list(days_after(newest, self.today - ONE_DAY))):
            bounds = expected(self.contract, self.calendar, self.released, day)
            if bounds is not None and bounds.low > 0:
                return [self._of_day("empty", "warning", day, 0, bounds)]
        return []

    def _of_day(
        self, rule: Rule, severity: Severity, day: date, rows: int, bounds: Expected
    ) -> Finding:
        kind = self.calendar.day_class(day)
        low, high = f"{math.ceil(bounds.low):,}", f"{math.floor(bounds.high):,}"
        usual, days = f"{bounds.median:,.0f}", bounds.baseline_days
        unknown_en, unknown_zh = self._unknown_holidays(day)
        return Finding(
            feed=self.feed,
            rule=rule,
            severity=severity,
            day=day,
            observed=rows,
            expected_low=bounds.low,
            expected_high=bounds.high,
            baseline_days=days,
            column=self.column,
            owner=self.contract.owner,
            message_en=f"{day} ({kind.replace('_', ' ')}) has {rows:,} row{'s' * (rows != 1)}, "
            f"expected are {low} to {high} (median {usual} of {days} comparable days){unknown_en}",
            message_zh=f"{day}（{_CLASS_ZH[kind]}）有 {rows:,} 行，预期 {low}–{high} 行"
            f"（{days} 个可比日的中位数为 {usual}）{unknown_zh}",
        )

    def _late(self, newest: date, behind: int, allowed: int) -> Finding:
        unknown_en, unknown_zh = self._unknown_holidays(newest, self.today)
        return Finding(
            feed=self.feed,
            rule="late",
            severity="warning",
            day=newest,
            observed=behind,
            expected_low=0,
            expected_high=allowed,
            baseline_days=0,
            column=self.column,
            owner=self.contract.owner,
            message_en=f"the newest row is of {newest}; business days from then to {self.today}: "
            f"{behind}, allowed: {allowed}{unknown_en}",
            message_zh=f"最新一行的业务日期为 {newest}，至 {self.today} 已 {behind} 个工作日，"
            f"允许 {allowed} 个{unknown_zh}",
        )

    def _unknown_holidays(self, *days: date) -> tuple[str, str]:
        """What to add to a message where a day's year is not in the calendar."""
        years = sorted({day.year for day in days if not self.calendar.is_known(day)})
        if not years:
            return "", ""
        named = ", ".join(map(str, years))
        return (
            f"; the public holidays of {named} are not in the calendar",
            f"；日历中没有 {named} 年的节假日",
        )
