"""The border of the native API: bodies become models here, errors its 422, and models the answers."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Path
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from rushes.config import nearest
from rushes.errors import RushesError
from rushes.gateway.answers import NO_STORE
from rushes.gateway.native_shapes import ID_TEXT, NO_NUL
from rushes.gateway.problems import Problem, problem_of

M = TypeVar("M", bound=BaseModel)

OUR_NAMES = {"size": "width", "seconds": "duration", "first_frame": "image", "last_frame": "last_image"}
"""Fields of the core by their names in this API."""

VideoId = Annotated[str, Path(description=ID_TEXT, pattern=NO_NUL, examples=["8c6bb3a0-0d5c-4b39-9a54-6e1f3d1c9a10"])]


def validated(shape: type[M], request: Request, fields: Mapping[str, Any]) -> M:
    """A body as its model. Raises Problem (422) that names the field, and for an unknown one the nearest."""
    texts = "json" not in request.headers.get("content-type", "json")
    try:
        return shape.model_validate(dict(fields), context={"texts": texts})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"])[:80] or None
    message = f"{param or 'The body'}: {first['msg']}."
    if first["type"] == "extra_forbidden":
        guess = nearest(str(first["loc"][-1]), shape.model_fields)
        hint = f"Did you mean {guess}?" if guess else f"There are: {', '.join(shape.model_fields)}."
        message = f"There is no field {param!r}. {hint}"
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    raise Problem(message, status=422, error_code=code, param=param)


def answer(found: BaseModel) -> Response:
    return Response(found.model_dump_json(), media_type="application/json", headers=NO_STORE)


def invalid(error: RushesError) -> Problem:
    """What is wrong with a request, as this API tells it: 422 where others say 400."""
    problem = problem_of(error)
    status = 422 if problem.status == 400 else problem.status
    param = OUR_NAMES.get(problem.param, problem.param) if problem.param else None
    return Problem(problem.message, status=status, error_code=problem.error_code, param=param, headers=problem.headers)
