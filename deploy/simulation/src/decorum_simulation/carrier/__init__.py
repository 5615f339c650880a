"""The carrier simulator: SMS and voice providers behind HTTP, with seeded faults and signed webhooks."""
