"""A fake of Ark's video API on BytePlus: what it refuses, what it charges by tokens, and how a task ends.

Source: docs.byteplus.com `ModelArk/1520757`, `1521309`, `1521720` and the price page, read 2026-11-20. What the list
looks like is a guess.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.ark import Ark
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
PIXELS: Mapping[str, tuple[str, ...]] = {
    "480p": ("864x496", "752x560", "640x640", "560x752", "496x864", "992x432"),
    "720p": ("1280x720", "1112x834", "960x960", "834x1112", "720x1280", "1470x630"),
    "1080p": ("1920x1080", "1664x1248", "1440x1440", "1248x1664", "1080x1920", "2206x946"),
    "4k": ("3840x2160", "", "", "", "2160x3840", ""),
}
PIXELS_25 = {**PIXELS, "480p": ("854x480", "", "", "", "480x854", "")}
A_MYSTERY = ("3.21", "1.23")
"""What a million tokens cost where no page tells it."""
FIELDS = (
    "model", "content", "resolution", "ratio", "duration", "generate_audio", "seed", "watermark", "callback_url",
    "execution_expires_after", "safety_identifier",
)  # fmt: skip
WORDS = {
    State.QUEUED: "queued",
    State.RUNNING: "running",
    State.DONE: "succeeded",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELLED: "cancelled",
}
FAILURES = {
    State.FAILED: {"code": "InternalServiceError", "message": "The generation failed."},
    State.MODERATED: {"code": "OutputVideoSensitiveContentDetected", "message": "The video may be sensitive."},
}
NAMES = {
    400: "InvalidParameter",
    401: "AuthenticationError",
    403: "AccessDenied",
    404: "ResourceNotFound",
    429: "RateLimitExceeded",
}


@dataclass(frozen=True)
class Rules:
    """What a model takes, and what a million tokens of it cost: without a video, and with one."""

    longest: int
    million: Mapping[str, tuple[str, str]]
    most_pictures: int = 9
    sourced: bool = True
    old: bool = False
    newest: bool = False

    @property
    def pixels(self) -> Mapping[str, tuple[str, ...]]:
        return PIXELS_25 if self.newest else PIXELS


SEVEN = ("7.00", "4.30")
FAST = ("5.60", "3.30")
NEWEST = ("10.70", "6.40")
MODELS: Mapping[str, Rules] = {
    "dreamina-seedance-2-5-260628": Rules(30, {"480p": NEWEST, "720p": NEWEST, "1080p": NEWEST}, 30, newest=True),
    "dreamina-seedance-2-0-260128": Rules(
        15, {"480p": SEVEN, "720p": SEVEN, "1080p": ("7.70", "4.70"), "4k": ("4.00", "2.40")}
    ),
    "dreamina-seedance-2-0-fast-260128": Rules(15, {"480p": FAST, "720p": FAST}),
    "dreamina-seedance-2-0-mini": Rules(15, {"480p": A_MYSTERY, "720p": A_MYSTERY}),
    "seedance-1-5-pro-251215": Rules(
        12, dict.fromkeys(("480p", "720p", "1080p"), A_MYSTERY), 0, sourced=False, old=True
    ),
}


class FakeArk(VendorFake):
    root = "/api/v3"
    names: Mapping[str, str] = {}
    """Other names of its models, as the twin on the mainland has them; then it knows no others."""

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["contents", "generations", "tasks"]:
                return "create"
            case "GET", ["contents", "generations", "tasks"]:
                return "list"
            case "GET", ["contents", "generations", "tasks", _]:
                return "poll"
            case "DELETE", ["contents", "generations", "tasks", _]:
                return "delete"
            case _:
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return f"cgt-{time.strftime('%Y%m%d%H%M%S')}-{secrets.token_hex(4)}"

    def error(self, status: int, words: str) -> Refused:
        error = {"code": NAMES.get(status, "InternalServiceError"), "message": words, "param": "", "type": "Error"}
        return Refused(Answer.json({"error": error}, status))

    def moderated(self) -> Refused:
        code = "InputTextSensitiveContentDetected"
        return Refused(Answer.json({"error": {"code": code, "message": "The text may be sensitive."}}, 400))

    # -- creates -----------------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        name = body.get("model", "")
        rules = MODELS.get(self.names.get(name, "") if self.names else name)
        if rules is None:
            raise self.error(404, f"The model {name} does not exist.")
        known = (*FIELDS, *(["camera_fixed"] * rules.old))
        if unknown := next((field for field in body if field not in known), None):
            raise self.error(400, f"Unknown field {unknown}.")
        text, with_video = self._read_content(body.get("content", []), rules)
        seconds, resolution = body.get("duration", -1), body.get("resolution", "720p")
        if type(seconds) is not int or not 4 <= seconds <= rules.longest:
            raise self.error(400, f"duration is 4 to {rules.longest} here; -1 is not for callers who mind the price.")
        if resolution not in rules.million or body.get("ratio", "adaptive") not in RATIOS:
            raise self.error(400, "This resolution or ratio is not offered.")
        if type(body.get("generate_audio")) is not bool or not 0 <= body.get("seed", 0) < 2**32:
            raise self.error(400, "generate_audio is a boolean, seed at most 2^32-1.")
        pixels = rules.pixels[resolution][RATIOS.index(body["ratio"])]
        if not pixels:
            raise self.error(400, "There are no pixels for this shape.")
        width, height = map(int, pixels.split("x"))
        million = Decimal(rules.million[resolution][with_video])
        usd = tokens(width, height, seconds) * million / 1_000_000
        return Ordered(model=name, prompt=text, seconds=seconds, size=(width, height), usd=usd, body=body)

    def _read_content(self, content: list[dict[str, Any]], rules: Rules) -> tuple[str, bool]:
        """The text, and whether a video goes along."""
        texts: list[str] = []
        roles: list[str] = []
        for part in content:
            match part:
                case {"type": "text", "text": str(text), **rest} if text and not rest:
                    texts.append(text)
                case {"type": "image_url", "image_url": {"url": str(url)}, "role": role}:
                    if role not in ("first_frame", "last_frame", "reference_image") or not url.startswith(
                        "data:image/"
                    ):
                        raise self.error(400, "A picture has a role, and is a data URI here.")
                    roles.append(role)
                case {"type": "video_url", "video_url": {"url": str(url)}, "role": "reference_video"}:
                    roles.append("reference_video")
                    if not rules.sourced or url.rpartition("/")[2].removesuffix(".mp4") not in self.jobs:
                        raise self.error(400, "The video cannot be fetched.")
                case _:
                    raise self.error(400, "This is no part of a content.")
        frames = {"first_frame", "last_frame"} & set(roles)
        if len(texts) != 1 or (frames and frames != set(roles)) or frames == {"last_frame"}:
            raise self.error(400, "One text is wanted, and frames or references.")
        if roles.count("reference_image") > rules.most_pictures:
            raise self.error(400, f"At most {rules.most_pictures} pictures are taken.")
        return texts[0], "reference_video" in roles

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"id": job.id}

    # -- looks and the rest ------------------------------------------------------------------------------------------

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        return Answer.json(self._task(job, seen))

    def _task(self, job: VendorJob, seen: Seen) -> dict[str, Any]:
        ordered = job.ordered
        task: dict[str, Any] = {"id": job.id, "model": ordered.model, "status": seen.word or WORDS[seen.state]}
        task |= {"created_at": int(job.created_at), "updated_at": int(time.time())}
        if seen.word is not None:
            return task
        if seen.state is State.DONE:
            took = int(tokens(*ordered.size, ordered.seconds))
            told = {name: ordered.body[name] for name in ("resolution", "ratio", "duration")}
            task |= {"content": {"video_url": seen.url} if seen.url else {}, "usage": {"completion_tokens": took}}
            task |= {**told, "seed": ordered.body.get("seed", 8), "framespersecond": 24}
        elif seen.state in FAILURES:
            task["error"] = FAILURES[seen.state]
        return task

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "list":
            return self._list(received.query, fault)
        if operation == "delete":
            return self._delete(self.job_of(received))
        raise self.no_route(received)

    def _list(self, query: Mapping[str, str], fault: Fault | None) -> Answer:
        lag_s = float(fault.value) if fault is not None and fault.trouble is Trouble.LAG else 0.0
        jobs = [job for job in reversed(self.jobs.values()) if time.time() - job.created_at >= lag_s]
        size = int(query["page_size"])
        start = (int(query["page_num"]) - 1) * size
        page = [self._task(job, Seen(state=job.state, share=job.share())) for job in jobs[start : start + size]]
        return Answer.json({"items": page, "total": len(jobs)})

    def _delete(self, job: VendorJob) -> Answer:
        """Cancels what is queued, forgets what has ended, and will not hear of what runs."""
        if job.state is State.RUNNING:
            raise self.error(409, "The task is running.")
        if job.state is State.QUEUED:
            job.ended = State.CANCELLED
        else:
            del self.jobs[job.id]
        return Answer.json({})


def tokens(width: int, height: int, seconds: int) -> Decimal:
    return Decimal(width * height * 24 * seconds) / 1024


class ArkBench(VendorBench):
    kind = Ark
    model = "dreamina-seedance-2-0-260128"
    key_variable = "ARK_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeArk
    golden_models = ("seedance-1-5-pro-251215",)
    misspelt_extra = ("watermrk", "watermark")
    tells_prompts = False

    def make_fake(self, **options: Any) -> VendorFake:
        # Only what is queued can be cancelled, and that has to last until it is asked for.
        return super().make_fake(**{"job_s": 2.0, **options})


BENCH = ArkBench
