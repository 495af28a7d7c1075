"""A process that admits jobs into the database of its folder, prints their ids, and works on none of them.

Its standard input is JSON: a model, a length, extra options, and a prompt for each job.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

import anyio

from rushes import config
from rushes.app import App
from rushes.planning import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    model: str
    size: str
    seconds: int
    extra: dict[str, Any]
    prompts: list[str]


async def admit(asked: Asked) -> list[str]:
    ids: list[str] = []
    async with App(config.load(), leave_worker=False) as app:
        for prompt in asked.prompts:
            wish = Wish(
                prompt=prompt,
                model=asked.model,
                size=asked.size,
                seconds=asked.seconds,
                extra=asked.extra,
                thumbnail=False,
                spritesheet=False,
            )
            ids += [admission.job_id for admission in await app.submit(await app.plan(wish))]
    return ids


if __name__ == "__main__":
    sys.stdout.write("\n".join(anyio.run(admit, Asked(**json.load(sys.stdin)))) + "\n")
