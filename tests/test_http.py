"""The way out: what proves that nothing was sent, which addresses may be fetched, how files are resumed."""

import inspect
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from rushes.config import NetworkSettings, Settings
from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
    Vanished,
)
from rushes.http import MAX_REPLY_BYTES, NOT_SENT, Api, Http, translate
from rushes.ranges import raise_for_file, retry_after_s
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer, Exchange, FakeServer, Received, ranged

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILE = bytes(range(256)) * 4000
anyio_test = pytest.mark.anyio


def the_file(received: Received) -> Answer:
    return ranged(received, FILE, '"v1"', {"content-type": "video/mp4"})


class Server(FakeServer):
    """Answers by a function, and remembers from which port each request came."""

    def __init__(self, reply: Callable[[Received], Answer | Fault] | None = None) -> None:
        super().__init__()
        self.reply = reply or the_file
        self.client_ports: list[int] = []

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        self.client_ports.append(exchange.client_address[1])
        decided = self.reply(received)
        if isinstance(decided, Fault):
            exchange.misbehave(decided, the_file(received))
        else:
            exchange.send(decided)


@asynccontextmanager
async def opened(
    environment: Mapping[str, str] | None = None, network: NetworkSettings | None = None
) -> AsyncGenerator[Http]:
    http = Http(
        Settings(
            home=Path(),
            database_url="",
            media_url="",
            environment=environment or {},
            network=network or NetworkSettings(),
        )
    )
    try:
        yield http
    finally:
        await http.aclose()


def closed() -> Http:
    """For what needs no connection."""
    return Http(Settings(home=Path(), database_url="", media_url=""))


def api(http: Http, base_url: str, headers: Mapping[str, str] | None = None) -> Api:
    async def auth() -> Mapping[str, str]:
        return {"authorization": "Bearer sk-secret"}

    return http.api(base_url, headers or {}, auth)


@contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Generator[str]:
    """A bare socket that does one thing with each connection, then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                behave(connection)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# -- what proves that nothing was sent -----------------------------------------------------------------------------


async def failure_of(base_url: str, **options: Any) -> ProviderError:
    async with opened() as http:
        with pytest.raises(ProviderError) as caught:
            await api(http, base_url).send("POST", "/x", step="create", json={"a": 1}, fresh=True, **options)
    return caught.value


@anyio_test
@pytest.mark.parametrize(
    "base_url",
    [f"http://127.0.0.1:{closed_port()}", "http://nowhere.invalid", "ftp://127.0.0.1", ""],
    ids=["closed port", "unknown host", "unknown scheme", "no address"],
)
async def test_without_a_connection_nothing_was_sent(base_url: str) -> None:
    error = await failure_of(base_url)

    assert isinstance(error, Unreachable)
    assert error.proves_refusal


@anyio_test
async def test_a_failed_handshake_sent_nothing() -> None:
    with raw_server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
        error = await failure_of(address.replace("http:", "https:"))

    assert isinstance(error, Unreachable)
    assert error.proves_refusal


@pytest.mark.parametrize("base_url", ["http://a\0b", "http://box:99999", "http://box:http", "box:8000/v1", "/v1"])
def test_what_is_no_address_is_a_mistake_in_the_settings(base_url: str) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        api(closed(), base_url)


@pytest.mark.parametrize("headers", [{"x-team": "Zoë"}, {"x-team": "a\r\nb"}, {"x team\n": "a"}])
def test_a_header_that_cannot_be_sent_is_a_mistake_in_the_settings(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="The header"):
        api(closed(), "http://box", headers)


def close_at_once(connection: socket.socket) -> None:
    """Not a byte is read."""


def hear(connection: socket.socket) -> None:
    connection.recv(65536)


def answer_half(connection: socket.socket) -> None:
    hear(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")


def answer_nonsense(connection: socket.socket) -> None:
    hear(connection)
    connection.sendall(b"this is not HTTP at all\r\n\r\n")


@anyio_test
@pytest.mark.parametrize("behave", [close_at_once, hear, answer_half, answer_nonsense])
async def test_a_connection_that_breaks_is_doubt(behave: Callable[[socket.socket], None]) -> None:
    with raw_server(behave) as address:
        error = await failure_of(address)

    assert isinstance(error, Unavailable)
    assert error.retryable
    assert not error.proves_refusal


@anyio_test
@pytest.mark.parametrize("trouble", [Trouble.HANG, Trouble.RESET, Trouble.CUT])
async def test_no_answer_is_doubt(trouble: Trouble) -> None:
    with Server(lambda _: Fault.of(trouble)) as server:
        error = await failure_of(server.url, timeout_s=0.3)

    assert isinstance(error, Unavailable)
    assert not error.proves_refusal


@anyio_test
async def test_a_time_that_is_over_before_the_first_byte_left_is_no_doubt() -> None:
    with Server() as server:
        error = await failure_of(server.url, timeout_s=0.0)  # as when the machine slept in between

    assert isinstance(error, Unreachable)
    assert error.proves_refusal
    assert server.requests == []


@anyio_test
async def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    def trickle(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            for _ in range(40):
                connection.sendall(b".")
                threading.Event().wait(0.05)
        except OSError:
            return

    with raw_server(trickle) as address:
        with anyio.fail_after(1.5):
            error = await failure_of(address, timeout_s=0.3)

    assert "0.3 s" in str(error)


FOREIGN = [
    value
    for value in vars(httpx2).values()
    if inspect.isclass(value) and issubclass(value, Exception) and value is not httpx2.CookieConflict
]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_foreign_error_is_translated(kind: type[Exception]) -> None:
    assert issubclass(kind, httpx2.HTTPError | httpx2.InvalidURL | httpx2.StreamError)
    error = kind.__new__(kind)

    for nothing_sent in (True, False):
        ours = translate(error, "create", nothing_sent=nothing_sent)

        assert isinstance(ours, ProviderError)
        assert ours.retryable
        assert ours.proves_refusal == (nothing_sent or issubclass(kind, NOT_SENT))
        assert str(ours)


@anyio_test
async def test_a_create_never_rides_on_an_old_connection() -> None:
    with Server() as server:
        async with opened() as http:
            door = api(http, server.url)
            for _ in range(2):
                await door.send("GET", "/read", step="poll")
            for _ in range(2):
                await door.send("POST", "/create", step="create", fresh=True)

    reads, creates = server.client_ports[:2], server.client_ports[2:]
    assert len(set(reads)) == 1
    assert len({*reads, *creates}) == 3


@anyio_test
async def test_an_answer_too_large_for_memory_is_cut_off() -> None:
    with Server(lambda _: Answer(200, bytes(MAX_REPLY_BYTES + 1))) as server:
        async with opened() as http:
            with pytest.raises(BadReply, match="larger than 64 MB"):
                await api(http, server.url).send("GET", "/x", step="poll")


# -- answers -------------------------------------------------------------------------------------------------------


@anyio_test
@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
async def test_every_status_comes_back_as_an_answer(status: int) -> None:
    with Server(lambda _: Answer(status, b"{}", {"x-request-id": "req_1", "retry-after": "3"})) as server:
        async with opened() as http:
            reply = await api(http, server.url, {"User-Agent": "us"}).send("GET", "/x", step="poll")

    assert (reply.status, reply.ok) == (status, status < 300)
    assert (reply.request_id, reply.retry_after_s) == ("req_1", 3.0)
    assert server.requests[0].headers["user-agent"] == "us"


@anyio_test
async def test_calls_are_logged_without_what_is_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="rushes")
    with Server(lambda _: Answer.json({"prompt": "my-prompt"}, headers={"x-request-id": "req_1"})) as server:
        async with opened() as http:
            await api(http, server.url).send(
                "POST", "/videos", step="create", json={"prompt": "my-prompt"}, params={"sig": "my-signature"}
            )

    (record,) = [record for record in caplog.records if record.name == "rushes.http"]
    facts = vars(record)
    assert (record.getMessage(), facts["method"], facts["path"], facts["http_status"]) == (
        "http.call",
        "POST",
        "/videos",
        200,
    )
    assert facts["request_id"] == "req_1"
    assert not any(secret in str(facts) for secret in ("my-prompt", "my-signature", "sk-secret"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x"}, None),
    ],
)
def test_when_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (429, RateLimited, True),
        (404, Vanished, True),
        (401, AccessDenied, False),
        (403, AccessDenied, False),
        (410, Gone, False),
        (500, Unavailable, True),
        (408, Unavailable, True),
        (416, Rejected, False),
        (400, Rejected, False),
    ],
)
def test_what_went_wrong_with_a_file(status: int, kind: type[ProviderError], retryable: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        raise_for_file(status, {"retry-after": "4"}, "download")

    assert type(caught.value) is kind
    assert caught.value.retryable is retryable


# -- files ---------------------------------------------------------------------------------------------------------


async def all_of(door: Api, path: str = "/file", **options: Any) -> tuple[int, bytes]:
    async with door.stream(path, step="download", **options) as body:
        return body.offset, b"".join([chunk async for chunk in body.chunks])


@anyio_test
async def test_a_file_is_streamed_and_resumed() -> None:
    with Server() as server:
        async with opened() as http:
            door = api(http, server.url)
            async with door.stream("/file", step="download") as body:
                assert (body.mime, body.offset, body.total_bytes, body.etag) == ("video/mp4", 0, len(FILE), '"v1"')
            assert await all_of(door, offset=1000, etag='"v1"') == (1000, FILE[1000:])
            assert await all_of(door, offset=1000, etag='"old"') == (0, FILE), "another file now: from the start"

    assert server.requests[1].headers["range"] == "bytes=1000-"
    assert all(request.headers["accept-encoding"] == "identity" for request in server.requests)


@anyio_test
async def test_a_part_of_the_wrong_place_is_refused() -> None:
    wrong = Answer(206, b"xxxx", {"content-range": "bytes 5-8/100"})
    with Server(lambda _: wrong) as server:
        async with opened() as http:
            with pytest.raises(BadReply, match="from 1000, got them from 5"):
                await all_of(api(http, server.url), offset=1000)


@anyio_test
@pytest.mark.parametrize("trouble", [Trouble.TRUNCATED, Trouble.RESET_AFTER])
async def test_a_file_that_breaks_off_is_not_taken_for_whole(trouble: Trouble) -> None:
    with Server(lambda _: Fault.of(trouble, 5000)) as server:
        async with opened() as http:
            with pytest.raises(Unavailable) as caught:
                await all_of(api(http, server.url))

    assert caught.value.retryable


@anyio_test
async def test_a_redirect_within_the_origin_keeps_the_key_and_one_that_leaves_it_does_not() -> None:
    with Server() as bucket, Server() as server:
        places = {"/here": "/file", "/there": f"{bucket.url}/file", "/round": "/round"}

        def reply(received: Received) -> Answer:
            if received.path in places:
                return Answer(302, b"", {"location": places[received.path]})
            return ranged(received, FILE, '"v1"', {})

        server.reply = reply
        async with opened(network=NetworkSettings(allow_hosts=("127.0.0.1",))) as http:
            door = api(http, server.url, {"x-team": "film"})
            assert await all_of(door, "/here", offset=10) == (10, FILE[10:])
            assert await all_of(door, "/there", offset=10) == (10, FILE[10:])
            with pytest.raises(Rejected, match="too often"):
                await all_of(door, "/round")

    assert server.requests[1].headers["authorization"] == "Bearer sk-secret"
    assert "authorization" not in bucket.requests[0].headers
    assert "x-team" not in bucket.requests[0].headers
