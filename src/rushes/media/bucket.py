"""Buckets: how they are opened, and what they say when something is wrong, in our words.

The usual variables simply work, from the environment or from `.env`: `AWS_*`, `GOOGLE_*`, `AZURE_*`, whichever obstore
knows. It reads the environment of the process by itself, so what we hand over is what the settings know besides.

obstore's own messages hold whole addresses, which may be signed, and pages of debugging details. So none of its text
is passed on but the status and the server's code and sentence.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import obstore
import obstore.store
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)

from rushes.config import Settings
from rushes.errors import MediaError, StoreAway, StoreFull, StoreRefused
from rushes.http import proxy_for
from rushes.media.disk import store_error

VARIABLES = {
    "s3": "AWS_",
    "s3a": "AWS_",
    "gs": "GOOGLE_",
    "az": "AZURE_",
    "azure": "AZURE_",
    "adl": "AZURE_",
    "abfs": "AZURE_",
    "abfss": "AZURE_",
}
"""The kinds of bucket, with how the names of their variables begin."""

KEYS = {
    "AWS_": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "GOOGLE_": "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")

CLIENT = {"connect_timeout": timedelta(seconds=5), "read_timeout": timedelta(seconds=30)}
# Of a whole request: a part of 8 MB takes that long at half a megabit a second. A long read is one of many requests.
REQUEST_TIMEOUT = timedelta(seconds=120)
RETRIES = 3
"""Few: whoever calls waits and tries again by himself, and tells what is wrong meanwhile."""
RETRY_TIMEOUT = timedelta(seconds=20)
BACKOFF: Any = {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=3), "base": 2}

PART_BYTES = 8 << 20
PARTS_AT_ONCE = 4  # times the part size is the memory that one upload may take
STOPPING_S = 10.0

FULL_CODES = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge"})
NO_BUCKET_CODES = frozenset({"NoSuchBucket", "ContainerNotFound"})
KEY_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthenticationFailed"}
)
METADATA_HOSTS = ("169.254.", "metadata.google.internal")
"""Where a machine in a cloud is given its keys. Asked only when none were set."""


def opened(where: str, settings: Settings | None, retries: int) -> Any:
    """The store of obstore behind a bucket's URL. Raises MediaError for what can never work; connects to nothing."""
    scheme = where.partition("://")[0].lower()
    if scheme == "memory":
        return obstore.store.MemoryStore()
    prefix = VARIABLES.get(scheme)
    address = urlsplit(where)
    if prefix is None or not address.hostname:
        raise MediaError(
            f"The media store {where} cannot be opened: RUSHES_MEDIA_URL is a folder, or s3://BUCKET, gs://BUCKET or "
            f"az://CONTAINER, with a path behind it if wanted."
        )
    if address.password or address.query:
        raise MediaError(
            f"The media store {scheme}://{address.hostname} cannot be opened: its URL may hold no keys. "
            f"Set {KEYS[prefix]}."
        )
    environment: Mapping[str, str] = settings.environment if settings else {}
    try:
        config = _known(where, {name: text for name, text in environment.items() if name.upper().startswith(prefix)})
        return obstore.store.from_url(
            where,
            config=config,
            client_options=_client(environment, settings),
            retry_config={"max_retries": retries, "retry_timeout": RETRY_TIMEOUT, "backoff": BACKOFF},
        )
    except (BaseError, ValueError) as error:
        words = _first_line(error)
        raise MediaError(f"The media store {where} cannot be opened: {words} Set {KEYS[prefix]}.") from error


def _known(where: str, variables: Mapping[str, str]) -> Any:
    """Those of these variables that obstore knows; others of the same beginning are somebody else's."""
    known: dict[str, Any] = {}
    for name, text in variables.items():
        if not text.strip():
            continue
        variable: Any = {name: text}
        try:
            obstore.store.from_url(where, config=variable)
        except UnknownConfigurationKeyError:
            continue
        except (BaseError, ValueError):
            pass  # it is known, and wrong or not enough alone: opening with all of them will tell
        known[name] = text
    return known


def _client(environment: Mapping[str, str], settings: Settings | None) -> Any:
    endpoint = next((environment[name] for name in ENDPOINTS if environment.get(name)), "")
    options: dict[str, Any] = {**CLIENT, "timeout": REQUEST_TIMEOUT}
    if endpoint.lower().startswith("http://"):
        options["allow_http"] = True  # it was asked for by name, as the vendors' own tools understand it
    if proxy := proxy_for(endpoint or "https://bucket.invalid", environment):
        options["proxy_url"] = proxy
    if settings is not None and settings.network.ca_file:
        options["root_certificate"] = _certificates(Path(settings.network.ca_file).expanduser())
    return options


def _certificates(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}. RUSHES_CA_FILE names certificates.") from error


class _Stopped(Exception):
    """An upload was told to end."""


