"""Refresh the marts when orders, payments, surveys and service records have been pulled, or at a
fixed time with what there is.
"""

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    ORDERS,
    PAYMENTS,
    REFRESH_PARAMETERS,
    SERVICE,
    SURVEYS,
    TIME_ZONE,
    build_candidate,
    gate_candidate,
    publish,
    serve,
)

with DAG(
    dag_id="refresh_marts",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 8 * * *", timezone=TIME_ZONE),
        assets=(ORDERS & PAYMENTS & SURVEYS & SERVICE),
    ),
    params=REFRESH_PARAMETERS,
    tags=["refresh"],
    doc_md="""
### refresh_marts 刷新数据集市
Turns the last release and the newly landed batches into a candidate, puts it through gate 2 and
publishes it. Which batches are new is read from the last release, not from the asset events.
It runs when all four assets were updated, and at 08:00 in any case: a source that is down or at
fault then keeps nobody from what the others brought. `marts status` says which feeds are missing.

**When a task fails, readers keep the last release.**
- `build_candidate` with *data tests failed*: the log names the tests; the candidate is in
  `runs/candidate/` until the next run: `build.duckdb`, and its marts in `marts.duckdb` beside it.
- `gate_candidate`: a suite of `expectations/marts` refused the candidate; the message names rule
  and table.
- *the candidate changes more than a release may* (`gate_candidate`): look with
  `marts diff candidate`; if it is right, `marts approve`, then clear `build_candidate`; if not,
  mend the data or the mapping.
- *exchange rates are missing*: a document in a foreign currency has no rate on its day; deliver the
  rates (feed `fx_rates`) and clear `pull_orders`.
- *Busy*: another run is writing or has overtaken this one; it is tried again, or let be.
- *feeds of which nothing counts yet*: a release without any of their rows would be wrong. So it is
  on the first day until all are pulled; else mend their pull, clear it, then clear this task.
- `serve` (only with `MARTS_SERVING_URI`): the release is published as files; PostgreSQL's readers
  still see the one before. The message says why: the server, a right, or a reader who holds the
  views; clear the task, or let the next run do it.
- *nothing new* (tasks skipped) is success; so is every day's 08:00 after a refresh.

Parameters: `as_of` (YYYY-MM-DD) computes every figure as of that date; `rebuild` builds from all
landed batches; `refit` fits the models that are due anew, as `refit_models` does each week.
""",
    **DAG_OPTIONS,
):
    chain(build_candidate(), gate_candidate(), publish(), serve())
