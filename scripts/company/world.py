"""What all simulated customers share: parameters, random numbers, calendar and market."""

from __future__ import annotations

import calendar
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.company.facts import CATEGORIES, SEASONS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

HORIZON_DAYS = 400
"""Days simulated past the end date: how far a company can be advanced."""

MAX_CUSTOMERS = 900_000
"""Customer codes have six digits; those from 990000 belong to the dirty rows."""

NEVER = 10_000_000
"""A day number later than every other: "does not happen"."""

DAY_SECONDS = 86_400

ANNOUNCED_DAYS = {
    2023: (
        "01-01/01-02 01-21/01-27 04-05/04-05 04-29/05-03 06-22/06-24 09-29/10-06",
        "01-28 01-29 04-23 05-06 06-25 10-07 10-08",
    ),
    2024: (
        "01-01/01-01 02-10/02-17 04-04/04-06 05-01/05-05 06-10/06-10 09-15/09-17 10-01/10-07",
        "02-04 02-18 04-07 04-28 05-11 09-14 09-29 10-12",
    ),
    2025: (
        "01-01/01-01 01-28/02-04 04-04/04-06 05-01/05-05 05-31/06-02 10-01/10-08",
        "01-26 02-08 04-27 09-28 10-11",
    ),
    2026: (
        "01-01/01-03 02-15/02-23 04-04/04-06 05-01/05-05 06-19/06-21 09-25/09-27 10-01/10-07",
        "01-04 02-14 02-28 05-09 09-20 10-10",
    ),
}
"""By year: the public holidays as ranges, and the weekends worked to make up for them. Written here
because a company must not change when the calendar of the marts does; a test compares the two.
"""

SPRING_FESTIVALS = (
    "2017-01-28 2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22 2024-02-10 "
    "2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03"
)
LUNAR_HOLIDAYS = "2027-06-09 2027-09-15"
"""Dragon Boat and Mid-Autumn of the first year that is not announced."""

FIXED_HOLIDAYS = ((1, 1), (4, 5), *((5, day) for day in range(1, 6)),
                  *((10, day) for day in range(1, 8)))  # fmt: skip

RATE_MEANS = {"USD": (7.1, 0.0018), "EUR": (7.8, 0.0035)}
"""Foreign currencies: yuan for one in the long-run mean, and the daily shock (of the logarithm)."""

CURRENCIES = ("CNY", *RATE_MEANS)


class SampleCompanyError(Exception):
    """A request that cannot be carried out; the text says what to do."""


@dataclass(frozen=True)
class Parameters:
    """What a company depends on; `end` is its first "today", `customers` how many it has then."""

    customers: int = 300
    years: int = 3
    end: date = date(2026, 6, 30)
    seed: int = 20260630

    def __post_init__(self) -> None:
        if not 1 <= self.customers <= MAX_CUSTOMERS:
            raise SampleCompanyError(f"customers must be 1 to {MAX_CUSTOMERS}: {self.customers}")
        if not 1 <= self.years <= 10:
            raise SampleCompanyError(f"years must be 1 to 10: {self.years}")

    @cached_property
    def start(self) -> date:
        """The first simulated day: `years` before the day after `end`."""
        after = self.end + timedelta(days=1)
        last = calendar.monthrange(after.year - self.years, after.month)[1]
        return after.replace(year=after.year - self.years, day=min(after.day, last))

    @cached_property
    def horizon(self) -> date:
        """The last simulated day."""
        return self.end + timedelta(days=HORIZON_DAYS)

    @cached_property
    def customers_ever(self) -> int:
        """Customers including those who will be won after `end`."""
        return self.customers + max(1, round(self.customers * 0.09))


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def day_date(number: int) -> date:
    """The inverse of `day_number`."""
    return date(1970, 1, 1) + timedelta(days=int(number))