class _Parts:
    """The parts of a file, for an upload that can be told to end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stopped = False

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while data := file.read(PART_BYTES):
                if self.stopped:
                    raise _Stopped
                yield data
        if self.stopped:
            raise _Stopped


async def upload(store: Any, key: str, path: Path, mime: str | None) -> None:
    """Write a local file under a key, whole or not at all: one request for a small one, parts for a large one.

    An upload that fails, or is cancelled, takes its parts out of the bucket again; one that is killed cannot. Raises
    what obstore raises, and OSError.
    """
    attributes: Any = {"Content-Type": mime} if mime else None
    if path.stat().st_size <= PART_BYTES:
        await obstore.put_async(store, key, path.read_bytes(), attributes=attributes)
        return
    parts, ended, failed = _Parts(path), anyio.Event(), list[Exception]()
    shield = anyio.CancelScope(shield=True)

    async def write() -> None:
        # Shielded: obstore forgets a cancelled upload together with its parts, and they would be paid for for ever.
        with shield:
            try:
                await obstore.put_async(
                    store,
                    key,
                    parts,
                    attributes=attributes,
                    use_multipart=True,
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
            except Exception as error:
                failed.append(error)
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        try:
            await ended.wait()
        except anyio.get_cancelled_exc_class():
            parts.stopped = True
            with anyio.move_on_after(STOPPING_S, shield=True):
                await ended.wait()
            shield.cancel()
            raise
    if failed:
        raise failed[0]


async def confirm(store: Any, address: str) -> None:
    """Raise StoreRefused when there is no such bucket. One that may not be listed by us counts as there."""
    try:
        async for _ in obstore.list(store, "checks", chunk_size=1):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            return
    except (OSError, BaseError) as error:
        if _code(str(error)) in NO_BUCKET_CODES:
            raise bucket_error(error, address) from error


def check_room(path: Path, needed_bytes: int) -> None:
    """Raise StoreFull when a file of this size would not fit at a place on this machine."""
    folder = next((each for each in path.parents if each.is_dir()), path.parent)
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # a file system that does not tell; writing will
    if needed_bytes > free:
        raise StoreFull(
            f"A copy out of the bucket needs {needed_bytes >> 20} MB, but {folder} has {free >> 20} MB free. Free some "
            f"space (rushes videos gc shows what can go), or set RUSHES_HOME to a larger disk."
        )


def bucket_error(error: Exception, address: str) -> MediaError:
    """What obstore said about a place in a bucket, as a MediaError that says what to do. Pure."""
    text = str(error)
    status = int(match[1]) if (match := re.search(r"non-2xx status code: (\d{3})", text)) else None
    code = _code(text)
    words = _answer(status, code, text)
    if code in NO_BUCKET_CODES:
        return StoreRefused(f"There is no bucket for {address}. Make it, or correct RUSHES_MEDIA_URL.")
    if isinstance(error, FileNotFoundError) or (status == 404 and not code):
        return MediaError(f"{address} is not in the media store.")
    if any(host in text for host in METADATA_HOSTS):
        names = KEYS.get(VARIABLES.get(address.partition("://")[0], ""), "its keys")
        return StoreRefused(f"No keys are set for the media store {address}. Set {names}.")
    if status == 507 or code in FULL_CODES:
        return StoreFull(f"The media store takes no more at {address}: {words}. Free some space, or raise its quota.")
    if code in KEY_CODES or status == 401 or isinstance(error, UnauthenticatedError):
        return StoreRefused(f"The media store refuses our keys at {address}: {words}. Correct them.")
    if status == 403 or isinstance(error, PermissionDeniedError):
        return StoreRefused(
            f"The media store refuses {address}: {words}. Correct its keys, or give them the right to list, read, "
            f"write and delete there."
        )
    if "redirect" in text:
        return StoreRefused(f"The media store refuses {address}: the bucket lies in another region. Set AWS_REGION.")
    if status is not None and status < 500 and status not in (408, 429):
        return StoreRefused(f"The media store refuses {address}: {words}.")
    if status is not None:
        return StoreAway(f"The media store is overloaded or down at {address}: {words}. It is tried again.")
    return StoreAway(f"The media store cannot be reached at {address}: {words}. Check the network, and its address.")


def folder_error(error: Exception, path: Path, address: str) -> MediaError:
    """The same for a folder that obstore reads: it tells what the system said only in its text. Pure."""
    if isinstance(error, OSError) and error.errno is not None:
        return store_error(error, path)
    if match := re.search(r"\(os error (\d+)\)", str(error)):
        number = int(match[1])
        return store_error(OSError(number, os.strerror(number)), path)
    return StoreRefused(f"The media store failed at {address}: {_first_line(error)}")


def _code(text: str) -> str:
    return match[1] if (match := re.search(r"<Code>([A-Za-z0-9]+)</Code>", text)) else ""


def _answer(status: int | None, code: str, text: str) -> str:
    """The server's words, and no more of the error's text than is known to hold no secret. Pure."""
    if status is None:
        return match[1] if (match := re.search(r"HTTP error: ([A-Za-z ]{3,60})", text)) else "no answer"
    message = match[1] if (match := re.search(r"<Message>([^<]{1,200})", text)) else ""
    said = ": ".join(part for part in (code, " ".join(message.split()).rstrip(".")) if part)
    return f"HTTP {status}" + (f", {said}" if said else "")


def _first_line(error: Exception) -> str:
    """Only for errors of opening, which name settings and no addresses."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return line.rstrip(".") + "."
