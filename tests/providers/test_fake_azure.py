"""The fake of Azure is strict: what the real one refused, it refuses, and charges nothing for."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from rushes.testing.clips import picture
from rushes.testing.fake_azure import FakeAzure

JOBS = "/openai/v1/video/generations/jobs"
GOOD: dict[str, Any] = {"model": "sora", "prompt": "A cat", "width": 480, "height": 480, "n_seconds": 1}
PNG = picture(480, 480, "PNG")


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    with FakeAzure(job_s=0.0) as fake:
        yield fake


def call(fake: FakeAzure, method: str, path: str, **more: Any) -> httpx2.Response:
    headers = {"api-key": fake.api_key or ""}
    params = {"api-version": "preview", **more.pop("params", {})}
    return httpx2.request(method, f"{fake.url}{path}", headers=headers, params=params, trust_env=False, **more)


def create(fake: FakeAzure, **changes: Any) -> httpx2.Response:
    return call(fake, "POST", JOBS, json={**GOOD, **changes})


def with_items(fake: FakeAzure, items: Any, *files: tuple[str, bytes, str], **changes: Any) -> httpx2.Response:
    data = {name: str(value) for name, value in {**GOOD, **changes}.items()}
    data["inpaint_items"] = items if isinstance(items, str) else json.dumps(items)
    return call(fake, "POST", JOBS, data=data, files=[("files", file) for file in files])


def test_a_good_create_is_charged_for_each_variant(fake: FakeAzure) -> None:
    reply = create(fake, n_seconds=20, n_variants=4)

    assert reply.status_code == 200
    assert reply.headers["apim-request-id"]
    assert fake.book.total_usd == Decimal("8.00")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"width": 1280, "height": 1280}, 400),
        ({"width": "480"}, 400),
        ({"n_seconds": 0}, 400),
        ({"n_seconds": 21}, 400),
        ({"n_variants": 5}, 400),
        ({"n_variants": 2, "width": 1080, "height": 1080}, 400),
        ({"n_variants": 3, "width": 1280, "height": 720}, 400),
        ({"prompt": ""}, 400),
        ({"inpaint_items": []}, 400),
        ({"quality": "high"}, 400),
        ({"model": "sora-2"}, 404),
        ({"model": "nobody"}, 404),
        ({"prompt": "forbidden"}, 400),
    ],
)
def test_a_bad_create_is_refused_and_costs_nothing(changes: dict[str, Any], status: int, fake: FakeAzure) -> None:
    reply = create(fake, **changes)

    assert reply.status_code == status
    assert "code" in reply.json() or "code" in reply.json()["error"]
    assert (fake.book.creates, fake.book.charged) == (1, 0)


ITEM = {"frame_index": 0, "type": "image", "file_name": "a.png"}
FILE = ("a.png", PNG, "image/png")


@pytest.mark.parametrize(
    ("items", "files", "good"),
    [
        ([ITEM], [FILE], True),
        ([{**ITEM, "crop_bounds": {"left_fraction": 0.5}}], [FILE], True),
        ([ITEM, {**ITEM, "file_name": "b.png", "frame_index": 29}], [FILE, ("b.png", PNG, "image/png")], True),
        ([{**ITEM, "file_name": "other.png"}], [FILE], False),
        ([ITEM, ITEM], [FILE, FILE], False),
        ([{**ITEM, "frame_index": 30}], [FILE], False),
        ([{**ITEM, "type": "video"}], [FILE], False),
        ([{**ITEM, "crop_bounds": {"left": 0.5}}], [FILE], False),
        ([{**ITEM, "crop_bounds": {"left_fraction": 2}}], [FILE], False),
        ([{**ITEM, "weight": 1}], [FILE], False),
        ([ITEM], [("a.png", b"no picture", "image/png")], False),
        ([ITEM], [("a.png", PNG, "image/gif")], False),
        ("[", [FILE], False),
    ],
)
def test_inpaint_items_are_read_strictly(items: Any, files: Any, good: bool, fake: FakeAzure) -> None:
    reply = with_items(fake, items, *files)

    assert reply.status_code == (200 if good else 400), reply.text
    assert fake.book.charged == good


def test_the_jobs_api_wants_its_version_and_the_list_its_limit(fake: FakeAzure) -> None:
    assert call(fake, "GET", JOBS, params={"api-version": "2024-10-21", "limit": "1"}).status_code == 404
    assert call(fake, "GET", JOBS).status_code == 400
    assert call(fake, "GET", JOBS, params={"limit": "1"}).json() == {"object": "list", "data": [], "has_more": False}


def test_the_two_apis_do_not_see_each_others_jobs(fake: FakeAzure) -> None:
    job = create(fake).json()["id"]
    parts = [(name, (None, value)) for name, value in {"model": "sora-2", "prompt": "A cat"}.items()]
    video = call(fake, "POST", "/openai/v1/videos", files=parts).json()["id"]

    assert call(fake, "GET", f"/openai/v1/videos/{job}").status_code == 404
    assert call(fake, "GET", f"{JOBS}/{video}").status_code == 404
    assert len(call(fake, "GET", "/openai/v1/videos").json()["data"]) == 1


def test_content_comes_in_ranges_and_without_an_etag(fake: FakeAzure) -> None:
    job = create(fake).json()["id"]
    generation = call(fake, "GET", f"{JOBS}/{job}").json()["generations"][0]["id"]
    path = f"{fake.url}/openai/v1/video/generations/{generation}/content/video"
    headers = {"api-key": fake.api_key or "", "range": "bytes=10-"}
    reply = httpx2.get(path, headers=headers, params={"api-version": "preview"}, trust_env=False)

    assert (reply.status_code, reply.content) == (206, fake.content_of(job)[10:])
    assert "etag" not in reply.headers
    assert {"last-modified", "accept-ranges", "content-length"} <= set(reply.headers)


def test_a_key_is_taken_in_either_header_and_no_other(fake: FakeAzure) -> None:
    url = f"{fake.url}/openai/v1/videos"
    seen = [
        httpx2.get(url, headers=headers, trust_env=False).status_code
        for headers in (
            {"api-key": fake.api_key or ""},
            {"authorization": f"Bearer {fake.api_key}"},
            {"api-key": "x"},
            {},
        )
    ]

    assert seen == [200, 200, 401, 401]
