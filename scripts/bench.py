"""Time a refresh of the sample company at a given size, step by step, beside DuckDB's own limit.

    python scripts/bench.py [--lines 1000000] [--keep DIR]

Makes a company of about that many order lines, runs the first release and then one more business
day, and prints a table: seconds and peak memory of each step (each run is a process of its own),
and how long the same compiled SQL takes bare in DuckDB, without dbt, tests or bookkeeping.
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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from customer_marts.gates.suites import validate
from customer_marts.landing import landed_batches, suite_path
from customer_marts.releases import current_release
from customer_marts.settings import PROJECT_ROOT, Settings
from customer_marts.warehouse import copy_build, open_build

sys.path.insert(0, str(PROJECT_ROOT))

from scripts.sample_company import environment as sources_environment
from scripts.survey_platform import WELL_BEHAVED, SurveyPlatform

LINES_PER_CUSTOMER = 106


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="order lines, about")
    parser.add_argument("--keep", type=Path, help="keep the company and its state in this folder")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="marts-bench-"))
    try:
        _measure(folder.absolute(), arguments.lines)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measure(folder: Path, lines: int) -> None:
    console = Console(highlight=False)
    sources = folder / "sources"
    customers = max(lines // LINES_PER_CUSTOMER, 1)
    if not (sources / "company.json").exists():
        console.print(f"making a company of {customers:,} customers …")
        _sample("make", "--to", str(sources), "--customers", str(customers))
    environment = {
        **os.environ,
        "MARTS_HOME": str(folder / "var"),
        "MARTS_COMPANY": "sample",
        **sources_environment(sources),
        "SAMPLE_SURVEY_TOKEN": "bench",
        # run_bare reads dbt's own list of what it ran
        "DBT_WRITE_JSON": "True",
    }
    # the network's manners are not what is measured here
    survey = SurveyPlatform(sources / "surveys" / "responses.jsonl", "bench", WELL_BEHAVED)
    with survey:
        environment["SAMPLE_SURVEY_URL"] = survey.start()
        settings = Settings.load(environment)
        console.print("first release …")
        first = _refresh(environment)
        release = current_release(settings.paths)
        assert release is not None
        bare = run_bare(settings, release.build_database, folder)
        gate_rows, gate = _gate_again(settings, folder)
        rows = release.manifest["rows"]["fct_order_lines"]
        _sample("advance", "--to", str(sources), "--days", "1")
        console.print("one more business day …")
        second = _refresh(environment)
    table = Table(title=f"{rows:,} order lines", box=None, pad_edge=False, padding=(0, 2))
    table.add_column("step")
    table.add_column("first release s", justify="right")
    table.add_column("next day s", justify="right")
    for step in first["steps"]:
        following = second["steps"].get(step)
        text = "-" if following is None else f"{following:.1f}"
        table.add_row(step, f"{first['steps'][step]:.1f}", text)
    table.add_row("whole process", f"{first['seconds']:.1f}", f"{second['seconds']:.1f}")
    table.add_row("peak memory MB", f"{first['peak_mb']:,.0f}", f"{second['peak_mb']:,.0f}")
    console.print(table)
    build = first["steps"]["build marts (dbt)"]
    console.print(f"build with dbt {build:.1f} s; {bare.said_beside(build)}")
    console.print(
        f"gate 1 on {gate_rows:,} order lines, Great Expectations once imported: {gate:.1f} s"
    )
    console.print(machine())


def machine() -> str:
    """Day, cores, memory and versions: what a measurement was taken on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )


def _sample(*arguments: str) -> None:
    script = str(PROJECT_ROOT / "scripts" / "sample_company.py")
    subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.DEVNULL)


