"""What the scheduler decides, as values and pure functions."""
