"""The Entra ID token that all calls to Azure share: kept, renewed in time, renewed once."""

import anyio
import anyio.lowlevel
import pytest

from rushes.errors import AccessDenied, Unavailable
from rushes.providers.azure.auth import SCOPES, NoSuchScope, Token, Tokens

pytestmark = pytest.mark.anyio


class Desk:
    """Gives out tokens, counts them, and can be out of order."""

    def __init__(self, lives_s: float = 3600.0) -> None:
        self.now_s = 1000.0
        self.lives_s = lives_s
        self.asked: list[str] = []
        self.trouble: Exception | None = None
        self.tokens = Tokens(self.fetch, lambda: self.now_s)

    async def fetch(self, scope: str) -> Token:
        self.asked.append(scope)
        await anyio.lowlevel.checkpoint()
        if self.trouble:
            raise self.trouble
        return Token(f"token-{len(self.asked)}", self.lives_s)

    async def header(self) -> str:
        return (await self.tokens.headers())["authorization"]


async def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    desk = Desk()

    assert await desk.header() == "Bearer token-1"
    desk.now_s += 3600 - 301
    assert await desk.header() == "Bearer token-1"
    desk.now_s += 2
    assert await desk.header() == "Bearer token-2"


async def test_a_short_lived_token_is_renewed_at_half_its_life() -> None:
    desk = Desk(lives_s=60)
    await desk.header()

    desk.now_s += 29
    assert await desk.header() == "Bearer token-1"
    desk.now_s += 2
    assert await desk.header() == "Bearer token-2"


async def test_calls_at_one_time_share_one_renewal() -> None:
    desk = Desk()
    got: list[str] = []

    async def call() -> None:
        got.append(await desk.header())

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)

    assert got == ["Bearer token-1"] * 20
    assert len(desk.asked) == 1


async def test_calls_that_are_refused_at_one_time_share_one_renewal() -> None:
    desk = Desk()
    used = await desk.tokens.ready()
    desk.tokens.taken(used)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(desk.tokens.refused, used)

    assert len(desk.asked) == 2
    assert set(desk.asked) == {SCOPES[0]}


async def test_a_renewal_that_fails_does_no_harm_while_the_old_token_holds() -> None:
    desk = Desk()
    await desk.header()
    desk.trouble = Unavailable("down")

    desk.now_s += 3400
    assert await desk.header() == "Bearer token-1"
    assert await desk.header() == "Bearer token-1"
    assert len(desk.asked) == 2, "it is not tried again with every call"
    desk.now_s += 201
    with pytest.raises(Unavailable) as caught:
        await desk.header()
    assert caught.value.proves_refusal, "without a token nothing was sent"
    desk.trouble = None
    assert await desk.header() == "Bearer token-4"


async def test_a_directory_without_the_first_scope_is_asked_for_the_second() -> None:
    class Picky(Desk):
        async def fetch(self, scope: str) -> Token:
            token = await super().fetch(scope)
            if scope == SCOPES[0]:
                raise NoSuchScope("no such resource")
            return token

    desk = Picky()

    await desk.header()
    desk.now_s += 3600
    await desk.header()

    assert desk.asked == [SCOPES[0], SCOPES[1], SCOPES[1]]


async def test_a_directory_without_any_scope_says_so_and_does_not_go_on_for_ever() -> None:
    desk = Desk()
    desk.trouble = NoSuchScope("no such resource")

    with pytest.raises(AccessDenied, match="no such resource") as caught:
        await desk.header()

    assert desk.asked == list(SCOPES)
    assert caught.value.proves_refusal


def test_a_token_does_not_show() -> None:
    assert "abc" not in repr(Token("abc", 1.0))
