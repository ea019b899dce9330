"""What every room stands on: settings, errors, days, vocabulary, SQL quoting, writes that last."""
