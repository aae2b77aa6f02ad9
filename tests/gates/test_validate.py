"""Running suites: Great Expectations on real DuckDB files. One file, because its import is slow."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.gates.rules import row_rules
from customer_marts.gates.suites import GateError, SuiteResult, load_suite, validate
from customer_marts.settings import EXPECTATIONS_DIR
from tests.gates.feed_rows import (
    DOUBTS,
    FEEDS,
    GOOD,
    changed_rows,
    create_table,
    random_rows,
    suite_path,
)

TODAY = date(2026, 11, 1)
BETWEEN = "expect_column_values_to_be_between"


def entry(kind: str, rule: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    meta = {"rule": rule, "owner": "finance", "reason_en": f"{rule} broken", "reason_zh": "错"}
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": meta}


def suite_file(tmp_path: Path, *entries: dict[str, Any], name: str = "marts.numbers") -> Path:
    floor = entry("expect_table_row_count_to_be_between", "row_floor", min_value=1)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"name": name, "expectations": [floor, *entries]}), "utf-8")
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Schema marts: numbers a = 1..10 (b = 10 - a), an empty table of the same shape."""
    path = tmp_path / "build.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.numbers as select a, 10 - a as b from range(1, 11) numbers(a)"
        )
        connection.execute("create table marts.nothing as from marts.numbers where false")
    return path


def run(tmp_path: Path, database: Path, **suites: Path) -> list[SuiteResult]:
    return validate(database, "marts", suites, tmp_path / "gx", TODAY)


# --- the landing suites --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, SuiteResult]]:
    """Every feed twice, as views over Parquet: mixed rows, and what the row rules leave of them."""
    folder = tmp_path_factory.mktemp("landing")
    path = folder / "batches.duckdb"
    suites = {}
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema landing")
        for seed, feed in enumerate(FEEDS):
            rows = [GOOD[feed], *changed_rows(feed), *random_rows(feed, 200, seed)]
            create_table(connection, "batch", feed, rows)
            faults = " or ".join(rule.fault_sql for rule in row_rules(suite_path(feed)))
            for kind, condition in (("mixed", "true"), ("accepted", f"not ({faults})")):
                parquet = folder / f"{feed}_{kind}.parquet"
                connection.execute(
                    f"copy (from batch where {condition}) to '{parquet}' (format parquet)"
                )
                connection.execute(
                    f"create view landing.{feed}_{kind} as "
                    f"select *, 'CNY' as _reporting_currency from read_parquet('{parquet}')"
                )
                suites[f"{feed}_{kind}"] = suite_path(feed)
            connection.execute("drop table batch")
    with pytest.MonkeyPatch.context() as patch:
        # the library takes 50 ms to write down one decimal among the example values
        patch.setattr("customer_marts.gates.suites._COUNT_SAMPLES", 1)
        results = validate(path, "landing", suites, folder / "gx", TODAY)
    return path, {result.table: result for result in results}


@pytest.mark.parametrize("feed", FEEDS)
def test_row_rules_find_the_rows_that_the_suite_finds(
    landing: tuple[Path, dict[str, SuiteResult]], feed: str
) -> None:
    path, results = landing
    mixed = results[f"{feed}_mixed"]
    by_suite = {result.rule: result.unexpected_count for result in mixed.results}
    rules = row_rules(suite_path(feed))
    with duckdb.connect(str(path), read_only=True) as connection:
        counts = ", ".join(f"count(*) filter ({rule.fault_sql})" for rule in rules)
        (found,) = connection.execute(f"select {counts} from landing.{feed}_mixed").fetchall()
    by_rules = {rule.rule: count for rule, count in zip(rules, found, strict=True)}
    assert by_rules == {rule: by_suite[rule] for rule in by_rules}
    assert min(by_rules.values()) > 0
    assert not mixed.success


