"""The feed: what happened, in the order in which it did, with whose job it happened to.

One function for each question, like `store.py`. Numbers may be missing from the sequence: a transaction that is rolled
back uses one up. They never go backwards.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from rushes.jobs import store
from rushes.jobs.hints import HINTED
from rushes.jobs.tables import events, jobs


@dataclass(frozen=True, slots=True)
class Happening:
    """That something happened to a job. What the job looks like now is told by its row."""

    id: int
    job_id: str
    owner: str
    ts: datetime
    kind: str


class Page(NamedTuple):
    """Happenings, and the number up to which there are no others."""

    found: list[Happening]
    upto: int
    more: bool


BOOKS = events.join(jobs, jobs.c.id == events.c.job_id)
COLUMNS = (events.c.id, events.c.job_id, jobs.c.owner, events.c.ts, events.c.kind)
AFTER = (
    sa.select(*COLUMNS)
    .select_from(BOOKS)
    .where(events.c.id > sa.bindparam("after"), events.c.kind != HINTED)
    .order_by(events.c.id)
    .limit(sa.bindparam("limit"))
)
OF_OWNER_AFTER = AFTER.where(jobs.c.owner == sa.bindparam("owner"))


def happenings_after(connection: sa.Connection, after: int, limit: int) -> Page:
    """What happened to anybody's jobs."""
    return _page(connection, AFTER, {"after": after, "limit": limit})


def happenings_of_owner_after(connection: sa.Connection, owner: str, after: int, limit: int) -> Page:
    return _page(connection, OF_OWNER_AFTER, {"owner": owner, "after": after, "limit": limit})


def _page(connection: sa.Connection, query: sa.Executable, values: dict[str, int | str]) -> Page:
    # Read first: what comes in between is after it, and in the next page.
    newest = store.last_event(connection)
    found = [Happening(*row) for row in connection.execute(query, values)]
    more = len(found) == values["limit"]
    upto = found[-1].id if more else max(newest, int(values["after"]))
    return Page([each for each in found if each.id <= upto], upto, more)
