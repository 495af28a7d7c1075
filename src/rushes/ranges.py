"""Files by parts, and what the head of an answer says about them and about when to come again. All pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rushes.errors import AccessDenied, BadReply, Gone, ProviderError, RateLimited, Rejected, Unavailable, Vanished

IDENTITY = {"accept-encoding": "identity"}


def range_headers(offset: int, etag: str | None) -> dict[str, str]:
    # a compressed transfer has no byte positions of the file to resume from
    headers = dict(IDENTITY)
    if offset:
        headers["range"] = f"bytes={offset}-"
        if etag and not etag.startswith("W/"):
            headers["if-range"] = etag
    return headers


def raise_for_file(status: int, headers: Mapping[str, str], step: str) -> None:
    """Name what went wrong with a file's answer. Pure."""
    if status in (200, 206):
        return
    denied = (AccessDenied, "The link is refused; it may have expired")
    named: Mapping[int, tuple[type[ProviderError], str]] = {
        401: denied,
        403: denied,
        404: (Vanished, "The file is not there"),
        408: (Unavailable, "The file cannot be had now"),
        410: (Gone, "The file is gone"),
        429: (RateLimited, "Too many downloads"),
    }
    kind, words = named.get(status) or (named[408] if status >= 500 else (Rejected, "The file was not given"))
    raise kind(words, step=step, http_status=status, retry_after_s=retry_after_s(headers, datetime.now(UTC)))


def content_range(text: str, step: str) -> tuple[int, int | None]:
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit.lower() != "bytes" or not start.isdigit():
        raise BadReply(f"The range {text!r} cannot be read", step=step, http_status=206)
    return int(start), int(total) if total.isdigit() else None


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """`retry-after-ms`, else `Retry-After` in seconds or as an HTTP date; None when absent or unreadable. Pure."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        text = headers.get("retry-after")
        if not text:
            return None
        if text.replace(".", "", 1).strip().isdigit():
            return float(text)
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None
