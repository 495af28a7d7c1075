"""NVIDIA Dynamo 1.6.1: `POST /v1/videos` in JSON, answered when the video is there; no other route."""

import secrets
import time
from typing import Any, cast

from rushes.testing.server import Answer, Received, Refused
from rushes.testing.servers.base import FakeBlockingServer, Job, Order, is_picture, names, object_of

KNOWN = names("prompt model input_reference seconds size user response_format output_format stream nvext")
INNER = names(
    "fps num_frames negative_prompt num_inference_steps guidance_scale guidance_scale_2 boundary_ratio seed annotations"
)


class FakeDynamo(FakeBlockingServer):
    """Fields that it does not know are passed on to the worker, so they count as overlooked here."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def operation_of(self, received: Received) -> str | None:
        if received.method == "POST" and received.path == "/v1/videos":
            return "create"
        if received.method in ("GET", "HEAD") and received.path.startswith("/results/"):
            return "download"
        return None

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"message": words, "type": "Bad Request", "code": status}

    def new_id(self, order: Order) -> str:
        return f"video_{secrets.token_hex(16)}"

    def no_route(self, received: Received) -> Refused:
        return Refused(Answer(405 if received.path == "/v1/videos" else 404))

    def read_create(self, received: Received) -> Order:
        said = object_of(received)
        if said is None:
            raise Refused(Answer(415, b"Expected request with `Content-Type: application/json`"))
        if not said.get("prompt") or not said.get("model"):
            raise self.refused(400, "missing field `model` or `prompt`")
        seconds = said.get("seconds", 4)
        if isinstance(seconds, bool) or not isinstance(seconds, int):
            raise self.refused(400, "invalid type for `seconds`: expected i32")
        if not isinstance(said.get("input_reference", ""), str):
            raise self.refused(400, "invalid type for `input_reference`: expected a string")
        if reference := said.get("input_reference"):
            self._check_picture(reference)
        inner = cast(dict[str, Any], said.get("nvext", {}))
        self.overlook(said, KNOWN)
        self.overlook(inner, INNER)
        fps = inner.get("fps") or 24
        frames = inner.get("num_frames")
        width, height = map(int, str(said.get("size", "832x480")).split("x"))
        return Order(
            prompt=said["prompt"],
            model=said["model"],
            seconds=frames / fps if frames else float(seconds),
            width=width,
            height=height,
            said=said,
        )

    def _check_picture(self, reference: str) -> None:
        import base64

        if not reference.startswith("data:image/") or not is_picture(base64.b64decode(reference.partition(",")[2])):
            raise self.refused(400, "input_reference is no picture")

    def told(self, job: Job) -> dict[str, Any]:
        return self._shown(job, "completed", [{"output_format": "mp4", **self.result(job, f"/results/{job.id}.mp4")}])

    def failed(self, job: Job, status: int) -> Answer:
        return Answer.json({**self._shown(job, "failed", []), "error": "CUDA out of memory"}, status)

    def _shown(self, job: Job, status: str, data: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": job.id,
            "object": "video",
            "model": job.order.model,
            "status": status,
            "progress": 100 if status == "completed" else 0,
            "created": int(time.time()),
            "data": data,
            "error": None,
            "inference_time_s": 1.5,
        }
