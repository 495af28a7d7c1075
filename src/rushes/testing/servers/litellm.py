"""LiteLLM's proxy 1.109.1: packed ids that change from answer to answer, `processing`, no prompts, no delete.

It never looks into what it relays: any field goes through, and the files it sends have neither ranges nor variants.
"""

import base64
import itertools
import re
import secrets
from typing import Any
from urllib.parse import unquote

from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.servers.base import BLOCKED, FakeJobServer, Job, Order, form_of, object_of


class FakeLiteLlm(FakeJobServer):
    deletes = False

    def operation_of(self, received: Received) -> str | None:
        """Its routes are there with and without `/v1`."""
        path = received.raw_path if received.raw_path.startswith("/v1/") else f"/v1{received.raw_path}"
        return super().operation_of(Received(received.method, path, received.headers, b""))

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"error": {"message": words, "type": "None", "param": "None", "code": code or str(status)}}

    def moderated(self) -> Refused:
        return self.refused(400, BLOCKED, "moderation_blocked")

    def new_id(self, order: Order) -> str:
        """One whose base64 has all three characters that paths cannot bear."""
        for n in itertools.count():
            upstream = f"models/veo~{'x' * (n % 3)}?op={secrets.token_hex(4)}>{secrets.token_hex(n % 4)}"
            packed = pack(upstream, order.model)
            if all(mark in packed for mark in "+/="):
                return packed
        raise AssertionError("unreachable")

    def job(self, received: Received) -> Job:
        segment = received.raw_path.partition("?")[0].strip("/").removeprefix("v1/").split("/")[1]
        upstream = unpack(unquote(segment)) if not set("+=") & set(segment) else None
        job = next((job for job in self.jobs.values() if unpack(job.id) == upstream), None)
        if upstream is None or job is None:
            raise self.refused(404, f"Video with id '{unquote(segment)}' not found.")
        return job

    def read_create(self, received: Received) -> Order:
        form = form_of(received)
        said: dict[str, Any] = dict(form[0]) if form else object_of(received) or {}
        if not said.get("prompt") or not said.get("model"):
            raise self.refused(400, "prompt and model are required")
        width, height = map(int, str(said.get("size", "1280x720")).split("x"))
        return Order(
            prompt=said["prompt"],
            model=said["model"],
            seconds=float(said.get("seconds", 4)),
            width=width,
            height=height,
            said=said,
        )

    def shown(self, job: Job) -> dict[str, Any]:
        status = "failed" if job.failure else "completed" if job.done else "processing"
        return {
            "id": job.id,
            "object": "video",
            "status": status,
            "created_at": int(job.created),
            "completed_at": int(job.completed) if job.completed else None,
            "progress": int(job.share() * 100),
            "model": job.order.model,
            "seconds": str(round(job.order.seconds)),
            "size": job.order.size,
            "error": {"code": job.failure[0] or "500", "message": job.failure[1]} if job.failure else None,
            "usage": {"duration_seconds": job.order.seconds},
        }

    def polled(self, job: Job, fault: Fault | None) -> Answer:
        """The same job under another id: a look packs it with what it learned of the deployment."""
        answer = super().polled(job, fault)
        other = pack(unpack(job.id) or "", job.order.model, ";deployment_id:d-1")
        return Answer(answer.status, answer.body.replace(job.id.encode(), other.encode()), answer.headers)

    def content(self, received: Received, job: Job) -> Answer:
        if not job.done:
            raise self.refused(404, "Video is not ready yet")
        return Answer(200, self.content_of(job.id), {"content-type": "video/mp4"})  # whatever `variant` or Range say

    def listed(self, received: Received, fault: Fault | None) -> Answer:
        """The list of whichever upstream is asked by default, which is not the one that has our jobs."""
        return Answer.json({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})


def pack(upstream: str, model: str, more: str = "") -> str:
    text = f"litellm:custom_llm_provider:gemini;model_id:{model};video_id:{upstream}{more}"
    return f"video_{base64.b64encode(text.encode()).decode()}"


def unpack(remote_id: str) -> str | None:
    try:
        text = base64.b64decode(remote_id.removeprefix("video_"), validate=True).decode()
    except ValueError:
        return None
    match = re.search(r"video_id:([^;]*)", text)
    return match[1] if match else None
