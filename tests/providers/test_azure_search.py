"""Looking for a lost create in Azure's two lists: what is found, and what proves that nothing is there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.providers.azure.provider import Azure
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Search
from rushes.testing.bench import opened, prepared
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.video import ModelId, Size, Status, VideoRequest

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("azure")}


class Scripted(FakeServer):
    """Gives one answer to everything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def serve(self, received: Received, exchange: Exchange) -> None:
        exchange.send(self.answer)


@asynccontextmanager
async def usual(fake: FakeAzure | Scripted, folder: Path, **options: Any) -> AsyncGenerator[Provider]:
    key = fake.api_key if isinstance(fake, FakeAzure) else None
    variables = {"AZURE_OPENAI_API_KEY": key or "k", "AZURE_OPENAI_ENDPOINT": fake.url}
    async with opened(Azure, folder=folder, environment=variables, **options) as provider:
        yield provider


def asked(name: str = "sora", **changes: Any) -> Prepared:
    model = MODELS[name]
    size = Size(480, 480) if name == "sora" else model.default_size
    wish: dict[str, Any] = {"prompt": "A cat", "size": size, "seconds": model.seconds[0], **changes}
    return prepared(VideoRequest(model=model.id, **wish), model)


def sought(wanted: Prepared, known: frozenset[str] = frozenset(), sent_at: datetime | None = None) -> Search:
    return Search(prepared=wanted, key="key-1", sent_at=sent_at or datetime.now(UTC), known_ids=known)


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_lost_create_is_found_on_a_later_page_and_can_be_watched(name: str, tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with usual(fake, tmp_path) as provider:
            lost = await provider.submit(asked(name), "key-1")
            for n in range(110):
                await provider.submit(asked(name, prompt=f"another {n}"), f"key-{n}")
            findings = await provider.find(sought(asked(name)))

            assert [remote.id for remote in findings.matches] == [lost.id]
            assert findings.complete
            assert (await provider.poll(findings.matches[0])).status is Status.COMPLETED
            assert findings.matches[0].data == lost.data


@pytest.mark.parametrize(
    "changes", [{"prompt": "A dog"}, {"seconds": 9}, {"size": Size(720, 720)}, {"extra": {"n_variants": 2}}]
)
async def test_a_job_that_differs_is_no_certain_match(changes: Any, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            await provider.submit(asked(), "key-1")
            findings = await provider.find(sought(asked(**changes)))

    assert findings.matches == ()
    assert findings.complete


async def test_a_job_that_differs_in_variants_alone_is_left_to_a_person(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            other = await provider.submit(asked(), "key-1")
            findings = await provider.find(sought(asked(extra={"n_variants": 2})))

    assert [remote.id for remote in findings.candidates] == [other.id]


async def test_a_job_of_long_ago_is_not_ours(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            await provider.submit(asked(), "key-1")
            later = datetime.now(UTC) + timedelta(hours=1)
            findings = await provider.find(sought(asked(), sent_at=later))

    assert (findings.matches, findings.candidates) == ((), ())


async def test_a_lost_create_is_found_under_the_name_that_was_sent(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"deployments": {"film": {"model": "sora", "wire_model": "sora"}}})
    with FakeAzure() as fake:
        async with usual(fake, tmp_path, section=section) as provider:
            request = asked()
            request = replace(request, request=replace(request.request, model=ModelId("azure", "film")))
            lost = await provider.submit(request, "key-1")
            findings = await provider.find(sought(request))

    assert fake.book.entries[0].model == "sora"
    assert [remote.id for remote in findings.matches] == [lost.id]


@pytest.mark.parametrize("body", [{}, {"data": "none"}, {"data": [{"status": "queued"}], "has_more": False}])
async def test_a_list_that_makes_no_sense_proves_nothing(body: Any, tmp_path: Path) -> None:
    with Scripted(Answer.json(body)) as server:
        async with usual(server, tmp_path) as provider:
            for name in ("sora", "sora-2"):
                assert not (await provider.find(sought(asked(name)))).complete
