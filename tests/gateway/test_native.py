"""The native API over a real server, with draft behind it: making videos, following them, and getting the files."""

from decimal import Decimal
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
from PIL import Image

from rushes import config
from rushes.app import App
from rushes.gateway.auth import Doorkeeper
from rushes.gateway.gateway import Gateway
from rushes.gateway.server import application
from rushes.jobs.keys import Grant
from tests.gateway.orders import FOX, ended, ordered, problem
from tests.gateway.running import Running, running

pytestmark = pytest.mark.anyio


def picture(width: int = 320, height: int = 180) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), (20, 90, 160)).save(out, "PNG")
    return out.getvalue()


# -- generate, status, files -------------------------------------------------------------------------


async def test_a_generate_is_answered_at_once_and_ends_as_a_file_to_download(gateway: Running) -> None:
    answer = await gateway.client.post("/api/generate", json=FOX)
    order = answer.json()
    done = await ended(gateway, order["job_id"])
    file = await gateway.client.get(done["video_url"])

    assert answer.status_code == 200
    assert order == {"job_id": str(UUID(order["job_id"])), "status": "queued", "video_url": None, "error": None}
    assert answer.headers["cache-control"] == "no-store"
    assert done == {**order, "status": "completed", "video_url": f"/api/download/{order['job_id']}"}
    assert file.headers["content-type"] == "video/mp4"
    assert file.headers["content-disposition"].startswith("attachment;")
    assert file.content[4:8] == b"ftyp"


async def test_the_files_of_a_video_lie_under_its_uuid_for_ever(gateway: Running) -> None:
    job_id = await ordered(gateway)
    await ended(gateway, job_id)
    folder = f"/api/output/video/{job_id}"
    types = {"video.mp4": "video/mp4", "thumbnail.webp": "image/webp", "spritesheet.jpg": "image/jpeg"}

    for name, mime in types.items():
        got = await gateway.client.get(f"{folder}/{name}")
        head = await gateway.client.head(f"{folder}/{name}")
        assert (got.status_code, got.headers["content-type"]) == (200, mime)
        assert got.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))

    whole = await gateway.client.get(f"{folder}/video.mp4")
    part = await gateway.client.get(f"{folder}/video.mp4", headers={"range": "bytes=4-7"})
    known = await gateway.client.get(f"{folder}/video.mp4", headers={"if-none-match": whole.headers["etag"]})
    beyond = await gateway.client.get(f"{folder}/video.mp4", headers={"range": "bytes=99999999-"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["cache-control"] == "private, max-age=31536000, immutable"
    problem(beyond, 416)


async def test_both_forms_of_an_id_are_taken_everywhere(gateway: Running) -> None:
    job_id = await ordered(gateway)
    await ended(gateway, job_id)
    other = f"video_{UUID(job_id).hex}"

    for path in ("/api/status/{}", "/api/download/{}", "/api/output/video/{}/video.mp4", "/api/jobs/{}"):
        answers = [await gateway.client.get(path.format(form)) for form in (job_id, other)]
        assert [answer.status_code for answer in answers] == [200, 200], path
    assert (await gateway.client.get(f"/v1/videos/{job_id}")).json()["id"] == other


@pytest.mark.parametrize(
    "text", ["zz", "video_12", "8c6bb3a00d5c4b399a546e1f3d1c9a1", "{8c6bb3a0-0d5c-4b39-9a54-6e1f3d1c9a10}"]
)
async def test_what_is_no_uuid_is_told_so(idle_gateway: Running, text: str) -> None:
    error = problem(await idle_gateway.client.get(f"/api/output/video/{text}/video.mp4"), 400)

    assert error["message"] == "Invalid UUID format"


async def test_another_file_name_is_refused_before_anything_is_looked_for(idle_gateway: Running) -> None:
    for name in ("video.c2pa", "video.mp4.part", "..%2Fvideo.mp4"):
        answer = await idle_gateway.client.get(f"/api/output/video/{uuid4()}/{name}")
        if "%2F" not in name:
            assert problem(answer, 400)["message"] == "Invalid filename"
        assert answer.status_code in (400, 404)


async def test_an_unknown_id_is_not_found_anywhere(idle_gateway: Running) -> None:
    job_id = uuid4()

    for path in (f"status/{job_id}", f"download/{job_id}", f"output/video/{job_id}/video.mp4", f"jobs/{job_id}"):
        assert problem(await idle_gateway.client.get(f"/api/{path}"), 404)["code"] == "not_found"
    problem(await idle_gateway.client.post(f"/api/jobs/{job_id}/cancel"), 404)
    problem(await idle_gateway.client.delete(f"/api/jobs/{job_id}"), 404)
    problem(await idle_gateway.client.post(f"/api/jobs/{job_id}/resolve", json={"decision": "repay"}), 404)


async def test_a_job_that_failed_says_why(gateway: Running) -> None:
    job_id = await ordered(gateway, extra={"fail": "moderation"})

    found = await ended(gateway, job_id)

    assert (found["status"], found["video_url"]) == ("failed", None)
    assert found["error"]
    problem(await gateway.client.get(f"/api/download/{job_id}"), 404)


# -- what a generate takes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"duration": "4"}, "duration"),
        ({"duration": True}, "duration"),
        ({"duration": 0}, "duration"),
        ({"duration": 1.5}, "duration"),
        ({"width": 321}, "width"),
        ({"height": 10**9}, "height"),
        ({"seed": -1}, "seed"),
        ({"audio": "yes"}, "audio"),
        ({"extra": []}, "extra"),
        ({"extra": {"nothing": 1}}, None),
        ({"cache": "always"}, "cache"),
        ({"tags": ["a,b"]}, "tags.0"),
        ({"max_cost_usd": "a lot"}, "max_cost_usd"),
        ({"allow_unknown_price": True}, "allow_unknown_price"),
        ({"image": "/etc/passwd"}, None),
        ({"image": "data:image/png;base64,AAAA"}, None),
    ],
)
async def test_what_cannot_be_meant_is_invalid(
    idle_gateway: Running, changes: dict[str, object], param: str | None
) -> None:
    error = problem(await idle_gateway.client.post("/api/generate", json={**FOX, **changes}), 422)

    assert param is None or error["param"] == param
    assert (await idle_gateway.client.get("/api/jobs")).json()["jobs"] == []


