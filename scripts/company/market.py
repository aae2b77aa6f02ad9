"""The treasury's list of exchange rates and the market's price indices: one file a month each.

A month's file grows by the business day and is written anew. Both begin half a year before the
company does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.company.columns import Window
from scripts.company.facts import CATEGORIES, PRICE_CODES, PRODUCTS
from scripts.company.world import RATE_MEANS, Integers, World, day_date

HISTORY_DAYS = 184

RATE_HEADER = "日期,货币,货币名称,中间价"
RATE_NAMES = {"USD": "美元", "EUR": "欧元"}

REVISION_DAYS = 4
"""Calendar days after which a price that was revised shows its final value."""


def rate_file(day: int) -> str:
    """The name of the file with the rates of a day."""
    return f"fx_rates_{day_date(day):%Y-%m}.csv"


def price_file(day: int) -> str:
    """The name of the file with the prices of a day."""
    return f"market_prices_{day_date(day):%Y-%m}.jsonl"


def changed_months(world: World, window: Window, lag_days: int = 0) -> list[Integers]:
    """The business days of every month whose file the window changes, up to its last day.

    Args:
        world: the world.
        window: what to show.
        lag_days: for how many days a line may still change.
    """
    first = world.start - HISTORY_DAYS
    if window.since is not None:
        first = max(first, window.since + 1 - lag_days)
    first = int(world.at(world.month_starts, np.array([first]))[0])
    days = np.arange(first, window.day + 1)
    days = days[world.at(world.is_business, days)]
    return np.split(days, np.flatnonzero(np.diff(world.at(world.month_starts, days))) + 1)


def rate_lines(world: World, days: Integers, bad_rows: dict[int, list[str]]) -> Iterator[str]:
    """Lines of a month of rates: yuan for 100 units of the currency, dates as 20260630.

    Args:
        world: the world.
        days: the business days.
        bad_rows: further lines, by the day after whose lines they stand.
    """
    yield RATE_HEADER
    for day in days.tolist():
        date_text = f"{day_date(day):%Y%m%d}"
        for row, currency in enumerate(RATE_MEANS, start=1):
            price = 100 * world.rates[row, day - world.first]
            yield f"{date_text},{currency},{RATE_NAMES[currency]},{price:.2f}"
        yield from bad_rows.get(day, ())


def price_lines(
    world: World, days: Integers, window: Window, bad_rows: dict[int, list[str]]
) -> Iterator[str]:
    """Lines of a month of prices per tonne, one a business day and category.

    One price in a hundred is revised: until `REVISION_DAYS` later it shows a provisional value.
    """
    firsts = [next(each for each in PRODUCTS if each.category == name) for name in CATEGORIES]
    bases = np.array([product.base_price / product.tonnes_per_unit for product in firsts])
    prices = bases[:, None] * world.price_index[:, days - world.first]
    is_revised = world.draws.uniform("revised", days, np.arange(len(bases))[:, None]) < 0.01
    shows_final = days + REVISION_DAYS <= window.day
    prices = np.where(is_revised & ~shows_final, 0.995 * prices, prices)
    published = np.where(is_revised & shows_final, days + REVISION_DAYS, days)
    for column, day in enumerate(days.tolist()):
        for row, category in enumerate(CATEGORIES):
            price, shown_on = round(float(prices[row, column]), 2), int(published[row, column])
            yield price_line(day, PRICE_CODES[row], category, price, shown_on)
        yield from bad_rows.get(day, ())


def price_line(day: int, code: str, category: str, price: float, published: int) -> str:
    """One price as the market's file writes it: JSON, whose texts here need no escapes."""
    written = day_date(day)
    stamp = written if published == day else day_date(published)
    return (
        f'{{"date": "{written}", "index": "{code}", "category": "{category}", "price": {price}, '
        f'"currency": "CNY", "published_at": "{stamp}T17:30:00+08:00"}}'
    )
