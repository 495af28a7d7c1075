"""The two video APIs of an Azure resource: Sora 1's jobs, and the OpenAI Videos dialect of Sora 2.

Each is the verbs of one API and nothing else; keys, addresses, errors and the choice between the two are in
`azure/provider.py`. The dialect's own words are read and written by the functions of `openai/provider.py`.

Unverified: that the list of jobs comes newest first and takes a `limit` of 50 (another order is noticed, and then
the whole list is read); that deleting a job that runs does not stop its being billed (so it is not used to cancel).

Source: Azure/azure-rest-api-specs `OpenAI.v1`, and learn.microsoft.com, "Video generation" of Azure OpenAI, read
2026-11-20. Never tried live.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import ValidationError

from rushes.errors import Unsupported
from rushes.http import Reply
from rushes.providers.azure import wire as jobs_wire
from rushes.providers.azure.setup import Deployment, VideoApi
from rushes.providers.base import Provider
from rushes.providers.given import check_writable
from rushes.providers.openai import create as videos_wire
from rushes.providers.openai.results import from_wire
from rushes.providers.openai.search import look_through
from rushes.providers.openai.wire import Listing, WireVideo
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, Findings, RemoteJob, Search, Variant
from rushes.video import ModelId, Progress, SourceKind, VideoRequest


class Surface(ABC):
    """One of the two APIs."""

    api: ClassVar[VideoApi]
    path: ClassVar[str]
    page: ClassVar[int]
    shape: ClassVar[type[WireVideo]]

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @abstractmethod
    def check(self, prepared: Prepared) -> None:
        """Refuse what this API has no field for, or would refuse. Raises Unsupported."""

    @abstractmethod
    async def submit(self, prepared: Prepared, deployment: Deployment, key: str) -> RemoteJob: ...

    @abstractmethod
    async def poll(self, remote: RemoteJob) -> Progress: ...

    @abstractmethod
    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]: ...

    @abstractmethod
    def listing(self, data: Any, prepared: Prepared) -> Listing:
        """A page of the list, as the search for a lost create reads it."""

    async def delete(self, remote: RemoteJob) -> bool:
        reply = await self._provider.api.send("DELETE", self.job_path(remote), step="delete")
        if reply.status not in (404, 410):
            if reply.status in (405, 501):
                return False
            self._provider.checked(reply)
        return True

    async def find(self, search: Search, deployment: Deployment) -> Findings:
        """Look through the list for a create in doubt."""
        # The list tells the name that was sent, which may be another than the one asked by.
        search = replace(search, prepared=_as_sent(search.prepared, deployment))

        async def page(after: str | None) -> tuple[Mapping[str, str], Listing]:
            params = {"limit": str(self.page)} | self._order() | ({"after": after} if after else {})
            reply = await self._provider.read(self.path, step="list", params=params)
            try:
                return reply.headers, self.listing(reply.json(), search.prepared)
            except ValidationError as error:
                raise self._provider.bad_reply(reply, "The answer is not a list of jobs") from error

        found = await look_through(search, self._provider.create_timeout_s, page)
        return replace(found, matches=self._ours(found.matches), candidates=self._ours(found.candidates))

    def _order(self) -> dict[str, str]:
        return {}

    def _ours(self, jobs: tuple[RemoteJob, ...]) -> tuple[RemoteJob, ...]:
        return tuple(replace(job, data=self.mark()) for job in jobs)

    def mark(self) -> dict[str, str]:
        """What a remote job remembers, so that it is asked after at the right API."""
        return {"api": self.api.value}

    def job_path(self, remote: RemoteJob) -> str:
        return f"{self.path}/{quote(remote.id, safe='')}"

    def accepted(self, reply: Reply) -> RemoteJob:
        job = self._provider.parsed(reply, self.shape)
        if not job.id:
            raise self._provider.bad_reply(reply, "The create was answered without an id")
        return RemoteJob(id=job.id, expires_at=job.expires_at, data=self.mark())

    def looked(self, reply: Reply, job: WireVideo) -> None:
        """Check that an answer tells of a job at all: a paid one is not failed on hearsay."""
        if job.no_look:
            raise self._provider.bad_reply(reply, job.no_look)


def _as_sent(prepared: Prepared, deployment: Deployment) -> Prepared:
    """The request under the name that goes over the wire as `model`."""
    model = ModelId(prepared.request.model.provider, deployment.wire_model)
    return replace(prepared, request=replace(prepared.request, model=model))


def _is_no_remix(request: VideoRequest) -> bool:
    return request.source is not None and request.source.kind is not SourceKind.REMIX


def _refuse(request: VideoRequest, asked: Mapping[str, bool]) -> None:
    if missing := [words for words, wanted in asked.items() if wanted]:
        raise Unsupported(f"{request.model} cannot be given {' or '.join(missing)}: its API has no field for it.")


class JobsApi(Surface):
    """`video/generations/jobs`: one create may make several videos."""

    api = VideoApi.JOBS
    path = "/video/generations/jobs"
    page = 50
    shape = jobs_wire.WireJob

    def check(self, prepared: Prepared) -> None:
        request = prepared.request
        asked = {
            "an earlier video as its source": request.source is not None,
            "characters": bool(request.characters),
            "a seed": request.seed is not None,
            "a negative prompt": request.negative_prompt is not None,
            "sound": bool(request.audio),
        }
        _refuse(request, asked)
        check_writable(request)
        jobs_wire.check_items(request)
        most = jobs_wire.most_variants(request.size) if request.size else 1
        if jobs_wire.variants_of(request) > most:
            raise Unsupported(f"{request.model} makes at most {most} variant{'s' * (most > 1)} at {request.size}.")

    async def submit(self, prepared: Prepared, deployment: Deployment, key: str) -> RemoteJob:
        files = [await self._provider.context.read_input(item.media) for item in jobs_wire.items_of(prepared.request)]
        wire = jobs_wire.to_wire(prepared, deployment.wire_model, files)
        # Azure does not know the header; another rushes behind this dialect does.
        headers = {"idempotency-key": key}
        if wire.parts is not None:
            reply = await self._provider.create(self.path, files=list(wire.parts), headers=headers)
        else:
            reply = await self._provider.create(self.path, json=wire.json, headers=headers)
        return self.accepted(reply)

    async def poll(self, remote: RemoteJob) -> Progress:
        reply = await self._provider.look(self.job_path(remote))
        job = self._provider.parsed(reply, jobs_wire.WireJob)
        self.looked(reply, job)
        return jobs_wire.from_wire(job)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        """Every video there is, which may be fewer than were asked for; then their thumbnails.

        `quality` is left out: what it leaves to choose is the worse one.
        """
        job = self._provider.parsed(await self._provider.read(self.job_path(remote), step="assets"), jobs_wire.WireJob)
        paths = [f"/video/generations/{quote(each, safe='')}/content" for each in jobs_wire.generation_ids(job)]
        videos = [Asset(n=n, path=f"{path}/video") for n, path in enumerate(paths)]
        thumbnails = [Asset(variant=Variant.THUMBNAIL, n=n, path=f"{path}/thumbnail") for n, path in enumerate(paths)]
        return (*videos, *thumbnails)

    def listing(self, data: Any, prepared: Prepared) -> Listing:
        return jobs_wire.read_listing(data, jobs_wire.variants_of(prepared.request))


class VideosApi(Surface):
    """`/openai/v1/videos`: OpenAI's dialect, of which Azure documents no edits, extensions or characters."""

    api = VideoApi.VIDEOS
    path = "/videos"
    page = 100
    shape = WireVideo

    def check(self, prepared: Prepared) -> None:
        request = prepared.request
        asked = {
            "a seed": request.seed is not None,
            "a negative prompt": request.negative_prompt is not None,
            "silence": request.audio is False,
            "characters": bool(request.characters),
            "an earlier video, other than to remix it": _is_no_remix(request),
        }
        _refuse(request, asked)
        videos_wire.check_sendable(prepared, None)

    async def submit(self, prepared: Prepared, deployment: Deployment, key: str) -> RemoteJob:
        file = videos_wire.file_of(prepared.request)
        data = await self._provider.context.read_input(file) if file else None
        call = videos_wire.to_wire(_as_sent(prepared, deployment), data)
        headers = {"idempotency-key": key}
        reply = await self._provider.create(
            call.path, step=call.step, json=call.json, files=call.files, headers=headers
        )
        return self.accepted(reply)

    async def poll(self, remote: RemoteJob) -> Progress:
        reply = await self._provider.look(self.job_path(remote))
        video = self._provider.parsed(reply, WireVideo)
        self.looked(reply, video)
        return from_wire(video)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        path = f"{self.job_path(remote)}/content"
        pictures = (Variant.THUMBNAIL, Variant.SPRITESHEET)
        return (
            Asset(path=path),
            *(Asset(variant=variant, path=path, params={"variant": variant.value}) for variant in pictures),
        )

    def listing(self, data: Any, prepared: Prepared) -> Listing:
        return Listing.model_validate(data)

    def _order(self) -> dict[str, str]:
        return {"order": "desc"}
