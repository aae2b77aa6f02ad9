"""Writing the sources: databases, the bank's files, the monthly files, the survey's answers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scripts.company.bank import BankRows
from scripts.company.facts import BANK_HEADER, Table
from scripts.company.world import CURRENCIES, day_date


class NewDatabase:
    """A new SQLite file, filled by ADBC's bulk ingest in one transaction; indexes come last.

    A thread writes one table while the next rows are made; at most one table waits.
    """

    def __init__(self, path: Path, tables: dict[str, Table]) -> None:
        import adbc_driver_sqlite.dbapi as adbc

        self._tables = tables
        self._connection = adbc.connect(str(path), autocommit=True)
        self._cursor = self._connection.cursor()
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        # Nothing reads the file before it is complete and renamed: no journal is needed.
        for pragma in ("page_size = 16384", "journal_mode = off", "synchronous = off",
                       "locking_mode = exclusive", "cache_size = -65536"):  # fmt: skip
            self._cursor.execute(f"pragma {pragma}")
            self._cursor.fetchall()
        self._connection.adbc_connection.set_autocommit(False)
        for table in tables.values():
            self._cursor.execute(table.create_sql)

    def append(self, name: str, rows: Any) -> None:
        """Add rows to a table."""
        self._wait()
        if rows.num_rows:
            self._writing = self._writer.submit(self._ingest, name, rows)

    def remove(self, name: str, keys: list[str]) -> None:
        """Nothing: what is removed by the day was never written."""

    def _ingest(self, name: str, rows: Any) -> None:
        self._cursor.adbc_ingest(name, rows.to_reader(), mode="append")

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        """Create the indexes, commit, close."""
        self._wait()
        self._writer.shutdown()
        for table in self._tables.values():
            for column in table.indexes:
                self._cursor.execute(
                    f"create index {table.name}_by_{column} on {table.name} ({column})"
                )
        # The DB-API connection was opened with autocommit, where its own commit() does nothing.
        self._connection.adbc_connection.commit()
        self._cursor.close()
        self._connection.close()


class DatabaseUpdate:
    """An existing SQLite file: changed keys are replaced in one ordinary transaction."""

    def __init__(self, path: Path, tables: dict[str, Table]) -> None:
        self._tables = tables
        self._connection = sqlite3.connect(path)

    def append(self, name: str, rows: Any) -> None:
        """Replace the rows of these keys, or add them."""
        table = self._tables[name]
        data = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        places = [list(table.columns).index(column) for column in table.key]
        keys = [tuple(row[place] for place in places) for row in data]
        match = " and ".join(f"{column} = ?" for column in table.key)
        marks = ", ".join("?" * len(table.columns))
        self._connection.executemany(f"delete from {name} where {match}", keys)
        self._connection.executemany(f"insert into {name} values ({marks})", data)

    def remove(self, name: str, keys: list[str]) -> None:
        """Delete the rows of these keys of one column."""
        column = self._tables[name].key[0]
        self._connection.executemany(
            f"delete from {name} where {column} = ?", [(key,) for key in keys]
        )

    def close(self) -> None:
        """Commit and close."""
        self._connection.commit()
        self._connection.close()


class BankFolder:
    """The bank's files of some days, one an account; chunks append, `close` completes them.

    The account in yuan is `bank_2026-06-30.csv`, another `bank_2026-06-30_USD.csv`. A file is
    complete when an empty file of its name and `.done` lies beside it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._totals: dict[tuple[int, int], tuple[int, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, rows: BankRows) -> None:
        """Append lines to their files; `rows` are in the order of days and accounts."""
        if not len(rows.day):
            return
        file_of_row = rows.day * len(CURRENCIES) + rows.currency
        heads = np.flatnonzero(np.diff(file_of_row, prepend=-1))
        for head, stop in zip(heads, np.append(heads[1:], len(rows.day)), strict=True):
            file = int(rows.day[head]), int(rows.currency[head])
            count, total = self._totals.get(file, (0, 0))
            lines = rows.text[head:stop] if count else [BANK_HEADER, *rows.text[head:stop]]
            self._write(file, lines)
            self._totals[file] = (count + stop - head, total + int(rows.amount[head:stop].sum()))

    def close(self) -> None:
        """Write the trailer of every file, the count of its rows and the sum of their amounts,
        and then its `.done`.
        """
        for file, (count, total) in self._totals.items():
            sign = "-" if total < 0 else ""
            text = f"{sign}{abs(total) // 100}.{abs(total) % 100:02d}"
            self._write(file, [f"合计,{count},{text}"])
            path = self._path(file)
            path.with_name(f"{path.name}.done").touch()

    def _path(self, file: tuple[int, int]) -> Path:
        day, currency = file
        account = f"_{CURRENCIES[currency]}" if currency else ""
        return self._folder / f"bank_{day_date(day)}{account}.csv"

    def _write(self, file: tuple[int, int], lines: list[str]) -> None:
        with self._path(file).open("ab") as stream:
            stream.write("".join(f"{line}\r\n" for line in lines).encode("gb18030"))


def write_lines(path: Path, lines: Iterable[str], encoding: str, ending: str) -> int:
    """Write a text file; returns the count of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = list(lines)
    text = "".join(f"{line}{ending}" for line in written)
    path.write_bytes(text.encode(encoding))
    return len(written)


def merge_responses(current: Path, changed: Path, scratch: Path) -> None:
    """Replace corrected responses and append new ones, line by line."""
    with changed.open(encoding="utf-8") as lines:
        updates = {json.loads(line)["response_id"]: line for line in lines}
    merged = scratch / "merged.jsonl"
    with current.open(encoding="utf-8") as old, merged.open("w", encoding="utf-8") as new:
        for line in old:
            if json.loads(line)["response_id"] not in updates:
                new.write(line)
        new.writelines(updates.values())
    merged.replace(current)
