"""The project's outer files: commands, locks, pins, and what the repository may hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts import check_locks
from tests.project.test_compose import compose_binary

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    *(".ci", "dags", "dbt_project", "docs", "expectations", "scripts", "tests"),
    *(".dockerignore", ".env.example", ".gitattributes", ".gitignore", ".pre-commit-config.yaml"),
    *(".sqlfluff", ".sqlfluffignore", "CHANGELOG.md", "DECISIONS.md", "Dockerfile", "LICENSE"),
    *("Makefile", "README.md", "docker-compose.yml", "pyproject.toml"),
    *check_locks.LOCKS,
}

# Written so that no pattern matches its own line.
FORBIDDEN = {
    "registry host": re.compile(
        r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org|docker[.]io/|ghcr[.]io/"
    ),
    "machine path": re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[\w.]"),
    "private key": re.compile(r"-{5}BEGIN [A-Z ]*PRIVATE KEY"),
    "access key": re.compile(
        r"\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abp]-\w{10,}"
    ),
    "Fernet key": re.compile(r"(?<![\w-])[\w-]{43}=(?![\w=])"),
    "secret in an assignment": re.compile(
        r"(?i)(?:password|passwd|secret|token|api_?key)[\w\"']*\s*[:=]\s*[\"']?[a-f0-9]{24,}"
    ),
}


def project_files() -> list[Path]:
    """Every file that is in the repository, or would be after `git add --all`."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_files() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def copy_shell(folder: Path) -> Path:
    """The outer files alone, in a folder where make can be run without touching this checkout."""
    for name in ("Makefile", "docker-compose.yml", "pyproject.toml", *check_locks.LOCKS):
        shutil.copy(ROOT / name, folder / name)
    (folder / "scripts").mkdir()
    for script in (ROOT / "scripts").glob("*.sh"):
        shutil.copy(script, folder / "scripts")
    return folder


def run_make(
    folder: Path, *arguments: str, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    env = {"PATH": path or os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        [shutil.which("make") or "make", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


def write_program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


# --- what the repository holds --------------------------------------------------------------------


def test_top_level_holds_only_known_entries() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert len(entries) > 15
    assert entries - TOP_LEVEL == set()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), start=1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("registry host", "https://py" + "pi.org/simple"),
        ("machine path", 'open("/ho' + 'me/me/data.csv")'),
        ("private key", "-" * 5 + "BEGIN RSA PRIVATE KEY" + "-" * 5),
        ("access key", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("Fernet key", "key: " + "Ab_-" * 10 + "Abc="),
        ("secret in an assignment", "POSTGRES_PASSWORD=" + "0123abcd" * 4),
    ],
)
def test_the_search_finds(what: str, text: str) -> None:
    assert FORBIDDEN[what].search(text)


@pytest.mark.parametrize("name", [".env", ".venv/bin/python", "var/sample/current", "x.duckdb"])
def test_local_state_is_ignored(name: str) -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", name], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_every_yaml_and_json_file_parses() -> None:
    count = 0
    for path, text in text_files():
        if path.suffix in (".yml", ".yaml"):
            yaml.safe_load(text)
        elif path.suffix == ".json":
            json.loads(text)
        else:
            continue
        count += 1
    assert count > 3


# --- commands -------------------------------------------------------------------------------------


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[0].split()
    assert {"help", "setup", "run", "day", "test", "lint", "up", "clean", "lock"} == set(targets)
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\w+) +\w", shown, flags=re.MULTILINE) == re.findall(
        r"^([a-z]+):", makefile, flags=re.MULTILINE
    )
    assert shown.count("\n") == len(targets)


