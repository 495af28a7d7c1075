"""Runway against its fake: what the suites for all vendors do not see."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Model, read_table
from rushes.providers.prepare import Prepared
from rushes.providers.runway import WireTask, from_wire, too_large
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import clip, padded, picture
from rushes.testing.fakes.runway import FakeRunway, RunwayBench
from rushes.testing.faults import Fault, Trouble
from rushes.video import MediaRef, Progress, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest

pytestmark = pytest.mark.anyio

WIDE = Size(1280, 720)
TABLE = {model.id.model: model for model in read_table("runway")}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake() -> Iterator[FakeRunway]:
    with FakeRunway(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)


def runway(fake: FakeRunway, folder: Path, inputs: Inputs | None = None) -> AbstractAsyncContextManager[Provider]:
    environment = RunwayBench().environment(fake)
    return opened(RunwayBench.kind, folder=folder, environment=environment, inputs=inputs)


def asked(model: str, **wish: Any) -> Prepared:
    return prepared(replace(VideoRequest(prompt="A cat", model=TABLE[model].id), **wish), TABLE[model])


def frame(inputs: Inputs, size: Size = WIDE, data: bytes | None = None) -> MediaRef:
    return inputs.add(data or picture(*size), "image/png", *size)


def film(inputs: Inputs, seconds: float = 4.0, size_bytes: int = 0) -> MediaRef:
    data = padded(clip(320, 180, seconds, fps=5), size_bytes)
    return replace(inputs.add(data, "video/mp4", 320, 180), seconds=seconds)


def of_clip(media: MediaRef, kind: SourceKind = SourceKind.EDIT) -> SourceVideo:
    return SourceVideo(kind=kind, video_id=None, size=media.size, seconds=round(media.seconds or 0), media=media)


# -- what is refused unsent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        ("aleph2", {"size": WIDE, "seconds": 5}, r"only changes videos\. Name one with --edit"),
        ("gen4.5", {"prompt": "\N{CAT}" * 501}, "1002 characters as .* takes 1000"),
        ("happyhorse_1_0", {"prompt": "\N{CAT}" * 1251}, "takes 2500"),
        ("seedance2_5", {"seed": 4_294_967_296}, "seeds from 0 to 4294967295"),
        ("gen4.5", {"seed": -1}, "seeds from 0"),
        ("gen4.5", {"extra": {"cfg_scale": 0.5}}, "no extra field 'cfg_scale'. It takes: public_figure_threshold"),
        ("wan3", {"extra": {"draft": True}}, "It takes: none"),
        ("gen4.5", {"extra": {"public_figure_threshold": "high"}}, "'auto' or 'low'"),
        ("seedance2_5", {"extra": {"draft": True}}, "A draft has 480p, not 1280x720"),
        (
            "kling3.0_pro",
            {"seconds": 8, "extra": {"multi_prompt": [{"prompt": "a", "duration": 5}]}},
            "5 s, the video 8 s",
        ),
    ],
)
async def test_what_the_api_would_refuse_is_refused_unsent(
    model: str, wish: dict[str, Any], words: str, fake: FakeRunway, tmp_path: Path
) -> None:
    async with runway(fake, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(model, **wish))
        with pytest.raises(Unsupported, match=words):
            await provider.submit(asked(model, **wish), "key-1")

        assert fake.requests == []


@pytest.mark.parametrize(
    ("model", "count", "with_frame", "words"),
    [
        ("klingO3_pro", 1, False, "references only together with a first_frame"),
        ("kling_4", 10, True, "at most 10 pictures, frames included, not 11"),
    ],
)
async def test_references_that_do_not_go_together_are_refused(
    model: str, count: int, with_frame: bool, words: str, fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    size = TABLE[model].default_size
    references = (Reference(media=frame(inputs, size)),) * count
    async with runway(fake, tmp_path, inputs) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(model, references=references, first_frame=frame(inputs, size) if with_frame else None))


async def test_reference_clips_that_are_too_long_together_are_refused(
    fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    references = (Reference(media=film(inputs, 8.0)),) * 2
    async with runway(fake, tmp_path, inputs) as provider:
        provider.check(asked("seedance2_5", references=references))
        with pytest.raises(Unsupported, match=r"last 16 s together; .* takes 15 s"):
            provider.check(asked("seedance2", references=references))


# -- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "told", "told_with_frame"),
    [
        ("seedance2", "3840x1646", {"ratio": "3840:1646"}, {"ratio": "3840:1646"}),
        ("wan3", "624x624", {"ratio": "624:624"}, {"ratio": "auto_480p"}),
        ("wan3", "1440x1440", {"ratio": "1440:1440"}, {"ratio": "auto_1080p"}),
        ("kling_4", "2200x940", {"ratio": "2200:940"}, {"ratio": "auto_1080p"}),
        ("kling_4", "940x940", {"ratio": "940:940"}, {"ratio": "auto_720p"}),
        ("hailuo3", "1440x2560", {"ratio": "9:16", "resolution": "2k"}, {"ratio": "9:16", "resolution": "2k"}),
        ("hailuo3", "768x768", {"ratio": "1:1", "resolution": "768p"}, {"ratio": "1:1", "resolution": "768p"}),
        ("h3_max", "854x480", {"resolution": "480p"}, {"resolution": "480p"}),
        ("grok_imagine_1_5", "1080x1080", {"ratio": "1:1", "resolution": "1080p"}, {"resolution": "1080p"}),
        ("grok_imagine_1_5_lite", "720x720", {"ratio": "720:720"}, {"ratio": "auto_720p"}),
        ("grok_imagine_1_5_lite", "1424x1424", {"ratio": "1424:1424"}, {"ratio": "auto_1080p"}),
        ("happyhorse_1_0", "960x960", {"ratio": "960:960"}, {"resolution": "720p"}),
        ("happyhorse_1_0", "1662x1248", {"ratio": "1662:1248"}, {"resolution": "1080p"}),
        ("kling2.5_turbo_pro", "720x720", {"ratio": "720:720"}, {}),
        ("klingO3_4k", "2880x2880", {"ratio": "2880:2880"}, {"ratio": "2880:2880"}),
    ],
)
async def test_a_size_is_told_as_the_model_wants_it_on_each_address(
    model: str,
    size: str,
    told: dict[str, str],
    told_with_frame: dict[str, str],
    fake: FakeRunway,
    inputs: Inputs,
    tmp_path: Path,
) -> None:
    wanted = Size.parse(size)
    async with runway(fake, tmp_path, inputs) as provider:
        await provider.submit(asked(model, size=wanted), "key-1")
        await provider.submit(asked(model, size=wanted, first_frame=frame(inputs, wanted)), "key-2")

    sent = [{name: body[name] for name in ("ratio", "resolution") if name in body} for body in fake.bodies()]
    assert sent == [told, told_with_frame]


async def test_every_size_of_every_model_is_made_from_a_picture_of_its_shape(
    fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    async with runway(fake, tmp_path, inputs) as provider:
        for model in (model for model in TABLE.values() if model.id.model != "aleph2"):
            for size in _with_first_frame(model):
                wish = asked(model.id.model, size=size, first_frame=frame(inputs, size))
                remote = await provider.submit(wish, "key-1")

                assert _near(fake.jobs[remote.id].ordered.size, size), (model.id, size)


def _near(made: tuple[int, int], size: Size) -> bool:
    """Where no page tells the pixels, each side may differ by a few."""
    return max(abs(made[0] - size.width), abs(made[1] - size.height)) <= 8


def _with_first_frame(model: Model) -> tuple[Size, ...]:
    return next((limit.sizes for limit in model.limits if {*limit.has} == {"first_frame"}), model.sizes)


async def test_references_of_kling_o3_lie_beside_the_first_frame(
    fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    first, other = frame(inputs, WIDE), frame(inputs, Size(960, 960))
    async with runway(fake, tmp_path, inputs) as provider:
        wish = asked("klingO3_standard", first_frame=first, references=(Reference(media=other),))
        await provider.submit(wish, "key-1")

    [body] = fake.bodies()
    assert fake.requests[0].path == "/v1/image_to_video"
    assert ([each["position"] for each in body["promptImage"]], len(body["references"])) == (["first"], 1)


async def test_the_extra_fields_take_their_places(fake: FakeRunway, tmp_path: Path) -> None:
    shots = [{"prompt": "a", "duration": 3}, {"prompt": "b", "duration": 5}]
    async with runway(fake, tmp_path) as provider:
        await provider.submit(asked("gen4.5", extra={"public_figure_threshold": "low"}), "key-1")
        extra = {"multi_prompt": shots, "shot_type": "customize", "cfg_scale": 0.7}
        await provider.submit(asked("kling3.0_pro", seconds=8, extra=extra), "key-2")
        await provider.submit(asked("h3_max", extra={"prompt_expansion_mode": "disabled"}), "key-3")
        await provider.submit(asked("seedance2_5", size=Size(854, 480), extra={"draft": True}), "key-4")

    gen, kling, h3, seedance = fake.bodies()
    assert gen["contentModeration"] == {"publicFigureThreshold": "low"}
    assert kling["providerSettings"] == {"multiPrompt": shots, "shotType": "customize"}
    assert (kling["cfgScale"], h3["promptExpansionMode"], seedance["draft"]) == (0.7, "disabled", True)


@pytest.mark.parametrize("kind", [SourceKind.EDIT, SourceKind.REMIX])
async def test_aleph_changes_a_given_clip_and_is_charged_as_shown(
    kind: SourceKind, fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    async with runway(fake, tmp_path, inputs) as provider:
        for seconds, usd in ((4.0, "1.12"), (1.0, "0.56")):
            wish = asked("aleph2", source=of_clip(film(inputs, seconds), kind))
            remote = await provider.submit(wish, "key-1")
            cost = provider.cost(TABLE["aleph2"], wish, await provider.poll(remote))

            assert wish.estimate_usd == cost == fake.book.entries[-1].usd == Decimal(usd)

    body = fake.bodies()[0]
    assert body.keys() == {"model", "promptText", "videoUri"}
    assert body["videoUri"].startswith("data:video/mp4;base64,")


async def test_the_edit_of_a_newer_omni_says_that_it_is_one(fake: FakeRunway, inputs: Inputs, tmp_path: Path) -> None:
    async with runway(fake, tmp_path, inputs) as provider:
        await provider.submit(asked("gemini_omni_flash_1.1", source=of_clip(film(inputs))), "key-1")

    assert fake.bodies()[0]["mode"] == "edit"


# -- uploads ---------------------------------------------------------------------------------------------------------


async def test_a_file_too_large_for_the_body_is_uploaded_once_and_pointed_at(
    fake: FakeRunway, inputs: Inputs, tmp_path: Path
) -> None:
    large = film(inputs, size_bytes=4_000_000)
    async with runway(fake, tmp_path, inputs) as provider:
        wish = asked("aleph2", source=of_clip(large))
        await provider.bring(wish)
        await provider.submit(wish, "key-1")
        await provider.submit(wish, "key-2")

    [(uri, data)] = fake.uploads.items()
    assert data == await inputs.read(large)
    assert [body["videoUri"] for body in fake.bodies()] == [uri, uri]
    [put] = [request for request in fake.requests if request.path.startswith("/bucket/")]
    assert "authorization" not in put.headers


@pytest.mark.parametrize(("status", "kind"), [(403, Rejected), (503, Unavailable)])
async def test_a_file_that_is_not_taken_costs_nothing(
    status: int, kind: type[ProviderError], inputs: Inputs, tmp_path: Path
) -> None:
    class Full(FakeRunway):
        def other(self, received: Any, operation: str, fault: Fault | None) -> Any:
            if operation == "put":
                raise self.error(status, "AccessDenied")
            return super().other(received, operation, fault)

    with Full() as fake:
        async with runway(fake, tmp_path, inputs) as provider:
            with pytest.raises(kind) as caught:
                await provider.bring(asked("aleph2", source=of_clip(film(inputs, size_bytes=4_000_000))))

        assert caught.value.proves_refusal
        assert fake.book.creates == 0


def test_the_body_is_filled_in_order_and_the_rest_is_uploaded() -> None:
    def media(name: str, size_bytes: int) -> MediaRef:
        return MediaRef(sha256=name, mime="image/png", size_bytes=size_bytes, width=9, height=9)

    small, middle, large = media("a", 1_000_000), media("b", 2_500_000), media("c", 3_800_000)

    assert too_large((small, middle)) == ()
    assert too_large((large, small)) == (large,)
    assert too_large((middle, large, small)) == (large,)
    assert too_large((middle, middle)) == ()


# -- how tasks end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"status": "PENDING"}, (Status.QUEUED, None)),
        ({"status": "THROTTLED", "progress": 0.4}, (Status.QUEUED, None)),
        ({"status": "RUNNING"}, (Status.IN_PROGRESS, None)),
        ({"status": "RUNNING", "progress": 0.25}, (Status.IN_PROGRESS, 25.0)),
        ({"status": "RUNNING", "progress": 1.5}, (Status.IN_PROGRESS, 100.0)),
        ({"status": "UPSCALING", "progress": "soon"}, (Status.IN_PROGRESS, None)),
        ({"status": "SUCCEEDED", "output": ["https://a"]}, (Status.COMPLETED, 100.0)),
    ],
)
def test_a_look_is_told_in_our_words(task: dict[str, Any], expected: tuple[Status, float | None]) -> None:
    progress = from_wire(WireTask.model_validate(task))

    assert (progress.status, progress.percent) == expected


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("SAFETY.INPUT.TEXT", "moderation_blocked"),
        ("SAFETY.OUTPUT.VIDEO", "moderation_blocked"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "moderation_blocked"),
        ("INPUT_PREPROCESSING.INTERNAL", "internal_error"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "internal_error"),
        ("INTERNAL", "internal_error"),
        ("THIRD_PARTY.UNAVAILABLE", "internal_error"),
        ("ASSET.INVALID", "rejected"),
        (None, "internal_error"),
    ],
)
def test_a_failure_has_our_code_and_the_vendors_words(code: str | None, ours: str) -> None:
    progress = from_wire(WireTask.model_validate({"status": "FAILED", "failure": "No.", "failureCode": code}))

    assert progress.status is Status.FAILED
    assert progress.failure is not None
    assert progress.failure.code == ours
    assert progress.failure.message == (f"No. ({code})" if code else "No.")


@pytest.mark.parametrize(
    ("task", "billed", "usd"),
    [
        ({"status": "SUCCEEDED", "output": ["https://a"], "cost": {"credits": 80}}, False, "0.80"),
        ({"status": "SUCCEEDED", "output": ["https://a"]}, False, "0.96"),
        ({"status": "SUCCEEDED", "output": [], "cost": {"credits": 80}}, True, "0.80"),
        ({"status": "SUCCEEDED"}, True, "0.96"),
        ({"status": "FAILED", "failureCode": "INTERNAL", "cost": {"credits": 0}}, False, "0"),
        ({"status": "FAILED", "failureCode": "INTERNAL"}, False, None),
        ({"status": "FAILED", "failureCode": "SAFETY.INPUT.TEXT"}, True, "0.96"),
        ({"status": "FAILED", "failureCode": "SAFETY.INPUT.TEXT", "cost": {"credits": 0}}, False, "0"),
        ({"status": "FAILED", "failureCode": "INPUT_PREPROCESSING.SAFETY.TEXT"}, True, "0.96"),
        ({"status": "FAILED", "failureCode": "SAFETY.OUTPUT.VIDEO", "cost": {"credits": 96}}, False, "0.96"),
        ({"status": "FAILED", "failureCode": "SAFETY.OUTPUT.VIDEO"}, False, None),
        ({"status": "CANCELLED", "cost": {"credits": 96}}, False, "0.96"),
    ],
)
def test_what_the_task_says_it_cost_counts_before_what_was_expected(
    task: dict[str, Any], billed: bool, usd: str | None
) -> None:
    progress: Progress = from_wire(WireTask.model_validate(task), 96.0)

    assert (progress.billed, progress.billed_usd) == (billed, None if usd is None else Decimal(usd))


async def test_a_model_without_a_price_tells_its_cost_when_it_is_done(fake: FakeRunway, tmp_path: Path) -> None:
    async with runway(fake, tmp_path) as provider:
        wish = asked("kling_4")
        remote = await provider.submit(wish, "key-1")
        cost = provider.cost(TABLE["kling_4"], wish, await provider.poll(remote))

    assert wish.estimate_usd is None
    assert cost == fake.book.total_usd > 0
    assert remote.data == {"credits": float(fake.book.total_usd * 100)}


# -- cancelling and deleting -----------------------------------------------------------------------------------------


async def test_what_waits_is_cancelled_and_refunded(tmp_path: Path) -> None:
    with FakeRunway(job_s=60.0) as fake:
        async with runway(fake, tmp_path) as provider:
            remote = await provider.submit(asked("wan3"), "key-1")

            assert await provider.cancel(remote)
            assert fake.refunded == [remote.id]
            with pytest.raises(Vanished):
                await provider.poll(remote)


@pytest.mark.parametrize("word", ["RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REVIEWING"])
async def test_what_runs_or_has_ended_is_left_alone(word: str, tmp_path: Path) -> None:
    with FakeRunway(job_s=60.0) as fake:
        async with runway(fake, tmp_path) as provider:
            remote = await provider.submit(asked("wan3"), "key-1")
            fake.faults.poll = [Fault.of(Trouble.WORD, word)]

            assert not await provider.cancel(remote)
            assert remote.id in fake.jobs, "a finished task is deleted by the same call"


async def test_a_link_is_made_anew_at_each_look(fake: FakeRunway, tmp_path: Path) -> None:
    async with runway(fake, tmp_path) as provider:
        remote = await provider.submit(asked("wan3"), "key-1")
        links = {(await provider.assets(remote))[0].url for _ in range(2)}

    assert len(links) == 2


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "Validation of body failed", Rejected),
        (400, "You do not have enough credits to run this task.", NoCredit),
        (400, "Rejected by content moderation", Moderated),
        (401, "Bad key", AccessDenied),
        (404, "Not found", Vanished),
        (429, "Daily limit reached", RateLimited),
        (502, "", Unavailable),
        (503, "", Unavailable),
        (504, "", Unavailable),
    ],
)
async def test_an_error_is_told_by_its_kind(
    status: int, words: str, kind: type[ProviderError], fake: FakeRunway, tmp_path: Path
) -> None:
    body = f'{{"error": "{words}"}}'.encode()
    async with runway(fake, tmp_path) as provider:
        error = provider.error_of(Reply(status, {}, body, "create"))

    assert type(error) is kind
    assert error.proves_refusal == (status < 500)


async def test_the_check_of_a_key_tells_the_credits(fake: FakeRunway, tmp_path: Path) -> None:
    async with runway(fake, tmp_path) as provider:
        assert await provider.ping() == "answers, key accepted, 1,234 credits left"


async def test_a_task_without_a_link_has_vanished(tmp_path: Path) -> None:
    with FakeRunway(job_s=60.0) as fake:
        async with runway(fake, tmp_path) as provider:
            remote = await provider.submit(asked("wan3"), "key-1")
            with pytest.raises(Vanished):
                await provider.assets(RemoteJob(id=remote.id))
