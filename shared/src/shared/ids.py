"""Deterministic ids: a UUIDv5 of what they stand for, never random, so that doing work twice makes the same rows."""

from __future__ import annotations

from hashlib import sha1
from typing import Final
from uuid import UUID

NAMESPACE: Final = UUID("7d7c9f0a-52c3-5b7e-9a43-0d8f5c1b6e21")
_SEPARATOR: Final = "\x1f"


def derive(kind: str, *parts: str | int) -> str:
    """The id of the `kind` of thing that `parts` identify; equal parts give equal ids in every process."""
    name = _SEPARATOR.join((kind, *map(str, parts))).encode()
    # RFC 9562, version 5, spelled out: `uuid.uuid5` builds an object for it and takes twice as long.
    digest = bytearray(sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def attempt_id(*, borrower_id: str, currency: str, episode: str, step_key: str, plan_number: int) -> str:
    """One step of one episode of one borrower; it keeps this id for life (the provider's idempotency key)."""
    return derive("attempt", borrower_id, currency, episode, step_key, plan_number)


def decision_id(*, borrower_id: str, attempt_id: str, submission_number: int) -> str:
    """The gate's one answer to one submission of an attempt; it is also the id of the permit it may carry."""
    return derive("decision", borrower_id, attempt_id, submission_number)
