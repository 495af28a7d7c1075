"""The live test itself: create, look until it ends, fetch, measure, and fail a little where that costs nothing.

The job is in no database of ours: who buys it is told its remote id at once, and looks after it.
"""

import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from rushes.config import Settings
from rushes.errors import AccessDenied, ProviderError, RushesError, Vanished
from rushes.http import Http
from rushes.jobs.polling import Pace, next_look_s
from rushes.media.children import Children
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.registry import Registry
from rushes.providers.terms import Asset, Promises, RemoteJob, Variant
from rushes.testing.bench import Inputs
from rushes.testing.live.record import Record, trouble_in_words, watched
from rushes.testing.live.report import Findings, Link, Refusal
from rushes.video import Progress, Status

NO_SUCH_JOB = "rushes-live-no-such-job"
WRONG_KEY = "rushes-live-test-of-a-wrong-key"
LOOK_FAILURES = 5
"""So many failed looks in a row end the test: the job goes on, and can be found by its id."""

Say = Callable[[str], None]


@asynccontextmanager
async def registry_of(settings: Settings, folder: Path) -> AsyncGenerator[tuple[Registry, Inputs]]:
    """All providers as the settings have them, without a database behind."""
    http = Http(settings)
    inputs = Inputs(folder)
    try:
        async with Children(environment=settings.environment) as children, anyio.create_task_group() as tasks:

            def start_soon(work: Callable[..., Awaitable[Any]], *arguments: object) -> None:
                tasks.start_soon(_awaiting, work, arguments)

            yield Registry(settings, http, folder, inputs.read, inputs.path, children, start_soon), inputs
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] if len(group.exceptions) == 1 else group  # noqa: B904 - "from" would lose its cause
    finally:
        with anyio.move_on_after(5, shield=True):
            await http.aclose()


async def _awaiting(work: Callable[..., Awaitable[Any]], arguments: tuple[object, ...]) -> None:
    await work(*arguments)


async def try_out(
    provider: Provider, prepared: Prepared, out: Path, record: Record, *, most_s: float, say: Say
) -> Findings:
    """Buy the clip and see what happens. What goes wrong is part of what is found."""
    provider = watched(provider, record)
    found = Findings()
    await _compare(provider, prepared, found)
    started = time.monotonic()
    remote = await _create(provider, prepared, found, say)
    if remote is not None:
        found.remote_id = remote.id
        progress = await _until_ended(provider, remote, found, record, started + most_s, say)
        found.took_s = round(time.monotonic() - started, 1)
        if progress is not None:
            found.progress, found.told_usd = progress, told_usd(progress)
        if progress is not None and progress.status is Status.COMPLETED:
            await _fetch(provider, remote, out, found)
    await _fail_a_little(provider, found)
    return found


async def _compare(provider: Provider, prepared: Prepared, found: Findings) -> None:
    """What the vendor publishes of the model, held against our table: before anything is bought."""
    try:
        told = await provider.complaints(provider.context.model(prepared.request.model))
    except RushesError as error:
        told = (f"it could not be read ({error})",)
    found.troubles += [f"The vendor's description of the model: {words}" for words in told]


def told_usd(progress: Progress) -> Decimal | None:
    return progress.billed_usd.normalize() if progress.billed_usd is not None else None


async def _create(provider: Provider, prepared: Prepared, found: Findings, say: Say) -> RemoteJob | None:
    try:
        await provider.bring(prepared)
        await provider.turn_to_create()
        remote = await provider.submit(prepared, str(uuid.uuid4()))
    except RushesError as error:
        refused = isinstance(error, ProviderError) and error.proves_refusal
        found.outcome = "refused" if refused or not isinstance(error, ProviderError) else "in doubt"
        words = "" if found.outcome == "refused" else " It may have been accepted: look into the account."
        found.troubles.append(f"The create failed. {trouble_in_words(error, provider.key)}.{words}")
        return None
    say(f"Accepted as {remote.id}.")
    return remote


