"""Servers that speak the OpenAI Videos dialect, by name: what each wants to be sent, and what it promises. Pure.

    [providers.mybox]
    kind = "openai"
    base_url = "http://gpu-box:8000"
    server = "vllm-omni"

Without a `server` the vendor's own dialect is spoken, and answers of every kind are read with patience. A name makes
it exact: fields under the names that this server knows, options checked before anything is sent, results where it
really puts them. A server is sent nothing that was not asked for: TensorRT-LLM answers unknown fields with 422.

Source: vLLM-Omni 0.30.0, SGLang 0.5.23, TensorRT-LLM (`serve/openai_video_routes.py`), NVIDIA Dynamo 1.6.1,
LocalAI (`endpoints/localai/video.go`, August 2026), LiteLLM 1.109.1, new-api (`docs/api/openai-video.md`); read
2026-11-20. None of them was tried live.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rushes.config import nearest
from rushes.errors import Unsupported
from rushes.providers.catalog import Feature
from rushes.providers.given import check_writable, without_none
from rushes.providers.openai.create import SUFFIXES, Call, Encoding, Part, data_url
from rushes.providers.openai.extras import (
    DYNAMO_OUTER,
    DynamoExtra,
    Extra,
    LocalAIExtra,
    SglangExtra,
    TensorrtLlmExtra,
    VllmOmniExtra,
)
from rushes.providers.openai.wire import Listing
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Doubt, Promises
from rushes.video import JSON, MediaRef, SourceKind, VideoRequest

OWN_FIELDS = frozenset(
    {"prompt", "model", "seconds", "size", "seed", "negative_prompt", "input_reference", "characters"}
)
"""What a request has fields of its own for; an option may not say something else."""
OTHER_NAMES = frozenset(
    {
        "width",
        "height",
        "generate_sound",
        "input_references",
        "reference_url",
        "start_image",
        "end_image",
        "nvext",
    }
)
"""The same under names of one server or another: it is put there from the request."""
LOCALAI_FPS = 24
"""LocalAI reads a number of frames, not seconds. This is the rate that they are counted at unless `fps` is given."""
LONG_CREATE_S = 1800.0


# -- what is sent ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The bytes of the pictures that a request names."""

    first: bytes | None = None
    last: bytes | None = None
    references: tuple[bytes, ...] = ()


Extras = Mapping[str, JSON]
Fields = dict[str, JSON]
Body = Callable[[VideoRequest, Extras, Pictures], Fields | list[Part]]
"""What a create says: fields of a JSON object, or the parts of a multipart body. None stands for what is left out."""


async def read_pictures(request: VideoRequest, read: Callable[[MediaRef], Awaitable[bytes]]) -> Pictures:
    return Pictures(
        first=await read(request.first_frame) if request.first_frame else None,
        last=await read(request.last_frame) if request.last_frame else None,
        references=tuple([await read(reference.media) for reference in request.references]),
    )


def _vllm_omni(request: VideoRequest, extra: Extras, pictures: Pictures) -> list[Part]:
    """Multipart only: a JSON body gets 422, for `prompt` is a form field."""
    fields = {**_usual(request), "generate_sound": request.audio, **extra}
    files = [_file("input_reference", request.first_frame, pictures.first)]
    for reference, data in zip(request.references, pictures.references, strict=True):
        files.append(_file("input_references", reference.media, data))
    return [*_parts(fields), *(part for part in files if part)]


def _new_api(request: VideoRequest, extra: Extras, pictures: Pictures) -> list[Part]:
    """The dialect's own body; a second `input_reference` is the last frame."""
    files = [
        _file("input_reference", request.first_frame, pictures.first),
        _file("input_reference", request.last_frame, pictures.last),
    ]
    fields = {**_usual(request), **extra}
    return [*_parts(fields), *(part for part in files if part)]


def _sglang(request: VideoRequest, extra: Extras, pictures: Pictures) -> Fields:
    """JSON, where every option keeps its type. There `input_reference` would be a path on the server's own disk."""
    return {**_usual(request), "reference_url": _data_url(request.first_frame, pictures.first), **extra}


