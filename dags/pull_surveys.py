"""Pull survey answers from the survey platform."""

from airflow.sdk import DAG, CronTriggerTimetable, chain

from marts_tasks import (
    DAG_OPTIONS,
    SURVEY_FEEDS,
    SURVEYS,
    TIME_ZONE,
    gate_landing_task,
    pull_task,
)

with DAG(
    dag_id="pull_surveys",
    schedule=CronTriggerTimetable("30 5 * * *", timezone=TIME_ZONE),
    tags=["pull"],
    doc_md="""
### pull_surveys 拉取调查
Lands new survey answers and puts them through gate 1; then updates the asset `surveys`.

**When a task fails**
- *the service answered 401*: the token expired; renew `SAMPLE_SURVEY_TOKEN` (or the company's own
  variable) and clear the task.
- *the service answered 5xx* or *gave no usable answer*: six attempts were made, honouring
  Retry-After, and the task is tried again later. Nothing is lost.
- `gate_landing`: see `pull_orders`.
""",
    **DAG_OPTIONS,
):
    chain(*[pull_task(feed) for feed in SURVEY_FEEDS], gate_landing_task(SURVEY_FEEDS, SURVEYS))
