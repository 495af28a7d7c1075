"""vLLM-Omni 0.30.0: multipart only, one model, failed jobs served with the failure's own status, delete aborts."""

import re
import secrets
from collections.abc import Callable
from typing import Any

from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.servers.base import FakeJobServer, Job, Order, form_of, is_picture, names, pydantic_detail

FIELDS = names(
    "prompt model seconds size image_reference video_reference audio_reference width height num_frames fps "
    "aspect_ratio short_edge num_outputs_per_prompt start_time_seconds quality negative_prompt num_inference_steps "
    "guidance_scale guidance_scale_2 boundary_ratio flow_shift true_cfg_scale seed generate_sound sound_duration "
    "enable_frame_interpolation frame_interpolation_exp frame_interpolation_scale frame_interpolation_model_path lora "
    "extra_params return_stage_metrics control_reference control_type source_video source_audio video_noise_mask "
    "audio_noise_mask user"
)
FILES = frozenset({"input_reference", "input_references"})
RULES: dict[str, Callable[[str], bool]] = {
    "seconds": lambda text: bool(re.fullmatch(r"[1-9]\d*", text)),
    "size": lambda text: bool(re.fullmatch(r"\d+x\d+", text)),
    "fps": lambda text: float(text) > 0,
    "num_frames": lambda text: int(text) > 0,
    "num_outputs_per_prompt": lambda text: 1 <= int(text) <= 10,
    "num_inference_steps": lambda text: 1 <= int(text) <= 200,
    "guidance_scale": lambda text: 0 <= float(text) <= 20,
    "quality": lambda text: text in ("lossless", "high"),
    "seed": lambda text: -(2**63) <= int(text) < 2**63,
    "generate_sound": lambda text: text in ("true", "false"),
    "lora": lambda text: text.startswith("{"),
    "extra_params": lambda text: text.startswith("{"),
}


class FakeVllmOmni(FakeJobServer):
    def __init__(self, *, served_model: str = "wan", stopping: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.served_model = served_model
        self.stopping = stopping  # how many deletes are answered with 409, because the job is still stopping

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        if status == 401:
            return {"error": {"message": words, "type": "Unauthorized", "param": None, "code": 401}}
        return {"detail": words}

    def new_id(self, order: Order) -> str:
        return f"video_gen_{secrets.token_hex(16)}"

    def read_create(self, received: Received) -> Order:
        form = form_of(received)
        if form is None:
            raise Refused(Answer.json(pydantic_detail("prompt", "missing", "Field required"), 422))
        fields, files = form
        self.overlook(fields, FIELDS)
        self.overlook([part.name for part in files], FILES)
        if not fields.get("prompt"):
            raise Refused(Answer.json(pydantic_detail("prompt", "missing", "Field required"), 422))
        for name, rule in RULES.items():
            try:
                good = name not in fields or rule(fields[name])
            except ValueError:
                good = False
            if not good:
                raise Refused(Answer.json(pydantic_detail(name, "value_error", "Input is not valid"), 422))
        model = fields.get("model", self.served_model)
        if model != self.served_model:
            words = f"Model mismatch: this server has {self.served_model}, not {model}"
            error = {"message": words, "type": "BadRequestError", "param": "model", "code": 400}
            raise Refused(Answer.json({"error": error}, 400))
        self._check_references(fields, [part.name for part in files])
        if not all(is_picture(part.data) for part in files):
            raise self.refused(400, "input_reference is neither an image nor a video")
        width, height = map(int, fields.get("size", "1280x720").split("x"))
        seconds = float(fields.get("seconds", "4"))
        if "num_frames" in fields:
            seconds = int(fields["num_frames"]) / float(fields.get("fps", "24"))
        return Order(prompt=fields["prompt"], model=model, seconds=seconds, width=width, height=height, said=fields)

    def _check_references(self, fields: dict[str, str], files: list[str]) -> None:
        others = {"image_reference", "video_reference"} & set(fields)
        if files.count("input_reference") > 1:
            raise self.refused(400, "input_reference is one file")
        if "input_reference" in files and others:
            raise self.refused(400, "input_reference and image_reference or video_reference exclude each other")
        if "input_references" in files and (others or "audio_reference" in fields or "input_reference" in files):
            raise self.refused(400, "input_references excludes every other reference")

    def shown(self, job: Job) -> dict[str, Any]:
        done = job.done
        said = job.order.said
        status = "failed" if job.failure else "completed" if done else "in_progress" if job.share() > 0.1 else "queued"
        code = job.failure[0] or job.served_as if job.failure else None
        return {
            "id": job.id,
            "object": "video",
            "model": job.order.model,
            "status": status,
            "progress": 100 if done else 0,
            "created_at": int(job.created),
            "completed_at": int(job.completed) if job.completed else None,
            "expires_at": None,
            "prompt": job.order.prompt,
            "seconds": said.get("seconds", "4"),
            "size": said.get("size"),
            "remixed_from_video_id": None,
            "error": {"code": code, "message": job.failure[1]} if job.failure else None,
            "quality": "default",
            "media_type": "video/mp4",
            "file_name": f"{job.id}.mp4" if done else None,
            "inference_time_s": 1.5 if done else None,
            "fps": 24.0 if done else None,
            "num_frames": round(job.order.seconds * 24) if done else None,
            "duration_s": job.order.seconds if done else None,
            "metrics": None,
            "stage_durations": {},
            "peak_memory_mb": 30000.0,
            "action": None,
        }

    def content(self, received: Received, job: Job) -> Answer:
        if job.failure:
            raise self.refused(422, f"Video {job.id} failed")
        if not job.done:
            raise self.refused(404, f"Video {job.id} is not ready")
        return self.video(received, self.content_of(job.id))  # whatever `variant` says

    def deleted(self, job: Job) -> Answer:
        if self.stopping:
            self.stopping -= 1
            raise self.refused(409, "The cancellation is still in progress")
        del self.jobs[job.id]  # one that runs is aborted
        return Answer.json({"id": job.id, "object": "video.deleted", "deleted": True})

    def listed(self, received: Received, fault: Fault | None) -> Answer:
        query = received.query
        limit = int(query.get("limit", "1000000"))
        if "limit" in query and not 0 <= limit <= 100:
            raise Refused(Answer.json(pydantic_detail("limit", "value_error", "0 to 100"), 422))
        jobs = self.newest_first(fault)
        if query.get("order", "desc") == "asc":
            jobs.reverse()
        if after := query.get("after"):
            ids = [job.id for job in jobs]
            jobs = jobs[ids.index(after) + 1 :] if after in ids else []
        page = self.page(jobs[:limit], fault)
        return Answer.json(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(jobs) > limit,
            }
        )
