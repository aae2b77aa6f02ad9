"""Time the allocation of payments to invoices: the compiled loop alone, and from table to table.

    python scripts/bench_credit.py [--invoices 1000000] [--customers 50000]

Makes as many payments as invoices in a DuckDB file: most name their invoice, the others their order
or nothing; some are prepayments, bills that are dishonoured, refunds, chargebacks, dollars. Then it
builds the models up to fct_payment_allocations as a first release does and prints the wall seconds
of each, the CPU seconds of all, the loop alone, and the process's peak memory. A first run on a
machine also compiles the loop.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from customer_marts.credit.allocation import allocate
from customer_marts.credit.tables import read_events
from customer_marts.settings import DBT_PROJECT_DIR
from customer_marts.transform import database_files
from customer_marts.warehouse import open_build

MODELS = (
    "int_ledger_starts",
    "int_ledger_openings",
    "int_receivable_events",
    "int_receivable_entries",
    "fct_payment_allocations",
)
# The facts as dbt would have left them, with the columns that the ledger reads.
FACTS = """
create schema staging; create schema intermediate;

create table staging.stg_landing__run_context as
select date '2026-06-30' as as_of, null::date as parent_as_of, false as is_rebuild,
    'CNY' as reporting_currency;

create table intermediate.int_customers_changed as select null::varchar as customer_id,
    false as has_movements where false;

create table marts.fct_invoices as
select
    'F' || i as invoice_id,
    'O' || i // 3 as order_id,
    'C' || cast(floor(pow((hash(i // 3) % 1000003) / 1000003.0, 2) * {customers}) as bigint)
        as customer_id,
    date '2023-01-01' + cast(hash(i, 'on') % 1270 as integer) as invoiced_on,
    invoiced_on + 30 + cast(hash(i, 'due') % 30 as integer) as due_on,
    case when hash(i // 3, 'currency') % 10 = 0 then 'USD' else 'CNY' end as document_currency,
    cast((1 + hash(i, 'amount') % 10000000) / 100 as decimal(18, 2))
        * case when hash(i, 'kind') % 50 = 0 then -1 else 1 end as document_amount,
    case document_currency when 'USD'
        then cast(round(document_amount * 7.1234, 2) as decimal(18, 2))
        else document_amount end as invoice_amount
from range({invoices}) as t(i);

create table marts.fct_orders as select distinct order_id, customer_id from marts.fct_invoices;

create table marts.fct_payments as
with paid as (
    select *, cast(invoice_id[2:] as bigint) as i, hash(invoice_id, 'kind') % 200 as draw
    from marts.fct_invoices
)
select
    'P' || i as payment_id,
    customer_id,
    case draw when 0 then 'refund' when 1 then 'chargeback'
        else case when draw < 22 then 'prepayment' else 'receipt' end end as kind,
    least(case when draw between 2 and 21 then invoiced_on - 20
        else invoiced_on + 20 + cast(hash(i, 'late') % 60 as integer) end, date '2026-06-30')
        as received_on,
    case hash(i, 'method') % 5 when 0 then 'bank_acceptance' else 'transfer' end as method,
    case when method = 'bank_acceptance' and hash(i, 'bad') % 50 = 0 then received_on + 90 end
        as dishonoured_on,
    case when dishonoured_on is null and method = 'bank_acceptance' then received_on + 90
        when dishonoured_on is null then received_on end as settled_on,
    case when draw between 2 and 21 or hash(i, 'names') % 10 = 0 then order_id end as order_id,
    case when draw = 1 then 'P' || (i - 1)
        when draw > 21 and hash(i, 'names') % 10 between 1 and 7 then invoice_id end as reference,
    document_currency,
    abs(document_amount) * case when draw < 2 then -1 else 1 end as document_amount,
    case document_currency when 'USD'
        then cast(round(document_amount * 7.0987, 2) as decimal(18, 2))
        else document_amount end * case when draw < 2 then -1 else 1 end as payment_amount
from (select * replace (abs(document_amount) as document_amount) from paid) as positive;
"""


def main() -> int:
    """Run the benchmark and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invoices", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=50_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="marts-bench-") as folder:
        database = Path(folder) / "build.duckdb"
        with open_build(database, read_only=False) as connection:
            connection.execute(
                FACTS.format(invoices=arguments.invoices, customers=arguments.customers)
            )
        results, cpu_seconds = _build(database)
        for name, seconds in results.items():
            print(f"{name:28} {seconds:7.2f} s")
        print(f"{'all of them, wall':28} {sum(results.values()):7.2f} s")
        print(f"{'with dbt start, CPU':28} {cpu_seconds:7.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'peak memory':28} {peak:7.0f} MB")
        _time_the_loop(database)
    return 0


def _build(database: Path) -> tuple[dict[str, float], float]:
    """Seconds of each model, and the CPU seconds of the whole build."""
    from dbt.cli.main import dbtRunner

    os.environ |= {**database_files(database), "DO_NOT_TRACK": "1"}
    common = [
        f"--project-dir={DBT_PROJECT_DIR}",
        f"--profiles-dir={DBT_PROJECT_DIR}",
        f"--target-path={database.parent / 'target'}",
        f"--log-path={database.parent / 'logs'}",
        "--quiet",
        "--log-level-file=none",
    ]
    parsed: Any = dbtRunner().invoke(["parse", *common]).result
    before = time.process_time()
    outcome = dbtRunner(parsed).invoke(["run", *common, "--full-refresh", "--select", *MODELS])
    cpu_seconds = time.process_time() - before
    if not outcome.success:
        raise SystemExit(outcome.exception or "the build failed")
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
    return {result.node.name: result.execution_time for result in outcome.result}, cpu_seconds


def _time_the_loop(database: Path) -> None:
    with duckdb.connect(str(database), read_only=True) as connection:
        started = time.perf_counter(), time.process_time()
        events = read_events(connection.table("intermediate.int_receivable_events"))
        read = time.perf_counter(), time.process_time()
        ledger = allocate(events)
        done = time.perf_counter(), time.process_time()
    for what, first, last in (("reading events", started, read), ("the loop alone", read, done)):
        print(f"{what:28} {last[0] - first[0]:7.2f} s, CPU {last[1] - first[1]:.2f} s")
    print(f"{len(events):,} events, {len(ledger):,} rows")


if __name__ == "__main__":
    raise SystemExit(main())
