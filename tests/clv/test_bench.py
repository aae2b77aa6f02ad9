"""The benchmark's steps are those of a user: its SQL values are the library's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from customer_marts.clv import Book, customer_value, fit_bgnbd, fit_gammagamma

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_clv.py"


def test_values_written_back_are_the_library_s(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--customers", "3000", "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert "3,000 customers" in done.stdout
    with duckdb.connect(str(tmp_path / "book_3000_730.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select repeats, last_days, age_days, margin, clv"
            " from customers inner join customer_values using (customer_id)"
        ).fetchnumpy()
    repeats, margin = rows["repeats"], rows["margin"].filled(0.0)
    history = repeats, rows["last_days"], rows["age_days"]
    model = fit_bgnbd(Book.of(*history)).model
    margins = fit_gammagamma(repeats, margin).model
    values = customer_value(
        model.discounted_purchases(*history, 365, 0.1, 365),
        margins.expected_value(repeats, margin),
    )
    assert rows["clv"].tolist() == pytest.approx(values.tolist(), rel=1e-4)
