"""Repeated creates: how one that comes a second time over HTTP is known again, so that it is not bought twice.

Two ways lead to the job of the first. An `Idempotency-Key` names it: for a day the same key and body mean that job,
also while it is being admitted, and the key with another body is an error. And a client's library may say that it asks
again by itself, because it got no answer: it may claim the newest job of the same body whose answer was not fully
sent. Two people who ask for the same thing at the same time each get a video: neither says that he asks again, and an
answer that was sent is not taken for a lost one.

Which create it repeats it does not say, so that is guessed, and never so that more jobs come of it than calls: what was
claimed may be claimed again by who asks for the third time, whose second answer was lost as well, and not by another
who asks for the second; and who asks for the third time takes one that was claimed before, and leaves the others.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from rushes.errors import Conflict
from rushes.jobs.tables import creates

KEY_LIFE = timedelta(hours=24)
CLAIM_LIFE = timedelta(minutes=11)
"""A little more than the ten minutes after which the libraries give a request up and ask again."""
KEY_MAX = 255


class KeyReused(Conflict):
    """An idempotency key came with another body than before."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What a create tells of itself. `token` is this request's own.

    `busy` gives the tokens of requests whose answers are on their way, or are known to be sent and not written down
    yet. It is asked within the transaction, on a thread of its own: what has begun by then must be in it.
    """

    body_hash: str
    idempotency_key: str | None = None
    again: int = 0  # how many times it was asked before
    token: str
    busy: Callable[[], Collection[str]] = tuple[str]


def with_key(connection: sa.Connection, owner: str, repeat: Repeat, now: datetime) -> str | None:
    """The job of the create that came with the same idempotency key. Raises KeyReused."""
    if repeat.idempotency_key is None:
        return None
    known = connection.execute(
        sa.select(creates).where(
            creates.c.owner == owner,
            creates.c.idempotency_key == repeat.idempotency_key,
            creates.c.at > now - KEY_LIFE,
        )
    ).first()
    if known is not None and known.body_hash != repeat.body_hash:
        raise KeyReused("This Idempotency-Key was used before, with another request. Send a new key.")
    return None if known is None else known.job_id


def job_of(connection: sa.Connection, owner: str, repeat: Repeat, now: datetime) -> str | None:
    """The job of the create that this one repeats. Raises KeyReused."""
    if repeat.idempotency_key is not None:
        return with_key(connection, owner, repeat, now)
    if not repeat.again:
        return None
    row = connection.execute(
        sa.select(creates)
        .where(
            creates.c.owner == owner,
            creates.c.body_hash == repeat.body_hash,
            creates.c.at > now - CLAIM_LIFE,
            creates.c.idempotency_key.is_(None),  # a repetition of that has the key as well
            creates.c.answered_at.is_(None),
            creates.c.token.not_in(list(repeat.busy())),
            creates.c.claimed < repeat.again,
        )
        .order_by(creates.c.claimed.desc(), creates.c.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    ours = {"claimed": repeat.again, "token": repeat.token}
    connection.execute(creates.update().where(creates.c.id == row.id).values(ours))
    return row.job_id


def remember(connection: sa.Connection, owner: str, repeat: Repeat, job_id: str, now: datetime) -> None:
    """Write a create down. What is older than any use of it goes."""
    connection.execute(creates.delete().where(creates.c.at <= now - KEY_LIFE))
    connection.execute(
        creates.insert(),
        {
            "owner": owner,
            "body_hash": repeat.body_hash,
            "idempotency_key": repeat.idempotency_key,
            "job_id": job_id,
            "at": now,
            "token": repeat.token,
            "claimed": 0,
        },
    )


def mark_answered(connection: sa.Connection, tokens: Iterable[str], now: datetime) -> None:
    """The answers to these requests were fully sent."""
    young = creates.c.at > now - CLAIM_LIFE
    connection.execute(creates.update().where(young, creates.c.token.in_(list(tokens))).values(answered_at=now))
