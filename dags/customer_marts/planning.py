"""What a refresh would make of what has landed: decided here, carried out by ``pipeline``.

Nothing is written: ``marts plan`` shows it before a run, ``build_candidate`` asks for it in one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customer_marts import __version__, releases, warehouse
from customer_marts.errors import ConfigurationError, GateFailure
from customer_marts.feeds import FEEDS, Company
from customer_marts.freshness import failure_of, last_pulls
from customer_marts.identity import crosswalk_file
from customer_marts.landing import Batch, data_through, landed_batches, reread_files
from customer_marts.settings import DBT_PROJECT_DIR, EXPECTATIONS_DIR, Settings, StatePaths

if TYPE_CHECKING:
    from customer_marts.pipeline import Run


@dataclass(frozen=True)
class Plan:
    """What a refresh would do. ``batches``: the ones to apply, by feed; ``code``: its parts."""

    context: warehouse.RunContext
    code: dict[str, str]
    batches: dict[str, list[Batch]]
    parent: releases.Release | None
    start_empty: bool
    reason: str

    @property
    def count_batches(self) -> int:
        return sum(len(items) for items in self.batches.values())

    @property
    def new_batches(self) -> dict[str, list[str]]:
        """Ids of the batches that the parent release did not hold, by feed."""
        known = self.parent.manifest["batches"] if self.parent else {}
        found = {
            feed: [item.batch_id for item in batches if item.batch_id not in known.get(feed, [])]
            for feed, batches in self.batches.items()
        }
        return {feed: ids for feed, ids in found.items() if ids}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The releases on the chain with this one last; it lives on in manifests, so that neither
        a rebuild nor a pruned release forgets it.
        """
        # what this release was the first to know comes with it
        this = {**self.context.as_history(self.count_batches), "batches": self.new_batches}
        return [*(self.parent.manifest["history"] if self.parent else []), this]


@dataclass(frozen=True)
class Landed:
    """Landed batches: those that a release holds, and the others by what gate ① said of them."""

    released: list[Batch]
    passed: list[Batch]
    unjudged: list[Batch]
    refused: list[Batch]


def landed(paths: StatePaths, released: releases.Release | None) -> Landed:
    """What landed for this release and beside it; before the first, nothing is released."""
    found = Landed([], [], [], [])
    for feed in FEEDS:
        known = set(released.manifest["batches"].get(feed, [])) if released else set()
        for batch in landed_batches(paths, feed):
            if batch.batch_id in known:
                found.released.append(batch)
                continue
            verdict = batch.verdict
            if verdict is None:
                found.unjudged.append(batch)
            else:
                (found.passed if verdict["success"] else found.refused).append(batch)
    return found