def _tensorrt_llm(request: VideoRequest, extra: Extras, pictures: Pictures) -> Fields:
    """JSON; `input_reference` still works but is deprecated."""
    return {**_usual(request), "image_reference": _data_url(request.first_frame, pictures.first), **extra}


def _localai(request: VideoRequest, extra: Extras, pictures: Pictures) -> Fields:
    """JSON. It declares `seconds`, `size` and `input_reference` and reads none of them, so the frames are counted."""
    counted: dict[str, JSON] = {}
    if extra.get("num_frames") is None and request.seconds is not None:
        fps = extra.get("fps") or LOCALAI_FPS
        assert isinstance(fps, int)
        counted = {"fps": fps, "num_frames": request.seconds * fps}
    return {
        "model": request.model.model,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "start_image": _base64(pictures.first),
        "end_image": _base64(pictures.last),
        "width": request.size.width if request.size else None,
        "height": request.size.height if request.size else None,
        "seed": request.seed,
        **counted,
        **extra,
    }


def _dynamo(request: VideoRequest, extra: Extras, pictures: Pictures) -> Fields:
    """JSON; what is no field of the dialect's goes into `nvext`."""
    inner = {
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        **{name: value for name, value in extra.items() if name not in DYNAMO_OUTER},
    }
    return {
        "prompt": request.prompt,
        "model": request.model.model,
        "seconds": request.seconds,
        "size": str(request.size) if request.size else None,
        "input_reference": _data_url(request.first_frame, pictures.first),
        **{name: value for name, value in extra.items() if name in DYNAMO_OUTER},
        "nvext": _said(inner) or None,
    }


def _usual(request: VideoRequest) -> Fields:
    """The names that most of them share; multipart makes text of the numbers."""
    return {
        "prompt": request.prompt,
        "model": request.model.model,
        "seconds": request.seconds,
        "size": str(request.size) if request.size else None,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }


def _said(fields: Extras) -> Fields:
    return without_none(fields)


def _parts(fields: Extras) -> list[Part]:
    return [(name, (None, _text(value).encode())) for name, value in _said(fields).items()]


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _file(name: str, ref: MediaRef | None, data: bytes | None) -> Part | None:
    if ref is None or data is None:
        return None
    return name, (f"{name}.{SUFFIXES[ref.mime]}", data, ref.mime)


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _data_url(ref: MediaRef | None, data: bytes | None) -> str | None:
    return None if ref is None or data is None else data_url(ref.mime, data)


