"""A fake of the OpenAI Videos API that refuses what the real one refused, serves real videos, and keeps the books.

    async with FakeOpenAI(job_s=0.2) as fake:      # or `with`, in synchronous tests
        ... OPENAI_BASE_URL = fake.base_url, OPENAI_API_KEY = fake.api_key ...
        assert fake.book.charged == 1

As a process of its own: `python -m rushes.testing.fake_openai --job-seconds 2 --book FILE --fault create=500-accepted`.
It prints its address; `POST /_fake/faults`, `GET /_fake/book`, `GET /_fake/requests` and `POST /_fake/finish` steer it.
"""

import argparse
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

from rushes.testing import clips
from rushes.testing.account_book import AccountBook
from rushes.testing.fake_openai_jobs import (
    FakeCharacter,
    FakeJob,
    FakeSource,
    edit_order,
    extension_order,
    id_in,
    kind_of_create,
    last_id_in,
    named_source,
    operation_of,
    remix_order,
    uploaded_source,
)
from rushes.testing.faults import Fault, Trouble
from rushes.testing.openai_rules import (
    BLOCKED,
    NAME_MAX,
    Fields,
    Order,
    Refusal,
    check_characters,
    check_picture,
    create_order,
    measured,
    picture_in,
    read_body,
)
from rushes.testing.server import (
    ON_PURPOSE,
    Answer,
    BookedServer,
    Exchange,
    Part,
    Received,
    Refused,
    account_of,
    etag_of,
    ranged,
)

API_KEY = "sk-fake-0123456789abcdef"


