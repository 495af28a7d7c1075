"""From a size in pixels to the two words that most vendors have for it: a resolution and an aspect ratio. All pure."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import log

from rushes.video import Size


def ratio_of(size: Size, ratios: Iterable[str]) -> str:
    """The ratio, written `16:9`, that comes nearest to the shape of a size."""

    def distance(ratio: str) -> float:
        width, _, height = ratio.partition(":")
        return abs(log(Fraction(int(width), int(height)) / size.aspect))

    return min(ratios, key=distance)


def tier_by_side(size: Size, tiers: Mapping[str, int]) -> str:
    """The word whose pixels come nearest to the shorter side: for vendors whose 720p is always 720 high, or wide."""
    return min(tiers, key=lambda word: abs(tiers[word] - min(size)))


def tier_by_area(size: Size, tiers: Mapping[str, int]) -> str:
    """The word whose height, taken for that of a 16:9 picture, comes nearest to the area: for vendors whose 720p has
    about as many pixels in every shape."""

    def distance(word: str) -> float:
        return abs(log(tiers[word] ** 2 * 16 / 9 / (size.width * size.height)))

    return min(tiers, key=distance)
