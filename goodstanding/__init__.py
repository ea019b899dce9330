"""The product's own front: settings, event days, the steps of a run, the command line, the local Airflow."""
