"""Decides which attempts may be made, when, and says why."""
