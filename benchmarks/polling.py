"""How soon the end of a job is known, and how many looks that takes: `next_look_s` beside fixed loops, simulated.

    python benchmarks/polling.py [--jobs 200]

The durations are drawn from shapes; there are no recordings. The medians of four of them were measured for 5 s clips
on fal (2026-09-09: Kling 3 turbo pro 61 s, LTX-2.5 fast 75 s, Seedance 2.0 mini 117 s, H3 Max 2.8 s); how far single
jobs lie from the median was not, so it is assumed, and stands in the name. The aim: the median delay from the end to
its being known at most 0.5 s, with fewer looks than a fixed loop of 10 s needs for a job of three minutes.
"""

import argparse
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

from rushes.jobs.polling import Pace, next_look_s

Draw = Callable[[random.Random], float]
Percent = Callable[[float], float | None]

AIM_DELAY_S = 0.5
AIM_LOOKS = 18.0


def normal(middle_s: float, deviation_s: float) -> Draw:
    return lambda chance: max(middle_s / 3, chance.gauss(middle_s, deviation_s))


def log_normal(median_s: float, deviation: float) -> Draw:
    return lambda chance: median_s * math.exp(chance.gauss(0.0, deviation))


def queued(chance: random.Random) -> float:
    """Three in ten wait in a queue first."""
    return chance.gauss(100.0, 10.0) + (chance.expovariate(1 / 120) if chance.random() < 0.3 else 0.0)


def heavy_tail(chance: random.Random) -> float:
    return 40.0 * chance.paretovariate(1.5)


SHAPES: dict[str, Draw] = {
    "180 s, even (3 %)": normal(180, 5),
    "180 s, uneven (10 %)": normal(180, 18),
    "180 s, very uneven (22 %)": normal(180, 40),
    "H3 Max 2.8 s, log-normal 20 %": log_normal(2.8, 0.2),
    "Kling 61 s, log-normal 10 %": log_normal(61, 0.1),
    "LTX 75 s, log-normal 50 %": log_normal(75, 0.5),
    "Seedance 117 s, log-normal 25 %": log_normal(117, 0.25),
    "100 s, some queue 120 s first": queued,
    "from 40 s, heavy tail": heavy_tail,
}
PERCENTAGES: dict[str, Percent] = {"none": lambda share: None, "whole": lambda share: float(int(share * 100))}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of many jobs of one shape."""

    looks: float  # mean for each job
    median_s: float  # from the end of a job to its being known
    mean_s: float
    p95_s: float


def followed(duration_s: float, start: Pace, percent: Percent) -> tuple[int, float]:
    """How many looks one job takes until its end is seen, and how long after it that is."""
    pace = start
    while True:
        now = pace.elapsed_s + next_look_s(pace)
        if now >= duration_s:
            return pace.looks + 1, now - duration_s
        said = percent(now / duration_s)
        since = pace.percent_at_s if said == pace.percent else now
        pace = replace(pace, elapsed_s=now, looks=pace.looks + 1, percent=said, percent_at_s=since)


def outcome(draw: Draw, jobs: int, *, history: int = 0, fixed_s: float | None = None, percent: str = "none") -> Outcome:
    """Each job has a history of its own, drawn anew: no luck with one of them."""
    chance = random.Random(20261120)
    runs: list[tuple[int, float]] = []
    for _ in range(jobs):
        duration_s = draw(chance)
        earlier = [draw(chance) for _ in range(history)]
        # A fixed loop begins anywhere between two of its looks; ours begins with the job.
        begun_s = chance.uniform(0, fixed_s) if fixed_s else 0.0
        start = Pace(elapsed_s=-begun_s if fixed_s else 0.0, history_s=earlier, fixed_s=fixed_s)
        runs.append(followed(duration_s, start, PERCENTAGES[percent]))
    delays = sorted(delay for _, delay in runs)
    return Outcome(mean(n for n, _ in runs), median(delays), mean(delays), delays[int(0.95 * (len(delays) - 1))])


def shown(cells: Sequence[object]) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=200, help="of each shape")
    jobs: int = parser.parse_args().jobs
    shown(["durations", "rule", "past jobs", "percentage", "looks a job", "median s", "mean s", "p95 s", "aim"])
    shown(["---"] * 9)
    reached = tried = 0
    for name, draw in SHAPES.items():
        rows = [(f"each {fixed:g} s", "-", "-", outcome(draw, jobs, fixed_s=fixed)) for fixed in (1.0, 10.0)]
        for percent in PERCENTAGES:
            for history in (0, 4, 30):
                got = outcome(draw, jobs, history=history, percent=percent)
                rows.append(("ours", str(history), percent, got))
        for rule, history, percent, got in rows:
            met = got.median_s <= AIM_DELAY_S and got.looks < AIM_LOOKS
            if rule == "ours" and history == "30":
                tried, reached = tried + 1, reached + met
            numbers = [f"{got.looks:.1f}", f"{got.median_s:.2f}", f"{got.mean_s:.2f}", f"{got.p95_s:.2f}"]
            shown([name, rule, history, percent, *numbers, "yes" if met else "no"])
    print(f"aim: median at most {AIM_DELAY_S:g} s with fewer than {AIM_LOOKS:g} looks, with 30 past jobs:", end=" ")
    print(f"reached for {reached} of {tried} shapes" + ("" if reached == tried else ", so MISSED for the others"))


if __name__ == "__main__":
    main()
