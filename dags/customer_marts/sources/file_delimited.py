"""Delimited files, at the speed of Arrow's parser and as strict as the rules of RFC 4180.

The bytes are cut into pieces of whole records, which Arrow parses on several cores; only then are
the columns decoded. That is sound because in UTF-8, GBK and GB18030 alike no byte of a character
is a line end, a quote or a usual delimiter (files with another, such as ``|``, are decoded
first), and it is fast because ASCII columns need no decoding and others repeat their values.

Arrow itself takes any quoting: the quotes are therefore checked here first, and a line that breaks
the rules becomes a reject. So does a row with too few or too many fields.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import numpy as np

from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.feeds import Trailer
from customer_marts.sources.extract import Reject
from customer_marts.sources.file_records import (
    BLOCK_BYTES,
    Cutter,
    Fault,
    LineCounter,
    LineTooLong,
    Parsed,
    Parser,
    Piece,
    Undecodable,
    as_number,
)
from customer_marts.sources.file_tables import (
    LONGEST_LINE_BYTES,
    MOST_REJECTS,
    FileRows,
    RawWriter,
    Reading,
    SourceFile,
    shown,
    source_labels,
)

TRAILER_BYTES = 64 << 10
BYTE_ORDER_MARKS = {
    "utf-8": b"\xef\xbb\xbf",
    "gb18030": b"\x84\x31\x95\x33",
    "gbk": b"",
}


def read_delimited(
    reading: Reading, file: SourceFile, writer: RawWriter, work: Path, pool: ThreadPoolExecutor
) -> FileRows:
    """Check, parse and write one file; ``work`` is for a decoded copy where one is needed."""
    assert reading.encoding is not None
    if file.path.stat().st_size == 0:
        raise reading.fault("the file is empty, it has not even a header", file)
    encoding = reading.encoding
    path = file.path
    delimiter = _delimiter(reading, file)
    if encoding.startswith("gb") and (delimiter.isdigit() or delimiter >= b"@"):
        path = work / "decoded.csv"
        with file.path.open("rb") as stream, path.open("wb") as decoded:
            for offset, block in _whole_lines(stream):
                decoded.write(_decoded(reading, file, block, offset, encoding).encode())
        encoding = "utf-8"
    with path.open("rb") as stream, path.open("rb") as counted:
        reader = _DelimitedFile(reading, file, stream, encoding, delimiter, LineCounter(counted))
        return reader.read(writer, pool)


class _DelimitedFile:
    """One file while it is read."""

    def __init__(
        self,
        reading: Reading,
        file: SourceFile,
        stream: BinaryIO,
        encoding: str,
        delimiter: bytes,
        lines: LineCounter,
    ) -> None:
        self.reading, self.file, self.stream, self.lines = reading, file, stream, lines
        self.encoding, self.delimiter = encoding, delimiter
        head = stream.read(LONGEST_LINE_BYTES)
        self.line_end = b"\n" if b"\n" in head or b"\r" not in head else b"\r"
        self.start = self._skip_mark(head)
        self.end = stream.seek(0, io.SEEK_END)
        self.rows = FileRows()
        self.header = self._cut_header(head)
        trailer = reading.table.trailer
        fields = self._cut_trailer(trailer) if trailer else []
        self.columns = reading.check_header(self.header, file)
        self.amount_column = self._amount_column(trailer) if trailer else None
        if trailer:
            self.rows.stated = self._stated(trailer, fields)

    def read(self, writer: RawWriter, pool: ThreadPoolExecutor) -> FileRows:
        writer.declare(self.columns)
        summed = Decimal(0)
        for piece, parsed in self._parsed_pieces(pool):
            if piece.reason:
                self.rows.rows += 1
                self._reject(piece, Fault(0, len(piece.data), piece.reason))
                continue
            ordinals = np.arange(parsed.records) if parsed.ordinals is None else parsed.ordinals
            if len(ordinals):
                numbers = ordinals + self.rows.rows + 1
                writer.write(parsed.columns, source_labels(self.file.name, numbers))
            self.rows.rows += parsed.records
            summed += parsed.amount
            self.rows.currencies |= parsed.currencies
            for fault in parsed.faults:
                self._reject(piece, fault)
        self._check_trailer(summed)
        return self.rows

    # --- the file's outline

    def _skip_mark(self, head: bytes) -> int:
        mark = BYTE_ORDER_MARKS[self.encoding]
        if mark and head.startswith(mark):
            return len(mark)
        for name, other in (
            ("UTF-8", b"\xef\xbb\xbf"),
            ("UTF-16", b"\xff\xfe"),
            ("UTF-16", b"\xfe\xff"),
        ):
            if head.startswith(other):
                raise self.reading.fault(
                    f"the file is not {self.encoding}: it begins with the mark of {name}",
                    self.file,
                    "declare the encoding that the file has in the company file (utf-8, "
                    "utf-8-sig, gb18030, gbk), or have the source write the declared one",
                )
        return 0

    def _cut_trailer(self, trailer: Trailer) -> list[str]:
        """The fields of the last line, which is not data."""
        begin = self.stream.seek(max(self.end - TRAILER_BYTES, self.start))
        tail = self.stream.read().rstrip(b"\r\n")
        cut = tail.rfind(self.line_end) + 1
        self.end = begin + cut
        fields = self._fields(tail[cut:], self.end)
        if not fields or fields[0] != trailer.marker:
            raise self.reading.fault(
                f"its last line is not the trailer '{trailer.marker}': "
                "the file is truncated or still being written",
                self.file,
            )
        return fields

    def _cut_header(self, head: bytes) -> list[str]:
        cut, quotes = self.start, 0
        while cut < len(head):
            line_end = head.find(self.line_end, cut) + 1 or len(head)
            quotes += head.count(b'"', cut, line_end)
            cut = line_end
            if quotes % 2 == 0:
                break
        line = head[self.start : cut]
        header = self._fields(line, self.start)
        if not any(header):
            raise self.reading.fault("its first line is empty, it has no header", self.file)
        if "\0" in "".join(header):
            raise self.reading.fault(
                f"its header holds NUL bytes: it is no {self.encoding} text, UTF-16 perhaps",
                self.file,
                "have the source write the declared encoding",
            )
        self.start = cut
        return header

    def _fields(self, line: bytes, offset: int) -> list[str]:
        text = _decoded(self.reading, self.file, line, offset, self.encoding)
        lines = io.StringIO(text, newline="")
        try:
            rows = list(csv.reader(lines, delimiter=self.delimiter.decode(), strict=True))
        except csv.Error as error:
            raise self.reading.fault(
                f"line {self.lines.at(offset)} cannot be split into fields: {error}",
                self.file,
            ) from error
        if len(rows) > 1:
            raise self.reading.fault(
                f"line {self.lines.at(offset)} has line ends of two kinds", self.file
            )
        return [text.strip() for text in rows[0]] if rows else []

    # --- the trailer's totals

    def _amount_column(self, trailer: Trailer) -> str | None:
        if (trailer.amount_field is None) != (trailer.amount_column is None):
            raise ConfigurationError(
                "a trailer's sum needs both amount_field and amount_column",
                where=f"feed {self.reading.feed}, files {self.reading.table.path}",
                kept="nothing was read",
                todo="give both in the company file, or neither",
            )
        if trailer.amount_column is not None and trailer.amount_column not in self.header:
            raise self.reading.fault(
                f"it has no column '{trailer.amount_column}', which its trailer sums; it has "
                + ", ".join(self.header),
                self.file,
                "name one of the file's columns as the trailer's amount_column in the company "
                "file, or have the source restore the column",
            )
        return trailer.amount_column

    def _stated(self, trailer: Trailer, fields: list[str]) -> tuple[int | None, Decimal | None]:
        written = self.delimiter.decode().join(fields)
        asked = {"rows_field": trailer.rows_field, "amount_field": trailer.amount_field}
        stated: dict[str, Decimal | None] = {}
        for name, number in asked.items():
            if number is not None and number > len(fields):
                raise self.reading.fault(
                    f"its trailer cannot be read: {written} has {len(fields)} fields, {name} is "
                    f"{number}",
                    self.file,
                    f"correct {name} in the company file, or have the file delivered again",
                )
            stated[name] = as_number(fields[number - 1]) if number else None
            if number and stated[name] is None:
                raise self.reading.fault(
                    f"its trailer cannot be read: {name}, field {number} of {written}, is no number"
                    f" but '{fields[number - 1]}'",
                    self.file,
                    f"correct {name} in the company file (or leave it out, if the line states no "
                    "such total), or have the file delivered again",
                )
        rows, amount = stated["rows_field"], stated["amount_field"]
        if rows is not None and rows != int(rows):
            raise self.reading.fault(
                f"its trailer counts {rows} rows: rows_field {trailer.rows_field} of {written} is "
                "no count",
                self.file,
                "correct rows_field in the company file, or have the file delivered again",
            )
        return None if rows is None else int(rows), amount

    def _check_trailer(self, summed: Decimal) -> None:
        if self.rows.stated is None:
            return
        rows, amount = self.rows.stated
        if rows is not None and rows != self.rows.rows:
            raise self.reading.fault(
                f"its trailer counts {rows} rows, {self.rows.rows} were read", self.file
            )
        # an unreadable row's amount is unknown: the sum can then only be checked without it
        if amount is not None and not self.rows.rejects and amount != summed:
            raise self.reading.fault(
                f"its trailer sums {amount}, the rows sum {summed:f}", self.file
            )

    # --- the rows

    def _parsed_pieces(self, pool: ThreadPoolExecutor) -> Iterator[tuple[Piece, Parsed]]:
        """The pieces in order, parsed by the pool a few ahead."""
        parser = Parser(
            self.header,
            self.columns,
            self.encoding,
            self.delimiter,
            self.line_end,
            self.amount_column,
            self.reading.source_column("currency") if self.rows.stated else None,
        )
        waiting: deque[tuple[Piece, Future[Parsed] | None]] = deque()
        for piece in self._pieces():
            future = pool.submit(parser.parse, piece.data) if piece.reason is None else None
            waiting.append((piece, future))
            if len(waiting) > 4:
                yield self._done(*waiting.popleft())
        while waiting:
            yield self._done(*waiting.popleft())

    def _done(self, piece: Piece, future: Future[Parsed] | None) -> tuple[Piece, Parsed]:
        if future is None:
            return piece, Parsed({}, 0)
        try:
            return piece, future.result()
        except Undecodable:
            _decoded(self.reading, self.file, piece.data, piece.offset, self.encoding)
            raise

    def _pieces(self) -> Iterator[Piece]:
        try:
            yield from Cutter(self.delimiter, self.line_end).pieces(
                self.stream, self.start, self.end
            )
        except LineTooLong as error:
            raise self._too_long(error.offset) from error

    def _too_long(self, offset: int) -> BatchFault:
        return self.reading.fault(
            f"line {self.lines.at(offset)} is longer than {LONGEST_LINE_BYTES >> 20} MiB: this is "
            "no file of records",
            self.file,
            "compare the file with the company file (format, encoding), or have it delivered again",
        )

    def _reject(self, piece: Piece, fault: Fault) -> None:
        if len(self.rows.rejects) >= MOST_REJECTS:
            raise self.reading.fault(
                f"more than {MOST_REJECTS:,} rows cannot be read; the last: {fault.reason}",
                self.file,
                "compare the file's delimiter and quotes with the company file",
            )
        data = piece.data[fault.start : fault.end]
        raw = _decoded(self.reading, self.file, data, piece.offset + fault.start, self.encoding)
        source = f"{self.file.name}:line {self.lines.at(piece.offset + fault.start)}"
        self.rows.rejects.append(
            Reject(source, shown(raw), fault.reason, fault.column, fault.value)
        )


def _delimiter(reading: Reading, file: SourceFile) -> bytes:
    delimiter = reading.table.delimiter.encode()
    if len(delimiter) != 1 or delimiter in b'"\r\n\0':
        raise ConfigurationError(
            f"'{reading.table.delimiter}' cannot be a delimiter",
            where=f"feed {reading.feed}, file {file.name}",
            kept="nothing was read",
            todo="give one ASCII character in the company file; files delimited by others must "
            "be converted first",
        )
    return delimiter


def _whole_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The stream in blocks that end after a line."""
    offset, pending = 0, b""
    while block := stream.read(BLOCK_BYTES):
        pending += block
        cut = max(pending.rfind(b"\n"), pending.rfind(b"\r")) + 1
        yield offset, pending[:cut]
        offset, pending = offset + cut, pending[cut:]
    yield offset, pending


def _decoded(reading: Reading, file: SourceFile, data: bytes, offset: int, encoding: str) -> str:
    """Text of bytes that begin at ``offset``. Raises BatchFault with the place of a wrong byte."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        at = offset + error.start
        with file.path.open("rb") as stream:
            line = LineCounter(stream).at(at)
        raise reading.fault(
            f"the file is not {encoding}: byte {at} cannot be decoded, in line {line} "
            f"({error.reason})",
            file,
            "have the source write the declared encoding, or declare the one it writes in the "
            "company file (utf-8, utf-8-sig, gb18030, gbk); then rerun",
        ) from error
