"""How often an account is called: a token bucket as plain arithmetic. Pure: instants in seconds come from outside.

The settings may say how many requests a second an account takes. What they do not say is learnt: a call that is
answered with 429 was one too many, so from then on there are half as many as there were of late, and slowly more
again. Calls are spread evenly over the second, because accounts that count strictly count the first moments too.

A create that is refused teaches nothing here. Most accounts refuse it because too many jobs are running, and to look
at those less often would only make their ends be noticed later; `jobs/limits.py` learns from it.
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum

REMEMBERS_S = 5.0
"""Over about this long the recent rate of calls is measured."""

SHORTEST_S = 1.0
"""Calls of less time than this are counted as if it had been this: a burst at the start is no rate."""

LOWEST = 0.05
"""Nothing is learnt below this many calls a second: even the strictest account is asked three times a minute."""

DOUBLES_S = 120.0
"""A learnt rate doubles in this time, as long as nothing is refused."""

FORGOTTEN = 1000.0
"""A learnt rate that has grown to this many calls a second holds nobody up, and is forgotten."""

BURST_S = 0.1
"""Beyond the next call, unused turns of this long are kept, so that a timer that wakes late loses none."""

LONGEST_ASKED_S = 3600.0
"""A Retry-After beyond this is not believed."""


class Urgency(IntEnum):
    """Whose turn comes first. Within one kind: who came first."""

    CREATE = 0
    FETCH = 1  # downloads, and all else that is not a look
    LOOK = 2  # a status poll: there may be ten thousand of these, and one that comes late loses nothing


def urgency_of(step: str) -> Urgency:
    """How urgent a call of this step is."""
    return {"create": Urgency.CREATE, "poll": Urgency.LOOK}.get(step, Urgency.FETCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One account's bucket, as it was at `at`. Rates are calls a second, instants are seconds of any steady clock."""

    configured: float | None  # of the whole account
    at: float
    share: int = 1  # how many processes call the account
    tokens: float = 1.0
    learnt: float | None = None  # of this process alone
    learnt_at: float = 0.0
    recent_calls: float = 0.0  # the older, the less a call counts
    since: float | None = None  # when the first of them was made
    paused_until: tuple[float, float, float] = (-math.inf, -math.inf, -math.inf)  # by urgency


def allowed(rate: Rate, now: float) -> float | None:
    """How many calls a second this process may make; None: as many as it likes."""
    learnt = _learnt(rate, now)
    bounds = [] if rate.configured is None else [rate.configured / rate.share]
    if learnt is not None:
        bounds.append(learnt)
    return min(bounds, default=None)


def wait_s(rate: Rate, urgency: Urgency, now: float) -> float:
    """How long until the next call of that kind may leave."""
    pause_s = max(0.0, rate.paused_until[urgency] - now)
    per_second = allowed(rate, now)
    if per_second is None:
        return pause_s
    missing = 1.0 - _tokens(rate, per_second, now)
    return max(pause_s, missing / per_second if missing > 1e-9 else 0.0)


def called(rate: Rate, now: float) -> Rate:
    """One call leaves now."""
    per_second = allowed(rate, now)
    tokens = 1.0 if per_second is None else _tokens(rate, per_second, now) - 1.0
    recent = rate.recent_calls * math.exp((rate.at - now) / REMEMBERS_S) + 1.0
    since = now if rate.since is None else rate.since
    return replace(rate, at=now, tokens=tokens, recent_calls=recent, since=since)


def refused(rate: Rate, urgency: Urgency, retry_after_s: float | None, sent_at: float, now: float) -> Rate:
    """A call that left at `sent_at` was answered 429.

    Retry-After is a pause for calls of its kind and for less urgent ones. A call that left before the rate was last
    learnt says nothing about the new rate.
    """
    if urgency is Urgency.CREATE:
        return rate
    until = now + min(max(retry_after_s or 0.0, 0.0), LONGEST_ASKED_S)
    create, fetch, look = rate.paused_until
    rate = replace(
        rate, paused_until=(create, max(fetch, until) if urgency is Urgency.FETCH else fetch, max(look, until))
    )
    if rate.learnt is not None and sent_at <= rate.learnt_at:
        return rate
    half = max(LOWEST, recent_rate(rate, now) / 2)
    return replace(_counted(rate, now), learnt=half, learnt_at=now, tokens=0.0)


def shared(rate: Rate, processes: int, now: float) -> Rate:
    """The same account, called by so many processes. What was learnt is of one process, and is not divided."""
    return replace(_counted(rate, now), share=max(1, processes))


def recent_rate(rate: Rate, now: float) -> float:
    """Calls a second of late."""
    if rate.since is None:
        return 0.0
    age_s = max(SHORTEST_S, now - rate.since)
    faded = rate.recent_calls * math.exp((rate.at - now) / REMEMBERS_S)
    return faded / (REMEMBERS_S * (1 - math.exp(-age_s / REMEMBERS_S)))


def _counted(rate: Rate, now: float) -> Rate:
    """The same bucket, brought up to now: what changes from here on must not change the time before."""
    per_second = allowed(rate, now)
    tokens = rate.tokens if per_second is None else _tokens(rate, per_second, now)
    recent = rate.recent_calls * math.exp((rate.at - now) / REMEMBERS_S)
    return replace(rate, at=now, tokens=tokens, recent_calls=recent)


def _learnt(rate: Rate, now: float) -> float | None:
    if rate.learnt is None:
        return None
    doublings = min(max(0.0, now - rate.learnt_at) / DOUBLES_S, 64.0)
    grown = rate.learnt * 2**doublings
    return grown if grown < FORGOTTEN else None


def _tokens(rate: Rate, per_second: float, now: float) -> float:
    return min(1.0 + per_second * BURST_S, rate.tokens + max(0.0, now - rate.at) * per_second)
