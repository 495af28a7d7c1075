"""The Azure provider keeps the provider contract, by both of its APIs."""

from collections.abc import Mapping
from typing import Any

from rushes.providers.azure.provider import Azure
from rushes.testing.contract import ProviderContract
from rushes.testing.fake_azure import FakeAzure


class AzureContract(ProviderContract):
    def make_fake(self) -> FakeAzure:
        return FakeAzure(job_s=0.2)

    def environment(self, fake: Any) -> Mapping[str, str]:
        return {"AZURE_OPENAI_API_KEY": fake.api_key, "AZURE_OPENAI_ENDPOINT": fake.url}


class TestTheJobsApi(AzureContract):
    kind = Azure
    model = "sora"
    key_variable = "AZURE_OPENAI_API_KEY"
    misspelt_extra = ("nVariants", "n_variants")


class TestTheVideosApi(AzureContract):
    kind = Azure
    model = "sora-2"
    key_variable = "AZURE_OPENAI_API_KEY"
