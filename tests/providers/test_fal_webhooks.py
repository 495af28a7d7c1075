"""Whose messages about fal's requests are believed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from rushes.errors import (
    AccessDenied,
    ProviderError,
)
from rushes.providers.fal import webhook
from rushes.providers.terms import Hint
from rushes.testing.fakes.fal import FakeFal
from rushes.testing.server import Answer
from tests.providers.fal_bench import NOBODY, at

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeFal]:
    with FakeFal(job_s=0.0) as fake:
        yield fake


async def test_a_message_that_fal_signed_names_its_request(fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        found = await provider.read_webhook(*fake.webhook(NOBODY))
        again = await provider.read_webhook(*fake.webhook(NOBODY))

    assert found == again == Hint(remote_id=NOBODY, trusted=True)
    assert len(fake.requests) == 1, "its keys are kept for a day"


@pytest.mark.parametrize(
    "spoilt",
    ["body", "age", "future", "signature", "none", "request", "user", "other key", "not hex"],
)
async def test_a_message_that_fal_did_not_sign_is_refused(spoilt: str, fake: FakeFal, tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    headers, body = fake.webhook(NOBODY, at={"age": now - 301, "future": now + 310}.get(spoilt, now))
    match spoilt:
        case "body":
            body = body.replace(b"OK", b"KO")
        case "signature":
            headers["x-fal-webhook-signature"] = "00" * 64
        case "none":
            del headers["x-fal-webhook-signature"]
        case "request":
            headers["x-fal-webhook-request-id"] = "another"
        case "user":
            headers["x-fal-webhook-user-id"] = "another"
        case "other key":
            headers, body = FakeFal().webhook(NOBODY)
        case "not hex":
            headers["x-fal-webhook-signature"] = "zz"
        case _:
            pass
    async with at(fake, tmp_path) as provider:
        with pytest.raises(AccessDenied):
            await provider.read_webhook(headers, body)


async def test_new_keys_are_asked_for_but_not_by_every_stranger(fake: FakeFal) -> None:
    asked_for, now = 0, 0.0

    async def publish() -> tuple[Ed25519PublicKey, ...]:
        nonlocal asked_for
        asked_for += 1
        return (fake.signing_key.public_key(),)

    ring = webhook.KeyRing(publish, lambda: now)
    assert await ring.fits(*fake.webhook(NOBODY))
    fake.signing_key = Ed25519PrivateKey.generate()
    strangers = [await ring.fits(*fake.webhook(NOBODY)) for _ in range(3)]
    assert (strangers, asked_for) == ([False] * 3, 1)
    now += 301

    assert await ring.fits(*fake.webhook(NOBODY))
    now += 24 * 3600 + 1
    assert await ring.fits(*fake.webhook(NOBODY))
    assert asked_for == 3, "once for the new keys, and once a day later"


@pytest.mark.parametrize("answer", [Answer(403), Answer(500), Answer.json({"keys": []}), Answer(200, b"<html>")])
async def test_keys_that_cannot_be_had_are_no_wrong_signature(answer: Answer, tmp_path: Path) -> None:
    class Keyless(FakeFal):
        def other(self, received: Any, operation: str, fault: Any) -> Answer:
            return answer if operation == "keys" else super().other(received, operation, fault)

    with Keyless() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.read_webhook(*fake.webhook(NOBODY))

    assert not isinstance(caught.value, AccessDenied), "or fal would not send it again"


async def test_a_signed_message_without_a_request_says_nothing(fake: FakeFal, tmp_path: Path) -> None:
    headers, body = fake.webhook("")
    assert json.loads(body)["request_id"] == ""
    async with at(fake, tmp_path) as provider:
        assert await provider.read_webhook(headers, body) is None
