"""Every vendor through the whole of rushes: from a prompt to a file whose cost is what the far side charged, and from a
create whose answer was lost to the end that this vendor's documentation allows."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import NeedsAttention
from rushes.planning import Wish
from rushes.providers.catalog import Feature
from rushes.providers.terms import Doubt
from rushes.testing.clips import picture
from rushes.testing.faults import Fault
from rushes.testing.vendor import VendorFake
from rushes.testing.vendor_bench import VendorBench, benches

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("bench", benches(), ids=lambda bench: bench.kind.name)]


@asynccontextmanager
async def opened(
    bench: type[VendorBench], home: Settings, fake: VendorFake, create_timeout_s: float | None = None
) -> AsyncGenerator[App]:
    section = ProviderSettings(poll_interval_ms=50, create_timeout_s=create_timeout_s)
    environment = bench().environment(fake)
    settings = replace(home, environment=environment, providers={bench.kind.name: section})
    async with App(settings, leave_worker=False) as app:
        yield app


def wish(bench: type[VendorBench], prompt: str = "A paper boat on a puddle") -> Wish:
    model = next(model for model in bench().models() if model.id.model == bench.model)
    frame = picture(*model.default_size) if Feature.FIRST_FRAME in model.requires else None
    return Wish(prompt=prompt, model=str(model.id), seconds=model.seconds[0], first_frame=frame)


async def test_a_prompt_becomes_a_file_at_the_price_that_was_shown(bench: type[VendorBench], home: Settings) -> None:
    with bench().make_fake() as fake:
        async with opened(bench, home, fake) as app:
            shown = await app.price(await app.plan(wish(bench)))
            [video] = await app.generate(wish(bench))

        assert video.path is not None
        assert Path(video.path).read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
        assert (fake.book.creates, fake.book.charged) == (1, 1)
        assert shown == video.cost_usd == fake.book.total_usd


async def test_a_create_whose_answer_was_lost_is_never_bought_twice(bench: type[VendorBench], home: Settings) -> None:
    doubt = bench.promises.doubt if bench.promises else bench.kind.promises.doubt
    with bench().make_fake() as fake:
        fake.faults.create = [Fault.reset(accepted=True)]
        async with opened(bench, home, fake, create_timeout_s=3.0) as app:
            with anyio.fail_after(60):
                if doubt is Doubt.NONE or not bench.tells_prompts:
                    with pytest.raises(NeedsAttention):
                        await app.generate(wish(bench))
                else:
                    await app.generate(wish(bench))

        assert (fake.book.creates, fake.book.charged) == (1 if doubt is not Doubt.KEY else 2, 1)
