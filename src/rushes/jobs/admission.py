"""Admission: whether an order becomes a job, joins one, or is served, and whether its price is allowed.

What is admitted is durable when the transaction ends: the row, the ids of its videos, the hold on its money.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from rushes.config import Settings
from rushes.errors import ConfigError, MediaError, TooManyJobs
from rushes.jobs import budget, ledger, purse, repeats, shelf, store
from rushes.jobs.budget import Bid, Limit, Terms
from rushes.jobs.codec import JobOptions, options_to_json, prepared_from_json, prepared_to_json
from rushes.jobs.ledger import LOCAL_OWNER, Job, JobState
from rushes.jobs.repeats import Repeat
from rushes.jobs.routes import MODEL, dearest, flights, routes_of, routes_to_json
from rushes.jobs.services import Services
from rushes.jobs.shelf import VideoRow
from rushes.media.disk import digest
from rushes.media.store import video_key
from rushes.providers.prepare import Prepared
from rushes.telemetry import span
from rushes.video import new_video_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be bought, for whom, and how. `routes` are tried in order, the next only after a proven refusal.

    `cache`: `use` serves an equal finished job and joins an equal open one, `refresh` only joins, `off` does neither.
    `run` is the invocation or eval run that it belongs to; `max_cost_usd` is for all orders of that run together.
    `limits` are those of who orders, beside the ones of the settings. Where no price is known,
    `unknown_price_hold_usd` is held, by default that of the settings. `repeat` tells which earlier create it may be.
    """

    routes: tuple[Prepared, ...]
    asked_model: str
    slot: int = 0
    owner: str = LOCAL_OWNER
    cache: str = "use"
    options: JobOptions = field(default_factory=JobOptions)
    tags: tuple[str, ...] = ()
    priority: int = 0  # higher ones are taken first
    run: str | None = None
    max_cost_usd: Decimal | None = None
    limits: tuple[Limit, ...] = ()
    allow_unknown_price: bool = False
    unknown_price_hold_usd: Decimal | None = None
    most_open_jobs: int | None = None  # of the owner
    repeat: Repeat | None = None

    @property
    def first(self) -> Prepared:
        return self.routes[0]

    @property
    def may_be_served(self) -> bool:
        """A remix, edit or extension is always made: it is asked for its chance."""
        return self.cache == "use" and self.first.source is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of a submit: a new job, the open job it joined, or a finished one served from the library.

    `repeated`: it is the job of an earlier create, which this one repeats.
    """

    job_id: str
    joined: bool = False
    cached: bool = False
    repeated: bool = False
    estimate_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class _Hit:
    """A finished equal job whose files are whole, and the route that it was made on."""

    job: Job
    rows: list[VideoRow]
    route: Prepared


def new_run_id() -> str:
    return f"run_{uuid.uuid4().hex}"


class Desk:
    """Where orders come in."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def submit(self, order: Order) -> Admission:
        """Admit an order, durably.

        Raises ConfigError when none of its routes could be tried from here, OverBudget when a limit leaves too little
        for it, TooManyJobs, and KeyReused.
        """
        if order.max_cost_usd is not None and order.run is None:
            order = replace(order, run=new_run_id())
        terms = self._terms(order)
        asked = self._bid(order, terms)
        prints = [self._s.fingerprint(route, order.slot) for route in order.routes]
        while True:
            equal = await self._s.db.read(lambda connection: store.finished_equal(connection, order.owner, prints))
            looked_at = frozenset(each.id for each in equal)
            if order.may_be_served and (hit := await self._usable_hit(order, prints, equal)) is not None:
                self._s.reached("cache.hit")
                if (served := await self._admit_cached(order, hit)) is not None:
                    return served
                continue  # it was deleted or collected since we looked
            self._check_ready(order)
            job = self._new_job(order, prints[0], terms)
            ids = self._video_ids(order, job)
            with span("admit", job.id, model=job.model) as traced:
                admission = await self._s.db.write(
                    lambda c, job=job, ids=ids, seen=looked_at: admit(c, order, job, ids, prints, seen, asked)
                )
                if admission is not None and admission.joined:
                    traced.note(outcome="joined", joined=admission.job_id)
            if admission is not None:
                self._s.reached("job.admitted")
                return admission

    async def price_now(self, order: Order) -> Decimal | None:
        """What a submit would cost at most at this moment: nothing if it is served or joined. None: unknown."""
        prints = [self._s.fingerprint(route, order.slot) for route in order.routes]
        if order.may_be_served:
            equal = await self._s.db.read(lambda connection: store.finished_equal(connection, order.owner, prints))
            if await self._usable_hit(order, prints, equal) is not None:
                return Decimal(0)
        if order.cache != "off":
            now = self._s.now()
            alike = await self._s.db.read(lambda c: _alike_in_flight(c, order.owner, prints))
            if any(not (job.timed_out(now) or job.cancel_requested) for job in alike):
                return Decimal(0)
        return dearest(order.routes)

    async def check_budgets(self, orders: Sequence[Order]) -> None:
        """Raise OverBudget unless all orders together fit their limits at this moment: all of them, or none."""
        bids: list[Bid] = []
        for order in orders:
            asked = self._bid(order, self._terms(order))
            if asked.limits and await self.price_now(order) != 0:  # what is served or joined asks for nothing
                budget.check_permitted(asked)
                bids.append(asked)
        wholes = budget.together(bids)
        day = purse.day_of(self._s.now())

        def work(connection: sa.Connection) -> None:
            for whole in wholes.values():
                purse.check(connection, whole, day)

        if wholes:
            await self._s.db.read(work)

    def _terms(self, order: Order) -> Terms:
        limits = order.limits
        if order.run is not None and order.max_cost_usd is not None:
            limits = (budget.of_run(order.run, order.max_cost_usd), *limits)
        hold_usd = order.unknown_price_hold_usd
        return Terms(
            limits=limits,
            allow_unknown_price=order.allow_unknown_price,
            unknown_price_hold_usd=self._settings.budget.unknown_price_hold_usd if hold_usd is None else hold_usd,
        )

    def _bid(self, order: Order, terms: Terms) -> Bid:
        """What the order asks to be held. It counts to the provider of the first route, until it turns to another."""
        by_provider: Mapping[str, tuple[Limit, ...]] = {
            name: (*terms.limits, *budget.configured(self._settings, name))
            for name in (route.request.model.provider for route in order.routes)
        }
        return budget.bid(
            purse.prices(order.routes),
            terms,
            by_provider[order.first.request.model.provider],
            limited=any(by_provider.values()),
        )

    @property
    def _settings(self) -> Settings:
        return self._s.registry.settings

    def _check_ready(self, order: Order) -> None:
        """Raise ConfigError when no route could be tried from here, with the reason of the first."""
        troubles: list[ConfigError] = []
        for route in order.routes:
            try:
                self._s.registry.provider(route.request.model.provider).check_ready()
                return
            except ConfigError as error:
                troubles.append(error)
        raise troubles[0]

    def _new_job(self, order: Order, print_: str, terms: Terms) -> Job:
        now = self._s.now()
        request = order.first.request
        source = order.first.source
        return Job(
            id=new_video_id(),
            owner=order.owner,
            state=JobState.QUEUED,
            model=str(request.model),
            asked_model=order.asked_model,
            prompt=request.prompt,
            fingerprint=print_,
            slot=order.slot,
            priority=order.priority,
            run=order.run,
            created_at=now,
            deadline=ledger.deadline(now, self._s.registry.model(request.model).deadline_s),
            prepared_json=prepared_to_json(order.first),
            routes_json=routes_to_json(order.routes),
            source_video=source.video_id if source else None,
            source_kind=source.kind.value if source else None,
            options_json=options_to_json(replace(order.options, terms=terms)),
            estimate_usd=order.first.estimate_usd,
        )

    def _video_ids(self, order: Order, job: Job) -> list[str]:
        """The public ids are fixed now; the first video has its job's."""
        count = self._s.registry.provider(order.first.request.model.provider).count(order.first)
        return [job.id, *(new_video_id() for _ in range(count - 1))]

    async def _usable_hit(self, order: Order, prints: list[str], equal: list[Job]) -> _Hit | None:
        """A finished equal job whose files are still there and whole; broken ones are remembered as gone."""
        for route, print_ in zip(order.routes, prints, strict=True):
            for job in (each for each in equal if each.fingerprint == print_):
                if route is not order.first and self._first_print(job) != prints[0]:
                    continue  # asked for by itself: the model that is wanted first was never tried for it
                rows = await self._s.db.read(lambda c, job=job: shelf.videos_of(c, job.id))
                if rows and all([await self._is_whole(row) for row in rows]):
                    return _Hit(job, rows, route)
                broken = [row.id for row in rows if row.in_library]
                now = self._s.now()
                await self._s.db.write(lambda c, broken=broken, now=now: shelf.mark_gone(c, broken, now))
        return None

    def _first_print(self, job: Job) -> str | None:
        """The fingerprint of a job's first route; None if that has left the settings."""
        try:
            return self._s.fingerprint(routes_of(job)[0], job.slot)
        except ConfigError:
            return None

    async def _is_whole(self, row: VideoRow) -> bool:
        if not row.in_library or row.stored_under is None:
            return False
        key = video_key(row.stored_under)
        head = await self._s.media.head(key)
        if head is None or head.size_bytes != row.size_bytes:
            return False
        path = self._s.media.local_path(key)
        try:
            return path is None or (await digest(path))[0] == row.sha256
        except MediaError:
            if await self._s.media.head(key) is None:
                return False  # it was deleted or collected while it was read
            raise

    async def _admit_cached(self, order: Order, hit: _Hit) -> Admission | None:
        """Serve a finished job's videos. None when their files have been given up since they were looked at."""
        now = self._s.now()
        job = replace(
            self._new_job(order, hit.job.fingerprint, self._terms(order)),
            model=hit.job.model,
            prepared_json=prepared_to_json(_as_made(hit)),
            state=JobState.COMPLETED,
            percent=100.0,
            estimate_usd=Decimal(0),
            cost_usd=Decimal(0),
            cached_from=hit.job.cached_from or hit.job.id,
            started_at=now,
            completed_at=now,
        )
        ids = [job.id, *(new_video_id() for _ in hit.rows[1:])]

        def work(connection: sa.Connection) -> Admission | None:
            if (known := _repeated(connection, order, now)) is not None:
                return known
            if not shelf.may_still_serve(connection, hit.job.id):
                return None
            store.insert_job(connection, job, ids)
            shelf.add_tags(connection, job.id, order.tags)
            for video_id, row in zip(ids, hit.rows, strict=True):
                shelf.save_video(connection, replace(row, id=video_id, job_id=job.id, created_at=now))
                for asset in shelf.assets_of(connection, row.id).values():
                    shelf.save_asset(connection, replace(asset, video_id=video_id))
            store.insert_event(connection, job.id, "completed", now, cached_from=job.cached_from, cost_usd="0")
            _remember(connection, order, job.id, now)
            return Admission(job_id=job.id, cached=True, estimate_usd=Decimal(0))

        return await self._s.db.write(work)


