"""The only way out of the process, through doors with different locks.

`Http.api` speaks to origins that the operator configured, with their keys. `Http.fetch` follows addresses that
came from a user or out of a provider's answer: those must be https and resolve to public addresses, and each
redirect is checked again, because a link is data and data can point at the machine next door. `Http.notify` posts to
to such an address, follows no redirect, and hardly reads what comes back; `Http.upload` sends a
file to one.

An error that leaves here knows whether the request can have been accepted: `proves_refusal` is True only if no
byte of it was written to a connection. Whoever pays relies on that.
"""

import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urljoin

import anyio
import httpx2

from rushes.addresses import is_public, origin_of, proxy_for, redact
from rushes.config import Settings
from rushes.errors import (
    BadReply,
    ConfigError,
    ProviderError,
    Rejected,
    RequestError,
    Unavailable,
    Unreachable,
)
from rushes.ranges import IDENTITY, content_range, raise_for_file, range_headers, retry_after_s
from rushes.rates import Urgency, urgency_of
from rushes.turns import Turns
from rushes.version import VERSION

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 60.0
MAX_REPLY_BYTES = 64 << 20  # replies may carry a video inline as base64, but must not fill the memory
MAX_REDIRECTS = 5
VIA = "x-rushes-via"
"""Tells which installation asks: a gateway that is its own provider would otherwise buy without end."""
NOTIFY_TIMEOUT_S = 15.0
UPLOAD_TIMEOUT_S = 300.0
RECEIPT_TIMEOUT_S = 2.0
MAX_RECEIPT_BYTES = 64 << 10

NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer of any status. Reading it is the provider's business."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    step: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id") or self.headers.get("apim-request-id")

    @property
    def retry_after_s(self) -> float | None:
        return retry_after_s(self.headers, datetime.now(UTC))

    def json(self) -> Any:
        """The body as JSON; raises BadReply, which is doubt: the far side may well have acted."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            start = self.body[:60].decode("utf-8", "replace")
            raise BadReply(
                f"The answer is not JSON but starts with {start!r}",
                step=self.step,
                http_status=self.status,
                request_id=self.request_id,
            ) from error


@dataclass(frozen=True, slots=True)
class Body:
    """A file on its way. `offset` is where its first byte stands in the whole file; `total_bytes` is the whole."""

    mime: str
    offset: int
    total_bytes: int | None
    etag: str | None
    chunks: AsyncIterator[bytes]


Auth = Callable[[], Awaitable[Mapping[str, str]]]
"""Gives the headers that sign a request; asked anew for each, so that a token can be renewed in mid-wait."""


class Http:
    """Connections, shared by everything in one App. Close it when done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.via: str | None = None  # of the database that we work with, once that is known
        self._clients: dict[tuple[str | None, bool, bool], httpx2.AsyncClient] = {}
        self._ssl: ssl.SSLContext | None = None

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    def api(self, base_url: str, headers: Mapping[str, str], auth: Auth, turns: Turns | None = None) -> "Api":
        """A configured origin. `headers` come last and so win over ours; `turns` are those of the account.

        Raises ConfigError for what cannot be sent.
        """
        if base_url and not origin_of(base_url)[1]:
            raise ConfigError(f"The base_url {base_url!r} is not an address. Write http(s)://HOST[:PORT]/PATH.")
        for name, value in headers.items():
            if not (name.isascii() and value.isascii() and (name + value).isprintable()):
                raise ConfigError(f"The header {name!r} in the settings holds a character that no header can carry.")
        return Api(self, base_url.rstrip("/"), headers, auth, turns)

    @asynccontextmanager
    async def fetch(
        self, url: str, *, offset: int = 0, etag: str | None = None, trusted: Collection[str] = ()
    ) -> AsyncGenerator[Body]:
        """Open a link from outside, from `offset` on. No key of ours goes with it.

        `trusted` are `host:port` pairs that may be private or plain http: the provider's own configured origin.
        Raises RequestError for an address that is not allowed, ProviderError for what the far side does.
        """
        for _ in range(MAX_REDIRECTS + 1):
            target = await self._check_address(url, trusted, "download")
            client = self.client(url, fresh=False)
            request = client.build_request(
                "GET", target.url, headers=range_headers(offset, etag) | target.headers, extensions=target.extensions
            )
            async with _opened(client, request, "download") as response:
                if response.is_redirect and (location := response.headers.get("location")):
                    url = _next_url(url, location)
                    continue
                yield _body(response, offset, "download")
                return
        raise Rejected("The download was redirected too often", step="download")

    async def upload(
        self,
        method: Literal["PUT", "POST"],
        url: str,
        *,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        trusted: Collection[str] = (),
        timeout_s: float = UPLOAD_TIMEOUT_S,
    ) -> Reply:
        """Send a file to an address that a provider gave out for it. No key of ours goes with it, redirects are not
        followed, and any status is an answer. Raises like `fetch`."""
        try:
            with anyio.fail_after(timeout_s):
                target = await self._check_address(url, trusted, "upload")
                client = self.client(url, fresh=True)
                request = client.build_request(
                    method,
                    target.url,
                    content=content,
                    data=data,
                    files=files,
                    headers={**IDENTITY, **(headers or {}), **target.headers},
                    extensions=target.extensions,
                )
                async with _opened(client, request, "upload") as response:
                    return Reply(response.status_code, dict(response.headers), await _receipt(response), "upload")
        except TimeoutError as error:
            raise Unavailable(f"The upload took longer than {timeout_s:g} s", step="upload") from error

    async def notify(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = NOTIFY_TIMEOUT_S
    ) -> Reply:
        """POST JSON to an address from outside, within `timeout_s` in all. Any status is an answer, a redirect too.

        Only the beginning of the answer is read. Raises RequestError for an address that is not allowed, and
        ProviderError where no answer came.
        """
        started = time.monotonic()
        try:
            with anyio.fail_after(timeout_s):
                target = await self._check_address(url, (), "notify")
                # A connection of its own: an idle one to the same IP address may be another host's.
                client = self.client(url, fresh=True)
                request = client.build_request(
                    "POST",
                    target.url,
                    content=body,
                    headers={"content-type": "application/json", **IDENTITY, **headers, **target.headers},
                    extensions=target.extensions,
                )
                async with _opened(client, request, "notify") as response:
                    reply = Reply(response.status_code, dict(response.headers), await _receipt(response), "notify")
        except TimeoutError as error:
            raise Unavailable(f"No answer within {timeout_s:g} s", step="notify") from error
        # Without the path: with many receivers it is what proves who may post there.
        facts = {"method": "POST", "host": origin_of(url)[1], "http_status": reply.status}
        log.debug("http.call", extra={**facts, "took_s": round(time.monotonic() - started, 3)})
        return reply

    async def check_notifiable(self, url: str) -> None:
        """Raise RequestError for an address that `notify` would never post to. One that has no name yet may get it."""
        with suppress(Unreachable):
            await self._check_address(url, (), "notify")

    def client(self, url: str, *, fresh: bool) -> httpx2.AsyncClient:
        """The client for an address. A fresh one keeps no idle connection: a create must not be written into one
        that the far side has just closed, for that would be doubt about money where there need be none."""
        proxy = proxy_for(url, self._settings.environment)
        secure = origin_of(url)[0] == "https" or bool(proxy and proxy.startswith("https"))
        key = (proxy, secure, fresh)
        if key not in self._clients:
            self._clients[key] = httpx2.AsyncClient(
                verify=self._trust() if secure else False,
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(IDLE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0 if fresh else 50),
                headers={"user-agent": f"rushes/{VERSION}"},
            )
        return self._clients[key]

    def _trust(self) -> ssl.SSLContext:
        if self._ssl is None:
            ca_file = self._settings.network.ca_file
            self._ssl = ssl.create_default_context(cafile=ca_file) if ca_file else httpx2.create_ssl_context()
        return self._ssl

    async def _check_address(self, url: str, trusted: Collection[str], step: str) -> "_Target":
        """Resolve once, check, and connect to just what was checked: a second look-up could answer otherwise."""
        scheme, host, port = origin_of(url)
        if f"{host}:{port}" in trusted or host in self._settings.network.allow_hosts:
            return _Target(url, {}, {})
        if scheme != "https" or not host:
            if step == "notify":
                words = "Webhooks go to https only, or to hosts that are named in [network] allow_hosts."
                raise RequestError(f"The address {redact(url)} is not https. {words}")
            raise RequestError(f"The address {redact(url)} is not https. Only https links are fetched.")
        proxied = proxy_for(url, self._settings.environment) is not None
        try:
            addresses = await _resolve(host, port, step)
        except Unreachable:
            if not proxied:
                raise
            addresses = []  # behind a proxy there may be no names at all: then the proxy alone can judge
        if not all(is_public(address) for address in addresses):
            raise RequestError(
                # Where it leads is not told: whoever may send links could ask for the names of our network.
                f"The address {redact(url)} is not public. Name the host in [network] allow_hosts if that is wanted."
            )
        if proxied:
            return _Target(url, {}, {})  # the proxy resolves for itself; the check above is the best there is
        pinned = str(httpx2.URL(url).copy_with(host=addresses[0]))
        return _Target(pinned, {"host": httpx2.URL(url).netloc.decode("ascii")}, {"sni_hostname": host})


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    headers: dict[str, str]
    extensions: dict[str, Any]


