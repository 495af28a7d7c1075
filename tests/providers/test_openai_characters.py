"""Characters at the OpenAI provider: made from a clip, named in requests, and what is refused."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import BadReply, ConfigError, Gone, Moderated, NotOffered, ProviderError, Rejected, Unsupported
from rushes.providers.openai.provider import OpenAI
from rushes.testing.bench import Inputs, opened
from rushes.testing.clips import clip, picture
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.server import Answer
from rushes.video import MediaRef
from tests.providers.openai_bench import Scripted, asked, usual

pytestmark = pytest.mark.anyio


def given_clip(inputs: Inputs, seconds: float = 4) -> MediaRef:
    return replace(inputs.add(clip(1280, 720, seconds), "video/mp4", 1280, 720), seconds=seconds)


@pytest.mark.parametrize("encoding", [None, "multipart", "json"])
async def test_a_character_is_made_once_and_named_ever_after(
    encoding: str | None, fake: FakeOpenAI, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    async with usual(fake, tmp_path, inputs=inputs, **({"encoding": encoding} if encoding else {})) as provider:
        mossy = await provider.create_character("Mossy", given_clip(inputs, 2))
        fern = await provider.create_character("Fern", given_clip(inputs, 3))
        assert fake.book.creates == 0, "making a character is no create, and is not charged"
        await provider.submit(asked("Mossy meets Fern", characters=(mossy, fern)), "key-1")
        await provider.submit(asked("Mossy alone", characters=(mossy,), first_frame=frame), "key-2")

    assert [entry.usd for entry in fake.book.entries] == [Decimal("0.40"), Decimal("0.40")]
    assert [character.name for character in fake.characters.values()] == ["Mossy", "Fern"]
    assert mossy.startswith("char_")


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("", {}, "one line of 1 to 80 letters"),
        ("   ", {}, "one line of 1 to 80 letters"),
        ("x" * 81, {}, "one line of 1 to 80 letters"),
        ("Mossy\nFern", {}, "one line of 1 to 80 letters"),
        ("Moss\ud800", {}, "one line of 1 to 80 letters"),
        ("Mossy", {"seconds": None}, "from clips, not from pictures"),
        ("Mossy", {"mime": "video/webm"}, "takes clips as video/mp4, not video/webm"),
    ],
)
async def test_what_cannot_become_a_character_is_refused_unsent(
    name: str, changes: dict[str, Any], words: str, fake: FakeOpenAI, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    async with usual(fake, tmp_path, inputs=inputs) as provider:
        with pytest.raises(Unsupported, match=words):
            await provider.create_character(name, replace(given_clip(inputs), **changes))

    assert fake.requests == []


@pytest.mark.parametrize(("seconds", "warned"), [(1.0, True), (2.0, False), (4.0, False), (8.0, True)])
async def test_an_unusual_length_of_a_characters_clip_is_logged_and_sent(
    seconds: float, warned: bool, fake: FakeOpenAI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = Inputs(tmp_path)
    async with usual(fake, tmp_path, inputs=inputs) as provider:
        assert await provider.create_character("M" * 80, given_clip(inputs, seconds))

    assert ("character.unusual_length" in [record.getMessage() for record in caplog.records]) is warned


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer.json({"id": None, "name": "Mossy", "created_at": 1}), BadReply),
        (Answer.json({"name": "Mossy"}), BadReply),
        (Answer.json(["char_1"]), BadReply),
        (Answer(200, b"<html>"), BadReply),
        (Answer.json({"detail": "Not Found"}, 404), NotOffered),
        (Answer.json({"detail": "Method Not Allowed"}, 405), NotOffered),
        (Answer.json({"error": {"message": "A face", "code": "moderation_blocked"}}, 400), Moderated),
        (Answer.json({"error": {"message": "Too short"}}, 400), Rejected),
    ],
)
async def test_answers_about_a_character_are_read(answer: Answer, error: type[ProviderError], tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    with Scripted(answer) as server:
        async with usual(server, tmp_path, inputs=inputs) as provider:
            with pytest.raises(error):
                await provider.create_character("Mossy", given_clip(inputs))

    assert len(server.requests) == 1


async def test_a_character_that_the_server_does_not_know_is_refused(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path, inputs=Inputs(tmp_path)) as provider:
        with pytest.raises(Rejected, match=r"char_lost.*make it again") as caught:
            await provider.submit(asked("Mossy", characters=("char_lost",)), "key-1")

    assert not isinstance(caught.value, Gone)
    assert "base_url" not in str(caught.value)
    assert caught.value.proves_refusal
    assert fake.book.charged == 0


async def test_without_a_key_no_character_is_sent(fake: FakeOpenAI, tmp_path: Path) -> None:
    environment = {"OPENAI_BASE_URL": fake.base_url}
    async with opened(OpenAI, folder=tmp_path, environment=environment) as provider:
        with pytest.raises(ConfigError):
            await provider.create_character("Mossy", given_clip(Inputs(tmp_path)))

    assert fake.requests == []
