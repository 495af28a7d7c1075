"""Ark beyond what all vendors are held to: bills by tokens, two hosts with names of their own, what is refused."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.errors import (
    AccessDenied,
    BadReply,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)
from rushes.providers.ark import TIERS, Ark, expected, is_moderated, to_wire, tokens_of, told_usd
from rushes.providers.catalog import Catalog, Feature, Order, read_table
from rushes.providers.content_parts import Task, progress_of
from rushes.providers.prepare import Prepared
from rushes.providers.shapes import tier_by_area
from rushes.providers.terms import Hint, RemoteJob, Search
from rushes.testing.bench import opened, prepared
from rushes.testing.fakes.ark import FakeArk
from rushes.testing.faults import Fault
from rushes.testing.server import Answer
from rushes.video import Crop, MediaRef, ModelId, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("ark")}
SEEDANCE_25, SEEDANCE_20 = "dreamina-seedance-2-5-260628", "dreamina-seedance-2-0-260128"
OLD = "seedance-1-5-pro-251215"
MAINLAND = ModelId("ark", "doubao-seedance-2-0-260128")
KEY = {"ARK_API_KEY": "test-key-0123456789abcdef"}


@pytest.fixture
def fake() -> Iterator[FakeArk]:
    with FakeArk(job_s=30.0) as fake:
        yield fake


@asynccontextmanager
async def at(url: str, folder: Path, **section: Any) -> AsyncGenerator[Ark]:
    written = ProviderSettings.model_validate({"base_url": url, **section})
    async with opened(
        Ark, folder=folder, environment=KEY, section=written, models=[replace(MODELS[SEEDANCE_20], id=MAINLAND)]
    ) as provider:
        assert isinstance(provider, Ark)
        yield provider


def frame(width: int = 1280, height: int = 720) -> MediaRef:
    return MediaRef(sha256="0" * 64, mime="image/png", size_bytes=1000, width=width, height=height)


def asked(model: str = SEEDANCE_20, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **wish), MODELS[model])


def wired(model: str = SEEDANCE_20, **wish: Any) -> dict[str, Any]:
    return dict(to_wire(asked(model, **wish).request, model, {}, None, None))


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "resolution", "ratio"),
    [
        (SEEDANCE_25, "854x480", "480p", "16:9"),
        (SEEDANCE_25, "480x854", "480p", "9:16"),
        (SEEDANCE_20, "864x496", "480p", "16:9"),
        (SEEDANCE_20, "752x560", "480p", "4:3"),
        (SEEDANCE_20, "992x432", "480p", "21:9"),
        (SEEDANCE_20, "1280x720", "720p", "16:9"),
        (SEEDANCE_20, "834x1112", "720p", "3:4"),
        (SEEDANCE_20, "960x960", "720p", "1:1"),
        (SEEDANCE_20, "1470x630", "720p", "21:9"),
        (SEEDANCE_20, "1664x1248", "1080p", "4:3"),
        (SEEDANCE_20, "1080x1920", "1080p", "9:16"),
        (SEEDANCE_20, "2160x3840", "4k", "9:16"),
    ],
)
def test_a_size_is_told_as_resolution_and_shape(model: str, size: str, resolution: str, ratio: str) -> None:
    wire = wired(model, size=Size.parse(size))

    assert (wire["resolution"], wire["ratio"]) == (resolution, ratio)


def test_the_model_never_chooses_what_is_paid_for() -> None:
    wire = wired()

    assert (wire["duration"], wire["resolution"], wire["ratio"], wire["generate_audio"]) == (5, "720p", "16:9", True)


def test_options_of_ones_own_are_sent_under_their_names() -> None:
    extra = {"watermark": True, "execution_expires_after": 3600, "safety_identifier": "me", "camera_fixed": True}

    assert extra.items() <= wired(OLD, extra=extra).items()


A_MILLION = {
    SEEDANCE_25: {"480p": ("10.70", "6.40"), "720p": ("10.70", "6.40"), "1080p": ("10.70", "6.40")},
    SEEDANCE_20: {
        "480p": ("7.00", "4.30"),
        "720p": ("7.00", "4.30"),
        "1080p": ("7.70", "4.70"),
        "4k": ("4.00", "2.40"),
    },
    "dreamina-seedance-2-0-fast-260128": {"480p": ("5.60", "3.30"), "720p": ("5.60", "3.30")},
}
"""Dollars for a million tokens, without and with a video that goes along, from the price page."""


@pytest.mark.parametrize("model", A_MILLION)
@pytest.mark.parametrize("with_video", [False, True])
def test_a_second_of_every_size_costs_its_tokens(model: str, with_video: bool) -> None:
    has = frozenset({Feature.EDIT}) if with_video else frozenset[Feature]()
    for size in MODELS[model].sizes:
        order = Order(size=size, seconds=1, has=has, audio=True, clip_s=1 if with_video else 0)
        million = A_MILLION[model][tier_by_area(size, TIERS)][with_video]

        assert MODELS[model].price(order) == tokens_of(size, 1) * Decimal(million) / 1_000_000, size


# -- the bill --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "usd"),
    [
        (86400, "0.6048"),  # what was expected: 4 seconds of 720p at 7 dollars a million
        (86399.5, "0.6048"),  # it tells whole tokens
        (172800, "1.2096"),  # the source's seconds were counted, too
        (43200, "0.3024"),
        (0, None),
        (None, None),
    ],
)
def test_a_task_costs_what_its_tokens_cost(told: float | None, usd: str | None) -> None:
    task = Task.model_validate({"status": "succeeded", "usage": {"completion_tokens": told}})

    billed = told_usd(task, expected(asked(seconds=4)))

    assert billed == (None if usd is None else Decimal(usd))


def test_the_tokens_of_a_task_of_unknown_price_tell_nothing() -> None:
    task = Task.model_validate({"status": "succeeded", "usage": {"completion_tokens": 86400}})

    assert told_usd(task, expected(asked(OLD))) is None
    assert told_usd(task, {}) is None, "as with a task that a person adopted"


async def test_a_bill_that_differs_from_the_estimate_is_believed(tmp_path: Path) -> None:
    done = {"id": "1", "status": "succeeded", "content": {"video_url": "https://x/y.mp4"}, "duration": 4}
    with Scripted(Answer.json({**done, "usage": {"completion_tokens": 100_000}})) as server:
        async with at(server.url, tmp_path) as provider:
            wanted = asked(seconds=4)
            remote = await provider.submit(wanted, "key-1")
            progress = await provider.poll(remote)

            assert provider.cost(MODELS[SEEDANCE_20], wanted, progress) == Decimal("0.7")


# -- refused unsent --------------------------------------------------------------------------------------------------

PICTURE = Reference(media=frame())


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (SEEDANCE_20, {"seconds": 16}, "makes 4 to 15 seconds, not 16"),
        (SEEDANCE_25, {"seconds": 31}, "makes 4 to 30 seconds, not 31"),
        (OLD, {"seconds": 13}, "makes 4 to 12 seconds, not 13"),
        (SEEDANCE_25, {"size": Size(3840, 2160)}, "does not make 3840x2160"),
        ("dreamina-seedance-2-0-fast-260128", {"size": Size(1920, 1080)}, "does not make 1920x1080"),
        (SEEDANCE_20, {"references": (PICTURE,) * 10}, "at most 9 references, not 10"),
        (SEEDANCE_25, {"references": (PICTURE,) * 31}, "at most 30 references, not 31"),
        (SEEDANCE_20, {"first_frame": frame(), "references": (PICTURE,)}, "frame or references, not both"),
        (OLD, {"references": (PICTURE,)}, "does not take references"),
        (SEEDANCE_20, {"negative_prompt": "fog"}, "does not take negative_prompt"),
    ],
)
def test_what_the_table_tells_is_refused_in_preparing(model: str, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        asked(model, **wish)


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (SEEDANCE_20, {"extra": {"camera_fixed": True}}, "only the models of 1.x"),
        (SEEDANCE_20, {"extra": {"watermrk": True}}, "Did you mean watermark"),
        (SEEDANCE_20, {"extra": {"execution_expires_after": 3599}}, "greater than or equal to 3600"),
        (SEEDANCE_20, {"extra": {"duration": -1}}, "no extra field 'duration'"),
        (SEEDANCE_20, {"seed": 2**32}, "seeds from 0 to 4294967295"),
        (SEEDANCE_20, {"seed": -1}, "seeds from 0"),
        (SEEDANCE_20, {"references": (Reference(media=frame(), crop=Crop(left=0.5)),)}, "no frame_index, no crop"),
    ],
)
async def test_what_the_api_would_refuse_is_refused_before_it_is_sent(
    model: str, wish: dict[str, Any], words: str, fake: FakeArk, tmp_path: Path
) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            await provider.submit(asked(model, **wish), "key-1")

    assert fake.requests == []


def named(model_id: ModelId) -> Prepared:
    """A request for Seedance 2.0 under any of its names."""
    made = asked()
    return replace(made, request=replace(made.request, model=model_id))


async def test_a_name_of_volcengine_is_no_name_on_byteplus(fake: FakeArk, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Unsupported, match='set region = "volcengine" in'):
            await provider.submit(named(MAINLAND), "key-1")

    assert fake.requests == []


def test_an_edit_is_refused_for_a_source_that_is_too_short() -> None:
    source = SourceVideo(kind=SourceKind.EDIT, video_id="v", size=Size(1280, 720), seconds=3, remote_id="1")

    with pytest.raises(Unsupported, match="takes sources of 4 to 15 seconds"):
        asked(source=source)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "InvalidParameter", Rejected),
        (400, "InputTextSensitiveContentDetected", Moderated),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", Moderated),
        (401, "AuthenticationError", AccessDenied),
        (403, "AccessDenied", AccessDenied),
        (403, "AccountOverdueError", NoCredit),
        (404, "InvalidEndpointOrModel.NotFound", Rejected),
        (429, "RateLimitExceeded", RateLimited),
    ],
)
async def test_an_error_is_told_by_its_code_first(
    status: int, code: str, error: type[ProviderError], tmp_path: Path
) -> None:
    body = {"error": {"code": code, "message": "No.", "param": "", "type": "BadRequest"}}
    with Scripted(Answer.json(body, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(error, match=r"Ark: No\.") as caught:
                await provider.submit(asked(), "key-1")

    assert type(caught.value) is error
    assert (caught.value.provider_code, caught.value.proves_refusal) == (code, True)


SENSITIVE = {"code": "OutputVideoSensitiveContentDetected", "message": "No."}


@pytest.mark.parametrize(
    ("task", "status", "code", "billed"),
    [
        ({"status": "succeeded", "content": {"video_url": "https://x/y.mp4"}}, Status.COMPLETED, None, False),
        ({"status": "succeeded", "content": None}, Status.FAILED, "internal_error", True),
        ({"status": "failed", "error": SENSITIVE}, Status.FAILED, "moderation_blocked", False),
        ({"status": "failed", "error": {"code": "Busy", "message": "No."}}, Status.FAILED, "Busy", False),
        ({"status": "cancelled"}, Status.FAILED, "cancelled", False),
        ({"status": "expired"}, Status.FAILED, "expired", False),
        ({"status": "queued"}, Status.QUEUED, None, False),
        ({"status": "running"}, Status.IN_PROGRESS, None, False),
        ({"status": "warming"}, Status.IN_PROGRESS, None, False),
    ],
)
def test_how_a_task_is_told(task: dict[str, Any], status: Status, code: str | None, billed: bool) -> None:
    progress = progress_of(Task.model_validate(task), is_moderated)

    assert (progress.status, progress.failure and progress.failure.code, progress.billed) == (status, code, billed)


async def test_a_look_without_a_status_ends_nothing(tmp_path: Path) -> None:
    with Scripted(Answer.json({"id": "1"})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply, match="tells no status"):
                await provider.poll(RemoteJob(id="1"))


# -- the other calls -------------------------------------------------------------------------------------------------


async def test_only_what_is_queued_is_cancelled_and_no_paid_video_is_deleted_by_it(
    fake: FakeArk, tmp_path: Path
) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        queued, running, done = [await provider.submit(asked(), f"key-{n}") for n in range(3)]
        fake.jobs[running.id].started -= 15.0
        fake.jobs[done.id].job_s = 0.0

        stopped = [await provider.cancel(remote) for remote in (queued, running, done)]

        assert stopped == [True, False, False]
        assert (await provider.poll(done)).status is Status.COMPLETED
    assert [received.method for received in fake.requests].count("DELETE") == 1


async def test_a_lost_create_is_a_candidate_among_what_is_not_ours_yet(fake: FakeArk, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        ours = await provider.submit(asked(), "key-0")
        fake.faults.create = [Fault.reset(accepted=True)]
        with pytest.raises(Unavailable):
            await provider.submit(asked(), "lost")
        known = frozenset({ours.id})
        search = Search(prepared=asked(), key="lost", sent_at=datetime.now(UTC), known_ids=known)

        findings = await provider.find(search)

    assert [remote.id for remote in findings.candidates] == [fake.book.entries[-1].remote_id]
    assert (findings.matches, findings.complete) == ((), True)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"id": "cgt-1", "status": "succeeded"}, Hint(remote_id="cgt-1", trusted=False)),
        ({"id": "cgt\u0000"}, None),
        ({"id": "c" * 201}, None),
        ({"status": "succeeded"}, None),
        ([], None),
    ],
)
async def test_a_message_is_a_hint_that_nobody_signed(body: Any, found: Hint | None, tmp_path: Path) -> None:
    async with at("http://127.0.0.1:9", tmp_path) as provider:
        assert await provider.read_webhook({}, json.dumps(body).encode()) == found


# -- two hosts -------------------------------------------------------------------------------------------------------

INTERNATIONAL = "https://ark.ap-southeast.bytepluses.com/api/v3"
BEIJING = "https://ark.cn-beijing.volces.com/api/v3"


@pytest.mark.parametrize(
    ("section", "variables", "address", "in_dollars"),
    [
        ({}, {}, INTERNATIONAL, True),
        ({"region": "volcengine"}, {}, BEIJING, False),
        ({"region": "byteplus"}, {"ARK_BASE_URL": BEIJING}, INTERNATIONAL, True),
        ({}, {"ARK_BASE_URL": BEIJING}, BEIJING, False),
        ({"base_url": BEIJING}, {}, BEIJING, False),
        ({"base_url": "https://relay.example", "region": "volcengine"}, {}, "https://relay.example", False),
    ],
)
async def test_the_host_and_its_currency_follow_the_region(
    section: Mapping[str, Any], variables: Mapping[str, str], address: str, in_dollars: bool, tmp_path: Path
) -> None:
    written = ProviderSettings.model_validate(section)
    async with opened(Ark, folder=tmp_path, environment={**KEY, **variables}, section=written) as provider:
        assert provider.base_url == address
        assert bool(provider.offered(MODELS[SEEDANCE_20]).prices) is in_dollars


@pytest.mark.parametrize("name", [MODELS[SEEDANCE_20].id, MAINLAND])
async def test_on_volcengine_a_model_goes_by_either_name_and_is_told_by_its_own(
    name: ModelId, fake: FakeArk, tmp_path: Path
) -> None:
    fake.names = {MAINLAND.model: SEEDANCE_20}
    async with at(fake.base_url, tmp_path, region="volcengine") as provider:
        await provider.submit(named(name), "key-1")

    assert [body["model"] for body in fake.bodies()] == [MAINLAND.model]


async def test_a_model_by_its_volcengine_name_has_only_the_price_of_the_settings(tmp_path: Path) -> None:
    known = Catalog().merged(MODELS.values())
    for section, price in (({}, None), ({"usd_per_second": "0.14"}, Decimal("0.56"))):
        written = ProviderSettings.model_validate(section)
        async with opened(Ark, folder=tmp_path, environment=KEY, section=written) as provider:
            model = provider.model_of(MAINLAND, known)

            assert model is not None
            assert (model.id, model.price_of(Size(1280, 720), 4)) == (MAINLAND, price)
            assert provider.model_of(MODELS[SEEDANCE_20].id, known) is None, "the catalogue knows it"
