import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest
from far_side import Answer, FarSide
from filelock import FileLock

from rushes.errors import (
    AccessDenied,
    Gone,
    MediaError,
    RateLimited,
    Rejected,
    RushesError,
    StoreAway,
    StoreFull,
    Truncated,
    Unavailable,
    Vanished,
)
from rushes.http import Body, Http
from rushes.media.disk import disk_error
from rushes.media.download import Downloaded, DownloadPolicy, OpenAt, discard, download

pytestmark = pytest.mark.anyio

FILE = b"\0\0\0\x18ftypisom" + hashlib.shake_256(b"a film").digest(3_000_000)
SHA256 = hashlib.sha256(FILE).hexdigest()
QUICK = DownloadPolicy(tries=3, first_wait_s=0.01, max_wait_s=0.02)
SCRIPT = Path(__file__).with_name("fetch_in_a_process.py")


def opener(http: Http, far: FarSide) -> OpenAt:
    def open_at(offset: int, etag: str | None) -> AbstractAsyncContextManager[Body]:
        return http.fetch(far.url, offset=offset, etag=etag, trusted=[far.origin])

    return open_at


async def fetch(http: Http, far: FarSide, part: Path, max_bytes: int = 10**9) -> Downloaded:
    with anyio.fail_after(20):
        return await download(opener(http, far), part, max_bytes=max_bytes, policy=QUICK)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "attempt.part"


async def test_a_file_arrives_whole_with_its_hash_and_its_real_type(http: Http, part: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with FarSide(FILE, Answer(mime="application/octet-stream")).serving() as far:
        got = await download(
            opener(http, far), part, max_bytes=10**9, on_progress=lambda done, total: seen.append((done, total))
        )

    assert got == Downloaded(path=part, sha256=SHA256, size_bytes=len(FILE), mime="video/mp4", resumed=False)
    assert part.read_bytes() == FILE
    assert seen[-1] == (len(FILE), len(FILE))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("cut", [0, 1, 7, 100, 511, 70_000, 524_288, 1_000_000, 2_999_000, len(FILE) - 1])
async def test_a_broken_connection_is_resumed_byte_for_byte(http: Http, part: Path, cut: int) -> None:
    async with FarSide(FILE, Answer(cut_after=cut), Answer()).serving() as far:
        got = await fetch(http, far, part)

    assert (got.sha256, part.read_bytes() == FILE) == (SHA256, True)
    assert far.ranges == [None, f"bytes={cut}-" if cut else None]
    assert got.resumed is (cut > 0)


async def test_many_breaks_are_survived_as_long_as_each_brings_something(http: Http, part: Path) -> None:
    async with FarSide(FILE, *[Answer(cut_after=300_000)] * 9, Answer()).serving() as far:
        got = await fetch(http, far, part)

    assert (got.sha256, len(far.requests)) == (SHA256, 10)


async def test_a_far_side_that_brings_nothing_is_given_up_after_some_tries(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(cut_after=1_000_000), Answer(cut_after=0)).serving() as far:
        with pytest.raises(Truncated, match=r"Only \d+ of 3000012 bytes came"):
            await fetch(http, far, part)

    assert part.stat().st_size == 1_000_000, "what came is kept for the next call"


async def test_what_a_call_left_behind_is_used_by_the_next(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(cut_after=1_000_000), Answer(cut_after=0)).serving() as far:
        with pytest.raises(Truncated):
            await fetch(http, far, part)
        far.answers = [Answer()]
        far.requests.clear()

        got = await fetch(http, far, part)

    assert (got.sha256, got.resumed) == (SHA256, True)
    assert far.ranges == ["bytes=1000000-"]


async def test_a_download_survives_kill_9(part: Path) -> None:
    async with FarSide(FILE, Answer(pace_s=0.02), Answer()).serving() as far:
        command = [sys.executable, str(SCRIPT), far.url, str(part), "0"]
        first = await anyio.open_process(command, stdout=subprocess.PIPE)
        async with first:
            with anyio.fail_after(15):
                while not part.exists() or part.stat().st_size < 600_000:
                    await anyio.sleep(0.01)
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
        have = part.stat().st_size

        second = await anyio.run_process(command)

    assert json.loads(second.stdout) == {"sha256": SHA256, "resumed": True}
    assert 0 < have < len(FILE)
    assert far.ranges == [None, f"bytes={have}-"]


async def test_a_finished_download_is_not_fetched_again_by_a_new_process(http: Http, part: Path) -> None:
    async with FarSide(FILE).serving() as far:
        await fetch(http, far, part)

        again = await fetch(http, far, part)

    assert (again.sha256, len(far.requests)) == (SHA256, 1)


async def test_a_finished_download_of_unknown_length_is_not_fetched_again_either(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(no_length=True)).serving() as far:
        first = await fetch(http, far, part)
        second = await fetch(http, far, part)

    assert (first.sha256, second.sha256, len(far.requests)) == (SHA256, SHA256, 1)


OTHER = FILE[:12] + bytes(2_000_000)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (Answer(ignore_range=True), FILE),
        (Answer(etag='"two"', body=OTHER), OTHER),
        (Answer(etag=None, body=OTHER), OTHER),
        (Answer(etag=None, body=FILE + b"x"), FILE + b"x"),
        (Answer(wrong_start=5), FILE),
        (Answer(status=416), FILE),
        (Answer(body=FILE[:1000], etag='"two"'), FILE[:1000]),
    ],
    ids=["ignores Range", "other etag", "other file", "other length", "wrong range", "416", "shorter now"],
)
async def test_a_file_that_cannot_be_gone_on_with_is_fetched_anew(
    http: Http, part: Path, then: Answer, expected: bytes
) -> None:
    etag = then.etag if then.body is not None else '"one"'
    last = Answer(body=then.body, etag=etag)
    async with FarSide(FILE, Answer(cut_after=1_000_000), then, last).serving() as far:
        got = await fetch(http, far, part)

    assert part.read_bytes() == expected
    assert got.sha256 == hashlib.sha256(expected).hexdigest()


async def test_a_part_without_its_sidecar_is_not_trusted(http: Http, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(b"something else")
    async with FarSide(FILE).serving() as far:
        got = await fetch(http, far, part)

    assert (got.sha256, far.ranges) == (SHA256, [None])


@pytest.mark.parametrize(("status", "expected"), [(403, AccessDenied), (404, Vanished), (410, Gone), (400, Rejected)])
async def test_a_link_that_is_no_good_any_more_is_reported_at_once(
    http: Http, part: Path, status: int, expected: type[RushesError]
) -> None:
    async with FarSide(FILE, Answer(cut_after=1_000_000), Answer(status=status, body=b"{}")).serving() as far:
        with pytest.raises(expected):
            await fetch(http, far, part)

    assert len(far.requests) == 2
    assert part.stat().st_size == 1_000_000, "the next link goes on from here"


async def test_a_stumbling_server_is_asked_again(http: Http, part: Path) -> None:
    busy = Answer(status=429, body=b"", headers={"retry-after": "0.1"})
    async with FarSide(FILE, Answer(status=503, body=b""), busy, Answer()).serving() as far:
        started = anyio.current_time()
        got = await fetch(http, far, part)

    assert (got.sha256, len(far.requests)) == (SHA256, 3)
    assert anyio.current_time() - started >= 0.1


async def test_an_unreachable_server_is_given_up_after_some_tries(http: Http, part: Path) -> None:
    async with FarSide(FILE).serving() as far:
        pass

    with pytest.raises(RushesError) as caught:
        await fetch(http, far, part)
    assert caught.value.code == "provider_unreachable"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "the video has expired"}}', 'JSON text.*"the video has expired"'),
        (b"\n<!DOCTYPE html><html><title>502 Bad Gateway</title>", "HTML page.*502 Bad Gateway"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML text.*AccessDenied"),
        (b"", "empty file"),
    ],
)
async def test_an_error_page_is_not_taken_for_a_video(http: Http, part: Path, body: bytes, words: str) -> None:
    async with FarSide(FILE, Answer(body=body)).serving() as far:
        with pytest.raises(MediaError, match=words):
            await fetch(http, far, part)

    assert not part.exists() or part.stat().st_size == 0


