"""Whose turn it is in a lane, how full it is, and what its refusals teach: on a real file and a real server."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.jobs import claims, lanes, store, tables
from rushes.jobs.claims import WorkerRow
from rushes.jobs.database import Database
from rushes.jobs.ledger import Job, JobState
from rushes.jobs.limits import room

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    db.close()


def job(n: int, **changes: Any) -> Job:
    made = Job(
        id=f"video_{n:032x}",
        owner="anna",
        state=JobState.QUEUED,
        model="mybox:video:wan",
        asked_model="wan",
        prompt="A cat",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        created_at=NOW + timedelta(seconds=n),
        deadline=NOW + timedelta(hours=48),
        prepared_json="{}",
        options_json="{}",
        estimate_usd=Decimal("0.80"),
    )
    return replace(made, **changes)


async def admit(db: Database, *jobs: Job) -> None:
    def work(connection: sa.Connection) -> None:
        for each in jobs:
            store.insert_job(connection, each, [each.id])

    await db.write(work)


async def next_ids(db: Database, room: int, provider: str = "mybox", now: datetime = NOW) -> list[str]:
    return await db.read(lambda connection: lanes.next_in_line(connection, provider, room, now))


async def change(db: Database, job_ids: Sequence[str], **values: Any) -> None:
    await db.write(
        lambda connection: connection.execute(tables.jobs.update().where(tables.jobs.c.id.in_(job_ids)).values(values))
    )


# -- how full a lane is --------------------------------------------------------------------------------------------


async def test_a_lane_counts_what_was_sent_whoever_holds_it_and_what_waits(db: Database) -> None:
    await admit(
        db,
        job(1),
        job(2),
        job(3, worker="w1"),
        job(4, state=JobState.SUBMITTING),
        job(5, state=JobState.IN_PROGRESS, worker="w1"),
        job(6, state=JobState.IN_PROGRESS, worker="w2"),
        job(7, state=JobState.DOWNLOADING, worker="w1"),
        job(8, state=JobState.FINISHING, worker="w1"),
        job(9, state=JobState.NEEDS_ATTENTION),
        job(10, state=JobState.COMPLETED),
    )

    (lane,) = await db.read(lanes.lanes)

    assert (lane.provider, lane.queued, lane.in_flight, lane.sending, lane.fetching) == ("mybox", 2, 4, 2, 2)
    assert (lane.jobs_learnt, lane.learnt_at, lane.resume_at) == (None, None, None)


async def test_each_provider_has_a_lane_of_its_own_while_jobs_wait_or_run_there(db: Database) -> None:
    await admit(
        db,
        job(1, model="zai:video:vidu"),
        job(2, state=JobState.IN_PROGRESS),
        job(3, model="azure:video:sora", state=JobState.DOWNLOADING),
        job(4, model="openai:video:sora-2", state=JobState.COMPLETED),
    )

    found = await db.read(lanes.lanes)

    assert [(lane.provider, lane.queued, lane.in_flight) for lane in found] == [("mybox", 0, 1), ("zai", 1, 0)]


# -- whose turn it is ----------------------------------------------------------------------------------------------


async def test_the_oldest_of_one_owner_goes_first(db: Database) -> None:
    await admit(db, job(3), job(1), job(2))

    ids = await next_ids(db, 2)

    assert ids == [job(1).id, job(2).id]


async def test_a_lane_without_room_sends_nobody(db: Database) -> None:
    await admit(db, job(1))

    ids = [await next_ids(db, 0), await next_ids(db, -3)]

    assert ids == [[], []]


async def test_priorities_win_over_age_and_over_fairness(db: Database) -> None:
    await admit(db, job(1, owner="bert"), job(2, priority=5), job(3, priority=5), job(4, priority=9))

    ids = await next_ids(db, 10)

    assert ids == [job(4).id, job(2).id, job(3).id, job(1).id]


async def test_one_job_beside_a_thousand_waits_at_most_one_turn(db: Database) -> None:
    await admit(db, *(job(n) for n in range(1, 1001)), job(1001, owner="bert"))

    ids = await next_ids(db, 2)

    assert ids == [job(1).id, job(1001).id]


async def test_jobs_in_flight_count_as_turns_that_were_had(db: Database) -> None:
    running = [
        job(1, state=JobState.IN_PROGRESS, worker="w1"),
        job(2, state=JobState.SUBMITTING, worker="w1"),
        job(3, worker="w1"),
    ]
    elsewhere = [job(n, owner="bert", model="zai:video:vidu", state=JobState.IN_PROGRESS) for n in (4, 5, 6, 7)]
    waiting = [job(10), job(11), *(job(n, owner="bert") for n in (20, 21, 22, 23))]
    await admit(db, *running, *elsewhere, *waiting)

    ids = await next_ids(db, 10)

    assert ids == [job(n).id for n in (20, 21, 22, 10, 23, 11)]


async def test_a_job_that_may_not_be_sent_yet_lets_others_pass(db: Database) -> None:
    await admit(
        db,
        job(1, not_before=NOW + timedelta(seconds=1)),
        job(2, not_before=NOW),
        job(3, worker="w1"),
        job(4, cancel_requested=True),
        job(5, model="zai:video:vidu"),
        job(6),
    )

    now = await next_ids(db, 10)
    later = await next_ids(db, 10, now=NOW + timedelta(seconds=1))

    assert now == [job(2).id, job(6).id]
    assert later == [job(1).id, job(2).id, job(6).id]


async def test_jobs_that_are_to_end_before_they_began_are_found_in_every_lane(db: Database) -> None:
    await admit(
        db,
        job(1, cancel_requested=True, not_before=NOW + timedelta(hours=1)),
        job(2, cancel_requested=True, model="zai:video:vidu"),
        job(3, cancel_requested=True, worker="w1"),
        job(4, cancel_requested=True, state=JobState.IN_PROGRESS),
        job(5),
    )

    ids = await db.read(lanes.cancelled_in_queue)

    assert ids == [job(1).id, job(2).id]


async def test_slots_are_shared_evenly_while_owners_flood_the_lane(db: Database) -> None:
    counts = {"anna": 60, "bert": 6, "cleo": 1}
    await admit(
        db, *(job(n, owner=owner) for n, owner in enumerate(o for o, many in counts.items() for _ in range(many)))
    )

    started = await _drain(db, slots=4, counts=counts)

    assert Counter(started[:4]) == {"anna": 2, "bert": 1, "cleo": 1}
    assert Counter(started[:13])["bert"] >= 5
    assert len(started) == 67


async def _drain(db: Database, slots: int, counts: Mapping[str, int]) -> list[str]:
    """Fill the slots, end the oldest running job, and so on; returns whose jobs were begun, in order."""
    owner_of = dict(
        zip(
            (job(n).id for n in range(sum(counts.values()))),
            (owner for owner, many in counts.items() for _ in range(many)),
            strict=True,
        )
    )
    started: list[str] = []
    running: list[str] = []
    while len(started) < len(owner_of) or running:
        begun = await next_ids(db, slots - len(running))
        if begun:
            await change(db, begun, state=JobState.IN_PROGRESS.value, worker="w1")
        running += begun
        started += begun
        await change(db, [running.pop(0)], state=JobState.COMPLETED.value)
    assert len(set(started)) == len(started)
    return [owner_of[job_id] for job_id in started]


# -- what refusals teach -------------------------------------------------------------------------------------------


async def test_a_refusal_is_remembered_for_all_workers(db: Database) -> None:
    await admit(
        db,
        job(1, state=JobState.IN_PROGRESS),
        job(2, state=JobState.IN_PROGRESS),
        job(3, state=JobState.SUBMITTING),
        job(4),
        job(5, state=JobState.IN_PROGRESS, model="zai:video:vidu"),
    )

    told = await db.write(lambda connection: lanes.note_refusal(connection, "mybox", 30.0, NOW))
    mybox, zai = await db.read(lanes.lanes)

    assert mybox == told
    assert (mybox.jobs_learnt, mybox.resume_at) == (2, NOW + timedelta(seconds=30))
    assert zai.jobs_learnt is None
    assert (room(mybox, None, NOW + timedelta(seconds=29)), room(mybox, None, NOW + timedelta(seconds=31))) == (0, 0)


async def test_a_second_refusal_builds_on_the_first(db: Database) -> None:
    await admit(db, job(1))

    first = await db.write(lambda connection: lanes.note_refusal(connection, "mybox", None, NOW))
    later = NOW + timedelta(seconds=5)
    second = await db.write(
        lambda connection: lanes.note_refusal(connection, "mybox", None, later, sent_at=NOW + timedelta(seconds=4))
    )

    assert (first.resume_at, second.resume_at) == (NOW + timedelta(seconds=1), later + timedelta(seconds=2))
    assert await db.read(lanes.lanes) == [second]


# -- many workers --------------------------------------------------------------------------------------------------


class TestPlans:
    """Properties that hold for any mixture of jobs. One database, emptied for each example."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        mixture=st.lists(
            st.tuples(
                st.sampled_from(["anna", "bert", "cleo"]),
                st.integers(0, 2),
                st.sampled_from(["waiting", "taken up", "running", "not yet", "to end"]),
            ),
            max_size=25,
        ),
        most=st.integers(0, 12),
    )
    async def test_the_query_takes_turns_as_one_would_by_hand(
        self, db: Database, mixture: list[tuple[str, int, str]], most: int
    ) -> None:
        variants: dict[str, dict[str, Any]] = {
            "waiting": {},
            "taken up": {"worker": "w1"},
            "running": {"worker": "w1", "state": JobState.IN_PROGRESS},
            "not yet": {"not_before": NOW + timedelta(seconds=1)},
            "to end": {"cancel_requested": True},
        }
        made = [job(n, owner=o, priority=p, **variants[what]) for n, (o, p, what) in enumerate(mixture)]
        await db.write(_emptied)
        await admit(db, *made)

        ids = await next_ids(db, most)

        assert ids == [each.id for each in _by_hand(made)][:most]


