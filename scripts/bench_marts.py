"""Time the marts alone on generated landed rows: the first build, a day's increment, bare SQL.

    python scripts/bench_marts.py [--lines 10000000] [--customers 100000] [--years 3]
                                  [--day-lines 30000] [--memory 4500MB] [--keep DIR]

Writes the rows that landing would hold straight into the schema ``landing`` (no sources, no gates),
builds core and segments with everything they read, adds one day, builds that day's increment, and
runs the same compiled SQL bare in DuckDB. Each build is a process of its own; prints seconds, CPU
seconds (which say the same on a machine that does other work as well) and peak memory. To see what
history costs, compare ``--lines 1000000 --years 1`` with ``--lines 10000000 --years 10``: the same
day on ten times the past.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from customer_marts import transform, warehouse
from customer_marts.feeds import load_company
from customer_marts.model_runs import MODEL_RUN_COLUMNS, ModelRun
from customer_marts.settings import PROJECT_ROOT, Settings

sys.path.insert(0, str(PROJECT_ROOT))

from scripts.bench import machine, run_bare

AS_OF = date(2025, 12, 30)
LINES_PER_ORDER = 3
AREAS = ("core", "segments")
OWN = "core and segments"
UPSTREAM = "what they read of credit and value"

# a customer's weight falls with its number, as books do: a few bring most
ROWS = """
insert into landing.customers by name
select
    'C' || i as customer_id, 'C' || i as _customer_id, '客户' || i as name,
    case when i % 20 = 0 then 'G' || i // 100 end as group_id,
    ['火力发电', '炼铁炼钢', '水泥制造', '煤化工', '能源贸易', '道路运输'][1 + i % 6] as industry,
    ['微型', '小型', '中型', '大型'][1 + i % 4] as size_class,
    ['山西', '陕西', '河北', '山东', '江苏'][1 + i % 5] as region,
    'M' || i % 40 as account_manager, 30 as payment_terms_days,
    cast(1000000 as decimal(18, 2)) as credit_limit, date '{first}' - 30 as onboarded_on,
    timestamp '{first}' as updated_at, {meta}
from range(1, {customers} + 1) as t(i);

insert into landing.products by name
select
    'P' || i as product_id, '产品' || i as name, 'K' || i % 12 as category, '吨' as unit,
    cast(1 as decimal(18, 6)) as tonnes_per_unit, timestamp '{first}' as updated_at, {meta}
