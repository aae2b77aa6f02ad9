"""Delimited records in bytes: cut out of a file, their quotes checked, and parsed by Arrow.

Arrow takes any quoting. So the quotes are checked here first, against the rules of RFC 4180: a
quote opens at a field's beginning, closes at its end, and stands twice for itself within.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from customer_marts.sources.file_tables import (
    LONGEST_LINE_BYTES,
    REPLACEMENT,
    UNREADABLE_CHARACTERS,
    shown,
)

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
# where quotes are wrong, little is looked at again after each wrong line
SHORT_BLOCK_BYTES = 64 << 10
QUOTE, RETURN, NEWLINE = b'"\r\n'
QUOTE_IN_FIELD = "a quote stands inside a field that is not quoted"
TEXT_AFTER_QUOTE = "text follows a closing quote"
UNCLOSED_QUOTE = "a quote is opened and not closed"

# a return before a newline belongs to it, and so does one at the end of a file
_STRAY_RETURN = re.compile(rb"\r(?!\n|\Z)")

Positions = np.ndarray[Any, Any]


class Undecodable(Exception):
    """Bytes of a piece are no characters of the declared encoding."""


class LineTooLong(Exception):
    """A line at ``offset`` does not end within ``LONGEST_LINE_BYTES``."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(offset)


@dataclass(frozen=True)
class Piece:
    """Whole records from ``offset`` of the file on; or, with a reason, one line that is none."""

    offset: int
    data: bytes
    reason: str | None = None


@dataclass(frozen=True)
class Fault:
    """A reject before its line is known: where in the piece it begins."""

    start: int
    end: int
    reason: str
    column: str | None = None
    value: str | None = None


@dataclass
class Parsed:
    """A piece's rows. ordinals: the rows' positions among its records (None: all of them)."""

    columns: dict[str, Any]
    records: int
    ordinals: Positions | None = None
    faults: list[Fault] = field(default_factory=list)
    amount: Decimal = Decimal(0)
    currencies: set[str | None] = field(default_factory=set)


class Cutter:
    """Cuts a file of records; ``line_end`` is a newline, or a carriage return where the file
    knows no newline. block_bytes: how much is read and cut at once.
    """

    def __init__(self, delimiter: bytes, line_end: bytes, block_bytes: int = BLOCK_BYTES) -> None:
        self.delimiter, self.line_end, self.block_bytes = delimiter[0], line_end, block_bytes

    def pieces(self, stream: BinaryIO, start: int, end: int) -> Iterator[Piece]:
        """The bytes from ``start`` to ``end``, cut after whole records; a line with wrong quotes
        stands alone. Raises LineTooLong.
        """
        offset = read = stream.seek(start)
        # a block is filled up to the next line end: mostly it can then be used as it is
        whole = 2 * self.block_bytes
        pending, window = b"", whole
        while read < end or pending:
            block = stream.read(min(self.block_bytes, end - read))
            if len(block) == self.block_bytes and self.line_end == b"\n":
                block += stream.readline(min(LONGEST_LINE_BYTES, end - read - len(block)))
            read += len(block)
            pending = pending + block if pending else block
            used = 0
            while used < len(pending):
                view = pending[used : used + window]
                is_all = used + len(view) == len(pending)
                good, bad, reason = self._cut(view, is_all and read >= end)
                if good:
                    yield Piece(offset + used, view[:good])
                if bad:
                    yield Piece(offset + used + good, view[good : good + bad], reason)
                elif is_all and not good:
                    break
                used += good + bad
                window = SHORT_BLOCK_BYTES if bad else window * 4 if not good else whole
            offset, pending = offset + used, pending[used:]
            if len(pending) > LONGEST_LINE_BYTES:
                first_line = pending.find(self.line_end) + 1
                if not first_line:
                    raise LineTooLong(offset)
                yield Piece(offset, pending[:first_line], UNCLOSED_QUOTE)
                offset, pending = offset + first_line, pending[first_line:]
                window = SHORT_BLOCK_BYTES

    def _cut(self, data: bytes, is_end: bool) -> tuple[int, int, str]:
        """How many bytes are whole, well quoted records; and how many the line after them, if
        its quotes are wrong, and why.
        """
        if b'"' not in data:
            return (len(data) if is_end else data.rfind(self.line_end) + 1), 0, ""
        array = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(array == QUOTE)
        line_ends = np.flatnonzero(array == self.line_end[0])
        # every second quote closes: a doubled one closes and opens again at once
        outside = line_ends[np.searchsorted(quotes, line_ends) % 2 == 0]
        good = int(outside[-1]) + 1 if len(outside) else 0
        is_unclosed = is_end and len(quotes) % 2 == 1
        if is_end and not is_unclosed:
            good = len(data)
        opening, closing = quotes[0::2], quotes[1::2]
        around = np.frombuffer(b"\n" + data + b"\n", np.uint8)
        neighbours = np.array([self.delimiter, RETURN, NEWLINE], np.uint8)
        pairs = len(opening) - 1
        doubled = opening[1:] == closing[:pairs] + 1
        wrong_opening = ~np.isin(around[opening], neighbours)
        wrong_opening[1:] &= ~doubled
        wrong_closing = ~np.isin(around[closing + 2], neighbours)
        wrong_closing[:pairs] &= ~doubled
        wrong = [*opening[wrong_opening][:1].tolist(), *closing[wrong_closing][:1].tolist()]
        if wrong:
            at = min(wrong)
            reason = QUOTE_IN_FIELD if at in opening else TEXT_AFTER_QUOTE
        elif is_unclosed:
            at, reason = opening[-1], UNCLOSED_QUOTE
        else:
            return good, 0, ""
        before = outside[outside < at]
        good = int(before[-1]) + 1 if len(before) else 0
        line_end = data.find(self.line_end, good) + 1 or (len(data) if is_end else good)
        return good, line_end - good, reason