def test_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = copy_shell(tmp_path)
    old = write_program(
        tmp_path / "python3.9", 'case $1 in -V) echo "Python 3.9.2";; *) exit 1;; esac'
    )
    done = run_make(folder, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Python 3.11 to 3.14 is needed" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (folder / ".venv").exists()


def test_missing_python_is_named(tmp_path: Path) -> None:
    done = run_make(copy_shell(tmp_path), "run", "PYTHON=python3.99")
    assert done.returncode != 0
    assert "python3.99 was not found" in done.stderr


@pytest.mark.parametrize("target", ["setup", "run", "test"])
def test_finished_setup_is_not_repeated(target: str, tmp_path: Path) -> None:
    folder = copy_shell(tmp_path)
    (folder / ".venv").mkdir()
    (folder / ".venv/.installed-dev").touch()
    assert "install.sh" not in run_make(folder, "--dry-run", target).stdout
    newer = (folder / "requirements-dev.lock").stat().st_mtime + 10
    os.utime(folder / "requirements-dev.lock", (newer, newer))
    assert "install.sh requirements-dev.lock" in run_make(folder, "--dry-run", target).stdout


def test_run_alone_needs_the_runtime_set_alone(tmp_path: Path) -> None:
    planned = run_make(copy_shell(tmp_path), "--dry-run", "run").stdout
    assert "install.sh requirements.lock" in planned
    assert "requirements-dev.lock" not in planned


def test_up_says_that_docker_is_missing(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    done = run_make(copy_shell(tmp_path), "up", path=str(tools))
    assert done.returncode != 0
    assert "needs Docker" in done.stderr
    assert "make run" in done.stderr


def test_up_says_what_the_environment_lacks(tmp_path: Path) -> None:
    folder = copy_shell(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    # `docker compose …` is the real Compose; a daemon is never reached
    write_program(tools / "docker", f'shift; exec "{compose_binary()}" "$@"')
    path = f"{tools}:/usr/bin:/bin"
    done = run_make(folder, "up", path=path)
    assert done.returncode != 0
    assert ".env.example" in done.stderr
    (folder / ".env").write_text("POSTGRES_PASSWORD=0\nREDIS_PASSWORD=0\nAIRFLOW_JWT_SECRET=0\n")
    done = run_make(folder, "up", path=path)
    assert done.returncode != 0
    assert re.search(r"AIRFLOW_(FERNET_KEY|API_SECRET_KEY)", done.stderr)


def test_build_server_runs_lint_and_tests() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert "make lint test" in text


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda p: p.name)
def test_shell_script_parses(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_hooks_use_the_projects_own_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {"ruff-check", "ruff-format", "mypy", "sqlfluff"} <= {hook["id"] for hook in hooks}
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


# --- locks and pins -------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", check_locks.LOCKS)
def test_lock_is_exact_hashed_and_free_of_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert check_locks.find_text_faults(lock, text) == []
    assert text.count("==") > 100


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("six==1.17.0\n    # via x\n", "six has no hash"),
        ("six>=1 \\\n    --hash=sha256:00\n", "six has no exact version"),
        ("--find-links https://example.test/wheels\n", "an address"),
        ("six @ file:///srv/six.whl\n", "an address"),
        ("# made by uv -o /srv/x.lock\n", "a machine path"),
        ("# nothing\n", "lists no requirement"),
    ],
)
def test_lock_fault_is_found(text: str, fault: str) -> None:
    assert any(fault in str(found) for found in check_locks.find_text_faults("x.lock", text))


def test_stale_lock_is_found(tmp_path: Path) -> None:
    lock = "requirements.lock"
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = (ROOT / lock).read_text(encoding="utf-8")
    (tmp_path / lock).write_text(f"{text}zzz==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    faults = [str(fault) for fault in check_locks.find_faults(tmp_path, lock)]
    assert len(faults) == 1
    assert "run 'make lock'" in faults[0]
    assert "-zzz==1.0" in faults[0]


def locked_versions(lock: str) -> set[str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return set(re.findall(r"^[a-z0-9-]+==[^\\\n]+", text, flags=re.MULTILINE))


def test_what_is_tested_is_what_runs() -> None:
    runtime = locked_versions("requirements.lock")
    assert runtime - locked_versions("requirements-dev.lock") == set()
    assert runtime - locked_versions("requirements-docker.lock") == set()


def test_every_bound_states_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start, end = lines.index("[project]"), lines.index("[project.scripts]")
    count = 0
    for number in range(start, end):
        if not re.match(r'\s+"[\w.-]+(\[\w+\])?\s*[=<>~!]|^requires-python', lines[number]):
            continue
        count += 1
        commented = lines[number - 1].lstrip().startswith("#") or '", #' in lines[number]
        assert commented, f"pyproject.toml:{number + 1} has no reason: {lines[number].strip()}"
    assert count >= 8


def test_command_line_entry_point_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"marts": "customer_marts.cli:main"}
