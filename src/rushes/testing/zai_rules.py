"""What Z.ai's create takes and what it refuses, for its fake: models, fields, sizes, pictures, prices.

The fake's own copy: one that shared ours could not catch our mistakes.
Source: docs.z.ai `api-reference/video/generate-video` and `api-reference/api-code`, read 2026-11-20.
"""

import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from rushes.testing.server import Answer, Refused

COG3_SIZES = ("1280x720", "720x1280", "1024x1024", "1920x1080", "1080x1920", "2048x1080", "3840x2160")
COG2_SIZES = ("720x480", "1024x1024", "1280x960", "960x1280", "1920x1080", "1080x1920", "2048x1080", "3840x2160")
COG_FIELDS = ("quality", "with_audio", "watermark_enabled", "fps")
ALWAYS = ("model", "prompt", "size", "request_id", "user_id", "off_peak")
VALUES: Mapping[str, tuple[Any, ...]] = {
    "quality": ("speed", "quality"),
    "with_audio": (True, False),
    "watermark_enabled": (True, False),
    "off_peak": (True, False),
    "fps": (30, 60),
    "style": ("general", "anime"),
    "aspect_ratio": ("16:9", "9:16", "1:1"),
    "movement_amplitude": ("auto", "small", "medium", "large"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One model. `pictures` are the allowed counts; with `listed` even a single one comes in a list."""

    sizes: tuple[str, ...]
    durations: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    pictures: tuple[int, ...] = (0,)
    listed: bool = False
    vidu: bool = False
    usd: Decimal | None = None  # None: not on the international host
    cny: Decimal


SPEED = ("movement_amplitude",)
SPEED_AND_SOUND = ("movement_amplitude", "with_audio")
MODELS: Mapping[str, Rules] = {
    "cogvideox-3": Rules(
        sizes=COG3_SIZES,
        durations=(5, 10),
        fields=COG_FIELDS,
        pictures=(0, 1, 2),
        usd=Decimal("0.20"),
        cny=Decimal(1),
    ),
    "cogvideox-2": Rules(sizes=COG2_SIZES, fields=COG_FIELDS, pictures=(0, 1), cny=Decimal("0.5")),
    "cogvideox-flash": Rules(sizes=COG2_SIZES, fields=COG_FIELDS, pictures=(0, 1), cny=Decimal(0)),
    "viduq1-text": Rules(
        sizes=("1920x1080",),
        durations=(5,),
        fields=("style", "aspect_ratio", *SPEED),
        vidu=True,
        usd=Decimal("0.40"),
        cny=Decimal("2.5"),
    ),
    "viduq1-image": Rules(
        sizes=("1920x1080",),
        durations=(5,),
        fields=SPEED,
        pictures=(1,),
        vidu=True,
        usd=Decimal("0.40"),
        cny=Decimal("2.5"),
    ),
    "viduq1-start-end": Rules(
        sizes=("1920x1080",),
        durations=(5,),
        fields=SPEED_AND_SOUND,
        pictures=(2,),
        vidu=True,
        usd=Decimal("0.40"),
        cny=Decimal("2.5"),
    ),
    "vidu2-image": Rules(
        sizes=("1280x720",),
        durations=(4,),
        fields=SPEED_AND_SOUND,
        pictures=(1,),
        vidu=True,
        usd=Decimal("0.20"),
        cny=Decimal("1.25"),
    ),
    "vidu2-start-end": Rules(
        sizes=("1280x720", "480x360"),
        durations=(4,),
        fields=SPEED_AND_SOUND,
        pictures=(2,),
        vidu=True,
        usd=Decimal("0.20"),
        cny=Decimal("1.25"),
    ),
    "vidu2-reference": Rules(
        sizes=("1280x720",),
        durations=(4,),
        fields=("aspect_ratio", *SPEED_AND_SOUND),
        pictures=(1, 2, 3),
        listed=True,
        vidu=True,
        usd=Decimal("0.40"),
        cny=Decimal("2.5"),
    ),
}
STATUS_OF_CODE: Mapping[str, int] = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), 401),
    **dict.fromkeys(("1110", "1111", "1112", "1113", "1120", "1121"), 429),
    **dict.fromkeys(("1210", "1211", "1212", "1213", "1214", "1215", "1231", "1300", "1301"), 400),
    **dict.fromkeys(("1220",), 403),
    **dict.fromkeys(("1221", "1222"), 404),
    **dict.fromkeys(("500", "1200", "1230", "1234"), 500),
    **dict.fromkeys(("1302", "1303", "1304", "1305", "1308", "1309", "1310"), 429),
}
CODE_OF_STATUS: Mapping[int, str] = {400: "1210", 401: "1002", 403: "1220", 422: "1214", 429: "1302", 500: "500"}


class Refusal(Refused):
    """The request is answered with an error: a business code, and the HTTP status that goes with it."""

    def __init__(self, code: str | None, message: str, *, status: int | None = None, **more: Any) -> None:
        error = {"message": message} | ({"code": code} if code else {})
        super().__init__(Answer.json({"error": error, **more}, status or STATUS_OF_CODE[code or "500"]))


def check_create(body: Mapping[str, Any], *, mainland: bool) -> Rules:
    """The rules of the model that a create asks for; refuses what the vendor would refuse."""
    if "model" not in body:
        raise Refusal("1213", "The model parameter was not received properly.")
    rules = MODELS.get(body["model"])
    if rules is None or (rules.usd is None and not mainland):
        raise Refusal("1211", f"The model {body['model']} does not exist. Please check the model code.")
    known = {*ALWAYS, *rules.fields, *(("duration",) if rules.durations else ())}
    if rules.pictures != (0,):
        known.add("image_url")
    if unknown := next((name for name in body if name not in known), None):
        raise Refusal("1214", f"Invalid {unknown} parameter. Please check the documentation.")
    _check_values(body, rules)
    _check_pictures(body.get("image_url"), rules)
    return rules


def _check_values(body: Mapping[str, Any], rules: Rules) -> None:
    allowed = {**VALUES, "size": rules.sizes, "duration": rules.durations}
    for name, values in allowed.items():
        # 1 and True are equal in Python, and not on the wire.
        if name in body and not any(type(body[name]) is type(value) and body[name] == value for value in values):
            raise Refusal("1214", f"Invalid {name} parameter. Please check the documentation.")
    prompt = body.get("prompt", "")
    if not isinstance(prompt, str) or len(prompt) > 512:
        raise Refusal("1214", "Invalid prompt parameter. Please check the documentation.")
    if not prompt and "image_url" not in body:
        raise Refusal("1213", "The prompt parameter was not received properly.")
    for name, least in (("request_id", 1), ("user_id", 6)):
        if name in body and not (isinstance(body[name], str) and least <= len(body[name]) <= 128):
            raise Refusal("1214", f"Invalid {name} parameter. Please check the documentation.")


def _check_pictures(value: Any, rules: Rules) -> None:
    listed = isinstance(value, list)
    given: list[Any] = cast(list[Any], value) if listed else [] if value is None else [value]
    if len(given) not in rules.pictures or (listed and len(given) < 2 and not rules.listed):
        raise Refusal("1214", "Invalid image_url parameter: number of images.")
    if rules.listed and not listed:
        raise Refusal("1214", "Invalid image_url parameter: a list is expected.")
    sizes = [_picture_size(entry, rules) for entry in given]
    if len(sizes) == 2 and rules.vidu and not rules.listed:
        first, last = (width * height for width, height in sizes)
        if not 0.8 <= first / last <= 1.25:
            raise Refusal("1214", "Invalid image_url parameter: resolution ratio of the images.")
    if rules.listed and any(min(size) < 128 for size in sizes):
        raise Refusal("1214", "Invalid image_url parameter: 128x128 at least.")


def _picture_size(url: Any, rules: Rules) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    match = re.fullmatch(r"data:image/(png|jpeg|webp);base64,([A-Za-z0-9+/=]+)", url) if isinstance(url, str) else None
    if match is None or (match[1] == "webp" and not rules.vidu):
        raise Refusal("1214", "Invalid image_url parameter: format.")
    try:
        data = base64.b64decode(match[2], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            size, kind = image.size, image.format
    except (binascii.Error, UnidentifiedImageError) as error:
        raise Refusal("1214", "Invalid image_url parameter: no picture.") from error
    if kind is None or kind.lower() != match[1]:
        raise Refusal("1214", "Invalid image_url parameter: format.")
    if len(data) > (50_000_000 if rules.vidu else 5_000_000):
        raise Refusal("435", "Invalid image_url parameter: file size.", status=435)
    if rules.vidu and not 0.25 <= size[0] / size[1] <= 4:
        raise Refusal("1214", "Invalid image_url parameter: aspect ratio.")
    return size


def pixels_of(body: Mapping[str, Any], rules: Rules) -> tuple[int, int]:
    """How large the video will be. By an aspect ratio, the resolution keeps its shorter side."""
    width, height = map(int, body.get("size", rules.sizes[0]).split("x"))
    match body.get("aspect_ratio"):
        case "9:16":
            return height, width
        case "1:1":
            return height, height
        case _:
            return width, height
