"""What a server of the dialect tells us by a webhook: that one of its videos has ended. Pure.

Source: OpenAI's guide to webhooks and the `openai` package 3.54, read 2026-11-21.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rushes import signatures
from rushes.errors import AccessDenied
from rushes.providers.terms import Hint

KIND = "video."


class _Subject(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")  # PostgreSQL cannot even be asked for one


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str
    data: _Subject


def read_event(label: str, secret: str | None, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint | None:
    """The video that a message is about; None if it is about something else.

    Without a secret anybody may have sent it. Raises AccessDenied for a signature that is missing, old or wrong, and
    ConfigError for a secret that cannot be one.
    """
    if secret is not None and not signatures.is_signed(secret, headers, body, now):
        raise AccessDenied(f"{label}: the message is not signed with our webhook_secret, or is old", step="webhook")
    try:
        event = _Event.model_validate_json(body)
    except ValidationError:
        return None
    return Hint(remote_id=event.data.id, trusted=secret is not None) if event.type.startswith(KIND) else None
