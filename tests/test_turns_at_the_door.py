"""Calls to an account wait for their turn at the one place where they leave."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping

import anyio
import pytest

from rushes.config import Settings
from rushes.errors import RateLimited
from rushes.http import Api, Http
from rushes.rates import Urgency
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.turns import Turns

pytestmark = pytest.mark.anyio


class Server(FakeServer):
    """Answers with one status, whatever is asked."""

    status = 200
    headers: Mapping[str, str] = {}

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(Answer(self.status, b"{}", dict(self.headers)))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
async def http(home: Settings) -> AsyncIterator[Http]:
    http = Http(home)
    yield http
    await http.aclose()


def api(http: Http, server: Server, turns: Turns) -> Api:
    async def unsigned() -> Mapping[str, str]:
        return {}

    return http.api(server.url, {}, unsigned, turns)


async def test_a_call_that_waits_for_its_turn_does_not_lose_its_own_time(http: Http, server: Server) -> None:
    turns = Turns(2.0)
    door = api(http, server, turns)
    await turns.take(Urgency.LOOK)
    began = time.monotonic()

    reply = await door.send("POST", "/videos", step="create", fresh=True, timeout_s=0.25)

    assert reply.ok
    assert time.monotonic() - began >= 0.3


async def test_a_create_whose_turn_was_taken_ahead_leaves_at_once(http: Http, server: Server) -> None:
    turns = Turns(0.1)
    door = api(http, server, turns)
    await turns.take_ahead()

    with anyio.fail_after(5):
        reply = await door.send("POST", "/videos", step="create", fresh=True)

    assert reply.ok


async def test_a_poll_that_is_answered_429_slows_the_account_down(http: Http, server: Server) -> None:
    turns = Turns()
    door = api(http, server, turns)
    server.status, server.headers = 429, {"retry-after": "60"}

    await door.send("GET", "/videos/1", step="poll")

    assert turns.per_second is not None
    with anyio.move_on_after(0.05) as next_look:
        await turns.take(Urgency.LOOK)
    assert next_look.cancelled_caught


async def test_a_download_that_is_answered_429_slows_the_account_down(http: Http, server: Server) -> None:
    turns = Turns()
    door = api(http, server, turns)
    server.status = 429

    with pytest.raises(RateLimited):
        async with door.stream("/videos/1/content", step="download"):
            pass

    assert turns.per_second is not None


async def test_a_create_that_is_answered_429_does_not(http: Http, server: Server) -> None:
    turns = Turns()
    door = api(http, server, turns)
    server.status, server.headers = 429, {"retry-after": "60"}

    reply = await door.send("POST", "/videos", step="create", fresh=True)

    assert reply.status == 429
    assert turns.per_second is None
