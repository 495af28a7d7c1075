"""`python -m rushes.testing.matrix`: run the matrix and print its table. Ends with 1 if anything is wrong."""

import argparse
import sys
from contextlib import ExitStack
from random import Random

from rushes.testing.matrix.rows import Row, long_rows, short_rows
from rushes.testing.matrix.run import run
from rushes.testing.matrix.stores import PostgresStore, SqliteStore, Store
from rushes.testing.matrix.table import Line, in_brief, printed
from rushes.testing.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")


def main() -> None:
    chosen = _arguments()
    seed = Random().randrange(1 << 32) if chosen.seed is None else chosen.seed
    say(f"seed {seed}")
    with ExitStack() as stack:
        stores: list[Store] = []
        if "sqlite" in chosen.database:
            stores.append(SqliteStore())
        if "postgresql" in chosen.database:
            stores.append(PostgresStore(stack.enter_context(PostgresServer(max_connections="400", fsync="off"))))
        rows = [(row, store) for store in stores for row in _rows(chosen, store, seed)]
        Random(seed).shuffle(rows)  # so that a run that ends early has seen something of everything
        lines = run(rows, seed=seed, at_once=chosen.at_once, minutes=chosen.minutes, tell=_tell)
    lines.sort(key=lambda line: (line.database, line.provider, line.workers, line.what))
    say("\n" + printed(in_brief(lines) if chosen.brief else lines))
    say(f"\nseed {seed}: {len(lines)} of {len(rows)} rows were run")
    sys.exit(any(not line.verdict.good for line in lines))


def _rows(chosen: argparse.Namespace, store: Store, seed: int) -> list[Row]:
    server = isinstance(store, PostgresStore)
    if chosen.short:
        rows = short_rows(Random(seed), server=server)
    else:
        rows = [
            row
            for workers in chosen.workers
            for row in long_rows(workers=workers, kills=chosen.kills, many=server and workers > 1)
        ]
    wanted = chosen.only or [""]
    return [row for row in rows if any(words in f"{store.name} | {row.name} | {row.label}" for words in wanted)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rushes.testing.matrix", description=main.__doc__)
    parser.add_argument("--seed", type=int, help="replays a run; default: a new one, which is printed")
    parser.add_argument("--minutes", type=float, help="begin no row after so long")
    parser.add_argument("--short", action="store_true", help="the rows of the test suite")
    parser.add_argument("--brief", action="store_true", help="one line for all faults on one operation")
    parser.add_argument("--only", action="append", help="rows whose label contains this; repeatable")
    parser.add_argument("--workers", type=int, action="append", help="how many; repeatable; default: 1 and 3")
    parser.add_argument("--kills", type=int, default=60, help="in each row of random deaths")
    parser.add_argument("--at-once", type=int, default=4, help="rows beside each other")
    parser.add_argument("--database", action="append", choices=DATABASES, help="repeatable; default: both")
    chosen = parser.parse_args()
    chosen.workers = chosen.workers or [1, 3]
    chosen.database = chosen.database or DATABASES
    return chosen


def _tell(line: Line) -> None:
    verdict = line.verdict
    say(f"{'ok   ' if verdict.good else 'WRONG'} {verdict.seconds:5.0f} s  {line.label}")
    for words in verdict.wrong:
        say(f"        {words}")


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
