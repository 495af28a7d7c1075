"""Marks: every video that is delivered says that it was made by a machine, by which, and from what.

What the ledger knows of a video becomes a claim, the media children sign it, and whoever asks later is told what a
file's manifest says. A mark that cannot be made never holds up a video that was paid for: it is made on first need.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import sqlalchemy as sa

from rushes.config import ProvenanceSettings, Settings
from rushes.errors import ConfigError, MediaError, RushesError
from rushes.jobs import shelf
from rushes.jobs.shelf import AssetRow, VideoRow
from rushes.media import certificates
from rushes.media.certificates import LOCAL_NAME, Credentials, Identity
from rushes.media.children import Children
from rushes.media.disk import digest
from rushes.media.provenance import Change, Claim, Ingredient, Role
from rushes.media.reports import Report
from rushes.media.store import MANIFEST, MediaStore, input_key, video_key
from rushes.providers.prepare import Fit
from rushes.providers.registry import Registry
from rushes.video import MediaRef, ModelId, SourceVideo

if TYPE_CHECKING:
    from rushes.jobs.services import Case, Services

FOLDER = "provenance"
VARIANT = "manifest"
MIME = "application/c2pa"
VIDEO_MIMES = {"mov": "video/quicktime", "webm": "video/webm"}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Marks:
    """Signs what we deliver and reads what anybody signed, by the settings of `[provenance]`."""

    def __init__(
        self, settings: Settings, children: Children, registry: Registry, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._section: ProvenanceSettings = settings.provenance
        self._base = settings.config_path.parent if settings.config_path else Path.cwd()
        self._folder = settings.home / FOLDER
        self._children = children
        self._registry = registry
        self._now = now
        self._credentials: Credentials | None = None

    @property
    def enabled(self) -> bool:
        return self._section.enabled

    @property
    def with_prompt(self) -> bool:
        return self._section.prompt

    def check(self) -> None:
        """Raise ConfigError if nothing could be signed, or no trust list be read, as configured. Before buying."""
        if self.enabled and self._is_own:
            self._own()
        if self._section.trust:
            certificates.check_anchors(self._path(self._section.trust))

    def trained(self, model: ModelId) -> bool:
        """Whether a trained model makes its videos; true of those that no table knows any more."""
        try:
            return self._registry.model(model).trained
        except RushesError:
            return True

    async def sign(self, video: Path, claim: Claim, *, inside: Path | None = None, beside: Path | None = None) -> None:
        """Put the claim into `inside`, a copy of the video, or into `beside`. Raises RushesError."""
        if self._credentials is None:
            self._credentials = await anyio.to_thread.run_sync(self._get_credentials)
        await self._children.sign(video, claim, self._credentials, inside=inside, beside=beside)

    async def read(self, path: Path, manifest: Path | None = None) -> Report:
        """What is known of a file's origin. Raises MediaError for what cannot be read at all."""
        identity, trusted = await anyio.to_thread.run_sync(self._known)
        return await self._children.provenance(path, manifest, identity.roots + trusted, identity.serials)

    def _get_credentials(self) -> Credentials:
        if not self.enabled:
            raise ConfigError("Manifests are switched off: [provenance] enabled = false.")
        return self._own() if self._is_own else certificates.local_credentials(self._folder, self._now())

    @property
    def _is_own(self) -> bool:
        return bool(self._section.certificate or self._section.key)

    def _own(self) -> Credentials:
        section = self._section
        if not section.certificate or not section.key:
            missing, there = ("key", "certificate") if section.certificate else ("certificate", "key")
            raise ConfigError(f"[provenance] names a {there} but no {missing}. Set both, or neither.")
        return certificates.own_credentials(
            self._path(section.certificate), self._path(section.key), section.timestamp_url, self._now()
        )

    def _known(self) -> tuple[Identity, str]:
        """By what our own signatures are known, and the roots of others that the user trusts."""
        section = self._section
        ours = [self._folder / LOCAL_NAME, *([self._path(section.certificate)] if section.certificate else [])]
        trusted = certificates.check_anchors(self._path(section.trust)) if section.trust else ""
        return certificates.identity(ours), trusted

    def _path(self, text: str) -> Path:
        return self._base / Path(text).expanduser()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A file as it was fetched. `carries` says that a manifest of the provider's own lies inside."""

    path: Path
    format: str
    carries: bool


