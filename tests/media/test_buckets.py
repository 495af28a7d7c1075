"""A bucket as the media store, on moto's S3 server: what is written, read, listed, and what goes wrong."""

import hashlib
import logging
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rushes.config import NetworkSettings, Settings, to_json
from rushes.errors import MediaError, StoreAway, StoreFull, StoreRefused
from rushes.media.near import SAFE_S, Near
from rushes.media.store import THUMBNAIL, MediaStore, input_key, video_key, video_prefix
from rushes.testing import s3 as s3_module
from rushes.testing.s3 import S3, SECRET_KEY, Asked, Refusal, refusing

pytestmark = pytest.mark.anyio

VIDEO_ID = "video_" + "0" * 32
KEY = video_key(VIDEO_ID)
LARGE_BYTES = 30_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with S3() as s3:
        yield s3


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    server.asked.clear()
    yield server
    server.trouble = None


def settings_for(s3: S3, url: str, folder: Path) -> Settings:
    return Settings(home=folder, database_url="", media_url=url, environment=s3.environment)


@pytest.fixture
def url(s3: S3) -> str:
    return s3.bucket()


@pytest.fixture
def store(s3: S3, url: str, tmp_path: Path) -> MediaStore:
    return MediaStore.of(settings_for(s3, f"{url}/a/folder", tmp_path))


def got(address: str) -> tuple[bytes, str]:
    """What anybody gets by an address, and as what."""
    with urllib.request.urlopen(address) as answer:
        return answer.read(), answer.headers["content-type"]


def written(path: Path, size_bytes: int) -> Path:
    path.write_bytes(os.urandom(size_bytes))
    return path


# -- writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_bytes", [0, 1, 8 << 20, LARGE_BYTES])
async def test_what_is_published_is_what_was_spooled(store: MediaStore, tmp_path: Path, size_bytes: int) -> None:
    part = written(tmp_path / "a.part", size_bytes)
    data = part.read_bytes()

    await store.publish(KEY, part)

    assert not part.exists()
    assert await store.read(KEY) == data
    assert store.local_path(KEY) is None


async def test_a_large_file_goes_up_in_parts_of_eight_megabytes(store: MediaStore, s3: S3, tmp_path: Path) -> None:
    await store.publish(KEY, written(tmp_path / "a.part", LARGE_BYTES))

    sent = [each for each in s3.asked if each.method == "PUT" and each.path.endswith("video.mp4")]
    assert len(sent) == 4
    assert all("partNumber" in each.query for each in sent)


async def test_a_video_is_told_to_be_one(store: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"0123456789")
    await store.publish(KEY, tmp_path / "a.part")
    address = await store.signed_url(KEY, 60)

    assert address
    assert await anyio.to_thread.run_sync(got, address) == (b"0123456789", "video/mp4")


async def test_publishing_again_replaces(store: MediaStore, tmp_path: Path) -> None:
    for size_bytes in (LARGE_BYTES, 5):
        await store.publish(KEY, written(tmp_path / "a.part", size_bytes))

    stored = await store.head(KEY)
    assert stored and stored.size_bytes == 5


async def test_an_upload_that_fails_leaves_nothing_and_keeps_the_file(
    store: MediaStore, s3: S3, url: str, tmp_path: Path
) -> None:
    part = written(tmp_path / "a.part", LARGE_BYTES)
    s3.trouble = lambda asked: Refusal(403, "AccessDenied") if "partNumber=4" in asked.query else None

    with pytest.raises(StoreRefused, match="HTTP 403, AccessDenied"):
        await store.publish(KEY, part)

    s3.trouble = None
    assert part.stat().st_size == LARGE_BYTES
    assert await store.head(KEY) is None
    assert s3.open_uploads(url) == 0


async def test_an_upload_that_is_cancelled_takes_its_parts_back(
    store: MediaStore, s3: S3, url: str, tmp_path: Path
) -> None:
    part = written(tmp_path / "a.part", 8 * LARGE_BYTES // 3)
    begun = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            with anyio.fail_after(20):
                while not any("partNumber" in each.query for each in s3.asked):
                    await anyio.sleep(0.001)
            begun.set()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel)
        await store.publish(KEY, part)

    assert begun.is_set()
    assert part.exists()
    assert s3.keys(url) == []
    assert s3.open_uploads(url) == 0


