"""The parts of the jobs layer over one home and one fake, put together as `App` does, without an engine."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa

from rushes.config import ProviderSettings, Settings
from rushes.http import Http
from rushes.jobs import shelf
from rushes.jobs.admission import Admission, Order
from rushes.jobs.codec import JobOptions
from rushes.jobs.database import Database
from rushes.jobs.events import Changes
from rushes.jobs.ledger import Attempt, Job, Next
from rushes.jobs.library import Library
from rushes.jobs.marks import Marks
from rushes.jobs.polling import next_look_s
from rushes.jobs.service import Jobs
from rushes.jobs.services import Case, PutBack, Services
from rushes.jobs.shelf import AssetRow, VideoRow
from rushes.jobs.store import Event
from rushes.jobs.tables import holds
from rushes.jobs.waiting import Waiting
from rushes.jobs.watching import begin, look
from rushes.jobs.worker import JobSteps
from rushes.media.children import Children
from rushes.media.inputs import Inputs
from rushes.media.store import MediaStore
from rushes.providers.prepare import Misfit, Prepared, prepare
from rushes.providers.registry import Registry
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import ModelId, VideoRequest

SORA = ModelId("openai", "sora-2")
PATIENCE_S = 20.0
"""No test waits longer than this for anything."""


class Clock:
    """The real time, moved on at will, or going so many times as fast."""

    def __init__(self, *, speed: int = 1) -> None:
        self._moved = timedelta(0)
        self._began = datetime.now(UTC)
        self._speed = speed

    def __call__(self) -> datetime:
        return self._began + self._speed * (datetime.now(UTC) - self._began) + self._moved

    def move(self, by: timedelta) -> None:
        self._moved += by

    @classmethod
    def ahead(cls, seconds: float) -> "Clock":
        """One that goes so much ahead: what was put back for less than that has its time come."""
        clock = cls()
        clock.move(timedelta(seconds=seconds))
        return clock


async def carried_out(services: Services, job_id: str, *, longest_pause_s: float = math.inf) -> Next:
    """The steps of a job, one after another, without the engine and without anybody who keeps the time of many."""
    steps = JobSteps(services, Waiting(services, _nobody_waits))
    while True:
        step = await steps.submit(job_id)
        if step is Next.WAIT:
            step = await _waited(services, job_id, longest_pause_s)
        if step is Next.DOWNLOAD:
            step = await steps.deliver(job_id)
        if step is not Next.LATER:
            return step
        await anyio.sleep(0.02)  # put back: taken on again as soon as its time has come


async def _waited(services: Services, job_id: str, longest_pause_s: float) -> Next:
    try:
        begun = await begin(services, job_id)
        if isinstance(begun, Next):
            return begun
        step = Next.WAIT
        while step is Next.WAIT:
            await anyio.sleep(min(next_look_s(begun.pace), longest_pause_s))
            step = await look(services, job_id, begun)
    except PutBack:
        return Next.LATER
    return step


async def _nobody_waits(job_id: str, step: Next) -> None:
    raise AssertionError("these tests park nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    services: Services
    jobs: Jobs
    library: Library
    inputs: Inputs

    @property
    def db(self) -> Database:
        return self.services.db

    def prepared(self, prompt: str = "A cat", *, slot: int = 0, **changes: Any) -> Prepared:
        request = replace(VideoRequest(prompt=prompt, model=SORA, seconds=4), **changes)
        model = self.services.registry.model(request.model)
        return prepare(request, model, misfit=Misfit.STRICT, slot=slot, today=self.services.now().date())

    async def submit(
        self,
        prompt: str = "A cat",
        *,
        slot: int = 0,
        cache: str = "use",
        owner: str = "local",
        options: JobOptions | None = None,
        **changes: Any,
    ) -> Admission:
        routes = (self.prepared(prompt, slot=slot, **changes),)
        options = options or JobOptions()
        order = Order(routes=routes, asked_model=str(SORA), slot=slot, cache=cache, owner=owner, options=options)
        return await self.jobs.submit(order)

    async def carry_out(self, job_id: str) -> None:
        """Run the steps of a job until nothing is left to do without a person."""
        with anyio.fail_after(PATIENCE_S):
            await carried_out(self.services, job_id)

    async def carry_out_in_a_hurry(self, job_id: str) -> None:
        """The same, but no back-off between two looks is waited out."""
        with anyio.fail_after(PATIENCE_S):
            await carried_out(self.services, job_id, longest_pause_s=0.02)

    async def made(self, prompt: str = "A cat", **changes: Any) -> str:
        """Submit a job and carry it out."""
        job_id = (await self.submit(prompt, **changes)).job_id
        await self.carry_out(job_id)
        return job_id

    async def case(self, job_id: str) -> Case:
        return await self.services.load(job_id)

    async def job(self, job_id: str) -> Job:
        return (await self.case(job_id)).job

    async def attempts(self, job_id: str) -> list[Attempt]:
        return (await self.case(job_id)).attempts

    async def kinds(self, job_id: str) -> list[str]:
        """The kinds of a job's events, in order."""
        return [event.kind for event in await self.events(job_id)]

    async def events(self, job_id: str) -> list[Event]:
        return await self.jobs.events(job_id)

    async def videos(self, job_id: str) -> list[VideoRow]:
        return await self.db.read(lambda connection: shelf.videos_of(connection, job_id))

    async def assets(self, video_id: str) -> Mapping[str, AssetRow]:
        return await self.db.read(lambda connection: shelf.assets_of(connection, video_id))

    async def hold(self, job_id: str) -> Mapping[str, Any] | None:
        def work(connection: sa.Connection) -> Mapping[str, Any] | None:
            row = connection.execute(sa.select(holds).where(holds.c.job_id == job_id)).mappings().first()
            return dict(row) if row else None

        return await self.db.read(work)

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        with anyio.fail_after(PATIENCE_S):
            while not await true():
                await anyio.sleep(0.02)


