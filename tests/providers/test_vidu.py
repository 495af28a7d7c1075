"""Vidu beyond what all vendors are held to: credits, off-peak, cancelling, its codes, and what pictures decide."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
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
    Vanished,
)
from rushes.providers.catalog import Feature, read_table
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Hint, RemoteJob
from rushes.providers.vidu import USD_A_CREDIT, Vidu, WireTask, from_wire, operation_of
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fakes.vidu import FakeVidu
from rushes.testing.faults import Fault
from rushes.testing.server import Answer
from rushes.testing.vendor import API_KEY
from rushes.video import Failure, MediaRef, Progress, Reference, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("vidu")}
TURBO, OFF_PEAK = "viduq3-turbo", "viduq3-turbo-off-peak"


@pytest.fixture
def fake() -> Iterator[FakeVidu]:
    with FakeVidu(job_s=5.0) as fake:
        yield fake


@asynccontextmanager
async def at(
    url: str | None,
    folder: Path,
    *,
    key: str = API_KEY,
    inputs: Inputs | None = None,
    section: ProviderSettings | None = None,
) -> AsyncGenerator[Vidu]:
    environment = {"VIDU_API_KEY": key, **({"VIDU_BASE_URL": url} if url else {})}
    async with opened(Vidu, folder=folder, environment=environment, inputs=inputs, section=section) as provider:
        assert isinstance(provider, Vidu)
        yield provider


def asked(model: str = TURBO, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **wish), MODELS[model])


def frame(sha: str = "0", width: int = 1280, height: int = 720) -> MediaRef:
    return MediaRef(sha256=sha * 64, mime="image/png", size_bytes=1000, width=width, height=height)


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wish", "operation"),
    [
        (TURBO, {}, "text2video"),
        (TURBO, {"first_frame": frame()}, "img2video"),
        (TURBO, {"first_frame": frame(), "last_frame": frame("1")}, "start-end2video"),
        ("viduq3-mix", {"references": (Reference(media=frame()),)}, "reference2video"),
    ],
)
def test_pictures_decide_where_a_create_goes(model: str, wish: dict[str, Any], operation: str) -> None:
    assert operation_of(asked(model, **wish).request) == operation


async def test_first_and_last_frame_go_in_this_order(fake: FakeVidu, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    first = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    last = inputs.add(picture(1280, 720, "JPEG"), "image/jpeg", 1280, 720)
    async with at(fake.base_url, tmp_path, inputs=inputs) as provider:
        await provider.submit(asked(first_frame=first, last_frame=last), "key-1")

    [body] = fake.bodies()
    assert [uri.partition(";")[0] for uri in body["images"]] == ["data:image/png", "data:image/jpeg"]
    assert "aspect_ratio" not in body


async def test_a_video_from_a_first_frame_has_the_size_that_was_asked_for(fake: FakeVidu, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    async with at(fake.base_url, tmp_path, inputs=inputs) as provider:
        for size in MODELS[TURBO].sizes:
            first = inputs.add(picture(*size), "image/png", *size)
            remote = await provider.submit(asked(size=size, first_frame=first), "key-1")

            assert fake.jobs[remote.id].ordered.size == tuple(size)


@pytest.mark.parametrize(
    ("model", "name", "off_peak"),
    [(TURBO, "viduq3-turbo", False), (OFF_PEAK, "viduq3-turbo", True), ("viduq3-pro-off-peak", "viduq3-pro", True)],
)
async def test_off_peak_is_said_aloud_either_way(
    model: str, name: str, off_peak: bool, fake: FakeVidu, tmp_path: Path
) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        wanted = asked(model, extra={"watermark": False})
        await provider.submit(wanted, "key-1")

    [body] = fake.bodies()
    assert (body["model"], body["off_peak"], body["payload"], body["watermark"]) == (name, off_peak, "key-1", False)
    assert wanted.estimate_usd == fake.book.total_usd


async def test_off_peak_as_an_option_is_refused_for_its_price(tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        with pytest.raises(Unsupported, match="-off-peak"):
            provider.check(asked(extra={"off_peak": True}))


@pytest.mark.parametrize(
    ("model", "wish"),
    [
        (TURBO, {"references": (Reference(media=frame()),)}),
        (TURBO, {"seconds": 17}),
        (TURBO, {"last_frame": frame()}),
        ("viduq3-mix", {}),
        ("viduq3-mix", {"references": (Reference(media=frame()),) * 8}),
        ("viduq3-pro-fast", {}),
    ],
)
def test_what_vidu_would_refuse_is_refused_here(model: str, wish: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        asked(model, **wish)


def test_nothing_is_extended_there() -> None:
    """It is not told whether the whole comes back: the last frame is gone on from here."""
    assert all(Feature.EXTEND not in model.features for model in MODELS.values())


# -- how jobs end, and what they cost --------------------------------------------------------------------------------


def looked(**fields: Any) -> Progress:
    return from_wire(WireTask.model_validate(fields), USD_A_CREDIT)


@pytest.mark.parametrize(
    ("credits_told", "billed_usd"), [(96, "0.48"), ("96", "0.48"), (17.5, "0.0875"), (0, None), (None, None)]
)
def test_the_bill_is_told_in_credits(credits_told: Any, billed_usd: str | None) -> None:
    progress = looked(state="success", credits=credits_told, creations=[{"url": "https://v"}])

    assert progress.status is Status.COMPLETED
    assert progress.billed_usd == (None if billed_usd is None else Decimal(billed_usd))


def test_what_is_done_without_a_video_is_billed() -> None:
    progress = looked(state="success", credits=96, creations=[])

    assert (progress.status, progress.billed, progress.billed_usd) == (Status.FAILED, True, Decimal("0.48"))


@pytest.mark.parametrize(
    ("code", "failure_code"),
    [
        ("AuditSubmitIllegal", Moderated.code),
        ("CreationPolicyViolation", Moderated.code),
        ("SystemError", "SystemError"),
        ("", "internal_error"),
    ],
)
def test_a_failure_is_booked_as_free_and_told_by_its_code(code: str, failure_code: str) -> None:
    progress = looked(state="failed", err_code=code, credits=96)

    assert isinstance(progress.failure, Failure)
    assert (progress.failure.code, progress.billed, progress.billed_usd) == (failure_code, False, None)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("created", Status.QUEUED),
        ("queueing", Status.QUEUED),
        ("processing", Status.IN_PROGRESS),
        ("warming", Status.IN_PROGRESS),
    ],
)
def test_the_documented_states(state: str, status: Status) -> None:
    assert looked(state=state) == Progress(status=status)


async def test_an_answer_without_a_state_is_no_look(tmp_path: Path) -> None:
    with Scripted(Answer.json({"id": "1", "creations": []})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply):
                await provider.poll(RemoteJob(id="1"))


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_an_off_peak_job_that_has_not_begun_is_cancelled(fake: FakeVidu, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        remote = await provider.submit(asked(OFF_PEAK), "key-1")

        assert await provider.cancel(remote) is True
        fake.finish()
        assert (await provider.poll(remote)).status is not Status.COMPLETED


@pytest.mark.parametrize("model", [TURBO, OFF_PEAK])
async def test_any_other_job_goes_on(model: str, fake: FakeVidu, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        remote = await provider.submit(asked(model), "key-1")
        if model == OFF_PEAK:
            fake.finish()  # it has begun, and more

        assert await provider.cancel(remote) is False
        fake.finish()
        assert (await provider.poll(remote)).status is Status.COMPLETED


async def test_a_wish_to_cancel_that_did_not_get_through_is_told(fake: FakeVidu, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        remote = await provider.submit(asked(OFF_PEAK), "key-1")
        fake.faults.cancel = [Fault.status(503)]

        with pytest.raises(Unavailable):
            await provider.cancel(remote)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "kind", "refused"),
    [
        (400, "AuditSubmitIllegal", Moderated, True),
        (400, "CreditInsufficient", NoCredit, True),
        (400, "FieldInvalid", Rejected, True),
        (401, "Unauthorized", AccessDenied, True),
        (403, "Forbidden", AccessDenied, True),
        (404, "NotFound", Vanished, True),
        (429, "TooManyRequests", RateLimited, True),
        (500, "InternalError", Unavailable, False),
        (503, "CreditServiceDown", Unavailable, False),
    ],
)
async def test_an_error_is_known_by_its_reason(
    status: int, reason: str, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    body: dict[str, Any] = {"code": status, "reason": reason, "message": "no", "metadata": {}}
    with Scripted(Answer.json(body, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.submit(asked(), "key-1")

    assert type(caught.value) is kind
    assert caught.value.proves_refusal is refused
    assert caught.value.provider_code == reason


# -- hosts, keys, messages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "url", "base_url", "priced"),
    [
        (None, None, "https://api.vidu.com/ent/v2", True),
        ("mainland", None, "https://api.vidu.cn/ent/v2", False),
        ("international", "https://relay.example", "https://api.vidu.com/ent/v2", True),
        (None, "https://api.vidu.cn/ent/v2", "https://api.vidu.cn/ent/v2", False),
    ],
)
async def test_a_region_has_its_host_and_only_one_has_our_prices(
    region: str | None, url: str | None, base_url: str, priced: bool, tmp_path: Path
) -> None:
    section = ProviderSettings.model_validate({"region": region} if region else {})
    async with at(url, tmp_path, section=section) as provider:
        assert provider.base_url == base_url
        assert bool(provider.offered(MODELS[TURBO]).prices) is priced
        assert provider.on_mainland is not priced


async def test_ping_tells_whether_the_key_is_good(fake: FakeVidu, tmp_path: Path) -> None:
    said: list[str] = []
    for key in (API_KEY, "another-key-0123456789"):
        async with at(fake.base_url, tmp_path, key=key) as provider:
            said.append(await provider.ping())
    with Scripted(Answer.json({}, 502)) as server:
        async with at(server.url, tmp_path) as provider:
            said.append(await provider.ping())

    assert said[:2] == ["answers, key accepted", "key refused"]
    assert said[2].startswith("no good answer")


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"task_id": "7", "id": "other", "state": "success"}, "7"),
        ({"id": 7, "state": "success"}, "7"),
        ({"state": "success"}, None),
        ({"id": "a\x00b"}, None),
        ({"id": "x" * 201}, None),
        ("words", None),
    ],
)
async def test_a_callback_is_a_hint_that_anybody_may_have_sent(body: Any, task_id: str | None, tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        hint = await provider.read_webhook({}, json.dumps(body).encode())

    assert hint == (None if task_id is None else Hint(remote_id=task_id, trusted=False))
