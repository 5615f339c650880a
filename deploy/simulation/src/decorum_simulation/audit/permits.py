"""Every request has a permit that holds: given before, not ended, not revoked, for this number, used once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

from decorum_simulation.audit.records import CarrierLine, Decision, Evidence
from decorum_simulation.audit.violations import Findings


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation's event."""

    borrower_id: str
    borrower_sequence: int
    revoked_at: datetime
    attempt_ids: list[str]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome's event."""

    attempt_id: str
    submission_number: int


ENDS = ("contact-made", "contact-not-made", "contact-unknown")


def check_permits(evidence: Evidence, findings: Findings) -> None:
    """Requests against permits and revocations, and each attempt at the carrier at most once."""
    revocations = _revocations(evidence)
    for request in evidence.requests:
        findings.checked["permits"] += 1
        permit = evidence.permit_of(request)
        if permit is None:
            findings.add(
                "no_permit", request.at, "The carrier was called without any permit.", attempt_id=request.attempt_id
            )
            continue
        _check_permit(request, permit, revocations, evidence, findings)
    for attempt_id, count in Counter(request.attempt_id for request in evidence.requests).items():
        if count > 1:
            first = next(request for request in evidence.requests if request.attempt_id == attempt_id)
            findings.add(
                "requested_twice", first.at, f"The carrier was called {count} times for it.", attempt_id=attempt_id
            )


def _check_permit(
    request: CarrierLine,
    permit: Decision,
    revocations: dict[str, list[tuple[datetime, int]]],
    evidence: Evidence,
    findings: Findings,
) -> None:
    ids = {"attempt_id": request.attempt_id, "borrower_id": permit.borrower_id, "decision_id": permit.decision_id}
    expires_at = permit.permit_expires_at
    if expires_at is None or request.at >= expires_at:
        findings.add("permit_expired", request.at, f"Its permit had ended at {expires_at}.", **ids)
    elif request.not_after is None or request.not_after > expires_at:
        findings.add("not_after_beyond_permit", request.at, "The carrier was given more time than the permit.", **ids)
    revoked = [at for at, sequence in revocations.get(request.attempt_id, []) if sequence > permit.borrower_sequence]
    # What is known at an instant is known before anything is sent at it.
    if revoked and min(revoked) <= request.at:
        findings.add("permit_revoked", request.at, f"Its permit was revoked at {min(revoked)}.", **ids)
    borrower = evidence.borrowers.get(permit.borrower_id)
    if borrower is None or request.to not in borrower.numbers or request.channel != permit.channel:
        findings.add("wrong_number", request.at, "The number or channel isn't the one that was permitted.", **ids)


def _revocations(evidence: Evidence) -> dict[str, list[tuple[datetime, int]]]:
    """By attempt: instant and sequence of each revocation that names it, in the decisions or in the events."""
    found: dict[str, list[tuple[datetime, int]]] = {}
    for decision in evidence.decisions:
        if decision.verdict == "revoked" and decision.attempt_id is not None:
            found.setdefault(decision.attempt_id, []).append((decision.at, decision.borrower_sequence))
    for _, revoked in evidence.of_type("permit-revoked", Revoked):
        for attempt_id in revoked.attempt_ids:
            found.setdefault(attempt_id, []).append((revoked.revoked_at, revoked.borrower_sequence))
    return found


def _check_unused(evidence: Evidence, findings: Findings) -> None:
    """A permit that was used, or may have been, is made or unknown: as not made it would count towards nothing."""
    unused = {(end.attempt_id, end.submission_number) for _, end in evidence.of_type("contact-not-made", End)}
    for request in evidence.requests:
        permit = evidence.permit_of(request)
        if permit is None or evidence.is_rejected(request.attempt_id):
            continue
        findings.checked["used permits"] += 1
        if (request.attempt_id, permit.submission_number) in unused:
            findings.add(
                "sent_but_not_made",
                request.at,
                "The carrier was called, and the permit ended as not made.",
                attempt_id=request.attempt_id,
                decision_id=permit.decision_id,
            )


def check_permit_ends(evidence: Evidence, findings: Findings) -> None:
    """Every permit whose time was over before the run's end has exactly one end: made, not made or unknown."""
    _check_unused(evidence, findings)
    ends = Counter((end.attempt_id, end.submission_number) for name in ENDS for _, end in evidence.of_type(name, End))
    for permits in evidence.permits.values():
        for permit in permits:
            expires_at = permit.permit_expires_at
            if expires_at is None or expires_at >= evidence.run.virtual_end:
                continue
            findings.checked["permit ends"] += 1
            count = ends[(permit.attempt_id or "", permit.submission_number or 0)]
            ids = {"attempt_id": permit.attempt_id, "decision_id": permit.decision_id}
            if count == 0:
                findings.add("permit_without_end", expires_at, "Nobody said how this permit ended.", **ids)
            elif count > 1:
                findings.add("permit_ended_twice", expires_at, f"This permit has {count} ends.", **ids)