async def test_a_body_that_is_none_is_invalid(idle_gateway: Running) -> None:
    for body in (b"", b"{", b"[]", b'{"prompt": "\\ud800"}'):
        answer = await idle_gateway.client.post(
            "/api/generate", content=body, headers={"content-type": "application/json"}
        )
        problem(answer, 422)
    text = await idle_gateway.client.post("/api/generate", content=b"a fox", headers={"content-type": "text/plain"})
    problem(text, 415)


async def test_a_misspelt_field_is_told_with_the_one_that_was_probably_meant(idle_gateway: Running) -> None:
    error = problem(await idle_gateway.client.post("/api/generate", json={**FOX, "durations": 4}), 422)

    assert "Did you mean duration?" in error["message"]


async def test_an_unknown_model_is_not_found(idle_gateway: Running) -> None:
    error = problem(await idle_gateway.client.post("/api/generate", json={**FOX, "model": "draft:video:none"}), 404)

    assert error["code"] == "model_not_found"


async def test_where_others_rely_on_it_nothing_is_made_by_draft_unless_it_is_named(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    async with App(settings, leave_worker=False) as app:
        key = (await app.keys.create("somebody", Grant())).secret
        doorkeeper = Doorkeeper(app.keys, loopback=False)
        gateway = Gateway(app, doorkeeper, loopback=False)
        transport = httpx2.ASGITransport(application(gateway, host="127.0.0.1", trust_proxy=True))
        headers = {"authorization": f"Bearer {key}"}
        client = httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
        async with doorkeeper.on_duty(), gateway.running(), client:
            unnamed = await client.post("/api/generate", json=FOX)
            named = await client.post("/api/generate", json={**FOX, "model": "draft"})

    assert problem(unnamed, 503)["code"] == "provider_unavailable"
    assert unnamed.headers["x-should-retry"] == "false"
    assert named.status_code == 200, named.text


async def test_a_form_with_a_picture_is_taken_like_json(gateway: Running) -> None:
    fields = {name: str(value) for name, value in FOX.items()}
    answer = await gateway.client.post("/api/generate", data=fields, files={"image": ("a.png", picture())})
    stray = await gateway.client.post("/api/generate", data=fields, files={"mask": ("a.png", picture())})
    broken = await gateway.client.post("/api/generate", data=fields, files={"image": ("a.png", b"no picture")})

    assert answer.status_code == 200, answer.text
    assert (await ended(gateway, answer.json()["job_id"]))["status"] == "completed"
    assert problem(stray, 422)["param"] == "mask"
    assert problem(broken, 422)["param"] == "image"


async def test_what_is_named_is_strict_and_what_is_not_is_fitted(tmp_path: Path) -> None:
    async with running(tmp_path / "home", works=False, environment={"ZAI_API_KEY": "a-key-of-a-test"}) as gateway:
        model = {"prompt": "A fox", "model": "zai:video:viduq1-text"}
        left_out = await gateway.client.post("/api/estimate", json=model)
        named = await gateway.client.post("/api/estimate", json={**model, "duration": 10})

        assert left_out.status_code == 200, left_out.text
        assert (left_out.json()["size"], left_out.json()["seconds"]) == ("1920x1080", 5)
        assert [each["field"] for each in left_out.json()["adjustments"]] == ["seconds"]
        error = problem(named, 422)
        assert error["param"] == "duration"
        assert "5" in error["message"]


async def test_an_estimate_tells_the_price_and_buys_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "home", works=False, environment={"ZAI_API_KEY": "a-key-of-a-test"}) as gateway:
        body = {"prompt": "A fox", "model": "zai:video:cogvideox-3", "duration": 5}
        found = (await gateway.client.post("/api/estimate", json=body)).json()

        assert Decimal(found["estimate_usd"]) > 0
        assert found["most_usd"] == found["estimate_usd"]
        assert (await gateway.client.get("/api/jobs")).json()["jobs"] == []


async def test_a_repeated_idempotency_key_gives_the_same_job(idle_gateway: Running) -> None:
    headers = {"idempotency-key": "order-7"}
    first = await idle_gateway.client.post("/api/generate", json=FOX, headers=headers)
    again = await idle_gateway.client.post("/api/generate", json=FOX, headers=headers)
    other = await idle_gateway.client.post("/api/generate", json={**FOX, "duration": 2}, headers=headers)

    assert first.json()["job_id"] == again.json()["job_id"]
    problem(other, 409)
    assert other.headers["x-should-retry"] == "false"


async def test_a_remix_takes_size_and_length_from_its_source(gateway: Running) -> None:
    source = await ordered(gateway)
    early = await gateway.client.post("/api/generate", json={"prompt": "at night", "remix": source})
    await ended(gateway, source)
    answer = await gateway.client.post("/api/generate", json={"prompt": "at night", "remix": source})
    job = (await gateway.client.get(f"/v1/videos/{answer.json()['job_id']}")).json()

    problem(early, 422)
    assert answer.status_code == 200, answer.text
    assert (job["size"], job["seconds"]) == ("320x180", "1")
