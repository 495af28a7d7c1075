"""Names that clients have for models, and what is meant by them. Pure.

The code that is pointed at us names Sora. Those names stand for whatever the operator says, else for the first model
that can serve; the answer tells which it was. A client cannot know what that one can make, so what it asks is met as
nearly as can be; who names a model of ours by its own id gets just that, or an error.
"""

from dataclasses import dataclass

from rushes.config import Settings
from rushes.providers.prepare import Misfit

FOR_SORA = ("sora-2", "sora-2-pro")
BASES = {
    "sora-2-2025-10-06": "sora-2",
    "sora-2-2025-12-08": "sora-2",
    "sora-2-pro-2025-10-06": "sora-2-pro",
    "sora": "sora-2",  # the deployment that clients of Azure's first video API name
}
"""Dated and older names, with the one whose meaning they share unless they have their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A name that was asked for. `model` is what to choose by; None: the first that can serve."""

    name: str
    model: str | None
    misfit: Misfit | None  # None: as the settings say
    stands_in: bool  # what serves was chosen by us


def asked_for(name: str | None, settings: Settings) -> Asked:
    name = (name or FOR_SORA[0]).strip()
    for known in (name, BASES.get(name)):
        if known is not None and known in settings.aliases:
            return Asked(name=name, model=known, misfit=Misfit.NEAREST, stands_in=False)
    if name in FOR_SORA or name in BASES:
        return Asked(name=name, model=None, misfit=Misfit.NEAREST, stands_in=True)
    return Asked(name=name, model=name, misfit=None, stands_in=False)


def names(settings: Settings) -> list[str]:
    """Every name that is answered, beside the ids of the models themselves."""
    return list(dict.fromkeys([*FOR_SORA, *settings.aliases]))


def every_name(settings: Settings) -> list[str]:
    """The same with the dated ones, which are not advertised."""
    return [*names(settings), *BASES]
