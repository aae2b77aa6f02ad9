"""The command line: plain messages, exit codes that scripts can trust, no traceback."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from customer_marts import releases
from customer_marts.cli import marts
from customer_marts.commands.options import plain_errors
from customer_marts.display import Display
from tests.mini import MiniCompany


def call(mini: MiniCompany, arguments: Sequence[str]) -> Result:
    return CliRunner().invoke(marts, list(arguments), env=mini.environment)


def test_before_the_first_run_there_is_no_release(mini: MiniCompany) -> None:
    assert "no release yet" in call(mini, ["status"]).output


def test_a_customer_s_card(first_full_release: Path, tmp_path: Path) -> None:
    company = MiniCompany.reopen(first_full_release)
    file = tmp_path / "card.html"
    done = call(company, ["card", "C1", "--to", str(file)])
    assert done.exit_code == 0, done.output
    page = file.read_text("utf-8")
    assert "C1 · " in page
    # a label of the data dictionary, a dated block, a month, a status, codes in words
    for part in ("未收金额", "2026-01-20", "2026-01</th>", "Available", "大型", "现货"):
        assert part in page, part
    nobody = call(company, ["card", "C"])
    assert nobody.exit_code == 2
    for part in ("the release has no customer 'C'", "C1", "C2"):
        assert part in nobody.output + (nobody.stderr or "")
    assert not list(tmp_path.glob("card-*"))


def test_a_card_of_a_release_without_its_marts(released: MiniCompany, tmp_path: Path) -> None:
    file = tmp_path / "card.html"
    done = call(released, ["card", "C1", "--to", str(file)])
    assert done.exit_code == 2
    assert "add management to areas in the company file" in done.output
    assert not file.exists()


def test_proposals_of_a_release_with_and_without_their_mart(released: MiniCompany) -> None:
    done = call(released, ["identity", "proposals"])
    assert done.exit_code == 0, done.output
    assert "0 of 0 proposals, release r00001-20260120" in done.output
    file = released.settings.paths.current / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    del manifest["rows"]["identity_proposals"]
    file.write_text(json.dumps(manifest), "utf-8")
    done = call(released, ["identity", "proposals"])
    assert done.exit_code == 2
    assert "add core to areas in the company file" in done.output


def test_a_run_what_it_says_of_itself_and_back(released: MiniCompany) -> None:
    mini = released
    mini.add_order("O9", "C9", at="2026-01-21 08:00:00")
    at = "2026-01-21 11:00:00"
    faulty = mini.payment("B3", at=at, method="微信红包")
    mini.write_bank("2026-01-21", [mini.payment("B2", at=at), faulty])
    second = call(mini, ["run"])
    assert second.exit_code == 0, second.output
    for part in ("Release r00002-20260121 published", "fct_orders", "method_known", "report.html"):
        assert part in second.output
    again = call(mini, ["run"])
    assert again.exit_code == 0
    assert "Nothing new since release r00002-20260121" in again.output

    facts = json.loads(call(mini, ["status", "--json"]).output)
    assert facts["release_id"] == "r00002-20260121"
    assert facts["rows_quarantined"] == 3  # the method, the orphan order and its line
    assert facts["batches_waiting"] == {}

    listed = call(mini, ["quarantine", "list", "--feed", "payments"]).output
    assert "method_known" in listed
    assert "微信红包" in listed
    rows = json.loads(call(mini, ["quarantine", "list", "--json"]).output)
    assert {row["rule"] for row in rows} == {"method_known", "unknown_customer", "unknown_order"}

    rolled = call(mini, ["rollback"])
    assert "readers now see r00001-20260120 (was r00002-20260121)" in rolled.output
    marked = call(mini, ["releases"]).output
    assert "* r00001-20260120" in marked
    assert "  r00002-20260121" in marked
    assert [row["is_current"] for row in json.loads(call(mini, ["releases", "--json"]).output)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--company", "nobody"], 2, "there is no company 'nobody'"),
        (["run", "--as-of", "yesterday"], 2, "does not match the format"),
        (["run", "--as-of", "2962-01-01"], 2, "is in the future"),
        (["rollback"], 2, "there is no release to roll back"),
        (["fly"], 2, "No such command"),
    ],
)
def test_a_mistake_is_a_message(
    mini: MiniCompany, arguments: list[str], code: int, message: str
) -> None:
    result = call(mini, arguments)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_source_that_is_down_exits_with_3(mini: MiniCompany) -> None:
    mini.erp.unlink()
    result = call(mini, ["run"])
    assert result.exit_code == 3
    assert "the database file does not exist" in result.output
    assert "to do:" in result.output


def test_refused_data_exit_with_1(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")], trailer="")
    result = call(mini, ["run"])
    assert result.exit_code == 1
    assert "truncated" in result.output


def test_a_run_without_one_feed_tells_what_came_and_what_did_not(released: MiniCompany) -> None:
    released.add_invoice("F3", "O1", on="2026-01-21")
    released.write_bank("2026-01-21", [released.payment("B2")], trailer="")
    result = call(released, ["run"])
    assert result.exit_code == 1
    summary, _, failures = result.output.partition("marts: not everything went well:")
    assert "published, as of" in summary
    assert "truncated" in failures
    assert "kept:  release r00002-" in failures
    said = call(released, ["status"]).output
    assert re.search(r"failed +2026-01-20 +payments +.*truncated", said)


def test_a_full_disk_is_a_message() -> None:
    """Also where DuckDB finds it, whose error is none of the system's."""

    @click.command()
    @plain_errors
    def write() -> None:
        duckdb.sql("copy (from range(100000)) to '/dev/full' (format csv, use_tmp_file false)")

    result = CliRunner().invoke(write)
    assert result.exit_code == 3
    assert "No space left on device" in result.output
    assert "to do: check the rights and the space at MARTS_HOME" in result.output


def test_a_reader_that_has_seen_enough_is_no_fault(mini: MiniCompany) -> None:
    """``marts status | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "customer_marts.cli", "status"],
        env={**os.environ, **mini.environment},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_summary_names_every_warning(released: MiniCompany) -> None:
    release = releases.current_release(released.settings.paths)
    assert release is not None
    suite = {"expectation": "x", "column": "contract_id", "severity": "warning"}
    [orders] = [line for line in release.manifest["gates"] if line["table"] == "orders"][:1]
    orders["failed"] = [{**suite, "rule": "contract_id_present", "message": "no contract; 3 rows"}]
    text = summary_of(release)
    assert re.search(r"1 landing suites +passed +\d+ checks, 1 warning\n", text)
    assert "    orders: contract_id_present: no contract; 3 rows\n" in text
    orders["failed"] *= 2
    assert "checks, 2 warnings\n" in summary_of(release)


def summary_of(release: releases.Release) -> str:
    stream = io.StringIO()
    Display(Console(file=stream, width=140)).summary(release, release.folder)
    return stream.getvalue()
