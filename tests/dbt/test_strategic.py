"""Judgements that contradict each other, or that are missing, stop the build."""

from __future__ import annotations

import pytest

from tests.dbt.conftest import WITHOUT_UNIT_TESTS, Dbt
from tests.dbt.landing_fixture import Landing

# without the seeds, so that the judgements changed in the database stay
WEIGHTS = ("--select", "strategic_weights", *WITHOUT_UNIT_TESTS)


def problems_of_the_build(dbt: Dbt) -> str:
    with pytest.raises(AssertionError) as caught:
        dbt("build", *WEIGHTS)
    return str(caught.value)


def test_judgements_in_force_are_consistent(dbt: Dbt, landing: Landing) -> None:
    assert landing.path.exists()
    dbt("build", *WEIGHTS)


def test_contradicting_judgements_stop_the_build(dbt: Dbt, landing: Landing) -> None:
    """Amount over credit over history over amount, each nine times as much."""
    landing.execute(
        "update seeds.strategic_pairwise set importance = 9"
        " where (criterion_a, criterion_b) in (('amount', 'credit'), ('credit', 'history'))"
    )
    landing.execute(
        "update seeds.strategic_pairwise"
        " set criterion_a = 'history', criterion_b = 'amount', importance = 9"
        " where criterion_a = 'amount' and criterion_b = 'history'"
    )
    problems = problems_of_the_build(dbt)
    assert "strategic_weights__judgements_are_consistent" in problems
    assert "every_pair" not in problems


MISSING = "delete from seeds.strategic_pairwise where criterion_b = 'history'"
# the pair is there already, from the other side
TWICE = """
    update seeds.strategic_pairwise set criterion_a = 'credit', criterion_b = 'amount'
    where criterion_a = 'amount' and criterion_b = 'history'
"""


@pytest.mark.parametrize("change", [MISSING, TWICE], ids=["missing", "twice"])
def test_every_pair_is_judged_once(dbt: Dbt, landing: Landing, change: str) -> None:
    landing.execute(change)
    assert "strategic_weights__every_pair_is_judged_once" in problems_of_the_build(dbt)
