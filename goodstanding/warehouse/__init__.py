"""DuckDB: opening the working files, the ledger of days, publishing, and the run's own measurements."""
