"""Look at an animatic: `python -m rushes.media.animatic "a prompt" out.mp4 --size 1280x720 --seconds 4 --seed 7`."""

import argparse
import sys
import time
from pathlib import Path

from rushes.media.animatic import Board, Card, read_prompt, render_animatic


def main() -> None:
    """Render one board, say what was understood and how long it took."""
    parser = argparse.ArgumentParser(prog="python -m rushes.media.animatic", description="Render one animatic.")
    parser.add_argument("prompt")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT, even numbers")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--negative", help="words to leave out")
    parser.add_argument("--first", type=Path, help="picture to start from")
    parser.add_argument("--last", type=Path, help="picture to end on")
    parser.add_argument("--silent", action="store_true", help="no sound track")
    parser.add_argument("--card", metavar="MODEL", help="burn in the slate, naming this model")
    given = parser.parse_args()
    width, _, height = given.size.partition("x")
    board = Board(
        prompt=given.prompt,
        width=int(width),
        height=int(height),
        seconds=given.seconds,
        seed=given.seed,
        audio=not given.silent,
        negative_prompt=given.negative,
        first_frame=given.first,
        last_frame=given.last,
        card=Card(model=given.card) if given.card else None,
    )
    sys.stderr.write(f"{read_prompt(board.prompt, board.negative_prompt)}\n")
    wall, cpu = time.perf_counter(), time.process_time()
    render_animatic(board, given.out)
    spent = time.perf_counter() - wall
    sys.stderr.write(f"{given.out}: {spent:.2f} s wall, {time.process_time() - cpu:.2f} s CPU\n")


if __name__ == "__main__":
    main()
