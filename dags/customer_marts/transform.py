"""dbt, run in this process as one build: staging, intermediate, marts and their tests."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import mmap
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from customer_marts.errors import DataError, MartsError, tells_of_a_full_disk
from customer_marts.feeds import AREAS
from customer_marts.lean_dbt import lean_dbt
from customer_marts.settings import DBT_PROJECT_DIR, Settings
from customer_marts.sql import literal
from customer_marts.warehouse import marts_beside, open_build

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


@dataclass(frozen=True)
class NodeResult:
    """A model, a seed or a rule of one build; a singular test is one rule.

    ``failures`` counts the rows that break the rule, ``seconds`` a rule's share of its test.
    """

    name: str
    kind: str
    status: str
    seconds: float
    failures: int
    message: str


@dataclass(frozen=True)
class Built:
    """A build that succeeded: the marts that its areas have, and every node that ran."""

    marts: list[str]
    nodes: list[NodeResult]


# deleted rows of so many releases stay in the files: of a day of which a tenth of the rows change,
# seven releases' are at most two thirds of what is alive
RELEASES_PER_VACUUM = 7

# MARTS_ROW_GROUP: DuckDB's own 122,880 rows pack the facts best, but most of what an increment
# writes are tables of one row per customer: in so large groups one core alone would write and read
# each, and only at the commit
ROW_GROUP, ROW_GROUP_OF_INCREMENT = "122880", "30720"


class TransformFailure(DataError):
    """Data tests failed in the build; the candidate is discarded."""


def build(
    settings: Settings,
    database: Path,
    work: Path,
    *,
    full_refresh: bool,
    areas: Collection[str] = AREAS,
) -> Built:
    """Run ``dbt build`` of these areas' marts on the candidate's database.

    Logs go to ``work``. Raises TransformFailure when a data test fails, MartsError when dbt or
    its SQL breaks.
    """
    from dbt.cli.main import dbtRunner

    work.mkdir(parents=True, exist_ok=True)
    project = parsed_project(settings.dbt_cache, database.stem, work)
    target = settings.paths.cache / "dbt"
    arguments = ["build", *_options(target, work), "--exclude-resource-type=unit_test"]
    if full_refresh:
        arguments.append("--full-refresh")
    else:
        # the copied database has the views and seeds already, of the same code version
        arguments += ["--exclude-resource-type=seed", "--exclude=config.materialized:view"]
        # or every test that reads a view beside its own model would be left out with the views
        arguments.append("--indirect-selection=cautious")
    stated = stated_run_context(database)
    with _environment(
        **database_files(database),
        MARTS_MEMORY_LIMIT=settings.memory_limit,
        MARTS_BLOCK_MEMORY=block_memory(settings.memory_limit),
        MARTS_VACUUM_TASKS=vacuum_tasks(int(stated["release_sequence"])),
        MARTS_ROW_GROUP=ROW_GROUP if full_refresh else ROW_GROUP_OF_INCREMENT,
        MARTS_RUN_CONTEXT=json.dumps(stated),
        **DBT_ENVIRONMENT,
        # a second for two files that no stage reads; the compiled SQL is written without them
        DBT_WRITE_JSON=os.environ.get("DBT_WRITE_JSON", "False"),
    ):
        marts = marts_of(project, areas)
        if not set(areas) >= set(AREAS):
            # without the tests of several models that also read one which is not built
            arguments += ["--select", *(f"+{mart}" for mart in marts)]
            arguments.append("--indirect-selection=cautious")
        with lean_dbt():
            outcome = dbtRunner(project, callbacks=[_log_to(work / "dbt.log")]).invoke(arguments)
        _close_adapters()
    if outcome.exception is not None or outcome.result is None:
        _refuse_full_disk(str(outcome.exception), work)
        raise _cannot_run(outcome.exception, work)
    results = [item for result in outcome.result.results for item in node_results(result, database)]
    _raise_on_failure(results, work)
    return Built(marts, results)


def database_files(database: Path) -> dict[str, str]:
    """The profile's variables for the two files that dbt writes to."""
    return {"MARTS_BUILD_DB": str(database), "MARTS_DB": str(marts_beside(database))}


def block_memory(memory_limit: str) -> str:
    """MARTS_BLOCK_MEMORY: the memory that DuckDB takes once for its blocks and uses again, which
    halves the page faults of a build: half of its limit, at most half of the machine's. It gives
    none of it back, so a build that took the whole limit would stand at more. What the machine does
    not give would abort the process, so then none.
    """
    [(value, unit)] = re.findall(r"([\d.]+)\s?(\w+)", memory_limit)
    limit = float(value) * {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}[unit]
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = int(min(limit, machine) / 2) // 10**6 * 10**6
    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError):
        size = 0
    return f"{size // 10**6}MB"


