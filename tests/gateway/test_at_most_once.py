"""One `create()` is one job, whatever is lost on the way: the real SDK with its own retries, and trouble on all sides.

What may get lost: the gateway's answer, by somebody between the SDK and us; the gateway itself, by `kill -9`; and what
lies behind it, by a provider that accepts and then fails. Never is a second job made for one call, and never a second
one charged; and two calls for the same thing are two jobs, also while one of them is being repeated.
"""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI
from openai.types import Video

from rushes.jobs.keys import Grant
from rushes.testing.account_book import prompt_hash
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Faults
from rushes.testing.matrix.plans import CREATE, Plan
from rushes.testing.server import Answer, Exchange, FakeServer, Moment, Received
from tests.command_line import CommandLine
from tests.gateway.losing_proxy import NEVER_ARRIVED, Between, Loss
from tests.gateway.running import SHORT, Running, running
from tests.gateway.sdk.clients import ALL, Sdk
from tests.running import Running as Process

pytestmark = [
    pytest.mark.anyio,
    # The SDK warns on each call that its vendor has ended the API.
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

PATIENCE_S = 60.0


def sdk(url: str, timeout_s: float = 30.0) -> Any:
    """The newest SDK as people use it: it repeats what fails twice. (It calls each of its own calls deprecated.)"""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="any", timeout=timeout_s)


async def create(
    url: str,
    prompt: str,
    headers: dict[str, str] | None = None,
    *,
    timeout_s: float = 30.0,
    size: str = SHORT["size"],
    seconds: str = SHORT["seconds"],
) -> str:
    """One call; returns the id that it came to."""
    async with sdk(url, timeout_s) as client:
        body = {"prompt": prompt, "model": "sora-2", "size": size, "seconds": seconds}
        return (await client.videos.create(**body, extra_headers=headers)).id


async def post(gateway: Running, prompt: str, retry: str | None = None, key: str | None = None) -> httpx2.Response:
    """A create without an SDK, which says of itself what the test wants."""
    headers = {"x-stainless-retry-count": retry, "idempotency-key": key}
    given = {name: value for name, value in headers.items() if value is not None}
    return await gateway.client.post("/v1/videos", json={"prompt": prompt, **SHORT}, headers=given)


async def jobs_of(gateway: Running, prompt: str) -> list[str]:
    """Each of them would be charged."""
    async with sdk(gateway.url) as client:
        return [video.id async for video in client.videos.list(limit=100) if video.prompt == prompt]


# -- the answer gets lost --------------------------------------------------------------------------------------------


LOSSES = {
    **{f"{loss}, once": (loss,) for loss in (*Loss, NEVER_ARRIVED) if loss is not Loss.NONE},
    **{f"{loss}, twice": (loss, loss) for loss in (*Loss, NEVER_ARRIVED) if loss is not Loss.NONE},
    "one loss after the other": (Loss.HANG_UP, Loss.BAD_GATEWAY),
    "lost, and not forwarded": (Loss.HANG_UP, NEVER_ARRIVED),
}
"""An answer that was fully sent, and is lost on its way all the same, is none of these: see `losing_proxy.py`."""


async def test_a_call_whose_answers_get_lost_makes_one_job(idle_gateway: Running) -> None:
    returned: dict[str, str] = {}
    jobs: dict[str, list[str]] = {}

    async def call(name: str, losses: Sequence[str]) -> None:
        async with Between(idle_gateway.url, losses).running() as between:
            returned[name] = await create(between.url, name)
            assert between.requests == 1 + len(losses), name

    async with anyio.create_task_group() as tasks:
        for name, losses in LOSSES.items():
            tasks.start_soon(call, name, losses)
    for name in LOSSES:
        jobs[name] = await jobs_of(idle_gateway, name)

    assert jobs == {name: [video_id] for name, video_id in returned.items()}


@pytest.mark.parametrize("which", ALL, ids=[each.name for each in ALL])
async def test_so_it_is_for_each_sdk(which: Sdk, idle_gateway: Running) -> None:
    async with Between(idle_gateway.url, (Loss.HANG_UP, Loss.BAD_GATEWAY)).running() as between:
        step = partial(which.run, "create_text", f"{between.url}/v1", "any", prompt="A fox", max_retries=2, **SHORT)
        _, line = await anyio.to_thread.run_sync(step)

        assert between.requests == 3
    assert await jobs_of(idle_gateway, "A fox") == [line["video"]["id"]]


