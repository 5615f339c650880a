"""All checks over one folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from decorum_simulation.audit.caps import check_caps
from decorum_simulation.audit.completeness import check_decisions
from decorum_simulation.audit.form import check_order
from decorum_simulation.audit.hours import check_hours, check_inconvenient
from decorum_simulation.audit.money import check_amounts, check_books
from decorum_simulation.audit.permits import check_permit_ends, check_permits
from decorum_simulation.audit.records import Borrower, Evidence, read_run
from decorum_simulation.audit.shared_numbers import check_numbers, check_replies
from decorum_simulation.audit.stops import check_confirmations, check_opt_outs, check_restrictions
from decorum_simulation.audit.violations import Findings, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What was found, and how often each check was made."""

    violations: tuple[Violation, ...]
    checked: Counter[str]

    @property
    def by_kind(self) -> Counter[str]:
        """Violations counted by kind."""
        return Counter(violation.kind for violation in self.violations)


def audit(folder: Path) -> AuditResult:
    """Check the run in `folder`; raises `UnreadableRun` if it can't be read."""
    return audit_evidence(read_run(folder))


def audit_evidence(evidence: Evidence) -> AuditResult:
    """Check a run that was read."""
    findings = Findings()
    owners = owners_of(evidence)
    check_hours(evidence, owners, findings)
    check_inconvenient(evidence, owners, findings)
    check_caps(evidence, owners, findings)
    check_numbers(evidence, owners, findings)
    check_permits(evidence, findings)
    check_permit_ends(evidence, findings)
    check_opt_outs(evidence, owners, findings)
    check_replies(evidence, findings)
    check_confirmations(evidence, owners, findings)
    check_restrictions(evidence, owners, findings)
    check_amounts(evidence, owners, findings)
    check_books(evidence, findings)
    check_decisions(evidence, findings)
    check_order(evidence, findings)
    ordered = sorted(findings.violations, key=lambda v: (v.at is None, str(v.at), v.kind, sorted(v.ids.items())))
    return AuditResult(violations=tuple(ordered), checked=findings.checked)


def owners_of(evidence: Evidence) -> dict[str, Borrower]:
    """Whom each request of the carrier concerned: by the permit, else by the number."""
    by_number = {number: borrower for borrower in evidence.borrowers.values() for number in borrower.numbers}
    owners: dict[str, Borrower] = {}
    for request in evidence.requests:
        permit = evidence.permit_of(request)
        owner = evidence.borrowers.get(permit.borrower_id) if permit else by_number.get(request.to)
        if owner is not None:
            owners[request.attempt_id] = owner
    return owners
