"""The OpenAI Videos API over a real server, with draft behind it: every operation, and what each refuses."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from PIL import Image

from rushes.jobs import store
from rushes.media.children import Children
from tests.gateway.running import SHORT, Running, running

pytestmark = pytest.mark.anyio

FOX = {"prompt": "A fox in the snow", **SHORT}
NOT_YET = {"extra": {"latency_s": 3600}}
"""Keeps a job of draft going for as long as a test wants."""


def picture(width: int = 320, height: int = 180) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), (200, 40, 30)).save(out, "PNG")
    return out.getvalue()


async def made(gateway: Running, **fields: Any) -> dict[str, Any]:
    """A finished video."""
    answer = await gateway.client.post("/v1/videos", json={**FOX, **fields})
    assert answer.status_code == 200, answer.text
    return await gateway.until_ended(answer.json()["id"])


async def clip_of(gateway: Running, video_id: str) -> bytes:
    answer = await gateway.client.get(f"/v1/videos/{video_id}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """The error in the one envelope, with all its members."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# -- create, look, fetch -----------------------------------------------------------------------------


async def test_a_create_is_answered_at_once_and_ends_as_a_file(gateway: Running, tmp_path: Path) -> None:
    answer = await gateway.client.post("/v1/videos", json=FOX)
    video = answer.json()

    assert answer.status_code == 200
    assert video["id"].startswith("video_")
    assert len(video["id"]) == 38
    assert (video["status"], video["model"], video["size"], video["seconds"]) == ("queued", "sora-2", "320x180", "1")
    assert answer.headers["openai-poll-after-ms"] == "500"
    assert answer.headers["x-rushes-model"] == "draft"
    assert answer.headers["x-request-id"]

    done = await gateway.until_ended(video["id"])
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100, None)
    assert done["completed_at"] >= done["created_at"]

    file = tmp_path / "fox.mp4"
    file.write_bytes(await clip_of(gateway, video["id"]))
    async with Children() as children:
        probe = await children.probe(file)
    assert (probe.size, round(probe.seconds)) == ((320, 180), 1)


async def test_a_form_with_a_picture_starts_from_the_picture(gateway: Running) -> None:
    answer = await gateway.client.post(
        "/v1/videos", data=FOX, files={"input_reference": ("upload", picture(), "application/octet-stream")}
    )
    job = await gateway.app.jobs.case(answer.json()["id"])

    first = job.prepared.request.first_frame
    assert first is not None
    assert (first.mime, first.size) == ("image/png", (320, 180))


@pytest.mark.parametrize(
    ("variant", "mime", "magic"),
    [("video", "video/mp4", b"ftyp"), ("thumbnail", "image/webp", b"WEBP"), ("spritesheet", "image/jpeg", b"\xff\xd8")],
)
async def test_each_variant_has_its_type(gateway: Running, variant: str, mime: str, magic: bytes) -> None:
    video = await made(gateway)

    answer = await gateway.client.get(f"/v1/videos/{video['id']}/content", params={"variant": variant})

    assert (answer.status_code, answer.headers["content-type"]) == (200, mime)
    assert magic in answer.content[:16]
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_content_comes_in_ranges_and_is_known_again(gateway: Running) -> None:
    video = await made(gateway)
    path = f"/v1/videos/{video['id']}/content"
    whole = await gateway.client.get(path)

    part = await gateway.client.get(path, headers={"range": "bytes=10-19"})
    known = await gateway.client.get(path, headers={"if-none-match": whole.headers["etag"]})
    head = await gateway.client.head(path)
    beyond = await gateway.client.get(path, headers={"range": "bytes=999999999-"})

    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert (known.status_code, known.content) == (304, b"")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
    assert beyond.status_code == 416


async def test_content_before_the_end_is_a_404_in_json(idle_gateway: Running) -> None:
    video = (await idle_gateway.client.post("/v1/videos", json=FOX)).json()

    answer = await idle_gateway.client.get(f"/v1/videos/{video['id']}/content")

    assert answer.status_code == 404
    assert error_of(answer)["message"].startswith("Video is not ready yet")