def _by_feed(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    found: dict[str, list[Batch]] = {}
    for batch in batches:
        found.setdefault(batch.feed, []).append(batch)
    return found


def plan(
    run: Run, as_of: date | None = None, *, rebuild: bool = False, refit: bool = False
) -> Plan | None:
    """Decide what the next release needs; None when nothing changed since the last one.

    refit: fit the models that are due anew, also when no row is new.

    A change of code, suites, dbt project or company file rebuilds everything from landing, and so
    do a first pull under a changed mapping that comes later, and an as-of date before the last
    release's.
    """
    settings, paths = run.settings, run.settings.paths
    parent = releases.current_release(paths)
    here = landed(paths, parent)
    usable = [batch for batch in here.passed if batch.feed in run.company.feeds]
    applied, pending = _by_feed(here.released), _by_feed(usable)
    everything = [*here.released, *usable]
    if not everything:
        raise ConfigurationError(
            "nothing has landed yet",
            where=str(paths.landing),
            todo="pull first: marts run does both",
        )
    _refuse_without(run, {*applied, *pending})
    if as_of is not None and as_of > run.today:
        raise ConfigurationError(
            f"{as_of} is in the future",
            where="--as-of",
            kept="the last release stands",
            todo=f"ask for a date up to {run.today}",
        )
    chosen = as_of or _default_as_of(run, everything, parent)
    code = code_parts(settings)
    reasons = []
    if parent is None:
        reasons.append("first release")
    else:
        if not parent.build_database.exists():
            reasons.append("the last release's build database was pruned")
        if parent.manifest["code_version"] != version_of(code):
            reasons.append(_what_changed(parent.manifest.get("code"), code))
        again = [
            feed
            for feed, batches in pending.items()
            if _replaces_a_reading(run.company, feed, applied.get(feed, []), batches)
        ]
        if again:
            reasons.append(f"read anew as the company file now says: {', '.join(again)}")
        if rebuild:
            reasons.append("rebuild asked for")
        if not reasons and not releases.is_as_published(parent):
            reasons.append("somebody wrote into the last release's marts")
    start_empty = bool(reasons)
    if parent is not None and not start_empty:
        if chosen < parent.as_of:
            reasons.append(f"as-of date before the last release's {parent.as_of}")
        elif not pending and not refit:
            is_same_day = chosen == parent.as_of
            # where every source is down a day more would only seem to be a day without business
            if is_same_day or (as_of is None and _no_pull_succeeded(run)):
                return None
    if start_empty:
        batches = {
            feed: in_landing_order(applied.get(feed, []) + pending.get(feed, []))
            for feed in run.company.feeds  # a feed no longer mapped leaves the tables
        }
    else:
        batches = pending
    sequence = releases.next_sequence(paths)
    context = warehouse.RunContext.of(
        run.company,
        settings.company,
        release_id=f"r{sequence:05d}-{chosen:%Y%m%d}",
        release_sequence=sequence,
        parent_release_id=parent.release_id if parent else None,
        parent_as_of=parent.as_of if parent else None,
        as_of=chosen,
        is_rebuild=bool(reasons),
        is_refit=refit,
        run_id=run.run_id,
        started_at=run.now.astimezone(UTC).replace(tzinfo=None),
        code_version=version_of(code),
    )
    return Plan(context, code, batches, parent, start_empty, "; ".join(reasons) or "increment")


def _no_pull_succeeded(run: Run) -> bool:
    pulls = last_pulls(run.settings)
    return all(failure_of(pulls.get(feed)) is not None for feed in run.company.feeds)


def _refuse_without(run: Run, known: set[str]) -> None:
    """Raise when nothing of a feed counts yet although it should, or nobody knows: figures without
    its newest rows are old, figures without any are wrong (every invoice unpaid). A feed that was
    pulled and brought nothing is empty.
    """
    missing = []
    pulls = last_pulls(run.settings) if set(run.company.feeds) - known else {}
    for feed in run.company.feeds:
        if feed in known:
            continue
        failure = failure_of(pulls.get(feed))
        if failure is not None:
            missing.append(f"  - {feed}: {failure}")
        elif landed_batches(run.settings.paths, feed):
            missing.append(f"  - {feed}: what landed has not passed gate 1")
        elif feed not in pulls:
            missing.append(f"  - {feed}: it was not pulled yet")
    if missing:
        raise GateFailure(
            "feeds of which nothing counts yet:\n" + "\n".join(missing),
            where=str(run.settings.paths.landing),
            kept="what the other feeds landed; no release is made without these",
            todo="pull them, mend what failed and run again; or take one out of the company file",
        )


def _replaces_a_reading(
    company: Company, feed: str, applied: list[Batch], pending: list[Batch]
) -> bool:
    """Whether a feed's new batches are the first of its present mapping, or read a file again: what
    an earlier mapping made of the rows then goes.
    """
    digest = company.mapping_digest(feed)
    before, after = (
        {batch.mapping for batch in batches if not batch.manifest["replays"]}
        for batches in (applied, pending)
    )
    is_first = bool(before) and digest in after - before
    return is_first or (reread_files([*applied, *pending], digest) != reread_files(applied, digest))


def in_landing_order(batches: Iterable[Batch]) -> list[Batch]:
    """The order in which batches are applied, whatever release brought them."""
    return sorted(batches, key=lambda batch: (batch.manifest["landed_at"], batch.batch_id))


def _default_as_of(run: Run, batches: list[Batch], parent: releases.Release | None) -> date:
    """The last complete day; or, for a company whose data stand still, their last day."""
    yesterday = run.company.business_day(run.now) - timedelta(days=1)
    if run.company.as_of == "yesterday":
        return max(yesterday, parent.as_of) if parent else yesterday
    latest = data_through(batches) or yesterday
    return min(latest, run.today)


def code_parts(settings: Settings) -> dict[str, str]:
    """Digests of everything a figure depends on besides the data, by what a person calls it."""
    suffixes = {".py", ".sql", ".yml", ".csv", ".json", ".j2", ".css"}
    folders = {
        "code": Path(__file__).parent,
        "dbt project": DBT_PROJECT_DIR,
        "suites": EXPECTATIONS_DIR,
    }
    parts = {
        name: [
            file
            for file in sorted(folder.rglob("*"))
            if file.suffix in suffixes and "target" not in file.parts
        ]
        for name, folder in folders.items()
    }
    parts["company file"] = [settings.company_file]
    parts["crosswalk"] = [crosswalk_file(settings)]
    return {name: _digest(files, folders.get(name)) for name, files in parts.items()}


def _digest(files: Iterable[Path], folder: Path | None) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.exists():
            digest.update(f"{file.relative_to(folder) if folder else file.name}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def version_of(code: dict[str, str]) -> str:
    """The package's version and a digest of the parts."""
    digest = hashlib.sha256("\n".join(code.values()).encode())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def code_version(settings: Settings) -> str:
    """What the figures of a run depend on besides the data, as a release's manifest names it."""
    return version_of(code_parts(settings))


def _what_changed(before: dict[str, str] | None, now: dict[str, str]) -> str:
    if before is None:  # of a release whose manifest does not tell the parts apart
        return f"changed: one or more of {', '.join(now)}"
    return "changed: " + ", ".join(name for name in now if now[name] != before.get(name))