class Parser:
    """Parses pieces of one file, from any thread."""

    def __init__(
        self,
        header: list[str],
        columns: list[str],
        encoding: str,
        delimiter: bytes,
        line_end: bytes,
        amount_column: str | None = None,
        currency_column: str | None = None,
    ) -> None:
        import pyarrow as pa
        import pyarrow.csv

        self.header, self.columns, self.encoding = header, set(columns), encoding
        self.delimiter, self.line_end = delimiter, line_end
        self.amount_column, self.currency_column = amount_column, currency_column
        self.names = [str(number) for number in range(len(header))]
        self.parse_options = pyarrow.csv.ParseOptions(
            delimiter=delimiter.decode(), newlines_in_values=True
        )
        self.convert_options = pyarrow.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(self.names, pa.binary()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def parse(self, data: bytes) -> Parsed:
        """The rows of whole, well quoted records. Raises Undecodable."""
        import pyarrow as pa

        parsed = Parsed({}, 0)
        try:
            # Arrow would end a record at a carriage return within it
            table = self._table(
                self._without_broken(data, parsed) if self._has_strays(data) else data
            )
        except pa.ArrowInvalid:
            table = self._table(self._without_broken(data, parsed))
        parsed.records = table.num_rows + len(parsed.faults)
        wrong: dict[int, tuple[str, str]] = {}
        holds_nul = b"\0" in data
        for name, column in zip(self.header, table.columns, strict=True):
            text, has_lost = self._text(column)
            if name == self.amount_column:
                parsed.amount = _exact_sum(text)
            if name == self.currency_column:
                parsed.currencies = set(text.unique().to_pylist())
            if name in self.columns:
                parsed.columns[name] = text
                suspects = "\0" * holds_nul + REPLACEMENT * has_lost
                for row, reason in _unreadable_rows(name, text, suspects):
                    wrong.setdefault(row, (name, reason))
        if wrong:
            self._take_out(wrong, data, parsed)
        return parsed

    def _table(self, data: bytes) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv

        # Arrow drops the bytes of a UTF-8 mark here, which may be two characters of GB18030
        if not data or data.startswith(b"\xef\xbb\xbf"):
            data = b"\n" + data
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=self.names
            ),
            self.parse_options,
            self.convert_options,
        )

    def _has_strays(self, data: bytes) -> bool:
        """Whether there are line ends of another kind than the file's, in quotes or not."""
        if self.line_end == b"\r":
            return b"\n" in data
        return _STRAY_RETURN.search(data) is not None

    def _without_broken(self, data: bytes, parsed: Parsed) -> bytes:
        """Take out the records with too few or too many fields or with a stray line end."""
        starts, ends, counts, strays = self._records(data)
        is_broken = (counts != len(self.header)) | (strays > 0)
        kept, done = [], 0
        for number in np.flatnonzero(is_broken).tolist():
            start, end = int(starts[number]), int(ends[number])
            reason = f"it has {counts[number]} fields, the header {len(self.header)}"
            if strays[number]:
                reason = "a line end of another kind stands inside it, not in quotes"
            parsed.faults.append(Fault(start, end, reason))
            kept.append(data[done:start])
            done = end
        parsed.ordinals = np.flatnonzero(~is_broken)
        return b"".join([*kept, data[done:]])

    def _records(self, data: bytes) -> tuple[Positions, Positions, Positions, Positions]:
        """Where the records begin and end, how many fields each has, and how many stray line
        ends. Empty lines are no records, here as for Arrow.
        """
        array = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(array == QUOTE)

        def unquoted(byte: int) -> Positions:
            positions = np.flatnonzero(array == byte)
            outside: Positions = positions[np.searchsorted(quotes, positions) % 2 == 0]
            return outside

        breaks = unquoted(self.line_end[0])
        starts, ends = np.append(0, breaks + 1), np.append(breaks, len(data))
        if self.line_end == b"\n":
            ends = ends - ((ends > starts) & (array[ends - 1] == RETURN))
            strays = unquoted(RETURN)
        else:
            strays = unquoted(NEWLINE)
        is_record = ends > starts
        starts, ends = starts[is_record], ends[is_record]

        def within(positions: Positions) -> Positions:
            count: Positions = np.searchsorted(positions, ends) - np.searchsorted(positions, starts)
            return count

        return starts, ends, within(unquoted(self.delimiter[0])) + 1, within(strays)

    def _text(self, column: pa.ChunkedArray) -> tuple[pa.Array, bool]:
        """A column of bytes as text, and whether the replacement character is in it."""
        import pyarrow as pa

        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = (
                pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.binary())
            )
        validity, offsets, values = array.buffers()
        used = np.frombuffer(offsets, np.int32)[len(array)] if len(array) else 0
        raw = bytes(memoryview(values)[:used]) if used else b""
        if raw.isascii():
            buffers = [validity, offsets, values]
            text = pa.Array.from_buffers(pa.string(), len(array), buffers, array.null_count)
            return text, False
        if self.encoding.startswith("utf"):
            try:
                return array.cast(pa.string()), REPLACEMENT.encode() in raw
            except pa.ArrowInvalid as error:
                raise Undecodable from error
        encoded = array.dictionary_encode()
        values = encoded.dictionary.to_pylist()
        try:
            joined = b"\x1e".join(values).decode(self.encoding)
            texts = joined.split("\x1e")
            if len(texts) != len(values):  # a value holds the separator itself
                texts = [value.decode(self.encoding) for value in values]
        except UnicodeDecodeError as error:
            raise Undecodable from error
        return pa.array(texts, pa.string()).take(encoded.indices), REPLACEMENT in joined

    def _take_out(self, wrong: dict[int, tuple[str, str]], data: bytes, parsed: Parsed) -> None:
        """Turn rows with unreadable characters into faults."""
        starts, ends, *_ = self._records(data)
        ordinals = np.arange(parsed.records) if parsed.ordinals is None else parsed.ordinals
        for row, (name, reason) in wrong.items():
            record = ordinals[row]
            value = parsed.columns[name][row].as_py()
            parsed.faults.append(
                Fault(int(starts[record]), int(ends[record]), reason, name, shown(value))
            )
        parsed.faults.sort(key=lambda fault: fault.start)
        kept = np.setdiff1d(np.arange(len(ordinals)), list(wrong))
        parsed.ordinals = ordinals[kept]
        parsed.columns = {name: text.take(kept) for name, text in parsed.columns.items()}


