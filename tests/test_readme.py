"""What the README says is so. What it tells a newcomer to type is typed in the tests of the sample
company and of Olist.
"""

from __future__ import annotations

import re

from customer_marts.settings import PROJECT_ROOT
from tests.readme import README, commands


def test_every_command_is_one_that_a_test_types() -> None:
    others = [line for line in commands() if not line.startswith(".venv/bin/marts ")]
    assert others == [
        "make run",
        "make test",
        "MARTS_COMPANY=olist OLIST_DATA=/data/olist .venv/bin/marts run",
    ]
    # `make test` is what runs this: the build server's script calls it
    assert "make lint test" in (PROJECT_ROOT / ".ci" / "run").read_text()


def test_the_dags_the_readme_lists_are_the_dags() -> None:
    part = README.split("| DAG | schedule |")[1].split("Every DAG")[0]
    named = re.findall(r"`((?:[a-z]+_)+[a-z]+)`", "\n".join(
        line.split("|")[1] for line in part.splitlines() if line.count("|") > 2
    ))  # fmt: skip
    files = {file.stem for file in (PROJECT_ROOT / "dags").glob("*.py")} - {"marts_tasks"}
    assert set(named) == files
