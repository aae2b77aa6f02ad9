"""The whole line on a company of a few rows: releases, increments, refusals, crashes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts import landing, pipeline, releases
from customer_marts.errors import BatchFault, Busy, ConfigurationError, GateFailure
from customer_marts.locks import writer_lock
from customer_marts.settings import EXPECTATIONS_DIR, PROJECT_ROOT
from tests.mini import MiniCompany


def refresh(mini: MiniCompany, **options: Any) -> releases.Release | None:
    return pipeline.refresh(pipeline.open_run(mini.settings), **options)


def published(mini: MiniCompany, **options: Any) -> releases.Release:
    release = refresh(mini, **options)
    assert release is not None
    return release


def with_candidate(mini: MiniCompany, run_id: str | None = None) -> pipeline.Run:
    """A run that has pulled, passed gate one and built its candidate."""
    run = pipeline.open_run(mini.settings, run_id)
    for feed in mini.company.feeds:
        pipeline.pull(run, feed)
    pipeline.gate_landing(run, mini.company.feeds)
    assert pipeline.build_candidate(run) is not None
    return run


def query(release: releases.Release, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(release.marts), read_only=True) as connection:
        rows = connection.execute(sql).fetchall()
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def tables(release: releases.Release) -> dict[str, list[tuple[Any, ...]]]:
    """Every mart's rows, but for the columns that tell of the run itself."""
    names = [name for (name,) in query(release, "select table_name from duckdb_tables()")]
    told_by_run = {
        "release_log",
        "conservation_ledger",
        "quarantine_summary",
        "quarantine_history",
    }
    return {
        name: sorted(query(release, f"from {name}"), key=str)
        for name in sorted(set(names) - told_by_run)
    }


