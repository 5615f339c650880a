"""Sub-commands of `decorum` that belong to the platform as a whole."""
