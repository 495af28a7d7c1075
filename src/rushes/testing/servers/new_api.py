"""new-api: words of many upstreams, the link in `metadata.url`, empty values left out, 400 for content too early."""

import secrets
from typing import Any

from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Part, Received, Refused
from rushes.testing.servers.base import BLOCKED, FakeJobServer, Job, Order, form_of, is_picture, object_of

WORDS = ("NOT_START", "processing", "succeeded")


class FakeNewApi(FakeJobServer):
    lists = False
    deletes = False

    def __init__(
        self,
        *,
        words: tuple[str, str, str] = WORDS,
        serves_content: bool = True,
        create_status: int = 200,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.words = words
        self.serves_content = serves_content  # False: an older one, or a fork, with nothing but the link
        self.created_as = create_status
        self.frames: dict[str, list[Part]] = {}

    def operation_of(self, received: Received) -> str | None:
        if received.method == "GET" and received.path.startswith("/files/"):
            return "download"
        operation = super().operation_of(received)
        return None if operation == "download" and not self.serves_content else operation

    def no_route(self, received: Received) -> Refused:
        words = f"Invalid URL ({received.method} {received.path})"
        return self.refused(404, words)  # its router knows no 405

    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        return {"error": {"message": words, "type": "new_api_error", "param": "", "code": code or ""}}

    def moderated(self) -> Refused:
        return self.refused(400, BLOCKED, "content_policy_violation")

    def new_id(self, order: Order) -> str:
        return f"task_{secrets.token_hex(16)}"

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        answer = super().answer(received, operation, fault)
        return Answer(self.created_as, answer.body, answer.headers) if operation == "create" else answer

    def read_create(self, received: Received) -> Order:
        form = form_of(received)
        said: dict[str, Any] = dict(form[0]) if form else object_of(received) or {}
        if not said.get("prompt"):
            raise self.refused(400, "prompt is required")
        files = form[1] if form else []
        self.overlook([part.name for part in files], frozenset({"input_reference"}))
        if not all(is_picture(part.data) for part in files):
            raise self.refused(400, "input_reference is no picture")
        width, height = map(int, str(said.get("size", "1280x720")).replace("*", "x").split("x"))
        order = Order(
            prompt=said["prompt"],
            model=str(said.get("model", "")),
            seconds=float(said.get("seconds") or said.get("duration") or 4),
            width=width,
            height=height,
            said=said,
        )
        self.frames[order.prompt] = files
        return order

    def shown(self, job: Job) -> dict[str, Any]:
        done = job.done
        share = int(job.share() * 100)
        status = "failed" if job.failure else self.words[2 if done else 1 if share > 10 else 0]
        told: dict[str, Any] = {
            "id": job.id,
            "task_id": job.id,
            "object": "video",
            "model": job.order.model,
            "status": status,
            "progress": share,
            "created_at": int(job.created),
            "completed_at": int(job.completed) if job.completed else 0,
            "expires_at": 0,
            "seconds": str(round(job.order.seconds)),
            "size": job.order.size,
            "error": {"message": job.failure[1], "code": job.failure[0]} if job.failure else None,
            "metadata": {"url": f"{self.url}/files/{job.id}.mp4"} if done else None,
        }
        return {name: value for name, value in told.items() if value}

    def job(self, received: Received) -> Job:
        if received.path.startswith("/files/"):
            return self.jobs[received.path.removeprefix("/files/").removesuffix(".mp4")]
        return super().job(received)

    def content(self, received: Received, job: Job) -> Answer:
        if not job.done:
            raise self.refused(400, "Task is not completed yet")
        return self.video(received, self.content_of(job.id))
