"""The policy of tests: small caps that a basket reaches, and only the rules that there must be.

What the project's own policy grants is measured and changed (`bench/true_risks.py`); tests of how an answer
follows from the rules state theirs.
"""

from __future__ import annotations

from pathlib import Path

POLICY = Path(__file__).with_suffix(".csv")
