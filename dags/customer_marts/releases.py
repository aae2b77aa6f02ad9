"""Releases: a folder that appears whole, and one link that says which of them readers see.

``releases/<release_id>/`` holds ``marts.duckdb`` (the marts only, the very file that dbt built and
gate 2 looked at, in a storage version that DuckDB 1.4 and later open), ``parquet/``,
``manifest.json``, ``report.html``, ``restricted/`` (personal data in clear, for the owner of the
files alone) and ``build.duckdb`` (the state the next candidate starts from, so restricted too).
``current`` points to the one readers see; replacing that link is the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.errors import ConfigurationError, MartsError
from customer_marts.feeds import FEEDS, load_contract
from customer_marts.landing import sync_folder
from customer_marts.locks import writer_lock
from customer_marts.settings import Settings, StatePaths
from customer_marts.sql import PARQUET
from customer_marts.warehouse import MARTS_FILE, connect, marts_beside

# a build database is as large as the books: two let the last release be taken back and still
# refresh incrementally
KEEP_BUILD_DATABASES = 2
# logs and gate results of so many runs
KEEP_RUNS = 30


@dataclass(frozen=True)
class Release:
    """A release on disk, as its manifest tells it."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def release_id(self) -> str:
        return str(self.manifest["release_id"])

    @property
    def sequence(self) -> int:
        return int(self.manifest["release_sequence"])

    @property
    def as_of(self) -> date:
        return date.fromisoformat(self.manifest["as_of"])

    @property
    def build_database(self) -> Path:
        return self.folder / "build.duckdb"

    @property
    def marts(self) -> Path:
        return marts_beside(self.build_database)


def current_release(paths: StatePaths) -> Release | None:
    """The release readers see, or None before the first."""
    if not paths.current.is_symlink():
        return None
    return _read(paths.current.resolve())


def all_releases(paths: StatePaths) -> list[Release]:
    """Releases on disk, oldest first."""
    if not paths.releases.is_dir():
        return []
    found = [
        _read(item.parent)
        for item in paths.releases.glob("*/manifest.json")
        if not item.parent.name.startswith(".")
    ]
    return sorted(found, key=lambda release: release.sequence)


def _read(folder: Path) -> Release:
    return Release(folder, json.loads((folder / "manifest.json").read_text("utf-8")))


def mart_rows(marts: Path, settings: Settings, temp: Path) -> dict[str, int]:
    """Rows by mart in a marts file."""
    with connect(marts, settings, temp, read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() order by 1").fetchall()
        return {
            name: connection.execute(f'select count(*) from "{name}"').fetchall()[0][0]
            for (name,) in names
        }


def assemble(
    settings: Settings,
    build_database: Path,
    manifest: dict[str, Any],
    write_report: Callable[[Path, dict[str, Any], Path], None],
) -> Path:
    """Write the release's folder under a hidden name and audit it; nothing is visible yet.

    Run again, it starts afresh. Returns the folder.
    """
    paths = settings.paths
    folder = paths.releases / f".next-{manifest['release_id']}"
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "parquet").mkdir(parents=True)
    # linked, not moved: a publish that dies from here on can be run again
    (folder / "build.duckdb").hardlink_to(build_database)
    marts = folder / MARTS_FILE
    marts.hardlink_to(marts_beside(build_database))
    with connect(build_database, settings, folder, read_only=True) as connection:
        _copy_restricted(connection, folder)
    with connect(marts, settings, folder, read_only=True) as connection:
        for name in manifest["rows"]:
            connection.execute(
                f"copy \"{name}\" to '{folder / 'parquet' / name}.parquet' ({PARQUET})"
            )
    _audit(marts, folder, manifest["rows"], settings)
    write_report(marts, manifest, folder / "report.html")
    manifest["files"] = {
        str(file.relative_to(folder)): {"sha256": _digest(file), "bytes": file.stat().st_size}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "build.duckdb"
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1, default=str)
    (folder / "manifest.json").write_text(text + "\n", "utf-8")
    for item in folder.rglob("*"):
        if item.is_file():
            with item.open("rb") as stream:
                os.fsync(stream.fileno())
    for inner in ("parquet", "restricted"):
        sync_folder(folder / inner)
    sync_folder(folder)
    return folder