# -- the servers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server: how it is asked, and what can be relied on."""

    title: str
    promises: Promises
    takes: frozenset[Feature] = frozenset()  # beyond prompt, model, size and seconds
    extra: type[Extra] | None = None  # None: any field, as with relays, whose models decide
    body: Body | None = None  # None: the dialect's own
    create_path: str = "/videos"
    at_root: bool = False  # its paths do not hang under /v1
    synchronous: bool = False  # the create's answer is the result; there is nothing to poll
    numbered: bool = False  # `variant` is the number of a video, and the job tells links where it has them
    pictures: bool = False  # thumbnail and spritesheet beside the video
    not_ready: frozenset[int] = frozenset()  # beside 404: `/content` of a job whose file is not there yet
    whole_list: bool = False  # the list has no pages: it is all there is
    max_seconds: int | None = None
    max_seed: int | None = None
    rule: Callable[[VideoRequest], str | None] | None = None  # its further complaint about a request

    def writes(self, prepared: Prepared) -> bool:
        """Whether this create has a body of this server's own; remixes and the like have the dialect's everywhere."""
        return self.body is not None and prepared.request.source is None

    def call(self, prepared: Prepared, pictures: Pictures) -> Call:
        """The call that buys it, where `writes`. `check` comes before."""
        assert self.body is not None
        said = self.body(prepared.request, self._extra(prepared.request), pictures)
        if isinstance(said, list):
            return Call(path=self.create_path, files=said)
        return Call(path=self.create_path, json=_said(said))

    def _extra(self, request: VideoRequest) -> Extras:
        if self.extra is None:
            return request.extra
        return self.extra.model_validate(dict(request.extra)).model_dump(exclude_none=True)

    def check(self, prepared: Prepared) -> None:
        """Refuse what this server has no field for, before it is sent. Raises Unsupported."""
        request = prepared.request
        if missing := [words for feature, words in _asked(request).items() if feature not in self.takes]:
            raise Unsupported(
                f"{request.model} cannot be given {' or '.join(missing)}: {self.title} has no field for it."
            )
        _check_pictures(request, self.title)
        if self.max_seconds is not None and (request.seconds or 0) > self.max_seconds:
            raise Unsupported(f"{self.title} makes at most {self.max_seconds} seconds, not {request.seconds}.")
        if self.max_seed is not None and not 0 <= (request.seed or 0) <= self.max_seed:
            raise Unsupported(f"{self.title} takes seeds from 0 to {self.max_seed}, not {request.seed}.")
        if self.rule and (complaint := self.rule(request)):
            raise Unsupported(f"{self.title} {complaint}.")
        self._check_extra(request)
        check_writable(request)

    def _check_extra(self, request: VideoRequest) -> None:
        ours = OWN_FIELDS | OTHER_NAMES if self.extra else OWN_FIELDS
        if clash := next((name for name in request.extra if name in ours), None):
            raise Unsupported(f"extra may not set {clash}: the request itself has it.")
        if self.extra is None:
            return
        known = self.extra.model_fields
        for name in request.extra:
            if name not in known:
                near = nearest(name, known)
                hint = f"Did you mean {near}?" if near else f"It takes: {', '.join(known)}."
                raise Unsupported(f"{self.title} has no field {name!r}. {hint}")
        try:
            self.extra.model_validate(dict(request.extra))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            words = first["msg"].removeprefix("Value error, ")
            raise Unsupported(f"{self.title}: extra field {place}: {words}.") from None

    def count(self, prepared: Prepared) -> int:
        """How many videos one create makes."""
        extra = prepared.request.extra
        several = (extra.get("num_outputs_per_prompt") or extra.get("n")) if self.numbered else None
        return int(several) if isinstance(several, int | str) and str(several).isdecimal() else 1

    def list_params(self, page: int, after: str | None) -> Mapping[str, str]:
        if self.whole_list:
            return {}
        return {"limit": str(page), "order": "desc"} | ({"after": after} if after else {})

    def read_list(self, listing: Listing) -> Listing:
        """A page, marked as the last one where there are no pages."""
        return listing.model_copy(update={"has_more": False}) if self.whole_list else listing


def _asked(request: VideoRequest) -> dict[Feature, str]:
    """What a request wants beyond words, size and length, and what to call it."""
    source = request.source.kind if request.source else None
    wanted = {
        Feature.FIRST_FRAME: ("a first frame", request.first_frame is not None),
        Feature.LAST_FRAME: ("a last frame", request.last_frame is not None),
        Feature.REFERENCES: ("reference pictures", bool(request.references)),
        Feature.CHARACTERS: ("characters", bool(request.characters)),
        Feature.SEED: ("a seed", request.seed is not None),
        Feature.NEGATIVE_PROMPT: ("a negative prompt", request.negative_prompt is not None),
        Feature.AUDIO_SWITCH: ("a switch for sound", request.audio is not None),
        Feature.REMIX: ("an earlier video to remix", source is SourceKind.REMIX),
        Feature.EDIT: ("an earlier video to edit", source is SourceKind.EDIT),
        Feature.EXTEND: ("an earlier video to extend", source is SourceKind.EXTEND),
    }
    return {feature: words for feature, (words, asked) in wanted.items() if asked}


def _check_pictures(request: VideoRequest, title: str) -> None:
    given = [request.first_frame, request.last_frame, *(reference.media for reference in request.references)]
    if wrong := next((ref for ref in given if ref is not None and ref.mime not in SUFFIXES), None):
        raise Unsupported(f"{title} takes pictures as {', '.join(SUFFIXES)}, not {wrong.mime}. Convert it.")
    if any(reference.frame_index is not None or reference.crop is not None for reference in request.references):
        raise Unsupported(f"{title} takes reference pictures as they are, without a frame or a crop.")