Open = Callable[..., AbstractAsyncContextManager[Workshop]]
"""Opens a workshop; takes what `opened` takes by name."""
Patient = Callable[..., AbstractAsyncContextManager[Workshop]]
"""The same, with doubt ripe for a verdict at once."""


def settings_for(
    home: Settings,
    fake: FakeOpenAI,
    *,
    environment: Mapping[str, str] | None = None,
    others: Mapping[str, FakeOpenAI] | None = None,
    **section: Any,
) -> Settings:
    """A home whose `openai` is the fake, with `others` beside it as servers of their own names.

    Looks and creates are given little time, so that tests are quick.
    """
    usual = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
    openai = ProviderSettings.model_validate({"poll_interval_ms": 50, "create_timeout_s": 1.0, **section})
    beside = {
        name: ProviderSettings.model_validate(
            {
                **home.provider(name).model_dump(exclude_unset=True),
                **{"kind": "openai", "base_url": other.base_url, "api_key": other.api_key, "poll_interval_ms": 50},
            }
        )
        for name, other in (others or {}).items()
    }
    return replace(
        home, environment=usual if environment is None else environment, providers={"openai": openai, **beside}
    )


@asynccontextmanager
async def opened(
    home: Settings,
    fake: FakeOpenAI,
    children: Children,
    *,
    reached: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
    others: Mapping[str, FakeOpenAI] | None = None,
    **section: Any,
) -> AsyncGenerator[Workshop]:
    settings = settings_for(home, fake, environment=environment, others=others, **section)
    settings.home.mkdir(parents=True, exist_ok=True)
    spool: Path = settings.home / "spool"
    spool.mkdir(exist_ok=True)
    http = Http(settings)
    media = MediaStore.of(settings)
    inputs = Inputs(media, children, http, settings.limits)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(http.aclose)
        db = await Database.open(settings.database_url)
        stack.callback(db.close)
        registry = Registry(
            settings,
            http,
            settings.home / "providers",
            read_input=inputs.read,
            input_path=inputs.path,
            children=children,
            start_soon=_nothing_runs_beside,
        )
        services = Services(
            db=db,
            registry=registry,
            media=media,
            children=children,
            spool=spool,
            max_video_bytes=100_000_000,
            now=clock or Clock(),
            reached=reached or (lambda point: None),
            marks=Marks(settings, children, registry),
        )
        changes = Changes(db)
        # Entered by hand, so that a failed assertion does not come out wrapped into a group.
        running = changes.running()
        await running.__aenter__()
        stack.push_async_callback(running.__aexit__, None, None, None)
        jobs = Jobs(services, changes)
        yield Workshop(
            services=services,
            jobs=jobs,
            library=Library(services, jobs),
            inputs=inputs,
        )


def _nothing_runs_beside(*_: object) -> None:
    raise AssertionError("these tests start nothing in the background")


class Crash(BaseException):
    """The process ends here, as by `kill -9`: nothing in our code may catch it and go on."""


def crashing_at(point: str, *, times: int = 1) -> Callable[[str], None]:
    """For `Services.reached`: ends the run the first time, or the first few times, that a point is reached."""
    left = [times]

    def reached(name: str) -> None:
        if name == point and left[0] > 0:
            left[0] -= 1
            raise Crash(point)

    return reached
