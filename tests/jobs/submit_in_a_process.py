"""A process that submits jobs when a file appears, and prints how many were admitted.

Arguments: settings as JSON, signal file, how many, the name of the prompts. A line says when it is ready.
"""

import sys
from pathlib import Path

import anyio

from rushes import config
from rushes.app import App
from rushes.errors import OverBudget
from rushes.planning import Wish

SIGNAL_WITHIN_S = 60.0


async def main(settings: Path, signal: Path, count: int, name: str) -> None:
    admitted = 0
    async with App(config.from_json(settings.read_text(encoding="utf-8")), leave_worker=False) as app:
        plans = [await app.plan(Wish(prompt=f"{name} {n}", seconds=4)) for n in range(count)]
        print("ready", flush=True)
        with anyio.fail_after(SIGNAL_WITHIN_S):
            while not signal.exists():
                await anyio.sleep(0.001)
        for plan in plans:
            try:
                await app.submit(plan)
                admitted += 1
            except OverBudget:
                pass
    print(admitted, flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