async def test_a_variant_that_there_is_not_is_refused_by_name(gateway: Running) -> None:
    video = await made(gateway)

    answer = await gateway.client.get(f"/v1/videos/{video['id']}/content", params={"variant": "poster"})

    assert (answer.status_code, error_of(answer)["param"]) == (400, "variant")


async def test_a_failed_job_is_an_answer_with_an_error_in_it(gateway: Running) -> None:
    video = await made(gateway, extra={"fail": "moderation"})

    answer = await gateway.client.get(f"/v1/videos/{video['id']}")

    assert answer.status_code == 200
    assert (video["status"], video["error"]["code"]) == ("failed", "moderation_blocked")
    content = await gateway.client.get(f"/v1/videos/{video['id']}/content")
    assert content.status_code == 404


async def test_a_looking_client_is_told_when_to_look_again_only_while_there_is_something_to_see(
    gateway: Running,
) -> None:
    going = (await gateway.client.post("/v1/videos", json={**FOX, **NOT_YET})).json()
    video = await made(gateway)

    running_answer = await gateway.client.get(f"/v1/videos/{going['id']}")
    done_answer = await gateway.client.get(f"/v1/videos/{video['id']}")

    assert "openai-poll-after-ms" in running_answer.headers
    assert "openai-poll-after-ms" not in done_answer.headers
    assert done_answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/openai", ""])
async def test_every_prefix_that_clients_use_leads_to_the_same_videos(gateway: Running, prefix: str) -> None:
    headers = {"api-key": "anything"}
    created = await gateway.client.post(
        f"{prefix}/videos?api-version=preview", json={**FOX, **NOT_YET}, headers=headers
    )
    video = created.json()

    seen = await gateway.client.get(f"{prefix}/videos/{video['id']}?api-version=preview", headers=headers)

    assert (seen.status_code, seen.json()["id"]) == (200, video["id"])


async def test_an_id_is_known_in_both_its_forms(idle_gateway: Running) -> None:
    video = (await idle_gateway.client.post("/v1/videos", json=FOX)).json()
    digits = video["id"].removeprefix("video_")
    hyphened = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    seen = await idle_gateway.client.get(f"/v1/videos/{hyphened}")

    assert seen.json()["id"] == video["id"]


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({}, 400, "prompt", "missing_required_parameter"),
        ({**FOX, "seconds": "soon"}, 400, "seconds", "invalid_value"),
        ({**FOX, "seconds": "61"}, 400, "seconds", "invalid_value"),
        ({**FOX, "size": "big"}, 400, "size", "invalid_value"),
        ({**FOX, "model": "gpt-video"}, 404, None, "model_not_found"),
        ({**FOX, "model": "openai:chat:gpt-4"}, 404, None, "model_not_found"),
        ({**FOX, "extra": {"sparkle": 1}}, 400, None, "invalid_value"),
        ({**FOX, "characters": [{"id": "char_" + "0" * 32}]}, 404, None, "not_found"),
        ({**FOX, "input_reference": {"image_url": "http://127.0.0.1/a.png"}}, 400, "input_reference", "invalid_media"),
        ({**FOX, "input_reference": {"image_url": "file:///etc/passwd"}}, 400, "input_reference", "invalid_media"),
        ({**FOX, "input_reference": {"image_url": "/etc/passwd"}}, 400, "input_reference", "invalid_media"),
    ],
)
async def test_what_is_wrong_is_said_in_one_envelope_and_makes_no_job(
    idle_gateway: Running, body: dict[str, Any], status: int, param: str | None, code: str
) -> None:
    answer = await idle_gateway.client.post("/v1/videos", json=body)

    error = error_of(answer)
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert error["type"] == "invalid_request_error"
    assert (await idle_gateway.client.get("/v1/videos")).json()["data"] == []


