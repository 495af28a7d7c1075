"""Problems: what went wrong, in the terms of HTTP, before any dialect puts it into its own envelope.

Every error of the core is turned into one here, once, so that all dialects answer alike. Messages are for the person
behind the client and hold nothing of this machine; what is a bug of ours says so, and no more.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rushes.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    DatabaseAway,
    Gone,
    MediaError,
    Moderated,
    NotAllowed,
    NotFound,
    OverBudget,
    PromptBlocked,
    ProviderError,
    RateLimited,
    RequestError,
    RushesError,
    StoreTrouble,
    TooManyJobs,
    UnknownModel,
    Unsupported,
)

DO_NOT_RETRY = {"x-should-retry": "false"}
"""Both OpenAI SDKs obey it: what a repetition cannot mend is not repeated."""


class Problem(RushesError):
    """An answer that is not the one that was asked for.

    `param` names the field at fault. `headers` go with the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        error_code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.error_code = error_code
        self.param = param
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        """The error class of the OpenAI API."""
        if self.status == 429:
            return "insufficient_quota" if self.error_code == "insufficient_quota" else "requests"
        return "server_error" if self.status >= 500 else "invalid_request_error"


def bad_request(message: str, *, param: str | None = None, error_code: str = "invalid_value") -> Problem:
    return Problem(message, status=400, error_code=error_code, param=param)


def too_large(message: str, *, param: str | None = None) -> Problem:
    return Problem(message, status=413, error_code="too_large", param=param, headers=DO_NOT_RETRY)


def not_found(what: str, text: str) -> Problem:
    """For what does not exist and for what belongs to somebody else: nobody can tell the two apart."""
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return Problem(f"No {what} found with id {shown!r}.", status=404, error_code="not_found")


def unauthorized(message: str) -> Problem:
    return Problem(message, status=401, error_code="invalid_api_key", headers={"www-authenticate": "Bearer"})


def limited(message: str, after_s: float) -> Problem:
    """Too many requests; after so many seconds one more is taken. SDKs obey at most a minute."""
    milliseconds = max(1, min(60_000, round(after_s * 1000)))
    headers = {"retry-after": str(-(-milliseconds // 1000)), "retry-after-ms": str(milliseconds)}
    return Problem(message, status=429, error_code="rate_limit_exceeded", headers=headers)


def bug() -> Problem:
    return Problem(
        "An internal error: this is a bug. The log has the details under this request's x-request-id.",
        status=500,
        error_code="internal_error",
        headers=DO_NOT_RETRY,
    )


class _Rule(NamedTuple):
    kind: type[RushesError]
    status: int
    error_code: str
    retry: bool = False


_RULES = (
    _Rule(UnknownModel, 404, "model_not_found"),
    _Rule(NotFound, 404, "not_found"),
    _Rule(Conflict, 409, "conflict"),
    _Rule(NotAllowed, 403, "not_allowed"),
    _Rule(PromptBlocked, 400, "moderation_blocked"),
    _Rule(Moderated, 400, "moderation_blocked"),
    _Rule(StoreTrouble, 503, "storage_unavailable", retry=True),
    _Rule(DatabaseAway, 503, "database_unavailable", retry=True),
    _Rule(OverBudget, 429, "insufficient_quota"),
    _Rule(TooManyJobs, 429, "rate_limit_exceeded", retry=True),
    _Rule(Unsupported, 400, "invalid_value"),
    _Rule(RequestError, 400, "invalid_request"),
    _Rule(MediaError, 400, "invalid_media"),
    # The operator's keys, not the caller's: for the caller nobody can serve.
    _Rule(AccessDenied, 503, "provider_unavailable"),
    _Rule(ConfigError, 503, "provider_unavailable"),
    _Rule(RateLimited, 503, "provider_unavailable", retry=True),
    _Rule(Gone, 503, "provider_unavailable"),
    _Rule(ProviderError, 503, "provider_unavailable", retry=True),
    _Rule(RushesError, 503, "unavailable", retry=True),
)
"""The first that fits holds."""


def problem_of(error: Exception, *, param: str | None = None) -> Problem:
    """An error as a problem. What is no error of ours is a bug of ours. Pure."""
    if isinstance(error, Problem):
        return error
    rule = next((rule for rule in _RULES if isinstance(error, rule.kind)), None)
    if rule is None:
        return bug()
    headers = {"retry-after": "5"} if rule.retry else DO_NOT_RETRY
    field = error.field if isinstance(error, RequestError) else None
    return Problem(str(error), status=rule.status, error_code=rule.error_code, param=param or field, headers=headers)
