"""Veo on Vertex AI, kept small: from words and frames, one video at a time, which comes back inside the answer.

Not supported: references, edits and extensions, 4K, results in a bucket of one's own (`storageUri`), and any way to
get a token but to be given one. A result that the host puts into a bucket all the same is named, and not fetched.

Source: docs.cloud.google.com, Veo on Vertex AI, and the package `google-genai` 3.4.0, read 2026-11-20. Never tried
live: whether these models still answer (they were to end on 17 November 2026 or later), how long an operation is kept.
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from rushes.errors import ConfigError, MissingKey, Moderated, Rejected, Vanished
from rushes.logs import hide
from rushes.providers.given import frames_of, without_none
from rushes.providers.google import results
from rushes.providers.google.wire import decoded, is_moderation
from rushes.providers.incoming import ErrorObject, Incoming, Number, Text, Texts, read_object, read_objects
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

if TYPE_CHECKING:
    from rushes.providers.base import Provider

RATIOS = ("16:9", "9:16")
TIERS: Mapping[str, int] = {"720p": 720, "1080p": 1080}
LOCATION = "us-central1"


class VertexOptions(BaseModel):
    """`vertex = { ... }` in the section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str | None = None
    location: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None
    access_token: SecretStr | None = None
    base_url: str | None = None


def model_path(project: str, location: str, model: str) -> str:
    place = f"projects/{quote(project, safe=':')}/locations/{quote(location, safe='')}"
    return f"/v1/{place}/publishers/google/models/{quote(model, safe='')}"


def path_of(remote: RemoteJob) -> str | None:
    """The model's path of a job, if it is one of Veo's: as it was kept, or out of the operation's own name."""
    kept = remote.data.get("model_path")
    if isinstance(kept, str):
        return kept
    if not remote.id.startswith("projects/"):
        return None
    return f"/v1/{quote(remote.id.partition('/operations/')[0], safe='/:')}"


def to_wire(request: VideoRequest, pictures: Mapping[str, bytes], person_generation: str | None) -> dict[str, JSON]:
    """The body of `:predictLongRunning`. `pictures` are the frames by their sha256. Pure."""
    assert request.size is not None
    instance: dict[str, JSON] = {
        "prompt": request.prompt,
        "image": _picture(request.first_frame, pictures),
        "lastFrame": _picture(request.last_frame, pictures),
    }
    parameters: dict[str, JSON] = {
        "aspectRatio": ratio_of(request.size, RATIOS),
        "resolution": tier_by_side(request.size, TIERS),
        "durationSeconds": request.seconds,
        "generateAudio": request.audio,
        "negativePrompt": request.negative_prompt,
        "personGeneration": person_generation,
        "sampleCount": 1,
        "seed": request.seed,
    }
    return {"instances": [_said(instance)], "parameters": _said(parameters)}


def _picture(media: MediaRef | None, pictures: Mapping[str, bytes]) -> JSON:
    if media is None:
        return None
    return {"bytesBase64Encoded": base64.b64encode(pictures[media.sha256]).decode("ascii"), "mimeType": media.mime}


