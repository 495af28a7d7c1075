"""The step that spends: from a queued job to an accepted attempt, at most one of them at a time.

Before a request leaves, the ledger durably says that it is about to; whatever happens afterwards is read from
there. A proven refusal may be followed by another attempt. Doubt goes to `reconcile.py` and nowhere else.
"""

import logging
from datetime import timedelta
from decimal import Decimal

import anyio
import sqlalchemy as sa

from rushes.errors import ConfigError, Moderated, ProviderError, RequestError, RushesError, Unavailable
from rushes.jobs import answers, ledger, reconcile, store
from rushes.jobs.fingerprint import request_hash
from rushes.jobs.ledger import Attempt, AttemptState, JobState, Next
from rushes.jobs.routes import has_next, routes_of
from rushes.jobs.services import NOT_READY_S, Case, PutBack, Services, end_job
from rushes.providers.base import Provider
from rushes.providers.terms import RemoteJob
from rushes.telemetry import Facts, span

log = logging.getLogger(__name__)

LEAVES_WITHIN_S = 2.0
"""How much longer a create may take than the far side has to answer it. With FRESH_S less than `reconcile.GRACE_S`."""
UPLOAD_AGAIN_S = 15.0
"""After how long an upload that stumbled is tried again, unless the far side says when."""
FRESH_S = 2.0
"""How old the word that a request is about to leave may be when it leaves: searches for a lost one start there."""


async def submit(s: Services, job_id: str) -> Next:
    """Bring a job to an accepted attempt. Returns what is next: WAIT, DOWNLOAD, NOTHING if it ended here, or LATER.

    Raises PutBack when it was left for later.
    """
    while True:
        case = await s.load(job_id)
        step = ledger.next_for(case.job, case.attempts)
        if step in (Next.OPEN, Next.SEND) and case.job.cancel_requested:
            await _cancel_unpaid(s, case)
        elif step in (Next.OPEN, Next.SEND, Next.SETTLE) and case.job.not_before and s.now() < case.job.not_before:
            return Next.LATER
        elif step is Next.OPEN:
            await _open(s, case)
        elif step is Next.SEND:
            await _send(s, case)
        elif step is Next.SETTLE:
            await reconcile.settle(s, case)
        else:
            return step


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
        begun = {"started_at": case.job.started_at or now, "fingerprint": print_, "trouble": None, "not_before": None}
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
            if not any(s.is_ready(route.request.model.provider) for route in routes_of(case.job)[case.job.route + 1 :]):
                await s.put_back(case.job, words, NOT_READY_S)
            if await s.db.write(lambda connection: answers.take_next_route(s, connection, case.job, words, now)):
                raise PutBack from None
            return None
    return await s.ready_provider(case, case.model_id.provider)


async def _send(s: Services, case: Case) -> None:
    """Say durably that a request is about to leave, send it once, and write down what came of it."""
    if (provider := await _still_ready(s, case)) is None:
        return
    if not await _brought(s, case, provider):
        return
    await provider.turn_to_create()
    if (await s.load(case.job.id)).job.cancel_requested:
        return  # while it waited for its turn
    if s.flights.closing:
        await anyio.sleep_forever()  # the process is leaving; whoever comes next finds the intent and sends it
    s.flights.started(case.job.id)
    try:
        await _send_once(s, case, provider)
    finally:
        s.flights.ended(case.job.id)


async def _brought(s: Services, case: Case, provider: Provider) -> bool:
    """Upload what the create will point at. Trouble with that proves that nothing was bought."""
    try:
        await provider.bring(case.prepared)
    except (ProviderError, RequestError) as error:
        if error.retryable:
            asked_s = error.retry_after_s if isinstance(error, ProviderError) else None
            await s.put_back(case.job, f"Uploading: {error}", asked_s or UPLOAD_AGAIN_S)
        await answers.note_refusal(s, case, case.last, error.code, str(error), final=isinstance(error, Moderated))
        return False
    return True


