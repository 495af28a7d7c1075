"""Papercut: stop-motion films cut from paper. Submit, look, fetch; a result can be fetched for a day.

It honours an `Idempotency-Key`, so a create whose answer was lost is sent again with the same key and is no second
film. A film that its editors refuse costs nothing; one that is begun cannot be stopped.

Source: Papercut API reference, https://papercut.example/api, read 2026-11-20. Tried against its fake only.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel

from rushes.config import Written
from rushes.errors import Moderated, ProviderError
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, Doubt, Promises, RemoteJob
from rushes.video import JSON, Failure, Progress, Status

STATES = {
    "waiting": Status.QUEUED,
    "cutting": Status.IN_PROGRESS,
    "ready": Status.COMPLETED,
    "failed": Status.FAILED,
}
BLOCKED = "refused_by_editors"


class Extra(Written):
    """Papercut's own options: `--extra paper=tissue`."""

    paper: Literal["card", "tissue", "newsprint"] = "card"


class Problem(BaseModel):
    code: str = ""
    text: str = ""


class Render(BaseModel):
    """A job, as Papercut tells it."""

    id: str
    state: str = "waiting"
    share: float = 0.0  # 0 to 1
    problem: Problem | None = None


class RenderReply(BaseModel):
    render: Render


class ProblemReply(BaseModel):
    problem: Problem


class Papercut(Provider):
    name = "papercut"
    title = "Papercut"
    key_vars = ("PAPERCUT_API_KEY",)
    base_url_vars = ("PAPERCUT_BASE_URL",)
    default_base_url = "https://api.papercut.example/v1"
    promises = Promises(doubt=Doubt.KEY, result_life_s=24 * 3600.0)
    extra_shape: ClassVar[type[BaseModel]] = Extra

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        reply = await self.create("/renders", json=to_wire(prepared), headers={"idempotency-key": key})
        return RemoteJob(id=self.parsed(reply, RenderReply).render.id)

    async def poll(self, remote: RemoteJob) -> Progress:
        reply = await self.look(path_of(remote))
        return from_wire(self.parsed(reply, RenderReply).render)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        return (Asset(path=f"{path_of(remote)}/file"),)

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        try:
            problem = ProblemReply.model_validate_json(reply.body).problem
        except ValueError:
            return super().read_error(reply)
        return problem.code, problem.text

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        return Moderated if code == BLOCKED else super().kind_of_error(reply, code)


def path_of(remote: RemoteJob) -> str:
    # A person may adopt a job by typing its id, so it is never trusted to be one part of a path.
    return f"/renders/{quote(remote.id, safe='')}"


def to_wire(prepared: Prepared) -> Mapping[str, JSON]:
    request = prepared.request
    assert request.size is not None
    return {
        "model": request.model.model,
        "prompt": request.prompt,
        "width": request.size.width,
        "height": request.size.height,
        "seconds": request.seconds,
        **request.extra,
    }


def from_wire(render: Render) -> Progress:
    # A word that this file does not know means "still running": what is paid for is never given up on a word.
    status = STATES.get(render.state, Status.IN_PROGRESS)
    failure = None
    if status is Status.FAILED:
        problem = render.problem or Problem()
        code = "moderation_blocked" if problem.code == BLOCKED else problem.code or "internal_error"
        failure = Failure(code, problem.text)
    return Progress(status=status, percent=100.0 * render.share, failure=failure)


PROVIDER = Papercut
