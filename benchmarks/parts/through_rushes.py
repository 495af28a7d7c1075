"""Make some videos at once through the public App, in one process that submits, works and waits.

python benchmarks/parts/through_rushes.py JOBS [--bare]
"""

import argparse

import anyio

from rushes import App, Wish


async def make(jobs: int, bare: bool) -> None:
    async with App(leave_worker=False) as app:

        async def one(n: int) -> None:
            pictures = {"thumbnail": not bare, "spritesheet": not bare}
            await app.generate(Wish(prompt=f"tree {n}", model="openai:video:sora-2", seconds=4, **pictures))

        async with anyio.create_task_group() as tasks:
            for n in range(jobs):
                tasks.start_soon(one, n)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", type=int)
    parser.add_argument("--bare", action="store_true", help="no thumbnails and spritesheets")
    chosen = parser.parse_args()
    anyio.run(make, chosen.jobs, chosen.bare)
