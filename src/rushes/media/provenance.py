"""What we say of a video's origin: pure, in the words of C2PA. Signing is in `manifests.py`, reading in `reports.py`.

`Claim` is what we know of a video; `definition` puts it into the form that is signed.

A manifest has at most one parent, and begins with what happened first: `c2pa.created` for a video made from nothing
but words and pictures, `c2pa.opened` where there was a video before. That is the one a provider delivered with a
manifest of its own, else the one that was remixed, edited or extended. Whatever else went in is an ingredient
`inputTo`. Prompts are in it only if the settings say so: they may be private, and a manifest travels with the file.
Sources: C2PA specification 2.2 on actions and ingredients; IPTC NewsCodes, digital source type (read 2026-11-20).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from rushes.version import VERSION
from rushes.video import JSON, SourceKind

TRAINED = "trainedAlgorithmicMedia"
ALGORITHMIC = "algorithmicMedia"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
OUR_GENERATOR = "rushes"
OUR_FACTS = "org.rushes.generation"
OUR_ACTION = "org.rushes.generated"
"""For what no action of the standard says: that a file which somebody else signed came from this request of ours."""


class Role(StrEnum):
    """What an ingredient was to the video."""

    DELIVERED = "delivered"  # the provider's file, with the manifest that the provider put inside
    EXPORTED = "exported"  # the library's file, of which a copy with everything inside is made
    SOURCE = "source"  # the video that was remixed, edited or extended
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    REFERENCE = "reference"


TITLES = {
    Role.DELIVERED: "the video as the provider signed it",
    Role.EXPORTED: "the video in the library",
    Role.SOURCE: "the earlier video",
    Role.FIRST_FRAME: "the first frame",
    Role.LAST_FRAME: "the last frame",
    Role.REFERENCE: "a reference",
}
PARENTS = (Role.EXPORTED, Role.DELIVERED, Role.SOURCE)
"""The first of these that is there is the parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """Something that went into a video. `path` is None if the file cannot be read here; it is named all the same."""

    role: Role
    mime: str
    sha256: str | None = None
    name: str | None = None  # our id of it, where it has one
    path: Path | None = None
    manifest: Path | None = None  # lies beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What we did to a video after it was made: `action` is C2PA's word."""

    action: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Everything that one of our manifests says."""

    video_id: str
    title: str
    provider: str
    model: str
    made_at: datetime
    trained: bool  # made by a trained model, not by an algorithm that somebody wrote
    kind: SourceKind | None = None
    prompt: str | None = None
    changes: tuple[Change, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()

    @property
    def source_type(self) -> str:
        return SOURCE_TYPES + (TRAINED if self.trained else ALGORITHMIC)

    @property
    def parent(self) -> Ingredient | None:
        for role in PARENTS:
            for each in self.ingredients:
                if each.role is role:
                    return each
        return None


def definition(claim: Claim) -> dict[str, Any]:
    """A claim in the form that the library signs. Ingredients with a file are added to it apart, by `parts`."""
    return {
        "title": claim.title,
        "format": "video/mp4",
        "claim_generator_info": [{"name": OUR_GENERATOR, "version": VERSION}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(claim)}},
            {"label": OUR_FACTS, "data": _facts(claim)},
        ],
        "ingredients": [_about(claim, n) for n, each in enumerate(claim.ingredients) if each.path is None],
    }


def parts(claim: Claim) -> list[dict[str, Any]]:
    """The ingredients that have a file, as plain data for the process that signs."""
    return [
        {
            "about": _about(claim, n),
            "path": str(each.path),
            "mime": each.mime,
            "manifest": str(each.manifest) if each.manifest else None,
        }
        for n, each in enumerate(claim.ingredients)
        if each.path is not None
    ]


def _about(claim: Claim, n: int) -> dict[str, Any]:
    each = claim.ingredients[n]
    title = f"{TITLES[each.role]} {each.name}" if each.name else TITLES[each.role]
    relationship = "parentOf" if each is claim.parent else "inputTo"
    return {"title": title, "format": each.mime, "relationship": relationship, "label": f"ingredient_{n}"}


def _actions(claim: Claim) -> list[dict[str, Any]]:
    parent = claim.parent
    inputs = [f"ingredient_{n}" for n, each in enumerate(claim.ingredients) if each is not parent]
    maker = {
        "when": _instant(claim.made_at),
        "softwareAgent": {"name": f"{claim.provider} {claim.model}"},
        "digitalSourceType": claim.source_type,
    }
    used = {"parameters": {"ingredientIds": inputs}} if inputs else {}
    if parent is None:
        first = [{"action": "c2pa.created", **maker, **used}]
    else:
        opened: dict[str, Any] = {
            "action": "c2pa.opened",
            "digitalSourceType": claim.source_type,
            "parameters": {"ingredientIds": [f"ingredient_{claim.ingredients.index(parent)}"]},
        }
        first = [opened]
        if parent.role is Role.SOURCE:
            first.append({"action": "c2pa.edited", "description": claim.kind or "made from it", **maker, **used})
        elif parent.role is Role.DELIVERED:
            first.append({"action": OUR_ACTION, "description": "asked for and fetched here", **maker, **used})
    return [*first, *({"action": change.action, "description": change.words} for change in claim.changes)]


def _facts(claim: Claim) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "video": claim.video_id,
        "provider": claim.provider,
        "model": claim.model,
        "made_at": _instant(claim.made_at),
        "inputs": [
            {"role": each.role.value, "mime": each.mime, "sha256": each.sha256}
            for each in claim.ingredients
            if each.sha256 is not None
        ],
    }
    if claim.prompt is not None:
        facts["prompt"] = claim.prompt
    return facts


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
