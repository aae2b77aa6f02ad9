"""Time the customer-value models from grouping to a value for every customer.

    python scripts/bench_clv.py [--customers 1000000] [--model bgnbd|mbgnbd|mbgcnbd|paretonbd]
                                [--days 730] [--horizon 365] [--categories 8] [--keep DIR]
                                [--lifetimes PYTHON] [--pymc-marketing PYTHON]
                                [--compare-customers 100000]

Makes a book of customers (irregular buyers, who leave by a coin) in a DuckDB file. A process of its
own then groups them in SQL, fits, forecasts, and writes a value for every customer back: the table
printed gives seconds, CPU seconds and peak memory. ``--categories`` fits again with a covariate of
so many categories, which say nothing here. ``--lifetimes`` and ``--pymc-marketing`` name a
Python that can import that package (none is a dependency): it fits the same model to the same
grouped book of ``--compare-customers``, and the table gives its log-likelihood beside ours and the
ratio of CPU seconds of the fit, imports not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from customer_marts.clv import (
    Book,
    fit_bgnbd,
    fit_gammagamma,
    fit_mbgcnbd_best,
    fit_mbgnbd,
    fit_paretonbd,
    fit_with_covariates,
)

FITS: dict[str, Callable[[Book], Any]] = {
    "bgnbd": fit_bgnbd,
    "mbgnbd": fit_mbgnbd,
    "mbgcnbd": fit_mbgcnbd_best,
    "paretonbd": fit_paretonbd,
}
MADE_WITH = {"r": 0.8, "alpha": 60.0, "a": 0.8, "b": 3.0}
ANNUAL_RATE = 0.1

GROUPS = """
    select
        repeats, last_days, age_days,
        count(*)::double as customers, sum(log_gap_sum) as log_gap_sum
    from customers group by repeats, last_days, age_days order by repeats, last_days, age_days
"""
SPENDERS = "select repeats::double, margin from customers where repeats > 0 and margin > 0"
VALUES = """
    create or replace table customer_values as
    select
        customers.customer_id,
        forecasts.probability_alive,
        forecasts.expected_purchases,
        forecasts.discounted_purchases
        * (margins.gamma + customers.repeats * coalesce(customers.margin, 0)) * margins.p
        / (margins.p * customers.repeats + margins.q - 1) as clv,
    from customers
    inner join forecasts using (repeats, last_days, age_days)
    cross join margins
"""


def main() -> int:
    """Make the book, time our part, time the others, print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--model", choices=FITS, default="bgnbd")
    parser.add_argument("--days", type=int, default=730, help="age of the oldest customer")
    parser.add_argument("--horizon", type=float, default=365.0, help="days of the forecast")
    parser.add_argument("--categories", type=int, default=0, help="of a covariate to fit with too")
    parser.add_argument("--memory", default="1GB", help="DuckDB's memory limit")
    parser.add_argument("--keep", type=Path, help="keep the book in this folder")
    parser.add_argument("--lifetimes", type=Path, metavar="PYTHON")
    parser.add_argument("--pymc-marketing", type=Path, metavar="PYTHON")
    parser.add_argument("--compare-customers", type=int, default=100_000)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_measured(arguments.one, arguments)))
        return 0
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="marts-bench-clv-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _report_ours(folder, arguments)
        for package in ("lifetimes", "pymc_marketing"):
            if getattr(arguments, package):
                _report_other(package, folder, arguments)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _book_file(folder: Path, customers: int, days: int) -> Path:
    file = folder / f"book_{customers}_{days}.duckdb"
    if not file.exists():
        print(f"making a book of {customers:,} customers …")
        with duckdb.connect(str(file)) as connection:
            for start in range(0, customers, 500_000):
                part = _simulate(start, min(500_000, customers - start), days)
                connection.register("part", part)
                connection.execute(
                    "insert into customers from part"
                    if start
                    else "create table customers as from part"
                )
    return file


