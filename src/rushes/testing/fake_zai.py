"""A fake of Z.ai's video API that refuses what the real one refuses, serves real videos, and keeps the books.

    async with FakeZai(job_s=0.2) as fake:      # or `with`, in synchronous tests
        ... ZAI_BASE_URL = fake.base_url, ZAI_API_KEY = fake.api_key ...
        assert fake.book.charged == 1

`mainland` makes it BigModel: more models, prices in yuan (booked in dollars at seven to one). A fault whose number has
four digits is a business code with the HTTP status that goes with it: `fake.faults.create = [Fault.parse("1113")]`.

The real service puts videos on hosts of others behind https; here they lie on the fake's own address, without a key.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from rushes.testing import clips
from rushes.testing.account_book import AccountBook
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import (
    ON_PURPOSE,
    Answer,
    BookedServer,
    Received,
    Refused,
    TimedJob,
    account_of,
    etag_of,
    ranged,
)
from rushes.testing.zai_rules import CODE_OF_STATUS, STATUS_OF_CODE, Refusal, Rules, check_create, pixels_of

API_KEY = "0123456789abcdef.fakefakefakefake"
ROOT = "/api/paas/v4"
YUAN_A_DOLLAR = 7
BLOCKED = "The system has detected potentially unsafe or sensitive content in the input or generation."


@dataclass(slots=True)
class FakeJob(TimedJob):
    id: str
    request_id: str
    model: str
    seconds: int
    pixels: tuple[int, int]
    failure: Mapping[str, Any] | None = None  # what its answer holds beside the status
    served_as: int = 200
    empty: bool = False  # done, without a link


class FakeZai(BookedServer[FakeJob]):
    """One host with one account."""

    def __init__(
        self,
        *,
        port: int = 0,
        mainland: bool = False,
        api_key: str = API_KEY,
        job_s: float = 0.3,
        book: AccountBook | Path | None = None,
    ) -> None:
        super().__init__(port=port, book=book)
        self.mainland = mainland
        self.api_key = api_key
        self.job_s = job_s
        self.result_host: str | None = None  # where links lead, if not here

    @property
    def base_url(self) -> str:
        return f"{self.url}{ROOT}"

    def content_of(self, remote_id: str) -> bytes:
        """The video that a job's link leads to."""
        job = self.jobs[remote_id]
        return clips.clip(*job.pixels, float(job.seconds))

    def bodies(self) -> list[dict[str, Any]]:
        """What the creates held, in the order in which they came."""
        return [json.loads(request.body) for request in self.requests if operation_of(request) == "create"]

    # -- requests ----------------------------------------------------------------------------------------------------

    def operation_of(self, received: Received) -> str | None:
        return operation_of(received)

    def check_key(self, received: Received, operation: str | None) -> None:
        if operation == "download":
            return  # links need no key
        given = received.headers.get("authorization", "")
        if not given:
            raise Refusal("1001", "Authentication parameter not received in Header.")
        if given != f"Bearer {self.api_key}":
            # Quoted back in full, as careless servers do: our messages must not repeat it.
            raise Refusal("1002", f"Invalid Authentication Token: {given.removeprefix('Bearer ')}.")

    def refused_by(self, fault: Fault) -> Refused:
        if fault.value in STATUS_OF_CODE and fault.number >= 1000:
            return Refusal(fault.value, ON_PURPOSE)
        return Refusal(CODE_OF_STATUS.get(fault.number), ON_PURPOSE, status=fault.number)

    def moderated(self) -> Refused:
        return Refusal("1301", BLOCKED, contentFilter=[{"role": "user", "level": 0}])

    def no_route(self, received: Received) -> Refused:
        return Refusal("1222", f"The API {received.method} {received.path} does not exist.")

    def shared_headers(self) -> Mapping[str, str]:
        return {"x-request-id": f"log_{secrets.token_hex(8)}"}

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "create":
                return self._create(received, fault)
            case "poll":
                return self._look(_last_step(received), fault)
            case _:
                body = self.content_of(_last_step(received).removesuffix(".mp4"))
                return ranged(received, body, etag_of(body), {"content-type": "video/mp4"})

    # -- operations --------------------------------------------------------------------------------------------------

    def _create(self, received: Received, fault: Fault | None) -> Answer:
        body = _read_json(received)
        rules = check_create(body, mainland=self.mainland)
        pixels, request_id = pixels_of(body, rules), body.get("request_id") or secrets.token_hex(12)
        with self.lock:
            if any(job.request_id == request_id for job in self.jobs.values()):
                raise Refusal("1231", f"You already have a request: {request_id}.")
            newest = next(reversed(self.jobs.values()), None)
            again = newest is not None and fault is not None and fault.trouble is Trouble.SAME_ID
            job = FakeJob(
                id=newest.id if newest and again else str(secrets.randbelow(10**20) + 10**20),
                request_id=request_id,
                model=body["model"],
                seconds=body.get("duration", (rules.durations or (5,))[0]),
                pixels=pixels,
                job_s=self.job_s,
            )
            self._charge(job, body, rules, received)
            self.jobs.setdefault(job.id, job)
        shown = {"model": job.model, "id": job.id, "request_id": request_id, "task_status": "PROCESSING"}
        if fault and fault.trouble is Trouble.NO_ID:
            del shown["id"]
        return Answer.json(shown)

    def _charge(self, job: FakeJob, body: Mapping[str, Any], rules: Rules, received: Received) -> None:
        usd = rules.cny / YUAN_A_DOLLAR if self.mainland else rules.usd or Decimal(0)
        self.book.charge(
            remote_id=job.id,
            model=job.model,
            seconds=job.seconds,
            size="x".join(map(str, job.pixels)),
            usd=usd,
            prompt=body.get("prompt", ""),
            key=body.get("request_id"),
            account=account_of(received.headers["authorization"]),
        )

    def _look(self, remote_id: str, fault: Fault | None) -> Answer:
        job = self.jobs.get(remote_id)
        if job is None:
            raise Refusal("1214", "Invalid id parameter: the task does not exist.", status=404)
        if fault and fault.trouble is Trouble.MODERATED:
            error = {"code": "1301", "message": BLOCKED}
            job.failure = {"error": error, "content_filter": [{"role": "assistant", "level": 1}]}
        if fault and fault.trouble is Trouble.FAILED_AS:
            job.failure, job.served_as = {"error": {"code": "500", "message": "The generation failed."}}, fault.number
        if fault and fault.trouble is Trouble.EMPTY:
            job.empty = True
        shown: dict[str, Any] = {"model": job.model, "request_id": job.request_id, "task_status": "PROCESSING"}
        if job.failure is not None:
            shown |= {"task_status": "FAIL", **job.failure}
        elif fault and fault.trouble is Trouble.WORD:
            shown["task_status"] = fault.value
        elif job.done and not (fault and fault.trouble is Trouble.BACKWARDS):
            host = self.result_host or self.url
            links = {"url": f"{host}/results/{job.id}.mp4", "cover_image_url": f"{host}/results/{job.id}.jpeg"}
            shown |= {"task_status": "SUCCESS", "video_result": [] if job.empty else [links]}
        return Answer.json(shown, job.served_as)


def operation_of(received: Received) -> str | None:
    """Which operation of the API a request is. Pure."""
    steps = received.raw_path.partition("?")[0].strip("/").split("/")
    match received.method, steps:
        case "POST", ["api", "paas", "v4", "videos", "generations"]:
            return "create"
        case "GET", ["api", "paas", "v4", "async-result", _]:
            return "poll"
        case (("GET" | "HEAD"), ["results", name]) if name.endswith(".mp4"):
            return "download"
        case _:
            return None


def _read_json(received: Received) -> Mapping[str, Any]:
    try:
        data = json.loads(received.body) if received.mime == "application/json" else None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Refusal("1210", "Incorrect API call parameters. Please check the documentation.")
    return cast(Mapping[str, Any], data)


def _last_step(received: Received) -> str:
    return unquote(received.raw_path.partition("?")[0].rpartition("/")[2])
