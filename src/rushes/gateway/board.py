"""The board: what every job looks like now, kept in memory and told of changes by the ledger's events.

A client looks at its job again and again, and nothing has changed: such a look costs no question to the database. Who
changes a job through this process says so (`forget`), and sees it changed at once; what others change is seen within
the time that an event takes. When the database is away, the last known state stays good: trouble of ours is no trouble
of a client that only looks.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa

from rushes.errors import RushesError
from rushes.gateway.problems import not_found
from rushes.gateway.views import View, view_of
from rushes.jobs import shelf, store
from rushes.jobs.ledger import Job
from rushes.jobs.services import Services
from rushes.jobs.shelf import VideoRow
from rushes.video import ledger_id

MOST = 20_000
"""Entries, of a few kilobytes each unless prompts are very long: they hold the prompt, and each answer made of it."""


@dataclass(slots=True)
class Entry:
    """A job on the board. `bodies` holds answers that were made of it, by the dialect that made them."""

    view: View
    fresh: bool = True
    bodies: dict[str, bytes] = field(default_factory=dict[str, bytes])


class Board:
    """Views of jobs by the ids of the jobs and of their videos."""

    def __init__(self, services: Services, most: int = MOST) -> None:
        self._s = services
        self._most = most
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._being_read: dict[str, int] = {}
        self._changed: set[str] = set()

    def forget(self, job_ids: Collection[str]) -> None:
        """Something happened to these jobs: they are read anew at the next look."""
        for job_id in job_ids:
            if (entry := self._entries.get(job_id)) is not None:
                entry.fresh = False
            if job_id in self._being_read:
                self._changed.add(job_id)  # what is being read may be of the time before

    async def look(self, text: str, owner: str) -> Entry:
        """The job of a job's or a video's id, if it is this owner's. Raises Problem (404), one for all others."""
        key = ledger_id(text)
        if "\0" in key:
            raise not_found("video", text)  # no id has one, and no database takes it
        entry = self._entries.get(key)
        if entry is None or not entry.fresh or self._overdue(entry.view):
            entry = await self._read(key, entry)
        if entry is None or entry.view.owner != owner:
            raise not_found("video", text)
        return entry

    def _overdue(self, view: View) -> bool:
        return not view.final and self._s.now() >= view.deadline

    async def _read(self, key: str, known: Entry | None) -> Entry | None:
        self._being_read[key] = self._being_read.get(key, 0) + 1
        try:
            found = await self._s.db.read(lambda connection: _shown(connection, key))
        except RushesError as error:
            if known is not None and error.retryable:
                return known
            raise
        finally:
            self._being_read[key] -= 1
            if not self._being_read[key]:
                del self._being_read[key]
        if found is None:
            self._entries.pop(key, None)
            return None
        job, rows = found
        entry = Entry(view_of(job, rows, self._s.now()))
        if key == job.id:  # other videos of a job are rare, and looked up by their own ids each time
            entry.fresh = key not in self._changed
            self._keep(key, entry)
        self._changed &= self._being_read.keys()
        return entry

    def _keep(self, key: str, entry: Entry) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)


def _shown(connection: sa.Connection, job_or_video_id: str) -> tuple[Job, list[VideoRow]] | None:
    """A job with its videos, unless it is deleted."""
    row = shelf.video_by_id(connection, job_or_video_id)
    job = store.job_by_id(connection, row.job_id) if row else None
    if job is None or job.deleted_at is not None:
        return None
    return job, shelf.videos_of(connection, job.id)
