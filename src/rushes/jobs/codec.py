"""Requests and remote jobs as JSON text, for the ledger's columns."""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from rushes.jobs.budget import Terms
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.video import JSON

_prepared = TypeAdapter(Prepared)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a job was asked to do beyond the request itself."""

    thumbnail: bool = True  # ask the provider for its own
    spritesheet: bool = True
    terms: Terms = field(default_factory=Terms)  # under which limits it may be paid for, and paid again


_options = TypeAdapter(JobOptions)


def prepared_to_json(prepared: Prepared) -> str:
    return _prepared.dump_json(prepared).decode()


def prepared_from_json(text: str) -> Prepared:
    return _prepared.validate_json(text)


def options_to_json(options: JobOptions) -> str:
    return _options.dump_json(options).decode()


def options_from_json(text: str) -> JobOptions:
    return _options.validate_json(text)


def remote_to_json(remote: RemoteJob) -> str:
    return json.dumps(dict(remote.data), sort_keys=True)


def canonical(data: Any) -> str:
    """JSON text that is equal for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def prepared_as_data(prepared: Prepared) -> dict[str, JSON]:
    """The prepared request as plain data, for hashing and for `--json`."""
    return _prepared.dump_python(prepared, mode="json")
