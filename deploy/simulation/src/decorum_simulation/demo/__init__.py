"""The main job: a month of a lender in virtual time, on the real services."""
