"""A fake of MiniMax's video APIs, V2 and V1 beside each other: what they refuse, what they charge, how a task ends.

Source: platform.minimax.io `api-reference/video-generation-v2-create`, `-query`, `-delete`, `guides/pricing-paygo`,
read 2026-11-20. What the list looks like, and how V1 answers for a task that it does not know, is a guess.
"""

import base64
import io
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.minimax import MiniMax
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

SIDES = {"480P": 480, "512P": 512, "768P": 768, "1080P": 1080, "2K": 1440}
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
TYPES = {
    401: "authorized_error",
    402: "insufficient_balance_error",
    429: "rate_limit_error",
}
WORDS = {
    State.QUEUED: "queued",
    State.RUNNING: "running",
    State.DONE: "succeeded",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELLED: "cancelled",
}
WORDS_V1 = {
    **dict.fromkeys(WORDS, "Fail"),
    State.QUEUED: "Queueing",
    State.RUNNING: "Processing",
    State.DONE: "Success",
}
A_MYSTERY = Decimal("0.11")
"""A video's price where no page tells it."""


@dataclass(frozen=True)
class Rules:
    """What a model of V2 takes, and costs."""

    seconds: range
    a_second: Mapping[str, str]
    a_picture: str
    pictures_free: int


V2 = {
    "MiniMax-H3": Rules(range(4, 16), {"768P": "0.08", "2K": "0.13"}, "0.04", 5),
    "MiniMax-H3-Max": Rules(range(5, 16), {"480P": "0.05", "768P": "0.08"}, "0.074", 2),
}
V1: Mapping[str, Mapping[str, str]] = {
    "MiniMax-Hailuo-2.3": {"768P": "0.28", "1080P": "0.49"},
    "MiniMax-Hailuo-2.3-Fast": {},
    "MiniMax-Hailuo-02": {},
}
FIELDS = ("model", "content", "resolution", "duration", "ratio", "callback_url", "extra")
FIELDS_V1 = ("model", "prompt", "first_frame_image", "duration", "resolution", "prompt_optimizer", "callback_url")


