"""Card: the slate in the lower left corner that says what a draft is: prompt, model, seed, running timecode.

Drawn as masks once; on every frame only the timecode's digits are new. The font ships with the package and is
laid out by Pillow's own engine, so that the card looks the same on every host. Characters that the font lacks
come out as boxes.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from rushes.media.animatic.planes import Frame

_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_SMALLEST = (160, 90)  # below this no letter could be read
_MOST_LINES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """The card of one board, ready to be laid on frames."""

    left: int
    top: int
    plate: Image.Image  # mask of the dark ground
    text: Image.Image  # mask of the letters, same size
    digits: dict[str, Image.Image]
    clock_x: int
    clock_y: int
    fps: int

    def draw(self, frame: Frame, number: int) -> None:
        """Lay the card on frame `number`, counted from 0."""
        text = self.text.copy()
        x = self.clock_x
        for character in timecode(number, self.fps):
            glyph = self.digits[character]
            text.paste(glyph, (x, self.clock_y))
            x += glyph.width
        box = (self.left, self.top, self.left + text.width, self.top + text.height)
        half = (self.left // 2, self.top // 2, (self.left + text.width) // 2, (self.top + text.height) // 2)
        small = self.plate.reduce(2)
        frame.y.paste(22, box, self.plate)
        frame.u.paste(128, half, small)
        frame.v.paste(128, half, small)
        frame.y.paste(228, box, text)
        letters = text.reduce(2)
        frame.u.paste(128, half, letters)
        frame.v.paste(128, half, letters)


def timecode(number: int, fps: int) -> str:
    """HH:MM:SS:FF of a frame, counted from 0, without drop."""
    seconds, frames = divmod(number, fps)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def make_slate(
    *, prompt: str, model: str, seed: int, width: int, height: int, fps: int, covering: bool = False
) -> Slate | None:
    """The card for a frame of this size; None where it could not be read.

    `covering`: over pictures that may bear a card already, it hides the largest that one can be.
    """
    if width < _SMALLEST[0] or height < _SMALLEST[1]:
        return None
    size = max(8, round(0.0225 * min(height, 1.25 * width)))
    words, small = font_of(size), font_of(max(7, round(size * 0.78)))
    pad, gap = round(size * 0.80), round(size * 0.42)
    room = round(width * (0.40 if width > height else 0.78)) - 2 * pad
    lines = wrapped(printable(prompt), words, room, _MOST_LINES)
    clock_wide = _text_width(small, "00:00:00:00")
    label = shortened(f"{printable(model)}   seed {seed}", small, max(10, room - clock_wide - round(size * 1.6)))
    inner = max(
        _text_width(small, label) + round(size * 1.6) + clock_wide,
        *(_text_width(words, line) for line in lines),
    )
    line_high, small_high = round(size * 1.32), round(size * 1.05)
    if covering:
        inner, missing = max(inner, room), _MOST_LINES - len(lines)
    else:
        missing = 0
    box_wide = _even(inner + 2 * pad)
    box_high = _even(2 * pad + (len(lines) + missing) * line_high + gap + small_high - round(size * 0.25))
    text = Image.new("L", (box_wide, box_high), 0)
    draw = ImageDraw.Draw(text)
    y = pad - round(size * 0.22)
    for line in lines:
        draw.text((pad, y), line, font=words, fill=240)
        y += line_high
    y += gap + missing * line_high
    draw.text((pad, y), label, font=small, fill=165)
    margin = _even(round(0.032 * min(width, height)))
    return Slate(
        left=margin,
        top=_even(height - margin - box_high),
        plate=Image.new("L", (box_wide, box_high), 255) if covering else _plate(box_wide, box_high, size),
        text=text,
        digits=_digits(small),
        clock_x=box_wide - pad - clock_wide,
        clock_y=y,
        fps=fps,
    )


def wrapped(text: str, font: ImageFont.FreeTypeFont, room: int, most: int) -> list[str]:
    """At most `most` lines that fit into `room` pixels, the last one cut with an ellipsis."""
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < most:
        line = words.pop(0)
        while words and _text_width(font, f"{line} {words[0]}") <= room:
            line += " " + words.pop(0)
        lines.append(line)
    if words:
        lines[-1] += " …"
    return [shortened(line, font, room) for line in lines] or ["…"]


def shortened(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """As much of a text as fits into `room` pixels."""
    if _text_width(font, text) <= room:
        return text
    # Scripts without spaces arrive as one long word; halving finds the longest part that fits.
    low, high = 0, min(len(text), 400)
    while low < high:
        middle = (low + high + 1) // 2
        if _text_width(font, text[:middle].rstrip(" …") + "…") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip(" …") + "…"


def _plate(width: int, height: int, size: int) -> Image.Image:
    fine = 4
    mask = Image.new("L", (width * fine, height * fine), 0)
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((0, 0, width * fine - 1, height * fine - 1), radius=round(size * 0.42) * fine, fill=138)
    return mask.reduce(fine)


def _digits(font: ImageFont.FreeTypeFont) -> dict[str, Image.Image]:
    glyphs: dict[str, Image.Image] = {}
    for character in "0123456789:":
        wide = _text_width(font, character)
        glyph = Image.new("L", (wide, round(font.size * 1.35)), 0)
        ImageDraw.Draw(glyph).text((0, 0), character, font=font, fill=215)
        glyphs[character] = glyph
    return glyphs


def _text_width(font: ImageFont.FreeTypeFont, text: str) -> int:
    return round(font.getlength(text))


def printable(text: str) -> str:
    """One line without control characters; broken surrogates become question marks."""
    clean = text[:2000].encode("utf-8", errors="replace").decode("utf-8")
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in clean)


def _even(value: int) -> int:
    return value // 2 * 2


@lru_cache(maxsize=8)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font of all that is written, so many pixels high."""
    return ImageFont.truetype(str(_FONT), size, layout_engine=ImageFont.Layout.BASIC)
