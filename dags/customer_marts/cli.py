"""The command line ``marts``: the same functions as the DAGs, without Airflow.

Exit codes: 0 done; 1 the data were refused; 2 wrong use or configuration; 3 a source or a gate
could not be reached; 4 another run is writing.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from customer_marts import __version__
from customer_marts.commands.changes import approve, diff
from customer_marts.commands.feeds import feeds
from customer_marts.commands.identity import identity
from customer_marts.commands.options import as_json, company_option, plain_errors, plan_options
from customer_marts.commands.plan import plan
from customer_marts.commands.quarantine import quarantine
from customer_marts.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="marts")
def marts() -> None:
    """Customer marts: pull, gate, build, gate, publish; and look after the releases."""


@marts.command()
@company_option
@plan_options
@click.option(
    "--reread",
    multiple=True,
    metavar="FEED",
    help="Pull this feed whole, as if nothing had been pulled before; may be given again.",
)
@plain_errors
def run(
    company: str | None, as_of: date | None, rebuild: bool, refit: bool, reread: tuple[str, ...]
) -> None:
    """Pull what is new and publish a release if anything changed."""
    from customer_marts import pipeline, releases
    from customer_marts.display import Display
    from customer_marts.errors import Incomplete

    settings = Settings.load(company=company)
    display = Display()
    the_run = pipeline.open_run(settings, listener=display)
    try:
        release = pipeline.refresh(the_run, as_of, rebuild=rebuild, refit=refit, reread=reread)
    except Incomplete as error:
        made = releases.current_release(settings.paths)
        if made is not None and made.release_id == error.release_id:
            display.summary(made, settings.paths.current)
            click.echo()
        raise
    finally:
        display.stop()
    if release is not None:
        display.summary(release, settings.paths.current)
        return
    current = releases.current_release(settings.paths)
    assert current is not None
    display.nothing_new(current)


@marts.command()
@company_option
@as_json
@plain_errors
def status(company: str | None, print_json: bool) -> None:
    """Which release readers see, how fresh it is, and what waits."""
    from customer_marts import pipeline, releases
    from customer_marts.feeds import load_company
    from customer_marts.freshness import feed_statuses
    from customer_marts.gates.changes import waiting_changes
    from customer_marts.planning import landed

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    here = landed(settings.paths, current)
    waiting = Counter(batch.feed for batch in [*here.passed, *here.unjudged])
    refused = Counter(batch.feed for batch in here.refused)
    the_company = load_company(settings)
    statuses = feed_statuses(settings, the_company, datetime.now(UTC))
    facts: dict[str, Any] = {
        "company": settings.company,
        "home": str(settings.paths.root),
        "release_id": current.release_id if current else None,
        "as_of": str(current.as_of) if current else None,
        "published_at": current.manifest["published_at"] if current else None,
        "feeds": {
            item.feed: {
                "status": item.status,
                "newest": str(item.newest) if item.newest else None,
                "business_days_behind": item.business_days_behind,
                "message": item.message_en,
            }
            for item in statuses
        },
        "rows_quarantined": sum(r["count_rows"] for r in current.manifest["quarantine"])
        if current
        else 0,
        "batches_waiting": waiting,
        "batches_refused": refused,
        "changes_waiting": [
            change.message
            for change in waiting_changes(pipeline.candidate_state(settings.paths), current)
        ],
        "serving": _serving(settings),
    }
    if print_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    if current is None:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
    else:
        click.echo(f"{settings.company}: {current.release_id}, as of {current.as_of}")
        click.echo(f"  published    {facts['published_at']}")
        click.echo(f"  quarantined  {facts['rows_quarantined']:,} rows")
    for item in statuses:
        shown = item.status.replace("_", " ")
        click.echo(f"  {shown:<15} {item.newest or '-'!s:<12} {item.feed:<17} {item.message_en}")
    click.echo(f"  waiting      {_counted(waiting)}")
    click.echo(f"  refused      {_counted(refused)}")
    for message in facts["changes_waiting"]:
        click.echo(f"  to approve   {message}")
    if facts["serving"]:
        click.echo(f"  PostgreSQL   {facts['serving']['message']}")


@marts.command("releases")
@company_option
@as_json
@plain_errors
def list_releases(company: str | None, print_json: bool) -> None:
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
    if print_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
    for row in rows:
        mark = "*" if row["is_current"] else " "
        how = "rebuild" if row["is_rebuild"] else f"on {row['parent_release_id']}"
        click.echo(f"{mark} {row['release_id']}  published {row['published_at']}  {how}")


@marts.command()
@company_option
@click.option("--to", help="The release to go back to (default: the current one's parent).")
@plain_errors
def rollback(company: str | None, to: str | None) -> None:
    """Point readers to an earlier release at once."""
    from customer_marts import releases, serving

    settings = Settings.load(company=company)
    before, after = releases.rollback(settings, to)
    click.echo(f"readers now see {after.release_id} (was {before.release_id})")
    click.echo("the next run starts from it and applies again what landed since")
    served = serving.serve(settings)
    if served is not None:
        click.echo(f"PostgreSQL: {served}")


@marts.command()
@company_option
@plain_errors
def serve(company: str | None) -> None:
    """Show the current release in PostgreSQL (MARTS_SERVING_URI)."""
    from customer_marts import serving
    from customer_marts.errors import ConfigurationError

    settings = Settings.load(company=company)
    served = serving.serve(settings)
    if served is None:
        raise ConfigurationError(
            "nothing can be served: there is no release yet, or no address to serve it at",
            where="MARTS_SERVING_URI",
            todo="run marts run; set the address (see .env.example)",
        )
    click.echo(f"PostgreSQL: {served}")
    if served.note:
        click.echo(served.note)


@marts.command()
@company_option
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="The day to compute again.",
)
@click.option(
    "--known",
    type=click.Choice(["then", "now"]),
    default="then",
    show_default=True,
    help="By the batches of the last release up to that day, or by all released since.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The DuckDB file to write (default: marts-<as-of>-known-<then|now>.duckdb here).",
)
@plain_errors
def recompute(company: str | None, as_of: datetime, known: str, to: Path | None) -> None:
    """Compute a past day's marts again, from the landed batches, into a file of their own."""
    from customer_marts import pipeline
    from customer_marts.display import Display
    from customer_marts.recompute import recompute as recompute_day

    settings = Settings.load(company=company)
    file = to or Path(f"marts-{as_of:%Y-%m-%d}-known-{known}.duckdb")
    display = Display()
    the_run = pipeline.open_run(settings, listener=display)
    try:
        done = recompute_day(the_run, as_of.date(), file.absolute(), known_then=known == "then")
    finally:
        display.stop()
    click.echo(f"marts as of {done.as_of}, by what {done.knowledge_of} knew: {file}")
    if done.differences is None:
        return
    different = {name: rows for name, rows in done.differences.items() if rows}
    if not different:
        click.echo(f"equal to that release, row for row, in {len(done.differences)} marts")
        return
    reason = "" if done.same_code else " (that release was built by other code)"
    click.echo(f"different from that release{reason}:")
    for name, rows in different.items():
        click.echo(f"  {name}: {rows:,} rows on one side only")


