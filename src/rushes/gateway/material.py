"""Material: the pictures and clips of a request, checked and stored, or refused by the name of their field."""

from pathlib import Path

from rushes.errors import MediaError, RequestError, StoreTrouble
from rushes.gateway.forms import Upload
from rushes.gateway.gateway import Gateway
from rushes.gateway.problems import bad_request
from rushes.video import MediaRef


async def taken_file(gateway: Gateway, upload: Upload, param: str, *, clips: bool) -> MediaRef:
    """A file that came with a request. Raises Problem, which names it as its sender does."""
    return await _taken(gateway, upload.path, param, clips=clips, name=upload.name or upload.field)


async def taken_text(gateway: Gateway, text: str, param: str, *, clips: bool = False) -> MediaRef:
    """What a link, a data URI or base64 stands for. Never a file of this machine. Raises Problem."""
    return await _taken(gateway, text, param, clips=clips, name=None)


async def _taken(gateway: Gateway, source: Path | str, param: str, *, clips: bool, name: str | None) -> MediaRef:
    try:
        return await gateway.app.inputs.add(source, files=isinstance(source, Path), clips=clips, name=name)
    except StoreTrouble:
        raise
    except (MediaError, RequestError) as error:
        raise bad_request(str(error), param=param, error_code="invalid_media") from error
