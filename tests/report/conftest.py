"""One rendered report for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.report.rendered_page import Page, render


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def page(folder: Path) -> Page:
    return render(folder)


@pytest.fixture
def marts(page: Page, folder: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(folder / "marts.duckdb"), read_only=True)