async def test_a_request_that_nobody_waits_for_any_more_makes_no_job_after_its_repetition_has(tmp_path: Path) -> None:
    with Moderation(slow=1) as moderation:
        async with running(tmp_path / "home", moderation.config, works=False) as gateway:
            video_id = await create(gateway.url, "A fox", timeout_s=2.0)
            assert moderation.asked == 2

            moderation.go_on.set()
            await until_answered(gateway, 2)

            assert await jobs_of(gateway, "A fox") == [video_id]


class Moderation(FakeServer):
    """An endpoint that finds nothing wrong with any prompt, the first few times only when it is told to go on."""

    def __init__(self, slow: int) -> None:
        super().__init__()
        self.asked = 0
        self.go_on = threading.Event()
        self._slow = slow

    @property
    def config(self) -> str:
        return f'[policy]\nmoderation_url = "{self.url}/v1/moderations"\n'

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.asked += 1
        if self.asked <= self._slow:
            self.go_on.wait(10.0)
        exchange.send(Answer.json({"results": [{"flagged": False, "categories": {}}]}))


async def until_answered(gateway: Running, creates: int) -> None:
    """Wait until so many creates are over, answered or not."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            told = (await gateway.client.get("/metrics")).text.splitlines()
            ours = [line for line in told if line.startswith('rushes_http_requests_total{method="POST"')]
            if sum(float(line.split()[-1]) for line in ours) >= creates:
                return
            await anyio.sleep(0.05)


# -- two calls for the same ------------------------------------------------------------------------------------------


LOST = (Loss.HANG_UP, Loss.BAD_GATEWAY)


async def calls_at_once(gateway: Running, losses: Sequence[Sequence[str]]) -> list[str]:
    """What each of several calls for the same comes to."""
    returned: list[str] = []

    async def call(mine: Sequence[str]) -> None:
        async with Between(gateway.url, mine).running() as between:
            returned.append(await create(between.url, "A fox"))

    async with anyio.create_task_group() as tasks:
        for mine in losses:
            tasks.start_soon(call, mine)
    return returned


async def test_two_calls_at_once_are_two_jobs(idle_gateway: Running) -> None:
    returned = await calls_at_once(idle_gateway, [(), ()])

    assert sorted(await jobs_of(idle_gateway, "A fox")) == sorted(set(returned))
    assert len(set(returned)) == 2


@pytest.mark.parametrize(
    "losses", [[(), LOST[:1]], [(), LOST], [LOST[:1], LOST[1:]], [LOST, LOST], [(), (), LOST[:1], LOST[:1], LOST, LOST]]
)
async def test_as_many_jobs_as_calls_come_of_it_though_they_are_repeated(
    losses: list[tuple[str, ...]], idle_gateway: Running
) -> None:
    returned = await calls_at_once(idle_gateway, losses)

    jobs = await jobs_of(idle_gateway, "A fox")
    assert len(jobs) == len(losses) == len(returned)
    assert set(returned) <= set(jobs)


async def test_one_that_arrived_only_when_it_was_repeated_makes_no_more_than_its_own(idle_gateway: Running) -> None:
    """Nobody can tell it from a repetition of the other, whose answer may be lost: so it may get the other's job."""
    returned = await calls_at_once(idle_gateway, [(), (NEVER_ARRIVED,), (Loss.HANG_UP,)])

    jobs = await jobs_of(idle_gateway, "A fox")
    assert 1 <= len(jobs) <= 3
    assert set(returned) <= set(jobs)


async def test_an_answer_that_was_sent_is_not_taken_for_a_lost_one(idle_gateway: Running) -> None:
    theirs = (await post(idle_gateway, "A fox")).json()["id"]

    mine = (await post(idle_gateway, "A fox", retry="1")).json()["id"]

    assert mine != theirs


async def test_who_had_no_room_at_first_gets_a_job_of_his_own(tmp_path: Path) -> None:
    async with running(tmp_path / "home") as gateway:
        issued = await gateway.app.keys.create("one at a time", Grant(most_open_jobs=1))
        gateway.client.headers["authorization"] = f"Bearer {issued.secret}"
        theirs = (await post(gateway, "A fox")).json()["id"]
        refused = await post(gateway, "A fox")
        await gateway.app.jobs.wait(theirs, timeout_s=PATIENCE_S)

        mine = await post(gateway, "A fox", retry="1")

        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert mine.json()["id"] != theirs


