"""From a wish to what would be bought: models chosen, pictures taken in, sources found, every route prepared.

Nothing here spends. What is wrong with a wish is said here, while nothing is lost by saying so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from rushes.config import Settings
from rushes.errors import ConfigError, NotAllowed, RushesError, Unsupported
from rushes.jobs.callers import LOCAL, Caller
from rushes.jobs.characters import Characters
from rushes.jobs.lineage import Lineage, Origin
from rushes.jobs.service import Jobs
from rushes.jobs.tags import checked_tags
from rushes.media.inputs import Inputs, file_name
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model
from rushes.providers.prepare import (
    EXTENDS_ALONE,
    Fit,
    Misfit,
    Prepared,
    prepare,
    prepare_chained,
    prepare_retold,
)
from rushes.providers.registry import Choice, Registry
from rushes.video import JSON, Adjustment, Crop, MediaRef, Reference, Size, SourceKind, SourceVideo, VideoRequest

Picture = MediaRef | bytes | str | Path
"""A picture in any form that is understood: bytes, a path, `file://`, an https URL, a data URI, raw base64."""

INPAINT_ITEMS = "inpaint_items"
"""Azure's own name for references with a place in time; clients that were written for it still send it as an option."""

PAST = {SourceKind.REMIX: "remixed", SourceKind.EDIT: "edited", SourceKind.EXTEND: "extended"}

