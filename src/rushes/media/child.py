"""The process in which foreign bytes are decoded: `python -m rushes.media.child CONFIG`. `children.py` starts it.

One JSON object per line comes in (`op`, `args`, `timeout_s`), and lines go out: any number of `{"progress": 0.4}`,
then one `{"result": …}` or `{"error": …}`. It works on one thing at a time, under limits of memory and CPU, and ends
when it has been idle for a while or when its parent is gone, also in the middle of work.

Heavy libraries are imported inside the operation that needs them, so that a child is cheap to start.
"""

import dataclasses
import faulthandler
import json
import math
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from rushes.errors import MediaError, RushesError

MAX_OPEN_FILES = 64
IDLE_EXIT = 0  # how the parent knows that nothing was lost

Progress = Callable[[float], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """What the parent decides at the start. `memory_mb` bounds the address space."""

    memory_mb: int
    max_pixels: int
    idle_s: float
    nice: int


def main() -> None:
    config = Config(**json.loads(sys.argv[1]))
    faulthandler.enable()
    replies = _take_over_stdout()
    _limit(config)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while True:
        try:
            line = requests.get(timeout=config.idle_s)
        except queue.Empty:
            os._exit(IDLE_EXIT)
        _serve(json.loads(line), config, replies)


def _take_over_stdout() -> BinaryIO:
    """Keep the pipe for ourselves: a library that prints must not be able to forge a reply."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return replies


def _listen(requests: "queue.SimpleQueue[bytes]") -> None:
    """Pass on what the parent says. Its end is ours: nobody is left to read the answer."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(IDLE_EXIT)


def _limit(config: Config) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's timeout remains
        return
    memory = config.memory_mb << 20
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        if sys.platform != "darwin" or limit != resource.RLIMIT_AS:  # macOS refuses to limit the address space
            resource.setrlimit(limit, (value, value))
    if config.nice:
        os.nice(config.nice)


def _limit_cpu(timeout_s: float) -> None:
    """A backstop for when the parent cannot kill us: CPU time from now on, on all cores together."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = math.ceil(used.ru_utime + used.ru_stime + timeout_s * (os.cpu_count() or 1)) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if hard < 0 else min(allowed, hard), hard))


def _serve(request: dict[str, Any], config: Config, replies: BinaryIO) -> None:
    def send(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message).encode() + b"\n")

    _limit_cpu(request["timeout_s"])
    try:
        result = OPERATIONS[request["op"]](request["args"], config, lambda part: send({"progress": part}))
        send({"result": plain(result)})
    except RushesError as error:
        send({"error": {"code": error.code, "message": str(error)}})
    except MemoryError:
        send({"error": {"code": "memory", "message": f"it needs more than the {config.memory_mb} MB allowed"}})
    except Exception as error:
        traceback.print_exc()
        send({"error": {"code": "failed", "message": f"{type(error).__name__}: {error}"}})


def plain(result: Any) -> Any:
    """A dataclass, and what may be in one, as JSON."""
    if result is None:
        return {}
    return {
        name: str(value) if isinstance(value, Fraction) else value for name, value in dataclasses.asdict(result).items()
    }


# -- the operations ------------------------------------------------------------------------------------------


def _image(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.pictures import check

    return check(Path(args["path"]), config.max_pixels)


def _fit_image(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.pictures import fit
    from rushes.video import Size

    size = Size(args["width"], args["height"])
    return fit(Path(args["source"]), Path(args["out"]), size, config.max_pixels, pad=args["pad"])


def _last_frame(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.frames import make_last_frame
    from rushes.media.pictures import Picture

    size = make_last_frame(Path(args["video"]), Path(args["out"]))
    return Picture(mime="image/png", width=size.width, height=size.height)


def _probe(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.probe import measure

    return measure(Path(args["path"]), thorough=args["thorough"])


def _thumbnail(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.frames import make_thumbnail
    from rushes.media.pictures import Picture

    size = make_thumbnail(Path(args["video"]), Path(args["out"]))
    return Picture(mime="image/webp", width=size.width, height=size.height)


def _spritesheet(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.frames import make_spritesheet

    return make_spritesheet(Path(args["video"]), Path(args["out"]))


def _animatic(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.animatic import Board, Card, Reference, Source, Start, render_animatic

    board = dict(args["board"])
    for name in ("first_frame", "last_frame"):
        board[name] = Path(board[name]) if board[name] else None
    board["card"] = Card(model=board["card"]) if board["card"] else None
    if source := board["source"]:
        board["source"] = Source(start=Start(source["kind"]), path=Path(source["path"]))
    board["references"] = tuple(
        Reference(
            path=Path(each["path"]),
            clip=each["clip"],
            frame_index=each["frame_index"],
            crop=tuple(each["crop"]) if each["crop"] else None,
            label=each["label"],
        )
        for each in board["references"]
    )
    try:
        wanted = Board(**board)
    except ValueError as error:
        raise MediaError(f"The draft cannot be made: {error}.") from error
    render_animatic(wanted, Path(args["out"]), progress)


def _sign(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.manifests import Part, Signing, sign

    def path(value: str | None) -> Path | None:
        return Path(value) if value else None

    parts = [
        Part(about=each["about"], path=Path(each["path"]), mime=each["mime"], manifest=path(each["manifest"]))
        for each in args["parts"]
    ]
    sign(
        Signing(
            video=Path(args["video"]),
            inside=path(args["inside"]),
            beside=path(args["beside"]),
            definition=args["definition"],
            parts=parts,
            certificate=Path(args["certificate"]),
            key=Path(args["key"]),
            algorithm=args["algorithm"],
            timestamp_url=args["timestamp_url"],
        )
    )


def _provenance(args: dict[str, Any], config: Config, progress: Progress) -> Any:
    from rushes.media.manifests import read

    manifest = Path(args["manifest"]) if args["manifest"] else None
    return read(Path(args["path"]), manifest, args["roots"], frozenset(args["serials"]))


OPERATIONS: dict[str, Callable[[dict[str, Any], Config, Progress], Any]] = {
    "image": _image,
    "fit_image": _fit_image,
    "probe": _probe,
    "last_frame": _last_frame,
    "thumbnail": _thumbnail,
    "spritesheet": _spritesheet,
    "animatic": _animatic,
    "sign": _sign,
    "provenance": _provenance,
}


if __name__ == "__main__":
    main()
