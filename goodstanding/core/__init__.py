"""What all other packages use: settings, errors, days, shared names, SQL text, safe writes of files."""