class Api:
    """One configured origin with its key. Every status comes back as a `Reply`; only transport trouble raises.

    Each call waits for its turn before its own time begins to run.
    """

    def __init__(
        self, http: Http, base_url: str, headers: Mapping[str, str], auth: Auth, turns: Turns | None = None
    ) -> None:
        self._http = http
        self.turns = turns or Turns()
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._auth = auth
        self.base_url = base_url

    @property
    def origin(self) -> str:
        """`host:port`, as `Http.fetch` wants its trusted ones."""
        _, host, port = origin_of(self.base_url)
        return f"{host}:{port}"

    async def send(
        self,
        method: str,
        path: str,
        *,
        step: str,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        files: list[tuple[str, tuple[str | None, bytes, str] | tuple[None, bytes]]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = IDLE_TIMEOUT_S,
        fresh: bool = False,
    ) -> Reply:
        """One request and its whole answer, within `timeout_s` in all. Raises ProviderError, never httpx2's own."""
        url = self.base_url + path
        urgency = Urgency.CREATE if fresh else urgency_of(step)
        turn_at = await self.turns.take(urgency)
        client = self._http.client(url, fresh=fresh)
        sent = _Sent()
        request = client.build_request(
            method,
            url,
            params=params,
            json=json,
            data=data,
            files=files,
            headers=await self._signed(headers),
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            extensions={"trace": sent.trace},
        )
        started = time.monotonic()
        try:
            with anyio.fail_after(timeout_s):
                async with _opened(client, request, step, sent) as response:
                    body = await _read_all(response, step)
        except TimeoutError as error:
            if not sent.any_byte:
                # As after a machine's sleep: the time was over before anything had left.
                raise Unreachable(f"Nothing was sent within {timeout_s:g} s", step=step, proves_refusal=True) from error
            raise Unavailable(f"No answer within {timeout_s:g} s", step=step) from error
        reply = Reply(response.status_code, dict(response.headers), body, step)
        _log_call(request, reply, time.monotonic() - started)
        if reply.status == 429:
            self._note_refusal(urgency, reply.retry_after_s, turn_at)
        return reply

    @asynccontextmanager
    async def stream(
        self, path: str, *, step: str, params: Mapping[str, str] | None = None, offset: int = 0, etag: str | None = None
    ) -> AsyncGenerator[Body]:
        """A file behind the key, from `offset` on. `path` may be a whole address of this origin.

        A redirect within the origin is followed with the key; any other as a link from outside, without it.
        """
        url = path if "://" in path else self.base_url + path
        urgency = urgency_of(step)
        turn_at = await self.turns.take(urgency)
        for _ in range(MAX_REDIRECTS + 1):
            if not self.owns(url):
                async with self._http.fetch(url, offset=offset, etag=etag) as body:
                    yield body
                return
            client = self._http.client(url, fresh=False)
            headers = await self._signed(range_headers(offset, etag))
            request = client.build_request("GET", url, params=params, headers=headers)
            async with _opened(client, request, step) as response:
                location = response.headers.get("location") if response.is_redirect else None
                if response.status_code == 429:
                    self._note_refusal(urgency, retry_after_s(response.headers, datetime.now(UTC)), turn_at)
                if location is None:
                    yield _body(response, offset, step)
                    return
            url, params = _next_url(url, location), None
        raise Rejected("The download was redirected too often", step=step)

    def owns(self, url: str) -> bool:
        """Whether an address lies on just this origin: scheme, host and port. Only there our key goes."""
        return origin_of(url) == origin_of(self.base_url)

    def _note_refusal(self, urgency: Urgency, asked_s: float | None, turn_at: float) -> None:
        self.turns.note_refusal(urgency, asked_s, turn_at)
        facts = {"host": origin_of(self.base_url)[1], "retry_after_s": asked_s, "per_second": self.turns.per_second}
        log.info("http.too_often", extra=facts)

    async def _signed(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        via = {VIA: self._http.via} if self._http.via else {}
        return {**(headers or {}), **via, **await self._auth(), **self._headers}


def _next_url(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise BadReply("The download was redirected to what is no address", step="download") from error


class _Sent:
    """Notices the first byte of a request on its way out, by the transport's own trace."""

    any_byte = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self.any_byte = True


@asynccontextmanager
async def _opened(
    client: httpx2.AsyncClient, request: httpx2.Request, step: str, sent: _Sent | None = None
) -> AsyncGenerator[httpx2.Response]:
    try:
        response = await client.send(request, stream=True)
        try:
            yield response
        finally:
            with anyio.move_on_after(5, shield=True):
                await response.aclose()
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise translate(error, step, nothing_sent=sent is not None and not sent.any_byte) from error


def translate(error: Exception, step: str, *, nothing_sent: bool) -> ProviderError:
    """A transport error in our words. Pure."""
    words = str(error) or type(error).__name__
    if isinstance(error, NOT_SENT) or nothing_sent:
        return Unreachable(f"No connection could be made: {words}", step=step, proves_refusal=True)
    if isinstance(error, httpx2.TimeoutException):
        return Unavailable("The far side stopped answering", step=step)
    return Unavailable(f"The connection broke: {words}", step=step)


async def _read_all(response: httpx2.Response, step: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            raise BadReply(f"The answer is larger than {MAX_REPLY_BYTES >> 20} MB", step=step)
        parts.append(chunk)
    return b"".join(parts)


async def _receipt(response: httpx2.Response) -> bytes:
    """The beginning of an answer that nobody needs: as much as helps a person. Its status counts whatever follows."""
    receipt = b""
    with anyio.move_on_after(RECEIPT_TIMEOUT_S), suppress(httpx2.HTTPError, httpx2.StreamError):
        async for chunk in response.aiter_raw():
            receipt += chunk
            if len(receipt) >= MAX_RECEIPT_BYTES:
                break
    return receipt[:MAX_RECEIPT_BYTES]


def _body(response: httpx2.Response, offset: int, step: str) -> Body:
    """Check that an answer is the file or the asked part of it."""
    raise_for_file(response.status_code, response.headers, step)
    total = int(length) if (length := response.headers.get("content-length", "")).isdigit() else None
    start = 0
    if response.status_code == 206:
        start, total = content_range(response.headers.get("content-range", ""), step)
        if start != offset:
            raise BadReply(f"Asked for bytes from {offset}, got them from {start}", step=step, http_status=206)
    mime = response.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    return Body(mime, start, total, response.headers.get("etag"), _chunks(response, step))


async def _chunks(response: httpx2.Response, step: str) -> AsyncIterator[bytes]:
    try:
        # as they come: a chunk size would hold back, and lose, the last bytes before a break
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx2.HTTPError as error:
        raise translate(error, step, nothing_sent=False) from error


async def _resolve(host: str, port: int, step: str) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(f"The host {host} cannot be found: {error}", step=step, proves_refusal=True) from error
    return [entry[4][0] for entry in found]


def _log_call(request: httpx2.Request, reply: Reply, took_s: float) -> None:
    rate = {name: value for name, value in reply.headers.items() if "ratelimit" in name or name == "retry-after"}
    facts = {"method": request.method, "host": request.url.host, "path": request.url.path, "http_status": reply.status}
    times = {"took_s": round(took_s, 3), "request_id": reply.request_id}
    log.debug("http.call", extra={**facts, **times, **{name.replace("-", "_"): value for name, value in rate.items()}})
