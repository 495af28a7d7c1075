"""A made-up provider that honours an idempotency key, and its far side: the third kind of doubt for the matrix.

It speaks as much of the OpenAI dialect as a job needs. A create that comes again with a key that was seen before is
answered with the job that it made then, and charges nothing.
"""

from datetime import datetime
from urllib.parse import quote

from pydantic import BaseModel

from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, Doubt, Promises, RemoteJob
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.testing.openai_rules import Order
from rushes.testing.server import Answer, Received
from rushes.video import Failure, Progress, Status

STATES = {"queued": Status.QUEUED, "completed": Status.COMPLETED, "failed": Status.FAILED}


class WireJob(BaseModel):
    id: str
    status: str = "queued"
    progress: float = 0.0
    expires_at: datetime | None = None


class Keyed(Provider):
    name = "keyed"
    title = "Keyed"
    key_vars = ("KEYED_API_KEY",)
    base_url_vars = ("KEYED_BASE_URL",)
    promises = Promises(doubt=Doubt.KEY, result_life_s=3600.0)

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        body = {"model": "sora-2", "prompt": request.prompt, "size": str(request.size), "seconds": str(request.seconds)}
        reply = await self.create("/videos", json=body, headers={"idempotency-key": key})
        return RemoteJob(id=self.parsed(reply, WireJob).id)

    async def poll(self, remote: RemoteJob) -> Progress:
        job = self.parsed(await self.look(path_of(remote)), WireJob)
        status = STATES.get(job.status, Status.IN_PROGRESS)
        failure = Failure("internal_error", "It failed.") if status is Status.FAILED else None
        return Progress(status=status, percent=job.progress, failure=failure, expires_at=job.expires_at)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        return (Asset(path=f"{path_of(remote)}/content"),)

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        return None, f"HTTP {reply.status}"


def path_of(remote: RemoteJob) -> str:
    return f"/videos/{quote(remote.id, safe='')}"


class MarkedOpenAI(FakeOpenAI):
    """Its videos differ from job to job, so that a file under a wrong job is noticed."""

    def content_of(self, remote_id: str) -> bytes:
        return clips.marked(super().content_of(remote_id), remote_id)


class FakeKeyed(MarkedOpenAI):
    """The far side of `Keyed`. Its prices are those of the table beside this file."""

    def _accept(self, order: Order, received: Received, fault: Fault | None) -> Answer:
        key = received.headers["idempotency-key"]
        known = next((entry.remote_id for entry in self.book.entries if entry.key == key), None)
        if known is None:
            return super()._accept(order, received, fault)
        shown = self._shown(self.jobs[known])
        if fault and fault.trouble is Trouble.NO_ID:
            del shown["id"]
        return Answer.json(shown)


PROVIDER = Keyed
