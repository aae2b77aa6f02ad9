"""``make run``: the sample company end to end, by a real Airflow run of the DAG ``run_all``.

Makes the sample company where there is none, starts its survey platform, prepares Airflow's own
database, runs the DAG and shows its progress from the run's journal. Airflow's and dbt's logs go
to files named at the end. ``--next-day`` first adds a business day to the sample company.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from customer_marts.display import Display
from customer_marts.journal import Journal
from customer_marts.releases import current_release
from customer_marts.settings import PROJECT_ROOT, Settings

sys.path.insert(0, str(PROJECT_ROOT))

from scripts.sample_company import environment as sources_environment
from scripts.survey_platform import SurveyPlatform

BIN = Path(sys.executable).parent


def main() -> int:
    """Run and show; the exit code is 0 when the run succeeded."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--next-day", action="store_true", help="add one business day first")
    parser.add_argument("--customers", type=int, default=300, help="size of the sample company")
    arguments = parser.parse_args()
    settings = Settings.load(company="sample")
    display = Display()
    console = display.console
    started = time.perf_counter()
    sources = settings.paths.root / "sources"
    console.print(f"[bold]customer-marts[/] sample company, state in {settings.paths.root}")
    if not (sources / "company.json").exists():
        _generate(display, ["make", "--to", str(sources), "--customers", str(arguments.customers)])
    elif arguments.next_day:
        _generate(display, ["advance", "--to", str(sources), "--days", "1"])

    run_id = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    # a token that is set is one that the tests look for in what is written
    token = os.environ.get("SAMPLE_SURVEY_TOKEN") or secrets.token_urlsafe(16)
    platform = SurveyPlatform(sources / "surveys" / "responses.jsonl", token)
    with platform:
        url = platform.start()
        environment = {
            **os.environ,
            **_airflow_environment(settings),
            "MARTS_HOME": str(settings.home),
            "MARTS_COMPANY": "sample",
            "MARTS_RUN_ID": run_id,
            **sources_environment(sources),
            "SAMPLE_SURVEY_URL": url,
            "SAMPLE_SURVEY_TOKEN": token,
        }
        log = settings.paths.run(run_id) / "airflow.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        before = current_release(settings.paths)
        code = _airflow(display, environment, settings, run_id, log)
    after = current_release(settings.paths)
    if code != 0:
        _explain_failure(console, settings, run_id, log)
        return 1
    if after is None:
        console.print(f"[red]the run ended without a release[/]; log: {log}")
        return 1
    if before is not None and before.release_id == after.release_id:
        display.nothing_new(after)
    else:
        display.summary(after, settings.paths.current)
    console.print(f"  logs     {log.parent}/ (airflow.log, dbt/dbt.log, events.jsonl)")
    console.print(f"\nDone in {time.perf_counter() - started:.1f} s.")
    return 0


def _generate(display: Display, arguments: list[str]) -> None:
    step = "sample company"
    display.busy(step)
    start = time.perf_counter()
    script = str(PROJECT_ROOT / "scripts" / "sample_company.py")
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False
    )
    display.stop()
    if done.returncode != 0:
        sys.exit(f"the sample company could not be made:\n{done.stderr or done.stdout}")
    what = "made" if arguments[0] == "make" else "one more business day"
    display.line("✓", step, what, time.perf_counter() - start)


def _airflow_environment(settings: Settings) -> dict[str, str]:
    """An Airflow of its own under the state folder: a killed run leaves nothing to others."""
    home = settings.paths.root / "airflow"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
    }


def _airflow(
    display: Display, environment: dict[str, str], settings: Settings, run_id: str, log: Path
) -> int:
    """Migrate Airflow's database if it is not there yet, then run the DAG; its exit code."""
    airflow = str(BIN / "airflow")
    home = Path(environment["AIRFLOW_HOME"])
    with log.open("a") as stream:
        if not (home / "migrated").exists():
            start = time.perf_counter()
            display.busy("airflow db migrate")
            done = subprocess.run(
                [airflow, "db", "migrate"],
                env=environment,
                stdout=stream,
                stderr=stream,
                check=False,
            )
            display.stop()
            if done.returncode != 0:
                return done.returncode
            (home / "migrated").touch()
            display.line("✓", "airflow db migrate", "", time.perf_counter() - start)
        start = time.perf_counter()
        display.busy("airflow starts")
        process = subprocess.Popen(
            [airflow, "dags", "test", "run_all"], env=environment, stdout=stream, stderr=stream
        )
        overhead = 0.0
        last = start
        busy = False
        for event in _events(settings, run_id, process):
            now = time.perf_counter()
            if event["kind"] == "step_started" and not busy:
                overhead += now - last
                busy = True
            if event["kind"] in ("step_ended", "step_failed"):
                last, busy = now, False
            display(event)
        code = process.wait()
        overhead += 0.0 if busy else time.perf_counter() - last
    display.line("✓" if code == 0 else "✗", "airflow itself", "start-up and scheduling", overhead)
    return code


def _events(
    settings: Settings, run_id: str, process: subprocess.Popen[bytes]
) -> Iterator[dict[str, Any]]:
    """The journal's events as they are written, until the process has ended."""
    path = Journal(settings.paths.run(run_id)).path
    position = 0
    while True:
        ended = process.poll() is not None
        if path.exists():
            with path.open("rb") as stream:
                stream.seek(position)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    position += len(line)
                    yield json.loads(line)
        if ended:
            return
        time.sleep(0.05)


def _explain_failure(console: Console, settings: Settings, run_id: str, log: Path) -> None:
    failures = [
        event
        for event in Journal(settings.paths.run(run_id)).events()
        if event["kind"] == "step_failed"
    ]
    console.print("\n[red]The run failed; readers keep the last release.[/]")
    if failures:
        console.print(failures[-1]["error"], markup=False)
    console.print(f"  logs  {log.parent}/ (airflow.log, dbt/dbt.log, events.jsonl)")


if __name__ == "__main__":
    sys.exit(main())
