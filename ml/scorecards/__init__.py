"""Points scorecards of orders: who returns, refuses or pays late."""
