"""The steps of a daily run, and what runs beside them: evaluations, reports, and the dbt workbench."""
