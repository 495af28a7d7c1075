"""Draft keeps the contract of a provider too, although its far side is this machine."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from rushes.errors import Unsupported
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.draft import Draft
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import MODERATION_CODES
from rushes.providers.terms import Doubt, RemoteJob
from rushes.testing import clips
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.video import ModelId, Progress, Size, Status, VideoRequest

pytestmark = pytest.mark.anyio

[MODEL] = read_table("draft")


def asked(prompt: str = "A paper boat", **changes: Any) -> Prepared:
    usual: dict[str, Any] = {"size": Size(160, 90), "seconds": 1}
    return prepared(VideoRequest(prompt=prompt, model=ModelId("draft", "animatic"), **usual | changes), MODEL)


def draft(folder: Path, inputs: Inputs | None = None) -> AbstractAsyncContextManager[Provider]:
    return opened(Draft, folder=folder, environment={}, inputs=inputs)


async def watched(provider: Provider, remote: RemoteJob) -> list[Progress]:
    seen: list[Progress] = []
    with anyio.fail_after(30):
        while not seen or not seen[-1].status.final:
            seen.append(await provider.poll(remote))
            await anyio.sleep(0.02)
    return seen


@asynccontextmanager
async def rendered(folder: Path, **changes: Any) -> AsyncGenerator[tuple[Provider, RemoteJob, list[Progress]]]:
    async with draft(folder) as provider:
        remote = await provider.submit(asked(**changes), "key-1")
        yield provider, remote, await watched(provider, remote)


async def test_a_job_is_watched_to_its_end_and_its_video_fetched(tmp_path: Path) -> None:
    async with rendered(tmp_path) as (provider, remote, seen):
        percents = [look.percent for look in seen if look.percent is not None]
        [asset] = await provider.assets(remote)
        whole = await fetched(provider, asset)
        rest = await fetched(provider, asset, offset=100)

        assert percents == sorted(percents)
        assert (seen[-1].status, seen[-1].size, seen[-1].seconds) == (Status.COMPLETED, Size(160, 90), 1)
        assert whole[4:8] == b"ftyp"
        assert rest == whole[100:]
        assert provider.cost(MODEL, asked(), seen[-1]) == 0


async def test_the_same_key_is_the_same_job_and_another_key_another(tmp_path: Path) -> None:
    assert Draft.promises.doubt is Doubt.KEY
    async with draft(tmp_path) as provider:
        once = await provider.submit(asked(), "key-1")
        again = await provider.submit(asked(), "key-1")
        other = await provider.submit(asked(), "key-2")

        assert once.id == again.id != other.id


async def test_a_render_that_died_with_its_process_is_begun_again(tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        remote = await provider.submit(asked(extra={"latency_s": 0.2}), "key-1")
    async with draft(tmp_path) as another_process:
        assert (await watched(another_process, remote))[-1].status is Status.COMPLETED


@pytest.mark.parametrize(("fail", "codes"), [("moderation", MODERATION_CODES), ("error", {"internal_error"})])
async def test_it_fails_as_it_is_asked_to(fail: str, codes: set[str], tmp_path: Path) -> None:
    async with rendered(tmp_path, extra={"fail": fail}) as (_, _, seen):
        failure = seen[-1].failure

        assert seen[-1].status is Status.FAILED
        assert failure is not None
        assert failure.code in codes


async def test_it_never_ends_if_asked_to(tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        remote = await provider.submit(asked(extra={"fail": "timeout"}), "key-1")

        assert [(await provider.poll(remote)).status for _ in range(3)] == [Status.IN_PROGRESS] * 3


async def test_cancelling_stops_it_and_leaves_no_file(tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        remote = await provider.submit(asked(extra={"latency_s": 60}), "key-1")

        assert await provider.cancel(remote)
        assert list(tmp_path.glob("*.mp4")) == []


async def test_a_fetched_job_leaves_no_file(tmp_path: Path) -> None:
    async with rendered(tmp_path) as (provider, remote, _):
        provider.release(remote)

        assert list(tmp_path.glob("*.mp4")) == []


async def test_a_first_frame_is_what_it_begins_with(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    picture = inputs.add(clips.picture(160, 90), "image/png", 160, 90)
    async with draft(tmp_path, inputs) as provider:
        with_picture = await provider.submit(asked(first_frame=picture), "key-1")
        without = await provider.submit(asked(), "key-2")
        for remote in (with_picture, without):
            await watched(provider, remote)

        [one], [two] = [await provider.assets(remote) for remote in (with_picture, without)]
        assert await fetched(provider, one) != await fetched(provider, two)


@pytest.mark.parametrize(
    ("extra", "words"),
    [({"latncy_s": 1}, "Did you mean latency_s"), ({"fail": "always"}, "fail"), ({"latency_s": -1}, "latency_s")],
)
async def test_a_slip_in_extra_is_told_before_anything_starts(
    extra: dict[str, Any], words: str, tmp_path: Path
) -> None:
    async with draft(tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(extra=extra))
