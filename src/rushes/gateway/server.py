"""The application: which dialect answers where, and how each tells of trouble. No logic of its own."""

import json
import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.gateway import azure_dialect, intake, native, openai_dialect, pages
from rushes.gateway.azure_wire import error_body
from rushes.gateway.gateway import Gateway
from rushes.gateway.guard import Guard, visit_of
from rushes.gateway.metrics import Measured
from rushes.gateway.native_shapes import SECURED
from rushes.gateway.problems import Problem, bug, problem_of
from rushes.logs import without_secrets
from rushes.version import VERSION

log = logging.getLogger(__name__)

MAIN = "/v1"
MESSAGE_MAX = 800
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
OPENAI_PREFIXES = (MAIN, "/openai/v1", "/openai", "")
"""Where clients look for `/videos`: under the base URL of OpenAI, the two of Azure, and one given without its `/v1`."""
AZURE_PREFIXES = ("/openai/v1", "/openai")


def application(gateway: Gateway, *, host: str, trust_proxy: bool = False) -> ASGIApp:
    """Everything that `rushes serve` answers, over one gateway. Raises ConfigError for settings that cannot be used."""
    api = FastAPI(
        title="rushes",
        version=VERSION,
        summary="The OpenAI Videos API, and more, over any video model.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    api.state.gateway = gateway
    for prefix in OPENAI_PREFIXES:
        shown = prefix == MAIN
        api.include_router(openai_dialect.router, prefix=prefix, include_in_schema=shown, dependencies=[SECURED])
    for prefix in AZURE_PREFIXES:
        shown = prefix == AZURE_PREFIXES[0]
        api.include_router(azure_dialect.router, prefix=prefix, include_in_schema=shown, dependencies=[SECURED])
    api.include_router(native.router)
    receive = intake.intake(gateway.app.db, gateway.app.providers)
    api.add_route("/webhooks/{provider}", receive, methods=["POST"], include_in_schema=False)
    api.include_router(pages.router)
    api.add_exception_handler(HTTPException, _no_route)
    api.add_exception_handler(RequestValidationError, _misread)
    api.add_middleware(_Telling)  # inside the one that would answer for us
    return Measured(Guard(api, gateway.settings.gateway, host=host, render=render, trust_proxy=trust_proxy))


class _Telling:
    """Turns what a handler raises into the answer that its dialect gives."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def sending(message: Any) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._inner(scope, receive, sending)
        except Exception as error:
            problem = problem_of(error)
            if problem.error_code == bug().error_code:
                facts = {"path": scope.get("path", ""), "kind": type(error).__name__}
                log.exception("gateway.bug", extra={**facts, "request_id": visit_of(scope).request_id})
            if began:
                raise  # cut short, so that nobody takes half an answer for a whole one
            await render(problem, scope)(scope, receive, send)


async def _no_route(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    words = f"{request.method[:20]} {request.url.path[:200]}: {error.detail}"
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        headers["allow"] = ", ".join(_methods(request))  # the framework names those of the first route alone
    return render(Problem(words, status=error.status_code, error_code=code, headers=headers), request.scope)


def _methods(request: Request) -> list[str]:
    """The methods that there are at a request's path."""
    # A path of its own is no id: `/videos/edits` names no video, though a route for ids would take it.
    if (own := request.app.openapi()["paths"].get(request.url.path)) is not None:
        return [method for method in METHODS if method.lower() in own]
    routes = request.app.router.routes
    bare: dict[str, Any] = {**request.scope, "path_params": {}}
    return [method for method in METHODS if any(r.matches({**bare, "method": method})[0] is Match.FULL for r in routes)]


async def _misread(request: Request, error: Exception) -> Response:
    """A parameter that has not the form that it must have."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:])
    problem = Problem(f"{param or 'The body'}: {first['msg']}.", status=422, error_code="invalid_value", param=param)
    return render(problem, request.scope)


def render(problem: Problem, scope: Scope) -> Response:
    """A problem in the words of the dialect that was spoken to."""
    message = without_secrets(problem.message[:MESSAGE_MAX])
    error = {"message": message, "type": problem.type, "param": problem.param, "code": problem.error_code}
    is_azure = azure_dialect.PATH in scope.get("path", "")
    body = error_body(problem, message) if is_azure else {"error": error}
    headers = {"cache-control": "no-store", **problem.headers}
    return Response(json.dumps(body), problem.status, headers, media_type="application/json")
