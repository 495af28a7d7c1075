"""The step that brings the result home: download, check, publish, and close the books.

The money is spent by now, so nothing here gives up while the result may still be fetched, and nothing here ever
leads back to a create. What is published under a video's key was checked before; so a restart may trust it.

A file that was made on this machine carries its provenance manifest inside, and is signed before it is published; a
provider's file stays as it came, and its manifest is published after it, beside it. The video counts as fetched only
when both lie there, or when it is told why there is no manifest: that never holds up a video.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import sqlalchemy as sa

from rushes.errors import (
    AccessDenied,
    DecoderFailed,
    Gone,
    MediaError,
    ProviderError,
    Rejected,
    RequestError,
    RushesError,
    StoreTrouble,
    Vanished,
)
from rushes.http import Body
from rushes.jobs import ledger, shelf, store
from rushes.jobs.codec import options_from_json, prepared_to_json
from rushes.jobs.ledger import Job, JobState, Next
from rushes.jobs.marks import Delivered, claim_for, manifest_asset, why_not
from rushes.jobs.services import Case, Services, end_job
from rushes.jobs.shelf import AssetRow, VideoRow
from rushes.media import download, render
from rushes.media.disk import digest
from rushes.media.fetch import fetch_small
from rushes.media.probe import Probe
from rushes.media.store import MANIFEST, SPRITESHEET, THUMBNAIL, input_key, video_key, video_prefix
from rushes.providers.base import Provider
from rushes.providers.terms import Asset, RemoteJob, Variant
from rushes.telemetry import span
from rushes.video import Adjustment, Failure, MediaRef, Status, new_video_id

log = logging.getLogger(__name__)

EXPIRED_ROUNDS = 6
"""How often links are renewed by a look before the result counts as out of reach."""
BAD_FILE_ROUNDS = 4
PATIENCE_S = 600.0
"""Neither fewer rounds nor a shorter time ends a paid job whose result may still be had."""
CRASH_ROUNDS = 30
NO_EXPIRY_S = 48 * 3600.0
AFTER_EXPIRY_S = 600.0
LONGEST_PAUSE_S = 60.0
STORE_PAUSE_S = 15.0
EXTRA_TIMEOUT_S = 30.0
EXTRA_MAX_BYTES = 32 << 20
MIMES = {Variant.THUMBNAIL: "image/webp", Variant.SPRITESHEET: "image/jpeg"}


@dataclass(slots=True)
class _Trouble:
    """What went wrong so far in one delivery, to know when to stop."""

    since: datetime
    rounds: int = 0
    expired: int = 0
    bad_files: int = 0
    crashes: int = 0


async def deliver(s: Services, job_id: str) -> Next:
    """Fetch what was paid for and complete the job. Always returns NOTHING: the job is final."""
    trouble = _Trouble(since=s.now())
    while True:
        case = await s.load(job_id)
        if ledger.next_for(case.job, case.attempts) is not Next.DOWNLOAD:
            return Next.NOTHING
        provider = await s.ready_provider(case)
        try:
            found = await _fetch_all(s, case, provider)
            await _finish(s, case, found)
        except RushesError as error:
            if failure := _give_up(s, case, provider, error, trouble):
                await _fail(s, case, failure)
                return Next.NOTHING
            job = await s.set_trouble(case.job, f"Fetching the result: {error}")
            await anyio.sleep(_pause_s(error, trouble))
            if isinstance(error, AccessDenied | Vanished | Gone | Rejected):
                await _renew(s, Case(job, case.attempts), provider)
        else:
            await _tidy(s, case, provider)
            return Next.NOTHING


async def _fetch_all(s: Services, case: Case, provider: Provider) -> "_Found":
    """Every video of the job, checked and published, and the provider's own pictures of them."""
    assert case.last.remote is not None
    rows = await s.db.read(lambda connection: shelf.videos_of(connection, case.job.id))
    assets = await _assets(s, provider, case.last.remote, rows)
    videos = [asset for asset in assets if asset.variant is Variant.VIDEO]
    if not videos:
        raise Rejected("The provider says it is done, but offers no video", step="assets")
    filled: list[VideoRow] = []
    for n, asset in enumerate(videos):
        row = rows[n] if n < len(rows) else VideoRow(id=new_video_id(), job_id=case.job.id, n=n)
        if n >= len(rows):
            await _add_video(s, case, row)
        filled.append(row if row.in_library else await _fetch_video(s, case, provider, asset, row))
    extras = await _fetch_extras(s, case, provider, assets, filled)
    return _Found(filled, [row for row in rows if row.n >= len(videos)], extras)


