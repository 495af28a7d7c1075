"""What an answer of refusal means: the class of the error, whether it proves that nothing was bought, and what of its
words may be told. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from rushes.errors import AccessDenied, Gone, NotOffered, ProviderError, RateLimited, Rejected, Unavailable, Vanished
from rushes.logs import without_secrets
from rushes.video import Failure, Progress, Status

MODERATION_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "content_safety_violation",
        "moderation_blocked",
        "policy_violation",
        "responsibleaipolicyviolation",
        "sentinel_block",
    }
)
"""Codes, in lower case, by which a provider says that the content was refused. Asking again never helps."""


def without_video(billed_usd: Decimal | None = None) -> Progress:
    """A job that calls itself done and has nothing to show. Nobody says that it costs nothing, so it is booked."""
    failure = Failure("internal_error", "It is done, but came without a video.")
    return Progress(status=Status.FAILED, failure=failure, billed=True, billed_usd=billed_usd)


def redacted(words: str, key: str | None) -> str:
    """The far side's words without our key, which some servers quote back when they refuse it, and without what else
    looks like a secret: they go into the ledger, and from there everywhere."""
    return without_secrets(words.replace(key, "[key]") if key else words)


def kind_of_status(status: int) -> type[ProviderError]:
    """The error class for an HTTP status. Pure."""
    named: Mapping[int, type[ProviderError]] = {
        401: AccessDenied,
        403: AccessDenied,
        404: Vanished,
        405: NotOffered,
        408: Unavailable,
        410: Gone,
        429: RateLimited,
        499: Unavailable,
        501: NotOffered,
    }
    return named.get(status) or (Unavailable if status >= 500 else Rejected)


def status_proves_refusal(status: int) -> bool:
    """Whether an answer to a create shows that nothing was accepted: a 4xx, but not those that tell of a timeout."""
    return 400 <= status < 500 and status not in (408, 499)
