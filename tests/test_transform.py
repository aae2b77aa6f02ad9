"""What a build asks of the machine before dbt runs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import duckdb
import pytest

from customer_marts.transform import block_memory

HALF = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


@pytest.mark.parametrize(
    ("limit", "taken"),
    [("300MB", "150MB"), ("0.1 GiB", "53MB"), ("90000GB", f"{HALF // 10**6}MB")],
)
def test_blocks_take_half_of_the_limit_but_no_more_than_half_of_the_machine(
    limit: str, taken: str
) -> None:
    assert block_memory(limit) == taken
    with duckdb.connect(config={"block_allocator_memory": taken}) as connection:
        [(said,)] = connection.execute(
            "select current_setting('block_allocator_memory')"
        ).fetchall()
    assert said != "0 bytes"


def test_blocks_take_nothing_that_the_machine_does_not_give() -> None:
    narrow = 1 << 30

    def limit_addresses() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (narrow, narrow))

    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from customer_marts.transform import block_memory; print(block_memory('2GB'))",
        ],
        preexec_fn=limit_addresses,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert said.stdout == "0MB\n"
