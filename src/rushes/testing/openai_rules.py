"""What OpenAI's create took and what it refused, for its fake: models, sizes, lengths, pictures, prices."""

import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rushes.testing.server import Answer, Part, Received

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
FIELDS = frozenset({"prompt", "model", "seconds", "size", "input_reference"})
BLOCKED = "Your request was blocked by our moderation system."


class Refusal(Exception):
    """The request is answered with an error."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, headers: Any = None
    ) -> None:
        super().__init__(message)
        kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
        error = {"message": message, "type": kind, "param": param, "code": code}
        self.answer = Answer.json({"error": error}, status, headers)


def price_of(fields: Mapping[str, str], model: str, size: str, seconds: str, *, strict: bool) -> Decimal:
    """The price of a create; refuses what the vendor refused. Not `strict`: anything goes, for nothing."""
    if not 1 <= len(fields.get("prompt", "")) <= 32000:
        raise Refusal(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
    if not strict:
        return Decimal(0)
    if unknown := next((name for name in fields if name not in FIELDS), None):
        raise Refusal(400, f"Unknown parameter: '{unknown}'.", code="unknown_parameter", param=unknown)
    if model not in MODELS:
        raise Refusal(400, f"The model '{model}' does not exist.", code="model_not_found", param="model")
    if seconds not in SECONDS:
        words = f"Invalid value: '{seconds}'. Supported values are: '4', '8', and '12'."
        raise Refusal(400, words, code="invalid_value", param="seconds")
    if size not in MODELS[model]:
        supported = ", ".join(f"'{name}'" for name in MODELS[model])
        words = f"Invalid value: '{size}'. Supported values are: {supported}."
        raise Refusal(400, words, code="invalid_value", param="size")
    return MODELS[model][size] * int(seconds)


def read_create(received: Received) -> tuple[dict[str, str], Part | None]:
    """The fields of a create and its picture, from multipart or JSON."""
    if received.mime == "application/json":
        data = json.loads(received.body)
        if not isinstance(data.get("seconds", "4"), str):
            words = "Invalid type for 'seconds': expected one of '4', '8', or '12', but got an integer instead."
            raise Refusal(400, words, code="invalid_type", param="seconds")
        return {name: str(value) for name, value in data.items()}, None
    try:
        parts = received.parts
    except ValueError as error:
        raise Refusal(400, f"Could not parse multipart form: {error}.") from error
    fields = {part.name: part.text for part in parts if part.filename is None}
    if "input_reference" in fields:
        words = "Invalid type for 'input_reference': expected a file, but got a string instead."
        raise Refusal(400, words, code="invalid_type", param="input_reference")
    return fields, next((part for part in parts if part.filename is not None), None)


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
