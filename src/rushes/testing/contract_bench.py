"""What every part of the provider contract stands on: the provider and the fake under test, and requests for them.

The tests themselves are in `contract.py` and `contract_sources.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pytest

from rushes.config import ProviderSettings
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model, read_table
from rushes.providers.prepare import Prepared, limited, limited_at
from rushes.providers.terms import Promises, Search
from rushes.testing.account_book import AccountBook
from rushes.testing.bench import TODAY, Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.faults import Faults
from rushes.video import Reference, VideoRequest


class ProtocolFake(Protocol):
    """What a fake must have for these tests."""

    faults: Faults
    book: AccountBook
    requests: list[Any]

    def start(self) -> Self: ...

    def stop(self) -> None: ...

    def refuse(self) -> None:
        """Close the port."""
        ...

    def finish(self) -> None:
        """Let every running job be done now."""
        ...

    def content_of(self, remote_id: str) -> bytes: ...


class ContractBench(ABC):
    """Which provider, which model, which fake: filled in by whoever inherits the contract."""

    kind: ClassVar[type[Provider]]
    model: ClassVar[str]
    key_variable: ClassVar[str | None]  # None: it needs no key
    table_package: ClassVar[str] = "rushes.providers"
    misspelt_extra: ClassVar[tuple[str, str] | None] = None  # a slip, and the field that was meant
    promises: ClassVar[Promises | None] = None  # of the server under test, where it promises otherwise than its kind
    blocks: ClassVar[bool] = False  # its create is answered by the video itself
    judges_content: ClassVar[bool] = True  # it has jobs that end because of what they show
    tells_prompts: ClassVar[bool] = True  # in the list of its jobs
    finds_by_key: ClassVar[bool] = False  # a job is looked up by the key that its create carried
    stops: ClassVar[bool] = True  # a job of the model under test can be cancelled, where any can

    inputs: Inputs

    @pytest.fixture(autouse=True)
    def pictures(self, tmp_path: Path) -> None:
        """Where the pictures of its requests lie."""
        self.inputs = Inputs(tmp_path)

    @abstractmethod
    def make_fake(self) -> ProtocolFake:
        """A new far side with an empty book, not yet started."""

    @abstractmethod
    def environment(self, fake: Any) -> Mapping[str, str]:
        """The variables that lead to the fake, the key among them."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def fake(self) -> Iterator[ProtocolFake]:
        fake = self.make_fake()
        fake.start()
        try:
            yield fake
        finally:
            fake.stop()

    def opened(
        self,
        fake: ProtocolFake,
        folder: Path,
        *,
        create_timeout_s: float | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[Provider]:
        environment = {**self.environment(fake), **(changes or {})}
        section = ProviderSettings(create_timeout_s=create_timeout_s) if create_timeout_s else None
        return opened(
            self.kind,
            folder=folder,
            environment=environment,
            section=section,
            inputs=self.inputs,
            models=self.models(),
        )

    def models(self) -> list[Model]:
        """Those that can be bought: a retired one is refused in preparing."""
        models = read_table(self.kind.name, self.table_package)
        return [model for model in models if model.retired is None or model.retired > TODAY]

    def prepared(self, prompt: str = "A paper boat on a puddle, slow pan", **changes: Any) -> Prepared:
        """The smallest and shortest request of the model under test."""
        model = next(model for model in self.models() if model.id.model == self.model)
        size = min(model.sizes, key=lambda size: size.width * size.height, default=model.default_size)
        request = self.smallest(model, prompt=prompt, size=size)
        return prepared(replace(request, **changes), model)

    def smallest(self, model: Model, prompt: str = "price", **changes: Any) -> VideoRequest:
        """The shortest request, with just the pictures that the model makes nothing without."""
        needed: dict[str, Any] = {}
        if model.requires:
            shape = changes.get("size") or model.default_size
            frame = self.inputs.add(picture(*shape), "image/png", *shape)
            pictures: dict[Feature, dict[str, Any]] = {
                Feature.FIRST_FRAME: {"first_frame": frame},
                Feature.LAST_FRAME: {"last_frame": frame},
                Feature.REFERENCES: {"references": (Reference(media=frame),)},
            }
            for feature in model.requires:
                needed |= pictures[feature]
        has = frozenset(model.requires)
        seconds = limited(model, has).seconds[0]
        if (size := changes.get("size")) is not None:
            seconds = limited_at(limited(model, has), has, size).seconds[0]
        return replace(VideoRequest(prompt=prompt, model=model.id, seconds=seconds), **{**needed, **changes})

    def search(self, wanted: Prepared, known_ids: frozenset[str] = frozenset()) -> Search:
        return Search(prepared=wanted, key="key-1", sent_at=datetime.now(UTC), known_ids=known_ids)

    def searchable(self, fake: ProtocolFake, folder: Path) -> AbstractAsyncContextManager[Provider]:
        return self.opened(fake, folder, create_timeout_s=2.0)
