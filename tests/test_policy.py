"""The prompt policy: what is refused however it is written, what is not, and that every decision is on record."""

import json
import logging
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.app import App
from rushes.config import PolicySettings, Settings
from rushes.errors import ConfigError, MissingKey, PromptBlocked, Unavailable
from rushes.http import Http
from rushes.jobs.audit import Audit, Entry, Verdict
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.database import Database
from rushes.planning import Wish
from rushes.policy import BlockList, Policy, flags_of, phrase_of
from rushes.testing.server import Answer, Exchange, FakeServer, Received

pytestmark = pytest.mark.anyio

ALICE = Caller(owner="alice", key_id="key_1")


def blocks(phrase: str, text: str) -> bool:
    return BlockList([phrase_of(phrase, "block, entry 1")]).match(text) is not None


# -- the block list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "gore",
        "GORE!",
        "much Gore, please",
        "gore\nand more",
        "a «gore» film",
        "the_gore_film",
        "gore-free",
        "göre",
        "go\u0308re",
        "\uff47\uff4f\uff52\uff45",  # full width
        "\U0001d420\U0001d428\U0001d42b\U0001d41e",  # mathematical
        "ⓖⓞⓡⓔ",
        "go\u200bre",
        "g\u200do\u2060r\ufeffe",
        "go\u00adre",
        "go\u202ere",
        "g\u034fore",
        "go\ufe0fre",
        "go\u115fre",
        "g\U000e0061ore",
        "see\u200bgore\u200bnow",
        "gøre",
    ],
)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    assert blocks("gore", text)
    assert blocks(text if text.isalpha() else "Göre", text)


@pytest.mark.parametrize("text", ["", "gored", "allegore", "go re", "g o r e", "gor", "category ore", "gore2", "2gore"])
def test_a_part_of_a_word_is_another_word(text: str) -> None:
    assert not blocks("gore", text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("wine glass", "A Wine-Glass on a table"),
        ("wine glass", "wine\u00a0glass"),
        ("wine\tglass ", "WINE   GLASS"),
        ("l'été", "dans L\u2019ETE"),
        ("straße", "STRASSE"),
        ("İstanbul", "istanbul by night"),
        ("łódź", "LODZ"),
        ("黑猫", "一只黑猫在海边"),
        ("ネコ", "黒いﾈｺ"),
        ("แมว", "รูปแมวดำ"),
        ("कुत्ता", "एक कुत्ता, दौड़ता"),
        ("고양이", "검은 고양이 한 마리"),
        ("агент 007", "АГЕНТ-007!"),
        ("ﬁre", "FIRE"),
        ("x²", "x2"),
    ],
)
def test_phrases_of_any_script_are_found(phrase: str, text: str) -> None:
    assert blocks(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("wine glass", "a glass of wine"),
        ("wine glass", "wine in a glass"),
        ("wine glass", "wineglass"),
        ("黑猫", "黑色的猫"),
        ("कि", "कु"),
        ("고양이", "고양이과"),
    ],
)
def test_other_words_are_not_taken_for_them(phrase: str, text: str) -> None:
    assert not blocks(phrase, text)


def test_of_many_phrases_each_is_found_and_told_apart() -> None:
    phrases = [phrase_of(f"bad word {n}", f"block, entry {n}") for n in range(2000)]
    found = BlockList(phrases).match("so bad: bad word 17, and on")

    assert found is not None
    assert found.where == "block, entry 17"


@given(text=st.text(max_size=60), before=st.text(max_size=20), after=st.text(max_size=20))
def test_what_can_be_listed_is_found_between_blanks(text: str, before: str, after: str) -> None:
    try:
        phrase_of(text, "here")
    except ConfigError:
        return
    assert blocks(text, f"{before} {text} {after}")
    assert blocks(text, f"{before}, {unicodedata.normalize('NFKD', text)}. {after}")


@pytest.mark.parametrize("text", ["", "!!!", "\u200b", " - "])
def test_an_entry_that_nothing_would_match_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="holds no letter"):
        phrase_of(text, "block, entry 1")


# -- the endpoint ------------------------------------------------------------------------------------------------------


