"""The fake is strict, keeps the books, misbehaves as told, and runs as a process too."""

import http.client
import io
import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import pytest

from rushes.testing import clips
from rushes.testing.account_book import AccountBook, prompt_hash
from rushes.testing.fake_openai import API_KEY, FakeOpenAI
from rushes.testing.faults import Fault, Faults, Trouble
from rushes.testing.server import Part, parse_multipart

GOOD = {"prompt": "A cat", "model": "sora-2", "seconds": "4", "size": "1280x720"}
AUTH = {"authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@contextmanager
def connected(port: int) -> Generator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def call(
    port: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] = AUTH
) -> tuple[int, dict[str, str], bytes]:
    with connected(port) as connection:
        connection.request(method, path, body, dict(headers), encode_chunked="transfer-encoding" in headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def form(fields: Mapping[str, str], *files: tuple[str, str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    for name, filename, mime, data in files:
        disposition = f'form-data; name="{name}"; filename="{filename}"'
        body += f"--B\r\nContent-Disposition: {disposition}\r\nContent-Type: {mime}\r\n\r\n".encode() + data + b"\r\n"
    return body + b"--B--\r\n", {**AUTH, "content-type": "multipart/form-data; boundary=B"}


def create(fake: FakeOpenAI, *files: tuple[str, str, str, bytes], **changes: str) -> tuple[int, dict[str, Any]]:
    body, headers = form({**GOOD, **changes}, *files)
    status, _, answer = call(fake.port, "POST", "/v1/videos", body, headers)
    return status, json.loads(answer)


def test_a_good_create_is_charged_and_shown_in_the_vendors_form(fake: FakeOpenAI) -> None:
    status, shown = create(fake, size="720x1280", seconds="8")

    assert status == 200
    assert (shown["object"], shown["seconds"], shown["size"], shown["error"]) == ("video", "8", "720x1280", None)
    (entry,) = fake.book.entries
    assert (entry.remote_id, entry.usd, entry.prompt_sha256) == (shown["id"], Decimal("0.80"), prompt_hash("A cat"))


PNG = clips.picture(1280, 720)


@pytest.mark.parametrize(
    ("changes", "files", "param"),
    [
        ({"prompt": ""}, (), "prompt"),
        ({"seconds": "5"}, (), "seconds"),
        ({"seconds": "8.0"}, (), "seconds"),
        ({"size": "1920x1080"}, (), "size"),
        ({"model": "sora-3"}, (), "model"),
        ({"seed": "1"}, (), "seed"),
        ({"input_reference": "https://example.com/a.png"}, (), "input_reference"),
        ({}, (("input_reference", "a.png", "application/octet-stream", PNG),), "input_reference"),
        ({}, (("input_reference", "a.png", "image/png", b"no picture"),), "input_reference"),
        ({}, (("input_reference", "a.png", "image/png", clips.picture(640, 360)),), "input_reference"),
        ({}, (("image", "a.png", "image/png", PNG),), "image"),
    ],
)
def test_what_the_vendor_refused_is_refused_and_not_charged(
    changes: dict[str, str], files: tuple[tuple[str, str, str, bytes], ...], param: str, fake: FakeOpenAI
) -> None:
    status, answer = create(fake, *files, **changes)

    assert status == 400
    assert answer["error"]["param"] == param
    assert answer["error"]["type"] == "invalid_request_error"
    assert (fake.book.creates, fake.book.charged) == (1, 0)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-wrong"}, {"authorization": API_KEY}])
def test_without_the_right_key_nothing_goes(headers: dict[str, str], fake: FakeOpenAI) -> None:
    assert call(fake.port, "GET", "/v1/videos", headers=headers)[0] == 401


def test_a_chunked_body_is_read(fake: FakeOpenAI) -> None:
    body, headers = form(GOOD)
    pieces = iter([body[:10], body[10:100], body[100:]])

    status, _, _ = call(fake.port, "POST", "/v1/videos", pieces, {**headers, "transfer-encoding": "chunked"})

    assert status == 200


def test_a_connection_is_kept(fake: FakeOpenAI) -> None:
    with connected(fake.port) as connection:
        for _ in range(3):
            connection.request("GET", "/v1/videos", headers=AUTH)
            response = connection.getresponse()
            assert (response.status, json.loads(response.read())["has_more"]) == (200, False)


def test_a_job_takes_its_time_and_its_content_is_a_real_video(fake: FakeOpenAI) -> None:
    fake.job_s = 60
    remote_id = create(fake)[1]["id"]
    early = call(fake.port, "GET", f"/v1/videos/{remote_id}/content")
    fake.finish()
    _, headers, data = call(fake.port, "GET", f"/v1/videos/{remote_id}/content")

    assert early[0] == 404
    assert json.loads(early[2])["error"]["message"].startswith("Video is not ready yet")
    assert (headers["content-type"], headers["accept-ranges"]) == ("video/mp4", "bytes")
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        assert (video.width, video.height, video.codec_context.name) == (1280, 720, "h264")
        assert container.duration == pytest.approx(4_000_000, abs=100_000)
        assert container.streams.audio


@pytest.mark.parametrize(
    ("headers", "status", "span"),
    [
        ({}, 200, slice(None)),
        ({"range": "bytes=100-"}, 206, slice(100, None)),
        ({"range": "bytes=100-199"}, 206, slice(100, 200)),
        ({"range": "bytes=-50"}, 206, slice(-50, None)),
        ({"range": "bytes=100-", "if-range": '"another"'}, 200, slice(None)),
        ({"range": "bytes=99999999-"}, 416, slice(0, 0)),
    ],
)
def test_content_is_served_in_ranges(headers: dict[str, str], status: int, span: slice, fake: FakeOpenAI) -> None:
    remote_id = create(fake)[1]["id"]

    got = call(fake.port, "GET", f"/v1/videos/{remote_id}/content", headers={**AUTH, **headers})

    assert (got[0], got[2]) == (status, fake.content_of(remote_id)[span])


def test_head_tells_the_length_alone(fake: FakeOpenAI) -> None:
    remote_id = create(fake)[1]["id"]

    status, headers, body = call(fake.port, "HEAD", f"/v1/videos/{remote_id}/content")

    assert (status, int(headers["content-length"]), body) == (200, len(fake.content_of(remote_id)), b"")


def test_a_list_is_paged_newest_first(fake: FakeOpenAI) -> None:
    ids = [create(fake)[1]["id"] for _ in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        page = json.loads(call(fake.port, "GET", f"/v1/videos?limit=2{after}")[2])
        seen += [shown["id"] for shown in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"

    assert seen == ids[::-1]


def test_a_big_video_is_padded_and_still_plays() -> None:
    data = clips.clip(320, 180, 1.0, size_bytes=20_000_000)

    assert len(data) == 20_000_000
    with av.open(io.BytesIO(data), "r") as container:
        assert len(list(container.decode(video=0))) == 10


# -- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("500", Fault.status(500)),
        ("500-accepted", Fault.status(500, accepted=True)),
        ("429-retry:2", Fault.status(429, retry_after="2")),
        ("503-accepted-retry:2*3", Fault.status(503, accepted=True, retry_after="2").times(3)),
        ("hang", Fault.hang()),
        ("reset-accepted", Fault.reset(accepted=True)),
        ("word:NOT_START*", Fault.of(Trouble.WORD, "NOT_START").always()),
        ("truncated:1000", Fault.of(Trouble.TRUNCATED, 1000)),
        ("redirect:http://127.0.0.1:9/x", Fault.of(Trouble.REDIRECT, "http://127.0.0.1:9/x")),
        ("moderated", Fault.of(Trouble.MODERATED)),
        ("cut", Fault.cut()),
    ],
)
def test_a_fault_can_be_written_as_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["", "explode", "hangg"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault.parse(text)


def test_faults_are_used_up_in_order() -> None:
    faults = Faults()
    faults.poll = [Fault.status(500).times(2), None, Fault.status(429).always()]

    taken = [faults.take("poll") for _ in range(6)]

    assert [fault and fault.value for fault in taken] == ["500", "500", None, "429", "429", "429"]
    assert faults.take("create") is None


@pytest.mark.parametrize(
    ("text", "charged"),
    [("500", 0), ("500-accepted", 1), ("reset", 0), ("reset-accepted", 1), ("cut", 1), ("no_id", 1)],
)
def test_the_book_tells_whether_a_failed_create_was_accepted(text: str, charged: int, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.parse(text)]
    with suppress(OSError, http.client.HTTPException):
        create(fake)

    assert (fake.book.creates, fake.book.charged) == (1, charged)


def test_one_id_for_two_creates_is_two_charges(fake: FakeOpenAI) -> None:
    one = create(fake)[1]["id"]
    fake.faults.create = [Fault.of(Trouble.SAME_ID)]

    assert create(fake)[1]["id"] == one
    assert fake.book.charged == 2


def test_a_refusing_fake_can_be_opened_again_on_its_port(fake: FakeOpenAI) -> None:
    port = fake.port
    fake.refuse()
    with pytest.raises(ConnectionRefusedError):
        call(port, "GET", "/v1/videos")
    fake.start()

    assert call(port, "GET", "/v1/videos")[0] == 200


# -- multipart -----------------------------------------------------------------------------------------------------

KIND = "multipart/form-data; boundary=B"
PART = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'


def test_multipart_is_read() -> None:
    file = b'--B\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\n'
    file += b"Content-Type: image/png\r\n\r\n\r\n--\r\n"

    assert parse_multipart(PART + file + b"--B--\r\n", KIND) == [
        Part("a", b"1"),
        Part("f", b"\r\n--", "x.png", "image/png"),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PART + b"--B--\r\n", "multipart/form-data"),
        (PART + b"--B--\r\n", "application/json"),
        (PART, KIND),
        (b"", KIND),
        (b"junk" + PART + b"--B--\r\n", KIND),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--\r\n", KIND),
        (b'--B\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--B--\r\n', KIND),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n1\r\n--B--\r\n', KIND),
    ],
)
def test_malformed_multipart_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError, match=r"body|part|boundary"):
        parse_multipart(body, kind)


# -- as a process --------------------------------------------------------------------------------------------------


def test_as_a_process_it_is_steered_from_outside_and_leaves_its_book(tmp_path: Path) -> None:
    book = tmp_path / "book.jsonl"
    command = [sys.executable, "-m", "rushes.testing.fake_openai", "--job-seconds", "60", "--book", str(book)]
    command += ["--fault", "create=500-accepted", "--fault", "create="]
    body, headers = form(GOOD)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().strip().removeprefix("http://127.0.0.1:").removesuffix("/v1"))
            statuses = [call(port, "POST", "/v1/videos", body, headers)[0] for _ in range(2)]
            faults = json.dumps({"create": ["429-retry:9"]})
            assert call(port, "POST", "/_fake/faults", faults)[0] == 200
            statuses.append(call(port, "POST", "/v1/videos", body, headers)[0])
            told = json.loads(call(port, "GET", "/_fake/book")[2])
            requests = json.loads(call(port, "GET", "/_fake/requests")[2])
            refused = call(port, "POST", "/_fake/faults", json.dumps({"poll": ["explode"]}))[0]
        finally:
            process.terminate()

    assert statuses == [500, 200, 429]
    assert (told["creates"], told["charged"], told["total_usd"]) == (3, 2, "0.80")
    assert [part["name"] for part in requests[0]["parts"]] == ["prompt", "model", "seconds", "size"]
    assert API_KEY not in json.dumps(requests)
    assert refused == 400
    left = AccountBook.read(book)
    assert (left.creates, left.charged, left.total_usd) == (3, 2, Decimal("0.80"))
    assert list(left.paid_twice().values()) == [2]
