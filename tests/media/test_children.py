import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import clips
import pytest

from rushes.config import LimitSettings
from rushes.errors import MediaError
from rushes.media.children import Children
from rushes.video import Size

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=12)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file whose reading never ends: a pipe that nobody writes to."""
    path = tmp_path / "endless.mp4"
    os.mkfifo(path)
    return path


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int, within_s: float = 5.0) -> bool:
    with anyio.move_on_after(within_s):
        while lives(pid):
            await anyio.sleep(0.02)
        return True
    return False


async def first_pid(children: Children) -> int:
    with anyio.fail_after(5):
        while not children.pids:
            await anyio.sleep(0.01)
    return next(iter(children.pids))


async def test_a_child_is_reused(clip: Path) -> None:
    async with Children(size=1) as children:
        await children.probe(clip)
        before = children.pids
        await children.probe(clip)

        assert children.pids == before


async def test_no_child_is_started_before_it_is_needed() -> None:
    async with Children() as children:
        assert children.pids == frozenset()


async def test_at_most_so_many_children_work_at_once(clip: Path) -> None:
    async with Children(size=2) as children, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(children.probe, clip)
        with anyio.move_on_after(0.5):
            while True:
                assert len(children.pids) <= 2
                await anyio.sleep(0.005)


async def test_a_child_is_replaced_after_its_share_of_operations(clip: Path) -> None:
    async with Children(size=1, recycle_after=2) as children:
        await children.probe(clip)
        first = children.pids
        await children.probe(clip)
        await children.probe(clip)

        assert children.pids.isdisjoint(first)


async def test_an_idle_child_leaves_and_another_comes_when_needed(clip: Path) -> None:
    async with Children(size=1, idle_s=0.3) as children:
        await children.probe(clip)
        pid = next(iter(children.pids))

        assert await gone(pid)
        assert (await children.probe(clip)).frames == 12


async def test_asking_a_child_at_the_moment_it_leaves_loses_nothing(clip: Path) -> None:
    async with Children(size=1, idle_s=0.1) as children:
        for n in range(8):
            await children.probe(clip)
            await anyio.sleep(0.08 + n * 0.005)


async def test_a_killed_child_costs_one_operation(clip: Path, endless: Path) -> None:
    async with Children(size=2) as children:
        outcomes: list[str] = []

        async def hang() -> None:
            with pytest.raises(MediaError, match="Checking the video failed: the media process was killed"):
                await children.probe(endless)
            outcomes.append("failed")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            pid = await first_pid(children)
            assert (await children.probe(clip)).frames == 12
            os.kill(pid, signal.SIGKILL)

        assert outcomes == ["failed"]
        assert (await children.probe(clip)).frames == 12


async def test_a_crash_is_told_in_the_words_of_the_process(endless: Path) -> None:
    async with Children(size=1) as children, anyio.create_task_group() as tasks:

        async def hang() -> None:
            with pytest.raises(MediaError, match=r"crashed the decoder \(SIGSEGV\). Fatal Python error: Segmentation"):
                await children.probe(endless)

        tasks.start_soon(hang)
        pid = await first_pid(children)
        await anyio.sleep(0.5)  # until it has started and set up its last words
        os.kill(pid, signal.SIGSEGV)


async def test_an_operation_that_takes_too_long_is_stopped_with_its_child(clip: Path, endless: Path) -> None:
    async with Children(size=1) as children:
        await children.probe(clip)
        pid = next(iter(children.pids))
        with pytest.raises(MediaError, match=r"Checking the video took longer than 0.2 s and was stopped"):
            await children.run("probe", {"path": str(endless), "thorough": False}, timeout_s=0.2)

        assert not lives(pid)
        assert (await children.probe(clip)).frames == 12


async def test_cancelling_ends_the_child(endless: Path) -> None:
    async with Children(size=1) as children:
        pid = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(children.probe, endless)
            pid = await first_pid(children)
            tasks.cancel_scope.cancel()

        assert not lives(pid)


async def test_more_memory_than_allowed_costs_one_child(tmp_path: Path, clip: Path) -> None:
    big = clips.video(tmp_path / "big.mp4", width=4096, height=4096, frames=3, options={"preset": "ultrafast"})
    async with Children(size=1, memory_mb=300, limits=LimitSettings(input_megapixels=1)) as children:
        with pytest.raises(MediaError, match="needs more than the 300 MB allowed"):
            await children.spritesheet(big, tmp_path / "sheet.jpg")

        assert (await children.probe(clip)).frames == 12


async def test_a_broken_file_does_not_cost_the_child(tmp_path: Path, clip: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypisom" + bytes(1000))
    async with Children(size=1) as children:
        await children.probe(clip)
        before = children.pids
        with pytest.raises(MediaError):
            await children.probe(broken)

        assert children.pids == before


async def test_an_unknown_operation_is_an_error_and_not_a_hang() -> None:
    async with Children(size=1) as children:
        with pytest.raises(MediaError, match="nonsense failed: KeyError"):
            await children.run("nonsense", {}, timeout_s=10)


async def test_a_draft_is_rendered_and_tells_how_far_it_is(tmp_path: Path) -> None:
    seen: list[float] = []
    async with Children() as children:
        out = tmp_path / "draft.mp4"
        await children.animatic(
            out, prompt="a fox", size=Size(160, 90), seconds=1, seed=1, card_model="draft", on_progress=seen.append
        )

        probe = await children.probe(out)
    assert (probe.size, probe.frames) == (Size(160, 90), 24)
    assert seen == sorted(seen) and seen[0] >= 0 and seen[-1] <= 1


async def test_a_draft_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    async with Children() as children:
        with pytest.raises(MediaError, match="The draft cannot be made: 161x90: width and height must be even"):
            await children.animatic(tmp_path / "a.mp4", prompt="x", size=Size(161, 90), seconds=1, seed=1)


async def test_renders_do_not_hold_up_checks(clip: Path, tmp_path: Path) -> None:
    ended: list[str] = []
    async with Children(size=1, render_size=1) as children, anyio.create_task_group() as tasks:

        async def render() -> None:
            await children.animatic(tmp_path / "a.mp4", prompt="a fox", size=Size(640, 360), seconds=3, seed=1)
            ended.append("render")

        tasks.start_soon(render)
        await first_pid(children)
        await children.probe(clip)
        ended.append("check")

    assert ended == ["check", "render"]


PARENT = """
import sys, anyio
from pathlib import Path
from rushes.media.children import Children

