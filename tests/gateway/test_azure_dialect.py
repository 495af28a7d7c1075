"""Azure's video jobs over the real server: as promptfoo walks through them, and as our own client of Azure does."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest

from rushes.gateway.azure_dialect import LOOK_AT
from rushes.jobs.keys import Grant
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import Crop, VideoRequest
from tests.command_line import CommandLine
from tests.gateway.running import Running, running

pytestmark = pytest.mark.anyio

JOBS = "/openai/v1/video/generations/jobs"
GENERATIONS = "/openai/v1/video/generations"
PREVIEW = {"api-version": "preview"}
SMALL: Mapping[str, Any] = {"model": "draft", "prompt": "A boat", "width": 480, "height": 480, "n_seconds": 1}
FOR_SORA_2 = '[aliases]\nmine = "openai:video:sora-2"\n'
SHORT = ("--model", "azure:video:animatic", "--size", "480x480", "--seconds", "1")
STILL = clips.picture(480, 480)
OTHER = clips.picture(64, 64)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    """One that takes jobs and never makes them, for what is decided at the create."""
    async with running(tmp_path / "gateway", works=False) as served:
        yield served


async def created(served: Running, path: str = JOBS, **changes: Any) -> dict[str, Any]:
    reply = await served.client.post(path, params=PREVIEW, json={**SMALL, **changes})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def sent(served: Running, items: object, files: Mapping[str, bytes], **changes: Any) -> httpx2.Response:
    """A create as multipart, as Azure's samples send it."""
    texts = {name: str(value) for name, value in {**SMALL, **changes}.items()}
    parts = [("files", (name, data, "application/octet-stream")) for name, data in files.items()]
    return await served.client.post(
        JOBS, params=PREVIEW, data={**texts, "inpaint_items": json.dumps(items)}, files=parts
    )


async def over(served: Running, job_id: str) -> dict[str, Any]:
    """The job once it has ended."""
    with anyio.fail_after(60):
        while True:
            job = (await served.client.get(f"{JOBS}/{job_id}", params=PREVIEW)).json()
            if job["status"] in ("succeeded", "failed", "cancelled"):
                return job
            await anyio.sleep(0.05)


async def planned(served: Running, job_id: str) -> VideoRequest:
    """What the job's provider would be sent."""
    return (await served.app.jobs.case(job_id)).prepared.request


