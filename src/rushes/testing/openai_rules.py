"""What OpenAI's creates took and what they refused, for its fake: models, sizes, lengths, bodies, pictures, prices."""

import base64
import binascii
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from rushes.testing.server import Answer, Part, Received, Refused

SECONDS = ("4", "8", "12", "16", "20")
SMALL = ("720x1280", "1280x720")
LARGE = ("1024x1792", "1792x1024")
FULL = ("1080x1920", "1920x1080")
SORA = {size: Decimal("0.10") for size in SMALL}
SORA_PRO = {
    **{size: Decimal("0.30") for size in SMALL},
    **{size: Decimal("0.50") for size in LARGE},
    **{size: Decimal("0.70") for size in FULL},
}
MODELS: Mapping[str, Mapping[str, Decimal]] = {
    "sora-2": SORA,
    "sora-2-2025-10-06": SORA,
    "sora-2-2025-12-08": SORA,
    "sora-2-pro": SORA_PRO,
    "sora-2-pro-2025-10-06": SORA_PRO,
}
"""Dollars per second by model and size. The fake's own copy: one that shared ours could not catch our mistakes."""
PICTURES = ("image/jpeg", "image/png", "image/webp")
FIELDS = frozenset({"prompt", "model", "seconds", "size", "input_reference", "characters"})
STRUCTURED = ("input_reference", "video", "characters")
DATA_URL_MAX = 20_971_520
MAX_CHARACTERS = 2
MAX_EXTENSIONS = 6
MAX_TOTAL_SECONDS = 120
NAME_MAX = 80
Fields = dict[str, Any]
BLOCKED = "Your request was blocked by our moderation system."


class Refusal(Refused):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
        error = {"message": message, "type": kind, "param": param, "code": code}
        super().__init__(Answer.json({"error": error}, status))


@dataclass(frozen=True, slots=True)
class Order:
    """A create of any kind as it was understood. `seconds` is what is new, and billed; `total` what comes back."""

    prompt: str
    model: str
    seconds: str
    size: str
    usd: Decimal
    total: str = ""
    remixed_from: str | None = None
    extensions: int = 0

    @property
    def length(self) -> str:
        return self.total or self.seconds


def refuse_unknown(fields: Iterable[str], known: Collection[str]) -> None:
    if unknown := next((name for name in fields if name not in known), None):
        raise Refusal(400, f"Unknown parameter: '{unknown}'.", code="unknown_parameter", param=unknown)


