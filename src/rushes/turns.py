"""Waiting for one's turn to call an account: the bucket of `rates.py` with a queue before it.

However many wait, one timer runs: the first who has to wait keeps it for all, and hands it on when it is served or
cancelled. Nothing runs in the background, so nothing has to be closed.
"""

import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

import anyio

from rushes import rates
from rushes.rates import Rate, Urgency


@dataclass(eq=False, slots=True)
class _Waiter:
    served: bool = False
    wake: anyio.Event = field(default_factory=anyio.Event)


class Turns:
    """The turns of one account in this process. For one event loop."""

    def __init__(self, per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = Rate(configured=per_second, at=clock())
        self._queues: dict[Urgency, dict[_Waiter, None]] = {urgency: {} for urgency in Urgency}
        self._timer_kept = False
        self._changed = anyio.Event()

    @property
    def per_second(self) -> float | None:
        """How many calls a second are made at most just now; None: as many as come."""
        return rates.allowed(self._rate, self._clock())

    def set_share(self, processes: int) -> None:
        """Say how many processes call the account: each takes its part of the configured rate."""
        self._rate = rates.shared(self._rate, processes, self._clock())
        self._changed.set()

    def note_refusal(self, urgency: Urgency, retry_after_s: float | None, sent_at: float) -> None:
        """A call that had its turn at `sent_at` was answered 429."""
        self._rate = rates.refused(self._rate, urgency, retry_after_s, sent_at, self._clock())
        self._changed.set()

    async def take(self, urgency: Urgency) -> float:
        """Wait for a turn and use it; returns the instant at which it came, for `note_refusal`.

        A create whose turn this task took ahead goes at once.
        """
        if urgency is Urgency.CREATE and _taken_ahead.get() is self:
            _taken_ahead.set(None)
        else:
            await self._wait(urgency)
        return self._clock()

    async def take_ahead(self) -> None:
        """Take the turn of the create that this task will send next, so that it need not wait when it is announced."""
        if _taken_ahead.get() is not self:
            await self._wait(Urgency.CREATE)
            _taken_ahead.set(self)

    async def _wait(self, urgency: Urgency) -> None:
        if not any(self._ahead_of(urgency)) and self._serve_one(urgency):
            return
        me, queue = _Waiter(), self._queues[urgency]
        queue[me] = None
        if len(queue) == 1:
            self._changed.set()  # whoever keeps the timer did not reckon with this kind of call
        try:
            while not me.served:
                if self._timer_kept:
                    await me.wake.wait()
                    me.wake = anyio.Event()
                else:
                    await self._keep_timer(me)
        finally:
            queue.pop(me, None)
            self._hand_timer_on()

    async def _keep_timer(self, me: _Waiter) -> None:
        """Serve everybody in order, until it is my turn."""
        self._timer_kept = True
        try:
            while not me.served:
                self._changed = anyio.Event()
                if (wait_s := self._serve()) is not None and not me.served:
                    with anyio.move_on_after(wait_s):
                        await self._changed.wait()
        finally:
            self._timer_kept = False

    def _serve(self) -> float | None:
        """Give out the turns that there are; returns how long until the next one, or None when nobody waits."""
        for urgency, queue in self._queues.items():
            while queue and self._serve_one(urgency):
                waiter = next(iter(queue))
                del queue[waiter]
                waiter.served = True
                waiter.wake.set()
        now = self._clock()
        waits = [rates.wait_s(self._rate, urgency, now) for urgency, queue in self._queues.items() if queue]
        return min(waits, default=None)

    def _serve_one(self, urgency: Urgency) -> bool:
        now = self._clock()
        if rates.wait_s(self._rate, urgency, now) > 0:
            return False
        self._rate = rates.called(self._rate, now)
        return True

    def _hand_timer_on(self) -> None:
        if not self._timer_kept and (heir := next(iter(self._ahead_of(Urgency.LOOK)), None)):
            heir.wake.set()

    def _ahead_of(self, urgency: Urgency) -> Iterable[_Waiter]:
        """Who waits and is served no later than one who comes now."""
        return (waiter for kind, queue in self._queues.items() if kind <= urgency for waiter in queue)


_taken_ahead: ContextVar[Turns | None] = ContextVar("turn_taken_ahead", default=None)
"""Whose create this task may send at once. Kept by task: a turn is of use to nobody but who took it."""