def admit(
    connection: sa.Connection,
    order: Order,
    job: Job,
    ids: list[str],
    prints: list[str],
    looked_at: frozenset[str],
    asked: Bid,
) -> Admission | None:
    """Admit a job in the caller's transaction, or join the open one that is equal to it, which costs nothing.

    Raises OverBudget, and then nothing has been changed, if what is `asked` for it does not fit.
    None when an equal one has finished that the look into the library (`looked_at`) did not see yet: it may serve.
    """
    if (known := _repeated(connection, order, job.created_at)) is not None:
        return known
    for open_job in [] if order.cache == "off" else _alike_in_flight(connection, job.owner, prints):
        if not (open_job.timed_out(job.created_at) or open_job.cancel_requested):
            shelf.add_tags(connection, open_job.id, order.tags)
            _remember(connection, order, open_job.id, job.created_at)
            return Admission(job_id=open_job.id, joined=True, estimate_usd=open_job.estimate_usd)
        store.set_flight(connection, open_job.id, None)  # it has failed to the world, or is to end: it is bought anew
    if order.may_be_served:
        finished = {each.id for each in store.finished_equal(connection, job.owner, prints)}
        if finished - looked_at:
            return None
    _check_room(connection, order)
    store.insert_job(connection, job, ids)
    store.set_flight(connection, job.id, None if order.cache == "off" else flights(prints)[0])
    purse.take(connection, job, asked)
    shelf.add_tags(connection, job.id, order.tags)
    store.insert_event(connection, job.id, "queued", job.created_at, model=job.model)
    _remember(connection, order, job.id, job.created_at)
    return Admission(job_id=job.id, estimate_usd=order.first.estimate_usd)


