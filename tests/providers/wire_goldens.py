"""What every vendor is sent for the same table of requests, as text to be compared to the letter.

Read beside the vendor's own documentation. `python -m tests.providers.wire_goldens NAME` writes a vendor's file anew:
a change in it is to be read like a change of the code.
"""

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from rushes.errors import Unsupported
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model
from rushes.providers.prepare import Misfit, Prepared, prepare
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import TODAY, Inputs, opened
from rushes.testing.clips import clip, picture
from rushes.testing.server import Received
from rushes.testing.vendor_bench import VendorBench, benches
from rushes.video import MediaRef, Reference, Size, SourceKind, SourceVideo, VideoRequest

FOLDER = Path(__file__).parent / "goldens"
PUBLIC_URL = "https://rushes.example"
HEADERS = ("content-type",)
PROMPT = 'Zwei Katzen „spielen"\nam Fluß 🐈'


@dataclass(frozen=True)
class Case:
    """One request of the table. `needs` are the features without which a model has no such golden."""

    name: str
    wish: dict[str, Any]
    needs: tuple[Feature, ...] = ()
    everywhere: bool = False  # also for models of which not every kind of request is kept
    source: SourceKind | None = None
    by_file: bool = False
    public: bool = False  # with an address of ours that the vendor may post to


def pictures(folder: Path) -> tuple[Inputs, MediaRef, MediaRef, MediaRef]:
    inputs = Inputs(folder)
    first = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    last = inputs.add(picture(1280, 720, "JPEG"), "image/jpeg", 1280, 720)
    data = clip(320, 180, 4.0, fps=5)
    film = replace(inputs.add(data, "video/mp4", 320, 180), seconds=4.0)
    return inputs, first, last, film


def cases(first: MediaRef, last: MediaRef, film: MediaRef) -> Iterator[Case]:
    wide, tall = Size(1280, 720), Size(720, 1280)
    reference = Reference(media=last)
    yield Case("from a prompt, 4 s, 1280x720", {"size": wide, "seconds": 4}, everywhere=True)
    yield Case("from a prompt, 8 s, 720x1280", {"size": tall, "seconds": 8})
    yield Case("from a prompt, 12 s, 1792x1024", {"size": Size(1792, 1024), "seconds": 12})
    yield Case("from a prompt, nothing else said", {})
    yield Case("from a first frame", {"first_frame": first, "size": wide}, (Feature.FIRST_FRAME,), everywhere=True)
    ends = (Feature.FIRST_FRAME, Feature.LAST_FRAME)
    yield Case("from first to last frame", {"first_frame": first, "last_frame": last, "size": wide}, ends)
    yield Case("with references", {"references": (reference,), "size": wide}, (Feature.REFERENCES,))
    clips = (reference, Reference(media=film))
    yield Case("with a picture and a clip as references", {"references": clips, "size": wide}, (Feature.REFERENCES,))
    yield Case("silent", {"audio": False, "size": wide}, (Feature.AUDIO_SWITCH,))
    yield Case("with a seed", {"seed": 7, "size": wide}, (Feature.SEED,))
    yield Case("with a negative prompt", {"negative_prompt": "fog", "size": wide}, (Feature.NEGATIVE_PROMPT,))
    yield Case("with an address to call back", {"size": wide}, public=True)
    for kind in SourceKind:
        needs = (Feature(kind.value),)
        seconds = {"seconds": 4} if kind is SourceKind.EXTEND else {}
        yield Case(f"{kind} of a video of the account", seconds, needs, source=kind)
        yield Case(f"{kind} of a given clip", seconds, needs, source=kind, by_file=True)


async def written(bench: type[VendorBench]) -> str:
    """The goldens of one vendor."""
    parts = [f"What {bench.kind.title} is sent, by `python -m tests.providers.wire_goldens {bench.kind.name}`."]
    with tempfile.TemporaryDirectory() as folder:
        inputs, first, last, film = pictures(Path(folder))
        table = list(cases(first, last, film))
        for model in bench().models():
            whole = model.id.model in (bench.model, *bench.golden_models)
            for case in table:
                if (whole or case.everywhere) and all(need in model.features for need in case.needs):
                    sent = await _sent(bench, model, case, inputs, film, Path(folder))
                    parts.append(f"== {model.id.model}: {case.name}\n\n{sent}")
    return "\n\n".join(parts) + "\n"


