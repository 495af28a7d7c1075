"""Routes: the models that may serve a job, in the order in which they are tried.

The next one is taken only after a proven refusal. What was bought is then another request than the first one, so
everything that follows from it changes with it: model, price, what is sent, and by what the library knows it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pydantic import TypeAdapter

from rushes.jobs import ledger
from rushes.jobs.codec import prepared_from_json, prepared_to_json
from rushes.jobs.ledger import Job, JobState
from rushes.providers.prepare import Prepared
from rushes.video import Adjustment

_routes = TypeAdapter(tuple[Prepared, ...])

MODEL = "model"
"""The field of the adjustment that tells of another route than the first."""


def routes_to_json(routes: Sequence[Prepared]) -> str | None:
    """None for a single one: it is the job's own request."""
    return _routes.dump_json(tuple(routes)).decode() if len(routes) > 1 else None


def routes_of(job: Job) -> tuple[Prepared, ...]:
    """Every route of a job, the refused ones included."""
    return _routes.validate_json(job.routes_json) if job.routes_json else (prepared_from_json(job.prepared_json),)


def has_next(job: Job) -> bool:
    return job.routes_json is not None and job.route + 1 < len(routes_of(job))


def rerouted(job: Job, why: str) -> Job:
    """The job, ready to be tried on its next route, with a note of what was asked first. Pure.

    Its fingerprint follows when an attempt is opened there: it names an account, which only a provider at hand knows.
    """
    route = job.route + 1
    first, prepared = routes_of(job)[0], routes_of(job)[route]
    note = Adjustment(field=MODEL, asked=str(first.request.model), given=str(prepared.request.model), why=why)
    prepared = replace(prepared, adjustments=(note, *prepared.adjustments))
    return ledger.moved(
        job,
        JobState.QUEUED,
        route=route,
        model=str(prepared.request.model),
        prepared_json=prepared_to_json(prepared),
        estimate_usd=prepared.estimate_usd,
        trouble=why,
    )


def dearest(routes: Sequence[Prepared]) -> Decimal | None:
    """What must be held: the price of the dearest route; None as soon as one price is unknown. Pure."""
    prices = [prepared.estimate_usd for prepared in routes]
    known = [price for price in prices if price is not None]
    return max(known) if len(known) == len(prices) else None


def flights(prints: Sequence[str]) -> tuple[str, ...]:
    """Under which names an order, by the fingerprints of its routes, joins an open job; the first is its own. Pure.

    Nobody joins a job that could be made by a model that they did not name. One that has the first model alone may be
    joined: bought beside it, the same would be paid for twice.
    """
    if len(prints) == 1:
        return (prints[0],)
    return (hashlib.sha256("\n".join(prints).encode()).hexdigest(), prints[0])
