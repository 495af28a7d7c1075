import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.media.mp4 import C2PA_UUID, read_layout
from rushes.media.sniff import Kind, first_words, look


@pytest.mark.parametrize(
    ("start", "kind", "mime"),
    [
        (b"\0\0\0\x18ftypisom", Kind.VIDEO, "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", Kind.VIDEO, "video/quicktime"),
        (b"\0\0\0\x18ftypM4A ", Kind.AUDIO, "audio/mp4"),
        (b"\0\0\0\x18ftypavif", Kind.PICTURE, "image/avif"),
        (b"\0\0\0\x08mdat", Kind.VIDEO, "video/mp4"),
        (b"\x1aE\xdf\xa3", Kind.VIDEO, "video/webm"),
        (b"RIFF\0\0\0\0WEBP", Kind.PICTURE, "image/webp"),
        (b"RIFF\0\0\0\0AVI ", Kind.VIDEO, "video/x-msvideo"),
        (b"\xef\xbb\xbf <!DOCTYPE html>", Kind.TEXT, "text/html"),
        (b'  {"error": 1}', Kind.TEXT, "application/json"),
        (b"<?xml version='1.0'?>", Kind.TEXT, "text/xml"),
        ("Größe: überschritten".encode(), Kind.TEXT, "text/plain"),
        (b"", Kind.EMPTY, "application/x-empty"),
        (b"\x00\x01\x02", Kind.OTHER, "application/octet-stream"),
    ],
)
def test_bytes_are_told_by_their_start(start: bytes, kind: Kind, mime: str) -> None:
    assert (look(start).kind, look(start).mime) == (kind, mime)


def test_a_text_cut_inside_a_character_is_still_a_text() -> None:
    assert look(("a" + "ü" * 400).encode()[:512]).kind is Kind.TEXT


@given(st.binary(max_size=600))
def test_no_bytes_are_too_strange_to_be_judged(data: bytes) -> None:
    assert look(data).words
    assert "\n" not in first_words(data)
    assert len(first_words(data)) <= 80


def box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


FTYP, MOOV, MDAT = box(b"ftyp", b"isom"), box(b"moov", bytes(20)), box(b"mdat", bytes(100))


def test_the_order_of_the_boxes_tells_whether_playing_can_begin_early() -> None:
    assert read_layout(io.BytesIO(FTYP + MOOV + MDAT)).faststart
    assert not read_layout(io.BytesIO(FTYP + MDAT + MOOV)).faststart


@pytest.mark.parametrize("missing", [1, 50, 99])
def test_bytes_missing_at_the_end_are_counted(missing: int) -> None:
    layout = read_layout(io.BytesIO((FTYP + MOOV + MDAT)[:-missing]))

    assert layout.missing_bytes == missing
    assert read_layout(io.BytesIO(FTYP + MOOV + MDAT)).missing_bytes == 0


def test_a_large_box_and_one_up_to_the_end_are_understood() -> None:
    large = b"\0\0\0\1mdat" + (16 + 100).to_bytes(8, "big") + bytes(100)
    open_end = b"\0\0\0\0mdat" + bytes(77)

    assert read_layout(io.BytesIO(FTYP + large + MOOV)).has_index
    assert read_layout(io.BytesIO(FTYP + MOOV + open_end)).missing_bytes == 0


def test_a_manifest_is_seen_by_its_box() -> None:
    assert read_layout(io.BytesIO(FTYP + box(b"uuid", C2PA_UUID + b"x") + MOOV)).has_c2pa
    assert not read_layout(io.BytesIO(FTYP + box(b"uuid", bytes(16)) + MOOV)).has_c2pa


@given(st.binary(max_size=400))
def test_no_boxes_are_too_strange_to_be_walked(data: bytes) -> None:
    assert read_layout(io.BytesIO(data)).missing_bytes >= 0
