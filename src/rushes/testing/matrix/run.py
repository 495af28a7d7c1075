"""Running many rows, a few at a time: they mostly wait."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

from rushes.testing.matrix.audit import Verdict
from rushes.testing.matrix.rows import Row
from rushes.testing.matrix.stage import play
from rushes.testing.matrix.stores import Store
from rushes.testing.matrix.table import Line


def run(
    rows: Sequence[tuple[Row, Store]],
    *,
    seed: int,
    at_once: int = 4,
    minutes: float | None = None,
    tell: Callable[[Line], None] | None = None,
) -> list[Line]:
    """Run the rows and return a line for each, in their order. After `minutes` no further one is begun.

    A row draws its chances from the seed and its own label, so that it plays alike whatever runs beside it. The
    folder of a row that went wrong is kept, and named in its verdict.
    """
    end = None if minutes is None else time.monotonic() + minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="rushes-matrix-"))
    found: dict[int, Line] = {}
    with ThreadPoolExecutor(at_once) as pool:
        running = {
            pool.submit(_one, row, store, folder / f"{n:04}", seed, end): n for n, (row, store) in enumerate(rows)
        }
        try:
            for future in as_completed(running):
                line = future.result()
                if line is not None:
                    found[running[future]] = line
                    if tell is not None:
                        tell(line)
        finally:  # after Ctrl-C what runs comes to its end, and puts its processes down; nothing else is begun
            pool.shutdown(cancel_futures=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return [found[n] for n in sorted(found)]


def _one(row: Row, store: Store, folder: Path, seed: int, end: float | None) -> Line | None:
    if end is not None and time.monotonic() > end:
        return None
    label = f"{store.name} | {row.label}"
    try:
        verdict = play(row, store, folder, Random(f"{seed} {label}"))
    except Exception as error:
        verdict = Verdict(wrong=[f"the row itself broke: {type(error).__name__}: {error}"])
    if verdict.good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        verdict.wrong.append(f"kept: {folder}")
    return Line(
        provider=row.kind.name,
        database=store.name,
        workers=row.workers,
        what=row.name,
        label=label,
        verdict=verdict,
    )
