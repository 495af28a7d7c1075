"""The census and the feed, on both databases: what is counted, and in which order events are read."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rushes.jobs import feed, store, tables
from rushes.jobs.census import TOOK_S, Census, Kind, Money, census
from rushes.jobs.database import Database
from rushes.jobs.ledger import JobState

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def db(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    (tmp_path / "home").mkdir(exist_ok=True)
    db = await Database.open(database_url)
    yield db
    db.close()


class Books:
    """Writes rows as the census finds them."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._n = 0

    def job(self, state: str = "completed", **values: Any) -> str:
        self._n += 1
        job_id = f"video_{self._n:032x}"
        row = {
            "id": job_id,
            "owner": "local",
            "state": state,
            "model": "draft",
            "provider": "draft",
            "asked_model": "draft",
            "prompt": "a fox",
            "fingerprint": "0" * 64,
            "slot": 0,
            "priority": 0,
            "created_at": NOW + timedelta(seconds=self._n),
            "deadline": NOW,
            "prepared_json": "{}",
            "options_json": "{}",
            **values,
        }
        self._connection.execute(tables.jobs.insert().values(row))
        return job_id

    def attempt(self, job_id: str, took_s: float, **values: Any) -> None:
        row = {
            "job_id": job_id,
            "n": 1,
            "provider": "draft",
            "account": "here",
            "model": "draft",
            "state": "ended",
            "key": job_id,
            "request_hash": "0" * 64,
            "intent_at": NOW,
            "answered_at": NOW,
            "ended_at": NOW + timedelta(seconds=took_s),
            **values,
        }
        self._connection.execute(tables.attempts.insert().values(row))

    def video(self, job_id: str, size_bytes: int, stored_under: str | None, **values: Any) -> None:
        row = {"id": job_id, "job_id": job_id, "n": 0, "size_bytes": size_bytes, "stored_under": stored_under, **values}
        self._connection.execute(tables.videos.insert().values(row))

    def asset(self, video_id: str, variant: str, size_bytes: int) -> None:
        row = {"video_id": video_id, "variant": variant, "size_bytes": size_bytes}
        row |= {"sha256": "0" * 64, "mime": "image/webp", "made_by": "us"}
        self._connection.execute(tables.assets.insert().values(row))

    def hold(self, job_id: str, provider: str, held: str, settled: str, overrun: str = "0") -> None:
        row = {"job_id": job_id, "owner": "local", "provider": provider, "day": "2026-11-21", "unknown": False}
        row |= {"held_usd": Decimal(held), "settled_usd": Decimal(settled), "overrun_usd": Decimal(overrun), "at": NOW}
        self._connection.execute(tables.holds.insert().values(row))


async def test_an_empty_ledger_counts_to_nothing(db: Database) -> None:
    found = await db.read(census)

    assert (found.ended, found.took, found.money, found.queued_since) == ({}, {}, {}, None)
    assert set(found.open.values()) == {0}
    assert found.stored_bytes == {"video": 0}


async def test_jobs_are_counted_by_what_became_of_them(db: Database) -> None:
    def work(connection: sa.Connection) -> Census:
        books = Books(connection)
        books.job("completed")
        books.job("completed", deleted_at=NOW)
        books.job("completed", cached_from="video_1")
        books.job("failed", failure_code="moderation_blocked")
        books.job("failed", failure_code="expired", model="zai:video:x")
        books.job("cancelled")
        books.job("queued")
        books.job("queued")
        books.job("needs_attention")
        return census(connection)

    found = await db.write(work)

    assert found.ended == {
        Kind("draft", "completed"): 2,
        Kind("draft", "cached"): 1,
        Kind("draft", "moderated"): 1,
        Kind("zai:video:x", "failed"): 1,
        Kind("draft", "cancelled"): 1,
    }
    assert (found.open[JobState.QUEUED], found.open[JobState.NEEDS_ATTENTION], found.open[JobState.FINISHING]) == (
        2,
        1,
        0,
    )
    assert found.queued_since == NOW + timedelta(seconds=7)


async def test_generation_times_are_counted_where_a_video_came_of_them(db: Database) -> None:
    def work(connection: sa.Connection) -> Census:
        books = Books(connection)
        for took_s in (0.5, 1.0, 1.5, 5000):
            books.attempt(books.job(), took_s)
        books.attempt(books.job("failed"), 3, error_code="moderation_blocked")
        books.attempt(books.job("in_progress"), 3, state="created", ended_at=None)
        return census(connection)

    took = (await db.write(work)).took["draft"]

    assert (took.count, took.sum_s) == (4, 5003.0)
    assert dict(zip(TOOK_S, took.at_most, strict=True)) == {bound: 2 if bound == 1 else 3 for bound in TOOK_S}


async def test_files_count_once_however_many_share_them_and_not_when_they_are_gone(db: Database) -> None:
    def work(connection: sa.Connection) -> Census:
        books = Books(connection)
        own, served, gone, hidden = books.job(), books.job(), books.job(), books.job(deleted_at=NOW)
        books.video(own, 1000, own)
        books.video(served, 1000, own)
        books.video(gone, 500, gone, gone_at=NOW)
        books.video(hidden, 300, hidden)
        books.asset(own, "thumbnail", 70)
        books.asset(hidden, "thumbnail", 30)
        return census(connection)

    assert (await db.write(work)).stored_bytes == {"video": 1000, "thumbnail": 70}


async def test_money_is_summed_by_provider(db: Database) -> None:
    def work(connection: sa.Connection) -> Census:
        books = Books(connection)
        books.hold(books.job(), "zai", "0.20", "1.10", "0.05")
        books.hold(books.job(), "zai", "0", "0.90")
        books.hold(books.job(), "draft", "0", "0")
        return census(connection)

    nothing = Decimal(0)
    assert (await db.write(work)).money == {
        "zai": Money(Decimal("2.00"), Decimal("0.20"), Decimal("0.05")),
        "draft": Money(nothing, nothing, nothing),
    }


async def test_the_feed_reads_on_in_pages_and_tells_whose_each_event_is(db: Database) -> None:
    def work(connection: sa.Connection) -> tuple[feed.Page, feed.Page, feed.Page]:
        books = Books(connection)
        mine, theirs = books.job(), books.job(owner="key_1")
        for job_id, kind in ((mine, "queued"), (theirs, "queued"), (mine, "hinted"), (mine, "completed")):
            store.insert_event(connection, job_id, kind, NOW)
        first = feed.happenings_after(connection, 0, 2)
        rest = feed.happenings_after(connection, first.upto, 2)
        return first, rest, feed.happenings_of_owner_after(connection, "key_1", 0, 5)

    first, rest, theirs = await db.write(work)

    assert [(each.owner, each.kind) for each in first.found] == [("local", "queued"), ("key_1", "queued")]
    assert (first.more, first.upto) == (True, first.found[-1].id)
    assert [(each.owner, each.kind) for each in rest.found] == [("local", "completed")]
    assert (rest.more, rest.upto) == (False, rest.found[-1].id)
    assert [each.owner for each in theirs.found] == ["key_1"]
    assert (theirs.more, theirs.upto) == (False, rest.upto)
