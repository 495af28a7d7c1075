"""One row, from an empty folder to a verdict."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from rushes.jobs import store as queries
from rushes.jobs.ledger import JobState
from rushes.jobs.tables import jobs
from rushes.providers.terms import Doubt
from rushes.testing.account_book import AccountBook, prompt_hash
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.matrix.audit import Served, Verdict, audit, read_records
from rushes.testing.matrix.crew import Crew
from rushes.testing.matrix.killing import Killing, Scene
from rushes.testing.matrix.rows import Row
from rushes.testing.matrix.stores import Store

LOOK_EVERY_S = 0.05
AT_ONCE = 5  # how many jobs are admitted by one process while others are killed


@dataclass(slots=True, kw_only=True)
class _Play:
    """A row that is running."""

    row: Row
    scene: Scene
    killing: Killing
    engine: sa.Engine
    book: AccountBook
    job_ids: list[str]
    opens_at: float  # when the far side takes connections again; 0: it does

    def over(self) -> bool:
        """One look: keep the workers up, kill, admit, decide. True when nothing is left to do."""
        scene = self.scene
        if self.opens_at and time.monotonic() >= self.opens_at:
            self.opens_at = 0.0
            scene.fake.start()
        self.killing.act(scene)
        scene.crew.keep_up()
        with self.engine.connect() as connection:
            states = self._states(connection)
            self._decide(connection, [job_id for job_id, state in states.items() if state is JobState.NEEDS_ATTENTION])
        left = sum(not state.final for state in states.values())
        if not self.killing.over and self.killing.kept_in_flight - left >= AT_ONCE:
            self.admit(AT_ONCE)
            return False
        return self.killing.over and not left

    def admit(self, count: int) -> None:
        first = len(self.job_ids)
        prompts = [f"A lighthouse at dusk, take {n}" for n in range(first, first + count)]
        self.job_ids += self.scene.crew.admit(self.row.kind, prompts)

    def _states(self, connection: sa.Connection) -> dict[str, JobState]:
        rows = connection.execute(sa.select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(self.job_ids)))
        found = {row.id: JobState(row.state) for row in rows}
        return {job_id: found.get(job_id, JobState.QUEUED) for job_id in self.job_ids}

    def _decide(self, connection: sa.Connection, parked: list[str]) -> None:
        """What a person does who looks at the vendor's console: adopt what is there, pay again for what is not."""
        for job_id in parked:
            job = queries.job_by_id(connection, job_id)
            assert job is not None
            ours = [entry for entry in self.book.entries if entry.prompt_sha256 == prompt_hash(job.prompt)]
            taken = set(connection.execute(sa.text("SELECT remote_id FROM attempts")).scalars())
            free = [entry.remote_id for entry in ours if entry.remote_id not in taken]
            if free and not self.row.person_repays:
                self.scene.crew.decide(job_id, "--adopt", free[-1])
            else:
                self.scene.crew.decide(job_id, "--repay")


def play(row: Row, store: Store, folder: Path, random: Random) -> Verdict:
    """Run one row. Whatever happens, no process that it started is left."""
    started = time.monotonic()
    folder.mkdir(parents=True)
    killing = row.killing()
    fake = row.kind.fake(row.plan, row.job_s, folder / "book.jsonl")
    address = store.address(folder)
    with fake:
        for operation, faults in row.plan.faults().items():
            fake.faults.set(operation, faults)
        crew = Crew(
            folder,
            row.kind,
            row.kind.variables(fake),
            size=row.workers,
            database_url=address,
            signed=row.signed,
            create_timeout_s=row.create_timeout_s,
        )
        scene = Scene(crew=crew, fake=fake, store=store, address=address, random=random)
        try:
            verdict = _carried_out(row, scene, killing, folder, started)
        finally:
            crew.close()
    verdict.seconds = time.monotonic() - started
    return verdict


def _carried_out(row: Row, scene: Scene, killing: Killing, folder: Path, started: float) -> Verdict:
    crew, fake = scene.crew, scene.fake
    engine: sa.Engine | None = None
    try:
        closed = row.plan.closed_s
        play_ = _Play(
            row=row,
            scene=scene,
            killing=killing,
            engine=scene.store.engine(folder, scene.address),
            book=fake.book,
            job_ids=[],
            opens_at=time.monotonic() + closed if closed else 0.0,
        )
        engine = play_.engine
        play_.admit(max(row.plan.jobs, killing.kept_in_flight))
        if closed:
            fake.refuse()
        killing.begin(scene)
        late = not _until(play_, started + row.timeout_s)
        with engine.connect() as connection:
            records = read_records(connection, play_.job_ids)
        parked = crew.decided
        served = _served(fake)
        media = folder / "home" / "media"
        verdict = audit(records, fake.book, row.plan, parked=parked, media=media, served=served)
    finally:
        if engine is not None:
            engine.dispose()
    verdict.kills = crew.kills
    if crew.kills < killing.expected:
        verdict.wrong.append(f"{crew.kills} were killed, {killing.expected} were to be: the row has shown nothing")
    if late:
        verdict.wrong.append(f"it was not over after {row.timeout_s:g} s")
    verdict.wrong += _needless(row, killing, verdict.parked) + crew.unasked_ends + crew.tracebacks()
    return verdict


def _until(play_: _Play, end: float) -> bool:
    while not play_.over():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _needless(row: Row, killing: Killing, parked: int) -> list[str]:
    """A job may be put to a person only where nobody else can settle the doubt."""
    deaths_leave_doubt = row.kind.doubt is Doubt.NONE and killing.leaves_doubt
    if deaths_leave_doubt:
        return []
    allowed = row.plan.doubts if row.kind.doubt is Doubt.NONE else row.plan.parks
    return [f"{parked} jobs were put to a person, {allowed} had to be"] if parked > allowed else []


def _served(fake: Any) -> Served:
    def served(remote_id: str, n: int) -> frozenset[str]:
        if isinstance(fake, FakeAzure):
            bodies = [fake.video_of(remote_id, each) for each in range(len(fake.jobs[remote_id].generations))]
        else:
            bodies = [fake.content_of(remote_id)]
        return frozenset(hashlib.sha256(body).hexdigest() for body in bodies)

    return served
