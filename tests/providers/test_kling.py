"""Kling beyond what all vendors are held to: its codes, its two APIs and their keys, looking up by key, webhooks."""

import base64
import hashlib
import hmac
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
    ConfigError,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.providers.catalog import Feature, Model, read_table
from rushes.providers.kling import PROVIDER as Kling
from rushes.providers.kling.legacy import Pair, Token, token_of
from rushes.providers.kling.provider import findings_of
from rushes.providers.kling.wire import KINDS, Row, WireTask, failure_of, from_wire, path_of, task_told_of
from rushes.providers.prepare import Prepared, prepare
from rushes.providers.terms import Findings, Hint, RemoteJob, Search
from rushes.signatures import headers_for, secret_of
from rushes.testing.bench import TODAY, Inputs, fetched, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.contract_sources import SourceChecks
from rushes.testing.fakes.kling import ACCESS_KEY, SECRET_KEY, FakeKling, KlingBench
from rushes.testing.faults import Fault
from rushes.testing.selection import leave_out
from rushes.testing.server import Answer
from rushes.testing.vendor import API_KEY
from rushes.video import Failure, MediaRef, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("kling")}
NEW, PAIR = {"KLING_API_KEY": API_KEY}, {"KLING_ACCESS_KEY": ACCESS_KEY, "KLING_SECRET_KEY": SECRET_KEY}
SECRET = secret_of(b"a key of 24 bytes, or so")
TOLD = json.dumps({"id": "task-1", "status": "processing"}).encode()


class TestOmniSources(KlingBench, SourceChecks):
    """The default model takes no earlier videos; Omni does, at a price of its own."""

    pytestmark = pytest.mark.anyio
    model = "kling-3.0-omni"


leave_out(TestOmniSources)


@pytest.fixture
def fake() -> Iterator[FakeKling]:
    with FakeKling(job_s=0.0) as fake:
        yield fake


@asynccontextmanager
async def at(
    url: str | None,
    folder: Path,
    *,
    variables: Mapping[str, str] = NEW,
    inputs: Inputs | None = None,
    section: ProviderSettings | None = None,
    name: str | None = None,
) -> AsyncGenerator[Kling]:
    environment = {**variables, **({"KLING_BASE_URL": url} if url else {})}
    async with opened(
        Kling, folder=folder, environment=environment, inputs=inputs, section=section, name=name
    ) as provider:
        assert isinstance(provider, Kling)
        yield provider


def asked(model: str = "kling-3.0", prompt: str = "A boat", **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt=prompt, model=MODELS[model].id, **wish), MODELS[model])


def search(wanted: Prepared, key: str = "key-1", **changes: Any) -> Search:
    made = Search(prepared=wanted, key=key, sent_at=datetime.now(UTC), known_ids=frozenset())
    return replace(made, **changes)


# -- codes -----------------------------------------------------------------------------------------------------------


def coded(code: int, status: int, words: str = "no") -> Answer:
    return Answer.json({"code": code, "message": words, "request_id": "r"}, status)


