"""The OpenAI Videos API: its ten operations as routes. Each reads, calls one function, and answers.

Its vendor ended it in September 2026; this is its last form. The same handlers are mounted under every prefix that its
clients use, among them the one that Azure's clients make, so nothing here knows its own address.
"""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.gateway import openai_shapes as shapes
from rushes.gateway.aliases import Asked, asked_for
from rushes.gateway.answers import (
    MANIFEST,
    NO_STORE,
    body_of,
    cache_header,
    dumped,
    json_answer,
    piece_response,
    poll_headers,
)
from rushes.gateway.fields import Fields, wrong
from rushes.gateway.forms import Form, read_form
from rushes.gateway.gateway import CreateResponse, Gateway, gateway_of
from rushes.gateway.material import taken_file, taken_text
from rushes.gateway.openai_wire import (
    LAST_FIELDS,
    PICTURE_FIELDS,
    create_of,
    misfit_of,
    prompt_of,
    seconds_of,
    served_headers,
    source_of,
    video_object,
)
from rushes.gateway.problems import Problem, bad_request, not_found
from rushes.jobs.callers import Caller
from rushes.jobs.shelf import Character
from rushes.jobs.store import Filter
from rushes.planning import Picture, Wish
from rushes.providers.prepare import Misfit
from rushes.providers.terms import Variant
from rushes.video import MediaRef, ModelId, Status, ledger_id

LIST_DEFAULT = 20
LIST_MOST = 100
VARIANTS = (*(variant.value for variant in Variant), MANIFEST)
OPENAI = "openai"

router = APIRouter(tags=["OpenAI Videos API"])


# -- make --------------------------------------------------------------------------------------------


@router.post("/videos", **shapes.CREATE)
async def create(request: Request) -> Response:
    """Make a video. Answers at once, with the job; look at it until it is completed."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        prompt_of(Fields(form.fields))  # the cheapest mistake is told first, before a picture is looked at
        read = create_of(Fields(form.fields), await taken_in(gateway, form))
        asked = asked_for(read.model, gateway.settings)
        wish = await with_pictures(gateway, read.wish)
        wish = replace(wish, model=read.model, misfit=misfit_of(read.strict, asked.misfit))
        if wish.remix is not None:
            return await _from_source(request, gateway, caller, wish, form.digest, read.ignored)
        return await _make(request, gateway, caller, wish, asked, form.digest, read.ours, read.ignored)


@router.post("/videos/{video_id}/remix", **shapes.REMIX)
async def remix(request: Request, video_id: str) -> Response:
    """Make a variation of a finished video."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        fields = Fields(form.fields)
        wish = Wish(prompt=prompt_of(fields), remix=video_id)
        return await _from_source(request, gateway, caller, wish, f"remix {video_id} {form.digest}")


@router.post("/videos/edits", **shapes.EDIT)
async def edit(request: Request) -> Response:
    """Change a finished video, or one that is sent along."""
    return await _edit(request, None)


@router.post("/videos/{video_id}/edits", include_in_schema=False)
async def edit_one(request: Request, video_id: str) -> Response:
    """The same, as an early guide had it."""
    return await _edit(request, video_id)


async def _edit(request: Request, video_id: str | None) -> Response:
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        fields = Fields(form.fields)
        prompt = prompt_of(fields)
        source = video_id or source_of(fields, await taken_in(gateway, form), "video", "video_id")
        wish = Wish(prompt=prompt, edit=source, model=fields.text("model", most=400))
        return await _from_source(request, gateway, caller, wish, f"edit {video_id} {form.digest}")


