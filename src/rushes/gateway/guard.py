"""The guard at the gateway's door: what is decided about a request before anybody asks what it wants.

It looks at where a request comes from, not at who sends it (that is `auth.py`) nor at what it says. In this order: does
its address call too often, was it sent to a name that is ours, and does a web page of somebody else's send it.

A web page is the danger on a machine without keys. By DNS rebinding it reaches 127.0.0.1 under its own name: so on a
loopback bind the Host must be one of this machine, or one that the settings name. Browsers say in `Origin` which page
sends a request, unless it is a plain GET; so a foreign one is refused whatever the method, credentials or none. The
`EventSource` and `<video>` of a page of ours come from our own origin and pass, and programs send no Origin at all.

Every answer goes out with an `x-request-id` and the headers that keep browsers from making more of it than it is.
"""

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from rushes.config import GatewaySettings
from rushes.errors import ConfigError
from rushes.gateway.buckets import Buckets
from rushes.gateway.problems import Problem, limited

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Render = Callable[[Problem, Scope], Application]
"""Puts a problem into the envelope of the dialect that a request speaks."""
Header = tuple[bytes, bytes]

OUR_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - these are no names to be called by
OPENAI_VERSION = b"2020-10-01"
DIALECT_PATHS = ("/v1/", "/openai/", "/videos")
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
EXPOSED = (
    b"accept-ranges, content-length, content-range, etag, link, location, openai-poll-after-ms, openai-processing-ms, "
    b"retry-after, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    b"x-ratelimit-reset-requests, x-request-id, x-rushes-adjustments, x-rushes-ignored, x-rushes-model"
)

_READ = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"origin",
        b"x-request-id",
        b"access-control-request-method",
        b"access-control-request-headers",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_NAMES_OF_HEADERS = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*?#@]+")
_USUAL_PORTS = {"http": ":80", "https": ":443"}

_ALWAYS: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"),)
_UNLESS_SET: tuple[Header, ...] = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CSP = b"content-security-policy"
_CLOSED = b"default-src 'none'; frame-ancestors 'none'"
_SHOWN = b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""For a picture or a video alone in a tab: browsers build a page of their own around it, under this policy."""


@dataclass(slots=True)
class Visit:
    """One request, as far as the guard is concerned. `headers` go out with its answer; whoever knows more adds some."""

    request_id: str
    address: str
    headers: list[Header] = field(default_factory=list[Header])


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The visit that the guard has let in; one that says nothing where no guard stood."""
    return scope.get("rushes.visit") or Visit("", "")