@marts.command()
@company_option
@click.argument("customer_id")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file to write (default: card-<customer>.html here).",
)
@plain_errors
def card(company: str | None, customer_id: str, to: Path | None) -> None:
    """Write one customer's page, to print on one sheet, from the release readers see."""
    from customer_marts import releases
    from customer_marts.errors import ConfigurationError
    from customer_marts.report.card import write_card

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    if current is None:
        raise ConfigurationError(
            "there is no release yet", where=str(settings.paths.root), todo="run marts run"
        )
    file = to or Path(f"card-{customer_id}.html")
    write_card(current.marts, customer_id, file.absolute())
    click.echo(f"{customer_id} as of {current.as_of}: {file}")


marts.add_command(plan)
marts.add_command(diff)
marts.add_command(approve)
marts.add_command(feeds)
marts.add_command(quarantine)
marts.add_command(identity)


def _serving(settings: Settings) -> dict[str, str | None] | None:
    """What PostgreSQL shows; None where nothing is served."""
    from customer_marts import releases, serving
    from customer_marts.errors import MartsError

    current = releases.current_release(settings.paths)
    try:
        target = serving.Target.of(settings)
        if target is None:
            return None
        shown = serving.shown_release(target)
    except MartsError as error:
        return {"release_id": None, "message": f"cannot be asked: {error.what}"}
    if current is None or shown == current.release_id:
        return {"release_id": shown, "message": f"shows {shown}" if shown else "shows nothing yet"}
    told = f"shows {shown or 'nothing'}, not {current.release_id}: run marts serve"
    return {"release_id": shown, "message": told}


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{feed} {count} batches" for feed, count in counts.items()) or "nothing"


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
        # So only what is due at exit is done. Goes when that pair exits silently.
        atexit._run_exitfuncs()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
