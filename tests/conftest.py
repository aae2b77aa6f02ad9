"""Fixtures that several test folders share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from customer_marts import pipeline
from customer_marts.feeds import AREAS
from tests.mini import MiniCompany
from tests.once import once, shared_folder

# The same examples in every run, so that the suite says of one commit what it said before, and a
# failure can be repeated. HYPOTHESIS_PROFILE=explore draws new ones and remembers what failed.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.register_profile("explore", print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# With `--dist loadfile` a worker takes a file whole: those of minutes first, or the run ends with
# one worker at the longest of them and the other idle. (`make test` keeps xdist from sorting.)
LONGEST_FIRST = (
    "test_sample_company_run",
    "test_incremental",
    "test_pipeline",
    "test_dags",
    "test_unit_tests",
    "test_olist",
    "test_publishing",
    "test_areas",
    "test_credit_increments",
    "test_provision_increments",
    "test_credit_scores",
    "test_quarantine",
    "test_receivables",
    "test_warehouse",
    "test_rest",
    "test_recompute",
    "test_credit_section",
    "test_allocation",
    "test_credit_metrics",
    "test_report",
    "test_onboarding",
    "test_cli",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order whole files; the order within each stays."""
    rank = {name: index for index, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def parsed_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Workers, and the processes that tests start, share what dbt has parsed."""
    os.environ["MARTS_CACHE"] = str(shared_folder(tmp_path_factory) / "cache")


@pytest.fixture
def mini(tmp_path: Path) -> MiniCompany:
    """A company of a few rows with a real SQLite ERP and real bank files."""
    return MiniCompany(tmp_path)


def _release_once(root: Path, areas: Sequence[str] = ("core",)) -> None:
    company = MiniCompany(root, areas=areas)
    company.add_order("O1")
    company.add_order("O2", "C2", at="2026-01-12 09:00:00")
    company.add_invoice("F1", "O1")
    company.add_invoice("F2", "O2", "C2", on="2026-01-13", due="2026-02-12")
    company.write_bank("2026-01-20", [company.payment("B1", amount="1000.00")])
    assert pipeline.refresh(pipeline.open_run(company.settings)) is not None


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a company with its first release, for tests to copy: two orders, invoiced,
    one of them paid in part; the marts of ``core``.
    """
    return once(tmp_path_factory, "first-release", _release_once)


@pytest.fixture(scope="session")
def first_full_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the marts of every area."""
    return once(tmp_path_factory, "first-full-release", partial(_release_once, areas=AREAS))


@pytest.fixture
def released(first_release: Path, tmp_path: Path) -> MiniCompany:
    """The company of ``core``, a test's own."""
    root = tmp_path / "released"
    shutil.copytree(first_release, root, symlinks=True)
    return MiniCompany.reopen(root)


@pytest.fixture
def released_in_full(first_full_release: Path, tmp_path: Path) -> MiniCompany:
    """The company of every area, a test's own."""
    root = tmp_path / "released-in-full"
    shutil.copytree(first_full_release, root, symlinks=True)
    return MiniCompany.reopen(root, AREAS)
