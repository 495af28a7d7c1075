"""App: the front door. It puts the parts together, hands them to the faces, and has no logic of its own."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import anyio
import anyio.abc

from rushes import config
from rushes.config import Settings
from rushes.errors import ConfigError, MediaError, RushesError
from rushes.http import Http
from rushes.jobs import store
from rushes.jobs.admission import Admission, Order, new_run_id
from rushes.jobs.audit import Audit
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.characters import Characters
from rushes.jobs.codec import JobOptions
from rushes.jobs.database import Database
from rushes.jobs.events import Changes
from rushes.jobs.keys import Keys
from rushes.jobs.library import Library
from rushes.jobs.lineage import Lineage
from rushes.jobs.marks import Marks
from rushes.jobs.outbox import Outbox
from rushes.jobs.repeats import Repeat
from rushes.jobs.retention import Retention
from rushes.jobs.service import Jobs, Snapshot
from rushes.jobs.services import Services
from rushes.jobs.shelf import Character
from rushes.jobs.spend import Spend
from rushes.jobs.tags import Tags
from rushes.jobs.webhooks import Webhooks
from rushes.jobs.worker import Worker, leave_successor
from rushes.media.children import Children
from rushes.media.inputs import Inputs
from rushes.media.store import MediaStore
from rushes.planning import Given, Picture, Plan, Planner, Wish
from rushes.policy import Policy
from rushes.providers.registry import Registry
from rushes.providers.replacements import DEFAULT_BOARD, Answer, Sort, look_up
from rushes.providers.terms import Variant
from rushes.video import JSON, MediaRef, Size, Video

log = logging.getLogger(__name__)


class App:
    """Everything that rushes can do, over one home folder.

        async with rushes.App() as app:
            [video] = await app.generate(rushes.Wish(prompt="a lighthouse at dusk", seconds=4))

    While it is open it may work on the jobs of its database, if no other process does. When it closes with jobs
    open it leaves a background worker behind, unless `leave_worker` is False.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        leave_worker: bool = True,
        say: Callable[[str], None] = log.warning,
        reached: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings or config.load()
        self._leave_worker = leave_worker
        self._say = say
        self._reached = reached
        self._stack = AsyncExitStack()
        self._working = False
        self._work_scope = anyio.CancelScope()
        self._rested = anyio.Event()
        self._store_checked = False

    @classmethod
    def from_env(cls) -> Self:
        """With the settings of the environment and of `rushes.toml`."""
        return cls(config.load())

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            settings = self.settings
            spool = _home(settings.home) / "spool"
            self.http = Http(settings)
            stack.push_async_callback(self.http.aclose)
            self.children = await stack.enter_async_context(
                Children(limits=settings.limits, environment=settings.environment)
            )
            self.media = MediaStore.of(settings)
            self.inputs = Inputs(self.media, self.children, self.http, settings.limits)
            self.db = await Database.open(settings.database_url)
            stack.callback(self.db.close)
            self.http.via = await _installation(self.db)
            self._background = _Background()
            self.providers = Registry(
                settings,
                self.http,
                settings.home / "providers",
                read_input=self.inputs.read,
                input_path=self.inputs.path,
                children=self.children,
                start_soon=self._background.start_soon,
            )
            self.marks = Marks(settings, self.children, self.providers)
            services = Services(
                db=self.db,
                registry=self.providers,
                media=self.media,
                children=self.children,
                spool=spool,
                max_video_bytes=int(settings.limits.video_mb * 1_000_000),
                marks=self.marks,
            )
            if self._reached is not None:
                services = replace(services, reached=self._reached)
            self.services = services
            self.changes = changes = Changes(self.db)
            await stack.enter_async_context(changes.running())
            await stack.enter_async_context(self._background)  # last in, first out: its tasks use all of the above
            self.jobs = Jobs(services, changes)
            self.library = Library(services, self.jobs)
            self.lineage = Lineage(services, self.jobs)
            self.characters = Characters(services)
            self.tags = Tags(services)
            self.keys = Keys(self.db)
            self.audit = Audit(self.db, keep_words=settings.policy.log_prompts)
            self.policy = Policy(settings, self.http, self.audit)
            self.spend = Spend(services)
            self.retention = Retention(services, settings.home)
            self.planner = Planner(settings, self.providers, self.inputs, self.jobs, self.lineage, self.characters)
            self.webhooks = Webhooks(self.db, self.http)
            outbox = Outbox(self.db, self.http, reached=services.reached)
            self.worker = Worker(services, changes, most_jobs=settings.worker.jobs, beside=[outbox])
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # No scope of ours may be open around the closing of the older scopes on the stack.
        try:
            if self._leave_worker:
                with anyio.CancelScope(shield=True):
                    await self._see_that_work_goes_on()
        finally:
            await self._stack.aclose()

    async def _see_that_work_goes_on(self) -> None:
        """Before leaving open jobs: another process must be there to work on them, or this one stays."""
        # First: who submits while we still have a place relies on us, and we look after that.
        await self._rest()
        if not await self.worker.has_anything_left():
            return
        if await self.worker.somebody_else_works():
            return
        try:
            await leave_successor(config.to_json(self.settings), self.settings.home / "worker.log")
        except RushesError as error:
            self._say(f"{error} So this process stays until its jobs are done.")
            self.work()
            await self.worker.until_idle()

    # -- choose ------------------------------------------------------------------------------------

    def replacements(
        self,
        name: str,
        *,
        size: Size | None = None,
        seconds: int | None = None,
        provider: str | None = None,
        sort: Sort = Sort.FEATURES,
        board: str = DEFAULT_BOARD,
    ) -> Answer:
        """What could be used instead of a model, the best first. Costs nothing, asks nobody. Raises UnknownModel."""
        today = self.jobs.now().date()
        return look_up(
            self.providers, name, today=today, size=size, seconds=seconds, provider=provider, sort=sort, board=board
        )

    # -- make --------------------------------------------------------------------------------------

    async def plan(self, wish: Wish, *, ours: Collection[str] = (), caller: Caller = LOCAL) -> Plan:
        """Decide what would be bought, without buying. Raises what is wrong with the wish."""
        self.marks.check()
        await self.policy.check(wish.prompt, caller=caller)
        if not self._store_checked:
            await self.media.check()  # what could not be kept is not bought
            self._store_checked = True
        return await self.planner.plan(wish, ours=ours, caller=caller)

    async def price(self, plan: Plan, *, caller: Caller = LOCAL) -> Decimal | None:
        """What carrying out a plan would cost now at most, served from the library where it can be. None: unknown."""
        prices = [await self.jobs.price_now(order) for order in self._orders(plan, caller)]
        known = [price for price in prices if price is not None]
        return sum(known, Decimal(0)) if len(known) == len(prices) else None

    async def submit(self, plan: Plan, *, caller: Caller = LOCAL, repeat: Repeat | None = None) -> list[Admission]:
        """Admit every job of a plan, as one run. Raises OverBudget before any of them if the whole does not fit.

        `repeat` is for a plan of one job: the earlier create that it may be.
        """
        return await self.jobs.submit_all(self._orders(plan, caller, repeat))

    def _orders(self, plan: Plan, caller: Caller = LOCAL, repeat: Repeat | None = None) -> list[Order]:
        wish, run = plan.wish, new_run_id()
        return [
            Order(
                routes=routes,
                asked_model=plan.choice.asked,
                slot=slot,
                owner=caller.owner,
                cache=wish.cache or caller.cache or self.settings.defaults.cache,
                options=JobOptions(thumbnail=wish.thumbnail, spritesheet=wish.spritesheet),
                tags=wish.tags,
                priority=wish.priority,
                run=run,
                max_cost_usd=wish.max_cost_usd,
                allow_unknown_price=wish.allow_unknown_price,
                limits=caller.limits,
                unknown_price_hold_usd=caller.unknown_price_hold_usd,
                most_open_jobs=caller.most_open_jobs,
                repeat=repeat,
            )
            for slot, routes in enumerate(plan.takes)
        ]

    async def generate(
        self,
        wish: Wish,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[Snapshot], None] | None = None,
    ) -> list[Video]:
        """Make videos and wait for them: one for each of `wish.n`, in order.

        Raises what `Jobs.wait` raises for the first that fails; the others go on.
        """
        admissions = await self.submit(await self.plan(wish))
        if not all(admission.cached for admission in admissions):
            self.work()
        found: list[Video] = []
        for admission in admissions:
            found += await self.jobs.wait(admission.job_id, timeout_s=timeout_s, on_progress=on_progress)
        return [await self.with_pictures(video, wish) for video in found]

    async def make_character(
        self, name: str, clip: Picture, *, model: str | None = None, caller: Caller = LOCAL
    ) -> Character:
        """Make a character from a short clip at a model's provider. As far as is known that costs nothing.

        Raises Unsupported for a model without characters, MediaError for what is no clip, and ProviderError.
        """
        chosen = self.providers.choose(model).model
        self.characters.check(name, chosen)
        media = clip
        if not isinstance(media, MediaRef):
            media = await self.inputs.add(media, files=caller.reads_files, clips=True)
        return await self.characters.create(name, media, chosen.id, owner=caller.owner)

    async def with_pictures(self, video: Video, wish: Wish) -> Video:
        """The video with its thumbnail and spritesheet made, as far as the wish wants them and the file is there."""
        try:
            thumbnail = await self.library.picture(video, Variant.THUMBNAIL) if wish.thumbnail else video.thumbnail
            sheet = await self.library.picture(video, Variant.SPRITESHEET) if wish.spritesheet else video.spritesheet
        except MediaError as error:
            log.warning("picture.failed", extra={"video": video.id, "cause": str(error)})
            return video
        return replace(video, thumbnail=thumbnail, spritesheet=sheet)

    def work(self) -> None:
        """Work on open jobs in the background as soon as no other process does. Calling it again does nothing."""
        if not self._working:
            self._working = True
            self._background.start_soon(self._stand_by)

    async def _stand_by(self) -> None:
        try:
            with self._work_scope:
                await self.worker.run(stand_by=True)
        finally:
            self._rested.set()

    async def _rest(self) -> None:
        """Give up the work of `work()`; it may be called again."""
        if self._working:
            self._work_scope.cancel()
            await self._rested.wait()
            self._working, self._rested = False, anyio.Event()
            self._work_scope = anyio.CancelScope()


