"""``marts quarantine``: what did not pass gate 1, and what to do about it."""

from __future__ import annotations

from datetime import UTC, date, datetime
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
from customer_marts.feeds import Company, load_company
from customer_marts.settings import Settings

if TYPE_CHECKING:
    from customer_marts.quarantine import QuarantinedRow

STATES = ("open", "fixed", "waived", "replayed")


@click.group()
def quarantine() -> None:
    """Rows that did not pass gate 1: see, mend or waive, and replay them."""


def _selection(function: Any) -> Any:
    feed = click.option("--feed", help="Only this feed.")
    rule = click.option("--rule", help="Only this rule.")
    owner = click.option("--owner", help="Only rows of this owner.")
    return feed(rule(owner(function)))


@quarantine.command("list")
@company_option
@as_json
@_selection
@click.option("--state", type=click.Choice(STATES), help="Only rows in this state.")
@click.option("--closed", is_flag=True, help="The closed cases instead, newest first.")
@click.option("--limit", default=50, show_default=True, help="At most so many rows (0: all).")
@plain_errors
def list_rows(
    company: str | None,
    print_json: bool,
    feed: str | None,
    rule: str | None,
    owner: str | None,
    state: str | None,
    closed: bool,
    limit: int,
) -> None:
    """List the rows that the current release leaves out, oldest first."""
    settings = Settings.load(company=company)
    if closed:
        _list_closed(settings, print_json, feed, rule, owner, limit)
        return
    rows = [row for row in _select(settings, feed, rule, owner) if state in (None, row.state)]
    today = _today(load_company(settings))
    shown = rows[:limit] if limit > 0 else rows
    if print_json:
        click.echo(printed_json([_plain(row, today) for row in shown]))
        return
    for row in shown:
        place = f" {row.column}='{row.value}'" if row.column else ""
        age = f"{row.age_days(today)} d"
        click.echo(
            f"{row.quarantine_id}  {row.state:<8} {age:>6}  {row.feed:<16} {row.rule:<22} "
            f"{row.row_key}{place}"
        )
        click.echo(f"{'':<12}{row.reason} [{row.owner}] {row.source}")
    click.echo(f"{len(shown)} of {len(rows)} rows")


@quarantine.command()
@click.argument("quarantine_id")
@company_option
@as_json
@plain_errors
def show(quarantine_id: str, company: str | None, print_json: bool) -> None:
    """Show one row whole: its values, its rule, its history, what can be done."""
    from customer_marts.quarantine import find_row

    settings = Settings.load(company=company)
    row = find_row(settings, quarantine_id)
    today = _today(load_company(settings))
    if print_json:
        click.echo(printed_json(_plain(row, today)))
        return
    facts = {
        "row": f"{row.feed} {row.row_key}".strip(),
        "rule": row.rule,
        "reason": row.reason,
        "owner": row.owner,
        "first seen": f"{row.first_seen_at:%Y-%m-%d %H:%M} UTC, {row.age_days(today)} days ago",
        "came from": f"{row.source}, batch {row.batch_id}",
        "amount": f"{row.amount} {row.currency}" if row.amount is not None else "unknown",
        "state": row.state,
    }
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
    if row.decision is not None:
        changes = ", ".join(f"{column}='{text}'" for column, text in row.decision.changes.items())
        until = f" until {row.decision.waived_until}" if row.decision.waived_until else ""
        click.echo(
            f"{'decided':<12}{row.decision.action}{until} {changes} by {row.decision.by} on "
            f"{row.decision.decided_at}: {row.decision.reason}"
        )
    if row.raw:
        width = max(len(name) for name in row.raw)
        for column, text in row.raw.items():
            click.echo(f"  {column:<{width}}  {text or ''}")
    else:
        click.echo(f"  {row.raw_text}")


@quarantine.command()
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@company_option
@_selection
@plain_errors
def export(
    target: Path, company: str | None, feed: str | None, rule: str | None, owner: str | None
) -> None:
    """Write rows of one feed to a CSV file for their owner to mend (then: fix --from FILE)."""
    from customer_marts import quarantine as cases

    settings = Settings.load(company=company)
    rows = _select(settings, feed, rule, owner)
    cases.export(rows, target, _today(load_company(settings)))
    click.echo(f"{len(rows)} rows written to {target}")


