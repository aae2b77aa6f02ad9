"""Customers whose default is drawn from a known model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]

GERMAN_CREDIT = Path(__file__).parent / "data" / "german_credit.csv"


def customers(count: int, seed: int = 7) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """A risk that rises with ``late_days``, falls with ``tenure_months``, differs by region."""
    random = np.random.default_rng(seed)
    late = random.exponential(20.0, count)
    tenure = random.integers(0, 120, count).astype(float)
    region = random.choice(np.array(["north", "south", "west"], dtype=object), count)
    log_odds = -2.5 + 0.04 * late - 0.015 * tenure + np.where(region == "west", 0.8, 0.0)
    default = random.random(count) < 1.0 / (1.0 + np.exp(-log_odds))
    late[random.random(count) < 0.1] = np.nan
    region[random.random(count) < 0.05] = None
    columns: Columns = {
        "late_days": late,
        "tenure_months": tenure,
        "region": region,
        "noise": random.normal(size=count),
    }
    return columns, default


def german_credit() -> tuple[Columns, npt.NDArray[np.bool_]]:
    """The 20 variables, numbers as numbers, and who was bad."""
    with GERMAN_CREDIT.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    default = np.array([row["creditability"] == "bad" for row in rows])
    columns: Columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == "creditability":
            continue
        is_number = all(value.isdigit() for value in values)
        columns[name] = np.array(values, dtype=float if is_number else object)
    return columns, default


def rows_of(columns: Columns, chosen: Any) -> Columns:
    """The same columns for some of the customers."""
    return {name: column[chosen] for name, column in columns.items()}
