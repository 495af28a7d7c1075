"""Who calls: from the key in a request's headers to a `Caller`, without a look into the database each time.

What the database said of a key is believed for a few seconds, so a revoked one is refused within five. When it is away,
the keys that it knew stay good: jobs can still be watched, and what needs the database says so itself.
"""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.abc

from rushes.errors import ConfigError, RushesError
from rushes.gateway.buckets import Buckets
from rushes.gateway.guard import is_loopback, visit_of
from rushes.gateway.problems import limited, unauthorized
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.keys import Key, Keys, digest_of

log = logging.getLogger(__name__)

T = TypeVar("T")

FRESH_S = 3.0
"""How long an answer of the database is believed. With the patience below: less than five seconds."""
PATIENCE_S = 1.5
"""How long a request waits for a new answer when there is an old one."""
WRONG_MAX = 1000
SECRET_MAX = 500
NO_KEY = (
    "You didn't provide an API key. Send one as a bearer token in the Authorization header, or in the api-key header."
)
NOBODY_NEEDS_A_KEY = replace(LOCAL, reads_files=False)
"""Whoever calls a gateway without keys on this machine. A program that names files reads them itself."""


class Request(Protocol):
    """As much of a request as matters here; Starlette's has it."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def scope(self) -> Mapping[str, Any]: ...


class Doorkeeper:
    """Tells who calls. Use inside `on_duty`.

    `loopback`: only programs of this machine can call, so that no key is needed while there is none.
    """

    def __init__(self, keys: Keys, *, loopback: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._loopback = loopback
        self._clock = clock
        self._tasks: anyio.abc.TaskGroup | None = None
        self._any = _Remembered(keys.any, self._start_soon, clock)
        self._known: dict[str, _Remembered[_Bearer | None]] = {}
        self._wrong: set[str] = set()
        self._buckets = Buckets(clock=clock)

    @asynccontextmanager
    async def on_duty(self) -> AsyncGenerator[None]:
        """Look keys up, and write down when each was last used."""
        failed: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._keys.keep_uses)
            try:
                yield
            except Exception as error:
                failed = error  # raised below, so that it does not come wrapped into a group
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def caller_of(self, request: Request) -> Caller:
        """Who sends a request. Raises Problem: 401 without a good key, 429 for a key that is used too often."""
        secret = secret_of(request.headers)
        if self._loopback and not await self._any.value():
            return NOBODY_NEEDS_A_KEY  # libraries cannot be made to send no key, so anything is taken for one
        if secret is None:
            raise unauthorized(NO_KEY)
        bearer = await self._bearer(secret)
        if bearer is None:
            shown = masked(secret)
            log.info("auth.refused", extra={"address": visit_of(request.scope).address, "shown": shown})
            raise unauthorized(
                f"Incorrect API key provided: {shown}. Whoever runs this gateway can make you one: rushes keys create"
            )
        self._keys.touch(bearer.key.id)
        self._count(bearer.key, request)
        return bearer.caller

    async def until_refused(self, request: Request) -> None:
        """Return once who sent a request would not be let in any more: an answer without an end ends with its key."""
        while True:
            await anyio.sleep(1.0)
            with suppress(RushesError):  # while the database is away, those that it knew stay good
                if self._loopback and not await self._any.value():
                    continue
                secret = secret_of(request.headers)
                if secret is None or await self._bearer(secret) is None:
                    return

    async def _bearer(self, secret: str) -> "_Bearer | None":
        if len(secret) > SECRET_MAX:
            return None
        digest = digest_of(secret)
        if digest in self._wrong:
            return None
        remembered = self._known.get(digest)
        if remembered is None:
            remembered = self._known[digest] = _Remembered(lambda: self._read(digest), self._start_soon, self._clock)
        try:
            bearer = await remembered.value()
        except RushesError:
            self._known.pop(digest, None)
            raise
        if bearer is None:
            self._known.pop(digest, None)
            self._note_wrong(digest)
            return None
        return bearer if bearer.key.is_live(self._keys.now()) else None

    async def _read(self, digest: str) -> "_Bearer | None":
        key = await self._keys.by_digest(digest)
        return None if key is None else _Bearer(key, key.caller)

    def _note_wrong(self, digest: str) -> None:
        """A wrong secret stays wrong: no key is ever made for a secret that somebody has sent before."""
        if len(self._wrong) >= WRONG_MAX:
            self._wrong.clear()
        self._wrong.add(digest)

    def _count(self, key: Key, request: Request) -> None:
        per_minute = key.grant.requests_per_minute
        if per_minute is None:
            return
        taken = self._buckets.take(key.id, per_minute / 60, per_minute)
        visit_of(request.scope).headers += [
            (b"x-ratelimit-limit-requests", b"%d" % per_minute),
            (b"x-ratelimit-remaining-requests", b"%d" % taken.left),
            (b"x-ratelimit-reset-requests", duration(taken.full_in_s).encode("ascii")),
        ]
        if taken.wait_s:
            words = f"Rate limit reached: the key {key.name} may make {per_minute} requests a minute."
            raise limited(f"{words} Try again in {duration(taken.wait_s)}.", taken.wait_s)

    def _start_soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._tasks is None:
            raise RushesError("The gateway is closing. Try again.")
        self._tasks.start_soon(work)


@dataclass(frozen=True, slots=True)
class _Bearer:
    key: Key
    caller: Caller


class _Remembered(Generic[T]):
    """What the database said, asked again when that is old. One question at a time, however many want to know."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        start_soon: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._start_soon = start_soon
        self._clock = clock
        self._told: list[T] = []  # one or none: what was said may be None
        self._at = 0.0
        self._asked_at = 0.0
        self._error: RushesError | None = None
        self._answered: anyio.Event | None = None

    async def value(self) -> T:
        """Raises what the database raises, if it never answered."""
        if self._told and self._clock() - self._at < FRESH_S:
            return self._told[0]
        answered = self._answered
        if answered is None:
            answered = self._answered = anyio.Event()
            self._asked_at = self._clock()
            try:
                self._start_soon(self._ask)
            except RushesError:
                self._answered = None
                raise
        if not self._told:
            await answered.wait()
        elif self._error is None and self._clock() - self._asked_at < PATIENCE_S:
            # Else the database is away, or hangs, and not each request is to wait for it.
            with anyio.move_on_after(PATIENCE_S):
                await answered.wait()
        if self._told:
            return self._told[0]
        raise self._error or RushesError("The gateway is closing. Try again.")

    async def _ask(self) -> None:
        answered = self._answered
        try:
            self._told = [await self._read()]
            self._error = None
        except RushesError as error:
            if self._error is None:
                log.warning("keys.trouble", extra={"cause": str(error)})
            self._error = error
        finally:
            self._at = self._asked_at
            self._answered = None
            if answered is not None:
                answered.set()


