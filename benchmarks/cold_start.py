"""CPU time of the shortest commands, from nothing: what a shell prompt waits for.

    python benchmarks/cold_start.py

The bar: `rushes --help` at most 0.25 s of CPU. Beside it: the interpreter alone, and a command that opens the database.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile

RUNS = 7
BAR_S = 0.25


def cpu_s(arguments: list[str], env: dict[str, str]) -> float:
    """User and system time of one run, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "RUSHES_HOME": home}
        commands = {
            "python -c pass": ["-c", "pass"],
            "rushes --help": ["-m", "rushes", "--help"],
            "rushes jobs list": ["-m", "rushes", "jobs", "list"],
        }
        cpu_s(commands["rushes jobs list"], env)  # makes the database, compiles the modules
        medians = {name: statistics.median(cpu_s(line, env) for _ in range(RUNS)) for name, line in commands.items()}
    floor = medians["python -c pass"]
    print(f"{'command':<20} {'CPU s':>7} {'x python':>9}")
    for name, value in medians.items():
        print(f"{name:<20} {value:>7.3f} {value / floor:>9.1f}")
    got = medians["rushes --help"]
    print(f"bar: rushes --help at most {BAR_S} s of CPU: {'met' if got <= BAR_S else 'MISSED'} with {got:.3f}")


if __name__ == "__main__":
    main()
