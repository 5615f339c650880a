"""AES-256-GCM under a key per borrower. The master key wraps those keys, so deleting one erases its borrower."""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from notifier.ports import SealBroken

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEYS_CACHED_MAX: Final = 20_000


class AesGcmSealer:
    """`Sealer` with a master key of 32 bytes. Number hashes have a key of their own, or one derived from it: a plain
    hash of eleven digits is guessed in a minute.
    """

    def __init__(self, master_key: bytes, *, number_hash_key: bytes | None = None) -> None:
        if len(master_key) != KEY_BYTES or len(number_hash_key or master_key) != KEY_BYTES:
            raise ValueError(f"a key must be {KEY_BYTES} bytes")
        self._master = AESGCM(_derived(master_key, b"decorum wrap"))
        self._hash_key = number_hash_key or _derived(master_key, b"decorum number hash")
        self._unwrapped = lru_cache(maxsize=_KEYS_CACHED_MAX)(self._unwrap)

    def new_wrapped_key(self, borrower_id: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._master.encrypt(nonce, os.urandom(KEY_BYTES), borrower_id.encode())

    def seal(self, wrapped_key: bytes, *, borrower_id: str, field: str, text: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        key = self._unwrapped(wrapped_key, borrower_id)
        return nonce + key.encrypt(nonce, text.encode(), _bound_to(borrower_id, field))

    def open(self, wrapped_key: bytes, *, borrower_id: str, field: str, sealed: bytes) -> str:
        key = self._unwrapped(wrapped_key, borrower_id)
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(borrower_id, field)).decode()
        except (InvalidTag, ValueError):  # a value too short to have a nonce
            raise SealBroken(field) from None

    def hash_number(self, number: str) -> bytes:
        return hmac.new(self._hash_key, number.encode(), hashlib.sha256).digest()

    def _unwrap(self, wrapped_key: bytes, borrower_id: str) -> AESGCM:
        try:
            opened = self._master.decrypt(wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:], borrower_id.encode())
        except (InvalidTag, ValueError):
            raise SealBroken("key") from None
        return AESGCM(opened)


def _derived(master_key: bytes, purpose: bytes) -> bytes:
    return hmac.new(master_key, purpose, hashlib.sha256).digest()


def _bound_to(borrower_id: str, field: str) -> bytes:
    """A sealed value moved to another borrower or field doesn't open."""
    return f"{borrower_id}\x1f{field}".encode()
