"""The DAGs: exactly these, thin, quick to parse, and run for real by Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from customer_marts.feeds import FEEDS
from customer_marts.pipeline import PULLS
from customer_marts.settings import PROJECT_ROOT
from tests.mini import MiniCompany

BIN = Path(sys.executable).parent
DAGS = PROJECT_ROOT / "dags"

PARSE = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
start = time.perf_counter()
bag = DagBag(sys.argv[1])
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "errors": {str(file): error for file, error in bag.import_errors.items()},
    "dags": {name: [task.task_id for task in dag.tasks] for name, dag in bag.dags.items()},
    "schedules": {name: type(dag.timetable).__name__ for name, dag in bag.dags.items()},
    "docs": {name: dag.doc_md or "" for name, dag in bag.dags.items()},
    "retries": {
        f"{name}.{task.task_id}": task.retries for name, dag in bag.dags.items()
        for task in dag.tasks
    },
    "heavy": sorted(
        set(sys.modules) & {"pandas", "great_expectations", "dbt", "duckdb", "pyarrow",
                            "customer_marts.pipeline"}
    ),
}))
"""


def airflow_environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow of its own with a migrated database."""
    home = tmp_path_factory.mktemp("airflow")
    subprocess.run(
        [str(BIN / "airflow"), "db", "migrate"],
        env=airflow_environment(home),
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture(scope="module")
def parsed(airflow_home: Path) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(DAGS)],
        env=airflow_environment(airflow_home),
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_exactly_these_dags_and_tasks(parsed: dict[str, dict[str, object]]) -> None:
    assert parsed["errors"] == {}
    refresh = ["build_candidate", "gate_candidate", "publish", "serve"]
    pulls = {dag: [f"pull_{feed}" for feed in feeds] for dag, feeds in PULLS.items()}
    everything = [task for tasks in pulls.values() for task in tasks]
    assert parsed["dags"] == {
        **{dag: [*tasks, "gate_landing"] for dag, tasks in pulls.items()},
        "refresh_marts": refresh,
        "refit_models": refresh,
        "run_all": [*everything, "gate_landing", *refresh],
    }
    assert sorted(everything) == sorted(f"pull_{feed}" for feed in FEEDS)


def test_parsing_is_light(parsed: dict[str, dict[str, object]]) -> None:
    assert parsed["heavy"] == []


def test_schedules_retries_and_triage_notes(parsed: dict[str, dict[str, object]]) -> None:
    schedules = parsed["schedules"]
    assert schedules["run_all"] == "NullTimetable"
    assert schedules["refresh_marts"] == "AssetOrTimeSchedule"
    for dag in PULLS:
        assert schedules[dag] == "CronTriggerTimetable"
    assert set(parsed["retries"].values()) == {3}
    for dag, text in parsed["docs"].items():
        assert dag in str(text)
    for dag in (*PULLS, "refresh_marts"):
        assert "When a task fails" in str(parsed["docs"][dag])


def dags_test(home: Path, mini: MiniCompany, dag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "airflow"), "dags", "test", dag],
        env={**airflow_environment(home), **mini.environment},
        capture_output=True,
        text=True,
        check=False,
    )


# what a task's log tells of the work, beside what Airflow itself writes
LOGGED = {
    "pull_orders": ("pull orders: 1 rows", "gate 1 (landing): "),
    "pull_payments": ("pull payments: 1 rows",),
    "refresh_marts": ("(first release)", "build marts (dbt): ", "suites, "),
}


def test_pull_and_refresh_run_for_real(airflow_home: Path, mini: MiniCompany) -> None:
    """The scheduled DAGs one after the other, each in a process of its own; the ERP's address
    stands in Airflow's connections alone.
    """
    mini.mapping["sources"]["erp"]["uri"] = "${AIRFLOW_CONN_ERP}"
    mini.save_mapping()
    subprocess.run(
        [str(BIN / "airflow"), "connections", "add", "erp", "--conn-type", "sqlite",
         "--conn-host", str(mini.erp)],
        env=airflow_environment(airflow_home),
        check=True,
        capture_output=True,
    )  # fmt: skip
    mini.add_order("O1")
    mini.add_invoice("F1", "O1")
    mini.write_bank("2026-01-20", [mini.payment("B1")])
    for dag in ("pull_orders", "pull_payments", "refresh_marts"):
        done = dags_test(airflow_home, mini, dag)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        for line in LOGGED[dag]:
            assert line in done.stdout + done.stderr, line
    manifest = json.loads((mini.settings.paths.current / "manifest.json").read_text())
    assert manifest["rows"]["fct_orders"] == 1
    assert manifest["rows"]["fct_payments"] == 1


def test_a_dag_fails_at_once_when_the_data_are_at_fault(
    airflow_home: Path, mini: MiniCompany
) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")], trailer="合计,2,1.00")
    done = dags_test(airflow_home, mini, "pull_payments")
    assert done.returncode != 0
    assert "its trailer counts 2 rows, 1 were read" in done.stdout + done.stderr
    assert not mini.settings.paths.current.exists()


def test_one_pull_at_fault_lets_the_others_land(airflow_home: Path, released: MiniCompany) -> None:
    """The DAG fails and its asset is not updated; the invoices beside the customers' table, which
    lost a column, are judged and in the next release.
    """
    released.execute("alter table crm_customer rename column cust_name to 客户")
    released.add_invoice("F3", "O1", on="2026-01-21")
    done = dags_test(airflow_home, released, "pull_orders")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the source no longer has cust_name" in said
    assert "not pulled: customers; their tasks say why" in said
    done = dags_test(airflow_home, released, "refresh_marts")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    manifest = json.loads((released.settings.paths.current / "manifest.json").read_text())
    assert (manifest["release_sequence"], manifest["rows"]["fct_invoices"]) == (2, 3)