def _simulate(first: int, customers: int, days: int) -> pa.Table:
    chance = np.random.default_rng(first)
    age = chance.integers(1, days + 1, customers)
    rate = chance.gamma(MADE_WITH["r"], 1 / MADE_WITH["alpha"], customers)
    leaves = chance.beta(MADE_WITH["a"], MADE_WITH["b"], customers)
    repeats, last = np.zeros(customers, np.int32), np.zeros(customers, np.int32)
    gaps = np.zeros(customers)
    active = np.arange(customers)
    while active.size:
        # the grain is the day: the next purchase is on a later one
        gap = np.ceil(chance.exponential(1 / rate[active]))
        bought = last[active] + gap <= age[active]
        active, gap = active[bought], gap[bought]
        last[active] += gap.astype(np.int32)
        repeats[active] += 1
        gaps[active] += np.log(gap)
        active = active[chance.random(active.size) >= leaves[active]]
    scale = chance.gamma(4.0, 1 / 15_000.0, customers)
    shape = 6.0 * np.maximum(repeats, 1)
    margin = np.where(repeats > 0, chance.gamma(shape, 1 / (shape / 6.0 * scale)), np.nan)
    return pa.table(
        {
            "customer_id": np.arange(first, first + customers),
            "repeats": repeats,
            "last_days": last,
            "age_days": age.astype(np.int32),
            "log_gap_sum": gaps,
            "margin": pa.array(margin, from_pandas=True),
        }
    )


