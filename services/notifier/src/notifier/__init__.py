"""Makes permitted contacts through providers, at most once each, and takes in what comes back."""
