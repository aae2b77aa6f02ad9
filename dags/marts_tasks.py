"""The tasks that the DAG files chain. Each calls one stage of ``customer_marts.pipeline``.

Nothing heavy is imported while Airflow parses the folder; the stages import what they need. Data
at fault fails a task at once; what may pass (a source that is down, a lock that is held) is tried
again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, task

if TYPE_CHECKING:
    from customer_marts.pipeline import Run

# the same names as customer_marts.pipeline.PULLS; a test holds them together
ORDER_FEEDS = (
    "customers",
    "products",
    "fx_rates",
    "market_prices",
    "orders",
    "order_lines",
    "deliveries",
    "invoices",
)
PAYMENT_FEEDS = ("payments", "customer_costs")
SURVEY_FEEDS = ("survey_responses",)
SERVICE_FEEDS = ("complaints", "interactions", "opportunities")

ORDERS = Asset("orders")
PAYMENTS = Asset("payments")
SURVEYS = Asset("surveys")
SERVICE = Asset("service")

TIME_ZONE = os.environ.get("MARTS_TIME_ZONE", "Asia/Shanghai")

DAG_DEFAULTS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}
DAG_OPTIONS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1),  # noqa: DTZ001 Airflow gives it the schedule's zone
    "catchup": False,
    "max_active_runs": 1,
    "default_args": DAG_DEFAULTS,
}


def _connection_uri(name: str) -> str | None:
    """The address of an Airflow connection, wherever this deployment keeps its connections."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(name)
    except AirflowNotFoundException:
        return None
    # a file's address in Airflow's notation is no path; without its provider the type is generic
    if connection.conn_type in ("sqlite", "generic") and str(connection.host).startswith("/"):
        return f"sqlite:///{connection.host}"
    return str(connection.get_uri())


def _open_run(context: Any) -> Run:
    from customer_marts.display import log_event
    from customer_marts.pipeline import open_run
    from customer_marts.settings import Settings

    name = os.environ.get("MARTS_RUN_ID") or re.sub(r"[^A-Za-z0-9]+", "-", context["run_id"])
    return open_run(Settings.load(connections=_connection_uri), name, log_event)


def _stage(function: Callable[[Run], Any], context: Any) -> Any:
    """Call a stage; data or configuration at fault is no reason to try again."""
    from airflow.sdk.exceptions import AirflowFailException

    from customer_marts.errors import ConfigurationError, DataError

    try:
        return function(_open_run(context))
    except (DataError, ConfigurationError) as error:
        raise AirflowFailException(str(error)) from error


def pull_task(feed: str) -> Any:
    """Task ``pull_<feed>``: land what is new in the feed; returns the batch's id or None. It waits
    for the pull before it, whatever became of that.
    """

    @task(task_id=f"pull_{feed}", trigger_rule="all_done")
    def pull_feed(**context: Any) -> str | None:
        from customer_marts.pipeline import pull

        return _stage(lambda run: pull(run, feed), context)

    return pull_feed()


def gate_landing_task(feeds: tuple[str, ...], asset: Asset | None = None) -> Any:
    """Task ``gate_landing``: gate ① on the feeds' new batches; the asset's event carries their
    ids. The event says "all pulled and judged", also when nothing was new; where a pull failed the
    others' batches are judged, and the task fails.
    """

    @task(task_id="gate_landing", trigger_rule="all_done", outlets=[asset] if asset else [])
    def gate(**context: Any) -> dict[str, list[str]]:
        from airflow.sdk.exceptions import AirflowFailException

        from customer_marts.pipeline import gate_landing, unpulled

        passed: dict[str, list[str]] = _stage(lambda run: gate_landing(run, feeds), context)
        missing = _stage(lambda run: unpulled(run, feeds), context)
        if missing:
            raise AirflowFailException(
                f"not pulled: {', '.join(missing)}; their tasks say why. What the other feeds "
                "brought is judged and counts from the next refresh on. Clear the failed pulls "
                "with what follows them."
            )
        if asset:
            context["outlet_events"][asset].extra = {"batches": passed}
        return passed

    return gate()


@task
def build_candidate(**context: Any) -> str:
    """Build the candidate; skips the rest of the run when nothing is new."""
    from airflow.sdk.exceptions import AirflowSkipException

    from customer_marts import pipeline

    parameters = context["params"]
    as_of = parameters.get("as_of")

    def build(run: Run) -> str | None:
        day = datetime.strptime(as_of, "%Y-%m-%d").date() if as_of else None  # noqa: DTZ007
        return pipeline.build_candidate(
            run, day, rebuild=bool(parameters.get("rebuild")), refit=bool(parameters.get("refit"))
        )

    release_id: str | None = _stage(build, context)
    if release_id is None:
        raise AirflowSkipException("nothing new since the last release")
    return release_id


@task
def gate_candidate(**context: Any) -> int:
    """Gate ②: the suites on the candidate's marts; returns how many suites passed."""
    from customer_marts import pipeline

    return len(_stage(pipeline.gate_candidate, context))


@task
def publish(**context: Any) -> str:
    """Publish the candidate; returns the release's id."""
    from customer_marts import pipeline

    release_id: str = _stage(pipeline.publish, context).release_id
    return release_id


@task(trigger_rule="none_failed")
def serve(**context: Any) -> str | None:
    """Show the current release in PostgreSQL, also when nothing is new: what could not be served
    the day before then is. Returns its id; None where nothing is served.
    """
    from customer_marts import pipeline

    served = _stage(pipeline.serve, context)
    return served.release_id if served else None


REFRESH_PARAMETERS: dict[str, Any] = {"as_of": None, "rebuild": False, "refit": False}
