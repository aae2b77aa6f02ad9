"""Which days a company works: weekends, public holidays, and the weekends worked in their stead.

The holidays lie in the seed ``business_calendar`` (one row per announced day), which dbt's date
dimension reads too. China announces them year by year; a year without rows is not known, and its
days count by their weekday alone.
"""

from __future__ import annotations

import csv
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from customer_marts.errors import ConfigurationError
from customer_marts.settings import DBT_PROJECT_DIR

__all__ = ["CALENDAR_FILE", "BusinessCalendar", "DayClass"]

DayClass = Literal["business", "month_end", "make_up_workday", "weekend", "holiday"]
BUSINESS_CLASSES: tuple[DayClass, ...] = ("business", "month_end", "make_up_workday")

CALENDAR_FILE = DBT_PROJECT_DIR / "seeds" / "business_calendar.csv"
COLUMNS = ("calendar", "day", "kind", "name_en", "name_zh", "source")

ONE_DAY = timedelta(days=1)
# A Chinese year has at least 11 days off; fewer rows are the neighbour's New Year break.
_DAYS_OFF_A_YEAR = 11
_LONG_HOLIDAY_DAYS = 5
_AROUND = timedelta(days=7)


class Announced(NamedTuple):
    """An announced day: ``kind`` is holiday (a day off) or workday (a weekend day worked)."""

    kind: str
    name_en: str
    name_zh: str
    source: str


class BusinessCalendar:
    """The business days of one calendar. Pure once loaded; every answer is a lookup.

    name: ``china``, or ``weekends`` (Saturday and Sunday off, no holidays). announced: the days
    that differ from plain weekdays and weekends.
    """

    def __init__(self, name: str, announced: Mapping[date, Announced]) -> None:
        self.name = name
        self.announced = dict(announced)
        self._years = _covered_years(self.announced)
        self._near_long_holidays = _days_around_long_holidays(self.announced)
        self._classes: dict[date, DayClass] = {}

    @staticmethod
    def load(name: str, path: Path = CALENDAR_FILE) -> BusinessCalendar:
        """The calendar a company file names, read once a process.

        Raises:
            ConfigurationError: the file is missing or broken, or holds no day of that calendar.
        """
        return _load(name, path)

    def is_known(self, day: date) -> bool:
        """Whether the file covers the day's year; where not, its holidays are not known."""
        return self.name == "weekends" or day.year in self._years

    def is_business_day(self, day: date) -> bool:
        return self.day_class(day) in BUSINESS_CLASSES

    def day_class(self, day: date) -> DayClass:
        """What kind of day it is. The last business day of a month is ``month_end``, even where
        it is a weekend day worked.
        """
        known = self._classes.get(day)
        if known is None:
            known = self._classes[day] = self._classify(day)
        return known

    def business_days_between(self, start: date, end: date) -> int:
        """Business days after ``start`` up to and including ``end``; 0 when end is not later."""
        return sum(self.is_business_day(day) for day in days_after(start, end))

    def is_near_long_holiday(self, day: date) -> bool:
        """Whether a break of five days or more ends or begins within a week of this working or
        weekend day: trade fades before Spring Festival and comes back slowly.
        """
        return day in self._near_long_holidays

    def _works(self, day: date) -> bool:
        announced = self.announced.get(day)
        return day.weekday() < 5 if announced is None else announced.kind == "workday"

    def _classify(self, day: date) -> DayClass:
        announced = self.announced.get(day)
        if not self._works(day):
            return "weekend" if announced is None else "holiday"
        month_end = day.replace(day=monthrange(day.year, day.month)[1])
        if not any(self._works(later) for later in days_after(day, month_end)):
            return "month_end"
        return "business" if announced is None else "make_up_workday"


def days_after(start: date, end: date) -> Iterator[date]:
    """The days after ``start`` up to and including ``end``."""
    for offset in range(1, (end - start).days + 1):
        yield start + timedelta(days=offset)


def _covered_years(announced: Mapping[date, Announced]) -> frozenset[int]:
    days_off = [day.year for day, item in announced.items() if item.kind == "holiday"]
    return frozenset(year for year in days_off if days_off.count(year) >= _DAYS_OFF_A_YEAR)


def _days_around_long_holidays(announced: Mapping[date, Announced]) -> frozenset[date]:
    days_off = {day for day, item in announced.items() if item.kind == "holiday"}
    around: set[date] = set()
    for first in days_off:
        if first - ONE_DAY in days_off:
            continue
        last = first
        while last + ONE_DAY in days_off:
            last += ONE_DAY
        if (last - first).days + 1 >= _LONG_HOLIDAY_DAYS:
            around.update(days_after(first - _AROUND - ONE_DAY, last + _AROUND))
    return frozenset(around - days_off)


@lru_cache
def _load(name: str, path: Path) -> BusinessCalendar:
    if name == "weekends":
        return BusinessCalendar(name, {})
    announced: dict[date, Announced] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"the columns must be {', '.join(COLUMNS)}")
            for row in reader:
                if row["calendar"] == name:
                    day, item = _announced(row, reader.line_num)
                    if day in announced:
                        raise ValueError(f"line {reader.line_num}: {day} is there twice")
                    announced[day] = item
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigurationError(
            f"the business calendar cannot be read: {error}",
            where=str(path),
            kept="nothing was judged",
            todo="correct the file and run again",
        ) from error
    if not announced:
        raise ConfigurationError(
            f"the business calendar has no day of '{name}'",
            where=str(path),
            todo="name another calendar in the company file, or add its days",
        )
    return BusinessCalendar(name, announced)


def _announced(row: Mapping[str, str | None], line: int) -> tuple[date, Announced]:
    values = {column: (row.get(column) or "").strip() for column in COLUMNS}
    empty = [column for column, value in values.items() if not value]
    if empty:
        raise ValueError(f"line {line}: no value for {', '.join(empty)}")
    if len(row) > len(COLUMNS):
        raise ValueError(f"line {line}: more fields than columns")
    try:
        day = date.fromisoformat(values["day"])
    except ValueError as error:
        raise ValueError(f"line {line}: day is a date (YYYY-MM-DD): {values['day']}") from error
    if values["kind"] not in ("holiday", "workday"):
        raise ValueError(f"line {line}: kind is holiday or workday, not '{values['kind']}'")
    if values["kind"] == "workday" and day.weekday() < 5:
        raise ValueError(f"line {line}: {day} is no weekend day, so it is worked anyway")
    return day, Announced(values["kind"], values["name_en"], values["name_zh"], values["source"])
