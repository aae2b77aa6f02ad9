"""The run's journal: one JSON line an event, so that whoever started the run can show progress.

A run may live in another process (an Airflow task); its journal is the one place that tells what
it is doing. ``runs/<run_id>/events.jsonl`` is appended to, never rewritten.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Listener = Callable[[dict[str, Any]], None]


class Journal:
    """Writes events of one run. ``listener`` is called with each event too (the CLI's display)."""

    def __init__(self, run_folder: Path, listener: Listener | None = None) -> None:
        self.run_folder = run_folder
        self.path = run_folder / "events.jsonl"
        self.listener = listener

    def write(self, kind: str, **fields: Any) -> None:
        event = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, default=str) + "\n"
        # with the first event: who only looks leaves no folder behind
        self.run_folder.mkdir(parents=True, exist_ok=True)
        # one write call of one line: lines of parallel tasks do not interleave
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
        if self.listener:
            self.listener(event)

    def note(self, text: str) -> None:
        self.write("note", text=text)

    @contextmanager
    def step(self, name: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Time a step. The yielded dict's entries are written with the step's end."""
        self.write("step_started", step=name, **fields)
        start = time.perf_counter()
        result: dict[str, Any] = {}
        try:
            yield result
        except BaseException as error:
            seconds = round(time.perf_counter() - start, 3)
            kind = type(error).__name__
            self.write(
                "step_failed",
                step=name,
                seconds=seconds,
                error=str(error),
                error_kind=kind,
                **fields,
            )
            raise
        seconds = round(time.perf_counter() - start, 3)
        self.write("step_ended", step=name, seconds=seconds, **{**fields, **result})

    def events(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_text("utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:  # the last line of a killed process
                continue
        return events

    def step_seconds(self) -> list[dict[str, Any]]:
        """Steps that ended, in order, with their seconds."""
        return [
            {"step": event["step"], "seconds": event["seconds"]}
            for event in self.events()
            if event["kind"] == "step_ended"
        ]
