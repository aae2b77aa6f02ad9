"""One toy build for all tests that only read it, and the way to run dbt in this process."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.results import NodeStatus, TestStatus
from dbt.cli.main import dbtRunner

from customer_marts.transform import node_results
from tests.dbt.landing_fixture import Landing
from tests.dbt.toy_company import land_first_release, new_landing

PROJECT = Path(__file__).parents[2] / "dbt_project"
# A production build leaves unit tests out: they prove the SQL, not the data.
WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")

Dbt = Callable[..., Any]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def database(workspace: Path) -> Path:
    """The one path of the build: another path would make dbt parse the project again."""
    return workspace / "build.duckdb"


@pytest.fixture(scope="session")
def dbt(workspace: Path, database: Path) -> Iterator[Dbt]:
    """Runs a dbt command on the build database and fails with what dbt said."""
    before = dict(os.environ)
    os.environ |= {"MARTS_BUILD_DB": str(database), "DO_NOT_TRACK": "1"}

    def run(command: str, *arguments: str) -> Any:
        outcome = dbtRunner().invoke(
            [
                "--quiet",
                # the debug log costs a third of a build
                *("--log-level-file", "none"),
                command,
                *arguments,
                *("--project-dir", str(PROJECT)),
                *("--profiles-dir", str(PROJECT)),
                *("--target-path", str(workspace / "target")),
                *("--log-path", str(workspace / "logs")),
            ]
        )
        # dbt keeps the file open in its own way; readers could not open it read-only
        DuckDBConnectionManager.close_all_connections()
        if outcome.exception:
            raise outcome.exception
        wrong = {NodeStatus.Error, NodeStatus.Skipped, TestStatus.Error, TestStatus.Fail}
        problems = [
            f"{item.name}: {item.failures or item.message}"
            for result in getattr(outcome.result, "results", [])
            if result.status in wrong
            for item in node_results(result, database)
            if item.status in wrong
        ]
        assert not problems, "\n".join(problems)
        return outcome.result

    yield run
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def first_build(dbt: Dbt, database: Path, workspace: Path) -> Any:
    """The first release of the toy company, unit tests included; leaves a copy to read."""
    landing = new_landing(database)
    land_first_release(landing)
    results = dbt("build")
    (workspace / "first").mkdir()
    (workspace / "first" / "build.duckdb").write_bytes(database.read_bytes())
    return landing, results


@pytest.fixture
def landing(first_build: Any, database: Path, workspace: Path) -> Landing:
    """The first release to go on from, whatever tests before made of it."""
    first: Landing = first_build[0]
    database.write_bytes((workspace / "first" / "build.duckdb").read_bytes())
    return copy.copy(first)


@pytest.fixture
def first_marts(first_build: Any, workspace: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(workspace / "first" / "build.duckdb"), read_only=True) as con:
        yield con


@pytest.fixture(scope="session")
def manifest(dbt: Dbt, workspace: Path) -> dict[str, Any]:
    """Dbt's own description of the project: nodes, their references, columns and tests."""
    dbt("parse")
    parsed: dict[str, Any] = json.loads((workspace / "target" / "manifest.json").read_text())
    return parsed