async def claim_for(s: "Services", case: "Case", row: VideoRow, file: Delivered) -> Claim:
    """What is to be said of a video of a job."""
    job, prepared, model = case.job, case.prepared, case.model_id
    request = prepared.request
    attempt = next((each for each in reversed(case.attempts) if each.remote is not None), None)
    ingredients: list[Ingredient] = []
    if file.carries:
        mime = video_mime(file.format)
        ingredients.append(Ingredient(role=Role.DELIVERED, mime=mime, path=file.path))
    if prepared.source is not None:
        ingredients.append(await _source(s, prepared.source))
    given = [(Role.FIRST_FRAME, request.first_frame), (Role.LAST_FRAME, request.last_frame)]
    given += [(Role.REFERENCE, each.media) for each in request.references]
    ingredients += [await _input(s.media, role, ref) for role, ref in given if ref is not None]
    return Claim(
        video_id=row.id,
        title=f"{row.id}.{file.format}",
        provider=model.provider,
        model=model.model,
        made_at=(attempt.ended_at if attempt else None) or job.completed_at or job.created_at,
        trained=s.marks.trained(model),
        kind=prepared.source.kind if prepared.source else None,
        prompt=request.prompt if s.marks.with_prompt else None,
        changes=changes_of(prepared.fit),
        ingredients=tuple(ingredients),
    )


def export_claim(claim: Claim, video: Path, format_name: str, manifest: Path | None) -> Claim:
    """What a copy with everything inside says: that it is the library's file, whose manifest tells the rest. Pure."""
    whole = Ingredient(
        role=Role.EXPORTED, name=claim.video_id, mime=video_mime(format_name), path=video, manifest=manifest
    )
    released = Change(action="c2pa.published", words="copied out of the library with its manifest inside")
    return replace(claim, ingredients=(whole,), changes=(released,))


def changes_of(fit: Fit) -> tuple[Change, ...]:
    """What we do to a video after it was delivered, in C2PA's words. Pure."""
    changes: list[Change] = []
    if fit.size is not None:
        how = "padded" if fit.pad else "cropped"
        changes.append(Change(action="c2pa.cropped", words=f"{how} and scaled to {fit.size}"))
    if fit.seconds is not None:
        changes.append(Change(action="c2pa.trimmed", words=f"trimmed to {fit.seconds} seconds"))
    if fit.joined is not None:
        changes.append(Change(action="c2pa.edited", words="put behind the video that it goes on from"))
    return tuple(changes)


def video_mime(format_name: str) -> str:
    return VIDEO_MIMES.get(format_name, "video/mp4")


async def manifest_asset(video_id: str, path: Path) -> AssetRow:
    """The row of a manifest that lies beside its video."""
    sha256, size_bytes = await digest(path)
    return AssetRow(video_id=video_id, variant=VARIANT, sha256=sha256, size_bytes=size_bytes, mime=MIME, made_by="us")


async def _source(s: "Services", source: SourceVideo) -> Ingredient:
    """The earlier video, with its manifest, as far as they are in the library; or the clip that was given."""
    if source.video_id is None:
        assert source.media is not None
        return await _input(s.media, Role.SOURCE, source.media)
    video_id = source.video_id

    def work(connection: sa.Connection) -> VideoRow | None:
        return shelf.video_by_id(connection, video_id)

    row = await s.db.read(work)
    folder = (row.stored_under or row.id) if row else video_id
    path = await _there(s.media, video_key(folder)) if row and row.in_library else None
    return Ingredient(
        role=Role.SOURCE,
        name=source.video_id,
        mime=video_mime((row.format if row else None) or "mp4"),
        sha256=row.sha256 if row else None,
        path=path,
        manifest=await _there(s.media, video_key(folder, MANIFEST)) if path else None,
    )


async def _input(media: MediaStore, role: Role, ref: MediaRef) -> Ingredient:
    path = await _there(media, input_key(ref.sha256))
    return Ingredient(role=role, mime=ref.mime, sha256=ref.sha256, path=path)


async def _there(media: MediaStore, key: str) -> Path | None:
    """A file on this machine with what lies there; None when nothing does. Raises MediaError."""
    return await media.near(key) if await media.head(key) is not None else None


def why_not(error: RushesError) -> str:
    """The warning for a video that was delivered without its mark."""
    later = "it is made when needed" if isinstance(error, MediaError) else "set that right, and it is made when needed"
    return f"No provenance manifest could be made ({error}); {later}."
