"""Submitting, looking and deciding: what one is told, and what is bought a second time (as little as possible)."""

import uuid
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest
from workshop import Open, Workshop

from rushes.errors import Conflict, JobFailed, MissingKey, NotFound, TimedOut
from rushes.jobs.admission import Order, admit
from rushes.jobs.budget import Bid
from rushes.jobs.codec import JobOptions
from rushes.jobs.ledger import JobState
from rushes.jobs.service import Snapshot
from rushes.jobs.store import Filter
from rushes.providers.terms import Variant
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.video import Size, SourceKind, SourceVideo, Video

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]


async def price(shop: Workshop, cache: str = "use") -> Decimal | None:
    return await shop.jobs.price_now(Order(routes=(shop.prepared(),), asked_model="sora-2", cache=cache))


# -- single flight and cache -----------------------------------------------------------------------


async def test_an_equal_submit_joins_the_open_job(shop: Workshop) -> None:
    first = await shop.submit()
    costs = await price(shop)
    second = await shop.submit()

    assert (first.joined, first.estimate_usd) == (False, Decimal("0.40"))
    assert (second.joined, second.job_id) == (True, first.job_id)
    assert costs == Decimal(0)


async def test_many_equal_submits_at_once_are_one_job(shop: Workshop) -> None:
    ids = set[str]()

    async def submit() -> None:
        ids.add((await shop.submit()).job_id)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(submit)

    assert len(ids) == 1


async def test_two_processes_that_submit_the_same_share_a_job(opened: Open) -> None:
    async with opened() as one, opened() as other:
        ids = {(await one.submit()).job_id, (await other.submit()).job_id}

    assert len(ids) == 1


async def test_another_owner_never_joins_nor_shares(shop: Workshop, fake: FakeOpenAI) -> None:
    mine = await shop.made()
    yours = await shop.submit(owner="somebody")

    assert (yours.joined, yours.cached) == (False, False)
    assert yours.job_id != mine


async def test_a_finished_equal_job_serves_for_nothing(shop: Workshop, fake: FakeOpenAI) -> None:
    first = await shop.made()
    costs = await price(shop)

    second = await shop.submit()

    [original], [copy] = await shop.jobs.videos(first), await shop.jobs.videos(second.job_id)
    snapshot = await shop.jobs.get(second.job_id)
    assert (second.cached, second.estimate_usd, costs) == (True, Decimal(0), Decimal(0))
    assert second.job_id != first
    assert (snapshot.state, snapshot.cost_usd, snapshot.cached_from) == (JobState.COMPLETED, Decimal(0), first)
    assert (copy.cached, copy.cost_usd, copy.latency_s, copy.remote_id) == (True, Decimal(0), 0.0, None)
    assert (copy.path, copy.sha256, copy.thumbnail) == (original.path, original.sha256, original.thumbnail)
    assert copy.id != original.id
    assert fake.book.creates == 1


async def test_a_copy_of_a_copy_names_the_original(shop: Workshop) -> None:
    first = await shop.made()
    await shop.submit()

    third = await shop.submit()

    assert (await shop.job(third.job_id)).cached_from == first


async def test_refresh_makes_it_anew_but_still_joins_what_is_under_way(shop: Workshop, fake: FakeOpenAI) -> None:
    await shop.made()

    anew = await shop.submit(cache="refresh")
    joined = await shop.submit(cache="refresh")
    await shop.carry_out(anew.job_id)

    assert (anew.cached, joined.job_id) == (False, anew.job_id)
    assert fake.book.charged == 2


async def test_off_neither_reads_nor_joins_nor_is_joined(shop: Workshop) -> None:
    await shop.made()

    ids = {(await shop.submit(cache="off")).job_id for _ in range(2)}
    joins = await shop.submit(cache="refresh")

    assert len(ids) == 2
    assert joins.job_id not in ids
    assert await price(shop, "off") == Decimal("0.40")


async def test_a_remix_is_never_served_from_the_library(shop: Workshop) -> None:
    made = shop.prepared()
    remix = replace(
        made,
        request=replace(
            made.request, source=SourceVideo(kind=SourceKind.REMIX, video_id="video_1", size=Size(1280, 720), seconds=4)
        ),
    )
    first = await shop.jobs.submit(Order(routes=(remix,), asked_model="sora-2"))
    joined = await shop.jobs.submit(Order(routes=(remix,), asked_model="sora-2"))

    assert joined.joined
    assert joined.job_id == first.job_id
    assert await shop.jobs.price_now(Order(routes=(remix,), asked_model="sora-2", slot=1)) == Decimal("0.40")


