"""Signatures of webhooks as standardwebhooks.com describes them, so that its libraries verify ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"


def signing_keys(secret: str) -> list[bytes]:
    """The keys that a secret's lines hold, the new one first: base64 behind ``whsec_``, else the text itself.

    Raises ValueError for what begins with ``whsec_`` and is not base64.
    """
    keys = []
    for line in secret.split():
        if line.startswith(PREFIX):
            try:
                keys.append(base64.b64decode(line.removeprefix(PREFIX), validate=True))
            except binascii.Error:
                raise ValueError(f"what follows {PREFIX} is not base64") from None
        else:
            keys.append(line.encode())
    return keys


def signature_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. The time is signed too, so that a recorded request cannot be sent again later."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
    }