@pytest.fixture(scope="module")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A company with its first release, and a copy of its whole folder to restore it from."""
    home = tmp_path_factory.mktemp("mini")
    company = MiniCompany(home / "company")
    company.add_order("O1")
    company.add_order("O2", "C2", at="2026-01-12 09:00:00")
    company.add_invoice("F1", "O1")
    company.add_invoice("F2", "O2", "C2", on="2026-01-13", due="2026-02-12")
    company.write_bank("2026-01-20", [company.payment("B1", amount="1000.00")])
    published(company)
    shutil.copytree(company.root, home / "copy", symlinks=True)
    return company.root, home / "copy"


@pytest.fixture
def mini(released_once: tuple[Path, Path]) -> MiniCompany:
    """That company as it was after its first release, at the same path each time."""
    root, copy = released_once
    shutil.rmtree(root)
    shutil.copytree(copy, root, symlinks=True)
    return MiniCompany.reopen(root)


@pytest.fixture
def first(mini: MiniCompany) -> releases.Release:
    release = releases.current_release(mini.settings.paths)
    assert release is not None
    return release


def test_first_release_holds_what_readers_need(mini: MiniCompany, first: releases.Release) -> None:
    current = mini.settings.paths.current
    assert current.is_symlink()
    for name in ("marts.duckdb", "manifest.json", "report.html", "parquet/customer_360.parquet"):
        assert (current / name).is_file(), name
    assert not list(current.rglob("*.wal"))
    assert query(first, "select revenue_amount, margin_amount from fct_orders order by 1") == [
        ("5000.00", "1000.00"),
        ("5000.00", "1000.00"),
    ]
    [[due]] = query(
        first,
        "select sum(open_amount) from receivables_ageing where ageing_basis = 'due_date'",
    )
    assert due == "10300.00"
    manifest = first.manifest
    assert manifest["parent_release_id"] is None
    assert manifest["data_through"]["payments"] == "2026-01-20"
    assert all(line["success"] for line in manifest["gates"])
    assert {line["gate"] for line in manifest["gates"]} == {"landing", "dbt", "marts"}


def test_nothing_new_makes_no_release_and_an_increment_equals_a_rebuild(
    mini: MiniCompany, first: releases.Release
) -> None:
    assert refresh(mini) is None
    mini.add_order("O3", "C2", at="2026-02-03 09:00:00")
    mini.execute(
        "update so_order set status = '已取消', updated_at = '2026-02-03 10:00:00' "
        "where order_no = 'O1'"
    )
    mini.execute(
        "update fi_invoice set deleted = '1', updated_at = '2026-02-03 11:00:00' "
        "where invoice_no = 'F1'"
    )
    mini.write_bank("2026-02-03", [mini.payment("B2", "C2", at="2026-02-03 15:00:00")])
    second = published(mini)
    assert second.manifest["parent_release_id"] == first.release_id
    assert not second.manifest["is_rebuild"]
    assert query(second, "select order_id, is_cancelled from fct_orders order by 1") == [
        ("O1", "True"),
        ("O2", "False"),
        ("O3", "False"),
    ]
    assert query(second, "select invoice_id from fct_invoices") == [("F2",)]
    rebuilt = published(mini, rebuild=True)
    assert rebuilt.manifest["is_rebuild"]
    assert tables(second) == tables(rebuilt)


def test_an_orphan_waits_for_its_customer(mini: MiniCompany, first: releases.Release) -> None:
    mini.add_order("O9", "C9", at="2026-01-15 09:00:00")
    held = published(mini)
    assert query(held, "select count(*) from fct_orders") == [("2",)]
    assert {
        (row["feed"], row["rule"], row["count_rows"]) for row in held.manifest["quarantine"]
    } == {("orders", "unknown_customer", 1), ("order_lines", "unknown_order", 1)}
    ledger = "select sum(count_rows_quarantined), sum(count_rows_accepted) from conservation_ledger"
    assert query(held, f"{ledger} where feed = 'orders'") == [("1", "2")]
    mini.add_customer("C9", "新客户", at="2026-01-16 09:00:00")
    freed = published(mini)
    assert query(freed, "select count(*) from fct_orders") == [("3",)]
    assert freed.manifest["quarantine"] == []
    assert query(freed, f"{ledger} where feed = 'orders'") == [("0", "3")]


def test_an_earlier_as_of_date_sees_no_later_row(
    mini: MiniCompany, first: releases.Release
) -> None:
    from datetime import date

    earlier = published(mini, as_of=date(2026, 1, 10))
    assert query(earlier, "select order_id from fct_orders") == [("O1",)]
    assert query(earlier, "select count(*) from fct_payments") == [("0",)]
    assert query(earlier, "select distinct as_of from customer_360") == [("2026-01-10",)]
    later = published(mini)
    assert tables(later) == tables(first)


def test_a_refused_batch_keeps_the_last_release(mini: MiniCompany, first: releases.Release) -> None:
    mini.write_bank("2026-01-21", [mini.payment("B2")], trailer="合计,9,1.00")
    with pytest.raises(BatchFault):
        refresh(mini)
    current = releases.current_release(mini.settings.paths)
    assert current is not None
    assert current.release_id == first.release_id
    # the bank delivers the file again: the rerun converges
    mini.write_bank("2026-01-21", [mini.payment("B2", at="2026-01-21 10:00:00")])
    assert query(published(mini), "select count(*) from fct_payments") == [("2",)]


def test_gate_one_judges_by_the_suite_of_today(
    mini: MiniCompany, first: releases.Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that came after the batch had landed: refused, kept, and judged anew when it goes."""
    mini.write_bank("2026-01-21", [mini.payment("B2", at="2026-01-21 10:00:00")])
    run = pipeline.open_run(mini.settings)
    pipeline.pull(run, "payments")
    folder = tmp_path / "expectations"
    shutil.copytree(EXPECTATIONS_DIR, folder)
    suite = folder / "landing" / "payments.json"
    rules = json.loads(suite.read_text("utf-8"))
    [limit] = [item for item in rules["expectations"] if item["meta"]["rule"] == "amount_in_range"]
    limit["kwargs"]["max_value"] = 1000
    suite.write_text(json.dumps(rules), "utf-8")
    with monkeypatch.context() as stricter:
        stricter.setattr(landing, "EXPECTATIONS_DIR", folder)
        with pytest.raises(GateFailure, match="gate 1 refused") as caught:
            pipeline.gate_landing(run, ["payments"])
        assert "payments" in caught.value.what
        assert "amount_in_range" in caught.value.what
        assert pipeline.plan(run) is None, "no candidate takes a refused batch"
    assert query(published(mini), "select count(*) from fct_payments") == [("2",)]


