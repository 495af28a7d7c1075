"""What the dialects share: one App, who is asking, the jobs as they are seen, and what a create comes to."""

import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import anyio
import anyio.to_thread
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes.app import App
from rushes.errors import NotFound, RushesError
from rushes.gateway.aliases import Asked, names
from rushes.gateway.auth import Doorkeeper
from rushes.gateway.board import Board, Entry
from rushes.gateway.forms import FormLimits, discard_left_behind
from rushes.gateway.problems import DO_NOT_RETRY, Problem, bad_request, not_found
from rushes.gateway.views import View, view_of
from rushes.http import VIA
from rushes.jobs import repeats, shelf, store
from rushes.jobs.callers import Caller
from rushes.jobs.repeats import KEY_MAX, KeyReused, Repeat
from rushes.jobs.shelf import Character
from rushes.jobs.store import Filter
from rushes.planning import Plan, Wish
from rushes.providers.registry import DRAFT, Choice
from rushes.video import MediaRef, ledger_id

log = logging.getLogger(__name__)

T = TypeVar("T")

FLUSH_EVERY_S = 0.1
AFTER_TROUBLE_S = 5.0
RETRY_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)


class Gateway:
    """One App behind HTTP. Use inside `running`."""

    def __init__(self, app: App, doorkeeper: Doorkeeper, *, loopback: bool) -> None:
        self.app = app
        self.settings = app.settings
        self.doorkeeper = doorkeeper
        self.board = Board(app.services)
        self._services = app.services
        self._loopback = loopback
        self._busy: set[str] = set()  # requests whose answers are on their way, or not written down yet
        self._answered: set[str] = set()  # those of them that were fully sent
        self.stopping = anyio.Event()
        limits = app.settings.limits
        self.form_limits = FormLimits(
            body_bytes=int(app.settings.gateway.body_mb * 1_000_000),
            file_bytes=int(limits.input_mb * 1_000_000),
            timeout_s=app.settings.gateway.request_timeout_s,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the board fresh, and write down which creates were answered."""
        await anyio.to_thread.run_sync(discard_left_behind, self.spool)
        with self.app.changes.listening(self.board.forget):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write_down_answers)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        with anyio.move_on_after(5, shield=True):
            await self._try_to_flush()

    @property
    def spool(self) -> Path:
        return self.settings.home / "spool"

    def stop(self) -> None:
        """The server is about to end: streams without an end are to end now."""
        self.stopping.set()

    # -- make --------------------------------------------------------------------------------------

    async def make(
        self,
        wish: Wish,
        asked: Asked,
        caller: Caller,
        repeat: Repeat | None,
        *,
        ours: Collection[str] = (),
        gone: Callable[[], Awaitable[bool]] | None = None,
    ) -> Entry:
        """Admit a wish as a job. Raises what is wrong with it, before anything is spent.

        `gone` tells whether the client has hung up: then it asks again, or wants nothing any more. With a `repeat` the
        answer must be a `CreateResponse`: until that was sent, the job is nobody else's.
        """
        # Each create means a new video here, unless somebody asks otherwise.
        wish = replace(wish, cache=wish.cache or caller.cache or "off")
        try:
            if (made := await self._made_before(repeat, caller)) is not None:
                return made
            plan = await self.app.plan(wish, ours=ours, caller=caller)
            self._check_stand_in(plan.choice, asked)
            if gone is not None and await gone():
                raise Problem("The client went away before its job was made.", status=400, error_code="disconnected")
            return await self._admitted(plan, caller, repeat)
        except KeyReused as error:
            raise Problem(str(error), status=409, error_code=error.code, headers=DO_NOT_RETRY) from error

    async def _admitted(self, plan: Plan, caller: Caller, repeat: Repeat | None) -> Entry:
        if repeat is not None:
            self._busy.add(repeat.token)  # before the row is there: what is being answered is nobody else's
        try:
            [admission] = await self.app.submit(plan, caller=caller, repeat=repeat)
            return await self.board.look(admission.job_id, caller.owner)
        except BaseException:
            if repeat is not None:
                self._busy.discard(repeat.token)
            raise

    async def _made_before(self, repeat: Repeat | None, caller: Caller) -> Entry | None:
        """What came of the create whose key this one has, whether or not it could be made today. Raises KeyReused."""
        if repeat is None or repeat.idempotency_key is None:
            return None
        now = self._services.now()
        known = await self._services.db.read(lambda connection: repeats.with_key(connection, caller.owner, repeat, now))
        return None if known is None else await self.board.look(known, caller.owner)

    def _check_stand_in(self, choice: Choice, asked: Asked) -> None:
        """An animatic is no stand-in for a video where somebody may rely on it. Raises Problem."""
        if asked.stands_in and choice.model.id == DRAFT and not self._loopback:
            why = " ".join(choice.notes[:-1])
            raise Problem(
                f"No provider is set up to serve {asked.name!r}. {why}".strip(),
                status=503,
                error_code="provider_unavailable",
                headers=DO_NOT_RETRY,
            )

    def repeat_of(self, request: Request, said: str) -> Repeat:
        """What a create tells of itself: `said` is equal for equal requests. Raises Problem."""
        key = request.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= KEY_MAX and key.isprintable()):
            raise bad_request(f"An Idempotency-Key has 1 to {KEY_MAX} printable characters.", param="Idempotency-Key")
        count = request.headers.get("x-stainless-retry-count", "0")
        body_hash = hashlib.sha256(said.encode()).hexdigest()
        again = int(count) if RETRY_COUNT.fullmatch(count) else 0
        token = request_token(request)
        return Repeat(body_hash=body_hash, idempotency_key=key, again=again, token=token, busy=lambda: list(self._busy))

    # -- answers -----------------------------------------------------------------------------------

    def note_answer(self, token: str, *, sent: bool) -> None:
        """An answer to a create is over. One that was not sent may be asked for again."""
        if sent and token in self._busy:
            self._answered.add(token)
        else:
            self._busy.discard(token)

    async def _write_down_answers(self) -> None:
        while True:
            await anyio.sleep(FLUSH_EVERY_S)
            if not await self._try_to_flush():
                await anyio.sleep(AFTER_TROUBLE_S)

    async def _try_to_flush(self) -> bool:
        try:
            await self._flush()
        except RushesError as error:
            log.warning("gateway.answers_not_kept", extra={"cause": str(error)})
            return False
        return True

    async def _flush(self) -> None:
        if not self._answered:
            return
        tokens, now = frozenset(self._answered), self._services.now()
        await self._services.db.write(lambda connection: repeats.mark_answered(connection, tokens, now))
        self._answered -= tokens
        self._busy -= tokens

    # -- look --------------------------------------------------------------------------------------

    async def caller(self, request: Request) -> Caller:
        """Who sends a request. Raises Problem: for what `Doorkeeper.caller_of` refuses, and for ourselves."""
        if request.method == "POST" and request.headers.get(VIA) == self.app.http.via:
            raise Problem(
                "This gateway is its own provider: a base_url in its settings or environment, such as OPENAI_BASE_URL, "
                "leads back to it. Name the real one there.",
                status=400,
                error_code="loop_detected",
                headers=DO_NOT_RETRY,
            )
        return await self.doorkeeper.caller_of(request)

    async def entry(self, text: str, caller: Caller) -> Entry:
        return await self.board.look(text, caller.owner)

    async def place(self, text: str, caller: Caller) -> str:
        """The job at which a page of a list begins. Raises Problem (404).

        A deleted one keeps its place: who deletes what he lists goes on after it.
        """
        key = ledger_id(text)
        if "\0" in key:
            raise not_found("video", text)
        found = await self._services.db.read(
            lambda connection: store.job_of_owner(connection, key, caller.owner, deleted=True)
        )
        if found is None:
            raise not_found("video", text)
        return found

    async def matching(self, wanted: Filter) -> list[View]:
        """The jobs of a filter as they are now."""
        now = self._services.now()

        def work(connection: sa.Connection) -> list[View]:
            jobs = store.jobs_matching(connection, wanted)
            rows = shelf.videos_of_jobs(connection, [job.id for job in jobs])
            return [view_of(job, rows[job.id], now) for job in jobs]

        return await self._services.db.read(work)

    def model_names(self, caller: Caller) -> list[str]:
        """The names that this caller may ask for: the aliases, and the ids of models whose provider can serve."""
        providers = self.app.providers
        usable = [name for name in providers.names() if providers.availability(name).usable]
        ids = [str(model.id) for name in usable for model in providers.catalog.of(name)]
        return [name for name in (*names(self.settings), *ids) if caller.may_use({name})]

    async def make_character(self, name: str, clip: MediaRef, asked: Asked, caller: Caller) -> Character:
        """Make a character at the provider that an asked model leads to.

        Raises as `Planner.choice` and `App.make_character` do.
        """
        choice = self.app.planner.choice(asked.model, caller, asked_as=asked.name)
        self._check_stand_in(choice, asked)
        return await self.app.make_character(name, clip, model=str(choice.model.id), caller=caller)

    async def delete(self, text: str, caller: Caller) -> str:
        """Hide a job at once, and end it; returns its id. Raises Problem (404)."""
        entry = await self.entry(text, caller)
        job_id = entry.view.id
        with suppress(NotFound):
            await self.app.jobs.delete(job_id)
        self.board.forget([job_id])
        return job_id


def gateway_of(request: Request) -> Gateway:
    """The gateway that an application serves."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


def kept(request: Request, kind: type[T], make: Callable[[Gateway], T]) -> T:
    """The one of its kind that an application has, made when somebody first needs it."""
    state, name = request.app.state, kind.__name__
    if not hasattr(state, name):
        setattr(state, name, make(gateway_of(request)))
    found = getattr(state, name)
    assert isinstance(found, kind)
    return found


def request_token(request: Request) -> str:
    """What tells a request from all others; the same each time that it is asked."""
    state = request.state
    if not hasattr(state, "token"):
        state.token = uuid4().hex
    return str(state.token)


class CreateResponse(Response):
    """The answer to a create, which knows whether it could be sent.

    A client that has gone, tired of waiting, will ask again; then it must get this job and not another one.
    """

    media_type = "application/json"

    def __init__(self, body: bytes, headers: Mapping[str, str], request: Request) -> None:
        super().__init__(body, headers=dict(headers))
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = False
        try:
            there = not await Request(scope, receive).is_disconnected()
            await super().__call__(scope, receive, send)
            sent = there
        finally:
            gateway_of(self._request).note_answer(request_token(self._request), sent=sent)
