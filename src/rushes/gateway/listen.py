"""Listening: the one module that knows the HTTP server library, which is uvicorn with its h11 protocol.

`serve` answers inside the caller's event loop, beside the App, until a signal or a cancellation; `supervisor.py` keeps
several processes that do so on one socket. What a client may do to us is bounded here as far as a server can: the
bytes of a request's head, the time for it, idle connections, and readers that stop reading. The time for a body, its
size, and whether the handler goes on when nobody waits any more are the application's: the server neither cancels a
handler nor answers for it.

Why uvicorn: beside granian, which only embeds itself "experimentally", files in large chunks cost the same CPU as
granian's `pathsend`, and it takes sockets that we opened (so that a taken port is an error, and port 0 has a number),
ends within its grace without leaving connections in threads of its own, and lets these limits be set per connection.
Measured by `benchmarks/serving.py`.
"""

import asyncio
import errno
import getpass
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from rushes.errors import ConfigError

log = logging.getLogger(__name__)

BACKLOG = 2048
LAST_S = 2.0  # for handlers that were cancelled at the end of the grace
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen and how patient to be. `port` 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    reload: bool = False
    ssl_certfile: str | None = None  # a chain in PEM
    ssl_keyfile: str | None = None  # None: the key is in the same file
    head_bytes: int = 32 * 1024  # what is kept of a head that is not complete; one that arrives whole may be larger
    head_timeout_s: float = 10.0  # from the first byte of a request, or from the connection, to the end of its head
    idle_timeout_s: float = 65.0  # between two requests; longer than the 60 s of common proxies
    stall_timeout_s: float = 60.0  # a reader that takes nothing at all for so long is cut off
    grace_s: int = 10  # at the end, for what is being answered
    inherited: tuple[int, ...] = ()
    """File numbers that `supervise` hands to a process of its own: the line to it, then the sockets."""


async def serve(
    application: ASGIApp,
    listen: Listen,
    *,
    ready: Callable[[str], None],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGINT, SIGTERM or cancellation. `ready` gets the URL once connections are taken.

    At the end no connection is taken any more, `stopping` is called (streams without an end should end now), what is
    being answered has `grace_s` to finish, and then is cancelled. A second signal ends the grace. ASGI's lifespan is
    not spoken: whoever calls this opens and closes what the application needs. Raises ConfigError when it cannot
    listen.
    """
    tls = tls_of(listen)
    with opened(listen) as sockets:
        server = _Server(_config(application, listen, tls))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_to_its_end, server, sockets)
            try:
                await server.up.wait()
                async with _told_to_stop(server, listen) as stop:
                    if listen.inherited:
                        os.write(listen.inherited[0], b"1")
                    else:
                        ready(url_of(listen, sockets))
                    await stop.wait()
                    stopping()
                    server.should_exit = True
                    await server.down.wait()
            finally:
                if not server.should_exit:
                    stopping()
                server.should_exit = True


# -- the server library ----------------------------------------------------------------------------------------------


def _config(application: ASGIApp, listen: Listen, tls: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        cast(Any, _logged(application)),  # uvicorn has types of its own for the same shapes
        http=_protocol(listen),
        ws="none",
        lifespan="off",
        workers=1,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        # The protocol keeps both times itself, to the millisecond.
        timeout_keep_alive=max(1, round(listen.idle_timeout_s)),
        timeout_graceful_shutdown=listen.grace_s,
        h11_max_incomplete_event_size=listen.head_bytes,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    # What it would say is said by us: a bad request is the client's, and `_logged` tells of the rest.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    return config


def _logged(application: ASGIApp) -> ASGIApp:
    """The application, with a word in our log when it fails: the server then cuts the connection or answers 500."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await application(scope, receive, send)
        except Exception as error:
            log.warning("gateway.answer_cut", extra={"path": scope["path"], "cause": repr(error)})
            raise

    return logged


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us and says when it is up and down."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.down = anyio.Event(), anyio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if tasks := set(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=LAST_S)  # their own ends, after they were cancelled
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # a reader that takes nothing would keep it for ever


async def _to_its_end(server: _Server, sockets: list[socket.socket]) -> None:
    """Run the server. It ends when it is told to, not when it is cancelled: what is being answered comes first."""
    with anyio.CancelScope(shield=True):
        await server.serve(sockets)
    server.down.set()


def _protocol(listen: Listen) -> type[asyncio.Protocol]:
    """The protocol with our limits. A class for each server, since uvicorn makes the connections itself."""

    class Limited(_Limited):
        limits = listen

    return Limited


class _Limited(H11Protocol):
    """One connection. uvicorn bounds the bytes of a head and the time between requests; here come the other times."""

    limits: Listen

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.timeout_keep_alive = self.limits.idle_timeout_s  # pyright: ignore[reportIncompatibleVariableOverride, reportAttributeAccessIssue]: a float will do
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]: as the base class has it
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Between requests every byte stops uvicorn's timer. It may be part of a head, or of a body nobody wants.
        if self.cycle is None or self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]: it is None before the first request
            if not self.timeout_keep_alive_task:
                self._await_head()
        else:
            self._head_timer = _stopped(self._head_timer)

    def on_response_complete(self) -> None:
        self._head_timer = _stopped(self._head_timer)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer = _stopped(self._head_timer)
        self._stall_timer = _stopped(self._stall_timer)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall_timer = _stopped(self._stall_timer)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self.transport.close)

    def _watch_reader(self) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self.limits.stall_timeout_s, self._cut_stalled)

    def _cut_stalled(self) -> None:
        # Slow is not stalled: whoever took something since is watched on.
        if self.transport.get_write_buffer_size() < self._unread_bytes:
            self._watch_reader()
        else:
            self.transport.abort()


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


