"""The audit log: what the prompt policy decided, for whom, and why. Rows are added and never changed.

It keeps the sha256 of each prompt, which proves later that a prompt was the one in question, and tells nothing of it
to who reads the log. The words themselves are kept only where the operator asks for that.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from rushes.jobs.callers import Caller
from rushes.jobs.database import Database
from rushes.jobs.services import utc_now
from rushes.jobs.tables import audits


class Verdict(StrEnum):
    ALLOWED = "allowed"
    BLOCKED = "blocked"
    ERROR = "error"  # it could not be judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision."""

    ts: datetime
    owner: str
    key_id: str | None
    verdict: Verdict
    reason: str
    prompt_sha256: str
    prompt: str | None  # None: the words are not kept


class Audit:
    """Writes decisions down, and tells them again."""

    def __init__(self, db: Database, *, keep_words: bool = False, now: Callable[[], datetime] = utc_now) -> None:
        self._db = db
        self._keep_words = keep_words
        self._now = now

    async def append(self, prompt: str, verdict: Verdict, reason: str, *, caller: Caller) -> None:
        """Write a decision down, durably."""
        entry = Entry(
            ts=self._now(),
            owner=caller.owner,
            key_id=caller.key_id,
            verdict=verdict,
            reason=reason,
            prompt_sha256=prompt_digest(prompt),
            prompt=_storable(prompt) if self._keep_words else None,
        )
        await self._db.write(lambda connection: insert_audit(connection, entry))

    async def since(self, start: datetime | None = None, *, limit: int = 1000) -> list[Entry]:
        """Decisions from `start` on, newest first, at most so many."""
        return await self._db.read(lambda connection: newest_audits(connection, start, limit))


def prompt_digest(prompt: str) -> str:
    """sha256 of the words in UTF-8, in hex."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _storable(prompt: str) -> str:
    """PostgreSQL keeps no NUL in text, and neither database half a surrogate pair."""
    return prompt.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


# -- questions to the database ---------------------------------------------------------------------


def insert_audit(connection: sa.Connection, entry: Entry) -> None:
    values = {
        "ts": entry.ts,
        "owner": entry.owner,
        "key_id": entry.key_id,
        "verdict": entry.verdict.value,
        "reason": entry.reason,
        "prompt_sha256": entry.prompt_sha256,
        "prompt": entry.prompt,
    }
    connection.execute(audits.insert(), values)


def newest_audits(connection: sa.Connection, start: datetime | None, limit: int) -> list[Entry]:
    query = sa.select(audits).order_by(audits.c.ts.desc(), audits.c.id.desc()).limit(limit)
    if start is not None:
        query = query.where(audits.c.ts >= start)
    return [
        Entry(
            ts=row.ts,
            owner=row.owner,
            key_id=row.key_id,
            verdict=Verdict(row.verdict),
            reason=row.reason,
            prompt_sha256=row.prompt_sha256,
            prompt=row.prompt,
        )
        for row in connection.execute(query)
    ]
