"""Planes: pictures as the encoder wants them, and the few operations that run on every frame.

A layer is painted once as float RGB and kept as 8-bit Y, U, V (BT.709, limited range, chroma at half size) with
its mask at both sizes. A frame is then only crops, resizes and masked pastes, all in Pillow's C code, which
releases the interpreter lock: that is what makes 720p several times faster than it plays on two cores.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from rushes.media.animatic.paint import U8, Field, Rgb

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
BLACK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """One painted picture; `alpha` and `alpha_half` are None where all of it is opaque.

    A plane that is one value all over, as in a beam of light, is that number: it need not be resized.
    """

    y: Image.Image | int
    u: Image.Image | int
    v: Image.Image | int
    alpha: Image.Image | None
    alpha_half: Image.Image | None
    size: tuple[int, int]

    def fainter(self, share: float) -> "Planes":
        """The same, less opaque."""
        if self.alpha is None or self.alpha_half is None:
            return self
        table = [round(value * share) for value in range(256)]
        return replace(self, alpha=self.alpha.point(table), alpha_half=self.alpha_half.point(table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A picture in the making: three planes that layers are pasted on, from far to near."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def empty(cls, width: int, height: int) -> "Frame":
        half = (width // 2, height // 2)
        return cls(
            y=Image.new("L", (width, height), BLACK),
            u=Image.new("L", half, 128),
            v=Image.new("L", half, 128),
        )

    def greyed(self) -> "Frame":
        """The same without any colour."""
        half = self.u.size
        return Frame(y=self.y, u=Image.new("L", half, 128), v=Image.new("L", half, 128))

    @property
    def width(self) -> int:
        return self.y.width

    @property
    def height(self) -> int:
        return self.y.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """Pixels from (left, top) up to, not including, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    @property
    def size(self) -> tuple[int, int]:
        return (self.right - self.left, self.bottom - self.top)

    def halved(self) -> "Rect":
        return Rect(left=self.left // 2, top=self.top // 2, right=self.right // 2, bottom=self.bottom // 2)


def yuv_of(rgb: Field) -> tuple[Field, Field, Field]:
    """Display RGB in 0..1 to 8-bit scaled, unrounded Y, Cb, Cr at full size."""
    luma = rgb @ _LUMA
    cb = (rgb[..., 2] - luma) * np.float32(224 / 1.8556) + np.float32(128)
    cr = (rgb[..., 0] - luma) * np.float32(224 / 1.5748) + np.float32(128)
    return luma * np.float32(219) + np.float32(16), cb, cr


def rgb_of(frame: Frame) -> Field:
    """The frame as display RGB, for painters that reflect what is behind them."""
    luma = (np.asarray(frame.y, dtype=np.float32) - 16) / np.float32(219)
    size = frame.y.size
    cb = (np.asarray(frame.u.resize(size), dtype=np.float32) - 128) / np.float32(224)
    cr = (np.asarray(frame.v.resize(size), dtype=np.float32) - 128) / np.float32(224)
    red, blue = luma + cr * np.float32(1.5748), luma + cb * np.float32(1.8556)
    green = (luma - np.float32(0.2126) * red - np.float32(0.0722) * blue) / np.float32(0.7152)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 1)


def yuv_colour(rgb: Rgb) -> tuple[int, int, int]:
    """One colour as 8-bit Y, Cb, Cr."""
    y, cb, cr = yuv_of(np.asarray(rgb, np.float32)[None, None, :])
    return (round(float(y[0, 0])), round(float(cb[0, 0])), round(float(cr[0, 0])))