async def _until_ended(
    provider: Provider, remote: RemoteJob, found: Findings, record: Record, until: float, say: Say
) -> Progress | None:
    promises: Promises = provider.promises
    least_s, created, failures, looks = promises.poll_least_s, time.monotonic(), 0, 0
    wait_s = max(1.0, least_s)
    fixed_ms = provider.context.section.poll_interval_ms
    while time.monotonic() + wait_s < until:
        await anyio.sleep(wait_s)
        try:
            progress = await provider.poll(remote)
        except ProviderError as error:
            failures += 1
            found.troubles.append(f"A look failed. {trouble_in_words(error, provider.key)}.")
            if failures == LOOK_FAILURES or not error.retryable:
                found.outcome = "not seen to its end"
                return None
            wait_s = next_look_s(Pace(elapsed_s=0.0, troubles=failures, retry_after_s=error.retry_after_s))
            continue
        failures, looks = 0, looks + 1
        record.taken_for(progress.status)
        found.tells_percent = found.tells_percent or (progress.percent is not None and not progress.status.final)
        if progress.status.final:
            found.outcome = progress.status.value
            return progress
        percent = "" if progress.percent is None else f" {progress.percent:.0f} %"
        say(f"{progress.status.value}{percent}")
        elapsed_s = time.monotonic() - created
        wait_s = next_look_s(
            Pace(
                elapsed_s=elapsed_s,
                looks=looks,
                poll_after_s=progress.poll_after_s,
                least_s=least_s,
                fixed_s=fixed_ms / 1000 if fixed_ms else None,
            )
        )
    found.outcome = "not seen to its end"
    found.troubles.append(f"The job {remote.id} had not ended when the time was up. It goes on, and is billed.")
    return None


async def _fetch(provider: Provider, remote: RemoteJob, out: Path, found: Findings) -> None:
    """Bring the clip home and measure it."""
    try:
        assets = await provider.assets(remote)
        asset = next(each for each in assets if each.variant is Variant.VIDEO)
        async with provider.open(asset) as body:
            data = b"".join([chunk async for chunk in body.chunks])
        await anyio.Path(out).write_bytes(data)
        found.probe = await provider.context.children.probe(out)
    except StopIteration:
        found.troubles.append("The job is done, and names no video.")
        return
    except RushesError as error:
        found.troubles.append(f"The clip could not be had. {trouble_in_words(error, provider.key)}.")
        return
    found.links.append(await _link(provider, asset))


async def _link(provider: Provider, asset: Asset) -> Link:
    """Where it lay, and whether it could be had without a key. Costs nothing."""
    if asset.file is not None or asset.inline is not None:
        return Link(host="the answer itself" if asset.inline is not None else "this machine", needs_key=False)
    own = asset.path is not None or provider.api.owns(asset.url or "")
    host = urlsplit(provider.api.base_url if asset.path is not None else asset.url or "").netloc.rpartition("@")[2]
    if not own:
        return Link(host=host, needs_key=False)  # it was fetched without one

    async def no_key() -> Mapping[str, str]:
        return {}

    bare = provider.context.http.api(provider.api.base_url, {}, no_key)
    try:
        async with bare.stream(asset.path or asset.url or "", step="download", params=asset.params) as body:
            await anext(body.chunks, b"")
    except AccessDenied:
        return Link(host=host, needs_key=True)
    except RushesError:
        return Link(host=host, needs_key=None)
    return Link(host=host, needs_key=False)


async def _fail_a_little(provider: Provider, found: Findings) -> None:
    """Looks that must be refused: at a job that is not there, and with a key that is none."""
    nobody = RemoteJob(id=NO_SUCH_JOB)
    if not provider.needs_key:
        return
    found.refusals.append(await _refused(provider, nobody, "a look at a job that is not there", Vanished))
    if not provider.key:
        return
    context = provider.context
    section = context.section.model_copy(update={"api_key": SecretStr(WRONG_KEY), "api_key_env": None})
    settings = replace(context.settings, providers={**context.settings.providers, context.name: section})
    stranger = type(provider).__mro__[1](replace(context, settings=settings))
    remote = RemoteJob(id=found.remote_id) if found.remote_id else nobody
    found.refusals.append(await _refused(stranger, remote, "a look with a wrong key", AccessDenied))


async def _refused(provider: Provider, remote: RemoteJob, call: str, expected: type[RushesError]) -> Refusal:
    try:
        progress = await provider.poll(remote)
    except RushesError as error:
        # Subclasses that say the same: what counts is how the engine will take it.
        name = expected.__name__ if isinstance(error, expected) else type(error).__name__
        words = trouble_in_words(error, provider.key).partition(": ")[2]
        return Refusal(call=call, expected=expected.__name__, seen=f"{name}: {words}")
    return Refusal(call=call, expected=expected.__name__, seen=f"it was answered with {progress.status.value}")