@pytest.mark.parametrize("feed", FEEDS)
def test_what_the_row_rules_accept_passes_the_suite(
    landing: tuple[Path, dict[str, SuiteResult]], feed: str
) -> None:
    accepted = landing[1][f"{feed}_accepted"]
    assert accepted.rows > 0
    assert accepted.success
    assert {result.severity for result in accepted.results if not result.success} <= {"warning"}


@pytest.mark.parametrize("feed", FEEDS)
def test_every_warning_bites(landing: tuple[Path, dict[str, SuiteResult]], feed: str) -> None:
    suite = load_suite(suite_path(feed))
    warnings = {item.rule for item in suite.expectations if item.severity == "warning"}
    failed = {item.rule for item in landing[1][f"{feed}_accepted"].results if not item.success}
    assert warnings == failed == set(DOUBTS.get(feed, {}))


def test_levels_in_yuan_judge_no_rate_into_another_currency(tmp_path: Path) -> None:
    path = tmp_path / "batches.duckdb"
    with duckdb.connect(str(path)) as connection:
        create_table(connection, "batch", "fx_rates", [{**GOOD["fx_rates"], "rate": "0.86"}])
        for books in ("CNY", "EUR"):
            connection.execute(
                f"create table {books} as select *, '{books}' as _reporting_currency from batch"
            )
    suites = dict.fromkeys(["CNY", "EUR"], suite_path("fx_rates"))
    cny, eur = validate(path, "main", suites, tmp_path / "gx", TODAY)
    assert [item.rule for item in cny.results if not item.success] == ["rate_plausible_in_cny"]
    assert all(item.success for item in eur.results)


def test_one_suite_serves_several_tables(landing: tuple[Path, dict[str, SuiteResult]]) -> None:
    mixed, accepted = landing[1]["orders_mixed"], landing[1]["orders_accepted"]
    assert mixed.suite == accepted.suite == "landing.orders"
    assert mixed.rows > accepted.rows


# --- judging -------------------------------------------------------------------------------------


def test_a_failed_warning_is_reported_and_does_not_fail_the_suite(
    tmp_path: Path, database: Path
) -> None:
    path = suite_file(
        tmp_path,
        entry(BETWEEN, "small", "warning", column="a", max_value=7),
        entry(BETWEEN, "positive", column="a", min_value=1),
    )
    (result,) = run(tmp_path, database, numbers=path)
    assert result.success
    assert (result.suite, result.table, result.rows) == ("marts.numbers", "numbers", 10)
    floor, small, positive = result.results
    assert (floor.success, floor.observed, floor.message) == (True, None, "met")
    assert (small.success, small.severity, small.unexpected_count) == (False, "warning", 3)
    assert small.message == "small broken; 3 rows, for example 8, 9, 10"
    assert (small.column, small.owner, small.expectation) == ("a", "finance", BETWEEN)
    assert (positive.success, positive.message) == (True, "met")
    [details] = json.loads((tmp_path / "gx" / "numbers.json").read_text("utf-8"))
    assert details["result"]["partial_unexpected_list"] == [8, 9, 10]


def test_a_failed_critical_rule_fails_its_suite_only(tmp_path: Path, database: Path) -> None:
    bad = suite_file(
        tmp_path,
        entry(
            "unexpected_rows_expectation",
            "sum_is_nine",
            unexpected_rows_query="SELECT * FROM {batch} WHERE a + b <> 9 AND a::integer > 8",
        ),
        name="marts.bad",
    )
    good = suite_file(tmp_path, name="marts.good")
    first, second = validate(
        database, "marts", {"numbers": bad, "nothing": good}, tmp_path / "gx", TODAY
    )
    assert (first.table, first.success) == ("numbers", False)
    assert first.results[1].unexpected_count == 2
    assert (second.table, second.success, second.rows) == ("nothing", False, 0)