async def main():
    async with Children(size=1) as children:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(children.probe, Path(sys.argv[1]))
            while not children.pids:
                await anyio.sleep(0.01)
            await anyio.sleep(0.5)
            print(*children.pids, flush=True)
            await anyio.sleep(60)

anyio.run(main)
"""


async def test_a_child_dies_with_its_parent_even_in_the_middle_of_work(endless: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(endless)]
    async with await anyio.open_process(command, stdout=subprocess.PIPE, stderr=None) as parent:
        assert parent.stdout
        pid = int(await parent.stdout.receive())
        assert lives(pid)

        parent.kill()
        await parent.wait()

    assert await gone(pid)


NO_HEAVY_IMPORTS = """
import json, sys, anyio
from datetime import UTC, datetime
from pathlib import Path
from rushes.config import Settings
from rushes.http import Http
from rushes.media.children import Children
from rushes.media.inputs import Inputs
from rushes.media.render import fit_video
from rushes.media.store import MediaStore
from rushes.media import child, download, frames, manifests, mp4, pictures, probe, provenance, reports, sniff
from rushes.media.certificates import identity, local_credentials
from rushes.video import Size

async def main(folder, clip, picture):
    settings = Settings(home=folder, database_url="", media_url=str(folder / "media"))
    http = Http(settings)
    async with Children() as children:
        store = MediaStore(settings.media_url)
        inputs = Inputs(store, children, http, settings.limits)
        await inputs.fitted(await inputs.add(picture), Size(32, 32))
        await children.probe(clip)
        await children.thumbnail(clip, folder / "t.webp")
        await children.spritesheet(clip, folder / "s.jpg")
        await fit_video(clip, folder / "fit.mp4", size=Size(64, 64))
        now = datetime.now(UTC)
        claim = provenance.Claim(video_id="v", title="t", provider="p", model="m", made_at=now, trained=True)
        credentials = local_credentials(folder, now)
        await children.sign(clip, claim, credentials, beside=folder / "v.c2pa")
        known = identity([credentials.certificate])
        assert (await children.provenance(clip, folder / "v.c2pa", known.roots, known.serials)).ours
    await http.aclose()

anyio.run(main, *map(Path, sys.argv[1:]))
print(json.dumps([name for name in ("av", "numpy", "PIL", "c2pa") if name in sys.modules]))
"""


def test_this_process_never_imports_a_decoder(tmp_path: Path, clip: Path) -> None:
    picture = clips.picture(tmp_path / "p.png")
    run = subprocess.run(
        [sys.executable, "-c", NO_HEAVY_IMPORTS, str(tmp_path), str(clip), str(picture)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(run.stdout) == []


async def test_a_child_gets_no_key_of_ours(clip: Path) -> None:
    environment = {**os.environ, "OPENAI_API_KEY": "sk-secret"}
    async with Children(environment=environment) as children:
        await children.probe(clip)
        pid = next(iter(children.pids))

        assert b"sk-secret" not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_a_child_works_under_limits(clip: Path) -> None:
    async with Children(memory_mb=2000) as children:
        await children.probe(clip)
        limits = Path(f"/proc/{next(iter(children.pids))}/limits").read_text()

    found = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert found["Max address space"] == str(2000 << 20)
    assert found["Max core file size"] == "0"
    assert found["Max open files"] == "64"
    assert int(found["Max cpu time"]) < 1000


async def test_closing_ends_all_children(clip: Path) -> None:
    children = Children()
    await children.probe(clip)
    pids = children.pids
    started = time.monotonic()
    await children.aclose()

    assert not any(lives(pid) for pid in pids)
    assert time.monotonic() - started < 2