def test_a_batch_of_faulty_rows_alone_waits_in_quarantine(
    mini: MiniCompany, first: releases.Release
) -> None:
    """One bad row on a quiet day must not keep everybody from the rest of the day's data."""
    mini.write_bank("2026-01-21", [mini.payment("B7", amount="-1.00")])
    release = published(mini)
    assert [row["rule"] for row in release.manifest["quarantine"]] == ["amount_in_range"]
    assert query(release, "select payment_id from fct_payments") == [("B1",)]


def test_a_row_delivered_right_leaves_the_quarantine(
    mini: MiniCompany, first: releases.Release
) -> None:
    good = mini.payment("B2", at="2026-01-21 10:00:00")
    bad = mini.payment("B3", amount="壹万元", at="2026-01-21 11:00:00")
    mini.write_bank("2026-01-21", [good, bad])
    faulty = published(mini)
    assert [row["rule"] for row in faulty.manifest["quarantine"]] == ["invalid_amount"]
    mini.write_bank("2026-01-22", [mini.payment("B3", amount="10000.00", at="2026-01-22 09:00:00")])
    mended = published(mini)
    assert mended.manifest["quarantine"] == []
    assert query(mended, "select sum(payment_amount) from fct_payments") == [("16650.00",)]


def test_a_publish_that_is_run_again_is_no_second_release(
    mini: MiniCompany, first: releases.Release
) -> None:
    mini.add_order("O3", at="2026-02-03 09:00:00")
    run = with_candidate(mini)
    pipeline.gate_candidate(run)
    once = pipeline.publish(run)
    assert pipeline.publish(run).release_id == once.release_id
    assert len(releases.all_releases(mini.settings.paths)) == 2


def test_gate_two_refuses_a_candidate_and_names_the_rule(
    mini: MiniCompany, first: releases.Release
) -> None:
    """Corrupt a built candidate: the suites stop it, readers keep the last release."""
    mini.add_order("O3", at="2026-02-03 09:00:00")
    run = with_candidate(mini)
    with duckdb.connect(str(run.candidate / "build.duckdb")) as connection:
        connection.execute("insert into marts.customer_360 select * from marts.customer_360")
    with pytest.raises(GateFailure, match="customer_360"):
        pipeline.gate_candidate(run)
    assert run.candidate.exists()
    current = releases.current_release(mini.settings.paths)
    assert current is not None
    assert current.release_id == first.release_id


def test_an_overtaken_candidate_is_not_published(
    mini: MiniCompany, first: releases.Release
) -> None:
    mini.add_order("O3", at="2026-02-03 09:00:00")
    slow = with_candidate(mini, "slow")
    pipeline.gate_candidate(slow)
    fast = pipeline.open_run(mini.settings, "fast")
    assert pipeline.build_candidate(fast) is not None
    with pytest.raises(Busy, match="a later run overtook it"):
        pipeline.publish(slow)
    pipeline.gate_candidate(fast)
    release = pipeline.publish(fast)
    assert release.manifest["run_id"] == "fast"
    with pytest.raises(Busy, match="overtook"):
        pipeline.gate_candidate(slow)


