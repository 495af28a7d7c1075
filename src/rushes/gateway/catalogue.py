"""The native API's library, models and spending: what there is, what could be had, and what it cost."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from rushes.gateway.aliases import names
from rushes.gateway.gateway import Gateway, gateway_of
from rushes.gateway.jobs_api import LIST_DEFAULT, Before, Limit, ModelQuery, Search, TagQuery, before_of
from rushes.gateway.native_border import answer
from rushes.gateway.native_shapes import (
    SECURED,
    Adjusted,
    Alias,
    Models,
    ModelShown,
    PriceShown,
    RankShown,
    ReplacementShown,
    SpendLimit,
    SpendLine,
    SpendShown,
    VideoPage,
    VideoShown,
    errors,
)
from rushes.gateway.problems import Problem
from rushes.gateway.views import View
from rushes.jobs.callers import Caller
from rushes.jobs.ledger import JobState
from rushes.jobs.purse import By, Line, Period
from rushes.jobs.shelf import VideoRow
from rushes.jobs.store import Filter
from rushes.media.store import SPRITESHEET, THUMBNAIL, VIDEO
from rushes.providers.catalog import Model
from rushes.providers.replacements import Replacement
from rushes.video import video_uuid

Day = Annotated[date, BeforeValidator(lambda text: text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else "no day")]
"""Written as 2026-11-21, and in no other way."""

router = APIRouter(prefix="/api", dependencies=[SECURED])


# -- library -----------------------------------------------------------------------------------------


@router.get("/videos", operation_id="listLibrary", tags=["Library"], response_model=VideoPage, responses=errors(404))
async def list_videos(
    request: Request,
    search: Search = None,
    tag: TagQuery = None,
    model: ModelQuery = None,
    limit: Limit = LIST_DEFAULT,
    before: Before = None,
) -> Response:
    """Your finished videos, newest first. A job that made several is counted once, and shown with all of them."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    wanted = Filter(
        owner=caller.owner,
        states=frozenset({JobState.COMPLETED}),
        search=search,
        tags=tuple(tag or ()),
        model=model,
        limit=limit + 1,
        before=await before_of(gateway, before, caller),
    )
    found = await gateway.matching(wanted)
    page, has_more = found[:limit], len(found) > limit
    tags = await gateway.app.tags.of([view.id for view in page])
    videos = [video_shown(view, row, tags[view.id]) for view in page for row in view.videos if row.sha256 is not None]
    return answer(
        VideoPage(videos=videos, has_more=has_more, next_before=str(video_uuid(page[-1].id)) if has_more else None)
    )


def video_shown(view: View, row: VideoRow, tags: Sequence[str]) -> VideoShown:
    """A finished video with the addresses of its files. Pure."""
    file_id = video_uuid(row.id)
    files = f"/api/output/video/{file_id}"
    return VideoShown(
        file_id=str(file_id),
        id=row.id,
        job_id=str(video_uuid(view.id)),
        available=row.in_library,
        video_url=f"{files}/{VIDEO}",
        thumbnail_url=f"{files}/{THUMBNAIL}",
        spritesheet_url=f"{files}/{SPRITESHEET}",
        download_url=f"/api/download/{file_id}",
        format=row.format,
        width=row.size.width if row.size else None,
        height=row.size.height if row.size else None,
        seconds=row.seconds,
        fps=float(row.fps) if row.fps else None,
        has_audio=row.has_audio,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        model=view.model,
        prompt=view.prompt,
        cached=view.cached,
        created_at=view.created_at,
        tags=list(tags),
        adjustments=[Adjusted(field=a.field, asked=a.asked, given=a.given, why=a.why) for a in view.adjustments],
    )


# -- models ------------------------------------------------------------------------------------------


