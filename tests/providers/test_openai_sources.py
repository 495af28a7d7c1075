"""Remixes, edits and extensions at the OpenAI provider: what is bought, what it costs, what is refused."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    InputLost,
    Moderated,
    NotOffered,
    ProviderError,
    Rejected,
    Unavailable,
    Unsupported,
)
from rushes.providers.base import Provider
from rushes.providers.catalog import open_model
from rushes.providers.openai.create import DATA_URL_MAX
from rushes.providers.openai.errors import NoSuchModel, SourceGone
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, fetched, prepared
from rushes.testing.clips import clip, picture
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from rushes.testing.server import Answer
from rushes.video import MediaRef, ModelId, Progress, Size, SourceKind, SourceVideo, Status, VideoRequest, made_seconds
from tests.providers.openai_bench import MODELS, SORA, Scripted, asked, usual

pytestmark = pytest.mark.anyio

PRO = ModelId("openai", "sora-2-pro")
SIZE = Size(1280, 720)
REMIX, EDIT, EXTEND = SourceKind.REMIX, SourceKind.EDIT, SourceKind.EXTEND


def again(kind: SourceKind, remote: RemoteJob | str, before: Prepared, prompt: str, seconds: int = 4) -> Prepared:
    """A new video from one that `before` asked for, as the planner would tell of it."""
    request, size = before.request, before.request.size
    total = made_seconds(request)
    assert size is not None
    assert total is not None
    came_from = request.source
    extensions = (came_from.extensions + (came_from.kind is EXTEND)) if came_from else 0
    source = SourceVideo(
        kind=kind,
        video_id="ours",
        size=size,
        seconds=total,
        extensions=extensions,
        remote_id=remote if isinstance(remote, str) else remote.id,
    )
    return asked(prompt, request.model, seconds if kind is EXTEND else None, source=source)


def filed(kind: SourceKind, media: MediaRef) -> SourceVideo:
    return SourceVideo(kind=kind, video_id="ours", size=media.size, seconds=round(media.seconds or 1), media=media)


def given_clip(inputs: Inputs, seconds: float = 4, mime: str = "video/mp4", size: Size = SIZE) -> MediaRef:
    return replace(inputs.add(clip(*size, seconds), mime, *size), seconds=seconds)


async def bought(provider: Provider, wanted: Prepared, fake: FakeOpenAI) -> tuple[RemoteJob, Progress]:
    """Submit, look, and hold the far side's book against our price."""
    remote = await provider.submit(wanted, f"key of {wanted.request.prompt}")
    done = await provider.poll(remote)
    cost = provider.cost(MODELS[wanted.request.model], wanted, done)

    entry = fake.book.entries[-1]
    assert entry.remote_id == remote.id
    assert entry.key == f"key of {wanted.request.prompt}"
    assert (wanted.estimate_usd, cost) == (entry.usd, entry.usd)
    assert done.status is Status.COMPLETED
    return remote, done


# -- end to end, with prices -------------------------------------------------------------------------------------------