class Guard:
    """ASGI middleware, around all that answers.

    `host` is the address that is listened on. With `trust_proxy` the `X-Forwarded-…` headers of the proxy before us are
    believed; without it they are what anybody may write. Raises ConfigError for settings that cannot be used.
    """

    def __init__(
        self,
        app: Application,
        settings: GatewaySettings,
        *,
        host: str,
        render: Render,
        trust_proxy: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._settings = settings
        self._render = render
        self._trust_proxy = trust_proxy
        self._clock = clock
        self._hosts = names_allowed(settings, host)
        self._cors = frozenset(read_origin(text) for text in settings.cors_origins)
        self._buckets = Buckets(clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it, so no page shall
            return
        began = self._clock()
        seen = _read(scope["headers"])
        visit = Visit(request_id(seen.get(b"x-request-id")), self._address(scope, seen))
        scope["rushes.visit"] = visit
        origin = seen.get(b"origin")
        foreign = origin is not None and not self._is_own(origin, scope, seen)
        if self._cors:
            visit.headers.append((b"vary", b"Origin"))
        answer = self._app
        if problem := self._problem(seen, visit, foreign):
            answer = self._render(problem, scope)
        elif foreign and origin is not None:
            visit.headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", EXPOSED),
            ]
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in seen:
                answer = preflight(seen.get(b"access-control-request-headers", b""))

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._dressed(message.get("headers", ()), scope["path"], visit, began)
            await send(message)

        await answer(scope, receive, dressed)

    # -- coming in ---------------------------------------------------------------------------------

    def _problem(self, seen: Mapping[bytes, bytes], visit: Visit, foreign: bool) -> Problem | None:
        settings = self._settings
        taken = self._buckets.take(visit.address, settings.requests_per_second, settings.requests_burst)
        if taken.wait_s:
            return limited("Too many requests from this address. Slow down.", taken.wait_s)
        if b"content-length" in seen and b"transfer-encoding" in seen:
            return Problem(
                "A request has a Content-Length or a Transfer-Encoding, not both.",
                status=400,
                error_code="invalid_request",
                headers={"connection": "close"},
            )
        if self._hosts is not None and host_name(self._host(seen)) not in self._hosts:
            return Problem(
                "This server does not go by the name in the Host header. If it shall, its operator adds the name to "
                "[gateway] hosts.",
                status=421,
                error_code="unknown_host",
            )
        if foreign and _text(seen[b"origin"]) not in self._cors:
            return Problem(
                "Web pages of that origin may not call this server. If they shall, its operator adds the origin to "
                "[gateway] cors_origins; behind a proxy of one's own, --trust-proxy says which origin is ours.",
                status=403,
                error_code="origin_not_allowed",
            )
        return None

    def _host(self, seen: Mapping[bytes, bytes]) -> str:
        """The host that the client has asked for."""
        if self._trust_proxy and (forwarded := seen.get(b"x-forwarded-host")):
            return _last(forwarded)
        return _text(seen.get(b"host", b""))

    def _is_own(self, origin: bytes, scope: Scope, seen: Mapping[bytes, bytes]) -> bool:
        scheme: str = scope.get("scheme", "http")
        if self._trust_proxy and (forwarded := seen.get(b"x-forwarded-proto")):
            scheme = _last(forwarded).lower()
        return _text(origin) == f"{scheme}://{self._host(seen).lower().removesuffix(_USUAL_PORTS.get(scheme, ':'))}"

    def _address(self, scope: Scope, seen: Mapping[bytes, bytes]) -> str:
        if self._trust_proxy and (forwarded := seen.get(b"x-forwarded-for")) and (told := whose(_last(forwarded))):
            return told
        client = scope.get("client")
        return whose(client[0]) or str(client[0]) if client else ""

    # -- going out ---------------------------------------------------------------------------------

    def _dressed(self, headers: Iterable[Header], path: str, visit: Visit, began: float) -> list[Header]:
        """The headers of an answer with ours. A page may bring a policy of its own."""
        dressed = [header for header in headers if header[0] != b"x-request-id"]
        set_already = dict(dressed)
        dressed += _ALWAYS
        dressed += [header for header in _UNLESS_SET if header[0] not in set_already]
        if _CSP not in set_already:
            is_shown = set_already.get(b"content-type", b"").startswith((b"video/", b"image/"))
            dressed.append((_CSP, _SHOWN if is_shown else _CLOSED))
        if path.startswith(DIALECT_PATHS):
            took_ms = round((self._clock() - began) * 1000)
            dressed += [(b"openai-version", OPENAI_VERSION), (b"openai-processing-ms", b"%d" % took_ms)]
        dressed.append((b"x-request-id", visit.request_id.encode("ascii")))
        dressed += visit.headers
        return dressed


def preflight(asked: bytes) -> Application:
    """The answer to a browser that asks whether it may send a request."""
    headers = [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", b"600")]
    if _NAMES_OF_HEADERS.fullmatch(asked):
        headers.append((b"access-control-allow-headers", asked))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer


# -- names and addresses, pure ---------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Whether a bind address is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_allowed(settings: GatewaySettings, host: str) -> frozenset[str] | None:
    """The names under which we may be called; None: any. Raises ConfigError for what is no name."""
    named: set[str] = set()
    for text in settings.hosts:
        name = host_name(text)
        if name is None:
            raise ConfigError(f"[gateway] hosts: {text!r} is no host name. Write it alone: video.example")
        named.add(name)
    if not named and not is_loopback(host):
        return None
    bound = host.strip("[]").lower()
    return OUR_NAMES | named | ({bound} - ANY_ADDRESS)


@lru_cache(maxsize=1024)
def host_name(text: str) -> str | None:
    """The name in a Host header, without its port; None for what is no host."""
    found = _HOST.fullmatch(text.lower())
    return found[1].strip("[]").removesuffix(".") if found else None


def read_origin(text: str) -> str:
    """An origin of the settings as browsers write it. Raises ConfigError."""
    origin = text.strip().lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise ConfigError(
            f"[gateway] cors_origins: {text!r} is no origin. Write scheme, host and port, such as https://app.example; "
            "there is no way to allow all pages."
        )
    return origin.removesuffix(_USUAL_PORTS.get(origin.partition(":")[0], ":"))


@lru_cache(maxsize=4096)
def whose(text: str) -> str | None:
    """By what an address is counted: an IPv4 address, or the /64 of an IPv6 one, which one customer has whole.

    A port after it is left out. None for what is no address.
    """
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def request_id(given: bytes | None) -> str:
    """A client's own id if it can be logged and sent back as it is, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"req_{secrets.token_hex(16)}"


def _read(headers: Iterable[Header]) -> dict[bytes, bytes]:
    """The headers that matter here. What comes twice is joined, and so is no host and no origin any more."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            seen[name] = b"%s, %s" % (seen[name], value) if name in seen else value
    return seen


def _last(value: bytes) -> str:
    """What the proxy nearest to us has added to a list."""
    return _text(value.rpartition(b",")[2]).strip()


def _text(value: bytes) -> str:
    return value.decode("latin-1")
