"""Luma: Ray 3.2 by the Agents API. Create, then look; silent clips of 5 or 10 seconds, and edits of clips.

Pictures can stand at any of 24 frames a second. Two of them, first and last, have fields of their own, but in 5 seconds
only; in 10 they are keyframes like all others. Nothing can be listed, cancelled or deleted, no idempotency is promised
and no webhook is known, so a create in doubt is put to a person. A link lives for an hour; a look gives a new one.

An extension over there goes on from a video's end and brings the new part alone, which we do better from the file: we
know its last frame. Reframing makes a size that no edit of ours can ask for.

Source: docs.lumalabs.ai, the package `luma-agents` 0.5.0, read 2026-11-20. Never tried live: the pixels, the price of
edits of other lengths than 5 seconds, how much may travel inside a request, how a refused create is worded, whether a
look at an ended job gives a new link.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

import anyio
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import (
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.given import media_of, without_none
from rushes.providers.incoming import Incoming, Text, read_object, read_objects, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, without_video
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, Doubt, Link, Promises, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, SourceKind, Status, VideoRequest

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
TIERS: Mapping[str, int] = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
FPS = 24  # of the grid on which keyframes stand
MOST_KEYFRAMES = 64
ENDS_HAVE_FIELDS_TO_S = LOOPS_TO_S = 5
INLINE_BYTES = 5_000_000
"""Of files in one request, before they are coded; what is more is uploaded (unverified: no page tells a limit)."""
FILE_LIFE_S = 24 * 3600.0  # we ask for it: an uploaded file would stay on the account
FILE_LOOK_S, FILE_LOOKS = 1.0, 120
STATES: Mapping[str, Status] = {
    "queued": Status.QUEUED,
    "processing": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
}
"""Every other word means "still running"."""
FAILURES: Mapping[str, type[ProviderError]] = {
    "content_moderated": Moderated,
    "budget_exhausted": NoCredit,
    "rate_limited": RateLimited,
    "image_too_large": Rejected,
    "unsupported_format": Rejected,
    "corrupt_input": Rejected,
    "invalid_request": Rejected,
}
"""Of jobs that failed, and of creates that were refused. For the other codes the vendor is to blame."""

Strength = Literal[
    "adhere_1", "adhere_2", "adhere_3", "flex_1", "flex_2", "flex_3", "reimagine_1", "reimagine_2", "reimagine_3"
]


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str | None = None  # an end user, for the vendor's own records
    loop: bool | None = None
    strength: Strength | None = None
    auto_controls: bool | None = None
    controls: dict[str, dict[str, bool | float | str]] | None = None


OF_EDITS = ("strength", "auto_controls", "controls")


class Accepted(Incoming):
    id: Annotated[str, Field(min_length=1)]


class WireOutput(Incoming):
    type: Text = None
    url: Text = None


class WireGeneration(Incoming):
    state: Text = None
    failure_code: Text = None
    failure_reason: Text = None
    output: Annotated[tuple[WireOutput, ...], BeforeValidator(read_objects)] = ()

    @property
    def url(self) -> str | None:
        return next((each.url for each in self.output if each.url and each.type in (None, "video")), None)


class WirePut(Incoming):
    url: Annotated[str, Field(min_length=1)]
    headers: Annotated[dict[str, str], BeforeValidator(read_object)] = Field(default_factory=dict[str, str])


class WireFile(Incoming):
    id: Annotated[str, Field(min_length=1)]
    state: Text = None
    failure_reason: Text = None


class WireNewFile(WireFile):
    upload: WirePut


class Luma(Provider):
    """`luma`."""

    name = "luma"
    title = "Luma"
    key_vars = ("LUMA_AGENTS_API_KEY", "LUMA_API_KEY")
    base_url_vars = ("LUMA_BASE_URL",)
    default_base_url = "https://agents.lumalabs.ai/v1"
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        result_life_s=3600.0,
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        check_request(prepared.request)

    async def ping(self) -> str:
        """A look at a job that does not exist: free, and answered only after the key was checked."""
        nobody = "00000000-0000-0000-0000-000000000000"
        return await self.answers(f"/generations/{nobody}", knows_it=False)

    # -- pictures and clips ------------------------------------------------------------------------

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return too_large(media_of(prepared.request))

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        """Three steps, and the wait until the vendor has looked at it. The link is the file's id."""
        gone_at = datetime.now(UTC) + timedelta(seconds=FILE_LIFE_S)
        wanted = {
            "mime_type": media.mime,
            "size_bytes": len(data),
            "purpose": "input",
            "expires_at": gone_at.isoformat(timespec="seconds"),
        }
        reply = self.checked(await self.api.send("POST", "/files", step="upload", json=wanted))
        new = self.parsed(reply, WireNewFile)
        sent = await self.context.http.upload(
            "PUT", new.upload.url, content=data, headers=new.upload.headers, trusted=[self.api.origin]
        )
        if not sent.ok:
            # Not by the status as elsewhere: a 403 of the store behind it says nothing about our key.
            kind = Unavailable if sent.status >= 500 else Rejected
            raise kind(f"{self.label}'s store did not take the file", step="upload", http_status=sent.status)
        path = f"/files/{quote(new.id, safe='')}"
        reply = self.checked(await self.api.send("POST", f"{path}/complete", step="upload"))
        for _ in range(FILE_LOOKS):
            file = self.parsed(reply, WireFile)
            if file.state == "ready":
                return Link(url=file.id, good_for_s=FILE_LIFE_S)
            if file.state in ("failed", "deleted"):
                raise Rejected(
                    f"{self.label} did not take the file: {file.failure_reason or file.state}", step="upload"
                )
            await anyio.sleep(FILE_LOOK_S)
            reply = await self.read(path, step="upload")
        raise Unavailable(f"{self.label} is still looking at an uploaded file", step="upload")

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        uploaded = {each.sha256 for each in self.to_bring(prepared)}
        given: dict[str, dict[str, JSON]] = {}
        for each in media_of(request):
            if each.sha256 in uploaded:
                given[each.sha256] = {"file_id": await self.link_to(each)}
            else:
                data = await self.context.read_input(each)
                given[each.sha256] = {"data": base64.b64encode(data).decode("ascii"), "media_type": each.mime}
        reply = await self.create("/generations", json=to_wire(request, given))
        return RemoteJob(id=self.parsed(reply, Accepted).id)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._generation(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        url = (await self._generation(remote, "assets")).url
        if url is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=url),)

    async def _generation(self, remote: RemoteJob, step: str) -> WireGeneration:
        reply = await self.look(f"/generations/{quote(remote.id, safe='')}", step=step)
        generation = self.parsed(reply, WireGeneration)
        if generation.state is None:
            raise self.bad_reply(reply, "The answer tells no state")
        return generation

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        words = error.message or f"HTTP {reply.status}"
        # Where in an error the code stands is not documented: it is known wherever it is.
        found = (each for each in FAILURES if each in (error.code, error.type) or each in words)
        return next(found, error.code), words

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        told = FAILURES.get(code or "")
        if told is not None and 400 <= reply.status < 500 and reply.status not in (401, 408, 429):
            return told
        return NoCredit if reply.status == 402 else kind_of_status(reply.status)