def _repeated(connection: sa.Connection, order: Order, now: datetime) -> Admission | None:
    """The job of the create that this order repeats. One that was deleted since is not made again."""
    job_id = repeats.job_of(connection, order.owner, order.repeat, now) if order.repeat else None
    job = store.job_by_id(connection, job_id) if job_id else None
    return None if job is None else Admission(job_id=job.id, repeated=True, estimate_usd=job.estimate_usd)


def _remember(connection: sa.Connection, order: Order, job_id: str, now: datetime) -> None:
    if order.repeat:
        repeats.remember(connection, order.owner, order.repeat, job_id, now)


def _check_room(connection: sa.Connection, order: Order) -> None:
    if order.most_open_jobs is None or store.open_jobs_of(connection, order.owner) < order.most_open_jobs:
        return
    raise TooManyJobs(
        f"{order.most_open_jobs} jobs are open, as many as this key may have at once. Wait for one to end."
    )


def _alike_in_flight(connection: sa.Connection, owner: str, prints: list[str]) -> list[Job]:
    """The open jobs that an order may join, the most equal one first."""
    found = [store.job_in_flight(connection, owner, flight) for flight in flights(prints)]
    return [job for job in found if job is not None]


def _as_made(hit: _Hit) -> Prepared:
    """What was ordered, with what became of it when it was made: another model took it, or fewer videos came."""
    told = (MODEL, "videos") if hit.job.route else ("videos",)
    made = prepared_from_json(hit.job.prepared_json)
    notes = [note for note in made.adjustments if note.field in told]
    return replace(hit.route, adjustments=(*notes, *hit.route.adjustments))