def vacuum_tasks(release_sequence: int) -> str:
    """MARTS_VACUUM_TASKS: none, but DuckDB's own number in every seventh release. To be rid of the
    rows that an increment deletes, DuckDB writes their row groups anew, at every checkpoint: a
    third of what checkpoints take. Row groups without any row left go at once.
    """
    return "100" if release_sequence % RELEASES_PER_VACUUM == 0 else "0"


def stated_run_context(database: Path) -> dict[str, str]:
    """What models take of the run's context as literals (MARTS_RUN_CONTEXT): column to SQL; and in
    ``parameters_moved`` the dated seeds of which other rows are in force than in the parent.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        as_of, parent_as_of, currency, is_rebuild, sequence = connection.execute(
            "select as_of, parent_as_of, reporting_currency, is_rebuild, release_sequence"
            " from landing.run_context"
        ).fetchall()[0]
        moved = [] if is_rebuild else _parameters_moved(connection)
    return {
        "as_of": f"cast('{as_of}' as date)",
        "parent_as_of": f"cast('{parent_as_of}' as date)" if parent_as_of else "cast(null as date)",
        "reporting_currency": literal(currency),
        "is_rebuild": str(is_rebuild).lower(),
        "release_sequence": str(sequence),
        "parameters_moved": " ".join(moved),
    }


def _parameters_moved(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Dated seeds with a row that comes into force, or goes, between the two as-of dates."""
    seeds = connection.execute(
        "select table_name from duckdb_columns() where schema_name = 'seeds'"
        " and column_name in ('valid_from', 'valid_to')"
        " group by table_name having count(*) = 2 order by table_name"
    ).fetchall()
    return [
        seed
        for (seed,) in seeds
        if connection.execute(
            f"""
            select exists (
                select 1
                from seeds."{seed}"
                where
                    (valid_from > least(parent_as_of, as_of)
                    and valid_from <= greatest(parent_as_of, as_of))
                    or (valid_to > least(parent_as_of, as_of)
                    and valid_to <= greatest(parent_as_of, as_of))
            )
            from landing.run_context
            """
        ).fetchall()
        == [(True,)]
    ]


def marts_of(project: Manifest, areas: Collection[str]) -> list[str]:
    """The marts that are built for these areas: theirs and those of ``trust``, the marts that these
    read, and the marts with which the rules of any of them compare it, so that no mart is released
    with fewer rules than it has.
    """
    nodes = project.nodes
    marts = {key: node.fqn[2] for key, node in nodes.items() if _is_mart(node)}
    compared: dict[str, list[str]] = {}
    for node in nodes.values():
        compared.setdefault(getattr(node, "attached_node", ""), []).extend(node.depends_on_nodes)
    found: set[str] = set()
    waiting = [key for key, area in marts.items() if area in areas or area == "trust"]
    while waiting:
        key = waiting.pop()
        if key in found or key not in nodes:
            continue
        found.add(key)
        waiting += nodes[key].depends_on_nodes
        if key in marts:
            waiting += compared.get(key, [])
    return sorted(nodes[key].name for key in found if key in marts)


def _is_mart(node: Any) -> bool:
    return bool(node.resource_type == "model" and node.fqn[1] == "marts")


def _refuse_full_disk(message: str, work: Path) -> None:
    """A full disk is no fault of a model; it may pass."""
    if tells_of_a_full_disk(message):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(work))


def _cannot_run(fault: BaseException | None, work: Path) -> MartsError:
    return MartsError(
        f"dbt could not run: {fault}",
        where=str(work / "dbt.log"),
        kept="the last release stands; the candidate is discarded",
        todo="read the log; correct the model or the project",
    )


def node_results(result: Any, database: Path) -> list[NodeResult]:
    """What dbt reports of a node; of a mart's ``is_sound`` test, its rules one by one.

    That a test failed is dbt's verdict; which of its rules, is asked of the candidate.
    """
    node, message = result.node, " ".join((result.message or "").split())
    kind, status = str(result.node.resource_type), str(result.status)
    metadata = getattr(node, "test_metadata", None)
    if metadata is None or metadata.name != "is_sound" or status == "error":
        seconds = round(result.execution_time, 3)
        return [NodeResult(node.name, kind, status, seconds, result.failures or 0, message)]
    rules = [
        arguments.get("name", kind_of_rule)
        for rule in metadata.kwargs["rules"]
        for kind_of_rule, arguments in rule.items()
    ]
    broken: dict[str, int] = {}
    if status == "fail":
        with open_build(database) as connection:
            broken = dict(connection.execute(node.compiled_code).fetchall())
    mart = node.attached_node.rpartition(".")[2]
    return [
        NodeResult(
            name=f"{mart}__{rule}",
            kind=kind,
            status="pass" if status == "fail" and rule not in broken else status,
            seconds=round(result.execution_time / len(rules), 3),
            failures=broken.get(rule, 0),
            message=message,
        )
        for rule in rules
    ]


