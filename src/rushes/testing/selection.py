"""Which checks of a contract apply: a provider is held to what it promises, and to nothing else.

A check that does not apply is taken out of the suite, so that no run reports it as skipped: skipped would mean that
something was missing.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from rushes.providers.base import Doubt, Provider

Test = TypeVar("Test", bound=Callable[..., object])
MARK = "_only_if"


class Suite(Protocol):
    """What the conditions look at."""

    kind: type[Provider]
    key_variable: str | None
    misspelt_extra: tuple[str, str] | None


def only_if(applies: Callable[[Suite], bool]) -> Callable[[Test], Test]:
    """Mark a check that not every provider has to pass."""

    def mark(test: Test) -> Test:
        setattr(test, MARK, applies)
        return test

    return mark


def leave_out(suite: type) -> None:
    """Take the checks that do not apply out of a suite."""
    for name in dir(suite):
        applies = getattr(getattr(suite, name, None), MARK, None)
        if applies is not None and not applies(suite):
            setattr(suite, name, None)


def needs_key(suite: Suite) -> bool:
    return suite.key_variable is not None


def lists_jobs(suite: Suite) -> bool:
    return suite.kind.promises.doubt is Doubt.LIST


def honours_key(suite: Suite) -> bool:
    return suite.kind.promises.doubt is Doubt.KEY


def checks_extra(suite: Suite) -> bool:
    return suite.misspelt_extra is not None
