"""What the sub-commands of `decorum` do that answer for the gate; `compliance_gate.cli` puts them together."""
