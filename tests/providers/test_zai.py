"""The Z.ai provider against its fake: what is refused unsent, waiting, fetching, doubt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from rushes.errors import (
    AccessDenied,
    BadReply,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    RequestError,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.providers.refusals import MODERATION_CODES
from rushes.providers.terms import Doubt, RemoteJob
from rushes.testing.bench import Inputs, fetched
from rushes.testing.clips import picture
from rushes.testing.fake_zai import API_KEY, FakeZai
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer
from rushes.video import Crop, MediaRef, Reference, Size, Status
from tests.providers.zai_bench import Scripted, asked, at, frame, zai

pytestmark = pytest.mark.anyio

INTERNATIONAL, MAINLAND = "https://api.z.ai/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"


@pytest.fixture
def fake() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.0) as fake:
        yield fake


# -- what is refused unsent ------------------------------------------------------------------------------------------

BIG, LONG = frame(size_bytes=5_000_001), frame(1700, 420)
WEBP, GIF = frame(mime="image/webp"), frame(mime="image/gif")
GOOD = frame()


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        ("viduq1-image", {}, r"Add a first_frame \(--image\)\."),
        ("vidu2-start-end", {"first_frame": GOOD}, r"Add a last_frame \(--last-image\)\."),
        ("vidu2-start-end", {}, r"Add a first_frame \(--image\) and a last_frame"),
        ("vidu2-reference", {}, r"references \(--reference\)"),
        ("vidu2-reference", {"references": (Reference(media=GOOD),) * 4}, "at most 3 references, not 4"),
        ("vidu2-reference", {"first_frame": GOOD, "references": (Reference(media=GOOD),)}, "does not take first_frame"),
        ("viduq1-text", {"first_frame": GOOD}, "does not take first_frame"),
        ("viduq1-text", {"audio": True}, "does not take audio on"),
        ("viduq1-image", {"first_frame": GOOD, "audio": True}, "does not take audio on"),
        ("cogvideox-2", {"first_frame": GOOD, "last_frame": GOOD}, "does not take last_frame"),
        ("cogvideox-3", {"seconds": 8}, "makes 5 or 10 seconds, not 8"),
        ("cogvideox-3", {"size": Size(640, 480)}, "does not make 640x480"),
        ("cogvideox-3", {"prompt": "x" * 513}, "takes 512"),
        ("cogvideox-3", {"seed": 1}, "does not take seed"),
        ("cogvideox-3", {"negative_prompt": "fog"}, "does not take negative_prompt"),
    ],
)
def test_what_the_table_tells_is_refused_in_preparing(model: str, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        asked(model, **wish)


def ends(first: MediaRef, last: MediaRef) -> dict[str, Any]:
    return {"first_frame": first, "last_frame": last}


def references(*given: MediaRef | Reference) -> dict[str, Any]:
    return {"references": tuple(each if isinstance(each, Reference) else Reference(media=each) for each in given)}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("cogvideox-3", {"last_frame": GOOD}, "only together with a first_frame"),
    ("cogvideox-3", {"first_frame": BIG}, r"5\.0 MB; zai:video:cogvideox-3 takes 5 MB"),
    ("cogvideox-3", ends(GOOD, BIG), "takes 5 MB"),
    ("cogvideox-3", {"first_frame": WEBP}, "takes pictures as png, jpeg, not image/webp. Convert"),
    ("vidu2-image", {"first_frame": GIF}, "takes pictures as png, jpeg, webp, not image/gif"),
    ("vidu2-image", {"first_frame": frame(mime="video/mp4")}, "not video/mp4"),
    ("vidu2-image", {"first_frame": frame(size_bytes=50_000_001)}, "takes 50 MB"),
    ("vidu2-image", {"first_frame": LONG}, r"1700x420; .* shapes from 1:4 to 4:1\. Crop"),
    ("vidu2-image", {"first_frame": frame(420, 1700)}, "420x1700"),
    ("viduq1-start-end", ends(frame(100, 100), frame(112, 112)), r"0\.80 times the pixels of 112x112; 0\.8 to 1\.25"),
    ("viduq1-start-end", ends(frame(126, 100), frame(100, 100)), r"1\.26 times"),
    ("vidu2-reference", references(frame(127, 500)), "127x500; .* 128x128 or more"),
    ("vidu2-reference", references(GOOD, GOOD, frame(500, 127)), "500x127"),
    ("vidu2-reference", references(Reference(media=GOOD, frame_index=3)), "no frame_index, no crop"),
    ("vidu2-reference", references(Reference(media=GOOD, crop=Crop(left=0.5))), "no frame_index, no crop"),
    ("cogvideox-2", {}, "mainland host alone. Set ZHIPUAI_API_KEY"),
    ("cogvideox-flash", {}, "mainland host alone"),
    ("cogvideox-3", {"extra": {"qality": "speed"}}, "Did you mean quality"),
    ("cogvideox-3", {"extra": {"quality": "best"}}, "extra field quality: Input should be 'speed' or 'quality'"),
    ("cogvideox-3", {"extra": {"fps": 24}}, "extra field fps: Input should be 30 or 60"),
    ("cogvideox-3", {"extra": {"watermark_enabled": "no"}}, "extra field watermark_enabled: .*boolean"),
    ("cogvideox-3", {"extra": {"off_peak": 1}}, "extra field off_peak: .*boolean"),
    ("cogvideox-3", {"extra": {"user_id": "me"}}, "extra field user_id: .*at least 6"),
    ("cogvideox-3", {"extra": {"user_id": "m" * 129}}, "extra field user_id: .*at most 128"),
    (
        "cogvideox-3",
        {"extra": {"style": "anime"}},
        "no extra field 'style'. It takes: quality, .* With style: viduq1-t",
    ),
    ("cogvideox-3", {"extra": {"movement_amplitude": "auto"}}, "With movement_amplitude: viduq1-text, viduq1-image"),
    ("viduq1-text", {"extra": {"fps": 60}}, "no extra field 'fps'. It takes: style, movement_amplitude"),
    ("viduq1-text", {"extra": {"style": "noir"}}, "extra field style: Input should be 'general' or 'anime'"),
    ("viduq1-text", {"extra": {"movement_amplitude": "huge"}}, "'auto', 'small', 'medium' or 'large'"),
    ("vidu2-image", {"first_frame": GOOD, "extra": {"style": "anime"}}, "no extra field 'style'"),
    ("cogvideox-3", {"extra": {"duration": 10}}, "extra may not set duration: that is asked for by seconds"),
    ("cogvideox-3", {"extra": {"size": "1x1"}}, "asked for by size"),
    ("viduq1-text", {"extra": {"aspect_ratio": "1:1"}}, "asked for by size"),
    ("cogvideox-3", {"extra": {"with_audio": True}}, "asked for by audio"),
    ("cogvideox-3", {"extra": {"image_url": "https://x/y.png"}}, "asked for by first_frame"),
    ("cogvideox-3", {"extra": {"request_id": "mine"}}, "rushes itself"),
    ("cogvideox-3", {"prompt": "A cat \udce4"}, "cannot be sent as text"),
]


@pytest.mark.parametrize(("model", "wish", "words"), REFUSED)
async def test_what_the_api_would_refuse_is_refused_before_it_is_sent(
    model: str, wish: dict[str, Any], words: str, fake: FakeZai, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(model, **wish))
        with pytest.raises(Unsupported, match=words):
            await provider.submit(asked(model, **wish), "key-1")

    assert fake.requests == []


@pytest.mark.parametrize(
    ("model", "wish"),
    [
        ("cogvideox-3", {"first_frame": frame(size_bytes=5_000_000)}),
        ("cogvideox-3", {"first_frame": LONG}),
        ("cogvideox-3", ends(frame(100, 100), frame(1000, 1000))),
        ("vidu2-image", {"first_frame": WEBP}),
        ("vidu2-image", {"first_frame": frame(1680, 420, size_bytes=50_000_000)}),
        ("viduq1-start-end", ends(frame(125, 100), frame(100, 100))),
        ("viduq1-start-end", ends(frame(100, 80), frame(100, 100))),
        ("vidu2-reference", references(frame(128, 128))),
    ],
)
async def test_what_lies_just_within_the_limits_is_let_through(
    model: str, wish: dict[str, Any], tmp_path: Path
) -> None:
    async with zai(tmp_path) as provider:
        provider.check(asked(model, **wish))


# -- buying ----------------------------------------------------------------------------------------------------------


async def test_the_promise_is_that_a_person_settles_doubt(fake: FakeZai, tmp_path: Path) -> None:
    """The same request_id again is refused, but the refusal tells no job: it can settle nothing."""
    async with at(fake, tmp_path) as provider:
        fake.faults.create = [Fault.reset(accepted=True)]
        with pytest.raises(Unavailable) as lost:
            await provider.submit(asked(), "key-1")
        with pytest.raises(Rejected, match="vendor's console") as again:
            await provider.submit(asked(), "key-1")

    assert provider.promises.doubt is Doubt.NONE
    assert not lost.value.proves_refusal
    assert (again.value.provider_code, again.value.proves_refusal) == ("1231", False)
    assert (fake.book.charged, fake.book.entries[0].key) == (1, "key-1")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("1113", NoCredit), ("1302-retry:3", RateLimited), ("1304", NoCredit), ("1309", NoCredit), ("1301", Moderated)],
)
async def test_a_refusal_for_money_or_content_is_proven_and_unpaid(
    fault: str, kind: type[ProviderError], fake: FakeZai, tmp_path: Path
) -> None:
    fake.faults.create = [Fault.parse(fault)]
    async with at(fake, tmp_path) as provider:
        with pytest.raises(kind) as refused:
            await provider.submit(asked(), "key-1")

    assert refused.value.proves_refusal
    assert refused.value.retry_after_s == (3.0 if "retry" in fault else None)
    assert (fake.book.creates, fake.book.charged) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "kind", "refused"),
    [
        (Answer.json({"error": {"code": "1113", "message": "no money"}}), NoCredit, True),
        (Answer.json({"code": 1301, "message": "unsafe"}), Moderated, True),
        (Answer.json({"error": {"code": "1231", "message": "twice"}}), Rejected, False),
        (Answer.json({"code": 500, "msg": "404 NOT_FOUND", "success": False}), Unavailable, False),
        (Answer.json({"error": {"message": "hm"}}), BadReply, False),
        (Answer.json({"task_status": "FAIL"}), BadReply, False),
        (Answer.json([]), BadReply, False),
        (Answer(200), BadReply, False),
        (Answer.json({"error": {"code": "1004", "message": f"not {API_KEY}"}}, 401), AccessDenied, True),
    ],
)
async def test_an_error_in_a_good_answer_is_read_with_care(
    answer: Answer, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    with Scripted(answer) as server:
        async with at(server, tmp_path) as provider:
            with pytest.raises(kind) as caught:
                await provider.submit(asked(), "key-1")

    assert caught.value.proves_refusal == refused
    assert API_KEY not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_whatever_names_a_job_is_accepted(status: int, tmp_path: Path) -> None:
    with Scripted(Answer.json({"id": 17, "error": None}, status)) as server:
        async with at(server, tmp_path) as provider:
            assert (await provider.submit(asked(), "key-1")).id == "17"


async def test_real_pictures_arrive_whole(fake: FakeZai, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    first = inputs.add(picture(400, 300, "WEBP"), "image/webp", 400, 300)
    last = inputs.add(picture(400, 310, "JPEG"), "image/jpeg", 400, 310)
    async with at(fake, tmp_path, inputs=inputs) as provider:
        await provider.submit(asked("vidu2-start-end", first_frame=first, last_frame=last), "key-1")

    urls = cast(list[str], fake.bodies()[0]["image_url"])
    assert [url.partition(",")[0] for url in urls] == ["data:image/webp;base64", "data:image/jpeg;base64"]
    assert fake.book.charged == 1


# -- waiting and fetching --------------------------------------------------------------------------------------------


async def test_a_job_that_is_told_of_as_blocked_is_over(fake: FakeZai, tmp_path: Path) -> None:
    """Code 1301 is about input *or generated* content: about a job, it says that this job made nothing."""
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.poll = [Fault.parse("1301")]
        progress = await provider.poll(remote)

    assert progress.status is Status.FAILED
    assert progress.failure is not None
    assert progress.failure.code in MODERATION_CODES


async def test_a_video_that_is_there_is_not_thrown_away_for_a_code_beside_it(tmp_path: Path) -> None:
    beside = {"task_status": "SUCCESS", "video_result": [{"url": "https://x/v.mp4"}], "error": {"code": "1301"}}
    with Scripted(Answer.json(beside)) as server:
        async with at(server, tmp_path) as provider:
            assert (await provider.poll(RemoteJob(id="1"))).status is Status.COMPLETED


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_failed_job_may_be_served_as_an_error(status: int, fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.poll = [Fault.of(Trouble.FAILED_AS, status)]
        progress = await provider.poll(remote)

    assert progress.failure == ("provider_unavailable", "The generation failed. (code 500)")


@pytest.mark.parametrize("code", ["500", "1113", "1234", "1300", "1302", "1004"])
async def test_trouble_with_a_look_ends_no_job(code: str, fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.poll = [Fault.parse(code)]
        with pytest.raises(ProviderError):
            await provider.poll(remote)

        assert (await provider.poll(remote)).status is Status.COMPLETED


async def test_a_job_that_nobody_knows_has_vanished(fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        with pytest.raises(Vanished):
            await provider.poll(RemoteJob(id="404/../1"))

    assert fake.requests[0].raw_path == "/api/paas/v4/async-result/404%2F..%2F1"


async def test_the_link_is_asked_for_anew_and_its_cover_is_left_alone(fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        (asset,) = await provider.assets(remote)

        assert asset.url == f"{fake.url}/results/{remote.id}.mp4"
        assert await fetched(provider, asset) == fake.content_of(remote.id)
        assert "results" not in repr(asset), "links are often signed"


async def test_a_link_that_is_gone_can_be_looked_for_again(fake: FakeZai, tmp_path: Path) -> None:
    fake.job_s = 60
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        with pytest.raises(Vanished) as gone:
            await provider.assets(remote)

    assert gone.value.retryable


async def test_a_link_into_the_machine_is_not_followed_and_sees_no_key(fake: FakeZai, tmp_path: Path) -> None:
    with FakeZai() as other:
        fake.result_host = other.url
        async with at(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            (asset,) = await provider.assets(remote)
            with pytest.raises(RequestError, match="https"):
                await fetched(provider, asset)

    assert other.requests == []


async def test_nothing_can_be_cancelled_or_deleted_and_nothing_is_tried(fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")

        assert (await provider.cancel(remote), await provider.delete(remote)) == (False, False)
        assert len(fake.requests) == 1
