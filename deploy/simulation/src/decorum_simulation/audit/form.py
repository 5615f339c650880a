"""The form of the files: an outside auditor merges them line by line, which takes them sorted as they say they are."""

from __future__ import annotations

from decorum_simulation.audit.records import Evidence
from decorum_simulation.audit.violations import Findings


def check_order(evidence: Evidence, findings: Findings) -> None:
    """Every file is sorted by instant and id; one violation a file names the first line that isn't in its place."""
    for form in evidence.forms:
        findings.checked["lines in order"] += form.lines
        if form.misplaced:
            count, order = len(form.misplaced), " and ".join(form.sorted_by)
            which = "1 line belongs" if count == 1 else f"{count} lines belong"
            findings.add(
                "out_of_order",
                None,
                f"This file is sorted by {order}, but {which} before the one above.",
                file=form.name,
                line=str(form.misplaced[0]),
            )
