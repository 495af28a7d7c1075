"""What the fakes of the vendors share: jobs that take their time, prices in a book, results at a link, every fault.

    class FakeAcme(VendorFake):
        root, id_path = "/v2", ("id",)

        def operation_of(self, received): ...    # which of its operations a request is
        def read_order(self, received): ...      # what a create asks for and costs; refuses what the vendor refuses
        def accepted(self, job): ...             # the answer to a create
        def look(self, job, seen): ...           # the answer to a look
        def error(self, status, words): ...      # its errors

A fake has its own copy of the vendor's rules and prices: one that read our table could not catch our mistakes. Results
lie at the fake's own address, where the real ones lie on hosts of others behind https.
"""

import json
import secrets
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, cast
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

API_KEY = "test-key-0123456789abcdef"
RESULTS = "results"
LARGEST_SIDE = 640
"""Of the clips that are served: what a model of 1080p makes is told as such, and need not weigh as much here."""


class State(StrEnum):
    """What has become of a job, whatever the vendor calls it."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    MODERATED = "moderated"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What a create asks for, as the fake has read it."""

    model: str
    prompt: str
    seconds: int
    size: tuple[int, int]
    usd: Decimal
    audio: bool = True
    key: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True, kw_only=True)
class VendorJob(TimedJob):
    id: str
    ordered: Ordered
    created_at: float = field(default_factory=time.time)
    ended: State | None = None  # how it ended, if not well
    served_as: int = 200
    empty: bool = False  # done, with nothing to show

    @property
    def state(self) -> State:
        if self.ended is not None:
            return self.ended
        if self.done:
            return State.DONE
        return State.QUEUED if self.share() < 0.2 else State.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look is to show. `word` stands in for the vendor's own word of the state; `url` is the result's."""

    state: State
    share: float
    url: str | None = None
    word: str | None = None


class VendorFake(BookedServer[VendorJob]):
    """One vendor with one account."""

    root: ClassVar[str] = ""
    """What stands before the path of every operation."""
    id_path: ClassVar[tuple[str, ...]] = ("id",)
    """Where in the answer to a create the job's id stands."""
    scheme: ClassVar[str] = "Bearer "
    keyless: ClassVar[frozenset[str]] = frozenset({"download", "put"})
    """Operations that need no key: links to results, and addresses to upload to."""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str = API_KEY,
        job_s: float = 0.3,
        book: AccountBook | Path | None = None,
        video_bytes: int = 0,
        result_life_s: float | None = None,
        largest_side: int = LARGEST_SIDE,
    ) -> None:
        super().__init__(port=port, book=book)
        self.api_key = api_key
        self.job_s = job_s
        self.video_bytes = video_bytes
        self.result_life_s = result_life_s
        self.largest_side = largest_side
        self.uploads: dict[str, bytes] = {}  # by the name that the fake gave them

    # -- what a vendor says ------------------------------------------------------------------------------------------

    @abstractmethod
    def read_order(self, received: Received) -> Ordered:
        """What a create asks for and costs. Raises Refused."""

    @abstractmethod
    def accepted(self, job: VendorJob) -> dict[str, Any]:
        """The answer to a create."""

    @abstractmethod
    def look(self, job: VendorJob, seen: Seen) -> Answer:
        """The answer to a look."""

    @abstractmethod
    def error(self, status: int, words: str) -> Refused:
        """An error in the vendor's own shape."""

    def new_id(self, ordered: Ordered) -> str:
        return secrets.token_hex(12)

    def unknown(self, remote_id: str) -> Refused:
        """A look at a job that the vendor does not know."""
        return self.error(404, f"There is no job {remote_id}.")

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        """An operation beyond create, poll and download: list, cancel, delete, or a word of the fake's own."""
        raise self.no_route(received)

    def remote_id_of(self, received: Received) -> str:
        """Which job a look is about: the last step of its path."""
        return unquote(received.raw_path.partition("?")[0].rpartition("/")[2])

    # -- what they share ---------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return f"{self.url}{self.root}"

    def steps(self, received: Received) -> list[str] | None:
        """The steps of a path behind the root; None for any other path."""
        path = received.raw_path.partition("?")[0]
        if self.root and not path.startswith(f"{self.root}/"):
            return None
        return [unquote(step) for step in path.removeprefix(self.root).strip("/").split("/")]

    def is_result(self, received: Received) -> bool:
        return received.method in ("GET", "HEAD") and received.raw_path.startswith(f"/{RESULTS}/")

    def check_key(self, received: Received, operation: str | None) -> None:
        if operation in self.keyless:
            return
        given = received.headers.get("authorization", "")
        if given != f"{self.scheme}{self.api_key}":
            # Quoted back in full, as careless servers do: our messages must not repeat it.
            raise self.error(401, f"Invalid API key: {given.removeprefix(self.scheme)}.")

    def refused_by(self, fault: Fault) -> Refused:
        return self.error(fault.number, ON_PURPOSE)

    def no_route(self, received: Received) -> Refused:
        return self.error(404, f"There is no {received.method} {received.path}.")

    def body_of(self, received: Received) -> dict[str, Any]:
        """The JSON object of a request. Raises Refused."""
        try:
            data = json.loads(received.body) if received.mime == "application/json" else None
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise self.error(400, "The body is not a JSON object.")
        return cast(dict[str, Any], data)

    def bodies(self) -> list[dict[str, Any]]:
        """What the creates held, in the order in which they came."""
        return [json.loads(each.body) for each in self.requests if self.operation_of(each) == "create"]

    def content_of(self, remote_id: str) -> bytes:
        """The video of a job: no two are alike, so that a file under a wrong job is noticed."""
        ordered = self.jobs[remote_id].ordered
        shrink = min(1.0, self.largest_side / max(ordered.size))
        width, height = (max(2, round(side * shrink / 2) * 2) for side in ordered.size)
        made = clips.clip(width, height, float(ordered.seconds), fps=5, size_bytes=self.video_bytes)
        return clips.marked(made, remote_id)

    def url_of(self, job: VendorJob) -> str:
        return f"{self.url}/{RESULTS}/{job.id}.mp4"

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "create":
                return self._create(received, fault)
            case "poll":
                return self._poll(received, fault)
            case "download":
                return self._download(received)
            case _:
                return self.other(received, operation, fault)

    def job_of(self, received: Received) -> VendorJob:
        """The job that a request is about. Raises Refused."""
        remote_id = self.remote_id_of(received)
        job = self.jobs.get(remote_id)
        if job is None:
            raise self.unknown(remote_id)
        return job

    def _create(self, received: Received, fault: Fault | None) -> Answer:
        ordered = self.read_order(received)
        with self.lock:
            newest = next(reversed(self.jobs.values()), None)
            again = newest is not None and fault is not None and fault.trouble is Trouble.SAME_ID
            job_id = newest.id if newest and again else self.new_id(ordered)
            job = self.jobs.setdefault(job_id, VendorJob(id=job_id, ordered=ordered, job_s=self.job_s))
            self.book.charge(
                remote_id=job_id,
                model=ordered.model,
                seconds=ordered.seconds,
                size="x".join(map(str, ordered.size)),
                usd=ordered.usd,
                prompt=ordered.prompt,
                key=ordered.key,
                account=account_of(self.api_key),
            )
        shown = self.accepted(job)
        if fault is not None and fault.trouble is Trouble.NO_ID:
            place = shown
            for name in self.id_path[:-1]:
                place = place[name]
            del place[self.id_path[-1]]
        return Answer.json(shown)

    def _poll(self, received: Received, fault: Fault | None) -> Answer:
        job = self.job_of(received)
        trouble = fault.trouble if fault else None
        if trouble is Trouble.MODERATED:
            job.ended = State.MODERATED
        elif trouble is Trouble.FAILED_AS and fault is not None:
            job.ended, job.served_as = State.FAILED, fault.number
        elif trouble is Trouble.EMPTY:
            job.empty = True
        seen = Seen(state=job.state, share=job.share())
        if trouble is Trouble.WORD and fault is not None:
            seen = Seen(state=State.RUNNING, share=job.share(), word=fault.value)
        elif trouble is Trouble.BACKWARDS:
            seen = Seen(state=State.QUEUED, share=0.0)
        if seen.state is State.DONE and not job.empty:
            seen = replace(seen, url=self.url_of(job))
        answer = self.look(job, seen)
        return answer if job.served_as == 200 else replace(answer, status=job.served_as)

    def _download(self, received: Received) -> Answer:
        job = self.jobs.get(self.remote_id_of(received).removesuffix(".mp4"))
        if job is None:
            return Answer(404)
        if self.result_life_s is not None and time.time() > job.created_at + job.job_s + self.result_life_s:
            return Answer(403)
        body = self.content_of(job.id)
        return ranged(received, body, etag_of(body), {"content-type": "video/mp4"})