@router.get("/models", operation_id="listCatalogue", tags=["Models"], response_model=Models, responses=errors(403, 404))
async def models(
    request: Request,
    instead_of: Annotated[str | None, Query(alias="for", description="A model that others would replace")] = None,
) -> Response:
    """Every model that you may ask for: what it can do, what it costs, and whether it can be used now. With `for`,
    also what could be used instead of that one."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    found_for = None if instead_of is None else gateway.app.replacements(instead_of)
    found = [shown for name in gateway.app.providers.names() for shown in _models_of(gateway, name, caller)]
    settings = gateway.settings
    aliases = [
        Alias(name=name, models=[stands] if isinstance(stands := settings.aliases.get(name, ()), str) else list(stands))
        for name in names(settings)
        if caller.may_use({name})
    ]
    replacements = None
    if found_for is not None:
        allowed = [each for each in found_for.replacements if caller.may_use({str(each.model.id)})]
        replacements = [replacement_shown(each, key=each.model.id.provider in found_for.keys) for each in allowed]
    return answer(Models(models=found, aliases=aliases, replacements=replacements))


def replacement_shown(one: Replacement, *, key: bool) -> ReplacementShown:
    """A model beside the one that it would replace. Pure."""
    return ReplacementShown(
        id=str(one.model.id),
        usd=one.usd,
        ratio=None if one.ratio is None else round(float(one.ratio), 3),
        size=str(one.size),
        seconds=one.seconds,
        lacks=list(one.lacks),
        ranks=[RankShown(board=r.board, title=r.title, day=r.day, score=r.score) for r in one.standings],
        key=key,
    )


def _models_of(gateway: Gateway, provider: str, caller: Caller) -> list[ModelShown]:
    registry = gateway.app.providers
    known = [model for model in registry.catalog.of(provider) if caller.may_use({str(model.id)})]
    can = registry.availability(provider)
    today = gateway.app.jobs.now().date()
    return [model_shown(model, usable=can.usable, reason=can.reason or None, today=today) for model in known]


def model_shown(model: Model, *, usable: bool, reason: str | None, today: date) -> ModelShown:
    """A model as its table says it. Pure."""
    if model.retired is not None and model.retired <= today:
        instead = f" Use {model.successor} instead." if model.successor else ""
        usable, reason = False, f"It was retired on {model.retired}.{instead}"
    return ModelShown(
        id=str(model.id),
        provider=model.id.provider,
        title=model.title,
        usable=usable,
        reason=None if usable else reason,
        sizes=[str(size) for size in model.sizes],
        max_side=None if model.sizes else model.max_side,
        seconds=list(model.seconds),
        default_size=str(model.default_size),
        default_seconds=model.default_seconds,
        features=sorted(model.features),
        requires=list(model.requires),
        prices=[
            PriceShown(
                sizes=[str(size) for size in line.sizes],
                usd_per_second=line.usd_per_second,
                usd_per_video=line.usd_per_video,
            )
            for line in model.prices
        ],
        prompt_max=model.prompt_max,
        max_references=model.max_references,
        sound=model.sound,
        source=model.source,
        read=model.read,
        retired=model.retired,
        successor=model.successor,
        note=model.note,
    )


# -- spend -------------------------------------------------------------------------------------------


@router.get("/spend", operation_id="getSpend", tags=["Spend"], response_model=SpendShown, responses=errors(403))
async def spend(
    request: Request,
    by: Annotated[By, Query(description="`owner` is for admin keys")] = By.DAY,
    since: Annotated[Day | None, Query(description="From this UTC day on")] = None,
    until: Annotated[Day | None, Query(description="Up to this UTC day, it included")] = None,
) -> Response:
    """What your jobs cost; with an admin key, what all jobs cost."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    if since and until and since > until:
        raise Problem(
            "since is after until: no day lies between.", status=422, error_code="invalid_value", param="since"
        )
    if by is By.OWNER and not caller.admin:
        raise Problem("Only an admin key sees what others spend.", status=403, error_code="not_allowed", param="by")
    period = Period(since=since.isoformat() if since else None, until=until.isoformat() if until else None)
    everything = caller.admin
    report = await gateway.app.spend.report(
        by, period, owner=None if everything else caller.owner, limits=None if everything else caller.limits
    )
    return answer(
        SpendShown(
            by=by,
            since=since,
            until=until,
            whose="all" if everything else "own",
            lines=[_line(line) for line in report.lines],
            total=_line(report.total),
            today=report.today,
            limits=[
                SpendLimit(
                    name=limit.name,
                    limit_usd=limit.limit_usd,
                    held_usd=limit.held_usd,
                    settled_usd=limit.settled_usd,
                    free_usd=limit.free_usd,
                )
                for limit in report.limits
            ],
        )
    )


def _line(line: Line) -> SpendLine:
    return SpendLine(
        name=line.name or None,
        jobs=line.jobs,
        settled_usd=line.settled_usd,
        held_usd=line.held_usd,
        overrun_usd=line.overrun_usd,
        unknown=line.unknown,
    )
