"""Who calls the gateway: which key is taken, how soon one is not any more, and what goes on without a database."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from rushes.errors import ConfigError, RushesError
from rushes.gateway.auth import FRESH_S, PATIENCE_S, Doorkeeper, check_bind, duration, masked, only_this_machine
from rushes.gateway.guard import Visit
from rushes.gateway.problems import Problem
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.database import Database
from rushes.jobs.keys import Grant, Key, Keys

pytestmark = pytest.mark.anyio


class Ticks:
    """The clock of a doorkeeper, and of the keys, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def date(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)


@dataclass
class Request:
    """A request by its headers."""

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    scope: dict[str, Any] = field(default_factory=lambda: {"rushes.visit": Visit("req_1", "10.0.0.1")})

    @property
    def told(self) -> dict[str, str]:
        """The headers that go out with the answer."""
        visit: Visit = self.scope["rushes.visit"]
        return {name.decode(): value.decode() for name, value in visit.headers}


class Counting(Keys):
    """Keys that count how often the database is asked for one."""

    asked = 0

    async def by_digest(self, digest: str) -> Key | None:
        self.asked += 1
        return await super().by_digest(digest)


def bearer(secret: str) -> Request:
    return Request({"authorization": f"Bearer {secret}"})


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = await Database.open(f"sqlite:///{tmp_path / 'rushes.db'}")
    yield db
    db.close()


@pytest.fixture
def keys(db: Database, ticks: Ticks) -> Counting:
    return Counting(db, now=ticks.date)


@dataclass
class Door:
    keys: Counting
    ticks: Ticks

    def loopback(self) -> Doorkeeper:
        return Doorkeeper(self.keys, loopback=True, clock=self.ticks)

    def open_to_all(self) -> Doorkeeper:
        return Doorkeeper(self.keys, loopback=False, clock=self.ticks)


@pytest.fixture
def door(keys: Counting, ticks: Ticks) -> Door:
    return Door(keys, ticks)


async def refused(doorkeeper: Doorkeeper, request: Request) -> Problem:
    with pytest.raises(Problem) as caught:
        await doorkeeper.caller_of(request)
    return caught.value


async def break_(db: Database, table: str = "api_keys", name: str = "elsewhere") -> None:
    """From now on the database does not answer questions about keys."""
    await db.write(lambda connection: connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}"))


# -- without keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer anything"}, {"api-key": "anything"}])
async def test_on_this_machine_nobody_needs_a_key_while_there_is_none(door: Door, headers: dict[str, str]) -> None:
    doorkeeper = door.loopback()
    async with doorkeeper.on_duty():
        caller = await doorkeeper.caller_of(Request(headers))

    assert caller == replace(LOCAL, reads_files=False)


async def test_beyond_this_machine_a_key_is_needed_even_if_there_is_none(door: Door) -> None:
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        problem = await refused(doorkeeper, Request())

    assert (problem.status, problem.error_code) == (401, "invalid_api_key")
    assert problem.headers["www-authenticate"] == "Bearer"
    assert "didn't provide an API key" in problem.message


async def test_with_the_first_key_one_is_needed_on_this_machine_too(door: Door, ticks: Ticks) -> None:
    doorkeeper = door.loopback()
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(Request())
        made = await door.keys.create("alice", Grant())
        ticks.seconds += FRESH_S

        assert (await refused(doorkeeper, Request())).status == 401
        assert (await doorkeeper.caller_of(bearer(made.secret))).key_id == made.key.id


# -- with keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer  {} "},
        {"api-key": "{}"},
        {"authorization": "Basic dTpw", "api-key": "{}"},
        {"authorization": "Bearer {}", "api-key": "another"},
    ],
)
async def test_a_key_is_taken_as_openais_and_azures_libraries_send_it(door: Door, headers: dict[str, str]) -> None:
    made = await door.keys.create("alice", Grant(models=("draft",)), owner="team")
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        caller = await doorkeeper.caller_of(Request({name: text.format(made.secret) for name, text in headers.items()}))

    assert caller == Caller(owner="team", key_id=made.key.id, models=("draft",), cache="off")


