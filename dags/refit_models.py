"""Fit the models that are due anew, judge each against the one in force, publish."""

from airflow.sdk import DAG, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    REFRESH_PARAMETERS,
    TIME_ZONE,
    build_candidate,
    gate_candidate,
    publish,
    serve,
)

with DAG(
    dag_id="refit_models",
    schedule=CronTriggerTimetable("0 6 * * 7", timezone=TIME_ZONE),
    params=REFRESH_PARAMETERS | {"refit": True},
    tags=["refresh"],
    doc_md="""
### refit_models 重新拟合模型
Builds a candidate in which every model that is due (its seed says after how many days) is fitted
anew on the facts of the as-of date, judged against the fit in force, and promoted or refused; then
gate 2 and publication as in `refresh_marts`. The days between score with the fit in force.

- A refused fit fails nothing: the one in force goes on scoring; `credit_model_runs` says why,
  figure by figure.
- When a task fails, readers keep the last release and its models; see `refresh_marts` for triage.
""",
    **DAG_OPTIONS,
):
    chain(build_candidate(), gate_candidate(), publish(), serve())
