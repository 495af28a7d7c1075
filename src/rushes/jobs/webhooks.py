"""Webhooks: who wants to be told when a video is done, what they are told, and how one message is sent.

The message is that of the OpenAI API: the id of the video and no more, signed by Standard Webhooks, so that the
`unwrap` of an SDK accepts it. `outbox.py` sees to it that each message arrives; a test message is sent from here.
"""

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
import sqlalchemy as sa

from rushes import signatures
from rushes.config import nearest
from rushes.errors import Conflict, NotFound, RushesError, Unsupported
from rushes.http import Http
from rushes.jobs import store, webhook_store
from rushes.jobs.database import Database
from rushes.jobs.services import utc_now
from rushes.jobs.webhook_store import Delivery, DeliveryState, EndEvent, Endpoint

COMPLETED, FAILED = "video.completed", "video.failed"
TYPES = (COMPLETED, FAILED)
TYPE_OF_END: Mapping[str, str] = {"completed": COMPLETED, "failed": FAILED, "cancelled": FAILED}
"""Which event of a job's history is told as what: to a client of the Videos API a cancelled job is a failed one."""

KEY_BYTES = 32
URL_MAX = 2000
OWNER_MAX = 80
ERROR_MAX = 300
AT_ONCE = 1000
"""Events that one transaction makes into deliveries: few enough that no writer waits long."""
REPLAY_AT_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of posting one message. Without a status, no answer came."""

    http_status: int | None = None
    error: str | None = None
    receipt: bytes = field(default=b"", repr=False)
    took_s: float = 0.0

    @property
    def good(self) -> bool:
        return self.http_status is not None and 200 <= self.http_status < 300


def event_name(event_id: int, job_id: str) -> str:
    """The id of an event in messages: the same whenever it is told, and another in each installation. Pure."""
    return f"evt_{hashlib.sha256(f'{event_id} {job_id}'.encode()).hexdigest()[:32]}"


def message(kind: str, event_id: int, job_id: str, at: datetime) -> str:
    """The body that tells of an event. Pure."""
    body = {
        "id": event_name(event_id, job_id),
        "object": "event",
        "created_at": int(at.timestamp()),
        "type": kind,
        "data": {"id": job_id},
    }
    return json.dumps(body, separators=(",", ":"))


def delivery_of(endpoint: Endpoint, event: EndEvent, now: datetime) -> Delivery | None:
    """What an endpoint is to be told of the end of a job; None if nothing. Pure but for its id."""
    kind = TYPE_OF_END[event.kind]
    if kind not in endpoint.events or not endpoint.hears_of(event.owner):
        return None
    return Delivery(
        id=f"wh_{uuid.uuid4().hex}",
        webhook_id=endpoint.id,
        event_id=event.id,
        job_id=event.job_id,
        kind=kind,
        body=message(kind, event.id, event.job_id, event.ts),
        state=DeliveryState.PENDING,
        tries=0,
        created_at=now,
        next_at=now,
    )


def spread(connection: sa.Connection, now: datetime) -> bool:
    """Make deliveries of the events that nobody has read yet, in the caller's transaction. True: there are more.

    Writers take turns over all processes, and the cursor moves with what was made: nothing is made twice.
    """
    after = webhook_store.cursor(connection)
    last = store.last_event(connection)
    ends = webhook_store.ends_after(connection, after, TYPE_OF_END, AT_ONCE)
    listening = webhook_store.listening(connection)
    made = [
        delivery_of(endpoint, event, now) for event in ends for endpoint in listening if event.id > endpoint.since_event
    ]
    webhook_store.insert_deliveries(connection, [each for each in made if each is not None])
    more = len(ends) == AT_ONCE
    webhook_store.move_cursor(connection, ends[-1].id if more else last)
    return more


async def post(http: Http, endpoint: Endpoint, delivery_id: str, body: str, now: datetime) -> Tried:
    """Send one message once. Whatever goes wrong on the way is an answer."""
    data = body.encode()
    began = anyio.current_time()
    try:
        headers = signatures.headers_for(endpoint.secret, delivery_id, int(now.timestamp()), data)
        reply = await http.notify(endpoint.url, data, headers)
    except RushesError as error:
        return Tried(error=str(error)[:ERROR_MAX], took_s=anyio.current_time() - began)
    took_s = anyio.current_time() - began
    words = None if reply.ok else f"The receiver answered {reply.status}."
    return Tried(http_status=reply.status, error=words, receipt=reply.body, took_s=took_s)


class Webhooks:
    """Add, list, remove and try endpoints."""

    def __init__(self, db: Database, http: Http, *, now: Callable[[], datetime] = utc_now) -> None:
        self._db = db
        self._http = http
        self._now = now

    async def add(self, url: str, *, owner: str, events: Collection[str] = TYPES) -> Endpoint:
        """Tell this address of the jobs of an owner, or of all by `*`, that end from now on.

        Its `secret` is to be shown once. Raises Unsupported, and RequestError for an address that may not be told.
        """
        types = checked_types(events)
        if not 1 <= len(owner) <= OWNER_MAX:
            raise Unsupported(f"An owner's name has 1 to {OWNER_MAX} characters.")
        if len(url) > URL_MAX or not url.isprintable():
            raise Unsupported(f"A webhook's address has at most {URL_MAX} characters, all of them printable.")
        await self._http.check_notifiable(url)
        now, secret = self._now(), signatures.secret_of(secrets.token_bytes(KEY_BYTES))

        def work(connection: sa.Connection) -> Endpoint:
            last = store.last_event(connection)
            if not webhook_store.listening(connection):
                webhook_store.move_cursor(connection, last)  # nobody wanted to hear what came before
            made = Endpoint(
                id=f"we_{uuid.uuid4().hex}",
                owner=owner,
                url=url,
                secret=secret,
                events=types,
                created_at=now,
                since_event=last,
            )
            webhook_store.insert_endpoint(connection, made)
            return made

        return await self._db.write(work)

    async def list(self, owner: str | None = None) -> Sequence[Endpoint]:
        """The endpoints of an owner, or all of them, oldest first; those that are told no more are `disabled_at`."""
        return await self._db.read(lambda connection: webhook_store.endpoints(connection, owner))

    async def get(self, endpoint_id: str, *, owner: str | None = None) -> Endpoint:
        """Raises NotFound, also for one of another owner."""
        found = await self._db.read(lambda connection: webhook_store.endpoint_by_id(connection, endpoint_id))
        if found is None or owner not in (None, found.owner):
            raise NotFound(f"There is no webhook {endpoint_id}. See: rushes webhooks list")
        return found

    async def remove(self, endpoint_id: str, *, owner: str | None = None) -> None:
        """Tell it no more. What is under way may still arrive. Its history stays. Raises NotFound."""
        endpoint = await self.get(endpoint_id, owner=owner)
        now = self._now()
        await self._db.write(
            lambda connection: webhook_store.disable(connection, endpoint.id, now, "The webhook was removed.")
        )

    async def test(self, endpoint_id: str, *, owner: str | None = None) -> Tried:
        """Tell it now, once, of a video that does not exist. Raises NotFound."""
        endpoint = await self.get(endpoint_id, owner=owner)
        now, kind = self._now(), endpoint.events[0]
        delivery_id, job_id = f"wh_{uuid.uuid4().hex}", f"video_{uuid.uuid4().hex}"
        number = await self._db.read(lambda connection: webhook_store.next_test_number(connection, endpoint.id))
        body = message(kind, number, job_id, now)
        tried = await post(self._http, endpoint, delivery_id, body, now)

        def work(connection: sa.Connection) -> None:
            done = Delivery(
                id=delivery_id,
                webhook_id=endpoint.id,
                # Anew: another test may have taken the number meanwhile.
                event_id=webhook_store.next_test_number(connection, endpoint.id),
                job_id=job_id,
                kind=kind,
                body=body,
                state=DeliveryState.DELIVERED if tried.good else DeliveryState.FAILED,
                tries=1,
                created_at=now,
                ended_at=self._now(),
                http_status=tried.http_status,
                error=tried.error,
            )
            webhook_store.insert_deliveries(connection, [done])

        await self._db.write(work)
        return tried

    async def replay(
        self, endpoint_id: str, *, since: timedelta, only_failed: bool = False, owner: str | None = None
    ) -> int:
        """Tell it again of all that ended in this time, or only of what did not arrive. How many that are.

        What it was never told counts too, unless only what failed is wanted. Raises NotFound and Conflict.
        """
        endpoint = await self.get(endpoint_id, owner=owner)
        now = self._now()
        # Not in the transaction: it reads all events, and others want to write.
        after = await self._db.read(lambda connection: webhook_store.last_event_before(connection, now - since))

        def work(connection: sa.Connection) -> int:
            current = webhook_store.endpoint_by_id(connection, endpoint.id)
            if current is None or current.disabled_at is not None:
                raise Conflict(f"{endpoint.id} is told no more. Add its address again: rushes webhooks add URL")
            while spread(connection, now):
                pass
            return _again(connection, endpoint, after, now, only_failed=only_failed)

        return await self._db.write(work)

    async def deliveries(self, endpoint_id: str, *, owner: str | None = None, limit: int = 50) -> Sequence[Delivery]:
        """What it was told, newest first. Raises NotFound."""
        endpoint = await self.get(endpoint_id, owner=owner)
        return await self._db.read(lambda connection: webhook_store.deliveries_of(connection, endpoint.id, limit))


def _again(connection: sa.Connection, endpoint: Endpoint, after: int, now: datetime, *, only_failed: bool) -> int:
    """Make the deliveries of the events after this one due, old and new ones; how many."""
    states = {DeliveryState.FAILED} if only_failed else {DeliveryState.FAILED, DeliveryState.DELIVERED}
    again = webhook_store.begin_anew(connection, endpoint.id, states, after, now)
    if only_failed:
        return again
    told = webhook_store.told_after(connection, endpoint.id, after)
    ends = webhook_store.ends_after(connection, after, TYPE_OF_END, REPLAY_AT_MOST)
    never = [delivery_of(endpoint, end, now) for end in ends if end.id not in told]
    new = [each for each in never if each is not None]
    webhook_store.insert_deliveries(connection, new)
    return again + len(new)


def checked_types(events: Collection[str]) -> tuple[str, ...]:
    """The types of events, each once, in their order. Raises Unsupported. Pure."""
    for name in events:
        if name not in TYPES:
            near = nearest(name, TYPES)
            hint = f"Did you mean {near}?" if near else f"There are: {', '.join(TYPES)}."
            raise Unsupported(f"There is no event {name!r}. {hint}")
    if not events:
        raise Unsupported(f"A webhook without events is told nothing. There are: {', '.join(TYPES)}.")
    return tuple(name for name in TYPES if name in events)
