"""Whether a webhook comes from fal: signed by Ed25519, with one of the keys that it publishes.

What is signed are three headers and the SHA-256 of the body, in lines. Any customer of fal can have a message signed,
about a request of his own; but such a request is none of ours, and a hint about it leads to nothing.

Source: fal.ai/docs/model-endpoints/webhooks, read 2026-11-20. Never tried live.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rushes.providers.incoming import Incoming, Text, read_objects
from rushes.providers.terms import Hint
from rushes.signatures import TOLERANCE_S

SIGNED_HEADERS = ("x-fal-webhook-request-id", "x-fal-webhook-user-id", "x-fal-webhook-timestamp")
SIGNATURE_HEADER = "x-fal-webhook-signature"
KEYS_LIFE_S = 24 * 3600.0
KEYS_LEAST_S = 300.0  # before keys are asked for anew, however many messages they do not fit


class _Key(Incoming):
    x: Text = None


class KeySet(Incoming):
    """What is at `/.well-known/jwks.json`."""

    keys: Annotated[list[_Key], BeforeValidator(read_objects)] = Field(default_factory=list[_Key])

    def read(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys that are such; others are left out."""
        found: list[Ed25519PublicKey] = []
        for key in self.keys:
            try:
                text = key.x or ""
                raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                found.append(Ed25519PublicKey.from_public_bytes(raw))
            except (ValueError, binascii.Error):
                continue
        return tuple(found)


class KeyRing:
    """The keys as they were last published. `publish` asks for them."""

    def __init__(
        self,
        publish: Callable[[], Awaitable[tuple[Ed25519PublicKey, ...]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._read_at = float("-inf")

    async def fits(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a message is signed with one of them. They may have changed since, so they are read once more."""
        for at_most_s in (KEYS_LIFE_S, KEYS_LEAST_S):
            if self._clock() - self._read_at > at_most_s:
                self._keys, self._read_at = await self._publish(), self._clock()
            if is_signed(self._keys, headers, body):
                return True
        return False


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    request_id: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")  # PostgreSQL cannot be asked for one


def is_fresh(headers: Mapping[str, str], now: datetime) -> bool:
    """Whether a message carries what is signed, and is not old: else no key needs to be asked for."""
    sent_at = headers.get(SIGNED_HEADERS[2], "")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12 and headers.get(SIGNATURE_HEADER)):
        return False
    return abs(now.timestamp() - int(sent_at)) <= TOLERANCE_S


def is_signed(keys: Iterable[Ed25519PublicKey], headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the keys signed it. Header names are in lower case."""
    lines = [*(headers.get(name, "") for name in SIGNED_HEADERS), hashlib.sha256(body).hexdigest()]
    message = "\n".join(lines).encode("utf-8", "replace")
    try:
        signature = bytes.fromhex(headers.get(SIGNATURE_HEADER, ""))
    except ValueError:
        return False
    return any(_verifies(key, signature, message) for key in keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def read_message(body: bytes) -> Hint | None:
    """The request that a message is about; None if it names none. It is the one that a status tells of."""
    try:
        return Hint(remote_id=_Message.model_validate_json(body).request_id, trusted=True)
    except ValidationError:
        return None
