"""Webhook signatures, as the Standard Webhooks convention has them: how we sign, and how we check what others sign.

What is signed is `<id>.<timestamp>.<body>`, by HMAC-SHA256. A message may carry several signatures, while its sender
changes from one secret to the next; one that is right is enough. Nothing here knows what a message says. Pure.

Source: the specification at github.com/standard-webhooks, and the verifier of the `openai` package 3.54, read
2026-11-21.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from rushes.errors import ConfigError

PREFIX = "whsec_"
VERSION = "v1"
TOLERANCE_S = 300
"""How old, or how far ahead, a message may be: a recorded one must not be played again next week."""


def secret_of(key: bytes) -> str:
    """A key as it is written in settings."""
    return PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """The key of a secret; one without the prefix is the key itself. Raises ConfigError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"A webhook secret begins with {PREFIX} but is not base64 after it. Copy it again.") from None


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one message, `v1,…`."""
    text = f"{message_id}.{timestamp}.".encode() + body
    return f"{VERSION},{base64.b64encode(hmac.digest(key_of(secret), text, hashlib.sha256)).decode()}"


def headers_for(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows the message for ours."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a message, with its headers in lower case, is new and signed with this secret. Raises ConfigError."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (message_id and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_S:
        return False
    right = sign(secret, message_id, int(timestamp), body).encode()
    given = headers.get("webhook-signature", "").encode("utf-8", "replace").split()
    return any(hmac.compare_digest(right, each) for each in given)
