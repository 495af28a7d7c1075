"""The outbox: every message about the end of a job arrives, or is given up after three days.

It runs beside the work, in whichever process works. What it knows is in the database: the events are read after a
cursor and made into deliveries, and a delivery is taken for a try by moving on the time at which it is due. So two
processes never send the same try, and what a process that died had taken is due again a minute later, under the same
`webhook-id`: it may arrive twice, and its receiver can tell. Order is not promised.

A receiver that is slow or dead holds up nobody: few messages at a time go to one, and one alone to who last failed.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import anyio
import anyio.abc
import sqlalchemy as sa

from rushes.addresses import origin_of
from rushes.errors import RushesError
from rushes.http import Http
from rushes.jobs import store, webhook_store
from rushes.jobs.database import Database
from rushes.jobs.services import utc_now
from rushes.jobs.webhook_store import Delivery, DeliveryState, Endpoint
from rushes.jobs.webhooks import TYPE_OF_END, Tried, post, spread

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(hours=72)
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 4 * 3600.0
LEASE = timedelta(seconds=60)
"""How long a try is nobody else's. Longer than a try takes, by what a busy machine may add."""
AT_ONCE = 64
AT_ONCE_TO_ONE = 4
LOOK_EVERY_S = 1.0
AFTER_TROUBLE_S = 2.0
AFTER_A_BUG_S = 60.0
RECORD_S = 5.0
GRACE_S = 2.0
"""How long a try that is under way may go on when we are to stop."""
GONE = 410


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries: 5 s, twice as long each time, 4 h at most. Pure.

    `chance` between 0 and 1 takes off up to a half: what failed together is not to come back together.
    """
    whole = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 30))
    return whole * (1 - chance / 2)


def after_try(delivery: Delivery, tried: Tried, now: datetime, chance: float) -> Delivery:
    """A delivery after one more try: delivered, due again, or given up. Pure.

    `delivery.tries` counts this one. The last try is made when the three days are over, not before.
    """
    told = replace(delivery, http_status=tried.http_status, error=tried.error)
    if tried.good:
        return replace(told, state=DeliveryState.DELIVERED, next_at=None, ended_at=now)
    end = delivery.created_at + GIVE_UP_AFTER
    if tried.http_status == GONE or now >= end:
        return replace(told, state=DeliveryState.FAILED, next_at=None, ended_at=now)
    return replace(told, next_at=min(now + timedelta(seconds=pause_s(delivery.tries, chance)), end))


class _Letter(NamedTuple):
    """A delivery taken for a try, and where it goes."""

    delivery: Delivery
    endpoint: Endpoint


class _View(NamedTuple):
    """What there is to do, as of one moment."""

    last_event: int
    unread: bool  # there are ends of jobs that were not made into deliveries yet
    due: list[Delivery]
    next_at: datetime | None


def _pass(point: str) -> None:
    """For those who need no crash points."""


class Outbox:
    """Delivers while `run` runs. `nudge` it when something was committed."""

    def __init__(
        self,
        db: Database,
        http: Http,
        *,
        now: Callable[[], datetime] = utc_now,
        reached: Callable[[str], None] = _pass,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._http = http
        self._now = now
        self._reached = reached
        self._chance = chance
        self._nudged = anyio.Event()
        self._seen = 0  # no end of a job that is unread lies before this event
        self._sending = Counter[str]()  # messages on their way, by endpoint
        self._ailing = set[str]()  # endpoints whose last message did not arrive
        self._tries = set[anyio.CancelScope]()
        self._stopping = False
        self._trouble: str | None = None

    def nudge(self) -> None:
        """Look at once: something may have happened."""
        self._nudged.set()

    async def idle(self) -> bool:
        """Whether all that is to be told was tried at least once. Raises RushesError where the database does."""
        if self._sending:
            return False
        now = self._now()

        def look(connection: sa.Connection) -> bool:
            return self._unread(connection) or webhook_store.any_untried(connection, now)

        return not await self._db.read(look)

    async def run(self) -> None:
        """Deliver until cancelled. What is on its way then is waited for, but not for long."""
        self._stopping = False
        async with anyio.create_task_group() as tasks:
            try:
                while True:
                    self._nudged = anyio.Event()
                    wait_s = await self._round(tasks)
                    with anyio.move_on_after(wait_s):
                        await self._nudged.wait()
            finally:
                self._stopping = True
                for scope in self._tries:
                    scope.deadline = min(scope.deadline, anyio.current_time() + GRACE_S)

    async def _round(self, tasks: anyio.abc.TaskGroup) -> float:
        """Read what is new and send what is due, as far as there is room. Returns how long to wait then."""
        try:
            now = self._now()
            view = await self._db.read(lambda connection: self._view(connection, now))
            if view.unread:
                more = await self._db.write(lambda connection: spread(connection, now))
                self._seen = self._seen if more else view.last_event
                return 0.0
            self._seen = view.last_event
            if self._with_room(view.due):
                for letter in await self._db.write(lambda connection: self._claim(connection, now)):
                    self._sending[letter.endpoint.id] += 1
                    tasks.start_soon(self._deliver, letter)
            self._trouble = None
        except RushesError as error:
            self._tell_trouble(error)
            return AFTER_TROUBLE_S
        except Exception:
            log.exception("webhook.crashed")
            return AFTER_A_BUG_S
        if view.next_at is None or view.due:
            return LOOK_EVERY_S  # what is due has no room now, and whoever makes some nudges us
        return max(0.0, min(LOOK_EVERY_S, (view.next_at - now).total_seconds()))

    def _view(self, connection: sa.Connection, now: datetime) -> _View:
        last = store.last_event(connection)
        next_at = webhook_store.next_due_at(connection)
        due = webhook_store.due(connection, now, AT_ONCE_TO_ONE) if next_at is not None and next_at <= now else []
        return _View(last, last > self._seen and self._unread(connection), due, next_at)

    def _unread(self, connection: sa.Connection) -> bool:
        """Whether somebody wants to hear of ends of jobs that were not made into deliveries yet."""
        if not webhook_store.listening(connection):
            return False
        after = max(self._seen, webhook_store.cursor(connection))
        return webhook_store.any_end_after(connection, after, TYPE_OF_END)

    def _with_room(self, due: list[Delivery]) -> list[Delivery]:
        """Those of the due ones that may be sent now."""
        taken, total = Counter(self._sending), self._sending.total()
        found: list[Delivery] = []
        for delivery in due:
            most = 1 if delivery.webhook_id in self._ailing else AT_ONCE_TO_ONE
            if total < AT_ONCE and taken[delivery.webhook_id] < most:
                taken[delivery.webhook_id] += 1
                total += 1
                found.append(delivery)
        return found

    def _claim(self, connection: sa.Connection, now: datetime) -> list[_Letter]:
        # Looked for again: in this transaction nobody else can take them.
        listening = {endpoint.id: endpoint for endpoint in webhook_store.listening(connection)}
        found = self._with_room(webhook_store.due(connection, now, AT_ONCE_TO_ONE))
        until = now + LEASE
        webhook_store.claim(connection, [delivery.id for delivery in found], until)
        taken = [replace(delivery, tries=delivery.tries + 1, next_at=until) for delivery in found]
        return [_Letter(delivery, listening[delivery.webhook_id]) for delivery in taken]

    async def _deliver(self, letter: _Letter) -> None:
        """One try. A claim whose outcome cannot be written is due again when its lease is over."""
        scope = anyio.CancelScope(shield=True)  # it ends by `run`, which gives it some time
        if self._stopping:
            scope.deadline = anyio.current_time() + GRACE_S
        self._tries.add(scope)
        try:
            with scope:
                tried = await self._post(letter)
                self._reached("webhook.sent")
                await self._record(letter, tried)
            if scope.cancelled_caught:
                with anyio.move_on_after(RECORD_S, shield=True):
                    await self._give_back(letter)
        except RushesError as error:
            self._tell_trouble(error)
        except Exception:
            log.exception("webhook.crashed")
        finally:
            self._tries.discard(scope)
            self._sending[letter.endpoint.id] -= 1
            self._sending += Counter()  # drops the zeros
            self.nudge()

    async def _post(self, letter: _Letter) -> Tried:
        try:
            return await post(self._http, letter.endpoint, letter.delivery.id, letter.delivery.body, self._now())
        except Exception:
            # Told again like any other: a message that crashes us must come to its end, too.
            log.exception("webhook.crashed")
            return Tried(error="This is a bug in rushes; the log has the details.")

    async def _give_back(self, letter: _Letter) -> None:
        """We are to stop, and there was no answer in time: it is due at once, for whoever works next."""
        until, now = letter.delivery.next_at, self._now()
        assert until is not None
        await self._db.write(lambda connection: webhook_store.release(connection, letter.delivery.id, until, now))

    async def _record(self, letter: _Letter, tried: Tried) -> None:
        now = self._now()
        after = after_try(letter.delivery, tried, now, self._chance())
        until = letter.delivery.next_at
        assert until is not None
        gone = tried.http_status == GONE

        def work(connection: sa.Connection) -> None:
            if webhook_store.record(connection, after, until) and gone:
                words = f"The receiver answered {GONE}: it wants to hear no more."
                webhook_store.disable(connection, letter.endpoint.id, now, words)

        await self._db.write(work)
        if tried.good:
            self._ailing.discard(letter.endpoint.id)
        else:
            self._ailing.add(letter.endpoint.id)
        self._tell(letter.endpoint, after, tried)

    def _tell(self, endpoint: Endpoint, after: Delivery, tried: Tried) -> None:
        # Host only: path and query of a webhook are often all that proves who may post there.
        facts = {
            "webhook": endpoint.id,
            "delivery": after.id,
            "job": after.job_id,
            "host": origin_of(endpoint.url)[1],
            "http_status": tried.http_status,
            "tries": after.tries,
        }
        if after.state is DeliveryState.DELIVERED:
            log.info("webhook.delivered", extra=facts)
        elif after.state is DeliveryState.PENDING:
            log.info("webhook.retry", extra=facts)
        elif tried.http_status == GONE:
            log.warning("webhook.disabled", extra=facts)
        else:
            log.warning("webhook.given_up", extra=facts)

    def _tell_trouble(self, error: RushesError) -> None:
        """Once for each kind of it, until it is over."""
        if error.code != self._trouble:
            log.warning("webhook.trouble", extra={"cause": str(error)})
        self._trouble = error.code
