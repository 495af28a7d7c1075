"""Servers of the dialect with a provider before them, for the tests of their quirks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.base import Provider
from rushes.providers.catalog import open_model
from rushes.providers.openai.provider import OpenAI
from rushes.providers.openai.servers import ServerName
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob, Search
from rushes.testing.bench import opened, prepared
from rushes.testing.clips import clip
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.testing.servers.base import FakeBox
from rushes.video import ModelId, Size, Status, VideoRequest

WAN = ModelId("mybox", "wan")
CLIP = clip(320, 180, 1.0)


class Scripted(FakeServer):
    """Gives each path the answer written down for it."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__()
        self.answers = answers

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(self.answers.get(f"{received.method} {received.path}", Answer.json({"detail": "Not Found"}, 404)))


@asynccontextmanager
async def box(fake: FakeBox, server: ServerName | None, folder: Path, **written: Any) -> AsyncGenerator[Provider]:
    section = {"kind": "openai", "base_url": fake.base_url, "api_key_env": "BOX_KEY", "server": server, **written}
    variables = {"BOX_KEY": fake.api_key or ""}
    settings = ProviderSettings.model_validate(section)
    async with opened(OpenAI, name="mybox", folder=folder, environment=variables, section=settings) as provider:
        yield provider


@asynccontextmanager
async def unnamed(base_url: str, folder: Path, **written: Any) -> AsyncGenerator[Provider]:
    section = ProviderSettings.model_validate({"kind": "openai", "base_url": base_url, **written})
    async with opened(OpenAI, name="mybox", folder=folder, environment={}, section=section) as provider:
        yield provider


def asked(prompt: str = "A cat", **changes: Any) -> Prepared:
    request = VideoRequest(prompt=prompt, model=WAN, size=Size(320, 180), seconds=1, **changes)
    return prepared(request, open_model(WAN, Decimal("0.02")))


def search(wanted: Prepared) -> Search:
    return Search(prepared=wanted, key="key-1", sent_at=datetime.now(UTC), known_ids=frozenset())


async def made(provider: Provider, fake: FakeBox, wanted: Prepared | None = None) -> RemoteJob:
    remote = await provider.submit(wanted or asked(), "key-1")
    fake.finish()
    assert (await provider.poll(remote)).status is Status.COMPLETED
    return remote


def methods(fake: FakeServer) -> list[str]:
    return [request.method for request in fake.requests]
