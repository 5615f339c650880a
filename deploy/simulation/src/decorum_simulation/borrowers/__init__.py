"""Virtual borrowers: who they are, what they say, and how they react to what the carrier brought them."""
