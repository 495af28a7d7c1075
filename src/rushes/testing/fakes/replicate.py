"""A fake of Replicate: the envelope of its predictions, and what each model takes as input.

Source: replicate.com `docs/reference/http` and the pages of the models, read 2026-11-20. What models without a known
price cost here is made up: nobody may come to know it.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.replicate.provider import Replicate
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

STARTS_AT = 0.8
"""Of a job's time: models are loaded first, and who cancels before that pays nothing."""
PRICES = {"720p": Decimal("0.02"), "1080p": Decimal("0.05")}  # of prunaai/p-video
UNTOLD = Decimal("0.11")
INLINE_MOST = 256 * 1024
SIDES = {"720p": 720, "1080p": 1080, "540p": 540, "480p": 480, "768p": 768, "768P": 768, "2K": 1440, "360p": 360}
MODES = {"standard": 720, "pro": 1080}


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a model."""

    kind: str  # string | integer | boolean | array
    words: tuple[str | int, ...] = ()
    least: int | None = None
    most: int | None = None

    def described(self) -> dict[str, Any]:
        """As OpenAPI has it, but for the words, which stand apart."""
        shown: dict[str, Any] = {"type": self.kind, "minimum": self.least, "maximum": self.most}
        return {name: value for name, value in shown.items() if value is not None}

    def takes(self, value: Any) -> bool:
        kinds: Mapping[str, type[Any]] = {"string": str, "integer": int, "boolean": bool, "array": list}
        if type(value) is not kinds[self.kind] or (self.words and value not in self.words):
            return False
        if not isinstance(value, int):
            return True
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


TEXT, NUMBER, SWITCH, LIST = Field("string"), Field("integer"), Field("boolean"), Field("array")
FEW = ("16:9", "9:16", "1:1")
SOME = (*FEW, "4:3", "3:4")
MANY = (*SOME, "21:9")
PICTURES = ("image", "last_frame_image", "start_image", "end_image", "first_frame_image")
LAST = {"last_frame_image": ("image", "first_frame_image"), "end_image": ("start_image",)}


def _words(*words: str | int) -> Field:
    return Field("string" if isinstance(words[0], str) else "integer", words)


def _span(least: int, most: int) -> Field:
    return Field("integer", (), least, most)


def _inputs(names: str, **fields: Field) -> Mapping[str, Field]:
    """`names` of plain texts, and the rest."""
    return {"prompt": TEXT, **dict.fromkeys(names.split(), TEXT), **fields}


SEEDANCE = _inputs(
    "image last_frame_image",
    reference_images=LIST,
    reference_videos=LIST,
    reference_audios=LIST,
    duration=_span(-1, 15),
    resolution=_words("480p", "720p", "1080p"),
    aspect_ratio=_words(*MANY, "adaptive"),
    generate_audio=SWITCH,
    seed=NUMBER,
)
KLING = _inputs(
    "start_image end_image multi_prompt",
    mode=_words(*MODES),
    aspect_ratio=_words(*FEW),
    duration=_span(3, 15),
    generate_audio=SWITCH,
)
VIDU = _inputs(
    "start_image end_image",
    duration=_span(1, 16),
    aspect_ratio=_words(*SOME),
    resolution=_words("540p", "720p", "1080p"),
    audio=SWITCH,
    seed=NUMBER,
)
MODELS: Mapping[str, Mapping[str, Field]] = {
    "prunaai/p-video": _inputs(
        "image last_frame_image audio",
        duration=_span(1, 20),
        aspect_ratio=_words(*SOME, "3:2", "2:3"),
        resolution=_words("720p", "1080p"),
        fps=_words(24, 48),
        draft=SWITCH,
        prompt_upsampling=SWITCH,
        save_audio=SWITCH,
        seed=NUMBER,
    ),
    "alibaba/wan-3": _inputs(
        "image negative_prompt",
        resolution=_words("480p", "720p", "1080p"),
        aspect_ratio=_words("adaptive", *SOME),
        duration=_span(2, 30),
        enable_prompt_expansion=SWITCH,
        seed=NUMBER,
    ),
    "bytedance/seedance-2.0": SEEDANCE,
    "bytedance/seedance-2.0-fast": {**SEEDANCE, "resolution": _words("480p", "720p")},
    "kwaivgi/kling-v3-video": {**KLING, "negative_prompt": TEXT},
    "kwaivgi/kling-v3-omni-video": {**KLING, "reference_images": LIST, "reference_video": TEXT},
    "minimax/h3": _inputs(
        "first_frame_image last_frame_image",
        duration=_span(4, 15),
        resolution=_words("768P", "2K"),
        aspect_ratio=_words(*MANY),
    ),
    "minimax/hailuo-2.3": _inputs(
        "first_frame_image",
        duration=_words(6, 10),
        resolution=_words("768p", "1080p"),
        prompt_optimizer=SWITCH,
    ),
    "alibaba/happyhorse-1.1": _inputs(
        "",
        images=LIST,
        resolution=_words("720p", "1080p"),
        aspect_ratio=_words(*SOME),
        duration=_span(3, 15),
        seed=NUMBER,
    ),
    "xai/grok-imagine-video-1.5": _inputs(
        "image",
        duration=_span(1, 15),
        aspect_ratio=_words("auto", *SOME, "3:2", "2:3"),
        resolution=_words("480p", "720p"),
    ),
    "vidu/q3-pro": VIDU,
    "vidu/q3-turbo": VIDU,
    "luma/ray-3.2": _inputs(
        "start_image end_image",
        aspect_ratio=_words(*MANY),
        resolution=_words("540p", "720p", "1080p"),
        duration=_words(5, 10),
        hdr=SWITCH,
        loop=SWITCH,
    ),
    "runwayml/gen-4.5": _inputs("image", aspect_ratio=_words(*MANY), duration=_words(5, 10), seed=NUMBER),
    "pixverse/pixverse-v6": _inputs(
        "image last_frame_image negative_prompt",
        quality=_words("360p", "540p", "720p", "1080p"),
        aspect_ratio=_words(*FEW),
        duration=_words(5, 8, 10, 15),
        seed=NUMBER,
        generate_audio_switch=SWITCH,
        generate_multi_clip_switch=SWITCH,
    ),
}
REQUIRED: Mapping[str, tuple[str, ...]] = {"xai/grok-imagine-video-1.5": ("prompt", "image")}
VERSIONS = {"5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa": "prunaai/p-video"}


class FakeReplicate(VendorFake):
    root = "/v1"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.page = 100
        self.begun: set[str] = set()  # jobs that were cancelled when they had begun

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["models", _, _, "predictions"] | ["predictions"]:
                return "create"
            case "GET", ["predictions"]:
                return "list"
            case "GET", ["predictions", _]:
                return "poll"
            case "POST", ["predictions", _, "cancel"]:
                return "cancel"
            case "POST", ["files"]:
                return "files"
            case "GET", ["models", _, _]:
                return "model"
            case _:
                return "download" if self.is_result(received) else None

    def remote_id_of(self, received: Received) -> str:
        steps = self.steps(received)
        return steps[1] if steps and len(steps) > 1 else super().remote_id_of(received)

    def new_id(self, ordered: Ordered) -> str:
        return secrets.token_hex(13)

    def error(self, status: int, words: str) -> Refused:
        return Refused(Answer.json({"title": "It was not carried out", "detail": words, "status": status}, status))

    def moderated(self) -> Refused:
        return self.error(422, "The prompt was flagged as sensitive (E005).")

    # -- creates -----------------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        steps = self.steps(received) or []
        known = {"input", "webhook", "webhook_events_filter", *(["version"] if len(steps) == 1 else [])}
        if unknown := sorted(body.keys() - known):
            raise self.error(422, f"Unknown field {unknown[0]}.")
        model = VERSIONS.get(body.get("version", ""), "") if len(steps) == 1 else "/".join(steps[1:3])
        fields = MODELS.get(model)
        if fields is None:
            raise self.error(404 if len(steps) > 1 else 422, "There is no such model or version.")
        if not body.get("webhook", "https://").startswith("https://"):
            raise self.error(422, "webhook: an https address.")
        if not {"start", "output", "logs", "completed"}.issuperset(body.get("webhook_events_filter", [])):
            raise self.error(422, "webhook_events_filter: unknown event.")
        given = body.get("input", {})
        self._check(model, fields, given)
        return self._ordered(model, given)

    def _check(self, model: str, fields: Mapping[str, Field], given: Mapping[str, Any]) -> None:
        for name in REQUIRED.get(model, ("prompt",)):
            if not given.get(name):
                raise self.error(422, f"input: {name} is required")
        for name, value in given.items():
            if name not in fields or not fields[name].takes(value):
                raise self.error(422, f"input.{name}: not an input, or not in range")
        pictures = [given[name] for name in PICTURES if name in given]
        for name in ("reference_images", "reference_videos", "images"):
            pictures += given.get(name, [])
        for link in pictures:
            self._check_link(link)
        for last, firsts in LAST.items():
            if last in given and not any(first in given for first in firsts):
                raise self.error(422, f"input.{last}: needs a first frame")
        references = bool(given.get("reference_images") or given.get("reference_videos"))
        frames = "image" in given
        bad_seedance = "seedance" in model and ((frames and references) or given.get("duration", 5) < 4)
        bad_luma = model == "luma/ray-3.2" and given.get("duration") == 10 and "start_image" in given
        bad_hailuo = model == "minimax/hailuo-2.3" and (given.get("duration"), given.get("resolution")) == (10, "1080p")
        if bad_seedance or bad_luma or bad_hailuo:
            raise self.error(422, "input: these do not go together")

    def _check_link(self, link: Any) -> None:
        ours = isinstance(link, str) and link.startswith(f"{self.base_url}/files/")
        if ours and link.rpartition("/")[2] not in self.uploads:
            raise self.error(422, "input: there is no such file")
        inline = isinstance(link, str) and link.startswith("data:") and len(link) <= INLINE_MOST
        if not (ours or inline or (isinstance(link, str) and link.startswith("https://"))):
            raise self.error(422, "input: a file is a link, or a data URI of 256 KB at most")

    def _ordered(self, model: str, given: Mapping[str, Any]) -> Ordered:
        seconds = given.get("duration", 5)
        word = given.get("resolution") or given.get("quality") or given.get("mode") or "720p"
        usd = PRICES[word] if model == "prunaai/p-video" else UNTOLD
        return Ordered(
            model=model,
            prompt=given["prompt"],
            seconds=seconds,
            size=_pixels(SIDES.get(word) or MODES[word], given.get("aspect_ratio", "16:9")),
            usd=usd * seconds,
            body=given,
        )

    # -- looks -------------------------------------------------------------------------------------------------------

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return self._shown(job, "starting", begun=False)

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        begun = seen.share >= STARTS_AT
        if seen.word is not None:
            return Answer.json(self._shown(job, seen.word, begun=begun))
        match seen.state:
            case State.QUEUED | State.RUNNING:
                logs = f"sampling: {round(seen.share * 100)}%|####" if begun else ""
                shown = self._shown(job, "processing" if begun else "starting", begun=begun, logs=logs)
            case State.MODERATED:
                shown = self._shown(job, "failed", begun=True, error="Flagged as sensitive (E005)")
            case State.FAILED:
                shown = self._shown(job, "failed", begun=True, error="CUDA out of memory")
            case State.CANCELLED:
                shown = self._shown(job, "canceled", begun=job.id in self.begun)
            case State.DONE:
                shown = self._shown(job, "succeeded", begun=True, output=seen.url, logs="sampling: 100%|####")
        return Answer.json(shown)

    def _shown(self, job: VendorJob, status: str, *, begun: bool, **more: Any) -> dict[str, Any]:
        created = _moment(job.created_at)
        ended = status in ("succeeded", "failed", "canceled")
        return {
            "id": job.id,
            "model": job.ordered.model,
            "version": "hidden",
            "input": dict(job.ordered.body),
            "output": None,
            "logs": "",
            "error": None,
            "status": status,
            "source": "api",
            "data_removed": False,
            "created_at": created,
            "started_at": created if begun else None,
            "completed_at": _moment(job.created_at + job.job_s) if ended else None,
            "urls": {"get": f"{self.base_url}/predictions/{job.id}"},
            **more,
        }

    # -- the rest ----------------------------------------------------------------------------------------------------

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "list":
                return self._list(received, fault)
            case "cancel":
                return self._cancel(self.job_of(received))
            case "files":
                return self._file(received)
            case "model":
                return self._model("/".join((self.steps(received) or [])[1:]))
            case _:
                raise self.no_route(received)

    def _list(self, received: Received, fault: Fault | None) -> Answer:
        jobs = list(reversed(self.jobs.values()))
        if fault is not None and fault.trouble is Trouble.LAG:
            jobs = [job for job in jobs if job.created_at < time.time() - float(fault.value)]
        start = int(received.query.get("cursor", 0))
        shown: list[dict[str, Any]] = [self._listed(job) for job in jobs[start : start + self.page]]
        if fault is not None and fault.trouble is Trouble.NO_PROMPTS:
            shown = [{**each, "input": {}, "data_removed": True} for each in shown]
        end = start + self.page
        following = f"{self.base_url}/predictions?cursor={end}" if end < len(jobs) else None
        return Answer.json({"next": following, "previous": None, "results": shown})

    def _listed(self, job: VendorJob) -> dict[str, Any]:
        url = self.url_of(job) if job.state is State.DONE else None
        return json.loads(self.look(job, Seen(state=job.state, share=job.share(), url=url)).body)

    def _cancel(self, job: VendorJob) -> Answer:
        if job.ended is None and not job.done:
            job.ended = State.CANCELLED
            if job.share() >= STARTS_AT:
                self.begun.add(job.id)
        return Answer.json(self._listed(job))

    def _file(self, received: Received) -> Answer:
        try:
            [part] = received.parts
        except ValueError:
            raise self.error(400, "One part, named content.") from None
        if part.name != "content" or not part.filename or part.mime is None:
            raise self.error(400, "One part, named content, with a file name and a type.")
        name = secrets.token_hex(12)
        self.uploads[name] = part.data
        urls = {"get": f"{self.base_url}/files/{name}"}
        return Answer.json(
            {"id": name, "name": part.filename, "urls": urls, "expires_at": _moment(time.time() + 86400)}
        )

    def _model(self, name: str) -> Answer:
        fields = MODELS.get(name)
        if fields is None:
            raise self.error(404, "There is no such model.")
        schemas: dict[str, Any] = {field: {"enum": list(each.words)} for field, each in fields.items() if each.words}
        properties = {
            field: {"allOf": [{"$ref": f"#/components/schemas/{field}"}]} if each.words else each.described()
            for field, each in fields.items()
        }
        shape = {"type": "object", "required": list(REQUIRED.get(name, ("prompt",))), "properties": properties}
        schema = {"components": {"schemas": {**schemas, "Input": shape}}}
        return Answer.json({"owner": name.partition("/")[0], "latest_version": {"openapi_schema": schema}})


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _pixels(short: int, ratio: str) -> tuple[int, int]:
    width, height = (int(side) for side in ratio.split(":"))
    longer = {480: 848, 768: 1366}.get(short, round(short * 16 / 9)) if width != height else short
    return (longer, short) if width >= height else (short, longer)


class ReplicateBench(VendorBench):
    kind = Replicate
    model = "prunaai/p-video"
    key_variable = "REPLICATE_API_TOKEN"
    fake_kind: ClassVar[type[VendorFake]] = FakeReplicate
    golden_models = ("bytedance/seedance-2.0",)
    misspelt_extra = ("inptu", "input")

    def make_fake(self, **options: Any) -> VendorFake:
        # Longer than elsewhere: a cancel has to arrive before a job begins to run.
        return super().make_fake(**{"job_s": 1.0, **options})


BENCH = ReplicateBench
