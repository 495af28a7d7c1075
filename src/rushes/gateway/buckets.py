"""Token buckets: how often somebody may call. Each holds a number of calls and fills steadily.

A bucket is one number, the instant at which it will be full again, so a hundred thousand callers cost a few megabytes.
Those who have not called for long have a full bucket, which is the same as none: they are forgotten first.
"""

import time
from collections.abc import Callable
from heapq import nlargest
from typing import NamedTuple

MOST_CALLERS = 100_000


class Take(NamedTuple):
    """What became of a call. `full_at` is the bucket after it; `wait_s` is 0 if it may go on."""

    full_at: float
    wait_s: float
    left: int  # calls that could follow at once
    full_in_s: float


def take(full_at: float, now: float, per_second: float, burst: int) -> Take:
    """Take one call out of a bucket that holds `burst` and is full at `full_at`. Pure."""
    interval_s = 1 / per_second
    room_s = burst * interval_s  # in which an empty one fills
    owed_s = max(0.0, full_at - now)
    # A whole number of calls must not be missed by a rounding error.
    wait_s = owed_s + interval_s - room_s
    if wait_s > interval_s * 1e-6:
        return Take(full_at, wait_s, 0, owed_s)
    owed_s += interval_s
    return Take(now + owed_s, 0.0, int((room_s - owed_s) * per_second + 1e-6), owed_s)


class Buckets:
    """The buckets of many callers, in bounded memory."""

    def __init__(self, *, most: int = MOST_CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: str, per_second: float, burst: int) -> Take:
        now = self._clock()
        taken = take(self._full_at.get(who, 0.0), now, per_second, burst)
        self._full_at[who] = taken.full_at
        if len(self._full_at) > self._most:
            self._forget(now)
        return taken

    def _forget(self, now: float) -> None:
        """Forget all full buckets; if that does not help, the half that is nearest to full."""
        kept = {who: full_at for who, full_at in self._full_at.items() if full_at > now}
        if len(kept) > self._most // 2:
            kept = dict(nlargest(self._most // 2, kept.items(), key=lambda entry: entry[1]))
        self._full_at = kept
