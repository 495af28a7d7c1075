"""A fake of LTX's API of version 2: what it refuses, what it charges, and how a job ends.

Source: docs.ltx.video (models, input formats, API reference) and the price page, read 2026-11-20.
"""

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.ltx import LTX
from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

FULL_HD = ("1920x1080", "1080x1920")
PRICES: Mapping[str, Mapping[str, str]] = {
    "ltx-2-3-fast": {"1080": "0.04", "1440": "0.08", "2160": "0.16"},
    "ltx-2-3-pro": {"1080": "0.06", "1440": "0.12", "2160": "0.24"},
}
RESOLUTIONS = (*FULL_HD, "2560x1440", "1440x2560", "3840x2160", "2160x3840")
MOTIONS = ("dolly_in", "dolly_out", "dolly_left", "dolly_right", "jib_up", "jib_down", "static", "focus_shift")
TEXTUAL = ("model", "prompt", "duration", "resolution", "fps", "generate_audio", "camera_motion", "enhance_prompt")
PICTORIAL = (*TEXTUAL, "image_uri", "last_frame_uri")
INLINE_MOST = 7_000_000
PROMPT_MOST = 10_000
TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_funds_error",
    429: "rate_limit_error",
    500: "api_error",
}


class FakeLTX(VendorFake):
    keyless: ClassVar[frozenset[str]] = frozenset({"download", "put"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.put_refused = False

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["v2", "text-to-video" | "image-to-video"]:
                return "create"
            case "GET", ["v2", "text-to-video" | "image-to-video", _]:
                return "poll"
            case "POST", ["v1", "upload"]:
                return "upload"
            case "PUT", ["storage", _]:
                return "put"
            case _:
                return "download" if self.is_result(received) else None

    def error(self, status: int, words: str) -> Refused:
        error = {"type": TYPES.get(status, "invalid_request_error"), "message": words}
        return Refused(Answer.json({"type": "error", "error": error}, status))

    def moderated(self) -> Refused:
        error = {"type": "content_filtered_error", "message": "This was held back by the safety filter."}
        return Refused(Answer.json({"type": "error", "error": error}, 422))

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        pictorial = (self.steps(received) or [""])[-1] == "image-to-video"
        if unknown := next((name for name in body if name not in (PICTORIAL if pictorial else TEXTUAL)), None):
            raise self.error(400, f"Unknown field {unknown}.")
        prices = PRICES.get(body.get("model", ""))
        prompt = body.get("prompt", "")
        if prices is None or not 0 < len(prompt) <= PROMPT_MOST:
            raise self.error(400, "There is no such model, or no prompt, or one that is too long.")
        self._check_frames(body, pictorial)
        seconds, resolution = body.get("duration"), body.get("resolution")
        self._check_length(body, seconds, resolution)
        if type(body.get("generate_audio", True)) is not bool or type(body.get("enhance_prompt", True)) is not bool:
            raise self.error(400, "generate_audio and enhance_prompt are true or false.")
        if body.get("camera_motion", "static") not in MOTIONS:
            raise self.error(400, "There is no such camera_motion.")
        width, height = (int(side) for side in str(resolution).split("x"))
        usd = Decimal(prices[str(min(width, height))]) * int(seconds or 0)
        return Ordered(
            model=body["model"], prompt=prompt, seconds=int(seconds or 0), size=(width, height), usd=usd, body=body
        )

    def _check_length(self, body: Mapping[str, Any], seconds: Any, resolution: Any) -> None:
        fps = body.get("fps", 24)
        long = body["model"] == "ltx-2-3-fast" and resolution in FULL_HD and fps in (24, 25)
        if resolution not in RESOLUTIONS or fps not in (24, 25, 48, 50):
            raise self.error(400, "This resolution or fps is not offered.")
        if type(seconds) is not int or seconds not in (range(6, 21, 2) if long else (6, 8, 10)):
            raise self.error(400, "This duration is not offered with this model, resolution and fps.")

    def _check_frames(self, body: Mapping[str, Any], pictorial: bool) -> None:
        if pictorial and "image_uri" not in body:
            raise self.error(400, "image_uri is required.")
        for name in ("image_uri", "last_frame_uri"):
            uri = body.get(name, "https://")
            inline = uri.startswith("data:image/") and len(uri) <= INLINE_MOST
            stored = uri.startswith("storage://") and uri.rpartition("/")[2] in self.uploads
            if not (inline or stored or uri.startswith("https://")):
                raise self.error(400, f"{name}: no such file, or one that is too large.")

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        answer = super().answer(received, operation, fault)
        return Answer(202, answer.body, answer.headers) if operation == "create" else answer

    def job_of(self, received: Received) -> VendorJob:
        """A job is found under its own operation alone."""
        job = super().job_of(received)
        pictorial = "image_uri" in job.ordered.body
        if (self.steps(received) or [""])[-2] != ("image-to-video" if pictorial else "text-to-video"):
            raise self.unknown(job.id)
        return job

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "upload":
            name = secrets.token_hex(8)
            self.uploads[name] = b""
            return Answer.json(
                {
                    "upload_url": f"{self.url}/storage/{name}",
                    "storage_uri": f"storage://uploads/{name}",
                    "required_headers": {"x-ltx-part": "whole"},
                }
            )
        if operation == "put" and not self.put_refused and received.headers.get("x-ltx-part") == "whole":
            self.uploads[self.remote_id_of(received)] = received.body
            return Answer(200)
        raise self.error(403, "This file is not taken.")

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"id": job.id, "created_at": job.created_at}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        shown: dict[str, Any] = {"id": job.id, "created_at": job.created_at}
        if seen.word is not None:
            return Answer.json({**shown, "status": seen.word})
        match seen.state:
            case State.QUEUED:
                return Answer.json({**shown, "status": "pending"})
            case State.RUNNING:
                return Answer.json({**shown, "status": "processing"})
            case State.MODERATED:
                error = {"type": "content_filtered_error", "message": "This was held back."}
                return Answer.json({**shown, "status": "failed", "error": error})
            case State.FAILED | State.CANCELLED:
                error = {"type": "api_error", "message": "The generation failed."}
                return Answer.json({**shown, "status": "failed", "error": error})
            case State.DONE:
                return Answer.json({**shown, "status": "completed", "result": {"video_url": seen.url}})


class LTXBench(VendorBench):
    kind = LTX
    model = "ltx-2-3-fast"
    key_variable = "LTX_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeLTX
    golden_models = ("ltx-2-3-pro",)
    misspelt_extra = ("camera_moton", "camera_motion")


BENCH = LTXBench