class FakeMiniMax(VendorFake):
    id_path = ("task_id",)

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["v1" | "v2", "video_generation"]:
                return "create"
            case "GET", ["v2", "query", "video_generation"]:
                return "list"
            case "GET", ["v2", "query", "video_generation", _] | ["v1", "query", "video_generation"]:
                return "poll"
            case "GET", ["v1", "files", "retrieve"]:
                return "retrieve"
            case "DELETE", ["v2", "video_generation", _]:
                return "delete"
            case _:
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return str(10**17 + secrets.randbelow(9 * 10**17))

    def remote_id_of(self, received: Received) -> str:
        return received.query.get("task_id") or super().remote_id_of(received)

    def error(self, status: int, words: str) -> Refused:
        return _error(status, TYPES.get(status, "bad_request_error" if status < 500 else "api_error"), words)

    def moderated(self) -> Refused:
        return _error(422, "unprocessable_entity_error", "The input is sensitive.")

    def check_key(self, received: Received, operation: str | None) -> None:
        try:
            super().check_key(received, operation)
        except Refused as refused:
            if received.path.startswith("/v1/"):
                raise _error_v1("1004", refused.answer.body.decode()) from None
            raise

    # -- creates -----------------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        return self._order_v1(body) if received.path.startswith("/v1/") else self._order(body)

    def _order(self, body: dict[str, Any]) -> Ordered:
        rules = V2.get(body.get("model", ""))
        if rules is None or any(name not in FIELDS for name in body):
            raise self.error(400, "There is no such model, or no such field.")
        texts, roles, pictures = self._parts(body.get("content", []))
        if len(texts) != 1 or not 0 < len(texts[0]) <= 7000:
            raise self.error(400, "One text of at most 7000 characters is wanted.")
        frames = {"first_frame", "last_frame"} & set(roles)
        if frames and frames != set(roles):
            raise self.error(400, "Frames and references cannot be mixed.")
        seconds = body.get("duration")
        resolution: str = body.get("resolution", "")
        ratio: str = body.get("ratio", "")
        if type(seconds) is not int or seconds not in rules.seconds or resolution not in rules.a_second:
            raise self.error(400, "This duration or resolution is not offered.")
        if (ratio != "adaptive") if frames else (ratio not in RATIOS):
            raise self.error(400, "ratio is adaptive with frames, and explicit without.")
        if "extra" in body and (body["model"] != "MiniMax-H3-Max" or set(body["extra"]) != {"prompt_expansion_mode"}):
            raise self.error(400, "There is no such extra.")
        usd = Decimal(rules.a_second[resolution]) * seconds
        usd += Decimal(rules.a_picture) * max(0, len(pictures) - rules.pictures_free)
        size = _size(SIDES[resolution], pictures[0] if frames else tuple(map(int, ratio.split(":"))))
        return Ordered(model=body["model"], prompt=texts[0], seconds=seconds, size=size, usd=usd, body=body)

    def _parts(self, content: list[dict[str, Any]]) -> tuple[list[str], list[str], list[tuple[int, ...]]]:
        """The texts, the roles, and the sizes of the pictures."""
        texts: list[str] = []
        roles: list[str] = []
        pictures: list[tuple[int, ...]] = []
        for part in content:
            match part:
                case {"type": "text", "text": str(text), **rest} if not rest:
                    texts.append(text)
                case {"type": "image_url", "image_url": {"url": str(url)}, "role": role}:
                    if role not in ("first_frame", "last_frame", "reference_image"):
                        raise self.error(400, f"A picture has no role {role}.")
                    roles.append(role)
                    pictures.append(self._picture(url))
                case {"type": "video_url", "video_url": {"url": str(url)}, "role": "reference_video"}:
                    roles.append("reference_video")
                    if url.rpartition("/")[2].removesuffix(".mp4") not in self.jobs:
                        raise self.error(400, "The video cannot be fetched.")
                case _:
                    raise self.error(400, "This is no part of a content.")
        return texts, roles, pictures

    def _picture(self, url: str) -> tuple[int, ...]:
        from PIL import Image

        if not url.startswith("data:image/"):
            raise self.error(400, "A picture is a data URI here.")
        data = base64.b64decode(url.partition(",")[2], validate=True)
        size = Image.open(io.BytesIO(data)).size
        if len(data) > 30_000_000 or not all(256 <= side <= 5760 for side in size):
            raise self.error(400, "A picture has 256 to 5760 pixels a side, and at most 30 MB.")
        return size

    def _order_v1(self, body: dict[str, Any]) -> Ordered:
        model, prompt = body.get("model", ""), body.get("prompt", "")
        second = model == "MiniMax-Hailuo-02"
        if model not in V1 or any(name not in (*FIELDS_V1, *(["last_frame_image"] * second)) for name in body):
            raise _error_v1("2013", "invalid params, there is no such model or field")
        seconds = body.get("duration")
        resolution: str = body.get("resolution", "")
        offered = ("512P", "768P", "1080P") if second else ("768P", "1080P")
        if seconds not in (6, 10) or resolution not in offered or (seconds, resolution) == (10, "1080P"):
            raise _error_v1("2013", "invalid params, duration or resolution")
        if not 0 < len(prompt) <= 2000:
            raise _error_v1("2013", "invalid params, prompt")
        pictures = [self._picture(body[name]) for name in ("first_frame_image", "last_frame_image") if name in body]
        usd = Decimal(V1[model].get(resolution, str(A_MYSTERY))) if seconds == 6 else A_MYSTERY
        size = _size(SIDES[resolution], pictures[0] if pictures else (16, 9))
        return Ordered(model=model, prompt=prompt, seconds=seconds, size=size, usd=usd, audio=False, body=body)

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"task_id": job.id, **({"base_resp": GOOD} if _is_v1(job) else {})}

    # -- looks -------------------------------------------------------------------------------------------------------

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        return self._look_v1(job, seen) if _is_v1(job) else Answer.json({"task": self._task(job, seen)})

    def job_of(self, received: Received) -> VendorJob:
        """Each API knows its own tasks alone."""
        job = super().job_of(received)
        if _is_v1(job) != received.path.startswith("/v1/"):
            raise self.unknown(job.id) if _is_v1(job) else _error_v1("2013", "invalid params, task_id")
        return job

    def unknown(self, remote_id: str) -> Refused:
        by_v1 = self.requests[-1].path.startswith("/v1/")
        return _error_v1("2013", "invalid params, task_id") if by_v1 else super().unknown(remote_id)

    def _task(self, job: VendorJob, seen: Seen) -> dict[str, Any]:
        task: dict[str, Any] = {
            "id": job.id,
            "status": seen.word or WORDS[seen.state],
            "created_at": int(job.created_at),
        }
        if seen.word is None and seen.state is State.DONE:
            task |= {"content": {"url": seen.url} if seen.url else {}, "usage": {}}
        elif seen.word is None and seen.state is State.MODERATED:
            task["error"] = {"code": "1027", "message": "The video is sensitive."}
        elif seen.word is None and seen.state is State.FAILED:
            task["error"] = {"code": "1000", "message": "The generation failed."}
        return task

    def _look_v1(self, job: VendorJob, seen: Seen) -> Answer:
        shown: dict[str, Any] = {"task_id": job.id, "status": seen.word or WORDS_V1[seen.state], "base_resp": GOOD}
        if seen.word is None and seen.url is not None:
            shown["file_id"] = f"7{job.id}"
        if seen.word is None and seen.state is State.MODERATED:
            shown["base_resp"] = {"status_code": 1027, "status_msg": "output sensitive"}
        return Answer.json(shown)

    # -- the rest ----------------------------------------------------------------------------------------------------

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "list":
                return self._list(received.query, fault)
            case "delete":
                return self._delete(self.job_of(received))
            case "retrieve":
                job = self.jobs.get(received.query.get("file_id", "")[1:])
                if job is None or not _is_v1(job):
                    raise _error_v1("2013", "invalid params, file_id")
                return Answer.json({"file": {"download_url": self.url_of(job)}, "base_resp": GOOD})
            case _:
                raise self.no_route(received)

    def _list(self, query: Mapping[str, str], fault: Fault | None) -> Answer:
        lag_s = float(fault.value) if fault is not None and fault.trouble is Trouble.LAG else 0.0
        jobs = [job for job in reversed(self.jobs.values()) if not _is_v1(job)]
        jobs = [job for job in jobs if time.time() - job.created_at >= lag_s]
        size = int(query["page_size"])
        start = (int(query["page_num"]) - 1) * size
        page = [self._task(job, Seen(state=job.state, share=job.share())) for job in jobs[start : start + size]]
        return Answer.json({"items": page, "total": len(jobs)})

    def _delete(self, job: VendorJob) -> Answer:
        """Cancels what is queued, forgets what has ended, and will not hear of what runs."""
        if job.state is State.RUNNING:
            raise self.error(400, "The task is running.")
        if job.state is State.QUEUED:
            job.ended = State.CANCELLED
        else:
            del self.jobs[job.id]
        return Answer.json({})


