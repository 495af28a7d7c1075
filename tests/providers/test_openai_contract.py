"""The OpenAI provider keeps the provider contract."""

from collections.abc import Mapping
from typing import Any

from rushes.providers.openai.provider import OpenAI
from rushes.testing.contract import ProviderContract
from rushes.testing.fake_openai import FakeOpenAI


class TestOpenAIContract(ProviderContract):
    kind = OpenAI
    model = "sora-2"
    key_variable = "OPENAI_API_KEY"

    def make_fake(self) -> FakeOpenAI:
        return FakeOpenAI(job_s=0.2)

    def environment(self, fake: Any) -> Mapping[str, str]:
        return {"OPENAI_API_KEY": fake.api_key, "OPENAI_BASE_URL": fake.base_url}
