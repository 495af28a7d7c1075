"""Copies of what lies in a bucket, on this machine: media children read files, not addresses.

A copy is named by the place and the version that it is of, so a stale one is never taken for a fresh one. The folder
is bounded: the copies that were not used for the longest time go first, but none that was used in the last minutes,
because a child may be about to open it. So a path that was handed out is good for that long.
"""

import hashlib
import os
from pathlib import Path

from rushes.media.disk import disk_error, make_folder

MAX_BYTES = 512 << 20
SAFE_S = 600.0
"""How long a copy stays for certain after it was asked for."""


class Near:
    """A folder of copies. Every method is for a thread, and raises MediaError."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    def place(self, key: str, version: str) -> Path:
        """Where the copy of one version of a file lies, or would lie."""
        name = hashlib.sha256(f"{key}\n{version}".encode()).hexdigest()[:32]
        return self.folder / f"{name}{Path(key).suffix}"

    def take(self, place: Path, size_bytes: int) -> bool:
        """Whether the copy is there and whole; if so it counts as used now."""
        try:
            if place.stat().st_size != size_bytes:
                return False
            os.utime(place)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(error, place) from error
        return True

    def make_room(self, now: float) -> None:
        """Remove the copies that are over the bound, the longest unused first. `now` is in seconds since the epoch."""
        make_folder(self.folder)
        found = sorted(self._copies(), key=lambda each: each[0])
        held = sum(size for _, size, _ in found)
        for used_at, size, path in found:
            if held <= self._max_bytes or now - used_at < SAFE_S:
                return
            path.unlink(missing_ok=True)
            held -= size

    def _copies(self) -> list[tuple[float, int, Path]]:
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.iterdir():
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # another process makes room as well
            found.append((facts.st_mtime, facts.st_size, path))
        return found
