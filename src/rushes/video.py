"""The words of the trade: what is asked for, and what comes back.

Everything here is frozen and imports nothing of ours, so each layer above can speak of a request, a video or
a status without dragging in a database or a socket. Parsing raises `ValueError` with a sentence a person can
act on; the faces turn it into their own kind of error.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Self

from typing_extensions import TypeAliasType

JSON = TypeAliasType("JSON", "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None")

KIND = "video"
SHORT_NAMES = {"draft": "animatic", "openai": "sora-2", "azure": "sora"}
"""What `<provider>:video` alone stands for, where a provider has one obvious model."""


class Size(NamedTuple):
    """A picture size in pixels, as displayed: after rotation and pixel aspect ratio."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1280x720`, also with `*` or the multiplication sign between. Raises ValueError."""
        match = re.fullmatch(r"\s*(\d{1,5})\s*[xX*\u00d7]\s*(\d{1,5})\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not a size. Write width x height in pixels, such as 1280x720.")
        size = cls(int(match[1]), int(match[2]))
        if min(size) < 1:
            raise ValueError(f"{text!r} is not a size: width and height are at least 1.")
        return size

    @property
    def aspect(self) -> Fraction:
        return Fraction(self.width, self.height)

    @property
    def orientation(self) -> str:
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class ModelId(NamedTuple):
    """`<provider>:video:<model>`. The model part may itself contain `:` and `/`."""

    provider: str
    model: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a model id, split at the first two colons only. Raises ValueError.

        `draft`, and `<provider>:video` for the providers of `SHORT_NAMES`, are short forms.
        """
        provider, _, rest = text.strip().partition(":")
        kind, _, model = rest.partition(":")
        bare = ":" not in text and provider != "draft"
        if not provider or bare or re.search(r"\s", provider):
            raise ValueError(f"{text!r} is not a model id. Write provider:video:model, such as openai:video:sora-2.")
        if provider == "draft" and not rest:
            kind = KIND
        if kind != KIND:
            raise ValueError(
                f"{text!r} is not a video model: rushes serves the kind 'video' only. "
                f"Write {provider}:video:MODEL. See: rushes models"
            )
        model = model or SHORT_NAMES.get(provider, "")
        if not model:
            raise ValueError(f"{text!r} names no model. Write {provider}:video:MODEL. See: rushes models {provider}")
        return cls(provider, model)

    def __str__(self) -> str:
        if self == ("draft", "animatic"):
            return "draft"
        return f"{self.provider}:{KIND}:{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRef:
    """A picture or a clip that already lies in our store, checked and known by its content."""

    sha256: str
    mime: str
    size_bytes: int
    width: int
    height: int
    seconds: float | None = None  # None: a picture

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A part of a picture, as fractions of its width and height from the upper left corner."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture or clip given beside the frames at both ends.

    With a `frame_index` it is what the video shows from that output frame on (inpainting); without, it shows whom or
    what the video is about, or its style.
    """

    media: MediaRef
    frame_index: int | None = None
    crop: Crop | None = None
    name: str | None = None  # its file's own name, for providers that show it; nothing follows from it


class SourceKind(StrEnum):
    REMIX = "remix"
    EDIT = "edit"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVideo:
    """An earlier video that the new one starts from.

    Exactly one of `remote_id` (it is known to the same provider and account) and `media` (its stored file is sent
    along) is set. Size and seconds are those of the video on the provider's side, before any fitting of ours.
    """

    kind: SourceKind
    video_id: str | None  # None: a clip that was given, and never in the library
    size: Size
    seconds: int
    extensions: int = 0  # how many of the steps that led to it were extensions
    remote_id: str | None = None
    account: str | None = None
    media: MediaRef | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.video_id or "the given clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """What the user wants, in our words. Immutable: a job and all its attempts share one."""

    prompt: str
    model: ModelId
    size: Size | None = None  # None: the model's default
    seconds: int | None = None  # whole seconds; None: the model's default
    seed: int | None = None  # None: the provider chooses
    audio: bool | None = None
    negative_prompt: str | None = None
    first_frame: MediaRef | None = None
    last_frame: MediaRef | None = None
    references: tuple[Reference, ...] = ()
    characters: tuple[str, ...] = ()  # the provider's own ids of characters that were made there before
    source: SourceVideo | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    """Options of one provider, named and validated by it; never dropped in silence."""


def made_seconds(request: VideoRequest) -> int | None:
    """How long the result is on the provider's side: an extension comes back joined to what it extends. Pure."""
    if request.seconds is None or request.source is None or request.source.kind is not SourceKind.EXTEND:
        return request.seconds
    return request.source.seconds + request.seconds


class Status(StrEnum):
    """What the world sees of a job, in the words of the Videos API. It never goes backwards."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED)


class Failure(NamedTuple):
    """Why a job failed: a stable code (`moderation_blocked`, `timeout`, …) and the far side's own words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a job on the provider's side."""

    status: Status
    percent: float | None = None  # 0 to 100; None: the provider does not say
    failure: Failure | None = None
    poll_after_s: float | None = None  # the provider's own wish for the next look
    expires_at: datetime | None = None  # when the result can no longer be fetched
    billed_usd: Decimal | None = None  # what the provider says it charged; None: it does not say
    billed: bool = False  # a failure that costs what success would have: it says it is done, and has nothing to show
    seconds: int | None = None  # length really made, where the provider tells
    size: Size | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """One thing that was made otherwise than asked, and why. Values are text, for people to read."""

    field: str
    asked: str | None
    given: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A finished video in the library. Paths are absolute; `path` is None once the file was collected."""

    id: str
    job_id: str
    remote_id: str | None
    url: str
    path: Path | None
    format: str
    size: Size
    seconds: float  # measured on the file
    fps: Fraction
    has_audio: bool
    sha256: str
    size_bytes: int
    thumbnail: Path | None
    spritesheet: Path | None
    model: ModelId
    prompt: str
    cached: bool
    cost_usd: Decimal | None  # None: unknown, never free; of several from one create the first carries all of it
    latency_s: float
    adjustments: tuple[Adjustment, ...]
    created_at: datetime

    def save(self, path: str | Path) -> Path:
        """Copy the video to `path` and return it. Raises FileNotFoundError when the stored file is gone."""
        import shutil

        if self.path is None and not self.url.startswith("file:"):
            raise FileNotFoundError(f"{self.id} lies in a bucket, at {self.url}: rushes videos export {self.id} {path}")
        if self.path is None or not self.path.is_file():
            raise FileNotFoundError(f"The file of {self.id} is no longer in the library.")
        target = Path(path).expanduser()
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(self.path, target))


def new_video_id() -> str:
    """`video_` and 32 hexadecimal digits: one id for life, in every dialect."""
    return f"video_{uuid.uuid4().hex}"


def video_uuid(video_id: str) -> uuid.UUID:
    """The UUID inside a video or job id; both `video_<32 hex>` and the hyphened form are read. Raises ValueError."""
    return uuid.UUID(video_id.removeprefix("video_"))


def ledger_id(text: str) -> str:
    """A video or job id in the one form that the ledger has, from either form; anything else as it is."""
    try:
        return f"video_{video_uuid(text).hex}"
    except ValueError:
        return text