async def test_zeros_called_a_picture_are_refused_before_anything_is_made(idle_gateway: Running) -> None:
    zeros = {"input_reference": ("fox.png", b"\0" * 60_000_000, "image/png")}
    some = {"input_reference": ("fox.png", b"\0" * 100_000, "image/png")}

    too_many = await idle_gateway.client.post("/v1/videos", data=FOX, files=zeros)
    few = await idle_gateway.client.post("/v1/videos", data=FOX, files=some)

    assert (too_many.status_code, error_of(too_many)["param"]) == (413, "input_reference")
    assert (few.status_code, error_of(few)["param"]) == (400, "input_reference")
    assert (await idle_gateway.client.get("/v1/videos")).json()["data"] == []
    spool = idle_gateway.app.settings.home / "spool"
    assert not [each for each in spool.rglob("*") if each.is_file()]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_id_is_a_404(idle_gateway: Running, method: str) -> None:
    for video_id in ("video_" + "0" * 32, "nonsense", "..%2F..%2Fetc", "video_" + "0" * 32 + "%00"):
        answer = await idle_gateway.client.request(method, f"/v1/videos/{video_id}")

        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found"), video_id


async def test_a_method_that_there_is_not_says_which_there_are(idle_gateway: Running) -> None:
    answer = await idle_gateway.client.put("/v1/videos")

    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert error_of(answer)["code"] == "method_not_allowed"


# -- strict and nearest ------------------------------------------------------------------------------


async def test_what_a_stand_in_cannot_make_exactly_is_made_nearly_and_told(idle_gateway: Running) -> None:
    answer = await idle_gateway.client.post("/v1/videos", json={**FOX, "size": "321x181"})

    [change] = json.loads(answer.headers["x-rushes-adjustments"])
    assert (change["field"], change["asked"]) == ("size", "321x181")


@pytest.mark.parametrize("asked", [{"strict": True}, {"model": "draft"}])
async def test_strictly_it_is_refused(idle_gateway: Running, asked: dict[str, Any]) -> None:
    answer = await idle_gateway.client.post("/v1/videos", json={**FOX, "size": "321x181", **asked})

    assert (answer.status_code, error_of(answer)["param"]) == (400, "size")


async def test_an_alias_leads_where_the_operator_says(tmp_path: Path) -> None:
    async with running(tmp_path, '[aliases]\nsora-2 = "draft"\n"our-best" = "draft"\n', works=False) as gateway:
        for name in ("sora-2", "sora-2-2025-12-08", "our-best"):
            answer = await gateway.client.post("/v1/videos", json={**FOX, "model": name})

            assert (answer.json()["model"], answer.headers["x-rushes-model"]) == (name, "draft")


# -- list and delete ---------------------------------------------------------------------------------


async def test_a_list_is_paged_in_both_orders(idle_gateway: Running) -> None:
    ids = [(await idle_gateway.client.post("/v1/videos", json=FOX)).json()["id"] for _ in range(5)]

    async def pages(order: str) -> list[str]:
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            query = {"limit": "2", "order": order, **after}
            page = (await idle_gateway.client.get("/v1/videos", params=query)).json()
            assert page["object"] == "list"
            assert page["first_id"] == page["data"][0]["id"]
            seen += [video["id"] for video in page["data"]]
            if not page["has_more"]:
                return seen
            after = {"after": page["last_id"]}

    assert await pages("asc") == ids
    assert await pages("desc") == ids[::-1]


async def test_a_page_of_nothing_tells_that_there_is_more(idle_gateway: Running) -> None:
    await idle_gateway.client.post("/v1/videos", json=FOX)

    page = (await idle_gateway.client.get("/v1/videos", params={"limit": "0"})).json()

    assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, True)


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [({"limit": "101"}, 400, "limit"), ({"limit": "x"}, 400, "limit"), ({"order": "up"}, 400, "order")],
)
async def test_a_list_refuses_what_it_cannot_mean(
    idle_gateway: Running, query: dict[str, str], status: int, param: str
) -> None:
    answer = await idle_gateway.client.get("/v1/videos", params=query)

    assert (answer.status_code, error_of(answer)["param"]) == (status, param)