def to_planes(rgb: Field, mask: Field | None = None) -> Planes:
    """Painted float RGB (even width and height) and its mask, as planes. Luma is dithered: skies must not band."""
    height, width = rgb.shape[:2]
    y = rgb @ _LUMA * np.float32(219) + np.float32(16)
    y += _dither(width, height)
    half = rgb[::2, ::2] + rgb[1::2, ::2]
    half += rgb[::2, 1::2]
    half += rgb[1::2, 1::2]
    half *= np.float32(0.25)
    _, cb, cr = yuv_of(half)
    cb += _dither(width // 2, height // 2)
    cr += _dither(width // 2, height // 2)
    alpha = None if mask is None else Image.fromarray((np.clip(mask, 0, 1) * 255 + 0.5).astype(np.uint8))
    return Planes(
        y=Image.fromarray(_rounded(y, 16, 235)),
        u=Image.fromarray(_rounded(cb, 16, 240)),
        v=Image.fromarray(_rounded(cr, 16, 240)),
        alpha=alpha,
        alpha_half=None if alpha is None else alpha.reduce(2),
        size=(width, height),
    )


def flat_planes(colour: Rgb, mask: Field) -> Planes:
    """A mask in one colour."""
    alpha = Image.fromarray((np.clip(mask, 0, 1) * 255 + 0.5).astype(np.uint8))
    y, cb, cr = yuv_colour(colour)
    return Planes(y=y, u=cb, v=cr, alpha=alpha, alpha_half=alpha.reduce(2), size=alpha.size)


def _rounded(plane: Field, low: int, high: int) -> U8:
    return np.clip(plane + np.float32(0.5), low, high).astype(np.uint8)


def _dither(width: int, height: int) -> Field:
    # One fixed tile of triangular noise, repeated: cheap, invisible, and the same in every run.
    rng = np.random.default_rng(20261120)
    tile = rng.random((128, 128), dtype=np.float32) - rng.random((128, 128), dtype=np.float32)
    tile *= np.float32(1.0)  # a little more than dither needs: this is also the film grain
    return np.tile(tile, (math.ceil(height / 128), math.ceil(width / 128)))[:height, :width]


def enlarged(frame: Frame, width: int, height: int) -> Frame:
    """The frame at another size, for pictures larger than scenes are painted."""
    if frame.y.size == (width, height):
        return frame
    half = (width // 2, height // 2)
    return Frame(
        y=frame.y.resize((width, height), Image.Resampling.BICUBIC),
        u=frame.u.resize(half, Image.Resampling.BILINEAR),
        v=frame.v.resize(half, Image.Resampling.BILINEAR),
    )


def resampled(
    image: Image.Image, left: float, top: float, scale: float, size: tuple[int, int], *, coarse: bool = False
) -> Image.Image:
    """The part of `image` that starts at (left, top), enlarged by `scale`, as `size` pixels.

    Positions are not rounded: a slow move in whole pixels trembles. `coarse` rounds them all the same: for colour
    without brightness, where nobody sees it.
    """
    width, height = size
    if abs(scale - 1) > 1e-4:
        right, bottom = min(left + width / scale, image.width), min(top + height / scale, image.height)
        box = (max(0.0, left), max(0.0, top), right, bottom)
        return image.resize(size, Image.Resampling.NEAREST if coarse else Image.Resampling.BILINEAR, box=box)
    if coarse:
        x, y = (
            max(0, min(round(at), limit)) for at, limit in ((left, image.width - width), (top, image.height - height))
        )
        return image.crop((x, y, x + width, y + height))
    x, y = math.floor(left), math.floor(top)
    across, down = left - x, top - y
    row = _shifted(image, x, y, width, height, across)
    if down < 1 / 32:
        return row
    return Image.blend(row, _shifted(image, x, y + 1, width, height, across), down)


def _shifted(image: Image.Image, x: int, y: int, width: int, height: int, across: float) -> Image.Image:
    # Two neighbouring crops, blended: a seventh of the cost of a resize that shifts by part of a pixel.
    x, y = max(0, min(x, image.width - width)), max(0, min(y, image.height - height))
    here = image.crop((x, y, x + width, y + height))
    if across < 1 / 32 or x + 1 + width > image.width:
        return here
    return Image.blend(here, image.crop((x + 1, y, x + 1 + width, y + height)), across)


def paste(frame: Frame, planes: Planes, target: Rect, left: float, top: float, scale: float, *, solid: bool) -> None:
    """Draw planes on `target` (even edges), whose corner shows the planes' pixel (left, top)."""
    if target.empty:
        return
    half = target.halved()
    mask = mask_half = None
    if not solid and planes.alpha is not None and planes.alpha_half is not None:
        mask = resampled(planes.alpha, left, top, scale, target.size)
        mask_half = resampled(planes.alpha_half, left / 2, top / 2, scale, half.size)
    _paste_plane(frame.y, planes.y, target, mask, left, top, scale)
    _paste_plane(frame.u, planes.u, half, mask_half, left / 2, top / 2, scale, coarse=True)
    _paste_plane(frame.v, planes.v, half, mask_half, left / 2, top / 2, scale, coarse=True)


def _paste_plane(
    plane: Image.Image,
    source: Image.Image | int,
    target: Rect,
    mask: Image.Image | None,
    left: float,
    top: float,
    scale: float,
    *,
    coarse: bool = False,
) -> None:
    part = source if isinstance(source, int) else resampled(source, left, top, scale, target.size, coarse=coarse)
    plane.paste(part, (target.left, target.top, target.right, target.bottom), mask)
