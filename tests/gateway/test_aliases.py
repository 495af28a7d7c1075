"""Whose model serves: names that no model has any more, lists of models, and who may not stand in."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from rushes import config
from rushes.app import App
from rushes.gateway.aliases import asked_for
from rushes.jobs.keys import Grant
from rushes.providers.prepare import Misfit
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from tests.gateway.running import SHORT, over, running

pytestmark = pytest.mark.anyio

FOX = {"prompt": "A fox", "model": "sora-2", "seconds": "4", "size": "1280x720"}


@pytest.mark.parametrize(
    ("name", "aliases", "model", "misfit"),
    [
        (None, "", None, Misfit.NEAREST),
        ("sora-2", "", None, Misfit.NEAREST),
        ("sora-2-pro-2025-10-06", "", None, Misfit.NEAREST),
        ("sora", "", None, Misfit.NEAREST),
        ("sora-2", '[aliases]\nsora-2 = "draft"', "sora-2", Misfit.NEAREST),
        ("sora-2-2025-12-08", '[aliases]\nsora-2 = "draft"', "sora-2", Misfit.NEAREST),
        ("sora", '[aliases]\nsora = "draft"', "sora", Misfit.NEAREST),
        ("sora-2-pro", '[aliases]\nsora-2 = "draft"', None, Misfit.NEAREST),
        ("best", '[aliases]\nbest = "draft"', "best", Misfit.NEAREST),
        ("draft", "", "draft", None),
        ("openai:video:sora-2", "", "openai:video:sora-2", None),
    ],
)
def test_what_a_name_means(tmp_path: Path, name: str | None, aliases: str, model: str | None, misfit: Misfit) -> None:
    (tmp_path / "rushes.toml").write_text(aliases, encoding="utf-8")
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path))

    asked = asked_for(name, settings)

    assert (asked.name, asked.model, asked.misfit) == (name or "sora-2", model, misfit)
    assert asked.stands_in is (model is None)


class Two(NamedTuple):
    """Two servers, and an alias that names the first one first."""

    first: FakeOpenAI
    second: FakeOpenAI

    @property
    def toml(self) -> str:
        servers = {"one": self.first, "two": self.second}
        sections = [
            f'[providers.{name}]\nkind = "openai"\nbase_url = "{server.base_url}"\napi_key = "{server.api_key}"\n'
            'usd_per_second = "0.1"\npoll_interval_ms = 50'
            for name, server in servers.items()
        ]
        return "\n".join([*sections, "[aliases]", 'sora-2 = ["one:video:a", "two:video:b"]'])


@pytest.fixture
def two() -> Iterator[Two]:
    with ExitStack() as stack:
        yield Two(*(stack.enter_context(FakeOpenAI(job_s=0.0, strict=False, api_key="key")) for _ in range(2)))


async def test_the_first_model_of_a_list_serves(tmp_path: Path, two: Two) -> None:
    async with running(tmp_path, two.toml) as gateway:
        answer = await gateway.client.post("/v1/videos", json=FOX)
        video = await gateway.until_ended(answer.json()["id"])

    assert (video["status"], video["model"]) == ("completed", "sora-2")
    assert answer.headers["x-rushes-model"] == "one:video:a"
    assert (two.first.book.charged, two.second.book.charged) == (1, 0)


async def test_after_a_proven_refusal_the_next_one_serves_and_the_answer_says_so(tmp_path: Path, two: Two) -> None:
    two.first.faults.create = [Fault.status(403).always()]
    async with running(tmp_path, two.toml) as gateway:
        answer = await gateway.client.post("/v1/videos", json=FOX)
        video = await gateway.until_ended(answer.json()["id"])
        seen = await gateway.client.get(f"/v1/videos/{video['id']}")

    assert (video["status"], video["model"]) == ("completed", "sora-2")
    assert seen.headers["x-rushes-model"] == "two:video:b"
    assert "model" in seen.headers["x-rushes-adjustments"]
    assert (two.first.book.charged, two.second.book.charged) == (0, 1)


async def test_moderation_is_final(tmp_path: Path, two: Two) -> None:
    two.first.faults.create = [Fault.of(Trouble.MODERATED).always()]
    async with running(tmp_path, two.toml) as gateway:
        answer = await gateway.client.post("/v1/videos", json=FOX)
        video = await gateway.until_ended(answer.json()["id"])

    assert (video["status"], video["error"]["code"]) == ("failed", "moderation_blocked")
    assert (two.first.book.charged, two.second.book.charged) == (0, 0)


@pytest.mark.parametrize("path", ["/v1/videos", "/openai/v1/video/generations/jobs", "/api/generate"])
async def test_where_others_call_no_animatic_stands_in_for_a_video(tmp_path: Path, path: str) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path))
    async with App(settings, leave_worker=False) as app:
        key = (await app.keys.create("team", Grant())).secret
        async with over(app, works=False, key=key, trust_proxy=True) as gateway:
            body = {"prompt": "A fox", "width": 1280, "height": 720}
            refused = await gateway.client.post(path, json=body)
            wanted = await gateway.client.post("/v1/videos", json={"prompt": "A fox", "model": "draft", **SHORT})

    assert refused.status_code == 503
    assert "provider_unavailable" in refused.text
    assert refused.headers["x-should-retry"] == "false"
    assert wanted.status_code == 200  # who asks for draft knows what he gets


async def test_a_create_with_a_key_stays_what_it_was_when_its_name_means_nothing_any_more(tmp_path: Path) -> None:
    key, body = {"Idempotency-Key": "one"}, {"prompt": "A fox", "model": "mine", **SHORT}
    async with running(tmp_path, '[aliases]\nmine = "draft"\n', works=False) as gateway:
        first = await gateway.client.post("/v1/videos", json=body, headers=key)
    async with running(tmp_path, works=False) as gateway:
        again = await gateway.client.post("/v1/videos", json=body, headers=key)
        other = await gateway.client.post("/v1/videos", json={**body, "prompt": "Another"}, headers=key)

    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert other.status_code == 409


async def test_one_wrong_section_takes_no_names_from_the_others(tmp_path: Path) -> None:
    async with running(tmp_path, '[providers.box]\nkind = "nonesuch"\n', works=False) as gateway:
        answer = await gateway.client.get("/v1/models")

    assert answer.status_code == 200
    assert "draft" in [model["id"] for model in answer.json()["data"]]


async def test_a_key_for_a_model_may_make_characters_of_it_under_any_name(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path))
    clip = {"video": ("a.mp4", clips.clip(160, 90, 1.0), "video/mp4")}
    async with App(settings, leave_worker=False) as app:
        key = (await app.keys.create("team", Grant(models=("draft",)))).secret
        async with over(app, works=False, key=key) as gateway:
            create = await gateway.client.post("/v1/videos", json={"prompt": "A fox", **SHORT})
            character = await gateway.client.post("/v1/videos/characters", data={"name": "Bo"}, files=clip)

    assert (create.status_code, character.status_code) == (200, 200), character.text