class FakeOpenAI(BookedServer[FakeJob]):
    """`strict` False makes it a server of one's own: any model, size, length and further field, and no prices."""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = API_KEY,
        job_s: float = 0.3,
        result_life_s: float = 3600.0,
        poll_after_ms: int | None = None,
        book: AccountBook | Path | None = None,
        strict: bool = True,
        video_bytes: int = 0,
        clock_offset_s: float = 0.0,
        fps: int = 10,
    ) -> None:
        super().__init__(port=port, book=book)
        self.api_key = api_key
        self.job_s = job_s
        self.result_life_s = result_life_s
        self.poll_after_ms = poll_after_ms
        self.strict = strict
        self.video_bytes = video_bytes
        self.clock_offset_s = clock_offset_s
        self.fps = fps
        self.characters: dict[str, FakeCharacter] = {}
        self.files: dict[str, bytes] = {}  # pictures that a request may name by `file_id`

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def content_of(self, remote_id: str) -> bytes:
        """The video that a job's content is, or will be."""
        job = self.jobs[remote_id]
        width, height = map(int, job.size.split("x"))
        return clips.clip(width, height, float(job.seconds), fps=self.fps, size_bytes=self.video_bytes)

    # -- requests ----------------------------------------------------------------------------------------------------

    def serve(self, received: Received, exchange: Exchange) -> None:
        if received.path.startswith("/_fake/"):
            exchange.send(self._control(received))
            return
        super().serve(received, exchange)

    def operation_of(self, received: Received) -> str | None:
        return operation_of(received)

    def check_key(self, received: Received, operation: str | None) -> None:
        if self.api_key is None:
            return
        given = received.headers.get("authorization", "")
        if not given:
            raise Refusal(401, "You didn't provide an API key.", code=None)
        if given != f"Bearer {self.api_key}":
            # Quoted back in full, as careless servers do: our messages must not repeat it.
            raise Refusal(401, f"Incorrect API key provided: {given.removeprefix('Bearer ')}.", code="invalid_api_key")

    def refused_by(self, fault: Fault) -> Refused:
        codes = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}
        return Refusal(fault.number, ON_PURPOSE, code=codes.get(fault.number))

    def moderated(self) -> Refused:
        return Refusal(400, BLOCKED, code="moderation_blocked")

    def no_route(self, received: Received) -> Refused:
        return Refusal(404, f"Invalid URL ({received.method} {received.path})")

    def shared_headers(self) -> Mapping[str, str]:
        return {
            "date": formatdate(time.time() + self.clock_offset_s, usegmt=True),
            "x-request-id": f"req_{secrets.token_hex(8)}",
            "openai-version": "2020-10-01",
            "openai-processing-ms": "1",
        }

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "create":
                return self._create(received, fault)
            case "list":
                return self._list(received, fault)
            case "poll":
                return self._poll(id_in(received), fault)
            case "download":
                return self._content(received, id_in(received))
            case "delete":
                return self._delete(id_in(received))
            case "create_character":
                return self._create_character(received)
            case _:
                return self._get_character(last_id_in(received))

    # -- operations --------------------------------------------------------------------------------------------------

    def _create(self, received: Received, fault: Fault | None) -> Answer:
        """Whatever is paid for: a plain create, a remix, an edit, an extension."""
        fields, file = read_body(received)
        match kind_of_create(received):
            case "remix":
                order = remix_order(fields, file, self._source(id_in(received)), strict=self.strict)
            case "edits":
                order = edit_order(fields, self._source_in(fields, file), strict=self.strict)
            case "extensions":
                order = extension_order(fields, self._source_in(fields, file), strict=self.strict)
            case _:
                order = create_order(fields, strict=self.strict)
                check_characters(fields, self.characters)
                picture = picture_in(fields, file, self.files)
                if picture is not None:
                    check_picture(picture, order.size)
        return self._accept(order, received, fault)

    def _source_in(self, fields: Fields, file: Part | None) -> FakeSource:
        remote_id = named_source(fields, file)
        if remote_id is not None:
            return self._source(remote_id)
        assert file is not None
        return uploaded_source(fields, file)

    def _source(self, remote_id: str) -> FakeSource:
        """An earlier video, which must be finished and still there."""
        job = self._job(remote_id)
        if self._shown(job)["status"] != "completed":
            raise Refusal(400, f"Video '{remote_id}' is not completed.", code="invalid_value", param="video_id")
        self._check_not_expired(job)
        return FakeSource.of(job)

    def _accept(self, order: Order, received: Received, fault: Fault | None) -> Answer:
        """Charge it and begin it, in one step that nothing can come between."""
        with self.lock:
            newest = next(reversed(self.jobs.values()), None)
            again = newest is not None and fault is not None and fault.trouble is Trouble.SAME_ID
            remote_id = newest.id if newest and again else f"video_{secrets.token_hex(24)}"
            self.book.charge(
                remote_id=remote_id,
                model=order.model,
                seconds=int(order.seconds),
                size=order.size,
                usd=order.usd,
                prompt=order.prompt,
                key=received.headers.get("idempotency-key"),
                account=account_of(received.headers.get("authorization", "")),
            )
            job = FakeJob(
                id=remote_id,
                model=order.model,
                prompt=order.prompt,
                seconds=order.length,
                size=order.size,
                created=time.time() + self.clock_offset_s,
                job_s=self.job_s,
                remixed_from=order.remixed_from,
                extensions=order.extensions,
            )
            self.jobs.setdefault(remote_id, job)
        shown = self._shown(job)
        if fault and fault.trouble is Trouble.NO_ID:
            del shown["id"]
        return Answer.json(shown)

    def _create_character(self, received: Received) -> Answer:
        """Not charged: no price was ever told."""
        if received.mime != "multipart/form-data":
            raise Refusal(400, "Invalid body: expected multipart/form-data.", code="invalid_type")
        fields, file = read_body(received)
        name = fields.pop("name", "")
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX:
            raise Refusal(400, f"Invalid 'name': 1 to {NAME_MAX} characters.", code="invalid_value", param="name")
        if fields:
            raise Refusal(400, "Unknown parameter.", code="unknown_parameter", param=next(iter(fields)))
        if file is None:
            raise Refusal(400, "Missing required parameter: 'video'.", code="missing_required_parameter", param="video")
        measured(file)
        made = FakeCharacter(f"char_{secrets.token_hex(16)}", name, time.time() + self.clock_offset_s)
        self.characters[made.id] = made
        return Answer.json(made.shown())

    def _get_character(self, character_id: str) -> Answer:
        if character_id not in self.characters:
            raise Refusal(404, f"Character '{character_id}' not found.", code="not_found", param="character_id")
        return Answer.json(self.characters[character_id].shown())

    def _job(self, remote_id: str) -> FakeJob:
        job = self.jobs.get(remote_id)
        if job is None:
            raise Refusal(404, f"Video with id '{remote_id}' not found.", code="not_found", param="video_id")
        return job

    def _poll(self, remote_id: str, fault: Fault | None) -> Answer:
        job = self._job(remote_id)
        if fault and fault.trouble is Trouble.MODERATED:
            job.failure = ("moderation_blocked", BLOCKED)
        if fault and fault.trouble is Trouble.EMPTY:
            job.empty = True
        if fault and fault.trouble is Trouble.FAILED_AS:
            job.failure, job.served_as = ("internal_error", "The generation failed."), fault.number
        shown = self._shown(job)
        if fault and fault.trouble is Trouble.WORD:
            shown["status"] = fault.value
        if fault and fault.trouble is Trouble.BACKWARDS:
            shown |= {"status": "queued", "progress": 0, "created_at": int(job.created) - 3600, "completed_at": None}
        headers = {"openai-poll-after-ms": str(self.poll_after_ms)} if self.poll_after_ms is not None else {}
        return Answer.json(shown, job.served_as, headers)

    def _shown(self, job: FakeJob) -> dict[str, Any]:
        share = job.share()
        if job.done and job.completed is None:
            job.completed = time.time() + self.clock_offset_s
        status = "failed" if job.failure else "completed" if job.done else "in_progress" if share > 0.1 else "queued"
        finished = int(job.completed) if job.completed and not job.failure else None
        return {
            "id": job.id,
            "object": "video",
            "created_at": int(job.created),
            "completed_at": finished,
            "expires_at": int(job.completed + self.result_life_s) if job.completed and not job.failure else None,
            "status": status,
            "model": job.model,
            "progress": 0 if status == "queued" else int(share * 100),
            "prompt": job.prompt,
            "seconds": job.seconds,
            "size": job.size,
            "remixed_from_video_id": job.remixed_from,
            "error": {"code": job.failure[0], "message": job.failure[1]} if job.failure else None,
        }

    def _list(self, received: Received, fault: Fault | None) -> Answer:
        query = received.query
        limit = int(query.get("limit", "20"))
        if not 0 <= limit <= 100:
            raise Refusal(400, "Invalid 'limit': expected a value from 0 to 100.", code="invalid_value", param="limit")
        jobs = list(self.jobs.values())
        if fault and fault.trouble is Trouble.LAG:
            youngest = time.monotonic() - float(fault.value)
            jobs = [job for job in jobs if job.started <= youngest]
        if query.get("order", "desc") == "desc":
            jobs.reverse()
        if after := query.get("after"):
            ids = [job.id for job in jobs]
            if after not in ids:
                raise Refusal(404, f"Video with id '{after}' not found.", code="not_found", param="after")
            jobs = jobs[ids.index(after) + 1 :]
        page = [self._shown(job) for job in jobs[:limit]]
        if fault and fault.trouble is Trouble.NO_PROMPTS:
            for shown in page:
                del shown["prompt"]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        more = len(jobs) > limit
        return Answer.json({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more})

    def _content(self, received: Received, remote_id: str) -> Answer:
        job = self._job(remote_id)
        shown = self._shown(job)
        variant = received.query.get("variant", "video")
        if shown["status"] != "completed":
            raise Refusal(404, f"Video is not ready yet, use GET /v1/videos/{job.id} to check status.")
        self._check_not_expired(job)
        if job.empty:
            raise Refusal(404, f"Video '{job.id}' has no content.", code="not_found")
        if variant == "video":
            body, mime = self.content_of(job.id), "video/mp4"
        elif variant in ("thumbnail", "spritesheet"):
            thumbnail = variant == "thumbnail"
            body = clips.picture(320, 180, "WEBP") if thumbnail else clips.picture(640, 360, "JPEG")
            mime = "image/webp" if thumbnail else "image/jpeg"
        else:
            raise Refusal(400, f"Invalid value: '{variant}'.", code="invalid_value", param="variant")
        return ranged(received, body, etag_of(body), {"content-type": mime})

    def _check_not_expired(self, job: FakeJob) -> None:
        if time.time() + self.clock_offset_s > (job.completed or 0) + self.result_life_s:
            raise Refusal(404, "The content of this video has expired.", code="not_found")

    def _delete(self, remote_id: str) -> Answer:
        self._job(remote_id)
        del self.jobs[remote_id]
        return Answer.json({"id": remote_id, "object": "video.deleted", "deleted": True})

    # -- steering ----------------------------------------------------------------------------------------------------

    def _control(self, received: Received) -> Answer:
        match received.method, received.path:
            case "POST", "/_fake/faults":
                try:
                    for operation, faults in json.loads(received.body).items():
                        self.faults.set(operation, faults)
                except (ValueError, AttributeError) as error:
                    return Answer.json({"error": {"message": str(error)}}, 400)
                return Answer.json({"ok": True})
            case "POST", "/_fake/finish":
                self.finish()
                return Answer.json({"ok": True})
            case "GET", "/_fake/book":
                rows = [{"remote_id": e.remote_id, "usd": str(e.usd), "key": e.key} for e in self.book.entries]
                totals = {"creates": self.book.creates, "charged": self.book.charged}
                return Answer.json({**totals, "total_usd": str(self.book.total_usd), "entries": rows})
            case "GET", "/_fake/requests":
                return Answer.json([_described(request) for request in self.requests])
            case _:
                return Answer.json({"error": {"message": "no such control"}}, 404)