PROVIDER = Luma


def too_large(media: Sequence[MediaRef]) -> tuple[MediaRef, ...]:
    """What does not fit into the body any more, when each takes its place in order. Pure."""
    left, rest = INLINE_BYTES, list[MediaRef]()
    for each in dict.fromkeys(media):
        if each.size_bytes > left:
            rest.append(each)
        else:
            left -= each.size_bytes
    return tuple(rest)


def is_edit(request: VideoRequest) -> bool:
    return request.source is not None and request.source.kind is not SourceKind.EXTEND


def check_request(request: VideoRequest) -> None:
    """Refuse what the table cannot say. Raises Unsupported. Pure."""
    model, seconds = request.model, request.seconds or 0
    extra = Extra.model_validate(dict(request.extra))
    edit = is_edit(request)
    if misplaced := [name for name in request.extra if name in (("loop",) if edit else OF_EDITS)]:
        where = "is for new videos alone" if edit else "is for edits alone"
        raise Unsupported(f"{model}: {misplaced[0]} {where}. Leave it out.")
    if edit and (request.first_frame or request.last_frame or request.references):
        raise Unsupported(f"{model} takes no pictures with an edit. Leave them out.")
    if any(reference.crop is not None for reference in request.references):
        raise Unsupported(f"{model} takes whole pictures as references: no crop.")
    if any(reference.frame_index is None for reference in request.references):
        raise Unsupported(
            f"{model} takes pictures at a place in time alone: give a frame_index, --inpaint FRAME=PICTURE."
        )
    places = [place for place, _ in keyframes_of(request)]
    if bad := [place for place in places if not 0 <= place <= FPS * seconds]:
        raise Unsupported(f"{model} has the frames 0 to {FPS * seconds} in {seconds} seconds, not {bad[0]}.")
    if len(set(places)) < len(places):
        raise Unsupported(
            f"Two pictures stand at one frame ({FPS} are a second; first and last frame count). Move one."
        )
    if len(places) > MOST_KEYFRAMES:
        raise Unsupported(f"{model} takes at most {MOST_KEYFRAMES} pictures, the frames included, not {len(places)}.")
    if extra.loop and (seconds > LOOPS_TO_S or needs_keyframes(request)):
        raise Unsupported(f"{model} makes loops of {LOOPS_TO_S} seconds, without references or a lone last_frame.")


