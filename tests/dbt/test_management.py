"""The rules of the actions, as the seeds have them."""

from __future__ import annotations

import csv

from customer_marts.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds" / "parameters"


def rows(seed: str) -> list[dict[str, str]]:
    with (SEEDS / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_action_yields_only_to_one_that_comes_before_it() -> None:
    """Hence no chain of pairs comes back to its start, and somebody's first action stays."""
    priority = {row["action_code"]: int(row["priority"]) for row in rows("action_rules")}
    assert len(set(priority.values())) == len(priority)
    for pair in rows("action_conflicts"):
        assert priority[pair["yields_to"]] < priority[pair["action_code"]], pair


def test_what_must_be_done_is_never_held_out() -> None:
    for row in rows("action_rules"):
        assert not (row["is_mandatory"] == "true" and row["is_tracked"] == "true"), row
