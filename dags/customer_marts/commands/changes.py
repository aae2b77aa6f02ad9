"""``marts diff`` and ``marts approve``: what a release changes, and a person's word for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

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
    from customer_marts import pipeline, releases
    from customer_marts.gates.changes import Successor, changes

    settings = Settings.load(company=company)
    known = {release.release_id: release for release in releases.all_releases(settings.paths)}
    if after == CANDIDATE:
        told = pipeline.candidate_state(settings.paths)
        if not told:
            raise ConfigurationError(
                "there is no candidate on disk",
                where=str(settings.paths.candidate),
                todo="run marts run",
            )
        new = Successor.of_candidate(settings.paths, told)
        rows = releases.mart_rows(new.marts, settings, settings.paths.cache)
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
    from customer_marts import pipeline, releases
    from customer_marts.gates.changes import approve as record
    from customer_marts.gates.changes import waiting_changes

    settings = Settings.load(company=company)
    state = pipeline.candidate_state(settings.paths)
    current = releases.current_release(settings.paths)
    waiting = waiting_changes(state, current)
    if not waiting:
        raise ConfigurationError(
            "nothing waits for approval",
            where=str(settings.paths.candidate),
            kept=f"readers see {current.release_id}" if current else "",
            todo="run marts run; what goes beyond its bound is listed there",
        )
    record(settings.paths, state, waiting, by=by, reason=reason)
    for change in waiting:
        click.echo(f"approved by {by}: {change.message}")
    click.echo(f"kept in {settings.paths.approvals}; run marts run to publish")


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
