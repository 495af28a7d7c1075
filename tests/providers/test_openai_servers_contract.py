"""Every named server of the dialect keeps the provider contract, each against a fake with its own quirks."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rushes.config import ProviderSettings
from rushes.providers.base import Provider
from rushes.providers.catalog import Model, open_model
from rushes.providers.openai.provider import OpenAI
from rushes.providers.openai.servers import SERVERS, ServerName
from rushes.testing.bench import opened
from rushes.testing.contract import ProtocolFake, ProviderContract
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.dynamo import FakeDynamo
from rushes.testing.servers.litellm import FakeLiteLlm
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.new_api import FakeNewApi
from rushes.testing.servers.sglang import FakeSglang
from rushes.testing.servers.tensorrt_llm import FakeTensorrtLlm
from rushes.testing.servers.vllm_omni import FakeVllmOmni
from rushes.video import ModelId, Size


class ServerContract(ProviderContract):
    """The contract, with a section that names the server."""

    model = "wan"
    key_variable = "OPENAI_API_KEY"
    server: ClassVar[ServerName]
    fake_kind: ClassVar[type[FakeBox]]

    def make_fake(self) -> FakeBox:
        return self.fake_kind(job_s=0.2)

    def environment(self, fake: Any) -> Mapping[str, str]:
        return {"OPENAI_API_KEY": fake.api_key, "OPENAI_BASE_URL": fake.base_url}

    def opened(
        self,
        fake: ProtocolFake,
        folder: Path,
        *,
        create_timeout_s: float | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[Provider]:
        section = ProviderSettings.model_validate({"server": self.server, "create_timeout_s": create_timeout_s})
        environment = {**self.environment(fake), **(changes or {})}
        return opened(self.kind, folder=folder, environment=environment, section=section)

    def models(self) -> list[Model]:
        model = open_model(ModelId("openai", self.model), FakeBox.usd_per_second)
        return [replace(model, sizes=(Size(320, 180),), default_size=Size(320, 180), seconds=tuple(range(1, 61)))]

    @pytest.fixture(autouse=True)
    def nothing_is_sent_that_the_server_does_not_read(self, fake: FakeBox) -> Iterator[None]:
        yield
        assert fake.overlooked == []


class TestVllmOmni(ServerContract):
    kind, server, fake_kind = OpenAI, "vllm-omni", FakeVllmOmni
    promises = SERVERS["vllm-omni"].promises
    misspelt_extra = ("num_inference_step", "num_inference_steps")


class TestSglang(ServerContract):
    kind, server, fake_kind = OpenAI, "sglang", FakeSglang
    promises = SERVERS["sglang"].promises
    misspelt_extra = ("enable_upscale", "enable_upscaling")
    judges_content = False  # its errors are sentences without a code
    tells_prompts = False


class TestTensorrtLlm(ServerContract):
    kind, server, fake_kind = OpenAI, "tensorrt-llm", FakeTensorrtLlm
    promises = SERVERS["tensorrt-llm"].promises
    misspelt_extra = ("framerate", "frame_rate")
    judges_content = False


class TestLiteLlm(ServerContract):
    kind, server, fake_kind = OpenAI, "litellm", FakeLiteLlm
    promises = SERVERS["litellm"].promises


class TestNewApi(ServerContract):
    kind, server, fake_kind = OpenAI, "new-api", FakeNewApi
    promises = SERVERS["new-api"].promises


class TestLocalAI(ServerContract):
    kind, server, fake_kind = OpenAI, "localai", FakeLocalAI
    promises = SERVERS["localai"].promises
    misspelt_extra = ("cfgscale", "cfg_scale")
    blocks = True


class TestDynamo(ServerContract):
    kind, server, fake_kind = OpenAI, "dynamo", FakeDynamo
    promises = SERVERS["dynamo"].promises
    misspelt_extra = ("numframes", "num_frames")
    blocks = True
