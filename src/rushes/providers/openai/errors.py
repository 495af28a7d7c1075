"""What a refusal of the OpenAI Videos dialect means: the same status stands for many things here. Pure.

The server's own code is read first, then what was asked for: 404 to a create is a wrong address or model, to a remix
it is an earlier video that is not there any more.
"""

import re

from rushes.errors import AccessDenied, Gone, Moderated, NoCredit, NotOffered, ProviderError, Rejected, UnknownModel
from rushes.http import Reply
from rushes.providers.incoming import WireError
from rushes.providers.prepare import IN_WORDS
from rushes.providers.refusals import MODERATION_CODES

NO_CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
NO_MODEL_CODES = frozenset({"model_not_found", "model_not_available", "model_not_supported"})
SOURCE_STEPS = {kind.value: words for kind, words in IN_WORDS.items()}
NO_ROUTE = re.compile(r"(?i)\s*(not found\.?\s*$|invalid url\b|no route\b|cannot post\b|404 page not found)")
"""How servers say that they have no such path: FastAPI, the vendor, others."""


class NoSuchModel(Rejected, UnknownModel):
    """The server does not have the model that was asked for."""

    code = "unknown_model"


class SourceGone(Gone):
    """The earlier video that a remix, an edit or an extension starts from is not there any more."""


def classify(reply: Reply, error: WireError, key_advice: str) -> tuple[type[ProviderError] | None, str]:
    """The class for an error whose code or place says more than its status, and advice to add. Pure.

    None: the status says it all.
    """
    said = {word.lower() for word in (error.code, error.type) if word}
    creating = reply.step == "create"
    if said & MODERATION_CODES:
        return Moderated, ""
    if said & NO_CREDIT_CODES or reply.status == 402:
        return NoCredit, ""
    if said & NO_MODEL_CODES and 400 <= reply.status < 500:
        return NoSuchModel, ""
    if reply.status == 401:
        return AccessDenied, f" {key_advice}"
    if creating and reply.status == 404 and error.param == "characters":
        return Rejected, ". Characters belong to the account that made them: make it again."
    if creating and reply.status in (404, 405, 410):
        return Gone, ". There is no such model, or no video API at this address: check base_url (OPENAI_BASE_URL)"
    if reply.step in (*SOURCE_STEPS, "characters") and reply.status in (404, 405, 410):
        return _classify_missing(reply, error)
    return None, ""


def _classify_missing(reply: Reply, error: WireError) -> tuple[type[ProviderError], str]:
    """404 to a request that names an earlier video: that is gone, or the server has no such operation."""
    if reply.step == "characters":
        return NotOffered, ". This server makes no characters."
    words = SOURCE_STEPS[reply.step]
    if reply.status == 405 or NO_ROUTE.match(error.message or ""):
        return NotOffered, f". {words} is not among the things this server can do."
    return SourceGone, (
        ". The earlier video is no longer there: results live about an hour. Make it again, and start from it in time. "
        f"(A server that has no {reply.step} may answer like this too.)"
    )
