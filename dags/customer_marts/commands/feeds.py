"""``marts feeds``: propose a company file from a source, and try one without landing anything."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from customer_marts.commands.options import as_json, company_option, plain_errors
from customer_marts.errors import ConfigurationError
from customer_marts.settings import Settings

if TYPE_CHECKING:
    from customer_marts.onboarding.check import FeedCheck


@click.group()
def feeds() -> None:
    """The feeds of a company file: propose them, try them."""


@feeds.command()
@company_option
@as_json
@click.argument("feed", nargs=-1)
@click.option(
    "--rows",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Read about so many rows of each feed.",
)
@plain_errors
def check(company: str | None, print_json: bool, feed: tuple[str, ...], rows: int) -> None:
    """Read a sample of each feed (or of those named) and say what would become of it.

    Nothing lands and nothing is released. Exit code 0: it would land; 1: the company file does not
    fit the source; 3: a source could not be reached.
    """
    from customer_marts.feeds import FEEDS, load_company
    from customer_marts.onboarding.check import as_facts, check_company

    settings = Settings.load(company=company)
    described = load_company(settings)
    unknown = [name for name in feed if name not in described.feeds]
    if unknown:
        raise ConfigurationError(
            f"{settings.company} maps no feed {', '.join(unknown)}",
            where=str(settings.company_file),
            todo=f"choose among {', '.join(described.feeds)}",
        )
    chosen = [name for name in FEEDS if name in (feed or described.feeds)]
    checks = check_company(settings, described, chosen, rows, datetime.now(UTC))
    if print_json:
        click.echo(json.dumps([as_facts(item) for item in checks], ensure_ascii=False, indent=2))
    else:
        for item in checks:
            _print(item)
        click.echo(f"{len(checks)} feeds of {settings.company} checked; nothing was landed")
    states = {item.state for item in checks}
    sys.exit(3 if "unreachable" in states else 1 if "problem" in states else 0)


def _print(found: FeedCheck) -> None:
    def line(head: str, text: str) -> None:
        click.echo(f"{'':<2}{head:<13}{text}" if head else f"{'':<15}{text}")

    sampled = f"{found.rows:,} rows of {found.sampled_from}" if found.rows else "no rows"
    span = f", {found.data_from} to {found.data_through}" if found.data_from else ""
    click.echo(f"{found.feed}: {found.state}: {sampled}{span}")
    if found.fault:
        head, *rest = found.fault.splitlines()
        line("fault", head)
        for text in rest:
            line("", text.strip())
    if found.mapped:
        line("mapped", ", ".join(_pair(ours, theirs) for ours, theirs in found.mapped.items()))
    if found.unmapped:
        line("unmapped", ", ".join(found.unmapped))
    for missing in found.missing:
        likely = f", probably {missing.likely}" if missing.likely else ""
        line("missing", f"{missing.source_column} (for {', '.join(missing.columns)}){likely}")
    for held in found.quarantined:
        examples = ", ".join(f"'{value}'" for value in held.examples)
        line(
            "quarantine",
            f"{held.rows:,} rows {held.rule}" + (f": {held.column} {examples}" if examples else ""),
        )
        line("", held.reason)
    for column in dict.fromkeys(value.column for value in found.unknown_values):
        values = [value for value in found.unknown_values if value.column == column]
        listed = ", ".join(f"'{value.value}' {value.rows:,}" for value in values)
        passes = " (taken as they are)" if all(value.is_accepted for value in values) else ""
        line("values", f"{column}: {listed}{passes}")
    if found.repeated_keys:
        examples = ", ".join(found.repeated_key_examples)
        line("keys", f"{found.repeated_keys:,} come more than once: {examples}")
    if found.unknown_currencies:
        listed = ", ".join(f"'{code}' {rows:,}" for code, rows in found.unknown_currencies.items())
        line("currencies", f"not declared: {listed}")
    if found.latest_rates:
        line("rates", "; ".join(found.latest_rates) + "? (per 100: say unit: per_100)")
    for text in found.suggestions:
        line("to do", text)


def _pair(ours: str, theirs: str) -> str:
    return ours if ours == theirs else f"{theirs} -> {ours}"


@feeds.command()
@click.option(
    "--to",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The company file to write; its name becomes the company's.",
)
@click.option("--database", help="A database: ${VARIABLE}, or sqlite:///file without a password.")
@click.option("--driver", help="The ADBC driver of a database other than SQLite and PostgreSQL.")
@click.option("--files", help="A folder of files.")
@click.option("--encoding", help="The encoding of its text files (gb18030, utf-8 …).")
@click.option("--rest", help="The address of an HTTP service.")
@click.option("--path", "paths", multiple=True, help="A resource of it, as in /v1/responses.")
@click.option("--token", help="Its bearer token, as '${VARIABLE}'.")
@click.option("--currency", default="CNY", show_default=True, help="The reporting currency.")
@click.option("--time-zone", default="Asia/Shanghai", show_default=True, help="The business's own.")
@plain_errors
def init(
    to: Path,
    database: str | None,
    driver: str | None,
    files: str | None,
    encoding: str | None,
    rest: str | None,
    paths: tuple[str, ...],
    token: str | None,
    currency: str,
    time_zone: str,
) -> None:
    """Look at sources and propose a company file. Every guess in it is marked ``# ?``.

    Give one or more of --database, --files, --rest. An existing file is never overwritten.
    """
    from customer_marts.onboarding.propose import Wanted, propose

    wanted = Wanted(
        to=to,
        reporting_currency=currency,
        time_zone=time_zone,
        database=database,
        driver=driver,
        files=files,
        encoding=encoding,
        rest=rest,
        paths=paths,
        token=token,
    )
    for text in propose(Settings.load(), wanted, datetime.now(UTC)):
        click.echo(text)