from range(1, 201) as t(i);
"""
DAY_ROWS = """
create or replace temp table new_orders as
select
    i,
    'O' || i as order_id,
    'C' || cast(1 + floor(pow((hash(i) % 1000003) / 1000003.0, 2) * {customers}) as bigint)
        as customer_id,
    cast(date '{since}' + cast((i - {from_order}) * {days} // {count_orders} as integer) as date)
        as ordered_on,
    hash(i, 'status') % 50 = 0 as is_cancelled
from range({from_order}, {from_order} + {count_orders}) as t(i);

insert into landing.orders by name
select
    order_id, customer_id, customer_id as _customer_id,
    ordered_on + interval 2 hour as ordered_at, ordered_on,
    case when is_cancelled then 'cancelled' else 'completed' end as status, 'CNY' as currency,
    case when hash(customer_id) % 3 = 0 then 'contract' else 'spot' end as sale_type,
    case when hash(customer_id) % 3 = 0 then 'K' || customer_id end as contract_id,
    ordered_on + interval 3 hour as updated_at, {meta}
from new_orders;

create or replace temp table new_lines as
select
    order_id, customer_id, ordered_on, is_cancelled, n as line_no,
    'P' || (1 + (hash(customer_id) % 7 * 29 + hash(i, n) % 12) % 200) as product_id,
    cast(1 + hash(i, n, 'q') % 4000 / 10.0 as decimal(18, 3)) as quantity,
    cast(300 + hash(i, n, 'p') % 60000 / 100.0 as decimal(18, 4)) as unit_price
from new_orders, range(1, {lines_per_order} + 1) as t(n);

insert into landing.order_lines by name
select
    order_id, line_no, product_id, quantity, unit_price, cast(0 as decimal(18, 2)) as discount,
    cast(round(quantity * unit_price * 0.13, 2) as decimal(18, 2)) as tax,
    cast(round(quantity * unit_price, 2) as decimal(18, 2)) as amount,
    cast(unit_price * 0.93 as decimal(18, 4)) as unit_cost,
    ordered_on + interval 3 hour as updated_at, {meta}
from new_lines;

insert into landing.invoices by name
select
    replace(order_id, 'O', 'F') as invoice_id, order_id, any_value(customer_id) as customer_id,
    any_value(customer_id) as _customer_id, any_value(ordered_on) as invoiced_on,
    any_value(ordered_on) + 30 as due_on,
    sum(cast(round(quantity * unit_price * 1.13, 2) as decimal(18, 2))) as amount,
    sum(cast(round(quantity * unit_price * 0.13, 2) as decimal(18, 2))) as tax,
    'CNY' as currency, 'invoice' as kind, false as disputed,
    any_value(ordered_on) + interval 3 hour as updated_at, {meta}
from new_lines
where not is_cancelled
group by order_id;

insert into landing.payments by name
select
    'B' || invoice_id as payment_id, customer_id, _customer_id,
    received_on + interval 4 hour as received_at, received_on, amount, 'CNY' as currency,
    'transfer' as method, case when hash(invoice_id) % 10 < 7 then invoice_id end as reference,
    'receipt' as kind, received_on + interval 5 hour as updated_at, {meta}
from (
    select *, cast(due_on + cast(hash(invoice_id, 'late') % 40 as integer) - 10 as date)
        as received_on
    from landing.invoices
    where hash(invoice_id, 'pays') % 100 < 97
) as paid
where received_on >= date '{since}' and received_on <= date '{until}';

insert into landing.survey_responses by name
select
    'S' || order_id as response_id, question as question_code, customer_id,
    customer_id as _customer_id, ordered_on + interval 6 hour as answered_at,
    ordered_on as answered_on, cast(hash(i, question) % 11 as decimal(9, 2)) as score,
    cast(0 as decimal(9, 2)) as scale_min, cast(10 as decimal(9, 2)) as scale_max,
    ordered_on + interval 6 hour as updated_at, {meta}
from new_orders, (values ('nps'), ('csat_overall')) as t(question)
where i % 40 = 0;

insert into landing.complaints by name
select
    'T' || order_id as complaint_id, customer_id, customer_id as _customer_id, order_id,
    ordered_on + interval 7 hour as opened_at, ordered_on as opened_on, 'quality' as category,
    'high' as severity, cast(100 as decimal(18, 2)) as compensation,
    ordered_on + interval 7 hour as updated_at, {meta}
from new_orders
where i % 60 = 0;

insert into landing.interactions by name
select
    'V' || order_id as interaction_id, customer_id, customer_id as _customer_id,
    ordered_on + interval 7 hour as occurred_at, ordered_on as occurred_on, 'visit' as kind,
    cast(300 as decimal(18, 2)) as cost, ordered_on + interval 7 hour as updated_at, {meta}
from new_orders
where i % 20 = 0;

insert into landing.customer_costs by name
select
    'X' || order_id as cost_id, customer_id, customer_id as _customer_id,
    ordered_on as incurred_on, 'service' as kind, cast(50 as decimal(18, 2)) as amount,
    'CNY' as currency, ordered_on + interval 7 hour as updated_at, {meta}
from new_orders
where i % 20 = 0;
"""


def main() -> int:
    """Make the rows, run the builds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--day-lines", type=int, default=30_000)
    parser.add_argument("--memory", default="4500MB", help="DuckDB's limit (MARTS_MEMORY_LIMIT)")
    parser.add_argument("--keep", type=Path, help="keep the databases in this folder")
    parser.add_argument("--build", choices=["first", "next"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = (arguments.keep or Path(tempfile.mkdtemp(prefix="marts-bench-"))).absolute()
    settings = Settings.load(
        {
            **os.environ,
            "MARTS_HOME": str(folder),
            "MARTS_COMPANY": "sample",
            "MARTS_MEMORY_LIMIT": arguments.memory,
        }
    )
    database = folder / "build.duckdb"
    if arguments.build:
        _build(settings, database, folder, is_first=arguments.build == "first")
        return 0
    try:
        with _stopped_on_failure():
            _measure(settings, database, folder, arguments)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


@contextmanager
def _stopped_on_failure() -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as error:
        sys.exit(f"a build failed ({error.returncode}); its message is above")


def _measure(
    settings: Settings, database: Path, folder: Path, arguments: argparse.Namespace
) -> None:
    console = Console(highlight=False)
    database.parent.mkdir(parents=True, exist_ok=True)
    for file in (database, warehouse.marts_beside(database)):
        file.unlink(missing_ok=True)
    days = 365 * arguments.years
    count_orders = arguments.lines // LINES_PER_ORDER
    first_day = AS_OF - timedelta(days=days - 1)
    start = time.perf_counter()
    values = {"customers": arguments.customers, "lines_per_order": LINES_PER_ORDER}
    _land(
        settings,
        database,
        AS_OF,
        1,
        [ROWS, DAY_ROWS],
        {
            **values,
            "first": first_day,
            "since": first_day,
            "until": AS_OF,
            "from_order": 1,
            "count_orders": count_orders,
            "days": days,
        },
    )
    size = database.stat().st_size / 2**20
    console.print(f"landed rows made in {time.perf_counter() - start:.0f} s, {size:,.0f} MB")
    first = _timed("first", folder, arguments)
    bare = run_bare(settings, database, folder)
    # a refresh goes on with a copy of the last release's files
    (release := folder / "release").mkdir(exist_ok=True)
    for file in (database, warehouse.marts_beside(database)):
        file.rename(release / file.name)
    warehouse.copy_build(release / database.name, database)
    next_day = AS_OF + timedelta(days=1)
    day = {"first": first_day, "since": next_day, "until": next_day, "days": 1}
    day |= {"from_order": count_orders + 1, "count_orders": arguments.day_lines // LINES_PER_ORDER}
    _land(settings, database, next_day, 2, [DAY_ROWS], {**values, **day})
    second = _timed("next", folder, arguments)
    table = Table(
        title=f"{arguments.lines:,} order lines, {arguments.customers:,} customers, "
        f"{arguments.years} years; core and segments",
        box=None,
        pad_edge=False,
        padding=(0, 2),
    )
    table.add_column("build")
    for column in ("seconds", "of it dbt", "CPU seconds", "peak MB"):
        table.add_column(column, justify="right")
    for name, run in (("first", first), (f"day, {arguments.day_lines:,} lines", second)):
        seconds = (f"{run[which]:.1f}" for which in ("seconds", "nodes", "cpu"))
        table.add_row(name, *seconds, f"{run['peak_mb']:,.0f}")
    console.print(table)
    console.print(_table_of_areas({"first": first, "day": second}))
    console.print(f"first build {first['seconds']:.1f} s; {bare.said_beside(first['seconds'])}")
    slowest = sorted(second["slowest"].items(), key=lambda item: -item[1])[:5]
    listed = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
    console.print(f"slowest of the day, s: {listed}")
    console.print(machine())


def _land(
    settings: Settings,
    database: Path,
    as_of: date,
    sequence: int,
    statements: list[str],
    values: dict[str, Any],
) -> None:
    """Insert rows as a release's batches would have, between the two ends of apply_batches."""
    company = load_company(settings)
    context = warehouse.RunContext.of(
        company,
        settings.company,
        release_id=f"r{sequence:05d}",
        release_sequence=sequence,
        parent_release_id=f"r{sequence - 1:05d}" if sequence > 1 else None,
        parent_as_of=AS_OF if sequence > 1 else None,
        as_of=as_of,
        is_rebuild=sequence == 1,
        is_refit=False,
        run_id="bench",
        started_at=datetime.now(UTC).replace(tzinfo=None),
        code_version="bench",
    )
    this = context.as_history(count_batches=0)
    meta = (
        f"false as is_deleted, {sequence} as _changed_in, 'bench' as _source, 'bench' as _batch_id"
    )
    with warehouse.connect(database, settings, database.parent) as connection:
        fits: list[ModelRun] = []
        if sequence == 1:
            warehouse.apply_batches(connection, company, context, {}, [this], [], fits, None)
        else:
            # as the pipeline hands them on; without them the day would fit every model again
            fits = _fits_of_parent(connection)
        for statement in statements:
            connection.execute(statement.format(**values, meta=meta))
        warehouse.apply_batches(connection, company, context, {}, [this], [], fits, None)


def _fits_of_parent(connection: duckdb.DuckDBPyConnection) -> list[ModelRun]:
    names = ", ".join(MODEL_RUN_COLUMNS)
    rows = connection.execute(
        f"select {names} from intermediate.int_credit_model_runs "
        f"union all select {names} from intermediate.int_clv_model_runs"
    ).fetchall()
    return [ModelRun(*row) for row in rows]


def _timed(which: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One build in a process of its own; what came before has been written when it starts."""
    os.sync()
    command = [sys.executable, __file__, "--build", which, "--keep", str(folder)]
    command += ["--memory", arguments.memory]
    start = time.perf_counter()
    # run_bare reads dbt's own list of what it ran
    subprocess.run(command, check=True, env={**os.environ, "DBT_WRITE_JSON": "True"})
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **json.loads((folder / "nodes.json").read_text())}


def _build(settings: Settings, database: Path, folder: Path, *, is_first: bool) -> None:
    start = time.perf_counter()
    built = transform.build(settings, database, folder / "dbt", full_refresh=is_first, areas=AREAS)
    used = resource.getrusage(resource.RUSAGE_SELF)
    summary = {
        "nodes": time.perf_counter() - start,
        "cpu": used.ru_utime + used.ru_stime,
        # of this process alone: rusage would count the parent's memory at the fork
        "peak_mb": int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])
        / 1024,
        "slowest": {node.name: node.seconds for node in built.nodes},
        "areas": _seconds_of_areas(settings.paths.cache / "dbt"),
    }
    (folder / "nodes.json").write_text(json.dumps(summary))


def _seconds_of_areas(cache: Path) -> dict[str, dict[str, float]]:
    """The seconds of dbt's threads, which overlap, by area and kind of node."""
    nodes = json.loads((cache / "manifest.json").read_text())["nodes"]
    seconds: dict[str, dict[str, float]] = {OWN: {}, UPSTREAM: {}}
    for result in json.loads((cache / "run_results.json").read_text())["results"]:
        node = nodes[result["unique_id"]]
        of_area = seconds[UPSTREAM if _is_upstream(node, nodes) else OWN]
        kind = node["resource_type"]
        of_area[kind] = of_area.get(kind, 0.0) + result["execution_time"]
    return seconds


def _is_upstream(node: dict[str, Any], nodes: dict[str, Any]) -> bool:
    """Whether it belongs to credit or value; a test that reads a model of theirs does."""
    owners = [node]
    if node["resource_type"] == "test":
        attached = node.get("attached_node")
        owners = [nodes[name] for name in ([attached] if attached else node["depends_on"]["nodes"])]
    return any({"credit", "value"} & set(owner["fqn"]) for owner in owners)


def _table_of_areas(builds: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        title="seconds of dbt's two threads",
        box=None,
        pad_edge=False,
        padding=(0, 2),
    )
    table.add_column("area", no_wrap=True)
    table.add_column("build", no_wrap=True)
    kinds = {"model": "models", "test": "rules", "seed": "seeds"}
    for kind in kinds.values():
        table.add_column(kind, justify="right")
    for area in (OWN, UPSTREAM):
        for build, run in builds.items():
            seconds = run["areas"][area]
            table.add_row(area, build, *(f"{seconds.get(kind, 0):.1f}" for kind in kinds))
    return table


if __name__ == "__main__":
    sys.exit(main())