def test_a_candidate_is_not_published_over_a_rollback(
    mini: MiniCompany, first: releases.Release
) -> None:
    mini.add_order("O3", at="2026-02-03 09:00:00")
    published(mini)
    mini.add_order("O4", at="2026-02-04 09:00:00")
    run = with_candidate(mini)
    pipeline.gate_candidate(run)
    releases.rollback(mini.settings)
    with pytest.raises(Busy):
        pipeline.publish(run)
    current = releases.current_release(mini.settings.paths)
    assert current is not None
    assert current.release_id == first.release_id


def test_a_second_writer_is_told_to_wait(mini: MiniCompany) -> None:
    with (
        writer_lock(mini.settings.paths),
        pytest.raises(Busy, match="another run is writing"),
        writer_lock(mini.settings.paths, wait_seconds=0.2),
    ):
        pass


def test_rollback_and_forward_again(mini: MiniCompany, first: releases.Release) -> None:
    mini.add_order("O3", at="2026-02-03 09:00:00")
    second = published(mini)
    before, after = releases.rollback(mini.settings)
    assert (before.release_id, after.release_id) == (second.release_id, first.release_id)
    third = published(mini)
    assert third.sequence == second.sequence + 1
    assert third.manifest["parent_release_id"] == first.release_id
    assert tables(third) == tables(second)
    with pytest.raises(ConfigurationError, match="no earlier release 'r99'"):
        releases.rollback(mini.settings, "r99")


def test_readers_of_an_open_release_are_not_disturbed(
    mini: MiniCompany, first: releases.Release
) -> None:
    link = mini.settings.paths.current / "marts.duckdb"
    with duckdb.connect(str(link.resolve()), read_only=True) as reader:
        mini.add_order("O3", at="2026-02-03 09:00:00")
        published(mini)
        assert reader.execute("select count(*) from fct_orders").fetchall() == [(2,)]
    with duckdb.connect(str(link.resolve()), read_only=True) as reader:
        assert reader.execute("select count(*) from fct_orders").fetchall() == [(3,)]


def test_before_the_first_pull_nothing_can_be_planned(tmp_path: Path) -> None:
    empty = MiniCompany(tmp_path)
    with pytest.raises(ConfigurationError, match="nothing has landed yet"):
        pipeline.plan(pipeline.open_run(empty.settings))


@pytest.mark.parametrize("step", ["build marts (dbt)", "publish"])
def test_a_run_killed_in_a_step_leaves_the_old_release_and_the_rerun_converges(
    mini: MiniCompany, first: releases.Release, step: str
) -> None:
    mini.add_order("O3", at="2026-02-03 09:00:00")
    journals = mini.settings.paths.runs
    known = set(journals.glob("*/events.jsonl"))
    process = subprocess.Popen(
        [sys.executable, "-m", "customer_marts.cli", "run"],
        env={**os.environ, **mini.environment, "PYTHONPATH": str(PROJECT_ROOT / "dags")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_step(journals, known, step, process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    current = releases.current_release(mini.settings.paths)
    assert current is not None
    # killed at the very end of publishing, it may just have committed: then it is whole
    orders = query(current, "select count(*) from fct_orders")
    expected = [("2",)] if current.release_id == first.release_id else [("3",)]
    assert orders == expected
    again = refresh(mini)
    final = again or current
    assert query(final, "select count(*) from fct_orders") == [("3",)]
    assert not mini.settings.paths.candidate.exists()
    assert not list(mini.settings.paths.releases.glob(".next-*"))


def _wait_for_step(
    journals: Path, known: set[Path], step: str, process: subprocess.Popen[bytes]
) -> None:
    """Until the run's journal says that ``step`` has begun."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for journal in set(journals.glob("*/events.jsonl")) - known:
            if f'"step_started", "step": "{step}"' in journal.read_text("utf-8"):
                return
        assert process.poll() is None, "the run ended before the step began"
        time.sleep(0.002)
    raise AssertionError(f"step {step} never began")
