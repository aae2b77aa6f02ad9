"""The business calendar: the announced days are the notices', and every day has one class."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.gates.calendar import CALENDAR_FILE, COLUMNS, BusinessCalendar, days_after

CHINA = BusinessCalendar.load("china")
YEARS = range(2022, 2027)

# Notice -> how many days each break has, as the notice itself sums it up.
STATED_DAYS = {
    "国办发明电〔2021〕11号": {
        "元旦": 3,
        "春节": 7,
        "清明节": 3,
        "劳动节": 5,
        "端午节": 3,
        "中秋节": 3,
        "国庆节": 7,
    },
    "国办发明电〔2022〕16号": {
        "元旦": 3,
        "春节": 7,
        "清明节": 1,
        "劳动节": 5,
        "端午节": 3,
        "中秋节、国庆节": 8,
    },
    # New Year and Dragon Boat Festival: "one day, joined to the weekend"
    "国办发明电〔2023〕7号": {
        "元旦": 1,
        "春节": 8,
        "清明节": 3,
        "劳动节": 5,
        "端午节": 1,
        "中秋节": 3,
        "国庆节": 7,
    },
    "国办发明电〔2024〕12号": {
        "元旦": 1,
        "春节": 8,
        "清明节": 3,
        "劳动节": 5,
        "端午节": 3,
        "国庆节、中秋节": 8,
    },
    "国办发明电〔2025〕7号": {
        "元旦": 3,
        "春节": 9,
        "清明节": 3,
        "劳动节": 5,
        "端午节": 3,
        "中秋节": 3,
        "国庆节": 7,
    },
}


def days_of(year: int) -> list[date]:
    return list(days_after(date(year - 1, 12, 31), date(year, 12, 31)))


def test_each_break_has_the_days_its_notice_states_in_a_row() -> None:
    breaks: dict[tuple[str, str], list[date]] = {}
    for day, item in CHINA.announced.items():
        if item.kind == "holiday":
            breaks.setdefault((item.source, item.name_zh), []).append(day)
    stated = {
        (notice, name): n for notice, names in STATED_DAYS.items() for name, n in names.items()
    }
    assert {key: len(days) for key, days in breaks.items()} == stated
    for days in breaks.values():
        assert all(later - day == timedelta(days=1) for day, later in pairwise(sorted(days)))


@pytest.mark.parametrize("year", YEARS)
def test_shifting_days_neither_adds_nor_takes_working_days(year: int) -> None:
    # the law gives 11 days a year, since 2025 (revision of November 2024) 13
    weekdays = sum(day.weekday() < 5 for day in days_of(year))
    off = weekdays - sum(CHINA.is_business_day(day) for day in days_of(year))
    assert off == (11 if year < 2025 else 13)


def test_the_seed_is_sorted_bilingual_and_names_its_notices() -> None:
    with CALENDAR_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["calendar"], row["day"]) for row in rows] == sorted(
        (row["calendar"], row["day"]) for row in rows
    )
    for row in rows:
        assert re.fullmatch(r"国办发明电〔20\d\d〕\d+号", row["source"])
        assert re.search("[\u4e00-\u9fff]", row["name_zh"])
        assert not re.search("[\u4e00-\u9fff]", row["name_en"])


@pytest.mark.parametrize("name", ["china", "weekends"])
def test_a_month_has_one_last_business_day(name: str) -> None:
    calendar = BusinessCalendar.load(name)
    for year in YEARS:
        ends = [day for day in days_of(year) if calendar.day_class(day) == "month_end"]
        assert [day.month for day in ends] == list(range(1, 13))
        assert all(calendar.is_business_day(day) for day in ends)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-02-09", "business"),  # the eve of that Spring Festival was worked
        ("2024-02-10", "holiday"),
        ("2024-02-18", "make_up_workday"),  # a Sunday
        ("2024-02-24", "weekend"),
        ("2024-09-30", "month_end"),
        ("2025-01-27", "month_end"),  # a Monday: the rest of the month was off
        ("2025-01-31", "holiday"),
        ("2026-02-28", "month_end"),  # a Saturday worked
        ("2026-09-20", "make_up_workday"),
        ("2026-10-08", "business"),
        ("2022-12-31", "holiday"),
    ],
)
def test_day_class(day: str, expected: str) -> None:
    assert CHINA.day_class(date.fromisoformat(day)) == expected


def test_plain_weekends_know_every_year() -> None:
    plain = BusinessCalendar.load("weekends")
    assert plain.is_known(date(1999, 1, 1))
    classes = Counter(plain.day_class(day) for day in days_of(2024))
    assert classes == {"business": 250, "month_end": 12, "weekend": 104}
    assert not plain.is_near_long_holiday(date(2024, 2, 9))


def test_a_year_without_its_notice_is_not_known() -> None:
    assert [year for year in range(2015, 2035) if CHINA.is_known(date(year, 6, 1))] == list(YEARS)


def test_a_new_year_break_begun_in_december_does_not_make_that_year_known() -> None:
    late = {day: item for day, item in CHINA.announced.items() if day >= date(2022, 12, 31)}
    assert not BusinessCalendar("china", late).is_known(date(2022, 12, 31))


def test_business_days_between_skips_breaks_and_counts_weekends_worked() -> None:
    friday, back = date(2026, 2, 13), date(2026, 2, 24)
    assert CHINA.business_days_between(friday, back) == 2  # Saturday the 14th and the 24th
    assert CHINA.business_days_between(back, friday) == 0
    assert CHINA.business_days_between(friday, friday) == 0
    assert BusinessCalendar.load("weekends").business_days_between(friday, back) == 7


def test_the_weeks_around_breaks_of_five_days_or_more() -> None:
    near = [day for day in days_of(2026) if CHINA.is_near_long_holiday(day)]
    expected = [
        *days_after(date(2026, 2, 7), date(2026, 2, 14)),
        *days_after(date(2026, 2, 23), date(2026, 3, 2)),
        *days_after(date(2026, 4, 23), date(2026, 4, 30)),
        *days_after(date(2026, 5, 5), date(2026, 5, 12)),
        # Mid-Autumn Festival lies within the week before National Day and is a holiday itself
        date(2026, 9, 24),
        *days_after(date(2026, 9, 27), date(2026, 9, 30)),
        *days_after(date(2026, 10, 7), date(2026, 10, 14)),
    ]
    assert near == expected


HEADER = ",".join(COLUMNS)
GOOD = "china,2026-10-01,holiday,National Day,国庆节,notice"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([HEADER.replace("source", "notice"), GOOD], "the columns must be"),
        ([HEADER, GOOD, GOOD], "line 3: 2026-10-01 is there twice"),
        ([HEADER, GOOD.replace("2026-10-01", "1 October")], "line 2: day is a date"),
        ([HEADER, GOOD.replace("holiday", "feast")], "kind is holiday or workday, not 'feast'"),
        ([HEADER, GOOD.replace("holiday", "workday")], "2026-10-01 is no weekend day"),
        ([HEADER, GOOD.replace("国庆节", "")], "no value for name_zh"),
        ([HEADER, GOOD + ",more"], "more fields than columns"),
        ([HEADER, GOOD.replace("china", "mars")], "no day of 'china'"),
        ([], "the columns must be"),
    ],
)
def test_a_broken_calendar_is_refused(tmp_path: Path, lines: list[str], complaint: str) -> None:
    path = tmp_path / "calendar.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        BusinessCalendar.load("china", path)
    assert str(path) in str(caught.value)


def test_a_missing_calendar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BusinessCalendar.load("china", tmp_path / "none.csv")
