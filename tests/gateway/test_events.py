"""The stream of events: whose they are, in which order, and how it begins, goes on and ends."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest

from rushes import config
from rushes.app import App
from rushes.gateway.board import Board
from rushes.gateway.events import EventStream, Feed
from rushes.jobs import store
from rushes.jobs.callers import Caller
from rushes.jobs.keys import Grant
from rushes.planning import Wish
from rushes.video import Size
from tests.gateway.orders import FOX, ordered
from tests.gateway.running import Running, over

pytestmark = pytest.mark.anyio

LAST = 2**62


class Listener:
    """Reads a stream, event by event."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.comments: list[str] = []
        self.retry: str | None = None

    async def next(self, within_s: float = 30.0) -> dict[str, Any]:
        event: dict[str, Any] = {}
        with anyio.fail_after(within_s):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments.append(line)
                elif name == "retry":
                    self.retry = value
                elif name:
                    event[name] = json.loads(value) if name == "data" else value
                elif event:
                    return event
        raise AssertionError("the stream has ended")

    async def until(self, kind: str) -> list[dict[str, Any]]:
        found = [await self.next()]
        while found[-1]["event"] != kind:
            found.append(await self.next())
        return found

    async def to_the_end(self) -> None:
        async for _ in self._lines:
            pass


@asynccontextmanager
async def listening(gateway: Running, query: str = "", **headers: str) -> AsyncGenerator[Listener]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.client.stream("GET", f"/api/events{query}", headers=named) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Listener(answer)


async def test_a_job_is_followed_from_its_admission_to_its_end(gateway: Running) -> None:
    async with listening(gateway) as listener:
        job_id = await ordered(gateway)
        found = await listener.until("completed")

        assert listener.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert listener.answer.headers["cache-control"] == "no-store"
        assert listener.retry == "2000"
    kinds = [event["event"] for event in found]
    assert (kinds[0], kinds[-1]) == ("queued", "completed")
    assert [int(event["id"]) for event in found] == sorted(int(event["id"]) for event in found)
    last = found[-1]["data"]
    assert (last["job_id"], last["status"], last["percent"], last["error"]) == (job_id, "completed", 100, None)
    assert last["video_url"] == f"/api/output/video/{job_id}/video.mp4"
    assert "fox" not in json.dumps(found).lower()
    percents = [event["data"]["percent"] for event in found]
    assert percents == sorted(percents)


async def test_who_comes_back_gets_what_he_has_missed_and_nothing_twice(idle_gateway: Running) -> None:
    ids = [await ordered(idle_gateway, seed=n) for n in range(4)]
    async with listening(idle_gateway, "?after=0") as listener:
        first = [await listener.next() for _ in range(2)]
    async with listening(idle_gateway, "?after=0", last_event_id=first[-1]["id"]) as listener:
        rest = [await listener.next() for _ in range(2)]
        ids.append(await ordered(idle_gateway, seed=9))
        new = await listener.next()

    assert [event["data"]["job_id"] for event in [*first, *rest, new]] == ids


async def test_without_a_place_it_begins_now(idle_gateway: Running) -> None:
    await ordered(idle_gateway, seed=1)
    async with listening(idle_gateway) as listener:
        new = await ordered(idle_gateway, seed=2)

        assert (await listener.next())["data"]["job_id"] == new


async def test_a_place_ahead_of_the_ledger_is_taken_for_now(idle_gateway: Running) -> None:
    async with listening(idle_gateway, f"?after={LAST}") as listener:
        new = await ordered(idle_gateway)

        assert (await listener.next())["data"]["job_id"] == new


