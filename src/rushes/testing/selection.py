"""Which checks of a contract apply: a provider is held to what it promises, and to nothing else.

A check that does not apply is taken out of the suite, so that no run reports it as skipped: skipped would mean that
something was missing.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, read_table
from rushes.providers.terms import Doubt, Promises

Test = TypeVar("Test", bound=Callable[..., object])
MARK = "_only_if"


class Suite(Protocol):
    """What the conditions look at."""

    kind: type[Provider]
    model: str
    table_package: str
    key_variable: str | None
    misspelt_extra: tuple[str, str] | None
    promises: Promises | None
    blocks: bool
    judges_content: bool
    tells_prompts: bool
    finds_by_key: bool


def only_if(applies: Callable[[Suite], bool]) -> Callable[[Test], Test]:
    """Mark a check that not every provider has to pass."""

    def mark(test: Test) -> Test:
        before: Callable[[Suite], bool] | None = getattr(test, MARK, None)

        def both(suite: Suite) -> bool:
            return (before is None or before(suite)) and applies(suite)

        setattr(test, MARK, both)
        return test

    return mark


def leave_out(suite: type) -> None:
    """Take the checks that do not apply out of a suite."""
    for name in dir(suite):
        applies = getattr(getattr(suite, name, None), MARK, None)
        if applies is not None and not applies(suite):
            setattr(suite, name, None)


def promised(suite: Suite) -> Promises:
    """What the provider under test promises: one server of a kind may promise otherwise than the kind."""
    return suite.promises or suite.kind.promises


def needs_key(suite: Suite) -> bool:
    return suite.key_variable is not None


def lists_jobs(suite: Suite) -> bool:
    return promised(suite).doubt is Doubt.LIST


def honours_key(suite: Suite) -> bool:
    return promised(suite).doubt is Doubt.KEY


def takes(feature: Feature) -> Callable[[Suite], bool]:
    """The model under test has that feature, by its table."""

    def applies(suite: Suite) -> bool:
        models = read_table(suite.kind.name, suite.table_package)
        return any(feature in model.features for model in models if model.id.model == suite.model)

    return applies


def starts_from_videos(suite: Suite) -> bool:
    return any(takes(feature)(suite) for feature in (Feature.REMIX, Feature.EDIT, Feature.EXTEND))


def deletes(suite: Suite) -> bool:
    return promised(suite).deletes


def checks_extra(suite: Suite) -> bool:
    return suite.misspelt_extra is not None


def has_jobs(suite: Suite) -> bool:
    """Not so where a create is answered by the video itself: then there is nothing to look at, and no look can fail."""
    return not suite.blocks


def ends_jobs_for_content(suite: Suite) -> bool:
    return has_jobs(suite) and suite.judges_content


def finds_by_prompt(suite: Suite) -> bool:
    """Not so where a list tells no prompts: then a create in doubt is at best a candidate."""
    return lists_jobs(suite) and suite.tells_prompts


def finds_by_content(suite: Suite) -> bool:
    """Not so where a job is looked up by our key: what a list tells of the others changes nothing."""
    return lists_jobs(suite) and not suite.finds_by_key


def finds_by_key(suite: Suite) -> bool:
    return lists_jobs(suite) and suite.finds_by_key
