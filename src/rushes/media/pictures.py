"""Pictures as inputs: checked by really decoding them, and fitted to a size. Runs in a media child."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.errors import MediaError
from rushes.media.disk import write_whole
from rushes.media.sniff import ENOUGH_BYTES, Kind, first_words, look
from rushes.video import Size

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
ORIENTATION = 0x0112  # the EXIF tag
TURNED = (5, 6, 7, 8)  # its values that exchange width and height
PNG_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that decodes. The size is as displayed: after EXIF orientation."""

    mime: str
    width: int
    height: int


def check(path: Path, max_pixels: int) -> Picture:
    """Decode the whole picture. Raises MediaError saying what it is instead, or which limit it passes."""
    with _opened(path, max_pixels) as picture:
        width, height = picture.size
        if picture.getexif().get(ORIENTATION) in TURNED:
            width, height = height, width
        return Picture(mime=FORMATS[picture.format or ""], width=width, height=height)


def fit(source: Path, out: Path, size: Size, max_pixels: int, *, pad: bool = False) -> Picture:
    """Scale to `size` and write a PNG. What stands over is cut; or nothing is, and black is added with `pad`.

    Equal inputs give equal bytes.
    """
    from PIL import Image, ImageOps

    with _opened(source, max_pixels) as picture:
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            # video has no transparency; white is what a page behind the picture would have shown
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
        make = ImageOps.pad if pad else ImageOps.fit
        fitted = make(upright.convert("RGB"), size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # a fresh image: what the source carries in profiles and comments must not make equal pictures differ
    clean = Image.frombytes("RGB", fitted.size, fitted.tobytes())
    clean.save(buffer, "PNG", compress_level=PNG_LEVEL)
    write_whole(out, buffer.getvalue())
    return Picture(mime="image/png", width=size.width, height=size.height)


def _opened(path: Path, max_pixels: int) -> "Image":
    """The loaded picture; limits are applied to the header, before anything is decoded."""
    from PIL import Image, UnidentifiedImageError

    _refuse_what_is_no_picture(path)
    Image.MAX_IMAGE_PIXELS = None  # our own limit comes below, as an error and not as a warning
    try:
        picture = Image.open(path, formats=tuple(FORMATS))
        if picture.width * picture.height > max_pixels:
            raise MediaError(
                f"The picture has {picture.width}x{picture.height} pixels, over the limit of "
                f"{max_pixels / 1e6:g} megapixels ([limits] input_megapixels). Scale it down."
            )
        if getattr(picture, "n_frames", 1) > 1:
            raise MediaError("The picture is animated. Give a still one: save one of its frames as PNG.")
        picture.load()
    except UnidentifiedImageError as error:
        raise MediaError("The picture is damaged: its header cannot be read.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"The picture is damaged: {error}.") from error
    return picture


def _refuse_what_is_no_picture(path: Path) -> None:
    with path.open("rb") as file:
        found = look(start := file.read(ENOUGH_BYTES))
    if found.mime in FORMATS.values():
        return
    quoted = f" It begins: {first_words(start)}" if found.kind is Kind.TEXT else ""
    raise MediaError(f"That is {found.words}. Pictures may be PNG, JPEG or WebP.{quoted}")
