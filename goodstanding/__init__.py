"""The ground of the product: shared core, shops, pseudonyms, warehouse, decisions and ingest."""