def test_an_empty_table_fails_by_its_floor_alone(tmp_path: Path, database: Path) -> None:
    path = suite_file(tmp_path, entry(BETWEEN, "positive", column="a", min_value=1))
    (result,) = run(tmp_path, database, nothing=path)
    assert not result.success
    assert [item.rule for item in result.results if not item.success] == ["row_floor"]


def test_a_table_that_may_be_empty_passes_when_empty(tmp_path: Path, database: Path) -> None:
    path = tmp_path / "suite.json"
    content = {
        "name": "marts.nothing",
        "meta": {"may_be_empty": "no surveys yet"},
        "expectations": [
            entry("expect_column_values_to_be_unique", "key_unique", column="a"),
            entry("expect_compound_columns_to_be_unique", "keys_unique", column_list=["a", "b"]),
            entry("expect_column_values_to_not_be_null", "a_present", column="a"),
        ],
    }
    path.write_text(json.dumps(content), "utf-8")
    (result,) = run(tmp_path, database, nothing=path)
    assert result.success
    assert all(item.success for item in result.results)


def waived(expectation: dict[str, Any], expires_on: str) -> dict[str, Any]:
    waiver = {"owner": "cfo", "reason": "migration", "expires_on": expires_on}
    return {**expectation, "meta": {**expectation["meta"], "waiver": waiver}}


def test_a_waiver_turns_a_failure_into_a_warning_until_it_expires(
    tmp_path: Path, database: Path
) -> None:
    failing = entry(BETWEEN, "small", column="a", max_value=7)
    path = suite_file(tmp_path, waived(failing, "2026-11-01"))
    (result,) = run(tmp_path, database, numbers=path)
    assert result.success
    assert (result.results[1].success, result.results[1].severity) == (False, "warning")
    assert "waived by cfo until 2026-11-01: migration" in result.results[1].message

    path = suite_file(tmp_path, waived(failing, "2026-10-31"))
    (result,) = run(tmp_path, database, numbers=path)
    assert not result.success
    assert (result.results[1].success, result.results[1].severity) == (False, "critical")
    assert "the waiver of cfo expired on 2026-10-31" in result.results[1].message


def test_an_expired_waiver_fails_even_when_its_rule_is_met(tmp_path: Path, database: Path) -> None:
    met = entry(BETWEEN, "positive", "warning", column="a", min_value=0)
    (result,) = run(tmp_path, database, numbers=suite_file(tmp_path, waived(met, "2026-10-31")))
    assert not result.success
    assert result.results[1].message == "the waiver of cfo expired on 2026-10-31"


# --- infrastructure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "complaint"),
    [
        (entry(BETWEEN, "broken", column="missing", min_value=0), "missing"),
        (
            entry(
                "unexpected_rows_expectation",
                "broken",
                unexpected_rows_query="SELECT * FROM {batch} WHERE no_function(a)",
            ),
            "no_function",
        ),
        (
            entry(
                "unexpected_rows_expectation",
                "broken",
                unexpected_rows_query="SELECT * FROM {batch} WHERE cast('x' || a AS integer) > 0",
            ),
            "x1",
        ),
    ],
    ids=["no-column", "no-function", "failing-query"],
)
def test_a_rule_that_cannot_run_is_no_verdict_on_the_data(
    tmp_path: Path, database: Path, expectation: dict[str, Any], complaint: str
) -> None:
    path = suite_file(tmp_path, entry(BETWEEN, "fine", column="a", min_value=0), expectation)
    with pytest.raises(GateError, match=complaint) as caught:
        run(tmp_path, database, numbers=path)
    assert "marts.numbers" in str(caught.value)
    assert "broken" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_missing_table_or_database_is_no_verdict_on_the_data(
    tmp_path: Path, database: Path
) -> None:
    path = suite_file(tmp_path)
    with pytest.raises(GateError, match="absent"):
        run(tmp_path, database, absent=path)
    with pytest.raises(GateError, match="does not exist"):
        run(tmp_path, tmp_path / "absent.duckdb", numbers=path)
    corrupt = tmp_path / "corrupt.duckdb"
    corrupt.write_bytes(b"not a database" * 1000)
    with pytest.raises(GateError, match="cannot be opened"):
        run(tmp_path, corrupt, numbers=path)