@quarantine.command()
@click.argument("quarantine_id", required=False)
@company_option
@click.option("--set", "sets", multiple=True, metavar="COLUMN=VALUE", help="New text of a column.")
@click.option(
    "--from",
    "corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An exported file with corrected values, instead of one id.",
)
@decider
@plain_errors
def fix(
    quarantine_id: str | None,
    company: str | None,
    sets: tuple[str, ...],
    corrected: Path | None,
    by: str,
    reason: str,
) -> None:
    """Decide corrected values for a row; they take effect when it is replayed."""
    from customer_marts import quarantine as cases

    settings = Settings.load(company=company)
    the_company = load_company(settings)
    rows = {row.quarantine_id: row for row in cases.quarantined_rows(settings)}
    if (quarantine_id is None) == (corrected is None):
        raise click.UsageError("give either an id with --set, or --from FILE")
    if corrected is not None:
        wanted = cases.changes_in(corrected, list(rows.values()))
    else:
        assert quarantine_id is not None
        rows[quarantine_id] = cases.find_row(settings, quarantine_id)
        wanted = {quarantine_id: dict(_assignment(text) for text in sets)}
    for found, changes in wanted.items():
        cases.fix(settings, the_company, rows[found], changes, by=by, reason=reason)
    click.echo(f"{len(wanted)} rows fixed; marts quarantine replay lands them")


@quarantine.command()
@click.argument("quarantine_ids", nargs=-1, required=True)
@company_option
@click.option(
    "--until",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day of the waiver; then the row goes back into quarantine.",
)
@click.option("--rule", "rules", multiple=True, help="A further rule that the row may break.")
@decider
@plain_errors
def waive(
    quarantine_ids: tuple[str, ...],
    company: str | None,
    until: datetime,
    rules: tuple[str, ...],
    by: str,
    reason: str,
) -> None:
    """Let rows count as they are, until a day; takes effect when they are replayed."""
    from customer_marts import quarantine as cases

    settings = Settings.load(company=company)
    today = _today(load_company(settings))
    rows = [cases.find_row(settings, each) for each in quarantine_ids]
    for row in rows:
        cases.waive(
            settings, row, rules=rules, by=by, reason=reason, until=until.date(), today=today
        )
    click.echo(f"{len(rows)} rows waived; marts quarantine replay lands them")


@quarantine.command()
@click.argument("quarantine_ids", nargs=-1)
@company_option
@plain_errors
def replay(quarantine_ids: tuple[str, ...], company: str | None) -> None:
    """Land the decided rows (all, or those named) and put them through gate 1."""
    from customer_marts import pipeline
    from customer_marts import quarantine as cases

    settings = Settings.load(company=company)
    run = pipeline.open_run(settings)
    rows = [row for row in cases.quarantined_rows(settings) if row.state in ("fixed", "waived")]
    if quarantine_ids:
        missing = set(quarantine_ids) - {row.quarantine_id for row in rows}
        if missing:
            raise ConfigurationError(
                f"not decided, or not in quarantine: {', '.join(sorted(missing))}",
                where="marts quarantine replay",
                todo="decide them first: marts quarantine fix or waive",
            )
        rows = [row for row in rows if row.quarantine_id in quarantine_ids]
    if not rows:
        click.echo("nothing is decided: marts quarantine fix or waive comes first")
        return
    batches = pipeline.replay(run, rows)
    for batch in batches:
        click.echo(f"{batch.feed} {batch.batch_id}: {batch.manifest['rows']['accepted']} rows")
    click.echo("they count from the next release on: marts run")


def _list_closed(
    settings: Settings,
    print_json: bool,
    feed: str | None,
    rule: str | None,
    owner: str | None,
    limit: int,
) -> None:
    from customer_marts.quarantine import closed_rows

    rows = [
        row
        for row in closed_rows(settings)
        if feed in (None, row["feed"])
        and rule in (None, row["rule"])
        and owner in (None, row["owner"])
    ]
    shown = rows[:limit] if limit > 0 else rows
    if print_json:
        click.echo(printed_json(shown))
        return
    for row in shown:
        by = f" by {row['decided_by']}: {row['decision_reason']}" if row["decided_by"] else ""
        click.echo(
            f"{row['quarantine_id']}  {row['closed_by']:<8} {row['feed']:<16} {row['rule']:<22} "
            f"{row['row_key']}{by}"
        )
    click.echo(f"{len(shown)} of {len(rows)} closed rows")


def _select(
    settings: Settings, feed: str | None, rule: str | None, owner: str | None
) -> list[QuarantinedRow]:
    from customer_marts.quarantine import quarantined_rows

    return [
        row
        for row in quarantined_rows(settings)
        if feed in (None, row.feed) and rule in (None, row.rule) and owner in (None, row.owner)
    ]


def _plain(row: QuarantinedRow, today: date) -> dict[str, Any]:
    decision = vars(row.decision) if row.decision else None
    return {
        "quarantine_id": row.quarantine_id,
        "state": row.state,
        "feed": row.feed,
        "rule": row.rule,
        "reason": row.reason,
        "owner": row.owner,
        "row_key": row.row_key,
        "column_name": row.column,
        "value": row.value,
        "source": row.source,
        "batch_id": row.batch_id,
        "currency": row.currency,
        "amount": row.amount,
        "first_seen_at": row.first_seen_at,
        "age_days": row.age_days(today),
        "raw": row.raw or row.raw_text,
        "decision": decision,
    }


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"'{text}' is not COLUMN=VALUE")
    return name.strip(), value


def _today(company: Company) -> date:
    return datetime.now(UTC).astimezone(company.zone).date()