def _one_way_to_name_pictures(request: VideoRequest) -> str | None:
    """`input_reference` excludes references to pictures and videos, `input_references` excludes all others."""
    named = [name for name in ("image_reference", "video_reference", "audio_reference") if name in request.extra]
    if request.references and (named or request.first_frame):
        return f"takes reference pictures alone, not with {named[0] if named else 'a first frame'}"
    if request.first_frame and named and named != ["audio_reference"]:
        return f"takes either a first frame or {named[0]}"
    return None


def _frames_in_order(request: VideoRequest) -> str | None:
    alone = request.last_frame is not None and request.first_frame is None
    return "takes a last frame only behind a first one: it knows them by their order" if alone else None


FIRST = frozenset({Feature.FIRST_FRAME, Feature.SEED, Feature.NEGATIVE_PROMPT})
BLOCKING = Promises(doubt=Doubt.NONE, create_timeout_s=LONG_CREATE_S)

DIALECT = Server(
    title="the server",
    promises=Promises(doubt=Doubt.LIST, deletes=True, result_life_s=3600.0),
    pictures=True,
)
"""Any server, known by nothing but the dialect. What it can be given is checked by `openai/provider.py` itself."""

ServerName = Literal["vllm-omni", "sglang", "tensorrt-llm", "litellm", "new-api", "localai", "dynamo"]

SERVERS: Mapping[ServerName, Server] = {
    "vllm-omni": Server(
        title="vLLM-Omni",
        # Deleting a job that runs aborts it. Jobs live in the server's memory: a restart forgets them all.
        promises=Promises(doubt=Doubt.LIST, cancels=True, deletes=True),
        takes=FIRST | {Feature.REFERENCES, Feature.AUDIO_SWITCH},
        extra=VllmOmniExtra,
        body=_vllm_omni,
        rule=_one_way_to_name_pictures,
        max_seed=2**63 - 1,
    ),
    "sglang": Server(
        title="SGLang",
        # Its list tells no prompts, so a create in doubt is at best a candidate. Deleting stops nothing.
        promises=Promises(doubt=Doubt.LIST, deletes=True),
        takes=FIRST,
        extra=SglangExtra,
        body=_sglang,
        numbered=True,
    ),
    "tensorrt-llm": Server(
        title="TensorRT-LLM",
        promises=Promises(doubt=Doubt.LIST, cancels=True, deletes=True),
        takes=FIRST,
        extra=TensorrtLlmExtra,
        body=_tensorrt_llm,
        not_ready=frozenset({400}),
        whole_list=True,
        max_seconds=60,
    ),
    "litellm": Server(
        title="LiteLLM",
        # Its list is that of whichever upstream is asked by default, under other ids: it proves nothing about ours.
        promises=Promises(doubt=Doubt.NONE, result_life_s=3600.0),
        takes=FIRST | {Feature.CHARACTERS, Feature.REMIX, Feature.EDIT, Feature.EXTEND},
    ),
    "new-api": Server(
        title="new-api",
        promises=Promises(doubt=Doubt.NONE),
        takes=FIRST | {Feature.LAST_FRAME, Feature.REMIX},
        body=_new_api,
        rule=_frames_in_order,
        not_ready=frozenset({400}),
    ),
    "localai": Server(
        title="LocalAI",
        promises=BLOCKING,
        takes=FIRST | {Feature.LAST_FRAME},
        extra=LocalAIExtra,
        body=_localai,
        create_path="/video",
        at_root=True,
        synchronous=True,
        max_seed=2**31 - 1,
    ),
    "dynamo": Server(
        title="NVIDIA Dynamo",
        promises=BLOCKING,
        takes=FIRST,
        extra=DynamoExtra,
        body=_dynamo,
        synchronous=True,
    ),
}


class ServerOptions(BaseModel):
    """The names in a section that say which server it is, and how it likes to be spoken to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: ServerName | None = None  # None: any; what it wants to be sent is not known
    encoding: Encoding | None = None  # None: what is safest for each kind of request, see create.py

    @model_validator(mode="after")
    def _encoding_is_known(self) -> Self:
        if self.server is not None and self.encoding is not None and SERVERS[self.server].body is not None:
            raise ValueError(f"server = {self.server!r} says how bodies are encoded; leave encoding out")
        return self
