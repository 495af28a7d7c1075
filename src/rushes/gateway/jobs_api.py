"""The native API's jobs: list them, look at one in full, cancel it, delete it, decide about it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rushes.errors import Conflict, NotAllowed, NotFound, RushesError
from rushes.gateway.forms import read_form
from rushes.gateway.gateway import Gateway, gateway_of
from rushes.gateway.native_border import VideoId, answer, invalid, validated
from rushes.gateway.native_shapes import (
    DECISIONS,
    ID_PATTERN,
    NO_NUL,
    OF_A_BODY,
    SECURED,
    TAG_PATTERN,
    Adjusted,
    Adopt,
    AttemptShown,
    Billed,
    Decision,
    Deleted,
    EventShown,
    JobInFull,
    JobPage,
    JobShown,
    Repay,
    errors,
    resolve_body,
)
from rushes.gateway.problems import Problem
from rushes.jobs.callers import Caller
from rushes.jobs.ledger import JobState
from rushes.jobs.service import Snapshot
from rushes.jobs.services import Case
from rushes.jobs.store import Event, Filter
from rushes.jobs.tags import TAG_MAX
from rushes.video import Status, ledger_id, video_uuid

LIST_DEFAULT = 50
LIST_MOST = 500

router = APIRouter(prefix="/api/jobs", tags=["Jobs"], dependencies=[SECURED])


class Which(StrEnum):
    """By what jobs are listed: the statuses of the world, and two that lie within them."""

    OPEN = "open"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    NEEDS_ATTENTION = "needs_attention"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATES = {
    Which.OPEN: frozenset(state for state in JobState if not state.final),
    Which.QUEUED: frozenset({JobState.QUEUED}),
    Which.IN_PROGRESS: frozenset(
        {JobState.SUBMITTING, JobState.IN_PROGRESS, JobState.DOWNLOADING, JobState.FINISHING, JobState.NEEDS_ATTENTION}
    ),
    Which.NEEDS_ATTENTION: frozenset({JobState.NEEDS_ATTENTION}),
    Which.COMPLETED: frozenset({JobState.COMPLETED}),
    Which.FAILED: frozenset({JobState.FAILED, JobState.CANCELLED}),
    Which.CANCELLED: frozenset({JobState.CANCELLED}),
}

Search = Annotated[str | None, Query(max_length=400, pattern=NO_NUL, description="A part of the prompt")]
TagQuery = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=TAG_MAX, pattern=TAG_PATTERN)]] | None,
    Query(max_length=32, description="Repeatable: all of them must fit"),
]
ModelQuery = Annotated[str | None, Query(max_length=400, pattern=NO_NUL, description="A part of the model's name")]
Limit = Annotated[int, Query(ge=1, le=LIST_MOST)]
Before = Annotated[str | None, Query(pattern=ID_PATTERN, description="A job's id: those that were admitted before it")]


# -- look --------------------------------------------------------------------------------------------


@router.get("", operation_id="listJobs", response_model=JobPage, responses=errors(404))
async def list_jobs(
    request: Request,
    status: Annotated[Which | None, Query()] = None,
    search: Search = None,
    tag: TagQuery = None,
    model: ModelQuery = None,
    limit: Limit = LIST_DEFAULT,
    before: Before = None,
) -> Response:
    """Your jobs, newest first."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    wanted = Filter(
        owner=caller.owner,
        states=STATES[status] if status else None,
        search=search,
        tags=tuple(tag or ()),
        model=model,
        limit=limit + 1,
        before=await before_of(gateway, before, caller),
    )
    found = await gateway.app.jobs.matching(wanted)
    page, has_more = found[:limit], len(found) > limit
    tags = await gateway.app.tags.of([each.id for each in page])
    jobs = [job_shown(each, tags[each.id]) for each in page]
    return answer(JobPage(jobs=jobs, has_more=has_more, next_before=jobs[-1].job_id if has_more else None))


async def before_of(gateway: Gateway, text: str | None, caller: Caller) -> str | None:
    """The job before which a page begins. Raises Problem (404)."""
    return None if text is None else await gateway.place(text, caller)


@router.get("/{job_id}", operation_id="getJob", response_model=JobInFull, responses=errors(404))
async def get_job(request: Request, job_id: VideoId) -> Response:
    """A job with its attempts, what they cost, and its history."""
    gateway = gateway_of(request)
    found = await _own(gateway, job_id, await gateway.caller(request))
    return answer(await _in_full(gateway, found))


async def _own(gateway: Gateway, text: str, caller: Caller) -> str:
    return (await gateway.entry(text, caller)).view.id


async def _in_full(gateway: Gateway, job_id: str) -> JobInFull:
    jobs = gateway.app.jobs
    snapshot, case = await jobs.get(job_id), await jobs.case(job_id)
    events, tags = await jobs.events(job_id), await gateway.app.tags.of([job_id])
    return job_in_full(job_shown(snapshot, tags[job_id]), case, events)


# -- decide ------------------------------------------------------------------------------------------


