"""The metrics: what is counted, by which names, who may read it, and what counting costs."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event

from rushes import config
from rushes.app import App
from rushes.gateway.metrics import Measured
from rushes.jobs.keys import Grant
from tests.gateway.orders import ordered
from tests.gateway.running import Running, over

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, metric: str, **labels: str) -> float:
    return samples[metric, frozenset(labels.items())]


async def scraped(gateway: Running) -> Samples:
    answer = await gateway.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return read(answer.text)


async def test_jobs_are_counted_by_model_and_what_became_of_them(gateway: Running) -> None:
    done = await ordered(gateway)
    await gateway.until_ended(done)
    await gateway.until_ended(await ordered(gateway, cache="use"))
    failed = await ordered(gateway, extra={"fail": "moderation"})
    await gateway.until_ended(failed)
    waiting = await ordered(gateway, extra={"latency_s": 3600})
    await gateway.client.post(f"/api/jobs/{waiting}/cancel")
    await gateway.until_ended(waiting)
    size_bytes = len((await gateway.client.get(f"/api/download/{done}")).content)

    samples = await scraped(gateway)

    for outcome in ("completed", "cached", "moderated", "cancelled"):
        assert value(samples, "rushes_jobs_total", model="draft", outcome=outcome) == 1, outcome
    assert value(samples, "rushes_generation_seconds_count", model="draft") == 1
    assert value(samples, "rushes_generation_seconds_bucket", model="draft", le="3600.0") == 1
    assert 0 < value(samples, "rushes_generation_seconds_sum", model="draft") < 60
    assert value(samples, "rushes_storage_bytes", kind="video") == size_bytes, "shared files count once"
    assert value(samples, "rushes_settled_usd", provider="draft") == 0


async def test_the_queue_is_told_with_the_age_of_its_oldest_job(idle_gateway: Running) -> None:
    for seed in range(3):
        await ordered(idle_gateway, seed=seed)

    samples = await scraped(idle_gateway)

    assert value(samples, "rushes_jobs_open", state="queued") == 3
    assert value(samples, "rushes_jobs_open", state="needs_attention") == 0
    assert 0 < value(samples, "rushes_queue_oldest_seconds") < 60


async def test_requests_are_counted_by_the_template_of_their_route(idle_gateway: Running) -> None:
    job_id = await ordered(idle_gateway)
    for form in (job_id, "video_" + job_id.replace("-", "")):
        await idle_gateway.client.get(f"/api/status/{form}")
    await idle_gateway.client.get("/api/status/nothing")
    await idle_gateway.client.get("/nowhere/at/all")

    answer = await idle_gateway.client.get("/metrics")
    samples = read(answer.text)

    route = "/api/status/{job_id}"
    assert value(samples, "rushes_http_requests_total", method="GET", route=route, status="200") == 2
    assert value(samples, "rushes_http_requests_total", method="GET", route=route, status="404") == 1
    assert value(samples, "rushes_http_requests_total", method="GET", route="none", status="404") == 1
    assert value(samples, "rushes_http_request_seconds_count", method="GET", route=route) == 3
    assert value(samples, "rushes_http_request_seconds_bucket", method="GET", route=route, le="+Inf") == 3
    assert value(samples, "rushes_http_requests_under_way") == 1, "this one"
    assert job_id not in answer.text
    assert "nowhere" not in answer.text


async def test_only_an_admin_reads_them_where_there_are_keys(tmp_path: Path) -> None:
    settings = config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))
    async with App(settings, leave_worker=False) as app:
        plain = (await app.keys.create("plain", Grant())).secret
        admin = (await app.keys.create("admin", Grant(admin=True))).secret
        async with over(app, works=False, key=admin) as gateway:
            statuses = [
                (await gateway.client.get("/metrics", headers={"authorization": header})).status_code
                for header in ("", f"Bearer {plain}", f"Bearer {admin}")
            ]

    assert statuses == [401, 403, 200]


async def test_the_ledger_is_counted_once_for_many_scrapes(idle_gateway: Running) -> None:
    counted: list[str] = []

    def note(*arguments: Any) -> None:
        if "failure_code" in arguments[2] and "GROUP BY" in arguments[2]:
            counted.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(idle_gateway.client.get, "/metrics")
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len(counted) == 1


# -- the door ------------------------------------------------------------------------------------------


async def asked(measured: Measured, **scope: Any) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    await measured({"type": "http", "method": "GET", "path": "/", **scope}, receive, send)


def told(measured: Measured) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in measured.families()
        for sample in family.samples
    }


async def test_an_answer_is_timed_until_it_begins() -> None:
    async def slow_to_end(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep(0.3)
        await send({"type": "http.response.body", "body": b""})

    measured = Measured(slow_to_end)
    await asked(measured)

    assert value(told(measured), "rushes_http_request_seconds_sum", method="GET", route="none") < 0.25


async def test_a_handler_that_breaks_counts_as_500_and_a_strange_method_as_other() -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    measured = Measured(broken)
    with pytest.raises(ZeroDivisionError):
        await asked(measured, method="BREW")

    samples = told(measured)
    assert value(samples, "rushes_http_requests_total", method="other", route="none", status="500") == 1
    assert value(samples, "rushes_http_requests_under_way") == 0
