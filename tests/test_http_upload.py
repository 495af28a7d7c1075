"""Giving a file away: to an address that a provider gave out for it, and to no other."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rushes.config import NetworkSettings, Settings
from rushes.errors import RequestError, Unavailable
from rushes.http import Http
from rushes.testing.server import Answer
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


async def test_the_bytes_arrive_as_they_are() -> None:
    with Receiver() as receiver:
        async with opened("127.0.0.1") as http:
            reply = await http.upload("PUT", receiver.hook, content=b"PICTURE", headers={"content-type": "image/png"})

    [received] = receiver.requests
    assert reply.ok
    assert (received.method, received.body, received.mime) == ("PUT", b"PICTURE", "image/png")
    assert "authorization" not in received.headers


async def test_a_form_carries_its_fields_before_the_file() -> None:
    with Receiver() as receiver:
        async with opened("127.0.0.1") as http:
            await http.upload(
                "POST", receiver.hook, data={"policy": "p"}, files={"file": ("a.png", b"PICTURE", "image/png")}
            )

    parts = receiver.requests[0].parts
    assert [(part.name, part.filename, part.data) for part in parts] == [
        ("policy", None, b"p"),
        ("file", "a.png", b"PICTURE"),
    ]


async def test_a_trusted_origin_may_be_private() -> None:
    with Receiver() as receiver:
        async with opened() as http:
            assert (await http.upload("PUT", receiver.hook, content=b"x", trusted=[f"127.0.0.1:{receiver.port}"])).ok


async def test_an_address_inside_the_network_is_refused_and_sees_nothing() -> None:
    with Receiver() as receiver:
        async with opened() as http:
            with pytest.raises(RequestError, match="https"):
                await http.upload("PUT", receiver.hook, content=b"x")

    assert receiver.requests == []


async def test_a_refusal_is_an_answer_and_a_redirect_is_not_followed() -> None:
    with Receiver() as elsewhere, Receiver(Answer(307, b"", {"location": elsewhere.hook})) as receiver:
        async with opened("127.0.0.1") as http:
            assert (await http.upload("PUT", receiver.hook, content=b"x")).status == 307

    assert elsewhere.requests == []


async def test_an_upload_that_takes_too_long_ends() -> None:
    with Receiver() as receiver:
        receiver.mute = True
        async with opened("127.0.0.1") as http:
            with pytest.raises(Unavailable, match="longer than"):
                await http.upload("PUT", receiver.hook, content=b"x", timeout_s=0.2)
