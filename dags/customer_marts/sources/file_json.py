"""JSON Lines: one object a line, numbers kept in the very text they were written in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from customer_marts.sources.extract import Reject
from customer_marts.sources.file_tables import (
    LONGEST_LINE_BYTES,
    MOST_REJECTS,
    FileRows,
    RawWriter,
    Reading,
    SourceFile,
    shown,
    source_labels,
    unreadable,
)

BATCH_ROWS = 2_000


class _Number(str):
    """The text of a number, which is not written in quotes."""

    __slots__ = ()


class _Malformed(ValueError):
    """A line that is no record; column: the key to blame, if it is one."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        self.column = column
        super().__init__(reason)


def read_json_lines(reading: Reading, file: SourceFile, writer: RawWriter) -> FileRows:
    """Parse and write one file. Blank lines count as lines and are no rows."""
    return _JsonFile(reading, file, writer).read()


class _JsonFile:
    """One file while it is read: records wait in a batch, with the lines they came from."""

    def __init__(self, reading: Reading, file: SourceFile, writer: RawWriter) -> None:
        self.reading, self.file, self.writer = reading, file, writer
        self.rows = FileRows()
        self.keys: dict[str, None] = {}
        self.batch: list[tuple[int, str, dict[str, Any]]] = []

    def read(self) -> FileRows:
        decode = json.JSONDecoder(
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        ).raw_decode
        for number, line in _lines(self.reading, self.file):
            text = line.strip()
            if not text:
                continue
            self.rows.rows += 1
            try:
                record, end = decode(text)
                if end < len(text):
                    raise _Malformed("text follows the JSON record")
                if not isinstance(record, dict):
                    raise _Malformed("the line is JSON, but no object")
            except RecursionError:
                self._reject(number, line, "not a JSON record: it is nested too deeply")
            except ValueError as error:
                column = error.column if isinstance(error, _Malformed) else None
                self._reject(number, line, f"not a JSON record: {error}", column)
            else:
                if not record.keys() <= self.keys.keys():
                    self.keys.update(dict.fromkeys(record))
                self.batch.append((number, line, record))
                if len(self.batch) >= BATCH_ROWS:
                    self._flush()
        self._check_keys()
        self._flush()
        self.rows.rejects.sort(key=lambda reject: int(reject.source.rpartition(" ")[2]))
        return self.rows

    def _flush(self) -> None:
        if not self.batch:
            return
        names = self.reading.wanted if self.reading.wanted is not None else list(self.keys)
        wrong: dict[int, tuple[str, str, str]] = {}
        columns = {}
        for name in names:
            values = [record.get(name) for _, _, record in self.batch]
            texts = [
                value if value is None or isinstance(value, str) else _json_text(value)
                for value in values
            ]
            columns[name] = texts
            if unreadable(name, "".join(filter(None, texts))) is None:
                continue
            for place, text in enumerate(texts):
                reason = unreadable(name, text) if text else None
                if text and reason:
                    wrong.setdefault(place, (name, text, reason))
        for place, (name, value, reason) in wrong.items():
            number, line, _ = self.batch[place]
            self._reject(number, line, reason, name, value)
        kept = [place for place in range(len(self.batch)) if place not in wrong]
        if wrong:
            columns = {name: [texts[place] for place in kept] for name, texts in columns.items()}
        numbers = np.array([self.batch[place][0] for place in kept], np.int64)
        self.writer.write(columns, source_labels(self.file.name, numbers))
        self.batch = []

    def _reject(
        self,
        number: int,
        line: str,
        reason: str,
        column: str | None = None,
        value: str | None = None,
    ) -> None:
        self.rows.rejects.append(
            Reject(
                f"{self.file.name}:line {number}",
                _kept(line),
                reason,
                column,
                None if value is None else _kept(value),
            )
        )
        if len(self.rows.rejects) > MOST_REJECTS:
            raise self.reading.fault(
                f"more than {MOST_REJECTS:,} lines are no JSON records; line {number}: {reason}",
                self.file,
                "compare the file with its format in the company file",
            )

    def _check_keys(self) -> None:
        """JSON leaves out what is empty: only a required column that no record has is missing."""
        wanted = self.reading.wanted
        if not self.keys:
            return
        if wanted is None:
            self.reading.check_names(list(self.keys), self.file)
            return
        optional = [name for name in self.reading.optional_columns() if name not in self.keys]
        self.reading.check_names([name for name in self.keys if name in wanted], self.file)
        self.reading.check_mapped([*self.keys, *optional], self.file)


def _lines(reading: Reading, file: SourceFile) -> Iterator[tuple[int, str]]:
    """Number and text of each line. Raises BatchFault at a byte that is no character."""
    assert reading.encoding is not None
    if file.path.stat().st_size == 0:
        raise reading.fault("the file is empty", file)
    offset = number = 0
    with file.path.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE_BYTES + 1):
            number += 1
            if len(line) > LONGEST_LINE_BYTES:
                raise reading.fault(
                    f"line {number} is longer than {LONGEST_LINE_BYTES >> 20} MiB: this is no "
                    "file with one object a line",
                    file,
                )
            try:
                text = line.decode(reading.encoding)
            except UnicodeDecodeError as error:
                raise reading.fault(
                    f"the file is not {reading.encoding}: byte {offset + error.start} cannot be "
                    f"decoded, in line {number} ({error.reason})",
                    file,
                    "have the source write the declared encoding, or declare the one it writes "
                    "in the company file",
                ) from error
            yield number, text.removeprefix("\ufeff") if number == 1 else text
            offset += len(line)


def _json_text(value: Any) -> str:
    """A nested value as JSON, its numbers as they stood."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key, ensure_ascii=False)}: {_json_text(item)}"
                 for key, item in value.items())  # fmt: skip
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json_text(item) for item in value) + "]"
    if isinstance(value, _Number):
        return value
    return json.dumps(value, ensure_ascii=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise _Malformed(f"the key {doubled} stands twice", doubled)
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise _Malformed(f"{text} is no number of JSON")


def _kept(text: str) -> str:
    """Text for the quarantine: half a surrogate pair is shown as its escape."""
    return shown(text).encode("utf-8", "backslashreplace").decode()
