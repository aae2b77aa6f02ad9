"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mini import MiniCompany


@pytest.fixture
def mini(tmp_path: Path) -> MiniCompany:
    """A company of a few rows with a real SQLite ERP and real bank files."""
    return MiniCompany(tmp_path)
