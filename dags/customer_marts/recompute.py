"""A past day computed again from the landed batches: as it was known then, or as known now.

"Then" takes the batches and the crosswalk's decisions that the last release up to that day had;
"now" takes everything released since, so that late rows and corrections count on the days they
speak of. Both run today's code from nothing; nothing is published and no reader is touched. Since
when somebody was asked for something stands in no batch: that is taken from the releases before.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from customer_marts import releases, transform, warehouse
from customer_marts.deadlines import DeadlineSource
from customer_marts.errors import ConfigurationError
from customer_marts.identity import load_crosswalk
from customer_marts.landing import Batch, landed_batches
from customer_marts.model_runs import released_runs
from customer_marts.pipeline import Run
from customer_marts.planning import code_version, in_landing_order

# they speak of releases and batches, not of customers: a recomputed day has one release
TRUST_MARTS = {"release_log", "conservation_ledger", "quarantine_summary", "quarantine_history"}


@dataclass(frozen=True)
class Recomputed:
    """A recomputed day. ``file``: a DuckDB file of the marts, as a release holds.

    ``knowledge_of`` is the release whose batches were used. ``differences`` counts, by mart, rows
    that only one side has, beside the release of that day; None when there is nothing to compare
    with (it was pruned, or "now" was asked for). ``same_code`` tells whether that release was built
    by today's code: if not, differences may come from the code.
    """

    file: Path
    as_of: date
    knowledge_of: str
    differences: dict[str, int] | None
    same_code: bool


def recompute(run: Run, as_of: date, file: Path, *, known_then: bool) -> Recomputed:
    """Build the marts as of a day into ``file``, which must not exist.

    known_then: by what the last release with an as-of date up to that day knew; else by what the
    current release knows. Raises ConfigurationError when no release is old enough, or when a batch
    it used is no longer on disk.
    """
    if file.exists():
        raise ConfigurationError(
            "the file exists already", where=str(file), kept="it is untouched", todo="name another"
        )
    current = releases.current_release(run.settings.paths)
    if current is None:
        raise ConfigurationError(
            "there is no release yet", where=str(run.settings.paths.root), todo="run marts run"
        )
    history = current.manifest["history"]
    if known_then:
        history = _history_until(history, as_of)
    known = history[-1]
    code = code_version(run.settings)
    context = warehouse.RunContext.of(
        run.company,
        run.settings.company,
        release_id=known["release_id"],
        release_sequence=known["release_sequence"],
        parent_release_id=known["parent_release_id"],
        parent_as_of=None,
        as_of=as_of,
        is_rebuild=True,
        is_refit=False,
        run_id=known["run_id"],
        started_at=datetime.fromisoformat(known["started_at"]),
        code_version=code,
    )
    crosswalk = load_crosswalk(run.settings)
    model_runs = released_runs(current.marts, known["release_sequence"])
    # what a release told itself is told again
    before = history[:-1] if known["as_of"] == as_of.isoformat() else history
    if not known_then:
        before = [release for release in before if release["as_of"] <= as_of.isoformat()]
    if known_then:
        decided_until = context.started_at.replace(tzinfo=UTC).astimezone(run.company.zone).date()
        crosswalk = [entry for entry in crosswalk if entry.decided_on <= decided_until]
    work = run.folder / "recompute"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    database = work / "build.duckdb"
    try:
        with run.journal.step("apply batches", as_of=as_of) as result:
            batches = _batches_of(run, history)
            with warehouse.connect(database, run.settings, work) as connection:
                # it holds personal data in clear
                database.chmod(0o600)
                result["applied"] = warehouse.apply_batches(
                    connection,
                    run.company,
                    context,
                    batches,
                    history,
                    crosswalk,
                    model_runs,
                    DeadlineSource.by(current.marts, before),
                )
        with run.journal.step("build marts (dbt)"):
            transform.build(
                run.settings,
                database,
                work / "dbt",
                full_refresh=True,
                areas=run.company.areas,
            )
        with run.journal.step("write marts"):
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(warehouse.marts_beside(database), file)
        beside = _release_on_disk(run, known["release_id"]) if known_then else None
        differences = None
        if beside is not None and beside.as_of == as_of:
            differences = _differences(run, beside.marts, file, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    same_code = beside is not None and beside.manifest["code_version"] == code
    return Recomputed(file, as_of, known["release_id"], differences, same_code)


def _history_until(history: list[dict[str, Any]], as_of: date) -> list[dict[str, Any]]:
    """The chain up to the last release whose as-of date is not after the day."""
    for end in range(len(history), 0, -1):
        if history[end - 1]["as_of"] <= as_of.isoformat():
            return history[:end]
    raise ConfigurationError(
        f"nothing was known on {as_of}: the first release is as of {history[0]['as_of']}",
        where="--as-of",
        kept="nothing was built",
        todo="ask for a later day, or for what is known now of that one (--known now)",
    )


def _batches_of(run: Run, history: list[dict[str, Any]]) -> dict[str, list[Batch]]:
    """The batches that these releases brought, in landing order, of the feeds still mapped."""
    wanted: dict[str, set[str]] = {}
    for release in history:
        for feed, ids in release["batches"].items():
            wanted.setdefault(feed, set()).update(ids)
    found: dict[str, list[Batch]] = {}
    for feed in run.company.feeds:
        on_disk = landed_batches(run.settings.paths, feed)
        found[feed] = in_landing_order(
            [batch for batch in on_disk if batch.batch_id in wanted.get(feed, set())]
        )
        missing = wanted.get(feed, set()) - {batch.batch_id for batch in found[feed]}
        if missing:
            raise ConfigurationError(
                f"{len(missing)} landed batches of {feed} are gone: {', '.join(sorted(missing))}",
                where=str(run.settings.paths.landing),
                kept="nothing was built",
                todo="bring them back from a backup: batches are never to be deleted",
            )
    return found


def _release_on_disk(run: Run, release_id: str) -> releases.Release | None:
    for release in releases.all_releases(run.settings.paths):
        if release.release_id == release_id:
            return release
    return None


def _differences(run: Run, published: Path, recomputed: Path, work: Path) -> dict[str, int]:
    with warehouse.connect(Path(":memory:"), run.settings, work) as connection:
        connection.execute(f"attach '{published}' as published (read_only)")
        connection.execute(f"attach '{recomputed}' as recomputed (read_only)")
        tables = connection.execute(
            "select database_name, table_name, list(column_name order by column_name) "
            "from duckdb_columns() where database_name in ('published', 'recomputed') "
            "group by all"
        ).fetchall()
        columns: dict[str, dict[str, list[str]]] = {}
        for side, table, names in tables:
            columns.setdefault(table, {})[side] = names
        counts = {}
        for table in sorted(set(columns) - TRUST_MARTS):
            sides = columns[table]
            if sides.get("published") != sides.get("recomputed"):
                (rows,) = connection.execute(
                    f'select count(*) from {next(iter(sides))}."{table}"'
                ).fetchall()[0]
            else:
                names = ", ".join(f'"{name}"' for name in sides["published"])
                one, other = (
                    f'select {names} from {side}."{table}"' for side in ("published", "recomputed")
                )
                (rows,) = connection.execute(
                    f"select count(*) from (({one} except all {other}) "
                    f"union all ({other} except all {one}))"
                ).fetchall()[0]
            counts[table] = rows
        return counts
