"""Pull payments from the bank's files, and what customers cost."""

from airflow.sdk import DAG, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    PAYMENT_FEEDS,
    PAYMENTS,
    TIME_ZONE,
    gate_landing_task,
    pull_task,
)

with DAG(
    dag_id="pull_payments",
    schedule=CronTriggerTimetable("15 5 * * *", timezone=TIME_ZONE),
    tags=["pull"],
    doc_md="""
### pull_payments 拉取回款
Lands the bank's new files and puts them through gate 1; then updates the asset `payments`.

**When a task fails**
- *the file is truncated* or *its trailer counts …*: have the bank deliver the file again; it is
  read anew because its content's hash differs. The other files wait with it.
- *the file is still being written*: it changed while it was read; the task is tried again. Let the
  bank put a marker beside each finished file, and name it in the company file (`ready`).
- *the file is not gb18030*: the export's encoding changed; correct the company file.
- `gate_landing`: see `pull_orders`.
""",
    **DAG_OPTIONS,
):
    chain(*[pull_task(feed) for feed in PAYMENT_FEEDS], gate_landing_task(PAYMENT_FEEDS, PAYMENTS))