async def test_a_remix_of_a_remix_costs_what_its_source_did(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        first = asked("A cat", PRO, 8, size=Size(1792, 1024))
        one, _ = await bought(provider, first, fake)
        second = again(REMIX, one, first, "A dog")
        two, _ = await bought(provider, second, fake)
        third = again(REMIX, two, second, "A fox")
        three, done = await bought(provider, third, fake)

    assert [entry.usd for entry in fake.book.entries] == [Decimal("4.00")] * 3
    assert (done.seconds, done.size) == (8, Size(1792, 1024))
    assert fake.jobs[three.id].remixed_from == two.id


async def test_an_edit_keeps_size_and_length(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        first = asked("A cat", seconds=12, size=Size(720, 1280))
        one, _ = await bought(provider, first, fake)
        _, done = await bought(provider, again(EDIT, one, first, "Make it snow"), fake)

    assert (done.seconds, done.size) == (12, Size(720, 1280))
    assert fake.book.entries[-1].usd == Decimal("1.20")


async def test_each_extension_is_charged_for_what_it_adds_and_comes_back_whole(
    fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path) as provider:
        wanted = asked("A cat")
        remote, _ = await bought(provider, wanted, fake)
        lengths: list[int | None] = []
        for n, seconds in enumerate((8, 4, 4)):
            wanted = again(EXTEND, remote, wanted, f"It walks on {n}", seconds)
            remote, done = await bought(provider, wanted, fake)
            lengths.append(done.seconds)
        data = await fetched(provider, (await provider.assets(remote))[0])

    assert lengths == [12, 16, 20]
    assert [entry.usd for entry in fake.book.entries] == [Decimal(usd) for usd in ("0.40", "0.80", "0.40", "0.40")]
    assert data == clip(1280, 720, 20.0)


async def test_the_seventh_extension_and_the_121st_second_are_refused_unsent(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        wanted = asked("A cat")
        remote, _ = await bought(provider, wanted, fake)
        for n in range(6):
            wanted = again(EXTEND, remote, wanted, f"On {n}")
            remote, _ = await bought(provider, wanted, fake)
        with pytest.raises(Unsupported, match="allows 6"):
            again(EXTEND, remote, wanted, "Once more")

    assert fake.book.charged == 7
    long = SourceVideo(kind=EXTEND, video_id="ours", size=SIZE, seconds=104, remote_id="video_1")
    assert asked(seconds=16, source=long).request.seconds == 16
    with pytest.raises(Unsupported, match="allows 120"):
        asked(seconds=20, source=long)


@pytest.mark.parametrize("encoding", [None, "multipart", "json"])
async def test_a_picture_comes_alive_in_any_encoding(encoding: str | None, fake: FakeOpenAI, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1280, 720, "WEBP"), "image/webp", 1280, 720)
    async with usual(fake, tmp_path, inputs=inputs, **({"encoding": encoding} if encoding else {})) as provider:
        await bought(provider, asked(first_frame=frame), fake)

    assert fake.requests[0].mime == ("application/json" if encoding == "json" else "multipart/form-data")


@pytest.mark.parametrize(("kind", "usd"), [(EDIT, "0.90"), (EXTEND, "1.20")])
async def test_the_file_of_any_video_can_be_the_source(
    kind: SourceKind, usd: str, fake: FakeOpenAI, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    source = filed(kind, given_clip(inputs, 3))
    wanted = asked("On it goes", PRO, 4 if kind is EXTEND else None, source=source)
    async with usual(fake, tmp_path, inputs=inputs) as provider:
        _, done = await bought(provider, wanted, fake)

    assert fake.book.entries[-1].usd == Decimal(usd)
    assert done.seconds == (7 if kind is EXTEND else 3)


@pytest.mark.parametrize("encoding", ["multipart", "json"])
@pytest.mark.parametrize("kind", list(SourceKind))
async def test_an_earlier_video_is_understood_in_both_encodings(
    kind: SourceKind, encoding: str, fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path, encoding=encoding) as provider:
        first = asked("A cat")
        one, _ = await bought(provider, first, fake)
        await bought(provider, again(kind, one, first, "A dog"), fake)


async def test_an_edit_that_came_out_shorter_is_charged_as_told(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        first = asked("A cat", seconds=8)
        one = await provider.submit(first, "key-1")
        edit = again(EDIT, one, first, "A dog")
        remote = await provider.submit(edit, "key-2")
        fake.jobs[remote.id].seconds = "7"
        done = await provider.poll(remote)

        assert done.seconds == 7
        assert provider.cost(MODELS[SORA], edit, done) == Decimal("0.70")


async def test_a_server_may_tell_the_new_part_of_an_extension_alone(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        first = asked("A cat", seconds=8)
        one = await provider.submit(first, "key-1")
        more = again(EXTEND, one, first, "On", 4)
        remote = await provider.submit(more, "key-2")
        fake.jobs[remote.id].seconds = "4"
        done = await provider.poll(remote)

        assert provider.cost(MODELS[SORA], more, done) == Decimal("0.40") == fake.book.entries[-1].usd


# -- creates that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(SourceKind))
@pytest.mark.parametrize(
    ("fault", "refused", "error"),
    [
        ("400", True, Rejected),
        ("401", True, AccessDenied),
        ("moderated", True, Moderated),
        ("500-accepted", False, Unavailable),
        ("reset-accepted", False, Unavailable),
        ("no_id", False, BadReply),
        ("half_json", False, BadReply),
    ],
)
async def test_what_starts_from_a_video_fails_as_truthfully_as_a_plain_create(
    kind: SourceKind, fault: str, refused: bool, error: type[ProviderError], fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path, create_timeout_s=2.0) as provider:
        first = asked("A cat")
        one, _ = await bought(provider, first, fake)
        fake.faults.create = [Fault.parse(fault)]
        with pytest.raises(error) as caught:
            await provider.submit(again(kind, one, first, "A dog"), "key-2")

    assert caught.value.proves_refusal is refused
    assert fake.book.creates == 2, "sent once, whatever happens to it"
    assert fake.book.charged == (1 if refused else 2)


@pytest.mark.parametrize("encoding", ["multipart", "json"])
@pytest.mark.parametrize("kind", list(SourceKind))
async def test_a_source_that_is_gone_is_said_to_be_gone(
    kind: SourceKind, encoding: str, fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path, encoding=encoding) as provider:
        with pytest.raises(SourceGone, match="earlier video is no longer there: results live about an hour") as caught:
            await provider.submit(again(kind, "video_lost", asked(), "A dog"), "key-1")

    assert isinstance(caught.value, Gone)
    assert caught.value.proves_refusal
    assert not caught.value.retryable
    assert "base_url" not in str(caught.value)
    assert "Make it again" in str(caught.value)
    assert fake.book.charged == 0


async def test_a_source_whose_hour_is_over_is_gone_too(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=0.0, result_life_s=-1) as fake:
        async with usual(fake, tmp_path) as provider:
            first = asked("A cat")
            one = await provider.submit(first, "key-1")
            with pytest.raises(SourceGone):
                await provider.submit(again(REMIX, one, first, "A dog"), "key-2")

    assert fake.book.charged == 1


async def test_a_source_that_is_not_finished_is_refused_in_the_servers_words(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=60) as fake:
        async with usual(fake, tmp_path) as provider:
            first = asked("A cat")
            one = await provider.submit(first, "key-1")
            with pytest.raises(Rejected, match="not completed") as caught:
                await provider.submit(again(EXTEND, one, first, "A dog"), "key-2")

    assert caught.value.proves_refusal


@pytest.mark.parametrize("kind", list(SourceKind))
@pytest.mark.parametrize(
    "answer",
    [
        Answer.json({"detail": "Not Found"}, 404),
        Answer.json({"detail": "Method Not Allowed"}, 405),
        Answer.json({"error": {"message": "Invalid URL (POST /v1/videos/edits)"}}, 404),
        Answer(404, b"404 page not found"),
    ],
)
async def test_a_server_without_the_operation_is_told_apart(answer: Answer, kind: SourceKind, tmp_path: Path) -> None:
    with Scripted(answer) as server:
        async with usual(server, tmp_path) as provider:
            with pytest.raises(NotOffered, match=r"A remix|An edit|An extension") as caught:
                await provider.submit(again(kind, "video_1", asked(), "A dog"), "key-1")

    assert caught.value.proves_refusal


async def test_a_model_that_the_server_lacks_is_still_told_as_that(tmp_path: Path) -> None:
    answer = Answer.json({"error": {"message": "No such model", "code": "model_not_found"}}, 404)
    with Scripted(answer) as server:
        async with usual(server, tmp_path) as provider:
            with pytest.raises(NoSuchModel):
                await provider.submit(again(EDIT, "video_1", asked(), "A dog"), "key-1")


async def test_odd_ids_are_one_part_of_the_path_and_whole_in_a_body(fake: FakeOpenAI, tmp_path: Path) -> None:
    odd = "video_bGl0/ZWxs+bQ==?x"
    async with usual(fake, tmp_path) as provider:
        for kind in SourceKind:
            with pytest.raises(SourceGone, match=r"bGl0/ZWxs\+bQ==\?x"):
                await provider.submit(again(kind, odd, asked(), "A dog"), "key-1")

    paths = [request.raw_path for request in fake.requests]
    assert paths == [
        "/v1/videos/video_bGl0%2FZWxs%2BbQ%3D%3D%3Fx/remix",
        "/v1/videos/edits",
        "/v1/videos/extensions",
    ]


# -- refused before anything is sent -----------------------------------------------------------------------------------


def on_own_server(**changes: Any) -> Prepared:
    """A model that no table knows takes everything in the tables; what its API has no field for is refused here."""
    model_id = ModelId("openai", "wan")
    return prepared(VideoRequest(prompt="A cat", model=model_id, **changes), open_model(model_id, Decimal(0)))


BOX = SourceVideo(kind=REMIX, video_id="ours", size=SIZE, seconds=4, remote_id="video_1")
MOV = MediaRef(sha256="m", mime="video/quicktime", size_bytes=1, width=1280, height=720, seconds=4.0)
PNG = MediaRef(sha256="f", mime="image/png", size_bytes=1, width=1280, height=720)
HUGE = replace(PNG, size_bytes=DATA_URL_MAX // 4 * 3)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (on_own_server(source=BOX, first_frame=PNG), "A remix goes on from its source"),
        (on_own_server(source=replace(BOX, kind=EDIT), characters=("char_1",)), "An edit goes on from its source"),
        (on_own_server(source=replace(BOX, remote_id=None, media=MOV)), "A remix needs a video that openai made"),
        (on_own_server(source=replace(BOX, kind=EDIT, remote_id=None)), "An edit needs a video"),
        (asked(seconds=None, source=filed(EDIT, MOV)), "takes videos as video/mp4, not video/quicktime"),
        (asked(source=filed(EXTEND, PNG)), "takes videos as video/mp4, not image/png"),
        (on_own_server(source=replace(BOX, kind=EDIT), extra={"video": "x"}), "extra may not set video"),
        (on_own_server(extra={"characters": []}), "extra may not set characters"),
        (on_own_server(last_frame=PNG, source=BOX), "a last frame"),
        (on_own_server(audio=False, source=BOX), "a switch for sound"),
        (on_own_server(extra={"scale": float("nan")}), "cannot be sent as text"),
        (on_own_server(extra={"style": "\ud800"}), "cannot be sent as text"),
        (asked("A cat \ud83d", seconds=None, source=BOX), "cannot be sent as text"),
        (asked(first_frame=HUGE, characters=("char_1",)), "too many for JSON"),
    ],
)
async def test_what_cannot_be_said_in_this_dialect_is_refused_unsent(
    wanted: Prepared, words: str, fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(wanted)
        with pytest.raises(Unsupported, match=words):
            await provider.submit(wanted, "key-1")

    assert fake.requests == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"characters": ("a", "b", "c")}, "at most 2 characters, not 3"),
        ({"characters": ("a",), "source": replace(BOX, kind=EXTEND)}, "takes no pictures and no characters"),
        ({"first_frame": PNG, "source": replace(BOX, kind=EXTEND)}, "takes no pictures and no characters"),
    ],
)
def test_what_the_table_forbids_is_never_prepared(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        asked(**changes)


async def test_a_picture_too_large_for_json_may_go_as_a_file(fake: FakeOpenAI, tmp_path: Path) -> None:
    just_fits = replace(PNG, size_bytes=(DATA_URL_MAX - len("data:image/png;base64,")) // 4 * 3)
    async with usual(fake, tmp_path, encoding="json") as provider:
        provider.check(asked(first_frame=just_fits))
        with pytest.raises(Unsupported, match='set encoding = "multipart"'):
            provider.check(asked(first_frame=replace(just_fits, size_bytes=just_fits.size_bytes + 1)))
    async with usual(fake, tmp_path) as provider:
        provider.check(asked(first_frame=HUGE))


async def test_a_misspelt_encoding_is_told(fake: FakeOpenAI, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="multipart"):
        async with usual(fake, tmp_path, encoding="form"):
            pass


class Lost(Inputs):
    async def read(self, ref: MediaRef) -> bytes:
        raise InputLost("The stored clip cannot be read.")


async def test_a_stored_file_that_is_gone_says_that_nothing_was_sent(fake: FakeOpenAI, tmp_path: Path) -> None:
    wanted = asked(seconds=None, source=filed(EDIT, given_clip(Inputs(tmp_path))))
    async with usual(fake, tmp_path, inputs=Lost(tmp_path)) as provider:
        with pytest.raises(InputLost):
            await provider.submit(wanted, "key-1")

    assert fake.requests == []
