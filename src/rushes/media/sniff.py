"""What some bytes look like, judged by their start: names and declared types are only claims.

Pure. The answer is good for choosing a reader and for telling a person what they really have; whether a file is
sound is decided by decoding it.
"""

from dataclasses import dataclass
from enum import StrEnum

ENOUGH_BYTES = 512
"""How much of a file's start is wanted; less is taken."""


class Kind(StrEnum):
    VIDEO = "video"
    PICTURE = "picture"
    AUDIO = "audio"
    TEXT = "text"  # also HTML, JSON, XML: what an error page is made of
    EMPTY = "empty"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Look:
    """`words` names it for people, as in "that is …"."""

    kind: Kind
    mime: str
    words: str


PICTURE_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}
AUDIO_BRANDS = {b"M4A ", b"M4B "}
MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"wide", b"free", b"skip"}

SIGNATURES: tuple[tuple[bytes, Look], ...] = (
    (b"\x89PNG\r\n\x1a\n", Look(Kind.PICTURE, "image/png", "a PNG picture")),
    (b"\xff\xd8\xff", Look(Kind.PICTURE, "image/jpeg", "a JPEG picture")),
    (b"GIF8", Look(Kind.PICTURE, "image/gif", "a GIF picture")),
    (b"BM", Look(Kind.PICTURE, "image/bmp", "a BMP picture")),
    (b"II*\0", Look(Kind.PICTURE, "image/tiff", "a TIFF picture")),
    (b"MM\0*", Look(Kind.PICTURE, "image/tiff", "a TIFF picture")),
    (b"%PDF", Look(Kind.OTHER, "application/pdf", "a PDF document")),
    (b"PK\x03\x04", Look(Kind.OTHER, "application/zip", "a ZIP archive")),
    (b"\x1f\x8b", Look(Kind.OTHER, "application/gzip", "a gzip archive")),
    (b"\x1aE\xdf\xa3", Look(Kind.VIDEO, "video/webm", "a WebM or Matroska video")),
    (b"FLV\x01", Look(Kind.VIDEO, "video/x-flv", "an FLV video")),
    (b"OggS", Look(Kind.VIDEO, "video/ogg", "an Ogg file")),
    (b"ID3", Look(Kind.AUDIO, "audio/mpeg", "an MP3 sound")),
    (b"fLaC", Look(Kind.AUDIO, "audio/flac", "a FLAC sound")),
)


def look(start: bytes) -> Look:
    """Judge a file by its first bytes; `ENOUGH_BYTES` of them, or the whole of a shorter file."""
    if not start:
        return Look(Kind.EMPTY, "application/x-empty", "an empty file")
    if start[4:8] in MP4_BOXES:
        return _iso(start[4:8], start[8:12])
    if start[:4] == b"RIFF":
        return _riff(start[8:12])
    for signature, found in SIGNATURES:
        if start.startswith(signature):
            return found
    return _text(start) or Look(Kind.OTHER, "application/octet-stream", "data of no known kind")


def first_words(start: bytes, length: int = 80) -> str:
    """The beginning of a text, on one line, for quoting."""
    text = " ".join(start[: length * 4].decode("utf-8", "replace").split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _iso(box: bytes, brand: bytes) -> Look:
    if box != b"ftyp":
        return Look(Kind.VIDEO, "video/mp4", "an MP4 video")
    if mime := PICTURE_BRANDS.get(brand):
        return Look(Kind.PICTURE, mime, f"{'an AVIF' if mime.endswith('avif') else 'a HEIC'} picture")
    if brand in AUDIO_BRANDS:
        return Look(Kind.AUDIO, "audio/mp4", "an M4A sound")
    if brand == b"qt  ":
        return Look(Kind.VIDEO, "video/quicktime", "a QuickTime video")
    return Look(Kind.VIDEO, "video/mp4", "an MP4 video")


def _riff(form: bytes) -> Look:
    return {
        b"WEBP": Look(Kind.PICTURE, "image/webp", "a WebP picture"),
        b"AVI ": Look(Kind.VIDEO, "video/x-msvideo", "an AVI video"),
        b"WAVE": Look(Kind.AUDIO, "audio/wav", "a WAV sound"),
    }.get(form, Look(Kind.OTHER, "application/octet-stream", "a RIFF file of no known kind"))


def _text(start: bytes) -> Look | None:
    sample = start[:ENOUGH_BYTES].removeprefix(b"\xef\xbb\xbf")
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" or byte >= 0x80 for byte in sample)
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 3:  # the cut may have split the last character
            return None
    if printable < len(sample):
        return None
    head = sample.lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Look(Kind.TEXT, "text/html", "an HTML page")
    if b"<svg" in head[:300]:
        return Look(Kind.TEXT, "image/svg+xml", "an SVG drawing")
    if head.startswith((b"{", b"[")):
        return Look(Kind.TEXT, "application/json", "JSON text")
    if head.startswith(b"<"):
        return Look(Kind.TEXT, "text/xml", "XML text")
    return Look(Kind.TEXT, "text/plain", "plain text")
