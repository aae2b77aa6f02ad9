"""What the readers of all file formats share: which columns are read, where rows go, faults."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from customer_marts.errors import BatchFault
from customer_marts.feeds import FeedMapping, FileTable, load_contract
from customer_marts.sources.extract import SOURCE_COLUMN, Reject, check_columns

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LONGEST_LINE_BYTES = 8 << 20
MOST_REJECTS = 50_000
SHOWN_CHARACTERS = 4_000
# DuckDB reads a Parquet file by row groups, one thread each
ROW_GROUP_ROWS = 122_880

# landing numbers the rows of raw.parquet under the second name
RESERVED_NAMES = (SOURCE_COLUMN, "file_row_number")

REPLACEMENT = "\ufffd"
UNREADABLE_CHARACTERS = {
    REPLACEMENT: "the replacement character U+FFFD: somebody before us has lost a character here",
    "\0": "a NUL byte: the file was damaged, or is not in its declared encoding",
}

REDELIVER = "have the file delivered again, then rerun; other feeds are not affected"
RENAME_AT_SOURCE = "have the source give every column a name of its own, then rerun"


@dataclass(frozen=True)
class SourceFile:
    """A file to read: its name in the source's folder, and where its bytes lie."""

    name: str
    path: Path


@dataclass
class FileRows:
    """What one file gave. rows: how many data rows it holds, rejects included. stated: the count
    and the sum (None: it states none) in its trailer, if it has one; currencies: those of its rows,
    if it has a trailer.
    """

    rows: int = 0
    rejects: list[Reject] = field(default_factory=list)
    stated: tuple[int | None, Decimal | None] | None = None
    currencies: set[str | None] = field(default_factory=set)


class Reading:
    """How the files of one table are read for one feed.

    wanted: the source columns to write; None, for a feed that queries its tables: all.
    unmapped: columns found and left unread, filled while reading.
    """

    def __init__(
        self,
        feed: str,
        mapping: FeedMapping,
        table_name: str,
        table: FileTable,
        encoding: str | None,
    ) -> None:
        self.feed, self.mapping, self.table, self.encoding = feed, mapping, table, encoding
        self.table_name = table_name
        self.wanted: list[str] | None = None
        if mapping.table:
            self.wanted = mapping.source_columns
        self.unmapped: dict[str, None] = {}
        self._first: tuple[str, list[str]] | None = None

    def fault(self, what: str, file: SourceFile, todo: str = REDELIVER) -> BatchFault:
        return BatchFault(
            what,
            where=f"feed {self.feed}, file {file.name}",
            kept="nothing of this feed landed; the file is untouched; the last release stands",
            todo=todo,
        )

    def check_header(self, names: list[str], file: SourceFile) -> list[str]:
        """The columns to read of a file with these columns. Raises BatchFault when their names
        cannot be told apart, or when one is gone that is mapped or that the first file has.
        """
        self.check_names(names, file)
        self._check_against_first(names, file)
        if self.wanted is None:
            return names
        self.check_mapped(names, file)
        return self.wanted

    def check_names(self, names: list[str], file: SourceFile) -> None:
        """Raise BatchFault when a name is empty, stands twice (DuckDB takes ``Amount`` and
        ``amount`` for one) or is one of ours.
        """
        empty = [str(number) for number, name in enumerate(names, 1) if not name]
        if empty:
            raise self.fault(
                f"the header names no column at position {', '.join(empty)}",
                file,
                RENAME_AT_SOURCE,
            )
        alike: dict[str, list[str]] = {}
        for name in names:
            alike.setdefault(name.casefold(), []).append(name)
        doubled = [" and ".join(same) for same in alike.values() if len(same) > 1]
        if doubled:
            exact = len(set(names)) < len(names)
            raise self.fault(
                f"columns appear twice: {', '.join(doubled)}"
                if exact
                else f"columns differ only in upper and lower case: {', '.join(doubled)}",
                file,
                RENAME_AT_SOURCE,
            )
        read = names if self.wanted is None else self.wanted
        reserved = [name for name in names if name in RESERVED_NAMES and name in read]
        if reserved:
            raise self.fault(
                f"the column {reserved[0]} has a name that is used inside landing",
                file,
                "have the source give the column another name; or do not map it",
            )

    def check_mapped(self, names: list[str], file: SourceFile) -> None:
        """Raise BatchFault with the likely rename when a mapped column is not among ``names``."""
        try:
            unmapped = check_columns(self.feed, self.mapping, names)
        except BatchFault as fault:
            raise self.fault(fault.what, file, fault.todo) from fault
        self.unmapped.update(dict.fromkeys(unmapped))

    def source_column(self, role: Literal["amount", "currency"]) -> str | None:
        """The source column mapped to the contract's amount or currency."""
        contract = load_contract(self.feed)
        mapped = self.mapping.columns.get(getattr(contract, role) or "")
        return mapped.column if mapped else None

    def optional_columns(self) -> list[str]:
        """Mapped source columns that the contract does not require."""
        contract = load_contract(self.feed)
        required = [
            source
            for name, mapped in self.mapping.columns.items()
            if contract.all_columns[name].required
            for source in mapped.source_columns
        ]
        return [name for name in self.mapping.source_columns if name not in required]

    def _check_against_first(self, names: list[str], file: SourceFile) -> None:
        if self._first is None:
            self._first = (file.name, names)
        first, expected = self._first
        missing = [
            name
            for name in expected
            if name not in names and (self.wanted is None or name in self.wanted)
        ]
        if missing:
            raise self.fault(
                f"its columns differ from those of {first}:\n"
                + difference(missing, expected, names),
                file,
                "have the source restore the columns; or, if they changed for good, give the new "
                "files a table of their own in the company file",
            )


