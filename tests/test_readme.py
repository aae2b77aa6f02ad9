"""What the README tells a newcomer to type works, and what it says comes out does come out."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import duckdb
import pytest

from customer_marts.settings import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for kind, text in fenced if kind == language]


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


def call(command: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a README command as a shell would, in the checkout, with its state elsewhere."""
    return subprocess.run(
        command,
        shell=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, "MARTS_HOME": str(home), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def first_run(home: Path) -> str:
    """`make run`: the main job, by a real Airflow."""
    done = call("make run", home)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_command_is_one_this_file_runs() -> None:
    others = [line for line in commands() if not line.startswith(".venv/bin/marts ")]
    assert others == [
        "make run",
        "make test",
        "MARTS_COMPANY=olist OLIST_DATA=/data/olist .venv/bin/marts run",
    ]
    # `make test` is what runs this: the build server's script calls it
    assert "make lint test" in (PROJECT_ROOT / ".ci" / "run").read_text()


def test_make_run_prints_what_the_readme_shows(first_run: str) -> None:
    shown = next(block for block in blocks("") if "airflow db migrate" in block)
    steps = re.findall(r"^  ✓ (.+?)  ", shown, flags=re.MULTILINE)
    assert len(steps) >= 8
    for step in steps:
        assert f"✓ {step} " in first_run, step
    for part in ("Release r00001-20260630 published", "Quarantine", "report.html", "Done in"):
        assert part in first_run


def test_the_tables_the_readme_lists_are_the_release(first_run: str, home: Path) -> None:
    manifest = json.loads((home / "sample/current/manifest.json").read_text("utf-8"))
    part = README.split("## What comes out")[1].split("## Two commands")[0]
    assert set(re.findall(r"`([a-z0-9_]+)`", part)) == set(manifest["rows"])


def test_the_query_answers(first_run: str, home: Path) -> None:
    [query] = blocks("sql")
    with duckdb.connect(str(home / "sample/current/marts.duckdb"), read_only=True) as connection:
        rows = connection.execute(query).fetchall()
    assert len(rows) == 10
    assert all(row[4] > 0 for row in rows)


def test_nothing_new_then_one_more_day_then_back(first_run: str, home: Path) -> None:
    again = call("make run", home)
    assert again.returncode == 0, again.stdout[-2000:]
    assert "Nothing new since release r00001-20260630" in again.stdout
    day = call("make day", home)
    assert day.returncode == 0, day.stdout[-2000:]
    assert "increment as of 2026-07-01" in day.stdout
    listed = json.loads(call(".venv/bin/marts quarantine list --json", home).stdout)
    rows = {row["rule"]: row["quarantine_id"] for row in listed if row["feed"] == "payments"}
    # what the README's examples stand for
    meant = {
        "4f1c09ab2e": rows["method_known"],
        "9b07d2c1e4": rows["amount_in_range"],
        "/tmp/faults.csv": str(home / "faults.csv"),
        "/tmp/then.duckdb": str(home / "then.duckdb"),
        "/tmp/card.html": str(home / "card.html"),
    }
    outputs = {}
    for command in commands():
        if command.startswith(".venv/bin/marts"):
            typed = command
            for example, real in meant.items():
                typed = typed.replace(example, real)
            done = call(typed, home)
            assert done.returncode == 0, command + done.stdout + done.stderr
            assert done.stderr == ""
            outputs[command.removeprefix(".venv/bin/marts ")] = done.stdout
    assert "r00002-20260701" in outputs["status"]
    assert "* r00002-20260701" in outputs["releases"]
    assert "method_known" in outputs["quarantine list"]
    assert "payments" in outputs["quarantine replay"]
    assert "readers now see r00001-20260630" in outputs["rollback"]
    [recomputed] = [out for command, out in outputs.items() if command.startswith("recompute")]
    assert "equal to that release, row for row" in recomputed


def test_the_dags_the_readme_lists_are_the_dags() -> None:
    part = README.split("| DAG | schedule |")[1].split("Every DAG")[0]
    named = re.findall(r"`((?:[a-z]+_)+[a-z]+)`", "\n".join(
        line.split("|")[1] for line in part.splitlines() if line.count("|") > 2
    ))  # fmt: skip
    files = {file.stem for file in (PROJECT_ROOT / "dags").glob("*.py")} - {"marts_tasks"}
    assert set(named) == files


def test_the_other_company(home: Path) -> None:
    data = Path(os.environ.get("OLIST_DATA") or PROJECT_ROOT / "../shared/data/olist")
    if not data.is_dir():
        pytest.skip(f"the Olist files are not at {data} (set OLIST_DATA)")
    command = next(line for line in commands() if "olist" in line)
    done = call(command.replace("/data/olist", str(data.resolve())), home)
    assert done.returncode == 0, done.stderr
    assert "Release r00001-20181022 published" in done.stdout
