"""The stages of a refresh, called alike by the command line and the DAGs.

``pull`` → ``gate_landing`` → ``build_candidate`` → ``gate_candidate`` → ``publish``. What a stage
hands to the next lies on disk (landed batches, the run's candidate), so that each may run in a
process of its own, be killed, and be run again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customer_marts import releases, sources, warehouse
from customer_marts.deadlines import DeadlineSource
from customer_marts.errors import (
    Busy,
    ConfigurationError,
    DataError,
    GateFailure,
    Incomplete,
    MartsError,
    SourceUnavailable,
)
from customer_marts.feeds import FEEDS, Company, load_company, load_contract
from customer_marts.freshness import FeedHistory
from customer_marts.gates.volume import to_gate_line
from customer_marts.identity import load_crosswalk
from customer_marts.journal import Journal
from customer_marts.landing import (
    Batch,
    feed_work_folder,
    land,
    landed_batches,
    reread_note,
    suite_digest,
    suite_path,
    watermark,
)
from customer_marts.locks import writer_lock
from customer_marts.model_runs import released_runs
from customer_marts.planning import code_version, plan
from customer_marts.settings import (
    DBT_PROJECT_DIR,
    EXPECTATIONS_DIR,
    Settings,
    StatePaths,
)
from customer_marts.sources.extract import Watermark

if TYPE_CHECKING:
    from customer_marts.quarantine import QuarantinedRow
    from customer_marts.serving import Served

# which pull DAG brings which feeds
PULLS = {
    "pull_orders": (
        "customers",
        "products",
        "fx_rates",
        "market_prices",
        "orders",
        "order_lines",
        "deliveries",
        "invoices",
    ),
    "pull_payments": ("payments", "customer_costs"),
    "pull_surveys": ("survey_responses",),
    "pull_service": ("complaints", "interactions", "opportunities"),
}


@dataclass(frozen=True)
class Run:
    """One run: its settings, its company, its journal. ``now`` is read once, at the door."""

    settings: Settings
    company: Company
    run_id: str
    journal: Journal
    now: datetime

    @property
    def folder(self) -> Path:
        return self.settings.paths.run(self.run_id)

    @property
    def candidate(self) -> Path:
        return self.settings.paths.candidate

    @property
    def today(self) -> date:
        """The company's calendar day at ``now``."""
        return self.now.astimezone(self.company.zone).date()


def open_run(
    settings: Settings, run_id: str | None = None, listener: Any = None, now: datetime | None = None
) -> Run:
    """Start a run, or join one by its id (a later task of the same DAG run)."""
    moment = now or datetime.now(UTC)
    company = load_company(settings)
    name = run_id or moment.strftime("%Y%m%dT%H%M%S%f")[:-3]
    journal = Journal(settings.paths.run(name), listener)
    return Run(settings, company, name, journal, moment)


# --- pull and gate one ---------------------------------------------------------------------------


def pull(run: Run, feed: str, *, reread: bool = False) -> str | None:
    """Pull what is new in a feed and land it; returns the batch's id, or None for nothing new.

    reread: pull everything the source has, as if nothing had been pulled before.
    """
    paths = run.settings.paths
    if feed not in run.company.feeds:
        run.journal.write("feed_absent", feed=feed)
        return None
    digest = run.company.mapping_digest(feed)
    with (
        run.journal.step(f"pull {feed}", feed=feed) as result,
        feed_work_folder(paths, feed) as work,
    ):
        released = releases.current_release(paths)
        applied = _released_batches(paths, released, feed)
        mark = watermark(applied, digest, paths)
        if reread or reread_note(paths, feed).exists():
            mark = Watermark(types=mark.types, reconciled_on=run.today)
            reread_note(paths, feed).unlink(missing_ok=True)
        extract = sources.extract(run.settings, run.company, feed, mark, work, run.now)
        batch = None
        if extract is not None:
            known = released.build_database if released else None
            same_code = released and released.manifest["code_version"] == code_version(run.settings)
            batch = land(
                run.settings,
                run.company,
                feed,
                extract,
                work,
                known if known and known.exists() and same_code else None,
                run.today,
                [item.batch_id for item in applied],
            )
        if batch is None:
            result["outcome"] = "nothing new"
            return None
        result["batch_id"] = batch.batch_id
        result["rows"] = batch.manifest["rows"]
        result["unmapped"] = batch.manifest["unmapped_columns"]
        _warn_of_new_columns(run, batch, applied)
        return batch.batch_id


