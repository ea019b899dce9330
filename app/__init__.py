"""What people and programs start: the HTTP API, the command line, and Airflow on this machine."""