KILLED = """
import os, sys, anyio
from pathlib import Path
from rushes.config import from_json
from rushes.media.store import MediaStore

async def main():
    store = MediaStore.of(from_json(sys.stdin.read()))
    await store.publish(sys.argv[1], Path(sys.argv[2]))

anyio.run(main)
"""


async def test_an_upload_that_is_killed_leaves_nothing_to_see_and_may_be_repeated(
    store: MediaStore, s3: S3, url: str, tmp_path: Path
) -> None:
    part = written(tmp_path / "a.part", LARGE_BYTES)
    sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
    process = subprocess.Popen(  # noqa: ASYNC220 - it is fed on a thread
        [sys.executable, "-c", KILLED, KEY, str(part)], stdin=subprocess.PIPE
    )

    def kill(asked: Asked) -> Refusal | None:
        if "partNumber=3" in asked.query:
            process.kill()
        return None

    s3.trouble = kill
    await anyio.to_thread.run_sync(process.communicate, to_json(settings_for(s3, f"{url}/a/folder", tmp_path)).encode())
    s3.trouble = None

    assert process.returncode == -9
    assert await store.head(KEY) is None
    await store.publish(KEY, part)
    assert hashlib.sha256(await store.read(KEY)).hexdigest() == sha256


# -- reading ---------------------------------------------------------------------------------------


async def test_what_is_stored_can_be_read_in_ranges(store: MediaStore) -> None:
    data = os.urandom(2_500_000)
    await store.put("inputs/data", data)

    async def part(start: int, end: int | None) -> bytes:
        return b"".join([chunk async for chunk in store.stream("inputs/data", start, end)])

    assert await part(0, None) == data
    assert await part(0, 10) == data[:10]
    assert await part(1_000_000, 2_200_000) == data[1_000_000:2_200_000]
    assert await part(2_499_999, 9_999_999) == data[-1:]
    assert await part(2_500_000, None) == b""


async def test_a_stream_holds_no_more_than_a_piece(store: MediaStore) -> None:
    await store.put("inputs/data", bytes(6_000_000))

    pieces = [len(chunk) async for chunk in store.stream("inputs/data")]

    assert max(pieces) <= 1 << 20


