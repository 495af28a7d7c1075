"""The tree of errors: that its picture is true, and that each tells what is needed."""

import inspect
import re

import pytest

from rushes import errors
from rushes.errors import ProviderError, RushesError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, RushesError) and value.__module__ == errors.__name__
}


def drawn() -> dict[str, str | None]:
    """The tree of the docstring: each class and the one above it."""
    above: dict[str, str | None] = {}
    line_of: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"( +)([A-Z][A-Za-z]+)\s{2,}\S", line):
            depth = len(match[1])
            line_of = [entry for entry in line_of if entry[0] < depth]
            above[match[2]] = line_of[-1][1] if line_of else None
            line_of.append((depth, match[2]))
    return above


def test_the_docstring_draws_every_class() -> None:
    assert set(drawn()) == set(CLASSES)


def test_the_docstring_draws_each_under_its_base() -> None:
    for name, above in drawn().items():
        if above is not None:
            assert issubclass(CLASSES[name], CLASSES[above]), f"{name} is not a {above}"


def test_every_class_has_a_code_of_its_own_and_a_known_exit_code() -> None:
    codes = [kind.code for kind in CLASSES.values()]

    assert len(set(codes)) == len(codes)
    assert {kind.exit_code for kind in CLASSES.values()} <= {1, 2, 3, 4}


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    retryable = {name for name, kind in CLASSES.items() if kind.retryable}

    of_providers = {"Unreachable", "RateLimited", "Unavailable", "BadReply", "Vanished"}
    of_this_machine = {"Truncated", "DecoderFailed"}
    of_our_store = {"DatabaseAway", "StoreTrouble", "StoreFull", "StoreRefused", "StoreAway", "InputAway"}
    of_the_caller = {"TooManyJobs"}
    assert retryable == of_providers | of_this_machine | of_our_store | of_the_caller


def test_doubt_is_the_default() -> None:
    assert not ProviderError("It broke").proves_refusal


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProviderError("It broke"), "It broke"),
        (ProviderError("It broke", step="poll"), "It broke (step poll)"),
        (
            ProviderError("It broke", step="create", http_status=400, provider_code="bad", request_id="req_1"),
            "It broke (step create, HTTP 400, code bad, request req_1)",
        ),
    ],
)
def test_a_providers_error_tells_where_it_happened(error: ProviderError, text: str) -> None:
    assert str(error) == text
