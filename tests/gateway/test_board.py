"""The board shows each job as it is now, asks the database no more than it must, and outlives it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa

from rushes import config
from rushes.app import App
from rushes.errors import DatabaseAway
from rushes.gateway.board import Board, Entry
from rushes.gateway.problems import Problem
from rushes.jobs import store
from rushes.jobs.callers import Caller
from rushes.jobs.database import Database
from rushes.jobs.tables import jobs
from rushes.planning import Wish

pytestmark = pytest.mark.anyio

US = Caller(owner="us")
T = TypeVar("T")


class Counting:
    """The App's database, which counts what is asked of it and can be away."""

    def __init__(self, db: Database) -> None:
        self.reads = 0
        self.away = False
        self._db = db

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        self.reads += 1
        if self.away:
            raise DatabaseAway("The database is away.")
        return await self._db.read(work)


@asynccontextmanager
async def opened(home: Path, *, most: int = 10) -> AsyncGenerator[tuple[App, Board, Counting]]:
    home.mkdir(exist_ok=True)
    async with App(config.load(environment={}, folder=home, home=str(home)), leave_worker=False) as app:
        counting = Counting(app.db)
        board = Board(replace(app.services, db=counting), most)  # pyright: ignore[reportArgumentType]: reads alone
        yield app, board, counting


async def submitted(app: App, prompt: str = "A fox") -> str:
    [admission] = await app.submit(await app.plan(Wish(prompt=prompt, model="draft"), caller=US), caller=US)
    return admission.job_id


async def shown(board: Board, job_id: str) -> Entry:
    return await board.look(job_id, "us")


async def test_a_second_look_asks_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, counting):
        job_id = await submitted(app)

        entries = [await shown(board, job_id) for _ in range(3)]

        assert counting.reads == 1
        assert entries[0] is entries[2]


async def test_a_change_is_seen_when_it_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, _):
        job_id = await submitted(app)
        assert (await shown(board, job_id)).view.percent == 0

        await app.db.write(lambda c: c.execute(jobs.update().values(state="in_progress", percent=50.0)))
        board.forget([job_id])

        assert (await shown(board, job_id)).view.percent > 0


async def test_the_gateway_is_told_of_what_other_processes_change(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, _):
        job_id = await submitted(app)
        with app.changes.listening(board.forget):
            entry = await shown(board, job_id)
            async with App(app.settings, leave_worker=False) as another:
                await another.jobs.cancel(job_id)
            for _ in range(200):
                if not entry.fresh:
                    break
                await app.changes.wait(0.05)

        assert not entry.fresh


async def test_a_change_during_a_look_is_not_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, counting):
        job_id = await submitted(app)
        real = counting.read

        async def read(work: Callable[[sa.Connection], T]) -> T:
            found = await real(work)
            board.forget([job_id])  # told after the row was read, before the board has it
            return found

        counting.read = read  # pyright: ignore[reportAttributeAccessIssue]: the seam of this test
        entry = await shown(board, job_id)

        assert not entry.fresh


async def test_the_last_known_state_stays_good_while_the_database_is_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, counting):
        known, unknown = await submitted(app), await submitted(app, "Another")
        before = await shown(board, known)
        board.forget([known])
        counting.away = True

        assert (await shown(board, known)).view == before.view
        with pytest.raises(DatabaseAway):
            await shown(board, unknown)


async def test_what_is_anothers_and_what_is_not_there_look_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, _):
        job_id = await submitted(app)

        def words(caught: Problem, text: str) -> tuple[int, str, str]:
            return caught.status, caught.error_code, caught.message.replace(text, "ID")

        with pytest.raises(Problem) as foreign:
            await board.look(job_id, "them")
        missing_id = "video_" + "0" * 32
        with pytest.raises(Problem) as missing:
            await board.look(missing_id, "them")

        assert words(foreign.value, job_id) == words(missing.value, missing_id)


async def test_what_is_deleted_is_not_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, _):
        job_id = await submitted(app)
        await shown(board, job_id)
        await app.db.write(lambda c: store.hide(c, job_id, app.jobs.now()))
        board.forget([job_id])

        with pytest.raises(Problem):
            await shown(board, job_id)


async def test_the_board_holds_no_more_than_it_may(tmp_path: Path) -> None:
    async with opened(tmp_path, most=2) as (app, board, counting):
        ids = [await submitted(app, f"Fox {n}") for n in range(3)]
        for job_id in ids:
            await shown(board, job_id)
        reads = counting.reads

        await shown(board, ids[2])
        assert counting.reads == reads
        await shown(board, ids[0])
        assert counting.reads == reads + 1


async def test_what_nobody_decided_in_time_has_failed_without_being_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, board, _):
        job_id = await submitted(app)
        past = app.jobs.now()
        changes = {"state": "needs_attention", "deadline": past}
        await app.db.write(lambda c: c.execute(sa.update(jobs).values(**changes)))

        assert (await shown(board, job_id)).view.status == "failed"
