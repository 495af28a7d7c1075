"""What the fakes of servers share: a key, orders and their prices, the usual routes. No word of any dialect.

A server's own file says what it reads, what it refuses and in which words, and how it shows a job. Fields that the
real server would overlook are written down in `overlooked`: to send one is a mistake that only its fake can notice.
"""

import json
import secrets
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from typing import Any, ClassVar, cast
from urllib.parse import unquote

from rushes.testing import clips
from rushes.testing.account_book import AccountBook
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import (
    ON_PURPOSE,
    Answer,
    BookedServer,
    Part,
    Received,
    Refused,
    TimedJob,
    account_of,
    etag_of,
    ranged,
)

API_KEY = "sk-box-0123456789abcdef"
BLOCKED = "Your request was blocked by our moderation system."


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a create asked for, as the server understood it."""

    prompt: str
    model: str
    seconds: float
    width: int
    height: int
    outputs: int = 1
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])  # everything, as it was read

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(slots=True)
class Job(TimedJob):
    id: str
    order: Order
    created: float  # Unix time
    failure: tuple[str, str] | None = None  # a code, where the server has codes, and the words
    served_as: int = 200
    completed: float | None = None

    @property
    def done(self) -> bool:
        if self.share() < 1.0 or self.failure:
            return False
        self.completed = self.completed or time.time()
        return True


class FakeBox(BookedServer[Job]):
    """A server of one's own that makes videos: fill in what it reads and what it says."""

    usd_per_second: ClassVar[Decimal] = Decimal("0.02")
    """What its owner reckons for a second, so that the books can be compared."""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = API_KEY,
        job_s: float = 0.3,
        book: AccountBook | None = None,
        fps: int = 10,
    ) -> None:
        super().__init__(port=port, book=book)
        self.api_key = api_key
        self.job_s = job_s
        self.fps = fps
        self.overlooked: list[str] = []

    # -- what each server fills in -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def base_url(self) -> str:
        """What its owner writes into the settings."""

    @abstractmethod
    def read_create(self, received: Received) -> Order:
        """What a create asks for. Raises Refused for what the server refuses."""

    @abstractmethod
    def complaint(self, status: int, words: str, code: str | None = None) -> Any:
        """The body of an error, in the server's own shape."""

    @abstractmethod
    def new_id(self, order: Order) -> str: ...

    # -- what they share ---------------------------------------------------------------------------------------------

    def refused(self, status: int, words: str, code: str | None = None) -> Refused:
        return Refused(Answer.json(self.complaint(status, words, code), status))

    def content_of(self, remote_id: str, n: int = 0) -> bytes:
        """The video that a job's content is, or will be; each further one of a job is a little longer."""
        order = self.jobs[remote_id].order
        clip = clips.clip(order.width, order.height, order.seconds, fps=self.fps)
        return clip if n == 0 else clips.padded(clip, len(clip) + 64 * n)

    def no_route(self, received: Received) -> Refused:
        """FastAPI's answer: another method than the path has, or no such path."""
        known = any(self.operation_of(_as(received, method)) for method in ("GET", "POST", "DELETE"))
        return Refused(Answer.json({"detail": "Method Not Allowed" if known else "Not Found"}, 405 if known else 404))

    def moderated(self) -> Refused:
        """These servers judge no content; a guard before one answers in the vendor's words."""
        error = {"message": BLOCKED, "type": "invalid_request_error", "param": None, "code": "moderation_blocked"}
        return Refused(Answer.json({"error": error}, 400))

    def refused_by(self, fault: Fault) -> Refused:
        return Refused(Answer.json(self.complaint(fault.number, ON_PURPOSE), fault.number))

    def shared_headers(self) -> Mapping[str, str]:
        return {"date": formatdate(time.time(), usegmt=True), "x-request-id": f"req-{secrets.token_hex(6)}"}

    def check_key(self, received: Received, operation: str | None) -> None:
        if operation is None:
            return  # these look for the route first
        given = received.headers.get("authorization", "")
        if self.api_key is not None and given != f"Bearer {self.api_key}":
            raise self.refused(401, f"Invalid key: {given.removeprefix('Bearer ')}" if given else "Unauthorized")

    def accept(self, received: Received, fault: Fault | None) -> Job:
        """Read a create, make its job and charge it."""
        order = self.read_create(received)
        with self.lock:
            newest = next(reversed(self.jobs), None)
            again = newest if fault and fault.trouble is Trouble.SAME_ID else None
            job = Job(again or self.new_id(order), order, time.time(), job_s=self.job_s)
            self.jobs.setdefault(job.id, job)
            self.book.charge(
                remote_id=job.id,
                model=order.model,
                seconds=round(order.seconds),
                size=order.size,
                usd=self.usd_per_second * round(order.seconds) * order.outputs,
                prompt=order.prompt,
                key=received.headers.get("idempotency-key"),
                account=account_of(received.headers.get("authorization", "")),
            )
        return job

    def overlook(self, names: Any, known: frozenset[str]) -> None:
        """Write down the fields that this server does not read."""
        self.overlooked += [name for name in names if name not in known]

    def video(self, received: Received, data: bytes, mime: str = "video/mp4") -> Answer:
        return ranged(received, data, etag_of(data), {"content-type": mime})