GOOD = {"status_code": 0, "status_msg": "success"}


def _error(status: int, kind: str, words: str) -> Refused:
    error = {"type": kind, "message": words, "http_code": str(status)}
    return Refused(Answer.json({"type": "error", "error": error, "request_id": secrets.token_hex(8)}, status))


def _error_v1(code: str, words: str) -> Refused:
    return Refused(Answer.json({"task_id": "", "base_resp": {"status_code": int(code), "status_msg": words}}))


def _is_v1(job: VendorJob) -> bool:
    return "content" not in job.ordered.body


def _size(shorter: int, shape: tuple[int, ...]) -> tuple[int, int]:
    width, height = shape
    longer = round(shorter * max(shape) / min(shape) / 2) * 2
    return (longer, shorter) if width >= height else (shorter, longer)


class MiniMaxBench(VendorBench):
    kind = MiniMax
    model = "MiniMax-H3"
    key_variable = "MINIMAX_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeMiniMax
    golden_models = ("MiniMax-H3-Max", "MiniMax-Hailuo-02")
    misspelt_extra = None  # H3 has no fields of its own
    tells_prompts = False

    def make_fake(self, **options: Any) -> VendorFake:
        # Only what is queued can be cancelled, and that has to last until it is asked for.
        return super().make_fake(**{"job_s": 2.0, **options})


BENCH = MiniMaxBench
