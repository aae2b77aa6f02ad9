"""The README's commands and blocks, and a way to type them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from customer_marts.settings import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for kind, text in fenced if kind == language]


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in _lines(block)]


def approval_commands() -> list[str]:
    """Those for a candidate that waits: look, approve, run."""
    [block] = [block for block in blocks("sh") if "marts approve" in block]
    return _lines(block)


def _lines(block: str) -> list[str]:
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
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
