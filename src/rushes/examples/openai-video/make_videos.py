"""Two shots side by side and a remix of the first, with the price before and the files after.

    python make_videos.py --draft     offline, without a key, for nothing
    python make_videos.py             on the server of OPENAI_BASE_URL; it asks before it spends

Run it again, also after a crash in mid-job: what was made already is neither made nor paid for again.
"""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import rushes

SHOTS = {
    "harbour.mp4": "A fishing harbour at dawn, wide shot, mist over the water, slow pan to the left",
    "gulls.mp4": "Gulls rise from a wet quay, low angle, the camera tilts up after them",
}
REMIX = ("harbour-in-rain.mp4", "The same harbour in heavy rain, at night, lamps reflected on the water")
LIMIT_USD = Decimal(2)


async def main(draft: bool) -> None:
    model, size, seconds = ("draft", "640x360", 2) if draft else ("openai:video:sora-2", "1280x720", 4)
    shots = {
        name: rushes.Wish(prompt=prompt, model=model, seconds=seconds, size=size, max_cost_usd=LIMIT_USD)
        for name, prompt in SHOTS.items()
    }
    async with rushes.App() as app:
        harbour, _ = await make(app, shots)
        name, prompt = REMIX
        # An animatic cannot be remixed: it is drawn from its words alone. And each remix is a new one, paid for anew.
        if not draft and not Path(name).exists():
            remix = rushes.Wish(prompt=prompt, model=model, remix=harbour.id, max_cost_usd=LIMIT_USD)
            await make(app, {name: remix})


async def make(app: rushes.App, wishes: dict[str, rushes.Wish]) -> list[rushes.Video]:
    """Ask, then make all of them at once. Until the answer nothing has been sent."""
    plans = [await app.plan(wish) for wish in wishes.values()]
    agree([await app.price(plan) for plan in plans])
    jobs = [(await app.submit(plan))[0] for plan in plans]
    app.work()
    videos: list[rushes.Video] = []
    for name, job in zip(wishes, jobs, strict=True):
        [video] = await app.jobs.wait(job.job_id)
        video.save(name)
        print(f"{name}: {video.size}, {video.seconds:.1f} s, {'cached' if video.cached else f'${video.cost_usd}'}")
        videos.append(video)
    return videos


def agree(prices: list[Decimal | None]) -> None:
    """Go on if it costs nothing, or if the person at the terminal says so."""
    total = sum((price for price in prices if price is not None), Decimal(0))
    if None in prices or total > LIMIT_USD:
        sys.exit(f"This may cost ${total} or more; LIMIT_USD is ${LIMIT_USD}.")
    if total and input(f"This costs ${total}. Go on? [y/N] ").lower() != "y":
        sys.exit("Nothing was sent.")


if __name__ == "__main__":
    asyncio.run(main(draft="--draft" in sys.argv))
