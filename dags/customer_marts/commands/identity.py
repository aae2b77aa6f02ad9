"""``marts identity``: which customers count for which, and which look like one."""

from __future__ import annotations

import click

from customer_marts.commands.options import as_json, company_option, plain_errors, printed_json
from customer_marts.errors import ConfigurationError
from customer_marts.settings import Settings


@click.group()
def identity() -> None:
    """The crosswalk of customers: what was decided, what is proposed."""


@identity.command()
@company_option
@as_json
@plain_errors
def decided(company: str | None, print_json: bool) -> None:
    """List the crosswalk's lines, checked."""
    from customer_marts.identity import crosswalk_file, load_crosswalk

    settings = Settings.load(company=company)
    entries = load_crosswalk(settings)
    if print_json:
        click.echo(printed_json([vars(entry) for entry in entries]))
        return
    for entry in entries:
        days = f" {entry.valid_from or ''}..{entry.valid_to or ''}"
        row = f" {entry.feed} {entry.row_key}" if entry.feed else ""
        click.echo(
            f"{entry.kind:<9}{entry.from_customer_id} -> {entry.to_customer_id}"
            f"{days if entry.valid_from or entry.valid_to else ''}{row}  "
            f"{entry.decided_by} {entry.decided_on}: {entry.reason}"
        )
    click.echo(f"{len(entries)} lines in {crosswalk_file(settings)}")


@identity.command()
@company_option
@as_json
@click.option("--limit", default=50, show_default=True, help="At most so many (0: all).")
@plain_errors
def proposals(company: str | None, print_json: bool, limit: int) -> None:
    """List customers that look like one: same legal id, or same name but for its form."""
    import duckdb

    from customer_marts import releases

    settings = Settings.load(company=company)
    current = releases.current_release(settings.paths)
    if current is None:
        click.echo(f"{settings.company}: no release yet (run: marts run)")
        return
    if "identity_proposals" not in current.manifest["rows"]:
        raise ConfigurationError(
            "the release has no identity_proposals",
            where=str(current.marts),
            todo="add core to areas in the company file, then marts run",
        )
    with duckdb.connect(str(current.marts), read_only=True) as connection:
        found = connection.execute("from identity_proposals order by all")
        names = [item[0] for item in found.description]
        rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    shown = rows[:limit] if limit > 0 else rows
    if print_json:
        click.echo(printed_json(shown))
        return
    for row in shown:
        click.echo(
            f"{row['customer_id']} {row['customer_name']}  =?  {row['other_customer_id']} "
            f"{row['other_customer_name']}  ({row['basis']}: {row['matched_value']})"
        )
    click.echo(f"{len(shown)} of {len(rows)} proposals, release {current.release_id}")
    click.echo("decide in the company's .identity.csv: merge, rekey, split or distinct")
