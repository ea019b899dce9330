"""Says on which days customers gave something back: one rule, to learn from and to compare with."""

from __future__ import annotations

from pathlib import Path

# SQL for (customer_id, event_day), of a warehouse or a publication with the schema `features`
RETURN_DAYS = Path(__file__).with_name("return_days.sql").read_text(encoding="utf-8")
# what it reads
READ = ("features.product_cancellations", "features.invoice_states")
