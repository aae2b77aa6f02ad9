"""What a person at a terminal sees: a line a step while it runs, then a tidy summary."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from customer_marts.gates.volume import VOLUME_SUITE
from customer_marts.releases import Release

STEP_WIDTH = 22


def wide_console() -> Console:
    """The terminal as it is; where there is none (a log), wide enough that nothing is cut."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140
    return console


def log_event(event: dict[str, Any]) -> None:
    """A listener for where nobody looks on: the same words in the process's log."""
    log = logging.getLogger("customer_marts")
    if event["kind"] == "step_ended":
        outcome = _outcome(event)
        log.info("%s: %s%.1f s", event["step"], f"{outcome}, " if outcome else "", event["seconds"])
    for text, style in _remarks(event):
        log.log(logging.INFO if style == "dim" else logging.WARNING, "%s", text)


class Display:
    """Shows journal events as they come; a spinner where the terminal can move its cursor."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or wide_console()
        self._status: Status | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "step_started":
            self.busy(event["step"])
        elif kind == "step_ended":
            self.line("✓", event["step"], _outcome(event), event["seconds"])
        elif kind == "step_failed":
            self.line("✗", event["step"], "failed", event["seconds"], style="red")
        for text, style in _remarks(event):
            self.note(text, style)

    def busy(self, text: str) -> None:
        """Say what is being done now."""
        if not self.console.is_terminal:
            return
        if self._status is None:
            self._status = self.console.status(escape(text))
            self._status.start()
        else:
            self._status.update(escape(text))

    def line(self, mark: str, step: str, text: str, seconds: float, style: str = "green") -> None:
        self.stop()
        label = escape(f"{step:<{STEP_WIDTH}}")
        self.console.print(f"  [{style}]{mark}[/] {label} {escape(text):<37} {seconds:>5.1f} s")

    def note(self, text: str, style: str = "dim") -> None:
        self.stop()
        self.console.print(f"    [{style}]{escape(text)}[/]")

    def stop(self) -> None:
        """End the spinner; what is printed next stays."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    # --- the summary ----------------------------------------------------------------------------

    def nothing_new(self, release: Release) -> None:
        self.stop()
        self.console.print(
            f"\nNothing new since release [bold]{release.release_id}[/] "
            f"(as of {release.as_of}): no new release."
        )
        self.console.print(f"  report   {release.folder / 'report.html'}")

    def summary(self, release: Release, where: Path) -> None:
        """The release: rows, gates, quarantine, time by step, and where everything lies."""
        self.stop()
        manifest = release.manifest
        print_ = self.console.print
        parent = manifest["parent_release_id"] or "none, this is the first"
        print_(f"\n[bold]Release {release.release_id}[/] published, as of {release.as_of}")
        print_(f"  parent: {parent}; data through: {_through(manifest)}")
        self._rows(manifest)
        self._gates(manifest)
        self._quarantine(manifest)
        print_("\n[bold]Where it lies[/]")
        for label, name in (
            ("report", "report.html"),
            ("DuckDB", "marts.duckdb"),
            ("Parquet", "parquet/"),
            ("manifest", "manifest.json"),
        ):
            print_(f"  {label:<9}{escape(str(where / name))}", soft_wrap=True)

    def _rows(self, manifest: dict[str, Any]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=True)
        table.add_column("mart", style="bold")
        table.add_column("rows", justify="right")
        table.add_column("since the last release", justify="right")
        for name, rows in manifest["rows"].items():
            before = manifest["rows_before"].get(name)
            change = "new" if before is None else f"{rows - before:+,}" if rows != before else "="
            table.add_row(name, f"{rows:,}", change)
        self.console.print()
        self.console.print(table)

    def _gates(self, manifest: dict[str, Any]) -> None:
        self.console.print("\n[bold]Gates[/]")
        titles = {
            "landing": "1 landing suites",
            "dbt": "2 dbt data tests",
            "marts": "2 marts suites",
            "changes": "2 changes",
        }
        for gate, title in titles.items():
            lines = [line for line in manifest["gates"] if line["gate"] == gate]
            if not lines:  # a first release has nothing to be compared with
                continue
            checks = sum(line["checks"] for line in lines)
            warned = [(line, item) for line in lines for item in line["failed"]]
            failed = sum(not line["success"] for line in lines)
            verdict = "[red]refused[/]" if failed else "[green]passed[/]"
            plural = "" if len(warned) == 1 else "s"
            warnings = f", {len(warned)} warning{plural}" if warned else ""
            self.console.print(f"  {title:<18} {verdict}  {checks} checks{warnings}")
            for line, item in warned:
                text = f"{line['table']}: {item['rule']}: {item['message']}"
                self.console.print(f"    [yellow]{escape(text)}[/]")

    def _quarantine(self, manifest: dict[str, Any]) -> None:
        rows = manifest["quarantine"]
        self.console.print("\n[bold]Quarantine[/] " + ("" if rows else "empty"))
        if not rows:
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=True)
        for name, side in (("feed", "left"), ("rule", "left"), ("rows", "right")):
            table.add_column(name, justify=side)  # type: ignore[arg-type]
        table.add_column("amount", justify="right")
        table.add_column("owner")
        for row in rows:
            amount = f"{Decimal(row['amount']):,.2f} {row['currency']}"
            table.add_row(row["feed"], row["rule"], f"{row['count_rows']:,}", amount, row["owner"])
        self.console.print(table)
        self.console.print("  list the rows: marts quarantine list", style="dim")


def _remarks(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is to be said of an event besides its step: texts and their styles."""
    kind = event["kind"]
    if kind == "plan":
        what = "rebuild" if event["is_rebuild"] else "increment"
        where = f"{event['release_id']}: {what} as of {event['as_of']}"
        yield f"{where}, {event['batches']} batches ({event['reason']})", "dim"
    elif kind == "gate_result" and not event["success"]:
        yield f"{event['table']}, {event['suite']}: refused", "red"
    elif kind == "gate_result" and event["suite"] == VOLUME_SUITE:
        for item in event["failed"]:
            yield f"{event['table']}: {item['message']}", "yellow"
    elif kind == "columns_added":
        added = ", ".join(event["columns"])
        yield f"{event['feed']}: new at the source, nobody maps them: {added}", "yellow"
    elif kind == "note":
        yield event["text"], "dim"


def _outcome(event: dict[str, Any]) -> str:
    if event.get("outcome"):
        return str(event["outcome"])
    if "rows" in event:
        rows = event["rows"]
        text = f"{rows['pulled']:,} rows"
        return text + (f", {rows['quarantined']:,} to quarantine" if rows["quarantined"] else "")
    if "applied" in event:
        totals = {"accepted": 0, "duplicate": 0, "superseded": 0}
        for counts in event["applied"].values():
            for name in totals:
                totals[name] += counts[name]
        return (
            f"{totals['accepted']:,} rows applied, {totals['duplicate']:,} duplicate, "
            f"{totals['superseded']:,} superseded"
        )
    if "models" in event:
        return f"{event['models']} models, {event['tests']} tests"
    if "suites" in event:
        return f"{event['suites']} suites, {event['checks']} checks, {event['failed']} refused"
    if "batches" in event:
        return f"{event['batches']} batches"
    return ""


def _through(manifest: dict[str, Any]) -> str:
    days = {feed: day for feed, day in manifest["data_through"].items() if day}
    return ", ".join(f"{feed} {day}" for feed, day in days.items()) or "no dated feed"