@pytest.mark.parametrize("query", ["?after=-1", "?after=x"])
async def test_what_is_no_place_is_refused(idle_gateway: Running, query: str) -> None:
    answer = await idle_gateway.client.get(f"/api/events{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "after"


async def test_a_deleted_job_is_told_and_its_history_is_not(idle_gateway: Running) -> None:
    job_id = await ordered(idle_gateway)
    async with listening(idle_gateway) as listener:
        await idle_gateway.client.delete(f"/api/jobs/{job_id}")
        told = await listener.until("deleted")
    async with listening(idle_gateway, "?after=0") as listener:
        replayed = await listener.next()

    assert (told[-1]["data"]["job_id"], told[-1]["data"]["deleted"]) == (job_id, True)
    assert replayed["event"] == "deleted"


async def test_everybody_hears_of_his_own_jobs_alone(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    async with App(settings, leave_worker=False) as app:
        one, two = [(await app.keys.create(name, Grant())).secret for name in ("one", "two")]
        async with over(app, works=False, key=one) as gateway:
            bearer = f"Bearer {two}"
            nobody = await gateway.client.get("/api/events", headers={"authorization": "Bearer rk-wrong"})
            async with listening(gateway) as mine, listening(gateway, authorization=bearer) as theirs:
                await ordered(gateway)
                answer = await gateway.client.post("/api/generate", json=FOX, headers={"authorization": bearer})

                assert (await theirs.next())["data"]["job_id"] == answer.json()["job_id"]
                assert (await mine.next())["data"]["job_id"] != answer.json()["job_id"]
            assert nobody.status_code == 401


async def test_streams_end_in_order_when_the_server_stops(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    ended = anyio.Event()

    async def listen(url: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with (
            httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
            client.stream("GET", "/api/events") as answer,
        ):
            task_status.started()
            await Listener(answer).to_the_end()  # raises if the connection is cut instead
        ended.set()

    async with App(settings, leave_worker=False) as app, anyio.create_task_group() as tasks:
        async with over(app, works=False) as gateway:
            await tasks.start(listen, gateway.url)
        with anyio.fail_after(5):
            await ended.wait()


# -- the feed itself -----------------------------------------------------------------------------------


@asynccontextmanager
async def feeding(home: Path, **options: Any) -> AsyncGenerator[tuple[App, Feed]]:
    settings = config.load(environment={}, folder=home, home=str(home))
    async with App(settings, leave_worker=False) as app:
        board = Board(app.services)
        with app.changes.listening(board.forget):
            yield app, Feed(app.db, app.changes, board, **options)


async def admitted(app: App, n: int, owner: str = "local") -> list[str]:
    found: list[str] = []
    for seed in range(n):
        wish = Wish(prompt=f"{owner} {seed}", model="draft", size=Size(320, 180), seconds=1, seed=seed, cache="off")
        [admission] = await app.submit(await app.plan(wish), caller=Caller(owner=owner))
        found.append(admission.job_id)
    return found


def ids_in(frames: bytes) -> list[str]:
    data = [json.loads(line[6:]) for line in frames.decode().splitlines() if line.startswith("data: ")]
    return [each["id"] for each in data]


async def heard(feed: Feed, owner: str, at: int, wanted: int) -> list[str]:
    """The jobs of the next so many events."""
    found: list[str] = []
    with anyio.fail_after(30):
        async for frames in feed.frames(owner, at):
            found += ids_in(frames)
            if len(found) >= wanted:
                break
    return found


async def test_many_listeners_cost_one_reading(tmp_path: Path) -> None:
    async with feeding(tmp_path / "home") as (app, feed):
        results: list[list[str]] = []

        async def listen(ready: Callable[[], None]) -> None:
            with feed.listening():
                at = await feed.begin(None)
                ready()
                results.append(await heard(feed, "local", at, 3))

        made, before = list[str](), 0
        async with anyio.create_task_group() as tasks:
            there = anyio.Semaphore(0)
            for _ in range(200):
                tasks.start_soon(listen, there.release)
            for _ in range(200):
                await there.acquire()
            before = feed.reads
            made = await admitted(app, 3)

        assert results == [made] * 200
        assert feed.reads - before <= 6, "each commit is read once, whoever listens"
        assert feed.listeners == 0


async def test_who_is_further_back_than_the_memory_is_served_from_the_ledger(tmp_path: Path) -> None:
    async with feeding(tmp_path / "home", memory=3) as (app, feed):
        first = await admitted(app, 5)
        with feed.listening():
            await feed.begin(None)
            later = await admitted(app, 8)
            await admitted(app, 4, owner="somebody")

            assert await heard(feed, "local", 0, 13) == [*first, *later]


async def test_a_comment_comes_when_nothing_happens(tmp_path: Path) -> None:
    async with feeding(tmp_path / "home", heartbeat_s=0.05) as (_, feed):
        with feed.listening(), anyio.fail_after(10):
            frames = feed.frames("local", await feed.begin(None))
            found = [await anext(frames) for _ in range(3)]
            await frames.aclose()

    assert found == [b": still here\n\n"] * 3


async def test_news_that_nobody_brings_are_found_at_the_next_heartbeat(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    async with App(settings, leave_worker=False) as app:
        [job_id] = await admitted(app, 1)
        silent = Feed(app.db, app.changes, Board(app.services), heartbeat_s=0.05)
        at = await silent.begin(None)  # without `listening` nobody tells it of changes
        now = app.jobs.now()
        await app.db.write(lambda connection: store.insert_event(connection, job_id, "trouble", now))

        assert await heard(silent, "local", at, 1) == [job_id]


async def test_a_listener_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    async with feeding(tmp_path / "home") as (_, feed):
        stream = EventStream(feed, "local", None, anyio.Event(), slow_s=0.1)
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])
            if message["type"] == "http.response.body":
                await anyio.sleep_forever()

        async def receive() -> Any:
            await anyio.sleep_forever()

        with anyio.fail_after(10):
            await stream({"type": "http"}, receive, send)

        assert sent == ["http.response.start", "http.response.body"]
        assert feed.listeners == 0


async def test_a_listener_that_goes_leaves_nothing_behind(tmp_path: Path) -> None:
    async with feeding(tmp_path / "home") as (_, feed):
        stream = EventStream(feed, "local", None, anyio.Event())

        async def send(message: Any) -> None:
            pass

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        with anyio.fail_after(10):
            await stream({"type": "http"}, receive, send)

        assert feed.listeners == 0