def _emptied(connection: sa.Connection) -> None:
    connection.execute(tables.videos.delete())
    connection.execute(tables.jobs.delete())


def _by_hand(made: Sequence[Job]) -> list[Job]:
    """Give out turns one by one: of those with the highest priority, to the owner who has had the fewest."""
    taken = [each for each in made if each.worker is not None]
    waiting = [each for each in made if each.worker is None and not each.not_before and not each.cancel_requested]
    order: list[Job] = []
    for priority in sorted({each.priority for each in waiting}, reverse=True):
        had = Counter(each.owner for each in taken)
        left = [each for each in waiting if each.priority == priority]
        while left:
            chosen = min(left, key=lambda each: (had[each.owner], each.created_at))
            had[chosen.owner] += 1
            left.remove(chosen)
            order.append(chosen)
    return order


async def test_workers_that_look_in_the_claiming_transaction_never_overfill_a_lane(db: Database) -> None:
    await admit(db, *(job(n) for n in range(30)))

    def claims_of(worker: str) -> Any:
        row = WorkerRow(id=worker, host="here", pid=1, version="1", started_at=NOW)

        def work(connection: sa.Connection) -> list[str]:
            claims.enrol(connection, row)
            found = lanes.lanes(connection)
            free = room(found[0], 5, NOW) if found else 0
            return claims.claim(connection, worker, lanes.next_in_line(connection, "mybox", free, NOW))

        return work

    taken = [job_id for worker in ("w1", "w2", "w3") for job_id in await db.write(claims_of(worker))]

    assert taken == [job(n).id for n in range(5)]
