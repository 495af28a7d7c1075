"""Azure's video jobs API, as routes over the same jobs that the OpenAI dialect shows.

Its vendor ended it in 2026 with the models behind it; the clients are still there. A create may ask for several videos,
which is one job with several generations where the provider sells them so. Where it does not, one video is made and the
answer says so: this API's clients must expect fewer generations than they asked for, and nobody wants to pay for jobs
that nobody ordered.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.gateway import azure_shapes as shapes
from rushes.gateway.aliases import Asked, asked_for
from rushes.gateway.answers import NO_STORE, body_of, cache_header, json_answer, piece_response
from rushes.gateway.azure_wire import (
    STATES,
    Create,
    Item,
    Placed,
    create_of,
    files_named,
    generation_object,
    job_object,
    placed,
    status_of,
    statuses_of,
)
from rushes.gateway.fields import Fields, wrong
from rushes.gateway.forms import Form, Upload, read_form
from rushes.gateway.gateway import CreateResponse, Gateway, gateway_of
from rushes.gateway.material import taken_file, taken_text
from rushes.gateway.openai_wire import served_headers
from rushes.gateway.problems import Problem, bad_request, not_found
from rushes.gateway.views import View
from rushes.jobs.callers import Caller
from rushes.jobs.store import Filter
from rushes.planning import Wish
from rushes.providers.catalog import Model
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Variant
from rushes.video import Adjustment, MediaRef, Status, VideoRequest, ledger_id

PATH = "/video/generations"
JOBS = f"{PATH}/jobs"
AZURE = "azure"
FILE_FIELDS = ("files", "file")
LIST_DEFAULT = 10
LIST_MOST = 100
LOOK_AT = 50
"""How many jobs are looked at in one go for those of a status, which the ledger knows only nearly."""

_operations = APIRouter()


# -- make --------------------------------------------------------------------------------------------


@_operations.post(JOBS, **shapes.CREATE)
async def create(request: Request) -> Response:
    """Make a video. Answers at once, with the job; look at it until it has succeeded or failed."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    deployment = request.path_params.get("deployment")
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        read = create_of(Fields(form.fields), deployment)
        asked = asked_for(read.model, gateway.settings)
        items = await _taken_in(gateway, read.items, form)
        model, pictures = _chosen(gateway, asked, caller, read, items)
        taken, told = _variants(gateway, model, read)
        wish = Wish(
            prompt=read.prompt,
            model=asked.model,
            asked_as=asked.name,
            size=read.size,
            seconds=read.seconds,
            first_frame=pictures.first_frame,
            last_frame=pictures.last_frame,
            references=pictures.references,
            extra={"n_variants": taken} if taken > 1 else {},
            misfit=asked.misfit,
            cache=cache_header(request),
            adjustments=told,
        )
        repeat = gateway.repeat_of(request, _said(form, deployment))
        made = await gateway.make(wish, asked, caller, repeat, ours=read.ours, gone=request.is_disconnected)
    headers = {**NO_STORE, **served_headers(made.view, read.ignored)}
    return CreateResponse(body_of(made, AZURE, job_object), headers, request)


def _said(form: Form, deployment: str | None) -> str:
    """What makes two creates the same. The names of files count here: items place the files by them."""
    return json.dumps([JOBS, deployment, form.digest, [upload.name for upload in form.uploads]])


async def _taken_in(gateway: Gateway, items: Sequence[Item], form: Form) -> list[tuple[Item, MediaRef]]:
    """Every item with its picture or clip, checked and stored. Nothing is read unless each name means something."""
    files = [upload for upload in form.uploads if upload.field in FILE_FIELDS]
    places = files_named(items, [upload.name or upload.field for upload in files])
    known: dict[str, MediaRef] = {}
    for item in items:
        if item.file_name not in known:
            place = places[item.file_name]
            known[item.file_name] = await _media(gateway, item, None if place is None else files[place])
    return [(item, known[item.file_name]) for item in items]


async def _media(gateway: Gateway, item: Item, file: Upload | None) -> MediaRef:
    param = f"{item.where}.file_name"
    if file is not None:
        return await taken_file(gateway, file, param, clips=True)
    return await taken_text(gateway, item.file_name, param, clips=True)


def _chosen(
    gateway: Gateway, asked: Asked, caller: Caller, read: Create, items: Sequence[tuple[Item, MediaRef]]
) -> tuple[Model, Placed]:
    """The first of the models meant that takes the items, and how. Raises Problem: what the very first one lacks."""
    choice = gateway.app.planner.choice(asked.model, caller, asked_as=asked.name)
    problems: list[Problem] = []
    for model in (choice.model, *choice.fallbacks):
        try:
            return model, placed(items, read.seconds, model.features, str(model.id))
        except Problem as problem:
            problems.append(problem)
    raise problems[0]


