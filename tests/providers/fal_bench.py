"""What the tests of fal share: the provider at its fake, and requests for it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rushes.config import ProviderSettings
from rushes.providers.catalog import Model, read_table
from rushes.providers.fal.provider import Fal
from rushes.providers.prepare import Misfit, Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.fakes.fal import FakeFal
from rushes.video import VideoRequest

MODELS = {model.id.model: model for model in read_table("fal")}
KLING = MODELS["kling/v4"]
NOBODY = "764cabcf-b745-4b3e-ae38-1200304cf45b"


@asynccontextmanager
async def at(
    fake: FakeFal, folder: Path, *, inputs: Inputs | None = None, models: tuple[Model, ...] = (), **options: Any
) -> AsyncGenerator[Fal]:
    environment = {"FAL_KEY": fake.api_key, "FAL_BASE_URL": fake.base_url}
    section = ProviderSettings(**options)
    async with opened(
        Fal, folder=folder, environment=environment, section=section, inputs=inputs, models=models
    ) as provider:
        assert isinstance(provider, Fal)
        yield provider


def asked(model: Model = KLING, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A paper boat", model=model.id, **wish), model, Misfit.NEAREST)
