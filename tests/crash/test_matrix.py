"""A short seed of the fault matrix: each row is real processes, real kills, and two sets of books that must agree.

`make crash` runs all of it. A row that fails here is run alone with
`python -m rushes.testing.matrix --short --seed 4 --only 'PART OF ITS LABEL'`.
"""

from random import Random

import pytest

from rushes.testing.matrix.rows import Row, short_rows
from rushes.testing.matrix.run import run
from rushes.testing.matrix.stores import PostgresStore, SqliteStore
from rushes.testing.matrix.table import Line, printed
from rushes.testing.postgres import PostgresServer

SEED = 4
ON_A_FILE = short_rows(Random(SEED), server=False)
ON_A_SERVER = short_rows(Random(SEED), server=True)


def named(row: Row) -> str:
    return f"{row.name}, {row.label}"


@pytest.fixture(scope="module")
def lines() -> dict[str, Line]:
    """Every row, run a few at a time: they mostly wait."""
    # A server of its own: workers that are killed and started anew have connections by the dozen.
    with PostgresServer(max_connections="400", fsync="off") as postgres:
        file, server = SqliteStore(), PostgresStore(postgres)
        # The longest first, so that nothing is left to wait for in the end.
        rows = [*((row, server) for row in reversed(ON_A_SERVER)), *((row, file) for row in reversed(ON_A_FILE))]
        ran = run(rows, seed=SEED, at_once=6)
    print(printed(ran))
    return {f"{line.database}, {line.what}, {line.label.partition(' | ')[2]}": line for line in ran}


@pytest.mark.slow
@pytest.mark.parametrize("row", ON_A_FILE, ids=named)
def test_on_a_file_no_job_is_lost_and_none_is_paid_twice(row: Row, lines: dict[str, Line]) -> None:
    verdict = lines[f"SQLite, {named(row)}"].verdict

    assert verdict.wrong == []
    assert (verdict.lost, verdict.twice) == (0, 0)
    assert verdict.charged == verdict.needed
    assert verdict.reported_usd == verdict.charged_usd


@pytest.mark.slow
@pytest.mark.parametrize("row", ON_A_SERVER, ids=named)
def test_nor_on_a_server(row: Row, lines: dict[str, Line]) -> None:
    verdict = lines[f"PostgreSQL, {named(row)}"].verdict

    assert verdict.wrong == []
    assert (verdict.lost, verdict.twice) == (0, 0)
    assert verdict.charged == verdict.needed
    assert verdict.reported_usd == verdict.charged_usd