class _Background:
    """The parent of everything that runs beside the callers: it waits for its tasks, or cancels them."""

    def __init__(self) -> None:
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, object]], *arguments: object) -> None:
        if self._tasks is None:
            raise RushesError("The App is closed.")
        self._tasks.start_soon(function, *arguments)

    async def stop(self) -> None:
        """Cancel what runs and wait until it has ended. Raises what made a task fail."""
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return
        tasks.cancel_scope.cancel()
        try:
            await tasks.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _installation(db: Database) -> str:
    """What tells this database from all others. Where it cannot be kept now, one for this time."""
    chosen = f"installation_{uuid4().hex[:24]}"
    try:
        found = await db.read(store.installation_id)
        return found or await db.write(lambda connection: store.give_installation_id(connection, chosen))
    except RushesError:
        return chosen  # whatever ails the database is told by whoever needs it


def _home(home: Path) -> Path:
    """Make the home folder with what must be in it; prompts and pictures are nobody else's. Raises ConfigError."""
    try:
        if not home.exists():
            home.mkdir(mode=0o700, parents=True)
        (home / "spool").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The home folder {home} cannot be made: {error.strerror}. Set RUSHES_HOME.") from error
    return home


def generate(
    prompt: str,
    *,
    model: str | None = None,
    size: Size | str | None = None,
    seconds: int | None = None,
    image: Picture | None = None,
    last_image: Picture | None = None,
    references: Sequence[Picture | Given] = (),
    characters: Sequence[str] = (),
    remix: str | None = None,
    edit: str | None = None,
    extend: str | None = None,
    fallback: Sequence[str] = (),
    seed: int | None = None,
    audio: bool | None = None,
    negative_prompt: str | None = None,
    extra: dict[str, JSON] | None = None,
    cache: str | None = None,
    max_cost_usd: Decimal | str | None = None,
    allow_unknown_price: bool = False,
    priority: int = 0,
    download_thumbnail: bool = True,
    download_spritesheet: bool = True,
    timeout_s: float | None = None,
    on_progress: Callable[[Snapshot], None] | None = None,
    settings: Settings | None = None,
) -> Video:
    """Make one video and wait for it, from code that is not asynchronous.

    After a crash the same call picks the job up instead of buying it again. Raises RushesError, of whatever kind;
    in a running event loop use `async with rushes.App() as app` instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RushesError("An event loop is running here. Use: async with rushes.App() as app: await app.generate(…)")
    wish = Wish(
        prompt=prompt,
        model=model,
        size=size,
        seconds=seconds,
        first_frame=image,
        last_frame=last_image,
        references=tuple(references),
        characters=tuple(characters),
        remix=remix,
        edit=edit,
        extend=extend,
        fallback=tuple(fallback),
        seed=seed,
        audio=audio,
        negative_prompt=negative_prompt,
        extra=extra or {},
        cache=cache,
        max_cost_usd=None if max_cost_usd is None else Decimal(max_cost_usd),
        allow_unknown_price=allow_unknown_price,
        priority=priority,
        thumbnail=download_thumbnail,
        spritesheet=download_spritesheet,
    )

    async def main() -> Video:
        async with App(settings) as app:
            return (await app.generate(wish, timeout_s=timeout_s, on_progress=on_progress))[0]

    return anyio.run(main)
