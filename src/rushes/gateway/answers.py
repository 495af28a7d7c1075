"""Answers as every dialect gives them: JSON that nobody keeps, files, and when to look again."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rushes.errors import MediaError, NotFound, StoreTrouble
from rushes.gateway.board import Entry
from rushes.gateway.fields import wrong
from rushes.gateway.files import Served, file_response
from rushes.gateway.gateway import Gateway
from rushes.gateway.problems import Problem
from rushes.gateway.views import View
from rushes.media.store import MIMES
from rushes.video import Status

NO_STORE = {"cache-control": "no-store"}
DRAFT_POLL_MS = 500
MANIFEST = "manifest"


def dumped(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(data: Mapping[str, Any]) -> Response:
    return Response(dumped(data), media_type="application/json", headers=NO_STORE)


def body_of(entry: Entry, dialect: str, shown: Callable[[View], Mapping[str, Any]]) -> bytes:
    """A job as a dialect shows it, written once for each state of the job."""
    body = entry.bodies.get(dialect)
    if body is None:
        body = entry.bodies[dialect] = dumped(shown(entry.view))
    return body


def poll_headers(gateway: Gateway, entry: Entry) -> dict[str, str]:
    """When to look again. Clients without any advice look once a second."""
    if entry.view.final:
        return {}
    wait_ms = gateway.settings.gateway.poll_after_ms
    if entry.view.model == "draft":
        wait_ms = min(wait_ms, DRAFT_POLL_MS)
    return {"openai-poll-after-ms": str(wait_ms)}


def cache_header(request: Request) -> str | None:
    value = request.headers.get("x-rushes-cache")
    if value not in (None, "use", "refresh", "off"):
        raise wrong("x-rushes-cache", "is use, refresh or off", value)
    return value


async def piece_response(
    request: Request, gateway: Gateway, entry: Entry, video_id: str, variant: str, *, attachment: bool = False
) -> Response:
    """A file of a finished video. Raises Problem: 404 while it is not finished, 410 when it is gone.

    404 also for what cannot be made of it: nothing is wrong with a request for it.
    """
    view = entry.view
    if view.status is Status.FAILED:
        raise Problem(f"{view.id} failed, so it has no content.", status=404, error_code="not_found")
    if view.status is not Status.COMPLETED:
        raise Problem(
            f"Video is not ready yet, use GET /v1/videos/{view.id} to check status.",
            status=404,
            error_code="not_ready",
        )
    try:
        piece = await gateway.app.library.piece(view.row(video_id).id, variant)
    except NotFound as error:
        if variant == MANIFEST:
            raise Problem(str(error), status=404, error_code="not_found") from error
        raise Problem(str(error), status=410, error_code="expired") from error
    except StoreTrouble:
        raise
    except MediaError as error:
        raise Problem(str(error), status=404, error_code="not_found") from error
    suffix = next((suffix for suffix, mime in MIMES.items() if mime == piece.mime), ".mp4")
    served = Served(
        key=piece.key,
        mime=piece.mime,
        size_bytes=piece.size_bytes,
        sha256=piece.sha256,
        modified=piece.modified,
        name=f"{video_id}{suffix}",
        attachment=attachment,
        headers={"x-rushes-model": view.model},
    )
    return await file_response(request, gateway.app.media, served, gateway.settings.gateway)
