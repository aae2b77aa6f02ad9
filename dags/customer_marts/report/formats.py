"""Amounts, rates and dates as text in English and Chinese; exact until here.

English scales by thousand and million (K, M, B), Chinese by ten thousand and hundred million
(万, 亿). Every scaled amount carries its exact value, so that nothing is lost by rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

MINUS = "\u2212"
NOTHING = "\u2013"

# (one unit of the scale, its letter, its decimal places)
_ENGLISH_SCALES = ((10**9, "B", 2), (10**6, "M", 2), (10**3, "K", 1), (1, "", 2))
_CHINESE_SCALES = ((10**8, "亿", 2), (10**4, "万", 1), (1, "", 2))
# Currencies with a Chinese name that is written after the number; the others keep their code.
_CHINESE_UNITS = {"CNY": "元", "USD": "美元", "EUR": "欧元", "HKD": "港元", "JPY": "日元"}


@dataclass(frozen=True)
class Text:
    """The same words in English and in Chinese (plain text, not markup)."""

    en: str
    zh: str


@dataclass(frozen=True)
class Amount:
    """An amount as text: scaled in both languages, and exact."""

    en: str
    zh: str
    exact: str
    is_negative: bool


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def signed(text: str, is_negative: bool) -> str:
    """`text` with a typographic minus before it when the number was below zero."""
    return f"{MINUS}{text}" if is_negative else text


def _scaled(size: Decimal, scales: Sequence[tuple[int, str, int]]) -> tuple[str, str]:
    """The absolute value `size` in the largest scale it reaches, and that scale's letter."""
    for (unit, letter, places), (below, _, places_below) in pairwise(scales):
        # As rounded in the scale below: 999,960 is 1.00 M, not 1,000.0 K, but 999,900 is 999.9 K.
        if _rounded(size / below, places_below) * below >= unit:
            return f"{_rounded(size / unit, places):,}", letter
    whole = size == size.to_integral_value()
    return f"{_rounded(size, 0 if whole else 2):,}", ""


def amount(value: Decimal, currency: str | None) -> Amount:
    """An amount for the page; `currency` is an ISO 4217 code, or None when it is not known."""
    size = abs(value)
    is_negative = value < 0
    number_en, scale_en = _scaled(size, _ENGLISH_SCALES)
    number_zh, scale_zh = _scaled(size, _CHINESE_SCALES)
    unit_zh = _CHINESE_UNITS.get(currency or "", f" {currency}" if currency else "")
    code = f"{currency} " if currency else ""
    return Amount(
        en=signed(f"{number_en}{' ' if scale_en else ''}{scale_en}", is_negative),
        zh=signed(f"{number_zh}{' ' if scale_zh or unit_zh else ''}{scale_zh}", is_negative)
        + unit_zh,
        exact=code + signed(f"{_rounded(size, 2):,}", is_negative),
        is_negative=is_negative,
    )


def percent(rate: Decimal | float, places: int = 1) -> str:
    """A rate (1 = 100 %) as text."""
    hundredths = _rounded(Decimal(str(rate)) * 100, places)
    return signed(f"{abs(hundredths):,} %", hundredths < 0)


def decimal(value: float, places: int) -> str:
    """A number with so many decimals, thousands separated."""
    shown = _rounded(Decimal(str(value)), places)
    return signed(f"{abs(shown):,}", shown < 0)


def share(part: Decimal | None, total: Decimal | None) -> Decimal | None:
    """The ratio of part to total, or None when either is unknown or the total is not above zero."""
    if part is None or total is None or total <= 0:
        return None
    return part / total


def change(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    """(now - before) / before, or None without a base above zero."""
    if now is None or before is None or before <= 0:
        return None
    return (now - before) / before


def count(value: int) -> str:
    """A whole number with thousands separated."""
    return signed(f"{abs(value):,}", value < 0)


def difference(value: int) -> str:
    """A whole number with its sign always written (0 stays 0)."""
    return f"+{value:,}" if value > 0 else count(value)


def seconds(value: float) -> str:
    """A duration in seconds: milliseconds below a tenth, minutes above 100."""
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"


def size_bytes(value: int) -> str:
    """A file size in kB or MB (1 kB = 1,000 bytes)."""
    if value < 1_000_000:
        return f"{_rounded(Decimal(value) / 1000, 1):,} kB"
    return f"{_rounded(Decimal(value) / 1_000_000, 1):,} MB"


def as_date(value: object) -> date | None:
    """A date from a date, a timestamp or ISO text; None when it is none of these."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def moment(value: object) -> str:
    """A timestamp as `2026-11-21 02:14 UTC`; naive values are UTC; other text stays as it is."""
    if value is None:
        return NOTHING
    if not isinstance(value, datetime):
        try:
            value = datetime.fromisoformat(str(value))
        except ValueError:
            return str(value)
    in_utc = value.astimezone(UTC) if value.tzinfo else value
    return f"{in_utc:%Y-%m-%d %H:%M} UTC"


def display_width(text: str) -> int:
    """Columns that a text takes: two for a Chinese, Japanese or Korean character, else one."""
    return sum(2 if ord(character) >= 0x2E80 else 1 for character in text)


def shortened(text: str, columns: int) -> str:
    """`text` cut with an ellipsis so that it takes at most `columns` columns."""
    if display_width(text) <= columns:
        return text
    kept = ""
    for character in text:
        if display_width(kept + character) > columns - 1:
            break
        kept += character
    return kept.rstrip() + "\u2026"
