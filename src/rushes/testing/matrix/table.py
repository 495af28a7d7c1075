"""The matrix in print: one line for each group of rows, and what is wrong below it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rushes.testing.matrix.audit import Verdict, totals

HEAD = (
    "provider", "database", "workers", "what happens", "rows", "jobs", "kills", "asked", "needed", "charged",
    "lost", "twice", "reported", "billed", "unpriced", "s", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One finished row, with the names that it is grouped by."""

    provider: str
    database: str
    workers: int
    what: str
    label: str
    verdict: Verdict


def grouped(lines: Sequence[Line]) -> list[tuple[Line, list[Line]]]:
    """Lines that share their names, in the order of their first."""
    groups: dict[tuple[str, str, int, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.database, line.provider, line.workers, line.what), []).append(line)
    return [(members[0], members) for members in groups.values()]


def in_brief(lines: Sequence[Line]) -> list[Line]:
    """The same lines with all ways to fail at one operation under one name, so that they become one in print."""
    return [replace(line, what=_chapter(line.what)) for line in lines]


def _chapter(what: str) -> str:
    operation, colon, _ = what.partition(": ")
    return f"every fault on {operation}" if colon else what


def cells(first: Line, members: Sequence[Line]) -> tuple[str, ...]:
    whole = totals([member.verdict for member in members])
    return (
        first.provider,
        first.database,
        str(first.workers),
        first.what,
        str(len(members)),
        str(whole.jobs),
        str(whole.kills),
        str(whole.parked),
        str(whole.needed),
        str(whole.charged),
        str(whole.lost),
        str(whole.twice),
        f"{whole.reported_usd:.2f}",
        f"{whole.charged_usd:.2f}",
        str(whole.unpriced),
        f"{whole.seconds:.0f}",
        "ok" if whole.good else "WRONG",
    )


def printed(lines: Sequence[Line]) -> str:
    """The whole table, its sum, and every fault found, each under the row's own label."""
    rows = [HEAD, *(cells(first, members) for first, members in grouped(lines))]
    if lines:
        everything = Line(provider="all", database="", workers=0, what="", label="", verdict=lines[0].verdict)
        rows.append(cells(everything, lines))
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    text = [
        "  ".join(_aligned(cell, width, n) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    found = [
        f"  {words}" if n else f"{line.label}\n  {words}"
        for line in lines
        for n, words in enumerate(line.verdict.wrong)
    ]
    return "\n".join([*(line.rstrip() for line in text), *(["", *found] if found else [])])


def _aligned(cell: str, width: int, n: int) -> str:
    return cell.ljust(width) if n in (0, 1, 3) else cell.rjust(width)