def refused(reply: httpx2.Response, status: int, param: str | None = None) -> str:
    """The message of an error, which is flat."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert set(body) == {"code", "message", "param", "type", "inner_error", "error"}
    assert body["param"] == param
    return str(body["message"])


# -- the whole way -----------------------------------------------------------------------------------


async def test_promptfoo_walks_from_the_create_to_the_file(tmp_path: Path) -> None:
    asked = {"model": "sora", "prompt": "A boat", "width": 480, "height": 480, "n_seconds": 5, "n_variants": 1}
    async with running(tmp_path) as served:
        key = {"api-key": "any"}
        reply = await served.client.post(JOBS, params=PREVIEW, json=asked, headers=key)
        assert reply.status_code == 200
        assert reply.json()["status"] in ("queued", "running")
        assert reply.headers["x-rushes-model"] == "draft"

        job = await over(served, reply.json()["id"])
        [generation] = job["generations"]
        content = await served.client.get(
            f"{GENERATIONS}/{generation['id']}/content/video", params=PREVIEW, headers=key
        )

        assert (job["model"], job["n_seconds"], job["width"], job["height"]) == ("sora", 5, 480, 480)
        assert job["finished_at"] >= job["created_at"]
        assert content.headers["content-type"] == "video/mp4"
        assert content.content[4:8] == b"ftyp"


async def test_several_variants_are_generations_of_one_job(tmp_path: Path) -> None:
    async with running(tmp_path) as served:
        made = await created(served, n_variants=2)

        job = await over(served, made["id"])

        assert (made["n_variants"], made["generations"]) == (2, [])
        first, second = job["generations"]
        assert first["id"] == job["id"] == second["job_id"]
        one, other = [
            (await served.client.get(f"{GENERATIONS}/{each['id']}/content/video")).content for each in (first, second)
        ]
        assert one[4:8] == other[4:8] == b"ftyp"
        assert one != other
        told = await served.client.get(f"{GENERATIONS}/{second['id']}")
        assert told.json() == second


async def test_content_can_be_looked_at_in_part_and_without_a_body(tmp_path: Path) -> None:
    async with running(tmp_path) as served:
        job = await over(served, (await created(served))["id"])
        content = f"{GENERATIONS}/{job['id']}/content"

        head = await served.client.head(f"{content}/video", params={"quality": "low"})
        part = await served.client.get(f"{content}/video", headers={"range": "bytes=4-7"})
        picture = await served.client.get(f"{content}/thumbnail")
        wrong = await served.client.get(f"{content}/video", params={"quality": "best"})

        assert (head.status_code, head.content, head.headers["accept-ranges"]) == (200, b"", "bytes")
        assert int(head.headers["content-length"]) > 1000
        assert "last-modified" in head.headers
        assert (part.status_code, part.content) == (206, b"ftyp")
        assert (picture.headers["content-type"], picture.content[8:12]) == ("image/webp", b"WEBP")
        refused(wrong, 400, "quality")


async def test_a_failed_job_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as served:
        body = {"model": "draft", "prompt": "A boat", "size": "480x480", "seconds": 1, "extra": {"fail": "moderation"}}
        video = (await served.client.post("/v1/videos", json=body)).json()

        job = await over(served, video["id"])
        content = await served.client.get(f"{GENERATIONS}/{job['id']}/content/video")

        assert (job["status"], job["failure_reason"], job["generations"]) == ("failed", "output_moderation", [])
        assert job["error"]["code"] == "moderation_blocked"
        refused(content, 404)


async def test_our_own_azure_provider_is_a_client_of_it(tmp_path: Path) -> None:
    pictures = {"--image": STILL, "--last-image": OTHER}
    for name, data in pictures.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    given = [text for name in pictures for text in (name, str(tmp_path / f"{name}.png"))]

    async with running(tmp_path / "gateway") as served:
        rushes = client_of(served.url, tmp_path)
        said = await anyio.to_thread.run_sync(
            lambda: rushes.run("generate", "A boat", *SHORT, *given, "--extra", "n_variants=2", "--json")
        )

        assert said.returncode == 0, said.stderr
        videos = json.loads(said.stdout)
        [job] = (await served.client.get(JOBS)).json()["data"]
        ids = [each["id"] for each in job["generations"]]
        there = [(await served.client.get(f"{GENERATIONS}/{each}/content/video")).content for each in ids]
        assert {video["remote_id"] for video in videos} == {job["id"]}
        assert len(there) == 2
        assert sorted(Path(video["path"]).read_bytes() for video in videos) == sorted(there)
        request = await planned(served, job["id"])
        assert request.first_frame is not None
        assert request.last_frame is not None
        assert (request.first_frame.width, request.last_frame.width) == (480, 64)


async def test_our_own_azure_provider_is_told_what_is_wrong(tmp_path: Path) -> None:
    """`draft` makes 24 frames a second, so the last ones of the 30 that Azure counts are outside of its videos."""
    (tmp_path / "a.png").write_bytes(STILL)
    async with running(tmp_path / "gateway", works=False) as served:
        rushes = client_of(served.url, tmp_path)
        said = await anyio.to_thread.run_sync(
            lambda: rushes.run("generate", "A boat", *SHORT, "--inpaint", f"28={tmp_path / 'a.png'}")
        )

        assert said.returncode == 1
        assert "frame 28 lies outside of the video, which has 0 to 23" in said.stderr
        assert (await served.client.get(JOBS)).json()["data"] == []


def client_of(url: str, folder: Path) -> CommandLine:
    """A command line of its own, as two Apps cannot work in one process."""
    toml = """
[providers.azure]
poll_interval_ms = 50

