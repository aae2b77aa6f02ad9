"""A candidate on its way to the readers: published once, refused, overtaken, killed, taken back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
import yaml

from customer_marts import pipeline, planning, releases
from customer_marts.errors import Busy, ConfigurationError, GateFailure
from customer_marts.locks import writer_lock
from customer_marts.settings import EXPECTATIONS_DIR, PROJECT_ROOT
from customer_marts.warehouse import MARTS_STORAGE_VERSION
from tests.mini import MiniCompany
from tests.runs import published, query, refresh, tables

RUN = "waiting"


def with_candidate(mini: MiniCompany, run_id: str) -> pipeline.Run:
    """A run that has pulled, passed gate one and built its candidate."""
    run = pipeline.open_run(mini.settings, run_id)
    for feed in mini.company.feeds:
        pipeline.pull(run, feed)
    pipeline.gate_landing(run, mini.company.feeds)
    assert pipeline.build_candidate(run) is not None
    return run


@pytest.fixture(scope="module")
def with_waiting_candidate(first_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a company with a release and a candidate with one order more, which has passed
    gate two.
    """
    root = tmp_path_factory.mktemp("waiting") / "company"
    shutil.copytree(first_release, root, symlinks=True)
    company = MiniCompany.reopen(root)
    company.add_order("O3", at="2026-02-03 09:00:00")
    pipeline.gate_candidate(with_candidate(company, RUN))
    return root


@pytest.fixture
def mini(with_waiting_candidate: Path, tmp_path: Path) -> MiniCompany:
    root = tmp_path / "company"
    shutil.copytree(with_waiting_candidate, root, symlinks=True)
    return MiniCompany.reopen(root)


@pytest.fixture
def first(mini: MiniCompany) -> releases.Release:
    release = releases.current_release(mini.settings.paths)
    assert release is not None
    return release


def test_a_publish_that_is_run_again_is_no_second_release(
    mini: MiniCompany, first: releases.Release
) -> None:
    run = pipeline.open_run(mini.settings, RUN)
    release = pipeline.publish(run)
    assert pipeline.publish(run).release_id == release.release_id
    assert len(releases.all_releases(mini.settings.paths)) == 2


def test_gate_two_refuses_a_candidate_and_names_the_rule(
    mini: MiniCompany, first: releases.Release
) -> None:
    """Corrupt a built candidate: the suites stop it, readers keep the last release."""
    run = pipeline.open_run(mini.settings, RUN)
    with duckdb.connect(str(run.candidate / "marts.duckdb")) as connection:
        connection.execute("insert into dim_customers select * from dim_customers")
    with pytest.raises(GateFailure, match="dim_customers"):
        pipeline.gate_candidate(run)
    assert run.candidate.exists()
    current = releases.current_release(mini.settings.paths)
    assert current is not None
    assert current.release_id == first.release_id


def test_gate_two_demands_a_suite_of_every_mart_and_a_mart_of_every_suite(
    mini: MiniCompany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites = tmp_path / "expectations" / "marts"
    shutil.copytree(EXPECTATIONS_DIR / "marts", suites)
    (suites / "fct_orders.json").rename(suites / "fct_sales.json")
    monkeypatch.setattr(pipeline, "EXPECTATIONS_DIR", suites.parent)
    with pytest.raises(ConfigurationError) as caught:
        pipeline.gate_candidate(pipeline.open_run(mini.settings, RUN))
    assert "fct_orders has none" in caught.value.what
    assert "no mart for fct_sales.json" in caught.value.what


def test_an_overtaken_candidate_is_not_published(
    mini: MiniCompany, first: releases.Release
) -> None:
    slow = pipeline.open_run(mini.settings, RUN)
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
    pipeline.publish(pipeline.open_run(mini.settings, RUN))
    mini.add_order("O4", at="2026-02-04 09:00:00")
    run = with_candidate(mini, "later")
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
    second = pipeline.publish(pipeline.open_run(mini.settings, RUN))
    before, after = releases.rollback(mini.settings)
    assert (before.release_id, after.release_id) == (second.release_id, first.release_id)
    third = published(mini)
    assert third.sequence == second.sequence + 1
    assert third.manifest["parent_release_id"] == first.release_id
    assert tables(third) == tables(second)
    with pytest.raises(ConfigurationError, match="no earlier release 'r99'"):
        releases.rollback(mini.settings, "r99")


def test_readers_get_the_file_that_gate_two_read(
    mini: MiniCompany, first: releases.Release
) -> None:
    run = pipeline.open_run(mini.settings, RUN)
    gated = (run.candidate / "marts.duckdb").stat().st_ino
    second = pipeline.publish(run)
    assert second.marts.stat().st_ino == gated
    with duckdb.connect(str(second.marts), read_only=True) as reader:
        told = (
            "select tags['storage_version'] from duckdb_databases() where database_name = 'marts'"
        )
        assert reader.execute(told).fetchall() == [(f"{MARTS_STORAGE_VERSION}+",)]
    # the day's build went on from a copy
    was = first.manifest["files"]["marts.duckdb"]["sha256"]
    assert hashlib.sha256(first.marts.read_bytes()).hexdigest() == was


def test_no_candidate_goes_on_from_marts_that_a_reader_wrote_into(
    mini: MiniCompany, first: releases.Release
) -> None:
    right = tables(pipeline.publish(pipeline.open_run(mini.settings, RUN)))
    assert refresh(mini) is None
    link = mini.settings.paths.current / "marts.duckdb"
    with duckdb.connect(str(link.resolve())) as reader:
        reader.execute("update fct_orders set gross_amount = 0")
    planned = planning.plan(pipeline.open_run(mini.settings))
    assert planned is not None
    assert planned.reason == "somebody wrote into the last release's marts"
    assert tables(published(mini)) == right


def test_readers_of_an_open_release_are_not_disturbed(
    mini: MiniCompany, first: releases.Release
) -> None:
    link = mini.settings.paths.current / "marts.duckdb"
    with duckdb.connect(str(link.resolve()), read_only=True) as reader:
        pipeline.publish(pipeline.open_run(mini.settings, RUN))
        assert reader.execute("select count(*) from fct_orders").fetchall() == [(2,)]
    with duckdb.connect(str(link.resolve()), read_only=True) as reader:
        assert reader.execute("select count(*) from fct_orders").fetchall() == [(3,)]


PUBLISH = f"""
from customer_marts import pipeline
from customer_marts.settings import Settings
pipeline.publish(pipeline.open_run(Settings.load(), "{RUN}"))
"""


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("build marts (dbt)", ["-m", "customer_marts.cli", "run"]),
        # from the candidate that has passed gate two on
        ("publish", ["-c", PUBLISH]),
    ],
)
def test_a_run_killed_in_a_step_leaves_the_old_release_and_the_rerun_converges(
    mini: MiniCompany, first: releases.Release, step: str, command: list[str]
) -> None:
    journals = mini.settings.paths.runs
    begun = _times_begun(journals, step)
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **mini.environment, "PYTHONPATH": str(PROJECT_ROOT / "dags")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_step(journals, step, begun, process)
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


