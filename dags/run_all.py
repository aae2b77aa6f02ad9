"""Everything in a row: pull all feeds, both gates, build, publish. The one-command path."""

from airflow.sdk import DAG, chain

from marts_tasks import (
    DAG_OPTIONS,
    ORDER_FEEDS,
    PAYMENT_FEEDS,
    REFRESH_PARAMETERS,
    SERVICE_FEEDS,
    SURVEY_FEEDS,
    build_candidate,
    gate_candidate,
    gate_landing_task,
    publish,
    pull_task,
    serve,
)

ALL_FEEDS = (*ORDER_FEEDS, *PAYMENT_FEEDS, *SURVEY_FEEDS, *SERVICE_FEEDS)

with DAG(
    dag_id="run_all",
    schedule=None,
    params=REFRESH_PARAMETERS,
    tags=["refresh"],
    doc_md="""
### run_all 一键全流程
The pull DAGs and `refresh_marts` in one chain, started by hand or by `make run`; it has no
schedule. Unlike them it builds nothing unless every feed was pulled. For triage see the DAGs it
chains: `pull_orders`, `pull_payments`, `pull_surveys`, `pull_service`, `refresh_marts`.
""",
    **DAG_OPTIONS,
):
    chain(
        *[pull_task(feed) for feed in ALL_FEEDS],
        gate_landing_task(ALL_FEEDS),
        build_candidate(),
        gate_candidate(),
        publish(),
        serve(),
    )
