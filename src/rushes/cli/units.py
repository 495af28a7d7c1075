"""Sizes and ages as people write them. A number alone is refused: 10 may be meant as gigabytes, and files would go."""

import re
from datetime import timedelta

import click

SIZE_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
AGE_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_size(text: str) -> int:
    """Bytes, from `500MB`, `1.5 GB` or `2GiB`. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    if match is None or match[2].upper() not in SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size. Write a number with B, KB, MB, GB or TB, such as 500MB or 10GB.")
    return int(float(match[1]) * SIZE_UNITS[match[2].upper()])


def parse_age(text: str) -> timedelta:
    """From `30d`, `12h` or `2w`. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*([smhdw])\s*", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not an age. Write a whole number with m, h, d or w, such as 12h, 30d or 2w.")
    return int(match[1]) * AGE_UNITS[match[2]]


def show_bytes(size_bytes: int) -> str:
    """`812 B`, `4.2 MB`, `1.3 GB`."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def size_option(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """For click's `callback`."""
    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def age_option(context: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    """For click's `callback`."""
    try:
        return None if text is None else parse_age(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
