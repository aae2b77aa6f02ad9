"""Which files of a source are there, complete, and new."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from customer_marts.errors import BatchFault, ConfigurationError, SourceUnavailable
from customer_marts.feeds import FilesSource, FileTable
from customer_marts.sources.extract import SeenFile, Watermark
from customer_marts.sources.file_folders import KEPT, Entry, Folder, reading_from


@dataclass
class DeliveredFile:
    """A complete file: as listed, as hashed, and whether its content is new."""

    entry: Entry
    seen: SeenFile
    is_fresh: bool


class Delivery:
    """Which files of a source are there, complete, and new."""

    def __init__(
        self,
        folder: Folder,
        source: FilesSource,
        watermark: Watermark,
        now: datetime,
        where: str,
    ) -> None:
        self.folder, self.source, self.watermark = folder, source, watermark
        self.now, self.where = now, where
        self.digests = {file.sha256 for file in watermark.files.values()}
        # contents that are known or came twice; noted, so that they are not hashed again
        self.repeated: list[DeliveredFile] = []
        self._paths: dict[str, Path] = {}
        self._lists: dict[str, dict[str, str]] = {}

    def files(self, name: str) -> list[DeliveredFile]:
        """The table's complete files. Raises SourceUnavailable when no file matches at all."""
        table = self.source.tables[name]
        entries = [
            entry for entry in self.folder.find(table.path) if not self._is_marker(entry.name)
        ]
        if not entries:
            raise SourceUnavailable(
                f"no file matches {table.path}",
                where=self.folder.where,
                kept=KEPT,
                todo="check that the files were delivered and the pattern in the company file",
            )
        files: dict[str, DeliveredFile] = {}
        for entry in entries:
            file = self._file(entry, table)
            if file is None:
                continue
            if file.seen.sha256 in files or not file.is_fresh:
                self.repeated.append(file)
            files.setdefault(file.seen.sha256, file)
        return list(files.values())

    def path(self, file: DeliveredFile) -> Path:
        """Where the file's bytes lie on this machine."""
        return self._fetched(file.entry)

    def _fetched(self, entry: Entry) -> Path:
        if entry.name not in self._paths:
            self._paths[entry.name] = self.folder.fetch(entry)
        return self._paths[entry.name]

    def _file(self, entry: Entry, table: FileTable) -> DeliveredFile | None:
        """The file, unless it is not complete yet."""
        known = self.watermark.files.get(entry.name)
        if (
            known is not None
            and entry.modified_ns is not None
            and (known.size, known.modified_ns) == (entry.size, entry.modified_ns)
        ):
            return DeliveredFile(entry, known, is_fresh=False)
        stated = None
        if table.ready is not None:
            stated = self._stated_digest(entry, table)
            if not self._is_ready(entry, table, stated):
                return None
        file = DeliveredFile(
            entry, SeenFile(entry.name, entry.size, entry.modified_ns or 0, ""), True
        )
        path = self.path(file)
        with reading_from(f"{self.folder.where}/{entry.name}"), path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if stated is not None and stated != digest:
            self.folder.check_unchanged(entry)
            assert table.ready is not None
            raise BatchFault(
                f"the file is not what {table.ready.checksums} says: its SHA-256 is {digest}, "
                f"listed is {stated}",
                where=f"{self.where}, file {entry.name}",
                kept="nothing of this feed landed; the last release stands",
                todo="have the file and its checksum delivered again, then rerun",
            )
        seen = SeenFile(entry.name, entry.size, entry.modified_ns or 0, digest)
        return DeliveredFile(entry, seen, is_fresh=digest not in self.digests)

    def _is_ready(self, entry: Entry, table: FileTable, stated: str | None) -> bool:
        ready = table.ready
        assert ready is not None
        if ready.done_suffix is not None:
            return self.folder.exists(entry.name + ready.done_suffix)
        if ready.settle_seconds is not None:
            if entry.modified_ns is None:
                raise ConfigurationError(
                    "this file system does not say when a file was changed, so that "
                    "settle_seconds cannot be judged",
                    where=self.folder.where,
                    kept=KEPT,
                    todo="use done_suffix or checksums in the company file",
                )
            return self.now.timestamp() - entry.modified_ns / 1e9 >= ready.settle_seconds
        return stated is not None

    def _stated_digest(self, entry: Entry, table: FileTable) -> str | None:
        """The file's SHA-256 by the list of checksums, if there is one and it is listed."""
        name = table.ready.checksums if table.ready else None
        if name is None:
            return None
        if name not in self._lists:
            text = self.folder.read(name) if self.folder.exists(name) else b""
            self._lists[name] = self._parsed_list(name, text)
        return self._lists[name].get(entry.name)

    def _parsed_list(self, name: str, text: bytes) -> dict[str, str]:
        beside = PurePosixPath(name).parent
        digests = {}
        lines = text.decode("utf-8", "surrogateescape").splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            match = re.fullmatch(r"([0-9A-Fa-f]{64}) [ *](.+?)\r?\n?", line)
            if match:
                listed = str(beside / match.group(2))
                digests[listed] = match.group(1).lower()
            elif line.strip() and line.endswith("\n"):  # else: still being written
                raise BatchFault(
                    f"line {number} of the list of checksums is not 'SHA-256, two spaces, name'",
                    where=f"{self.folder.where}/{name}",
                    kept="nothing of this feed landed; the last release stands",
                    todo="write the list with sha256sum",
                )
        return digests

    def _is_marker(self, name: str) -> bool:
        """Whether the file tells of others: it is no data, whatever pattern it matches."""
        for table in self.source.tables.values():
            ready = table.ready
            if ready is None:
                continue
            if ready.done_suffix and name.endswith(ready.done_suffix):
                return True
            if ready.checksums and PurePosixPath(name) == PurePosixPath(ready.checksums):
                return True
        return False
