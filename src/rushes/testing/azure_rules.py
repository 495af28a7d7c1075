"""What Azure's two video APIs took and what they refused, for their fake: deployments, sizes, lengths, media, prices.

The fake's own copy of the facts: one that shared ours could not catch our mistakes.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from rushes.testing.server import Answer, Part, Received, Refused

JOB_SIZES = {
    (480, 480), (480, 854), (854, 480), (720, 720), (720, 1280), (1280, 720), (1080, 1080), (1080, 1920), (1920, 1080),
}  # fmt: skip
JOB_FIELDS = {"model", "prompt", "width", "height", "n_seconds", "n_variants"}
ITEM_FIELDS = {"frame_index", "type", "file_name", "crop_bounds"}
CROP_FIELDS = {"left_fraction", "top_fraction", "right_fraction", "bottom_fraction"}
FRAMES_PER_SECOND = 30
JOB_USD = Decimal("0.10")
VIDEO_FIELDS = {"model", "prompt", "seconds", "size"}
VIDEO_SIZES = ("720x1280", "1280x720")
VIDEO_SECONDS = ("4", "8", "12")
VIDEO_USD = {"sora-2": Decimal("0.10"), "sora-2-pro": Decimal("0.30")}
PICTURES = {"image/jpeg", "image/png", "image/webp"}
FORBIDDEN = "forbidden"
"""A prompt with this word is refused by the content filter."""
FILTERED = {
    "hate": {"filtered": False, "severity": "safe"},
    "sexual": {"filtered": True, "severity": "medium"},
    "violence": {"filtered": True, "severity": "high"},
    "jailbreak": {"filtered": False, "detected": False},
}


class Refusal(Refused):
    """The request is answered with an error, in one of the shapes that Azure is known to use."""

    def __init__(self, status: int, code: str, message: str, /, *, shape: str = "wrapped", **more: Any) -> None:
        flat = {"code": code, "message": message, "param": None, "type": None, **more}
        bodies: dict[str, Any] = {"flat": flat, "wrapped": {"error": flat}, "detail": {"detail": message}}
        super().__init__(Answer.json(bodies[shape], status))


def filtered(shape: str) -> Refusal:
    """The content filter's refusal: in the jobs API flat with `inner_error`, else wrapped with `innererror`."""
    words = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    if shape == "flat":
        inner = {
            "code": "ResponsibleAIPolicyViolation",
            "error_details": {"content_filter_results": FILTERED},
            "revised_prompt": "",
        }
        return Refusal(400, "contentFilter", words, shape=shape, inner_error=inner)
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERED}
    return Refusal(400, "content_filter", words, status=400, innererror=inner)


def no_deployment(name: str) -> Refusal:
    words = (
        f"The API deployment '{name}' for this resource does not exist. If you created the deployment within the "
        "last 5 minutes, please wait a moment and try again."
    )
    return Refusal(404, "DeploymentNotFound", words)


@dataclass(frozen=True, slots=True)
class Asked:
    """A create that is in order, and what it costs."""

    model: str  # as sent: the deployment
    prompt: str
    width: int
    height: int
    seconds: int
    usd: Decimal
    variants: int = 1
    items: tuple[Mapping[str, Any], ...] = ()
    remixed_from: str | None = None

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


# -- the jobs API ----------------------------------------------------------------------------------------------------


def read_job(received: Received, deployments: Mapping[str, str]) -> Asked:
    """A create of the jobs API, from JSON or multipart. Raises Refusal."""
    fields, files = _job_body(received)
    if unknown := next((name for name in fields if name not in JOB_FIELDS | {"inpaint_items"}), None):
        raise Refusal(400, "invalid_payload", f"Unknown field '{unknown}'.", shape="flat")
    for name in ("model", "prompt", "width", "height"):
        if fields.get(name) in (None, ""):
            raise Refusal(400, "invalid_payload", f"Field '{name}' is required.", shape="flat")
    if deployments.get(fields["model"]) != "sora":
        raise no_deployment(fields["model"])
    size = (fields["width"], fields["height"])
    if size not in JOB_SIZES:
        raise Refusal(400, "invalid_payload", f"Unsupported dimensions {size[0]}x{size[1]}.", shape="flat")
    seconds, variants = fields.get("n_seconds", 5), fields.get("n_variants", 1)
    if not 1 <= seconds <= 20:
        raise Refusal(400, "invalid_payload", "n_seconds must be between 1 and 20.", shape="flat")
    most = 1 if min(size) == 1080 else 2 if min(size) == 720 else 4
    if not 1 <= variants <= most:
        raise Refusal(400, "invalid_payload", f"n_variants must be between 1 and {most} at this size.", shape="flat")
    items = tuple(fields.get("inpaint_items") or ())
    _check_items(items, files, seconds)
    return Asked(
        model=fields["model"],
        prompt=fields["prompt"],
        width=size[0],
        height=size[1],
        seconds=seconds,
        usd=JOB_USD * seconds * variants,
        variants=variants,
        items=items,
    )


