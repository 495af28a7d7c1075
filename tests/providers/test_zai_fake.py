"""The fake of Z.ai is strict, keeps the books, and tells its two hosts apart."""

import base64
import http.client
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any

import av
import pytest

from rushes.testing.clips import picture
from rushes.testing.fake_zai import API_KEY, FakeZai
from rushes.testing.faults import Fault

AUTH = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
CREATE = "/api/paas/v4/videos/generations"


def data_url(width: int = 320, height: int = 180, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture(width, height, kind.upper())).decode()}"


ONE, WEBP, NARROW, WIDE = data_url(), data_url(kind="webp"), data_url(100, 500), data_url(900, 200)
DISGUISED = ONE.replace("image/png", "image/jpeg")


@pytest.fixture
def fake() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.0) as fake:
        yield fake


def call(
    fake: FakeZai, method: str, path: str, body: Any = None, headers: Mapping[str, str] = AUTH
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=5)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), dict(headers))
        response = connection.getresponse()
        return response.status, response.read()


def create(fake: FakeZai, **body: Any) -> tuple[int, dict[str, Any]]:
    status, answer = call(fake, "POST", CREATE, {"prompt": "A cat", **body})
    return status, json.loads(answer)


def test_a_good_create_is_charged_by_the_video(fake: FakeZai) -> None:
    status, shown = create(fake, model="cogvideox-3", duration=10, size="3840x2160", request_id="r-1")

    assert (status, shown["task_status"], shown["request_id"]) == (200, "PROCESSING", "r-1")
    (entry,) = fake.book.entries
    assert (entry.remote_id, entry.usd, entry.seconds, entry.key) == (shown["id"], Decimal("0.20"), 10, "r-1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "1213"),
        ({"model": "cogvideox-9"}, "1211"),
        ({"model": "cogvideox-2"}, "1211"),
        ({"model": "cogvideox-3", "prompt": ""}, "1213"),
        ({"model": "cogvideox-3", "prompt": "x" * 513}, "1214"),
        ({"model": "cogvideox-3", "seed": 1}, "1214"),
        ({"model": "cogvideox-3", "style": "anime"}, "1214"),
        ({"model": "cogvideox-3", "aspect_ratio": "16:9"}, "1214"),
        ({"model": "cogvideox-3", "size": "640x480"}, "1214"),
        ({"model": "cogvideox-3", "duration": 4}, "1214"),
        ({"model": "cogvideox-3", "duration": "5"}, "1214"),
        ({"model": "cogvideox-3", "fps": 24}, "1214"),
        ({"model": "cogvideox-3", "with_audio": 1}, "1214"),
        ({"model": "cogvideox-3", "with_audio": None}, "1214"),
        ({"model": "cogvideox-3", "user_id": "me"}, "1214"),
        ({"model": "cogvideox-3", "image_url": [ONE]}, "1214"),
        ({"model": "cogvideox-3", "image_url": [ONE, ONE, ONE]}, "1214"),
        ({"model": "cogvideox-3", "image_url": WEBP}, "1214"),
        ({"model": "cogvideox-3", "image_url": DISGUISED}, "1214"),
        ({"model": "cogvideox-3", "image_url": "data:image/png;base64,AAAA"}, "1214"),
        ({"model": "viduq1-text", "image_url": ONE}, "1214"),
        ({"model": "viduq1-text", "with_audio": False}, "1214"),
        ({"model": "viduq1-text", "size": "1080x1920"}, "1214"),
        ({"model": "viduq1-image"}, "1214"),
        ({"model": "viduq1-image", "image_url": [ONE]}, "1214"),
        ({"model": "viduq1-image", "image_url": WIDE}, "1214"),
        ({"model": "vidu2-image", "image_url": ONE, "duration": 5}, "1214"),
        ({"model": "vidu2-start-end", "image_url": ONE}, "1214"),
        ({"model": "vidu2-start-end", "image_url": [ONE, data_url(400, 225)]}, "1214"),
        ({"model": "vidu2-reference", "image_url": ONE}, "1214"),
        ({"model": "vidu2-reference", "image_url": [NARROW]}, "1214"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_and_not_charged(body: dict[str, Any], code: str, fake: FakeZai) -> None:
    status, answer = create(fake, **body)

    assert (status, answer["error"]["code"]) == (400, code)
    assert (fake.book.creates, fake.book.charged) == (1, 0)


def test_a_request_id_buys_once(fake: FakeZai) -> None:
    create(fake, model="cogvideox-3", request_id="r-1")

    status, answer = create(fake, model="cogvideox-3", request_id="r-1")

    assert (status, answer["error"]["code"], fake.book.charged) == (400, "1231", 1)


def test_the_mainland_sells_more_and_in_yuan() -> None:
    with FakeZai(mainland=True) as fake:
        for model in ("cogvideox-3", "cogvideox-flash"):
            assert create(fake, model=model)[0] == 200

        assert [entry.usd * 7 for entry in fake.book.entries] == [pytest.approx(Decimal(1)), Decimal(0)]


@pytest.mark.parametrize(("headers", "code"), [({}, "1001"), ({"authorization": "Bearer x.y"}, "1002")])
def test_without_the_right_key_nothing_goes(headers: dict[str, str], code: str, fake: FakeZai) -> None:
    status, answer = call(fake, "GET", "/api/paas/v4/async-result/1", headers=headers)

    assert (status, json.loads(answer)["error"]["code"]) == (401, code)


@pytest.mark.parametrize(("fault", "status", "charged"), [("1113", 429, 0), ("1234-accepted", 500, 1), ("500", 500, 0)])
def test_a_fault_of_four_digits_is_a_business_code(fault: str, status: int, charged: int, fake: FakeZai) -> None:
    fake.faults.create = [Fault.parse(fault)]

    seen, answer = create(fake, model="cogvideox-3")

    assert (seen, answer["error"]["code"]) == (status, fault.partition("-")[0])
    assert fake.book.charged == charged


def test_a_link_leads_to_a_real_video_of_the_shape_that_was_asked_for(fake: FakeZai) -> None:
    remote_id = create(fake, model="viduq1-text", aspect_ratio="9:16")[1]["id"]
    looked = json.loads(call(fake, "GET", f"/api/paas/v4/async-result/{remote_id}")[1])
    path = looked["video_result"][0]["url"].removeprefix(fake.url)

    status, data = call(fake, "GET", path, headers={})

    assert (status, looked["task_status"]) == (200, "SUCCESS")
    with av.open(io.BytesIO(data), "r") as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (1080, 1920)
