"""One prompt in two shapes, two variants of each in one job, on an Azure deployment of one's own.

    python make_videos.py --draft     offline, without a key, for nothing
    python make_videos.py             on the deployment `city-films` of rushes.toml; it asks before it spends

Run it again, also after a crash in mid-job: what was made already is neither made nor paid for again.
"""

import asyncio
import sys
from decimal import Decimal

import rushes

PROMPT = "A tram crosses a square in the first light, long shadows, the camera dollies along with it"
SIZES = {"wide": "854x480", "square": "480x480"}
LIMIT_USD = Decimal(1)


async def main(draft: bool) -> None:
    # The jobs API makes up to four variants below 720p at one go: one job, several videos. A draft is one video.
    model, extra = ("draft", {}) if draft else ("azure:video:city-films", {"n_variants": 2})
    async with rushes.App() as app:
        plans = [
            await app.plan(rushes.Wish(prompt=PROMPT, model=model, seconds=2, size=size, extra=dict(extra)))
            for size in SIZES.values()
        ]
        agree([await app.price(plan) for plan in plans])  # until the answer nothing has been sent
        jobs = [(await app.submit(plan))[0] for plan in plans]
        app.work()
        for name, job in zip(SIZES, jobs, strict=True):
            videos = await app.jobs.wait(job.job_id)
            for number, video in enumerate(videos, start=1):
                video.save(f"tram-{name}-{number}.mp4")
            # What was paid belongs to the job, so each of its videos tells the same sum.
            cost = "cached" if videos[0].cached else f"${videos[0].cost_usd} in all"
            print(f"tram-{name}: {len(videos)} of {videos[0].size}, {videos[0].seconds:.1f} s, {cost}")


def agree(prices: list[Decimal | None]) -> None:
    """Go on if it costs nothing, or if the person at the terminal says so."""
    total = sum((price for price in prices if price is not None), Decimal(0))
    if None in prices or total > LIMIT_USD:
        sys.exit(f"This may cost ${total} or more; LIMIT_USD is ${LIMIT_USD}.")
    if total and input(f"This costs ${total}. Go on? [y/N] ").lower() != "y":
        sys.exit("Nothing was sent.")


if __name__ == "__main__":
    asyncio.run(main(draft="--draft" in sys.argv))