class FakeJobServer(FakeBox):
    """One with jobs: create, poll, fetch, and where it has them list and delete. Paths are those of the dialect."""

    create_status: ClassVar[int] = 200
    lists: ClassVar[bool] = True
    deletes: ClassVar[bool] = True

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def operation_of(self, received: Received) -> str | None:
        steps = received.raw_path.partition("?")[0].strip("/").split("/")
        match received.method, steps:
            case "POST", ["v1", "videos"]:
                return "create"
            case "GET", ["v1", "videos"] if self.lists:
                return "list"
            case "GET", ["v1", "videos", _]:
                return "poll"
            case "DELETE", ["v1", "videos", _] if self.deletes:
                return "delete"
            case (("GET" | "HEAD"), ["v1", "videos", _, "content"]):
                return "download"
            case _:
                return None

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "create":
                shown = self.shown(self.accept(received, fault))
                if fault and fault.trouble is Trouble.NO_ID:
                    shown = {name: value for name, value in shown.items() if name not in ("id", "task_id")}
                return Answer.json(shown, self.create_status)
            case "list":
                return self.listed(received, fault)
            case "poll":
                return self.polled(self.job(received), fault)
            case "delete":
                return self.deleted(self.job(received))
            case _:
                return self.content(received, self.job(received))

    @abstractmethod
    def shown(self, job: Job) -> dict[str, Any]:
        """A job as the server tells it."""

    @abstractmethod
    def content(self, received: Received, job: Job) -> Answer: ...

    def deleted(self, job: Job) -> Answer:
        raise self.refused(405, "Method Not Allowed")

    def listed(self, received: Received, fault: Fault | None) -> Answer:
        raise self.refused(405, "Method Not Allowed")

    def polled(self, job: Job, fault: Fault | None) -> Answer:
        if fault and fault.trouble is Trouble.MODERATED:
            job.failure = ("moderation_blocked", BLOCKED)
        if fault and fault.trouble is Trouble.FAILED_AS:
            job.failure, job.served_as = ("", "CUDA out of memory"), fault.number
        shown = self.shown(job)
        if fault and fault.trouble is Trouble.WORD:
            shown["status"] = fault.value
        if fault and fault.trouble is Trouble.BACKWARDS:
            shown |= {"status": "queued", "progress": 0, "created_at": int(job.created) - 3600}
        return Answer.json(shown, job.served_as)

    def job(self, received: Received) -> Job:
        remote_id = unquote(received.raw_path.partition("?")[0].strip("/").split("/")[2])
        if remote_id not in self.jobs:
            raise self.refused(404, f"Video {remote_id} not found")
        return self.jobs[remote_id]

    def newest_first(self, fault: Fault | None) -> list[Job]:
        """The jobs that a list may tell of."""
        jobs = list(reversed(self.jobs.values()))
        if fault and fault.trouble is Trouble.LAG:
            youngest = time.monotonic() - float(fault.value)
            jobs = [job for job in jobs if job.started <= youngest]
        return jobs

    def page(self, jobs: list[Job], fault: Fault | None) -> list[dict[str, Any]]:
        hidden = {"prompt"} if fault and fault.trouble is Trouble.NO_PROMPTS else set[str]()
        return [{name: value for name, value in self.shown(job).items() if name not in hidden} for job in jobs]


class FakeBlockingServer(FakeBox):
    """One whose create is answered when the video is there."""

    def __init__(self, *, answer_as: str = "url", **options: Any) -> None:
        super().__init__(**options)
        self.answer_as = answer_as  # url | full_url | b64_json, unless the request names one
        self._hurry = threading.Event()

    def finish(self) -> None:
        super().finish()
        self._hurry.set()

    def stop(self) -> None:
        self._hurry.set()
        super().stop()

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "download":
            name = received.path.rpartition("/")[2].removesuffix(".mp4")
            if name not in self.jobs:
                raise self.refused(404, "Not Found")
            return self.video(received, self.content_of(name))
        job = self.accept(received, fault)
        self._hurry.wait(job.job_s)
        if fault and fault.trouble is Trouble.FAILED_AS:
            return self.failed(job, fault.number)
        told = self.told(job)
        if fault and fault.trouble is Trouble.NO_ID:
            # What leads to the result is the id elsewhere, and here the result.
            told = {name: value for name, value in told.items() if name not in ("id", "data", "status")}
        return Answer.json(told)

    @abstractmethod
    def told(self, job: Job) -> dict[str, Any]:
        """The answer to a create that went well."""

    @abstractmethod
    def failed(self, job: Job, status: int) -> Answer: ...

    def result(self, job: Job, path: str) -> dict[str, Any]:
        """The entry of `data`."""
        import base64

        match job.order.said.get("response_format") or self.answer_as:
            case "b64_json":
                return {"b64_json": base64.b64encode(self.content_of(job.id)).decode()}
            case "full_url":
                return {"url": f"{self.url}{path}"}
            case _:
                return {"url": path}


def _as(received: Received, method: str) -> Received:
    return Received(method, received.raw_path, received.headers, b"")


# -- reading bodies --------------------------------------------------------------------------------------------------


def form_of(received: Received) -> tuple[dict[str, str], list[Part]] | None:
    """The fields and files of a multipart body; None if it is none."""
    if received.mime != "multipart/form-data":
        return None
    parts = received.parts
    return {part.name: part.text for part in parts if part.filename is None}, [
        p for p in parts if p.filename is not None
    ]


def object_of(received: Received) -> dict[str, Any] | None:
    """The object of a JSON body; None if it is none."""
    if received.mime != "application/json":
        return None
    data = json.loads(received.body)
    return cast(dict[str, Any], data) if isinstance(data, dict) else None


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def is_picture(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"\xff\xd8\xff")) or data[8:12] == b"WEBP"


def pydantic_detail(place: str, kind: str, words: str) -> dict[str, Any]:
    """FastAPI's 422, as its validation words it."""
    return {"detail": [{"type": kind, "loc": ["body", place], "msg": words}]}
