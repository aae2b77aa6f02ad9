"""Suite files: the project's own are sound, and an unsound one is refused with its place named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.feeds import FEEDS, load_contract
from customer_marts.gates.suites import load_suite
from customer_marts.settings import EXPECTATIONS_DIR, PROJECT_ROOT

SUITES = sorted((EXPECTATIONS_DIR / "landing").glob("*.json")) + sorted(
    (EXPECTATIONS_DIR / "marts").glob("*.json")
)
ROLES = {
    "credit-control",
    "customer-service",
    "data-engineering",
    "finance",
    "logistics",
    "sales-operations",
}


def test_every_feed_has_a_landing_suite() -> None:
    assert {path.stem for path in SUITES if path.parent.name == "landing"} == set(FEEDS)


@pytest.mark.parametrize("path", SUITES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_suite_of_the_project_is_sound(path: Path) -> None:
    suite = load_suite(path)
    assert suite.name == f"{path.parent.name}.{path.stem}"
    for expectation in suite.expectations:
        assert expectation.owner in ROLES
        assert re.search("[\u4e00-\u9fff]", expectation.reason_zh), expectation.rule
        assert not re.search("[\u4e00-\u9fff]", expectation.reason_en), expectation.rule
    # one layout, so that a changed threshold is a one-line diff
    content = json.loads(path.read_text(encoding="utf-8"))
    laid_out = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    assert path.read_text(encoding="utf-8") == laid_out


@pytest.mark.parametrize("feed", FEEDS)
def test_a_landing_suite_holds_only_value_rules_of_contracted_columns(feed: str) -> None:
    contract = load_contract(feed)
    for expectation in load_suite(EXPECTATIONS_DIR / "landing" / f"{feed}.json").expectations:
        if expectation.column is not None:
            assert expectation.column in contract.landed_columns
        if expectation.type == "expect_column_values_to_not_be_null":
            assert expectation.severity == "warning", "required columns are the contract's"


def sound_suite() -> dict[str, Any]:
    return {
        "name": "landing.tested",
        "expectations": [
            {
                "type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": 1},
                "severity": "critical",
                "meta": {
                    "rule": "row_floor",
                    "owner": "finance",
                    "reason_en": "empty",
                    "reason_zh": "空",
                },
            },
            {
                "type": "unexpected_rows_expectation",
                "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a::integer > 1"},
                "severity": "warning",
                "meta": {
                    "rule": "small",
                    "owner": "finance",
                    "reason_en": "large",
                    "reason_zh": "大",
                    "waiver": {"owner": "cfo", "reason": "audit", "expires_on": "2026-12-31"},
                },
            },
        ],
    }


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "tested.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_sound_suite_is_read(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, sound_suite()))
    floor, small = suite.expectations
    assert suite.may_be_empty is None
    assert (floor.rule, floor.severity, floor.waiver) == ("row_floor", "critical", None)
    assert small.waiver is not None
    assert small.waiver.expires_on.isoformat() == "2026-12-31"


def test_a_reason_for_being_empty_replaces_the_floor(tmp_path: Path) -> None:
    content = sound_suite()
    del content["expectations"][0]
    content["meta"] = {"may_be_empty": "nobody need answer"}
    assert load_suite(written(tmp_path, content)).may_be_empty == "nobody need answer"


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda suite: suite["expectations"].pop(0), "row floor"),
        (lambda suite: suite["expectations"][0].update(severity="warning"), "row floor"),
        (lambda suite: suite["expectations"][0].update(kwargs={"min_value": 0}), "row floor"),
        (lambda suite: suite.update(meta={"may_be_empty": "x"}), "row floor"),
        (lambda suite: suite.update(meta={"may_be_empty": " "}), "may_be_empty"),
        (lambda suite: suite["expectations"][1]["meta"].update(rule="row_floor"), "repeated"),
        (lambda suite: suite["expectations"][1].pop("severity"), "severity"),
        (lambda suite: suite["expectations"][1].update(severity="fatal"), "severity"),
        (lambda suite: suite["expectations"][1].pop("meta"), "no meta"),
        (lambda suite: suite["expectations"][1]["meta"].pop("rule"), "rule is missing"),
        (lambda suite: suite["expectations"][1]["meta"].pop("owner"), "owner is missing"),
        (lambda suite: suite["expectations"][1]["meta"].pop("reason_en"), "reason_en"),
        (lambda suite: suite["expectations"][1]["meta"].pop("reason_zh"), "reason_zh"),
        (lambda suite: suite["expectations"][1]["meta"].update(enabled=False), "enabled"),
        (lambda suite: suite["expectations"][1].update(mostly=0.5), "mostly"),
        (lambda suite: suite["expectations"][1]["meta"]["waiver"].pop("owner"), "owner"),
        (lambda suite: suite["expectations"][1]["meta"]["waiver"].pop("reason"), "reason"),
        (
            lambda suite: suite["expectations"][1]["meta"]["waiver"].update(expires_on="soon"),
            "expires_on is not a date",
        ),
        (
            lambda suite: suite["expectations"][1]["kwargs"].update(
                unexpected_rows_query="SELECT * FROM orders"
            ),
            "must read from",
        ),
        (
            lambda suite: suite["expectations"][1]["kwargs"].update(
                unexpected_rows_query="SELECT * FROM {batch} WHERE a ~ 'x{3}'"
            ),
            "braces",
        ),
        (
            lambda suite: suite["expectations"][1]["kwargs"].update(
                unexpected_rows_query="SELECT * FROM {batch} WHERE a > '12:30'"
            ),
            "braces",
        ),
        (lambda suite: suite.pop("name"), "name"),
        (lambda suite: suite.pop("expectations"), "expectations"),
    ],
)
def test_an_unsound_suite_is_refused(tmp_path: Path, change: Change, complaint: str) -> None:
    content = sound_suite()
    change(content)
    path = written(tmp_path, content)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_suite(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_suite(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_suite(broken)


def test_reading_suites_and_rules_imports_nothing_heavy() -> None:
    script = (
        "import sys; import customer_marts.gates.rules, customer_marts.gates.suites;"
        "print([name for name in ('great_expectations', 'pandas', 'sqlalchemy', 'duckdb')"
        " if name in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT_ROOT / "dags",
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.strip() == "[]"