@pytest.mark.parametrize("retry", ["1", "2", "0", "-1", "many", "", "\N{SUPERSCRIPT TWO}", "9" * 5000])
async def test_a_repetition_of_what_never_arrived_makes_a_job_whatever_it_says(
    retry: str, idle_gateway: Running
) -> None:
    headers = {b"x-stainless-retry-count": retry.encode("latin-1"), b"content-type": b"application/json"}
    body = b'{"prompt": "A fox", "size": "320x180", "seconds": "1"}'

    answer = await idle_gateway.client.post("/v1/videos", content=body, headers=headers)

    assert answer.status_code == 200, answer.text
    assert await jobs_of(idle_gateway, "A fox") == [answer.json()["id"]]


# -- idempotency keys ------------------------------------------------------------------------------------------------


async def test_a_key_means_one_job_also_while_it_is_being_made(idle_gateway: Running) -> None:
    returned: list[str] = []

    async def call() -> None:
        returned.append(await create(idle_gateway.url, "A fox", {"Idempotency-Key": "order-7"}))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(call)
    returned.append(await create(idle_gateway.url, "A fox", {"Idempotency-Key": "order-7"}))
    other = await create(idle_gateway.url, "A fox", {"Idempotency-Key": "order-8"})

    assert len(returned) == 11
    assert sorted(await jobs_of(idle_gateway, "A fox")) == sorted({*returned, other})
    assert len({*returned, other}) == 2


async def test_a_key_with_another_body_is_a_conflict_that_is_not_repeated(idle_gateway: Running) -> None:
    await create(idle_gateway.url, "A fox", {"Idempotency-Key": "order-7"})

    async with Between(idle_gateway.url, ()).running() as between:
        with pytest.raises(APIStatusError) as caught:
            await create(between.url, "A wolf", {"Idempotency-Key": "order-7"})

        assert between.requests == 1
    assert (caught.value.status_code, caught.value.code) == (409, "idempotency_key_reused")
    assert await jobs_of(idle_gateway, "A wolf") == []


async def test_a_key_outlives_the_gateway_and_belongs_to_its_owner(tmp_path: Path) -> None:
    async with running(tmp_path / "home", works=False) as gateway:
        before = (await post(gateway, "A fox", key="order-7")).json()["id"]

    async with running(tmp_path / "home", works=False) as gateway:
        after = (await post(gateway, "A fox", key="order-7")).json()["id"]
        issued = await gateway.app.keys.create("another", Grant())

    async with running(tmp_path / "home", works=False, key=issued.secret) as gateway:
        of_another = (await post(gateway, "A fox", key="order-7")).json()["id"]

    assert after == before
    assert of_another != before


@pytest.mark.parametrize("path", ["remix", "edits"])
async def test_what_is_made_from_a_video_is_repeated_safely_too(path: str, tmp_path: Path) -> None:
    async with running(tmp_path / "home") as gateway:
        source = (await post(gateway, "A fox")).json()["id"]
        await gateway.until_ended(source)
    async with running(tmp_path / "home", works=False) as gateway, AsyncExitStack() as stack:
        between = await stack.enter_async_context(Between(gateway.url, (Loss.HANG_UP,)).running())
        client = await stack.enter_async_context(sdk(between.url))
        body = {"prompt": "At night", "video": {"id": source}}
        where = f"/videos/{source}/remix" if path == "remix" else "/videos/edits"
        made = await client.post(where, body=body if path == "edits" else {"prompt": "At night"}, cast_to=Video)

        assert await jobs_of(gateway, "At night") == [made.id]


# -- the gateway is killed -------------------------------------------------------------------------------------------


class Killed:
    """`rushes serve` on one port, which dies and is started again; with a provider that keeps the books."""

    def __init__(self, folder: Path, fake: FakeOpenAI, config: str = "") -> None:
        (folder / "rushes.toml").write_text(f"[providers.openai]\npoll_interval_ms = 200\n{config}", encoding="utf-8")
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""}
        self._line = CommandLine(folder, env)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, crash_at: str | None = None) -> Process:
        module = ["rushes.testing.crash", crash_at] if crash_at else ["rushes"]
        return Process(
            subprocess.Popen(
                [sys.executable, "-m", *module, "serve", "--port", str(self.port)],
                cwd=self._line.folder,
                env=self._line.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )


async def completed(url: str, video_id: str) -> str:
    async with sdk(url) as client:
        return (await client.videos.poll(video_id, poll_interval_ms=100)).status


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.3) as fake:
        yield fake


