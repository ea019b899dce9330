"""What all other packages build on: settings, shops, pseudonyms, ingest, the warehouse and decisions."""
