"""What a build asks of the machine before dbt runs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from customer_marts.transform import RELEASES_PER_VACUUM, block_memory, vacuum_tasks

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


@pytest.mark.parametrize(
    ("sequence", "is_smaller"), [(RELEASES_PER_VACUUM, True), (RELEASES_PER_VACUUM + 1, False)]
)
def test_every_seventh_release_is_rid_of_what_increments_deleted(
    tmp_path: Path, sequence: int, is_smaller: bool
) -> None:
    """Of a hundred rows in each of ten row groups one is left; row groups merge, or stay."""
    file = tmp_path / "build.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table facts as from range(1_228_800) as t(i)")
    config = {"max_vacuum_tasks": vacuum_tasks(sequence)}
    with duckdb.connect(str(file), config=config) as connection:
        connection.execute("delete from facts where i % 100 > 0")
    with duckdb.connect(str(file), read_only=True) as connection:
        [(groups,)] = connection.execute(
            "select count(distinct row_group_id) from pragma_storage_info('facts')"
        ).fetchall()
    assert (groups < 10) == is_smaller