def _times_begun(journals: Path, step: str) -> int:
    return sum(
        file.read_text("utf-8").count(f'"step_started", "step": "{step}"')
        for file in journals.glob("*/events.jsonl")
    )


def _wait_for_step(
    journals: Path, step: str, before: int, process: subprocess.Popen[bytes]
) -> None:
    """Until a journal says that ``step`` has begun once more than ``before``."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if _times_begun(journals, step) > before:
            return
        assert process.poll() is None, "the run ended before the step began"
        time.sleep(0.002)
    raise AssertionError(f"step {step} never began")


# --- a company file put right ------------------------------------------------------------------


def misread(company: MiniCompany) -> None:
    feeds = company.mapping["feeds"]
    feeds["customers"]["columns"]["credit_limit"] = {"column": "credit_limit", "unit": "万元"}
    feeds["orders"]["columns"]["status"]["values"]["已完成"] = "cancelled"
    feeds["invoices"]["columns"]["due_on"] = {"column": "due_date", "format": "%Y-%d-%m"}
    feeds["payments"]["columns"]["amount"] = {"column": "金额", "unit": "千元"}
    company.save_mapping()


def test_a_corrected_company_file_gives_the_marts_of_one_that_was_right_from_the_start(
    released: MiniCompany,
) -> None:
    """Database and files alike: what landed under the wrong units, codes and formats is read anew
    and stands nowhere.
    """
    reference = releases.current_release(released.settings.paths)
    assert reference is not None
    expected = tables(reference)
    shutil.rmtree(released.settings.paths.root)
    right = released.mapping
    released.mapping = yaml.safe_load(yaml.safe_dump(right))
    misread(released)
    wrong = pipeline.open_run(released.settings)
    for feed in released.company.feeds:
        pipeline.pull(wrong, feed)
    pipeline.gate_landing(wrong, released.company.feeds)

    released.mapping = right
    released.save_mapping()
    release = published(released)
    read_twice = {feed for feed, ids in release.manifest["batches"].items() if len(ids) == 2}
    assert read_twice == {"customers", "orders", "invoices", "payments"}
    assert tables(release) == expected


def test_a_pull_that_comes_after_the_rebuild_of_a_changed_file_rebuilds_once_more(
    released: MiniCompany,
) -> None:
    current = releases.current_release(released.settings.paths)
    assert current is not None
    misread(released)
    # as released while the sources could not be reached
    manifest = {**current.manifest, "code_version": planning.code_version(released.settings)}
    (current.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    run = pipeline.open_run(released.settings)
    assert planning.plan(run) is None
    for feed in ("payments", "customers"):
        assert pipeline.pull(run, feed) is not None
    pipeline.gate_landing(run, released.company.feeds)
    planned = planning.plan(run)
    assert planned is not None
    assert planned.start_empty
    assert planned.reason == "read anew as the company file now says: customers, payments"


WITHOUT_A_LOG = """
import sys
from pathlib import Path
from customer_marts import transform
from customer_marts.errors import MartsError
from customer_marts.settings import Settings
import duckdb
database = Path(sys.argv[1])
with duckdb.connect(str(database)) as connection:
    connection.execute("create schema landing")
    connection.execute(
        "create table landing.run_context as select date '2026-01-31' as as_of, "
        "null::date as parent_as_of, 'CNY' as reporting_currency, true as is_rebuild, "
        "1 as release_sequence"
    )
try:
    transform.build(Settings.load(), database, database.parent, full_refresh=True, areas=["core"])
except MartsError as error:
    print("told:", error.what)
"""


def test_a_log_that_cannot_be_written_ends_no_build(tmp_path: Path) -> None:
    """The incident: on a full disk the run waited for ever, and held the lock. Here every model
    fails, for nothing has landed, and nothing can be written to the log.
    """
    (tmp_path / "dbt.log").symlink_to("/dev/full")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_LOG, str(tmp_path / "build.duckdb")],
        env={**os.environ, "MARTS_HOME": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "told: " in done.stdout, done.stderr
    assert "dbt nodes broke" in done.stdout
