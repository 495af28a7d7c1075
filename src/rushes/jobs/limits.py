"""How many jobs a provider's account is given at once. Pure: counts and times in, a number out.

The settings may say it (`max_jobs`). What they do not say is learnt: a create that is answered with 429 shows that
what runs now is all that the account takes. From then on the limit is carefully tried again: one more after a while,
then more and more at a time as long as nothing is refused. A limit that was met again at the same height is known
better, so the wait before the next try doubles.

Of a lane of which nothing is known only a few creates are on their way at once, and as many more as were accepted:
ten thousand waiting jobs must not find out by ten thousand refusals that two are allowed. Ask again whenever a
create was answered.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST_CREATES = 8
"""So many creates may be on their way to an account that has accepted none yet."""

RECOVER_S = 10.0
"""The length of one step of recovery: +1 job after the first, +2 after the second, and so on."""

FIRST_HOLD_S = 20.0
LONGEST_HOLD_S = 600.0
"""A learnt limit that was met again is left alone this long before recovery starts anew."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LONGEST_ASKED_S = 3600.0
"""A Retry-After beyond this is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The jobs of one provider's account, and what was learnt about it from its refusals."""

    provider: str
    in_flight: int  # sent or being sent, and still running as far as we know
    queued: int  # not taken up by any worker
    jobs_learnt: int | None
    learnt_at: datetime | None  # from when on the learnt limit recovers; may lie ahead
    resume_at: datetime | None  # no create before this
    sending: int = 0  # those in flight whose create is not answered yet
    fetching: int = 0  # accepted and rendered, not yet delivered: not in flight any more

    @property
    def accepted(self) -> int:
        """Jobs that run on the far side."""
        return self.in_flight - self.sending


def room(lane: Lane, max_jobs: int | None, now: datetime) -> int:
    """How many more jobs may be sent now; 0 while the account asked for a pause."""
    if lane.resume_at is not None and now < lane.resume_at:
        return 0
    learnt = learnt_limit(lane, now)
    bounds = [limit - lane.in_flight for limit in (max_jobs, learnt) if limit is not None]
    if max_jobs is None or learnt is not None:
        # A figure of the settings is believed until the first refusal shows that it is wrong.
        bounds.append(max(FIRST_CREATES, lane.accepted + lane.fetching) - lane.sending)
    return max(0, min(bounds))


def learnt_limit(lane: Lane, now: datetime) -> int | None:
    """What was learnt, grown back with the time since; None when nothing was."""
    if lane.jobs_learnt is None or lane.learnt_at is None:
        return lane.jobs_learnt
    steps = max(0, int((now - lane.learnt_at) / timedelta(seconds=RECOVER_S)))
    return lane.jobs_learnt + steps * (steps + 1) // 2


def after_refusal(lane: Lane, retry_after_s: float | None, now: datetime, *, sent_at: datetime | None = None) -> Lane:
    """The lane after a create was answered 429: what was accepted is the limit, and a pause begins.

    `sent_at` is when that create left: one that was on its way already when the pause began tells nothing new. Without
    it, that is guessed from whether the pause still lasts.
    """
    asked = now + timedelta(seconds=min(max(retry_after_s or 0.0, 0.0), LONGEST_ASKED_S))
    if lane.resume_at is not None and (sent_at or now) < lane.resume_at:
        return _one_of_several(lane, lane.resume_at, asked)
    learnt = max(1, lane.accepted)
    met_again = lane.jobs_learnt == learnt
    before_s = _hold_s(lane) if met_again else 0.0
    if lane.accepted:
        # The limit itself holds us back; a job may follow as soon as one ends.
        hold_s = min(LONGEST_HOLD_S, max(FIRST_HOLD_S, 2 * before_s)) if met_again else 0.0
        pause_s = FIRST_PAUSE_S
    else:
        # Nothing of ours runs there and still it refuses: only waiting helps, longer each time.
        hold_s = pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * before_s))
    resume_at = max(now + timedelta(seconds=pause_s), asked)
    return replace(lane, jobs_learnt=learnt, learnt_at=resume_at + timedelta(seconds=hold_s), resume_at=resume_at)


def _one_of_several(lane: Lane, resume_at: datetime, asked: datetime) -> Lane:
    """Another refusal of creates that left together: at most it shows that more was accepted, or a longer pause."""
    later = max(resume_at, asked)
    return replace(
        lane,
        jobs_learnt=max(lane.jobs_learnt or 1, lane.accepted),
        learnt_at=(lane.learnt_at or resume_at) + (later - resume_at),
        resume_at=later,
    )


def _hold_s(lane: Lane) -> float:
    """For how long recovery was held off after the last pause: the two instants remember it."""
    if lane.learnt_at is None or lane.resume_at is None:
        return 0.0
    return max(0.0, (lane.learnt_at - lane.resume_at).total_seconds())
