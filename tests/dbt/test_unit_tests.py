"""Every unit test and every rule of the project on the toy company's first release."""

from __future__ import annotations

from pathlib import Path

from dbt.artifacts.schemas.results import TestStatus

from customer_marts.transform import node_results
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing


def test_every_unit_test_and_rule_holds(dbt: Dbt, landing: Landing, database: Path) -> None:
    tested = [item for result in dbt("test") for item in node_results(result, database)]
    assert len(tested) > 100
    assert {item.status for item in tested} == {TestStatus.Pass}
    assert len({item.name for item in tested}) == len(tested)