class Moderator(FakeServer):
    """A moderation endpoint. It flags what names a weapon; `broken` is what it answers instead."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: list[Answer] = []
        self.always_broken: Answer | None = None

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        if self.always_broken is not None:
            exchange.send(self.always_broken)
        elif self.broken:
            exchange.send(self.broken.pop(0))
        else:
            flagged = "weapon" in json.loads(received.body)["input"]
            categories = {"violence": flagged, "illicit": flagged, "sexual": False, "self-harm": None}
            result = {"flagged": flagged, "categories": categories, "category_scores": {"violence": 0.5}}
            exchange.send(Answer.json({"id": "modr-1", "model": "m", "results": [result]}))


@pytest.fixture
def moderator() -> Iterator[Moderator]:
    with Moderator() as moderator:
        yield moderator


class Office:
    """A policy over a database of its own."""

    def __init__(self, home: Settings, stack: AsyncExitStack, db: Database) -> None:
        self._home, self._stack, self._db = home, stack, db

    def policy(self, environment: dict[str, str] | None = None, **section: Any) -> Policy:
        written = PolicySettings.model_validate(section)
        settings = replace(self._home, policy=written, environment=environment or {})
        http = Http(settings)
        self._stack.push_async_callback(http.aclose)
        return Policy(settings, http, Audit(self._db, keep_words=written.log_prompts))

    async def log(self) -> list[Entry]:
        return await Audit(self._db).since()

    async def reasons(self) -> list[tuple[Verdict, str]]:
        return [(entry.verdict, entry.reason) for entry in await self.log()]


@pytest.fixture
async def office(home: Settings, tmp_path: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        db = await Database.open(f"sqlite:///{tmp_path / 'rushes.db'}")
        stack.callback(db.close)
        yield Office(home, stack, db)


async def test_with_nothing_set_nothing_is_asked_and_nothing_written(office: Office) -> None:
    policy = office.policy()

    await policy.check("gore, weapons, anything", caller=ALICE)

    assert not policy.is_set
    assert await office.log() == []


async def test_a_blocked_prompt_is_refused_without_telling_the_word(office: Office) -> None:
    policy = office.policy(block=("blood", "gore"))

    with pytest.raises(PromptBlocked, match="block list") as caught:
        await policy.check("A Göre film", caller=ALICE)

    assert "gore" not in str(caught.value).lower()
    [entry] = await office.log()
    assert (entry.owner, entry.key_id, entry.verdict) == ("alice", "key_1", Verdict.BLOCKED)
    assert entry.reason == "block list: block, entry 2"
    assert entry.prompt is None


async def test_an_allowed_prompt_is_on_record_too(office: Office) -> None:
    await office.policy(block=("gore",), log_prompts=True).check("A cat", caller=LOCAL)

    [entry] = await office.log()
    assert (entry.verdict, entry.prompt) == (Verdict.ALLOWED, "A cat")


async def test_the_file_is_read_a_line_each_with_comments_and_a_mark_of_its_order(
    office: Office, tmp_path: Path
) -> None:
    path = tmp_path / "blocked.txt"
    path.write_text("\ufeff# what we do not make\n\ngore\n  wine glass  \n", encoding="utf-8")
    policy = office.policy(block=("blood",), block_file=str(path))

    for prompt in ("blood", "gore", "a wine glass"):
        with pytest.raises(PromptBlocked):
            await policy.check(prompt, caller=LOCAL)
    await policy.check("what we do not make", caller=LOCAL)

    reasons = [reason for _, reason in await office.reasons()][::-1]
    told = ["block list: block, entry 1", "block list: block_file, line 3", "block list: block_file, line 4"]
    assert reasons == [*told, "block list"]


async def test_a_file_that_cannot_be_read_lets_nothing_through(office: Office, tmp_path: Path) -> None:
    policy = office.policy(block_file=str(tmp_path / "none.txt"))

    for _ in range(2):
        with pytest.raises(ConfigError, match=r"block_file .*none\.txt cannot be read"):
            await policy.check("A cat", caller=LOCAL)


async def test_the_endpoint_is_asked_with_the_key_and_the_model_that_are_set(
    office: Office, moderator: Moderator
) -> None:
    url = f"{moderator.url}/v1/moderations"
    environment = {"MODERATION_LOGIN": "the-moderators-login"}
    policy = office.policy(
        environment, moderation_url=url, moderation_key_env="MODERATION_LOGIN", moderation_model="omni"
    )

    await policy.check("A cat, très noir", caller=ALICE)

    [asked] = moderator.requests
    assert (asked.method, asked.path) == ("POST", "/v1/moderations")
    assert json.loads(asked.body) == {"input": "A cat, très noir", "model": "omni"}
    assert asked.headers["authorization"] == "Bearer the-moderators-login"
    assert await office.reasons() == [(Verdict.ALLOWED, "moderation")]


async def test_what_the_endpoint_flags_is_refused_with_its_kind(office: Office, moderator: Moderator) -> None:
    policy = office.policy(moderation_url=moderator.url)

    with pytest.raises(PromptBlocked, match=r"\(illicit, violence\)"):
        await policy.check("a weapon", caller=ALICE)

    assert "authorization" not in moderator.requests[0].headers
    assert json.loads(moderator.requests[0].body) == {"input": "a weapon"}
    assert await office.reasons() == [(Verdict.BLOCKED, "moderation: illicit, violence")]


async def test_what_the_list_blocks_is_not_sent_to_the_endpoint(office: Office, moderator: Moderator) -> None:
    policy = office.policy(block=("gore",), moderation_url=moderator.url)

    with pytest.raises(PromptBlocked):
        await policy.check("gore", caller=ALICE)

    assert moderator.requests == []


BROKEN = [
    Answer.json({"error": "down"}, 500),
    Answer.json({"error": "key"}, 401),
    Answer.json({"results": []}, 200),
    Answer.json({"results": [{"categories": {}}]}, 200),
    Answer(200, b"<html>"),
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_what_cannot_be_judged_is_not_sent_unless_the_operator_prefers_that(
    office: Office, moderator: Moderator, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    moderator.always_broken = answer
    strict = office.policy(moderation_url=moderator.url)
    lenient = office.policy(moderation_url=moderator.url, on_trouble="allow")

    with caplog.at_level(logging.WARNING, "rushes.policy"):
        with pytest.raises(Unavailable, match="nothing was sent"):
            await strict.check("A cat", caller=ALICE)
        await lenient.check("A cat", caller=ALICE)

    outcomes = [(verdict, reason.split(":")[1].split(", ")[1]) for verdict, reason in await office.reasons()]
    assert outcomes == [(Verdict.ERROR, "allowed all the same"), (Verdict.ERROR, "refused")]
    assert [record.getMessage() for record in caplog.records] == ["policy.trouble"] * 2


async def test_an_endpoint_that_is_not_there_is_trouble_too(office: Office, moderator: Moderator) -> None:
    moderator.refuse()

    with pytest.raises(Unavailable):
        await office.policy(moderation_url=moderator.url).check("A cat", caller=ALICE)


async def test_one_failure_is_asked_about_again(office: Office, moderator: Moderator) -> None:
    moderator.broken = [Answer.json({}, 502)]

    await office.policy(moderation_url=moderator.url).check("A cat", caller=ALICE)

    assert len(moderator.requests) == 2
    assert await office.reasons() == [(Verdict.ALLOWED, "moderation")]


async def test_a_key_that_is_named_and_not_set_lets_nothing_through(office: Office, moderator: Moderator) -> None:
    policy = office.policy(moderation_url=moderator.url, moderation_key_env="NO_SUCH_KEY", on_trouble="allow")

    with pytest.raises(MissingKey, match="NO_SUCH_KEY"):
        await policy.check("A cat", caller=ALICE)

    assert moderator.requests == []


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ({"results": [{"flagged": False, "categories": {"violence": False}}]}, None),
        ({"results": [{"flagged": True, "categories": {"b": True, "a": True, "c": False}}]}, ("a", "b")),
        ({"results": [{"flagged": False}, {"flagged": True}]}, ()),
    ],
)
def test_answers_are_read_for_what_they_flag(body: dict[str, Any], flags: tuple[str, ...] | None) -> None:
    assert flags_of(json.dumps(body).encode()) == flags


# -- in the app --------------------------------------------------------------------------------------------------------


async def test_a_plan_of_a_blocked_prompt_is_refused_and_edits_are_judged_like_any_other(home: Settings) -> None:
    settings = replace(home, policy=PolicySettings(block=("gore",)))
    async with App(settings, leave_worker=False) as app:
        for wish in (Wish(prompt="gore", model="draft"), Wish(prompt="with gore", remix="video_1")):
            with pytest.raises(PromptBlocked):
                await app.plan(wish)
        await app.plan(Wish(prompt="A cat", model="draft", negative_prompt="gore"))

        verdicts = [entry.verdict for entry in await app.audit.since()]
    assert verdicts == [Verdict.ALLOWED, Verdict.BLOCKED, Verdict.BLOCKED]
