import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rushes.errors import MediaError, StoreFull
from rushes.media.store import SPRITESHEET, MediaStore, check_key, input_key, video_key, video_prefix
from tests.users import ordinary_user

pytestmark = pytest.mark.anyio

VIDEO_ID = "video_" + "0" * 32
OTHER_ID = "video_" + "1" * 32


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    """A folder, and a store without files on this machine."""
    return MediaStore(str(tmp_path / "media") if request.param == "folder" else "memory:///")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


async def test_a_published_file_is_moved_into_the_store(any_store: MediaStore, tmp_path: Path) -> None:
    source = written(tmp_path / "a.part", b"x" * 3_000_000)

    await any_store.publish(video_key(VIDEO_ID), source)

    assert not source.exists()
    assert await any_store.read(video_key(VIDEO_ID)) == b"x" * 3_000_000


async def test_publishing_again_replaces(any_store: MediaStore, tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        await any_store.publish(video_key(VIDEO_ID), written(tmp_path / "a.part", data))

    assert await any_store.read(video_key(VIDEO_ID)) == b"two"


async def test_publishing_what_is_not_there_is_an_error(any_store: MediaStore, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none.part: No such file"):
        await any_store.publish(video_key(VIDEO_ID), tmp_path / "none.part")

    assert await any_store.head(video_key(VIDEO_ID)) is None


SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


async def test_publishing_from_another_file_system_works(store: MediaStore) -> None:
    source = written(SHARED_MEMORY / f"rushes-test-{os.getpid()}.part", b"from afar")
    try:
        await store.publish(video_key(VIDEO_ID), source)
    finally:
        source.unlink(missing_ok=True)

    path = store.local_path(video_key(VIDEO_ID))
    assert path and path.read_bytes() == b"from afar"
    assert [file.name for file in path.parent.iterdir()] == ["video.mp4"]


async def test_what_was_put_can_be_read_in_parts(any_store: MediaStore) -> None:
    data = os.urandom(2_500_000)
    await any_store.put("inputs/data", data)

    async def part(start: int, end: int | None) -> bytes:
        return b"".join([chunk async for chunk in any_store.stream("inputs/data", start, end)])

    assert await part(0, None) == data
    assert await part(0, 10) == data[:10]
    assert await part(1_000_000, 2_200_000) == data[1_000_000:2_200_000]
    assert await part(2_499_999, None) == data[-1:]
    assert await part(5, 5) == b""


async def test_a_large_file_is_streamed_in_small_pieces(any_store: MediaStore) -> None:
    await any_store.put("inputs/data", bytes(6_000_000))

    pieces = [len(chunk) async for chunk in any_store.stream("inputs/data")]

    assert max(pieces) <= 6_000_000
    if any_store.folder:
        assert max(pieces) < 3_000_000


async def test_head_tells_size_and_etag_and_none_for_nothing(any_store: MediaStore) -> None:
    await any_store.put("inputs/data", b"12345")
    head = await any_store.head("inputs/data")

    assert head and head.size_bytes == 5 and head.etag
    assert await any_store.head("inputs/other") is None


async def test_reading_what_is_not_there_says_so(any_store: MediaStore) -> None:
    with pytest.raises(MediaError, match="inputs/none is not in the media store"):
        await any_store.read("inputs/none")
    with pytest.raises(MediaError, match="not in the media store"):
        _ = [chunk async for chunk in any_store.stream("inputs/none")]


async def test_deleting_twice_is_no_error(any_store: MediaStore) -> None:
    await any_store.put("inputs/data", b"1")
    await any_store.delete("inputs/data")
    await any_store.delete("inputs/data")

    assert await any_store.head("inputs/data") is None


async def test_deleting_one_video_leaves_the_others(any_store: MediaStore) -> None:
    for video_id in (VIDEO_ID, OTHER_ID):
        await any_store.put(video_key(video_id), b"v")
        await any_store.put(video_key(video_id, SPRITESHEET), b"s")

    await any_store.delete_all(video_prefix(VIDEO_ID))
    await any_store.delete_all(video_prefix(VIDEO_ID))

    assert await any_store.head(video_key(VIDEO_ID)) is None
    assert await any_store.head(video_key(VIDEO_ID, SPRITESHEET)) is None
    assert await any_store.head(video_key(OTHER_ID)) is not None
    if any_store.folder:
        assert [p.name for p in (any_store.folder / "videos").iterdir()] == [OTHER_ID]


def test_a_folder_has_paths_and_a_bucket_has_none(tmp_path: Path) -> None:
    folder, bucket = MediaStore(str(tmp_path / "a b")), MediaStore("memory:///")

    assert folder.local_path("inputs/x") == tmp_path / "a b" / "inputs" / "x"
    assert folder.url("inputs/x") == f"file://{tmp_path}/a%20b/inputs/x"
    assert bucket.local_path("inputs/x") is None


def test_a_folder_may_be_named_by_a_file_url(tmp_path: Path) -> None:
    assert MediaStore((tmp_path / "a b").as_uri()).folder == tmp_path / "a b"


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "/etc", "../x", "a/../b", "a//b", "a/", "a/.b", "a\\b", "a b", "a\0", "a\n", "ä"]
)
def test_no_key_can_leave_the_store(bad: str) -> None:
    with pytest.raises(ValueError):
        check_key(bad)


@pytest.mark.parametrize("bad", ["", "../" * 5, "video_123", "video_" + "G" * 32, "video_" + "0" * 33, VIDEO_ID + "\n"])
def test_only_video_ids_make_video_keys(bad: str) -> None:
    with pytest.raises(ValueError):
        video_key(bad)
    with pytest.raises(ValueError):
        input_key(bad)


def test_only_known_pieces_make_video_keys() -> None:
    with pytest.raises(ValueError, match="not a piece"):
        video_key(VIDEO_ID, "passwd")


@pytest.mark.parametrize("url", ["nonsense://x", "s3://"])
def test_a_store_that_cannot_be_opened_says_so(url: str) -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        MediaStore(url)


FULL = """
import resource, sys, anyio
from pathlib import Path
from rushes.errors import RushesError
from rushes.media.store import MediaStore
from tests.users import ordinary_user

async def main(folder):
    store = MediaStore(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        await store.put("inputs/data", bytes(5000))
    except RushesError as error:
        print(type(error).__name__, error)

anyio.run(main, sys.argv[1])
"""


def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout.startswith(StoreFull.__name__)
    assert "Free some space" in run.stdout
    assert list((tmp_path / "inputs").iterdir()) == []


async def test_a_folder_that_may_not_be_written_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = MediaStore(folder)
        Path(folder).chmod(0o555)

        with ordinary_user(), pytest.raises(MediaError, match="No permission"):
            await store.put("inputs/data", b"1")
