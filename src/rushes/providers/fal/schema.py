"""Whether a model on fal still calls things what our table calls them, by the schema that fal publishes. Pure.

fal has a document for each endpoint, at `SCHEMA_URL`. `complaints` holds a body of ours against it and says what would
be refused or passed over: a field that the model does not know, a value of the wrong type or not of its list, a needed
field that is missing. It costs nothing, so it can be run before the first cent is spent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from rushes.providers.catalog import Feature, Model
from rushes.providers.fal.wire import Row, endpoint_of, to_wire
from rushes.providers.incoming import read_object, read_objects
from rushes.providers.prepare import features_of, limited, limited_at
from rushes.video import JSON, MediaRef, Reference, SourceKind, SourceVideo, VideoRequest

SCHEMA_URL = "https://fal.ai/api/openapi/queue/openapi.json"
SAMPLE_URL = "https://example.com/sample.png"
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def samples(model: Model, row: Row) -> Iterator[tuple[str, dict[str, JSON]]]:
    """An endpoint and a body for each thing that the model can be asked for, at every size and at both ends of its
    lengths."""
    picture = MediaRef(sha256="sample", mime="image/png", size_bytes=1, width=1280, height=720)
    links = {picture.sha256: SAMPLE_URL}
    has = model.features
    starts: list[dict[str, Any]] = [] if model.requires else [{}]
    if Feature.FIRST_FRAME in has:
        last = picture if Feature.LAST_FRAME in has else None
        starts.append({"first_frame": picture, "last_frame": last})
    if Feature.REFERENCES in has:
        starts.append({"references": (Reference(media=picture),)})
    starts += [{"source": kind} for kind in SourceKind if Feature(kind.value) in has]
    for start in starts:
        kind = start.pop("source", None)
        source = kind and SourceVideo(kind=kind, video_id=None, size=model.default_size, seconds=model.seconds[0])
        usual = VideoRequest(
            prompt="A sample",
            model=model.id,
            seed=1 if Feature.SEED in has else None,
            audio=True if Feature.AUDIO_SWITCH in has else None,
            negative_prompt="fog" if Feature.NEGATIVE_PROMPT in has else None,
            source=source or None,
            **start,
        )
        asked = features_of(usual)
        for size in limited(model, asked).sizes or (model.default_size,):
            lengths = limited_at(limited(model, asked), asked, size).seconds
            for seconds in {lengths[0], lengths[-1]}:
                request = replace(usual, size=size, seconds=seconds)
                yield endpoint_of(request, row), to_wire(request, row, links, SAMPLE_URL if source else None, {})


def complaints(document: Any, body: Mapping[str, JSON]) -> list[str]:
    """What the endpoint of this document would have against a body."""
    schemas = read_object(read_object(read_object(document).get("components")).get("schemas"))
    schema = _input_schema(document, schemas)
    known = read_object(schema.get("properties"))
    if not known:
        return ["its document names no fields"]
    found = [f"it has no field {name!r}" for name in body if name not in known]
    needed = cast(list[Any], schema.get("required") or [])
    found += [f"it needs the field {name!r}" for name in needed if name not in body]
    for name, value in body.items():
        if name in known and not any(_fits(value, each) for each in _choices(known[name], schemas)):
            found.append(f"its field {name!r} does not take {value!r}")
    return found


def _input_schema(document: Any, schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the body of the document's one POST."""
    for path in read_object(read_object(document).get("paths")).values():
        body = read_object(read_object(read_object(path).get("post")).get("requestBody"))
        if content := read_object(body.get("content")):
            return _resolved(read_object(content.get("application/json")).get("schema"), schemas)
    return {}


def _resolved(schema: Any, schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    sent = read_object(schema)
    reference = sent.get("$ref")
    return read_object(schemas.get(reference.rpartition("/")[2])) if isinstance(reference, str) else sent


def _choices(schema: Any, schemas: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which a value has to fit one."""
    whole = _resolved(schema, schemas)
    options = [*read_objects(whole.get("anyOf")), *read_objects(whole.get("oneOf"))]
    return [_resolved(each, schemas) for each in options] or [whole]


def _fits(value: JSON, schema: Mapping[str, Any]) -> bool:
    if isinstance(schema.get("enum"), list):
        # 8 equals 8.0, and True equals 1, but neither is the other on the wire.
        return any(value == each and type(value) is type(each) for each in cast(list[Any], schema["enum"]))
    kinds = TYPES.get(str(schema.get("type")))
    if kinds is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        return (low is None or value >= low) and (high is None or value <= high)
    return True