@pytest.mark.parametrize(
    ("code", "status", "kind", "refused"),
    [
        *((code, status, AccessDenied, True) for code in (1000, 1001, 1002, 1003, 1004) for status in (200, 401)),
        (1100, 429, AccessDenied, True),
        (1101, 429, NoCredit, True),
        (1102, 429, NoCredit, True),
        (1102, 200, NoCredit, True),
        (1103, 403, AccessDenied, True),
        *((code, status, Rejected, True) for code in (1200, 1201, 1202, 1203) for status in (200, 400)),
        *((code, status, Moderated, True) for code in (1300, 1301) for status in (200, 400)),
        (1302, 429, RateLimited, True),
        (1303, 429, RateLimited, True),
        (1303, 200, RateLimited, True),
        (1304, 403, AccessDenied, True),
        *((code, status, Unavailable, False) for code in (5000, 5001, 5002) for status in (200, 400, 500)),
        (1201, 500, Unavailable, False),
        (1302, 503, Unavailable, False),
        (7777, 200, BadReply, False),
        (7777, 400, Rejected, True),
    ],
)
async def test_a_code_says_more_than_the_status(
    code: int, status: int, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    with Scripted(coded(code, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.submit(asked(), "key-1")

    assert type(caught.value) is kind
    assert caught.value.proves_refusal is refused
    assert caught.value.provider_code == str(code)


def test_every_documented_code_has_a_meaning() -> None:
    documented = [*range(1000, 1005), *range(1100, 1104), *range(1200, 1204), *range(1300, 1305), *range(5000, 5003)]

    assert {int(code) for code in KINDS} == set(documented)


async def test_a_good_answer_with_an_error_inside_ends_no_look(tmp_path: Path) -> None:
    with Scripted(coded(5000, 200)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(Unavailable):
                await provider.poll(RemoteJob(id="task-1"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer.json({"code": 0, "data": []}), Vanished),
        (coded(1203, 404), Vanished),
        (Answer.json({"code": 0, "data": [{"id": "another", "status": "succeeded"}]}), Vanished),
        (Answer.json({"code": 0, "data": [{"id": "task-1"}]}), BadReply),
        (Answer.json({"code": 0}), BadReply),
    ],
)
async def test_a_look_that_shows_nothing_of_the_task_is_repeated(
    answer: Answer, kind: type[ProviderError], tmp_path: Path
) -> None:
    with Scripted(answer) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(kind) as caught:
                await provider.poll(RemoteJob(id="task-1"))

    assert caught.value.retryable


# -- looking up by key -----------------------------------------------------------------------------------------------


async def test_a_repeated_key_is_doubt_and_leads_to_the_first_task(fake: FakeKling, tmp_path: Path) -> None:
    async with at(fake.url, tmp_path) as provider:
        first = await provider.submit(asked(), "key-1")
        with pytest.raises(ProviderError) as caught:
            await provider.submit(asked(), "key-1")

        findings = await provider.find(search(asked()))

    assert not caught.value.proves_refusal
    assert findings == Findings(matches=(first,))
    assert fake.book.charged == 1


async def test_of_equal_requests_only_the_one_with_our_key_is_ours(fake: FakeKling, tmp_path: Path) -> None:
    async with at(fake.url, tmp_path) as provider:
        await provider.submit(asked(), "key-0")
        ours = await provider.submit(asked(), "key-1")

        findings = await provider.find(search(asked()))

    assert findings.matches == (ours,)


@pytest.mark.parametrize(
    ("tasks", "changes", "expected"),
    [
        ([], {}, Findings(complete=True)),
        ([], {"until": datetime.now(UTC)}, Findings()),  # after a restore a later attempt may have another key
        ([{"id": "a"}], {}, Findings(matches=(RemoteJob(id="a"),))),
        ([{"id": "a", "external_task_id": "key-1"}], {}, Findings(matches=(RemoteJob(id="a"),))),
        ([{"id": "a"}], {"known_ids": frozenset({"a"})}, Findings()),
        ([{"id": "a"}, {"id": "b"}], {}, Findings(candidates=(RemoteJob(id="a"), RemoteJob(id="b")))),
        ([{"id": "a", "external_task_id": "key-9"}], {}, Findings(candidates=(RemoteJob(id="a"),))),
        (
            [{"id": "a", "external_task_id": "key-9"}, {"id": "b", "external_task_id": "key-1"}],
            {},
            Findings(matches=(RemoteJob(id="b"),)),
        ),
        ([{"status": "submitted"}], {}, Findings()),
    ],
)
def test_what_a_look_up_proves(tasks: list[Any], changes: dict[str, Any], expected: Findings) -> None:
    assert findings_of([WireTask.model_validate(task) for task in tasks], search(asked(), **changes)) == expected


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": "nothing"}])
async def test_an_answer_without_a_list_proves_nothing(data: dict[str, Any], tmp_path: Path) -> None:
    with Scripted(Answer.json({"code": 0, **data})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply):
                await provider.find(search(asked()))


async def test_a_task_of_the_old_api_is_not_looked_up(fake: FakeKling, tmp_path: Path) -> None:
    async with at(fake.url, tmp_path, variables={**NEW, **PAIR}) as provider:
        findings = await provider.find(search(asked("kling-v2-6")))

    assert findings == Findings()
    assert fake.requests == []


# -- how tasks end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "kept"), [("task-1", "task-1"), (812, "812")])
async def test_an_id_may_come_as_a_number(told: Any, kept: str, tmp_path: Path) -> None:
    with Scripted(Answer.json({"code": 0, "data": {"id": told, "status": "submitted"}})) as server:
        async with at(server.url, tmp_path) as provider:
            assert (await provider.submit(asked(), "key-1")).id == kept


def test_a_task_that_is_done_without_a_video_is_billed() -> None:
    progress = from_wire(WireTask.model_validate({"id": "a", "status": "succeeded", "outputs": []}))

    assert (progress.status, progress.billed) == (Status.FAILED, True)


@pytest.mark.parametrize(
    ("outputs", "url"),
    [
        ([{"type": "video", "url": "https://v"}], "https://v"),
        ([{"type": "cover_image", "url": "https://c"}, {"type": "video", "url": "https://v"}], "https://v"),
        ([{"url": "https://v", "watermark_url": "https://w"}], "https://v"),
        ([{"type": "mp4", "url": "https://v"}], "https://v"),
    ],
)
def test_the_video_is_found_among_the_outputs(outputs: list[Any], url: str) -> None:
    assert WireTask.model_validate({"outputs": outputs}).video_url == url


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Failure to pass the risk control system", Moderated.code),
        ("The result did not pass the content security review.", Moderated.code),
        ("Internal error", "internal_error"),
        (None, "internal_error"),
    ],
)
def test_a_failure_for_content_is_known_by_its_words(message: str | None, code: str) -> None:
    assert failure_of(message) == Failure(code, message or "The server gave no reason.")


# -- two APIs, two kinds of keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(MODELS))
async def test_a_video_from_a_first_frame_has_the_size_that_was_asked_for(
    model: str, fake: FakeKling, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    async with at(fake.url, tmp_path, variables={**NEW, **PAIR}, inputs=inputs) as provider:
        for n, size in enumerate(MODELS[model].sizes):
            first = inputs.add(picture(*size), "image/png", *size)
            remote = await provider.submit(asked(model, size=size, first_frame=first), f"key-{n}")

            assert fake.jobs[remote.id.rpartition("/")[2]].ordered.size == tuple(size)


async def test_the_old_api_is_called_with_a_signed_token(fake: FakeKling, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    wanted = asked("kling-v2-5-turbo", first_frame=frame, negative_prompt="fog", extra={"cfg_scale": 0.7})
    async with at(fake.url, tmp_path, variables=PAIR, inputs=inputs) as provider:
        remote = await provider.submit(wanted, "key-1")
        progress = await provider.poll(remote)
        [asset] = await provider.assets(remote)
        data = await fetched(provider, asset)

    [body] = fake.bodies()
    task_id = fake.book.entries[0].remote_id
    assert (body["cfg_scale"], body["negative_prompt"]) == (0.7, "fog")
    assert base64.b64decode(body["image"]) == picture(1280, 720)
    assert remote.id == f"image2video/{task_id}"
    assert progress.status is Status.COMPLETED
    assert data == fake.content_of(task_id)


@pytest.mark.parametrize("ending", ["moderated", "failed_as:200", "empty"])
async def test_a_job_of_the_old_api_fails_as_one_of_the_new(ending: str, fake: FakeKling, tmp_path: Path) -> None:
    async with at(fake.url, tmp_path, variables=PAIR) as provider:
        remote = await provider.submit(asked("kling-v3"), "key-1")
        fake.faults.poll = [Fault.parse(ending)]

        progress = await provider.poll(remote)

    assert progress.status is Status.FAILED
    assert progress.failure is not None
    assert (progress.failure.code == Moderated.code) is (ending == "moderated")
    assert progress.billed is (ending == "empty")


async def test_a_wrong_secret_is_access_denied(fake: FakeKling, tmp_path: Path) -> None:
    wrong = {"KLING_ACCESS_KEY": ACCESS_KEY, "KLING_SECRET_KEY": "another-secret-0123"}
    async with at(fake.url, tmp_path, variables=wrong) as provider:
        with pytest.raises(AccessDenied) as caught:
            await provider.submit(asked("kling-v3"), "key-1")

    assert caught.value.proves_refusal


def test_a_token_has_the_documented_claims_and_signature() -> None:
    head, claims, signature = token_of(Pair("the-access", "the-secret"), 1_800_000_000).split(".")

    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert told == {"iss": "the-access", "exp": 1_800_001_800, "nbf": 1_799_999_995}
    right = hmac.new(b"the-secret", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == right


def test_a_token_is_kept_and_renewed_before_its_end() -> None:
    token = Token(Pair("the-access", "the-secret"))

    first = token.at(1_000_000.0)

    assert token.at(1_001_400.0) == first
    assert token.at(1_001_600.0) != first  # 200 s before its end
    assert token.at(900_000.0) not in (first, token.at(1_001_600.0))  # the clock was set back: it is not good yet


@pytest.mark.parametrize(
    ("variables", "model", "missing"),
    [(NEW, "kling-v2-6", "KLING_ACCESS_KEY and KLING_SECRET_KEY"), (PAIR, "kling-3.0", "KLING_API_KEY")],
)
async def test_a_model_whose_keys_are_missing_is_refused_unsent(
    variables: Mapping[str, str], model: str, missing: str, fake: FakeKling, tmp_path: Path
) -> None:
    async with at(fake.url, tmp_path, variables=variables) as provider:
        assert provider.availability().usable
        with pytest.raises(Unsupported, match=missing):
            provider.check(asked(model))

    assert fake.requests == []


async def test_other_keys_are_another_account(tmp_path: Path) -> None:
    accounts: set[str] = set()
    for variables in (NEW, PAIR, {**NEW, **PAIR}, {**NEW, **PAIR, "KLING_ACCESS_KEY": "another"}):
        async with at("https://kling.example", tmp_path, variables=variables) as provider:
            accounts.add(provider.account)

    assert len(accounts) == 4


async def test_the_keys_of_the_old_api_go_to_no_section_of_another_name(tmp_path: Path) -> None:
    section = ProviderSettings(kind="kling", base_url="https://relay.example")
    async with at(None, tmp_path, variables={**NEW, **PAIR}, section=section, name="relay") as provider:
        assert provider.pair is None


@pytest.mark.parametrize(
    ("model", "extra"), [("kling-3.0", {"cfg_scale": 0.5}), ("kling-v3", {"multi_shot": True, "watermark": False})]
)
async def test_options_of_the_other_api_are_refused(model: str, extra: dict[str, Any], tmp_path: Path) -> None:
    async with at("https://kling.example", tmp_path, variables={**NEW, **PAIR}) as provider:
        with pytest.raises(Unsupported, match="has no extra field"):
            provider.check(asked(model, extra=extra))


async def test_options_go_where_they_belong(fake: FakeKling, tmp_path: Path) -> None:
    async with at(fake.url, tmp_path) as provider:
        await provider.submit(asked(extra={"multi_shot": True, "watermark": False}), "key-1")

    [body] = fake.bodies()
    assert body["settings"]["multi_shot"] is True
    assert body["options"]["watermark_info"] == {"enabled": False}


def test_a_model_without_an_address_is_refused() -> None:
    frame = MediaRef(sha256="0" * 64, mime="image/png", size_bytes=1, width=1280, height=720)

    with pytest.raises(Unsupported, match="no address"):
        path_of(asked(first_frame=frame).request, Row(text="/text-to-video/kling-9"))


# -- earlier videos --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("audio", "told"), [(None, "original"), (True, "original"), (False, "off")])
async def test_an_edit_keeps_the_sound_of_its_source_or_has_none(
    audio: bool | None, told: str, fake: FakeKling, tmp_path: Path
) -> None:
    model = MODELS["kling-3.0-omni"]
    async with at(fake.url, tmp_path) as provider:
        first = await provider.submit(asked(model.id.model), "key-0")
        request = VideoRequest(prompt="Snow", model=model.id, audio=audio, source=source(first.id))
        wanted = prepare(request, model, today=TODAY)
        await provider.submit(wanted, "key-1")

    body = fake.bodies()[-1]
    assert body["settings"]["audio"] == told
    assert body["contents"][-1] == {"type": "base_video", "url": f"{fake.url}/results/{first.id}.mp4"}
    assert wanted.estimate_usd == fake.book.entries[-1].usd == Decimal("0.63")


def test_a_source_that_is_too_long_is_refused() -> None:
    model = MODELS["kling-3.0-omni"]
    request = VideoRequest(prompt="Snow", model=model.id, source=replace(source("a"), seconds=16))

    with pytest.raises(Unsupported, match="3 to 15"):
        prepare(request, model, today=TODAY)


def source(remote_id: str) -> SourceVideo:
    size = MODELS["kling-3.0-omni"].default_size
    return SourceVideo(kind=SourceKind.EDIT, video_id="ours", size=size, seconds=5, remote_id=remote_id)


# -- what is refused unsent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"mime": "image/webp"}, "it takes png, jpeg"),
        ({"size_bytes": 10_000_001}, "takes 10 MB"),
        ({"width": 533, "height": 299}, "300 pixels"),
        ({"width": 1600, "height": 600}, "from 1:2.5 to 2.5:1"),
    ],
)
async def test_a_picture_that_kling_would_refuse_is_refused_here(
    frame: dict[str, Any], words: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "sha256": "0" * 64,
        "mime": "image/png",
        "size_bytes": 1000,
        "width": 1280,
        "height": 720,
        **frame,
    }
    request = VideoRequest(prompt="A boat", model=MODELS["kling-3.0"].id, first_frame=MediaRef(**given))
    async with at("https://kling.example", tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(Prepared(request=request))


def test_sound_is_shown_at_the_price_that_it_costs() -> None:
    prices = [asked(audio=audio, seconds=10).estimate_usd for audio in (None, True, False)]

    assert prices == [Decimal("1.26"), Decimal("1.26"), Decimal("0.84")]
    assert asked("kling-v2-6").estimate_usd == Decimal("0.21")
    assert asked("kling-v2-6", audio=True).estimate_usd is None, "nobody tells it"


def test_no_price_is_shown_where_only_resellers_tell_one() -> None:
    assert [model for model in MODELS if "4.0" in model] == ["kling-4.0", "kling-4.0-flash"]
    assert asked("kling-4.0").estimate_usd is asked("kling-4.0-flash").estimate_usd is None


def test_nothing_is_extended_there() -> None:
    """Only the old API extends, and does not say whether the whole comes back: the last frame is gone on from here."""
    assert all(Feature.EXTEND not in model.features for model in MODELS.values())


# -- hosts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "variables", "base_url", "priced"),
    [
        (None, {}, "https://api-singapore.klingai.com", True),
        ("beijing", {}, "https://api-beijing.klingai.com", False),
        ("singapore", {"KLING_BASE_URL": "https://relay.example"}, "https://api-singapore.klingai.com", True),
        (None, {"KLING_BASE_URL": "https://api-beijing.klingai.com"}, "https://api-beijing.klingai.com", False),
    ],
)
async def test_a_region_has_its_host_and_only_one_has_our_prices(
    region: str | None, variables: dict[str, str], base_url: str, priced: bool, tmp_path: Path
) -> None:
    section = ProviderSettings.model_validate({"region": region} if region else {})
    async with at(None, tmp_path, variables={**NEW, **variables}, section=section) as provider:
        model: Model = provider.offered(MODELS["kling-3.0"])

        assert provider.base_url == base_url
        assert bool(model.prices) is priced


async def test_ping_tells_whether_the_key_is_good(fake: FakeKling, tmp_path: Path) -> None:
    said: list[str] = []
    for variables in (NEW, {"KLING_API_KEY": "wrong-key-0123456789"}, PAIR):
        async with at(fake.url, tmp_path, variables=variables) as provider:
            said.append(await provider.ping())
    with Scripted(coded(5000, 503)) as server:
        async with at(server.url, tmp_path) as provider:
            said.append(await provider.ping())

    assert said[:2] == ["answers, key accepted", "key refused"]
    assert said[2].startswith("not checked")
    assert said[3].startswith("no good answer")


# -- webhooks --------------------------------------------------------------------------------------------------------


def signed(at_s: float, body: bytes = TOLD, secret: str = SECRET) -> dict[str, str]:
    return headers_for(secret, "msg-1", int(at_s), body)


@pytest.mark.parametrize("where", ["variable", "section"])
async def test_a_signed_message_is_a_trusted_hint(where: str, tmp_path: Path) -> None:
    written = {"webhook_secret": SECRET} if where == "section" else {}
    variables = {**NEW, "KLING_WEBHOOK_SECRET": SECRET} if where == "variable" else NEW
    section = ProviderSettings.model_validate(written)
    async with at(None, tmp_path, variables=variables, section=section) as provider:
        hint = await provider.read_webhook(signed(datetime.now(UTC).timestamp()), TOLD)

    assert hint == Hint(remote_id="task-1", trusted=True)


@pytest.mark.parametrize("wrong", ["tampered", "old", "ahead", "missing", "another secret"])
async def test_a_message_that_is_not_signed_by_kling_is_refused(wrong: str, tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    headers = {
        "tampered": signed(now),
        "old": signed(now - 301),
        "ahead": signed(now + 302),
        "missing": {},
        "another secret": signed(now, secret=secret_of(b"something else entirely.")),
    }[wrong]
    body = TOLD.replace(b"task-1", b"task-2") if wrong == "tampered" else TOLD
    async with at(None, tmp_path, variables={**NEW, "KLING_WEBHOOK_SECRET": SECRET}) as provider:
        with pytest.raises(AccessDenied):
            await provider.read_webhook(headers, body)


async def test_without_a_secret_a_message_is_only_a_hint(tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        assert await provider.read_webhook({}, TOLD) == Hint(remote_id="task-1", trusted=False)
        assert await provider.read_webhook({}, b'{"status": "processing"}') is None


async def test_a_secret_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    async with at(None, tmp_path, variables={**NEW, "KLING_WEBHOOK_SECRET": "whsec_not base64!"}) as provider:
        with pytest.raises(ConfigError, match="webhook secret"):
            await provider.read_webhook(signed(datetime.now(UTC).timestamp()), TOLD)


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"id": "evt", "data": {"id": "task-1"}}, "task-1"),
        ({"id": "evt", "task_id": "task-1"}, "task-1"),
        ({"data": [{"id": "task-1"}]}, None),
        ({"id": "x" * 201}, None),
        ({"id": "a\x00b"}, None),
        ([], None),
    ],
)
def test_the_task_of_a_message_is_found_in_whatever_form(body: Any, task_id: str | None) -> None:
    assert task_told_of(json.dumps(body).encode()) == task_id
