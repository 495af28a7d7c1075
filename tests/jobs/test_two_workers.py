"""Two workers over one ledger, each with a view of it that may be old: whatever they do in whatever order, a job is
paid once, and what was decided stays decided.

The store's own functions run here, over a database in memory. A worker may be taken for dead while it lives; what it
then still says, sends or hears comes late. The far side charges whatever arrives.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from rushes.jobs import claims, ledger, store, tables
from rushes.jobs.ledger import Attempt, AttemptState, IllegalMove, Job, JobState, LostClaim, Next
from rushes.providers.terms import RemoteJob
from rushes.video import Status

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ID = "video_1"
WORKERS = st.sampled_from(["a", "b"])
PUBLIC_ORDER = (Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED)
View = tuple[Job, list[Attempt]]


def new_job() -> Job:
    return Job(
        id=ID,
        owner="local",
        state=JobState.QUEUED,
        model="openai:video:sora-2",
        asked_model="sora-2",
        prompt="A cat",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        created_at=NOW,
        deadline=NOW + timedelta(hours=48),
        prepared_json="{}",
        options_json="{}",
        estimate_usd=Decimal("0.40"),
    )


class TwoWorkers(RuleBasedStateMachine):
    @initialize()
    def admitted(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        tables.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            store.insert_job(connection, new_job(), [ID])
        self.views: dict[str, View] = {}
        self.in_air: dict[str, Attempt] = {}  # by who sent it: left, and not yet arrived
        self.answers: dict[str, tuple[View, Attempt, RemoteJob | None]] = {}  # on the way back
        self.charged: dict[str, int] = {}  # remote id: which attempt
        self.seen: list[View] = [self.truth()]
        self.claims_it("a")

    def teardown(self) -> None:
        self.engine.dispose()

    def truth(self) -> View:
        with self.engine.connect() as connection:
            job = store.job_by_id(connection, ID)
            assert job is not None
            return job, store.attempts_of(connection, ID)

    def writes(self, work: Callable[[sa.Connection], object]) -> bool:
        """One transaction of a worker; False if it was too late."""
        try:
            with self.engine.begin() as connection:
                work(connection)
        except (LostClaim, IllegalMove, IntegrityError):
            return False
        finally:
            self.seen.append(self.truth())
        return True

    def who(self, *steps: Next) -> list[str]:
        """The workers that believe that this is what they have to do."""
        return [worker for worker, view in sorted(self.views.items()) if ledger.next_for(*view) in steps]

    # -- who works -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.seen[-1][0].worker is None)
    @rule(worker=WORKERS)
    def claims_it(self, worker: str) -> None:
        self.writes(lambda connection: claims.claim(connection, worker, [ID]))
        if (view := self.seen[-1])[0].worker == worker:
            self.views[worker] = view

    @precondition(lambda self: self.seen[-1][0].worker is not None)
    @rule(lives=st.sampled_from([True, True, False]))
    def is_taken_over(self, lives: bool) -> None:
        """The other one finds the holder dead. If it lives it goes on with what it believes."""
        holder = self.seen[-1][0].worker
        assert holder is not None
        self.writes(lambda connection: claims.dismiss(connection, [holder]))
        if not lives:
            self.views.pop(holder, None)
            self.answers.pop(holder, None)  # what it sent may be on its way all the same
        self.claims_it("b" if holder == "a" else "a")

    # -- what a worker does, by what it believes -------------------------------------------------------------------

    @precondition(lambda self: bool(self.who(Next.OPEN)))
    @rule(first=st.booleans())
    def opens(self, first: bool) -> None:
        worker = self.who(Next.OPEN)[0 if first else -1]
        job, attempts = self.views[worker]
        attempt = ledger.open_attempt(
            job, attempts, provider="openai", account="x", model=job.model, request_hash="h", now=NOW
        )
        moved = ledger.moved(job, JobState.SUBMITTING, started_at=NOW)

        def work(connection: sa.Connection) -> None:
            store.insert_attempt(connection, attempt)
            store.save_job(connection, moved)

        if self.writes(work):
            self.views[worker] = moved, [*attempts, attempt]

    @precondition(lambda self: bool(self.who(Next.SEND)))
    @rule(first=st.booleans())
    def sends(self, first: bool) -> None:
        worker = self.who(Next.SEND)[0 if first else -1]
        if worker in self.in_air:
            return
        job, attempts = self.views[worker]
        sending = ledger.about_to_send(attempts[-1], "x", NOW)

        def work(connection: sa.Connection) -> None:
            store.held_state(connection, job)
            store.save_attempt(connection, sending)

        if self.writes(work):
            self.views[worker] = job, [*attempts[:-1], sending]
            self.in_air[worker] = sending

    @precondition(lambda self: bool(self.in_air))
    @rule(first=st.booleans(), accepted=st.sampled_from([True, True, False]), heard=st.booleans())
    def arrives(self, first: bool, accepted: bool, heard: bool) -> None:
        worker = sorted(self.in_air)[0 if first else -1]
        attempt = self.in_air.pop(worker)
        remote = RemoteJob(id=f"remote-{len(self.charged)}") if accepted else None
        if remote is not None:
            self.charged[remote.id] = attempt.n
        if heard and worker in self.views:
            self.answers[worker] = self.views[worker], attempt, remote

    @precondition(lambda self: bool(self.answers))
    @rule(first=st.booleans(), twice=st.booleans())
    def hears(self, first: bool, twice: bool) -> None:
        """The answer, and perhaps the same one again."""
        worker = sorted(self.answers)[0 if first else -1]
        (job, attempts), attempt, remote = self.answers[worker] if twice else self.answers.pop(worker)
        if remote is not None:
            answered, state = ledger.accepted(attempt, remote, NOW), JobState.IN_PROGRESS
        else:
            answered, state = ledger.refused(attempt, "rate_limit_exceeded", "later", NOW), JobState.QUEUED

        def work(connection: sa.Connection) -> None:
            store.save_attempt(connection, answered)
            store.save_job(connection, ledger.moved(job, state))
            if state is JobState.QUEUED:
                claims.release(connection, job)

        if self.writes(work) and worker in self.views:
            self.views[worker] = ledger.moved(job, state), [*attempts[:-1], answered]

    @precondition(lambda self: bool(self.who(Next.SETTLE)))
    @rule(first=st.booleans(), asks=st.booleans())
    def settles(self, first: bool, asks: bool) -> None:
        """It asks the far side, once nothing can be on its way any more; or leaves it to a person."""
        worker = self.who(Next.SETTLE)[0 if first else -1]
        job, attempts = self.views[worker]
        last = attempts[-1]
        if any(sent.n == last.n for sent in self.in_air.values()):
            return
        doubt = last if last.state is AttemptState.UNKNOWN else ledger.in_doubt(last, "interrupted", "no answer")
        found = next((remote for remote, n in self.charged.items() if n == last.n), None)
        if asks:
            settled, state = doubt, JobState.NEEDS_ATTENTION
        elif found is not None:
            settled, state = ledger.accepted(doubt, RemoteJob(id=found), NOW), JobState.IN_PROGRESS
        else:
            settled, state = ledger.refused(doubt, "never_accepted", "not there", NOW), JobState.QUEUED

        def work(connection: sa.Connection) -> None:
            store.held_state(connection, job)
            store.save_attempt(connection, doubt)
            store.save_attempt(connection, settled)
            store.save_job(connection, ledger.moved(job, state))
            if state is not JobState.IN_PROGRESS:
                claims.release(connection, job)

        if self.writes(work):
            self.views[worker] = ledger.moved(job, state), [*attempts[:-1], settled]

    @precondition(lambda self: bool(self.who(Next.WAIT, Next.DOWNLOAD)))
    @rule(first=st.booleans(), well=st.booleans())
    def goes_on_to_the_end(self, first: bool, well: bool) -> None:
        worker = self.who(Next.WAIT, Next.DOWNLOAD)[0 if first else -1]
        job, attempts = self.views[worker]
        last = attempts[-1]
        if job.state is JobState.IN_PROGRESS:
            over, state = ledger.ended(last, Decimal("0.40"), NOW), JobState.DOWNLOADING if well else JobState.FAILED
        else:
            over, state = last, JobState.COMPLETED if job.state is JobState.FINISHING else JobState.FINISHING
        moved = ledger.moved(job, state, cost_usd=ledger.total_cost([*attempts[:-1], over]))

        def work(connection: sa.Connection) -> None:
            store.save_attempt(connection, over)
            store.save_job(connection, moved)

        if self.writes(work):
            self.views[worker] = moved, [*attempts[:-1], over]

    # -- a person ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.truth()[0].state is JobState.NEEDS_ATTENTION)
    @rule()
    def a_person_pays_again(self) -> None:
        job, attempts = self.truth()

        def work(connection: sa.Connection) -> None:
            store.save_attempt(connection, replace(attempts[-1], repaid=True))
            store.save_job(connection, ledger.moved(job, JobState.SUBMITTING))

        assert self.writes(work)

    @precondition(lambda self: self.truth()[0].state is JobState.NEEDS_ATTENTION)
    @rule()
    def a_person_adopts(self) -> None:
        job, attempts = self.truth()
        found = next((remote for remote, n in self.charged.items() if n == attempts[-1].n), None)
        if found is None:
            return

        def work(connection: sa.Connection) -> None:
            store.save_attempt(connection, ledger.accepted(attempts[-1], RemoteJob(id=found), NOW))
            store.save_job(connection, ledger.moved(job, JobState.IN_PROGRESS))

        assert self.writes(work)

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_paid_twice_without_a_decision(self) -> None:
        _, attempts = self.seen[-1]
        on_their_way = {attempt.n for attempt in self.in_air.values()} - set(self.charged.values())

        assert len(self.charged) + len(on_their_way) <= 1 + sum(attempt.repaid for attempt in attempts)

    @invariant()
    def no_charge_is_lost(self) -> None:
        """Each is known by its id, or in doubt: never forgotten, and never taken for refused."""
        by_n = {attempt.n: attempt for attempt in self.seen[-1][1]}
        for remote_id, n in self.charged.items():
            attempt = by_n[n]
            assert attempt.in_doubt or (attempt.remote is not None and attempt.remote.id == remote_id)

    @invariant()
    def the_ledger_keeps_its_rules(self) -> None:
        job, attempts = self.seen[-1]
        ledger.check_attempts(attempts)
        assert [attempt.n for attempt in attempts] == list(range(1, len(attempts) + 1))
        if job.state is JobState.COMPLETED:
            assert attempts[-1].state is AttemptState.ENDED
            assert job.cost_usd == ledger.total_cost(attempts)

    @invariant()
    def what_is_decided_stays_decided(self) -> None:
        for (before, attempts_before), (after, attempts_after) in pairwise(self.seen[-3:]):
            if before.state.final:
                assert after == before
            for old, new in zip(attempts_before, attempts_after, strict=False):
                assert new.state is old.state or new.state in ledger.ATTEMPT_MOVES[old.state]
                assert old.remote is None or new.remote == old.remote
            assert len(attempts_after) >= len(attempts_before)

    @invariant()
    def the_public_status_never_goes_backwards(self) -> None:
        places = [PUBLIC_ORDER.index(job.public_status(NOW)) for job, _ in self.seen[-3:]]

        assert places == sorted(places)


TwoWorkers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTwoWorkers = TwoWorkers.TestCase
