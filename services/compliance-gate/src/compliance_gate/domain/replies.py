"""One answer to each message that the borrower sent, in its medium, and one confirmation of each opt-out.

Source of both: 12 CFR part 1006, comments 6(b)(1)-2 and 14(h)(1)-2, -3; the default tenant overlay counts neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from compliance_gate.domain.facts import Attempt, Channel, Facts, InboundMessage, OptOut, PastContact


def answered_message(attempt: Attempt, facts: Facts, now: datetime) -> InboundMessage | None:
    """The message that `attempt` is the first answer to, in its medium; None if it is no such answer."""
    if attempt.reply_to is None:
        return None
    message = _message(attempt, facts, now)
    if message is None or any(row.reply_to == attempt.reply_to for row in _outbound(facts.history, now)):
        return None
    return message


def has_opted_out(attempt: Attempt, facts: Facts, now: datetime) -> bool:
    """Whether there is an opt-out on the attempt's channel that a confirmation could speak of."""
    return any(_confirms(opt_out, attempt.channel, attempt.number_key, now) for opt_out in facts.opt_outs)


def is_first_confirmation(attempt: Attempt, facts: Facts, now: datetime) -> bool:
    """Whether `attempt` is the one confirmation of an opt-out on its channel that is in force."""
    if attempt.purpose != "opt_out_confirmation":
        return False
    return any(
        _confirms(opt_out, attempt.channel, attempt.number_key, now)
        and not any(_is_confirmation_of(opt_out, row) for row in _outbound(facts.history, now))
        for opt_out in facts.opt_outs
    )


def uncounted_contacts(facts: Facts, now: datetime, kinds: Iterable[str]) -> frozenset[str]:
    """The ids of past contacts of these kinds that were the one answer, or the one confirmation, and aren't counted."""
    if all(row.reply_to is None and row.purpose != "opt_out_confirmation" for row in facts.history):
        return frozenset()
    uncounted: set[str] = set()
    rows = sorted(_outbound(facts.history, now), key=lambda row: (row.at, row.contact_id))
    wanted = frozenset(kinds)
    if "reply" in wanted:
        answered: set[str] = set()
        for row in rows:
            if row.reply_to is None or row.reply_to in answered:
                continue
            answered.add(row.reply_to)
            if _message(row, facts, row.at) is not None:
                uncounted.add(row.contact_id)
    if "opt_out_confirmation" in wanted:
        for opt_out in facts.opt_outs:
            confirmations = (row for row in rows if _is_confirmation_of(opt_out, row))
            first = next(confirmations, None)
            if first is not None:
                uncounted.add(first.contact_id)
    return frozenset(uncounted)


def _outbound(history: Iterable[PastContact], now: datetime) -> list[PastContact]:
    return [row for row in history if row.direction == "outbound" and row.at <= now]


def _message(answer: Attempt | PastContact, facts: Facts, now: datetime) -> InboundMessage | None:
    """The message that `answer` names, where it goes back to who sent it, in its medium and to its number if known."""
    for message in facts.inbound:
        if message.message_id == answer.reply_to and message.at <= now:
            same_number = None in (message.number_key, answer.number_key) or message.number_key == answer.number_key
            returns = same_number and message.channel == answer.channel and message.party == answer.party
            return message if returns else None
    return None


def _confirms(opt_out: OptOut, channel: Channel, number_key: str | None, at: datetime) -> bool:
    return (
        opt_out.channel == channel
        and opt_out.since <= at
        and (opt_out.number_key is None or opt_out.number_key == number_key)
    )


def _is_confirmation_of(opt_out: OptOut, row: PastContact) -> bool:
    return row.purpose == "opt_out_confirmation" and _confirms(opt_out, row.channel, row.number_key, row.at)
