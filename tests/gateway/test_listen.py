"""The server as clients meet it: where it listens, what it does to those who dawdle, and how it ends."""

import datetime
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send

from rushes.errors import ConfigError
from rushes.gateway.listen import Listen, serve

pytestmark = pytest.mark.anyio

QUICK = Listen(port=0, head_timeout_s=0.4, idle_timeout_s=0.5, stall_timeout_s=0.6, grace_s=5)
LARGE = 40_000_000


class Bench:
    """An application for these tests. `entered` says that a handler waits, `let_go` ends the wait."""

    def __init__(self) -> None:
        self.entered, self.let_go, self.cancelled = anyio.Event(), anyio.Event(), anyio.Event()
        self.stopping = anyio.Event()
        self.sent_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/wait":
            self.entered.set()
            try:
                await self.let_go.wait()
            except anyio.get_cancelled_exc_class():
                self.cancelled.set()
                raise
        if path == "/large":
            await self._large(send, 100_000)
        elif path == "/large-at-once":
            await self._large(send, LARGE)
        elif path == "/broken":
            await self._start(send, 100)
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("broken")
        else:
            await self._start(send, 2)
            await send({"type": "http.response.body", "body": b"ok"})

    async def _large(self, send: Send, piece_bytes: int) -> None:
        await self._start(send, LARGE)
        for end in range(piece_bytes, LARGE + 1, piece_bytes):
            await send({"type": "http.response.body", "body": bytes(piece_bytes), "more_body": end < LARGE})
            self.sent_bytes = end

    async def _start(self, send: Send, length: int) -> None:
        headers = [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


@asynccontextmanager
async def served(bench: Bench, listen: Listen = QUICK) -> AsyncGenerator[str]:
    """Serve until the block ends; then it is cancelled, and waited for."""
    urls, up = list[str](), anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        up.set()

    async def work() -> None:
        await serve(bench, listen, ready=ready, stopping=bench.stopping.set)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await up.wait()
            yield urls[0]
            tasks.cancel_scope.cancel()


async def connected(url: str) -> anyio.abc.SocketStream:
    place = urlsplit(url)
    assert place.hostname and place.port
    return await anyio.connect_tcp(place.hostname, place.port)


async def rest_of(stream: anyio.abc.SocketStream) -> bytes:
    """All that comes until the server ends the connection."""
    got = bytearray()
    try:
        while True:
            got += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return bytes(got)


async def answer_of(stream: anyio.abc.SocketStream) -> bytes:
    """An answer of which `ok` is the whole body."""
    got = b""
    while not got.endswith(b"\r\n\r\nok"):
        got += await stream.receive()
    return got


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def refused(url: str) -> bool:
    try:
        await (await connected(url)).aclose()
    except OSError:
        return True
    return False


# -- where -----------------------------------------------------------------------------------------------------------


async def test_a_connection_is_answered_as_soon_as_ready_is_told() -> None:
    answers: list[bytes] = []
    done = anyio.Event()

    def ready(url: str) -> None:
        place = urlsplit(url)
        connection = socket.create_connection((place.hostname, place.port), timeout=5)
        connection.sendall(get("/"))
        tasks.start_soon(read, connection)

    async def read(connection: socket.socket) -> None:
        with connection:
            answers.append(await anyio.to_thread.run_sync(connection.recv, 1000))
        done.set()

    async def work() -> None:
        await serve(Bench(), QUICK, ready=ready)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await done.wait()
            tasks.cancel_scope.cancel()
    assert answers[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"server:" not in answers[0].lower()


async def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        began = time.monotonic()
        for _ in range(100):
            await stream.send(get("/"))
            await answer_of(stream)
        assert time.monotonic() - began < 3  # each would take 40 ms


async def test_a_name_with_several_addresses_is_served_on_all_of_them_by_one_port() -> None:
    async with served(Bench(), Listen(host="localhost", port=0)) as url:
        port = urlsplit(url).port
        for address in {str(each[4][0]) for each in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}:
            assert port
            await (await anyio.connect_tcp(address, port)).aclose()


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        (Listen(host="192.0.2.1", port=0), "no address of this machine"),
        (Listen(host="no.such.host.invalid", port=0), "no address of this machine"),
        (Listen(port=70_000), "not a port"),
        (Listen(port=0, ssl_keyfile="key.pem"), "needs --ssl-certfile"),
        (Listen(port=0, ssl_certfile="no-such-file.pem"), "no-such-file.pem cannot be used for TLS"),
    ],
)
async def test_where_it_cannot_listen_it_says_what_to_do(listen: Listen, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        await serve(Bench(), listen, ready=lambda url: None)


async def test_a_port_that_is_taken_is_an_error_also_by_one_of_ours() -> None:
    async with served(Bench()) as url:
        with pytest.raises(ConfigError, match="already"):
            await serve(Bench(), Listen(port=urlsplit(url).port or 0), ready=lambda url: None)


# -- TLS -------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, passphrase: bytes | None = None) -> tuple[str, str]:
    """A certificate for localhost and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key_text)
    return str(folder / "cert.pem"), str(folder / "key.pem")


async def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    listen = Listen(host="localhost", port=0, ssl_certfile=chain, ssl_keyfile=key)

    async with served(Bench(), listen) as url:
        trusting = ssl.create_default_context(cafile=chain)
        async with httpx2.AsyncClient(verify=trusting, trust_env=False) as client:
            answer = await client.get(url)

    assert url.startswith("https://localhost:")
    assert answer.text == "ok"


async def test_a_key_that_is_locked_or_foreign_is_refused_without_asking(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    locked_chain, locked = certificate(tmp_path, b"a passphrase")
    _, foreign = certificate(tmp_path / "other")

    for key, words in ((locked, "passphrase"), (foreign, "cannot be used for TLS")):
        with pytest.raises(ConfigError, match=words):
            await serve(Bench(), Listen(port=0, ssl_certfile=locked_chain, ssl_keyfile=key), ready=lambda url: None)


# -- patience --------------------------------------------------------------------------------------------------------


async def test_a_connection_that_says_nothing_is_ended() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        assert await rest_of(stream) == b""


async def test_a_head_that_trickles_in_is_ended_in_the_time_for_a_head() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nslow: ")
        began = time.monotonic()
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError)):
            while time.monotonic() - began < 10:
                await stream.send(b"a")
                with anyio.move_on_after(0.05):
                    await stream.receive()
        assert time.monotonic() - began < 5


async def test_a_second_head_that_trickles_in_is_ended_too() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        await stream.send(get("/") + b"GET / HT")

        assert (await rest_of(stream)).count(b"200 OK") == 1


async def test_a_body_that_nobody_asked_for_does_not_hold_the_connection() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        await stream.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        began = time.monotonic()
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            while time.monotonic() - began < 10:
                await stream.send(b"a")
                with anyio.move_on_after(0.05):
                    await stream.receive()
        assert time.monotonic() - began < 5


async def test_an_idle_connection_is_kept_for_a_while_and_then_ended() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        for _ in range(3):
            await stream.send(get("/"))
            assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        await rest_of(stream)
        assert 0.3 < time.monotonic() - began < 5


async def test_a_handler_may_take_longer_than_any_of_these_times() -> None:
    bench = Bench()
    async with served(bench) as url, await connected(url) as stream:
        await stream.send(get("/wait"))
        await bench.entered.wait()
        await anyio.sleep(1.0)  # longer than the times for heads, idling and stalls
        bench.let_go.set()
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")


async def test_a_head_without_end_is_refused() -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nlong: " + b"x" * (QUICK.head_bytes + 1))

        assert (await rest_of(stream)).startswith(b"HTTP/1.1 400")


async def test_a_reader_that_stops_is_cut_off_and_the_handler_ends() -> None:
    bench = Bench()
    async with served(bench) as url, await connected(url) as stream:
        await stream.send(get("/large"))
        await stream.receive(1000)
        await anyio.sleep(2.0)  # more than the time for a stall
        got = await rest_of(stream)
        assert len(got) < LARGE // 2
        assert bench.sent_bytes == LARGE  # what is sent to nobody is dropped; the handler does not hang


@pytest.mark.parametrize("path", ["/large", "/large-at-once"])
async def test_a_slow_reader_is_not_cut_off(path: str) -> None:
    async with served(Bench()) as url, await connected(url) as stream:
        await stream.send(get(path))
        got = paused = 0
        while got < LARGE:
            got += len(await stream.receive(1_000_000))
            if got > paused * 2_000_000:  # twenty times, which is longer in all than the time for a stall
                paused += 1
                await anyio.sleep(0.1)


async def test_an_answer_that_breaks_off_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    async with served(Bench()) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/broken")
        assert (await client.get("/")).text == "ok"

    assert [record.message for record in caplog.records] == ["gateway.answer_cut"]


# -- the end ---------------------------------------------------------------------------------------------------------


async def test_at_the_end_it_takes_no_more_and_finishes_what_it_answers() -> None:
    bench = Bench()
    async with anyio.create_task_group() as tasks, served(bench) as url:
        stream, idle = await connected(url), await connected(url)
        await stream.send(get("/wait"))
        await bench.entered.wait()

        async def end() -> None:
            await bench.stopping.wait()
            while not await refused(url):
                await anyio.sleep(0.01)
            assert not bench.cancelled.is_set()
            bench.let_go.set()

        with anyio.CancelScope(shield=True):
            tasks.start_soon(end)
            os.kill(os.getpid(), signal.SIGTERM)
            async with stream, idle:
                assert b"200 OK" in await rest_of(stream)
                assert await rest_of(idle) == b""


async def test_what_outlasts_the_grace_is_cancelled() -> None:
    bench = Bench()
    async with AsyncExitStack() as stack:
        async with served(bench, Listen(port=0, grace_s=1)) as url:
            stream = await stack.enter_async_context(await connected(url))
            await stream.send(get("/wait"))
            await bench.entered.wait()
            began = time.monotonic()

        assert bench.cancelled.is_set()
        assert 0.9 < time.monotonic() - began < 4


async def test_a_reader_that_stopped_does_not_outlast_the_grace() -> None:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        async with served(Bench(), Listen(port=0, grace_s=1)) as url:
            stream = await stack.enter_async_context(await connected(url))
            await stream.send(get("/large"))
            await stream.receive(1000)

        assert time.monotonic() - began < 5
        with anyio.fail_after(5):  # nor leaves its connection behind
            while connections_of(urlsplit(url).port or 0):
                await anyio.sleep(0.01)


def connections_of(port: int) -> list[str]:
    """The connections of a server on this machine that it has not closed."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    open_states = {"01", "08"}  # ESTABLISHED, CLOSE_WAIT
    fields = [line.split() for line in lines]
    return [each[1] for each in fields if each[1].endswith(f":{port:04X}") and each[3] in open_states]
