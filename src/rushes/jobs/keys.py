"""Keys: who may call the gateway, and what each may have. A key's secret is shown once; only its sha256 is kept.

A secret has 256 random bits, so a plain digest is enough: there is nothing to guess, and so nothing to slow down. A key
is found by that digest; how long the search takes tells of the digest alone, and nobody can choose one. A key is never
changed: who shall have more gets a new one with the same owner, and with it the same jobs. None is deleted either: the
books name its owner.
"""

import hashlib
import hmac
import json
import logging
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import anyio
import sqlalchemy as sa

from rushes.errors import Conflict, NotFound, RushesError, Unsupported
from rushes.jobs import purse
from rushes.jobs.budget import MICRO, Limit, Scope, Totals
from rushes.jobs.callers import Caller
from rushes.jobs.database import Database
from rushes.jobs.services import utc_now
from rushes.jobs.tables import api_keys

log = logging.getLogger(__name__)

SECRET_PREFIX = "rk_"  # noqa: S105 - what a secret begins with, so that people and scanners know one
ID_PREFIX = "key_"
SECRET_BYTES = 32
NAME_MAX = 80
PATTERN_MAX = 200
USD_MAX = Decimal(1_000_000_000)
USES_SAVED_EVERY = timedelta(minutes=1)
CACHE_MODES = ("use", "refresh", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a key allows. `models` are names and patterns; none: every model. Budgets hold for the owner."""

    models: tuple[str, ...] = ()
    budget_usd: Decimal | None = None
    budget_per_day_usd: Decimal | None = None
    unknown_price_hold_usd: Decimal | None = None
    requests_per_minute: int | None = None
    most_open_jobs: int | None = None
    cache: str = "off"  # over HTTP each create means a new video, unless somebody says otherwise
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret."""

    id: str
    name: str
    owner: str
    digest: str = field(repr=False)  # sha256 of the secret, in hex
    grant: Grant
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None  # to the minute or so

    def state(self, now: datetime) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def is_live(self, now: datetime) -> bool:
        return self.state(now) == "live"

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Its budgets, as every admission for its owner has to fit them."""
        found: list[Limit] = []
        if (usd := self.grant.budget_usd) is not None:
            remedy = "Ask whoever runs this gateway for more."
            found.append(Limit(name=f"key {self.name}'s budget", usd=usd, scope=Scope(owner=self.owner), remedy=remedy))
        if (usd := self.grant.budget_per_day_usd) is not None:
            scope = Scope(owner=self.owner, daily=True)
            remedy = "Wait for the next day (of UTC), or ask whoever runs this gateway for more."
            found.append(Limit(name=f"key {self.name}'s budget per day", usd=usd, scope=scope, remedy=remedy))
        return tuple(found)

    @property
    def caller(self) -> Caller:
        """Who calls with it. Never one who may name files of this machine."""
        return Caller(
            owner=self.owner,
            key_id=self.id,
            models=self.grant.models,
            limits=self.limits,
            unknown_price_hold_usd=self.grant.unknown_price_hold_usd,
            most_open_jobs=self.grant.most_open_jobs,
            cache=self.grant.cache,
            admin=self.grant.admin,
            reads_files=False,
        )


class Issued(NamedTuple):
    """A new key, and the only time that its secret is seen."""

    key: Key
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNow:
    """A budget of a key with what its owner has spent of it by now."""

    limit: Limit
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNow:
    """A key as it stands at one moment."""

    key: Key
    state: str
    budgets: tuple[BudgetNow, ...]


class Keys:
    """Make, look up and revoke keys."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._db = db
        self.now = now
        self._used: dict[str, datetime] = {}

    # -- make, list, revoke ------------------------------------------------------------------------

    async def create(
        self, name: str, grant: Grant, *, owner: str | None = None, expires_at: datetime | None = None
    ) -> Issued:
        """Make a key. Without an `owner` it is one of its own; with one, several keys share the owner's jobs.

        Raises Unsupported for what cannot be granted, and Conflict if a key of that name is in use.
        """
        now = self.now()
        check_name("key's name", name)
        check_grant(grant)
        if expires_at is not None and expires_at <= now:
            raise Unsupported(
                f"A key that expired at {expires_at:%Y-%m-%d %H:%M} would be of no use. Name a later time."
            )
        key_id = f"{ID_PREFIX}{uuid.uuid4().hex}"
        if owner is not None:
            check_name("owner", owner)
        secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key = Key(
            id=key_id,
            name=name,
            owner=key_id if owner is None else owner,
            digest=digest_of(secret),
            grant=grant,
            created_at=now,
            expires_at=expires_at,
        )

        def work(connection: sa.Connection) -> None:
            if any(each.is_live(now) for each in keys_named(connection, name)):
                raise Conflict(f"There is a key {name!r} in use. Choose another name, or revoke that one first.")
            insert_key(connection, key)

        await self._db.write(work)
        return Issued(key, secret)

    async def all(self) -> list[KeyNow]:
        """Every key, newest first, with what is left of its budgets."""
        now = self.now()
        today = purse.day_of(now)

        def work(connection: sa.Connection) -> list[KeyNow]:
            return [_as_it_stands(connection, key, now, today) for key in all_keys(connection)]

        return await self._db.read(work)

    async def revoke(self, text: str) -> Key:
        """End a key, by its id or by the name of one that is not revoked. Raises NotFound."""
        now = self.now()

        def work(connection: sa.Connection) -> Key:
            named = [key for key in keys_named(connection, text) if key.revoked_at is None]
            found = key_by_id(connection, text) or next(iter(named), None)
            if found is None:
                raise NotFound(f"There is no key {text!r}. See: rushes keys list")
            if found.revoked_at is not None:
                return found
            set_revoked(connection, found.id, now)
            return replace(found, revoked_at=now)

        return await self._db.write(work)

    # -- look up -----------------------------------------------------------------------------------

    async def by_digest(self, digest: str) -> Key | None:
        """The live key whose secret has this digest."""
        key = await self._db.read(lambda connection: key_by_digest(connection, digest))
        if key is None or not hmac.compare_digest(key.digest, digest) or not key.is_live(self.now()):
            return None
        return key

    async def any(self) -> bool:
        """Whether a key was made that nobody revoked.

        One that expired counts: time alone must not open a gateway that asks for keys.
        """
        return await self._db.read(has_keys)

    # -- last use ----------------------------------------------------------------------------------

    def touch(self, key_id: str) -> None:
        """Note that a key is being used. Costs next to nothing; `keep_uses` writes it down."""
        self._used[key_id] = self.now()

    async def save_uses(self) -> None:
        """Write down the uses noted since the last time. Raises what the database raises, and then forgets none."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            await self._db.write(lambda connection: set_last_used(connection, used))
        except RushesError:
            self._used = used | self._used
            raise

    async def keep_uses(self) -> None:
        """Write uses down once a minute until cancelled, and then once more."""
        try:
            while True:
                await anyio.sleep(USES_SAVED_EVERY.total_seconds())
                await self._try_to_save_uses()
        finally:
            with anyio.move_on_after(5, shield=True):
                await self._try_to_save_uses()

    async def _try_to_save_uses(self) -> None:
        try:
            await self.save_uses()
        except RushesError as error:
            log.warning("keys.trouble", extra={"cause": str(error)})


# -- what may be granted ---------------------------------------------------------------------------


def digest_of(secret: str) -> str:
    """By what a secret is known: sha256 in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def check_name(what: str, text: str) -> None:
    """Raise Unsupported for what cannot be the name of a key or of an owner."""
    if not 1 <= len(text) <= NAME_MAX:
        raise Unsupported(f"A {what} has 1 to {NAME_MAX} characters, not {len(text)}.")
    if not text.isprintable() or text != text.strip():
        raise Unsupported(f"{text!r} is no {what}: it holds what cannot be seen, or begins or ends with a blank.")


def check_grant(grant: Grant) -> None:
    """Raise Unsupported for what cannot be granted."""
    for pattern in grant.models:
        if not 1 <= len(pattern) <= PATTERN_MAX or not pattern.isprintable() or pattern != pattern.strip():
            raise Unsupported(f"{pattern!r} is no name or pattern of models. Write sora-2, or openai:video:*")
    amounts = (grant.budget_usd, grant.budget_per_day_usd, grant.unknown_price_hold_usd)
    for usd in amounts:
        if usd is not None and not (usd.is_finite() and 0 <= usd <= USD_MAX and usd == usd.quantize(MICRO)):
            raise Unsupported(f"${usd} is no amount to grant. Write dollars such as 20 or 0.50, up to ${USD_MAX:,}.")
    for count in (grant.requests_per_minute, grant.most_open_jobs):
        if count is not None and not 1 <= count <= 1_000_000:
            raise Unsupported(f"{count} is no number to grant. Write a whole number from 1 on.")
    if grant.cache not in CACHE_MODES:
        raise Unsupported(f"{grant.cache!r} is no way to use the library. Write one of: {', '.join(CACHE_MODES)}.")


def _as_it_stands(connection: sa.Connection, key: Key, now: datetime, today: str) -> KeyNow:
    budgets = [BudgetNow(limit=each, totals=purse.totals(connection, each.scope, today)) for each in key.limits]
    return KeyNow(key=key, state=key.state(now), budgets=tuple(budgets))


# -- questions to the database ---------------------------------------------------------------------

BY_DIGEST = sa.select(api_keys).where(api_keys.c.secret_sha256 == sa.bindparam("digest"))
BY_ID = sa.select(api_keys).where(api_keys.c.id == sa.bindparam("id"))
BY_NAME = sa.select(api_keys).where(api_keys.c.name == sa.bindparam("name")).order_by(api_keys.c.created_at.desc())
NEWEST_FIRST = sa.select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
NOT_REVOKED = sa.select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).limit(1)
REVOKE = (
    api_keys.update()
    .where(api_keys.c.id == sa.bindparam("key_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("at"))
)
USE = api_keys.update().where(api_keys.c.id == sa.bindparam("key_id")).values(last_used_at=sa.bindparam("at"))


def insert_key(connection: sa.Connection, key: Key) -> None:
    grant = key.grant
    values: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "secret_sha256": key.digest,
        "models_json": json.dumps(grant.models),
        "budget_usd": grant.budget_usd,
        "budget_per_day_usd": grant.budget_per_day_usd,
        "unknown_price_hold_usd": grant.unknown_price_hold_usd,
        "requests_per_minute": grant.requests_per_minute,
        "most_open_jobs": grant.most_open_jobs,
        "cache": grant.cache,
        "admin": grant.admin,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }
    connection.execute(api_keys.insert(), values)


def key_by_digest(connection: sa.Connection, digest: str) -> Key | None:
    return next(_keys(connection.execute(BY_DIGEST, {"digest": digest})), None)


def key_by_id(connection: sa.Connection, key_id: str) -> Key | None:
    return next(_keys(connection.execute(BY_ID, {"id": key_id})), None)


def keys_named(connection: sa.Connection, name: str) -> Sequence[Key]:
    """Newest first; of those that are not revoked or expired there is one at most."""
    return list(_keys(connection.execute(BY_NAME, {"name": name})))


def all_keys(connection: sa.Connection) -> Sequence[Key]:
    return list(_keys(connection.execute(NEWEST_FIRST)))


def has_keys(connection: sa.Connection) -> bool:
    """Whether there is one that nobody revoked."""
    return connection.execute(NOT_REVOKED).first() is not None


def set_revoked(connection: sa.Connection, key_id: str, at: datetime) -> None:
    connection.execute(REVOKE, {"key_id": key_id, "at": at})


def set_last_used(connection: sa.Connection, used: Mapping[str, datetime]) -> None:
    connection.execute(USE, [{"key_id": key_id, "at": at} for key_id, at in used.items()])


def _keys(rows: sa.CursorResult[Any]) -> Iterator[Key]:
    return map(_key, rows.mappings())


def _key(row: sa.RowMapping) -> Key:
    return Key(
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        digest=row["secret_sha256"],
        grant=Grant(
            models=tuple(json.loads(row["models_json"])),
            budget_usd=row["budget_usd"],
            budget_per_day_usd=row["budget_per_day_usd"],
            unknown_price_hold_usd=row["unknown_price_hold_usd"],
            requests_per_minute=row["requests_per_minute"],
            most_open_jobs=row["most_open_jobs"],
            cache=row["cache"],
            admin=row["admin"],
        ),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