@router.post("/videos/extensions", **shapes.EXTEND)
async def extend(request: Request) -> Response:
    """Go on where a video ends. What comes back is the whole, joined."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        fields = Fields(form.fields)
        prompt, seconds = prompt_of(fields), seconds_of(fields)
        if seconds is None:
            raise bad_request(
                "Missing required parameter: 'seconds', the length of what is added.",
                param="seconds",
                error_code="missing_required_parameter",
            )
        source = source_of(fields, await taken_in(gateway, form), "video", "video_id")
        wish = Wish(prompt=prompt, extend=source, seconds=seconds, model=fields.text("model", most=400))
        return await _from_source(request, gateway, caller, wish, f"extend {form.digest}")


async def _from_source(
    request: Request, gateway: Gateway, caller: Caller, wish: Wish, said: str, ignored: tuple[str, ...] = ()
) -> Response:
    """A remix, edit or extension: the model that made the source makes it, unless one of ours is named by its id."""
    source = wish.remix or wish.edit or wish.extend
    misfit = wish.misfit or Misfit.NEAREST
    if isinstance(source, str):
        view = (await gateway.entry(source, caller)).view
        if view.status is not Status.COMPLETED:
            message = f"{source} is {view.status.value}; only a completed video can be started from."
            raise Problem(message, status=400, error_code="invalid_value", param="video")
        own = wish.model if wish.model and ":" in wish.model else None
        asked = Asked(name=own or view.asked_model, model=own, misfit=misfit, stands_in=False)
    else:
        asked = asked_for(wish.model, gateway.settings)
    wish = replace(wish, misfit=misfit)
    return await _make(request, gateway, caller, wish, asked, said, frozenset(), ignored)


async def _make(
    request: Request,
    gateway: Gateway,
    caller: Caller,
    wish: Wish,
    asked: Asked,
    said: str,
    ours: frozenset[str],
    ignored: tuple[str, ...],
) -> Response:
    wish = replace(wish, model=asked.model, asked_as=asked.name, cache=wish.cache or cache_header(request))
    made = await gateway.make(
        wish, asked, caller, gateway.repeat_of(request, said), ours=ours, gone=request.is_disconnected
    )
    headers = {**NO_STORE, **poll_headers(gateway, made), **served_headers(made.view, ignored)}
    return CreateResponse(body_of(made, OPENAI, video_object), headers, request)


async def taken_in(gateway: Gateway, form: Form) -> dict[str, MediaRef]:
    """The files of a form, checked and stored, by field; a second one in a field as `field#1`. Raises Problem."""
    taken: dict[str, MediaRef] = {}
    for upload in form.uploads:
        if upload.field not in (*PICTURE_FIELDS, *LAST_FIELDS, "video"):
            continue
        ref = await taken_file(gateway, upload, upload.field, clips=upload.field == "video")
        n = sum(name.split("#")[0] == upload.field for name in taken)
        taken[f"{upload.field}#{n}" if n else upload.field] = ref
    return taken


async def with_pictures(gateway: Gateway, wish: Wish) -> Wish:
    """The wish with the pictures that were given as text, links among them, taken in. Raises Problem."""

    async def added(given: Picture | None, param: str) -> Picture | None:
        return await taken_text(gateway, given, param) if isinstance(given, str) else given

    first = await added(wish.first_frame, "input_reference")
    return replace(wish, first_frame=first, last_frame=await added(wish.last_frame, "last_frame"))


# -- look --------------------------------------------------------------------------------------------


@router.get("/videos", **shapes.LIST)
async def list_videos(request: Request) -> Response:
    """Your videos, newest first unless asked otherwise."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    query = Fields(dict(request.query_params))
    limit = query.whole("limit", least=0, most=LIST_MOST)
    limit = LIST_DEFAULT if limit is None else limit
    order = query.text("order", most=20) or "desc"
    if order not in ("asc", "desc"):
        raise wrong("order", "is asc or desc", order)
    after = query.text("after", most=200)
    if after is not None:
        after = await gateway.place(after, caller)
    wanted = Filter(owner=caller.owner, limit=limit + 1, after=after, oldest_first=order == "asc")
    views = await gateway.matching(wanted)
    page = views[:limit]
    return json_answer(
        {
            "object": "list",
            "data": [video_object(view) for view in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": len(views) > limit,
        }
    )


@router.post("/videos/characters", **shapes.CHARACTER_CREATE)
async def create_character(request: Request) -> Response:
    """Make a character from a short clip, to be named in later creates."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    async with read_form(request, gateway.form_limits, gateway.spool) as form:
        fields = Fields(form.fields)
        name = fields.text("name", most=80)
        if not name:
            raise bad_request(
                "Missing required parameter: 'name'.", param="name", error_code="missing_required_parameter"
            )
        clip = (await taken_in(gateway, form)).get("video")
        if clip is None:
            raise bad_request("video is the file of a short clip.", param="video", error_code="invalid_type")
        asked = asked_for(fields.text("model", most=400), gateway.settings)
        made = await gateway.make_character(name, clip, asked, caller)
    return json_answer(_character(made))


@router.get("/videos/characters/{character_id}", **shapes.CHARACTER_GET)
async def get_character(request: Request, character_id: str) -> Response:
    """One character of yours."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    known = await gateway.app.characters.all(owner=caller.owner)
    found = next((each for each in known if each.id == character_id), None)
    if found is None:
        raise not_found("character", character_id)
    return json_answer(_character(found))


def _character(character: Character) -> dict[str, Any]:
    return {"id": character.id, "name": character.name, "created_at": int(character.created_at.timestamp())}


@router.get("/videos/{video_id}", **shapes.GET)
async def retrieve(request: Request, video_id: str) -> Response:
    """One video. A failed one is an answer like any other, with an `error`."""
    gateway = gateway_of(request)
    entry = await gateway.entry(video_id, await gateway.caller(request))
    headers = {**NO_STORE, **poll_headers(gateway, entry), **served_headers(entry.view)}
    asked_id = ledger_id(video_id)
    body = (
        body_of(entry, OPENAI, video_object)
        if asked_id == entry.view.id
        else dumped(video_object(entry.view, asked_id))
    )
    return Response(body, media_type="application/json", headers=headers)


@router.delete("/videos/{video_id}", **shapes.DELETE)
async def delete(request: Request, video_id: str) -> Response:
    """Delete a video and its files; one that is still being made is cancelled."""
    gateway = gateway_of(request)
    await gateway.delete(video_id, await gateway.caller(request))
    return json_answer({"id": ledger_id(video_id), "object": "video.deleted", "deleted": True})


@router.get("/videos/{video_id}/content", **shapes.CONTENT)
async def content(request: Request, video_id: str) -> Response:
    """The file: the video, its thumbnail, its spritesheet, or the manifest of its origin."""
    gateway = gateway_of(request)
    entry = await gateway.entry(video_id, await gateway.caller(request))
    variant = request.query_params.get("variant", Variant.VIDEO.value)
    if variant not in VARIANTS:
        raise wrong("variant", f"is one of {', '.join(VARIANTS)}", variant)
    return await piece_response(request, gateway, entry, ledger_id(video_id), variant)


router.add_api_route("/videos/{video_id}/content", content, methods=["HEAD"], **shapes.CONTENT_HEAD)


# -- models ------------------------------------------------------------------------------------------


@router.get("/models", **shapes.MODELS)
async def models(request: Request) -> Response:
    """Every name that a create may have as its model."""
    gateway = gateway_of(request)
    found = gateway.model_names(await gateway.caller(request))
    return json_answer({"object": "list", "data": [_model(name) for name in found]})


@router.get("/models/{name:path}", **shapes.MODEL)
async def model(request: Request, name: str) -> Response:
    gateway = gateway_of(request)
    if name not in gateway.model_names(await gateway.caller(request)):
        raise Problem(f"The model {name[:80]!r} does not exist.", status=404, error_code="model_not_found")
    return json_answer(_model(name))


def _model(name: str) -> dict[str, Any]:
    owner = ModelId.parse(name).provider if ":" in name or name == "draft" else "rushes"
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