async def test_a_wrong_key_is_refused_and_not_told_again_in_full(door: Door) -> None:
    made = await door.keys.create("alice", Grant())
    wrong = made.secret[:-4] + "AAAA"
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        problem = await refused(doorkeeper, bearer(wrong))

    assert problem.status == 401
    assert problem.message.startswith(f"Incorrect API key provided: {wrong[:5]}***AA.")
    assert wrong[5:-2] not in problem.message


@pytest.mark.parametrize("secret", ["x", "short", "ünïcödé " * 5, "a" * 100_000, "'; DROP TABLE api_keys; --" * 2])
async def test_what_is_no_key_at_all_is_refused_like_any_wrong_one(door: Door, secret: str) -> None:
    await door.keys.create("alice", Grant())
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        problem = await refused(doorkeeper, bearer(secret))

    assert problem.status == 401
    assert len(problem.message) < 200
    assert secret not in problem.message


# -- how soon ----------------------------------------------------------------------------------------------------------


async def test_the_database_is_asked_once_for_many_requests(door: Door, ticks: Ticks) -> None:
    made = await door.keys.create("alice", Grant())
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(doorkeeper.caller_of, bearer(made.secret))
        for _ in range(50):
            ticks.seconds += (FRESH_S - 0.1) / 50
            await doorkeeper.caller_of(bearer(made.secret))

    assert door.keys.asked == 1


async def test_a_wrong_key_that_is_tried_again_and_again_costs_one_question(door: Door, ticks: Ticks) -> None:
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        for _ in range(20):
            ticks.seconds += FRESH_S
            await refused(doorkeeper, bearer("rk_wrong"))

    assert door.keys.asked == 1


async def test_a_revoked_key_is_refused_within_five_seconds(door: Door, ticks: Ticks) -> None:
    made = await door.keys.create("alice", Grant())
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(bearer(made.secret))
        await door.keys.revoke("alice")
        ticks.seconds += 5 - PATIENCE_S

        assert (await refused(doorkeeper, bearer(made.secret))).status == 401
    assert FRESH_S + PATIENCE_S < 5


async def test_a_key_that_expires_is_refused_at_that_moment(door: Door, ticks: Ticks) -> None:
    made = await door.keys.create("alice", Grant(), expires_at=ticks.date() + timedelta(seconds=1))
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(bearer(made.secret))
        ticks.seconds += 1

        await refused(doorkeeper, bearer(made.secret))
    assert door.keys.asked == 1


async def test_a_use_is_noted_without_a_write(door: Door) -> None:
    made = await door.keys.create("alice", Grant())
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(bearer(made.secret))
        assert [each.key.last_used_at for each in await door.keys.all()] == [None]

    assert [each.key.last_used_at for each in await door.keys.all()] == [door.ticks.date()]


# -- without a database ------------------------------------------------------------------------------------------------


async def test_when_the_database_is_away_the_keys_that_it_knew_stay_good(
    door: Door, db: Database, ticks: Ticks
) -> None:
    made, other = await door.keys.create("alice", Grant()), await door.keys.create("bob", Grant())
    doorkeeper = door.loopback()
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(bearer(made.secret))
        await break_(db)
        for _ in range(10):
            ticks.seconds += 60
            assert (await doorkeeper.caller_of(bearer(made.secret))).key_id == made.key.id
        with pytest.raises(RushesError, match="api_keys") as unknown:
            await doorkeeper.caller_of(bearer(other.secret))
        assert not isinstance(unknown.value, Problem)  # nobody is told that a good key is wrong

        await break_(db, "elsewhere", "api_keys")
        assert (await doorkeeper.caller_of(bearer(other.secret))).key_id == other.key.id


