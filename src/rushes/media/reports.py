"""What a manifest says and how far it can be relied on: a validator's answer, reduced to what a person wants to know.

Pure. The answer holds a stranger's words, so it is parsed leniently, cut to a bounded size, and never believed where
it speaks of trust: only the validator's own verdict, on certificates that it was told to trust, makes a signer known.
Source: C2PA specification 2.2, section 15.2 (validation status codes), read 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rushes.media.provenance import OUR_FACTS

MAX_TEXT = 500
MAX_MANIFESTS = 200
MAX_LISTED = 100


class State(StrEnum):
    NONE = "none"  # no manifest
    VALID = "valid"  # nothing was changed since it was signed
    INVALID = "invalid"


class Signer(StrEnum):
    """How far a signature can be relied on."""

    OURS = "this installation"  # nobody else has to trust it
    TRUSTED = "trusted"  # by the list of the settings
    UNKNOWN = "unknown"  # the signature fits, but anybody could have made it in any name


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An ingredient as a manifest names it. `manifest` is the label of its own manifest, if it came with one."""

    title: str
    relationship: str
    manifest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One manifest of a chain."""

    label: str
    generator: str
    signer: Signer
    signed_by: str  # the name in the certificate
    signed_at: str | None  # only where a timestamp authority says so
    source_types: tuple[str, ...]
    actions: tuple[str, ...]
    ingredients: tuple[Named, ...]
    video_id: str | None = None
    provider: str | None = None
    model: str | None = None
    made_at: str | None = None
    prompt: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of a file's origin. The first manifest is the newest, each after the one that names it."""

    state: State
    beside: bool = False  # the manifest lies beside the file, not inside
    manifests: tuple[Told, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def active(self) -> Told | None:
        return self.manifests[0] if self.manifests else None

    @property
    def valid(self) -> bool:
        return self.state is State.VALID

    @property
    def ingredients(self) -> tuple[Named, ...]:
        """What the newest manifest says that the file was made from."""
        return self.active.ingredients if self.active else ()

    @property
    def ours(self) -> bool:
        """Whether this installation signed it, and it holds."""
        return self.valid and self.active is not None and self.active.signer is Signer.OURS


NOTHING = Report(state=State.NONE)


def damaged(words: str, *, beside: bool) -> Report:
    return Report(
        state=State.INVALID, beside=beside, problems=(f"The manifest itself is damaged and cannot be read: {words}",)
    )


CHANGED = "The content was changed after signing."
MEANINGS: Mapping[str, str] = {
    "assertion.bmffHash.mismatch": CHANGED,
    "assertion.dataHash.mismatch": CHANGED,
    "assertion.boxesHash.mismatch": CHANGED,
    "assertion.bmffHash.malformed": "The manifest does not say rightly what content it belongs to.",
    "assertion.hashedURI.mismatch": "A statement in the manifest was changed after signing.",
    "assertion.missing": "A statement was taken out of the manifest after signing.",
    "claimSignature.mismatch": "The signature does not fit what was signed.",
    "claimSignature.outsideValidity": "It was signed when its certificate was not valid.",
    "signingCredential.expired": "The certificate has expired, and no timestamp says that it was signed before.",
    "signingCredential.invalid": "The certificate is not one that may sign content.",
    "signingCredential.revoked": "The certificate was revoked.",
    "claim.hardBindings.missing": "The manifest does not say what content it belongs to.",
    "ingredient.manifest.mismatch": "The manifest of an ingredient was changed after signing.",
    "ingredient.manifest.missing": "The manifest of an ingredient is missing.",
}
NO_PROBLEM = frozenset({"signingCredential.untrusted", "timeStamp.untrusted"})
"""That we do not know a signer is told as such; it does not make a manifest bad."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Status(_Lenient):
    code: str
    url: str | None = None
    explanation: str | None = None


class _Codes(_Lenient):
    success: list[_Status] = Field(default_factory=list[_Status])
    failure: list[_Status] = Field(default_factory=list[_Status])


class _Delta(_Lenient):
    validation: _Codes = Field(alias="validationDeltas", default_factory=_Codes)


class _Results(_Lenient):
    active: _Codes | None = Field(alias="activeManifest", default=None)
    deltas: list[_Delta] = Field(alias="ingredientDeltas", default_factory=list[_Delta])


class _RawIngredient(_Lenient):
    title: str | None = None
    relationship: str | None = None
    active_manifest: str | None = None
    validation_results: _Results | None = None


class _Generator(_Lenient):
    name: str = ""
    version: str | None = None


class _Signature(_Lenient):
    issuer: str | None = None
    common_name: str | None = None
    cert_serial_number: str | None = None
    time: str | None = None


class _Assertion(_Lenient):
    label: str
    data: Any = None


class _RawManifest(_Lenient):
    claim_generator: str | None = None
    claim_generator_info: list[_Generator] = Field(default_factory=list[_Generator])
    assertions: list[_Assertion] = Field(default_factory=list[_Assertion])
    ingredients: list[_RawIngredient] = Field(default_factory=list[_RawIngredient])
    signature_info: _Signature | None = None


class _RawAction(_Lenient):
    action: str
    source_type: str | None = Field(alias="digitalSourceType", default=None)


class _RawActions(_Lenient):
    actions: list[_RawAction] = Field(default_factory=list[_RawAction])


class _RawFacts(_Lenient):
    video: str | None = None
    provider: str | None = None
    model: str | None = None
    made_at: str | None = None
    prompt: str | None = None


class _RawStore(_Lenient):
    active_manifest: str | None = None
    manifests: dict[str, _RawManifest] = Field(default_factory=dict[str, _RawManifest])
    validation_results: _Results | None = None
    validation_state: str | None = None


def report_of(raw: Mapping[str, Any], *, beside: bool, serials: frozenset[str]) -> Report:
    """Reduce a validator's answer. `serials` are those of our own certificates, whose roots it was told to trust."""
    try:
        store = _RawStore.model_validate(raw)
    except ValidationError as error:
        return damaged(error.errors(include_url=False)[0]["msg"], beside=beside)
    results = store.validation_results or _Results()
    now = [*([results.active] if results.active else []), *(delta.validation for delta in results.deltas)]
    trusted = [
        status.url or "" for codes in now for status in codes.success if status.code == "signingCredential.trusted"
    ]
    failures = [status for codes in now for status in codes.failure if status.code not in NO_PROBLEM]
    labels = _in_order(store)
    told = tuple(_told(label, store.manifests[label], trusted, failures, serials) for label in labels)
    sound = store.validation_state in ("Valid", "Trusted") and not failures
    problems = () if sound else (tuple(dict.fromkeys(map(_meaning, failures))) or ("It does not validate.",))
    return Report(
        state=State.VALID if sound else State.INVALID, beside=beside, manifests=told, problems=problems[:MAX_LISTED]
    )


def _in_order(store: _RawStore) -> list[str]:
    """The active manifest first, then those of its ingredients, and so on; each once."""
    waiting, found = [store.active_manifest or ""], list[str]()
    while waiting and len(found) < MAX_MANIFESTS:
        label = waiting.pop(0)
        if label in store.manifests and label not in found:
            found.append(label)
            waiting += [each.active_manifest for each in store.manifests[label].ingredients if each.active_manifest]
    return found


def _told(
    label: str, raw: _RawManifest, trusted: Sequence[str], failures: Sequence[_Status], serials: frozenset[str]
) -> Told:
    signature = raw.signature_info or _Signature()
    # By the validator's own word: a name and a serial number alone can be copied by anybody.
    known = any(label in url for url in trusted)
    signer = Signer.UNKNOWN if not known else Signer.OURS if signature.cert_serial_number in serials else Signer.TRUSTED
    actions = _actions_in(raw)
    facts = _facts_in(raw)
    recorded = [
        status
        for each in raw.ingredients
        if each.validation_results and each.validation_results.active
        for status in each.validation_results.active.failure
        if status.code not in NO_PROBLEM
    ]
    own = [status for status in failures if label in (status.url or "")]
    problems = dict.fromkeys(
        [*map(_meaning, own), *(f"Of an ingredient, found when it was signed: {_meaning(each)}" for each in recorded)]
    )
    return Told(
        label=_cut(label),
        generator=_generator(raw),
        signer=signer,
        signed_by=_cut(" / ".join(filter(None, (signature.common_name, signature.issuer))) or "nobody named"),
        signed_at=_cut_or_none(signature.time),
        source_types=tuple(
            dict.fromkeys(_cut(each.source_type.rpartition("/")[2]) for each in actions if each.source_type)
        ),
        actions=tuple(_cut(each.action) for each in actions[:MAX_LISTED]),
        ingredients=tuple(
            Named(
                title=_cut(each.title or "without a name"),
                relationship=_cut(each.relationship or ""),
                manifest=_cut_or_none(each.active_manifest),
            )
            for each in raw.ingredients[:MAX_LISTED]
        ),
        video_id=_cut_or_none(facts.video),
        provider=_cut_or_none(facts.provider),
        model=_cut_or_none(facts.model),
        made_at=_cut_or_none(facts.made_at),
        prompt=_cut_or_none(facts.prompt),
        problems=tuple(problems)[:MAX_LISTED],
    )


def _actions_in(raw: _RawManifest) -> list[_RawAction]:
    found: list[_RawAction] = []
    for each in raw.assertions:
        if each.label.startswith("c2pa.actions"):
            try:
                found += _RawActions.model_validate(each.data).actions
            except ValidationError:
                continue  # in a form that we do not know; what else it says still counts
    return found


def _facts_in(raw: _RawManifest) -> _RawFacts:
    for each in raw.assertions:
        if each.label == OUR_FACTS:
            try:
                return _RawFacts.model_validate(each.data)
            except ValidationError:
                break
    return _RawFacts()


def _generator(raw: _RawManifest) -> str:
    if raw.claim_generator_info:
        first = raw.claim_generator_info[0]
        return _cut(f"{first.name} {first.version or ''}".strip())
    return _cut(raw.claim_generator or "unknown")


def _meaning(status: _Status) -> str:
    known = MEANINGS.get(status.code)
    return known or _cut(f"{status.code}: {status.explanation or 'no explanation'}")


def _cut(text: str) -> str:
    """One line of bounded length: these are a stranger's words on their way to a terminal."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text[: MAX_TEXT * 2])
    return " ".join(flat.split())[:MAX_TEXT]


def _cut_or_none(text: str | None) -> str | None:
    return None if text is None else _cut(text)