@pytest.mark.parametrize("point", ["job.admitted", "attempt.intended", "attempt.answered"])
async def test_a_gateway_killed_at_any_point_makes_one_job_of_a_call(
    point: str, tmp_path: Path, fake: FakeOpenAI
) -> None:
    serve = Killed(tmp_path, fake)
    returned: list[str] = []

    async def call() -> None:
        async with Between(serve.url, ()).running() as between:
            returned.append(await create(between.url, "A fox", size="1280x720", seconds="4"))

    with serve.start(crash_at=point) as first:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            assert await anyio.to_thread.run_sync(first.ended) == -signal.SIGKILL
            with serve.start() as second:
                await anyio.to_thread.run_sync(second.until_it_says, "Serving on")
                with anyio.fail_after(PATIENCE_S):
                    while not returned:
                        await anyio.sleep(0.05)
                assert await completed(serve.url, returned[0]) == "completed"

    assert (len(fake.jobs), fake.book.charged) == (1, 1)


async def test_a_gateway_killed_before_it_has_made_the_job_makes_it_the_next_time(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    with Moderation(slow=1) as moderation:
        serve = Killed(tmp_path, fake, moderation.config)
        returned: list[str] = []

        async def call() -> None:
            async with Between(serve.url, ()).running() as between:
                returned.append(await create(between.url, "A fox", size="1280x720", seconds="4"))

        with serve.start() as first:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                with anyio.fail_after(PATIENCE_S):
                    while not moderation.asked:
                        await anyio.sleep(0.05)
                first.process.kill()
                await anyio.to_thread.run_sync(first.ended)
                moderation.go_on.set()
                with serve.start() as second:
                    await anyio.to_thread.run_sync(second.until_it_says, "Serving on")
                    with anyio.fail_after(PATIENCE_S):
                        while not returned:
                            await anyio.sleep(0.05)
                    assert await completed(serve.url, returned[0]) == "completed"

    assert (len(fake.jobs), fake.book.charged) == (1, 1)


# -- the provider accepts, and fails ---------------------------------------------------------------------------------

ALONE = [plan for plan in CREATE if not plan.closed_s and not plan.parks]
"""The fault plans that are about each create by itself."""
FEW = [
    plan for plan in ALONE if plan.name.endswith(("timeout after acceptance", "502 after acceptance", "its content"))
]


class ByPrompt(Faults):
    """Faults for each job by itself: what befalls a request is told by the prompt in it."""

    def __init__(self, plans: dict[str, Sequence[str | None]]) -> None:
        super().__init__()
        self._plans = {prompt: self._only(faults) for prompt, faults in plans.items()}
        self._request = threading.local()

    @staticmethod
    def _only(create: Sequence[str | None]) -> Faults:
        faults = Faults()
        faults.set("create", create)
        return faults

    def look(self, moment: Moment, operation: str | None, received: Received) -> None:
        if moment is Moment.RECEIVED:
            self._request.body = received.body

    def take(self, operation: str) -> Fault | None:
        body: bytes = self._request.body
        named = [faults for prompt, faults in self._plans.items() if f"<{prompt}>".encode() in body]
        return named[0].take(operation) if named else None


@pytest.mark.parametrize("plans", [FEW, pytest.param(ALONE, marks=pytest.mark.slow)], ids=["few", "all"])
async def test_whatever_a_provider_does_to_a_create_a_call_is_one_job_and_charged_once(
    plans: list[Plan], tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.faults = faults = ByPrompt({plan.name: plan.create for plan in plans})
    fake.looking_on = faults.look
    environment = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""}
    toml = "[providers.openai]\ncreate_timeout_s = 1.5\npoll_interval_ms = 200\n[gateway]\nrequests_burst = 100000\n"
    found: dict[str, tuple[str, int]] = {}

    async with running(tmp_path / "home", toml, environment=environment) as gateway:

        async def call(plan: Plan) -> None:
            prompt = f"<{plan.name}>"
            video_id = await create(gateway.url, prompt, size="1280x720", seconds="4")
            status = await completed(gateway.url, video_id)
            charged = sum(entry.prompt_sha256 == prompt_hash(prompt) for entry in fake.book.entries)
            assert await jobs_of(gateway, prompt) == [video_id]
            found[plan.name] = (status, charged)

        async with anyio.create_task_group() as tasks:
            for plan in plans:
                tasks.start_soon(call, plan)

    refused = {plan.name: ("failed", 0) for plan in plans if plan.refused}
    assert found == {plan.name: ("completed", 1) for plan in plans} | refused