def _warn_of_new_columns(run: Run, batch: Batch, applied: list[Batch]) -> None:
    """Say once that the source has columns it did not have before; nobody maps them yet."""
    before = [item.manifest for item in applied]
    same = [item for item in before if item["mapping"] == batch.manifest["mapping"]]
    known = {name for item in same for name in item["unmapped_columns"]}
    added = sorted(set(batch.manifest["unmapped_columns"]) - known)
    if same and added:
        run.journal.write("columns_added", feed=batch.feed, columns=added)


def _released_batches(paths: Any, released: releases.Release | None, feed: str) -> list[Batch]:
    applied = set(released.manifest["batches"].get(feed, [])) if released else set()
    return [batch for batch in landed_batches(paths, feed) if batch.batch_id in applied]


def replay(run: Run, rows: list[QuarantinedRow]) -> list[Batch]:
    """Land decided rows of the quarantine and put them through gate ①; returns their batches."""
    from customer_marts.quarantine import replay as replay_rows

    batches = []
    for feed in dict.fromkeys(row.feed for row in rows):
        with run.journal.step(f"replay {feed}", feed=feed) as result:
            group = [row for row in rows if row.feed == feed]
            landed = replay_rows(run.settings, run.company, group, run.today)
            count = sum(batch.manifest["rows"]["pulled"] for batch in landed)
            result["rows"] = {"pulled": count, "quarantined": 0}
            result["batch_ids"] = [batch.batch_id for batch in landed]
        batches += landed
    gate_landing(run, FEEDS)
    return [batch for batch in batches if (batch.verdict or {}).get("success")]


def gate_landing(run: Run, feeds: Iterable[str]) -> dict[str, list[str]]:
    """Gate ①: judge every landed batch of ``feeds`` that has no verdict under today's suites.

    Returns the batches that passed and that no release holds yet. Raises GateFailure naming those
    of this run's batches that were refused; they stay on disk with their verdict and no candidate
    takes them. One refused in an earlier run, which the source has since replaced, stops nobody.
    """
    paths = run.settings.paths
    released = releases.current_release(paths)
    fresh: list[Batch] = []
    for feed in feeds:
        if feed in run.company.feeds:
            applied = set(released.manifest["batches"].get(feed, [])) if released else set()
            fresh += [b for b in landed_batches(paths, feed) if b.batch_id not in applied]
    waiting = [batch for batch in fresh if batch.verdict is None]
    if waiting:
        with run.journal.step("gate 1 (landing)", batches=len(waiting)):
            _judge(run, waiting)
    events = run.journal.events()
    pulled = {event["batch_id"] for event in events if "batch_id" in event}
    pulled |= {batch_id for event in events for batch_id in event.get("batch_ids", [])}
    passed: dict[str, list[str]] = {}
    refused: list[Batch] = []
    for batch in fresh:
        if (batch.verdict or {}).get("success"):
            passed.setdefault(batch.feed, []).append(batch.batch_id)
        elif batch.batch_id in pulled:
            refused.append(batch)
    if refused:
        _refuse(refused)
    return passed


def _judge(run: Run, batches: list[Batch]) -> None:
    """Run each batch's suite on its rows (tombstones aside) and put the verdict beside it."""
    import duckdb

    from customer_marts.gates.suites import validate

    work = run.folder / "gate_landing"
    work.mkdir(parents=True, exist_ok=True)
    database = work / f"batches_{len(list(work.glob('batches_*.duckdb')))}.duckdb"
    views: dict[str, Batch] = {}
    with duckdb.connect(str(database)) as connection:
        for batch in batches:
            if not batch.has_rows_to_judge:
                continue
            view = f"{batch.feed}__{batch.batch_id}"
            views[view] = batch
            connection.execute(
                f'create view "{view}" as '
                f"select *, '{run.company.reporting_currency}' as _reporting_currency "
                f"from read_parquet('{batch.data}') "
                "where not is_deleted and _waived is null"
            )
    suites = {view: suite_path(batch.feed) for view, batch in views.items()}
    results = validate(database, "main", suites, work / "gx", run.today) if views else []
    lines = {views[result.table].batch_id: _gate_line("landing", result) for result in results}
    history = FeedHistory(run.settings, run.company, run.now)
    for batch in batches:
        report = [lines.get(batch.batch_id) or _no_rows_line(batch)]
        if not batch.manifest["replays"]:
            findings = history.findings(batch)
            rows = batch.manifest["rows"]["accepted"]
            report.append(to_gate_line(batch.feed, rows, findings))
        _write_verdict(run, batch, report)


