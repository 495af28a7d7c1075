"""Settling doubt: was the create accepted, or not?

The provider is asked before anything is ever sent again. How depends on what it promises: **A** it honours a key,
so the same request goes out again with the same key; **B** it can be searched, so the job is looked for and adopted,
and sent again only if the search proves that it is not there; **C** neither, so a person decides.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.errors import (
    AccessDenied,
    Gone,
    Moderated,
    NotOffered,
    OverBudget,
    ProviderError,
    RateLimited,
    RushesError,
    Unreachable,
)
from rushes.jobs import answers, budget, claims, ledger, purse, store
from rushes.jobs.codec import options_from_json
from rushes.jobs.ledger import Attempt, AttemptState, IllegalMove, JobState
from rushes.jobs.services import Case, Services
from rushes.providers.base import Provider
from rushes.providers.terms import Doubt, Findings, RemoteJob, Search

INTERRUPTED = "interrupted"
GRACE_S = 5.0
"""Beyond the create's timeout: the far side may finish writing what it accepted at the last moment."""
LOOK_EVERY_S = 2.0
UNASKED_REPAYS = 2
PATIENCE_S = 600.0
"""How long a search that fails is repeated before a person is asked."""
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Adopt:
    remote: RemoteJob


@dataclass(frozen=True, slots=True)
class Absent:
    """It was never accepted: sending again buys it once, not twice."""


@dataclass(frozen=True, slots=True)
class Ask:
    why: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    after_s: float


Verdict = Adopt | Absent | Ask | LookAgain


def judge(findings: Findings, *, alike_in_doubt: int, now: datetime, settled_at: datetime) -> Verdict:
    """Read the findings of a search. Pure.

    `alike_in_doubt` is how many equal attempts are unsettled, this one included: that many matches may be ours, in
    any order. `settled_at` is when a create that was under way must have arrived or failed.
    """
    found = len(findings.matches)
    if found > alike_in_doubt:
        ids = ", ".join(remote.id for remote in findings.matches)
        return Ask(f"{found} jobs over there match, and {alike_in_doubt} of ours could be among them: {ids}")
    if found:
        return Adopt(findings.matches[0])
    if now < settled_at:
        return LookAgain(min(LOOK_EVERY_S, max(0.2, (settled_at - now).total_seconds())))
    if findings.candidates:
        ids = ", ".join(remote.id for remote in findings.candidates)
        return Ask(f"the provider does not tell the prompts of its jobs; ours may be one of {ids}, or none")
    if findings.complete:
        return Absent()
    return Ask("the provider's list of jobs does not reach back far enough to prove that ours is not there")


async def settle(s: Services, case: Case) -> None:
    """Settle the newest attempt's doubt, or leave the job to a person. Returns when the ledger says which."""
    if case.last.state is AttemptState.SENDING:
        # Only a crash leaves this behind: while a process lives it waits for the answer.
        words = "The process ended while the request was on its way."
        await answers.note_doubt(s, case, case.last, INTERRUPTED, words)
        case = await s.load(case.job.id)
    provider = await s.ready_provider(case)
    s.reached("doubt.settling")
    if provider.promises.doubt is Doubt.NONE or provider.account != case.last.account:
        await _wait_for_the_answer(s, case, provider)
        if (await s.load(case.job.id)).attempts != case.attempts:
            return
    if provider.account != case.last.account:
        # What another key sees, or does not see, proves nothing about this one's jobs.
        await _ask(s, case, "it was sent from another account than the key and address of now belong to")
        return
    match provider.promises.doubt:
        case Doubt.KEY if case.last.error_code == answers.DUPLICATE_ID:
            await _ask(s, case, "asked again it would only name the same job")
        case Doubt.KEY:
            await _send_again_with_key(s, case, provider)
        case Doubt.LIST:
            await _look_for_it(s, case, provider)
        case Doubt.NONE:
            await _ask(s, case, "the provider can neither be searched nor asked by key")


async def _wait_for_the_answer(s: Services, case: Case, provider: Provider) -> None:
    """Who sent it may have lost its place and not its life: then it still writes down what it hears."""
    if case.last.error_code != INTERRUPTED or case.last.sent_at is None:
        return
    settled_at = case.last.sent_at + timedelta(seconds=provider.create_timeout_s + GRACE_S)
    while (left_s := (settled_at - s.now()).total_seconds()) > 0:
        if (await s.load(case.job.id)).attempts != case.attempts:
            return
        await anyio.sleep(min(LOOK_EVERY_S, left_s))


OF_THE_MOMENT = (AccessDenied, RateLimited, Unreachable, Gone)
"""Refusals of a repetition that say something of this moment, and nothing of the first try."""


async def _send_again_with_key(s: Services, case: Case, provider: Provider) -> None:
    tries = 0
    while True:
        try:
            with anyio.CancelScope(shield=True):
                remote = await provider.submit(case.prepared, case.last.key)
                await answers.accept(s, case, case.last, remote)
            return
        except RushesError as error:
            if isinstance(error, ProviderError) and error.proves_refusal and not isinstance(error, OF_THE_MOMENT):
                await answers.note_refusal(s, case, case.last, error.code, str(error), final=True)
                return
            trouble = error
        if s.now() >= case.job.deadline:
            await _ask(s, case, f"repeating it with the same key failed until the deadline: {trouble}")
            return
        await s.set_trouble(case.job, f"Asking again with the same key: {trouble}")
        await anyio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
        tries += 1