def _refresh(environment: dict[str, str]) -> dict[str, Any]:
    """One ``marts run`` in its own process: seconds by step, whole seconds, peak memory."""
    runs = Settings.load(environment).paths.runs
    known = set(runs.glob("*/events.jsonl"))
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "customer_marts.cli", "run"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"the run failed:\n{errors}")
    journal = (set(runs.glob("*/events.jsonl")) - known).pop()
    events = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    return {
        "seconds": time.perf_counter() - start,
        "peak_mb": _peak_mb(usage),
        "steps": {e["step"]: e["seconds"] for e in events if e["kind"] == "step_ended"},
    }


def _gate_again(settings: Settings, folder: Path) -> tuple[int, float]:
    """Rows of the order lines' batch, and seconds of its suite in a process that has run one."""
    batch = max(
        landed_batches(settings.paths, "order_lines"), key=lambda b: b.manifest["landed_at"]
    )
    database = folder / "gate.duckdb"
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"create view lines as select * from read_parquet('{batch.data}')")
    suites = {"lines": suite_path("order_lines")}
    today = datetime.now(UTC).date()
    validate(database, "main", suites, folder / "gx", today)
    start = time.perf_counter()
    [result] = validate(database, "main", suites, folder / "gx", today)
    database.unlink()
    return result.rows, time.perf_counter() - start


def _peak_mb(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


@dataclass(frozen=True)
class Bare:
    """The project's SQL models run bare: their ``seconds``, and dbt's for the same models.

    Python models have no SQL to run: their tables stay as dbt built them, and ``python_seconds`` is
    what dbt needed for those. dbt's seconds are its threads' sums, which overlap.
    """

    seconds: float
    sql_seconds: float
    python_seconds: float

    def said_beside(self, build_seconds: float) -> str:
        """A sentence that sets these seconds beside those of the whole build."""
        share = self.python_seconds / (self.sql_seconds + self.python_seconds)
        return (
            f"its SQL models bare in DuckDB {self.seconds:.1f} s: the whole build takes "
            f"{build_seconds / self.seconds:.2f} times as long, dbt's threads with the same models "
            f"{self.sql_seconds / self.seconds:.2f} times; not run bare: Python models, "
            f"{self.python_seconds:.1f} s or {share:.0%} of all models' seconds"
        )


def run_bare(settings: Settings, database: Path, folder: Path) -> Bare:
    """Run the project's compiled SQL models bare, in order, on the same landed rows."""
    cache = settings.paths.cache / "dbt"
    manifest = json.loads((cache / "manifest.json").read_text())
    results = json.loads((cache / "run_results.json").read_text())["results"]
    dbt_seconds = {"sql": 0.0, "python": 0.0}
    seconds = 0.0
    # the compiled SQL names the database by its file
    copy = folder / "bare" / database.name
    copy.parent.mkdir(exist_ok=True)
    copy_build(database, copy)
    with open_build(copy, read_only=False) as connection:
        connection.execute(f"set memory_limit = '{settings.memory_limit}'")
        connection.execute("set temp_directory = ?", [str(folder / "spill")])
        for result in results:  # in the order of their dependencies, as dbt ran them
            node = manifest["nodes"][result["unique_id"]]
            if node["resource_type"] != "model":
                continue
            dbt_seconds[node["language"]] += result["execution_time"]
            if node["language"] == "sql":
                path = cache / "compiled" / node["package_name"] / node["original_file_path"]
                seconds += _run_model_bare(connection, node, path.read_text())
    shutil.rmtree(copy.parent)
    return Bare(seconds, dbt_seconds["sql"], dbt_seconds["python"])


def _run_model_bare(connection: duckdb.DuckDBPyConnection, node: dict[str, Any], sql: str) -> float:
    """Seconds to build a model's table (or view) anew from its compiled SQL."""
    kind = "view" if node["config"]["materialized"] == "view" else "table"
    name = f'{node["database"]}.{node["schema"]}."{node["name"]}"'
    connection.execute(f"drop {kind} {name}")
    start = time.perf_counter()
    connection.execute(f"create {kind} {name} as {sql}")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
