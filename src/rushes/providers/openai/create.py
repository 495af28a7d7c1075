"""What is sent to servers of the OpenAI Videos dialect: creates, remixes, edits, extensions, characters. All pure.

The dialect has many ways to say the same. Those used, by the `encoding` of the section (unset, `multipart`, `json`):

- first frame: a file part `input_reference` (unset, multipart), or in JSON the object `{"image_url": DATA_URL}`. Not
  used: its text part `input_reference[image_url]`, which is the same a third longer and which some servers take for a
  file; `{"file_id": …}`, which needs another API that these servers lack; an https link, as our pictures have none.
- earlier video: its id in the path (remix), in JSON `{"video": {"id": …}}` (unset, json), or a text part `video[id]`
  (multipart); a file part `video` where its file is sent along, whatever the encoding: JSON has no form for it.
- characters: in JSON `[{"id": …}]` (unset, json), or a text part `characters[][id]` for each (multipart).

Unset means what is safest for a server that nobody knows. Plain creates go as the vendor's packages send them. By id
and with characters it is JSON, the form that the vendor's guide documents and the only one that LiteLLM reads for edits
and extensions: a server that reads no JSON refuses it, and that costs nothing, while one that overlooks a part with an
odd name makes, and bills, a video without what was asked for.

Sources: OpenAI's OpenAPI document of 2026-08-21 and its video guide, the `openai` packages 3.52 (Python) and 6.49
(Node), LiteLLM 1.109.1, read 2026-11-20. Never tried live: uploads of videos (`model` beside them is in no schema), and
characters in multipart.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from rushes.errors import Unsupported
from rushes.providers.given import check_writable, without_none
from rushes.providers.prepare import IN_WORDS, Prepared
from rushes.video import JSON, MediaRef, SourceKind, SourceVideo, VideoRequest

OWN_FIELDS = ("prompt", "model", "seconds", "size", "input_reference", "characters")
SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
MP4 = "video/mp4"
DATA_URL_MAX = 20_971_520  # characters
NAME_MAX = 80
PATHS = {SourceKind.EDIT: "/videos/edits", SourceKind.EXTEND: "/videos/extensions"}

Part = tuple[str, tuple[None, bytes] | tuple[str, bytes, str]]
"""One part of a multipart body: a field, or a file with its name and kind."""


class Encoding(StrEnum):
    MULTIPART = "multipart"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST that costs money: either `json` or `files` is its body. `step` is how errors call it."""

    path: str
    step: str = "create"
    json: Mapping[str, JSON] | None = None
    files: list[Part] | None = None


def segment(remote_id: str) -> str:
    """An id as one part of a path: LiteLLM's hold `/`, `+` and `=`."""
    return quote(remote_id, safe="")


# -- before anything is sent -----------------------------------------------------------------------


def check_sendable(prepared: Prepared, encoding: Encoding | None) -> None:
    """Refuse what these forms have no place for. Raises Unsupported."""
    request = prepared.request
    unsupported = {"a last frame": request.last_frame is not None, "reference pictures": bool(request.references)}
    if missing := [words for words, asked in unsupported.items() if asked]:
        raise Unsupported(
            f"{request.model} cannot be given {' or '.join(missing)}: its API has no field for it. "
            f"If the server has one of its own, pass that in extra."
        )
    if clash := next((name for name in request.extra if name in OWN_FIELDS), None):
        raise Unsupported(f"extra may not set {clash}: the request itself has it.")
    check_writable(request)
    if request.source is not None:
        _check_source(request, request.source)
    elif request.first_frame is not None:
        _check_picture(request, request.first_frame, encoding)


def _check_source(request: VideoRequest, source: SourceVideo) -> None:
    words = IN_WORDS[source.kind]
    if "video" in request.extra:
        raise Unsupported("extra may not set video: the request itself has it.")
    if request.first_frame is not None or request.characters:
        raise Unsupported(
            f"{words} goes on from its source: the API of {request.model} takes no picture and no characters beside it."
        )
    if source.remote_id is None and (source.media is None or source.kind is SourceKind.REMIX):
        raise Unsupported(f"{words} needs a video that {request.model.provider} made and still has.")
    if source.remote_id is None and source.media is not None and source.media.mime != MP4:
        raise Unsupported(f"{request.model} takes videos as {MP4}, not {source.media.mime}. Convert it.")


