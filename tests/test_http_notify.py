"""The third door: posting to an address that a user gave."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rushes.config import NetworkSettings, Settings
from rushes.errors import RequestError, Unavailable, Unreachable
from rushes.http import MAX_RECEIPT_BYTES, Http
from rushes.testing.server import Answer, Exchange, Received
from rushes.version import VERSION
from tests.receiver import Receiver

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(*allowed: str) -> AsyncGenerator[Http]:
    network = NetworkSettings(allow_hosts=allowed)
    http = Http(Settings(home=Path(), database_url="", media_url="", network=network))
    try:
        yield http
    finally:
        await http.aclose()


async def test_what_is_posted_arrives_as_json_under_our_name() -> None:
    with Receiver() as receiver:
        async with opened("127.0.0.1") as http:
            reply = await http.notify(receiver.hook, b'{"a":1}', {"webhook-id": "wh_1"})

    [received] = receiver.requests
    assert (reply.status, reply.body) == (200, b"thanks")
    assert (received.method, received.path, received.body) == ("POST", "/hook", b'{"a":1}')
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == f"rushes/{VERSION}"
    assert received.headers["webhook-id"] == "wh_1"


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with Receiver() as elsewhere, Receiver(Answer(307, b"", {"location": elsewhere.hook})) as receiver:
        async with opened("127.0.0.1") as http:
            reply = await http.notify(receiver.hook, b"{}", {})

    assert reply.status == 307
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://93.184.216.34/hook", "not https"),
        ("https://127.0.0.1/hook", "not public"),
        ("https://10.1.2.3/hook", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://[::1]/hook", "not public"),
        ("ftp://files.example/hook", "not https"),
        ("hook", "not https"),
        ("https://", "not https"),
    ],
)
async def test_an_address_that_may_not_be_told_is_refused_before_and_when_posting(url: str, why: str) -> None:
    async with opened() as http:
        with pytest.raises(RequestError, match=why):
            await http.check_notifiable(url)
        with pytest.raises(RequestError, match=why):
            await http.notify(url, b"{}", {})


async def test_a_host_without_a_name_yet_is_not_refused_but_cannot_be_posted_to() -> None:
    async with opened() as http:
        await http.check_notifiable("https://nobody.invalid/hook")
        with pytest.raises(Unreachable):
            await http.notify("https://nobody.invalid/hook", b"{}", {})


async def test_a_named_private_host_may_be_told_in_plain_http() -> None:
    async with opened("127.0.0.1") as http:
        await http.check_notifiable("http://127.0.0.1:8000/hook")


async def test_who_says_nothing_is_not_waited_for() -> None:
    with Receiver() as receiver:
        receiver.mute = True
        began = time.monotonic()
        async with opened("127.0.0.1") as http:
            with pytest.raises(Unavailable, match=r"No answer within 0\.2 s"):
                await http.notify(receiver.hook, b"{}", {}, timeout_s=0.2)

    assert time.monotonic() - began < 10


async def test_nobody_there_is_no_answer() -> None:
    with Receiver() as receiver:
        receiver.refuse()
        async with opened("127.0.0.1") as http:
            with pytest.raises(Unreachable):
                await http.notify(receiver.hook, b"{}", {})


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    with Receiver(Answer(200, b"x" * (4 << 20))) as receiver:
        async with opened("127.0.0.1") as http:
            reply = await http.notify(receiver.hook, b"{}", {})

    assert reply.body == b"x" * MAX_RECEIPT_BYTES


async def test_an_answer_that_breaks_off_after_its_status_counts_by_its_status() -> None:
    class Breaking(Receiver):
        def serve(self, received: Received, exchange: Exchange) -> None:
            exchange.send(Answer(200, b"half"), announce=100)
            exchange.cut(reset=False)

    with Breaking() as receiver:
        async with opened("127.0.0.1") as http:
            reply = await http.notify(receiver.hook, b"{}", {})

    assert (reply.status, reply.body) == (200, b"half")