def _said(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    return without_none(fields)


class WireVideo(Incoming):
    gcsUri: Text = None
    bytesBase64Encoded: Text = None

    @property
    def data(self) -> bytes | None:
        return decoded(self.bytesBase64Encoded) if self.bytesBase64Encoded else None


class WireResponse(Incoming):
    videos: Annotated[tuple[WireVideo, ...], BeforeValidator(read_objects)] = ()
    raiMediaFilteredCount: Number = None
    raiMediaFilteredReasons: Texts = ()


class WireOperation(Incoming):
    """A job. `done` is absent until it is."""

    name: Text = None
    done: bool = False
    error: ErrorObject = None
    response: Annotated[WireResponse, BeforeValidator(read_object)] = WireResponse()


def from_wire(operation: WireOperation) -> Progress:
    """A look at an operation in our words. Pure."""
    if not operation.done:
        return Progress(status=Status.IN_PROGRESS)
    if (error := operation.error) is not None:
        words = error.message or "The server gave no reason."
        code = Moderated.code if is_moderation(words) else error.code or "internal_error"
        return Progress(status=Status.FAILED, failure=Failure(code, words))
    response = operation.response
    if response.videos:
        return Progress(status=Status.COMPLETED, percent=100.0)
    if response.raiMediaFilteredCount:
        words = " ".join(response.raiMediaFilteredReasons) or "The video was held back by moderation."
        return Progress(status=Status.FAILED, failure=Failure(Moderated.code, words))
    words = "It is done, but came without a video."
    return Progress(status=Status.FAILED, failure=Failure("internal_error", words), billed=True)


class Vertex:
    """The other account of a provider: a project, a place and a token, which is good for an hour."""

    def __init__(self, provider: "Provider", options: VertexOptions) -> None:
        settings = provider.context.settings
        self._provider = provider
        given = options.access_token
        self._token = given.get_secret_value() if given else settings.variable("GOOGLE_ACCESS_TOKEN")
        self._project = options.project or settings.variable("GOOGLE_CLOUD_PROJECT")
        self._location = options.location or settings.variable("GOOGLE_CLOUD_LOCATION") or LOCATION
        named = options.base_url or settings.variable("GOOGLE_VERTEX_BASE_URL")
        if self._token:
            hide(self._token)
        # No headers of the section: they may hold a key, and this is another host.
        base_url = named or f"https://{self._location}-aiplatform.googleapis.com"
        self._api = provider.context.http.api(base_url, {}, self._auth_headers, provider.turns)

    async def _auth_headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    def model_path(self, model: str) -> str:
        """Where a model is spoken to. Raises ConfigError."""
        if not self._project:
            raise ConfigError(f"{model} runs on Vertex AI and needs a project. Set GOOGLE_CLOUD_PROJECT.")
        if not self._token:
            words = "Set GOOGLE_ACCESS_TOKEN, to what this prints: gcloud auth print-access-token"
            raise MissingKey(f"{model} runs on Vertex AI and needs a token. {words}")
        return model_path(self._project, self._location, model)

    async def submit(self, request: VideoRequest, person_generation: str | None) -> RemoteJob:
        provider, path = self._provider, self.model_path(request.model.model)
        pictures = {media.sha256: await provider.context.read_input(media) for media in frames_of(request)}
        body = to_wire(request, pictures, person_generation)
        reply = provider.checked(
            await self._api.send(
                "POST",
                f"{path}:predictLongRunning",
                step="create",
                fresh=True,
                timeout_s=provider.create_timeout_s,
                json=body,
            )
        )
        operation = provider.parsed(reply, WireOperation)
        if not operation.name:
            raise provider.bad_reply(reply, "The create was answered without a name")
        return RemoteJob(id=operation.name, data={"model_path": path})

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._operation(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        videos = (await self._operation(remote, "assets")).response.videos
        if (data := next((video.data for video in videos if video.data), None)) is not None:
            file = self._provider.context.folder / results.name_for(remote.id)
            await results.write(file, data)
            return (results.asset(file),)
        label = self._provider.label
        if place := next((video.gcsUri for video in videos if video.gcsUri), None):
            words = f"{label} put the video into a bucket, which is not read here: gcloud storage cp {place} ."
            raise Rejected(words, step="assets")
        raise Vanished(f"{label} no longer has the video of {remote.id}", step="assets")

    async def _operation(self, remote: RemoteJob, step: str) -> WireOperation:
        path = path_of(remote)
        asked = {"operationName": remote.id}
        reply = await self._api.send(
            "POST", f"{path}:fetchPredictOperation", step=step, timeout_s=results.INLINE_ANSWER_S, json=asked
        )
        operation = self._provider.parsed(self._provider.checked(reply), WireOperation)
        if not operation.name:
            raise self._provider.bad_reply(reply, "The answer names no operation")
        return operation
