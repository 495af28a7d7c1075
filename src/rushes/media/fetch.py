"""Small files, such as a provider's thumbnail: fetched whole, into memory, within a limit."""

import hashlib
from dataclasses import dataclass, field

from rushes.errors import MediaError, Truncated
from rushes.media.download import OpenAt
from rushes.media.sniff import ENOUGH_BYTES, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A file and what it is by its content; `mime` is None for what we do not know."""

    data: bytes = field(repr=False)
    mime: str | None
    sha256: str


async def fetch_small(open_at: OpenAt, *, max_bytes: int) -> Small:
    """Fetch it once, without a second try. Raises ProviderError, Truncated, or MediaError when it is too large."""
    parts: list[bytes] = []
    size = 0
    async with open_at(0, None) as body:
        async for chunk in body.chunks:
            size += len(chunk)
            if size > max_bytes:
                raise MediaError(f"The file is larger than {max_bytes >> 20} MB.")
            parts.append(chunk)
        if body.total_bytes is not None and size != body.total_bytes:
            raise Truncated(f"{size} of {body.total_bytes} bytes came.")
    data = b"".join(parts)
    return Small(data=data, mime=look(data[:ENOUGH_BYTES]).mime, sha256=hashlib.sha256(data).hexdigest())