async def test_who_deletes_what_he_lists_comes_to_the_end(idle_gateway: Running) -> None:
    for _ in range(3):
        await idle_gateway.client.post("/v1/videos", json=FOX)

    left, after = 3, {}
    while left:
        page = (await idle_gateway.client.get("/v1/videos", params={"limit": "1", **after})).json()
        await idle_gateway.client.delete(f"/v1/videos/{page['last_id']}")
        left, after = left - 1, {"after": page["last_id"]}
        assert page["has_more"] is bool(left)

    assert (await idle_gateway.client.get("/v1/videos")).json()["data"] == []


async def test_what_is_deleted_is_gone_at_once_with_its_files(gateway: Running) -> None:
    video = await made(gateway)
    [stored] = await gateway.app.jobs.videos(video["id"])
    assert stored.path is not None

    deleted = await gateway.client.delete(f"/v1/videos/{video['id']}", headers={"content-type": "application/json"})

    assert deleted.json() == {"id": video["id"], "object": "video.deleted", "deleted": True}
    assert (await gateway.client.get(f"/v1/videos/{video['id']}")).status_code == 404
    assert (await gateway.client.get(f"/v1/videos/{video['id']}/content")).status_code == 404
    assert (await gateway.client.get("/v1/videos")).json()["data"] == []
    assert not stored.path.exists()


async def test_deleting_what_is_being_made_ends_it(gateway: Running) -> None:
    video = (await gateway.client.post("/v1/videos", json={**FOX, **NOT_YET})).json()

    await gateway.client.delete(f"/v1/videos/{video['id']}")

    with anyio.fail_after(20):
        while not (await gateway.app.jobs.get(video["id"])).state.final:
            await anyio.sleep(0.05)


async def test_a_manifest_that_nobody_makes_is_not_there_and_no_fault_of_who_asks(tmp_path: Path) -> None:
    async with running(tmp_path / "home", "[provenance]\nenabled = false\n") as gateway:
        video = await made(gateway)

        answer = await gateway.client.get(f"/v1/videos/{video['id']}/content", params={"variant": "manifest"})

    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


async def test_a_file_that_was_collected_is_gone_not_missing(gateway: Running) -> None:
    video = await made(gateway)
    [stored] = await gateway.app.jobs.videos(video["id"])
    assert stored.path is not None
    await gateway.app.db.write(lambda c: _collected(c, video["id"], gateway))

    answer = await gateway.client.get(f"/v1/videos/{video['id']}/content")

    assert (answer.status_code, error_of(answer)["code"]) == (410, "expired")


def _collected(connection: Any, video_id: str, gateway: Running) -> None:
    from rushes.jobs import shelf

    now = gateway.app.jobs.now()
    shelf.mark_collected(connection, video_id, now)
    store.insert_event(connection, video_id, "collected", now)


# -- from one video to the next ----------------------------------------------------------------------


async def test_a_remix_keeps_size_and_length_and_names_its_source(gateway: Running) -> None:
    source = await made(gateway, seconds="2")

    answer = await gateway.client.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "At night"})
    video = await gateway.until_ended(answer.json()["id"])

    assert answer.status_code == 200
    assert video["remixed_from_video_id"] == source["id"]
    assert (video["status"], video["size"], video["seconds"], video["model"]) == ("completed", "320x180", "2", "sora-2")


@pytest.mark.parametrize("path", ["/v1/videos/edits", "/v1/videos/{id}/edits"])
async def test_an_edit_by_id_works_at_both_addresses(gateway: Running, path: str) -> None:
    source = await made(gateway)

    answer = await gateway.client.post(
        path.format(id=source["id"]), data={"prompt": "Give it a hat", "video[id]": source["id"]}, files={"x": b""}
    )
    video = await gateway.until_ended(answer.json()["id"])

    assert (video["status"], video["remixed_from_video_id"]) == ("completed", None)