@router.post("/{job_id}/cancel", operation_id="cancelJob", response_model=JobInFull, responses=errors(404, 409))
async def cancel(request: Request, job_id: VideoId) -> Response:
    """Wish the end of a job. What is already paid for is still fetched, and then it completes."""
    gateway = gateway_of(request)
    found = await _own(gateway, job_id, await gateway.caller(request))
    case = await gateway.app.jobs.case(found)
    if case.job.state.final:
        raise Conflict(f"{job_id} is already {case.job.state}.")
    if case.job.state is JobState.NEEDS_ATTENTION:
        raise Conflict(f"{job_id} needs a decision first, by whoever runs this server.")
    await gateway.app.jobs.cancel(found)
    gateway.board.forget([found])
    return answer(await _in_full(gateway, found))


@router.delete("/{job_id}", operation_id="deleteJob", response_model=Deleted, responses=errors(404))
async def delete(request: Request, job_id: VideoId) -> Response:
    """Hide a job at once, with its videos; their files go when nothing else needs them. An open job is cancelled."""
    gateway = gateway_of(request)
    deleted = await gateway.delete(job_id, await gateway.caller(request))
    return answer(Deleted(job_id=str(video_uuid(deleted))))


@router.post(
    "/{job_id}/resolve",
    operation_id="resolveJob",
    response_model=JobInFull,
    responses=errors(404, *OF_A_BODY),
    openapi_extra=resolve_body(),
)
async def resolve(request: Request, job_id: VideoId) -> Response:
    """Decide about a job in need of attention. For whoever runs this server: it is about the provider's account.

    After its deadline an adopted job goes on under a new id, which is the one that is answered.
    """
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    if not caller.admin:
        raise NotAllowed("Only an admin key may decide about money: rushes keys create NAME --admin")
    try:
        async with read_form(request, gateway.form_limits, gateway.spool) as form:
            decision = _decision(request, form.fields)
    except RushesError as error:
        raise invalid(error) from error
    found = ledger_id(job_id)
    after = await _resolved(gateway, found, decision)
    gateway.board.forget({found, after})
    return answer(await _in_full(gateway, after))


def _decision(request: Request, fields: Mapping[str, Any]) -> Decision:
    """Raises Problem (422)."""
    name = fields.get("decision")
    if not isinstance(name, str) or name not in DECISIONS:
        message = f"decision is one of {', '.join(DECISIONS)}."
        raise Problem(message, status=422, error_code="invalid_value", param="decision")
    return validated(DECISIONS[name], request, fields)


async def _resolved(gateway: Gateway, job_id: str, decision: Decision) -> str:
    """Carry a decision out; the id under which the job goes on. Raises NotFound and Conflict."""
    jobs = gateway.app.jobs
    if (await jobs.case(job_id)).job.deleted_at is not None:
        raise NotFound(f"There is no job {job_id}.")
    match decision:
        case Adopt():
            return await jobs.resolve_adopt(job_id, decision.remote_id)
        case Repay():
            return await jobs.resolve_repay(job_id, max_cost_usd=decision.max_cost_usd)
        case Billed():
            return (await jobs.resolve_billed(job_id, decision.usd)).id
        case _:
            return (await jobs.resolve_billed(job_id, Decimal(0))).id


# -- in words (pure) -----------------------------------------------------------------------------------


def job_shown(snapshot: Snapshot, tags: Sequence[str]) -> JobShown:
    job_id = video_uuid(snapshot.id)
    done, failure = snapshot.status is Status.COMPLETED, snapshot.failure
    return JobShown(
        job_id=str(job_id),
        id=snapshot.id,
        status=snapshot.status,
        state=snapshot.state,
        percent=100 if done else min(99, int(snapshot.percent)),
        model=str(snapshot.model),
        asked_model=snapshot.asked_model,
        prompt=snapshot.prompt,
        created_at=snapshot.created_at,
        completed_at=snapshot.completed_at,
        deadline=snapshot.deadline,
        estimate_usd=snapshot.estimate_usd,
        cost_usd=snapshot.cost_usd,
        cached=snapshot.cached_from is not None,
        trouble=snapshot.trouble,
        error=failure.message if failure else None,
        error_code=failure.code if failure else None,
        adjustments=[Adjusted(field=a.field, asked=a.asked, given=a.given, why=a.why) for a in snapshot.adjustments],
        tags=list(tags),
        video_url=f"/api/output/video/{job_id}/video.mp4" if done else None,
    )


def job_in_full(shown: JobShown, case: Case, events: Sequence[Event]) -> JobInFull:
    attempts = [
        AttemptShown(
            n=attempt.n,
            provider=attempt.provider,
            model=attempt.model,
            state=attempt.state,
            remote_id=attempt.remote.id if attempt.remote else None,
            sent_at=attempt.sent_at,
            answered_at=attempt.answered_at,
            ended_at=attempt.ended_at,
            cost_usd=attempt.cost_usd,
            error_code=attempt.error_code,
            error=attempt.error,
        )
        for attempt in case.attempts
    ]
    told = [EventShown(id=event.id, at=event.ts, kind=event.kind, data=dict(event.data)) for event in events]
    return JobInFull(**dict(shown), attempts=attempts, events=told)
