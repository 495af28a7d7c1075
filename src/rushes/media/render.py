"""ffmpeg as a process: for filter graphs and encoding, where PyAV has no encoder or filter.

One runner, with the same fences for everybody: argument lists only, files and pipes only, limits of time, CPU and
memory, and the whole process group killed when it takes too long or nobody waits any more. The executable comes with
the imageio-ffmpeg wheel, so that no system package is needed.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from rushes.errors import MediaError
from rushes.media.disk import FULL, beside, disk_error, make_folder
from rushes.media.probe import CONTAINERS, Probe
from rushes.video import Size

FENCES = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")
PROTOCOLS = ("-protocol_whitelist", "file,pipe")
FIT_TIMEOUT_S = 1800.0
MEMORY_MB = 8192  # address space: x264 reserves much more than it uses
ENCODED = (
    *("-c:v", "libx264", "-preset", "fast", "-crf", "17", "-pix_fmt", "yuv420p"),
    *("-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart"),
)
"""How whatever is cut or joined here is written: as H.264 with AAC, and hardly the worse for it."""
LAST_WORDS_BYTES = 8192
LAST_LINES = 6


def find_ffmpeg(environment: Mapping[str, str] | None = None) -> str:
    """The executable: FFMPEG_BINARY, IMAGEIO_FFMPEG_EXE, the one in the wheel, PATH. Raises MediaError."""
    environment = environment or {}
    for name in ("FFMPEG_BINARY", "IMAGEIO_FFMPEG_EXE"):
        if chosen := environment.get(name):
            found = shutil.which(chosen)
            if found is None:
                raise MediaError(f"{name} names {chosen}, which cannot be run. Correct it or remove it.")
            return found
    from imageio_ffmpeg import get_ffmpeg_exe  # pyright: ignore[reportMissingTypeStubs]

    try:
        return get_ffmpeg_exe()
    except RuntimeError:
        pass
    if found := shutil.which("ffmpeg", path=environment.get("PATH")):
        return found
    raise MediaError("There is no ffmpeg. Install the wheel again (pip install imageio-ffmpeg), or set FFMPEG_BINARY.")


def fenced(args: Sequence[str]) -> list[str]:
    """Arguments with the fences put in. The protocol list belongs to each input, so it goes before every -i. Pure."""
    result: list[str] = [*FENCES]
    for arg in args:
        if arg == "-i":
            result += PROTOCOLS
        result.append(arg)
    return result


async def ffmpeg(
    args: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    executable: str | None = None,
    memory_mb: int = MEMORY_MB,
) -> None:
    """Run ffmpeg to its end. Raises MediaError with its own last words; StoreFull when the disk is.

    `args` are inputs, options and outputs; the fences are put in here. Name files by absolute paths, or relative to
    `cwd`.
    """
    # in a thread: on first use the executable in the wheel is tried out
    executable = executable or await anyio.to_thread.run_sync(find_ffmpeg)
    command = [executable, *fenced(args)]
    try:
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise MediaError(f"ffmpeg cannot be started ({command[0]}): {error.strerror}.") from error
    said = bytearray()
    try:
        _limit(process.pid, timeout_s, memory_mb)
        with anyio.fail_after(timeout_s):
            assert process.stderr
            async for data in process.stderr:
                said += data
                del said[:-LAST_WORDS_BYTES]
            code = await process.wait()
    except TimeoutError as error:
        raise MediaError(f"ffmpeg took longer than {timeout_s:g} s and was stopped.") from error
    finally:
        await _end(process)
    if code != 0:
        raise failure_of(code, said.decode("utf-8", "replace"))


async def fit_video(
    source: Path,
    out: Path,
    *,
    size: Size | None = None,
    seconds: int | None = None,
    pad: bool = False,
    executable: str | None = None,
    timeout_s: float = FIT_TIMEOUT_S,
) -> None:
    """Scale to `size` and cut the middle, or `pad` it with black; cut the end at `seconds`. H.264 with AAC, sound kept.

    `out` appears whole or not at all. Sizes must be even: H.264 in 4:2:0 has no others.
    """
    if size and (size.width % 2 or size.height % 2):
        raise MediaError(f"A video of {size} cannot be made: width and height must be even.")
    make_folder(out.parent)
    temporary = beside(out)
    containers = ("-format_whitelist", CONTAINERS)  # a playlist would open what a stranger wrote into it
    args = [
        *containers,
        "-i",
        str(source.absolute()),
        *fit_options(size, seconds, pad=pad),
        "-f",
        "mp4",
        str(temporary.absolute()),
    ]
    try:
        await ffmpeg(args, timeout_s=timeout_s, executable=executable)
        temporary.replace(out)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        temporary.unlink(missing_ok=True)


async def join_videos(
    first: tuple[Path, Probe],
    second: tuple[Path, Probe],
    out: Path,
    *,
    executable: str | None = None,
    timeout_s: float = FIT_TIMEOUT_S,
) -> None:
    """Two videos as one, in the size, frame rate and sound of the first; what stands over of the second is cut.

    `out` appears whole or not at all.
    """
    make_folder(out.parent)
    temporary = beside(out)
    inputs = [
        arg for path, _ in (first, second) for arg in ("-format_whitelist", CONTAINERS, "-i", str(path.absolute()))
    ]
    try:
        await ffmpeg(
            [*inputs, *join_options(first[1], second[1]), "-f", "mp4", str(temporary.absolute())],
            timeout_s=timeout_s,
            executable=executable,
        )
        temporary.replace(out)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        temporary.unlink(missing_ok=True)


def join_options(first: Probe, second: Probe) -> list[str]:
    """What is done to put the second behind the first. Silence stands in where one of them has no sound. Pure."""
    width, height = (side // 2 * 2 for side in first.size)
    cover = f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=lanczos,crop={width}:{height}"
    picture = f"scale=trunc(iw*sar/2)*2:ih,{cover},setsar=1,fps={first.fps},format=yuv420p"
    sound = "aresample=48000,aformat=sample_fmts=fltp:channel_layouts=stereo"
    with_sound = first.has_audio or second.has_audio
    parts: list[str] = []
    for n, probe in enumerate((first, second)):
        parts.append(f"[{n}:v:0]{picture}[v{n}]")
        if with_sound:
            length = f"apad,atrim=duration={probe.seconds:.3f},asetpts=N/SR/TB"
            source = f"[{n}:a:0]{sound}" if probe.has_audio else "anullsrc=r=48000:cl=stereo"
            parts.append(f"{source},{length}[a{n}]")
    streams = "[v0][a0][v1][a1]" if with_sound else "[v0][v1]"
    ends = "[v][a]" if with_sound else "[v]"
    parts.append(f"{streams}concat=n=2:v=1:a={int(with_sound)}{ends}")
    maps = ["-map", "[v]", *(["-map", "[a]"] if with_sound else [])]
    return ["-filter_complex", ";".join(parts), *maps, *ENCODED]


def fit_options(size: Size | None, seconds: int | None, *, pad: bool = False) -> list[str]:
    """What is done to the picture and the sound. Pure."""
    options = ["-map", "0:v:0", "-map", "0:a:0?"]
    if size:
        # pixels are made square first, then the picture covers the frame and what stands over is cut, or lies inside it
        scaled = f"scale={size.width}:{size.height}:flags=lanczos:force_original_aspect_ratio"
        shaped = (
            f"{scaled}=decrease,pad={size.width}:{size.height}:-1:-1"
            if pad
            else f"{scaled}=increase,crop={size.width}:{size.height}"
        )
        options += ["-vf", f"scale=trunc(iw*sar/2)*2:ih,{shaped},setsar=1"]
    if seconds is not None:
        options += ["-t", str(seconds)]
    return [*options, *ENCODED]


def _limit(pid: int, timeout_s: float, memory_mb: int) -> None:
    """Set limits on the running process: code between fork and exec is not safe in a program with threads."""
    if sys.platform != "linux":
        return
    import resource

    memory, cpu_s = memory_mb << 20, int(timeout_s * (os.cpu_count() or 1)) + 1
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


async def _end(process: anyio.abc.Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                if sys.platform == "win32":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        await process.aclose()


def failure_of(code: int, said: str) -> MediaError:
    """ffmpeg's last lines are the most exact thing that anybody can say about it. Pure."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = " | ".join(lines[-LAST_LINES:])
    if full := next((number for number in FULL if os.strerror(number) in said), None):
        return disk_error(OSError(full, os.strerror(full)), Path("the output of ffmpeg"))
    end = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
    return MediaError(f"ffmpeg ended {end}: {words or 'it said nothing'}")
