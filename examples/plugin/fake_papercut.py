"""Papercut on this machine: the API that the provider speaks, with an account book of what it charged.

Its prices are its own copy: a fake that shared the table could not catch a mistake in it.
"""

import json
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rushes.testing import clips
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import ON_PURPOSE, Answer, BookedServer, Received, Refused, TimedJob, ranged

API_KEY = "pc-fake-0123456789"
USD_PER_SECOND = {
    ("cutout-1", "640x360"): Decimal("0.04"),
    ("cutout-1", "1280x720"): Decimal("0.04"),
    ("cutout-1", "720x1280"): Decimal("0.04"),
    ("cutout-1-large", "1280x720"): Decimal("0.06"),
    ("cutout-1-large", "1920x1080"): Decimal("0.12"),
}
FIELDS = {"model", "prompt", "width", "height", "seconds", "paper"}


@dataclass(slots=True)
class Film(TimedJob):
    width: int
    height: int
    seconds: int
    blocked: bool = False


class FakePapercut(BookedServer[Film]):
    def __init__(self, *, cut_s: float = 0.2) -> None:
        super().__init__()
        self.cut_s = cut_s
        self.api_key = API_KEY
        self.id_of_key: dict[str, str] = {}

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def content_of(self, remote_id: str) -> bytes:
        film = self.jobs[remote_id]
        return clips.clip(film.width, film.height, film.seconds)

    def operation_of(self, received: Received) -> str | None:
        match received.method, received.path.strip("/").split("/")[1:]:
            case "POST", ["renders"]:
                return "create"
            case "GET", ["renders", _]:
                return "poll"
            case "GET", ["renders", _, "file"]:
                return "download"
            case _:
                return None

    def check_key(self, received: Received, operation: str | None) -> None:
        given = received.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.api_key:
            raise problem(401, "wrong_key", f"Your key {given} is unknown.")

    def refused_by(self, fault: Fault) -> Refused:
        return problem(fault.number, "on_purpose", ON_PURPOSE)

    def moderated(self) -> Refused:
        return problem(400, "refused_by_editors", "Our editors do not cut that.")

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "create":
            return self._create(received, fault)
        remote_id = received.path.strip("/").split("/")[2]
        if remote_id not in self.jobs:
            raise problem(404, "unknown", "There is no such render.")
        if operation == "poll":
            return Answer.json({"render": self._shown(remote_id, fault)})
        return ranged(received, self.content_of(remote_id), f'"{remote_id}"', {"content-type": "video/mp4"})

    def _create(self, received: Received, fault: Fault | None) -> Answer:
        asked: dict[str, Any] = json.loads(received.body)
        size = f"{asked['width']}x{asked['height']}"
        rate = USD_PER_SECOND.get((asked["model"], size))
        if rate is None or not asked.keys() <= FIELDS:
            raise problem(422, "invalid", f"We do not cut that: {asked}")
        key = received.headers.get("idempotency-key")
        remote_id = self.id_of_key.get(key or "")
        if remote_id is None:
            remote_id = f"r-{secrets.token_hex(8)}"
            self.jobs[remote_id] = Film(asked["width"], asked["height"], asked["seconds"], job_s=self.cut_s)
            if key:
                self.id_of_key[key] = remote_id
            self.book.charge(
                remote_id=remote_id,
                model=asked["model"],
                seconds=asked["seconds"],
                size=size,
                usd=rate * asked["seconds"],
                prompt=asked["prompt"],
                key=key,
            )
        render = {} if fault and fault.trouble is Trouble.NO_ID else {"id": remote_id, "state": "waiting"}
        return Answer.json({"render": render}, 201)

    def _shown(self, remote_id: str, fault: Fault | None) -> dict[str, Any]:
        film = self.jobs[remote_id]
        film.blocked |= fault is not None and fault.trouble is Trouble.MODERATED
        shown = {"id": remote_id, "state": "ready" if film.done else "cutting", "share": film.share()}
        if film.blocked:
            shown |= {"state": "failed", "problem": {"code": "refused_by_editors", "text": "We do not cut that."}}
        if fault and fault.trouble is Trouble.WORD:
            shown["state"] = fault.value
        return shown


def problem(status: int, code: str, text: str) -> Refused:
    return Refused(Answer.json({"problem": {"code": code, "text": text}}, status))
