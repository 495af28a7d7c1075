"""Orders by the native API, for the tests of all its parts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx2

from rushes import config
from rushes.app import App
from rushes.jobs.keys import Grant
from tests.gateway.running import Running, over

FOX: dict[str, Any] = {"prompt": "A fox in the snow", "duration": 1, "width": 320, "height": 180}
PROBLEM = {"message", "type", "param", "code"}


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    """The error of an answer, in the one envelope."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == PROBLEM
    return error


async def ordered(gateway: Running, **fields: Any) -> str:
    """The id of a new job."""
    answer = await gateway.client.post("/api/generate", json={**FOX, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


async def ended(gateway: Running, job_id: str) -> dict[str, Any]:
    with anyio.fail_after(60):
        while True:
            found = (await gateway.client.get(f"/api/status/{job_id}")).json()
            if found["status"] in ("completed", "failed"):
                return found
            await anyio.sleep(0.05)


@asynccontextmanager
async def two_callers(home: Path) -> AsyncGenerator[tuple[Running, dict[str, str]]]:
    """A gateway whose client sends an admin's key, and the headers of somebody else, who may spend $5."""
    settings = config.load(environment={}, folder=home, home=str(home))
    async with App(settings, leave_worker=False) as app:
        admin = await app.keys.create("boss", Grant(admin=True))
        plain = await app.keys.create("plain", Grant(budget_usd=Decimal(5)))
        async with over(app, works=False, key=admin.secret) as served:
            yield served, {"authorization": f"Bearer {plain.secret}"}
