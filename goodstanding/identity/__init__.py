"""Normal forms of ids, and pseudonyms, which replace the shop's customer ids before anything is stored."""