def _measured(file: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every step on a book, in this process; seconds and CPU seconds of each."""
    steps: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        steps[name] = time.perf_counter() - wall, time.process_time() - cpu
        return result

    with duckdb.connect(str(file)) as connection:
        connection.execute(f"set memory_limit = '{arguments.memory}'; set threads = 2")
        groups, book = timed("group in SQL", lambda: _grouped(connection))
        fit = timed("fit", lambda: FITS[arguments.model](book))
        if arguments.categories:
            timed(
                f"fit with {arguments.categories} categories",
                lambda: _with_categories(connection, fit.model, arguments.categories),
            )
        margins = timed(
            "fit margins", lambda: fit_gammagamma(*_columns(connection, SPENDERS)).model
        )
        forecasts = timed(
            "forecast", lambda: _forecasts(groups, book, fit.model, arguments.horizon)
        )
        timed("value each customer", lambda: _write(connection, forecasts, margins))
        count, total = connection.execute(
            "select count(*), sum(clv) from customer_values"
        ).fetchall()[0]
    return {
        "steps": steps,
        "groups": book.groups,
        "parameters": {name: getattr(fit.model, name) for name in fit.names},
        "status": fit.status,
        "log_likelihood": fit.log_likelihood,
        "customers": count,
        "value": total,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _grouped(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, Any], Book]:
    groups = connection.execute(GROUPS).fetchnumpy()
    return groups, Book.of(*groups.values())


def _with_categories(connection: duckdb.DuckDBPyConnection, model: Any, number: int) -> None:
    rows = "select *, cast(hash(customer_id) % {} as integer) as category from customers"
    groups = GROUPS.replace("from customers", f"from ({rows.format(number)})")
    books = [
        Book.of(
            *connection.execute(groups.replace("group by", f"where category = {at} group by"))
            .fetchnumpy()
            .values()
        )
        for at in range(number)
    ]
    on = [model.names[1], model.names[-1] if model.names[-1] == "beta" else "a"]
    fit_with_covariates(model, books, np.eye(number)[:, 1:], on)


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return list(connection.execute(query).fetchnumpy().values())


def _forecasts(groups: dict[str, Any], book: Book, model: Any, horizon: float) -> pa.Table:
    history = book.repeats, book.last_at, book.age
    return pa.table(
        {
            **{name: groups[name] for name in ("repeats", "last_days", "age_days")},
            "probability_alive": model.probability_alive(*history),
            "expected_purchases": model.expected_purchases(*history, horizon),
            "discounted_purchases": model.discounted_purchases(*history, horizon, ANNUAL_RATE, 365),
        }
    )


def _write(connection: duckdb.DuckDBPyConnection, forecasts: pa.Table, margins: Any) -> None:
    connection.register("forecasts", forecasts)
    connection.register(
        "margins", pa.table({name: [getattr(margins, name)] for name in margins.names})
    )
    connection.execute(VALUES)


def _report_ours(folder: Path, arguments: argparse.Namespace) -> None:
    file = _book_file(folder, arguments.customers, arguments.days)
    done = subprocess.run(
        [sys.executable, __file__, *_options(arguments), "--one", str(file)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    title = f"{arguments.model}: {found['customers']:,} customers in {found['groups']:,} groups"
    table = _table(title, "step", "seconds", "CPU seconds")
    total = np.zeros(2)
    for step, (wall, cpu) in found["steps"].items():
        table.add_row(step, f"{wall:.2f}", f"{cpu:.2f}")
        total += wall, cpu
    table.add_row("all", f"{total[0]:.2f}", f"{total[1]:.2f}")
    console = Console(highlight=False, width=110)
    console.print(table)
    parameters = ", ".join(f"{name} {value:.4g}" for name, value in found["parameters"].items())
    console.print(
        f"{parameters}; {found['status']}; peak memory {found['megabytes']:,.0f} MB; "
        f"{os.cpu_count()} cores, Python {platform.python_version()}"
    )


def _options(arguments: argparse.Namespace) -> list[str]:
    return [
        *("--model", arguments.model),
        *("--horizon", str(arguments.horizon)),
        *("--memory", arguments.memory),
        *("--categories", str(arguments.categories)),
    ]


def _report_other(package: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Fit BG/NBD with ours and with the other package, on the same grouped book."""
    file = _book_file(folder, arguments.compare_customers, arguments.days)
    with duckdb.connect(str(file), read_only=True) as connection:
        book = _grouped(connection)[1]
    data = folder / "groups.npz"
    np.savez(
        data,
        repeats=book.repeats,
        last_at=book.last_at,
        age=book.age,
        customers=book.customers,
    )
    start = time.process_time()
    ours = fit_bgnbd(book)
    cpu = time.process_time() - start
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(getattr(arguments, package).absolute()), "-c", OTHERS[package], str(data)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        sys.exit(f"{package} failed:\n{done.stderr}")
    other = json.loads(done.stdout.splitlines()[-1])
    theirs = type(ours.model)(**{name: other[name] for name in ours.names})
    likelihood = float(book.customers @ theirs.log_likelihood(book.repeats, book.last_at, book.age))
    title = f"BG/NBD fit: {book.size:,.0f} customers in {book.groups:,} groups"
    table = _table(title, "package", "CPU seconds", "log-likelihood", "r", "alpha", "a", "b")
    for name, seconds, value, model in (
        ("ours", cpu, ours.log_likelihood, ours.model),
        (package, other["seconds"], likelihood, theirs),
    ):
        shown = (f"{getattr(model, parameter):.5g}" for parameter in ours.names)
        table.add_row(name, f"{seconds:.2f}", f"{value:.3f}", *shown)
    console = Console(highlight=False, width=110)
    console.print(table)
    console.print(f"{package} takes {other['seconds'] / cpu:,.1f} times our CPU seconds")


LIFETIMES = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from lifetimes import BetaGeoFitter
data = np.load(sys.argv[1])
start = time.process_time()
fitter = BetaGeoFitter(penalizer_coef=0.0)
fitter.fit(data["repeats"], data["last_at"], data["age"], weights=data["customers"])
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, **{k: float(v) for k, v in fitter.params_.items()}}))
"""

# It takes no counts: every customer is a row, as its users have it.
PYMC_MARKETING = """
import json, resource, sys, warnings
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
from pymc_extras.prior import Prior
from pymc_marketing.clv import BetaGeoModel
data = np.load(sys.argv[1])
times = data["customers"].astype(int)
columns = {"frequency": "repeats", "recency": "last_at", "T": "age"}
frame = pd.DataFrame({name: np.repeat(data[key], times) for name, key in columns.items()})
frame["customer_id"] = np.arange(len(frame))
# flat priors, so that the maximum a posteriori is the maximum of the likelihood
flat = {name: Prior("HalfFlat") for name in ("r", "alpha", "a", "b")}
def usage():
    # with its compiler's processes
    return sum(sum(resource.getrusage(who)[:2]) for who in (0, -1))
start = usage()
model = BetaGeoModel(data=frame, model_config=flat)
model.fit(method="map", progressbar=False)
found = model.fit_result.mean(("chain", "draw"))
seconds = usage() - start
print(json.dumps({"seconds": seconds, **{name: float(found[name]) for name in flat}}))
"""

OTHERS = {"lifetimes": LIFETIMES, "pymc_marketing": PYMC_MARKETING}


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, box=None, pad_edge=False, padding=(0, 2), title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


if __name__ == "__main__":
    sys.exit(main())
