"""SQL and strategy files: what the scheduler's ports are made of."""