def _mix(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), in place: every bit depends on all."""
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


class Draws:
    """Random numbers looked up by name and position instead of drawn in turn.

    The same (seed, name, positions) always gives the same number, whatever else was asked for, so
    a new quantity does not shift the others and a customer does not depend on its chunk.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _bits(self, name: str, *positions: Integers) -> npt.NDArray[np.uint64]:
        digest = hashlib.blake2b(f"{self._seed}:{name}".encode(), digest_size=8).digest()
        bits = np.full(1, int.from_bytes(digest, "little"), dtype=np.uint64)
        for position in positions:
            bits = _mix(bits + position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        return bits

    def uniform(self, name: str, *positions: Integers) -> Floats:
        """Uniform numbers in (0, 1), one per position (positions broadcast)."""
        bits = self._bits(name, *positions)
        return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, name: str, *positions: Integers) -> Floats:
        """Standard normal numbers by Box and Muller, from the two halves of one 64-bit hash."""
        bits = self._bits(name, *positions)
        first = ((bits >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
        second = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
        radius: Floats = np.sqrt(-2.0 * np.log(first))
        return radius * np.cos(2.0 * np.pi * second)

    def choice(self, name: str, count: int, *positions: Integers) -> Integers:
        """Integers in 0..count-1, equally likely."""
        return (self.uniform(name, *positions) * count).astype(np.int64)


class World:
    """Days off, seasons, market prices and rates from a year before the start to past the horizon.

    `price_index` and `rates` are tables per day (category x day, currency x day); the rate of a
    day off is that of the last business day. `month_firsts` and `month_lasts` are the months from
    the start to the horizon.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.draws = Draws(parameters.seed)
        self.start = day_number(parameters.start)
        self.end = day_number(parameters.end)
        self.horizon = day_number(parameters.horizon)
        self.first = self.start - 400
        self.days = np.arange(self.first, self.horizon + 800, dtype=np.int64)
        dates = [day_date(number) for number in self.days.tolist()]
        festivals = [day_number(date.fromisoformat(text)) for text in SPRING_FESTIVALS.split()]
        dip = np.ones(len(dates))
        for festival in festivals:
            since = self.days - festival
            dip[(since >= -12) & (since <= 14)] = 0.35
        self.is_business = is_business = _business_days(
            dates, self.days - np.array(festivals)[:, None]
        )
        business_days = self.days[is_business]
        found = np.searchsorted(business_days, self.days)
        self._next_business = business_days[np.minimum(found, len(business_days) - 1)]
        # The last business day on or before each day, as a position in the per-day tables.
        quoted = np.maximum.accumulate(np.where(is_business, np.arange(len(dates)), 0))
        self.rates = self._simulate_rates()[:, quoted]
        self.months = np.array([day.month for day in dates])
        self.month_starts = self.days - np.array([day.day for day in dates]) + 1
        opened = (self.days >= self.start) & (self.days <= self.horizon)
        self.month_firsts = np.unique(self.month_starts[opened])
        self.month_lasts = np.array([int(self.days[np.flatnonzero(self.month_starts == first)[-1]])
                                     for first in self.month_firsts])  # fmt: skip
        self.years = np.array([day.year for day in dates])
        quarters = self.years * 4 + (self.months - 1) // 3
        self.quarters = quarters - quarters[self.start - self.first]
        self.count_quarters = int(self.quarters[self.horizon - self.first]) + 1
        self.quarter_opens = np.array([int(self.days[np.argmax(self.quarters == quarter)])
                                       for quarter in range(self.count_quarters)])  # fmt: skip
        of_month = self.days - self.month_starts + 1
        self.yymmdd = self.years % 100 * 10_000 + self.months * 100 + of_month
        self.season_names = tuple(SEASONS)
        self.clocks = [
            np.cumsum(is_business * dip * np.array(SEASONS[name])[self.months - 1] * 365 / 249)
            for name in self.season_names
        ]
        self._paydays = [self._next_payday(dates, wanted) for wanted in ((10,), (25,), (10, 25))]
        self.price_index = self._simulate_prices()
        window = np.ones(180) / 180
        self.price_mean = np.array(
            [
                np.convolve(np.pad(row, (179, 0), "edge"), window, "valid")
                for row in self.price_index
            ]
        )

    def at(self, table: npt.NDArray[Any], days: Integers) -> npt.NDArray[Any]:
        """The values of a per-day table on the given days."""
        found: npt.NDArray[Any] = table[days - self.first]
        return found

    def next_business(self, days: Integers) -> Integers:
        """The first business day on or after each day; days past the calendar stay as they are."""
        known = np.minimum(days, self.days[-1])
        return np.where(days > self.days[-1], days, self.at(self._next_business, known))

    def next_payday(self, kinds: Integers, days: Integers) -> Integers:
        """The customer's first payday on or after each day (kind 0: any business day)."""
        known = np.minimum(days, self.horizon + 200)
        paydays = self.next_business(known)
        for kind, table in enumerate(self._paydays, start=1):
            paydays = np.where(kinds == kind, self.at(table, known), paydays)
        return np.where(days > known, days, paydays)

    def _next_payday(self, dates: list[date], wanted: tuple[int, ...]) -> Integers:
        nominal = np.array([number for number, day in zip(self.days, dates, strict=True)
                            if day.day in wanted])  # fmt: skip
        paydays = self.next_business(nominal)
        return paydays[np.minimum(np.searchsorted(paydays, self.days), len(paydays) - 1)]

    def _simulate_prices(self) -> Floats:
        """Price over base price per category and day: seasonal, mean-reverting, jointly moving."""
        count = len(self.days)
        volatility = {"动力煤": 0.011, "炼焦煤": 0.016, "焦炭": 0.015, "无烟煤": 0.010,
                      "柴油": 0.008, "汽油": 0.008, "燃料油": 0.012, "润滑油": 0.003,
                      "石油管材": 0.005}  # fmt: skip
        common = self.draws.normal("market shock", self.days)
        shocks = np.empty((len(CATEGORIES), count))
        for row, category in enumerate(CATEGORIES):
            own = self.draws.normal(f"price shock {category}", self.days)
            shocks[row] = volatility[category] * (0.5 * common + 0.87 * own)
        levels = _reverting(shocks, 0.994)
        heating = np.array(SEASONS["heating"])[self.months - 1] - 1.0
        smooth = np.convolve(np.pad(heating, 30, "edge"), np.ones(61) / 61, "valid")
        coal = np.array([0.18 if name in {"动力煤", "无烟煤"} else 0.0 for name in CATEGORIES])
        return np.asarray(np.exp(levels + coal[:, None] * smooth), dtype=np.float64)

    def _simulate_rates(self) -> Floats:
        """Yuan for one unit per currency and day, as the treasury's list rounds it."""
        shocks = np.array([
            sigma * self.draws.normal(f"rate shock {currency}", self.days)
            for currency, (_, sigma) in RATE_MEANS.items()
        ])  # fmt: skip
        means = np.array([mean for mean, _ in RATE_MEANS.values()])
        foreign = np.rint(means[:, None] * np.exp(_reverting(shocks, 0.99)) * 10_000) / 10_000
        return np.vstack([np.ones(len(self.days)), foreign])


def _business_days(dates: list[date], since_festivals: Integers) -> Booleans:
    """Which dates are worked: as announced, and by rule in the years before and after.

    Args:
        dates: the days.
        since_festivals: days since each Spring Festival (festival x day).
    """
    holidays: set[date] = {date.fromisoformat(text) for text in LUNAR_HOLIDAYS.split()}
    workdays: set[date] = set()
    for year, (ranges, weekends) in ANNOUNCED_DAYS.items():
        for each in ranges.split():
            first, last = (date.fromisoformat(f"{year}-{text}") for text in each.split("/"))
            holidays |= {first + timedelta(days) for days in range((last - first).days + 1)}
        workdays |= {date.fromisoformat(f"{year}-{text}") for text in weekends.split()}
    is_festive = (since_festivals >= -1) & (since_festivals <= 6)
    in_festival: Booleans = np.any(is_festive, axis=0)

    def is_worked(day: date, is_festive: bool) -> bool:
        if day in workdays:
            return True
        if day.weekday() >= 5 or day in holidays:
            return False
        is_rest = is_festive or (day.month, day.day) in FIXED_HOLIDAYS
        return day.year in ANNOUNCED_DAYS or not is_rest

    return np.array([is_worked(*each) for each in zip(dates, in_festival.tolist(), strict=True)])


def _reverting(shocks: Floats, memory: float) -> Floats:
    """AR(1) paths around 0, one per row: x(t) = memory x(t - 1) + shock(t)."""
    decay = memory ** np.arange(shocks.shape[1])
    return np.asarray(decay * np.cumsum(shocks / decay, axis=1), dtype=np.float64)