async def test_more_than_the_limit_is_refused_before_it_is_fetched(http: Http, part: Path) -> None:
    async with FarSide(FILE).serving() as far:
        with pytest.raises(MediaError, match="over the limit of 1 MB"):
            await fetch(http, far, part, max_bytes=1_000_000)

    assert part.stat().st_size == 0


async def test_an_endless_answer_without_a_length_is_cut_at_the_limit(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(no_length=True)).serving() as far:
        with pytest.raises(MediaError, match="over the limit of 1 MB"):
            await fetch(http, far, part, max_bytes=1_000_000)

    assert part.stat().st_size == 0


async def test_a_promised_length_that_is_never_reached_ends_as_truncated(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(lie=1000)).serving() as far:
        with pytest.raises(Truncated, match=r"Only \d+ of 3001012 bytes came"):
            await fetch(http, far, part)


async def test_a_disk_without_room_is_noticed_before_writing(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(lie=1 << 50)).serving() as far:
        with pytest.raises(StoreFull, match=r"needs .* MB more, but .* has .* MB free"):
            await fetch(http, far, part, max_bytes=1 << 60)

    assert part.stat().st_size == 0


async def test_a_disk_that_fills_up_keeps_the_part_for_later(part: Path) -> None:
    async with FarSide(FILE).serving() as far:
        squeezed = await anyio.run_process([sys.executable, str(SCRIPT), far.url, str(part), "1500000"])
        kept = part.stat().st_size
        relaxed = await anyio.run_process([sys.executable, str(SCRIPT), far.url, str(part), "0"])

    told = json.loads(squeezed.stdout)
    assert told["error"] == "StoreFull"
    assert "Free some space" in told["message"]
    assert kept == 1_500_000
    assert json.loads(relaxed.stdout) == {"sha256": SHA256, "resumed": True}
    assert far.ranges[-1] == "bytes=1500000-"


async def test_a_cancelled_download_keeps_what_came(http: Http, part: Path) -> None:
    async with FarSide(FILE, Answer(pace_s=0.02), Answer()).serving() as far:
        with anyio.move_on_after(0.3):
            await fetch(http, far, part)
        have = part.stat().st_size
        got = await fetch(http, far, part)

    assert 0 < have < len(FILE)
    assert (got.sha256, far.ranges[-1]) == (SHA256, f"bytes={have}-")


async def test_fifty_downloads_at_once_do_not_get_into_each_others_way(http: Http, tmp_path: Path) -> None:
    hashes: list[str] = []
    async with FarSide(FILE[:200_000]).serving() as far:

        async def one(n: int) -> None:
            hashes.append((await fetch(http, far, tmp_path / f"{n}.part")).sha256)

        async with anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(one, n)

    assert set(hashes) == {hashlib.sha256(FILE[:200_000]).hexdigest()}
    assert len(hashes) == 50


async def test_discard_leaves_nothing(http: Http, part: Path) -> None:
    async with FarSide(FILE).serving() as far:
        await fetch(http, far, part)

    discard(part)

    assert list(part.parent.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_a_class_of_its_own(number: int) -> None:
    assert isinstance(disk_error(OSError(number, os.strerror(number)), Path("x")), StoreFull)


def test_waiting_doubles_up_to_a_bound_and_honours_what_was_asked() -> None:
    policy = DownloadPolicy(first_wait_s=1, max_wait_s=8)
    broken = Unavailable("x")

    assert [policy.wait_s(n, broken, 0.5) for n in (1, 2, 3, 4, 9)] == [1, 2, 4, 8, 8]
    assert policy.wait_s(1, RateLimited("x", retry_after_s=40), 0.5) == 40


async def test_a_part_that_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    part = tmp_path / "video.part"
    lock = FileLock(tmp_path / "video.part.lock")

    with lock, pytest.raises(StoreAway, match="Another process"):
        await download(never_opened, part, max_bytes=1000)

    assert not part.exists()


def never_opened(offset: int, etag: str | None) -> AbstractAsyncContextManager[Body]:
    raise AssertionError("nothing may be asked for")
