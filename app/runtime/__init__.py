"""Runs Airflow and its database on this machine, in this process or under a supervisor."""
