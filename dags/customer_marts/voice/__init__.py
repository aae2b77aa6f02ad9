"""The voice of the customer: what moves its satisfaction. Imports no Airflow and no dbt."""
