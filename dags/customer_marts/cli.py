"""The command line ``marts``: the same functions as the DAGs, without Airflow.

Exit codes: 0 done; 1 the data were refused; 2 wrong use or configuration; 3 a source or a gate
could not be reached; 4 another run is writing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from customer_marts import __version__
from customer_marts.errors import MartsError
from customer_marts.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def _plain_errors(function: Callable[P, R]) -> Callable[P, R]:
    """A person's mistake or a source's failure is a message, never a traceback."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MartsError as error:
            click.echo(f"marts: {error}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            click.echo(f"marts: the state folder cannot be used: {error}", err=True)
            click.echo("  to do: check the rights and the space at MARTS_HOME", err=True)
            sys.exit(3)
        except KeyboardInterrupt:
            click.echo("marts: interrupted; the last release stands, run again", err=True)
            sys.exit(130)

    return wrapped


def _company_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--company", help="The company file to use (default: MARTS_COMPANY, else sample)."
    )(function)


def _as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")(
        function
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="marts")
def marts() -> None:
    """Customer marts: pull, gate, build, gate, publish; and look after the releases."""


@marts.command()
@_company_option
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Compute every figure as of this date (default: as the company file says).",
)
@click.option("--rebuild", is_flag=True, help="Build from all landed batches, not incrementally.")
@_plain_errors
def run(company: str | None, as_of: datetime | None, rebuild: bool) -> None:
    """Pull what is new and publish a release if anything changed."""
    from customer_marts import pipeline, releases
    from customer_marts.display import Display

    settings = Settings.load(company=company)
    display = Display()
    the_run = pipeline.open_run(settings, listener=display)
    try:
        release = pipeline.refresh(the_run, _date(as_of), rebuild=rebuild)
    finally:
        display.stop()
    if release is not None:
        display.summary(release, settings.paths.current)
        return
    current = releases.current_release(settings.paths)
    assert current is not None
    display.nothing_new(current)


@marts.command()
@_company_option
@_as_json
@_plain_errors
def status(company: str | None, as_json: bool) -> None:
    """Which release readers see, how fresh it is, and what waits."""
    from customer_marts import releases
    from customer_marts.feeds import FEEDS
    from customer_marts.landing import landed_batches

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    applied = current.manifest["batches"] if current else {}
    waiting: dict[str, int] = {}
    refused: dict[str, int] = {}
    for feed in FEEDS:
        for batch in landed_batches(settings.paths, feed):
            if batch.batch_id in applied.get(feed, []):
                continue
            verdict = batch.verdict
            group = refused if verdict and not verdict["success"] else waiting
            group[feed] = group.get(feed, 0) + 1
    facts: dict[str, Any] = {
        "company": settings.company,
        "home": str(settings.paths.root),
        "release_id": current.release_id if current else None,
        "as_of": str(current.as_of) if current else None,
        "published_at": current.manifest["published_at"] if current else None,
        "data_through": current.manifest["data_through"] if current else {},
        "rows_quarantined": sum(r["count_rows"] for r in current.manifest["quarantine"])
        if current
        else 0,
        "batches_waiting": waiting,
        "batches_refused": refused,
    }
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    if current is None:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
    else:
        click.echo(f"{settings.company}: {current.release_id}, as of {current.as_of}")
        click.echo(f"  published    {facts['published_at']}")
        for feed, day in facts["data_through"].items():
            click.echo(f"  data through {day or '-':<12} {feed}")
        click.echo(f"  quarantined  {facts['rows_quarantined']:,} rows")
    click.echo(f"  waiting      {_counted(waiting)}")
    click.echo(f"  refused      {_counted(refused)}")


@marts.command("releases")
@_company_option
@_as_json
@_plain_errors
def list_releases(company: str | None, as_json: bool) -> None:
    """List the releases on disk, newest first; * marks the one readers see."""
    from customer_marts import releases

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    rows = [
        {
            "release_id": release.release_id,
            "is_current": current is not None and release.release_id == current.release_id,
            "as_of": str(release.as_of),
            "published_at": release.manifest["published_at"],
            "parent_release_id": release.manifest["parent_release_id"],
            "is_rebuild": release.manifest["is_rebuild"],
        }
        for release in reversed(releases.all_releases(settings.paths))
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
    for row in rows:
        mark = "*" if row["is_current"] else " "
        how = "rebuild" if row["is_rebuild"] else f"on {row['parent_release_id']}"
        click.echo(f"{mark} {row['release_id']}  published {row['published_at']}  {how}")


@marts.command()
@_company_option
@click.option("--to", help="The release to go back to (default: the current one's parent).")
@_plain_errors
def rollback(company: str | None, to: str | None) -> None:
    """Point readers to an earlier release at once."""
    from customer_marts import releases

    settings = Settings.load(company=company)
    before, after = releases.rollback(settings, to)
    click.echo(f"readers now see {after.release_id} (was {before.release_id})")
    click.echo("the next run starts from it and applies again what landed since")


@marts.group()
def quarantine() -> None:
    """Rows that did not pass gate 1."""


@quarantine.command("list")
@_company_option
@_as_json
@click.option("--feed", help="Only this feed.")
@click.option("--rule", help="Only this rule.")
@click.option("--limit", default=50, show_default=True, help="At most so many rows (0: all).")
@_plain_errors
def list_quarantine(
    company: str | None, as_json: bool, feed: str | None, rule: str | None, limit: int
) -> None:
    """List quarantined rows of the current release: rule, reason, where, value, owner."""
    from customer_marts import releases
    from customer_marts.warehouse import connect

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    if current is None:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
        return
    columns = (
        "feed",
        "rule",
        "row_key",
        "column_name",
        "value",
        "source",
        "reason",
        "owner",
        "amount",
        "first_seen_at",
    )
    with connect(
        current.build_database, settings, settings.paths.cache, read_only=True
    ) as connection:
        rows = connection.execute(
            f"""
            select {", ".join(columns)}, count(*) over () as total from landing.quarantine
            where feed = coalesce(?, feed) and rule = coalesce(?, rule)
            order by feed, rule, source, row_key
            {f"limit {limit}" if limit > 0 else ""}
            """,
            [feed, rule],
        ).fetchall()
    listed = [dict(zip(columns, row, strict=False)) for row in rows]
    if as_json:
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2, default=str))
        return
    for item in listed:
        place = f" {item['column_name']}='{item['value']}'" if item["column_name"] else ""
        click.echo(f"{item['feed']:<17} {item['rule']:<22} {item['row_key']}{place}")
        click.echo(f"{'':<17} {item['reason']} [{item['owner']}] {item['source']}")
    total = rows[0][-1] if rows else 0
    click.echo(f"{len(listed)} of {total} rows, release {current.release_id}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{feed} {count} batches" for feed, count in counts.items()) or "nothing"


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def main() -> None:
    """Run the command line and leave the process."""
    code = 0
    try:
        marts()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    if "great_expectations" in sys.modules:
        # duckdb's binding, once loaded beside great_expectations, prints a page about leaked
        # objects when the interpreter takes itself apart; everything of ours is closed by now.
        # Goes when that pair exits silently.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