def _copy_restricted(connection: Any, folder: Path) -> None:
    """Personal data in clear go to ``restricted/<feed>.parquet``, which only the owner may read."""
    for feed in FEEDS:
        contract = load_contract(feed)
        if not contract.personal:
            continue
        target = folder / "restricted"
        target.mkdir(mode=0o700, exist_ok=True)
        file = target / f"{feed}.parquet"
        key = ", ".join(f'landed."{name}"' for name in contract.key)
        clear = ", ".join(f'clear."{name}"' for name in contract.personal)
        connection.execute(
            f"""
            copy (
                select distinct {key}, {clear}
                from landing.{feed} as landed
                inner join restricted.{feed} as clear using (_row_hash)
                where not landed.is_deleted and landed._held_reason is null
                order by {key}
            ) to '{file}' (format parquet)
            """
        )
        file.chmod(0o600)


def _audit(marts: Path, folder: Path, rows: dict[str, int], settings: Settings) -> None:
    """Reopen what readers will open and count it; an un-checkpointed file would be empty."""
    if marts.with_name(marts.name + ".wal").exists():
        raise _broken("the marts' file has an unwritten log beside it", marts)
    with connect(marts, settings, folder, read_only=True) as connection:
        for name, expected in rows.items():
            parquet = folder / "parquet" / f"{name}.parquet"
            found = connection.execute(
                f'select (select count(*) from "{name}"), '
                f"(select count(*) from read_parquet('{parquet}'))"
            ).fetchall()[0]
            if found != (expected, expected):
                raise _broken(f"{name}: {expected} rows built, {found} written", marts)


def _broken(what: str, where: Path) -> MartsError:
    return MartsError(
        what,
        where=str(where),
        kept="the last release stands",
        todo="check the disk's space and health, then run again",
    )


def is_as_published(release: Release) -> bool:
    """Whether its marts file, which readers open, is still the one that was published."""
    return bool(_digest(release.marts) == release.manifest["files"][MARTS_FILE]["sha256"])


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def commit(paths: StatePaths, folder: Path, release_id: str) -> Release:
    """Give the assembled folder its name and point ``current`` to it. Hold the writer lock."""
    target = paths.releases / release_id
    if target.exists():
        # a publish killed between the two steps; no reader was ever pointed to it
        shutil.rmtree(target)
    folder.rename(target)
    sync_folder(paths.releases)
    point_current(paths, target)
    return _read(target)


def point_current(paths: StatePaths, target: Path) -> None:
    """Replace the link in one step: readers see the old release or the new one."""
    link = paths.root / ".current-next"
    link.unlink(missing_ok=True)
    link.symlink_to(target.relative_to(paths.root))
    link.replace(paths.current)
    sync_folder(paths.root)


def next_sequence(paths: StatePaths) -> int:
    """One more than any release on disk: a number is never given twice."""
    numbers = [release.sequence for release in all_releases(paths)]
    current = current_release(paths)
    return max([*numbers, current.sequence if current else 0], default=0) + 1


def rollback(settings: Settings, to: str | None = None) -> tuple[Release, Release]:
    """Point readers to an earlier release (the parent of the current one, unless named).

    Returns (from, to). Landed batches stay; the next refresh applies again what the taken-back
    release had brought.
    """
    paths = settings.paths
    with writer_lock(paths) as lock:
        current = current_release(paths)
        if current is None:
            raise ConfigurationError(
                "there is no release to roll back", where=str(paths.root), todo="run marts run"
            )
        wanted = to or current.manifest.get("parent_release_id")
        known = {release.release_id: release for release in all_releases(paths)}
        if not wanted or wanted not in known or wanted == current.release_id:
            raise ConfigurationError(
                f"there is no earlier release '{wanted}'" if wanted else "there is no earlier one",
                where=str(paths.releases),
                kept=f"readers still see {current.release_id}",
                todo="choose one that marts releases lists: " + ", ".join(known),
            )
        lock.next_token()
        point_current(paths, known[wanted].folder)
        return current, known[wanted]


def prune(settings: Settings) -> list[str]:
    """Remove what is beyond the settings' count of releases, and old runs' logs; returns the
    releases removed.

    The current release and its parent always stay. Hold the writer lock.
    """
    paths = settings.paths
    current = current_release(paths)
    if current is None:
        return []
    protected = {current.release_id, current.manifest.get("parent_release_id")}
    newest = list(reversed(all_releases(paths)))
    removed = []
    for position, release in enumerate(newest):
        if release.release_id in protected:
            continue
        if position >= settings.keep_releases:
            shutil.rmtree(release.folder)
            removed.append(release.release_id)
        elif position >= KEEP_BUILD_DATABASES:
            release.build_database.unlink(missing_ok=True)
    for leftover in paths.releases.glob(".next-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    runs = sorted(paths.runs.glob("*/events.jsonl"), key=lambda journal: journal.stat().st_mtime)
    for journal in runs[:-KEEP_RUNS]:
        shutil.rmtree(journal.parent)
    return removed
