"""The native API: make a video, ask how it goes, and get the files. Its other subjects have files of their own.

A job and its video share one id for life; here it is written as a UUID with hyphens, and read in either form. What a
caller names is met as it is or refused (422); only what he leaves out is fitted to the model.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from rushes.errors import RushesError
from rushes.gateway import catalogue, events, health, jobs_api, metrics
from rushes.gateway.aliases import Asked, asked_for
from rushes.gateway.answers import NO_STORE, piece_response
from rushes.gateway.forms import Form, read_form
from rushes.gateway.gateway import CreateResponse, Gateway, gateway_of
from rushes.gateway.material import taken_file
from rushes.gateway.native_border import VideoId, answer, invalid, validated
from rushes.gateway.native_shapes import (
    ID_PATTERN,
    ID_TEXT,
    OF_A_BODY,
    SECURED,
    Adjusted,
    Estimate,
    Generate,
    Generated,
    errors,
    generate_body,
    links,
)
from rushes.gateway.problems import Problem
from rushes.gateway.views import View
from rushes.jobs.callers import Caller
from rushes.media.store import SPRITESHEET, THUMBNAIL, VIDEO
from rushes.planning import Wish
from rushes.providers.prepare import Misfit
from rushes.providers.terms import Variant
from rushes.video import MediaRef, Size, Status, ledger_id, video_uuid

FOR_EVER = "private, max-age=31536000, immutable"
"""What has an id never changes."""
FILES: Mapping[str, Variant] = {
    VIDEO: Variant.VIDEO,
    THUMBNAIL: Variant.THUMBNAIL,
    SPRITESHEET: Variant.SPRITESHEET,
}
PICTURES = ("image", "last_image")

making = APIRouter(prefix="/api", tags=["Make videos"], dependencies=[SECURED])


# -- make --------------------------------------------------------------------------------------------


@making.post(
    "/generate",
    operation_id="generateVideo",
    response_model=Generated,
    responses={
        **errors(404, *OF_A_BODY),
        **links(
            "The job",
            getGenerateStatus="job_id",
            getJob="job_id",
            cancelJob="job_id",
            deleteJob="job_id",
            resolveJob="job_id",
            downloadVideo="file_id",
            getOutput="video_id",
        ),
    },
    openapi_extra=generate_body(),
)
async def generate(request: Request) -> Response:
    """Make a video. Answers at once, with the job; ask for its status until it is completed or failed."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with _order(request, gateway, caller) as (wish, ours, digest):
        asked = asked_by(wish.model, gateway)
        repeat = gateway.repeat_of(request, f"native {digest}")
        wish = replace(wish, model=asked.model, asked_as=wish.model)
        made = await gateway.make(wish, asked, caller, repeat, ours=ours, gone=request.is_disconnected)
    body = generated(made.view).model_dump_json().encode()
    return CreateResponse(body, NO_STORE, request)


