"""The tools: each takes what an assistant says, calls the App, and answers. Errors of ours go up as they are."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, Image
from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import BaseModel, Field, WithJsonSchema

from rushes.app import App
from rushes.errors import MediaError, NotFound, RushesError
from rushes.jobs.ledger import JobState
from rushes.jobs.library import check_writable, copy_whole
from rushes.jobs.service import Snapshot
from rushes.jobs.store import Filter
from rushes.mcp.answers import (
    DownloadAnswer,
    GenerateAnswer,
    JobAnswer,
    ListAnswer,
    ModelAnswer,
    ModelsAnswer,
    QuoteAnswer,
    job_answer,
    model_answer,
    quote_answer,
    video_answer,
)
from rushes.mcp.money import Allowance
from rushes.planning import Wish
from rushes.providers.terms import Variant
from rushes.video import Status, Video

LONGEST_WAIT_S = 600.0
CANCEL_WAIT_S = 10.0
THUMBNAILS_SHOWN = 4
THUMBNAIL_BYTES = 500_000  # answers go through a model's context
PROGRESS_WHOLE = 100.0

Ctx = Context[Any, Any]

Prompt = Annotated[str, Field(min_length=1, description="What the video shows.")]
ModelName = Annotated[
    str | None, Field(description="A model's id, as `models` lists them. Default: the first provider that is set up.")
]
SizeText = Annotated[str | None, Field(description="Width x height in pixels, such as 1280x720.")]
Seconds = Annotated[
    int | None, Field(ge=1, le=3600, description="Length in whole seconds; to extend: of what is added.")
]
Picture = Annotated[str | None, Field(description="The first frame: an absolute path, an https URL or a data URI.")]
LastPicture = Annotated[str | None, Field(description="The last frame, for models that take one; given like image.")]
Remix = Annotated[str | None, Field(description="Id of an earlier video that is made anew, as the prompt says.")]
Edit = Annotated[str | None, Field(description="Id of an earlier video that is changed as the prompt says.")]
Extend = Annotated[str | None, Field(description="Id of an earlier video that goes on where it ends.")]
Seed = Annotated[int | None, Field(ge=0, le=2**63 - 1, description="For models that take one; repeats count up.")]
Count = Annotated[int, Field(ge=1, le=20, description="How many videos: as many jobs, each at its price.")]
MaxCost = Annotated[
    Decimal | None,
    Field(ge=0, description="Refuse if all of this call together would cost more, in US dollars."),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}),
]
AllowUnknown = Annotated[bool, Field(description="Buy although nobody knows the price. Only if the user agrees.")]
WaitSeconds = Annotated[
    float, Field(ge=0, le=LONGEST_WAIT_S, description="How long to wait at most. The jobs go on after that.")
]
JobId = Annotated[str, Field(min_length=1, description="The id of a job or video, or an unambiguous beginning.")]


class Tools:
    """What the assistant may call. One object for a session."""

    def __init__(self, app: App, allowance: Allowance) -> None:
        self._app = app
        self._allowance = allowance

    # -- make --------------------------------------------------------------------------------------

    async def generate(
        self,
        ctx: Ctx,
        prompt: Prompt,
        model: ModelName = None,
        size: SizeText = None,
        seconds: Seconds = None,
        image: Picture = None,
        last_image: LastPicture = None,
        remix: Remix = None,
        edit: Edit = None,
        extend: Extend = None,
        seed: Seed = None,
        n: Count = 1,
        max_cost_usd: MaxCost = None,
        allow_unknown_price: AllowUnknown = False,
        wait: Annotated[bool, Field(description="Wait for the end, for at most wait_s; else answer at once.")] = False,
        wait_s: WaitSeconds = 50.0,
    ) -> Annotated[CallToolResult, GenerateAnswer]:
        """Make a video from a prompt. This can cost money: ask `price` first, and the user if it does.

        Answers with the price and the ids of the jobs; ask `status` for them later. The same request again joins the
        open job or is served from the library, and is not paid twice.
        """
        wish = Wish(
            prompt=prompt,
            model=model,
            size=size,
            seconds=seconds,
            first_frame=image,
            last_frame=last_image,
            remix=remix,
            edit=edit,
            extend=extend,
            seed=seed,
            n=n,
            max_cost_usd=max_cost_usd,
            allow_unknown_price=allow_unknown_price,
        )
        bought = await self._allowance.buy(wish)
        ids = [admission.job_id for admission in bought.admissions]
        if not all(admission.cached for admission in bought.admissions):
            self._app.work()
        if wait:
            await self._watch(ctx, ids, wait_s)
        snapshots = [await self._app.jobs.get(job_id) for job_id in ids]
        videos = [await self._videos(snapshot) for snapshot in snapshots]
        answer = GenerateAnswer(
            quote=quote_answer(bought.plan, bought.price_usd, await self._allowance.free_usd()),
            jobs=tuple(job_answer(snapshot, made) for snapshot, made in zip(snapshots, videos, strict=True)),
            done=all(snapshot.settled for snapshot in snapshots),
        )
        return _result(answer, await self._thumbnails(video for made in videos for video in made) if wait else ())

    async def price(
        self,
        prompt: Prompt,
        model: ModelName = None,
        size: SizeText = None,
        seconds: Seconds = None,
        image: Picture = None,
        last_image: LastPicture = None,
        remix: Remix = None,
        edit: Edit = None,
        extend: Extend = None,
        seed: Seed = None,
        n: Count = 1,
    ) -> QuoteAnswer:
        """What `generate` would cost with the same arguments, and what would be made otherwise. Buys nothing."""
        wish = Wish(
            prompt=prompt,
            model=model,
            size=size,
            seconds=seconds,
            first_frame=image,
            last_frame=last_image,
            remix=remix,
            edit=edit,
            extend=extend,
            seed=seed,
            n=n,
        )
        plan = await self._app.plan(wish)
        return quote_answer(plan, await self._app.price(plan), await self._allowance.free_usd())

    # -- look --------------------------------------------------------------------------------------

    async def status(
        self,
        ctx: Ctx,
        job_id: JobId,
        wait_s: WaitSeconds = 0.0,
        thumbnail: Annotated[bool, Field(description="Show a small picture of each finished video.")] = True,
    ) -> Annotated[CallToolResult, JobAnswer]:
        """How far a job is; when it is completed, its videos with their paths, and thumbnails to look at."""
        found = await self._app.jobs.find_id(job_id)
        snapshot = await self._app.jobs.get(found)
        if not snapshot.settled:
            self._app.work()  # perhaps nobody does, and it is being waited for
            await self._watch(ctx, [found], wait_s)
            snapshot = await self._app.jobs.get(found)
        videos = await self._videos(snapshot)
        return _result(job_answer(snapshot, videos), await self._thumbnails(videos) if thumbnail else ())

    async def list(
        self,
        kind: Annotated[Literal["jobs", "videos"], Field(description="jobs: all; videos: what is finished.")] = "jobs",
        search: Annotated[str | None, Field(description="Only those whose prompt contains this.")] = None,
        open_only: Annotated[bool, Field(description="Of jobs, only those that have not ended.")] = False,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> ListAnswer:
        """List jobs, or the finished videos of the library, newest first."""
        if kind == "videos":
            videos = await self._app.library.matching(search=search, limit=limit)
            return ListAnswer(videos=tuple(map(video_answer, videos[:limit])))
        states = frozenset(state for state in JobState if not state.final) if open_only else None
        found = await self._app.jobs.matching(Filter(states=states, search=search, limit=limit))
        return ListAnswer(jobs=tuple(job_answer(snapshot) for snapshot in found))

    async def models(
        self,
        search: Annotated[str | None, Field(description="Only those whose id, title or features contain this.")] = None,
        usable_only: Annotated[bool, Field(description="Only those whose provider is set up.")] = False,
    ) -> ModelsAnswer:
        """What each model can do and costs, and whether it can be used here."""
        found: list[ModelAnswer] = []
        for model in self._app.providers.catalog.models.values():
            words = " ".join((str(model.id), model.title, *model.features)).lower()
            can = self._app.providers.availability(model.id.provider)
            if (search is None or search.lower() in words) and (can.usable or not usable_only):
                found.append(model_answer(model, can))
        return ModelsAnswer(models=tuple(found))

    # -- fetch and stop ----------------------------------------------------------------------------

    async def download(
        self,
        video_id: Annotated[str, Field(min_length=1, description="The id of a video or job, or its beginning.")],
        path: Annotated[
            str | None,
            Field(description="An absolute path: a new file, or a folder. Default: say where the library has it."),
        ] = None,
        variant: Annotated[Literal["video", "thumbnail", "spritesheet"], Field(description="What of it.")] = "video",
    ) -> DownloadAnswer:
        """Copy a finished video, its thumbnail or spritesheet to a path. Never replaces a file that is there."""
        target = None if path is None else _target(path)
        video = await self._app.library.get(video_id)
        if variant == "video":
            source, url, suffix = video.path, video.url, video.format
        else:
            source = await self._app.library.picture(video, Variant(variant))
            url = await self._app.library.picture_url(video, Variant(variant))
            suffix = url.rpartition(".")[2]
        if target is None:
            if source is None and url.startswith("file:"):
                raise NotFound(f"The file of {video.id} is no longer in the library.")
            return await _delivered(variant, source, url, copied=False)
        if target.is_dir():
            target /= f"{video.id}.{suffix}" if variant == "video" else f"{video.id}-{variant}.{suffix}"
        if target.exists():
            raise MediaError(f"{target} is there already, and is not replaced. Name another path.")
        if variant == "video":
            made = await self._app.library.export(video, target)
        elif source is not None:
            made = await anyio.to_thread.run_sync(copy_whole, source, target, str(source))
        else:
            raise MediaError(f"The {variant} lies in a bucket, at {url}. Fetch it there.")
        return await _delivered(variant, made, url, copied=True)

    async def cancel(self, ctx: Ctx, job_id: JobId) -> JobAnswer:
        """Wish the end of a job. What is already paid for is still fetched; some jobs can no longer be stopped."""
        found = await self._app.jobs.find_id(job_id)
        await self._app.jobs.cancel(found)
        self._app.work()
        await self._watch(ctx, [found], CANCEL_WAIT_S)
        snapshot = await self._app.jobs.get(found)
        return job_answer(snapshot, await self._videos(snapshot))

    # -- parts -------------------------------------------------------------------------------------

    async def _watch(self, ctx: Ctx, job_ids: Sequence[str], wait_s: float) -> None:
        """Wait until all have ended, for so long at most, and tell the client how it goes: one bar for all."""
        with anyio.move_on_after(wait_s):
            for n, job_id in enumerate(job_ids):
                async with aclosing(self._app.jobs.watch(job_id)) as snapshots:
                    async for snapshot in snapshots:
                        share = 1.0 if snapshot.settled else snapshot.percent / PROGRESS_WHOLE
                        done = (n + share) / len(job_ids) * PROGRESS_WHOLE
                        words = f"{job_id} {snapshot.state.value}" + (
                            f": {snapshot.trouble}" if snapshot.trouble else ""
                        )
                        await ctx.report_progress(round(done, 1), PROGRESS_WHOLE, words)

    async def _videos(self, snapshot: Snapshot) -> Sequence[Video]:
        return await self._app.jobs.videos(snapshot.id) if snapshot.status is Status.COMPLETED else ()

    async def _thumbnails(self, videos: Iterable[Video]) -> Sequence[ContentBlock]:
        """Small pictures of the first few; of one whose file is gone, or lies in a bucket, none."""
        shown: list[ContentBlock] = []
        for video in tuple(videos)[:THUMBNAILS_SHOWN]:
            try:
                path = await self._app.library.picture(video, Variant.THUMBNAIL)
            except RushesError:  # a picture that cannot be made does not spoil the answer
                continue
            if path is not None and (await anyio.Path(path).stat()).st_size <= THUMBNAIL_BYTES:
                data = await anyio.Path(path).read_bytes()
                shown.append(Image(data=data, format=path.suffix.removeprefix(".")).to_image_content())
        return shown


def _result(answer: BaseModel, pictures: Iterable[ContentBlock]) -> CallToolResult:
    """The answer as text, as data, and with pictures."""
    return CallToolResult(
        content=[TextContent(text=answer.model_dump_json(indent=2)), *pictures],
        structured_content=answer.model_dump(mode="json"),
    )


def _target(text: str) -> Path:
    """Where a copy is to go. Raises MediaError for a path that means another place to the client, or is no place."""
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise MediaError(f"{text} is relative, and this server runs in a folder of its own. Pass an absolute path.")
    check_writable(path)
    return path


async def _delivered(variant: str, path: Path | None, url: str, *, copied: bool) -> DownloadAnswer:
    size_bytes = (await anyio.Path(path).stat()).st_size if path is not None else None
    return DownloadAnswer(
        variant=variant, path=str(path) if path is not None else None, url=url, size_bytes=size_bytes, copied=copied
    )