async def test_an_extension_comes_back_whole(gateway: Running, tmp_path: Path) -> None:
    source = await made(gateway)

    answer = await gateway.client.post(
        "/v1/videos/extensions", json={"prompt": "It runs off", "seconds": "2", "video": {"id": source["id"]}}
    )
    video = await gateway.until_ended(answer.json()["id"])

    assert (video["status"], video["seconds"]) == ("completed", "3")
    (tmp_path / "whole.mp4").write_bytes(await clip_of(gateway, str(video["id"])))
    async with Children() as children:
        assert round((await children.probe(tmp_path / "whole.mp4")).seconds) == 3


@pytest.mark.parametrize(("path", "more"), [("/v1/videos/edits", {}), ("/v1/videos/extensions", {"seconds": "1"})])
async def test_a_clip_that_is_sent_along_can_be_started_from(gateway: Running, path: str, more: dict[str, str]) -> None:
    clip = await clip_of(gateway, (await made(gateway))["id"])

    answer = await gateway.client.post(
        path, data={"prompt": "At night", **more}, files={"video": ("clip.mp4", clip, "video/mp4")}
    )
    video = await gateway.until_ended(answer.json()["id"])

    assert (video["status"], video["model"]) == ("completed", "sora-2")


async def test_what_is_not_finished_cannot_be_started_from(idle_gateway: Running) -> None:
    source = (await idle_gateway.client.post("/v1/videos", json=FOX)).json()

    answer = await idle_gateway.client.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "At night"})

    assert answer.status_code == 400
    assert "only a completed video" in error_of(answer)["message"]


async def test_a_character_is_made_looked_up_and_used(gateway: Running) -> None:
    clip = await clip_of(gateway, (await made(gateway))["id"])

    answer = await gateway.client.post(
        "/v1/videos/characters", data={"name": "Mossy"}, files={"video": ("clip.mp4", clip, "video/mp4")}
    )
    character = answer.json()
    seen = await gateway.client.get(f"/v1/videos/characters/{character['id']}")
    video = await made(gateway, prompt="Mossy in the wood", characters=[{"id": character["id"]}])

    assert (answer.status_code, character["name"]) == (200, "Mossy")
    assert seen.json() == character
    assert video["status"] == "completed"
    assert (await gateway.client.get("/v1/videos/characters/char_none")).status_code == 404


# -- models ------------------------------------------------------------------------------------------


async def test_models_are_listed_by_every_name_that_a_create_may_use(idle_gateway: Running) -> None:
    names = [model["id"] for model in (await idle_gateway.client.get("/v1/models")).json()["data"]]

    assert names[:2] == ["sora-2", "sora-2-pro"]
    assert "draft" in names
    assert not [name for name in names if name.startswith("openai:")]  # no key: it could not serve
    assert (await idle_gateway.client.get("/v1/models/draft")).json()["owned_by"] == "draft"
    assert (await idle_gateway.client.get("/v1/models/nope")).status_code == 404


# -- itself ------------------------------------------------------------------------------------------


async def test_a_gateway_that_is_its_own_provider_buys_nothing_without_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with running(home) as first:
        port = first.url.rpartition(":")[2]
    environment = {"OPENAI_API_KEY": "sk-left-over", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
    async with running(home, environment=environment, port=int(port)) as gateway:
        body = {"prompt": "A fox", "model": "openai:video:sora-2", "seconds": "4", "size": "1280x720"}
        video = (await gateway.client.post("/v1/videos", json=body)).json()

        ended = await gateway.until_ended(video["id"])

        assert ended["status"] == "failed"
        assert "is its own provider" in str(ended["error"])
        assert len((await gateway.client.get("/v1/videos")).json()["data"]) == 1
