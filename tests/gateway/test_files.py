"""Stored files over HTTP: conditions, ranges, links, and answers that cannot be finished."""

import hashlib
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rushes.config import GatewaySettings, Settings
from rushes.gateway.files import Served, disposition, file_response
from rushes.gateway.listen import Listen, serve
from rushes.gateway.problems import Problem
from rushes.media.store import MediaStore, video_key
from rushes.testing.s3 import S3, SECRET_KEY, Asked, Refusal, refusing

pytestmark = pytest.mark.anyio

KEY = video_key("video_" + "0" * 32)
DATA = bytes(range(256)) * 5_000  # more than one piece
MODIFIED = datetime(2026, 11, 20, 10, 30, 15, 250_000, tzinfo=UTC)
DATE = "Fri, 20 Nov 2026 10:30:15 GMT"
EARLIER, LATER = "Fri, 20 Nov 2026 10:30:14 GMT", "Fri, 20 Nov 2026 10:30:16 GMT"
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


def a_file(data: bytes = DATA) -> Served:
    return Served(
        key=KEY,
        mime="video/mp4",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        modified=MODIFIED,
        name="Über Wolken.mp4",
        headers={"Link": '<manifest>; rel="c2pa-manifest"'},
    )


@asynccontextmanager
async def offering(
    store: MediaStore, served: Served, settings: GatewaySettings | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A server that has one file, at `/`, and a client for it."""

    async def answer(request: Request) -> Response:
        return await file_response(request, store, served, settings or GatewaySettings())

    def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return PlainTextResponse(error.message, error.status, error.headers)

    application = Starlette(routes=[Route("/", answer)], exception_handlers={Problem: told})
    urls, up = list[str](), anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        up.set()

    async def work() -> None:
        await serve(application, Listen(port=0, grace_s=1), ready=ready)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await up.wait()
            async with httpx2.AsyncClient(base_url=urls[0], trust_env=False, timeout=20) as client:
                yield client
            tasks.cancel_scope.cancel()


@pytest.fixture
def folder(tmp_path: Path) -> MediaStore:
    return MediaStore(str(tmp_path / "media"))


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with S3() as s3:
        yield s3


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    yield server
    server.trouble = None


@pytest.fixture
def bucket(s3: S3, tmp_path: Path) -> MediaStore:
    url = s3.bucket()
    return MediaStore.of(Settings(home=tmp_path, database_url="", media_url=url, environment=s3.environment))


@pytest.fixture(params=["folder", "bucket"])
async def store(request: pytest.FixtureRequest, folder: MediaStore, bucket: MediaStore) -> MediaStore:
    """Either kind, with the file in it."""
    chosen = folder if request.param == "folder" else bucket
    await chosen.put(KEY, DATA)
    return chosen


# -- whole and conditional -------------------------------------------------------------------------------------------


async def test_a_get_brings_the_file_and_all_that_is_known_of_it(store: MediaStore) -> None:
    async with offering(store, a_file()) as client:
        answer = await client.get("/")
        head = await client.head("/")

    assert answer.status_code == head.status_code == 200
    assert answer.content == DATA
    assert head.content == b""
    expected = {
        "content-type": "video/mp4",
        "content-length": str(len(DATA)),
        "etag": ETAG,
        "last-modified": DATE,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": "inline; filename=\"_ber Wolken.mp4\"; filename*=UTF-8''%C3%9Cber%20Wolken.mp4",
        "link": '<manifest>; rel="c2pa-manifest"',
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert {name: head.headers.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f'"other", W/{ETAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": DATE}, 200),  # the tag says more than the date
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "the day before"}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": f'"other", {ETAG}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),  # a weak tag never proves sameness
        ({"If-Match": ETAG, "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Match": '"other"', "If-None-Match": ETAG}, 412),
    ],
)
async def test_conditions_are_weighed_in_the_order_of_the_standard(
    folder: MediaStore, headers: dict[str, str], status: int
) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/", headers=headers)
            assert answer.status_code == status
            if status == 304:
                assert answer.headers["etag"] == ETAG
                assert answer.headers["cache-control"] == "private, no-cache"
                assert answer.content == b""
                assert "content-length" not in answer.headers


# -- ranges ----------------------------------------------------------------------------------------------------------

LAST = len(DATA) - 1


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, LAST),
        ("bytes=100-399999", 100, 399_999),
        (f"bytes={LAST}-", LAST, LAST),
        ("bytes=1000-99999999999999999999999", 1000, LAST),
        ("bytes=-1", LAST, LAST),
        ("bytes=-300000", len(DATA) - 300_000, LAST),
        ("bytes=-99999999999", 0, LAST),
        ("Bytes = 5 - 9", 5, 9),
    ],
)
async def test_one_range_is_answered_with_just_that(store: MediaStore, asked: str, first: int, last: int) -> None:
    async with offering(store, a_file()) as client:
        answer = await client.get("/", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last + 1 - first)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", f"bytes={len(DATA)}-{len(DATA) + 5}", "bytes=-0"])
async def test_a_range_outside_is_refused_with_the_size(folder: MediaStore, asked: str) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        answer = await client.get("/", headers={"Range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=9-5"},
        {"Range": "bytes=-"},
        {"Range": "bytes=a-b"},
        {"Range": "bytes=" + "9" * 5000 + "-"},
        {"Range": "bytes=²-"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=0-1", "If-Range": '"other"'},
        {"Range": "bytes=0-1", "If-Range": f"W/{ETAG}"},
        {"Range": "bytes=0-1", "If-Range": LATER},
        {"Range": "bytes=0-1", "If-Range": "nonsense"},
    ],
)
async def test_what_is_no_single_range_of_this_file_gets_the_whole(folder: MediaStore, headers: dict[str, str]) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        answer = await client.get(
            "/", headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        )

    assert answer.status_code == 200
    assert answer.content == DATA


@pytest.mark.parametrize("if_range", [ETAG, DATE])
async def test_a_range_of_the_same_file_goes_on(folder: MediaStore, if_range: str) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        answer = await client.get("/", headers={"Range": "bytes=7-", "If-Range": if_range})

    assert answer.status_code == 206
    assert answer.content == DATA[7:]


async def test_head_knows_no_ranges(folder: MediaStore) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        answer = await client.head("/", headers={"Range": "bytes=0-1"})

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(DATA))


async def test_a_file_without_bytes_is_a_file(store: MediaStore) -> None:
    await store.put(KEY, b"")
    async with offering(store, a_file(b"")) as client:
        whole, part = await client.get("/"), await client.get("/", headers={"Range": "bytes=0-"})

    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")
    assert part.status_code == 416


async def test_connections_are_reused_after_ranges_and_refusals(folder: MediaStore) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file()) as client:
        place = urlsplit(str(client.base_url))
        assert place.hostname and place.port
        async with await anyio.connect_tcp(place.hostname, place.port) as stream:
            for asked in ("bytes=0-4", f"bytes={len(DATA)}-", "bytes=0-4"):
                await stream.send(f"GET / HTTP/1.1\r\nhost: x\r\nrange: {asked}\r\n\r\n".encode())
                got = b""
                while not (got.endswith(DATA[:5]) or got.endswith(b"outside.")):
                    got += await stream.receive()


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp4", 'attachment; filename="a.mp4"'),
        ('..\\../a"b\r\nSet-Cookie: x.mp4', 'attachment; filename=".._.._a_b__Set-Cookie: x.mp4"'),
        ("映画.mp4", "attachment; filename=\"__.mp4\"; filename*=UTF-8''%E6%98%A0%E7%94%BB.mp4"),
        ("\udcff.mp4", "attachment; filename=\"_.mp4\"; filename*=UTF-8''%3F.mp4"),
    ],
)
async def test_no_name_can_leave_its_header(name: str, expected: str) -> None:
    assert disposition(name, attachment=True) == expected


# -- other ways to the bytes -----------------------------------------------------------------------------------------


async def test_nginx_is_told_where_the_file_is_and_decides_the_rest(folder: MediaStore) -> None:
    await folder.put(KEY, DATA)
    settings = GatewaySettings(x_accel_prefix="/protected/")
    async with offering(folder, replace(a_file(), attachment=True), settings) as client:
        answer = await client.get("/", headers={"Range": "bytes=0-1", "If-Match": '"a tag of nginx"'})
        gone = replace(a_file(), key=video_key("video_" + "1" * 32))
    async with offering(folder, gone, settings) as client:
        lost = await client.get("/")

    assert answer.status_code == 200
    assert answer.headers["x-accel-redirect"] == f"/protected/{KEY}"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "etag" not in answer.headers
    assert answer.content == b""
    assert lost.status_code == 404


async def test_a_bucket_may_give_out_the_file_itself(bucket: MediaStore) -> None:
    await bucket.put(KEY, DATA)
    async with offering(bucket, a_file(), GatewaySettings(redirect=True, redirect_life_s=90)) as client:
        answer = await client.get("/")
        head = await client.head("/")
        known = await client.get("/", headers={"If-None-Match": ETAG})
        part = await client.get("/", headers={"Range": "bytes=3-5"}, follow_redirects=True)

    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    assert "X-Amz-Expires=90" in answer.headers["location"]
    assert SECRET_KEY not in answer.headers["location"]
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))
    assert known.status_code == 304
    assert (part.status_code, part.content) == (206, DATA[3:6])


async def test_a_folder_cannot_redirect_and_serves_by_itself(folder: MediaStore) -> None:
    await folder.put(KEY, DATA)
    async with offering(folder, a_file(), GatewaySettings(redirect=True)) as client:
        assert (await client.get("/")).content == DATA


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirect", [False, True])
async def test_a_file_that_is_gone_is_not_found(store: MediaStore, redirect: bool) -> None:
    await store.delete(KEY)
    async with offering(store, a_file(), GatewaySettings(redirect=redirect)) as client:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/")
            assert answer.status_code == 404
            assert KEY not in answer.text


async def test_a_file_that_is_another_than_it_was_is_not_served(store: MediaStore) -> None:
    await store.put(KEY, DATA[:-1])
    async with offering(store, a_file()) as client:
        assert (await client.get("/")).status_code == 404


async def test_a_file_that_shrinks_under_the_reader_cuts_the_answer_short(folder: MediaStore) -> None:
    path = folder.local_path(KEY)
    assert path is not None
    await folder.put(KEY, b"")
    os.truncate(path, 100_000_000)
    served = replace(a_file(), size_bytes=100_000_000)

    async with offering(folder, served) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            async with client.stream("GET", "/") as answer:
                os.truncate(path, 1_000_000)
                async for _ in answer.aiter_bytes():
                    pass


async def test_a_bucket_that_fails_in_the_middle_cuts_the_answer_short(bucket: MediaStore, s3: S3) -> None:
    data = bytes(8_000_000)
    await bucket.put(KEY, data)
    answered = 0

    def trouble(asked: Asked) -> Refusal | None:
        nonlocal answered
        answered += asked.method == "GET"
        return Refusal(403, "AccessDenied") if answered > 2 else None

    async with offering(bucket, a_file(data)) as client:
        s3.trouble = trouble
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/")


async def test_trouble_of_the_store_is_no_missing_file(bucket: MediaStore, s3: S3) -> None:
    await bucket.put(KEY, DATA)
    s3.trouble = refusing(Refusal(403, "AccessDenied"), "GET")

    async with offering(bucket, a_file()) as client:
        assert (
            await client.get("/")
        ).status_code == 500  # not one of ours in this small application: the gateway's 503


# -- memory ----------------------------------------------------------------------------------------------------------


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def test_readers_that_stop_cost_little_each_and_let_go_of_the_file(folder: MediaStore) -> None:
    path = folder.local_path(KEY)
    assert path is not None
    await folder.put(KEY, b"")
    os.truncate(path, 300_000_000)
    readers = 20

    async with offering(folder, replace(a_file(), size_bytes=300_000_000)) as client:
        place = urlsplit(str(client.base_url))
        assert place.hostname and place.port
        assert (await client.head("/")).status_code == 200
        before, streams = resident_mb(), list[anyio.abc.SocketStream]()
        for _ in range(readers):
            streams.append(await anyio.connect_tcp(place.hostname, place.port))
            await streams[-1].send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: opened(path) == readers)
        await anyio.sleep(0.5)  # in which a server without backpressure would read on
        assert resident_mb() - before < 2 * readers

        for each in streams:
            await each.aclose()
        await until(lambda: opened(path) == 0)


def opened(path: Path) -> int:
    """How often this process has the file open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += each.readlink() == path
        except OSError:  # the one that lists them
            continue
    return found


async def until(done: Callable[[], bool], within_s: float = 10) -> None:
    with anyio.fail_after(within_s):
        while not done():
            await anyio.sleep(0.01)
