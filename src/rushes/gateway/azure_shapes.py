"""What the OpenAPI document says of Azure's video jobs. The handlers read more than this: what real clients send."""

from typing import Any

from rushes.gateway import openai_shapes
from rushes.gateway.azure_wire import DEFAULT_MODEL, DEFAULT_SECONDS, MOST_SECONDS, MOST_VARIANTS, SIZES, STATES
from rushes.gateway.openai_shapes import PROMPT, json_answer

ERROR = {
    "type": "object",
    "required": ["code", "message", "param", "type", "inner_error"],
    "properties": {
        "code": {"type": ["string", "null"]},
        "message": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "type": {"type": "string"},
        "inner_error": {
            "type": ["object", "null"],
            "properties": {"code": {"type": "string"}, "error_details": {"type": "object"}},
        },
    },
}
VIDEO_ID = {"type": "string", "pattern": "^video_[0-9a-f]{32}$"}
SIDE = {"type": "integer", "minimum": 1}
WIDTHS = sorted({size.width for size in SIZES})
HEIGHTS = sorted({size.height for size in SIZES})
SECONDS = {"type": "integer", "minimum": 1, "maximum": MOST_SECONDS, "default": DEFAULT_SECONDS}
VARIANTS = {"type": "integer", "minimum": 1, "maximum": MOST_VARIANTS, "default": 1}
FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
GENERATION = {
    "type": "object",
    "required": ["object", "id", "job_id", "created_at", "width", "height", "n_seconds", "prompt"],
    "properties": {
        "object": {"const": "video.generation"},
        "id": VIDEO_ID,
        "job_id": VIDEO_ID,
        "created_at": {"type": "integer"},
        "width": SIDE,
        "height": SIDE,
        "n_seconds": {"type": "integer"},
        "prompt": {"type": "string"},
    },
}
JOB = {
    "type": "object",
    "required": [
        "object",
        "id",
        "status",
        "created_at",
        "generations",
        "prompt",
        "model",
        "n_variants",
        "n_seconds",
        "width",
        "height",
    ],
    "properties": {
        "object": {"const": "video.generation.job"},
        "id": VIDEO_ID,
        "status": {"enum": list(STATES)},
        "created_at": {"type": "integer"},
        "finished_at": {"type": ["integer", "null"]},
        "expires_at": {"type": ["integer", "null"]},
        "generations": {"type": "array", "items": GENERATION},
        "prompt": {"type": "string"},
        "model": {"type": "string"},
        "n_variants": {"type": "integer"},
        "n_seconds": {"type": "integer"},
        "width": SIDE,
        "height": SIDE,
        "failure_reason": {"type": ["string", "null"]},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}
INPAINT_ITEM = {
    "type": "object",
    "required": ["file_name"],
    "properties": {
        "frame_index": {"type": "integer", "minimum": 0, "default": 0},
        "type": {"enum": ["image", "video"]},
        "file_name": {"type": "string", "minLength": 1},
        "crop_bounds": {
            "type": "object",
            "additionalProperties": False,
            "properties": {f"{side}_fraction": FRACTION for side in ("left", "top", "right", "bottom")},
        },
    },
}


def answers(words: str, schema: dict[str, Any], *errors: int) -> dict[int | str, Any]:
    """The documented answers of an operation, the errors in this API's flat form."""
    known = openai_shapes.answers(words, schema, *errors)
    return {
        code: answer if code == 200 else json_answer(answer["description"], ERROR) for code, answer in known.items()
    }


def _body() -> dict[str, Any]:
    required = ["model", "prompt", "width", "height"]
    fields: dict[str, Any] = {
        "model": {"type": "string", "minLength": 1, "default": DEFAULT_MODEL},
        "prompt": PROMPT,
        "width": {"enum": WIDTHS},
        "height": {"enum": HEIGHTS},
        "n_seconds": SECONDS,
        "n_variants": VARIANTS,
    }
    as_json = {**fields, "inpaint_items": {"type": "array", "items": INPAINT_ITEM}}
    as_form = {
        **fields,
        "inpaint_items": {"type": "string", "description": "A JSON array of items, as one text"},
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object", "required": required, "properties": as_json}},
                "multipart/form-data": {"schema": {"type": "object", "required": required, "properties": as_form}},
            },
        }
    }


def _content(words: str, mime: str) -> dict[int | str, Any]:
    file = {"description": words, "content": {mime: {"schema": {"type": "string", "format": "binary"}}}}
    return {**answers("", {}, 400, 404, 410, 416), 200: file}


def _query(**schemas: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]}


CREATE: dict[str, Any] = {
    "operation_id": "createVideoGenerationJob",
    "responses": answers("The job", JOB, 400, 404, 408, 409, 413, 415),
    "openapi_extra": _body(),
}
LIST: dict[str, Any] = {
    "operation_id": "listVideoGenerationJobs",
    "responses": answers(
        "A page of jobs",
        {
            "type": "object",
            "required": ["object", "data", "has_more"],
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": JOB},
                "first_id": {"type": ["string", "null"]},
                "last_id": {"type": ["string", "null"]},
                "has_more": {"type": "boolean"},
            },
        },
        400,
        404,
    ),
    "openapi_extra": _query(
        before={"type": "string"},
        after={"type": "string"},
        limit={"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        statuses={"type": "string", "description": f"Some of {', '.join(STATES)}, separated by commas"},
    ),
}
GET: dict[str, Any] = {"operation_id": "getVideoGenerationJob", "responses": answers("The job", JOB, 404)}
DELETE: dict[str, Any] = {
    "operation_id": "deleteVideoGenerationJob",
    "status_code": 204,
    "responses": {
        code: answer
        for code, answer in {**answers("", {}, 404), 204: {"description": "It is deleted"}}.items()
        if code != 200
    },
}
GENERATION_GET: dict[str, Any] = {
    "operation_id": "getVideoGeneration",
    "responses": answers("One video of a job", GENERATION, 404),
}
VIDEO_CONTENT: dict[str, Any] = {
    "operation_id": "getVideoGenerationContent",
    "responses": _content("The video", "video/mp4"),
    "openapi_extra": _query(quality={"enum": ["high", "low"], "default": "high"}),
}
THUMBNAIL_CONTENT: dict[str, Any] = {
    "operation_id": "getVideoGenerationThumbnail",
    "responses": _content("A picture of it", "image/webp"),
}