# -- pure ------------------------------------------------------------------------------------------


def secret_of(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings: as a bearer, or the way of Azure's libraries."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return headers.get("api-key", "").strip() or None


def masked(secret: str) -> str:
    """Enough of a key for its owner to know which one it is, and for nobody else to use it."""
    if len(secret) < 20 or not (secret.isascii() and secret.isprintable()):
        return "***"
    return f"{secret[:5]}***{secret[-2:]}"


def duration(seconds: float) -> str:
    """A time as the rate limit headers have it: `120ms`, `1s`, `6m0s`. Rounded up."""
    milliseconds = -(-round(seconds * 1_000_000) // 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    whole = -(-milliseconds // 1000)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"


def check_bind(host: str, *, has_keys: bool, trust_proxy: bool = False) -> None:
    """Raise ConfigError where others than this machine's programs could call, and would need no key.

    A proxy before us brings others, wherever we listen.
    """
    if has_keys or only_this_machine(host, trust_proxy=trust_proxy):
        return
    where = f"{host} can be reached from other machines" if not is_loopback(host) else "A proxy brings others here"
    raise ConfigError(
        f"{where}, and there is no key yet: anybody could spend your money. Make one first: rushes keys create NAME"
    )


def only_this_machine(host: str, *, trust_proxy: bool) -> bool:
    """Whether only programs of this machine can call: `loopback` for the Doorkeeper."""
    return is_loopback(host) and not trust_proxy