# -- the end ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _told_to_stop(server: _Server, listen: Listen) -> AsyncGenerator[anyio.Event]:
    """An event that a signal sets, or the end of the process that supervises this one. The next signal is urgent."""
    stop = anyio.Event()

    async def by_signal() -> None:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            listening.set()
            async for _ in signals:
                if stop.is_set():
                    server.force_exit = True
                stop.set()

    async def by_supervisor(line: int) -> None:
        await anyio.wait_readable(line)  # it never writes: it is readable when the other end is gone
        stop.set()

    listening = anyio.Event()
    async with anyio.create_task_group() as tasks:
        if threading.current_thread() is threading.main_thread():
            tasks.start_soon(by_signal)
            await listening.wait()
        if listen.inherited:
            tasks.start_soon(by_supervisor, listen.inherited[0])
        yield stop
        tasks.cancel_scope.cancel()


# -- sockets and certificates ----------------------------------------------------------------------------------------


@contextmanager
def opened(listen: Listen) -> Generator[list[socket.socket]]:
    sockets = [socket.socket(fileno=number) for number in listen.inherited[1:]] or _bound(listen)
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


def _bound(listen: Listen) -> list[socket.socket]:
    """Sockets on every address of the host, all on one port, with nobody accepting yet. Raises ConfigError."""
    port, sockets = listen.port, list[socket.socket]()
    try:
        found = socket.getaddrinfo(listen.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            # Named, because asyncio switches delays off only for sockets that say that they are TCP.
            each = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sockets.append(each)
            if os.name == "posix":  # elsewhere it would let two servers share the port
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind((address[0], port, *address[2:]))
            port = int(each.getsockname()[1])
            each.listen(BACKLOG)  # from two that bind at once, only one gets this far
            each.setblocking(False)
    except (OSError, OverflowError) as error:
        for each in sockets:
            each.close()
        raise ConfigError(_why_not(error, listen)) from error
    return sockets


def _why_not(error: Exception, listen: Listen) -> str:
    """Why it cannot listen, and what to do. Pure."""
    place = f"{listen.host} port {listen.port}"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, OverflowError):
        return f"{listen.port} is not a port. Pass --port with 1 to 65535, or 0 for any that is free."
    if number == errno.EADDRINUSE:
        return f"Something listens on {place} already. Stop it, or pass another --port (0 takes a free one)."
    if number == errno.EACCES:
        return f"{getpass.getuser()} may not listen on {place}. Pass a --port above 1023."
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return f"{listen.host} is no address of this machine. Pass a --host that is, such as 127.0.0.1 or 0.0.0.0."
    return f"Cannot listen on {place}: {error}. Pass another --host or --port."


def url_of(listen: Listen, sockets: Sequence[socket.socket]) -> str:
    """An address that can be opened on this machine."""
    scheme = "https" if listen.ssl_certfile else "http"
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 - compared
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"


def tls_of(listen: Listen) -> ssl.SSLContext | None:
    """Raises ConfigError for a certificate or key that cannot be used."""
    if listen.ssl_certfile is None:
        if listen.ssl_keyfile is not None:
            raise ConfigError("--ssl-keyfile needs --ssl-certfile: the certificate's chain in PEM.")
        return None

    def locked() -> str:
        raise ConfigError(f"{listen.ssl_keyfile or listen.ssl_certfile} is locked by a passphrase. Use one without.")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(listen.ssl_certfile, listen.ssl_keyfile, locked)
    except OSError as error:  # ssl.SSLError is one
        files = " and ".join(file for file in (listen.ssl_certfile, listen.ssl_keyfile) if file)
        raise ConfigError(
            f"{files} cannot be used for TLS: {error.strerror or error}. --ssl-certfile names a chain in PEM, "
            "--ssl-keyfile the key of its first certificate."
        ) from error
    return context
