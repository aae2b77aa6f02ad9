"""Whether each feed comes as it should: what its history, its last pull and the calendar say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from customer_marts import releases
from customer_marts.errors import SourceUnavailable
from customer_marts.feeds import Company, load_contract
from customer_marts.gates.calendar import BusinessCalendar
from customer_marts.gates.volume import FeedStatus, Finding, judge, status_of
from customer_marts.journal import Journal
from customer_marts.landing import Batch
from customer_marts.settings import Settings
from customer_marts.warehouse import connect

# how many runs back the last pull of a feed is looked for
_RUNS_READ = 20


class FeedHistory:
    """Rows by business date that the last release has of each feed; empty before the first."""

    def __init__(self, settings: Settings, company: Company, now: datetime) -> None:
        self.company, self.settings = company, settings
        self.calendar = BusinessCalendar.load(company.calendar)
        self.business_day = company.business_day(now)
        released = releases.current_release(settings.paths)
        self.released = released if released and released.build_database.exists() else None
        self._known: dict[str, dict[date, int]] = {}

    def rows(self, feed: str) -> dict[date, int]:
        """Rows per business date, tombstones aside."""
        if feed not in self._known:
            event = load_contract(feed).event_date
            found: list[tuple[date, int]] = []
            if self.released is not None and event is not None:
                with connect(
                    self.released.build_database,
                    self.settings,
                    self.settings.paths.cache,
                    read_only=True,
                ) as connection:
                    found = connection.execute(
                        f"select {event}, count(*) from landing.{feed} "
                        "where not is_deleted group by 1"
                    ).fetchall()
            self._known[feed] = dict(found)
        return self._known[feed]

    def findings(self, batch: Batch) -> list[Finding]:
        """What is unexpected in a landed batch."""
        arrived = rows_by_day(batch)
        newest = max([*self.rows(batch.feed), *arrived], default=None)
        return judge(
            batch.feed,
            load_contract(batch.feed),
            self.calendar,
            self.rows(batch.feed),
            arrived,
            self.today(newest),
            newest,
            self._judged_through(),
        )

    def status(self, feed: str, pull: dict[str, Any] | None) -> FeedStatus:
        """Whether a feed is on time; pull: the journal's event of its last pull."""
        newest = max(self.rows(feed), default=None)
        brought_nothing = pull is not None and pull.get("outcome") == "nothing new"
        return status_of(
            feed,
            load_contract(feed),
            self.calendar,
            self.rows(feed),
            {} if brought_nothing else None,
            self.today(newest),
            newest,
            is_down=pull is not None and pull.get("error_kind") == SourceUnavailable.__name__,
            failure=failure_of(pull),
        )

    def today(self, newest: date | None) -> date:
        """The business day that is running; of data that stand still, the one after their last."""
        if self.company.as_of == "latest_data" and newest is not None:
            return newest + timedelta(days=1)
        return self.business_day

    def _judged_through(self) -> date | None:
        if self.released is None or self.company.as_of == "latest_data":
            return None
        published = datetime.fromisoformat(self.released.manifest["started_at"])
        return self.company.business_day(published.replace(tzinfo=UTC)) - timedelta(days=1)


def rows_by_day(batch: Batch) -> dict[date, int]:
    """Accepted rows of a batch per business date, tombstones aside."""
    import duckdb

    event = load_contract(batch.feed).event_date
    if event is None:
        return {}
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select {event}, count(*) from read_parquet('{batch.data}') "
            "where not is_deleted group by 1"
        ).fetchall()
    return dict(found)


def failure_of(pull: dict[str, Any] | None) -> str | None:
    """What befell a feed's last pull, in a line; None if it ended as it should, or never began."""
    if pull is None or pull["kind"] != "step_failed":
        return None
    lines: list[str] = [*pull["error"].splitlines(), pull["error_kind"]]
    return lines[0]  # of one that was told to stop, its kind


def last_pulls(settings: Settings) -> dict[str, dict[str, Any]]:
    """Feed -> the journal's event with which its last pull ended, over the latest runs."""
    runs = settings.paths.runs
    folders = [item for item in runs.iterdir() if item.is_dir()] if runs.is_dir() else []
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(folders, key=lambda item: item.stat().st_mtime)[-_RUNS_READ:]:
        for event in Journal(folder).events():
            if event["kind"] in ("step_ended", "step_failed") and event["step"].startswith("pull "):
                known = found.get(event["feed"])
                if known is None or event["at"] >= known["at"]:
                    found[event["feed"]] = event
    return found


def feed_statuses(settings: Settings, company: Company, now: datetime) -> list[FeedStatus]:
    """The state of every feed the company has."""
    history = FeedHistory(settings, company, now)
    pulls = last_pulls(settings)
    return [history.status(feed, pulls.get(feed)) for feed in company.feeds]
