"""Callers against each other: nobody meets what is another's, and nobody spends more than his key allows."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from rushes.app import App
from rushes.gateway.auth import Doorkeeper
from rushes.gateway.gateway import Gateway
from rushes.gateway.server import application
from rushes.jobs import shelf
from rushes.jobs.keys import Grant, digest_of
from rushes.jobs.services import utc_now
from rushes.jobs.shelf import Character
from rushes.video import video_uuid
from tests.gateway.hostile import (
    AZURE,
    AZURE_JOBS,
    FOX,
    NATIVE,
    PAID,
    UNLIKE,
    bearer,
    jobs_of,
    refused,
    spoken,
    two,
)
from tests.gateway.running import Running

pytestmark = pytest.mark.anyio


# -- what is somebody else's --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    method: str
    path: str


def addresses(app: App) -> list[Address]:
    """Every route of the real application that names an object."""
    doorkeeper = Doorkeeper(app.keys, loopback=False)
    layer: Any = application(Gateway(app, doorkeeper, loopback=False), host="127.0.0.1")
    while not isinstance(layer, FastAPI):
        layer = next(value for name, value in _members(layer) if name in ("_app", "_inner"))
    found = [
        Address(method, context.path)
        for context in iter_route_contexts(layer.routes)
        for method in sorted(context.methods or ())
        if context.path and "{" in context.path
    ]
    assert len(found) > 60
    return found


def _members(layer: object) -> list[tuple[str, Any]]:
    slots = [name for kind in type(layer).__mro__ for name in getattr(kind, "__slots__", ())]
    return [(name, getattr(layer, name)) for name in (*getattr(layer, "__dict__", {}), *slots)]


NO_OBJECT = {"{name:path}", "{name}", "{provider}", "{deployment}"}


async def test_on_every_route_a_foreign_id_looks_just_like_an_unknown_one(tmp_path: Path) -> None:
    async with two(tmp_path / "home", works=True) as (gateway, one, other, _):
        client, app = gateway.client, gateway.app
        foreign = (await client.post("/v1/videos", json=FOX, headers=one)).json()["id"]
        with anyio.fail_after(60):
            while (await client.get(f"/v1/videos/{foreign}", headers=one)).json()["status"] != "completed":
                await anyio.sleep(0.05)
        character = await _character_of(app, one)
        unknown = f"video_{uuid4().hex}"
        tried = 0
        for address in addresses(app):
            names = {f"{{{part.partition('}')[0]}}}" for part in address.path.split("{")[1:]}
            if not names - NO_OBJECT:
                continue
            pairs = [(foreign, unknown), (str(video_uuid(foreign)), str(video_uuid(unknown)))]
            if "{character_id}" in names:
                pairs = [(character, f"char_{uuid4().hex}")]
            for theirs, nobodys in pairs:
                answers = [await _asked(client, address, each, other) for each in (theirs, nobodys)]
                assert _seen(answers[0], theirs) == _seen(answers[1], nobodys), address
                assert answers[0].status_code == (403 if address.path.endswith("/resolve") else 404), address
                tried += 1
        assert tried > 60
        assert (await client.get(f"/v1/videos/{foreign}/content", headers=one)).status_code == 200
        assert await jobs_of(gateway, other) == 0


async def _character_of(app: App, headers: dict[str, str]) -> str:
    key = await app.keys.by_digest(digest_of(headers["authorization"].removeprefix("Bearer ")))
    assert key is not None
    made = Character(
        id=f"char_{uuid4().hex}",
        owner=key.owner,
        provider="draft",
        account=app.providers.provider("draft").account,
        remote_id="remote-of-a-character",
        name="Rex",
        clip_sha256="0" * 64,
        created_at=utc_now(),
    )
    await app.db.write(lambda connection: shelf.insert_character(connection, made))
    return made.id


async def _asked(client: httpx2.AsyncClient, address: Address, text: str, headers: dict[str, str]) -> httpx2.Response:
    path = address.path.replace("{name}", "video.mp4").replace("{deployment}", "draft")
    for name in ("video_id", "job_id", "file_id", "generation_id", "character_id"):
        path = path.replace(f"{{{name}}}", text)
    assert "{" not in path, f"{path}: how is this one filled?"
    body = {"prompt": "Mine", "decision": "repay"} if address.method == "POST" else None
    return await client.request(address.method, path, json=body, headers=headers)


def _seen(answer: httpx2.Response, text: str) -> tuple[int, str, list[tuple[str, str]]]:
    kept = [(name, value) for name, value in answer.headers.items() if name not in UNLIKE]
    return answer.status_code, answer.text.replace(text, "ID"), kept


async def test_in_no_field_can_somebody_elses_object_be_named(tmp_path: Path) -> None:
    async with two(tmp_path / "home", works=True) as (gateway, one, other, _):
        client = gateway.client
        foreign = (await client.post("/v1/videos", json=FOX, headers=one)).json()["id"]
        with anyio.fail_after(60):
            while (await client.get(f"/v1/videos/{foreign}", headers=one)).json()["status"] != "completed":
                await anyio.sleep(0.05)
        character = await _character_of(gateway.app, one)
        await client.post("/v1/videos", json=FOX, headers=other)
        unknown = f"video_{uuid4().hex}"

        def ways(video: str, who: str) -> list[tuple[str, str, Any]]:
            sources = [("POST", "/api/generate", {"prompt": "x", kind: video}) for kind in ("remix", "edit", "extend")]
            return [
                *sources,
                ("POST", "/api/estimate", {"prompt": "x", "remix": video}),
                ("POST", "/v1/videos", {"prompt": "x", "remix_video_id": video}),
                ("POST", "/v1/videos/edits", {"prompt": "x", "video": {"id": video}}),
                ("POST", "/v1/videos/edits", {"prompt": "x", "video_id": video}),
                ("POST", "/v1/videos/extensions", {"prompt": "x", "seconds": "1", "video": {"id": video}}),
                ("POST", "/v1/videos", {**FOX, "characters": [{"id": who}]}),
                ("POST", "/v1/videos", {**FOX, "characters": [{"id": "remote-of-a-character"}]}),
                ("POST", "/v1/videos", {**FOX, "characters": [{"id": "Rex"}]}),
                ("GET", f"/v1/videos?after={video}", None),
                ("GET", f"/api/jobs?before={video}", None),
                ("GET", f"/api/videos?before={video}", None),
                ("GET", f"{AZURE_JOBS}?after={video}", None),
                ("GET", f"{AZURE_JOBS}?before={video}", None),
            ]

        nobody = f"char_{uuid4().hex}"
        for theirs, nobodys in zip(ways(foreign, character), ways(unknown, nobody), strict=True):
            answers = [
                await client.request(method, path, json=body, headers=other) for method, path, body in (theirs, nobodys)
            ]
            seen = [
                _seen(answers[0], foreign)[:2],
                _seen(answers[1], unknown)[:2],
            ]
            assert seen[0] == (seen[1][0], seen[1][1].replace(nobody, character)), theirs
            assert answers[0].status_code == 404, (theirs, answers[0].text)


async def test_no_cache_no_key_of_a_create_and_no_claim_of_a_repetition_crosses_owners(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, other, _):
        client = gateway.client
        told = {"idempotency-key": "order-1", "x-rushes-cache": "use"}
        mine = (await client.post("/v1/videos", json=FOX, headers={**one, **told})).json()["id"]

        for more in (told, {"x-stainless-retry-count": "1"}, {"x-rushes-cache": "use"}, {"x-rushes-cache": "refresh"}):
            theirs = await client.post("/v1/videos", json=FOX, headers={**other, **more})
            assert theirs.status_code == 200
            assert theirs.json()["id"] != mine

        assert await jobs_of(gateway, one) == 1


async def test_nobody_hears_of_somebody_elses_jobs(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, other, _):
        client = gateway.client
        async with client.stream("GET", "/api/events?after=0", headers=other) as stream:
            theirs = (await client.post("/v1/videos", json=FOX, headers=one)).json()["id"]
            own = (await client.post("/v1/videos", json=FOX, headers=other)).json()["id"]
            heard = ""
            with anyio.fail_after(10):
                async for piece in stream.aiter_text():
                    heard += piece
                    if own in heard:
                        break

        assert theirs not in heard
        assert str(video_uuid(theirs)) not in heard


async def test_a_key_without_the_right_reads_no_numbers_of_all(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, other, _):
        await gateway.client.post("/v1/videos", json=PAID, headers=one)

        assert (await gateway.client.get("/metrics", headers=other)).status_code == 403
        assert (await gateway.client.get("/api/spend?by=owner", headers=other)).status_code == 403
        spent = (await gateway.client.get("/api/spend", headers=other)).json()
        assert (spent["whose"], spent["total"]["jobs"]) == ("own", 0)


# -- money -------------------------------------------------------------------------------------------


async def test_of_a_hundred_creates_at_once_just_those_are_admitted_that_the_budget_pays(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, _, fake):
        answers = await at_once(gateway, 100, "/v1/videos", one, lambda n: {**PAID, "prompt": f"Fox {n}"})

        assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 90}
        for answer in answers:
            if answer.status_code == 429:
                error = await refused(gateway, answer, 429)
                assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
                assert answer.headers["x-should-retry"] == "false"
        spent = (await gateway.client.get("/api/spend", headers=one)).json()
        assert Decimal(spent["total"]["held_usd"]) == Decimal(4)
        assert fake.book.charged == 0


async def at_once(
    gateway: Running, n: int, path: str, headers: dict[str, str], body: Callable[[int], Any]
) -> list[httpx2.Response]:
    answers: list[httpx2.Response] = []

    async def ask(number: int) -> None:
        answers.append(await gateway.client.post(path, json=body(number), headers=headers))

    async with anyio.create_task_group() as tasks:
        for number in range(n):
            tasks.start_soon(ask, number)
    return answers


async def test_an_open_job_takes_one_of_the_places_of_a_key_however_many_come_at_once(tmp_path: Path) -> None:
    async with two(tmp_path / "home", Grant(most_open_jobs=3)) as (gateway, one, other, _):
        answers = await at_once(gateway, 30, "/api/generate", one, lambda n: {**NATIVE, "prompt": f"Fox {n}"})

        assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 27}
        assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} == {"5"}
        assert (await gateway.client.post("/v1/videos", json=FOX, headers=other)).status_code == 200


async def test_a_create_that_comes_thirty_times_at_once_under_one_key_is_one_job(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, _, _):
        same = {**one, "idempotency-key": "order-7"}
        answers = await at_once(gateway, 30, "/v1/videos", same, lambda _: PAID)

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        again = await gateway.client.post("/v1/videos", json={**PAID, "prompt": "A cat"}, headers=same)
        assert (await refused(gateway, again, 409))["code"] == "idempotency_key_reused"
        assert await jobs_of(gateway, one) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\xff\x80"])
async def test_a_key_of_a_create_that_is_none_is_refused(open_door: Running, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1")), (b"content-type", b"application/json")]
    answer = await open_door.client.post("/v1/videos", content=json.dumps(FOX), headers=headers)

    assert (await refused(open_door, answer, 400))["param"] == "Idempotency-Key"


async def test_a_repetition_after_its_job_was_deleted_buys_nothing(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, _, _):
        same = {**one, "idempotency-key": "order-9"}
        first = (await gateway.client.post("/v1/videos", json=FOX, headers=same)).json()["id"]
        await gateway.client.delete(f"/v1/videos/{first}", headers=one)

        again = await gateway.client.post("/v1/videos", json=FOX, headers=same)

        await refused(gateway, again, 404, 409, 410)
        assert await jobs_of(gateway, one) == 0


@pytest.mark.parametrize("count", [b"\xb2", b"\xb9\xb3", b"9" * 5000, b"-1", b"1e3", b"\xd9\xa1", b"", b"0x1", b"1, 2"])
async def test_a_count_of_repetitions_that_is_none_counts_as_none(open_door: Running, count: bytes) -> None:
    headers = [(b"x-stainless-retry-count", count), (b"content-type", b"application/json")]

    answer = await open_door.client.post("/v1/videos", content=json.dumps(FOX), headers=headers)

    assert answer.status_code == 200, answer.text


async def test_a_key_for_one_model_reaches_no_other_by_any_name(tmp_path: Path) -> None:
    only_cheap = Grant(models=("cheap",), budget_usd=Decimal(4))
    async with two(tmp_path / "home", only_cheap) as (gateway, one, _, _):
        client, paid = gateway.client, "openai:video:sora-2"
        native = {"prompt": "A fox", "width": 1280, "height": 720, "duration": 4}
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/v1/videos", PAID),
            ("/v1/videos", {**PAID, "model": paid}),
            ("/v1/videos", {**PAID, "model": " paid "}),
            ("/v1/videos", {**PAID, "model": "openai:video"}),
            ("/v1/videos", {**PAID, "model": "sora-2"}),
            ("/api/generate", {**native, "model": "paid"}),
            ("/api/generate", {**native, "model": "paid", "fallback": ["cheap"]}),
            (AZURE_JOBS, {**AZURE, "model": "paid"}),
            ("/openai/deployments/paid/video/generations/jobs", {**AZURE, "model": "cheap"}),
        ]
        for path, body in asked:
            answer = await client.post(path, json=body, headers=one)
            if answer.status_code == 200:  # left out beside a model that may be used
                assert answer.json().get("most_usd") is None
                continue
            await refused(gateway, answer, 400, 403, 404, 422)
        for row in await _routes(gateway.app):
            assert "openai:video" not in row, "a route of a job leads to a model that its key may not use"


async def test_a_key_for_one_model_cannot_fall_back_to_another(tmp_path: Path) -> None:
    only_cheap = Grant(models=("cheap",), budget_usd=Decimal(4))
    async with two(tmp_path / "home", only_cheap) as (gateway, one, _, _):
        native = {"prompt": "A fox", "width": 1280, "height": 720, "duration": 4, "model": "cheap"}
        told = {**native, "fallback": ["openai:video:sora-2-pro"]}
        # Draft has no such option, so the order would go to the other model at once.
        forced = {**told, "extra": {"quality": "hd"}}

        await gateway.client.post("/api/generate", json=told, headers=one)
        answer = await gateway.client.post("/api/generate", json=forced, headers=one)

        assert answer.status_code in (403, 422), answer.text
        for row in await _routes(gateway.app):
            assert "sora-2-pro" not in row, "a route of a job leads to a model that its key may not use"


async def _routes(app: App) -> list[str]:
    """What the jobs may buy, as the ledger has it."""
    return await app.db.read(
        lambda connection: [
            f"{row[0]} {row[1]}"
            for row in connection.exec_driver_sql("SELECT model, coalesce(routes_json, '') FROM jobs").all()
        ]
    )


@pytest.mark.parametrize("extra", [{"n": 10}, {"n_variants": 5}, {"duration": 60}, {"width": 3840, "height": 2160}])
async def test_no_option_of_a_provider_buys_more_than_is_held(tmp_path: Path, extra: dict[str, Any]) -> None:
    async with two(tmp_path / "home", Grant(budget_usd=Decimal("0.40"))) as (gateway, one, _, _):
        answer = await gateway.client.post("/v1/videos", json={**PAID, "extra": extra}, headers=one)

        await refused(gateway, answer, 400, 429)
        assert await jobs_of(gateway, one) == 0


@pytest.mark.parametrize("size", ["16384x16384", "99999x1", "1x99999", "1x1", "32000x16"])
async def test_a_size_that_no_video_has_is_refused_before_it_is_bought(tmp_path: Path, size: str) -> None:
    """What is bought nearly is scaled here to what was asked: so that has to be within reason."""
    async with two(tmp_path / "home") as (gateway, one, _, _):
        answer = await gateway.client.post("/v1/videos", json={**PAID, "size": size}, headers=one)

        assert (await refused(gateway, answer, 400))["param"] == "size"
        assert await jobs_of(gateway, one) == 0


async def test_what_is_refused_buys_nothing(tmp_path: Path) -> None:
    async with two(tmp_path / "home", works=True) as (gateway, one, _, fake):
        wrong: list[tuple[str, Any]] = [
            ("/v1/videos", {**PAID, "prompt": ""}),
            ("/v1/videos", {**PAID, "seconds": 5, "strict": True}),
            ("/v1/videos", {**PAID, "input_reference": {"image_url": "https://127.0.0.1/a.png"}}),
            ("/v1/videos", {**PAID, "n": 2}),
            ("/v1/videos", {**PAID, "seed": 2**64}),
            ("/api/generate", {"prompt": "x", "model": "paid", "width": 1280, "height": 720, "duration": 5}),
            ("/api/generate", {"prompt": "x", "model": "paid", "duration": 4, "max_cost_usd": "0.01"}),
            (AZURE_JOBS, {**AZURE, "model": "paid", "n_variants": 9}),
        ]
        for path, body in wrong:
            await refused(gateway, await gateway.client.post(path, json=body, headers=one), 400, 403, 422, 429)
        await anyio.sleep(0.3)  # a worker is there, and would have begun

        assert fake.book.charged == 0
        assert await jobs_of(gateway, one) == 0


# -- keys --------------------------------------------------------------------------------------------


async def test_a_key_that_ends_while_it_is_used_is_refused_within_five_seconds(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, other, _):
        app = gateway.app
        short = await app.keys.create("short", Grant(), expires_at=utc_now() + timedelta(seconds=1))
        assert (await gateway.client.get("/v1/videos", headers=bearer(short.secret))).status_code == 200
        assert (await gateway.client.get("/v1/videos", headers=one)).status_code == 200
        await app.keys.revoke("one")

        with anyio.fail_after(5):
            for headers in (one, bearer(short.secret)):
                while (await gateway.client.post("/v1/videos", json=FOX, headers=headers)).status_code != 401:
                    await anyio.sleep(0.1)
        assert (await gateway.client.get("/v1/videos", headers=other)).status_code == 200


async def test_a_stream_ends_with_its_key(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, _, _):
        with anyio.fail_after(6):
            async with gateway.client.stream("GET", "/api/events", headers=one) as stream:
                await gateway.app.keys.revoke("one")
                async for _ in stream.aiter_raw():
                    pass


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer \x00")],
        [(b"authorization", b"Basic dXNlcjpwYXNz")],
        [(b"authorization", b"Bearer " + b"x" * 20_000)],
        [(b"authorization", "Bearer \u00fc\u00ff".encode("latin-1"))],
        [(b"api-key", b"' OR 1=1 --")],
        [(b"authorization", b"Bearer rk_" + b"A" * 43)],
    ],
)
async def test_without_a_good_key_nothing_is_told(tmp_path: Path, headers: list[tuple[bytes, bytes]]) -> None:
    async with two(tmp_path / "home") as (gateway, _, _, _):
        if b"\x00" in b"".join(value for _, value in headers):
            said = b"GET /v1/videos HTTP/1.1\r\nHost: localhost\r\n" + b": ".join(headers[0]) + b"\r\n\r\n"
            assert (await spoken(gateway.url, said)).startswith(b"HTTP/1.1 400")
            return
        for path in ("/v1/videos", "/api/jobs", "/api/events", "/metrics", "/v1/models", AZURE_JOBS):
            answer = await gateway.client.get(path, headers=headers)
            await refused(gateway, answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "A" * 43 not in answer.text