def _unreadable_rows(name: str, text: pa.Array, suspects: str) -> Iterator[tuple[int, str]]:
    """Rows of a column that hold a character nobody meant to write."""
    import pyarrow.compute as pc

    for character in suspects:
        found = pc.indices_nonzero(pc.match_substring(text, character).fill_null(False))
        for row in found.to_pylist():
            yield row, f"{name} holds {UNREADABLE_CHARACTERS[character]}"


def _exact_sum(amounts: pa.Array) -> Decimal:
    """The sum of the texts that are numbers, in whatever form people write them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.sum(amounts.cast(pa.decimal128(38, 8))).as_py() or Decimal(0)
    except pa.ArrowInvalid:
        total = Decimal(0)
    for text in amounts.to_pylist():
        total += as_number(text or "") or 0
    return total


def as_number(text: str) -> Decimal | None:
    """A number as people write it (1,234.50, full-width digits, (12) for -12); None: it is none."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain.startswith("(") and plain.endswith(")"):
        plain = "-" + plain[1:-1]
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", plain):
        plain = plain.replace(",", "")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


class LineCounter:
    """Tells the line of an offset; offsets that grow are found without starting anew."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.offset = self.newlines = self.returns = 0

    def at(self, offset: int) -> int:
        if offset < self.offset:
            self.offset = self.newlines = self.returns = 0
        self.stream.seek(self.offset)
        while self.offset < offset:
            block = self.stream.read(min(BLOCK_BYTES, offset - self.offset))
            if not block:
                break
            self.offset += len(block)
            self.newlines += block.count(b"\n")
            self.returns += block.count(b"\r")
        return (self.newlines or self.returns) + 1
