"""When two requests count as the same: the key of the cache and of single flight.

It covers everything that changes the result (the real model, filled defaults, seed and slot, inputs by content,
the account and its address) and nothing that does not (an alias's name, a file's name).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from rushes.jobs.codec import canonical, prepared_as_data
from rushes.providers.prepare import Prepared
from rushes.video import JSON


def fingerprint(prepared: Prepared, *, slot: int, account: str, base_url: str) -> str:
    """64 hexadecimal digits. Pure."""
    fit = prepared_as_data(prepared)["fit"]
    material = {"request": _request(prepared), "fit": fit, "slot": slot, "account": account, "base_url": base_url}
    return hashlib.sha256(canonical(said(material)).encode()).hexdigest()


def said(data: Any) -> Any:
    """Without what was left unsaid, at any depth: a field that a later release adds must not empty every cache."""
    if isinstance(data, Mapping):
        kept = {name: said(value) for name, value in cast(Mapping[str, Any], data).items()}
        return {name: value for name, value in kept.items() if value is not None and value not in ({}, [])}
    if isinstance(data, list):
        return [said(value) for value in cast(list[Any], data)]
    return data


def request_hash(prepared: Prepared) -> str:
    """What makes two submissions the same to the provider: equal ones in doubt may adopt each other's results."""
    return hashlib.sha256(canonical(said(_request(prepared))).encode()).hexdigest()


def _request(prepared: Prepared) -> JSON:
    """The request as data, without the names of files: the same bytes under another name make the same video."""
    request = prepared.request
    nameless = tuple(replace(reference, name=None) for reference in request.references)
    return prepared_as_data(replace(prepared, request=replace(request, references=nameless)))["request"]