def test_an_expectation_that_cannot_be_built_is_refused(tmp_path: Path, database: Path) -> None:
    for unusable in (
        entry("expect_miracles", "miracle"),
        entry(BETWEEN, "miracle", column="a", min_value=0, at_most="all"),
        entry(BETWEEN, "miracle", min_value=0),
    ):
        with pytest.raises(ConfigurationError, match="miracle") as caught:
            run(tmp_path, database, numbers=suite_file(tmp_path, unusable))
        assert "marts.numbers" in str(caught.value)


def test_the_gate_only_reads_and_lets_others_read(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    path = suite_file(
        tmp_path,
        entry(
            "expect_table_row_count_to_equal_other_table",
            "as_many_as_nothing",
            other_table_name="nothing",
        ),
    )
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    with duckdb.connect(str(database), read_only=True) as reader:
        reader.execute("select count(*) from marts.numbers")
        (result,) = run(tmp_path, database, numbers=path)
        assert reader.fetchall() == [(10,)]
    assert not result.results[1].success
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    written = {
        file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("*") if file.is_file()
    }
    assert written == {"build.duckdb", "gx", "marts.numbers.json"}
    # the file is free again: a writer of this process can open it
    with duckdb.connect(str(database)) as writer:
        writer.execute("drop table marts.nothing")


def test_nothing_is_printed(
    tmp_path: Path, database: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, database, numbers=suite_file(tmp_path))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_paths_and_tables_with_awkward_names(tmp_path: Path) -> None:
    folder = tmp_path / "two words, 100%"
    folder.mkdir()
    path = folder / "it's $HOME.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('create schema "odd schema"')
        connection.execute('create view "odd schema"."orders__2026-01-01" as select 1 as a')
    suite = suite_file(folder, entry(BETWEEN, "positive", column="a", min_value=1))
    (result,) = validate(path, "odd schema", {"orders__2026-01-01": suite}, folder / "gx", TODAY)
    assert result.success
    assert result.rows == 1


# --- the marts' suites ---------------------------------------------------------------------------


def test_a_ledger_that_does_not_balance_stops_the_release(tmp_path: Path) -> None:
    path = tmp_path / "build.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            """
            create table marts.conservation_ledger as
            select
                'orders' as feed, 'CNY' as currency, batch_id,
                10 as count_rows_pulled, count_rows_accepted, 2 as count_rows_quarantined,
                1 as count_rows_duplicate, 0 as count_rows_superseded,
                100.00 as pulled_amount, accepted_amount, 20.00 as quarantined_amount,
                10.00 as duplicate_amount, null::decimal(38, 2) as superseded_amount,
                source_rows, source_amount
            from (
                values
                    ('good', 7, 70.00, 10, 100.00),
                    ('nothing_stated', 7, 70.00, null, null),
                    ('row_lost', 6, 70.00, 10, 100.00),
                    ('cent_lost', 7, 69.99, 10, 100.00),
                    ('row_not_pulled', 7, 70.00, 11, 100.00),
                    ('cent_not_pulled', 7, 70.00, 10, 100.01)
            ) batches(batch_id, count_rows_accepted, accepted_amount, source_rows, source_amount)
            """
        )
    suite = EXPECTATIONS_DIR / "marts" / "conservation_ledger.json"
    (result,) = run(tmp_path, path, conservation_ledger=suite)
    failed = {item.rule: item.unexpected_count for item in result.results if not item.success}
    assert failed == {
        "rows_conserved": 1,
        "amounts_conserved": 1,
        "rows_as_stated": 1,
        "amounts_as_stated": 1,
    }