ITEM_FIELDS = ("frame_index", "type", "file_name", "crop_bounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A picture or clip as a reference; with a `frame_index` it is what the video shows from that frame on."""

    media: Picture
    frame_index: int | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants made, as the faces hear it: model by name, pictures in any form, everything optional.

    At most one of `remix`, `edit` and `extend` names an earlier video by its id, or is a clip to start from. `fallback`
    names models to try when the first provably did not accept. `characters` are ids of `rushes characters`, or the
    provider's own.
    """

    prompt: str
    model: str | None = None
    asked_as: str | None = None  # what is told as the model that was asked for; None: `model`
    size: Size | str | None = None
    seconds: int | None = None
    seed: int | None = None
    audio: bool | None = None
    negative_prompt: str | None = None
    first_frame: Picture | None = None
    last_frame: Picture | None = None
    references: tuple[Picture | Given, ...] = ()
    characters: tuple[str, ...] = ()
    remix: str | MediaRef | None = None
    edit: str | MediaRef | None = None
    extend: str | MediaRef | None = None
    extra: dict[str, JSON] = field(default_factory=dict[str, JSON])
    n: int = 1
    fallback: tuple[str, ...] = ()
    misfit: Misfit | None = None  # None: as configured
    cache: str | None = None
    max_cost_usd: Decimal | None = None
    allow_unknown_price: bool = False
    thumbnail: bool = True
    spritesheet: bool = True
    tags: tuple[str, ...] = ()
    priority: int = 0  # jobs of a higher one are taken first
    adjustments: tuple[Adjustment, ...] = ()  # what the face has changed already, to be told with the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be bought for a wish: the routes of each job, the first one first, and what is to be told."""

    choice: Choice
    takes: tuple[tuple[Prepared, ...], ...]
    wish: Wish
    notes: tuple[str, ...] = ()

    @property
    def prepared(self) -> tuple[Prepared, ...]:
        """What each job will try first."""
        return tuple(routes[0] for routes in self.takes)


@dataclass(frozen=True, slots=True)
class Material:
    """What a wish brings along, taken in once for all routes."""

    first_frame: MediaRef | None
    last_frame: MediaRef | None
    references: tuple[Reference, ...]
    extra: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a wish starts from: a video of the library (`origin`), or a clip that was given."""

    kind: SourceKind
    origin: Origin | None = None
    clip: MediaRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Helped:
    """A start of which the model is not told: `last_frame` to go on from, or else the `prompt` to tell again."""

    source: SourceVideo
    last_frame: MediaRef | None = None
    prompt: str = ""


class Planner:
    """Plans wishes. It reads the ledger and stores pictures, and changes nothing else."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        inputs: Inputs,
        jobs: Jobs,
        lineage: Lineage,
        characters: Characters,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._inputs = inputs
        self._jobs = jobs
        self._lineage = lineage
        self._characters = characters

    async def plan(self, wish: Wish, *, ours: Collection[str] = (), caller: Caller = LOCAL) -> Plan:
        """Decide what would be bought. `ours` names fields whose values the face chose. Raises what is wrong."""
        if wish.n < 1:
            raise RushesError(f"-n {wish.n} makes nothing. Pass 1 or more.")
        checked_tags(wish.tags)
        start = await self._start(wish, caller)
        origin = start.origin if start else None
        named = wish.model or (str(origin.model) if origin else None)
        choice = self.choice(named, caller, fallback=wish.fallback, asked_as=wish.asked_as)
        material: Material | None = None
        takes: list[list[Prepared]] = [[] for _ in range(wish.n)]
        notes = [*choice.notes]
        refusals: list[RushesError] = []
        for model in (choice.model, *choice.fallbacks):
            try:
                provider = self._registry.provider(model.id.provider)
                provider.check_ready()
                material = material or await self.taken_in(wish, files=caller.reads_files)
                helped = await self._helped(start, model, wish) if start else None
                request = await self._request(wish, model, material, None if helped else start, caller)
                routes = [
                    await self._prepared(request, model, provider, wish, ours, slot, caller, helped)
                    for slot in range(wish.n)
                ]
            except (ConfigError, Unsupported) as error:
                refusals.append(error)
                notes.append(f"{model.id} is left out: {error}")
                continue
            for take, prepared in zip(takes, routes, strict=True):
                take.append(prepared)
        if not takes[0]:
            raise refusals[0]
        if origin is not None and any(_by_remote_id(prepared) for prepared in takes[0]):
            notes += origin.notes(self._jobs.now())
        return Plan(
            choice=choice,
            # Exact fits first: what must be cut or scaled is only the next best.
            takes=tuple(tuple(sorted(take, key=lambda prepared: prepared.fit != Fit())) for take in takes),
            wish=wish,
            notes=tuple(notes),
        )

    def choice(
        self, named: str | None, caller: Caller, *, fallback: Sequence[str] = (), asked_as: str | None = None
    ) -> Choice:
        """The models that this caller may use, of those that a name leads to. Raises NotAllowed."""
        choice = self._registry.choose(named, fallback)
        asked = asked_as or choice.asked
        # A name that may be used stands for its own models; a fallback has to be allowed by its own.
        under_name = {str(model.id) for model in _models(self._registry.choose(named))}
        models = [
            model
            for model in _models(choice)
            if caller.may_use({str(model.id)} | ({asked, choice.asked} if str(model.id) in under_name else set()))
        ]
        if not models:
            raise NotAllowed(f"This key may not use {asked}. It may use: {', '.join(caller.models)}.")
        return replace(choice, model=models[0], fallbacks=tuple(models[1:]), asked=asked)

    async def _prepared(
        self,
        request: VideoRequest,
        model: Model,
        provider: Provider,
        wish: Wish,
        ours: Collection[str],
        slot: int,
        caller: Caller,
        helped: "Helped | None",
    ) -> Prepared:
        misfit, today = self._misfit(wish), self._jobs.now().date()
        if helped is None:
            fitted = prepare(request, model, misfit=misfit, ours=ours, slot=slot, today=today)
        elif helped.last_frame is not None:
            going_on = replace(request, first_frame=helped.last_frame)
            fitted = prepare_chained(going_on, helped.source, model, misfit=misfit, ours=ours, slot=slot, today=today)
        else:
            fitted = prepare_retold(request, helped.source, helped.prompt, model, ours=ours, slot=slot, today=today)
        fitted = replace(fitted, adjustments=(*wish.adjustments, *fitted.adjustments))
        prepared = await self._with_fitted_frames(fitted)
        provider.check(prepared)
        if prepared.estimate_usd and request.extra and provider.serves_unlisted and not caller.reads_files:
            return replace(prepared, estimate_usd=None)  # a stranger who sets fields that we do not know sets the price
        if prepared.estimate_usd is None:
            return prepared
        return replace(prepared, estimate_usd=prepared.estimate_usd * provider.count(prepared))

    def _misfit(self, wish: Wish) -> Misfit:
        return wish.misfit or Misfit(self._settings.defaults.on_misfit)

    async def _helped(self, start: "Start", model: Model, wish: Wish) -> "Helped | None":
        """What can be done here for a model that does not know how to start from a video; None where it knows.

        An extension goes on from the last frame, and is joined here. A remix is told anew, from both prompts: only
        where something like it will do, for it is no more than that.
        """
        if Feature(start.kind.value) in model.features:
            return None
        if start.kind is SourceKind.EXTEND and Feature.FIRST_FRAME in model.features:
            if wish.first_frame is not None:
                raise Unsupported(EXTENDS_ALONE)
            source = await self._stored(start)
            if source is None or source.media is None:
                return None
            return Helped(source=source, last_frame=await self._inputs.last_frame(source.media))
        origin = start.origin
        if start.kind is SourceKind.REMIX and origin is not None and self._misfit(wish) is not Misfit.STRICT:
            return Helped(source=_source_of(start.kind, origin), prompt=origin.prompt)
        return None

    async def _stored(self, start: "Start") -> SourceVideo | None:
        """The source as the file that lies here; None if it is no longer in the library."""
        if start.origin is None:
            assert start.clip is not None
            return _given_source(start.kind, start.clip)
        file = await self._lineage.file(start.origin)
        if file is None:
            return None
        media = await self._inputs.add(file, clips=True)
        source = _source_of(start.kind, start.origin)
        return replace(source, media=media, size=media.size, seconds=max(1, round(media.seconds or source.seconds)))

    async def _with_fitted_frames(self, prepared: Prepared) -> Prepared:
        """Carry out the fitting of given pictures, so that what is fingerprinted is what is sent."""
        request, fit = prepared.request, prepared.fit
        if fit.first_frame is not None and request.first_frame is not None:
            first = await self._inputs.fitted(request.first_frame, fit.first_frame, pad=bool(fit.pad))
            request = replace(request, first_frame=first)
        if fit.last_frame is not None and request.last_frame is not None:
            last = await self._inputs.fitted(request.last_frame, fit.last_frame, pad=bool(fit.pad))
            request = replace(request, last_frame=last)
        return replace(prepared, request=request)

    async def _request(
        self,
        wish: Wish,
        model: Model,
        material: Material,
        start: Start | None,
        caller: Caller,
    ) -> VideoRequest:
        provider = self._registry.provider(model.id.provider)
        known = [
            await self._characters.remote_id(given, provider, owner=caller.owner, ours_alone=not caller.reads_files)
            for given in wish.characters
        ]
        return VideoRequest(
            prompt=wish.prompt,
            model=model.id,
            size=_size(wish.size),
            seconds=wish.seconds,
            seed=wish.seed,
            audio=wish.audio,
            negative_prompt=wish.negative_prompt,
            first_frame=material.first_frame,
            last_frame=material.last_frame,
            references=material.references,
            characters=tuple(known),
            source=await self._source(start, model, provider) if start else None,
            extra=material.extra,
        )

    # -- what a wish brings along ------------------------------------------------------------------

    async def taken_in(self, wish: Wish, *, files: bool = True) -> Material:
        """Check and store every picture and clip of a wish; without `files`, none of this machine's disk is read.

        Raises MediaError and Unsupported.
        """
        extra, items = _without_inpaint_items(wish.extra)
        given = [each if isinstance(each, Given) else Given(media=each) for each in (*wish.references, *items)]
        return Material(
            await self._picture(wish.first_frame, files),
            await self._picture(wish.last_frame, files),
            tuple([await self._reference(each, files) for each in given]),
            extra,
        )

    async def _picture(self, picture: Picture | None, files: bool) -> MediaRef | None:
        if picture is None or isinstance(picture, MediaRef):
            return picture
        return await self._inputs.add(picture, files=files)

    async def _reference(self, given: Given, files: bool) -> Reference:
        media = given.media
        if not isinstance(media, MediaRef):
            media = await self._inputs.add(media, files=files, clips=True)
        return Reference(media=media, frame_index=given.frame_index, crop=given.crop, name=file_name(given.media))

    # -- earlier videos ----------------------------------------------------------------------------

    async def _start(self, wish: Wish, caller: Caller) -> Start | None:
        named = {SourceKind.REMIX: wish.remix, SourceKind.EDIT: wish.edit, SourceKind.EXTEND: wish.extend}
        asked = [(kind, given) for kind, given in named.items() if given is not None]
        if len(asked) > 1:
            raise Unsupported("Pass only one of --remix, --edit and --extend: a video has one source.")
        if not asked:
            return None
        kind, given = asked[0]
        if not isinstance(given, MediaRef):
            owner = None if caller.reads_files else caller.owner
            return Start(kind=kind, origin=await self._lineage.origin(given, owner=owner))
        if given.seconds is None:
            raise Unsupported(f"What is to be {PAST[kind]} is a picture. Give a video, such as an MP4.")
        return Start(kind=kind, clip=given)

    async def _source(self, start: Start, model: Model, provider: Provider) -> SourceVideo:
        """The source as this provider can be told of it: by its own id, else by the stored file.

        By its id it is made by the model that made the source, whatever is asked for, and so at that one's price.
        """
        kind, origin = start.kind, start.origin
        if origin is None:
            assert start.clip is not None
            if kind not in model.source_files:
                raise Unsupported(f"{model.id} cannot {kind.value} a given clip.{self._takers(kind, model)}")
            return _given_source(kind, start.clip)
        same_model = origin.model.model == model.id.model and origin.account == provider.account
        at_home = same_model and origin.remote_id is not None and provider.promises.keeps_results
        known_there = replace(_source_of(kind, origin), remote_id=origin.remote_id, account=origin.account)
        takes_files = kind in model.source_files
        if at_home and not (takes_files and origin.expired(self._jobs.now())):
            return known_there
        stored = await self._stored(start) if takes_files else None
        if stored is None and at_home:
            return known_there
        if stored is None:
            raise Unsupported(self._cannot_take(kind, origin, model, provider))
        return stored

    def _cannot_take(self, kind: SourceKind, origin: Origin, model: Model, provider: Provider) -> str:
        can = self._takers(kind, model)
        home = f"It was made by {origin.model}, in another account than this one's."
        chains = kind is SourceKind.EXTEND and Feature.FIRST_FRAME in model.features
        if chains or (kind in model.source_files and not provider.promises.keeps_results):
            home = "Its file is no longer in the library."
            can = ""
        elif origin.account == provider.account:
            home = f"It was made by {origin.model}, and that model will make this, too: leave the model out."
            can = ""
        elif origin.remote_id is None:
            home = f"It was made by {origin.model}, which keeps no copy of it."
        elif kind in model.source_files:
            home = "Its file is no longer in the library."
            can = ""
        return f"{model.id} cannot {kind.value} {origin.video.id}. {home}{can}"

    def _takers(self, kind: SourceKind, model: Model) -> str:
        """The models that take any video's file for this, in words, those that can serve first; empty if none can."""
        today = self._jobs.now().date()
        takers = [
            each.id
            for each in self._registry.catalog.models.values()
            if kind in each.source_files and each != model and not (each.retired and each.retired <= today)
        ]
        takers.sort(key=lambda model_id: not self._registry.availability(model_id.provider).usable)
        others = ", ".join(map(str, takers[:4]))
        return f" Models that take any video's file: {others}." if others else ""


def _source_of(kind: SourceKind, origin: Origin) -> SourceVideo:
    return SourceVideo(
        kind=kind,
        video_id=origin.video.id,
        size=origin.size,
        seconds=origin.seconds,
        extensions=origin.extensions,
    )


def _given_source(kind: SourceKind, clip: MediaRef) -> SourceVideo:
    seconds = max(1, round(clip.seconds or 0))
    return SourceVideo(kind=kind, video_id=None, size=clip.size, seconds=seconds, media=clip)


def _by_remote_id(prepared: Prepared) -> bool:
    source = prepared.request.source
    return source is not None and source.remote_id is not None


def _without_inpaint_items(extra: Mapping[str, JSON]) -> tuple[Mapping[str, JSON], list[Given]]:
    """Options without `inpaint_items`, and those as references. Raises Unsupported."""
    items = extra.get(INPAINT_ITEMS)
    if items is None:
        return extra, []
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise Unsupported(f"{INPAINT_ITEMS} is a list of objects with frame_index and file_name.")
    rest = {name: value for name, value in extra.items() if name != INPAINT_ITEMS}
    return rest, [_inpaint_item(n, item) for n, item in enumerate(items)]


def _inpaint_item(n: int, item: JSON) -> Given:
    where = f"{INPAINT_ITEMS}[{n}]"
    if not isinstance(item, Mapping):
        raise Unsupported(f"{where} is not an object with frame_index and file_name.")
    fields = cast(Mapping[str, Any], item)
    if unknown := next((name for name in fields if name not in ITEM_FIELDS), None):
        raise Unsupported(f"{where} has no field {unknown!r}. It takes: {', '.join(ITEM_FIELDS)}.")
    name, index, bounds = fields.get("file_name"), fields.get("frame_index", 0), fields.get("crop_bounds")
    if not isinstance(name, str) or not name:
        raise Unsupported(f"{where}: file_name is missing: a path, an https link, a data URI or base64.")
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise Unsupported(f"{where}: frame_index is a whole number from 0 on, not {index!r}.")
    return Given(media=name, frame_index=index, crop=None if bounds is None else _crop(where, bounds))


def _crop(where: str, bounds: Any) -> Crop:
    sides = ("left", "top", "right", "bottom")
    known = {f"{side}_fraction": side for side in sides}
    if not isinstance(bounds, Mapping) or any(name not in known for name in cast(Mapping[str, Any], bounds)):
        raise Unsupported(f"{where}: crop_bounds takes {', '.join(known)}.")
    given = {known[name]: value for name, value in cast(Mapping[str, Any], bounds).items()}
    if any(not isinstance(value, int | float) or not 0 <= value <= 1 for value in given.values()):
        raise Unsupported(f"{where}: the fractions of crop_bounds lie between 0 and 1.")
    crop = Crop(**given)
    if crop.left >= crop.right or crop.top >= crop.bottom:
        raise Unsupported(f"{where}: crop_bounds leave nothing of the picture.")
    return crop


def _models(choice: Choice) -> tuple[Model, ...]:
    return (choice.model, *choice.fallbacks)


def _size(size: Size | str | None) -> Size | None:
    if not isinstance(size, str):
        return size
    try:
        return Size.parse(size)
    except ValueError as error:
        raise Unsupported(str(error)) from None
