"""After a restore: what may have been sent since the backup is put in doubt, so that nothing is paid twice.

A restored ledger is older than the world. A job that it shows as queued may have been sent, refused, sent again and
accepted since. So each open job of which nothing was accepted gets an attempt in doubt, and `reconcile.py` settles it
as any other: the provider is asked before anything is sent. Where its answer would prove nothing, a person decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from rushes.errors import ConfigError, Conflict, Moderated
from rushes.jobs import claims, ledger, store
from rushes.jobs.answers import DUPLICATE_ID, RESTORED
from rushes.jobs.codec import prepared_from_json
from rushes.jobs.database import Database
from rushes.jobs.fingerprint import fingerprint, request_hash
from rushes.jobs.ledger import Attempt, AttemptState, Job, JobState, Next
from rushes.jobs.presence import presence_for
from rushes.jobs.reconcile import GRACE_S
from rushes.jobs.routes import has_next
from rushes.providers.registry import Registry
from rushes.providers.terms import Doubt
from rushes.video import ModelId

WORDS = "The ledger was restored from a backup, and it may have been sent since."
LIST_REACH = timedelta(hours=20)
"""What was sent longer ago may have left the provider's list: Azure forgets after 24 h, and a worker has yet to ask."""

SEVERAL_ROUTES = "it may have been sent to any of the models that it falls back on"
TOO_OLD = "it may have left the provider's list of jobs since"
KEY_PROVES_NOTHING = "repeating it with its key buys it anew if the first try was refused and a later one accepted"
NOT_SET_UP = "its provider is not set up here"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSide:
    """What has to be known of the provider to which a job may have been sent."""

    account: str
    base_url: str
    doubt: Doubt
    settled_s: float  # a create that was cut off by the stop arrives within this time, or never


class Doubted(NamedTuple):
    """What becomes of a job whose fate is open after a restore."""

    job: Job
    attempt: Attempt  # the newest, in doubt
    why: str | None  # why only a person can decide; None: the provider is asked


class Restored(NamedTuple):
    """How many jobs were put in doubt: to be settled by asking the provider, and by a person."""

    asked: int
    people: int


def doubted(job: Job, attempts: Sequence[Attempt], far: FarSide | None, now: datetime) -> Doubted | None:
    """What an open job becomes when its ledger was restored; None: it goes on as it is. Pure.

    `far` is None where the provider is not set up: then nobody can be asked. A job that was in doubt at the backup may
    have been settled since, and sent again, so it is in doubt anew.
    """
    if (attempt := _in_doubt(job, attempts, far, now)) is None:
        return None
    changes = {
        "started_at": job.started_at or now,
        "fingerprint": _fingerprint(job, far) if far else job.fingerprint,
        "not_before": now + timedelta(seconds=far.settled_s if far else 0.0),
        # There is as much time to settle it as if it had just been sent.
        "deadline": ledger.deadline(now, None),
        "trouble": None,
    }
    why = _needs_person(job, far, now - (attempt.sent_at or attempt.intent_at))
    return Doubted(ledger.moved(job, JobState.SUBMITTING, **changes), attempt, why)


def _in_doubt(job: Job, attempts: Sequence[Attempt], far: FarSide | None, now: datetime) -> Attempt | None:
    """The newest attempt as it may have been sent; None if nothing can be sent for this job without a further word."""
    account = far.account if far else f"{_provider_of(job, attempts)}@unknown"
    match ledger.next_for(job, attempts):
        case Next.OPEN:
            prepared = prepared_from_json(job.prepared_json)
            intent = ledger.open_attempt(
                job,
                attempts,
                provider=_provider_of(job, attempts),
                account=account,
                model=job.model,
                request_hash=request_hash(prepared),
                now=now,
            )
        case Next.SEND:
            intent = attempts[-1]
        case Next.SETTLE if attempts[-1].error_code not in (RESTORED, DUPLICATE_ID, Moderated.code):
            return ledger.in_doubt(attempts[-1], RESTORED, f"{WORDS} {attempts[-1].error or ''}".strip())
        case _:
            return None
    # It may have left at any time since the job was admitted, and a search must reach back to that.
    return ledger.in_doubt(ledger.about_to_send(intent, account, job.created_at), RESTORED, WORDS)


def _provider_of(job: Job, attempts: Sequence[Attempt]) -> str:
    """The provider that would get the next request."""
    if not attempts or ledger.next_for(job, attempts) is Next.OPEN:
        return ModelId.parse(job.model).provider
    return attempts[-1].provider


