"""The census: how many jobs there are of which kind, how long they took, what they weigh and cost. For monitoring.

Everything is counted from the ledger, so every process of a deployment tells the same. All SQL of it is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from rushes.jobs.budget import NOTHING
from rushes.jobs.ledger import FINAL_JOB_STATES, OPEN_JOB_STATES, AttemptState, JobState
from rushes.jobs.tables import assets, attempts, holds, jobs, videos
from rushes.providers.refusals import MODERATION_CODES

MICROSECONDS = 1_000_000
TOOK_S = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
"""Upper ends of the classes into which generation times are counted."""


class Kind(NamedTuple):
    """What became of jobs of a model: `completed`, `cached`, `failed`, `moderated` or `cancelled`."""

    model: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Took:
    """Generation times of a model: how many were within each bound of `TOOK_S`, how many there are, and their sum."""

    at_most: tuple[int, ...]
    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class Money:
    settled_usd: Decimal
    held_usd: Decimal
    overrun_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All of it at one moment."""

    ended: Mapping[Kind, int]
    took: Mapping[str, Took]
    open: Mapping[JobState, int]
    queued_since: datetime | None  # the oldest job that waits for its turn
    stored_bytes: Mapping[str, int]  # by `video`, `thumbnail` and so on
    money: Mapping[str, Money]  # by provider


def census(connection: sa.Connection) -> Census:
    return Census(
        ended=ended(connection),
        took=took(connection),
        open=open_now(connection),
        queued_since=queued_since(connection),
        stored_bytes=stored_bytes(connection),
        money=money(connection),
    )


def ended(connection: sa.Connection) -> dict[Kind, int]:
    """How many jobs ended how. Deleted ones count: what is counted must never become less."""
    outcome = sa.case(
        (jobs.c.failure_code.in_(sorted(MODERATION_CODES)), "moderated"),
        (jobs.c.cached_from.is_not(None) & (jobs.c.state == JobState.COMPLETED.value), "cached"),
        else_=jobs.c.state,
    ).label("outcome")
    query = (
        sa.select(jobs.c.model, outcome, sa.func.count().label("n"))
        .where(jobs.c.state.in_(_values(FINAL_JOB_STATES)))
        .group_by(jobs.c.model, sa.literal_column(outcome.name))  # by name: PostgreSQL takes the case twice for two
    )
    return {Kind(row.model, row.outcome): row.n for row in connection.execute(query)}


def took(connection: sa.Connection) -> dict[str, Took]:
    """How long providers took from accepting to the end, where a video came of it."""
    ended_at = sa.type_coerce(attempts.c.ended_at, sa.BigInteger)
    spent = ended_at - sa.type_coerce(attempts.c.answered_at, sa.BigInteger)
    classes = [sa.func.sum(sa.case((spent <= bound * MICROSECONDS, 1), else_=0)) for bound in TOOK_S]
    query = (
        sa.select(attempts.c.model, sa.func.count(), sa.func.sum(spent), *classes)
        .where(
            attempts.c.state == AttemptState.ENDED.value,
            attempts.c.error_code.is_(None),
            attempts.c.answered_at.is_not(None),
        )
        .group_by(attempts.c.model)
    )
    rows = [tuple[Any, ...](row) for row in connection.execute(query)]
    return {
        model: Took(tuple(int(n) for n in at_most), int(count), float(spent_us) / MICROSECONDS)
        for model, count, spent_us, *at_most in rows
    }


def open_now(connection: sa.Connection) -> dict[JobState, int]:
    """How many jobs are in each state that is not final; every one is a key."""
    query = sa.select(jobs.c.state, sa.func.count()).where(jobs.c.state.in_(_values(OPEN_JOB_STATES)))
    found = {JobState(state): n for state, n in connection.execute(query.group_by(jobs.c.state))}
    return {state: found.get(state, 0) for state in sorted(OPEN_JOB_STATES)}


def queued_since(connection: sa.Connection) -> datetime | None:
    query = sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.state == JobState.QUEUED.value)
    return connection.execute(query).scalar()


def stored_bytes(connection: sa.Connection) -> dict[str, int]:
    """What the library keeps for videos that are shown; files that several of them share count once."""
    shown = videos.join(jobs, jobs.c.id == videos.c.job_id)
    here = [videos.c.stored_under.is_not(None), videos.c.gone_at.is_(None), jobs.c.deleted_at.is_(None)]
    folders = (
        sa.select(videos.c.stored_under, sa.func.max(videos.c.size_bytes).label("size_bytes"))
        .select_from(shown)
        .where(*here)
        .group_by(videos.c.stored_under)
        .subquery()
    )
    whole = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(folders.c.size_bytes), 0))).scalar_one()
    beside = (
        sa.select(assets.c.variant, sa.func.sum(assets.c.size_bytes))
        .select_from(assets.join(folders, folders.c.stored_under == assets.c.video_id))
        .group_by(assets.c.variant)
    )
    return {"video": int(whole), **{variant: int(size_bytes) for variant, size_bytes in connection.execute(beside)}}


def money(connection: sa.Connection) -> dict[str, Money]:
    """What was spent at each provider, and is held."""
    sums = [sa.func.sum(column) for column in (holds.c.settled_usd, holds.c.held_usd, holds.c.overrun_usd)]
    query = sa.select(holds.c.provider, *sums).group_by(holds.c.provider)
    return {
        provider: Money(*(amount or NOTHING for amount in amounts)) for provider, *amounts in connection.execute(query)
    }


def _values(states: frozenset[JobState]) -> Sequence[str]:
    return sorted(state.value for state in states)
