"""Admission: whether a request becomes a job, joins one, or is served, and whether its price is allowed.

What is admitted is durable when the transaction ends: the row, the ids of its videos, the hold on its money.
"""

from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from rushes.errors import OverBudget
from rushes.jobs import store
from rushes.jobs.ledger import Job
from rushes.providers.prepare import Prepared
from rushes.video import ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of a submit: a new job, the open job it joined, or a finished one served from the library."""

    job_id: str
    joined: bool = False
    cached: bool = False
    estimate_usd: Decimal | None = None


def admit(
    connection: sa.Connection, job: Job, prepared: Prepared, cache: str, looked_at: frozenset[str]
) -> Admission | None:
    """Admit a job in the caller's transaction, or join the open one that is equal to it.

    None when an equal one has finished that the look into the library (`looked_at`) did not see yet: it may serve.
    """
    flight = None if cache == "off" else job.fingerprint
    if flight is not None and (open_job := store.job_in_flight(connection, job.owner, flight)) is not None:
        if not open_job.timed_out(job.created_at):
            return Admission(job_id=open_job.id, joined=True, estimate_usd=open_job.estimate_usd)
        store.set_flight(connection, open_job.id, None)  # to the world it has failed: it is bought anew
    if may_hit(prepared, cache):
        finished = {each.id for each in store.finished_equal(connection, job.owner, job.fingerprint)}
        if finished - looked_at:
            return None
    store.insert_job(connection, job, [job.id])
    store.set_flight(connection, job.id, flight)
    store.insert_hold(connection, job.id, prepared.estimate_usd, job.created_at)
    store.insert_event(connection, job.id, "queued", job.created_at, model=job.model)
    return Admission(job_id=job.id, estimate_usd=prepared.estimate_usd)


def may_hit(prepared: Prepared, cache: str) -> bool:
    """Whether a finished equal job may serve. A remix, edit or extension is always made: it is asked for its chance."""
    return cache == "use" and prepared.request.source is None


def check_budget(price: Decimal | None, limit: Decimal, allow_unknown: bool, model: ModelId) -> None:
    """Raise OverBudget when a price does not fit a limit. Pure."""
    if price is None and not allow_unknown:
        raise OverBudget(
            f"The price of {model} is unknown, so it cannot be held to a limit of ${limit}. "
            f"Set usd_per_second for it in rushes.toml, or pass --allow-unknown-price."
        )
    if price is not None and price > limit:
        raise OverBudget(f"This would cost ${price}, and the limit is ${limit}. Nothing was sent.")
