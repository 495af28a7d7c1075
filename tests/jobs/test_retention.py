"""gc over a real library: what goes, what is kept of it, and what is left when it is killed half-way."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from PIL import Image
from workshop import Clock, Crash, Open, Workshop, crashing_at

from rushes.errors import MediaError
from rushes.jobs import shelf
from rushes.jobs.admission import Order
from rushes.jobs.inventory import Kind
from rushes.jobs.lineage import Lineage
from rushes.jobs.retention import SAFETY_AGE, Policy, Retention, Why
from rushes.jobs.shelf import Character
from rushes.jobs.tags import Tags
from rushes.media.store import THUMBNAIL, MediaStore, input_key, video_key
from rushes.providers.terms import Variant
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import MediaRef, SourceKind, SourceVideo, new_video_id

pytestmark = pytest.mark.anyio

ALL = Policy(older_than=timedelta(0))
LONG = SAFETY_AGE + timedelta(minutes=1)


def retention_of(shop: Workshop) -> Retention:
    return Retention(shop.services, shop.services.spool.parent)


def age(path: Path, by: timedelta = LONG) -> None:
    then = path.stat().st_mtime - by.total_seconds()
    os.utime(path, (then, then))


def written(path: Path, data: bytes = b"x" * 100, *, by: timedelta = LONG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    age(path, by)
    return path


def folder_of(shop: Workshop, video_id: str) -> Path:
    path = shop.services.media.local_path(video_key(video_id))
    assert path is not None
    return path.parent


async def remixed(shop: Workshop, job_id: str, prompt: str = "In red") -> str:
    """Admit a remix of a video, as a plan would prepare it."""
    origin = await Lineage(shop.services, shop.jobs).origin(job_id)
    made = shop.prepared(prompt)
    source = SourceVideo(
        kind=SourceKind.REMIX,
        video_id=origin.video.id,
        size=origin.size,
        seconds=origin.seconds,
        remote_id=origin.remote_id,
        account=origin.account,
    )
    route = replace(made, request=replace(made.request, source=source))
    return (await shop.jobs.submit(Order(routes=(route,), asked_model="sora-2"))).job_id


async def test_a_collected_video_keeps_everything_but_its_files(shop: Workshop) -> None:
    job_id = await shop.made()
    [before] = await shop.jobs.videos(job_id)
    await shop.library.picture(before, Variant.SPRITESHEET)

    done = await retention_of(shop).collect(ALL)

    [after] = await shop.jobs.videos(job_id)
    [removal] = done.plan.removals
    absence = (await retention_of(shop).absences([job_id]))[job_id]
    assert (removal.why, removal.folder, done.problems) == (Why.OLD, job_id, ())
    assert removal.size_bytes > before.size_bytes
    assert not folder_of(shop, job_id).exists()
    assert (after.path, after.thumbnail, after.spritesheet) == (None, None, None)
    assert (after.prompt, after.cost_usd, after.sha256) == (before.prompt, before.cost_usd, before.sha256)
    assert (await shop.kinds(job_id))[-1] == "collected"
    assert absence.collected


async def test_without_an_age_or_a_size_no_finished_video_goes(shop: Workshop) -> None:
    job_id = await shop.made()

    done = await retention_of(shop).collect(Policy())

    assert done.plan.removals == ()
    assert folder_of(shop, job_id).exists()


async def test_a_collected_video_is_no_cache_and_shows_its_price(shop: Workshop, fake: FakeOpenAI) -> None:
    await shop.made()
    order = Order(routes=(shop.prepared(),), asked_model="sora-2")
    free = await shop.jobs.price_now(order)
    await retention_of(shop).collect(ALL)

    costs = await shop.jobs.price_now(order)
    again = await shop.made()

    [video] = await shop.jobs.videos(again)
    assert (free, costs) == (Decimal(0), Decimal("0.40"))
    assert video.path is not None
    assert video.path.is_file()
    assert fake.book.charged == 2


async def test_files_that_several_videos_share_go_only_with_all_of_them(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop:
        original = await shop.made()
        clock.move(timedelta(days=40))
        copy = (await shop.submit()).job_id

        kept = await retention_of(shop).collect(Policy(older_than=timedelta(days=30)))
        clock.move(timedelta(days=40))
        gone = await retention_of(shop).collect(Policy(older_than=timedelta(days=30)))

        assert kept.plan.removals == ()
        assert [each.folder for each in gone.plan.removals] == [original]
        assert (await retention_of(shop).absences([original, copy])).keys() == {original, copy}


async def test_a_tagged_video_stays_unless_asked_for(shop: Workshop) -> None:
    job_id = await shop.made()
    await Tags(shop.services).add(job_id, ["keep"])

    spared = await retention_of(shop).collect(ALL)
    taken = await retention_of(shop).collect(replace(ALL, tagged=True))

    assert (spared.plan.removals, spared.plan.pinned) == ((), {"tagged": 1})
    assert [each.folder for each in taken.plan.removals] == [job_id]


async def test_a_video_that_another_started_from_stays_as_long_as_that_one(shop: Workshop) -> None:
    source = await shop.made()
    child = await remixed(shop, source)

    while_open = await retention_of(shop).collect(ALL)
    await shop.carry_out(child)
    await Tags(shop.services).add(child, ["keep"])
    while_kept = await retention_of(shop).collect(ALL)
    await Tags(shop.services).remove(child, ["keep"])
    after = await retention_of(shop).collect(ALL)

    assert while_open.plan.removals == ()
    assert while_kept.plan.removals == ()
    assert while_kept.plan.pinned == {"source of another": 1, "tagged": 1}
    assert {each.folder for each in after.plan.removals} == {source, child}


async def test_a_size_takes_the_oldest_and_spares_what_was_just_made(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop:
        ids: list[str] = []
        for prompt in ("one", "two", "three"):
            ids.append(await shop.made(prompt))
            clock.move(timedelta(hours=2))
        fresh = await shop.made("four")
        sizes = [sum(each.stat().st_size for each in folder_of(shop, job_id).iterdir()) for job_id in [*ids, fresh]]

        done = await retention_of(shop).collect(Policy(keep_bytes=sum(sizes) - 1))
        rest = await retention_of(shop).collect(Policy(keep_bytes=0))

        assert [each.folder for each in done.plan.removals] == ids[:1]
        assert [each.folder for each in rest.plan.removals] == ids[1:]
        assert rest.plan.staying_bytes == sizes[-1]
        assert folder_of(shop, fresh).exists()


async def test_a_damaged_file_is_no_orphan(shop: Workshop) -> None:
    job_id = await shop.made()
    path = folder_of(shop, job_id) / "video.mp4"
    path.write_bytes(path.read_bytes()[:-1])
    await shop.submit()  # looks, finds it damaged, and buys it again
    for each in path.parent.iterdir():
        age(each)

    done = await retention_of(shop).collect(Policy())

    absence = (await retention_of(shop).absences([job_id]))[job_id]
    assert done.plan.removals == ()
    assert not absence.collected


# -- orphans ---------------------------------------------------------------------------------------


async def test_what_nothing_refers_to_goes_once_it_is_old_enough(shop: Workshop) -> None:
    made = await shop.made()
    home, media = shop.services.spool.parent, folder_of(shop, made).parent.parent
    old = [
        written(media / "videos" / new_video_id() / "video.mp4"),
        written(media / "inputs" / ("a" * 64)),
        written(media / "spool" / ".input.7.abc.tmp"),
        written(folder_of(shop, made) / ".video.mp4.7.abc.tmp"),
        written(home / "spool" / f"{made}-0.part"),
        written(home / "spool" / "tmpabc" / "thumbnail.webp"),
        written(home / "providers" / "openai" / "draft_1.mp4"),
    ]
    young = [
        written(media / "videos" / new_video_id() / "video.mp4", by=timedelta(0)),
        written(media / "inputs" / ("b" * 64), by=timedelta(0)),
        written(home / "spool" / f"{made}-1.part", by=timedelta(0)),
    ]
    foreign = [written(media / "holiday.mp4"), written(media / "videos" / "mine" / "video.mp4")]

    done = await retention_of(shop).collect(Policy())

    assert [each for each in old if each.exists()] == []
    assert all(each.exists() for each in [*young, *foreign])
    assert (folder_of(shop, made) / "video.mp4").exists()
    assert done.plan.size_bytes == 100 * len(old)
    assert not (home / "spool" / "tmpabc").exists()


async def test_what_an_open_job_works_with_stays(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id
    home, media = shop.services.spool.parent, shop.services.media.folder
    assert media is not None
    kept = [
        written(home / "spool" / f"{job_id}-0.part", by=timedelta(days=2)),
        written(home / "providers" / "openai" / "kept.mp4", by=timedelta(days=2)),
        written(media / "videos" / job_id / "video.mp4", by=timedelta(days=2)),
    ]

    done = await retention_of(shop).collect(Policy(older_than=timedelta(0), keep_bytes=0, tagged=True))

    assert done.plan.removals == ()
    assert all(each.exists() for each in kept)


async def test_inputs_go_when_no_job_and_no_character_needs_them(shop: Workshop, tmp_path: Path) -> None:
    refs: list[MediaRef] = []
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (1280, 720), colour).save(tmp_path / f"{colour}.png")
        refs.append(await shop.inputs.add(tmp_path / f"{colour}.png"))
    framed, clip, unused = refs
    paths = [await shop.inputs.path(ref) for ref in refs]
    job_id = await shop.made(first_frame=framed)
    character = Character(
        id="char_1",
        owner="local",
        provider="openai",
        account="a",
        remote_id="r",
        name="Fox",
        clip_sha256=clip.sha256,
        created_at=shop.services.now(),
    )
    await shop.db.write(lambda connection: shelf.insert_character(connection, character))
    for path in paths:
        age(path)

    first = await retention_of(shop).collect(Policy())
    await shop.jobs.delete(job_id)
    second = await retention_of(shop).collect(Policy())

    assert [each.name for each in first.plan.removals] == [input_key(unused.sha256)]
    assert [each.name for each in second.plan.removals] == [input_key(framed.sha256)]
    assert [path.exists() for path in paths] == [False, True, False]


async def test_a_picture_that_is_given_again_counts_as_new(shop: Workshop, tmp_path: Path) -> None:
    await shop.made()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    path = await shop.inputs.path(await shop.inputs.add(tmp_path / "red.png"))
    age(path, timedelta(days=3))

    await shop.inputs.add(tmp_path / "red.png")
    done = await retention_of(shop).collect(Policy())

    assert done.plan.removals == ()
    assert path.exists()


async def test_unknown_folders_can_be_kept(shop: Workshop) -> None:
    made = await shop.made()
    stray = written(folder_of(shop, made).parent / new_video_id() / "video.mp4")

    kept = await retention_of(shop).collect(Policy(keep_unknown=True))
    gone = await retention_of(shop).collect(Policy())

    assert kept.plan.removals == ()
    assert [each.why for each in gone.plan.removals] == [Why.UNKNOWN]
    assert not stray.exists()


# -- crashes and others at work --------------------------------------------------------------------


async def test_a_crash_between_mark_and_removal_is_made_good_by_the_next_run(opened: Open) -> None:
    async with opened(reached=crashing_at("gc.marked")) as shop:
        job_id = await shop.made()
        with pytest.raises(Crash):
            await retention_of(shop).collect(ALL)
        left = folder_of(shop, job_id).exists()
        [marked] = await shop.jobs.videos(job_id)

        done = await retention_of(shop).collect(Policy())

        assert (left, marked.path) == (True, None)
        assert [(each.why, each.folder) for each in done.plan.removals] == [(Why.COLLECTED, job_id)]
        assert not folder_of(shop, job_id).exists()
        assert (await shop.kinds(job_id)).count("collected") == 1


async def test_no_more_goes_than_was_agreed_to(shop: Workshop) -> None:
    first = await shop.made("one")
    agreed = await retention_of(shop).plan(ALL)
    second = await shop.made("two")

    done = await retention_of(shop).collect(ALL, agreed=agreed)

    assert [each.folder for each in done.plan.removals] == [first]
    assert folder_of(shop, second).exists()


async def test_what_was_tagged_after_it_was_agreed_to_stays(shop: Workshop) -> None:
    job_id = await shop.made()
    agreed = await retention_of(shop).plan(ALL)
    await Tags(shop.services).add(job_id, ["keep"])

    done = await retention_of(shop).collect(ALL, agreed=agreed)

    assert done.plan.removals == ()


@pytest.mark.parametrize("loses_the_files", ["collected", "deleted"])
async def test_a_video_whose_files_go_while_it_is_looked_at_is_bought_and_not_promised(
    opened: Open, fake: FakeOpenAI, loses_the_files: str
) -> None:
    losing: list[str] = []

    def reached(point: str) -> None:
        """At the very moment between the look at the files and the promise, another process gives them up."""
        if point == "cache.hit" and losing:
            change = {"collected": "gone_at = 1, stored_under = NULL", "deleted": "deleted_at = 1"}[loses_the_files]
            table = {"collected": "videos", "deleted": "jobs"}[loses_the_files]
            with closing(sqlite3.connect(losing[0])) as connection, connection:
                connection.execute(f"UPDATE {table} SET {change}")

    async with opened(reached=reached) as shop:
        served = [await shop.submit()] if await shop.made() else []
        losing.append(str(shop.db.path))
        bought = await shop.submit()

    assert [each.cached for each in [*served, bought]] == [True, False]
    assert bought.estimate_usd == Decimal("0.40")


async def test_served_copies_and_collections_at_once_never_leave_a_promise_without_a_file(shop: Workshop) -> None:
    made = [await shop.made(f"take {n}") for n in range(4)]
    served: list[str] = []

    async def submit(n: int) -> None:
        for _ in range(3):
            served.append((await shop.submit(f"take {n}")).job_id)

    async with anyio.create_task_group() as tasks:
        for n in range(len(made)):
            tasks.start_soon(submit, n)
        for _ in range(3):
            tasks.start_soon(retention_of(shop).collect, ALL)

    await all_promises_are_kept(shop, [*made, *served])


async def all_promises_are_kept(shop: Workshop, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        for row in await shop.videos(job_id):
            if row.in_library:
                assert row.stored_under is not None
                assert (folder_of(shop, row.stored_under) / "video.mp4").exists()


async def test_a_file_that_cannot_be_removed_is_told_and_the_others_go(shop: Workshop) -> None:
    made = await shop.made()
    home = shop.services.spool.parent
    stuck = home / "spool" / "tmpx" / "a"
    written(stuck)
    written(home / "spool" / "b.part")
    agreed = await retention_of(shop).plan(Policy())
    stuck.unlink()
    stuck.parent.rmdir()
    stuck.parent.write_bytes(b"now a file, so nothing can be removed below it")

    retention_ = Retention(shop.services, home)
    problems: list[str] = []
    for removal in agreed.removals:
        try:
            await retention_.remove(removal, shop.services.now())
        except MediaError as error:
            problems.append(str(error))

    assert len(problems) == 1
    assert not (home / "spool" / "b.part").exists()
    assert folder_of(shop, made).exists()


async def test_a_bucket_is_cleared_by_its_listing(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop:
        made = await shop.made()
        bucket = MediaStore("memory:///")
        stray, one, other = new_video_id(), input_key("a" * 64), input_key("b" * 64)
        for key in (video_key(made), video_key(stray), video_key(stray, THUMBNAIL), one, other):
            await bucket.put(key, b"x" * 10)
        clock.move(LONG)

        done = await Retention(replace(shop.services, media=bucket), shop.services.spool.parent).collect(Policy())

        assert {each.name for each in done.plan.removals} == {stray, one, other}
        assert [each.key for each in await bucket.listing()] == [video_key(made)]


@pytest.mark.parametrize("where", ["folder", "memory:///"])
async def test_what_is_renewed_is_told_from_what_is_not_there(where: str, tmp_path: Path) -> None:
    media = MediaStore(str(tmp_path / where) if where == "folder" else where)
    key = input_key("a" * 64)
    before = await media.renew(key)
    await media.put(key, b"picture")
    if (path := media.local_path(key)) is not None:
        age(path, timedelta(days=3))

    after = await media.renew(key)

    stored = await media.head(key)
    assert (before, after) == (False, True)
    assert stored is not None
    assert datetime.now(UTC) - stored.modified < timedelta(minutes=1)
    assert await media.read(key) == b"picture"


# -- how much there is -----------------------------------------------------------------------------


async def test_usage_counts_every_file_once(shop: Workshop) -> None:
    job_id = await shop.made()
    await shop.submit()  # a copy that shares the files
    [video] = await shop.jobs.videos(job_id)
    await shop.library.picture(video, Variant.THUMBNAIL)
    written(shop.services.spool / f"{job_id}-0.part")

    usage = await retention_of(shop).usage()

    kinds = usage.kinds
    assert (kinds[Kind.VIDEO].files, kinds[Kind.VIDEO].size_bytes) == (1, video.size_bytes)
    assert kinds[Kind.PICTURE].files + kinds[Kind.MANIFEST].files == len(await shop.assets(job_id))
    assert (kinds[Kind.SPOOL].files, kinds[Kind.SPOOL].size_bytes) == (1, 100)
    assert shop.db.path is not None
    assert kinds[Kind.DATABASE].size_bytes >= shop.db.path.stat().st_size
    assert (usage.models["openai:video:sora-2"].files, usage.orphan_bytes) == (1, 100)
    assert all(free > 0 for free in usage.free_bytes.values())