@making.post(
    "/estimate",
    operation_id="estimateVideo",
    response_model=Estimate,
    responses=errors(404, *OF_A_BODY),
    openapi_extra=generate_body(),
)
async def estimate(request: Request) -> Response:
    """What a generate with this body would buy, and what it would cost at most. Nothing is bought."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with _order(request, gateway, caller) as (wish, ours, _):
        asked = asked_by(wish.model, gateway)
        wish = replace(wish, model=asked.model, asked_as=wish.model)
        plan = await gateway.app.plan(wish, ours=ours, caller=caller)
    first, *_ = routes = plan.takes[0]
    size, seconds = first.fit.size or first.request.size, first.fit.seconds or first.request.seconds
    prices = [route.estimate_usd for route in routes]
    known = [price for price in prices if price is not None]
    found = Estimate(
        model=str(first.request.model),
        size=str(size),
        seconds=seconds or 0,
        estimate_usd=first.estimate_usd,
        most_usd=max(known) if known and len(known) == len(prices) else None,
        adjustments=[Adjusted(field=a.field, asked=a.asked, given=a.given, why=a.why) for a in first.adjustments],
        notes=list(plan.notes),
    )
    return answer(found)


def asked_by(name: str | None, gateway: Gateway) -> Asked:
    """What a name stands for. Without one it is the model of the settings, or the first that can serve."""
    if name is not None:
        return asked_for(name, gateway.settings)
    default = gateway.settings.defaults.model
    return Asked(name=default or "a create without a model", model=default, misfit=None, stands_in=default is None)


@asynccontextmanager
async def _order(
    request: Request, gateway: Gateway, caller: Caller
) -> AsyncGenerator[tuple[Wish, frozenset[str], str]]:
    """The wish of a body, the fields of it that are ours, and by what the body is known. Raises Problem: 422."""
    try:
        async with read_form(request, gateway.form_limits, gateway.spool) as form:
            files = await _taken_in(gateway, form)
            asked = validated(Generate, request, {**form.fields, **dict.fromkeys(files, "a file")})
            yield *await _wish_of(asked, files, gateway, caller), form.digest
    except RushesError as error:
        raise invalid(error) from error


async def _taken_in(gateway: Gateway, form: Form) -> dict[str, MediaRef]:
    """The pictures that came as files, checked and stored, by their field. Raises Problem."""
    taken: dict[str, MediaRef] = {}
    for upload in form.uploads:
        if upload.field not in PICTURES or upload.field in taken:
            message = f"Files are taken as {' and '.join(PICTURES)}, each once."
            raise Problem(message, status=422, error_code="invalid_value", param=upload.field[:80])
        taken[upload.field] = await taken_file(gateway, upload, upload.field, clips=False)
    return taken


async def _wish_of(
    asked: Generate, files: Mapping[str, MediaRef], gateway: Gateway, caller: Caller
) -> tuple[Wish, frozenset[str]]:
    named = asked.model_fields_set
    sources = [name for name in ("remix", "edit", "extend") if getattr(asked, name) is not None]
    size = Size(asked.width, asked.height)
    ours = frozenset(name for name, of in (("size", {"width", "height"}), ("seconds", {"duration"})) if not of & named)
    model = asked.model
    if sources:
        source = await gateway.entry(getattr(asked, sources[0]), caller)
        if source.view.status is not Status.COMPLETED:
            message = f"{source.view.id} is {source.view.status.value}; only a completed video can be started from."
            raise Problem(message, status=422, error_code="invalid_value", param=sources[0])
        model = model or source.view.model
    wish = Wish(
        prompt=asked.prompt,
        model=model,
        # What is made of an earlier video takes both from it, where nothing was said.
        size=None if sources and "size" in ours else size,
        seconds=None if sources and "seconds" in ours else asked.duration,
        seed=asked.seed,
        audio=asked.audio,
        negative_prompt=asked.negative_prompt or None,
        first_frame=files.get("image") or asked.image,
        last_frame=files.get("last_image") or asked.last_image,
        remix=asked.remix,
        edit=asked.edit,
        extend=asked.extend,
        fallback=asked.fallback,
        extra=asked.extra,
        misfit=Misfit.STRICT,
        cache=asked.cache,
        max_cost_usd=asked.max_cost_usd,
        tags=asked.tags,
    )
    return wish, ours


# -- look --------------------------------------------------------------------------------------------


@making.get(
    "/status/{job_id}",
    operation_id="getGenerateStatus",
    response_model=Generated,
    responses=errors(404),
)
async def status(request: Request, job_id: VideoId) -> Response:
    """How a job goes, and where its file is once it is completed."""
    gateway = gateway_of(request)
    entry = await gateway.entry(job_id, await gateway.caller(request))
    body = entry.bodies.get("native")
    if body is None:
        body = entry.bodies["native"] = generated(entry.view).model_dump_json().encode()
    return Response(body, media_type="application/json", headers=NO_STORE)


def generated(view: View) -> Generated:
    """A job in four words. Pure."""
    file_id = video_uuid(view.row(view.id).id)
    failed = view.status is Status.FAILED
    return Generated(
        job_id=str(video_uuid(view.id)),
        status=view.status,
        video_url=f"/api/download/{file_id}" if view.status is Status.COMPLETED else None,
        error=view.failure.message if failed and view.failure else None,
    )


# -- files -------------------------------------------------------------------------------------------

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _files(*mimes: str) -> dict[int | str, dict[str, Any]]:
    content = dict.fromkeys(mimes, _BINARY)
    return {
        200: {"description": "The file", "content": content},
        206: {"description": "The part of it that Range names", "content": content},
        304: {"description": "It is still the one that If-None-Match names"},
    }


@making.get(
    "/download/{file_id}",
    operation_id="downloadVideo",
    response_class=Response,
    responses={**_files("video/mp4", "video/webm"), **errors(404, 410, 412, 416)},
)
async def download(request: Request, file_id: VideoId) -> Response:
    """The file of a finished video, to be saved. Takes Range, If-None-Match and HEAD."""
    gateway = gateway_of(request)
    entry = await gateway.entry(file_id, await gateway.caller(request))
    return await piece_response(request, gateway, entry, ledger_id(file_id), Variant.VIDEO.value, attachment=True)


making.add_api_route("/download/{file_id}", download, methods=["HEAD"], include_in_schema=False)


@making.get(
    "/output/video/{video_id}/{name}",
    operation_id="getOutput",
    response_class=Response,
    responses={
        **_files("video/mp4", "video/webm", "image/webp", "image/jpeg"),
        **errors(400, 404, 410, 412, 416),
    },
)
async def output(
    request: Request,
    video_id: Annotated[str, Path(description=ID_TEXT, json_schema_extra={"pattern": ID_PATTERN})],
    name: Annotated[str, Path(json_schema_extra={"enum": list(FILES)})],
) -> Response:
    """A file of a finished video, to be shown: the video, its thumbnail, or its spritesheet."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    if not re.fullmatch(ID_PATTERN, video_id):
        raise Problem("Invalid UUID format", status=400, error_code="invalid_id", param="uuid")
    if name not in FILES:
        raise Problem("Invalid filename", status=400, error_code="invalid_filename", param="name")
    entry = await gateway.entry(video_id, caller)
    found = await piece_response(request, gateway, entry, ledger_id(video_id), FILES[name].value)
    if found.status_code in (200, 206, 304):  # a signed link to elsewhere dies sooner
        found.headers["cache-control"] = FOR_EVER
    return found


making.add_api_route("/output/video/{video_id}/{name}", output, methods=["HEAD"], include_in_schema=False)


router = APIRouter()
for _part in (making, jobs_api.router, catalogue.router, events.router, health.router, metrics.router):
    router.include_router(_part)
