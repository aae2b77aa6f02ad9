"""Pulling one table of files in a test, without a company around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from customer_marts.feeds import FeedMapping, FilesSource
from customer_marts.settings import Settings
from customer_marts.sources.extract import Extract, SeenFile, Watermark
from customer_marts.sources.files import extract_files

NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)


@dataclass
class FilePull:
    """The feed ``payments`` from files: source columns id, day, customer, amount, note."""

    root: Path
    table: dict[str, Any]
    folder: str = ""
    encoding: str | None = "utf-8"
    options: dict[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    query: str | None = None
    columns: dict[str, Any] = field(
        default_factory=lambda: {
            "payment_id": "id",
            "received_at": "day",
            "customer_id": "customer",
            "amount": "amount",
            "reference": "note",
        }
    )
    watermark: Watermark = field(default_factory=Watermark)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.inbox = self.root / "in"
        self.inbox.mkdir(exist_ok=True)
        self.count = 0

    def write(self, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = self.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return path

    def pull(self) -> Extract | None:
        self.count += 1
        work = self.root / f"work_{self.count}"
        work.mkdir()
        source = FilesSource.model_validate(
            {
                "kind": "files",
                "folder": self.folder or str(self.inbox),
                "encoding": self.encoding,
                "options": self.options,
                "tables": self.tables or {"movements": self.table},
            }
        )
        mapping = FeedMapping.model_validate(
            {
                "source": "bank",
                "table": None if self.query else "movements",
                "query": self.query,
                "columns": self.columns,
            }
        )
        settings = Settings.load({"MARTS_HOME": str(self.root / "var"), **self.environment})
        return extract_files(settings, "payments", mapping, source, self.watermark, work, self.now)

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        """The rows of a pull that must bring some."""
        extract = self.pull()
        assert extract is not None
        return rows_of(extract, columns)

    def release(self, extract: Extract) -> None:
        """Let the next pull know what this one has read."""
        files = {file.path: SeenFile(**vars(file)) for file in extract.files}
        self.watermark = Watermark(files={**self.watermark.files, **files}, types=extract.types)


def rows_of(extract: Extract, columns: str = "*") -> list[tuple[Any, ...]]:
    return duckdb.sql(f"select {columns} from read_parquet('{extract.raw}')").fetchall()


def rejected(extract: Extract) -> list[tuple[str, str, str | None, str | None]]:
    """Where, what, and the column and value to blame."""
    return [(item.source, item.raw, item.column, item.value) for item in extract.rejects]
