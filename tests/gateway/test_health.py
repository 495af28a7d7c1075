"""Health and readiness: what each looks at, and what it says when something is away."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from rushes import config
from rushes.app import App
from rushes.errors import DatabaseAway
from rushes.gateway.health import Checked
from rushes.jobs.keys import Grant
from rushes.version import VERSION
from tests.gateway.running import Running, over, running

pytestmark = pytest.mark.anyio


async def until_ready(gateway: Running) -> None:
    with anyio.fail_after(30):
        while (await gateway.client.get("/ready")).status_code != 200:
            await anyio.sleep(0.05)


async def test_health_tells_the_time_and_the_version(idle_gateway: Running) -> None:
    answer = await idle_gateway.client.get("/health")
    found = answer.json()

    assert answer.status_code == 200
    assert set(found) == {"status", "timestamp", "version"}
    assert (found["status"], found["version"]) == ("healthy", VERSION)
    at = datetime.fromisoformat(found["timestamp"])
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_gateway_that_works_becomes_ready(gateway: Running) -> None:
    await until_ready(gateway)

    assert (await gateway.client.get("/ready")).json()["reasons"] == []


async def test_it_is_not_ready_while_nobody_works(idle_gateway: Running) -> None:
    answer = await idle_gateway.client.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not_ready"
    assert answer.json()["reasons"] == ["Nobody works on the jobs. Start a worker: rushes worker"]


async def test_a_worker_elsewhere_is_enough(idle_gateway: Running) -> None:
    async with App(idle_gateway.app.settings, leave_worker=False) as other:
        other.work()

        await until_ready(idle_gateway)


async def test_without_its_media_folder_it_lives_and_is_not_ready(tmp_path: Path) -> None:
    async with running(tmp_path / "home") as gateway:
        folder = gateway.app.media.folder
        assert folder is not None
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("in the way")

        answer = await gateway.client.get("/ready")

        assert answer.status_code == 503
        assert "The media store cannot be used. The log says why." in answer.json()["reasons"]
        assert str(folder) not in answer.text
        assert (await gateway.client.get("/health")).status_code == 200


async def test_with_another_releases_tables_it_is_not_ready(gateway: Running) -> None:
    await gateway.app.db.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'"))

    answer = await gateway.client.get("/ready")

    assert answer.status_code == 503
    assert any("tables are at 0001" in reason for reason in answer.json()["reasons"])


async def test_neither_asks_for_a_key(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    async with App(settings, leave_worker=False) as app:
        await app.keys.create("somebody", Grant())
        async with over(app) as gateway:
            assert (await gateway.client.get("/health")).status_code == 200
            assert (await gateway.client.get("/ready")).status_code in (200, 503)
            assert (await gateway.client.get("/api/jobs")).status_code == 401


async def test_what_was_found_is_believed_for_a_while_and_looked_at_once_by_many() -> None:
    looks: list[float] = []

    async def look() -> str | None:
        looks.append(anyio.current_time())
        await anyio.sleep(0.05)
        return None

    check = Checked(look, "database", good_s=0.2)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(check.trouble)
    assert len(looks) == 1

    await anyio.sleep(0.3)
    assert await check.trouble() is None
    assert len(looks) == 2


async def test_trouble_is_told_without_its_details() -> None:
    async def look() -> str | None:
        raise DatabaseAway("postgresql://db.internal does not answer")

    assert await Checked(look, "database", good_s=1).trouble() == "The database cannot be used. The log says why."
