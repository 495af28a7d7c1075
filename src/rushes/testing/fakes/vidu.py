"""A fake of Vidu's API: what it refuses, what it charges, and how a task ends.

Source: platform.vidu.com/docs `text-to-video`, `image-to-video`, `reference-to-video`, `start-end-to-video`, `pricing`,
read 2026-11-20.
"""

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.vidu import Vidu
from rushes.testing.faults import Fault
from rushes.testing.given import bytes_of, nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

CREDITS: Mapping[str, Mapping[str, str]] = {
    "viduq3-pro": {"540p": "9", "720p": "20", "1080p": "24"},
    "viduq3-turbo": {"540p": "7", "720p": "12", "1080p": "13"},
    "viduq3-pro-fast": {"540p": "8", "720p": "16", "1080p": "20"},  # made up: nobody tells them
    "viduq3-mix": {"540p": "8", "720p": "16", "1080p": "20"},  # made up as well
}
USD = Decimal("0.005")
SIDES = {"540p": 540, "720p": 720, "1080p": 1080}
RATIOS = ("16:9", "9:16", "3:4", "4:3", "1:1")
PICTURES = {"text2video": (0,), "img2video": (1,), "start-end2video": (2,), "reference2video": range(1, 8)}
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "text2video": ("viduq3-pro", "viduq3-turbo"),
    "img2video": ("viduq3-pro", "viduq3-turbo", "viduq3-pro-fast"),
    "start-end2video": ("viduq3-pro", "viduq3-turbo"),
    "reference2video": ("viduq3-mix",),
}
FIELDS = (
    "model", "prompt", "duration", "resolution", "audio", "seed", "off_peak", "watermark", "payload", "callback_url",
)  # fmt: skip
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
WORDS = {
    State.QUEUED: "created",
    State.RUNNING: "processing",
    State.DONE: "success",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELLED: "failed",
}
CODES = {State.MODERATED: "CreationPolicyViolation", State.FAILED: "SystemError", State.CANCELLED: "Canceled"}


class FakeVidu(VendorFake):
    root = "/ent/v2"
    id_path = ("task_id",)
    scheme = "Token "

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", [operation] if operation in OPERATIONS:
                return "create"
            case "GET", ["tasks", _, "creations"]:
                return "poll"
            case "POST", ["tasks", _, "cancel"]:
                return "cancel"
            case "GET", ["credits"]:
                return "credits"
            case _:
                return "download" if self.is_result(received) else None

    def remote_id_of(self, received: Received) -> str:
        match self.steps(received):
            case ["tasks", remote_id, _]:
                return remote_id
            case _:
                return super().remote_id_of(received)

    def new_id(self, ordered: Ordered) -> str:
        return str(secrets.randbelow(9 * 10**17) + 10**17)

    def error(self, status: int, words: str, reason: str | None = None) -> Refused:
        reason = reason or REASONS.get(status, "InternalError" if status >= 500 else "FieldInvalid")
        return Refused(Answer.json({"code": status, "reason": reason, "message": words, "metadata": {}}, status))

    def moderated(self) -> Refused:
        return self.error(400, "The prompt was not let through.", "AuditSubmitIllegal")

    def read_order(self, received: Received) -> Ordered:
        operation, body = (self.steps(received) or [""])[0], self.body_of(received)
        shaped = operation in ("text2video", "reference2video")
        known = (*FIELDS, *(["aspect_ratio"] if shaped else []), *(["images"] if operation != "text2video" else []))
        if unknown := next((name for name in body if name not in known), None):
            raise self.error(400, f"Unknown field {unknown}.")
        model, prompt, pictures = body.get("model"), body.get("prompt"), body.get("images", [])
        if model not in OPERATIONS[operation] or not isinstance(prompt, str) or not 0 < len(prompt) <= 5000:
            raise self.error(400, f"{operation} has no model {model}, or no prompt of 1 to 5000 characters.")
        if len(pictures) not in PICTURES[operation]:
            raise self.error(400, f"{operation} does not take {len(pictures)} images.")
        try:
            shapes = [size_of(bytes_of(picture)) for picture in pictures]
        except ValueError as error:
            raise self.error(400, str(error)) from None  # a link would do as well, but none is ever sent
        seconds, resolution = body.get("duration", 5), body.get("resolution", "720p")
        ratio = body.get("aspect_ratio", "16:9")
        if type(seconds) is not int or not 1 <= seconds <= 16 or resolution not in SIDES or ratio not in RATIOS:
            raise self.error(400, "duration is 1 to 16, and resolution and aspect_ratio are words.")
        if any(type(body.get(name, False)) is not bool for name in ("audio", "off_peak", "watermark")):
            raise self.error(400, "audio, off_peak and watermark are booleans.")
        if not shaped:
            ratio = nearest_ratio(shapes[0], RATIOS)
        cost = Decimal(CREDITS[model][resolution]) * seconds / (2 if body.get("off_peak") else 1)
        return Ordered(
            model=model,
            prompt=prompt,
            seconds=seconds,
            size=_pixels(resolution, ratio),
            usd=cost * USD,
            audio=body.get("audio", True),
            key=body.get("payload"),
            body=body,
        )

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"task_id": job.id, "state": "created", "credits": _credits(job), "payload": job.ordered.key}

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "credits":
            return Answer.json({"remains": [{"type": "test", "credit_remain": 1000}]})
        job = self.job_of(received)
        if not job.ordered.body.get("off_peak") or job.state is not State.QUEUED:
            raise self.error(400, "Only an off-peak task that has not begun can be cancelled.")
        job.ended = State.CANCELLED
        return Answer.json({})

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        creations = [{"id": f"c{job.id}", "url": seen.url, "cover_url": f"{seen.url}.jpg"}] if seen.url else []
        return Answer.json(
            {
                "id": job.id,
                "state": seen.word or WORDS[seen.state],
                "err_code": CODES.get(seen.state, ""),
                "credits": _credits(job),
                "payload": job.ordered.key,
                "creations": creations,
            }
        )


def _credits(job: VendorJob) -> float:
    return float(job.ordered.usd / USD)


def _pixels(resolution: str, ratio: str) -> tuple[int, int]:
    width, height = (int(side) for side in ratio.split(":"))
    short = SIDES[resolution]
    longer = round(short * max(width, height) / min(width, height))
    return (longer, short) if width >= height else (short, longer)


class ViduBench(VendorBench):
    kind = Vidu
    model = "viduq3-turbo"
    key_variable = "VIDU_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeVidu
    golden_models = ("viduq3-mix", "viduq3-pro-off-peak")
    misspelt_extra = ("watermarks", "watermark")

    stops = False  # only off-peak jobs can be cancelled: `test_vidu.py` cancels both kinds


BENCH = ViduBench