def _job_body(received: Received) -> tuple[dict[str, Any], list[Part]]:
    """The fields, numbers as numbers, and the files."""
    if received.mime == "application/json":
        fields = cast(dict[str, Any], json.loads(received.body))
        if "inpaint_items" in fields:
            raise Refusal(400, "invalid_payload", "inpaint_items need files: send multipart/form-data.", shape="flat")
        for name in ("width", "height", "n_seconds", "n_variants"):
            if not isinstance(fields.get(name, 1), int):
                raise Refusal(400, "invalid_payload", f"Field '{name}' must be an integer.", shape="flat")
        return fields, []
    try:
        parts = received.parts
    except ValueError as error:
        raise Refusal(400, "invalid_payload", f"Could not parse multipart form: {error}.", shape="flat") from error
    files = [part for part in parts if part.filename is not None]
    texts = [part for part in parts if part.filename is None]
    if len({part.name for part in texts}) < len(texts):
        raise Refusal(400, "invalid_payload", "A field is given twice.", shape="flat")
    fields: dict[str, Any] = {part.name: part.text for part in texts}
    try:
        for name in ("width", "height", "n_seconds", "n_variants"):
            if name in fields:
                fields[name] = int(fields[name])
        if "inpaint_items" in fields:
            fields["inpaint_items"] = json.loads(fields["inpaint_items"])
    except ValueError as error:
        raise Refusal(400, "invalid_payload", f"Not a number, or not JSON: {error}.", shape="flat") from error
    if any(part.name != "files" for part in files) or not files:
        raise Refusal(400, "invalid_payload", "Files belong into parts named 'files'.", shape="flat")
    return fields, files


def _check_items(items: tuple[Any, ...], files: list[Part], seconds: int) -> None:
    names = [part.filename for part in files]
    if len(set(names)) < len(names) or sorted(map(str, names)) != sorted(str(item.get("file_name")) for item in items):
        raise Refusal(400, "invalid_payload", "Each inpaint item must name one file of its own.", shape="flat")
    clips = [item for item in items if item.get("type") == "video"]
    if len(items) > (1 if clips else 2):
        raise Refusal(400, "invalid_payload", "Up to two images or one video are supported.", shape="flat")
    kinds = {part.filename: part.mime or "" for part in files}
    for item in items:
        if unknown := set(item) - ITEM_FIELDS:
            raise Refusal(400, "invalid_payload", f"Unknown fields of an inpaint item: {unknown}.", shape="flat")
        index = item.get("frame_index")
        if not isinstance(index, int) or not 0 <= index < seconds * FRAMES_PER_SECOND:
            words = "Video inpaint items must have clip start frame less than clip end frame."
            raise Refusal(400, "invalid_payload", words, shape="flat")
        mime = kinds[item["file_name"]]
        if mime not in ({"video/mp4"} if item["type"] == "video" else PICTURES):
            raise Refusal(400, "invalid_payload", f"{mime!r} is no {item['type']}.", shape="flat")
        bounds = item.get("crop_bounds", {})
        if set(bounds) - CROP_FIELDS or not all(0 <= value <= 1 for value in bounds.values()):
            raise Refusal(400, "invalid_payload", "crop_bounds are fractions between 0 and 1.", shape="flat")
    for part in files:
        if (part.mime or "").startswith("image/"):
            picture_size(part)


# -- the videos API --------------------------------------------------------------------------------------------------


def read_video(received: Received, deployments: Mapping[str, str]) -> Asked:
    """A create of the Videos dialect; only multipart is documented. Raises Refusal."""
    try:
        parts = received.parts
    except ValueError as error:
        raise Refusal(400, "invalid_request", f"Could not parse multipart form: {error}.") from error
    fields = {part.name: part.text for part in parts if part.filename is None}
    picture = next((part for part in parts if part.filename is not None), None)
    if unknown := next((name for name in fields if name not in VIDEO_FIELDS), None):
        raise Refusal(400, "unknown_parameter", f"Unknown parameter: '{unknown}'.")
    model = deployments.get(fields.get("model", ""))
    if model not in VIDEO_USD:
        raise no_deployment(fields.get("model", ""))
    if not fields.get("prompt"):
        raise Refusal(400, "missing_required_parameter", "Missing required parameter: 'prompt'.")
    size, seconds = fields.get("size", "720x1280"), fields.get("seconds", "4")
    if size not in VIDEO_SIZES or seconds not in VIDEO_SECONDS:
        raise Refusal(400, "invalid_value", f"Invalid value: {size!r} or {seconds!r}.")
    if picture is not None:
        if picture.name != "input_reference" or picture.mime not in PICTURES:
            raise Refusal(400, "unsupported_file_mimetype", f"Invalid file {picture.name!r} ({picture.mime}).")
        if picture_size(picture) != size:
            raise Refusal(400, "invalid_value", "Inpaint image must match the requested width and height")
    width, height = map(int, size.split("x"))
    usd = VIDEO_USD[model] * int(seconds)
    return Asked(fields["model"], fields["prompt"], width, height, int(seconds), usd)


def read_remix(received: Received) -> str:
    """The prompt of a remix. Raises Refusal."""
    data = cast(dict[str, Any], json.loads(received.body)) if received.mime == "application/json" else {}
    if set(data) != {"prompt"} or not data["prompt"]:
        raise Refusal(400, "invalid_request", "A remix takes a prompt, and nothing else.")
    return str(data["prompt"])


def picture_size(picture: Part) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture.data)) as image:
            return f"{image.size[0]}x{image.size[1]}"
    except UnidentifiedImageError as error:
        raise Refusal(400, "invalid_image", "Invalid image file.") from error
