"""Time the reading of one large bank file beside the bare limit of decoding and parsing it.

    python scripts/bench_files.py [--rows 2000000] [--encoding gb18030] [--quoted] [--keep DIR]

Makes a file of ten columns with a trailer, and prints, for each way of reading it (each run is a
process of its own): seconds, megabytes of the file a second, and peak memory. "connector" is
extract_files, which also hashes the file, checks quotes, rows, characters and the trailer, numbers
the records and writes raw.parquet; "bare" only decodes the file with Python's codec and parses the
copy with DuckDB's read_csv, without rejects.
"""

from __future__ import annotations

import argparse
import codecs
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

COLUMNS = "流水号,交易时间,客户编码,付款方名称,金额,币种,结算方式,业务类型,参考号,更新时间"
PAYERS = (
    "华能电厂",
    "宝山钢铁股份有限公司",
    "中原煤炭石油物资公司",
    "郑州第二热电厂",
    "大唐国际发电",
)


def main() -> int:
    """Make the file, time each way of reading it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--encoding", default="gb18030", choices=["gb18030", "gbk", "utf-8"])
    parser.add_argument("--quoted", action="store_true", help="put every text in quotes")
    parser.add_argument("--keep", type=Path, help="keep the file in this folder")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="marts-bench-files-"))
    name = f"bank_{arguments.rows}_{arguments.encoding}{'_quoted' * arguments.quoted}.csv"
    file = folder.absolute() / name
    if arguments.one:
        print(WAYS[arguments.one](file, arguments.encoding))
        return 0
    try:
        _measure(file, arguments)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measure(file: Path, arguments: argparse.Namespace) -> None:
    console = Console(highlight=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        console.print(f"making a file of {arguments.rows:,} rows …")
        _make(file, arguments.rows, arguments.encoding, arguments.quoted)
    size = file.stat().st_size / 1e6
    table = Table(title=f"{file.name}: {size:,.0f} MB", box=None, pad_edge=False, padding=(0, 2))
    for heading in ("way", "seconds", "CPU seconds", "MB/s", "peak memory MB"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    seconds = {}
    for way in WAYS:
        seconds[way], usage = _run(way, file, arguments)
        cpu = usage.ru_utime + usage.ru_stime
        table.add_row(
            way,
            f"{seconds[way]:.2f}",
            f"{cpu:.2f}",
            f"{size / seconds[way]:,.0f}",
            f"{usage.ru_maxrss / 1024:,.0f}",
        )
    console.print(table)
    console.print(f"connector to bare: {seconds['connector'] / seconds['bare']:.2f}")
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )


def _run(
    way: str, file: Path, arguments: argparse.Namespace
) -> tuple[float, resource.struct_rusage]:
    """Seconds of the reading alone, imports left out; and what its process used in all."""
    command = [sys.executable, __file__, "--one", way, "--keep", str(file.parent)]
    command += ["--rows", str(arguments.rows), "--encoding", arguments.encoding]
    command += ["--quoted"] * arguments.quoted
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{way} failed")
    return float(answer), usage


def _make(file: Path, rows: int, encoding: str, quoted: bool) -> None:
    choose = random.Random(1)
    separator = '","' if quoted else ","
    edge = '"' if quoted else ""
    total = 0
    with file.open("w", encoding=encoding, newline="") as out:
        out.write(f"{COLUMNS}\r\n")
        for number in range(rows):
            cents = choose.randrange(100, 10**9)
            total += cents
            day = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}"
            at = f"{day} {number % 24:02d}:{number % 60:02d}:00"
            fields = (
                f"B{number:09d}",
                at,
                f"C{choose.randrange(20_000):05d}",
                f"{PAYERS[number % 5]}{number % 1000}",
                f"{cents // 100}.{cents % 100:02d}",
                "CNY",
                "转账" if number % 3 else "银行承兑汇票",
                "收款",
                f"FP{choose.randrange(10**8):08d}",
                at,
            )
            out.write(f"{edge}{separator.join(fields)}{edge}\r\n")
        out.write(f"合计,{rows},{total // 100}.{total % 100:02d}\r\n")


def _connector(file: Path, encoding: str) -> float:
    import numpy as np  # noqa: F401
    import pyarrow.csv  # noqa: F401

    from customer_marts.feeds import FeedMapping, FilesSource
    from customer_marts.settings import Settings
    from customer_marts.sources.extract import Watermark
    from customer_marts.sources.files import extract_files

    names = COLUMNS.split(",")
    contract = (
        *("payment_id", "received_at", "customer_id", "reference", "amount"),
        *("currency", "method", "kind", "bill_no", "updated_at"),
    )
    mapping = FeedMapping.model_validate(
        {
            "source": "bank",
            "table": "movements",
            "columns": dict(zip(contract, names, strict=True)),
        }
    )
    trailer = {"marker": "合计", "amount_field": 3, "amount_column": "金额"}
    source = FilesSource.model_validate(
        {
            "kind": "files",
            "folder": str(file.parent),
            "encoding": encoding,
            "tables": {"movements": {"path": file.name, "trailer": trailer}},
        }
    )
    work = Path(tempfile.mkdtemp(dir=file.parent))
    start = time.perf_counter()
    extract = extract_files(
        Settings.load(), "payments", mapping, source, Watermark(), work, datetime.now(UTC)
    )
    seconds = time.perf_counter() - start
    assert extract is not None
    assert not extract.rejects
    shutil.rmtree(work)
    return seconds


def _bare(file: Path, encoding: str) -> float:
    import duckdb

    copy = file.with_suffix(".utf8.csv")
    start = time.perf_counter()
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.open("rb") as stream, copy.open("wb") as out:
        while block := stream.read(4 << 20):
            out.write(decoder.decode(block).encode())
    columns = ", ".join(f"'{name}': 'varchar'" for name in COLUMNS.split(","))
    with duckdb.connect() as connection:
        connection.execute(
            f"create table t as select * from read_csv('{copy}', columns = {{{columns}}}, "
            "auto_detect = false, header = true, quote = '\"', ignore_errors = true)"
        )
    seconds = time.perf_counter() - start
    copy.unlink()
    return seconds


WAYS = {"connector": _connector, "bare": _bare}

if __name__ == "__main__":
    sys.exit(main())
