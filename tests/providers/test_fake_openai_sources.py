"""The fake's remixes, edits, extensions and characters: strict in what they take, exact in what they charge."""

import base64
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import av
import pytest

from rushes.testing.clips import clip, picture
from rushes.testing.fake_openai import API_KEY, FakeOpenAI
from rushes.testing.faults import Fault

AUTH = {"authorization": f"Bearer {API_KEY}"}
GOOD = {"prompt": "A cat", "model": "sora-2", "seconds": "4", "size": "1280x720"}
CLIP = clip(1280, 720, 3)
PNG = picture(1280, 720)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

Piece = tuple[str, str] | tuple[str, str, str, bytes]
"""A field (name, text), or a file (name, filename, kind, bytes)."""


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


def call(fake: FakeOpenAI, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", fake.port, timeout=5)
    try:
        connection.request(method, path, body, {**AUTH, **({"content-type": kind} if kind else {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def as_json(fake: FakeOpenAI, path: str, body: Any) -> tuple[int, Any]:
    return call(fake, "POST", path, json.dumps(body).encode(), "application/json")


def as_form(fake: FakeOpenAI, path: str, *pieces: Piece) -> tuple[int, Any]:
    body = b""
    for piece in pieces:
        if len(piece) == 2:
            name, text = piece
            body += f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        else:
            name, filename, mime, data = piece
            disposition = f'form-data; name="{name}"; filename="{filename}"'
            body += (
                f"--B\r\nContent-Disposition: {disposition}\r\nContent-Type: {mime}\r\n\r\n".encode() + data + b"\r\n"
            )
    return call(fake, "POST", path, body + b"--B--\r\n", "multipart/form-data; boundary=B")


def made(fake: FakeOpenAI, **changes: str) -> str:
    status, shown = as_json(fake, "/v1/videos", {**GOOD, **changes})
    assert status == 200
    return shown["id"]


def video(mime: str = "video/mp4", data: bytes = CLIP, name: str = "video") -> Piece:
    return (name, "video.mp4", mime, data)


# -- remix, edit, extend -----------------------------------------------------------------------------------------------


def test_a_remix_is_of_a_video_by_its_path_and_costs_what_that_did(fake: FakeOpenAI) -> None:
    first = made(fake, model="sora-2-pro", size="1024x1792", seconds="8")

    status, shown = as_json(fake, f"/v1/videos/{first}/remix", {"prompt": "A dog"})

    assert status == 200
    assert (shown["remixed_from_video_id"], shown["model"]) == (first, "sora-2-pro")
    assert (shown["seconds"], shown["size"]) == ("8", "1024x1792")
    assert fake.book.entries[-1].usd == Decimal("4.00")


def test_an_edit_costs_what_its_source_did_and_tells_no_source(fake: FakeOpenAI) -> None:
    first = made(fake, seconds="12")

    for status, shown in (
        as_json(fake, "/v1/videos/edits", {"prompt": "A dog", "video": {"id": first}}),
        as_form(fake, "/v1/videos/edits", ("prompt", "A dog"), ("video[id]", first)),
        as_form(fake, "/v1/videos/edits", ("prompt", "A dog"), ("video", json.dumps({"id": first}))),
    ):
        assert (status, shown["seconds"], shown["remixed_from_video_id"]) == (200, "12", None)
        assert fake.book.entries[-1].usd == Decimal("1.20")


def test_an_extension_tells_the_whole_charges_the_new_and_really_is_that_long(fake: FakeOpenAI) -> None:
    first = made(fake, model="sora-2-pro")

    status, shown = as_json(fake, "/v1/videos/extensions", {"prompt": "On", "seconds": "8", "video": {"id": first}})

    assert (status, shown["seconds"]) == (200, "12")
    assert (fake.book.entries[-1].usd, fake.book.entries[-1].seconds) == (Decimal("2.40"), 8)
    with av.open(io.BytesIO(fake.content_of(shown["id"])), "r") as container:
        assert container.duration == pytest.approx(12_000_000, abs=100_000)


def test_a_file_is_measured_and_charged_by_its_model(fake: FakeOpenAI) -> None:
    model = ("model", "sora-2-pro")

    edit = as_form(fake, "/v1/videos/edits", ("prompt", "A dog"), model, video())
    extension = as_form(fake, "/v1/videos/extensions", ("prompt", "On"), ("seconds", "4"), model, video())

    assert (edit[0], edit[1]["seconds"], edit[1]["size"]) == (200, "3", "1280x720")
    assert (extension[0], extension[1]["seconds"]) == (200, "7")
    assert [entry.usd for entry in fake.book.entries] == [Decimal("0.90"), Decimal("1.20")]


def test_six_extensions_and_two_minutes_are_the_most(fake: FakeOpenAI) -> None:
    def extended(video_id: str, seconds: str) -> tuple[int, Any]:
        body = {"prompt": "On", "seconds": seconds, "video": {"id": video_id}}
        return as_json(fake, "/v1/videos/extensions", body)

    video_id = made(fake)
    for _ in range(6):
        status, shown = extended(video_id, "4")
        assert status == 200
        video_id = shown["id"]
    remixed = as_json(fake, f"/v1/videos/{video_id}/remix", {"prompt": "A dog"})[1]["id"]
    long = made(fake, seconds="20")
    for _ in range(5):
        long = extended(long, "20")[1]["id"]

    assert fake.jobs[video_id].seconds == "28"
    assert "at most 6 times" in extended(video_id, "4")[1]["error"]["message"]
    assert "at most 6 times" in extended(remixed, "4")[1]["error"]["message"], "a remix is as often extended"
    assert fake.jobs[long].seconds == "120"
    assert "exceed 120 seconds" in extended(long, "4")[1]["error"]["message"]


SOURCE = {"id": "SOURCE"}  # put in by the test below


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("SOURCE/remix", {}, 400, "prompt"),
        ("SOURCE/remix", {"prompt": ""}, 400, "prompt"),
        ("SOURCE/remix", {"prompt": 3}, 400, "prompt"),
        ("SOURCE/remix", {"prompt": "x", "seconds": "8"}, 400, "seconds"),
        ("video_lost/remix", {"prompt": "x"}, 404, "video_id"),
        ("edits", {"video": SOURCE}, 400, "prompt"),
        ("edits", {"prompt": "x"}, 400, "video"),
        ("edits", {"prompt": "x", "video": "SOURCE"}, 400, "video"),
        ("edits", {"prompt": "x", "video": {"id": 17}}, 400, "video"),
        ("edits", {"prompt": "x", "video": {**SOURCE, "url": "x"}}, 400, "video"),
        ("edits", {"prompt": "x", "video": {"id": "video_lost"}}, 404, "video_id"),
        ("edits", {"prompt": "x", "video": SOURCE, "model": "sora-2"}, 400, "model"),
        ("edits", {"prompt": "x", "video": SOURCE, "seconds": "8"}, 400, "seconds"),
        ("extensions", {"prompt": "x", "video": SOURCE}, 400, "seconds"),
        ("extensions", {"prompt": "x", "video": SOURCE, "seconds": 4}, 400, "seconds"),
        ("extensions", {"prompt": "x", "video": SOURCE, "seconds": "5"}, 400, "seconds"),
        ("extensions", {"prompt": "x", "video": SOURCE, "seconds": "4", "characters": []}, 400, "characters"),
        ("extensions", {"prompt": "x", "seconds": "4"}, 400, "video"),
        ("SOURCE/edits", {"prompt": "x"}, 404, None),  # only the vendor's cookbook had this path
        ("remix", {"prompt": "x"}, 404, None),
    ],
)
def test_what_is_asked_of_a_video_must_be_just_right(
    path: str, body: dict[str, Any], status: int, param: str | None, fake: FakeOpenAI
) -> None:
    source = made(fake)
    text = json.dumps(body).replace("SOURCE", source)

    answer = call(fake, "POST", f"/v1/videos/{path.replace('SOURCE', source)}", text.encode(), "application/json")

    assert (answer[0], answer[1]["error"]["param"]) == (status, param)
    assert fake.book.charged == 1


@pytest.mark.parametrize(
    ("pieces", "param"),
    [
        ([video()], "model"),
        ([("model", "sora-3"), video()], "model"),
        ([("model", "sora-2"), video("application/octet-stream")], "video"),
        ([("model", "sora-2"), video("video/quicktime")], "video"),
        ([("model", "sora-2"), video(data=b"no video")], "video"),
        ([("model", "sora-2"), video(data=CLIP[:64])], "video"),
        ([("model", "sora-2"), video(name="input_video")], "input_video"),
        ([("model", "sora-2"), video(data=clip(320, 180, 1))], "size"),
        ([("model", "sora-2"), video(), ("video[id]", "video_1")], "video"),
        ([("model", "sora-2"), video(), video()], "video"),
    ],
)
def test_an_upload_must_be_one_mp4_of_a_size_that_its_model_makes(
    pieces: list[Piece], param: str, fake: FakeOpenAI
) -> None:
    status, answer = as_form(fake, "/v1/videos/edits", ("prompt", "x"), *pieces)

    assert (status, answer["error"]["param"]) == (400, param)
    assert (fake.book.creates, fake.book.charged) == (1, 0)


@pytest.mark.parametrize(("life_s", "job_s", "status"), [(3600.0, 60.0, 400), (-1.0, 0.0, 404)])
def test_a_source_must_be_finished_and_still_there(life_s: float, job_s: float, status: int) -> None:
    with FakeOpenAI(job_s=job_s, result_life_s=life_s) as fake:
        source = made(fake)

        for path in (f"{source}/remix", "edits", "extensions"):
            body = {"prompt": "x"} if path.endswith("remix") else {"prompt": "x", "video": {"id": source}}
            more = {"seconds": "4"} if path == "extensions" else {}
            assert as_json(fake, f"/v1/videos/{path}", {**body, **more})[0] == status

        assert fake.book.charged == 1


@pytest.mark.parametrize("path", ["SOURCE/remix", "edits", "extensions"])
@pytest.mark.parametrize(("text", "charged"), [("500", 1), ("500-accepted", 2), ("moderated", 1)])
def test_faults_of_creates_are_faults_of_these_too(path: str, text: str, charged: int, fake: FakeOpenAI) -> None:
    source = made(fake)
    fake.faults.create = [Fault.parse(text)]
    body: dict[str, Any] = {"prompt": "x"}
    if path != "SOURCE/remix":
        body |= {"video": {"id": source}}
    if path == "extensions":
        body |= {"seconds": "4"}

    status, _ = as_json(fake, f"/v1/videos/{path.replace('SOURCE', source)}", body)

    assert status >= 400
    assert (fake.book.creates, fake.book.charged) == (2, charged)


def test_an_odd_id_in_a_path_is_one_step(fake: FakeOpenAI) -> None:
    fake.jobs["a/b+c=="] = fake.jobs[made(fake)]

    assert as_json(fake, f"/v1/videos/{quote('a/b+c==', safe='')}/remix", {"prompt": "x"})[0] == 200
    assert as_json(fake, "/v1/videos/a/b+c==/remix", {"prompt": "x"})[0] == 404


def test_a_server_of_ones_own_asks_nothing_for_them(tmp_path: Any) -> None:
    with FakeOpenAI(job_s=0.0, strict=False) as fake:
        source = made(fake, model="wan", size="320x180", seconds="2")
        body = {"prompt": "x", "seconds": "3", "video": {"id": source}, "fps": 12}

        assert as_json(fake, "/v1/videos/extensions", body)[1]["seconds"] == "5"
        assert fake.book.total_usd == 0


# -- characters --------------------------------------------------------------------------------------------------------


def test_a_character_is_made_and_shown_and_not_charged(fake: FakeOpenAI) -> None:
    status, shown = as_form(fake, "/v1/videos/characters", ("name", "Mossy"), video())

    assert status == 200
    assert shown.keys() == {"id", "name", "created_at"}
    assert call(fake, "GET", f"/v1/videos/characters/{shown['id']}") == (200, shown)
    assert call(fake, "GET", "/v1/videos/characters/char_lost")[0] == 404
    assert (fake.book.creates, fake.book.charged) == (0, 0)


@pytest.mark.parametrize(
    ("pieces", "param"),
    [
        ([video()], "name"),
        ([("name", ""), video()], "name"),
        ([("name", "x" * 81), video()], "name"),
        ([("name", "Mossy")], "video"),
        ([("name", "Mossy"), ("video[id]", "video_1")], "video"),
        ([("name", "Mossy"), ("seed", "1"), video()], "seed"),
        ([("name", "Mossy"), video("image/png", PNG)], "video"),
        ([("name", "Mossy"), video(data=b"no video")], "video"),
    ],
)
def test_a_character_is_refused_otherwise(pieces: list[Piece], param: str, fake: FakeOpenAI) -> None:
    status, answer = as_form(fake, "/v1/videos/characters", *pieces)

    assert (status, answer["error"]["param"]) == (400, param)
    assert not fake.characters


def test_a_character_goes_as_multipart_only(fake: FakeOpenAI) -> None:
    assert as_json(fake, "/v1/videos/characters", {"name": "Mossy"})[0] == 400


def test_characters_are_named_in_any_of_four_forms(fake: FakeOpenAI) -> None:
    ids = [as_form(fake, "/v1/videos/characters", ("name", name), video())[1]["id"] for name in ("Mossy", "Fern")]
    fields = list(GOOD.items())
    listed = [{"id": each} for each in ids]

    answers = [
        as_json(fake, "/v1/videos", {**GOOD, "characters": listed}),
        as_form(fake, "/v1/videos", *fields, *(("characters[][id]", each) for each in ids)),
        as_form(fake, "/v1/videos", *fields, *((f"characters[{n}][id]", each) for n, each in enumerate(ids))),
        as_form(fake, "/v1/videos", *fields, ("characters", json.dumps(listed))),
    ]

    assert [status for status, _ in answers] == [200] * 4
    assert fake.book.total_usd == Decimal("1.60")


@pytest.mark.parametrize(
    ("characters", "status"),
    [
        ("KNOWN", 400),
        (["KNOWN"], 400),
        ([{"id": "char_lost"}], 404),
        ([{"id": 17}], 400),
        ([{"id": "KNOWN", "name": "Mossy"}], 400),
        ([{"id": "KNOWN"}] * 3, 400),
    ],
)
def test_characters_must_be_known_and_at_most_two(characters: Any, status: int, fake: FakeOpenAI) -> None:
    known = as_form(fake, "/v1/videos/characters", ("name", "Mossy"), video())[1]["id"]
    body = json.loads(json.dumps({**GOOD, "characters": characters}).replace("KNOWN", known))

    answer = as_json(fake, "/v1/videos", body)

    assert (answer[0], answer[1]["error"]["param"]) == (status, "characters")
    assert fake.book.charged == 0


# -- pictures in JSON --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ({"image_url": DATA_URL}, 200),
        ({"image_url": "https://example.com/a.png"}, 200),
        ({"file_id": "file_1"}, 200),
        ({"file_id": "file_lost"}, 404),
        ({"image_url": DATA_URL, "file_id": "file_1"}, 400),
        ({"image_url": ""}, 400),
        ({"image_url": "http://example.com/a.png"}, 400),
        ({"image_url": "data:image/png;base64,%%%"}, 400),
        ({"image_url": DATA_URL.replace("png", "gif")}, 400),
        ({"image_url": f"data:image/png;base64,{base64.b64encode(picture(640, 360)).decode()}"}, 400),
        ({"image_url": f"data:image/png;base64,{'A' * 20_971_520}"}, 400),
        ({}, 400),
        (DATA_URL, 400),
    ],
)
def test_a_picture_in_json_is_an_object_with_one_of_two_names(reference: Any, status: int, fake: FakeOpenAI) -> None:
    fake.files["file_1"] = PNG

    answer = as_json(fake, "/v1/videos", {**GOOD, "input_reference": reference})

    assert answer[0] == status
    assert fake.book.charged == (status == 200)


def test_the_object_may_be_spelt_with_brackets_and_not_beside_a_file(fake: FakeOpenAI) -> None:
    fields = list(GOOD.items())
    file: Piece = ("input_reference", "a.png", "image/png", PNG)

    assert as_form(fake, "/v1/videos", *fields, ("input_reference[image_url]", DATA_URL))[0] == 200
    assert as_form(fake, "/v1/videos", *fields, ("input_reference[image_url]", DATA_URL), file)[0] == 400


@pytest.mark.parametrize("body", [b"", b"[]", b'{"prompt": ', b'"x"'])
def test_a_body_must_be_an_object(body: bytes, fake: FakeOpenAI) -> None:
    assert call(fake, "POST", "/v1/videos", body, "application/json")[0] == 400