async def _assets(s: Services, provider: Provider, remote: RemoteJob, rows: list[VideoRow]) -> tuple[Asset, ...]:
    """What there is to fetch. When all of it lies in the store already, nobody needs to be asked any more."""
    try:
        return await provider.assets(remote)
    except ProviderError:
        if not rows or not all([await s.media.head(video_key(row.id)) for row in rows]):
            raise
        return tuple(Asset(n=row.n) for row in rows)


async def _add_video(s: Services, case: Case, row: VideoRow) -> None:
    """One more than was promised at admission."""

    def work(connection: sa.Connection) -> None:
        store.held_state(connection, case.job)
        shelf.insert_video(connection, row)

    await s.db.write(work)


@dataclass(frozen=True, slots=True)
class _Found:
    videos: list[VideoRow]
    missing: list[VideoRow]  # promised at admission, but not made
    extras: list[AssetRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A video on its way into the library: the file to publish, its facts, and what was fetched to make it."""

    path: Path
    probe: Probe
    sha256: str
    size_bytes: int
    fetched: Delivered
    manifest: Path | None = None  # to be published beside it


async def _fetch_video(s: Services, case: Case, provider: Provider, asset: Asset, row: VideoRow) -> VideoRow:
    """One video: into the spool, checked there, then under its key; its facts are in the ledger when this returns."""
    key = video_key(row.id)
    part = s.spool / f"{case.job.id}-{row.n}.part"
    made_here = case.prepared.fit.of_video or (asset.file is not None and not asset.received)
    if await s.media.head(key) is None:
        file = await _downloaded(s, case, provider, asset, part)
        file = await _marked(s, case, row, file, part, inside=made_here)
        await _move(s, case.job, JobState.FINISHING)
        with span("publish", case.job.id, size_bytes=file.size_bytes):
            await s.media.publish(key, file.path)
        s.reached("download.published")
    else:
        file = await _published_before(s, key, part)
        await _move(s, case.job, JobState.FINISHING)
        if not (made_here and file.probe.embedded_c2pa) and await s.media.head(video_key(row.id, MANIFEST)) is None:
            file = await _marked(s, case, row, file, part, inside=False)
    manifest = await _publish_manifest(s, case, row, file)
    filled = _with_facts(row, file, s)

    def work(connection: sa.Connection) -> None:
        store.held_state(connection, case.job)
        shelf.save_video(connection, filled)
        if manifest is not None:
            shelf.save_asset(connection, manifest)

    await s.db.write(work)
    s.reached("download.recorded")
    download.discard(part)
    return filled


async def _downloaded(s: Services, case: Case, provider: Provider, asset: Asset, part: Path) -> _File:
    """Fetched into the spool and checked, and cut to what was asked for where the model makes only more."""
    fit = case.prepared.fit
    with span("download", case.job.id, provider=provider.name) as traced:
        got = await download.download(_opener(provider, asset), part, max_bytes=s.max_video_bytes)
        traced.note(size_bytes=got.size_bytes)
    s.reached("download.complete")
    probe = await _checked(s, part, thorough=got.resumed)
    fetched = Delivered(path=part, format=probe.format, carries=probe.embedded_c2pa)
    if not fit.of_video:
        return _File(path=part, probe=probe, sha256=got.sha256, size_bytes=got.size_bytes, fetched=fetched)
    ready = part.with_suffix(".fit.mp4")
    if fit.size is not None or fit.seconds is not None:
        await render.fit_video(part, ready, size=fit.size, seconds=fit.seconds, pad=bool(fit.pad))
    if fit.joined is not None:
        ready = await _joined(s, fit.joined, ready if ready.is_file() else part, part.with_suffix(".joined.mp4"))
    probe = await s.children.probe(ready)
    sha256, size_bytes = await digest(ready)
    return _File(path=ready, probe=probe, sha256=sha256, size_bytes=size_bytes, fetched=fetched)


async def _joined(s: Services, before: MediaRef, added: Path, out: Path) -> Path:
    """What was added, put behind what it goes on from."""
    first = await s.media.near(input_key(before.sha256))
    await render.join_videos((first, await s.children.probe(first)), (added, await s.children.probe(added)), out)
    return out


async def _published_before(s: Services, key: str, part: Path) -> _File:
    """Published by a run that ended before it could say so: checked then, so only its facts are missing.

    It is never fetched from the provider again, whose link may be dead by now: out of a bucket it comes back.
    """
    path = s.media.local_path(key)
    if path is None:
        path = part.with_suffix(".published.mp4")
        got = await s.media.fetch(key, path)
        sha256, size_bytes = got.sha256, got.size_bytes
    else:
        sha256, size_bytes = await digest(path)
    probe = await s.children.probe(path)
    fetched = Delivered(path=path, format=probe.format, carries=probe.embedded_c2pa)
    return _File(path=path, probe=probe, sha256=sha256, size_bytes=size_bytes, fetched=fetched)


async def _marked(s: Services, case: Case, row: VideoRow, file: _File, part: Path, *, inside: bool) -> _File:
    """The file with its provenance manifest: inside a copy, or in a file of its own. Without it if that fails."""
    if not s.marks.enabled:
        return file
    try:
        claim = await claim_for(s, case, row, file.fetched)
        if inside:
            signed = part.with_suffix(".signed.mp4")
            await s.marks.sign(file.path, claim, inside=signed)
            sha256, size_bytes = await digest(signed)
            return replace(file, path=signed, sha256=sha256, size_bytes=size_bytes)
        manifest = part.with_suffix(".c2pa")
        await s.marks.sign(file.path, claim, beside=manifest)
        return replace(file, manifest=manifest)
    except RushesError as error:
        await _warn(s, case, why_not(error))
        return file


async def _publish_manifest(s: Services, case: Case, row: VideoRow, file: _File) -> AssetRow | None:
    """Put the manifest beside its video, and return its row; also of one that a run before this one published."""
    key = video_key(row.id, MANIFEST)
    if file.manifest is None:
        return await manifest_asset(row.id, await s.media.near(key)) if await s.media.head(key) is not None else None
    try:
        made = await manifest_asset(row.id, file.manifest)
        await s.media.publish(key, file.manifest)
    except MediaError as error:
        await _warn(s, case, why_not(error))  # the video is published: it is not held up
        return None
    s.reached("download.marked")
    return made


async def _warn(s: Services, case: Case, words: str) -> None:
    """Tell of something that the video is no worse for."""
    now = s.now()
    await s.db.write(lambda connection: store.insert_event(connection, case.job.id, "warning", now, message=words))


async def _checked(s: Services, part: Path, *, thorough: bool) -> Probe:
    """The facts of a whole download. One that is no good is thrown away, so that the next try does not end with it."""
    try:
        return await s.children.probe(part, thorough=thorough)
    except (StoreTrouble, DecoderFailed):
        raise
    except MediaError as error:
        download.discard(part)
        raise MediaError(str(error)) from error  # not `Truncated`: the far side said that this is all of it


def _opener(provider: Provider, asset: Asset) -> Callable[[int, str | None], AbstractAsyncContextManager[Body]]:
    return lambda offset, etag: provider.open(asset, offset=offset, etag=etag)


def _with_facts(row: VideoRow, file: _File, s: Services) -> VideoRow:
    probe = file.probe
    return replace(
        row,
        stored_under=row.id,
        format=probe.format,
        size=probe.size,
        seconds=probe.seconds,
        fps=probe.fps,
        has_audio=probe.has_audio,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        created_at=s.now(),
    )


async def _fetch_extras(
    s: Services, case: Case, provider: Provider, assets: tuple[Asset, ...], rows: list[VideoRow]
) -> list[AssetRow]:
    """The provider's own thumbnail and spritesheet, where it has them. Without them the video is no worse."""
    options = options_from_json(case.job.options_json)
    wanted = {Variant.THUMBNAIL: options.thumbnail, Variant.SPRITESHEET: options.spritesheet}
    done: list[AssetRow] = []
    for asset in assets:
        # Cut or scaled videos no longer look like the provider's pictures of them.
        if not wanted.get(asset.variant) or asset.n >= len(rows) or case.prepared.fit.of_video:
            continue
        row = rows[asset.n]
        try:
            with anyio.fail_after(EXTRA_TIMEOUT_S):
                got = await fetch_small(_opener(provider, asset), max_bytes=EXTRA_MAX_BYTES)
        except (RushesError, TimeoutError) as error:
            what = asset.variant.value
            await _warn(s, case, f"The provider's {what} could not be had ({error}); it is made here when needed.")
            continue
        name = THUMBNAIL if asset.variant is Variant.THUMBNAIL else SPRITESHEET
        if got.mime != MIMES[asset.variant]:
            continue  # another kind of file than its name says; ours is made when needed
        await s.media.put(video_key(row.id, name), got.data)
        done.append(
            AssetRow(
                video_id=row.id,
                variant=asset.variant.value,
                sha256=got.sha256,
                size_bytes=len(got.data),
                mime=MIMES[asset.variant],
                made_by="provider",
            )
        )
    return done


async def _finish(s: Services, case: Case, found: _Found) -> None:
    """Everything is home: complete the job, settle its hold, and say so, in one transaction."""
    now = s.now()
    case = await s.load(case.job.id)
    job = _with_adjustments(case, found)

    def work(connection: sa.Connection) -> None:
        for row in found.extras:
            shelf.save_asset(connection, row)
        for row in found.missing:
            shelf.drop_video(connection, row.id)
        end_job(connection, job, JobState.COMPLETED, ledger.total_cost(case.attempts), now, percent=100.0)

    await s.db.write(work)
    s.reached("job.completed")


def _with_adjustments(case: Case, found: _Found) -> Job:
    """The job, with a note if fewer videos were made than were paid for."""
    if not found.missing:
        return case.job
    made, asked = len(found.videos), len(found.videos) + len(found.missing)
    note = Adjustment(field="videos", asked=str(asked), given=str(made), why="the provider made fewer than asked")
    prepared = replace(case.prepared, adjustments=(*case.prepared.adjustments, note))
    return replace(case.job, prepared_json=prepared_to_json(prepared))


async def _move(s: Services, job: Job, state: JobState) -> None:
    now = s.now()

    def work(connection: sa.Connection) -> None:
        store.held_state(connection, job)
        current = store.job_by_id(connection, job.id)
        assert current is not None
        if current.state is state:
            return
        store.save_job(connection, ledger.moved(current, state, trouble=None))
        store.insert_event(connection, job.id, state.value, now)

    await s.db.write(work)


def _give_up(s: Services, case: Case, provider: Provider, error: RushesError, trouble: _Trouble) -> Failure | None:
    """Why there is no more hope of getting the file; None while there is."""
    trouble.rounds += 1
    if isinstance(error, StoreTrouble):
        return None  # our own trouble: it waits for a person to free some space, to give a right, to mend the network
    now, expires_at = s.now(), _expires_at(s, case, provider)
    patient = now < min(expires_at, trouble.since + timedelta(seconds=PATIENCE_S))
    if isinstance(error, AccessDenied | Vanished | Gone | Rejected | RequestError):
        trouble.expired += 1
        if trouble.expired >= EXPIRED_ROUNDS and not patient:
            return Failure("expired", f"The result could not be fetched any more: {error}")
    elif isinstance(error, DecoderFailed):
        # Perhaps this machine is short of memory just now: far more patience than with a file that was read and is bad.
        trouble.crashes += 1
        if trouble.crashes >= CRASH_ROUNDS and not patient:
            return Failure("bad_result", f"What the provider delivered cannot be read here: {error}")
    elif isinstance(error, MediaError) and not error.retryable:
        trouble.bad_files += 1
        if trouble.bad_files >= BAD_FILE_ROUNDS and not patient:
            return Failure("bad_result", f"What the provider delivered is no usable video: {error}")
    if now > expires_at + timedelta(seconds=AFTER_EXPIRY_S):
        return Failure("expired", f"The result could not be fetched before it expired: {error}")
    return None


def _expires_at(s: Services, case: Case, provider: Provider) -> datetime:
    """When the far side throws the result away, as far as it says."""
    remote, ended_at = case.last.remote, case.last.ended_at or s.now()
    if remote is not None and remote.expires_at is not None:
        return remote.expires_at
    return ended_at + timedelta(seconds=provider.promises.result_life_s or NO_EXPIRY_S)


def _pause_s(error: RushesError, trouble: _Trouble) -> float:
    asked = (error.retry_after_s if isinstance(error, ProviderError) else None) or 0.0
    longest_s = STORE_PAUSE_S if isinstance(error, StoreTrouble) else LONGEST_PAUSE_S
    return max(asked, min(longest_s, 0.5 * 2 ** min(trouble.rounds - 1, 8)))


async def _renew(s: Services, case: Case, provider: Provider) -> None:
    """Look at the job again: many providers hand out fresh links with each look."""
    assert case.last.remote is not None
    try:
        progress = await provider.poll(case.last.remote)
    except ProviderError as error:
        log.info("renew.failed", extra={"job": case.job.id, "cause": error.code})
        return
    if progress.status is Status.COMPLETED and progress.expires_at is not None:
        renewed = replace(case.last, remote=replace(case.last.remote, expires_at=progress.expires_at))

        def work(connection: sa.Connection) -> None:
            store.held_state(connection, case.job)
            store.save_attempt(connection, renewed)

        await s.db.write(work)


async def _fail(s: Services, case: Case, failure: Failure) -> None:
    now = s.now()
    case = await s.load(case.job.id)

    def work(connection: sa.Connection) -> None:
        end_job(connection, case.job, JobState.FAILED, ledger.total_cost(case.attempts), now, failure=failure)

    await s.db.write(work)
    await _clear_spool(s, case)


async def _tidy(s: Services, case: Case, provider: Provider) -> None:
    if case.last.remote is not None:
        provider.release(case.last.remote)
    await _clear_spool(s, case)
    await _forget_deleted(s, case)


async def _forget_deleted(s: Services, case: Case) -> None:
    """Of a job that was deleted while it ran, the books are kept and the files are not."""

    def work(connection: sa.Connection) -> list[str]:
        job = store.job_by_id(connection, case.job.id)
        if job is None or job.deleted_at is None:
            return []
        folders = {row.stored_under for row in shelf.videos_of(connection, job.id) if row.stored_under}
        return [folder for folder in folders if not shelf.users_of_files(connection, folder)]

    for folder in await s.db.read(work):
        await s.media.delete_all(video_prefix(folder))


async def _clear_spool(s: Services, case: Case) -> None:
    for left in s.spool.glob(f"{case.job.id}-*"):
        left.unlink(missing_ok=True)
