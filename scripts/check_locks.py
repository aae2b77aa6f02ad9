"""Compare the lock files with pyproject.toml, or write them anew.

A lock is current when resolving ``pyproject.toml`` again, with the lock's own versions preferred,
gives the lock back byte for byte. ``--write`` replaces the locks; ``--upgrade`` lets every version
move to its newest allowed release. Ends with 1 when a lock is stale or holds what it must not,
with 2 when it cannot be resolved (uv missing, no package index reached, no solution).
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Which extras of pyproject.toml each lock covers, besides the runtime dependencies.
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": ("setup",),
    "requirements-dev.lock": ("setup", "dev"),
    "requirements-docker.lock": ("setup", "celery"),
}

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<rest>.*)$")
_ADDRESS = re.compile(r"[a-z][a-z0-9+]*://|(?:^|[\s=@])(?:/|[A-Za-z]:\\)[\w.]+[/\\]")


class ResolveError(Exception):
    """uv could not resolve; the text is its own explanation."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a lock file. line: 1-based, 0 for the file as a whole."""

    lock: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.lock}:{self.line}" if self.line else self.lock
        return f"{place}: {self.text}"


def find_text_faults(lock: str, text: str) -> list[Fault]:
    """Faults visible in the text alone: no exact version, no hash, an address or a machine path."""
    faults = [
        Fault(lock, number, f"holds an address or a machine path: {line.strip()}")
        for number, line in enumerate(text.splitlines(), start=1)
        if _ADDRESS.search(line)
    ]
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        if not match["rest"].startswith("=="):
            faults.append(Fault(lock, number, f"{match['name']} has no exact version"))
        following = lines[number] if number < len(lines) else ""
        if not following.strip().startswith("--hash=sha256:"):
            faults.append(Fault(lock, number, f"{match['name']} has no hash"))
    if not any(_REQUIREMENT.match(line) for line in lines):
        faults.append(Fault(lock, 0, "lists no requirement"))
    return faults


def resolve(root: Path, lock: str, *, upgrade: bool = False) -> str:
    """The text that the lock should have, starting from the versions it has now.

    Raises ResolveError with uv's explanation. The package index is asked only when what uv has in
    its cache is not enough or disagrees, so that a check of an unchanged lock needs no network.
    """
    current = root / lock
    has_lock = current.is_file() and not upgrade
    if has_lock:
        try:
            text = _compile(root, lock, "--offline")
        except ResolveError:
            pass  # the cache does not hold enough: ask the index
        else:
            if text == current.read_text(encoding="utf-8"):
                return text
    return _compile(root, lock, *(["--upgrade"] if upgrade else []))


def _compile(root: Path, lock: str, *options: str) -> str:
    uv = Path(sys.executable).with_name("uv")
    program = str(uv) if uv.is_file() else shutil.which("uv")
    if program is None:
        raise ResolveError("uv was not found: run 'make setup'")
    with tempfile.TemporaryDirectory(prefix="locks-") as folder:
        output = Path(folder) / lock
        if (root / lock).is_file():
            shutil.copyfile(root / lock, output)
        extras = [part for extra in LOCKS[lock] for part in ("--extra", extra)]
        command = [program, "pip", "compile", "pyproject.toml", *extras]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        command += ["--custom-compile-command", "make lock", "--output-file", str(output), *options]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ResolveError(done.stderr.strip() or f"uv ended with {done.returncode}")
        return output.read_text(encoding="utf-8")


def find_faults(root: Path, lock: str) -> list[Fault]:
    """Everything wrong with one lock file below ``root``; raises ResolveError."""
    path = root / lock
    if not path.is_file():
        return [Fault(lock, 0, "is missing: run 'make lock'")]
    text = path.read_text(encoding="utf-8")
    faults = find_text_faults(lock, text)
    expected = resolve(root, lock)
    if expected != text:
        changes = [
            line
            for line in difflib.unified_diff(text.splitlines(), expected.splitlines(), n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---") and "--hash" not in line
        ]
        shown = "".join(f"\n    {line}" for line in changes[:10]) or " (hashes differ)"
        faults.append(Fault(lock, 0, f"does not match pyproject.toml: run 'make lock'{shown}"))
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Command line: check (the default) or ``--write``."""
    parser = argparse.ArgumentParser(description="Check the lock files, or write them anew.")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of pyproject.toml")
    parser.add_argument("--write", action="store_true", help="replace the lock files")
    parser.add_argument("--upgrade", action="store_true", help="with --write: newest versions")
    options = parser.parse_args(arguments)
    faults: list[Fault] = []
    for lock in LOCKS:
        try:
            if options.write:
                text = resolve(options.root, lock, upgrade=options.upgrade)
                (options.root / lock).write_text(text, encoding="utf-8")
                print(f"{lock}: {sum('==' in line for line in text.splitlines())} requirements")
                faults += find_text_faults(lock, text)
            else:
                faults += find_faults(options.root, lock)
        except ResolveError as error:
            print(f"{lock}: cannot be resolved\n{error}", file=sys.stderr)
            return 2
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
