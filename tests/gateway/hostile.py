"""What the tests against hostile callers share: two keys that share nothing, bodies, and what a refusal may say."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2

from rushes import config
from rushes.app import App
from rushes.jobs.keys import Grant
from rushes.testing.fake_openai import FakeOpenAI
from tests.gateway.running import SHORT, Running, over

FREELY = "[gateway]\nrequests_per_second = 100000\nrequests_burst = 100000\n"
NAMES = '[aliases]\npaid = "openai:video:sora-2"\ncheap = "draft"\n'
FOX: dict[str, Any] = {"prompt": "A fox", **SHORT, "model": "draft"}
PAID: dict[str, Any] = {"prompt": "A fox", "size": "1280x720", "seconds": "4", "model": "paid"}  # $0.40
NATIVE: dict[str, Any] = {"prompt": "A fox", "width": 320, "height": 180, "duration": 1, "model": "draft"}
AZURE: dict[str, Any] = {"prompt": "A fox", "width": 480, "height": 480, "n_seconds": 1, "model": "draft"}
AZURE_JOBS = "/openai/v1/video/generations/jobs"
JSON = {"content-type": "application/json"}
LONG = "where-this-machine-keeps-its-things-" * 3
"""Long paths are told in part, and no search finds those."""
UNLIKE = ("date", "x-request-id", "openai-processing-ms")
"""Headers that differ between any two answers."""


class Two(NamedTuple):
    """A gateway over a paid provider, which books what is bought, and two keys that share nothing."""

    gateway: Running
    one: dict[str, str]
    other: dict[str, str]
    fake: FakeOpenAI


@asynccontextmanager
async def two(home: Path, grant: Grant | None = None, *, works: bool = False) -> AsyncGenerator[Two]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "rushes.toml").write_text(FREELY + NAMES, encoding="utf-8")
    with FakeOpenAI(job_s=0.1) as fake:
        known = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
        settings = config.load(environment=known, folder=home, home=str(home))
        async with App(settings, leave_worker=False) as app:
            one = await app.keys.create("one", grant or Grant(budget_usd=Decimal(4)))
            other = await app.keys.create("other", grant or Grant(budget_usd=Decimal(4)))
            async with over(app, works=works) as gateway:
                yield Two(gateway, bearer(one.secret), bearer(other.secret), fake)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def refused(gateway: Running, answer: httpx2.Response, *statuses: int) -> dict[str, Any]:
    """The error of an answer: one of these statuses, short, without a word about this machine, and nothing left."""
    assert answer.status_code in statuses, answer.text[:300]
    told = cast(dict[str, Any], answer.json())
    error = told.get("error", told)
    for secret in (str(gateway.app.settings.home), "Traceback", ".py", "/home", "spool", ".tmp"):
        assert secret not in answer.text, answer.text[:300]
    assert len(answer.content) < 10_000
    assert list((gateway.app.settings.home / "spool").iterdir()) == []
    return cast(dict[str, Any], error)


async def jobs_of(gateway: Running, headers: dict[str, str] | None = None) -> int:
    return len((await gateway.client.get("/v1/videos?limit=100", headers=headers or {})).json()["data"])


async def spoken(url: str, said: bytes, within_s: float = 10.0) -> bytes:
    """What a server says to these bytes until it hangs up, or says nothing for a while."""

    def talk() -> bytes:
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=within_s) as line:
            line.sendall(said)
            told = b""
            try:
                while piece := line.recv(65536):
                    told += piece
                    line.settimeout(0.15)
            except (TimeoutError, ConnectionError):
                pass
            return told

    return await anyio.to_thread.run_sync(talk)
