"""A fake of an Azure OpenAI resource: both video APIs, its deployments, and the sign-in of Entra ID beside it.

    async with FakeAzure(job_s=0.2) as fake:       # or `with`, in synchronous tests
        ... AZURE_OPENAI_ENDPOINT = fake.url, AZURE_OPENAI_API_KEY = fake.api_key ...
        ... or AZURE_AUTHORITY_HOST = fake.url, with fake.client as tenant, client id and secret ...
        assert fake.book.charged == 1

It refuses what Azure refused, in Azure's three shapes of errors, and keeps the books. What it bills is what our
provider assumes: every variant asked for, also one that moderation withheld.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from rushes.testing import clips
from rushes.testing.account_book import AccountBook
from rushes.testing.azure_rules import (
    FORBIDDEN,
    Asked,
    Refusal,
    filtered,
    no_deployment,
    read_job,
    read_remix,
    read_video,
)
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import (
    ON_PURPOSE,
    Answer,
    BookedServer,
    Exchange,
    Received,
    Refused,
    TimedJob,
    account_of,
    ranged,
)

API_KEY = "0123456789abcdef0123456789abcdef"
ROOT = ("openai", "v1")
JOBS = (*ROOT, "video", "generations", "jobs")
VIDEOS = (*ROOT, "videos")
SCOPES = ("https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default")
DAY_S = 24 * 3600


class Client(NamedTuple):
    tenant: str = "contoso.example"
    client_id: str = "11111111-2222-3333-4444-555555555555"
    secret: str = "s3cret~of.the-client"


@dataclass(slots=True)
class FakeJob(TimedJob):
    """Of either API."""

    id: str
    asked: Asked
    of_jobs_api: bool
    created: float  # Unix time
    withheld: int = 0  # so many of its variants fail the filter
    reason: str | None = None  # why it failed
    completed: float | None = None
    generations: tuple[str, ...] = field(default=())

    @property
    def runs(self) -> bool:
        return not self.done and self.reason is None


class FakeAzure(BookedServer[FakeJob]):
    """One resource. `deployments` are names and the models behind them; `retired` answers 410 to everything."""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = API_KEY,
        client: Client | None = None,
        token_life_s: float = 3600.0,
        scopes: tuple[str, ...] = SCOPES,
        audiences: tuple[str, ...] = SCOPES,
        deployments: dict[str, str] | None = None,
        job_s: float = 0.3,
        book: AccountBook | Path | None = None,
        running_max: int | None = None,
        retired: bool = False,
        withhold: int = 0,
    ) -> None:
        super().__init__(port=port, book=book)
        self.api_key = api_key
        self.client = client or Client()
        self.token_life_s = token_life_s
        self.scopes = scopes  # for which Entra ID gives tokens
        self.audiences = audiences  # which of them the resource takes
        self.deployments = deployments or {name: name for name in ("sora", "sora-2", "sora-2-pro")}
        self.job_s = job_s
        self.running_max = running_max
        self.retired = retired
        self.withhold = withhold
        self.sign_ins: list[Received] = []
        self.sign_in_faults: list[Answer] = []
        self.sign_in_s = 0.0
        self._tokens: dict[str, tuple[str, float]] = {}

    def content_of(self, remote_id: str) -> bytes:
        """The video that a job's content is, or will be: its first, where it makes several."""
        return self.video_of(remote_id, self.jobs[remote_id].withheld)

    def video_of(self, remote_id: str, n: int) -> bytes:
        """The n-th variant, whether it passed the filter or not."""
        return self._clip(self.jobs[remote_id], n)

    def revoke(self) -> None:
        """Every token given so far is good no more."""
        self._tokens.clear()

    # -- sign-in -----------------------------------------------------------------------------------------------------

    def serve(self, received: Received, exchange: Exchange) -> None:
        if received.path.endswith("/oauth2/v2.0/token"):
            self.sign_ins.append(received)
            time.sleep(self.sign_in_s)
            exchange.send(self.sign_in_faults.pop(0) if self.sign_in_faults else self._grant(received))
        else:
            super().serve(received, exchange)

    def _grant(self, received: Received) -> Answer:
        form = dict(parse_qsl(received.body.decode()))
        wanted = {"grant_type": "client_credentials", "client_id": self.client.client_id}
        if received.path != f"/{self.client.tenant}/oauth2/v2.0/token":
            return _not_granted(400, "invalid_request", 90002, f"Tenant '{received.path.split('/')[1]}' not found.")
        if {name: form.get(name) for name in wanted} != wanted:
            return _not_granted(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if form.get("client_secret") != self.client.secret:
            return _not_granted(401, "invalid_client", 7000215, "Invalid client secret provided.")
        if form.get("scope") not in self.scopes:
            return _not_granted(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
        token = f"eyJ.{secrets.token_hex(24)}"
        self._tokens[token] = (form["scope"], time.monotonic() + self.token_life_s)
        life = int(self.token_life_s) if self.token_life_s >= 1 else self.token_life_s
        return Answer.json({"token_type": "Bearer", "expires_in": life, "access_token": token})

    def check_key(self, received: Received, operation: str | None) -> None:
        given = received.headers.get("authorization", "").removeprefix("Bearer ")
        scope, until = self._tokens.get(given, ("", 0.0))
        good_token = scope in self.audiences and time.monotonic() < until
        key = received.headers.get("api-key")
        if self.api_key is None or self.api_key in (key, given) or good_token:
            return
        if given:
            words = f"Unauthorized. Access token {given} is missing, invalid, audience is incorrect, or have expired."
            raise Refusal(401, "401", words)
        # Quoted back in full, as careless servers do: our messages must not repeat it.
        raise Refusal(401, "401", f"Access denied due to invalid subscription key {key} or wrong API endpoint.")

    # -- requests ----------------------------------------------------------------------------------------------------

    def operation_of(self, received: Received) -> str | None:
        steps = _steps(received)
        match received.method, steps:
            case "POST", (*root, "remix") if tuple(root[:-1]) == VIDEOS:
                return "create"
            case "POST", _ if steps in (JOBS, VIDEOS):
                return "create"
            case "GET", _ if steps in (JOBS, VIDEOS):
                return "list"
            case (("GET" | "DELETE"), (*root, _)) if tuple(root) in (JOBS, VIDEOS):
                return "poll" if received.method == "GET" else "delete"
            case (("GET" | "HEAD"), (*_, "content") | (*_, "content", ("video" | "thumbnail"))):
                return "download"
            case _:
                return None

    def refused_by(self, fault: Fault) -> Refused:
        return Refusal(fault.number, fault.value, ON_PURPOSE)

    def moderated(self) -> Refused:
        return filtered("flat")  # the jobs API's shape, as the others are the general one: both must be read anywhere

    def no_route(self, received: Received) -> Refused:
        self._check_api(received)
        return Refusal(404, "404", "Resource not found")

    def shared_headers(self) -> Mapping[str, str]:
        return {"date": formatdate(usegmt=True), "apim-request-id": secrets.token_hex(16)}

    def _check_api(self, received: Received) -> None:
        if self.retired:
            raise Refusal(410, "ModelDeprecated", "The model behind this deployment has been retired.")
        if _of_jobs_api(received) and received.query.get("api-version") not in ("preview", "v1"):
            raise Refusal(404, "404", "Resource not found", shape="detail")

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        self._check_api(received)
        steps, of_jobs_api = _steps(received), _of_jobs_api(received)
        match operation:
            case "create":
                return self._create(received, of_jobs_api, fault)
            case "list":
                return self._list(received, of_jobs_api, fault)
            case "poll":
                return self._poll(self._job(steps[-1], of_jobs_api), fault)
            case "download":
                return self._content(received, of_jobs_api)
            case _:
                del self.jobs[self._job(steps[-1], of_jobs_api).id]
                deleted = {"id": steps[-1], "object": "video.deleted", "deleted": True}
                return Answer(204) if of_jobs_api else Answer.json(deleted)

    def _job(self, remote_id: str, of_jobs_api: bool) -> FakeJob:
        job = self.jobs.get(remote_id)
        if job is None or job.of_jobs_api is not of_jobs_api:
            raise Refusal(404, "NotFound", f"No job '{remote_id}'.", shape="flat" if of_jobs_api else "wrapped")
        return job

    # -- operations --------------------------------------------------------------------------------------------------

    def _create(self, received: Received, of_jobs_api: bool, fault: Fault | None) -> Answer:
        asked = self._asked(received, of_jobs_api)
        if FORBIDDEN in asked.prompt:
            raise filtered("flat" if of_jobs_api else "wrapped")
        with self.lock:
            if self.running_max is not None and sum(job.runs for job in self.jobs.values()) >= self.running_max:
                words = f"You have {self.running_max} running tasks already. Wait for them to complete."
                raise Refusal(429, "too_many_running_tasks", words, shape="flat")
            number = len(self.jobs) + 1
            remote_id = f"{'task_01' if of_jobs_api else 'video_'}{number:04x}{secrets.token_hex(8)}"
            self.book.charge(
                remote_id=remote_id,
                model=asked.model,
                seconds=asked.seconds,
                size=asked.size,
                usd=asked.usd,
                prompt=asked.prompt,
                key=received.headers.get("idempotency-key"),
                account=account_of(received.headers.get("api-key", "")),
            )
            job = FakeJob(
                id=remote_id,
                asked=asked,
                of_jobs_api=of_jobs_api,
                created=time.time(),
                job_s=self.job_s,
                withheld=self.withhold,
            )
            job.generations = tuple(f"gen_01{number:04x}_{n}" for n in range(asked.variants))
            self.jobs[remote_id] = job
        shown = self._shown(job)
        if fault and fault.trouble is Trouble.NO_ID:
            del shown["id"]
        return Answer.json(shown)

    def _asked(self, received: Received, of_jobs_api: bool) -> Asked:
        if of_jobs_api:
            return read_job(received, self.deployments)
        steps = _steps(received)
        if steps[-1] != "remix":
            return read_video(received, self.deployments)
        source = self._job(steps[-2], of_jobs_api=False)
        if source.runs or source.reason:
            raise Refusal(400, "invalid_request", "Only a completed video can be remixed.")
        if source.asked.model not in self.deployments:
            raise no_deployment(source.asked.model)
        old = source.asked
        prompt = read_remix(received)
        return Asked(old.model, prompt, old.width, old.height, old.seconds, old.usd, remixed_from=source.id)

    def _poll(self, job: FakeJob, fault: Fault | None) -> Answer:
        if fault and fault.trouble is Trouble.MODERATED:
            job.reason = "input_moderation" if job.of_jobs_api else "content_filter"
        shown = self._shown(job)
        if fault and fault.trouble is Trouble.WORD:
            shown["status"] = fault.value
        return Answer.json(shown)

    def _shown(self, job: FakeJob) -> dict[str, Any]:
        if not job.runs and job.completed is None:
            job.completed = time.time()
        return _as_job(job) if job.of_jobs_api else _as_video(job)

    def _list(self, received: Received, of_jobs_api: bool, fault: Fault | None) -> Answer:
        query = received.query
        if of_jobs_api and not query.get("limit", "").isdecimal():
            raise Refusal(400, "invalid_payload", "Query parameter 'limit' is required.", shape="flat")
        limit = int(query.get("limit", "20"))
        jobs = [job for job in self.jobs.values() if job.of_jobs_api is of_jobs_api]
        if of_jobs_api or query.get("order", "desc") == "desc":
            jobs.reverse()
        if after := query.get("after"):
            jobs = jobs[[job.id for job in jobs].index(after) + 1 :]
        page = [self._shown(job) for job in jobs[:limit]]
        if fault and fault.trouble is Trouble.NO_PROMPTS:
            for shown in page:
                del shown["prompt"]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        return Answer.json({"object": "list", "data": page, "has_more": len(jobs) > limit, **ends})

    def _content(self, received: Received, of_jobs_api: bool) -> Answer:
        steps = _steps(received)
        if of_jobs_api:
            job, n = self._generation(steps[-3])
            variant = steps[-1]
        else:
            job, n = self._job(steps[-2], of_jobs_api=False), 0
            variant = received.query.get("variant", "video")
        if job.runs or job.reason:
            raise Refusal(404, "NotFound", "The content is not there.", shape="flat" if of_jobs_api else "wrapped")
        match variant:
            case "video":
                body, mime = self._clip(job, n), "video/mp4"
            case "thumbnail":
                body, mime = clips.picture(320, 180, "JPEG" if of_jobs_api else "WEBP"), "image/webp"
                mime = "image/jpg" if of_jobs_api else mime  # so spelt in Azure's description
            case "spritesheet":
                body, mime = clips.picture(640, 360, "JPEG"), "image/jpeg"
            case _:
                raise Refusal(400, "invalid_value", f"Invalid value: '{variant}'.")
        answer = ranged(received, body, "", {"content-type": mime, "last-modified": formatdate(job.completed)})
        return Answer(answer.status, answer.body, {k: v for k, v in answer.headers.items() if k != "etag"})

    def _generation(self, generation_id: str) -> tuple[FakeJob, int]:
        for job in self.jobs.values():
            if generation_id in _shown_generations(job):
                return job, job.generations.index(generation_id)
        raise Refusal(404, "NotFound", f"No generation '{generation_id}'.", shape="flat")

    def _clip(self, job: FakeJob, n: int) -> bytes:
        asked = job.asked
        plain = clips.clip(asked.width, asked.height, float(asked.seconds))
        return clips.padded(plain, len(plain) + 64 * n)  # no two variants are alike


def _shown_generations(job: FakeJob) -> tuple[str, ...]:
    """Those that passed the filter: the first ones fail it."""
    return job.generations[job.withheld :]


def _as_job(job: FakeJob) -> dict[str, Any]:
    status = "failed" if job.reason else "running" if job.runs and job.share() > 0.2 else "queued"
    asked = job.asked
    shown: dict[str, Any] = {
        "object": "video.generation.job",
        "id": job.id,
        "status": status if job.runs or job.reason else "succeeded",
        "created_at": int(job.created),
        "finished_at": None if job.completed is None else int(job.completed),
        "expires_at": int(job.created) + DAY_S,
        "generations": [],
        "prompt": asked.prompt,
        "model": asked.model,
        "n_variants": asked.variants,
        "n_seconds": asked.seconds,
        "height": asked.height,
        "width": asked.width,
        "inpaint_items": list(asked.items) or None,
        "failure_reason": job.reason,
    }
    if shown["status"] == "succeeded":
        # The list is in no order that could be relied on.
        shown["generations"] = [
            {
                "object": "video.generation",
                "id": generation,
                "job_id": job.id,
                "created_at": int(job.created),
                "width": asked.width,
                "height": asked.height,
                "n_seconds": asked.seconds,
                "prompt": asked.prompt,
            }
            for generation in reversed(_shown_generations(job))
        ]
    return shown


def _as_video(job: FakeJob) -> dict[str, Any]:
    status = "failed" if job.reason else "completed" if not job.runs else "in_progress"
    words = "Your request was blocked by our moderation system."
    return {
        "id": job.id,
        "object": "video",
        "created_at": int(job.created),
        "completed_at": None if status != "completed" else int(job.completed or job.created),
        "expires_at": None if status != "completed" else int(job.created) + DAY_S,
        "status": status,
        "model": job.asked.model,
        "progress": int(job.share() * 100),
        "prompt": job.asked.prompt,
        "seconds": str(job.asked.seconds),
        "size": job.asked.size,
        "remixed_from_video_id": job.asked.remixed_from,
        "error": {"code": job.reason, "message": words} if job.reason else None,
    }


def _steps(received: Received) -> tuple[str, ...]:
    return tuple(unquote(step) for step in received.raw_path.partition("?")[0].strip("/").split("/"))


def _of_jobs_api(received: Received) -> bool:
    return _steps(received)[: len(JOBS) - 1] == JOBS[:-1]


def _not_granted(status: int, error: str, number: int, words: str) -> Answer:
    description = f"AADSTS{number}: {words} Trace ID: 0\r\nCorrelation ID: 0"
    return Answer.json({"error": error, "error_description": description, "error_codes": [number]}, status)