[providers.azure.deployments]
animatic = { model = "sora", api = "jobs", wire_model = "draft", usd_per_second = "0" }
"""
    (folder / "rushes.toml").write_text(toml, encoding="utf-8")
    return CommandLine(folder, {"AZURE_OPENAI_ENDPOINT": url, "AZURE_OPENAI_API_KEY": "any"})


# -- creates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        JOBS,
        "/openai/video/generations/jobs",
        "/openai/deployments/draft/video/generations/jobs",
        "/openai/v1/deployments/draft/video/generations/jobs",
    ],
)
async def test_it_answers_wherever_clients_look_for_it(gateway: Running, path: str) -> None:
    model = "sora" if "deployments" in path else "draft"  # the path's deployment wins

    job = await created(gateway, path, model=model)

    assert job["model"] == "draft"
    assert (await gateway.client.get(f"{path}/{job['id']}")).json() == job
    assert [each["id"] for each in (await gateway.client.get(path)).json()["data"]] == [job["id"]]
    assert (await gateway.client.get(f"/v1/videos/{job['id']}")).json()["size"] == "480x480"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"width": 500}, "width"),
        ({"height": None}, "height"),
        ({"n_seconds": 21}, "n_seconds"),
        ({"n_variants": 9}, "n_variants"),
        ({"prompt": ""}, "prompt"),
    ],
)
async def test_what_cannot_be_served_is_refused_flat_and_by_name(
    gateway: Running, changes: Mapping[str, Any], param: str
) -> None:
    refused(await gateway.client.post(JOBS, json={**SMALL, **changes}), 400, param)
    assert (await gateway.client.get(JOBS)).json()["data"] == []


async def test_a_provider_that_sells_one_video_at_a_time_makes_one_and_the_answer_says_so(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=0.1) as fake:
        known = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
        async with running(tmp_path, FOR_SORA_2, environment=known) as served:
            body = {**SMALL, "model": "mine", "width": 1280, "height": 720, "n_seconds": 4, "n_variants": 3}
            reply = await served.client.post(JOBS, json=body)
            job = await over(served, reply.json()["id"])

            [told] = json.loads(reply.headers["x-rushes-adjustments"])
            assert (told["field"], told["asked"], told["given"]) == ("videos", "3", "1")
            assert (job["status"], job["n_variants"], len(job["generations"])) == ("succeeded", 1, 1)
            assert fake.book.charged == 1


async def test_an_equal_key_with_files_in_other_places_is_no_repetition(gateway: Running) -> None:
    def body(first: bytes, last: bytes) -> dict[str, Any]:
        items = [{"frame_index": 0, "file_name": "a.png"}, {"frame_index": 29, "file_name": "b.png"}]
        texts = {name: str(value) for name, value in SMALL.items()}
        return {
            "data": {**texts, "inpaint_items": json.dumps(items)},
            "files": [("files", ("a.png", first)), ("files", ("b.png", last))],
            "headers": {"idempotency-key": "one"},
        }

    made = await gateway.client.post(JOBS, **body(STILL, OTHER))
    again = await gateway.client.post(JOBS, **body(STILL, OTHER))
    swapped = body(STILL, OTHER)
    swapped["files"] = [("files", ("b.png", STILL)), ("files", ("a.png", OTHER))]

    assert made.json()["id"] == again.json()["id"]
    refused(await gateway.client.post(JOBS, **swapped), 409)


# -- pictures and clips ------------------------------------------------------------------------------


async def test_pictures_at_both_ends_become_frames_and_others_references(gateway: Running) -> None:
    items = [
        {"frame_index": 0, "type": "image", "file_name": "first.png"},
        {"frame_index": 12, "type": "image", "file_name": "part.png", "crop_bounds": {"right_fraction": 0.5}},
        {"frame_index": 29, "type": "image", "file_name": "last.png"},
        {"frame_index": 3, "type": "video", "file_name": "clip.mp4"},
    ]
    files = {"clip.mp4": clips.clip(), "last.png": OTHER, "part.png": STILL, "first.png": STILL}

    reply = await sent(gateway, items, files)

    assert reply.status_code == 200, reply.text
    request = await planned(gateway, reply.json()["id"])
    assert request.first_frame is not None
    assert request.last_frame is not None
    assert (request.first_frame.width, request.last_frame.width) == (480, 64)
    part, clip = request.references
    assert (part.frame_index, part.crop, part.media.sha256) == (12, Crop(right=0.5), request.first_frame.sha256)
    assert (clip.frame_index, clip.crop, clip.media.seconds is not None) == (3, None, True)


@pytest.mark.parametrize("field", ["file", "files[]", "file[]"])
async def test_file_parts_may_be_named_as_clients_name_them(gateway: Running, field: str) -> None:
    texts = {name: str(value) for name, value in SMALL.items()}
    items = json.dumps([{"frame_index": 0, "type": "image", "file_name": "a.png"}])

    reply = await gateway.client.post(JOBS, data={**texts, "inpaint_items": items}, files=[(field, ("a.png", STILL))])

    assert reply.status_code == 200, reply.text
    assert (await planned(gateway, reply.json()["id"])).first_frame is not None


async def test_a_picture_may_come_as_data_in_json(gateway: Running) -> None:
    data = f"data:image/png;base64,{base64.b64encode(OTHER).decode()}"

    job = await created(gateway, inpaint_items=[{"frame_index": 0, "type": "image", "file_name": data}])

    frame = (await planned(gateway, job["id"])).first_frame
    assert frame is not None
    assert frame.width == 64


async def test_a_picture_can_be_the_first_frame_of_a_model_that_takes_no_more(tmp_path: Path) -> None:
    known = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    wide = {"model": "mine", "width": 1280, "height": 720, "n_seconds": 4}
    async with running(tmp_path, FOR_SORA_2, works=False, environment=known) as served:
        at_start = await sent(served, [{"frame_index": 0, "file_name": "a.png"}], {"a.png": STILL}, **wide)
        later = await sent(served, [{"frame_index": 9, "file_name": "a.png"}], {"a.png": STILL}, **wide)

        assert at_start.status_code == 200, at_start.text
        assert (await planned(served, at_start.json()["id"])).first_frame is not None
        message = refused(later, 400, "inpaint_items[0]")
        assert message.endswith("It takes a whole picture at frame_index 0.")


async def test_a_length_that_nobody_named_is_fitted_to_the_model(tmp_path: Path) -> None:
    known = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    asked = {**SMALL, "model": "openai:video:sora-2", "width": 1280, "height": 720}
    async with running(tmp_path, works=False, environment=known) as served:
        named = await served.client.post(JOBS, json={**asked, "n_seconds": 5})
        unnamed = await served.client.post(JOBS, json={name: asked[name] for name in asked if name != "n_seconds"})

        assert "makes 4, 8, 12, 16 or 20 seconds, not 5" in named.json()["message"]
        assert unnamed.status_code == 200, unnamed.text
        assert (await planned(served, unnamed.json()["id"])).seconds == 8


async def test_a_file_of_this_machine_is_never_read(gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_bytes(STILL)

    for name in (str(tmp_path / "private.png"), (tmp_path / "private.png").as_uri()):
        reply = await gateway.client.post(JOBS, json={**SMALL, "inpaint_items": [{"file_name": name}]})

        assert "no part 'files' has the file name" in refused(reply, 400, "inpaint_items[0].file_name")


async def test_a_path_as_long_as_a_picture_is_not_read_either(gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_bytes(STILL)
    name = f"{tmp_path}/{'./' * 200}private.png"
    assert Path(name).is_file()

    reply = await gateway.client.post(JOBS, json={**SMALL, "inpaint_items": [{"file_name": name}]})

    assert "files are not read from here" in refused(reply, 400, "inpaint_items[0].file_name")


async def test_a_link_into_this_machine_is_not_followed(gateway: Running) -> None:
    items = [{"frame_index": 0, "type": "image", "file_name": f"{gateway.url}/health"}]

    reply = await gateway.client.post(JOBS, json={**SMALL, "inpaint_items": items})

    refused(reply, 400, "inpaint_items[0].file_name")


@pytest.mark.parametrize("data", [b"no picture", b"", STILL[:400], clips.clip()[:400]])
async def test_what_is_no_picture_is_refused_by_its_name_and_never_by_our_path(gateway: Running, data: bytes) -> None:
    reply = await sent(gateway, [{"frame_index": 0, "file_name": "a.png"}], {"a.png": data})

    message = refused(reply, 400, "inpaint_items[0].file_name")
    assert message.startswith("a.png")
    assert "spool" not in message
    assert "form-" not in message


# -- lists -------------------------------------------------------------------------------------------


async def test_a_list_goes_from_the_newest_on_and_back_again(gateway: Running) -> None:
    ids = [(await created(gateway, prompt=f"Boat {n}"))["id"] for n in range(5)][::-1]

    async def page(**query: str | int) -> tuple[list[str], bool]:
        told = (await gateway.client.get(JOBS, params={**PREVIEW, **query})).json()
        assert told["object"] == "list"
        found = [job["id"] for job in told["data"]]
        assert (told["first_id"], told["last_id"]) == ((found[0], found[-1]) if found else (None, None))
        return found, told["has_more"]

    assert await page() == (ids, False)
    assert await page(limit=2) == (ids[:2], True)
    assert await page(limit=2, after=ids[1]) == (ids[2:4], True)
    assert await page(limit=2, after=ids[3]) == (ids[4:], False)
    assert await page(limit=2, before=ids[4]) == (ids[2:4], True)
    assert await page(limit=2, before=ids[2]) == (ids[:2], False)
    assert await page(after=ids[4]) == ([], False)
    refused(await gateway.client.get(JOBS, params={"after": ids[0], "before": ids[1]}), 400, "before")
    refused(await gateway.client.get(JOBS, params={"after": "video_" + "0" * 32}), 404)
    refused(await gateway.client.get(JOBS, params={"limit": 0}), 400, "limit")


async def test_a_list_without_a_limit_has_ten(gateway: Running) -> None:
    for n in range(11):
        await created(gateway, prompt=f"Boat {n}")

    told = (await gateway.client.get(JOBS)).json()

    assert (len(told["data"]), told["has_more"]) == (10, True)


async def test_a_list_can_be_of_some_statuses(gateway: Running) -> None:
    ids = [(await created(gateway, prompt=f"Boat {n}"))["id"] for n in range(3)]
    body = {"model": "draft", "prompt": "A boat", "size": "480x480", "seconds": 1, "extra": {"fail": "error"}}
    ids.append((await gateway.client.post("/v1/videos", json=body)).json()["id"])

    async def of(statuses: str, **query: str | int) -> list[str]:
        told = (await gateway.client.get(JOBS, params={"statuses": statuses, **query})).json()
        return [job["id"] for job in told["data"]]

    assert await of("queued") == ids[::-1]
    assert await of("running,succeeded,failed,cancelled,preprocessing,processing") == []

    await gateway.app.jobs.cancel(ids[1])
    gateway.app.work()
    for job_id in ids:
        await over(gateway, job_id)

    assert await of("cancelled") == [ids[1]]
    assert await of("failed") == [ids[3]]
    assert await of("succeeded") == [ids[2], ids[0]]
    assert await of("succeeded", limit=1) == [ids[2]]
    assert await of("succeeded", limit=1, after=ids[2]) == [ids[0]]
    assert await of("succeeded,failed,queued") == [ids[3], ids[2], ids[0]]
    refused(await gateway.client.get(JOBS, params={"statuses": "done"}), 400, "statuses")


async def test_the_one_job_of_a_status_is_found_behind_many_others(tmp_path: Path) -> None:
    """The ledger only knows nearly which jobs run, so more are looked at than are shown."""
    async with running(tmp_path, "[worker]\njobs = 1\n", works=False) as served:
        body = {"model": "draft", "prompt": "A boat", "size": "480x480", "seconds": 1, "extra": {"latency_s": 600}}
        first = (await served.client.post("/v1/videos", json=body)).json()["id"]
        served.app.work()
        with anyio.fail_after(30):
            while (await served.client.get(f"{JOBS}/{first}")).json()["status"] != "running":
                await anyio.sleep(0.05)
        for n in range(LOOK_AT + 5):
            await created(served, prompt=f"Boat {n}")

        told = (await served.client.get(JOBS, params={"statuses": "running", "limit": 1})).json()

        assert ([job["id"] for job in told["data"]], told["has_more"]) == ([first], False)


async def test_nobody_sees_the_jobs_of_somebody_else(gateway: Running) -> None:
    keys = [await gateway.app.keys.create(name, Grant()) for name in ("one", "other")]
    mine, theirs = ({"api-key": key.secret} for key in keys)

    reply = await gateway.client.post(JOBS, json=SMALL, headers=mine)
    address = f"{JOBS}/{reply.json()['id']}"

    assert (await gateway.client.get(address, headers=mine)).status_code == 200
    refused(await gateway.client.get(address, headers=theirs), 404)
    refused(await gateway.client.delete(address, headers=theirs), 404)
    refused(await gateway.client.get(JOBS, params={"after": reply.json()["id"]}, headers=theirs), 404)
    assert (await gateway.client.get(JOBS, headers=theirs)).json()["data"] == []
    assert len((await gateway.client.get(JOBS, headers=mine)).json()["data"]) == 1
    refused(await gateway.client.get(JOBS), 401)


async def test_a_deleted_job_is_nowhere_any_more(gateway: Running) -> None:
    job = await created(gateway)

    reply = await gateway.client.delete(f"{JOBS}/{job['id']}", params=PREVIEW)

    assert (reply.status_code, reply.content) == (204, b"")
    refused(await gateway.client.get(f"{JOBS}/{job['id']}"), 404)
    refused(await gateway.client.delete(f"{JOBS}/{job['id']}"), 404)
    assert (await gateway.client.get(JOBS)).json()["data"] == []


async def test_a_job_that_runs_has_no_generation_yet(gateway: Running) -> None:
    job = await created(gateway)

    refused(await gateway.client.get(f"{GENERATIONS}/{job['id']}"), 404)
    refused(await gateway.client.get(f"{GENERATIONS}/{job['id']}/content/video"), 404)
    refused(await gateway.client.get(f"{GENERATIONS}/{job['id']}/content/thumbnail"), 404)
