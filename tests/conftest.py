"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mini import MiniCompany

# With `--dist loadfile` a worker takes a file whole: those of minutes first, or the run ends with
# one worker at the longest of them and the other idle. (`make test` keeps xdist from sorting.)
LONGEST_FIRST = (
    "test_pipeline",
    "test_readme",
    "test_dags",
    "test_sample_company_run",
    "test_incremental",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order whole files; the order within each stays."""
    rank = {name: index for index, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture
def mini(tmp_path: Path) -> MiniCompany:
    """A company of a few rows with a real SQLite ERP and real bank files."""
    return MiniCompany(tmp_path)
