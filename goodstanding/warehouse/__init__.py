"""The DuckDB files: opening them, the ledger of days, publishing, restatements, measurements of runs."""
