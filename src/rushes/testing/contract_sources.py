"""The part of the provider contract about earlier videos: remixes, edits and extensions, where a model has them.

Mixed into `ProviderContract`; what a model under test does not offer is left out of its suite.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import ProviderError
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model
from rushes.providers.prepare import Prepared, prepare
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import TODAY
from rushes.testing.contract_bench import ContractBench
from rushes.testing.selection import deletes, only_if, starts_from_videos, takes
from rushes.video import SourceKind, SourceVideo, made_seconds


class SourceChecks(ContractBench):
    def source_of(self, kind: SourceKind, earlier: Prepared, remote: RemoteJob) -> SourceVideo:
        """An earlier video of the same account, as the planner tells of it."""
        request = earlier.request
        assert request.size is not None
        return SourceVideo(
            kind=kind,
            video_id="video_of_ours",
            size=request.size,
            seconds=made_seconds(request) or 0,
            remote_id=remote.id,
        )

    @only_if(takes(Feature.REMIX))
    async def test_a_remix_is_charged_as_shown(self, fake: Any, tmp_path: Path) -> None:
        await self._charged_as_shown(SourceKind.REMIX, fake, tmp_path)

    @only_if(takes(Feature.EDIT))
    async def test_an_edit_is_charged_as_shown(self, fake: Any, tmp_path: Path) -> None:
        await self._charged_as_shown(SourceKind.EDIT, fake, tmp_path)

    @only_if(takes(Feature.EXTEND))
    async def test_an_extension_is_charged_for_what_it_adds(self, fake: Any, tmp_path: Path) -> None:
        await self._charged_as_shown(SourceKind.EXTEND, fake, tmp_path)

    @only_if(starts_from_videos)
    @only_if(deletes)
    async def test_a_source_that_is_gone_is_refused_and_costs_nothing(self, fake: Any, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            earlier = self.prepared()
            remote = await self._finished(provider, fake, earlier)
            assert await provider.delete(remote)
            for kind in self._kinds(earlier):
                with pytest.raises(ProviderError) as caught:
                    await provider.submit(self._from(kind, earlier, remote), f"key of {kind}")

                assert caught.value.proves_refusal
                assert not caught.value.retryable, "it will not come back"
                assert fake.book.charged == 1

    async def _charged_as_shown(self, kind: SourceKind, fake: Any, folder: Path) -> None:
        async with self.opened(fake, folder) as provider:
            earlier = self.prepared()
            remote = await self._finished(provider, fake, earlier)
            wanted = self._from(kind, earlier, remote)
            new = await self._finished(provider, fake, wanted)
            cost = provider.cost(self._model(wanted), wanted, await provider.poll(new))

            assert new.id != remote.id
            assert fake.book.charged == 2
            assert fake.book.creates == 2, "a create is sent once"
            assert fake.book.entries[-1].remote_id == new.id
            assert (wanted.estimate_usd, cost) == (fake.book.entries[-1].usd,) * 2

    async def _finished(self, provider: Provider, fake: Any, wanted: Prepared) -> RemoteJob:
        remote = await provider.submit(wanted, f"key of {wanted.request.prompt}")
        fake.finish()
        await provider.poll(remote)
        return remote

    def _from(self, kind: SourceKind, earlier: Prepared, remote: RemoteJob) -> Prepared:
        """The shortest new video from an earlier one. Size is the source's, and but for extensions so is the length."""
        model = self._model(earlier)
        seconds = model.seconds[0] if kind is SourceKind.EXTEND else None
        source = self.source_of(kind, earlier, remote)
        request = replace(earlier.request, prompt=f"Once more, with snow: {kind}", size=None, seconds=seconds)
        return prepare(replace(request, source=source), model, today=TODAY)

    def _kinds(self, earlier: Prepared) -> list[SourceKind]:
        return [kind for kind in SourceKind if Feature(kind.value) in self._model(earlier).features]

    def _model(self, asked: Prepared) -> Model:
        return next(model for model in self.models() if model.id == asked.request.model)
