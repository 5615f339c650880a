"""Kinds of borrowers and how probable each of their reactions is."""

from __future__ import annotations

from typing import Final, Literal

from decorum_simulation.draws import weighted

Persona = Literal["punctual", "forgetful", "strained", "avoider"]
Reaction = Literal[
    "pay_full",
    "pay_part",
    "pay_early",
    "promise",
    "dispute",
    "stop",
    "paid_already",
    "call_back",
    "wrong_person",
    "other",
    "ignore",
]
PickUp = Literal["confirms", "says_wrong_person", "says_stop", "hangs_up"]
PICK_UPS: Final[tuple[tuple[PickUp, float], ...]] = (
    ("confirms", 0.93),
    ("says_wrong_person", 0.008),
    ("says_stop", 0.004),
    ("hangs_up", 0.058),
)
"""What whoever picks up a call does at its opening."""
ANOTHER_PERSON: Final[tuple[tuple[Reaction, float], ...]] = (
    ("ignore", 0.66),
    ("wrong_person", 0.16),
    ("stop", 0.12),
    ("other", 0.06),
)
"""What somebody else with the same number does about a text or a call that isn't for them."""
PERSONAS: Final[tuple[tuple[Persona, float], ...]] = (
    ("punctual", 0.33),
    ("forgetful", 0.31),
    ("strained", 0.23),
    ("avoider", 0.13),
)

Odds = tuple[tuple[Reaction, float], ...]
TO_TEXT: Final[dict[Persona, Odds]] = {
    "punctual": (("pay_full", 0.55), ("promise", 0.06), ("paid_already", 0.03), ("stop", 0.004), ("other", 0.02)),
    "forgetful": (("pay_full", 0.3), ("pay_part", 0.06), ("promise", 0.12), ("stop", 0.012), ("other", 0.03)),
    "strained": (
        ("pay_full", 0.05),
        ("pay_part", 0.12),
        ("promise", 0.14),
        ("dispute", 0.006),
        ("stop", 0.015),
        ("call_back", 0.01),
        ("other", 0.04),
    ),
    "avoider": (
        ("pay_full", 0.01),
        ("pay_part", 0.02),
        ("promise", 0.05),
        ("dispute", 0.012),
        ("wrong_person", 0.006),
        ("stop", 0.04),
        ("other", 0.02),
    ),
}
TO_CALL: Final[dict[Persona, Odds]] = {
    "punctual": (("pay_full", 0.5), ("promise", 0.25), ("paid_already", 0.05), ("stop", 0.004)),
    "forgetful": (("pay_full", 0.25), ("promise", 0.35), ("paid_already", 0.03), ("call_back", 0.02), ("stop", 0.01)),
    "strained": (
        ("pay_part", 0.12),
        ("promise", 0.35),
        ("dispute", 0.02),
        ("call_back", 0.05),
        ("stop", 0.02),
    ),
    "avoider": (("promise", 0.15), ("dispute", 0.04), ("paid_already", 0.03), ("stop", 0.05), ("call_back", 0.02)),
}
TO_REMINDER: Final[dict[Persona, Odds]] = {
    "punctual": (("pay_early", 0.45), ("other", 0.01), ("stop", 0.002)),
    "forgetful": (("pay_early", 0.3), ("promise", 0.03), ("other", 0.01), ("stop", 0.004)),
    "strained": (("pay_early", 0.08), ("promise", 0.04), ("other", 0.02), ("stop", 0.008)),
    "avoider": (("pay_early", 0.03), ("stop", 0.02)),
}
PAYS_ON_TIME: Final[dict[Persona, float]] = {"punctual": 0.85, "forgetful": 0.35, "strained": 0.2, "avoider": 0.05}
CURES_ALONE: Final[dict[Persona, float]] = {"punctual": 0.6, "forgetful": 0.25, "strained": 0.12, "avoider": 0.03}
KEEPS_PROMISE: Final[dict[Persona, tuple[tuple[Literal["kept", "partly", "broken"], float], ...]]] = {
    "punctual": (("kept", 0.9), ("partly", 0.05), ("broken", 0.05)),
    "forgetful": (("kept", 0.7), ("partly", 0.1), ("broken", 0.2)),
    "strained": (("kept", 0.42), ("partly", 0.25), ("broken", 0.33)),
    "avoider": (("kept", 0.12), ("partly", 0.13), ("broken", 0.75)),
}
_WEARIES: Final = frozenset({"pay_full", "pay_part", "promise", "pay_early"})
_ANNOYED: Final = frozenset({"stop", "dispute"})


def persona_of(borrower_id: str, seed: int) -> Persona:
    """The kind of a borrower of a synthetic portfolio."""
    return weighted(PERSONAS, seed, borrower_id, "persona")


def reaction_to(odds: Odds, contact_number: int, seed: int, *key: str | int) -> Reaction:
    """What a borrower does about the contact number `contact_number` (from one); most of the time nothing.

    With every further contact paying and promising gets a tenth less probable, asking to be left alone a quarter more.
    """
    worn = 0.9 ** (contact_number - 1)
    annoyed = min(1 + 0.25 * (contact_number - 1), 3.0)
    adjusted: list[tuple[Reaction, float]] = [
        (reaction, share * (worn if reaction in _WEARIES else annoyed if reaction in _ANNOYED else 1.0))
        for reaction, share in odds
    ]
    rest: tuple[Reaction, float] = ("ignore", max(1 - sum(share for _, share in adjusted), 0.0))
    return weighted((*adjusted, rest), seed, *key, "reaction")
