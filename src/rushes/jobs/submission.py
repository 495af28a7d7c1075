"""The step that spends: from a queued job to an accepted attempt, at most one of them at a time.

Before a request leaves, the ledger durably says that it is about to; whatever happens afterwards is read from
there. A proven refusal may be followed by another attempt. Doubt goes to `reconcile.py` and nowhere else.
"""

import logging
from decimal import Decimal

import anyio
import sqlalchemy as sa

from rushes.errors import ConfigError, Moderated, ProviderError, RequestError, RushesError
from rushes.jobs import answers, ledger, reconcile, store
from rushes.jobs.fingerprint import request_hash
from rushes.jobs.ledger import Attempt, AttemptState, JobState, Next
from rushes.jobs.routes import has_next
from rushes.jobs.services import Case, Services, end_job
from rushes.providers.base import Provider

log = logging.getLogger(__name__)

NOT_READY_S = 10.0
LOOK_FOR_A_WISH_EVERY_S = 1.0


async def submit(s: Services, job_id: str) -> Next:
    """Bring a job to an accepted attempt. Returns what is next: WAIT, DOWNLOAD, or NOTHING if it ended here."""
    while True:
        case = await s.load(job_id)
        step = ledger.next_for(case.job, case.attempts)
        if step in (Next.OPEN, Next.SEND) and case.job.cancel_requested:
            await _cancel_unpaid(s, case)
        elif step is Next.OPEN:
            await _open(s, case)
        elif step is Next.SEND:
            await _pause(s, job_id, await _send(s, case))
        elif step is Next.SETTLE:
            await reconcile.settle(s, case)
        else:
            return step


async def _pause(s: Services, job_id: str, seconds: float) -> None:
    """Wait until a refusal may have passed, or until somebody wants the job to end."""
    until = anyio.current_time() + seconds
    while (left := until - anyio.current_time()) > 0:
        await anyio.sleep(min(left, LOOK_FOR_A_WISH_EVERY_S))
        if (await s.load(job_id)).job.cancel_requested:
            return


async def _open(s: Services, case: Case) -> None:
    """Write the intent of the next attempt. Nothing has been sent when this returns."""
    prepared = case.prepared
    if (provider := await _first_ready(s, case)) is None:
        return
    now = s.now()
    print_ = s.fingerprint(prepared, case.job.slot)
    attempt = ledger.open_attempt(
        case.job,
        case.attempts,
        provider=case.model_id.provider,
        account=provider.account,
        model=case.job.model,
        request_hash=request_hash(prepared),
        now=now,
    )

    def work(connection: sa.Connection) -> None:
        store.insert_attempt(connection, attempt)
        begun = {"started_at": case.job.started_at or now, "fingerprint": print_, "trouble": None}
        store.save_job(connection, ledger.moved(case.job, JobState.SUBMITTING, **begun))
        store.insert_event(connection, case.job.id, "submitting", now, attempt=attempt.n)

    await s.db.write(work)
    s.reached("attempt.intended")


async def _first_ready(s: Services, case: Case) -> Provider | None:
    """The provider of the current route. One that cannot be tried from here makes way for the next route, if any."""
    if has_next(case.job):
        try:
            s.registry.provider(case.model_id.provider).check_ready()
        except ConfigError as error:
            words, now = str(error), s.now()
            await s.db.write(lambda connection: answers.take_next_route(connection, case.job, words, now))
            return None
    return await _ready(s, case, case.model_id.provider)


async def _ready(s: Services, case: Case, name: str) -> Provider | None:
    """The provider if it can be tried from here; None after a pause in which that may have changed."""
    try:
        provider = s.registry.provider(name)
        provider.check_ready()
    except ConfigError as error:
        # This process lacks a key that the submitting one had: nothing was sent, so waiting costs nothing.
        await s.set_trouble(case.job, str(error))
        await anyio.sleep(NOT_READY_S)
        return None
    return provider


async def _send(s: Services, case: Case) -> float:
    """Say durably that a request is about to leave, send it once, and write down what came of it.

    Returns how long to wait before anything else is tried.
    """
    if s.flights.closing:
        await anyio.sleep_forever()  # the process is leaving; whoever comes next finds the intent and sends it
    if (provider := await _still_ready(s, case)) is None:
        return 0.0
    s.flights.started(case.job.id)
    try:
        return await _send_once(s, case, provider)
    finally:
        s.flights.ended(case.job.id)


async def _still_ready(s: Services, case: Case) -> Provider | None:
    """The provider of an intent, perhaps another process's. It makes way like the provider of a route that is new."""
    if has_next(case.job):
        try:
            s.registry.provider(case.last.provider).check_ready()
        except ConfigError as error:
            await answers.note_refusal(s, case, case.last, error.code, str(error))
            return None
    return await _ready(s, case, case.last.provider)


async def _send_once(s: Services, case: Case, provider: Provider) -> float:
    sending = ledger.about_to_send(case.last, provider.account, s.now())
    await s.db.write(lambda connection: store.save_attempt(connection, sending))
    s.reached("attempt.sending")
    # Shielded: a create that is cut off in mid-air by our own shutdown would be doubt of our own making.
    with anyio.CancelScope(shield=True):
        try:
            remote = await provider.submit(case.prepared, sending.key)
        except RushesError as error:
            s.reached("attempt.answered")
            return await _not_accepted(s, case, sending, error)
        except Exception as error:
            log.exception("submit.bug", extra={"provider": provider.name})
            await answers.note_doubt(s, case, sending, "internal_error", f"{type(error).__name__}: {error}")
            return 0.0
        s.reached("attempt.answered")
        await answers.accept(s, case, sending, remote)
    s.reached("attempt.recorded")
    return 0.0


async def _not_accepted(s: Services, case: Case, attempt: Attempt, error: RushesError) -> float:
    # A provider's error knows whether it proves anything, whatever else it is; the others are raised before sending.
    proven = error.proves_refusal if isinstance(error, ProviderError) else isinstance(error, RequestError | ConfigError)
    if not proven:
        await answers.note_doubt(s, case, attempt, error.code, str(error))
        return 0.0
    retry_after_s = error.retry_after_s if isinstance(error, ProviderError) else None
    return await answers.note_refusal(
        s, case, attempt, error.code, str(error), retry_after_s, final=isinstance(error, Moderated)
    )


async def _cancel_unpaid(s: Services, case: Case) -> None:
    """End a job of which nothing was sent, or whose every attempt was refused."""
    now = s.now()

    def work(connection: sa.Connection) -> None:
        if case.attempts and case.last.state is AttemptState.INTENT:
            store.save_attempt(connection, ledger.refused(case.last, "cancelled", "Cancelled before it was sent.", now))
        cost = ledger.total_cost(case.attempts) if case.attempts else Decimal(0)
        end_job(connection, case.job, JobState.CANCELLED, cost, now)

    await s.db.write(work)