def _write_verdict(run: Run, batch: Batch, report: list[dict[str, Any]]) -> None:
    verdict = {
        "success": all(line["success"] for line in report),
        "suite": suite_digest(batch.feed),
        "run_id": run.run_id,
        "report": report,
    }
    # two gates may judge the same batch at once: each writes its own file, the last one stands
    temporary = batch.verdict_file.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(verdict, stream, ensure_ascii=False, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(batch.verdict_file)
    for line in report:
        run.journal.write("gate_result", **line)


def _no_rows_line(batch: Batch) -> dict[str, Any]:
    return {
        "gate": "landing",
        "suite": batch.feed,
        "table": batch.feed,
        "success": True,
        "rows": 0,
        "seconds": 0.0,
        "checks": 0,
        "failed": [],
    }


def _gate_line(gate: str, result: Any) -> dict[str, Any]:
    failed = [
        {
            "expectation": item.expectation,
            "column": item.column,
            "severity": item.severity,
            "rule": item.rule,
            "message": item.message,
        }
        for item in result.results
        if not item.success
    ]
    return {
        "gate": gate,
        "suite": result.suite,
        "table": result.table,
        "success": result.success,
        "rows": result.rows,
        "seconds": round(result.seconds, 3),
        "checks": len(result.results),
        "failed": failed,
    }


def _refuse(batches: list[Batch]) -> None:
    lines = []
    for batch in batches:
        rules = ", ".join(
            f"{item['rule']}: {item['message']}"
            for line in (batch.verdict or {"report": []})["report"]
            for item in line["failed"]
            if item["severity"] == "critical"
        )
        lines.append(f"  - {batch.feed} {batch.batch_id}: {rules}")
    raise GateFailure(
        "gate 1 refused landed batches:\n" + "\n".join(lines),
        where=str(batches[0].folder.parent),
        kept="the batches and their verdicts (no candidate takes them); the last release stands",
        todo="mend the source or the suite in expectations/landing, then run again",
    )


def unpulled(run: Run, feeds: Iterable[str]) -> list[str]:
    """Those of the company's feeds whose pull in this run failed, was killed or never began."""
    ended = {
        event["feed"]: event["kind"] == "step_ended"
        for event in run.journal.events()
        if event.get("step", "").startswith("pull ")
    }
    return [feed for feed in feeds if feed in run.company.feeds and not ended.get(feed)]


# --- candidate -----------------------------------------------------------------------------------


def build_candidate(
    run: Run, as_of: date | None = None, *, rebuild: bool = False, refit: bool = False
) -> str | None:
    """Make the run's candidate: copy, apply batches, dbt build. Returns the release id it would
    get, or None when there is nothing new. Running it again starts afresh.
    """
    paths = run.settings.paths
    with writer_lock(paths) as lock:
        the_plan = plan(run, as_of, rebuild=rebuild, refit=refit)
        if the_plan is None:
            current = releases.current_release(paths)
            run.journal.write("nothing_new", release_id=current.release_id if current else None)
            return None
        token = lock.next_token()
        # a candidate is private and disposable: what a killed or refused run left is removed
        if run.candidate.exists():
            shutil.rmtree(run.candidate)
        run.candidate.mkdir(parents=True)
        context, parent = the_plan.context, the_plan.parent
        run.journal.write(
            "plan",
            release_id=context.release_id,
            as_of=context.as_of,
            batches=the_plan.count_batches,
            is_rebuild=context.is_rebuild,
            reason=the_plan.reason,
        )
        database = run.candidate / "build.duckdb"
        with run.journal.step("prepare candidate") as result:
            if parent is not None and not the_plan.start_empty:
                copy = warehouse.copy_database if context.is_rebuild else warehouse.copy_build
                copy(parent.build_database, database)
            with warehouse.connect(database, run.settings, run.candidate / "spill") as connection:
                # it holds personal data in clear
                database.chmod(0o600)
                result["applied"] = warehouse.apply_batches(
                    connection,
                    run.company,
                    context,
                    the_plan.batches,
                    the_plan.history,
                    load_crosswalk(run.settings),
                    released_runs(parent.marts) if parent else [],
                    DeadlineSource.by(parent.marts, parent.manifest["history"]) if parent else None,
                )
        from customer_marts import transform

        with run.journal.step("build marts (dbt)") as result:
            built = transform.build(
                run.settings,
                database,
                run.folder / "dbt",
                full_refresh=context.is_rebuild,
                areas=run.company.areas,
            )
            tests = [node for node in built.nodes if node.kind == "test"]
            result["models"] = sum(node.kind == "model" for node in built.nodes)
            result["tests"] = len(tests)
        applied = {} if parent is None else dict(parent.manifest["batches"])
        for feed, batches in the_plan.batches.items():
            ids = [batch.batch_id for batch in batches]
            applied[feed] = ids if the_plan.start_empty else [*applied.get(feed, []), *ids]
        _write_state(
            run,
            {
                **{name: _plain(value) for name, value in vars(context).items()},
                "token": token,
                "history": the_plan.history,
                "code": the_plan.code,
                "batches": {feed: ids for feed, ids in applied.items() if ids},
                "dbt": {
                    "gate": "dbt",
                    "suite": "dbt data tests",
                    "table": "all models",
                    "success": True,
                    "rows": len(tests),
                    "checks": len(tests),
                    "seconds": round(sum(node.seconds for node in tests), 3),
                    "failed": [
                        {
                            "expectation": node.name,
                            "column": None,
                            "severity": "warning",
                            "rule": node.name,
                            "message": node.message,
                        }
                        for node in tests
                        if node.status == "warn"
                    ],
                },
                "marts": built.marts,
                "stage": "built",
            },
        )
        return context.release_id


def gate_candidate(run: Run) -> list[dict[str, Any]]:
    """Gate ②: the suites on the candidate's marts, then what it changes against the last release.
    Raises GateFailure when a critical rule fails, or a change goes further than a release may
    without a person's approval; the candidate stays for inspection until the next run. Raises
    ConfigurationError when a mart has no suite or a suite no mart.
    """
    from customer_marts.gates.suites import validate

    with writer_lock(run.settings.paths) as lock:
        state = _read_state(run, lock.token, {"built", "gated"})
        with run.journal.step("gate 2 (marts)") as outcome:
            results = validate(
                run.candidate / warehouse.MARTS_FILE,
                "main",
                _suites_of(state["marts"]),
                run.folder / "gate_marts",
                run.today,
            )
            lines = [_gate_line("marts", result) for result in results]
            outcome["suites"] = len(lines)
            outcome["checks"] = sum(line["checks"] for line in lines)
            outcome["failed"] = sum(not line["success"] for line in lines)
        for line in lines:
            run.journal.write("gate_result", **line)
        failed = [line for line in lines if not line["success"]]
        if failed:
            listed = "\n".join(
                f"  - {line['table']}: {item['rule']}: {item['message']}"
                for line in failed
                for item in line["failed"]
                if item["severity"] == "critical"
            )
            raise GateFailure(
                f"gate 2 refused the candidate:\n{listed}",
                where=str(run.candidate / warehouse.MARTS_FILE),
                kept="the last release stands; the candidate stays for inspection",
                todo="query the candidate with the rule; mend the data, the model or the suite",
            )
        lines += _gate_changes(run, state)
        landing = _landing_lines(run, state["batches"])
        state["gates"] = [*landing, state["dbt"], *lines]
        state["stage"] = "gated"
        _write_state(run, state)
        return lines


def _gate_changes(run: Run, state: dict[str, Any]) -> list[dict[str, Any]]:
    """What the candidate changes against the release it goes on from, as a line of its gates; none
    of a first release. Raises GateFailure when something waits for approval.
    """
    from customer_marts.gates.changes import Successor, changes, to_gate_line

    parent = releases.current_release(run.settings.paths)
    if parent is None or parent.release_id != state["parent_release_id"]:
        return []  # where readers were pointed elsewhere meanwhile, publication is refused
    start = time.perf_counter()
    with run.journal.step("gate 2 (changes)") as outcome:
        candidate = Successor.of_candidate(run.settings.paths, state)
        found = changes(run.settings, parent, candidate)
        waiting = [change for change in found if change.waits]
        beyond = sum(change.is_beyond for change in found)
        approved = f" ({beyond - len(waiting)} approved)" if beyond > len(waiting) else ""
        outcome["outcome"] = f"{len(found)} measured, {beyond or 'none'} beyond a bound{approved}"
    line = to_gate_line(found, time.perf_counter() - start)
    run.journal.write("gate_result", **line)
    state["changes_waiting"] = [asdict(change) for change in waiting]
    if waiting:
        _write_state(run, state)
        listed = "\n".join(f"  - {change.mart}: {change.message}" for change in waiting)
        raise GateFailure(
            f"the candidate changes more than a release may without a person's word:\n{listed}",
            where=f"{run.candidate / warehouse.MARTS_FILE}, against {parent.release_id}",
            kept="the last release stands; the candidate stays for inspection",
            todo="look at it (marts diff candidate); if it is right, marts approve --by NAME "
            "--reason TEXT and run again; if not, mend the data or the mapping",
        )
    return [line]


def _suites_of(marts: list[str]) -> dict[str, Path]:
    """The suite of every mart that was to be built."""
    suites = {file.stem: file for file in (EXPECTATIONS_DIR / "marts").glob("*.json")}
    models = {file.stem for file in (DBT_PROJECT_DIR / "models" / "marts").rglob("*.yml")}
    without_suite = sorted(set(marts) - set(suites))
    without_mart = sorted(set(suites) - models)
    if without_suite or without_mart:
        raise ConfigurationError(
            "every mart has a suite: "
            + "; ".join(
                [f"{name} has none" for name in without_suite]
                + [f"there is no mart for {name}.json" for name in without_mart]
            ),
            where=str(EXPECTATIONS_DIR / "marts"),
            kept="the last release stands; the candidate stays for inspection",
            todo="write or remove the suite, then run again",
        )
    return {mart: suites[mart] for mart in marts}


def _landing_lines(run: Run, batches: dict[str, list[str]]) -> list[dict[str, Any]]:
    parent = releases.current_release(run.settings.paths)
    lines = []
    for feed, ids in batches.items():
        known = set(parent.manifest["batches"].get(feed, [])) if parent else set()
        fresh = set(ids) - known
        lines += [
            {**line, "table": feed, "batch": batch.batch_id}
            for batch in landed_batches(run.settings.paths, feed)
            if batch.batch_id in fresh and batch.verdict
            for line in batch.verdict["report"]
        ]
    return lines


def publish(run: Run) -> releases.Release:
    """Assemble the release, audit it and point readers to it. Raises Busy when another run
    published or began a candidate since this one was built.
    """
    from customer_marts.report import write_report

    paths = run.settings.paths
    with writer_lock(paths) as lock:
        parent = releases.current_release(paths)
        if parent is not None and parent.manifest["run_id"] == run.run_id:
            left = candidate_state(paths)
            if left.get("run_id") != run.run_id or left["release_id"] == parent.release_id:
                return parent  # published before; the task was run again
        state = _read_state(run, lock.token, {"gated"})
        if (parent.release_id if parent else None) != state["parent_release_id"]:
            raise Busy(
                "readers were pointed to another release since this candidate was built",
                where=str(run.candidate),
                kept="that release stands; the candidate is discarded by the next run",
                todo="run again",
            )
        database = run.candidate / "build.duckdb"
        with run.journal.step("publish") as result:
            manifest = _manifest(run, state, parent, database)
            folder = releases.assemble(run.settings, database, manifest, write_report)
            release = releases.commit(paths, folder, state["release_id"])
            result["release_id"] = release.release_id
        shutil.rmtree(run.candidate)
        removed = releases.prune(run.settings)
        if removed:
            run.journal.note(f"removed old releases: {', '.join(removed)}")
        run.journal.write("released", release_id=release.release_id, folder=str(release.folder))
        return release


def serve(run: Run) -> Served | None:
    """Show the current release in PostgreSQL (``customer_marts.serving``); None where none is
    configured. Nothing is done where it is shown already.
    """
    from customer_marts import serving

    target = serving.Target.of(run.settings)
    if target is None:
        return None
    with run.journal.step("serve (PostgreSQL)") as result:
        served = serving.serve(run.settings, target)
        result["outcome"] = str(served) if served else "no release yet"
    if served and served.note:
        run.journal.note(served.note)
    return served


def _manifest(
    run: Run, state: dict[str, Any], parent: releases.Release | None, database: Path
) -> dict[str, Any]:
    marts = warehouse.marts_beside(database)
    rows = releases.mart_rows(marts, run.settings, run.candidate)
    before = parent.manifest["rows"] if parent else {}
    with warehouse.connect(database, run.settings, run.candidate, read_only=True) as connection:
        through = connection.execute("select feed, data_through from landing.feeds").fetchall()
        quarantine = connection.execute(
            """
            select feed, rule, any_value(reason), count(*), sum(coalesce(amount, 0)), currency,
                owner
            from landing.quarantine group by feed, rule, currency, owner order by 4 desc, 1, 2, 6
            """
        ).fetchall()
    keys = (
        "release_id",
        "release_sequence",
        "parent_release_id",
        "run_id",
        "company",
        "company_name_en",
        "company_name_zh",
        "as_of",
        "started_at",
        "code_version",
        "code",
        "is_rebuild",
        "reporting_currency",
        "batches",
        "gates",
        "history",
    )
    return {
        **{key: state[key] for key in keys},
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        # null: the company has no such feed, or it brought nothing yet
        "data_through": {
            feed: _plain(day) for feed, day in through if load_contract(feed).event_date
        },
        "rows": rows,
        "rows_before": {name: before.get(name) for name in rows},
        "quarantine": [
            {
                "feed": feed,
                "rule": rule,
                "reason": reason,
                "count_rows": count,
                "amount": str(amount),
                "currency": currency,
                "owner": owner,
            }
            for feed, rule, reason, count, amount, currency, owner in quarantine
        ],
        "steps": run.journal.step_seconds(),
        "models": {"clv": "historical"},
        "versions": {name: _version(name) for name in ("dbt-core", "duckdb", "great-expectations")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _write_state(run: Run, state: dict[str, Any]) -> None:
    file = _state_file(run.settings.paths)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(state, ensure_ascii=False, indent=1), "utf-8")
    temporary.replace(file)


def candidate_state(paths: StatePaths) -> dict[str, Any]:
    """What is known of the candidate on disk; empty where there is none."""
    file = _state_file(paths)
    state: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return state


def _state_file(paths: StatePaths) -> Path:
    return paths.candidate / "candidate.json"


def _read_state(run: Run, token: int, stages: set[str]) -> dict[str, Any]:
    file = _state_file(run.settings.paths)
    state = candidate_state(run.settings.paths)
    if state.get("run_id") != run.run_id or state["token"] != token:
        raise Busy(
            f"run {run.run_id} has no candidate: it was never built, or a later run overtook it",
            where=str(file),
            kept="the last release stands; nothing of this run is published",
            todo="let the later run finish; if there is none, start from the first stage",
        )
    if state["stage"] not in stages:
        raise MartsError(
            f"the candidate is '{state['stage']}', this stage needs {' or '.join(sorted(stages))}",
            where=str(file),
            kept="the last release stands",
            todo="run the stages in order: build, gate, publish",
        )
    return state


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def refresh(
    run: Run,
    as_of: date | None = None,
    *,
    rebuild: bool = False,
    refit: bool = False,
    reread: Iterable[str] = (),
) -> releases.Release | None:
    """All stages in a row; returns the new release, or None when nothing is new.

    A feed that cannot be pulled, or whose batch gate ① refuses, keeps the others from no reader,
    unless no release has it yet. Then, or in the end, Incomplete is raised; or, where nothing was
    released, the one failure itself. The current release is served in any case.

    reread: feeds to pull whole, whatever was pulled before.
    """
    parent = releases.current_release(run.settings.paths)
    known = parent.manifest["batches"] if parent else {}
    failures: list[MartsError] = []
    is_lacking = False
    for feeds in PULLS.values():
        for feed in feeds:
            try:
                pull(run, feed, reread=feed in set(reread))
            except (DataError, SourceUnavailable) as error:
                failures.append(error)
                is_lacking |= not known.get(feed)
    release = None
    try:
        gate_landing(run, FEEDS)
    except GateFailure as error:
        failures.append(error)
    if not is_lacking:
        try:
            if build_candidate(run, as_of, rebuild=rebuild, refit=refit) is not None:
                gate_candidate(run)
                release = publish(run)
        except MartsError as error:
            failures.append(error)
    try:
        serve(run)
    except MartsError as error:
        failures.append(error)
    if not failures:
        return release
    if release is None and len(failures) == 1:
        raise failures[0]
    raise Incomplete(failures, release.release_id if release else None)