@pytest.mark.parametrize("harm", ["gone", "shorter", "other bytes"])
async def test_a_file_that_is_gone_or_damaged_is_a_miss_and_is_made_anew(
    harm: str, shop: Workshop, fake: FakeOpenAI
) -> None:
    [video] = await shop.jobs.videos(await shop.made())
    assert video.path is not None
    if harm == "gone":
        video.path.unlink()
    elif harm == "shorter":
        video.path.write_bytes(b"short")
    else:
        video.path.write_bytes(bytes(video.size_bytes))

    costs = await price(shop)
    anew = await shop.submit()
    await shop.carry_out(anew.job_id)
    again = await shop.submit()

    [old], [new] = await shop.jobs.videos(video.job_id), await shop.jobs.videos(anew.job_id)
    assert costs == Decimal("0.40"), "its price is shown before it is bought again"
    assert (anew.cached, again.cached) == (False, True)
    assert old.path is None, "what is known to be damaged is not handed out"
    assert new.path is not None
    assert new.path.read_bytes() == fake.content_of(fake.book.entries[1].remote_id)


async def test_repeats_are_jobs_of_their_own(shop: Workshop, fake: FakeOpenAI) -> None:
    ids = {await shop.made(slot=slot) for slot in range(3)}
    again = [await shop.submit(slot=slot) for slot in range(3)]

    assert len(ids) == 3
    assert all(admission.cached for admission in again)
    assert fake.book.charged == 3


async def test_what_failed_is_never_served(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(400)]
    first = await shop.made()

    second = await shop.submit()

    assert second.job_id != first
    assert not second.cached


async def test_nothing_is_admitted_without_a_key(opened: Open, fake: FakeOpenAI) -> None:
    async with opened(environment={"OPENAI_BASE_URL": fake.base_url}) as keyless:
        with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
            await keyless.submit()

        assert await keyless.jobs.matching(Filter()) == []


# -- ids -------------------------------------------------------------------------------------------


