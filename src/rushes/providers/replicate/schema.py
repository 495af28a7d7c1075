"""Whether a row of the table fits what Replicate publishes of a model: `GET /models/{owner}/{name}`. Pure.

The published description is OpenAPI, under `latest_version.openapi_schema`. Whoever adds a model, or suspects that one
has changed, compares before paying: a name that is wrong is refused by the model at best, and ignored at worst.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from rushes.providers.catalog import Feature, Model
from rushes.providers.incoming import read_number, read_object, read_texts
from rushes.providers.replicate.wire import Inputs
from rushes.providers.shapes import ratio_of, tier_by_side


def differences(model: Model, inputs: Inputs, document: Any) -> tuple[str, ...]:
    """What of a row the published description contradicts, a sentence each; nothing: it fits."""
    schemas = _inside(document, "latest_version", "openapi_schema", "components", "schemas")
    shape = _inside(schemas, "Input")
    fields = _inside(shape, "properties")
    if not fields:
        return ("The description names no inputs: it may be of a model without a published version.",)
    sent = dict(_sent(model, inputs))
    found = [f"{name} is no input of it. Inputs: {', '.join(fields)}." for name in sent if name not in fields]
    found += [
        f"{name} is required, and nothing sends it." for name in read_texts(shape.get("required")) if name not in sent
    ]
    for name, values in sent.items():
        field = _resolved(_inside(fields, name), schemas)
        found += [f"{name} does not take {value!r}." for value in values if not _takes(field, value)]
    return tuple(found)


def _sent(model: Model, inputs: Inputs) -> Iterator[tuple[str, list[Any]]]:
    """Each input that would be sent, with every value that it could have; none where any value is as good."""
    yield inputs.prompt, []
    if inputs.seconds:
        yield inputs.seconds, list(model.seconds)
    if inputs.resolutions:
        yield inputs.resolution, sorted({tier_by_side(size, inputs.resolutions) for size in model.sizes})
    if inputs.ratios:
        yield inputs.ratio, sorted({ratio_of(size, inputs.ratios) for size in model.sizes})
    by_feature = {
        Feature.FIRST_FRAME: inputs.first_frame,
        Feature.LAST_FRAME: inputs.last_frame,
        Feature.REFERENCES: inputs.references,
        Feature.SEED: inputs.seed,
        Feature.NEGATIVE_PROMPT: inputs.negative_prompt,
        Feature.AUDIO_SWITCH: inputs.audio,
    }
    for feature, name in by_feature.items():
        if feature in model.features:
            yield name or f"wire.{feature}", []
    for name, value in inputs.fixed.items():
        yield name, [value]


def _inside(value: Any, *path: str) -> Mapping[str, Any]:
    """The object at the end of a path; an empty one where the path breaks off."""
    for step in path:
        value = read_object(read_object(value).get(step))
    return cast(Mapping[str, Any], read_object(value))


def _resolved(field: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field with what it refers to: lists of allowed words stand beside the inputs, under `allOf`."""
    whole = dict(field)
    parts = field.get("allOf")
    for part in cast(list[Any], parts) if isinstance(parts, list) else [field]:
        target = read_object(part).get("$ref")
        if isinstance(target, str):
            whole |= _inside(schemas, target.rpartition("/")[2])
    return whole


def _takes(field: Mapping[str, Any], value: Any) -> bool:
    allowed = field.get("enum")
    if isinstance(allowed, list):
        return value in cast(list[Any], allowed)
    least, most = read_number(field.get("minimum")), read_number(field.get("maximum"))
    if not isinstance(value, int) or isinstance(value, bool):
        return True
    return field.get("type") != "string" and (least is None or value >= least) and (most is None or value <= most)
