"""The report of a run: one HTML file, drawn from the same files that the audit reads."""