def difference(missing: list[str], expected: list[str], found: list[str]) -> str:
    """One line a column that is gone (with the name it probably has now) or new."""
    import difflib

    added = [name for name in found if name not in expected]
    lines = []
    for name in missing:
        close = difflib.get_close_matches(name, added, n=1, cutoff=0.6)
        if len(missing) == len(added) == 1:
            close = added
        lines.append(f"  - {name}" + (f"   (renamed to {close[0]}?)" if close else ""))
    return "\n".join(lines + [f"  + {name}" for name in added])


def shown(text: str) -> str:
    """A line's text as it is kept in quarantine: without its end, and not endless."""
    text = text.rstrip("\r\n")
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"


def unreadable(column: str, value: str) -> str | None:
    """Why a value of a Python string cannot be taken as it is, if so."""
    for character, meaning in UNREADABLE_CHARACTERS.items():
        if character in value:
            return f"{column} holds {meaning}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{column} holds half of a surrogate pair, which is no character"
    return None


def source_labels(name: str, numbers: np.ndarray[Any, Any]) -> pa.Array:
    """``name:record N`` for every number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(
        f"{name}:record ", pa.array(numbers, pa.int64()).cast(pa.string()), ""
    )


class RawWriter:
    """Writes rows of texts to Parquet, in row groups that DuckDB reads in parallel.

    A file's columns may differ from those of the file before it: then another part begins.
    columns: the columns of the only part, if they are fixed beforehand.
    """

    def __init__(self, folder: Path, stem: str, columns: list[str] | None) -> None:
        self.folder, self.stem = folder, stem
        self.parts: list[Path] = []
        self._fixed = columns
        self._columns: list[str] = []
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._count_waiting = 0
        # Arrow writes and compresses outside Python's lock, while the next rows are parsed
        self._pool = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        if columns is not None:
            self.declare(columns)

    def declare(self, columns: list[str]) -> None:
        """Rows of these columns come next (there may be none)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is not None and (self._fixed or set(columns) <= set(self._columns)):
            return
        self.close()
        self._columns = list(columns)
        names = [*columns, SOURCE_COLUMN]
        self._schema = pa.schema([(name, pa.string()) for name in names])
        number = f"_{len(self.parts)}" if self.parts else ""
        self.parts.append(self.folder / f"{self.stem}{number}.parquet")
        # read once and thrown away: a dictionary and statistics would cost more than they save
        self._writer = pq.ParquetWriter(
            self.parts[-1],
            self._schema,
            compression="lz4",
            use_dictionary=False,
            write_statistics=False,
        )

    def write(self, columns: dict[str, Any], sources: Any) -> None:
        """Add rows: arrays (or lists) of texts by column, and the rows' ``_source``."""
        import pyarrow as pa

        self.declare(list(columns))
        count = len(sources)
        arrays = [
            pa.array(columns[name], pa.string())
            if name in columns
            else pa.nulls(count, pa.string())
            for name in self._columns
        ]
        table = pa.table([*arrays, pa.array(sources, pa.string())], schema=self._schema)
        self._waiting.append(table)
        self._count_waiting += count
        if self._count_waiting >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._finish()
        if self._waiting:
            table = pa.concat_tables(self._waiting)
            self._writing = self._pool.submit(self._writer.write_table, table)
        self._waiting, self._count_waiting = [], 0

    def _finish(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        if self._writer is not None:
            self._flush()
            self._finish()
            self._writer.close()
            self._writer = None

    def __enter__(self) -> RawWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._pool.shutdown()
            if self._writer is not None:
                self._writer.close()
