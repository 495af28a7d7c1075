"""Every question about webhooks that is asked of the database: endpoints, deliveries, how far the events are read.

As in `store.py`, these functions take an open connection and do no more than SQL.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from rushes.jobs.tables import cursors, deliveries, events, jobs, webhooks

CURSOR = "webhooks"
EVERYBODY = "*"
"""The owner of an endpoint that hears of the jobs of all owners."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address that wants to be told."""

    id: str
    owner: str
    url: str = field(repr=False)  # many receivers know their senders by it alone
    secret: str = field(repr=False)
    events: tuple[str, ...]
    created_at: datetime
    since_event: int
    disabled_at: datetime | None = None

    def hears_of(self, owner: str) -> bool:
        return self.owner in (owner, EVERYBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one endpoint, however often it is tried."""

    id: str
    webhook_id: str
    event_id: int
    job_id: str
    kind: str
    body: str
    state: DeliveryState
    tries: int
    created_at: datetime  # since when it is tried: a replay begins anew
    next_at: datetime | None = None
    ended_at: datetime | None = None
    http_status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvent:
    """The end of a job, as its last event tells it."""

    id: int
    job_id: str
    kind: str
    ts: datetime
    owner: str


# -- endpoints -------------------------------------------------------------------------------------


def insert_endpoint(connection: sa.Connection, endpoint: Endpoint) -> None:
    connection.execute(
        webhooks.insert(),
        {
            "id": endpoint.id,
            "owner": endpoint.owner,
            "url": endpoint.url,
            "secret": endpoint.secret,
            "events_json": json.dumps(endpoint.events),
            "created_at": endpoint.created_at,
            "since_event": endpoint.since_event,
            "disabled_at": endpoint.disabled_at,
        },
    )


def endpoint_by_id(connection: sa.Connection, endpoint_id: str) -> Endpoint | None:
    row = connection.execute(sa.select(webhooks).where(webhooks.c.id == endpoint_id)).mappings().first()
    return _endpoint(row) if row else None


def endpoints(connection: sa.Connection, owner: str | None = None) -> list[Endpoint]:
    """Those of an owner, or all, disabled ones too, oldest first."""
    query = sa.select(webhooks).order_by(webhooks.c.created_at, webhooks.c.id)
    if owner is not None:
        query = query.where(webhooks.c.owner == owner)
    return [_endpoint(row) for row in connection.execute(query).mappings()]


def listening(connection: sa.Connection) -> list[Endpoint]:
    """The endpoints that want to be told now."""
    rows = connection.execute(sa.select(webhooks).where(webhooks.c.disabled_at.is_(None))).mappings()
    return [_endpoint(row) for row in rows]


def disable(connection: sa.Connection, endpoint_id: str, now: datetime, words: str) -> None:
    """Tell it no more, nor what was to be told again."""
    connection.execute(
        webhooks.update().where(webhooks.c.id == endpoint_id, webhooks.c.disabled_at.is_(None)).values(disabled_at=now)
    )
    pending = (deliveries.c.webhook_id == endpoint_id) & (deliveries.c.state == DeliveryState.PENDING.value)
    connection.execute(
        deliveries.update()
        .where(pending)
        .values(state=DeliveryState.FAILED.value, next_at=None, ended_at=now, error=words)
    )


# -- events ----------------------------------------------------------------------------------------


def cursor(connection: sa.Connection) -> int:
    """The number of the last event that was made into deliveries; 0 before the first."""
    found = connection.execute(sa.select(cursors.c.event_id).where(cursors.c.name == CURSOR)).scalar()
    return found or 0


def move_cursor(connection: sa.Connection, event_id: int) -> None:
    moved = connection.execute(cursors.update().where(cursors.c.name == CURSOR).values(event_id=event_id))
    if not moved.rowcount:
        connection.execute(cursors.insert(), {"name": CURSOR, "event_id": event_id})


def ends_after(connection: sa.Connection, after: int, kinds: Collection[str], limit: int) -> list[EndEvent]:
    """Ends of jobs after an event, in order. A job that was deleted before it ended has none that anybody awaits."""
    shown = jobs.c.deleted_at.is_(None) | (jobs.c.deleted_at > events.c.ts)
    query = (
        sa.select(events.c.id, events.c.job_id, events.c.kind, events.c.ts, jobs.c.owner)
        .join(jobs, jobs.c.id == events.c.job_id)
        .where(events.c.id > after, events.c.kind.in_(kinds), shown)
        .order_by(events.c.id)
        .limit(limit)
    )
    return [EndEvent(**row) for row in connection.execute(query).mappings()]


def last_event_before(connection: sa.Connection, at: datetime) -> int:
    """The number of the last event before a moment; 0 if there is none. It looks at all events."""
    query = sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0)).where(events.c.ts < at)
    return connection.execute(query).scalar_one()


def any_end_after(connection: sa.Connection, after: int, kinds: Collection[str]) -> bool:
    query = sa.select(events.c.id).where(events.c.id > after, events.c.kind.in_(kinds)).limit(1)
    return connection.execute(query).first() is not None


# -- deliveries ------------------------------------------------------------------------------------


def insert_deliveries(connection: sa.Connection, new: Sequence[Delivery]) -> None:
    if new:
        connection.execute(deliveries.insert(), [_delivery_values(each) for each in new])


def deliveries_of(connection: sa.Connection, endpoint_id: str, limit: int) -> list[Delivery]:
    """Newest first."""
    query = (
        sa.select(deliveries)
        .where(deliveries.c.webhook_id == endpoint_id)
        .order_by(deliveries.c.created_at.desc(), deliveries.c.event_id.desc())
        .limit(limit)
    )
    return [_delivery(row) for row in connection.execute(query).mappings()]


def told_after(connection: sa.Connection, endpoint_id: str, after: int) -> set[int]:
    """The events after this one of which an endpoint was, or is to be, told."""
    query = sa.select(deliveries.c.event_id).where(
        deliveries.c.webhook_id == endpoint_id, deliveries.c.event_id > max(after, 0)
    )
    return set(connection.execute(query).scalars())


def next_test_number(connection: sa.Connection, endpoint_id: str) -> int:
    """An event number for a test: 0, -1, -2, …"""
    lowest = sa.func.min(deliveries.c.event_id)
    query = sa.select(lowest).where(deliveries.c.webhook_id == endpoint_id, deliveries.c.event_id <= 0)
    found = connection.execute(query).scalar()
    return 0 if found is None else found - 1


def begin_anew(
    connection: sa.Connection, endpoint_id: str, states: Collection[DeliveryState], after: int, now: datetime
) -> int:
    """Deliver again what is in these states, of events after this one, with all the time that a new one has.

    The receiver sees the same ids. Returns how many they are.
    """
    again = connection.execute(
        deliveries.update()
        .where(
            deliveries.c.webhook_id == endpoint_id,
            deliveries.c.event_id > max(after, 0),
            deliveries.c.state.in_([state.value for state in states]),
        )
        .values(
            state=DeliveryState.PENDING.value,
            tries=0,
            created_at=now,
            next_at=now,
            ended_at=None,
            http_status=None,
            error=None,
        )
    )
    return again.rowcount


def due(connection: sa.Connection, now: datetime, per_endpoint: int) -> list[Delivery]:
    """Deliveries whose time has come: of each endpoint so many, because one with a thousand must not hide the others.

    The longest due come first.
    """
    place = sa.func.row_number().over(partition_by=deliveries.c.webhook_id, order_by=deliveries.c.next_at)
    ranked = sa.select(deliveries.c.id, place.label("place")).where(_is_due(now)).subquery()
    query = (
        sa.select(deliveries)
        .join(ranked, ranked.c.id == deliveries.c.id)
        .where(ranked.c.place <= per_endpoint)
        .order_by(deliveries.c.next_at)
    )
    return [_delivery(row) for row in connection.execute(query).mappings()]


def next_due_at(connection: sa.Connection) -> datetime | None:
    query = sa.select(deliveries.c.next_at).where(deliveries.c.state == DeliveryState.PENDING.value)
    return connection.execute(query.order_by(deliveries.c.next_at).limit(1)).scalar()


def any_untried(connection: sa.Connection, now: datetime) -> bool:
    """Whether something is due that was never tried."""
    query = sa.select(deliveries.c.id).where(_is_due(now), deliveries.c.tries == 0).limit(1)
    return connection.execute(query).first() is not None


def claim(connection: sa.Connection, delivery_ids: Sequence[str], until: datetime) -> None:
    """Take them for a try that ends by then. Counted now: a process that dies in the middle has used it up."""
    connection.execute(
        deliveries.update().where(deliveries.c.id.in_(delivery_ids)).values(next_at=until, tries=deliveries.c.tries + 1)
    )


def record(connection: sa.Connection, tried: Delivery, claimed_until: datetime) -> bool:
    """What came of a try. False: it is another's by now, or was given up meanwhile."""
    told = {name: getattr(tried, name) for name in ("next_at", "ended_at", "http_status", "error")}
    ours = _is_claimed(tried.id, claimed_until)
    done = connection.execute(deliveries.update().where(ours).values(state=tried.state.value, **told))
    return bool(done.rowcount)


def release(connection: sa.Connection, delivery_id: str, claimed_until: datetime, now: datetime) -> None:
    """Leave it to others at once. The try does not count: nobody waited for its answer."""
    ours = _is_claimed(delivery_id, claimed_until)
    connection.execute(deliveries.update().where(ours).values(next_at=now, tries=deliveries.c.tries - 1))


def _is_claimed(delivery_id: str, until: datetime) -> sa.ColumnElement[bool]:
    """It is still the try that was claimed until then."""
    pending = deliveries.c.state == DeliveryState.PENDING.value
    return (deliveries.c.id == delivery_id) & pending & (deliveries.c.next_at == until)


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return (deliveries.c.state == DeliveryState.PENDING.value) & (deliveries.c.next_at <= now)


# -- rows and values -------------------------------------------------------------------------------


def _endpoint(row: sa.RowMapping) -> Endpoint:
    values = {name: row[name] for name in row if name != "events_json"}
    return Endpoint(events=tuple(json.loads(row["events_json"])), **values)


def _delivery(row: sa.RowMapping) -> Delivery:
    values = {name: row[name] for name in row if name != "state"}
    return Delivery(state=DeliveryState(row["state"]), **values)


def _delivery_values(delivery: Delivery) -> Mapping[str, object]:
    values = {column.name: getattr(delivery, column.name) for column in deliveries.columns}
    return values | {"state": delivery.state.value}
