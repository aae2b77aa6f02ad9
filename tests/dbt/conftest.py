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

from customer_marts.lean_dbt import lean_dbt
from customer_marts.settings import Settings
from customer_marts.transform import (
    DBT_ENVIRONMENT,
    database_files,
    node_results,
    parsed_project,
    stated_run_context,
)
from customer_marts.warehouse import copy_build, open_build
from tests.dbt.landing_fixture import Landing
from tests.dbt.toy_company import land_first_release, new_landing
from tests.once import once

PROJECT = Path(__file__).parents[2] / "dbt_project"
# A production build leaves unit tests out: they prove the SQL, not the data.
WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
WITHOUT_VIEWS = ("--exclude", "config.materialized:view")

Dbt = Callable[..., Any]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def database(workspace: Path) -> Path:
    """The one path of the build."""
    return workspace / "build.duckdb"


@pytest.fixture(scope="session")
def dbt(workspace: Path, database: Path) -> Iterator[Dbt]:
    """Runs a dbt command on the build database and fails with what dbt said. ``run`` is what the
    product runs on an increment: no views, which the copied database has already.
    """
    before = dict(os.environ)
    parsed = parsed_project(Settings.load().dbt_cache, database.stem, workspace)
    os.environ |= {**database_files(database), **DBT_ENVIRONMENT}

    def run(command: str, *arguments: str) -> Any:
        if command in ("run", "build", "test"):  # what is compiled is for any day
            os.environ["MARTS_RUN_CONTEXT"] = json.dumps(stated_run_context(database))
        else:
            os.environ.pop("MARTS_RUN_CONTEXT", None)
        with lean_dbt():
            outcome = dbtRunner(parsed).invoke(
                [
                    # the debug log costs a third of a build
                    *("--quiet", "--log-level", "none", "--log-level-file", "none"),
                    # a second a command
                    "--no-write-json",
                    command,
                    *arguments,
                    *(WITHOUT_VIEWS if command == "run" else ()),
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
def first_landing(database: Path) -> Landing:
    landing = new_landing(database)
    land_first_release(landing)
    return landing


@pytest.fixture(scope="session")
def first_build(
    dbt: Dbt, first_landing: Landing, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The first release of the toy company, to read or to copy; its tests have not run."""

    def build(folder: Path) -> None:
        dbt("build", *WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test")
        copy_build(database, folder / "build.duckdb")

    return once(tmp_path_factory, "toy-company", build) / "build.duckdb"


@pytest.fixture
def landing(first_landing: Landing, first_build: Path, database: Path) -> Landing:
    """The first release to go on from, whatever tests before made of it."""
    copy_build(first_build, database)
    return copy.copy(first_landing)


@pytest.fixture
def first_marts(first_build: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_build(first_build) as con:
        yield con


@pytest.fixture(scope="session")
def manifest(dbt: Dbt, workspace: Path) -> dict[str, Any]:
    """Dbt's own description of the project: nodes, their references, columns and tests."""
    file = workspace / "manifest.json"
    dbt("parse").writable_manifest().write(str(file))
    content: dict[str, Any] = json.loads(file.read_text())
    return content
