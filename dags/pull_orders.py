"""Pull the ERP's customers, products, orders, order lines and invoices."""

from airflow.sdk import DAG, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    ORDER_FEEDS,
    ORDERS,
    TIME_ZONE,
    gate_landing_task,
    pull_task,
)

with DAG(
    dag_id="pull_orders",
    schedule=CronTriggerTimetable("0 5 * * *", timezone=TIME_ZONE),
    tags=["pull"],
    doc_md="""
### pull_orders 拉取订单
Lands what is new in the ERP's feeds and puts it through gate 1; then updates the asset `orders`.

**When a task fails**
- `pull_*` with *SourceUnavailable*: the ERP or the network is down. It is tried three more times;
  then check the database and clear the task. Nothing is lost: the next pull starts from the last
  release's watermark.
- `pull_*` with *BatchFault*: a column was dropped, renamed or retyped; the message shows the
  difference. Correct the company file (or the ERP) and clear the task.
- `gate_landing` with *not pulled*: a pull before it failed. The other feeds' batches are judged and
  count from the next refresh on, at the latest the one of 08:00; the asset is not updated. Mend the
  pull, then clear it *with its downstream tasks*.
- `gate_landing` with *gate 1 refused*: a batch broke a rule of `expectations/landing`. It stays in
  the landing folder with its verdict; no release takes it. Readers keep the last release.
""",
    **DAG_OPTIONS,
):
    chain(*[pull_task(feed) for feed in ORDER_FEEDS], gate_landing_task(ORDER_FEEDS, ORDERS))
