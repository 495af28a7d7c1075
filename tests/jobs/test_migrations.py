"""From one release's tables to the next, on both databases: the same tables by either way, and no row lost."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from anatomy import anatomy, driven, rows_of

from rushes.errors import ConfigError, NewerDatabase
from rushes.jobs import migrations, store, tables
from rushes.jobs.database import Database, Upgrade
from rushes.jobs.ledger import JobState

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOLDS = {"held": (800_000, None), "settled": (800_000, 950_000), "released": (800_000, 0), "unknown": (None, None)}
STATE_OF_HOLD = {"unknown": "held"}


@pytest.fixture
def empty(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    """An empty database of the kind that the test runs on."""
    if database_url.startswith("postgresql"):
        return request.getfixturevalue("empty_postgres_url")
    return f"sqlite:///{tmp_path / 'empty.db'}"


def migrated(url: str, revision: str, work: Callable[[sa.Connection], None] = lambda connection: None) -> str:
    """The database, brought from nothing to a revision, with the rows that `work` writes."""
    engine = sa.create_engine(driven(url))
    with engine.begin() as connection:
        migrations.upgrade(connection, revision)
        work(connection)
    engine.dispose()
    return url


def stamp(url: str, version: str) -> None:
    engine = sa.create_engine(driven(url))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    engine.dispose()


def job_of_0001(number: int, state: JobState) -> dict[str, Any]:
    job_id = f"video_{number:032x}"
    is_open = state in (JobState.QUEUED, JobState.SUBMITTING, JobState.IN_PROGRESS)
    return {
        "id": job_id,
        "owner": f"owner {number % 2}",
        "state": state.value,
        "model": ("openai:video:sora-2", "azure:video:my-own", "fal:video:maker/model:2")[number % 3],
        "asked_model": "sora-2",
        "prompt": f"Cat {number}: 猫 🐈",
        "fingerprint": f"{number:064x}",
        "flight": f"{number:064x}" if is_open else None,
        "slot": 0,
        "priority": number,
        "created_at": NOON + number,
        "deadline": NOON + 48 * 3_600_000_000,
        "prepared_json": "{}",
        "route": 0,
        "options_json": "{}",
        "estimate_usd": 800_000,
        "percent": 12.5,
        "cancel_requested": number % 2 == 0,
    }


def fill_0001(connection: sa.Connection) -> None:
    """A job in every state with a hold in every state, in flight or not, each with an attempt and an event."""
    old = sa.MetaData()
    old.reflect(connection)
    for number, (state, hold) in enumerate(itertools.product(JobState, HOLDS)):
        job = job_of_0001(number, state)
        connection.execute(old.tables["jobs"].insert(), job)
        attempt = {"job_id": job["id"], "n": 1, "provider": "openai", "account": "a", "model": job["model"]}
        facts = {"state": "created", "key": f"key {number}", "request_hash": "h", "intent_at": NOON, "repaid": False}
        connection.execute(old.tables["attempts"].insert(), {**attempt, **facts, "remote_id": f"remote {number}"})
        held, settled = HOLDS[hold]
        amounts = {"held_usd": held, "settled_usd": settled, "state": STATE_OF_HOLD.get(hold, hold), "at": NOON}
        connection.execute(old.tables["holds"].insert(), {"job_id": job["id"], **amounts})
        event = {"job_id": job["id"], "ts": NOON, "kind": "queued", "json": "{}"}
        connection.execute(old.tables["events"].insert(), event)


# -- two ways to the same tables -------------------------------------------------------------------


async def test_a_fresh_database_equals_one_that_was_migrated_from_nothing(database_url: str, empty: str) -> None:
    (await Database.open(database_url)).close()
    migrated(empty, "head")

    fresh, by_steps = anatomy(database_url), anatomy(empty)

    for part in fresh.keys() | by_steps.keys():
        assert fresh.get(part) == by_steps.get(part), part


def test_one_open_job_of_a_kind_is_the_databases_own_rule(empty: str) -> None:
    indexes = cast(dict[str, str], anatomy(migrated(empty, "head"))["indexes"])

    rule = indexes["uq_jobs_in_flight"]
    assert "UNIQUE" in rule
    assert all(state in rule.partition("WHERE")[2] for state in ("queued", "needs_attention"))


def test_the_newest_migration_is_the_one_that_a_fresh_database_is_stamped_with() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)

    assert script.get_heads() == [tables.HEAD]
    assert [revision.revision for revision in script.walk_revisions()][::-1] == list(tables.KNOWN_VERSIONS)


# -- rows ------------------------------------------------------------------------------------------


async def test_every_row_of_0001_is_there_after_the_upgrade(empty: str) -> None:
    migrated(empty, "0001", fill_0001)
    before = {table: rows_of(empty, table) for table in ("jobs", "attempts", "events")}

    done = await Database.upgrade(empty)

    assert done == Upgrade("0001", tables.HEAD)
    for table, rows in before.items():
        after = rows_of(empty, table)
        assert [{name: row[name] for name in rows[0]} for row in after] == rows, table
    jobs = rows_of(empty, "jobs")
    assert [job["provider"] for job in jobs] == [job["model"].partition(":")[0] for job in jobs]
    assert {job["worker"] for job in jobs} == {job["not_before"] for job in jobs} == {None}


async def test_holds_of_0001_say_the_same_after_the_upgrade(empty: str) -> None:
    migrated(empty, "0001", fill_0001)

    await Database.upgrade(empty)

    after = {row["job_id"]: row for row in rows_of(empty, "holds")}
    assert len(after) == len(JobState) * len(HOLDS)
    for number, (state, hold) in enumerate(itertools.product(JobState, HOLDS)):
        job = job_of_0001(number, state)
        row = after[job["id"]]
        amounts = {
            "held": (800_000, 0, 0, False),
            "settled": (0, 950_000, 150_000, False),
            "released": (0, 0, 0, False),
            "unknown": (0, 0, 0, True),
        }
        assert (row["held_usd"], row["settled_usd"], row["overrun_usd"], bool(row["unknown"])) == amounts[hold], hold
        assert (row["owner"], row["provider"]) == (job["owner"], job["model"].partition(":")[0])
        assert (row["day"], row["run"], row["at"]) == ("2026-11-20", None, NOON)


async def test_the_jobs_of_0001_can_be_read_and_changed_after_the_upgrade(empty: str) -> None:
    migrated(empty, "0001", fill_0001)
    await Database.upgrade(empty)

    db = await Database.open(empty)
    found = await db.read(lambda connection: store.jobs_matching(connection, store.Filter(limit=1000)))
    await db.write(lambda connection: [store.save_job(connection, job) for job in found])
    await db.write(
        lambda connection: store.insert_event(connection, found[0].id, "noted", datetime(2026, 11, 21, tzinfo=UTC))
    )
    events = await db.read(lambda connection: store.events_after(connection, 0))
    db.close()

    assert len(found) == len(JobState) * len(HOLDS)
    assert [event.id for event in events] == list(range(1, len(found) + 2)), "ids go on where they were"


# -- who upgrades ----------------------------------------------------------------------------------


async def test_upgrading_again_does_nothing(empty: str) -> None:
    migrated(empty, "0001")

    versions = [await Database.version(empty)]
    first = await Database.upgrade(empty)
    second = await Database.upgrade(empty)
    versions.append(await Database.version(empty))

    assert versions == ["0001", tables.HEAD]
    assert (first, second) == (Upgrade("0001", tables.HEAD), Upgrade(tables.HEAD, tables.HEAD))


async def test_asking_for_the_version_makes_no_tables(empty: str) -> None:
    assert await Database.version(empty) is None
    assert await Database.version(empty) is None
    assert await Database.upgrade(empty) == Upgrade(None, tables.HEAD)


async def test_older_tables_are_migrated_in_a_file_and_left_to_a_person_on_a_server(empty: str) -> None:
    migrated(empty, "0001")

    if empty.startswith("sqlite"):
        (await Database.open(empty)).close()
        assert await Database.version(empty) == tables.HEAD
    else:
        with pytest.raises(ConfigError, match=r"earlier release \(0001; .* run: rushes db upgrade"):
            await Database.open(empty)
        assert await Database.version(empty) == "0001"


async def test_a_database_of_a_later_release_is_refused_and_left_alone(database_url: str) -> None:
    (await Database.open(database_url)).close()
    stamp(database_url, "9999")

    for opens in (Database.open, Database.upgrade):
        with pytest.raises(NewerDatabase, match=r"later rushes .* 9999"):
            await opens(database_url)

    assert await Database.version(database_url) == "9999"


async def test_tables_of_our_names_that_are_not_ours_are_left_alone(empty: str) -> None:
    engine = sa.create_engine(driven(empty))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE jobs (id INTEGER PRIMARY KEY, title TEXT)"))
    engine.dispose()
    before = anatomy(empty)

    with pytest.raises(ConfigError, match="another program"):
        await Database.open(empty)

    assert anatomy(empty) == before
