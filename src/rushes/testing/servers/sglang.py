"""SGLang Diffusion 0.5.23: `seconds` is a whole number, `variant` the number of a video, deleting stops nothing."""

import base64
import json
import uuid
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
    "prompt model seconds size input_reference reference_url video_url video_path extra_body extra_json extra_params n "
    "num_outputs_per_prompt fps num_frames width height seed negative_prompt num_inference_steps guidance_scale "
    "guidance_scale_2 true_cfg_scale flow_shift enable_teacache enable_frame_interpolation frame_interpolation_exp "
    "frame_interpolation_scale frame_interpolation_model_path enable_upscaling upscaling_model_path "
    "upscaling_scale output_quality output_compression output_path enhance_prompt task_type diffusers_kwargs"
)
WHOLE = ("seconds", "n", "num_outputs_per_prompt", "fps", "num_frames", "num_inference_steps")
NESTED = ("extra_body", "extra_json", "extra_params")


class FakeSglang(FakeJobServer):
    def __init__(self, *, cloud: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.cloud = cloud  # it uploads results to object storage: a link in the job, and none of it in `/content`

    def operation_of(self, received: Received) -> str | None:
        if received.method == "GET" and received.path.startswith("/bucket/"):
            return "download"
        return super().operation_of(received)

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"detail": words}

    def new_id(self, order: Order) -> str:
        return str(uuid.uuid4())

    def read_create(self, received: Received) -> Order:
        said = self._read(received)
        for name in NESTED:
            nested: Any = said.pop(name, None) or {}
            said |= cast(dict[str, Any], json.loads(nested) if isinstance(nested, str) else nested)
        self.overlook(said, FIELDS)
        if not said.get("prompt"):
            raise Refused(Answer.json(pydantic_detail("prompt", "missing", "Field required"), 422))
        for name in WHOLE:
            if name in said:
                said[name] = self._whole(name, said[name])
        outputs = said.get("num_outputs_per_prompt") or said.get("n") or 1
        if not 1 <= outputs <= 10:
            raise Refused(Answer.json(pydantic_detail("n", "value_error", "1 to 10"), 422))
        width, height = map(int, str(said.get("size") or "720x1280").split("x"))
        return Order(
            prompt=said["prompt"],
            model=str(said.get("model") or "default"),
            seconds=float(said.get("seconds", 4)),
            width=width,
            height=height,
            outputs=outputs,
            said=said,
        )

    def _read(self, received: Received) -> dict[str, Any]:
        if (form := form_of(received)) is not None:
            fields, files = form
            self.overlook([part.name for part in files], frozenset({"input_reference", "video_reference"}))
            return dict(fields)
        said = object_of(received)
        if said is None:
            raise self.refused(400, "Neither a form nor a JSON object")
        if not isinstance(said.get("input_reference", ""), str):
            raise self.refused(400, "input_reference is a path or an address")
        if "input_reference" in said:
            raise self.refused(400, f"No such file: {said['input_reference']}")  # not on the server's disk
        if url := said.get("reference_url"):
            _, _, encoded = str(url).partition(";base64,")
            if not encoded or not is_picture(base64.b64decode(encoded, validate=True)):
                raise self.refused(400, "reference_url is no picture")
        return said

    def _whole(self, name: str, value: Any) -> int:
        try:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise ValueError
            return int(value)
        except ValueError:
            words = "Input should be a valid integer"
            raise Refused(Answer.json(pydantic_detail(name, "int_parsing", words), 422)) from None

    def shown(self, job: Job) -> dict[str, Any]:
        done = job.done
        count = job.order.outputs
        urls = [f"{self.url}/bucket/{job.id}-{n}.mp4" for n in range(count)] if done and self.cloud else None
        paths = [f"/srv/sglang/outputs/{job.id}-{n}.mp4" for n in range(count)] if done else None
        status = "failed" if job.failure else "completed" if done else "in_progress" if job.share() > 0.1 else "queued"
        return {
            "id": job.id,
            "object": "video",
            "model": job.order.model,
            "status": status,
            "progress": int(job.share() * 100),
            "created_at": int(job.created),
            "size": job.order.size,
            "seconds": str(round(job.order.seconds)),
            "quality": "standard",
            "url": urls[0] if urls else None,
            "urls": urls,
            "remixed_from_video_id": None,
            "completed_at": int(job.completed) if job.completed else None,
            "expires_at": None,
            "error": {"message": job.failure[1]} if job.failure else None,
            "file_path": paths[0] if paths else None,
            "file_paths": paths,
            "num_outputs": count,
            "peak_memory_mb": 30000.0 if done else None,
            "inference_time_s": 1.5 if done else None,
            "revised_prompt": None,
        }

    def job(self, received: Received) -> Job:
        if received.path.startswith("/bucket/"):
            return self.jobs[received.path.removeprefix("/bucket/").rpartition("-")[0]]
        return super().job(received)

    def polled(self, job: Job, fault: Fault | None) -> Answer:
        answer = super().polled(job, fault)
        return Answer(200, answer.body, answer.headers)  # a failed job is an answer like any other

    def content(self, received: Received, job: Job) -> Answer:
        if received.path.startswith("/bucket/"):
            number = int(received.path.removesuffix(".mp4").rpartition("-")[2])
            return self.video(received, self.content_of(job.id, number))
        if not job.done:
            raise self.refused(404, "Video not ready")
        variant = received.query.get("variant", "0")
        if not variant.isdigit() or int(variant) >= job.order.outputs:
            raise self.refused(404, f"No output {variant!r}")
        if self.cloud:
            raise self.refused(400, f"The video was uploaded: {self.url}/bucket/{job.id}-{variant}.mp4")
        return self.video(received, self.content_of(job.id, int(variant)))

    def deleted(self, job: Job) -> Answer:
        shown = self.shown(job)
        del self.jobs[job.id]
        return Answer.json({**shown, "status": "deleted"})

    def listed(self, received: Received, fault: Fault | None) -> Answer:
        query = received.query
        limit = int(query.get("limit", "20"))
        if not 1 <= limit <= 100:
            raise Refused(Answer.json(pydantic_detail("limit", "value_error", "1 to 100"), 422))
        jobs = self.newest_first(fault)
        if query.get("order", "desc") == "asc":
            jobs.reverse()
        ids = [job.id for job in jobs]
        if (after := query.get("after")) in ids:
            jobs = jobs[ids.index(after) + 1 :]
        return Answer.json({"object": "list", "data": self.page(jobs[:limit], fault), "has_more": len(jobs) > limit})