async def _look_for_it(s: Services, case: Case, provider: Provider) -> None:
    attempt = case.last
    sent_at = attempt.sent_at or attempt.intent_at
    settled_at = sent_at + timedelta(seconds=provider.create_timeout_s + GRACE_S)
    started = s.now()
    tries = 0
    while True:
        try:
            verdict = await _search(s, case, provider, sent_at, settled_at)
        except NotOffered:
            verdict = Ask("the provider offers no list of jobs")
        except ProviderError as error:
            if s.now() > max(settled_at, started) + timedelta(seconds=PATIENCE_S):
                verdict = Ask(f"its list of jobs could not be read: {error}")
            else:
                await s.set_trouble(case.job, f"Looking for the job on the provider's side: {error}")
                verdict = LookAgain(max(error.retry_after_s or 0.0, RETRY_S[min(tries, len(RETRY_S) - 1)]))
                tries += 1
        if verdict == Absent() and attempt.error_code == answers.DUPLICATE_ID:
            # It did say that it accepted, so what its list does not show may be billed all the same.
            verdict = Ask("its list shows no other job that could be ours")
        match verdict:
            case LookAgain(after_s):
                await anyio.sleep(after_s)
            case Adopt(remote):
                if await _adopt(s, case, remote):
                    return
            case Absent() if attempt.error_code == Moderated.code:
                # The far side said why, only not in a way that proves anything: asking again, or elsewhere, is no help.
                await answers.note_refusal(s, case, attempt, Moderated.code, attempt.error or "", final=True)
                return
            case Absent():
                words = f"The provider does not have it; the create had failed with: {attempt.error}"
                await answers.note_refusal(s, case, attempt, answers.NEVER_ACCEPTED, words)
                return
            case Ask(why):
                await _ask(s, case, why)
                return


async def _search(s: Services, case: Case, provider: Provider, sent_at: datetime, settled_at: datetime) -> Verdict:
    attempt = case.last

    def work(connection: sa.Connection) -> tuple[frozenset[str], int]:
        return store.remote_ids_of(connection, attempt.account), store.equal_attempts_in_doubt(connection, attempt)

    # The clock is read before the search: what is accepted while it runs may be missed by it.
    now = s.now()
    known, _ = await s.db.read(work)
    until = now if attempt.error_code == answers.RESTORED else None
    search = Search(prepared=case.prepared, key=attempt.key, sent_at=sent_at, until=until, known_ids=known)
    findings = await provider.find(search)
    # Read again: an equal create that was answered meanwhile has its own job among the matches.
    known, alike = await s.db.read(work)
    findings = replace(findings, matches=tuple(remote for remote in findings.matches if remote.id not in known))
    return judge(findings, alike_in_doubt=alike, now=now, settled_at=settled_at)


async def _adopt(s: Services, case: Case, remote: RemoteJob) -> bool:
    """Take a found job as ours; False when an equal attempt was quicker."""
    now = s.now()
    adopted = ledger.accepted(case.last, remote, now)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, adopted)
        store.save_job(connection, ledger.moved(case.job, JobState.IN_PROGRESS, trouble=None))
        store.insert_event(connection, case.job.id, "adopted", now, attempt=adopted.n, remote_id=remote.id)

    try:
        await s.db.write(work)
    except IntegrityError:
        return False
    s.reached("doubt.adopted")
    return True


async def _ask(s: Services, case: Case, why: str) -> None:
    """Leave the decision to a person, unless one has decided beforehand that such a job is simply paid again.

    A server that always fails in a doubtful way would be paid without end: after a few times a person is asked anyway.
    """
    repays = sum(1 for attempt in case.attempts if attempt.repaid)
    on_unknown = s.registry.provider(case.last.provider).context.section.on_unknown
    if on_unknown == "repay" and repays < UNASKED_REPAYS:
        try:
            await repay(s, case)
            return
        except OverBudget as error:
            why = f"{why}, and there is no money to pay again unasked: {error}"
    now = s.now()
    words = (
        f"Nobody knows whether {case.last.provider} accepted this job ({case.last.error}): {why}. Decide with: "
        f"rushes jobs resolve {case.job.id} --adopt REMOTE_ID, or --repay to pay again, or --never-billed to end it."
    )

    def work(connection: sa.Connection) -> None:
        store.save_job(connection, ledger.moved(case.job, JobState.NEEDS_ATTENTION, trouble=words))
        claims.release(connection, case.job)
        store.insert_event(connection, case.job.id, "needs_attention", now, message=words)

    await s.db.write(work)


async def repay(s: Services, case: Case, *, max_cost_usd: Decimal | None = None) -> None:
    """Pay again beside an attempt that stays in doubt: by a person's decision only.

    What is in doubt stays held, and the price is held once more. Raises OverBudget if a limit leaves too little for it;
    `max_cost_usd` is another limit for the run.
    """
    attempt: Attempt = replace(case.last, repaid=True)
    terms = budget.raised(options_from_json(case.job.options_json).terms, max_cost_usd)
    limits = (*terms.limits, *budget.configured(s.registry.settings, case.model_id.provider))
    now = s.now()

    def work(connection: sa.Connection) -> None:
        if store.held_state(connection, case.job) is not case.job.state:
            raise IllegalMove(f"Job {case.job.id} is not {case.job.state} any more.")
        purse.take_more(connection, case.job, limits, terms, now)
        store.save_attempt(connection, attempt)
        store.save_job(connection, ledger.moved(case.job, JobState.SUBMITTING, trouble=None))
        store.insert_event(connection, case.job.id, "repay", now, attempt=attempt.n)

    await s.db.write(work)
