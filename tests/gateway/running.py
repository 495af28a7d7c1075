"""The gateway as tests run it: a real App in a home of its own, and the real server on a free port."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2

from rushes import config
from rushes.app import App
from rushes.gateway.listen import Listen
from rushes.gateway.process import Serving, serve_here

SHORT = {"size": "320x180", "seconds": "1"}
"""What `draft` renders in no time."""


@dataclass(frozen=True, slots=True)
class Running:
    app: App
    url: str
    client: httpx2.AsyncClient

    async def until_ended(self, video_id: str, within_s: float = 60.0) -> dict[str, Any]:
        """The Video object of a job that is over."""
        with anyio.fail_after(within_s):
            while True:
                video = (await self.client.get(f"/v1/videos/{video_id}")).json()
                if video["status"] in ("completed", "failed"):
                    return video
                await anyio.sleep(0.05)


@asynccontextmanager
async def running(
    home: Path,
    toml: str = "",
    *,
    works: bool = True,
    key: str | None = None,
    environment: dict[str, str] | None = None,
    port: int = 0,
) -> AsyncGenerator[Running]:
    """Serve over a new App. `key` is sent by the client."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "rushes.toml").write_text(toml, encoding="utf-8")
    settings = config.load(environment=environment or {}, folder=home, home=str(home))
    async with App(settings, leave_worker=False) as app, over(app, works=works, key=key, port=port) as served:
        yield served


@asynccontextmanager
async def over(
    app: App, *, works: bool = True, key: str | None = None, port: int = 0, trust_proxy: bool = False
) -> AsyncGenerator[Running]:
    """Serve over an App that is open. With `trust_proxy` others than this machine's programs count as callers."""
    urls: list[str] = []
    up = anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        up.set()

    failed: Exception | None = None
    async with anyio.create_task_group() as tasks:
        serving = Serving(listen=Listen(port=port), works=works, trust_proxy=trust_proxy)
        tasks.start_soon(serve_here, app, serving, ready)
        await up.wait()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(base_url=urls[0], headers=headers, timeout=30, trust_env=False) as client:
            try:
                yield Running(app, urls[0], client)
            except Exception as error:
                failed = error  # raised below, so that it does not come wrapped into a group
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed
