"""The audit log: what was decided, for whom, and no word of a prompt unless the operator keeps them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select

from rushes.jobs.audit import Audit, Entry, Verdict, prompt_digest
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.database import Database
from rushes.jobs.tables import audits

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALICE = Caller(owner="film team", key_id="key_alice")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    db.close()


async def test_a_decision_is_told_again_as_it_was_made(db: Database) -> None:
    audit = Audit(db, now=lambda: NOW)

    await audit.append("A cat", Verdict.BLOCKED, "block list: block, entry 1", caller=ALICE)

    assert await audit.since() == [
        Entry(
            ts=NOW,
            owner="film team",
            key_id="key_alice",
            verdict=Verdict.BLOCKED,
            reason="block list: block, entry 1",
            prompt_sha256=sha256(b"A cat").hexdigest(),
            prompt=None,
        )
    ]


async def test_no_word_of_a_prompt_is_kept_unless_asked_for(db: Database) -> None:
    await Audit(db).append("A secret CANARY", Verdict.ALLOWED, "block list", caller=LOCAL)
    assert "CANARY" not in str(await db.read(lambda connection: connection.execute(select(audits)).all()))

    await Audit(db, keep_words=True).append("A secret CANARY", Verdict.ALLOWED, "block list", caller=LOCAL)

    assert [entry.prompt for entry in await Audit(db).since()] == ["A secret CANARY", None]


async def test_decisions_are_told_newest_first_from_a_time_on_and_not_too_many(db: Database) -> None:
    for hours in range(5):
        audit = Audit(db, now=lambda hours=hours: NOW + timedelta(hours=hours))
        await audit.append(f"prompt {hours}", Verdict.ALLOWED, str(hours), caller=LOCAL)
    audit = Audit(db)

    assert [entry.reason for entry in await audit.since()] == ["4", "3", "2", "1", "0"]
    assert [entry.reason for entry in await audit.since(NOW + timedelta(hours=2))] == ["4", "3", "2"]
    assert [entry.reason for entry in await audit.since(limit=2)] == ["4", "3"]


@pytest.mark.parametrize("prompt", ["", "\x00", "half a pair \ud83d", "a\nb", "x" * 100_000, "' OR 1=1 --"])
async def test_any_prompt_can_be_written_down(db: Database, prompt: str) -> None:
    await Audit(db, keep_words=True).append(prompt, Verdict.ALLOWED, "block list", caller=LOCAL)

    [entry] = await Audit(db).since()
    assert entry.prompt is not None
    assert entry.prompt_sha256 == prompt_digest(prompt)