def _fingerprint(job: Job, far: FarSide) -> str:
    prepared = prepared_from_json(job.prepared_json)
    return fingerprint(prepared, slot=job.slot, account=far.account, base_url=far.base_url)


def _needs_person(job: Job, far: FarSide | None, age: timedelta) -> str | None:
    """Why asking the provider would prove nothing, if so."""
    if far is None:
        return NOT_SET_UP
    if has_next(job):
        return SEVERAL_ROUTES
    if far.doubt is Doubt.LIST and age > LIST_REACH:
        return TOO_OLD
    if far.doubt is Doubt.KEY and job.estimate_usd != 0:
        return KEY_PROVES_NOTHING
    return None


async def put_in_doubt(db: Database, registry: Registry, now: datetime, *, anyway: bool = False) -> Restored:
    """Put every job in doubt that may have been sent since the backup. A second time it finds nothing to do.

    Raises Conflict while a worker lives, and ConfigError where providers of such jobs are not set up, unless `anyway`:
    then a person decides about theirs.
    """
    known = {worker.id for worker in await db.read(claims.known_workers)}
    if await presence_for(db).anybody(known):
        raise Conflict("A worker is at work. Stop every worker, and whatever submits; then run it again.")
    sides = {name: _far_side(registry, name) for name in await db.read(_providers_to_ask)}
    missing = {name: side for name, side in sides.items() if isinstance(side, ConfigError)}
    if missing and not anyway:
        raise ConfigError(
            f"{' '.join(str(error) for error in missing.values())} Run it with the settings of the workers; or with "
            f"--anyway, and you decide about each open job of {', '.join(sorted(missing))}."
        )
    far = {name: side for name, side in sides.items() if isinstance(side, FarSide)}

    def work(connection: sa.Connection) -> Restored:
        if {worker.id for worker in claims.known_workers(connection)} - known:
            raise Conflict("A worker has just started. Stop it; then run it again.")
        claims.dismiss(connection, known)
        return _carry_out(connection, far, now)

    return await db.write(work)


def _far_side(registry: Registry, name: str) -> FarSide | ConfigError:
    try:
        provider = registry.provider(name)
        provider.check_ready()
    except ConfigError as error:
        return error
    return FarSide(
        account=provider.account,
        base_url=provider.base_url,
        doubt=provider.promises.doubt,
        settled_s=provider.create_timeout_s + GRACE_S,
    )


def _cases(connection: sa.Connection) -> Iterator[tuple[Job, list[Attempt]]]:
    """The jobs that a worker would go on with."""
    for job_id in store.workable_jobs(connection):
        job = store.job_by_id(connection, job_id)
        assert job is not None
        yield job, store.attempts_of(connection, job_id)


def _providers_to_ask(connection: sa.Connection) -> set[str]:
    at_stake = (Next.OPEN, Next.SEND, Next.SETTLE)
    return {
        _provider_of(job, attempts)
        for job, attempts in _cases(connection)
        if ledger.next_for(job, attempts) in at_stake
    }


def _carry_out(connection: sa.Connection, far: Mapping[str, FarSide], now: datetime) -> Restored:
    asked = people = 0
    for job, attempts in _cases(connection):
        side = far.get(_provider_of(job, attempts))
        if (found := doubted(job, attempts, side, now)) is None:
            continue
        _save_attempt(connection, attempts, found.attempt)
        store.save_job(connection, found.job)
        store.insert_event(connection, job.id, "restored", now, attempt=found.attempt.n, message=WORDS)
        if found.why is None:
            asked += 1
        else:
            people += 1
            _leave_to_person(connection, found.job, found.attempt, found.why, now)
    return Restored(asked, people)


def _save_attempt(connection: sa.Connection, before: Sequence[Attempt], attempt: Attempt) -> None:
    if attempt.n > len(before):
        store.insert_attempt(connection, attempt)
        return
    if before[-1].state is AttemptState.INTENT:
        # The ledger knows no way from an intent into doubt but by what was sent.
        store.save_attempt(connection, replace(attempt, state=AttemptState.SENDING))
    store.save_attempt(connection, attempt)


def _leave_to_person(connection: sa.Connection, job: Job, attempt: Attempt, why: str, now: datetime) -> None:
    words = (
        f"Nobody knows whether {attempt.provider} accepted this job ({WORDS}): {why}. Decide with: "
        f"rushes jobs resolve {job.id} --adopt REMOTE_ID, or --repay to pay again, or --never-billed to end it."
    )
    store.save_job(connection, ledger.moved(job, JobState.NEEDS_ATTENTION, trouble=words, not_before=None))
    store.insert_event(connection, job.id, "needs_attention", now, message=words)
