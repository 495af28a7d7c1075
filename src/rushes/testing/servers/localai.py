"""LocalAI, as of August 2026: `POST /video` beside no `/v1/videos`, answered when the video is there.

It declares `seconds`, `size` and `input_reference` and reads none of them: frames and sides count.
"""

import base64
import secrets
import time
from typing import Any

from rushes.testing.server import Answer, Received, Refused
from rushes.testing.servers.base import FakeBlockingServer, Job, Order, is_picture, names, object_of

READ = names(
    "model prompt negative_prompt start_image end_image audio width height num_frames fps seed cfg_scale step "
    "response_format params ref_images"
)
TYPES: dict[str, type | tuple[type, ...]] = {
    "prompt": str,
    "negative_prompt": str,
    "start_image": str,
    "end_image": str,
    "audio": str,
    "width": int,
    "height": int,
    "num_frames": int,
    "fps": int,
    "seconds": str,
    "seed": int,
    "cfg_scale": (int, float),
    "step": int,
    "params": dict,
}


class FakeLocalAI(FakeBlockingServer):
    @property
    def base_url(self) -> str:
        return self.url

    def operation_of(self, received: Received) -> str | None:
        if received.method == "POST" and received.path == "/video":
            return "create"
        if received.method in ("GET", "HEAD") and received.path.startswith("/generated-videos/"):
            return "download"
        return None

    def no_route(self, received: Received) -> Refused:
        return self.refused(404, "Resource not found")

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"error": {"code": status, "message": words, "type": ""}}

    def new_id(self, order: Order) -> str:
        return secrets.token_hex(16)

    def read_create(self, received: Received) -> Order:
        said = object_of(received)
        if said is None or not said.get("model") or not said.get("prompt"):
            raise self.refused(400, "model and prompt are required")
        for name, kind in TYPES.items():
            if name in said and (not isinstance(said[name], kind) or isinstance(said[name], bool)):
                raise self.refused(400, f"cannot unmarshal {name}")
        self.overlook(said, READ)
        if not -(2**31) <= said.get("seed", 0) < 2**31:
            raise self.refused(400, "cannot unmarshal seed into int32")
        for name in ("start_image", "end_image"):
            if name in said and not is_picture(base64.b64decode(said[name], validate=True)):
                raise self.refused(400, f"{name} is no picture")
        fps = said.get("fps") or self.fps
        return Order(
            prompt=said["prompt"],
            model=said["model"],
            seconds=(said.get("num_frames") or fps) / fps,
            width=said.get("width") or 512,
            height=said.get("height") or 512,
            said=said,
        )

    def told(self, job: Job) -> dict[str, Any]:
        return {
            "created": int(time.time()),
            "id": job.id,
            "data": [self.result(job, f"/generated-videos/{job.id}.mp4")],
        }

    def failed(self, job: Job, status: int) -> Answer:
        return Answer.json(self.complaint(status, "rpc error: CUDA out of memory"), status)
