"""TensorRT-LLM's `trtllm-serve`: 202 on create, 422 on unknown fields, errors as sentences, a list without pages."""

import base64
import json
import re
import secrets
from typing import Any, cast

from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.servers.base import (
    FakeJobServer,
    Job,
    Order,
    form_of,
    is_picture,
    names,
    object_of,
    pydantic_detail,
)

FIELDS = names(
    "prompt model seconds size fps frame_rate num_frames seed negative_prompt num_inference_steps guidance_scale "
    "extra_params input_reference image_reference video_reference audio_reference response_format"
)
NUMBERS = ("seconds", "fps", "frame_rate", "num_frames", "seed", "num_inference_steps", "guidance_scale")


class FakeTensorrtLlm(FakeJobServer):
    create_status = 202

    def __init__(self, *, older: bool = False, avi: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.older = older  # a build without the words between queued and completed
        self.avi = avi

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"detail": words}

    def new_id(self, order: Order) -> str:
        return f"video_{secrets.token_hex(16)}"

    def read_create(self, received: Received) -> Order:
        form = form_of(received)
        said: dict[str, Any] = dict(form[0]) if form else object_of(received) or {}
        if unknown := next((name for name in said if name not in FIELDS), None):
            words = "Extra inputs are not permitted"
            raise Refused(Answer.json(pydantic_detail(unknown, "extra_forbidden", words), 422))
        if not said.get("prompt"):
            raise Refused(Answer.json(pydantic_detail("prompt", "missing", "Field required"), 422))
        for name in NUMBERS:
            if name in said and (isinstance(said[name], bool) or not _is_number(said[name], form is not None)):
                raise Refused(Answer.json(pydantic_detail(name, "float_type", "Input should be a valid number"), 422))
        seconds = float(said.get("seconds", 4))
        if not 0 < seconds <= 60:
            raise Refused(Answer.json(pydantic_detail("seconds", "less_than_equal", "at most 60"), 422))
        size = said.get("size", "auto")
        if not re.fullmatch(r"\d+x\d+|auto", size):
            raise Refused(Answer.json(pydantic_detail("size", "value_error", "WxH or auto"), 422))
        if "image_reference" in said:
            self._check_picture(said["image_reference"])
        width, height = map(int, ("320x180" if size == "auto" else size).split("x"))
        return Order(
            prompt=said["prompt"],
            model=str(said.get("model", "wan")),
            seconds=seconds,
            width=width,
            height=height,
            said=said,
        )

    def _check_picture(self, value: Any) -> None:
        text = cast(dict[str, Any], value).get("content") if isinstance(value, dict) else value
        encoded = str(text).partition(";base64,")[2] or str(text)
        if not is_picture(base64.b64decode(encoded, validate=True)):
            raise self.refused(400, "image_reference is no picture")

    def _word(self, job: Job) -> str:
        if job.failure:
            return "failed"
        if job.done:
            return "completed"
        if self.older or job.share() < 0.1:
            return "queued"
        return "generating" if job.share() < 0.8 else "postprocessing"

    def shown(self, job: Job) -> dict[str, Any]:
        word = self._word(job)
        return {
            "id": job.id,
            "object": "video",
            "created_at": int(job.created),
            "completed_at": int(job.completed) if job.completed else None,
            "expires_at": None,
            "status": word,
            "model": job.order.model,
            "prompt": job.order.prompt,
            "progress": None,
            "duration": job.order.seconds,
            "fps": 24,
            "size": job.order.size,
            "error": job.failure[1] if job.failure else None,
        }

    def content(self, received: Received, job: Job) -> Answer:
        if not job.done:
            raise self.refused(400, f"Video {job.id} is not completed")
        return self.video(received, self.content_of(job.id), "video/x-msvideo" if self.avi else "video/mp4")

    def polled(self, job: Job, fault: Fault | None) -> Answer:
        answer = super().polled(job, fault)
        return Answer(200, answer.body, answer.headers)

    def deleted(self, job: Job) -> Answer:
        del self.jobs[job.id]  # one that runs is cancelled
        return Answer.json({"deleted": True})

    def listed(self, received: Received, fault: Fault | None) -> Answer:
        oldest_first = list(reversed(self.newest_first(fault)))
        return Answer(
            200,
            json.dumps({"object": "list", "data": self.page(oldest_first, fault)}).encode(),
            {"content-type": "application/json"},
        )


def _is_number(value: Any, is_text: bool) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return is_text
