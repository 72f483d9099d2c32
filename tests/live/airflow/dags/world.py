"""What runs on the Airflow of the live tests. One file for 2.10 and 3.1, so that both are asked about the same world.

Sensors poke once and then wait for an hour, unless a case needs them to move on: a poke is a process.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.http.sensors.http import HttpSensor

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator
    from airflow.sensors.external_task import ExternalTaskSensor


def dag(name, **more):
    return DAG(name, schedule=None, start_date=datetime(2024, 1, 1), catchup=False, **more)


def waits(task_id="wait_for_completion", endpoint="closed", every=3600, **more):
    """The gate answers 404 to `closed`, always; to other paths until the test opens them."""
    return HttpSensor(
        task_id=task_id, http_conn_id="gate", endpoint=endpoint, mode="reschedule", poke_interval=every, **more
    )


def works(task_id="work"):
    return BashOperator(task_id=task_id, bash_command="exec sleep 3600")


with dag("image_data_refresh"):
    waits()

# Named as its sister's sensor is, and of another class.
with dag("audio_data_refresh"):
    ExternalTaskSensor(
        task_id="wait_for_completion",
        external_dag_id="image_data_refresh",
        external_task_id="wait_for_completion",
        mode="reschedule",
        poke_interval=3600,
    )

with dag("mapped_refresh"):
    HttpSensor.partial(
        task_id="wait_for_each", http_conn_id="gate", mode="reschedule", poke_interval=3600
    ).expand(endpoint=["closed", "closed", "closed"])

# More task instances than fit on a page, of which one at a time is worked on.
with dag("many_tasks"):
    BashOperator.partial(
        task_id="work", bash_command="exec sleep 3600", append_env=True, max_active_tis_per_dagrun=1
    ).expand(env=[{"NUMBER": str(number)} for number in range(120)])

with dag("mixed_refresh"):
    waits()
    works()

with dag("deferred_refresh"):
    HttpSensor(
        task_id="wait_in_triggerer", http_conn_id="gate", endpoint="closed", poke_interval=3600, deferrable=True
    )

with dag("retrying_refresh"):
    waits(endpoint="broken", retries=3, retry_delay=timedelta(hours=1))

# Where a machine is busy, Airflow may queue a sensor's next poke before it has taken in how the last one ended, and then
# calls the task failed: it is tried again.
with dag("moving_refresh"):
    waits(endpoint="moving", every=5, retries=60, retry_delay=timedelta(seconds=1)) >> works("promote")

with dag("outside_the_exception"):
    waits()

with dag("long_task"):
    works()

with dag("production_elasticsearch_cluster_healthcheck"):
    works("ping")

with dag("paused_refresh", is_paused_upon_creation=True):
    waits()

with dag("batched_update", max_active_runs=1):
    works()
