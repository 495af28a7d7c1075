"""The Z.ai provider keeps the provider contract, on both hosts."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rushes.providers.catalog import Model
from rushes.providers.zai.provider import Zai
from rushes.testing.bench import prepared
from rushes.testing.contract import ProtocolFake, ProviderContract
from rushes.testing.fake_zai import FakeZai

MAINLAND_ONLY = ("cogvideox-2", "cogvideox-flash")


class ZaiContract(ProviderContract):
    """What both hosts share: the prices are told with the pictures that a model cannot do without."""

    def environment(self, fake: Any) -> Mapping[str, str]:
        assert self.key_variable is not None
        return {self.key_variable: fake.api_key, "ZAI_BASE_URL": fake.base_url}

    async def test_what_is_charged_is_what_the_table_says(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            for listed in self.models():
                model = provider.offered(listed)
                for size in model.sizes:
                    asked = prepared(self.smallest(model, size=size), model)
                    remote = await provider.submit(asked, f"{model.id} {size}")
                    fake.finish()
                    cost = provider.cost(model, asked, await provider.poll(remote))

                    entry = fake.book.entries[-1]
                    assert (entry.model, entry.size) == (model.id.model, str(size))
                    self.compare(asked.estimate_usd, cost, entry.usd)

    def compare(self, estimate: Decimal | None, cost: Decimal | None, charged: Decimal) -> None:
        assert (estimate, cost) == (charged, charged)


class TestZaiContract(ZaiContract):
    kind = Zai
    model = "cogvideox-3"
    key_variable = "ZAI_API_KEY"
    misspelt_extra = ("qualty", "quality")

    def make_fake(self) -> FakeZai:
        return FakeZai(job_s=0.2)

    def models(self) -> list[Model]:
        return [model for model in super().models() if model.id.model not in MAINLAND_ONLY]


class TestZaiMainlandContract(ZaiContract):
    kind = Zai
    model = "cogvideox-flash"
    key_variable = "ZHIPUAI_API_KEY"
    misspelt_extra = ("watermark", "watermark_enabled")

    def make_fake(self) -> FakeZai:
        return FakeZai(job_s=0.2, mainland=True)

    def compare(self, estimate: Decimal | None, cost: Decimal | None, charged: Decimal) -> None:
        assert (estimate, cost) == (None, None), "billed in yuan: unknown, which is not free"


def test_both_hosts_are_held_to_every_model() -> None:
    offered = {model.id.model for model in TestZaiContract().models()}

    assert offered | set(MAINLAND_ONLY) == {model.id.model for model in TestZaiMainlandContract().models()}
    assert TestZaiContract().models()[0].id.model == "cogvideox-3", "the default of the provider"
