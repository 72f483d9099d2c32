"""A DAG that Airflow cannot import."""

from airflow import DAG

DAG("never_seen", schedule=no_such_name)  # noqa: F821
