"""Webhooks in: providers tell us that a video has ended, and its job is looked at at once.

`POST /webhooks/{provider}` needs no key. What it says is a hint and no more: the truth is asked for at the provider.
So it is answered alike whether the id is one of ours or not, and nobody learns here which ids exist. A provider whose
`webhook_secret` is set has its signature checked.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from rushes.errors import AccessDenied, ConfigError, DatabaseAway, ProviderError
from rushes.jobs.database import Database
from rushes.jobs.hints import hint
from rushes.jobs.services import utc_now
from rushes.providers.registry import Registry
from rushes.providers.terms import Challenge

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
PATIENCE_S = 2.0


def intake(
    db: Database, registry: Registry, now: Callable[[], datetime] = utc_now
) -> Callable[[Request], Awaitable[Response]]:
    """The handler of `POST /webhooks/{provider}`."""

    async def receive(request: Request) -> Response:
        name = request.path_params["provider"]
        if name not in registry.names():
            return _problem(404, "not_found", "There is no such provider.")
        body = await _body(request)
        if body is None:
            return _problem(413, "request_too_large", f"A message has at most {MAX_BODY_BYTES >> 20} MB.")
        try:
            found = await registry.provider(name).read_webhook(dict(request.headers), body)
            if isinstance(found, Challenge):
                return JSONResponse(dict(found.answer))
            if found is not None:
                await hint(db, now(), name, found.remote_id)
        except ProviderError as error:
            if not isinstance(error, AccessDenied):  # what proves the signature could not be asked for
                log.warning("webhook.unreadable", extra={"provider": name, "cause": str(error)})
                return _problem(503, "provider_unavailable", "Try again.")
            log.warning("webhook.refused", extra={"provider": name})
            return _problem(401, "invalid_signature", "The signature is missing, old or wrong.")
        except ConfigError as error:
            log.warning("webhook.unreadable", extra={"provider": name, "cause": str(error)})
            return _problem(503, "provider_unavailable", "This provider is not set up.")
        except DatabaseAway:
            return _problem(503, "database_unavailable", "Try again.")
        return Response(status_code=202)

    return receive


async def _body(request: Request) -> bytes | None:
    """The body; None if it is too large. One that its sender gives up half-way is no message."""
    body = bytearray()
    try:
        with anyio.fail_after(PATIENCE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    return None
    except TimeoutError:
        return b""
    except ClientDisconnect:
        return b""
    return bytes(body)


def _problem(status: int, code: str, message: str) -> JSONResponse:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
