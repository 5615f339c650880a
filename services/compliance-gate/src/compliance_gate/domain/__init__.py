"""The gate's decisions, pure: the same arguments give the same answer, anywhere and at any time.

    policy = book.resolve(facts.region, facts.zones)          # compliance_gate.policy.book.PolicyBook, cached
    decision = decide(attempt, facts, policy, now)            # Allowed | Deferred | Denied | HeldForReview
    facts = facts.after(PastContact(..., state="reserved"))   # the next attempt of the batch sees the reservation

`Attempt` is what the scheduler wants to do, `Facts` is what is known about its borrower, `Policy` holds the rules in
force for borrowers of that region, with these zones. All three, and the decision, are values: attempt, facts and
decision are msgspec structs that encode to JSON and decode from it (`compliance_gate.adapters.evidence`).

What the caller must give, for a decision to be right:
* `Facts.history`: every contact with the borrower of at least the last 31 days (for contacts with third persons: all),
  newest first, whoever made it and on whatever number, with the open reservations and the unknown ones, without what
  the carrier refused; `Facts.number_contacts`: the contacts of other borrowers on the attempt's number.
* `Facts.inbound`: every message and call of the borrower in the same time; an answer to a message that isn't there is
  counted as any other contact. `Facts.opt_outs`: those on shared numbers too.
* `Facts.zones`: sorted, the same tuple that the policy was resolved with.
* `Facts.lag_seconds`: how far behind the fact topics are; above the policy's limit everything is deferred.
"""

from compliance_gate.domain.calendars import Calendar
from compliance_gate.domain.deciding import decide
from compliance_gate.domain.facts import (
    Approval,
    Attempt,
    AttemptAmount,
    Consent,
    Earlier,
    Facts,
    InboundMessage,
    Inconvenience,
    LoanFacts,
    OptOut,
    PastContact,
    Restriction,
    Stop,
    UnpostedPayment,
)
from compliance_gate.domain.legal_time import legal_windows, next_legal_instant
from compliance_gate.domain.local_days import Interval
from compliance_gate.domain.next_legal import next_instant
from compliance_gate.domain.policy import Policy, Stack
from compliance_gate.domain.rules import Role, Rule, Terms
from compliance_gate.domain.verdicts import Allowed, Decision, Deferred, Denied, HeldForReview, Ruling

__all__ = [
    "Allowed",
    "Approval",
    "Attempt",
    "AttemptAmount",
    "Calendar",
    "Consent",
    "Decision",
    "Deferred",
    "Denied",
    "Earlier",
    "Facts",
    "HeldForReview",
    "InboundMessage",
    "Inconvenience",
    "Interval",
    "LoanFacts",
    "OptOut",
    "PastContact",
    "Policy",
    "Restriction",
    "Role",
    "Rule",
    "Ruling",
    "Stack",
    "Stop",
    "Terms",
    "UnpostedPayment",
    "decide",
    "legal_windows",
    "next_instant",
    "next_legal_instant",
]