def _described(request: Received) -> dict[str, Any]:
    described: dict[str, Any] = {
        "method": request.method,
        "path": request.raw_path,
        "headers": {name: value for name, value in request.headers.items() if name != "authorization"},
        "size_bytes": len(request.body),
    }
    if request.mime == "multipart/form-data":
        described["parts"] = [
            {"name": part.name, "filename": part.filename, "mime": part.mime}
            | ({"text": part.text} if part.filename is None else {"size_bytes": len(part.data)})
            for part in request.parts
        ]
    elif request.mime == "application/json":
        described["body"] = request.body.decode("utf-8", "replace")
    return described


def main(arguments: list[str] | None = None) -> None:
    """Run one as a process, until the standard input or the process ends."""
    parser = argparse.ArgumentParser(
        prog="python -m rushes.testing.fake_openai", description="A fake OpenAI Videos API."
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--job-seconds", type=float, default=2.0)
    parser.add_argument("--result-life", type=float, default=3600.0, metavar="SECONDS")
    parser.add_argument("--poll-after-ms", type=int)
    parser.add_argument("--book", type=Path, help="write what is charged to this file, a line of JSON each")
    parser.add_argument("--api-key", default=os.environ.get("FAKE_OPENAI_KEY", API_KEY))
    parser.add_argument("--open", action="store_true", help="take any model, size, length and field, without a price")
    parser.add_argument("--video-bytes", type=int, default=0, help="pad videos to this size")
    parser.add_argument("--fault", action="append", default=[], metavar="OPERATION=FAULT", help="used in this order")
    chosen = parser.parse_args(arguments)
    fake = FakeOpenAI(
        port=chosen.port,
        api_key=chosen.api_key or None,
        job_s=chosen.job_seconds,
        result_life_s=chosen.result_life,
        poll_after_ms=chosen.poll_after_ms,
        book=chosen.book,
        strict=not chosen.open,
        video_bytes=chosen.video_bytes,
    )
    ahead: dict[str, list[str | None]] = {}
    for text in chosen.fault:
        operation, _, fault = text.partition("=")
        ahead.setdefault(operation, []).append(fault or None)
    for operation, faults in ahead.items():
        fake.faults.set(operation, faults)
    with fake:
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
