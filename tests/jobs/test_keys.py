"""Keys: made once, known by their digest, limited, ended; and whose jobs and money they stand for."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from workshop import SORA, Open, Workshop

from rushes.errors import Conflict, NotFound, OverBudget, RushesError, Unsupported
from rushes.jobs.admission import Order
from rushes.jobs.callers import Caller
from rushes.jobs.database import Database
from rushes.jobs.keys import Grant, Key, KeyNow, Keys, check_grant, check_name, digest_of
from rushes.jobs.tables import api_keys

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USD = Decimal
FULL = Grant(
    models=("sora-2", "openai:video:*"),
    budget_usd=USD("20"),
    budget_per_day_usd=USD("0.50"),
    unknown_price_hold_usd=USD("0.000001"),
    requests_per_minute=60,
    most_open_jobs=4,
    cache="use",
    admin=True,
)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def caller_with(keys: Keys, secret: str) -> Caller | None:
    """Who calls with a secret, as the gateway looks it up."""
    key = await keys.by_digest(digest_of(secret))
    return key.caller if key is not None else None


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    db.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(db: Database, clock: Clock) -> Keys:
    return Keys(db, now=clock)


async def the(keys: Keys) -> Key:
    """The only key that there is."""
    [found] = await keys.all()
    return found.key


# -- made and found ----------------------------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_secret_and_by_no_other(keys: Keys) -> None:
    first, second = await keys.create("first", Grant()), await keys.create("second", Grant())

    assert await caller_with(keys, first.secret) == first.key.caller
    assert await caller_with(keys, second.secret) == second.key.caller
    for wrong in (
        "",
        "rk_",
        first.secret[:-1],
        first.secret + "x",
        first.secret.lower(),
        first.key.digest,
        first.key.id,
    ):
        assert await caller_with(keys, wrong) is None


async def test_the_secret_is_long_random_and_kept_nowhere(keys: Keys, db: Database) -> None:
    made = [await keys.create(f"key {n}", Grant()) for n in range(3)]

    rows = await db.read(lambda connection: connection.execute(sa.select(api_keys)).all())

    secrets = {secret for _, secret in made}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"rk_[A-Za-z0-9_-]{43}", secret) for secret in secrets)
    assert not any(secret in str(row) or secret[3:] in str(row) for secret in secrets for row in rows)
    assert {row.secret_sha256 for row in rows} == {digest_of(secret) for secret in secrets}
    assert not any(secret in repr(key) or key.digest in repr(key) for key, secret in made)


async def test_all_that_a_key_grants_comes_back_from_the_database(keys: Keys) -> None:
    made = await keys.create("alice", FULL, owner="film team", expires_at=NOW + timedelta(days=90))

    assert await the(keys) == made.key
    assert (made.key.grant, made.key.owner, made.key.expires_at) == (FULL, "film team", NOW + timedelta(days=90))


async def test_who_calls_with_a_key_has_what_it_grants_and_never_this_machines_files(keys: Keys) -> None:
    made = await keys.create("alice", FULL, owner="film team")

    caller = await caller_with(keys, made.secret)

    assert caller is not None
    total, daily = caller.limits
    assert (total.usd, total.scope.owner, total.scope.daily) == (USD("20"), "film team", False)
    assert (daily.usd, daily.scope.owner, daily.scope.daily) == (USD("0.50"), "film team", True)
    assert "alice" in total.name and "alice" in daily.name
    assert caller == Caller(
        owner="film team",
        key_id=made.key.id,
        models=FULL.models,
        limits=(total, daily),
        unknown_price_hold_usd=FULL.unknown_price_hold_usd,
        most_open_jobs=4,
        cache="use",
        admin=True,
        reads_files=False,
    )


async def test_a_key_that_grants_nothing_special_owns_its_own_jobs_and_makes_each_video_anew(keys: Keys) -> None:
    made = await keys.create("alice", Grant())

    assert made.key.owner == made.key.id
    assert made.key.caller == Caller(owner=made.key.id, key_id=made.key.id, cache="off")


async def test_two_keys_of_one_owner_share_its_jobs(keys: Keys) -> None:
    old = await keys.create("alice 2026", Grant(), owner="alice")
    await keys.revoke(old.key.id)
    new = await keys.create("alice 2027", Grant(), owner="alice")

    assert new.key.caller.owner == old.key.caller.owner == "alice"
    assert new.key.caller.key_id != old.key.caller.key_id


# -- ended -------------------------------------------------------------------------------------------------------------


async def test_a_revoked_key_is_nobodys(keys: Keys) -> None:
    kept, ended = await keys.create("kept", Grant()), await keys.create("ended", Grant())

    revoked = await keys.revoke("ended")

    assert (revoked.id, revoked.revoked_at) == (ended.key.id, NOW)
    assert await caller_with(keys, ended.secret) is None
    assert await caller_with(keys, kept.secret) is not None
    assert {each.key.name: each.state for each in await keys.all()} == {"kept": "live", "ended": "revoked"}


async def test_revoking_twice_keeps_the_first_time(keys: Keys, clock: Clock) -> None:
    made = await keys.create("alice", Grant())
    await keys.revoke(made.key.id)
    clock.now += timedelta(hours=1)

    assert (await keys.revoke(made.key.id)).revoked_at == NOW
    assert (await the(keys)).revoked_at == NOW


async def test_a_key_ends_at_the_moment_that_it_expires(keys: Keys, clock: Clock) -> None:
    made = await keys.create("alice", Grant(), expires_at=NOW + timedelta(days=1))

    clock.now = NOW + timedelta(days=1) - timedelta(microseconds=1)
    assert await caller_with(keys, made.secret) is not None
    clock.now = NOW + timedelta(days=1)
    assert await caller_with(keys, made.secret) is None
    assert [each.state for each in await keys.all()] == ["expired"]


async def test_a_key_that_expired_before_it_was_made_is_refused(keys: Keys) -> None:
    with pytest.raises(Unsupported, match="later time"):
        await keys.create("alice", Grant(), expires_at=NOW)


async def test_keys_are_asked_for_until_a_person_revokes_the_last_one(keys: Keys, clock: Clock) -> None:
    assert not await keys.any()
    made = await keys.create("alice", Grant(), expires_at=NOW + timedelta(hours=1))
    assert await keys.any()

    clock.now += timedelta(hours=2)
    assert await keys.any()  # expired: time alone opens nothing

    await keys.revoke(made.key.id)
    assert not await keys.any()


async def test_nobody_can_be_revoked_who_is_not_there(keys: Keys) -> None:
    await keys.create("alice", Grant())

    with pytest.raises(NotFound, match="'bob'"):
        await keys.revoke("bob")


# -- names -------------------------------------------------------------------------------------------------------------


async def test_a_name_in_use_is_refused_and_free_again_when_its_key_has_ended(keys: Keys, clock: Clock) -> None:
    await keys.create("alice", Grant(), expires_at=NOW + timedelta(days=1))
    with pytest.raises(Conflict, match="'alice' in use"):
        await keys.create("alice", Grant())

    clock.now += timedelta(days=2)
    second = await keys.create("alice", Grant())
    await keys.revoke("alice")  # the one in use, not the expired one
    await keys.create("alice", Grant())

    assert {each.key.id: each.state for each in await keys.all()}[second.key.id] == "revoked"


async def test_of_many_who_make_a_key_of_one_name_at_once_one_does(database_url: str) -> None:
    made: list[str] = []

    async def make() -> None:
        db = await Database.open(database_url)
        try:
            made.append((await Keys(db).create("alice", Grant())).secret)
        except Conflict:
            pass
        finally:
            db.close()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(make)

    assert len(made) == 1


BAD_NAMES = ["", "x" * 81, "a\nb", "a\x00b", "a\x1b[31mb", "a\u200bb", "a\u202eb", " a", "a ", "\t", "\udc80"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_what_is_no_name_is_refused_for_keys_and_owners(keys: Keys, name: str) -> None:
    with pytest.raises(Unsupported):
        await keys.create(name, Grant())
    with pytest.raises(Unsupported):
        await keys.create("good", Grant(), owner=name)
    assert await keys.all() == []


@pytest.mark.parametrize("owner", ["o'brien", 'a"b', "a;DROP TABLE jobs", "100%", "日本", "*", "a\\b", "x" * 80])
async def test_owners_with_signs_that_mean_something_elsewhere_are_just_names(keys: Keys, owner: str) -> None:
    made = await keys.create(owner, Grant(budget_usd=USD(1)), owner=owner)

    caller = await caller_with(keys, made.secret)

    assert caller is not None
    assert caller.owner == owner
    [found] = await keys.all()
    assert found.budgets[0].totals.free_usd(found.budgets[0].limit) == 1


@given(text=st.text(max_size=90))
def test_every_name_that_passes_can_be_seen_and_stored(text: str) -> None:
    try:
        check_name("owner", text)
    except Unsupported:
        return
    assert 1 <= len(text) <= 80
    assert text.isprintable() and text == text.strip()
    assert text.encode("utf-8")


@pytest.mark.parametrize(
    "grant",
    [
        Grant(budget_usd=USD("-1")),
        Grant(budget_usd=USD("NaN")),
        Grant(budget_per_day_usd=USD("Infinity")),
        Grant(budget_usd=USD("1E+40")),
        Grant(budget_usd=USD("0.0000001")),
        Grant(requests_per_minute=0),
        Grant(most_open_jobs=-1),
        Grant(most_open_jobs=1 << 40),
        Grant(models=("",)),
        Grant(models=("a\nb",)),
        Grant(cache="always"),
    ],
)
def test_what_cannot_be_granted_is_refused(grant: Grant) -> None:
    with pytest.raises(Unsupported):
        check_grant(grant)


# -- last use ----------------------------------------------------------------------------------------------------------


async def test_uses_are_written_down_together_and_the_last_one_counts(keys: Keys, clock: Clock) -> None:
    one, two, never = [await keys.create(name, Grant()) for name in ("one", "two", "never")]
    keys.touch(one.key.id)
    keys.touch(two.key.id)
    clock.now += timedelta(seconds=30)
    keys.touch(one.key.id)
    assert {each.key.last_used_at for each in await keys.all()} == {None}  # nothing is written on the way of a request

    await keys.save_uses()

    used = {each.key.id: each.key.last_used_at for each in await keys.all()}
    assert used == {one.key.id: clock.now, two.key.id: NOW, never.key.id: None}


async def test_uses_that_could_not_be_written_are_written_later(keys: Keys, clock: Clock, db: Database) -> None:
    made = await keys.create("alice", Grant())
    keys.touch(made.key.id)
    await renamed(db, "api_keys", "elsewhere")
    with pytest.raises(RushesError):
        await keys.save_uses()
    await renamed(db, "elsewhere", "api_keys")
    assert (await the(keys)).last_used_at is None

    await keys.save_uses()

    assert (await the(keys)).last_used_at == NOW


async def test_what_is_noted_is_saved_when_the_gateway_stops(keys: Keys) -> None:
    made = await keys.create("alice", Grant())

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keys.keep_uses)
            await anyio.wait_all_tasks_blocked()
            keys.touch(made.key.id)
            tasks.cancel_scope.cancel()

    assert (await the(keys)).last_used_at == NOW


async def renamed(db: Database, table: str, name: str) -> None:
    """A database that does not answer a question: the table that it is about has another name for a while."""
    await db.write(lambda connection: connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}"))


# -- money -------------------------------------------------------------------------------------------------------------


def order(shop: Workshop, caller: Caller, prompt: str) -> Order:
    routes = (shop.prepared(prompt),)
    return Order(routes=routes, asked_model=str(SORA), owner=caller.owner, limits=caller.limits)


async def test_a_budget_holds_for_all_keys_of_an_owner_and_for_nobody_else(opened: Open) -> None:
    async with opened() as shop:
        keys = Keys(shop.db, now=shop.services.now)
        grant = Grant(budget_usd=USD("1"))  # two videos of $0.40
        one, other = await keys.create("one", grant, owner="team"), await keys.create("other", grant, owner="team")
        alone = await keys.create("alone", grant)
        for prompt, made in (("A cat", one), ("A dog", other), ("A cat", alone)):
            await shop.jobs.submit(order(shop, made.key.caller, prompt))

        with pytest.raises(OverBudget, match=r"key other's budget is \$1\.00: .* \$0\.20 free.* Ask whoever runs"):
            await shop.jobs.submit(order(shop, other.key.caller, "One too many"))

        left = {each.key.name: each.budgets[0].totals.free_usd(each.budgets[0].limit) for each in await keys.all()}
        assert left == {"one": USD("0.20"), "other": USD("0.20"), "alone": USD("0.60")}


async def test_a_budget_per_day_is_whole_again_on_the_next_day(opened: Open) -> None:
    async with opened() as shop:
        keys = Keys(shop.db, now=shop.services.now)
        made = await keys.create("alice", Grant(budget_usd=USD("1"), budget_per_day_usd=USD("0.50")))
        await shop.jobs.submit(order(shop, made.key.caller, "A cat"))
        with pytest.raises(OverBudget, match="key alice's budget per day"):
            await shop.jobs.submit(order(shop, made.key.caller, "A dog"))

        tomorrow = Keys(shop.db, now=lambda: shop.services.now() + timedelta(days=1))

        [total, daily] = (await the_now(tomorrow)).budgets
        assert (total.totals.free_usd(total.limit), daily.totals.free_usd(daily.limit)) == (USD("0.60"), USD("0.50"))


async def the_now(keys: Keys) -> KeyNow:
    [found] = await keys.all()
    return found
