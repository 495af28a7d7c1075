"""HTTP that means harm, and what comes without a key; then the real command. Heavier: `test_hostile_load.py`."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.command_line import CommandLine
from tests.gateway.hostile import (
    AZURE_JOBS,
    FOX,
    FREELY,
    JSON,
    spoken,
)
from tests.gateway.running import Running, running
from tests.running import Running as Process

pytestmark = pytest.mark.anyio


# -- HTTP itself -----------------------------------------------------------------------------------------


RAW: list[tuple[bytes, tuple[int, ...]]] = [
    (b"TRACE /v1/videos HTTP/1.1\r\nHost: localhost\r\n\r\n", (405,)),
    (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 404, 405)),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", (404, 405)),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 404, 405, 421)),
    (b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", (200,)),
    (b"GET /health HTTP/1.0\r\n\r\n", (421,)),
    (b"GET /health HTTP/1.1\r\n\r\n", (400,)),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", (400,)),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", (421,)),
    (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", (421,)),
    (b"GET /health HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", (400, 421)),
    (b"GET /health HTTP/1.1\r\nHost: localhost:80:80\r\n\r\n", (400, 421)),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\n\r\n", (200,)),
    (b"GET /v1/videos HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n", (403,)),
    (b"GET /v1/videos HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", (403,)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:1\r\nContent-Length: 0\r\n\r\n", (403,)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", (400,)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", (400,)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n", (400, 413)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    (b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", (400,)),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\tb\r\n\r\n", (200,)),
    (b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", (400,)),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", (400, 421)),
    (b"GET /hea\x00lth HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,)),
    (b"GET /health\r\n\r\n", (400,)),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),
    (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: x\r\n" % n for n in range(9000)) + b"\r\n",
        (200, 400, 431),
    ),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", (200, 400, 431)),
    (b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 404, 414)),
    (b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 404)),
    (b"GET //evil.example/%2f.. HTTP/1.1\r\nHost: localhost\r\n\r\n", (404,)),
]


@pytest.mark.parametrize(("said", "statuses"), RAW, ids=range(len(RAW)))
async def test_bytes_that_are_no_good_request_get_one_answer(
    door: Running, said: bytes, statuses: tuple[int, ...]
) -> None:
    told = await spoken(door.url, said)

    if not told:  # hung up while we were still talking, which may cost us the answer
        assert 431 in statuses
        return
    assert int(told.split(b" ", 2)[1]) in statuses, told[:300]
    assert b"Traceback" not in told
    assert told.count(b"HTTP/1.1 ") == 1 + said.startswith(b"PRI")  # the rest of it is a bad request of its own
    assert (await door.client.get("/health")).status_code == 200


async def test_a_request_of_two_lengths_cannot_hide_another(door: Running) -> None:
    """With both, a proxy before us may see another end than we do: RFC 9112, section 6.1, has us close."""
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
    told = await spoken(door.url, head % (len(hidden) + 5) + b"0\r\n\r\n" + hidden)

    assert told.startswith(b"HTTP/1.1 400"), told[:200]
    assert told.count(b"HTTP/1.1 ") == 1


async def test_requests_in_one_go_are_answered_in_their_order(door: Running) -> None:
    one = b"GET /v1/models/none%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    told = await spoken(door.url, b"".join(one % n for n in range(50)))

    assert told.count(b"HTTP/1.1 404") == 50
    assert [told.index(b"none%d'" % n) for n in range(50)] == sorted(told.index(b"none%d'" % n) for n in range(50))


async def test_nobody_here_speaks_websocket(door: Running) -> None:
    upgrade = (
        b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    told = await spoken(door.url, upgrade)

    assert not told.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("range", "bytes=" + ",".join(f"{n}-{n}" for n in range(500))),
        ("range", "bytes=" + "9" * 39 + "-"),
        ("range", "bytes=0-" + "9" * 5000),
        ("range", "bytes=-" + "9" * 40),
        ("range", "bytes=--1"),
        ("range", "bytes=\u0661-"),
        ("range", "items=0-1"),
        ("range", "bytes=5-1"),
        ("if-range", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
        ("if-range", "\x80"),
        ("if-modified-since", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
        ("if-modified-since", "Mon, 01 Jan 2020 00:00:00 +99999999999999999999"),
        ("if-unmodified-since", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
        ("if-unmodified-since", "Mon, 01 Jan 9999 00:00:00 -2359"),
        ("if-modified-since", "Mon, 01 Jan 0001 00:00:00 +2359"),
        ("if-none-match", '"' * 10_000),
        ("if-none-match", ",".join(['W/"x"'] * 2000)),
        ("if-match", "*, *"),
    ],
)
async def test_any_condition_on_a_file_is_met_or_refused(
    finished: "tuple[Running, str]", name: str, value: str
) -> None:
    gateway, video_id = finished
    headers = [(name.encode(), value.encode("utf-8"))]
    if name == "if-range":
        headers.append((b"range", b"bytes=0-9"))
    whole = await gateway.client.get(f"/v1/videos/{video_id}/content")

    for path in (f"/v1/videos/{video_id}/content", f"/api/download/{video_id}"):
        answer = await gateway.client.get(path, headers=headers)
        assert answer.status_code in (200, 206, 304, 412, 416), answer.text
        assert len(answer.content) <= len(whole.content)


@pytest.fixture(scope="module")
async def finished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, str]]:
    """A gateway with one video that is done."""
    async with running(tmp_path_factory.mktemp("finished") / "home", FREELY) as gateway:
        video_id = (await gateway.client.post("/v1/videos", json=FOX)).json()["id"]
        await gateway.until_ended(video_id)
        yield gateway, video_id


# -- webhooks in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"type":"video.completed","data":{"id":"\\ud800"}}',
        b'{"type":"video.completed","data":{"id":"a\\u0000b"}}',
        b'{"type":"video.completed","data":{"id":"' + b"x" * 5000 + b'"}}',
        b'{"type":"video.completed","data":{"id":"\' OR 1=1 --"}}',
        b"\xff\xfe\x00",
        b"",
        b"9" * 5000,
    ],
    ids=range(8),
)
async def test_what_strangers_post_changes_nothing(door: Running, body: bytes) -> None:
    for provider in ("openai", "azure", "zai", "draft"):
        answer = await door.client.post(f"/webhooks/{provider}", content=body)
        assert answer.status_code in (202, 401), answer.text
    assert (await door.client.post("/webhooks/..%2fopenai", content=body)).status_code == 404


# -- the command -----------------------------------------------------------------------------------------


async def test_the_real_process_says_nothing_that_it_should_not(tmp_path: Path) -> None:
    secret = "sk-a-secret-of-the-operator-0123456789"
    command = CommandLine(tmp_path, {"OPENAI_API_KEY": secret, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})

    def drive() -> tuple[str, str]:
        told = ""
        with Process(command.start("serve", "--port", "0", "--no-worker")) as process:
            process.until_it_says("Serving on")
            url = process.stderr.partition("Serving on ")[2].split()[0]
            with httpx2.Client(base_url=url, timeout=20, trust_env=False) as client:
                for path, body in (
                    ("/v1/videos", b"{"),
                    ("/v1/videos", b'{"prompt":"My secret fox","model":"nobody:video:x"}'),
                    ("/v1/videos", b'{"prompt":"My secret fox","input_reference":"/etc/passwd"}'),
                    ("/api/generate", b'{"prompt":1}'),
                    ("/api/generate", b"\xff"),
                    (AZURE_JOBS, b"[]"),
                    ("/webhooks/openai", b"{"),
                    ("/nothing%0d%0aFORGED%20LINE", b"x"),
                ):
                    answer = client.post(path, content=body, headers={**JSON, "authorization": f"Bearer {secret}"})
                    assert answer.status_code < 500, answer.text
                    told += answer.text
            process.interrupt()
            return told, process.stderr + process.stdout

    told, logged = await anyio.to_thread.run_sync(drive)
    for said in (told, logged):
        assert "Traceback" not in said
        assert secret not in said
    assert "My secret fox" not in logged
    assert "\nFORGED LINE" not in logged
