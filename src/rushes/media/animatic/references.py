"""References: pictures and clips that a board is given, beside those at its ends.

With a frame number a reference is what is seen from that frame on, until the next one. Without it stands in a small
frame of its own in the upper right, a character with its name: whoever looks sees who or what was meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from rushes.media.animatic.card import font_of, printable, shortened
from rushes.media.animatic.footage import first_picture
from rushes.media.animatic.planes import Frame, Planes, Rect, to_planes
from rushes.media.animatic.stills import as_rgb, rgb_field

_SHARES = (0.24, 0.17, 0.12, 0.08)  # of the shorter side, that an inset is high
_NARROWEST, _WIDEST = 0.6, 1.8  # its shape: pictures beyond are cut
_SMALLEST = 12  # pixels; in smaller frames there are no insets
_EDGE = 235  # the light line around it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture file, or with `clip` a video, of which the first picture is taken.

    `crop` are left, top, right and bottom of the part that is meant, as shares of its size. `label` is written on an
    inset.
    """

    path: Path
    clip: bool = False
    frame_index: int | None = None
    crop: tuple[float, float, float, float] | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inset:
    """A small picture ready to be laid on frames. Its corner and its size are even."""

    left: int
    top: int
    planes: Planes

    def draw(self, frame: Frame) -> None:
        for plane, part, share in (
            (frame.y, self.planes.y, 1),
            (frame.u, self.planes.u, 2),
            (frame.v, self.planes.v, 2),
        ):
            plane.paste(part, (self.left // share, self.top // share))


def picture_of(reference: Reference) -> Image.Image:
    """The picture that is meant, upright and cut out, in RGB."""
    if reference.clip:
        whole = first_picture(reference.path)
    else:
        with Image.open(reference.path) as opened:
            whole = as_rgb(opened)
    if reference.crop is None:
        return whole
    left, top, right, bottom = reference.crop
    box = (
        round(left * whole.width),
        round(top * whole.height),
        round(right * whole.width),
        round(bottom * whole.height),
    )
    return whole.crop((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))


def place_insets(references: Sequence[Reference], width: int, height: int) -> list[Inset]:
    """Insets side by side from the upper right corner, and below each other where the row is full."""
    pictures = [picture_of(reference) for reference in references]
    shapes = [min(_WIDEST, max(_NARROWEST, picture.width / picture.height)) for picture in pictures]
    places: list[Rect] | None = []
    for share in _SHARES:  # the largest at which all find room
        if (places := _places(shapes, width, height, share)) is not None:
            break
    insets: list[Inset] = []
    for reference, picture, place in zip(references, pictures, places or [], strict=False):
        framed = _framed(picture, place.size, reference.label)
        insets.append(Inset(left=place.left, top=place.top, planes=to_planes(rgb_field(framed))))
    return insets


def _places(shapes: Sequence[float], width: int, height: int, share: float) -> list[Rect] | None:
    """Where insets of these shapes go; None: they find no room, or could not be seen."""
    side = min(width, height)
    high, margin = _even(side * share), _even(0.032 * side)
    places: list[Rect] = []
    right, top = width - margin, margin
    for shape in shapes:
        wide = _even(high * shape)
        if right - wide < margin and places:
            right, top = width - margin, top + high + margin
        left = _even(right - wide)
        if high < _SMALLEST or left < 0 or top + high > height:
            return None
        places.append(Rect(left=left, top=top, right=left + wide, bottom=top + high))
        right = left - margin
    return places


def _framed(picture: Image.Image, size: tuple[int, int], label: str | None) -> Image.Image:
    width, height = size
    fitted = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(fitted)
    if label:
        font = font_of(max(7, round(height * 0.13)))
        band = round(font.size * 1.5)
        draw.rectangle((0, height - band, width, height), fill=(18, 20, 24))
        words = shortened(printable(label), font, width - font.size)
        draw.text((width / 2, height - band / 2), words, font=font, fill=(_EDGE,) * 3, anchor="mm")
    draw.rectangle((0, 0, width - 1, height - 1), outline=(_EDGE,) * 3, width=2 if height >= 40 else 1)
    return fitted


def _even(value: float) -> int:
    return round(value) // 2 * 2
