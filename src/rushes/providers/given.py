"""What a request brings along beside words: which files these are, whether an API takes them, how JSON carries them.

All pure.
"""

import base64
import json
from collections.abc import Mapping

from rushes.errors import Unsupported
from rushes.providers.catalog import Pictures
from rushes.video import JSON, MediaRef, VideoRequest


def frames_of(request: VideoRequest) -> tuple[MediaRef, ...]:
    """First and last frame, where they are given."""
    return tuple(frame for frame in (request.first_frame, request.last_frame) if frame is not None)


def media_of(request: VideoRequest) -> tuple[MediaRef, ...]:
    """Every given picture and clip: the frames, the references, and the source's file."""
    source = request.source.media if request.source else None
    return (
        *frames_of(request),
        *(reference.media for reference in request.references),
        *([source] if source is not None else []),
    )


def check_plain_references(request: VideoRequest) -> None:
    """Refuse parts of pictures and places in time, where an API takes whole pictures alone. Raises Unsupported."""
    for reference in request.references:
        if reference.frame_index is not None or reference.crop is not None:
            raise Unsupported(f"{request.model} takes whole pictures as references: no frame_index, no crop.")


def without_none(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """What is sent: fields that have no value are left out."""
    return {name: value for name, value in fields.items() if value is not None}


def data_uri(media: MediaRef, data: bytes) -> str:
    """The bytes inside the JSON."""
    return f"data:{media.mime};base64,{base64.b64encode(data).decode('ascii')}"


def check_writable(request: VideoRequest) -> None:
    """What no body can hold must fail here: once the create is under way, any failure is doubt. Raises Unsupported."""
    said = [request.prompt, request.negative_prompt, request.extra, request.characters]
    try:
        json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise Unsupported(f"The prompt or an option holds what cannot be sent as text: {error}. Take it out.") from None


def check_pictures(request: VideoRequest, rules: Pictures) -> None:
    """Refuse pictures that the API would refuse, in words that say what to do. Raises Unsupported."""
    pictures = {
        "first_frame": [request.first_frame],
        "last_frame": [request.last_frame],
        "references": [reference.media for reference in request.references],
    }
    for field, given in pictures.items():
        for picture in given:
            if picture is not None and picture.seconds is None and (wrong := _fault_of(picture, rules)):
                raise Unsupported(f"{request.model}: a picture {wrong}", field=field)


def _fault_of(picture: MediaRef, rules: Pictures) -> str | None:
    shorter, longer = sorted(picture.size)
    if rules.kinds and picture.mime not in {f"image/{kind}" for kind in rules.kinds}:
        return f"is {picture.mime}; it takes {', '.join(rules.kinds)}. Convert it."
    if rules.max_mb is not None and picture.size_bytes > rules.max_mb * 1_000_000:
        return f"has {picture.size_bytes / 1e6:.1f} MB; it takes {rules.max_mb:g} MB. Shrink it."
    if shorter < rules.min_side:
        return f"is {picture.size}; each side has to have {rules.min_side} pixels or more. Give a larger one."
    if rules.max_side is not None and longer > rules.max_side:
        return f"is {picture.size}; no side may have more than {rules.max_side} pixels. Shrink it."
    if rules.max_aspect is not None and longer > rules.max_aspect * shorter:
        most = f"{rules.max_aspect:g}"
        return f"is {picture.size}; it takes shapes from 1:{most} to {most}:1. Crop it."
    return None
