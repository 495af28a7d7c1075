"""How jobs and videos look: tables and one-liners for people, plain data for `--json`."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click

from rushes.jobs.ledger import JobState
from rushes.jobs.service import Snapshot
from rushes.video import Video

BAR_CELLS = 24
LINE_EVERY_S = 10.0


def usd(amount: Decimal | None) -> str:
    """`$0.80`, `free`, or `price unknown`."""
    if amount is None:
        return "price unknown"
    return "free" if amount == 0 else f"${amount}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns on stdout, as wide as they need; the last one may be cut by the terminal."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def short(text: str, length: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def job_data(snapshot: Snapshot) -> dict[str, Any]:
    """A job as plain data for `--json`."""
    data = asdict(snapshot)
    data["model"] = str(snapshot.model)
    data["state"], data["status"] = snapshot.state.value, snapshot.status.value
    data["failure"] = snapshot.failure._asdict() if snapshot.failure else None
    return data


def video_data(video: Video) -> dict[str, Any]:
    """A video as plain data for `--json`."""
    data = asdict(video)
    data["model"], data["size"], data["fps"] = str(video.model), str(video.size), float(video.fps)
    return data


def place(video: Video) -> str:
    """Where a person finds it: its path, or its address in a bucket."""
    return str(video.path or video.url)


class Progress:
    """Tells on stderr how a job goes: a bar on a terminal, a line now and then in a log."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._last_at = -LINE_EVERY_S
        self._last_state: tuple[JobState, str | None] | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        if self._quiet:
            return
        elapsed_s = time.monotonic() - self._began
        text = self._line(snapshot, elapsed_s)
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{text}" + ("\n" if snapshot.settled else ""))
            sys.stderr.flush()
            return
        state = (snapshot.state, snapshot.trouble)
        if state != self._last_state or elapsed_s - self._last_at >= LINE_EVERY_S:
            self._last_state, self._last_at = state, elapsed_s
            click.echo(text, err=True)

    def done(self) -> None:
        """Leave the bar's line, if one is being drawn."""
        if self._live and not self._quiet:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def _line(self, snapshot: Snapshot, elapsed_s: float) -> str:
        parts = [f"{snapshot.state.value.replace('_', ' '):<11}", f"{snapshot.percent:3.0f} %", f"{elapsed_s:.0f} s"]
        if self._live:
            filled = round(snapshot.percent / 100 * BAR_CELLS)
            parts.insert(1, "█" * filled + "░" * (BAR_CELLS - filled))
        if not snapshot.settled and (remaining_s := _remaining_s(snapshot.percent, elapsed_s)) is not None:
            parts.append(f"about {remaining_s:.0f} s left")
        cost = snapshot.cost_usd if snapshot.state.final else snapshot.estimate_usd
        parts.append(usd(cost))
        if snapshot.trouble and not snapshot.settled:
            parts.append(short(snapshot.trouble, 100) if self._live else snapshot.trouble)
        return "  ".join(parts)


def _remaining_s(percent: float, elapsed_s: float) -> float | None:
    """A guess from how far it came so far; None while it would be a wild one."""
    done = (percent - 20) / 70
    if not 0.1 <= done < 1 or elapsed_s < 1:
        return None
    return elapsed_s * (1 - done) / done
