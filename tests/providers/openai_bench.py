"""What the tests of the OpenAI provider share: the provider at its fake, and requests for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.openai.provider import OpenAI
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.video import ModelId, VideoRequest

SORA = ModelId("openai", "sora-2")
MODELS = {model.id: model for model in read_table("openai")}


class Scripted(FakeServer):
    """Gives one answer to everything: for what other servers say."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(self.answer)


def environment(server: FakeServer, **more: str) -> dict[str, str]:
    known = server if isinstance(server, FakeOpenAI) else None
    key, base_url = (known.api_key or "", known.base_url) if known else ("sk", server.url)
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": base_url, **more}


@asynccontextmanager
async def usual(
    server: FakeServer, folder: Path, *, inputs: Inputs | None = None, **section: Any
) -> AsyncGenerator[Provider]:
    """The provider as most have it. `section`: what its owner wrote into the settings."""
    variables, settings = environment(server), ProviderSettings.model_validate(section)
    async with opened(OpenAI, folder=folder, environment=variables, section=settings, inputs=inputs) as provider:
        yield provider


def asked(prompt: str = "A cat", model: ModelId = SORA, seconds: int | None = 4, **changes: Any) -> Prepared:
    return prepared(VideoRequest(prompt=prompt, model=model, seconds=seconds, **changes), MODELS[model])
