"""The headings under which `decorum --help` lists commands: what a person wants to do."""

from __future__ import annotations

from typing import Final

RUN: Final = "Run it on this machine"
OPERATE: Final = "Act on what runs"
LOOK: Final = "Look at a borrower, a decision, a rule"
PREPARE: Final = "Check and prepare an installation"