async def test_nobody_gets_in_without_a_key_because_the_database_cannot_be_asked(door: Door, db: Database) -> None:
    await break_(db)
    doorkeeper = door.loopback()
    async with doorkeeper.on_duty():
        with pytest.raises(RushesError, match="api_keys"):
            await doorkeeper.caller_of(Request())


class Stuck(Counting):
    """Keys in a database that takes its time."""

    stuck = False

    async def by_digest(self, digest: str) -> Key | None:
        if self.stuck:
            await anyio.sleep_forever()
        return await super().by_digest(digest)


async def test_a_database_that_hangs_holds_no_known_caller_up_for_long(db: Database, ticks: Ticks) -> None:
    keys = Stuck(db, now=ticks.date)
    made = await keys.create("alice", Grant())
    doorkeeper = Doorkeeper(keys, loopback=False, clock=ticks)
    async with doorkeeper.on_duty():
        await doorkeeper.caller_of(bearer(made.secret))
        keys.stuck = True
        ticks.seconds += FRESH_S

        with anyio.fail_after(PATIENCE_S + 5):
            assert (await doorkeeper.caller_of(bearer(made.secret))).key_id == made.key.id
        ticks.seconds += PATIENCE_S
        with anyio.fail_after(PATIENCE_S / 2):  # the next one does not wait at all
            assert (await doorkeeper.caller_of(bearer(made.secret))).key_id == made.key.id


async def test_a_doorkeeper_off_duty_lets_nobody_in(door: Door) -> None:
    with pytest.raises(RushesError, match="closing"):
        await door.loopback().caller_of(Request())


# -- how often ---------------------------------------------------------------------------------------------------------


async def test_a_key_may_be_used_as_often_as_it_grants_and_each_answer_says_what_is_left(door: Door) -> None:
    made = await door.keys.create("alice", Grant(requests_per_minute=3))
    free = await door.keys.create("bob", Grant())
    doorkeeper = door.open_to_all()
    async with doorkeeper.on_duty():
        requests = [bearer(made.secret) for _ in range(4)]
        for request in requests[:3]:
            await doorkeeper.caller_of(request)
        problem = await refused(doorkeeper, requests[3])
        other = bearer(free.secret)
        await doorkeeper.caller_of(other)
        door.ticks.seconds += 20
        await doorkeeper.caller_of(bearer(made.secret))

    told = [request.told for request in requests]
    assert [each["x-ratelimit-limit-requests"] for each in told] == ["3"] * 4
    assert [each["x-ratelimit-remaining-requests"] for each in told] == ["2", "1", "0", "0"]
    assert [each["x-ratelimit-reset-requests"] for each in told] == ["20s", "40s", "1m0s", "1m0s"]
    assert (problem.status, problem.error_code, problem.headers["retry-after"]) == (429, "rate_limit_exceeded", "20")
    assert other.told == {}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0ms"), (0.0121, "13ms"), (1, "1s"), (1.2, "2s"), (59.5, "1m0s"), (360, "6m0s")]
)
def test_times_are_told_as_openai_tells_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("secret", ["", "short", "x" * 19, "ö" * 40, "a" * 30 + "\n"])
def test_a_text_that_is_short_or_odd_is_not_shown_at_all(secret: str) -> None:
    assert masked(secret) == "***"


# -- where it listens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_on_loopback_it_starts_without_keys(host: str) -> None:
    check_bind(host, has_keys=False)
    assert only_this_machine(host, trust_proxy=False)


@pytest.mark.parametrize("host", [".".join("0000"), "::", "192.168.1.5", "video.example", "", "localhost.example"])
def test_beyond_loopback_it_starts_only_with_keys(host: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("rushes keys create NAME")):
        check_bind(host, has_keys=False)
    check_bind(host, has_keys=True)
    assert not only_this_machine(host, trust_proxy=False)


def test_behind_a_proxy_loopback_is_not_private() -> None:
    with pytest.raises(ConfigError, match="proxy"):
        check_bind("127.0.0.1", has_keys=False, trust_proxy=True)
    assert not only_this_machine("127.0.0.1", trust_proxy=True)
