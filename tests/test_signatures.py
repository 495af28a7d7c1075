"""Signatures of webhooks: ours are the ones that others expect, and only theirs are let in."""

from datetime import UTC, datetime, timedelta

import pytest
from openai import OpenAI

from rushes.errors import ConfigError
from rushes.signatures import headers_for, is_signed, key_of, secret_of, sign

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = b'{"id":"evt_1","object":"event","created_at":1758941485,"type":"video.completed","data":{"id":"video_1"}}'
NOW = datetime.fromtimestamp(1758941485, UTC)


def test_the_signature_is_that_of_the_published_example() -> None:
    assert sign(SECRET, "wh_1", 1758941485, BODY) == "v1,hed4pnX2rL0ZsR9FDxHgpsOFwkqNgwcWXZ/mNnuXv9k="


def test_the_openai_sdk_accepts_what_we_sign() -> None:
    secret, now = secret_of(bytes(range(32))), int(datetime.now(UTC).timestamp())

    client = OpenAI(api_key="none", webhook_secret=secret)

    client.webhooks.verify_signature(BODY, headers_for(secret, "wh_1", now, BODY))


@pytest.mark.parametrize("late_s", [-300, 0, 300])
def test_a_message_is_taken_within_five_minutes(late_s: int) -> None:
    headers = headers_for(SECRET, "wh_1", 1758941485, BODY)

    assert is_signed(SECRET, headers, BODY, NOW + timedelta(seconds=late_s))


@pytest.mark.parametrize("late_s", [-301, 301])
def test_an_old_message_or_one_from_the_future_is_refused(late_s: int) -> None:
    headers = headers_for(SECRET, "wh_1", 1758941485, BODY)

    assert not is_signed(SECRET, headers, BODY, NOW + timedelta(seconds=late_s))


def test_one_right_signature_among_several_is_enough() -> None:
    headers = headers_for(SECRET, "wh_1", 1758941485, BODY)
    headers["webhook-signature"] = f"v1,AAAA v2,xyz {headers['webhook-signature']}"

    assert is_signed(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "wh_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "1758941486"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "٤"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é\udcff"},
    ],
)
def test_whatever_was_changed_is_refused(change: dict[str, str]) -> None:
    headers = headers_for(SECRET, "wh_1", 1758941485, BODY) | change

    assert not is_signed(SECRET, headers, BODY, NOW)
    assert not is_signed(SECRET, {}, BODY, NOW)


def test_another_body_or_another_secret_is_refused() -> None:
    headers = headers_for(SECRET, "wh_1", 1758941485, BODY)

    assert not is_signed(SECRET, headers, BODY + b" ", NOW)
    assert not is_signed("another secret", headers, BODY, NOW)


def test_a_secret_without_the_prefix_is_the_key_itself() -> None:
    assert key_of("a plain word") == b"a plain word"
    assert key_of(secret_of(b"\x00\xff")) == b"\x00\xff"


def test_a_secret_that_was_cut_when_it_was_copied_is_named_as_such() -> None:
    with pytest.raises(ConfigError, match="Copy it again"):
        key_of("whsec_MDEy~")
