"""Make cdnow_histories.csv from the transactions of the CDNOW sample; see README.md beside it.

python tests/clv/data/derive_cdnow.py CDNOW_sample.txt
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from datetime import date
from math import log
from pathlib import Path

CALIBRATION_END = date(1997, 9, 30)


def main() -> None:
    """Read the transactions, group the customers, write the table."""
    purchases: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for line in Path(sys.argv[1]).read_text().splitlines():
        _, customer, day, _, dollars = line.split()
        bought_on = date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}")
        purchases[customer][bought_on] += round(float(dollars) * 100)
    rows: Counter[tuple[int, ...]] = Counter()
    log_gap_sum: dict[tuple[int, ...], float] = defaultdict(float)
    for days in purchases.values():
        first = min(days)
        seen = sorted(day for day in days if day <= CALIBRATION_END)
        repeats = seen[1:]
        key = (
            len(repeats),
            (seen[-1] - first).days,
            (CALIBRATION_END - first).days,
            len(days) - len(seen),
            sum(days[day] for day in repeats),
        )
        rows[key] += 1
        log_gap_sum[key] += sum(
            log((after - before).days) for before, after in zip(seen, repeats, strict=False)
        )
    with (Path(__file__).parent / "cdnow_histories.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                *("repeats", "last_days", "age_days", "holdout", "repeat_cents", "customers"),
                "log_gap_sum",
            ]
        )
        writer.writerows([*row, rows[row], f"{log_gap_sum[row]:.6f}"] for row in sorted(rows))


if __name__ == "__main__":
    main()
