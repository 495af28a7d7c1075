"""Hints: somebody says that a job on a far side has changed, so it is looked at sooner.

A hint is an event of the job and changes nothing else. It may be false, or sent by anybody who knows a remote id:
what is true is what the provider says when it is asked. So there is at most one for a job within two seconds.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from rushes.jobs import store
from rushes.jobs.database import Database
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.tables import attempts, events, jobs

HINTED = "hinted"
LEAST_DISTANCE = timedelta(seconds=2)


async def hint(db: Database, now: datetime, provider_name: str, remote_id: str) -> None:
    """Have the running job of that remote id looked at. Where there is none, nothing happens."""

    def wanted(connection: sa.Connection) -> list[str]:
        running = _running(connection, provider_name, remote_id)
        return [job_id for job_id in running if not _hinted_since(connection, job_id, now - LEAST_DISTANCE)]

    def work(connection: sa.Connection) -> None:
        for job_id in wanted(connection):
            store.insert_event(connection, job_id, HINTED, now)

    if await db.read(wanted):  # first: most of what strangers send needs no turn at writing
        await db.write(work)


def hinted_after(connection: sa.Connection, after: int) -> tuple[int, set[str]]:
    """The number of the newest event, and the jobs that were hinted at since the one of that number."""
    last = store.last_event(connection)
    if last <= after:
        return after, set()
    query = sa.select(events.c.job_id).where(events.c.id > after, events.c.kind == HINTED)
    return last, set(connection.execute(query).scalars())


def _running(connection: sa.Connection, provider_name: str, remote_id: str) -> list[str]:
    """The jobs that wait for this remote one; more than one where two accounts use the same id."""
    # The index on remote ids begins with the account. These are few, and found by hopping from one to the next: a
    # stranger's guess must not cost a look at every attempt.
    first = sa.select(sa.func.min(attempts.c.account).label("account")).cte("accounts", recursive=True)
    following = sa.select(sa.func.min(attempts.c.account)).where(attempts.c.account > first.c.account)
    accounts = first.union_all(sa.select(following.scalar_subquery()).where(first.c.account.is_not(None)))
    waiting = sa.select(attempts.c.job_id).where(
        attempts.c.account.in_(sa.select(accounts.c.account)),
        attempts.c.remote_id == remote_id,
        attempts.c.provider == provider_name,
        attempts.c.state == AttemptState.CREATED.value,
    )
    # Two questions: in one, the planner would begin with all running jobs.
    job_ids = list(connection.execute(waiting).scalars())
    running = sa.select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.state == JobState.IN_PROGRESS.value)
    return list(connection.execute(running).scalars()) if job_ids else []


def _hinted_since(connection: sa.Connection, job_id: str, moment: datetime) -> bool:
    query = sa.select(sa.func.max(events.c.ts)).where(events.c.job_id == job_id, events.c.kind == HINTED)
    last = connection.execute(query).scalar()
    return last is not None and last > moment
