"""Google: Gemini Omni through the Interactions API, where each video is a turn that the next one can go on from.

A create is asked to run in the background and is then looked at; a server that waits for the video instead is answered
as well, since the create may take a quarter of an hour. Videos are asked for as links into the Files API: those are
good for 48 hours, and want the key. But the link is promised in the create's own answer only; a later look may hold
the video itself as base64, so both are read at both times.

No percentage is told, there is no list and no idempotency: a create in doubt is put to a person. Edits and extensions
go on from the earlier interaction, which is kept for 55 days.

Models whose row says `api = "vertex"` are Veo's on Vertex AI, another host with another key: see `veo.py`.

Source: ai.google.dev `gemini-api/docs/omni`, `api/interactions`, `files`, `webhooks`, `pricing`, `deprecations`, read
2026-11-20. Never tried live: `background` with these models, where the link is after it; how a refusal for content is
worded, and whether it is billed; cancelling; what a webhook's body holds; what `prices` says of 1.2.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, ClassVar, Literal, cast
from urllib.parse import quote, urlsplit

import anyio
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from rushes import signatures
from rushes.errors import (
    AccessDenied,
    MediaError,
    MissingKey,
    Moderated,
    NoCredit,
    ProviderError,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.logs import hide
from rushes.providers.base import Provider
from rushes.providers.given import check_plain_references, frames_of
from rushes.providers.google import results, veo, wire
from rushes.providers.google.veo import Vertex, VertexOptions
from rushes.providers.google.wire import Row, WireFile, WireInteraction, WireUploaded, file_of, is_moderation
from rushes.providers.incoming import Incoming, Text, read_text, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status
from rushes.providers.terms import Asset, Context, Doubt, Hint, Link, Promises, RemoteJob
from rushes.video import Failure, MediaRef, Progress, Status

log = logging.getLogger(__name__)

FILES_HOST = "generativelanguage.googleapis.com"
FILE_LIFE_S = 48 * 3600.0
UPLOAD_READY_S, UPLOAD_LOOK_S = 120.0, 1.0
MAX_REFERENCE_CLIP_S = 3.0
NO_CREDIT_WORDS = ("depleted", "prepay", "enable billing", "billing to be enabled", "billing is disabled")
"""By these a refusal is known for one of money (unverified: it comes with 403 or 429, and no code of its own)."""
KEY_WORDS = ("api key not valid", "api_key_invalid", "api key expired")
"""By these a 400 is known for one of the key (unverified)."""
TOO_LATE = frozenset({400, 404, 405, 409, 412, 501})
"""Answers to a cancel that mean that it cannot be (unverified)."""
DONE = Progress(status=Status.COMPLETED, percent=100.0)
GONE = "GONE"


class GoogleOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    background: bool = True  # False: creates wait for their video, should a model refuse to be asked otherwise
    webhook_secret: SecretStr | None = None  # of a webhook that was registered with Google for this account
    vertex: VertexOptions | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, str] | None = None  # Omni: for the account's own records
    person_generation: Literal["allow_adult", "disallow"] | None = None  # Veo


class WireHook(Incoming):
    class Subject(Incoming):
        id: Text = None

    type: Text = None
    data: Subject = Subject()


class Google(Provider):
    """`google`."""

    name = "google"
    title = "Google"
    key_vars = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    base_url_vars = ("GOOGLE_BASE_URL", "GOOGLE_GEMINI_BASE_URL")
    other_vars = (
        "GEMINI_WEBHOOK_SECRET",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_ACCESS_TOKEN",
        "GOOGLE_VERTEX_BASE_URL",
    )
    default_base_url = f"https://{FILES_HOST}"
    options_shape = GoogleOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        cancels=True,
        deletes=True,
        result_life_s=FILE_LIFE_S,
        create_timeout_s=900.0,  # a create that is not done in the background takes as long as its video
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if secret := self.webhook_secret:
            hide(secret)
        self.vertex = Vertex(self, self._options.vertex or VertexOptions())

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _options(self) -> GoogleOptions:
        return GoogleOptions.model_validate(self.options.model_dump())

    @property
    def key_required(self) -> bool:
        """Not where the section names a project of Vertex AI: then Veo may be all that is wanted."""
        named = self._options.vertex is not None and self.context.section.api_key_required is None
        return False if named else super().key_required

    @property
    def webhook_secret(self) -> str | None:
        secret = self._options.webhook_secret
        return secret.get_secret_value() if secret else self.context.settings.variable("GEMINI_WEBHOOK_SECRET")

    async def auth_headers(self) -> Mapping[str, str]:
        return {"x-goog-api-key": self.key} if self.key else {}

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        row = self.row(request, Row)
        taken, other = ("person_generation", "labels") if row.api == "vertex" else ("labels", "person_generation")
        if other in request.extra:
            raise Unsupported(f"{request.model} has no extra field {other!r}. It takes: {taken}.")
        if row.api == "vertex":
            self.vertex.model_path(request.model.model)
            return
        if not self.key:
            raise MissingKey(self._missing_key())
        if request.source is not None and frames_of(request):
            raise Unsupported(f"{request.model} takes no first or last frame beside a video to edit. Leave it out.")
        if request.source is not None and request.references and not row.edits_with_references:
            raise Unsupported(f"{request.model} takes no references beside a video to edit. Leave them out.")
        clips = [each.media.seconds for each in request.references if each.media.seconds is not None]
        if any(seconds > MAX_REFERENCE_CLIP_S + 0.1 for seconds in clips):
            raise Unsupported(
                f"{request.model} takes clips of at most {MAX_REFERENCE_CLIP_S:g} seconds as references. Trim it.",
                field="references",
            )

    async def ping(self) -> str:
        """A look at a job that does not exist: free, and answered only after the key was checked."""
        if not self.key:
            return "no key of the Gemini API to check"
        try:
            self.checked(await self.api.send("GET", "/v1beta/interactions/0", step="ping", timeout_s=10))
        except AccessDenied:
            return "key refused"
        except (Vanished, Rejected):
            return "answers, key accepted"
        except ProviderError as error:
            return f"no good answer: {error}"
        return "answers, key accepted"

    # -- files that a create can only point at -----------------------------------------------------

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return () if self.row(prepared.request, Row).api == "vertex" else wire.to_bring(prepared.request)

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        """Google's resumable way in two calls. The second goes to an address that it gives, without our key."""
        start = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(len(data)),
            "x-goog-upload-header-content-type": media.mime,
        }
        named = {"file": {"display_name": media.sha256[:16]}}
        begun = self.checked(
            await self.api.send("POST", "/upload/v1beta/files", step="upload", headers=start, json=named)
        )
        address = begun.headers.get("x-goog-upload-url")
        if not address:
            raise self.bad_reply(begun, "The upload was answered without an address")
        # `content-length` is the client's own; a `POST` with all bytes also ends the upload.
        rest = {"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize", "content-type": media.mime}
        reply = await self.context.http.upload("POST", address, content=data, headers=rest, trusted=[self.api.origin])
        file = self.parsed(self.checked(reply), WireUploaded).file
        if not file.uri:
            raise self.bad_reply(reply, "The upload was answered without a file")
        await self._until_ready(file)
        return Link(url=file.uri, good_for_s=FILE_LIFE_S)

    async def _until_ready(self, file: WireFile) -> None:
        """Clips are looked through before they can be used."""
        state, deadline = file.state, monotonic() + UPLOAD_READY_S
        while state == "PROCESSING":
            if monotonic() > deadline:
                raise Unavailable(f"{self.label}: the uploaded file is not ready in time", step="upload")
            await anyio.sleep(UPLOAD_LOOK_S)
            state = await self._file_state(file.uri or "", "upload")
        if state in ("FAILED", GONE):
            raise Rejected(f"{self.label} cannot read the uploaded file. Give an MP4 with H.264.", step="upload")

    async def _file_state(self, uri: str, step: str) -> str:
        """`ACTIVE`, `PROCESSING`, `FAILED`, or whatever it says; `GONE` for a file that is not there (any more)."""
        name = self._file_at(uri)
        if name is None:
            return "ACTIVE"  # a link to elsewhere has no state
        try:
            reply = await self.look(f"/v1beta/{name}", step=step)
        except (Vanished, AccessDenied) as error:
            if error.http_status not in (403, 404):  # a file that it does not know is "forbidden", too
                raise  # it is the key that is wrong
            return GONE
        state = self.parsed(reply, WireFile).state
        if not state:
            raise self.bad_reply(reply, "The answer tells no state of the file")
        return state

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        if self.row(request, Row).api == "vertex":
            person = Extra.model_validate(dict(request.extra)).person_generation
            return await self.vertex.submit(request, person)
        uploaded = {media.sha256: wire.linked(media, await self.link_to(media)) for media in wire.to_bring(request)}
        pictures = [*frames_of(request), *(reference.media for reference in request.references)]
        inline = {
            media.sha256: wire.inline_picture(media, await self.context.read_input(media))
            for media in pictures
            if media.sha256 not in uploaded
        }
        background = self._options.background
        body = wire.to_wire(
            request,
            {**inline, **uploaded},
            background=background,
            # A registered webhook tells of every job, and is signed; one that a job names is not signed by our secret.
            callback_url=self.callback_url if background and not self.webhook_secret else None,
            labels=Extra.model_validate(dict(request.extra)).labels,
        )
        reply = await self.create("/v1beta/interactions", json=body)
        job = self.parsed(reply, WireInteraction)
        if not job.id:
            raise self.bad_reply(reply, "The create was answered without an id")
        return RemoteJob(id=job.id, data=await self._kept(job, key))

    async def _kept(self, job: WireInteraction, key: str) -> dict[str, str]:
        """What must not be lost of an answer that is already the result."""
        video = job.video
        if video is None or wire.from_wire(job).status is not Status.COMPLETED:
            return {}
        if video.uri:
            return {"uri": video.uri}
        data = wire.decoded(video.data or "")
        if data is None:
            return {}  # a later look may tell it better
        name = results.name_for(key)
        try:
            await results.write(self.context.folder / name, data)
        except MediaError as error:
            # The id is worth more than these bytes: a later look may hold them again.
            log.warning("google.not_kept", extra={"cause": str(error)})
            return {}
        return {"file": name}

    async def poll(self, remote: RemoteJob) -> Progress:
        if veo.path_of(remote) is not None:
            return await self.vertex.poll(remote)
        kept = results.kept_in(remote)
        if kept.file:
            return DONE
        state = await self._file_state(kept.uri, "poll") if kept.uri else None
        if state in (None, "FAILED"):  # of a file that failed the interaction may hold the video itself
            job = await self._interaction(remote, "poll")
            progress = wire.from_wire(job)
            uri = job.video.uri if job.video and not job.video.data else None
            if progress.status is not Status.COMPLETED or uri is None:
                return progress
            state = await self._file_state(uri, "poll")
        match state:
            case "ACTIVE" | "GONE":  # what is gone may yet be had from the interaction: see `assets`
                return DONE
            case "FAILED":
                words = "The video was made, but its file cannot be had."
                return Progress(status=Status.FAILED, failure=Failure("internal_error", words), billed=True)
            case _:
                return Progress(status=Status.IN_PROGRESS)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        folder = self.context.folder
        if veo.path_of(remote) is not None:
            return await self.vertex.assets(remote)
        kept = results.kept_in(remote)
        if kept.file and await anyio.Path(folder / kept.file).is_file():
            return (results.asset(folder / kept.file),)
        if kept.uri and await self._file_state(kept.uri, "assets") not in (GONE, "FAILED"):
            return (self._asset_at(kept.uri),)
        video = (await self._interaction(remote, "assets")).video
        if video is not None and video.data and (data := wire.decoded(video.data)):
            await results.write(folder / results.name_for(remote.id), data)
            return (results.asset(folder / results.name_for(remote.id)),)
        if video is None or not video.uri:
            raise Vanished(f"{self.label} no longer has the video of {remote.id}", step="assets")
        return (self._asset_at(video.uri),)

    def _asset_at(self, uri: str) -> Asset:
        """A file of the Files API is behind our key, at our address; any other link is fetched without it."""
        name = self._file_at(uri)
        if name is None:
            return Asset(url=uri)
        return Asset(path=f"/v1beta/{name}:download", params={"alt": "media"})

    def _file_at(self, uri: str) -> str | None:
        """The name of a file of this account; None for an address of anybody else's."""
        ours = urlsplit(uri).hostname in (None, FILES_HOST) or self.api.owns(uri)
        return file_of(uri) if ours else None

    async def _interaction(self, remote: RemoteJob, step: str) -> WireInteraction:
        path = f"/v1beta/interactions/{quote(remote.id, safe='')}"
        # The answer may hold the whole video, to every look: a time that is too short for it would never be enough.
        reply = self.checked(await self.api.send("GET", path, step=step, timeout_s=results.INLINE_ANSWER_S))
        job = self.parsed(reply, WireInteraction)
        if job.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return job

    def release(self, remote: RemoteJob) -> None:
        results.discard(self.context.folder, remote)

    # -- where the vendor has them -----------------------------------------------------------------

    async def cancel(self, remote: RemoteJob) -> bool:
        """Only of what runs in the background. The job itself says whether it worked."""
        if veo.path_of(remote) is not None or remote.data:
            return False
        path = f"/v1beta/interactions/{quote(remote.id, safe='')}/cancel"
        reply = await self.api.send("POST", path, step="cancel")
        if reply.status in TOO_LATE:
            return False
        self.checked(reply)
        return ((await self._interaction(remote, "cancel")).status or "").lower() == "cancelled"

    async def delete(self, remote: RemoteJob) -> bool:
        """The interaction, so that nothing can go on from it. The file itself ends after 48 hours."""
        if veo.path_of(remote) is not None:
            return False
        reply = await self.api.send("DELETE", f"/v1beta/interactions/{quote(remote.id, safe='')}", step="delete")
        if reply.status == 404:
            return True
        if reply.status in (405, 501):
            return False
        self.checked(reply)
        return True

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        """A registered webhook is signed with the secret that Google told once, as Standard Webhooks has it.

        Without one each job names our address itself. Those messages are signed otherwise, with keys of Google's that
        are not looked up here: any may be false, and is a hint.
        """
        secret = self.webhook_secret
        if secret is not None and not signatures.is_signed(secret, headers, body, datetime.now(UTC)):
            words = f"{self.label}: the message is not signed with our webhook_secret, or is old"
            raise AccessDenied(words, step="webhook")
        try:
            event = WireHook.model_validate_json(body)
        except ValidationError:
            return None
        known = (event.type or "").startswith(("interaction.", "video."))
        if not known or not event.data.id or len(event.data.id) > 500 or "\x00" in event.data.id:
            return None
        return Hint(remote_id=event.data.id, trusted=secret is not None)

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        """Its code is the word in `status`; the number in `code` only repeats the status of the answer."""
        error = read_wire_error(_unwrapped(reply.body))
        return _status_word(reply.body) or error.code, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        words = self.read_error(reply)[1].lower()
        if reply.status == 400 and any(word in words for word in KEY_WORDS):
            return AccessDenied
        if reply.status in (400, 403, 429) and any(word in words for word in NO_CREDIT_WORDS):
            return NoCredit
        if reply.status in (400, 422) and is_moderation(words):
            return Moderated
        if reply.status == 404 and reply.step == "create":
            return Rejected  # no such model, or no such interaction to go on from: it will not come back
        return kind_of_status(reply.status)


PROVIDER = Google


def _unwrapped(body: bytes) -> bytes:
    """Some hosts of Google put the one error into a list."""
    return body.strip()[1:-1] if body.strip().startswith(b"[") else body


def _status_word(body: bytes) -> str | None:
    """`INVALID_ARGUMENT` and the like."""
    try:
        sent: Any = json.loads(_unwrapped(body))
    except ValueError:
        return None
    error: Any = cast(Mapping[str, Any], sent).get("error") if isinstance(sent, Mapping) else None
    return read_text(cast(Mapping[str, Any], error).get("status")) if isinstance(error, Mapping) else None
