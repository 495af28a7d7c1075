"""Papercut keeps the provider contract: whenever an error says that nothing was bought, the fake's book agrees."""

from collections.abc import Mapping
from typing import Any

from fake_papercut import FakePapercut
from rushes_papercut.papercut import Papercut

from rushes.testing.contract import ProviderContract


class TestPapercut(ProviderContract):
    kind = Papercut
    model = "cutout-1"
    key_variable = "PAPERCUT_API_KEY"
    table_package = "rushes_papercut"
    misspelt_extra = ("papr", "paper")

    def make_fake(self) -> FakePapercut:
        return FakePapercut()

    def environment(self, fake: Any) -> Mapping[str, str]:
        return {"PAPERCUT_API_KEY": fake.api_key, "PAPERCUT_BASE_URL": fake.base_url}
