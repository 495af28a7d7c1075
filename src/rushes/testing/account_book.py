"""What a fake has charged: the other side's books, to be compared with our ledger.

Append-only. With a file it is written line by line as JSON, so that it outlives a killed process and can be read
from another one.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One accepted create. Whether anybody heard of its being accepted is another matter."""

    remote_id: str
    model: str
    seconds: int
    size: str
    usd: Decimal
    prompt_sha256: str
    at: float  # Unix time
    key: str | None = None  # the idempotency key that came with it
    account: str | None = None


class AccountBook:
    """Safe to use from several threads; its file, from several processes."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._entries: list[Entry] = []
        self._creates = 0
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path) -> "AccountBook":
        """The book as a file has it now."""
        book = cls()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            row: dict[str, Any] = json.loads(line)
            if row.pop("event") == "create":
                book._creates += 1
            else:
                row["usd"] = Decimal(row["usd"])
                book._entries.append(Entry(**row))
        return book

    def arrived(self) -> None:
        """Count a create that came in, whatever becomes of it."""
        with self._lock:
            self._creates += 1
            self._write({"event": "create", "at": time.time()})

    def charge(
        self,
        *,
        remote_id: str,
        model: str,
        seconds: int,
        size: str,
        usd: Decimal,
        prompt: str,
        key: str | None = None,
        account: str | None = None,
    ) -> Entry:
        entry = Entry(
            remote_id=remote_id,
            model=model,
            seconds=seconds,
            size=size,
            usd=usd,
            prompt_sha256=prompt_hash(prompt),
            at=time.time(),
            key=key,
            account=account,
        )
        with self._lock:
            self._entries.append(entry)
            self._write({"event": "charge", **asdict(entry), "usd": str(usd)})
        return entry

    def _write(self, row: dict[str, Any]) -> None:
        if self.path is not None:
            # One write in append mode: lines of several processes do not mix.
            with self.path.open("ab", buffering=0) as file:
                file.write(json.dumps(row).encode() + b"\n")

    @property
    def entries(self) -> tuple[Entry, ...]:
        with self._lock:
            return tuple(self._entries)

    @property
    def creates(self) -> int:
        """How many creates came in, refused ones included."""
        with self._lock:
            return self._creates

    @property
    def charged(self) -> int:
        """How many were accepted and will be billed."""
        return len(self.entries)

    @property
    def total_usd(self) -> Decimal:
        return sum((entry.usd for entry in self.entries), Decimal(0))

    def paid_twice(self) -> dict[str, int]:
        """Prompts that were charged more than once, by hash: tests give each job a prompt of its own."""
        counts = Counter(entry.prompt_sha256 for entry in self.entries)
        return {prompt: count for prompt, count in counts.items() if count > 1}


def prompt_hash(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()
