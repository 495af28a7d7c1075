"""What a fake has to know of a given picture or clip: that it is one, its length, and its shape, which most vendors
give to the video that starts from it."""

import base64
import io
import re
from collections.abc import Iterable
from math import log


def bytes_of(uri: str) -> bytes:
    """What the data URI of a picture holds. Raises ValueError."""
    match = re.fullmatch(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=]+)", uri)
    if match is None:
        raise ValueError("This is no data URI of a PNG, JPEG or WebP.")
    return base64.b64decode(match[1], validate=True)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height. Raises ValueError for what is no picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError as error:
        raise ValueError("This is no picture.") from error


def nearest_ratio(size: tuple[int, int], ratios: Iterable[str]) -> str:
    """The ratio, written `16:9`, that a video of this picture's shape has. Not by `providers/shapes.py`, whose mistakes
    it could not show."""

    def distance(ratio: str) -> float:
        width, height = (int(side) for side in ratio.split(":"))
        return abs(log(width * size[1] / (height * size[0])))

    return min(ratios, key=distance)


def measured(data: bytes) -> tuple[tuple[int, int], int]:
    """Size and length of an MP4, the length counted up to a whole second."""
    import av

    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        return (stream.width, stream.height), max(1, -(-(container.duration or 0) // 1_000_000))
