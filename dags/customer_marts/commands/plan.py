"""``marts plan``: what the next run would make of what has landed."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from customer_marts.commands.options import (
    as_json,
    company_option,
    plain_errors,
    plan_options,
    printed_json,
)
from customer_marts.settings import Settings

if TYPE_CHECKING:
    from customer_marts.planning import Plan


@click.command()
@company_option
@plan_options
@as_json
@plain_errors
def plan(
    company: str | None, as_of: date | None, rebuild: bool, refit: bool, print_json: bool
) -> None:
    """Show what the next run would build of what has landed, and why; nothing is pulled or written.

    What the sources have beside is not known before the run pulls it.
    """
    from customer_marts import pipeline, planning, releases

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    made = planning.plan(pipeline.open_run(settings), as_of, rebuild=rebuild, refit=refit)
    here = planning.landed(settings.paths, current)
    facts: dict[str, Any] = {
        "company": settings.company,
        "release_id": made.context.release_id if made else None,
        "as_of": made.context.as_of if made else None,
        "parent_release_id": current.release_id if current else None,
        "is_rebuild": made.context.is_rebuild if made else None,
        "reason": made.reason if made else None,
        "rows": _rows(made) if made else {},
        "batches_unjudged": Counter(batch.feed for batch in here.unjudged),
        "batches_refused": Counter(batch.feed for batch in here.refused),
        "like": _like(settings, is_rebuild=made.context.is_rebuild) if made else None,
        "bytes_free": shutil.disk_usage(settings.paths.root).free,
    }
    if print_json:
        click.echo(printed_json(facts))
        return
    if made is None:
        assert current is not None
        click.echo(f"{settings.company}: nothing new landed since {current.release_id}")
    else:
        what = "a rebuild" if facts["is_rebuild"] else "an increment"
        on = f" on {current.release_id}" if current and not made.start_empty else ""
        click.echo(f"{settings.company}: {facts['release_id']}, {what}{on}, as of {facts['as_of']}")
        if facts["is_rebuild"]:
            click.echo(f"  because      {made.reason}")
        applied = f"rows: {_by_feed(facts['rows'])}" if made.batches else "nothing that is new"
        click.echo(f"  applies      {applied}")
    for label, counts in (
        ("gate 1 first", facts["batches_unjudged"]),
        ("refused", facts["batches_refused"]),
    ):
        if counts:
            click.echo(f"  {label:<12} batches: {_by_feed(counts)}")
    if facts["like"]:
        like = facts["like"]
        click.echo(
            f"  last of kind {like['release_id']}: {like['seconds']:,.0f} s, "
            f"{like['bytes'] / 10**6:,.0f} MB; {facts['bytes_free'] / 10**9:,.0f} GB are free"
        )


def _rows(made: Plan) -> dict[str, int]:
    """Accepted rows to apply, by feed."""
    return {
        feed: sum(batch.manifest["rows"]["accepted"] for batch in batches)
        for feed, batches in made.batches.items()
    }


def _by_feed(counts: dict[str, int]) -> str:
    return ", ".join(f"{feed} {count:,}" for feed, count in counts.items())


def _like(settings: Settings, *, is_rebuild: bool) -> dict[str, Any] | None:
    """What the newest release on disk of the same kind took: seconds of its steps, bytes."""
    from customer_marts import releases

    for release in reversed(releases.all_releases(settings.paths)):
        if release.manifest["is_rebuild"] == is_rebuild and release.build_database.exists():
            files = (item for item in release.folder.rglob("*") if item.is_file())
            return {
                "release_id": release.release_id,
                "seconds": sum(step["seconds"] for step in release.manifest["steps"]),
                "bytes": sum(file.stat().st_size for file in files),
            }
    return None
