"""Airflow and its database on this machine."""
