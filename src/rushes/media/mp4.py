"""The outermost boxes of an MP4 or QuickTime file, read without decoding anything.

They tell three things that a decoder hides or tells too late: whether the file can be played while it loads (`moov`
before `mdat`), whether its end is missing, and whether somebody put a C2PA manifest inside. Pure apart from reading
a few bytes per box. Source: ISO/IEC 14496-12, section 4.2; C2PA 2.2, annex A.5 (read 2026-11).
"""

from dataclasses import dataclass
from typing import BinaryIO

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
MAX_BOXES = 200_000  # a fragmented file has two per fragment; more than this is an attack on our time


@dataclass(frozen=True, slots=True)
class Box:
    """`end` is where the box says that it ends, which may lie behind the end of the file."""

    kind: str
    start: int
    end: int
    usertype: bytes = b""  # of a `uuid` box


@dataclass(frozen=True, slots=True)
class Layout:
    boxes: tuple[Box, ...]
    size_bytes: int

    @property
    def missing_bytes(self) -> int:
        """How many bytes the last box promises beyond the end of the file; 0 when it is whole."""
        return max(0, self.boxes[-1].end - self.size_bytes) if self.boxes else 0

    @property
    def faststart(self) -> bool:
        """Whether the index stands before the media, so that playing can begin before the end has come."""
        for box in self.boxes:
            if box.kind in ("moov", "mdat"):
                return box.kind == "moov"
        return False

    @property
    def has_index(self) -> bool:
        return any(box.kind == "moov" for box in self.boxes)

    @property
    def has_c2pa(self) -> bool:
        return any(box.kind == "jumb" or box.usertype == C2PA_UUID for box in self.boxes)


def read_layout(file: BinaryIO) -> Layout:
    """Walk over the top-level boxes. Stops quietly at whatever is no box: the decoder has the last word."""
    size_bytes = file.seek(0, 2)
    boxes: list[Box] = []
    position = 0
    while position + 8 <= size_bytes and len(boxes) < MAX_BOXES:
        file.seek(position)
        head = file.read(32)
        length, kind, body = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, body = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:  # "to the end of the file"
            length = size_bytes - position
        if length < body or not kind.isascii():
            break
        usertype = head[body : body + 16] if kind == b"uuid" else b""
        boxes.append(Box(kind.decode("ascii"), position, position + length, usertype))
        position += length
    return Layout(tuple(boxes), size_bytes)