async def test_an_id_is_found_in_each_of_its_forms(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id
    digits = job_id.removeprefix("video_")
    forms = [job_id, digits, str(uuid.UUID(digits)), job_id[:14], digits[:8], str(uuid.UUID(digits))[:13]]

    found = [await shop.jobs.find_id(form) for form in forms]

    assert found == [job_id] * 6


async def test_a_beginning_that_fits_several_ids_is_refused(shop: Workshop) -> None:
    shared = 0
    seen = dict[str, str]()
    while not shared:  # four digits: a pair comes up among some hundred jobs
        job_id = (await shop.submit(cache="off")).job_id
        start = job_id[:10]
        shared = start in seen
        seen[start] = job_id

        if shared:
            with pytest.raises(NotFound, match="Write more of it"):
                await shop.jobs.find_id(start)


@pytest.mark.parametrize("text", ["", "v", "video_", "abc", "video_ffff%", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
async def test_an_id_that_is_none_of_ours_is_not_found(text: str, shop: Workshop) -> None:
    await shop.submit()

    with pytest.raises(NotFound, match="rushes jobs list"):
        await shop.jobs.find_id(text)


async def test_a_job_that_does_not_exist_is_not_found(shop: Workshop) -> None:
    for call in (shop.jobs.get, shop.jobs.cancel, shop.jobs.retry, shop.jobs.delete, shop.jobs.videos, shop.jobs.case):
        with pytest.raises(NotFound):
            await call("video_" + "0" * 32)


# -- waiting and watching --------------------------------------------------------------------------


async def test_a_wait_that_times_out_leaves_the_job_as_it_is(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id

    with pytest.raises(TimedOut, match=r"after 0\.1 seconds"):
        await shop.jobs.wait(job_id, timeout_s=0.1)

    assert (await shop.job(job_id)).state is JobState.QUEUED


async def test_a_wait_ends_with_the_videos(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id

    videos = list[Video]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)
        videos += await shop.jobs.wait(job_id, timeout_s=10)

    assert [video.job_id for video in videos] == [job_id]


async def test_a_wait_for_a_failed_job_raises_its_reason(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.of(Trouble.MODERATED)]
    job_id = await shop.made()

    with pytest.raises(JobFailed, match="moderation system") as failed:
        await shop.jobs.wait(job_id)

    assert (failed.value.failure_code, failed.value.job_id) == ("moderation_blocked", job_id)


async def watched(shop: Workshop, fake: FakeOpenAI, job_s: float = 0.8) -> list[Snapshot]:
    fake.job_s = job_s
    job_id = (await shop.submit()).job_id
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)
        with anyio.fail_after(10):
            return [snapshot async for snapshot in shop.jobs.watch(job_id)]
    raise AssertionError("unreachable")


async def test_the_bar_goes_from_the_start_to_the_end_and_never_back(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.poll = [None, None, None, None, None, Fault.of(Trouble.BACKWARDS)]

    snapshots = await watched(shop, fake)

    percents = [snapshot.percent for snapshot in snapshots]
    assert percents == sorted(percents)
    assert percents[-1] == 100.0
    assert len({percent for percent in percents if 20 < percent < 90}) >= 3, "the provider's own percentage shows"
    assert snapshots[-1].state is JobState.COMPLETED


async def test_the_bar_does_not_go_back_when_a_refused_job_is_queued_again(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(429)]

    percents = [snapshot.percent for snapshot in await watched(shop, fake, 0.0)]

    assert percents == sorted(percents)


async def test_the_bar_of_a_job_that_fails_stays_where_it_was(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.poll = [*[None] * 8, Fault.of(Trouble.MODERATED)]

    snapshots = await watched(shop, fake)

    percents = [snapshot.percent for snapshot in snapshots]
    assert snapshots[-1].state is JobState.FAILED
    assert percents == sorted(percents)
    assert percents[-1] > 20


# -- deciding --------------------------------------------------------------------------------------


async def test_a_finished_job_can_be_neither_cancelled_nor_retried(shop: Workshop) -> None:
    job_id = await shop.made()

    with pytest.raises(Conflict, match="already completed"):
        await shop.jobs.cancel(job_id)
    with pytest.raises(Conflict, match="only a failed or cancelled"):
        await shop.jobs.retry(job_id)


async def test_a_failed_job_is_bought_again_as_a_new_one(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(400)]
    failed = await shop.made()

    anew = await shop.jobs.retry(failed)
    await shop.carry_out(anew.job_id)

    assert anew.job_id != failed
    assert (await shop.job(failed)).state is JobState.FAILED
    assert (await shop.job(anew.job_id)).state is JobState.COMPLETED


async def test_a_retry_takes_along_what_was_asked_beside_the_request(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(400)]
    failed = await shop.made(options=JobOptions(thumbnail=False))

    anew = await shop.jobs.retry(failed)

    assert (await shop.job(anew.job_id)).options_json == (await shop.job(failed)).options_json


async def test_deleting_hides_a_job_and_removes_its_files(shop: Workshop) -> None:
    [video] = await shop.jobs.videos(await shop.made())
    assert video.path is not None

    await shop.jobs.delete(video.job_id)

    assert not video.path.parent.exists() or not list(video.path.parent.iterdir())
    assert await shop.jobs.matching(Filter()) == []
    assert not (await shop.submit()).cached


async def test_files_that_another_job_refers_to_stay_until_the_last_of_them_goes(shop: Workshop) -> None:
    [video] = await shop.jobs.videos(await shop.made())
    copy = await shop.submit()
    assert video.path is not None

    await shop.jobs.delete(video.job_id)
    kept = video.path.is_file()
    await shop.jobs.delete(copy.job_id)

    assert kept
    assert not video.path.is_file()


async def test_an_open_job_that_is_deleted_is_cancelled_first(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = (await shop.submit()).job_id

    await shop.jobs.delete(job_id)
    anew = await shop.submit()
    await shop.carry_out(job_id)

    assert (await shop.job(job_id)).state is JobState.CANCELLED
    assert not anew.joined
    assert fake.book.creates == 0


async def test_the_files_of_a_job_deleted_while_it_ran_go_as_well(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.job_s = 60.0
    job_id = (await shop.submit()).job_id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)

        async def running() -> bool:
            return (await shop.job(job_id)).state is JobState.IN_PROGRESS

        await shop.until(running)
        await shop.jobs.delete(job_id)
        fake.finish()

    left = [path for path in (shop.services.spool.parent / "media").rglob("*") if path.is_file()]
    job = await shop.job(job_id)
    assert (job.state, job.cost_usd) == (JobState.COMPLETED, Decimal("0.40")), "it was paid for, and its books say so"
    assert left == []


async def test_a_thumbnail_is_made_here_when_there_is_none(shop: Workshop) -> None:
    [video] = await shop.jobs.videos(await shop.made(options=JobOptions(thumbnail=False, spritesheet=False)))

    path = await shop.library.picture(video, Variant.THUMBNAIL)

    [again] = await shop.jobs.videos(video.job_id)
    assert path is not None
    assert path.read_bytes()[8:12] == b"WEBP"
    assert again.thumbnail == path
    assert (await shop.assets(video.id))["thumbnail"].made_by == "us"


async def test_a_video_is_found_and_exported(shop: Workshop) -> None:
    job_id = await shop.made()
    folder = shop.services.spool.parent / "out"
    folder.mkdir()

    video = await shop.library.get(job_id[:12])
    path = await shop.library.export(video, folder)

    assert path == folder / f"{job_id}.mp4"
    assert video.path is not None
    assert path.read_bytes() == video.path.read_bytes()
    assert [found.id for found in await shop.library.matching(search="cat")] == [job_id]
    assert await shop.library.matching(search="dog") == []


async def test_an_equal_job_that_finishes_between_the_look_and_the_admission_is_not_bought_again(
    shop: Workshop,
) -> None:
    first = (await shop.submit()).job_id
    job = replace(await shop.job(first), id="video_" + "9" * 32)
    await shop.carry_out(first)

    order = Order(routes=(shop.prepared(),), asked_model="sora-2")
    admitted = await shop.db.write(
        lambda connection: admit(
            connection, order, job, [job.id], [job.fingerprint], frozenset(), Bid(model=job.model, usd=Decimal(1))
        )
    )

    assert admitted is None