def _check_picture(request: VideoRequest, picture: MediaRef, encoding: Encoding | None) -> None:
    if picture.mime not in SUFFIXES:
        raise Unsupported(f"{request.model} takes pictures as {', '.join(SUFFIXES)}, not {picture.mime}. Convert it.")
    length = len(f"data:{picture.mime};base64,") + 4 * -(-picture.size_bytes // 3)
    if _create_encoding(request, encoding) is Encoding.JSON and length > DATA_URL_MAX:
        raise Unsupported(
            f"The picture has {picture.size_bytes:,} bytes, too many for JSON ({DATA_URL_MAX:,} characters in base64). "
            f'Give a smaller one, or set encoding = "multipart" in [providers.{request.model.provider}].'
        )


def check_character(name: str, clip: MediaRef, label: str) -> None:
    """Refuse what cannot become a character. Raises Unsupported."""
    if not 1 <= len(name) <= NAME_MAX or not name.strip() or not name.isprintable():
        raise Unsupported(f"A character's name is one line of 1 to {NAME_MAX} letters, not {name[:NAME_MAX]!r}.")
    if clip.seconds is None:
        raise Unsupported(f"{label} makes characters from clips, not from pictures. Give a video of 2 to 4 seconds.")
    if clip.mime != MP4:
        raise Unsupported(f"{label} takes clips as {MP4}, not {clip.mime}. Convert it.")


# -- translation -----------------------------------------------------------------------------------


def file_of(request: VideoRequest) -> MediaRef | None:
    """The one file that goes along with a request: a first frame, or the video it starts from."""
    if request.source is None:
        return request.first_frame
    return None if request.source.remote_id is not None else request.source.media


def to_wire(prepared: Prepared, data: bytes | None = None, encoding: Encoding | None = None) -> Call:
    """The call that buys what was prepared; `data` are the bytes of `file_of` the request."""
    request = prepared.request
    if request.source is None:
        return _create(request, data, encoding)
    return _from_source(request, request.source, data, encoding)


def _create(request: VideoRequest, data: bytes | None, encoding: Encoding | None) -> Call:
    """In the order of the vendor's own packages. `seconds` is text in JSON too: a number was refused."""
    fields: dict[str, JSON] = {
        "prompt": request.prompt,
        "model": request.model.model,
        "seconds": None if request.seconds is None else str(request.seconds),
        "size": str(request.size) if request.size else None,
        **_beyond_the_vendor(request),
    }
    picture = request.first_frame
    if _create_encoding(request, encoding) is Encoding.JSON:
        if request.characters:
            fields["characters"] = [{"id": character} for character in request.characters]
        if picture is not None and data is not None:
            fields["input_reference"] = {"image_url": data_url(picture.mime, data)}
        return Call(path="/videos", json=_present(fields))
    parts = [*_text_parts(fields), *_text_parts_of_characters(request)]
    if picture is not None and data is not None:
        parts.append(("input_reference", (f"input_reference.{SUFFIXES[picture.mime]}", data, picture.mime)))
    return Call(path="/videos", files=parts)


def _create_encoding(request: VideoRequest, encoding: Encoding | None) -> Encoding:
    return encoding or (Encoding.JSON if request.characters else Encoding.MULTIPART)


def _from_source(request: VideoRequest, source: SourceVideo, data: bytes | None, encoding: Encoding | None) -> Call:
    """A remix, an edit or an extension. Size, model, and but for extensions the length, are those of the source."""
    step = source.kind.value
    fields: dict[str, JSON] = {"prompt": request.prompt}
    if source.kind is SourceKind.EXTEND:
        fields["seconds"] = str(request.seconds)  # of the new part alone
    if source.kind is SourceKind.REMIX:
        # Both of the vendor's packages send JSON here, whatever they send elsewhere.
        path = f"/videos/{segment(source.remote_id or '')}/remix"
        return Call(path=path, step=step, json=_present({**fields, **_beyond_the_vendor(request)}))
    path = PATHS[source.kind]
    if source.remote_id is None:
        # There is no job to take the model from; without it a server would choose, and so set the price.
        parts = _text_parts({**fields, "model": request.model.model, **_beyond_the_vendor(request)})
        return Call(path=path, step=step, files=[*parts, ("video", ("video.mp4", data or b"", MP4))])
    fields |= _beyond_the_vendor(request)
    if encoding is Encoding.MULTIPART:
        return Call(path=path, step=step, files=_text_parts({**fields, "video[id]": source.remote_id}))
    return Call(path=path, step=step, json=_present({**fields, "video": {"id": source.remote_id}}))


def character_parts(name: str, clip: bytes) -> list[Part]:
    return [("name", (None, name.encode())), ("video", ("video.mp4", clip, MP4))]


def data_url(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _beyond_the_vendor(request: VideoRequest) -> dict[str, JSON]:
    """Fields that the vendor never had; a request carries them only for models that take them."""
    return {"seed": request.seed, "negative_prompt": request.negative_prompt, **request.extra}


def _present(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    return without_none(fields)


def _text_parts(fields: Mapping[str, JSON]) -> list[Part]:
    return [(name, (None, _text(value).encode())) for name, value in _present(fields).items()]


def _text_parts_of_characters(request: VideoRequest) -> list[Part]:
    return [("characters[][id]", (None, character.encode())) for character in request.characters]


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