def _raise_on_failure(results: list[NodeResult], work: Path) -> None:
    broken = [result for result in results if result.status == "error"]
    failed = [result for result in results if result.status == "fail"]
    _refuse_full_disk(" ".join(str(item.message) for item in broken), work)
    if broken:
        lines = "\n".join(f"  - {item.kind} {item.name}: {item.message}" for item in broken[:5])
        raise MartsError(
            f"{len(broken)} dbt nodes broke:\n{lines}",
            where=str(work / "dbt.log"),
            kept="the last release stands; the candidate is discarded",
            todo="read the log; correct the model",
        )
    if failed:
        lines = "\n".join(f"  - {item.name}: {item.failures} rows" for item in failed[:5])
        raise TransformFailure(
            f"{len(failed)} data tests failed:\n{lines}",
            where=str(work / "dbt.log"),
            kept="the last release stands; the candidate stays for inspection until the next run",
            todo="query the test's compiled SQL on the candidate (build.duckdb, with marts.duckdb "
            "attached as marts); mend the data or the model",
        )


DBT_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    # the same order of tests and models, from a tenth of the edges
    "DBT_USE_FAST_TEST_EDGES": "True",
}


def _options(target: Path, log: Path) -> list[str]:
    return [
        f"--project-dir={DBT_PROJECT_DIR}",
        f"--profiles-dir={DBT_PROJECT_DIR}",
        f"--target-path={target}",
        f"--log-path={log}",
        # dbt formats every debug line for each of its logs before it looks at the level
        "--log-level=none",
        "--log-level-file=none",
    ]


_parsed: dict[tuple[Any, ...], Manifest] = {}


def parsed_project(cache: Path, database_name: str, work: Path) -> Manifest:
    """The parsed project, for any database of this name; logs go to ``work``.

    This process keeps it as long as no file changes. Dbt keeps it in ``cache`` for other processes,
    and parses the files that changed since; but all of them when the profile is another, so it
    parses for a path and a memory limit that are always the same. Raises MartsError when dbt cannot
    parse it.
    """
    from dbt.cli.main import dbtRunner

    files = sorted(file for file in DBT_PROJECT_DIR.rglob("*") if file.is_file())
    stamps = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    key = (database_name, *stamps)
    if key not in _parsed:
        # another checkout's seeds lie elsewhere
        place = hashlib.sha256(str(DBT_PROJECT_DIR).encode()).hexdigest()[:12]
        folder = cache / f"{database_name}-{place}"
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / f"{database_name}.duckdb"
        with (
            (folder / "lock").open("w") as lock,
            _environment(
                **database_files(database),
                MARTS_MEMORY_LIMIT="1GB",
                MARTS_BLOCK_MEMORY="0MB",
                **DBT_ENVIRONMENT,
            ),
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            runner = dbtRunner(callbacks=[_log_to(work / "dbt.log")])
            outcome = runner.invoke(["parse", "--no-write-json", *_options(folder, work)])
        if outcome.exception is not None or not outcome.success:
            raise _cannot_run(outcome.exception, work)
        _parsed.clear()
        _parsed[key] = outcome.result
    return _parsed[key]


def _log_to(file: Path) -> Callable[[Any], None]:
    """Callback for dbt's events: appends warnings and errors to the file."""
    file.touch()

    def write(event: Any) -> None:
        if event.info.level in ("warn", "error"):
            at = event.info.ts.ToDatetime(UTC).isoformat(" ", "milliseconds")
            # where the disk is full: dbt loses the thread of a callback that raises, and waits for
            # it for ever
            with suppress(OSError), file.open("a", encoding="utf-8") as stream:
                stream.write(f"{at} [{event.info.level}] {event.info.msg}\n")

    return write


def _close_adapters() -> None:
    """Dbt keeps its connection for the process's life; the gates open the same file read-only."""
    from dbt.adapters.factory import FACTORY, cleanup_connections

    cleanup_connections()
    FACTORY.reset_adapters()
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
