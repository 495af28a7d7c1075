"""The native API's jobs, library, models and spending: who sees what, and who may decide."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from rushes.app import App
from rushes.jobs import ledger, purse, store
from rushes.jobs.ledger import JobState
from tests.gateway.orders import FOX, ended, ordered, problem, two_callers
from tests.gateway.running import Running

pytestmark = pytest.mark.anyio

# -- jobs ------------------------------------------------------------------------------------------------


async def test_jobs_are_listed_newest_first_by_status_words_tags_and_pages(idle_gateway: Running) -> None:
    client = idle_gateway.client
    ids = [await ordered(idle_gateway, seed=n, prompt=f"Fox {n}", tags=["odd"] if n % 2 else []) for n in range(5)]

    async def listed(**query: str | int) -> list[str]:
        answer = await client.get("/api/jobs", params=query)
        assert answer.status_code == 200, answer.text
        return [job["job_id"] for job in answer.json()["jobs"]]

    newest_first = ids[::-1]
    assert await listed() == newest_first
    assert await listed(status="queued") == newest_first
    assert await listed(status="open", model="draft") == newest_first
    assert await listed(status="completed") == []
    assert await listed(search="fox 3") == [ids[3]]
    assert await listed(tag="odd") == [ids[3], ids[1]]
    first = (await client.get("/api/jobs", params={"limit": 3})).json()
    rest = (await client.get("/api/jobs", params={"limit": 3, "before": first["next_before"]})).json()
    assert [job["job_id"] for page in (first, rest) for job in page["jobs"]] == newest_first
    assert (first["has_more"], rest["has_more"], rest["next_before"]) == (True, False, None)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "status=done", "search=%00", "tag=%00", "before=x"]
)
async def test_a_list_refuses_what_it_does_not_know(idle_gateway: Running, query: str) -> None:
    problem(await idle_gateway.client.get(f"/api/jobs?{query}"), 422)


async def test_a_job_is_shown_with_attempts_costs_and_history(gateway: Running) -> None:
    job_id = await ordered(gateway, tags=["winter"])
    await ended(gateway, job_id)

    job = (await gateway.client.get(f"/api/jobs/{job_id}")).json()

    assert (job["status"], job["state"], job["percent"]) == ("completed", "completed", 100)
    assert (job["model"], job["asked_model"], job["tags"]) == ("draft", "draft", ["winter"])
    assert Decimal(job["cost_usd"]) == 0
    assert [(attempt["n"], attempt["provider"], attempt["state"]) for attempt in job["attempts"]] == [
        (1, "draft", "ended")
    ]
    kinds = [event["kind"] for event in job["events"]]
    assert (kinds[0], kinds[-1]) == ("queued", "completed")
    assert [event["id"] for event in job["events"]] == sorted(event["id"] for event in job["events"])


async def test_a_queued_job_can_be_cancelled_and_a_finished_one_cannot(gateway: Running) -> None:
    slow = await ordered(gateway, extra={"latency_s": 3600})
    done = await ordered(gateway)
    await ended(gateway, done)

    cancelled = await gateway.client.post(f"/api/jobs/{slow}/cancel")

    assert cancelled.status_code == 200, cancelled.text
    assert (await ended(gateway, slow))["status"] == "failed"
    assert (await gateway.client.get("/api/jobs", params={"status": "cancelled"})).json()["jobs"][0]["job_id"] == slow
    assert problem(await gateway.client.post(f"/api/jobs/{done}/cancel"), 409)["code"] == "conflict"


async def test_a_deleted_job_is_gone_at_once_with_its_files(gateway: Running) -> None:
    job_id = await ordered(gateway)
    await ended(gateway, job_id)

    deleted = await gateway.client.delete(f"/api/jobs/{job_id}")

    assert deleted.json() == {"job_id": job_id, "deleted": True}
    for path in (f"status/{job_id}", f"download/{job_id}", f"output/video/{job_id}/video.mp4", f"jobs/{job_id}"):
        problem(await gateway.client.get(f"/api/{path}"), 404)
    assert (await gateway.client.get("/api/videos")).json()["videos"] == []


async def in_need(app: App, job_id: str) -> str:
    """Bring a queued job where nobody knows whether its provider accepted it."""
    now = app.jobs.now()
    full = f"video_{UUID(job_id).hex}"

    def work(connection: sa.Connection) -> None:
        job = store.job_by_id(connection, full)
        assert job is not None
        intent = ledger.open_attempt(
            job, [], provider="draft", account="here", model=job.model, request_hash="0" * 64, now=now
        )
        store.insert_attempt(connection, intent)
        doubt = ledger.in_doubt(ledger.about_to_send(intent, "here", now), "timeout", "no answer")
        store.save_attempt(connection, replace(doubt, state=ledger.AttemptState.SENDING))
        store.save_attempt(connection, doubt)
        submitting = ledger.moved(job, JobState.SUBMITTING)
        store.save_job(connection, submitting)
        store.save_job(connection, ledger.moved(submitting, JobState.NEEDS_ATTENTION, trouble="Did it arrive?"))
        store.insert_event(connection, full, "needs_attention", now)

    await app.db.write(work)
    return job_id


async def test_an_admin_decides_about_a_job_in_need_and_nobody_else_does(tmp_path: Path) -> None:
    async with two_callers(tmp_path / "home") as (gateway, plain):
        client = gateway.client
        answer = await client.post("/api/generate", json=FOX, headers=plain)
        job_id = await in_need(gateway.app, answer.json()["job_id"])
        path = f"/api/jobs/{job_id}/resolve"

        listed = await client.get("/api/jobs", params={"status": "needs_attention"}, headers=plain)
        assert [job["job_id"] for job in listed.json()["jobs"]] == [job_id]
        assert problem(await client.post(path, json={"decision": "repay"}, headers=plain), 403)["code"] == "not_allowed"
        assert problem(await client.post(path, json={"decision": "adopt"}), 422)["param"] == "remote_id"
        assert problem(await client.post(path, json={"decision": "billed"}), 422)["param"] == "usd"
        problem(await client.post(path, json={"decision": "guess"}), 422)
        adopted = await client.post(path, json={"decision": "adopt", "remote_id": "draft_1"})

        assert adopted.status_code == 200, adopted.text
        assert (adopted.json()["job_id"], adopted.json()["state"]) == (job_id, "in_progress")
        assert adopted.json()["attempts"][0]["remote_id"] == "draft_1"
        problem(await client.post(path, json={"decision": "repay"}), 409)


@pytest.mark.parametrize(
    ("decision", "state"), [({"decision": "repay"}, "submitting"), ({"decision": "never_billed"}, "failed")]
)
async def test_paying_again_and_giving_up_are_decisions_too(
    idle_gateway: Running, decision: dict[str, str], state: str
) -> None:
    job_id = await in_need(idle_gateway.app, await ordered(idle_gateway))

    answer = await idle_gateway.client.post(f"/api/jobs/{job_id}/resolve", json=decision)

    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == state


async def test_nobody_sees_or_touches_what_is_somebody_elses(tmp_path: Path) -> None:
    async with two_callers(tmp_path / "home") as (gateway, plain):
        client = gateway.client
        mine = (await client.post("/api/generate", json=FOX)).json()["job_id"]

        for path in (f"status/{mine}", f"download/{mine}", f"output/video/{mine}/video.mp4", f"jobs/{mine}"):
            unknown = str(uuid4())
            error = problem(await client.get(f"/api/{path}", headers=plain), 404)
            other = problem(await client.get(f"/api/{path.replace(mine, unknown)}", headers=plain), 404)
            assert error == {**other, "message": other["message"].replace(unknown, mine)}
        problem(await client.post(f"/api/jobs/{mine}/cancel", headers=plain), 404)
        problem(await client.delete(f"/api/jobs/{mine}", headers=plain), 404)
        problem(await client.get("/api/jobs", params={"before": mine}, headers=plain), 404)
        assert (await client.get("/api/jobs", headers=plain)).json()["jobs"] == []
        assert problem(await client.get("/api/jobs", headers={"authorization": ""}), 401)["code"] == "invalid_api_key"


# -- library, models, spend ------------------------------------------------------------------------------


async def test_the_library_lists_finished_videos_with_the_addresses_of_their_files(gateway: Running) -> None:
    job_id = await ordered(gateway, tags=["winter"])
    await ended(gateway, job_id)
    await ordered(gateway, extra={"latency_s": 3600})

    page = (await gateway.client.get("/api/videos", params={"tag": "winter", "search": "fox"})).json()

    [video] = page["videos"]
    assert (video["file_id"], video["job_id"], video["available"], video["tags"]) == (job_id, job_id, True, ["winter"])
    assert (video["width"], video["height"], video["seconds"], video["fps"]) == (320, 180, 1.0, 24.0)
    for address in ("video_url", "thumbnail_url", "spritesheet_url", "download_url"):
        assert (await gateway.client.head(video[address])).status_code == 200
    assert (await gateway.client.get("/api/videos", params={"tag": "summer"})).json()["videos"] == []


async def test_the_models_tell_whether_each_can_be_used_and_why_not(idle_gateway: Running) -> None:
    models = {model["id"]: model for model in (await idle_gateway.client.get("/api/models")).json()["models"]}

    assert (models["draft"]["usable"], models["draft"]["reason"]) == (True, None)
    assert models["draft"]["max_side"] == 3840
    zai = models["zai:video:cogvideox-3"]
    assert zai["usable"] is False
    assert "ZAI_API_KEY" in zai["reason"]
    assert (zai["seconds"], "1920x1080" in zai["sizes"], len(zai["prices"]) > 0) == ([5, 10], True, True)


async def test_everybody_sees_his_own_spending_and_an_admin_that_of_all(tmp_path: Path) -> None:
    async with two_callers(tmp_path / "home") as (gateway, plain):
        client = gateway.client
        ids = [(await client.post("/api/generate", json=FOX, headers=who)).json()["job_id"] for who in (plain, {})]
        for n, job_id in enumerate(ids):
            await charged(gateway.app, job_id, Decimal(n + 1))

        own = (await client.get("/api/spend", params={"by": "model"}, headers=plain)).json()
        everything = (await client.get("/api/spend", params={"by": "owner"})).json()

        assert (own["whose"], own["total"]["jobs"], Decimal(own["total"]["settled_usd"])) == ("own", 1, Decimal(1))
        assert [(line["name"], Decimal(line["settled_usd"])) for line in own["lines"]] == [("draft", Decimal(1))]
        assert [(limit["name"], Decimal(limit["free_usd"])) for limit in own["limits"]] == [
            ("key plain's budget", Decimal(4))
        ]
        assert (everything["whose"], everything["total"]["jobs"], len(everything["lines"])) == ("all", 2, 2)
        problem(await client.get("/api/spend", params={"by": "owner"}, headers=plain), 403)
        by_day = (await client.get("/api/spend", headers=plain)).json()
        assert [(line["name"], line["jobs"]) for line in by_day["lines"]] == [(by_day["today"], 1)]
        problem(await client.get("/api/spend", params={"since": "2026-02-31"}), 422)
        problem(await client.get("/api/spend", params={"since": "2026-03-01", "until": "2026-02-01"}), 422)


async def charged(app: App, job_id: str, usd: Decimal) -> None:
    """Say that a job has cost so much."""
    full = f"video_{UUID(job_id).hex}"
    await app.db.write(
        lambda connection: connection.execute(
            purse.WRITE_HOLD,
            {
                "key_job_id": full,
                "provider": "draft",
                "held_usd": Decimal(0),
                "settled_usd": usd,
                "overrun_usd": Decimal(0),
                "unknown": False,
                "at": app.jobs.now(),
            },
        )
    )


async def test_what_could_replace_a_model_is_told_beside_the_catalogue(idle_gateway: Running) -> None:
    told = (await idle_gateway.client.get("/api/models", params={"for": "sora-2"})).json()

    found = {each["id"]: each for each in told["replacements"]}
    assert found["google:video:gemini-omni-1.1-flash"]["usd"] == "0.80"
    assert found["google:video:gemini-omni-1.1-flash"]["ranks"][0]["day"] == "2026-09-21"
    assert found["xai:video:grok-imagine-video-1.5-lite"]["key"] is False
    assert "draft" not in found
    unknown = await idle_gateway.client.get("/api/models", params={"for": "soar-2"})
    assert unknown.status_code == 404
