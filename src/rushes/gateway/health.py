"""Health: whether this process lives (`/health`), and whether it is of use (`/ready`).

They are for whoever restarts processes and sends them requests, so they need no key and tell no secrets. `/health` asks
nobody: a database that is away is no reason to restart the gateway. `/ready` does ask, but not at each call: who looks
every second from ten places must not become the load that is looked for.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio
from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.errors import RushesError
from rushes.gateway.gateway import Gateway, kept
from rushes.gateway.native_border import answer
from rushes.gateway.native_shapes import Healthy, Ready
from rushes.jobs import tables
from rushes.jobs.database import version_of
from rushes.version import VERSION

log = logging.getLogger(__name__)

DATABASE_GOOD_S = 1.0
STORE_GOOD_S = 30.0
WORKER_GOOD_S = 2.0
PATIENCE_S = 5.0

router = APIRouter(tags=["Health"])


@router.get("/health", operation_id="getHealth", response_model=Healthy)
async def health() -> Response:
    """Whether the process lives. Asks neither the database nor the store."""
    return answer(Healthy(timestamp=datetime.now(UTC), version=VERSION))


router.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)  # as some balancers ask


@router.get(
    "/ready",
    operation_id="getReady",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "It is not ready, for these reasons"}},
)
async def ready(request: Request) -> Response:
    """Whether it can take jobs and get them done: database, media store, somebody who works."""
    reasons = await kept(request, Readiness, Readiness).reasons()
    status = "not_ready" if reasons else "ready"
    found = answer(Ready(status=status, reasons=reasons, timestamp=datetime.now(UTC), version=VERSION))
    found.status_code = 503 if reasons else 200
    return found


class Checked:
    """One thing that is looked at now and then. What was found is believed for `good_s`."""

    def __init__(self, look: Callable[[], Awaitable[str | None]], what: str, good_s: float) -> None:
        self._look = look
        self._what = what
        self._good_s = good_s
        self._until = float("-inf")
        self._found: str | None = None
        self._turn = anyio.Lock()

    async def trouble(self) -> str | None:
        """What is wrong with it, in words that name no place of this machine."""
        async with self._turn:
            if anyio.current_time() < self._until:
                return self._found
            self._found = f"The {self._what} did not answer within {PATIENCE_S:g} s."
            with anyio.move_on_after(PATIENCE_S):
                try:
                    self._found = await self._look()
                except RushesError as error:
                    log.warning("ready.trouble", extra={"what": self._what, "cause": str(error)})
                    self._found = f"The {self._what} cannot be used. The log says why."
            self._until = anyio.current_time() + self._good_s
            return self._found


class Readiness:
    """Everything that this process needs to be of use."""

    def __init__(self, gateway: Gateway) -> None:
        self._app = gateway.app
        self._checks = (
            Checked(self._database, "database", DATABASE_GOOD_S),
            Checked(self._store, "media store", STORE_GOOD_S),
            Checked(self._work, "place of the workers", WORKER_GOOD_S),
        )

    async def reasons(self) -> list[str]:
        """What is wrong; nothing, if it is ready."""
        found = [await check.trouble() for check in self._checks]
        return [trouble for trouble in found if trouble is not None]

    async def _database(self) -> str | None:
        found = await self._app.db.read(version_of)
        if found != tables.HEAD:
            return f"The database's tables are at {found or 'nothing'}, and this release needs {tables.HEAD}."
        return None

    async def _store(self) -> None:
        await self._app.media.check()

    async def _work(self) -> str | None:
        worker = self._app.worker
        if worker.working or await worker.somebody_else_works():
            return None
        return "Nobody works on the jobs. Start a worker: rushes worker"