async def _still_ready(s: Services, case: Case) -> Provider | None:
    """The provider of an intent, perhaps another process's. It makes way like the provider of a route that is new."""
    if has_next(case.job):
        try:
            s.registry.provider(case.last.provider).check_ready()
        except ConfigError as error:
            await answers.note_refusal(s, case, case.last, error.code, str(error))
            return None
    return await s.ready_provider(case, case.last.provider)


async def _send_once(s: Services, case: Case, provider: Provider) -> None:
    sending = await _about_to_send(s, case, provider)
    s.reached("attempt.sending")
    # Shielded: a create that is cut off in mid-air by our own shutdown would be doubt of our own making.
    with anyio.CancelScope(shield=True):
        answer = await _answer(provider, case, sending)
        s.reached("attempt.answered")
        if isinstance(answer, RemoteJob):
            await answers.accept(s, case, sending, answer)
        elif isinstance(answer, RushesError):
            await _not_accepted(s, case, sending, answer)
        else:
            words = f"{type(answer).__name__}: {answer}"
            await answers.note_doubt(s, case, sending, "internal_error", words)
    s.reached("attempt.recorded")


async def _answer(provider: Provider, case: Case, sending: Attempt) -> RemoteJob | Exception:
    """Buy. What comes of it is a value, whatever it is: it has to be written down."""
    facts: Facts = {"model": case.job.model, "provider": provider.name, "attempt": sending.n}
    with span("submit", case.job.id, **facts) as traced:
        try:
            # Nothing may leave when a search could already have found that it never arrived.
            with anyio.fail_after(provider.create_timeout_s + LEAVES_WITHIN_S):
                remote = await provider.submit(case.prepared, sending.key)
        except RushesError as error:
            traced.note(outcome=error.code)
            return error
        except TimeoutError:
            return Unavailable(f"No answer within {provider.create_timeout_s:g} s, the time to prepare included")
        except Exception as error:
            log.exception("submit.bug", extra={"provider": provider.name})
            return error
        traced.note(outcome="accepted", remote_id=remote.id)
        return remote


async def _about_to_send(s: Services, case: Case, provider: Provider) -> Attempt:
    """The attempt, durably said to be on its way. Raises LostClaim if another worker has the job by now.

    Said again if that took long, for instance because the machine slept: the job may have been taken over meanwhile.
    """
    while True:
        sending = ledger.about_to_send(case.last, provider.account, s.now())

        def work(connection: sa.Connection, sending: Attempt = sending) -> None:
            store.held_state(connection, case.job)
            store.save_attempt(connection, sending)

        await answers.written(s, work)
        if sending.sent_at is None or s.now() - sending.sent_at < timedelta(seconds=FRESH_S):
            return sending


async def _not_accepted(s: Services, case: Case, attempt: Attempt, error: RushesError) -> None:
    # A provider's error knows whether it proves anything, whatever else it is; the others are raised before sending.
    proven = error.proves_refusal if isinstance(error, ProviderError) else isinstance(error, RequestError | ConfigError)
    if not proven:
        await answers.note_doubt(s, case, attempt, error.code, str(error))
        return
    retry_after_s = error.retry_after_s if isinstance(error, ProviderError) else None
    final = isinstance(error, Moderated)
    await answers.note_refusal(s, case, attempt, error.code, str(error), retry_after_s, final=final)


async def _cancel_unpaid(s: Services, case: Case) -> None:
    """End a job of which nothing was sent, or whose every attempt was refused."""
    now = s.now()

    def work(connection: sa.Connection) -> None:
        if case.attempts and case.last.state is AttemptState.INTENT:
            store.save_attempt(connection, ledger.refused(case.last, "cancelled", "Cancelled before it was sent.", now))
        cost = ledger.total_cost(case.attempts) if case.attempts else Decimal(0)
        end_job(connection, case.job, JobState.CANCELLED, cost, now)

    await s.db.write(work)
