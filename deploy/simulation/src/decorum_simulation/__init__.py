"""A simulated carrier, virtual borrowers, the demo and its audit."""