async def test_a_fetched_file_is_hashed_on_the_way(store: MediaStore, tmp_path: Path) -> None:
    data = os.urandom(9_000_000)
    await store.put(KEY, data)

    got = await store.fetch(KEY, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == data
    assert (got.sha256, got.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


async def test_a_fetch_that_breaks_off_leaves_nothing_half(store: MediaStore, s3: S3, tmp_path: Path) -> None:
    await store.put(KEY, bytes(20_000_000))
    seen: list[Asked] = []

    def after_one(asked: Asked) -> Refusal | None:
        seen.extend([asked] if asked.method == "GET" else [])
        return Refusal(403, "AccessDenied") if len(seen) > 1 else None

    s3.trouble = after_one
    with pytest.raises(StoreRefused):
        await store.fetch(KEY, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


async def test_a_copy_on_this_machine_is_made_once_and_made_anew_when_it_changed(
    store: MediaStore, s3: S3, tmp_path: Path
) -> None:
    await store.put(KEY, b"one")
    first = await store.near(KEY)
    s3.asked.clear()
    again = await store.near(KEY)
    reads = [each.method for each in s3.asked]
    await store.put(KEY, b"two")
    changed = await store.near(KEY)

    assert (first, first.read_bytes(), reads) == (again, b"one", ["HEAD"])
    assert changed.read_bytes() == b"two"
    assert tmp_path / "spool" / "near" == first.parent
    with pytest.raises(MediaError, match="not in the media store"):
        await store.near(video_key(VIDEO_ID, THUMBNAIL))


def test_copies_take_no_more_room_than_they_may_but_those_in_use_stay(tmp_path: Path) -> None:
    near = Near(tmp_path, max_bytes=25)
    for n, age_s in enumerate([3 * SAFE_S, 2 * SAFE_S, 0]):
        (tmp_path / str(n)).write_bytes(bytes(10))
        os.utime(tmp_path / str(n), (10_000 - age_s, 10_000 - age_s))

    near.make_room(now=10_000)
    after = sorted(path.name for path in tmp_path.iterdir())
    Near(tmp_path, max_bytes=0).make_room(now=10_000)

    assert after == ["1", "2"]
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


async def test_a_signed_address_is_for_reading_alone_and_for_a_while(
    store: MediaStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await store.put(KEY, b"a video")

    address = await store.signed_url(KEY, 90)

    assert address and "X-Amz-Expires=90" in address
    assert await anyio.to_thread.run_sync(got, address) == (b"a video", "video/mp4")
    assert "X-Amz-Signature" not in caplog.text
    assert await MediaStore(str(tmp_path / "media")).signed_url(KEY, 90) is None
    for bad in (0, 8 * 24 * 3600):
        with pytest.raises(ValueError, match="lives for 1 to"):
            await store.signed_url(KEY, bad)


def test_a_bucket_has_addresses_and_no_paths(store: MediaStore, url: str) -> None:
    assert store.url(KEY) == f"{url}/a/folder/{KEY}"
    assert store.folder is None


# -- listing and deleting --------------------------------------------------------------------------


async def test_more_than_a_page_is_listed_and_deleted_in_batches(store: MediaStore, s3: S3) -> None:
    keys = [input_key(f"{n:064x}") for n in range(1100)]
    async with anyio.create_task_group() as tasks:
        for key in keys:
            tasks.start_soon(store.put, key, b"x")

    listed = await store.listing()
    s3.asked.clear()
    await store.remove_all_listed([each.key for each in listed])

    assert [each.key for each in listed] == keys
    assert {each.size_bytes for each in listed} == {1}
    assert [each.method for each in s3.asked] == ["POST", "POST"]
    assert await store.listing() == []


async def test_deleting_one_video_leaves_the_others(store: MediaStore) -> None:
    other = video_key("video_" + "1" * 32)
    for key in (KEY, video_key(VIDEO_ID, THUMBNAIL), other):
        await store.put(key, b"x")

    await store.delete_all(video_prefix(VIDEO_ID))
    await store.delete_all(video_prefix(VIDEO_ID))
    await store.delete(KEY)

    assert [each.key for each in await store.listing()] == [other]


# -- trouble ---------------------------------------------------------------------------------------

TROUBLES = {
    "no right": (
        Refusal(403, "AccessDenied", "No right"),
        StoreRefused,
        "refuses s3://.*AccessDenied: No right.*right to",
    ),
    "a wrong key": (Refusal(403, "InvalidAccessKeyId"), StoreRefused, "refuses our keys.*Correct them"),
    "a wrong secret": (Refusal(403, "SignatureDoesNotMatch"), StoreRefused, "refuses our keys"),
    "a session that is over": (Refusal(400, "ExpiredToken"), StoreRefused, "refuses our keys"),
    "another region": (Refusal(301, "PermanentRedirect"), StoreRefused, "another region. Set AWS_REGION"),
    "throttled": (Refusal(503, "SlowDown", "Reduce your rate"), StoreAway, "overloaded or down.*SlowDown"),
    "a fault of its own": (Refusal(500, "InternalError"), StoreAway, "overloaded or down"),
    "full": (Refusal(507, "XMinioStorageFull"), StoreFull, "takes no more.*quota"),
}


@pytest.mark.parametrize(("refusal", "kind", "words"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_trouble_is_told_in_one_line_that_says_what_to_do(
    s3: S3, url: str, tmp_path: Path, refusal: Refusal, kind: type[MediaError], words: str
) -> None:
    store = MediaStore(url, settings_for(s3, url, tmp_path), retries=0)
    small, large = written(tmp_path / "small", 10), written(tmp_path / "large", LARGE_BYTES)
    s3.trouble = refusing(refusal)

    for attempt in (store.put(KEY, b"x"), store.read(KEY), store.publish(KEY, small), store.publish(KEY, large)):
        with pytest.raises(kind, match=words) as told:
            await attempt
        assert "\n" not in str(told.value)
        assert SECRET_KEY not in str(told.value)
        assert "127.0.0.1" not in str(told.value)
    with pytest.raises(kind):
        await store.listing()
    assert small.exists() and large.exists()


async def test_throttling_that_passes_is_not_even_noticed(store: MediaStore, s3: S3) -> None:
    troubles = [Refusal(503, "SlowDown"), Refusal(503, "SlowDown")]
    s3.trouble = lambda asked: troubles.pop() if troubles else None

    await store.put(KEY, b"x")

    assert await store.read(KEY) == b"x"


async def test_a_network_that_is_down_is_told_and_comes_back(s3: S3, url: str, tmp_path: Path) -> None:
    store = MediaStore(url, settings_for(s3, url, tmp_path), retries=1)
    s3.stop()
    try:
        with pytest.raises(StoreAway, match=r"cannot be reached at s3://.*Check the network"):
            await store.put(KEY, b"x")
    finally:
        s3.start()

    await store.put(KEY, b"x")
    assert await store.head(KEY) is not None


async def test_a_bucket_that_is_not_there_is_told_from_a_file_that_is_not_there(s3: S3, tmp_path: Path) -> None:
    store = MediaStore.of(settings_for(s3, "s3://no-such-bucket", tmp_path))
    part = written(tmp_path / "a.part", 10)

    for attempt in (
        store.head(KEY),
        store.put(KEY, b"x"),
        store.read(KEY),
        store.publish(KEY, part),
        store.listing(),
        store.check(),
    ):
        with pytest.raises(StoreRefused, match=r"There is no bucket for s3://no-such-bucket.*RUSHES_MEDIA_URL"):
            await attempt
    assert part.exists()


async def test_publishing_what_is_not_there_is_no_fault_of_the_bucket(store: MediaStore, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none.part: No such file") as told:
        await store.publish(KEY, tmp_path / "none.part")

    assert not isinstance(told.value, StoreRefused)


async def test_a_check_writes_reads_and_leaves_nothing(store: MediaStore, s3: S3, url: str) -> None:
    await store.check()

    assert s3.keys(url) == []
    s3.trouble = refusing(Refusal(403, "AccessDenied"), "DELETE", "POST")
    with pytest.raises(StoreRefused, match="read, write and delete"):
        await store.check()


async def test_a_check_of_a_folder_leaves_nothing(tmp_path: Path) -> None:
    await MediaStore(str(tmp_path / "media")).check()

    assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]


# -- opening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("s3://", "s3://BUCKET, gs://BUCKET"),
        ("ftp://somewhere", "s3://BUCKET, gs://BUCKET"),
        ("s3://user:secret@bucket", "may hold no keys"),
        ("az://container?sig=secret", "may hold no keys"),
        ("az://container", "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_an_address_that_cannot_work_says_what_to_set(bad: str, words: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="", media_url=bad)

    with pytest.raises(MediaError, match="cannot be opened") as told:
        MediaStore.of(settings)

    assert words in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("gs://bucket/folder", {"GOOGLE_SKIP_SIGNATURE": "true", "GOOGLE_CLOUD_PROJECT": "mine"}),
        (
            "az://container/folder",
            {"AZURE_STORAGE_ACCOUNT_NAME": "me", "AZURE_STORAGE_ACCOUNT_KEY": "a2V5", "AZURE_OPENAI_API_KEY": "other"},
        ),
        ("s3://bucket", {"AWS_REGION": "eu-west-1", "AWS_PAGER": "", "AWS_PROFILE": "work"}),
    ],
)
def test_every_kind_of_bucket_opens_by_its_usual_variables(
    url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    store = MediaStore.of(Settings(home=tmp_path, database_url="", media_url=url, environment=environment))

    assert store.url("inputs/x") == f"{url}/inputs/x"


async def test_a_proxy_and_certificates_of_the_settings_are_used(s3: S3, url: str, tmp_path: Path) -> None:
    settings = settings_for(s3, url, tmp_path)
    through = replace(settings, environment={**s3.environment, "HTTP_PROXY": s3.url})
    missing = replace(settings, network=NetworkSettings(ca_file=str(tmp_path / "none.pem")))

    with pytest.raises(MediaError, match="RUSHES_CA_FILE names certificates"):
        MediaStore.of(missing)
    await MediaStore.of(through).put(KEY, b"x")


def test_the_keys_of_the_tests_are_nowhere_in_the_settings_as_shown(s3: S3, tmp_path: Path) -> None:
    assert SECRET_KEY not in repr(settings_for(s3, "s3://bucket", tmp_path))
    assert s3_module.ACCESS_KEY not in repr(settings_for(s3, "s3://bucket", tmp_path))
