"""Policy packs: read from YAML, checked line by line, stacked and resolved for a borrower."""
