"""Numbers that several people have: how often one is called in vain, whom a stop binds, and whose a promise is."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from decorum_simulation.audit.records import Borrower, Evidence
from decorum_simulation.audit.stop_words import says_stop
from decorum_simulation.audit.stops import values_of_points
from decorum_simulation.audit.violations import Findings

UNANSWERED_MAX: Final = 6
"""中国银行业协会催收工作指引（试行）: a number that doesn't answer is not called more than six times a day."""
ANSWERED: Final = frozenset({"answered", "conversation"})
_SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform made of an inbound message, for one borrower."""

    borrower_id: str
    reply_id: str
    intent: str


class Agency(msgspec.Struct, frozen=True, kw_only=True):
    """An external contact's event, as far as a number is concerned."""

    borrower_id: str
    channel: str
    direction: str
    result: str
    made_at: datetime
    contact_point_id: str | None = None


class Call(NamedTuple):
    """A call in vain to a number; with an attempt if it is one to judge."""

    at: datetime
    attempt_id: str | None


def check_numbers(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """No number of a borrower in China is called more often a day than allowed, whomever the calls are for."""
    for calls in _calls_in_vain(evidence).values():
        by_day: defaultdict[date, int] = defaultdict(int)
        for call in sorted(calls, key=lambda call: (call.at, call.attempt_id or "")):
            day = call.at.astimezone(_SHANGHAI).date()
            by_day[day] += 1
            owner = owners.get(call.attempt_id or "")
            if owner is None or not owner.region.startswith("CN"):
                continue
            findings.checked["calls by number"] += 1
            if by_day[day] > UNANSWERED_MAX:
                findings.add(
                    "cap_number_day",
                    call.at,
                    f"A number was called {by_day[day]} times in vain on {day}; at most {UNANSWERED_MAX} are allowed.",
                    attempt_id=call.attempt_id,
                    borrower_id=owner.borrower_id,
                )


def _calls_in_vain(evidence: Evidence) -> dict[str, list[Call]]:
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    for request in evidence.requests:
        kinds = {line.kind for line in evidence.outcomes.get(request.attempt_id, [])}
        if request.channel == "voice" and "rejected" not in kinds and not kinds & ANSWERED:
            calls[request.to].append(Call(request.at, request.attempt_id))
    values = values_of_points(evidence)
    for _, contact in evidence.of_type("external-contact-made", Agency):
        number = values.get((contact.borrower_id, contact.contact_point_id or ""))
        if number and contact.channel == "voice" and contact.direction == "outbound" and contact.result not in ANSWERED:
            calls[number].append(Call(contact.made_at, None))
    return dict(calls)


def check_replies(evidence: Evidence, findings: Findings) -> None:
    """A stop is everybody's who has the number; a promise is one borrower's, or nobody's."""
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for borrower in evidence.borrowers.values():
        for number in borrower.numbers:
            holders[number].add(borrower.borrower_id)
    replies: defaultdict[str, list[Reply]] = defaultdict(list)
    for _, reply in evidence.of_type("reply-received", Reply):
        replies[reply.reply_id].append(reply)
    for item in evidence.inbound:
        if item.known_at is None:
            continue
        findings.checked["replies"] += 1
        stopped = {reply.borrower_id for reply in replies[item.id] if reply.intent == "stop"}
        promised = {reply.borrower_id for reply in replies[item.id] if reply.intent == "promise"}
        if says_stop(item) and (missing := holders[item.sender] - stopped):
            findings.add(
                "stop_not_for_all",
                item.known_at,
                f"A stop from this number did not reach {len(missing)} of those who have it.",
                inbound_id=item.id,
                borrower_id=min(missing),
            )
        if len(promised) > 1:
            findings.add(
                "promise_of_several",
                item.known_at,
                f"One message was taken for a promise of {len(promised)} borrowers.",
                inbound_id=item.id,
            )
