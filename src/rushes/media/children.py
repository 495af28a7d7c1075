"""Media children: the pool of processes in which foreign bytes are decoded.

This process never imports av, numpy or Pillow. A file that crashes a decoder, hangs it or fills the memory costs one
child and one operation; ten thousand jobs that wait here do not notice. Renders have a lane of their own, so that a
minute of drawing does not hold up the check of a finished download. So has signing: one at a time, for the memory of
large files, and in a process that no decoder ever ran in, because it is the one that opens the key.
"""

import json
import logging
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rushes.config import LimitSettings
from rushes.errors import DecoderFailed, MediaError, StoreFull, Truncated
from rushes.media.certificates import Credentials
from rushes.media.child import IDLE_EXIT, Config
from rushes.media.frames import Sheet
from rushes.media.pictures import Picture
from rushes.media.probe import Probe
from rushes.media.provenance import Claim, definition, parts
from rushes.media.reports import Report
from rushes.video import Size, SourceKind

log = logging.getLogger(__name__)

T = TypeVar("T")
OnProgress = Callable[[float], None]

IMAGE_TIMEOUT_S = 30.0
PROBE_TIMEOUT_S = 120.0
FRAMES_TIMEOUT_S = 120.0
RENDER_TIMEOUT_S = 1800.0
PROVENANCE_TIMEOUT_S = 120.0
SIGN_TIMEOUT_S = 30.0
SIGN_BYTES_PER_S = 20_000_000  # a tenth of what was measured

MAX_LINE_BYTES = 1 << 20
LAST_WORDS_BYTES = 4096
BYTES_PER_PIXEL = 12  # the dearest case: a progressive JPEG keeps its coefficients beside the picture
KEPT_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT", "HOME")
"""All that a child inherits. It reads strangers' bytes, so it gets no key of ours."""

