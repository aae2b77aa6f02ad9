"""Pull complaints, contacts and opportunities from the CRM."""

from airflow.sdk import DAG, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    SERVICE,
    SERVICE_FEEDS,
    TIME_ZONE,
    gate_landing_task,
    pull_task,
)

with DAG(
    dag_id="pull_service",
    schedule=CronTriggerTimetable("45 5 * * *", timezone=TIME_ZONE),
    tags=["pull"],
    doc_md="""
### pull_service 拉取客户服务
Lands complaints, contacts (visits, calls, events, mails) and sales opportunities and puts them
through gate 1; then updates the asset `service`. A company without a CRM has none of these feeds:
the tasks then do nothing, and the asset is updated all the same.

**When a task fails**
- *the database could not be read*: the CRM is down or refuses the login; the task is tried again.
- *the source no longer has …*: a column was renamed or dropped; the message shows the difference
  and the likely new name. Map it in the company file and clear the task.
- *rows are gone at the source*: more keys vanished than `reconcile_keys.limit_rate` allows; nothing
  was deleted. Ask the CRM's operator first.
- `gate_landing`: see `pull_orders`.
""",
    **DAG_OPTIONS,
):
    chain(*[pull_task(feed) for feed in SERVICE_FEEDS], gate_landing_task(SERVICE_FEEDS, SERVICE))
