"""The one tree of errors.

    RushesError             a stable `code`; not retryable unless said otherwise
      ConfigError           the setup is wrong; nothing was sent, nothing was spent
        MissingKey          a provider's key is not set
        NewerDatabase       the database was written by a later rushes
      DatabaseAway          the database server cannot be reached or has stopped; all goes on when it is back
      RequestError          this request cannot succeed as asked
        Unsupported         the model cannot make that; the message lists what it can
        UnknownModel        no such model; the nearest name is in the message
        NotFound            no job or video has that id
        Conflict            what was asked does not fit the state the job is in
        NotAllowed          this caller may not have that
        PromptBlocked       the operator's prompt policy refuses the prompt; nothing was sent
        Moderated           the content was refused (also a ProviderError); never retried
      OverBudget            refused before spending
      TooManyJobs           this caller has as many open jobs as he may have
      ProviderError         the far side failed us
        Unreachable         no connection was made, so nothing was bought
        RateLimited         too many requests; `retry_after_s` says when
        Unavailable         5xx, a dropped connection, a timeout: what happened is unknown
        BadReply            an answer that we cannot read
        Rejected            a 4xx about this request
        NotOffered          the far side has no such operation
        AccessDenied        401 or 403
        NoCredit            the account is out of money
        Vanished            404 for what the far side had before
        Gone                the service or the result exists no more; permanent
      MediaError            a file could not be read or written
        Truncated           fewer bytes came than were promised
        DecoderFailed       the process that reads files died or hung: by the file, or by this machine's trouble
        StoreTrouble        our own store or disk fails us; the job waits until that ends, however long
          StoreFull         the disk or bucket takes no more
          StoreRefused      the store says no: rights, keys, no such bucket
          StoreAway         the store cannot be reached, or is overloaded
          InputAway         a stored picture cannot be read now; nothing was sent (also a RequestError)
        InputLost           a stored picture is gone before it was sent (also a RequestError)
      JobFailed             the job ended without a video
      NeedsAttention        a person must decide: adopt a remote job, or pay again
      TimedOut              the wait ended; the job goes on

Callers ask the class and its attributes, never the text. Foreign exceptions are translated where they occur.
"""

from typing import ClassVar


class RushesError(Exception):
    """Everything that rushes raises on purpose. `str(error)` is one line that says what to do."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class ConfigError(RushesError):
    code = "config"


class MissingKey(ConfigError):
    code = "missing_key"


class NewerDatabase(ConfigError):
    code = "newer_database"


class DatabaseAway(RushesError):
    """The connection to the database was not to be had, or was lost. A change that was under way may have been kept."""

    code = "database_away"
    retryable = True


class RequestError(RushesError):
    """This request cannot succeed as asked. `field` names what of it is at fault, where that is one thing."""

    code = "invalid_request"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unsupported(RequestError):
    code = "unsupported"
    exit_code = 2


class UnknownModel(RequestError):
    code = "unknown_model"
    exit_code = 2


class NotFound(RequestError):
    code = "not_found"


class Conflict(RequestError):
    code = "conflict"


class NotAllowed(RequestError):
    code = "not_allowed"


class PromptBlocked(RequestError):
    code = "prompt_blocked"


class OverBudget(RushesError):
    code = "over_budget"
    exit_code = 3


class TooManyJobs(RushesError):
    code = "too_many_jobs"
    retryable = True


class ProviderError(RushesError):
    """The far side failed us. Keeps the step, the HTTP status, the provider's code and request id.

    `proves_refusal` is the word that money hangs on: True only where it is certain that nothing was accepted
    or billed. Whatever leaves room for doubt says False.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        step: str | None = None,
        http_status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        proves_refusal: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.step = step
        self.http_status = http_status
        self.provider_code = provider_code
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.proves_refusal = proves_refusal

    def __str__(self) -> str:
        facts = [
            f"step {self.step}" if self.step else "",
            f"HTTP {self.http_status}" if self.http_status else "",
            f"code {self.provider_code}" if self.provider_code else "",
            f"request {self.request_id}" if self.request_id else "",
        ]
        said = ", ".join(fact for fact in facts if fact)
        return f"{self.message} ({said})" if said else self.message


class Unreachable(ProviderError):
    code = "provider_unreachable"
    retryable = True


class RateLimited(ProviderError):
    code = "rate_limit_exceeded"
    retryable = True


class Unavailable(ProviderError):
    code = "provider_unavailable"
    retryable = True


class BadReply(ProviderError):
    code = "bad_reply"
    retryable = True


class Rejected(ProviderError):
    """The far side understood and said no: a 4xx about this request."""

    code = "rejected"


class NotOffered(ProviderError):
    code = "not_offered"


class AccessDenied(ProviderError):
    code = "access_denied"


class NoCredit(ProviderError):
    code = "insufficient_quota"


class Gone(ProviderError):
    code = "gone"


class Vanished(ProviderError):
    """404 for a job or a file that the provider had before."""

    code = "vanished"
    retryable = True


class Moderated(ProviderError, RequestError):
    code = "moderation_blocked"


class MediaError(RushesError):
    code = "media"


class Truncated(MediaError):
    code = "truncated"
    retryable = True


class DecoderFailed(MediaError):
    code = "decoder_failed"
    retryable = True


class StoreTrouble(MediaError):
    """Our own store or disk fails us. That says nothing about a video, so no job ends by it."""

    code = "store_trouble"
    retryable = True


class StoreFull(StoreTrouble):
    code = "store_full"


class StoreRefused(StoreTrouble):
    code = "store_refused"


class StoreAway(StoreTrouble):
    code = "store_away"


class InputAway(StoreTrouble, RequestError):
    code = "input_away"


class InputLost(MediaError, RequestError):
    code = "input_lost"


class JobFailed(RushesError):
    """The job ended without a video. `failure_code` is the job's own code, such as `moderation_blocked`."""

    code = "job_failed"

    def __init__(self, message: str, *, failure_code: str, job_id: str) -> None:
        super().__init__(message)
        self.failure_code = failure_code
        self.job_id = job_id


class NeedsAttention(RushesError):
    code = "needs_attention"
    exit_code = 4


class TimedOut(RushesError):
    code = "timeout"