DOING = {
    "image": "Reading the picture",
    "fit_image": "Fitting the picture",
    "probe": "Checking the video",
    "last_frame": "Taking the last picture of the video",
    "thumbnail": "Making the thumbnail",
    "spritesheet": "Making the spritesheet",
    "animatic": "Rendering the draft",
    "sign": "Signing the video",
    "provenance": "Reading the manifest",
}
ERRORS: Mapping[str, type[MediaError]] = {e.code: e for e in (MediaError, Truncated, StoreFull)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSource:
    """The file of an earlier video that a draft starts from, and how."""

    kind: SourceKind
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftReference:
    """A picture, or the first one of a clip, that a draft shows.

    With a `frame_index` it is seen from that frame on, else in a small frame of its own, which bears the `label`.
    `crop` are left, top, right and bottom of the part that is meant, as shares of its size.
    """

    path: Path
    clip: bool = False
    frame_index: int | None = None
    crop: tuple[float, float, float, float] | None = None
    label: str | None = None


class _Trouble(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str
    message: str


class _Line(BaseModel):
    """One line from a child: exactly one of the three."""

    model_config = ConfigDict(extra="ignore")

    progress: float | None = None
    result: dict[str, Any] | None = None
    error: _Trouble | None = None


class _WentIdle(Exception):
    """The child had just left when it was asked. Nothing happened; another one is asked."""


class _Child:
    """One process and what is being said with it."""

    def __init__(self, process: anyio.abc.Process, stderr: IO[bytes]) -> None:
        assert process.stdin and process.stdout
        self.process = process
        self.served = 0
        self.idle_since = 0.0
        self._stderr = stderr
        self._stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def ask(self, request: Mapping[str, Any], on_progress: OnProgress | None) -> _Line:
        """Send a request and wait for its last line. Raises _WentIdle, or MediaError when the child dies."""
        heard = False
        self.served += 1
        try:
            await self._stdin.send(json.dumps(request).encode() + b"\n")
            while True:
                line = _Line.model_validate_json(await self._lines.receive_until(b"\n", MAX_LINE_BYTES))
                heard = True
                if line.progress is None:
                    return line
                if on_progress:
                    on_progress(line.progress)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            code = await self.process.wait()
            if code == IDLE_EXIT and not heard:
                raise _WentIdle from error
            raise DecoderFailed(f"{doing(request['op'])} failed: {self._how_it_died(code)}") from error
        except (ValidationError, anyio.DelimiterNotFound) as error:
            raise DecoderFailed(
                f"{doing(request['op'])} failed: the media process answered what cannot be read."
            ) from error

    async def end(self) -> None:
        """Kill it if it lives, and wait until it is gone."""
        with anyio.CancelScope(shield=True):
            if self.process.returncode is None:
                with suppress(ProcessLookupError):
                    self.process.kill()
            await self.process.aclose()
            self._stderr.close()

    def _how_it_died(self, code: int) -> str:
        words = self._last_words()
        if code >= 0:
            return f"the media process ended with code {code}. {words}".strip()
        name = signal.Signals(-code).name
        why = {
            "SIGXCPU": "it used more CPU time than allowed.",
            "SIGKILL": "the media process was killed, perhaps for want of memory.",
        }.get(name, f"the file crashed the decoder ({name}).")
        return f"{why} {words}".strip()

    def _last_words(self) -> str:
        """What the process said before it died: the line that names a fatal error, else the last one."""
        self._stderr.seek(max(0, self._stderr.seek(0, 2) - LAST_WORDS_BYTES))
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("Fatal")]
        return next(iter(fatal or lines[-1:]), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _LaneRules:
    size: int
    recycle_after: int
    config: Config


class _Lane:
    """Some children of one kind: at most `size` at work, the others wait their turn."""

    def __init__(self, rules: _LaneRules, environment: Mapping[str, str]) -> None:
        self._rules = rules
        self._environment = environment
        self._turns = anyio.Semaphore(rules.size)
        self._idle: list[_Child] = []
        self._alive: set[_Child] = set()

    async def call(self, request: Mapping[str, Any], timeout_s: float, on_progress: OnProgress | None) -> _Line:
        async with self._turns:
            while True:
                child = await self._take()
                try:
                    with anyio.fail_after(timeout_s):
                        line = await child.ask(request, on_progress)
                except _WentIdle:
                    await self._drop(child)
                    continue
                except TimeoutError as error:
                    await self._drop(child)
                    raise DecoderFailed(
                        f"{doing(request['op'])} took longer than {timeout_s:g} s and was stopped."
                    ) from error
                except BaseException:
                    await self._drop(child)
                    raise
                await self._give_back(child, healthy=line.error is None or line.error.code in ERRORS)
                return line

    @property
    def pids(self) -> frozenset[int]:
        return frozenset(child.process.pid for child in self._alive if child.process.returncode is None)

    async def aclose(self) -> None:
        self._idle.clear()
        for child in list(self._alive):
            await self._drop(child)

    async def _take(self) -> _Child:
        while self._idle:
            child = self._idle.pop()
            # one that is about to leave by itself is not asked any more
            rested_s = time.monotonic() - child.idle_since
            if child.process.returncode is None and rested_s < self._rules.config.idle_s * 0.9:
                return child
            await self._drop(child)
        return await self._start()

    async def _start(self) -> _Child:
        # a file, because a pipe would need a reader of its own; it lives as long as the child
        stderr = tempfile.TemporaryFile()  # noqa: SIM115
        started = time.monotonic()
        command = [sys.executable, "-P", "-m", "rushes.media.child", json.dumps(asdict(self._rules.config))]
        try:
            process = await anyio.open_process(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us to handle
            )
        except OSError as error:
            stderr.close()
            raise DecoderFailed(f"The media process cannot be started: {error.strerror}.") from error
        child = _Child(process, stderr)
        self._alive.add(child)
        log.debug("media.child_started", extra={"pid": process.pid, "took_s": round(time.monotonic() - started, 3)})
        return child

    async def _give_back(self, child: _Child, *, healthy: bool) -> None:
        if healthy and child.served < self._rules.recycle_after:
            child.idle_since = time.monotonic()
            self._idle.append(child)
        else:
            await self._drop(child)

    async def _drop(self, child: _Child) -> None:
        self._alive.discard(child)
        await child.end()


class Children:
    """All decoding of foreign bytes. Use as `async with Children() as children`, or call `aclose`.

    `size` bounds the readers at work at once, `render_size` the renders. A child is replaced after `recycle_after`
    operations and leaves by itself after `idle_s` without work.
    """

    def __init__(
        self,
        *,
        limits: LimitSettings | None = None,
        environment: Mapping[str, str] | None = None,
        size: int = 2,
        render_size: int = 2,
        recycle_after: int = 200,
        idle_s: float = 20.0,
        memory_mb: int = 1536,
        render_memory_mb: int = 4096,
    ) -> None:
        max_pixels = int((limits or LimitSettings()).input_megapixels * 1_000_000)
        memory_mb = max(memory_mb, 256 + max_pixels * BYTES_PER_PIXEL // 1_000_000)
        reading = Config(memory_mb=memory_mb, max_pixels=max_pixels, idle_s=idle_s, nice=0)
        rendering = Config(memory_mb=render_memory_mb, max_pixels=max_pixels, idle_s=idle_s, nice=5)
        child_environment = _child_environment(environment or {})
        self._readers = _Lane(_LaneRules(size=size, recycle_after=recycle_after, config=reading), child_environment)
        self._renderers = _Lane(
            _LaneRules(size=render_size, recycle_after=recycle_after, config=rendering), child_environment
        )
        self._signers = _Lane(_LaneRules(size=1, recycle_after=recycle_after, config=reading), child_environment)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all children, also those at work."""
        await self._readers.aclose()
        await self._renderers.aclose()
        await self._signers.aclose()

    @property
    def pids(self) -> frozenset[int]:
        """The processes that live, for measuring."""
        return self._readers.pids | self._renderers.pids | self._signers.pids

    async def run(
        self, op: str, args: Mapping[str, Any], *, timeout_s: float, on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        """One operation of `child.py`, by name. The time starts when it is this one's turn. Raises MediaError."""
        lane = {"animatic": self._renderers, "sign": self._signers}.get(op, self._readers)
        request = {"op": op, "args": dict(args), "timeout_s": timeout_s}
        line = await lane.call(request, timeout_s, on_progress)
        if line.error is not None:
            known = ERRORS.get(line.error.code)
            raise known(line.error.message) if known else MediaError(f"{doing(op)} failed: {line.error.message}.")
        return line.result or {}

    # -- the operations, with types ---------------------------------------------------------------------------------

    async def image(self, path: Path) -> Picture:
        """Decode a picture: PNG, JPEG or WebP, within the limits. Raises MediaError saying what it is instead."""
        result = await self.run("image", {"path": _text(path)}, timeout_s=IMAGE_TIMEOUT_S)
        return _parsed(Picture, result)

    async def fit_image(self, source: Path, out: Path, size: Size, *, pad: bool = False) -> Picture:
        """Scale a picture to a size, cut or padded, and write it as PNG; the same input gives the same bytes."""
        args = {"source": _text(source), "out": _text(out), "width": size.width, "height": size.height, "pad": pad}
        return _parsed(Picture, await self.run("fit_image", args, timeout_s=IMAGE_TIMEOUT_S))

    async def probe(self, path: Path, *, thorough: bool = False) -> Probe:
        """Measure a video and verify that it is whole and decodes. Raises Truncated or MediaError.

        `thorough` decodes every picture; ask for it when the download was resumed.
        """
        args = {"path": _text(path), "thorough": thorough}
        return _parsed(Probe, await self.run("probe", args, timeout_s=PROBE_TIMEOUT_S))

    async def thumbnail(self, video: Path, out: Path) -> Picture:
        """Write a WebP thumbnail of a video."""
        args = {"video": _text(video), "out": _text(out)}
        return _parsed(Picture, await self.run("thumbnail", args, timeout_s=FRAMES_TIMEOUT_S))

    async def last_frame(self, video: Path, out: Path) -> Picture:
        """Write the very last picture of a video as PNG. Raises MediaError."""
        args = {"video": _text(video), "out": _text(out)}
        return _parsed(Picture, await self.run("last_frame", args, timeout_s=PROBE_TIMEOUT_S))

    async def spritesheet(self, video: Path, out: Path) -> Sheet:
        """Write a JPEG spritesheet of a video."""
        args = {"video": _text(video), "out": _text(out)}
        return _parsed(Sheet, await self.run("spritesheet", args, timeout_s=FRAMES_TIMEOUT_S))

    async def animatic(
        self,
        out: Path,
        *,
        prompt: str,
        size: Size,
        seconds: int,
        seed: int,
        fps: int = 24,
        audio: bool = True,
        negative_prompt: str | None = None,
        first_frame: Path | None = None,
        last_frame: Path | None = None,
        card_model: str | None = None,
        source: DraftSource | None = None,
        references: Sequence[DraftReference] = (),
        timeout_s: float = RENDER_TIMEOUT_S,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Render a draft to `out`. `card_model` is the model named on its card; None: no card.

        With a `source` its frame rate and seed are kept, `seed` being counted on top; of an extension `seconds` are
        those that are added.
        """
        board = {
            "prompt": prompt,
            "width": size.width,
            "height": size.height,
            "seconds": seconds,
            "seed": seed,
            "fps": fps,
            "audio": audio,
            "negative_prompt": negative_prompt,
            "first_frame": _text(first_frame) if first_frame else None,
            "last_frame": _text(last_frame) if last_frame else None,
            "card": card_model,
            "source": {"kind": source.kind.value, "path": _text(source.path)} if source else None,
            "references": [{**asdict(each), "path": _text(each.path)} for each in references],
        }
        await self.run("animatic", {"board": board, "out": _text(out)}, timeout_s=timeout_s, on_progress=on_progress)

    async def sign(
        self,
        video: Path,
        claim: Claim,
        credentials: Credentials,
        *,
        inside: Path | None = None,
        beside: Path | None = None,
    ) -> None:
        """Sign what is claimed of a video: into `inside`, a copy that carries it, or into `beside`, a file of its own.

        Raises MediaError; then neither file is there.
        """
        args = {
            "video": _text(video),
            "inside": _text(inside) if inside else None,
            "beside": _text(beside) if beside else None,
            "definition": definition(claim),
            "parts": parts(claim),
            "certificate": _text(credentials.certificate),
            "key": _text(credentials.key),
            "algorithm": credentials.algorithm,
            "timestamp_url": credentials.timestamp_url,
        }
        files = [video, *(each.path for each in claim.ingredients if each.path)]
        size_bytes = sum(path.stat().st_size for path in files if path.is_file())
        await self.run("sign", args, timeout_s=SIGN_TIMEOUT_S + size_bytes / SIGN_BYTES_PER_S)

    async def provenance(self, path: Path, manifest: Path | None, roots: str, serials: frozenset[str]) -> Report:
        """What the manifest of a file says and whether it holds. `manifest` lies beside it; None: look inside.

        `roots` are the certificates to trust, in PEM; `serials` those of our own, to know our signatures again.
        """
        args = {
            "path": _text(path),
            "manifest": _text(manifest) if manifest else None,
            "roots": roots,
            "serials": sorted(serials),
        }
        return _parsed(Report, await self.run("provenance", args, timeout_s=PROVENANCE_TIMEOUT_S))


def doing(op: str) -> str:
    """How an operation is called in messages."""
    return DOING.get(op, op)


@cache
def _adapter(shape: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(shape)


def _parsed(shape: type[T], result: Mapping[str, Any]) -> T:
    """A child's answer is foreign too: what it decoded may have taken it over."""
    try:
        return _adapter(shape).validate_python(result)
    except ValidationError as error:
        raise DecoderFailed(f"The media process answered what cannot be read: {error.errors()[0]['msg']}.") from error


def _text(path: Path) -> str:
    return str(path.absolute())


def _child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environment[name] for name in KEPT_VARIABLES if name in environment}
    # numpy's own threads would reserve address space that the limit then lacks, and compete for the cores
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