def prompt_in(fields: Fields) -> str:
    prompt = fields.get("prompt", "")
    if not isinstance(prompt, str):
        raise Refusal(400, "Invalid type for 'prompt': expected a string.", code="invalid_type", param="prompt")
    if not 1 <= len(prompt) <= 32000:
        raise Refusal(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    return prompt


def check_seconds(seconds: Any) -> str:
    if not isinstance(seconds, str):
        words = "Invalid type for 'seconds': expected one of '4', '8', or '12', but got an integer instead."
        raise Refusal(400, words, code="invalid_type", param="seconds")
    if seconds not in SECONDS:
        words = f"Invalid value: '{seconds}'. Supported values are: '4', '8', and '12'."
        raise Refusal(400, words, code="invalid_value", param="seconds")
    return seconds


def usd_per_second(model: str, size: str) -> Decimal:
    if model not in MODELS:
        raise Refusal(400, f"The model '{model}' does not exist.", code="model_not_found", param="model")
    if size not in MODELS[model]:
        supported = ", ".join(f"'{name}'" for name in MODELS[model])
        words = f"Invalid value: '{size}'. Supported values are: {supported}."
        raise Refusal(400, words, code="invalid_value", param="size")
    return MODELS[model][size]


def create_order(fields: Fields, *, strict: bool) -> Order:
    """A plain create; refuses what the vendor refused. Not `strict`: anything goes, for nothing."""
    prompt = prompt_in(fields)
    model, size = str(fields.get("model") or "sora-2"), str(fields.get("size") or "720x1280")
    seconds = fields.get("seconds") or "4"
    if not strict:
        return Order(prompt, model, str(seconds), size, Decimal(0))
    refuse_unknown(fields, FIELDS)
    rate = usd_per_second(model, size)
    return Order(prompt, model, check_seconds(seconds), size, rate * int(seconds))


# -- bodies --------------------------------------------------------------------------------------------------------


def read_body(received: Received) -> tuple[Fields, Part | None]:
    """The fields of a body and its file, from multipart or JSON. Names with brackets become what they stand for."""
    if received.mime == "application/json":
        try:
            data = json.loads(received.body)
        except ValueError as error:
            raise Refusal(400, "We could not parse the JSON body of your request.") from error
        if not isinstance(data, dict):
            raise Refusal(400, "Invalid body: expected an object.", code="invalid_type")
        return cast(Fields, data), None
    try:
        parts = received.parts
    except ValueError as error:
        raise Refusal(400, f"Could not parse multipart form: {error}.") from error
    fields: Fields = {}
    for part in parts:
        if part.filename is None:
            _put(fields, part.name, part.text)
    files = [part for part in parts if part.filename is not None]
    if len(files) > 1:
        raise Refusal(400, f"Unknown parameter: '{files[1].name}'.", code="unknown_parameter", param=files[1].name)
    return fields, files[0] if files else None


def _put(fields: Fields, name: str, text: str) -> None:
    """`video[id]`, `characters[][id]`, `characters[0][id]`, or JSON text where an object or a list is wanted."""
    inside = re.fullmatch(r"(\w+)\[(\w+)\]", name)
    listed = re.fullmatch(r"(\w+)\[(\d*)\]\[(\w+)\]", name)
    if listed:
        entries = fields.setdefault(listed[1], [])
        if not isinstance(entries, list) or listed[2] not in ("", str(len(cast(list[Any], entries)))):
            raise Refusal(400, f"Invalid parameter: '{name}'.", code="invalid_type", param=listed[1])
        cast(list[Any], entries).append({listed[3]: text})
    elif inside:
        holder = fields.setdefault(inside[1], {})
        if not isinstance(holder, dict):
            raise Refusal(400, f"Invalid parameter: '{name}'.", code="invalid_type", param=inside[1])
        holder[inside[2]] = text
    elif name in STRUCTURED and text.lstrip().startswith(("{", "[")):
        try:
            fields[name] = json.loads(text)
        except ValueError as error:
            raise Refusal(400, f"Invalid JSON in '{name}'.", code="invalid_type", param=name) from error
    else:
        fields[name] = text


def only_text(value: Any, names: Collection[str], param: str) -> tuple[str, str]:
    """The one entry of an object that must have just one of these names, as text."""
    if isinstance(value, Mapping):
        entries = cast(Mapping[str, Any], value)
        name, text = next(iter(entries.items()), ("", None))
        if len(entries) == 1 and name in names and isinstance(text, str) and text:
            return name, text
    words = f"Invalid type for '{param}': expected an object with one of {', '.join(names)}."
    raise Refusal(400, words, code="invalid_type", param=param)


def picture_in(fields: Fields, file: Part | None, files: Mapping[str, bytes]) -> Part | None:
    """The first frame of a create: a file part, or an object with a data URL or the id of a file, and not both."""
    given = fields.get("input_reference")
    if given is None:
        return file
    if file is not None:
        raise Refusal(400, "Duplicate parameter: 'input_reference'.", param="input_reference")
    if isinstance(given, str):
        words = "Invalid type for 'input_reference': expected a file, but got a string instead."
        raise Refusal(400, words, code="invalid_type", param="input_reference")
    name, text = only_text(given, ("image_url", "file_id"), "input_reference")
    if name == "file_id":
        if text not in files:
            raise Refusal(404, f"No such File object: {text}", param="input_reference")
        return Part("input_reference", files[text], "file", "image/png")
    if len(text) > DATA_URL_MAX:
        raise Refusal(400, "Invalid 'image_url': string too long.", code="string_above_max_length", param="image_url")
    if text.startswith("https://"):
        return None  # the vendor fetched it; a fake stays on this machine
    match = re.fullmatch(r"data:([\w/+.-]+);base64,(.*)", text, re.DOTALL)
    try:
        data = base64.b64decode(match[2], validate=True) if match else None
    except binascii.Error:
        data = None
    if match is None or data is None:
        raise Refusal(400, "Invalid 'image_url'.", code="invalid_value", param="input_reference")
    return Part("input_reference", data, "data-url", match[1])


def check_characters(fields: Fields, known: Collection[str]) -> None:
    given = fields.get("characters")
    if given is None:
        return
    if not isinstance(given, list):
        raise Refusal(400, "Invalid type for 'characters': expected a list.", code="invalid_type", param="characters")
    entries = cast(list[Any], given)
    if len(entries) > MAX_CHARACTERS:
        raise Refusal(400, "Too many characters: at most 2.", code="array_above_max_length", param="characters")
    for entry in entries:
        _, character_id = only_text(entry, ("id",), "characters")
        if character_id not in known:
            raise Refusal(404, f"Character '{character_id}' not found.", code="not_found", param="characters")


def check_picture(picture: Part, size: str) -> None:
    from PIL import Image, UnidentifiedImageError

    if picture.name != "input_reference":
        raise Refusal(400, f"Unknown parameter: '{picture.name}'.", code="unknown_parameter", param=picture.name)
    if picture.mime not in PICTURES:
        words = f"Invalid file 'input_reference': unsupported mimetype ('{picture.mime}'). Supported: {PICTURES}."
        raise Refusal(400, words, code="unsupported_file_mimetype", param="input_reference")
    try:
        with Image.open(io.BytesIO(picture.data)) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise Refusal(400, "Invalid image file.", code="invalid_image", param="input_reference") from error
    if f"{width}x{height}" != size:
        raise Refusal(400, "Inpaint image must match the requested width and height", param="input_reference")


def measured(video: Part) -> tuple[str, int]:
    """Size and length of an uploaded MP4."""
    import av
    from av.error import FFmpegError

    if video.name != "video":
        raise Refusal(400, f"Unknown parameter: '{video.name}'.", code="unknown_parameter", param=video.name)
    if video.mime != "video/mp4" or video.data[4:8] != b"ftyp":
        raise Refusal(400, "Invalid file 'video': expected an MP4.", code="unsupported_file_mimetype", param="video")
    try:
        with av.open(io.BytesIO(video.data), "r") as container:
            stream = container.streams.video[0]
            return f"{stream.width}x{stream.height}", max(1, round((container.duration or 0) / 1_000_000))
    except (FFmpegError, IndexError) as error:
        raise Refusal(400, "Invalid video file.", code="invalid_video", param="video") from error
