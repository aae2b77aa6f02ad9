"""The CDNOW sample as a book; times in weeks to two digits, as the published file has them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from customer_marts.clv.books import Book, Floats

_FILE = Path(__file__).parent / "data" / "cdnow_histories.csv"
_LINES = list(csv.reader(_FILE.read_text().splitlines()))
_ROWS = np.array([[float(cell) for cell in line] for line in _LINES[1:]])

REPEATS = _ROWS[:, 0]
LAST_AT, AGE = (np.round(_ROWS[:, at] / 7, 2) for at in (1, 2))
HOLDOUT, CUSTOMERS = _ROWS[:, 3], _ROWS[:, 5]
MEAN_VALUE: Floats = np.divide(
    _ROWS[:, 4] / 100, REPEATS, out=np.full(REPEATS.size, np.nan), where=REPEATS > 0
)
# in days there, in weeks here
LOG_GAP_SUM = _ROWS[:, 6] - CUSTOMERS * REPEATS * np.log(7)

BOOK = Book.of(REPEATS, LAST_AT, AGE, CUSTOMERS, LOG_GAP_SUM)
