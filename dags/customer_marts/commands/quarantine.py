"""``marts quarantine``: what did not pass gate 1, and what to do about it."""

from __future__ import annotations

import json

import click

from customer_marts.commands.options import as_json, company_option, plain_errors
from customer_marts.settings import Settings


@click.group()
def quarantine() -> None:
    """Rows that did not pass gate 1."""


@quarantine.command("list")
@company_option
@as_json
@click.option("--feed", help="Only this feed.")
@click.option("--rule", help="Only this rule.")
@click.option("--limit", default=50, show_default=True, help="At most so many rows (0: all).")
@plain_errors
def list_quarantine(
    company: str | None, print_json: bool, feed: str | None, rule: str | None, limit: int
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
    if print_json:
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2, default=str))
        return
    for item in listed:
        place = f" {item['column_name']}='{item['value']}'" if item["column_name"] else ""
        click.echo(f"{item['feed']:<17} {item['rule']:<22} {item['row_key']}{place}")
        click.echo(f"{'':<17} {item['reason']} [{item['owner']}] {item['source']}")
    total = rows[0][-1] if rows else 0
    click.echo(f"{len(listed)} of {total} rows, release {current.release_id}")