def keyframes_of(request: VideoRequest) -> list[tuple[int, MediaRef]]:
    """All given pictures by the frame that shows them. Pure."""
    ends = ((0, request.first_frame), (FPS * (request.seconds or 0), request.last_frame))
    placed = [(each.frame_index or 0, each.media) for each in request.references]
    return sorted([(place, frame) for place, frame in ends if frame is not None] + placed, key=lambda each: each[0])


def needs_keyframes(request: VideoRequest) -> bool:
    """Whether the pictures go beyond what the two fields of their own can tell. Pure."""
    alone = request.last_frame is not None and request.first_frame is None
    long = (request.seconds or 0) > ENDS_HAVE_FIELDS_TO_S and bool(keyframes_of(request))
    return bool(request.references) or alone or long


def to_wire(request: VideoRequest, given: Mapping[str, Mapping[str, JSON]]) -> dict[str, JSON]:
    """The body of a create. `given` are the pictures and clips by their sha256. Pure."""
    assert request.size is not None
    extra = Extra.model_validate(dict(request.extra))
    fields: dict[str, JSON] = {"model": request.model.model, "prompt": request.prompt, "user_id": extra.user_id}
    video: dict[str, JSON] = {"resolution": tier_by_side(request.size, TIERS)}
    source = request.source
    if source is not None:
        controls = extra.model_dump(include=set(OF_EDITS), exclude_none=True)
        clip = {"generation_id": source.remote_id} if source.media is None else given[source.media.sha256]
        fields |= {"type": "video_edit", "source": clip}
        video |= {"edit": controls or None}
    else:
        fields |= {"type": "video", "aspect_ratio": ratio_of(request.size, RATIOS)}
        video |= {"duration": f"{request.seconds}s", "loop": extra.loop, **_pictures(request, given)}
    fields["video"] = without_none(video)
    return without_none(fields)


def _pictures(request: VideoRequest, given: Mapping[str, Mapping[str, JSON]]) -> dict[str, JSON]:
    placed = keyframes_of(request)
    if not placed:
        return {}
    if needs_keyframes(request):
        pictures = [given[media.sha256] for _, media in placed]
        return {"keyframes": pictures, "keyframe_indexes": [place for place, _ in placed]}
    ends = (("start_frame", request.first_frame), ("end_frame", request.last_frame))
    return {name: given[frame.sha256] for name, frame in ends if frame is not None}


def from_wire(generation: WireGeneration) -> Progress:
    """A look at a job in our words. No progress is told. Pure."""
    status = STATES.get((generation.state or "").lower(), Status.IN_PROGRESS)
    if status is Status.COMPLETED and generation.url is None:
        return without_video()
    if status is not Status.FAILED:
        return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)
    code = (generation.failure_code or "").lower()
    kind = FAILURES.get(code)
    said = generation.failure_reason or "The server gave no reason."
    words = f"{said} ({generation.failure_code})" if generation.failure_code else said
    return Progress(status=status, failure=Failure(kind.code if kind else "internal_error", words))
