"""Units that sources count in, and what one of them is in the contract's own unit."""

from __future__ import annotations

from decimal import Decimal

# Contract units: tonnes for weights, the currency's main unit for money, one for rates.
UNITS: dict[str, Decimal] = {
    # weight
    "吨": Decimal(1),
    "t": Decimal(1),
    "tonnes": Decimal(1),
    "万吨": Decimal(10_000),
    "千克": Decimal("0.001"),
    "公斤": Decimal("0.001"),
    "kg": Decimal("0.001"),
    # money
    "元": Decimal(1),
    "千元": Decimal(1_000),
    "万元": Decimal(10_000),
    "亿元": Decimal(100_000_000),
    "分": Decimal("0.01"),
    "cents": Decimal("0.01"),
    "thousands": Decimal(1_000),
    "millions": Decimal(1_000_000),
    # price by weight
    "元/吨": Decimal(1),
    "元/千克": Decimal(1_000),
    # rates: the bank quotes most currencies per 100
    "per_100": Decimal("0.01"),
    "每100": Decimal("0.01"),
    "percent": Decimal("0.01"),
    "%": Decimal("0.01"),
}
