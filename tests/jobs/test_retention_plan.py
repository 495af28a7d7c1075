"""What gc decides, whatever the library looks like: what may go, what never may, and in which order."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.jobs.inventory import Found, Kind, in_store
from rushes.jobs.ledger import JobState
from rushes.jobs.retention import SAFETY_AGE, Plan, Policy, References, Why, plan_gc
from rushes.jobs.shelf import Holding
from rushes.media.store import Listed, video_key
from rushes.video import new_video_id

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    found: tuple[Found, ...]
    held: tuple[Holding, ...]

    def plan(self, policy: Policy) -> Plan:
        return plan_gc(self.found, References(held=self.held, inputs=frozenset()), policy, NOW)

    def users(self, folder: str) -> list[Holding]:
        """Every video that somebody may ask for, or will, and whose files lie in a folder."""
        return [
            each
            for each in self.held
            if (not each.state.final and folder in (each.video_id, each.stored_under))
            or (each.state.final and not each.deleted and each.stored_under == folder)
        ]

    def made_at(self, folder: str) -> datetime:
        return max(each.made_at for each in self.users(folder) if each.made_at)

    def size(self, folder: str) -> int:
        return sum(each.size_bytes for each in self.found if each.folder == folder)

    def folders(self) -> set[str]:
        return {each.folder for each in self.found if each.folder}

    def awaited(self) -> set[str]:
        """The folders that need not be there and are counted on: of open jobs, and of what was not found missing."""
        opened = {each.video_id for each in self.held if not each.state.final}
        return opened | {each.stored_under for each in self.held if each.stored_under and not each.gone}

    def started_from(self, folder: str) -> set[str]:
        """The folders of the videos that began with one in this folder."""
        here = {each.video_id for each in self.users(folder)}
        return {
            other
            for other in self.folders() | self.awaited()
            for each in self.users(other)
            if other != folder and each.source_video in here
        }

    def pinned(self, folder: str, policy: Policy) -> bool:
        return any(not each.state.final or (each.tagged and not policy.tagged) for each in self.users(folder))

    def marked(self, plan: Plan) -> "World":
        """As the ledger says it after the plan was decided, with no file removed yet."""
        gone = {each.folder for each in plan.removals if each.why.of_the_library}
        held = [replace(h, stored_under=None, gone=True) if h.stored_under in gone else h for h in self.held]
        return World(self.found, tuple(held))

    def removed(self, plan: Plan) -> "World":
        names = {file.name for each in plan.removals for file in each.files}
        return World(tuple(each for each in self.found if each.name not in names), self.marked(plan).held)


def file_in(folder: str, size_bytes: int, age: timedelta) -> Found:
    return in_store(Listed(key=video_key(folder), size_bytes=size_bytes, modified=NOW - age))


ages = st.integers(0, 180).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    found: list[Found] = []
    held: list[Holding] = []
    for n in range(draw(st.integers(0, 7))):
        video_id = f"video_{n:032x}"
        earlier = st.sampled_from([each.video_id for each in held]) if held else st.nothing()
        # What serves a second video was finished once: nothing is ever served from the folder of a failed one.
        finished = sorted({each.stored_under for each in held if each.stored_under})
        folders = st.sampled_from(finished) if finished else st.nothing()
        age = draw(ages)
        state = draw(st.sampled_from([JobState.COMPLETED] * 4 + [JobState.FAILED, JobState.IN_PROGRESS]))
        shared = draw(st.none() | folders) if state is JobState.COMPLETED else None
        folder = shared or video_id
        stored = state is JobState.COMPLETED
        if shared is None and draw(st.sampled_from([True, True, True, False])):
            found.append(file_in(video_id, draw(st.integers(1, 100)), age))
        held.append(
            Holding(
                video_id=video_id,
                job_id=video_id,
                model="openai:video:sora-2",
                state=state,
                deleted=draw(st.sampled_from([False, False, False, True])),
                tagged=draw(st.sampled_from([False, False, False, True])),
                stored_under=folder if stored else None,
                gone=draw(st.sampled_from([False, False, False, True])) if stored else False,
                made_at=NOW - age if stored else None,
                source_video=draw(st.none() | earlier) if shared is None else None,
            )
        )
    for n in range(draw(st.integers(0, 2))):
        found.append(file_in(f"video_{n + 1000:032x}", draw(st.integers(1, 100)), draw(ages)))
    return World(tuple(found), tuple(held))


policies = st.builds(
    Policy,
    older_than=st.none() | ages,
    keep_bytes=st.none() | st.integers(0, 400),
    tagged=st.booleans(),
    keep_unknown=st.booleans(),
)


@given(world=worlds(), policy=policies)
def test_nothing_goes_that_something_staying_refers_to(world: World, policy: Policy) -> None:
    plan = world.plan(policy)

    going = {each.folder for each in plan.removals if each.folder}
    for removal in plan.removals:
        assert removal.folder is not None
        if removal.why.of_the_library:
            assert not world.pinned(removal.folder, policy)
            assert world.started_from(removal.folder) <= going
        else:
            assert not world.users(removal.folder)


@given(world=worlds(), policy=policies)
def test_as_much_goes_as_was_asked_if_it_may(world: World, policy: Policy) -> None:
    plan = world.plan(policy)

    going = {each.folder for each in plan.removals}
    staying = {each for each in world.folders() - going if world.users(each)}
    assert plan.staying_bytes == sum(world.size(each) for each in staying)
    for folder in staying:
        if world.pinned(folder, policy) or world.started_from(folder) - going:
            continue
        age = NOW - world.made_at(folder)
        assert policy.older_than is None or age <= policy.older_than
        assert policy.keep_bytes is None or plan.staying_bytes <= policy.keep_bytes or age < SAFETY_AGE


@given(world=worlds(), policy=policies)
def test_the_oldest_goes_first(world: World, policy: Policy) -> None:
    plan = world.plan(policy)

    going = {each.folder: each.why for each in plan.removals}
    ends = [each for each in world.folders() if world.users(each) and not world.started_from(each)]
    newest = max((world.made_at(each) for each in ends if going.get(each) is Why.TOO_MUCH), default=NOW)
    for folder in ends:
        if folder not in going and not world.pinned(folder, policy):
            assert Why.TOO_MUCH not in {going.get(each) for each in ends} or world.made_at(folder) >= newest


@given(world=worlds(), policy=policies)
def test_no_size_asked_for_takes_more_than_it_needs(world: World, policy: Policy) -> None:
    plan = world.plan(policy)

    extra = [each for each in plan.removals if each.why is Why.TOO_MUCH]
    if extra and policy.keep_bytes is not None:
        assert plan.staying_bytes + max(each.size_bytes for each in extra) > policy.keep_bytes


@given(world=worlds(), policy=policies)
def test_a_second_run_finds_nothing_more_to_do(world: World, policy: Policy) -> None:
    after = world.removed(world.plan(policy))

    assert after.plan(policy).removals == ()


@given(world=worlds(), policy=policies)
def test_what_was_marked_and_not_removed_goes_with_the_next_run(world: World, policy: Policy) -> None:
    plan = world.plan(policy)
    crashed = world.marked(plan)

    left = {each.folder for each in crashed.plan(Policy()).removals}

    assert {each.folder for each in plan.removals if each.why.of_the_library} <= left


@given(world=worlds(), policy=policies)
def test_nothing_goes_as_an_orphan_within_the_safety_age(world: World, policy: Policy) -> None:
    for removal in world.plan(policy).removals:
        if removal.why in (Why.DELETED, Why.UNKNOWN):
            assert all(NOW - each.modified >= SAFETY_AGE for each in removal.files)


def test_a_database_that_knows_no_video_takes_nothing_it_does_not_know() -> None:
    old = timedelta(days=9)
    stray = in_store(Listed(key=f"inputs/{'a' * 64}", size_bytes=5, modified=NOW - old))
    world = World((file_in(new_video_id(), 10, old), stray), ())

    assert world.plan(Policy(older_than=timedelta(0), keep_bytes=0)).removals == ()


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (f"videos/video_{'a' * 32}/video.mp4", Kind.VIDEO),
        (f"videos/video_{'a' * 32}/video.c2pa", Kind.MANIFEST),
        (f"videos/video_{'a' * 32}/thumbnail.webp", Kind.PICTURE),
        (f"videos/video_{'a' * 32}/.video.mp4.7.abc.tmp", Kind.LEFTOVER),
        (f"inputs/{'a' * 64}", Kind.INPUT),
        ("inputs/holiday.png", Kind.OTHER),
        ("videos/holiday/video.mp4", Kind.OTHER),
        ("holiday.mp4", Kind.OTHER),
    ],
)
def test_a_file_is_known_by_its_place(key: str, kind: Kind) -> None:
    found = in_store(Listed(key=key, size_bytes=1, modified=NOW))

    assert found.kind is kind
