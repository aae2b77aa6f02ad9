"""``marts diff`` and ``marts approve``: what a release changes, and a person's word for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from customer_marts.commands.options import (
    as_json,
    company_option,
    decider,
    plain_errors,
    printed_json,
)
from customer_marts.errors import ConfigurationError
from customer_marts.settings import Settings

if TYPE_CHECKING:
    from customer_marts.gates.changes import Change

CANDIDATE = "candidate"


@click.command()
@company_option
@as_json
@click.argument("after", required=False)
@click.option("--since", help="The release to compare with (default: the one it goes on from).")
@plain_errors
def diff(company: str | None, print_json: bool, after: str | None, since: str | None) -> None:
    """Compare a release with an earlier one: rows, keys, amounts, classes.

    AFTER is a release, or 'candidate': the one on disk that waits for publication or for approval
    (default: the release readers see).
    """
    from customer_marts import releases
    from customer_marts.gates.changes import Successor, changes

    settings = Settings.load(company=company)
    known = {release.release_id: release for release in releases.all_releases(settings.paths)}
    if after == CANDIDATE:
        told = _candidate(settings)
        new = Successor.of_candidate(settings.paths, told)
        rows = releases.mart_rows(new.database, settings, settings.paths.cache)
    else:
        current = releases.current_release(settings.paths)
        release = _of(known, after or (current.release_id if current else ""))
        told, new, rows = release.manifest, Successor.of(release), release.manifest["rows"]
    name = told["release_id"]
    old = _of(known, since or told["parent_release_id"] or "")
    found = changes(settings, old, new)
    before = old.manifest["rows"]
    counts = {
        mart: (before.get(mart), rows.get(mart))
        for mart in sorted({*before, *rows})
        if before.get(mart) != rows.get(mart)
    }
    if print_json:
        click.echo(
            printed_json(
                {
                    "before": old.release_id,
                    "after": name,
                    "changes": [{**asdict(item), "waits": item.waits} for item in found],
                    "rows": {mart: list(count) for mart, count in counts.items()},
                }
            )
        )
        return
    click.echo(f"{old.release_id}, as of {old.as_of} -> {name}, as of {new.as_of}")
    for item in found:
        mark = "!" if item.waits else "*" if item.is_beyond else " "
        click.echo(f"{mark} {item.message}")
        if item.approval:
            click.echo(f"    approved by {item.approval.by}: {item.approval.reason}")
    for mart, (was, now) in counts.items():
        click.echo(f"  {mart}: {_rows(was)} to {_rows(now)}")
    if not counts:
        click.echo("  every mart has as many rows as before")


@click.command()
@company_option
@decider
@plain_errors
def approve(company: str | None, by: str, reason: str) -> None:
    """Let the candidate on disk change what it changes beyond a bound; the next run publishes it.

    It holds for what is built on the same release, as far as this candidate goes.
    """
    from customer_marts import releases
    from customer_marts.gates.changes import approve as record

    settings = Settings.load(company=company)
    waiting = waiting_changes(settings)
    current = releases.current_release(settings.paths)
    if not waiting or current is None:
        raise ConfigurationError(
            "nothing waits for approval",
            where=str(settings.paths.candidate),
            kept=f"readers see {current.release_id}" if current else "",
            todo="run marts run; what goes beyond its bound is listed there",
        )
    record(settings.paths, _candidate(settings), waiting, by=by, reason=reason)
    for change in waiting:
        click.echo(f"approved by {by}: {change.message}")
    click.echo(f"kept in {settings.paths.approvals}; run marts run to publish")


def waiting_changes(settings: Settings) -> list[Change]:
    """What the candidate on disk changes beyond a bound, while readers see the release it is on."""
    from customer_marts import releases
    from customer_marts.gates.changes import Change

    current = releases.current_release(settings.paths)
    file = _candidate_file(settings)
    state = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if current is None or state.get("parent_release_id") != current.release_id:
        return []
    return [Change(**line) for line in state.get("changes_waiting", [])]


def _candidate_file(settings: Settings) -> Path:
    return settings.paths.candidate / "candidate.json"


def _candidate(settings: Settings) -> dict[str, Any]:
    file = _candidate_file(settings)
    if not file.exists():
        raise ConfigurationError(
            "there is no candidate on disk", where=str(file), todo="run marts run"
        )
    state: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return state


def _of(known: dict[str, Any], release_id: str) -> Any:
    if release_id not in known:
        raise ConfigurationError(
            f"there is no release '{release_id}'" if release_id else "there is no earlier release",
            where="marts diff",
            todo="choose of those that marts releases lists: " + ", ".join(known),
        )
    return known[release_id]


def _rows(count: int | None) -> str:
    return "no such mart" if count is None else f"{count:,} rows"
