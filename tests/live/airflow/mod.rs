//! Real Airflow servers, 2.10 and 3.1.
