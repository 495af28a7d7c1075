"""Replicate: what its wire says of inputs, files, ends and refusals, and whether a row fits a model's description."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes import signatures
from rushes.config import ProviderSettings
from rushes.errors import AccessDenied, Moderated, NoCredit, RateLimited, Rejected, RushesError, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.catalog import Feature, Model, open_model, read_extra, read_table
from rushes.providers.incoming import read_object
from rushes.providers.replicate.provider import INLINE_BYTES, Replicate
from rushes.providers.replicate.schema import differences
from rushes.providers.replicate.wire import Inputs, Prediction, from_wire, percent_of, read_list, to_wire
from rushes.providers.terms import Hint, RemoteJob, Search
from rushes.testing.bench import Inputs as Pictures
from rushes.testing.bench import opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fakes.replicate import STARTS_AT, VERSIONS, FakeReplicate, ReplicateBench
from rushes.testing.faults import Fault
from rushes.video import Failure, MediaRef, ModelId, Progress, Reference, Size, Status, VideoRequest

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("replicate")}
P_VIDEO, SEEDANCE = MODELS["prunaai/p-video"], MODELS["bytedance/seedance-2.0"]
SECRET = signatures.secret_of(b"a key of thirty-two bytes or so.")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@asynccontextmanager
async def at(
    fake: FakeReplicate, folder: Path, models: tuple[Model, ...] = (), inputs: Pictures | None = None, **variables: str
) -> AsyncGenerator[Replicate]:
    environment = {**ReplicateBench().environment(fake), **variables}
    async with opened(Replicate, folder=folder, environment=environment, models=models, inputs=inputs) as provider:
        assert isinstance(provider, Replicate)
        yield provider


def asked(model: Model = P_VIDEO, **changes: Any) -> VideoRequest:
    given: dict[str, Any] = {"size": Size(1280, 720), "seconds": 5, **changes}
    return VideoRequest(prompt="A fox", model=model.id, **given)


def wired(model: Model, **wire: Any) -> Model:
    return replace(model, wire={**model.wire, **wire})


# -- inputs ---------------------------------------------------------------------------------------------------------


def test_clips_and_pictures_among_the_references_go_into_inputs_of_their_own() -> None:
    still = MediaRef(sha256="a", mime="image/png", size_bytes=9, width=64, height=64)
    clip = replace(still, sha256="b", mime="video/mp4", seconds=4.0)
    request = asked(SEEDANCE, references=(Reference(media=clip), Reference(media=still)))

    sent = to_wire(request, Inputs.model_validate(dict(SEEDANCE.wire)), {"a": "A", "b": "B"})

    assert (sent["reference_images"], sent["reference_videos"]) == (["A"], ["B"])


def test_an_input_that_a_row_gives_no_name_to_is_refused_and_not_left_out() -> None:
    with pytest.raises(Unsupported, match=r"wire\.seed"):
        to_wire(asked(seed=7), Inputs(), {})


@pytest.mark.parametrize("name", ["duration", "resolution", "prompt", "save_audio"])
async def test_what_rushes_sets_cannot_be_set_by_input_as_well(name: str, tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match=name):
                provider.check(prepared(asked(extra={"input": {name: -1}}), P_VIDEO))

        assert fake.requests == []


async def test_further_inputs_go_along_by_the_names_of_the_model(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            await provider.submit(prepared(asked(extra={"input": {"draft": True, "fps": 48}}), P_VIDEO), "key-1")

        [body] = fake.bodies()
        assert (body["input"]["draft"], body["input"]["fps"]) == (True, 48)


async def test_a_model_with_a_version_is_asked_for_by_it(tmp_path: Path) -> None:
    [version] = VERSIONS
    own = replace(wired(P_VIDEO, version=version), id=ModelId("replicate", "somebody/p-video"))
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, models=(own,)) as provider:
            await provider.submit(prepared(asked(own), own), "key-1")

        assert fake.requests[-1].path == "/v1/predictions"
        assert fake.bodies()[0]["version"] == version


def test_a_model_of_ones_own_is_a_row_in_the_extra_file(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        '[[providers.replicate.models]]\nname = "somebody/film"\ntitle = "Film"\nseconds = [4]\ndefault_seconds = 4\n'
        'sizes = ["1280x720"]\ndefault_size = "1280x720"\nwire = { prompt = "text", seconds = "", ratios = [] }\n'
    )

    [own] = read_extra(path)
    sent = to_wire(asked(own, seconds=4), Inputs.model_validate(dict(own.wire)), {})

    assert str(own.id) == "replicate:video:somebody/film"
    assert sent == {"text": "A fox", "resolution": "720p"}


async def test_a_row_with_a_misspelt_wire_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    wrong = wired(P_VIDEO, first_farme="image")
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, models=(wrong,)) as provider:
            with pytest.raises(RushesError, match="first_farme"):
                provider.check(prepared(asked(wrong), wrong))

        assert fake.requests == []


def test_a_model_without_a_known_price_costs_an_unknown_sum_and_not_nothing() -> None:
    priced = {name for name, model in MODELS.items() if model.price_of(model.default_size, model.default_seconds)}

    assert priced == {"prunaai/p-video"}
    assert prepared(asked(SEEDANCE), SEEDANCE).estimate_usd is None


# -- files ----------------------------------------------------------------------------------------------------------


async def test_only_a_picture_too_large_for_the_body_is_uploaded_and_only_once(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    small = pictures.add(picture(1280, 720), "image/png", 1280, 720)
    large = pictures.add(picture(1280, 720) + bytes(INLINE_BYTES), "image/png", 1280, 720)
    wanted = prepared(asked(first_frame=small, last_frame=large), P_VIDEO)
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, inputs=pictures) as provider:
            await provider.bring(wanted)
            await provider.submit(wanted, "key-1")

        [file] = fake.uploads.items()
        sent = fake.bodies()[0]["input"]
        assert [each.path for each in fake.requests] == ["/v1/files", "/v1/models/prunaai/p-video/predictions"]
        assert sent["image"].startswith("data:image/png;base64,")
        assert sent["last_frame_image"] == f"{fake.base_url}/files/{file[0]}"
        assert len(file[1]) == large.size_bytes


async def test_an_upload_that_fails_proves_that_nothing_was_bought(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    large = pictures.add(picture(1280, 720) + bytes(INLINE_BYTES), "image/png", 1280, 720)
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, inputs=pictures, REPLICATE_API_TOKEN="wrong") as provider:
            with pytest.raises(AccessDenied) as caught:
                await provider.bring(prepared(asked(first_frame=large), P_VIDEO))

        assert caught.value.proves_refusal
        assert fake.book.creates == 0


# -- looks ----------------------------------------------------------------------------------------------------------

ENDED = NOW.isoformat()
LINK = "https://replicate.delivery/x/out.mp4"


def word_of(value: Any) -> str:
    """What a row of looks is called."""
    return str(read_object(value).get("status", "")) or type(value).__name__


@pytest.mark.parametrize(
    ("shown", "progress"),
    [
        ({"status": "starting"}, Progress(status=Status.QUEUED)),
        ({"status": "processing", "logs": "10%\n 47%|###"}, Progress(status=Status.IN_PROGRESS, percent=47.0)),
        (
            {"status": "succeeded", "output": LINK, "completed_at": ENDED},
            Progress(status=Status.COMPLETED, percent=100.0, expires_at=NOW + timedelta(hours=1)),
        ),
        (
            {"status": "succeeded", "output": None},
            Progress(
                status=Status.FAILED,
                failure=Failure("internal_error", "It is done, but came without a video."),
                billed=True,
            ),
        ),
        (
            {"status": "succeeded", "output": None, "data_removed": True},
            Progress(
                status=Status.FAILED,
                failure=Failure("expired", "Its video was deleted an hour after it was made."),
                billed=True,
            ),
        ),
        (
            {"status": "failed", "error": "Something flagged as sensitive. (E005)"},
            Progress(
                status=Status.FAILED, failure=Failure("moderation_blocked", "Something flagged as sensitive. (E005)")
            ),
        ),
        (
            {"status": "failed", "error": {"message": "out of memory"}},
            Progress(status=Status.FAILED, failure=Failure("internal_error", "out of memory")),
        ),
        (
            {"status": "canceled", "started_at": ENDED},
            Progress(
                status=Status.FAILED,
                failure=Failure("cancelled", "It was cancelled when it had begun, which is charged."),
                billed=True,
            ),
        ),
        (
            {"status": "canceled", "started_at": None},
            Progress(status=Status.FAILED, failure=Failure("cancelled", "It was cancelled before it began.")),
        ),
        (
            {"status": "aborted"},
            Progress(status=Status.FAILED, failure=Failure("cancelled", "Its deadline passed before it began.")),
        ),
    ],
    ids=word_of,
)
def test_a_look_is_read(shown: dict[str, Any], progress: Progress) -> None:
    assert from_wire(Prediction.model_validate(shown)) == progress


@pytest.mark.parametrize(
    ("output", "link"),
    [
        (LINK, LINK),
        ([LINK], LINK),
        (["https://replicate.delivery/x/still.png", LINK], LINK),
        ({"thumbnail": "https://replicate.delivery/x/still.png", "video": f"{LINK}?signed"}, f"{LINK}?signed"),
        ("https://replicate.delivery/x/no-ending", "https://replicate.delivery/x/no-ending"),
        ("it is done", None),
        ([], None),
        (7, None),
    ],
)
def test_the_video_is_found_in_whatever_a_model_puts_out(output: Any, link: str | None) -> None:
    assert Prediction(output=output).link == link


@pytest.mark.parametrize(
    ("logs", "percent"),
    [
        (None, None),
        ("loading the model", None),
        ("  3%|#", 3.0),
        ("100%|####| 8/8", 99.0),
        ("12.5 % done", 12.0),
        ("seed 90210, guidance 3.5", None),
        ("x" * 5000 + " 61%", 61.0),
    ],
)
def test_a_percentage_is_read_from_the_end_of_the_logs(logs: str | None, percent: float | None) -> None:
    assert percent_of(logs) == percent


# -- cancelling -----------------------------------------------------------------------------------------------------


async def test_a_job_cancelled_before_it_began_is_stopped_and_free(tmp_path: Path) -> None:
    with FakeReplicate(job_s=60.0) as fake:
        async with at(fake, tmp_path) as provider:
            remote = await provider.submit(prepared(asked(), P_VIDEO), "key-1")

            assert await provider.cancel(remote) is True
            assert not (await provider.poll(remote)).billed


async def test_a_job_cancelled_while_it_runs_is_told_by_the_next_look_with_its_cost(tmp_path: Path) -> None:
    with FakeReplicate(job_s=60.0) as fake:
        async with at(fake, tmp_path) as provider:
            wanted = prepared(asked(), P_VIDEO)
            remote = await provider.submit(wanted, "key-1")
            fake.jobs[remote.id].started -= 60.0 * (STARTS_AT + 0.1)

            stopped = await provider.cancel(remote)
            seen = await provider.poll(remote)

    assert stopped is False, "it is not free: its end is read from the next look"
    assert (seen.status, seen.billed) == (Status.FAILED, True)
    assert provider.cost(P_VIDEO, wanted, seen) == Decimal("0.10")


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (401, "Unauthenticated", AccessDenied),
        (402, "Insufficient credit", NoCredit),
        (404, "No such model", Rejected),
        (422, "input.duration: must be one of 5, 10", Rejected),
        (422, "The prompt was flagged as sensitive (E005)", Moderated),
        (400, "NSFW content", Moderated),
        (429, "Request was throttled", RateLimited),
    ],
)
async def test_a_refusal_has_its_class_and_its_words(
    status: int, detail: str, kind: type[RushesError], tmp_path: Path
) -> None:
    body = json.dumps({"title": "It failed", "detail": detail, "status": status}).encode()
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            error = provider.error_of(Reply(status, {}, body, "create"))

    assert type(error) is kind
    assert detail in str(error)
    assert error.proves_refusal


# -- the list -------------------------------------------------------------------------------------------------------


async def test_a_lost_create_is_found_beyond_the_first_page(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        fake.page = 2
        async with at(fake, tmp_path) as provider:
            wanted = prepared(asked(), P_VIDEO)
            fake.faults.create = [Fault.reset(accepted=True)]
            with pytest.raises(RushesError):
                await provider.submit(wanted, "key-1")
            for number in range(4):
                await provider.submit(
                    prepared(replace(asked(), prompt=f"Another, number {number}"), P_VIDEO), f"key of {number}"
                )
            search = Search(prepared=wanted, key="key-1", sent_at=datetime.now(UTC), known_ids=frozenset())

            findings = await provider.find(search)

        assert [remote.id for remote in findings.matches] == [fake.book.entries[0].remote_id]


@pytest.mark.parametrize(
    "page",
    [
        {"results": []},  # does not say whether it goes on
        {"next": 7, "results": []},
        {"next": None},
        {"next": None, "results": ["job"]},
        {"next": None, "results": [{"status": "starting"}]},
        "busy",
    ],
    ids=str,
)
def test_a_page_that_is_not_whole_proves_nothing(page: Any) -> None:
    listing = read_list(page, Inputs())

    assert listing.has_more is None or not listing.well_formed or any(job.id is None for job in listing.data)


# -- webhooks -------------------------------------------------------------------------------------------------------

MESSAGE = json.dumps({"id": "gm3qorzdhgbfurvjtvhg6dckhu", "status": "succeeded", "output": LINK}).encode()


def signed(body: bytes = MESSAGE, age_s: int = 0) -> dict[str, str]:
    return signatures.headers_for(SECRET, "msg_1", int(datetime.now(UTC).timestamp()) - age_s, body)


async def test_a_signed_message_is_trusted(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, REPLICATE_WEBHOOK_SECRET=SECRET) as provider:
            assert await provider.read_webhook(signed(), MESSAGE) == Hint(
                remote_id="gm3qorzdhgbfurvjtvhg6dckhu", trusted=True
            )


@pytest.mark.parametrize(
    ("headers", "body"),
    [({}, MESSAGE), (signed(), MESSAGE + b" "), (signed(age_s=900), MESSAGE), (signed(b"{}"), MESSAGE)],
    ids=["unsigned", "tampered", "old", "of another"],
)
async def test_a_message_that_is_not_signed_is_refused(headers: dict[str, str], body: bytes, tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path, REPLICATE_WEBHOOK_SECRET=SECRET) as provider:
            with pytest.raises(AccessDenied):
                await provider.read_webhook(headers, body)


async def test_without_a_secret_a_message_is_no_more_than_a_hint(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            hint = await provider.read_webhook({}, MESSAGE)
            strange = [await provider.read_webhook({}, body) for body in (b"", b"[]", b'{"id": "a\\u0000b"}', b"{}")]

    assert hint == Hint(remote_id="gm3qorzdhgbfurvjtvhg6dckhu", trusted=False)
    assert strange == [None] * 4


async def test_the_secret_of_the_section_comes_before_the_variable(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"webhook_secret": "whsec_b3du"})
    variables = {"REPLICATE_API_TOKEN": "t", "REPLICATE_WEBHOOK_SECRET": SECRET}
    async with opened(Replicate, folder=tmp_path, environment=variables, section=section) as provider:
        assert isinstance(provider, Replicate)
        assert provider.webhook_secret == "whsec_b3du"


# -- a row beside the description of its model ----------------------------------------------------------------------


async def described(fake: FakeReplicate, provider: Replicate, name: str) -> Any:
    reply = await provider.read(f"/models/{name}", step="schema")
    return reply.json()


async def test_every_row_fits_the_description_of_its_model(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            for name, model in MODELS.items():
                document = await described(fake, provider, name)
                found = differences(model, Inputs.model_validate(dict(model.wire)), document)

                assert found == (), name


@pytest.mark.parametrize(
    ("name", "wire", "words"),
    [
        ("prunaai/p-video", {"first_frame": "start_image"}, "start_image is no input"),
        ("prunaai/p-video", {"resolutions": {"720P": 720}}, "resolution does not take '720P'"),
        ("prunaai/p-video", {"prompt": "text"}, "prompt is required, and nothing sends it"),
        ("prunaai/p-video", {"fixed": {"fps": 30}}, "fps does not take 30"),
        ("prunaai/p-video", {"seed": None}, "wire.seed is no input"),
        ("minimax/hailuo-2.3", {"ratios": ["16:9"]}, "aspect_ratio is no input"),
    ],
)
async def test_a_row_that_does_not_fit_is_told_in_words(
    name: str, wire: dict[str, Any], words: str, tmp_path: Path
) -> None:
    model = MODELS[name]
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            document = await described(fake, provider, name)

    found = differences(model, Inputs.model_validate({**model.wire, **wire}), document)

    assert any(words in each for each in found), found


def test_lengths_are_compared_with_the_range_and_the_type_that_is_described() -> None:
    model = replace(open_model(ModelId("replicate", "a/b"), None), features=frozenset[Feature](), seconds=(4, 16))

    def found(duration: dict[str, Any]) -> tuple[str, ...]:
        properties = {"prompt": {"type": "string"}, "duration": duration}
        schema = {"components": {"schemas": {"Input": {"properties": properties}}}}
        inputs = Inputs(resolutions={}, ratios=())
        return differences(model, inputs, {"latest_version": {"openapi_schema": schema}})

    assert found({"type": "integer", "minimum": 1, "maximum": 20}) == ()
    assert found({"type": "integer", "maximum": 15}) == ("duration does not take 16.",)
    assert found({"type": "string"}) == ("duration does not take 4.", "duration does not take 16.")


def test_a_description_without_inputs_is_not_taken_for_agreement() -> None:
    for document in ({}, {"latest_version": None}, "busy"):
        assert differences(P_VIDEO, Inputs(), document)


async def test_an_unknown_job_is_one_that_vanished(tmp_path: Path) -> None:
    with FakeReplicate() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(Vanished):
                await provider.poll(RemoteJob(id="nobody"))
            assert await provider.ping() == "answers, key accepted"