def _variants(gateway: Gateway, model: Model, read: Create) -> tuple[int, tuple[Adjustment, ...]]:
    """How many videos the create will make at the provider, and what is to be told if that is not what was asked."""
    if read.variants == 1:
        return 1, ()
    trial = VideoRequest(
        prompt=read.prompt, model=model.id, size=read.size, seconds=read.seconds, extra={"n_variants": read.variants}
    )
    provider = gateway.app.providers.provider(model.id.provider)
    if provider.count(Prepared(request=trial)) == read.variants:
        return read.variants, ()
    why = f"{model.id} makes one video for each create"
    return 1, (Adjustment(field="videos", asked=str(read.variants), given="1", why=why),)


# -- look --------------------------------------------------------------------------------------------


@_operations.get(JOBS, **shapes.LIST)
async def list_jobs(request: Request) -> Response:
    """Your jobs, newest first. `after` and `before` are ids: the jobs that come next, or those that came ahead."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    query = Fields(dict(request.query_params))
    limit = query.whole("limit", least=1, most=LIST_MOST) or LIST_DEFAULT
    statuses = statuses_of(request.query_params.getlist("statuses"))
    after, before = query.text("after", most=200), query.text("before", most=200)
    if after and before:
        raise bad_request("Give before or after, not both.", param="before")
    start = await gateway.place(after or before or "", caller) if after or before else None
    wanted = Filter(owner=caller.owner, limit=limit + 1, after=start, oldest_first=before is not None)
    found = await _matching(gateway, wanted, statuses)
    page = found[:limit]
    if before:
        page.reverse()  # they were looked for from the given one on
    return json_answer(
        {
            "object": "list",
            "data": [job_object(view) for view in page],
            "has_more": len(found) > limit,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }
    )


async def _matching(gateway: Gateway, wanted: Filter, statuses: frozenset[str] | None) -> list[View]:
    """The jobs of a filter that have one of these statuses, which depend on more than the ledger's states."""
    if statuses is None:
        return await gateway.matching(wanted)
    states = frozenset(state for status in statuses for state in STATES[status])
    batch = replace(wanted, states=states, limit=max(wanted.limit, LOOK_AT))
    found: list[View] = []
    while len(found) < wanted.limit:
        views = await gateway.matching(batch)
        found += [view for view in views if status_of(view) in statuses]
        if len(views) < batch.limit:
            break
        batch = replace(batch, after=views[-1].id)
    return found[: wanted.limit]


@_operations.get(JOBS + "/{job_id}", **shapes.GET)
async def get_job(request: Request, job_id: str) -> Response:
    """One job. A failed one is an answer like any other, with its `failure_reason`."""
    gateway = gateway_of(request)
    entry = await gateway.entry(job_id, await gateway.caller(request))
    headers = {**NO_STORE, **served_headers(entry.view)}
    return Response(body_of(entry, AZURE, job_object), media_type="application/json", headers=headers)


@_operations.delete(JOBS + "/{job_id}", **shapes.DELETE)
async def delete_job(request: Request, job_id: str) -> Response:
    """Delete a job and its files; one that is still being made is cancelled."""
    gateway = gateway_of(request)
    await gateway.delete(job_id, await gateway.caller(request))
    return Response(status_code=204)


@_operations.get(PATH + "/{generation_id}", **shapes.GENERATION_GET)
async def get_generation(request: Request, generation_id: str) -> Response:
    """One video of a job that has succeeded."""
    gateway = gateway_of(request)
    entry = await gateway.entry(generation_id, await gateway.caller(request))
    if entry.view.status is not Status.COMPLETED:
        raise not_found("generation", generation_id)  # so far it has none
    return json_answer(generation_object(entry.view, entry.view.row(ledger_id(generation_id))))


@_operations.get(PATH + "/{generation_id}/content/video", **shapes.VIDEO_CONTENT)
async def video_content(request: Request, generation_id: str) -> Response:
    """The video's file. There is one of it, so `quality` changes nothing."""
    quality = request.query_params.get("quality", "high")
    if quality not in ("high", "low"):
        raise wrong("quality", "is high or low", quality)
    return await _content(request, generation_id, Variant.VIDEO)


@_operations.get(PATH + "/{generation_id}/content/thumbnail", **shapes.THUMBNAIL_CONTENT)
async def thumbnail_content(request: Request, generation_id: str) -> Response:
    """A picture of the video. Azure sent JPEG; this is WebP, and says so."""
    return await _content(request, generation_id, Variant.THUMBNAIL)


for _path, _handler in (("video", video_content), ("thumbnail", thumbnail_content)):
    _address = f"{PATH}/{{generation_id}}/content/{_path}"
    _operations.add_api_route(_address, _handler, methods=["HEAD"], include_in_schema=False)


async def _content(request: Request, generation_id: str, variant: Variant) -> Response:
    gateway = gateway_of(request)
    entry = await gateway.entry(generation_id, await gateway.caller(request))
    return await piece_response(request, gateway, entry, ledger_id(generation_id), variant.value)


router = APIRouter(tags=["Azure video jobs"])
router.include_router(_operations)
# No published form of the API has these; copied samples do. The deployment is the model.
router.include_router(_operations, prefix="/deployments/{deployment}", include_in_schema=False)