async def _sent(
    bench: type[VendorBench], model: Model, case: Case, inputs: Inputs, film: MediaRef, folder: Path
) -> str:
    made = bench()
    fake = made.make_fake(job_s=0.0)
    with fake:
        async with opened(
            bench.kind,
            folder=folder,
            environment=made.environment(fake),
            inputs=inputs,
            public_url=PUBLIC_URL if case.public else None,
        ) as provider:
            try:
                asked = await _asked(provider, model, case, film)
                provider.check(asked)
            except Unsupported as error:
                return f"refused: {error}"
            seen = len(fake.requests)
            await provider.bring(asked)
            await provider.submit(asked, "key-1")
            told = [f"adjusted: {note.field} {note.asked} -> {note.given}" for note in asked.adjustments]
            calls = [_shown(each, fake.url, bench.golden_headers) for each in fake.requests[seen:]]
    return "\n\n".join([*told, *calls])


async def _asked(provider: Provider, model: Model, case: Case, film: MediaRef) -> Prepared:
    request = VideoRequest(prompt=PROMPT, model=model.id, **case.wish)
    if case.source is not None:
        if case.by_file:
            if case.source not in model.source_files:
                raise Unsupported("it takes no files of others")
            source = SourceVideo(kind=case.source, video_id="ours", size=film.size, seconds=4, media=film)
        else:
            # Long enough for every kind: made anew each time, for its id stands in what follows.
            seconds = next((each for each in model.seconds if each >= 4), model.seconds[-1])
            earlier = replace(request, size=model.default_size, seconds=seconds)
            first = prepare(earlier, model, misfit=Misfit.NEAREST, today=TODAY)
            remote: RemoteJob = await provider.submit(first, "key-0")
            source = SourceVideo(
                kind=case.source, video_id="ours", size=model.default_size, seconds=seconds, remote_id=remote.id
            )
        request = replace(request, source=source)
    return prepare(request, model, misfit=Misfit.NEAREST, today=TODAY)


def _shown(received: Received, origin: str, headers: tuple[str, ...]) -> str:
    names = [*HEADERS, *headers]
    lines = [f"{received.method} {received.raw_path}"]
    lines += [f"{name}: {received.headers[name]}" for name in names if name in received.headers]
    text = _body(received)
    whole = "\n".join(lines) + (f"\n\n{text}" if text else "")
    whole = re.sub(r"boundary=[\w-]+", "boundary=B", whole).replace(origin, "http://HOST")
    return re.sub(r"[0-9a-f]{8,}(?:-[0-9a-f]{4,})*", "ID", whole) if "sha256" not in whole else _without_ids(whole)


def _without_ids(text: str) -> str:
    """Ids of jobs are different each time; what stands for a picture is not."""
    return re.sub(r"(?<!sha256 )\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b", "ID", text)


def _body(received: Received) -> str:
    if not received.body:
        return ""
    if received.mime == "application/json":
        return json.dumps(_short(json.loads(received.body)), indent=2, ensure_ascii=False)
    if received.mime == "multipart/form-data":
        parts = [f"{part.name}: {part.filename or part.text}" for part in received.parts]
        return "\n".join(_short(part) for part in parts)
    return f"{len(received.body)} bytes, sha256 {hashlib.sha256(received.body).hexdigest()[:12]}"


def _short(value: Any) -> Any:
    """Pictures as what they are, and not as a thousand lines."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_short(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and len(value) > 500:
        head, _, rest = value.rpartition(",")
        return f"{head},<sha256 {hashlib.sha256(rest.encode()).hexdigest()[:12]}>".lstrip(",")
    return value


def path_of(bench: type[VendorBench]) -> Path:
    return FOLDER / f"{bench.kind.name}.txt"


if __name__ == "__main__":
    for each in benches():
        if each.kind.name in sys.argv[1:]:
            path_of(each).write_text(anyio.run(written, each), encoding="utf-8")
