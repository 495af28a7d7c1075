"""What the OpenAPI document says of the OpenAI dialect. The handlers read more than this: what real clients send."""

from typing import Any

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
VIDEO = {
    "type": "object",
    "required": ["id", "object", "created_at", "status", "progress", "model", "seconds", "size"],
    "properties": {
        "id": {"type": "string", "pattern": "^video_[0-9a-f]{32}$"},
        "object": {"const": "video"},
        "created_at": {"type": "integer"},
        "completed_at": {"type": ["integer", "null"]},
        "expires_at": {"type": ["integer", "null"]},
        "status": {"enum": ["queued", "in_progress", "completed", "failed"]},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "model": {"type": "string"},
        "prompt": {"type": ["string", "null"]},
        "seconds": {"type": "string", "pattern": "^[0-9]+$"},
        "size": {"type": "string", "pattern": "^[0-9]+x[0-9]+$"},
        "remixed_from_video_id": {"type": ["string", "null"]},
        "error": {
            "type": ["object", "null"],
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}
CHARACTER = {
    "type": "object",
    "required": ["id", "name", "created_at"],
    "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "created_at": {"type": "integer"}},
}
MODEL_OBJECT = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
PROMPT = {"type": "string", "minLength": 1, "maxLength": 32000, "pattern": "\\S"}
SECONDS = {"oneOf": [{"type": "string", "pattern": "^[1-9][0-9]{0,4}$"}, {"type": "integer", "minimum": 1}]}


def json_answer(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def answers(words: str, schema: dict[str, Any], *errors: int) -> dict[int | str, Any]:
    """The documented answers of an operation: the good one, and the errors that it may have beside those of all."""
    said = {
        400: "The request cannot be served as it is",
        401: "No key, or a wrong one",
        403: "This key may not do that",
        404: "No such object of yours",
        408: "The request did not arrive in time",
        409: "An Idempotency-Key with another body",
        410: "The files are gone",
        413: "The request is too large",
        415: "Neither multipart nor JSON",
        416: "No such range of the file",
        422: "A parameter has not the form that it must have",
        429: "Too many requests, or no budget left",
        503: "No provider, database or store can serve now",
    }
    codes = sorted({401, 403, 422, 429, 503, *errors})
    return {200: json_answer(words, schema), **{code: json_answer(said[code], ERROR) for code in codes}}


def takes(properties: dict[str, Any], required: list[str], *, files: tuple[str, ...] = ()) -> dict[str, Any]:
    """A body as JSON, and as a form if files may come with it."""
    schema = {"type": "object", "required": required, "properties": properties}
    binary = {name: {"type": "string", "format": "binary"} for name in files}
    form = {**schema, "properties": {**properties, **binary}}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if files:
        content["multipart/form-data"] = {"schema": form}
    return {"requestBody": {"required": True, "content": content}}


def linked(answers_: dict[int | str, Any], **operations: str) -> dict[int | str, Any]:
    """The same, with what can be asked of the object that comes back: operation, the parameter that takes its id."""
    links = {
        name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
        for name, parameter in operations.items()
    }
    return {**answers_, 200: {**answers_[200], "links": links}}


BY_ID = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
REFERENCE = {"type": "object", "required": ["image_url"], "properties": {"image_url": {"type": "string"}}}

CREATE: dict[str, Any] = {
    "operation_id": "createVideo",
    "responses": linked(
        answers("The job of the video", VIDEO, 400, 404, 408, 409, 413, 415),
        getVideo="video_id",
        remixVideo="video_id",
        getVideoContent="video_id",
        deleteVideo="video_id",
    ),
    "openapi_extra": takes(
        {
            "prompt": PROMPT,
            "model": {"type": "string", "default": "sora-2"},
            "seconds": SECONDS,
            "size": {"type": "string", "pattern": "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$", "default": "720x1280"},
            "input_reference": REFERENCE,
            "characters": {"type": "array", "maxItems": 2, "items": BY_ID},
        },
        ["prompt"],
        files=("input_reference",),
    ),
}
REMIX: dict[str, Any] = {
    "operation_id": "remixVideo",
    "responses": answers("The job of the remix", VIDEO, 400, 404, 408, 409, 413, 415),
    "openapi_extra": takes({"prompt": PROMPT}, ["prompt"]),
}
EDIT: dict[str, Any] = {
    "operation_id": "editVideo",
    "responses": answers("The job of the edit", VIDEO, 400, 404, 408, 409, 413, 415),
    "openapi_extra": takes({"prompt": PROMPT, "video": BY_ID}, ["prompt", "video"], files=("video",)),
}
EXTEND: dict[str, Any] = {
    "operation_id": "extendVideo",
    "responses": answers("The job of the extension", VIDEO, 400, 404, 408, 409, 413, 415),
    "openapi_extra": takes(
        {"prompt": PROMPT, "seconds": SECONDS, "video": BY_ID}, ["prompt", "seconds", "video"], files=("video",)
    ),
}
LIST: dict[str, Any] = {
    "operation_id": "listVideos",
    "responses": answers(
        "A page of videos",
        {
            "type": "object",
            "required": ["object", "data", "first_id", "last_id", "has_more"],
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": VIDEO},
                "first_id": {"type": ["string", "null"]},
                "last_id": {"type": ["string", "null"]},
                "has_more": {"type": "boolean"},
            },
        },
        400,
        404,
    ),
    "openapi_extra": {
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 100}},
            {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"]}},
            {"name": "after", "in": "query", "schema": {"type": "string"}},
        ]
    },
}
GET: dict[str, Any] = {"operation_id": "getVideo", "responses": answers("The video", VIDEO, 404)}
DELETE: dict[str, Any] = {
    "operation_id": "deleteVideo",
    "responses": answers(
        "It is deleted",
        {
            "type": "object",
            "required": ["id", "object", "deleted"],
            "properties": {
                "id": {"type": "string"},
                "object": {"const": "video.deleted"},
                "deleted": {"const": True},
            },
        },
        404,
    ),
}
CONTENT: dict[str, Any] = {
    "operation_id": "getVideoContent",
    "responses": {
        **answers("", {}, 400, 404, 410, 416),
        200: {
            "description": "The file",
            "content": {
                mime: {"schema": {"type": "string", "format": "binary"}}
                for mime in ("video/mp4", "video/webm", "image/webp", "image/jpeg", "application/c2pa")
            },
        },
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "variant",
                "in": "query",
                "schema": {"enum": ["video", "thumbnail", "spritesheet", "manifest"], "default": "video"},
            }
        ]
    },
}
CONTENT_HEAD: dict[str, Any] = {**CONTENT, "operation_id": "headVideoContent"}
CHARACTER_CREATE: dict[str, Any] = {
    "operation_id": "createCharacter",
    "responses": linked(answers("The character", CHARACTER, 400, 404, 408, 413, 415), getCharacter="character_id"),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["name", "video"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1, "maxLength": 80},
                            "video": {"type": "string", "format": "binary"},
                        },
                    }
                }
            },
        }
    },
}
CHARACTER_GET: dict[str, Any] = {
    "operation_id": "getCharacter",
    "responses": answers("The character", CHARACTER, 404),
}
MODELS: dict[str, Any] = {
    "operation_id": "listModels",
    "responses": answers(
        "The models",
        {
            "type": "object",
            "required": ["object", "data"],
            "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": MODEL_OBJECT}},
        },
    ),
}
MODEL: dict[str, Any] = {"operation_id": "getModel", "responses": answers("The model", MODEL_OBJECT, 404)}
