"""The outbox: each message arrives, once if all goes well, again if there is doubt, and nobody waits for the dead."""

import json
import logging
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread
import pytest
from mail import cancelled, completed, completed_at_once, delivering, failed, loopback, post_office, told, until
from workshop import Clock, Crash, Open, Workshop, crashing_at, settings_for

from rushes.app import App
from rushes.config import NetworkSettings, Settings
from rushes.jobs.database import Database
from rushes.jobs.outbox import (
    AT_ONCE_TO_ONE,
    GIVE_UP_AFTER,
    GRACE_S,
    LEASE,
    LONGEST_PAUSE_S,
    Outbox,
    after_try,
    pause_s,
)
from rushes.jobs.webhook_store import Delivery, DeliveryState
from rushes.jobs.webhooks import Tried
from rushes.jobs.worker import Worker
from rushes.planning import Wish
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.server import Answer
from tests.command_line import CommandLine
from tests.receiver import Receiver, unwrapped

anyio_test = pytest.mark.anyio

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
OK, DOWN, NOBODY = Tried(http_status=204), Tried(http_status=503, error="The receiver answered 503."), Tried(error="-")


def pending(*, tries: int = 1, created_at: datetime = AT) -> Delivery:
    return Delivery(
        id="wh_1",
        webhook_id="we_1",
        event_id=1,
        job_id="video_1",
        kind="video.completed",
        body="{}",
        state=DeliveryState.PENDING,
        tries=tries,
        created_at=created_at,
        next_at=AT,
    )


# -- what comes after a try ------------------------------------------------------------------------


def test_pauses_double_from_five_seconds_to_four_hours() -> None:
    assert [pause_s(tries, 0.0) for tries in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert pause_s(1000, 0.0) == LONGEST_PAUSE_S
    assert pause_s(1, 1.0) == 2.5


@pytest.mark.parametrize("tried", [DOWN, NOBODY, Tried(http_status=302), Tried(http_status=404)])
def test_whatever_is_not_a_success_is_tried_again(tried: Tried) -> None:
    after = after_try(pending(tries=3), tried, AT, 0.0)

    assert (after.state, after.next_at) == (DeliveryState.PENDING, AT + timedelta(seconds=20))
    assert (after.http_status, after.error) == (tried.http_status, tried.error)


def test_a_success_ends_it() -> None:
    after = after_try(pending(), OK, AT, 0.0)

    assert (after.state, after.next_at, after.ended_at) == (DeliveryState.DELIVERED, None, AT)


def test_it_is_tried_until_three_days_are_over_and_then_given_up() -> None:
    delivery, now, last, tries = pending(tries=0), AT, AT, 0
    while delivery.state is DeliveryState.PENDING and tries < 1000:
        tries += 1
        delivery = after_try(pending(tries=tries), DOWN, now, 0.5)
        last, now = now, delivery.next_at or now

    assert delivery.state is DeliveryState.FAILED
    assert last == AT + GIVE_UP_AFTER
    assert 20 < tries < 60


def test_who_says_that_it_is_gone_is_not_tried_again() -> None:
    assert after_try(pending(), Tried(http_status=410), AT, 0.0).state is DeliveryState.FAILED


# -- what is told, and to whom ---------------------------------------------------------------------


@anyio_test
@pytest.mark.both_databases
async def test_a_finished_video_is_told_once_and_the_sdk_reads_it(opened: Open) -> None:
    with Receiver() as receiver:
        async with opened() as shop, post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="local")
            async with delivering(shop):
                job_id = await shop.made()
                [delivery] = await told(shop, webhooks, endpoint.id, 1)

    [received] = receiver.requests
    event = unwrapped(received, endpoint.secret)
    assert event.type == "video.completed"
    assert json.loads(received.body)["data"] == {"id": job_id}
    assert received.headers["webhook-id"] == delivery.id
    assert (delivery.state, delivery.tries, delivery.http_status) == (DeliveryState.DELIVERED, 1, 200)


@anyio_test
@pytest.mark.both_databases
async def test_each_is_told_of_the_jobs_and_events_that_it_wants(opened: Open) -> None:
    with Receiver() as anns, Receiver() as all_failures:
        async with opened() as shop, post_office(shop) as webhooks:
            before = await completed(shop, "before anybody listens", owner="ann")
            first = await webhooks.add(anns.hook, owner="ann")
            between = await failed(shop, "before the other listens", owner="bob")
            second = await webhooks.add(all_failures.hook, owner="*", events=["video.failed"])
            good = await completed(shop, "good", owner="ann")
            bad = await failed(shop, "bad", owner="ann")
            bobs = await cancelled(shop, "bobs", owner="bob")
            async with delivering(shop):
                await told(shop, webhooks, first.id, 2)
                await told(shop, webhooks, second.id, 2)

    assert sorted(read(anns)) == sorted([(good, "video.completed"), (bad, "video.failed")])
    assert sorted(read(all_failures)) == sorted([(bad, "video.failed"), (bobs, "video.failed")])
    assert len({before, between, good, bad, bobs}) == 5


def read(receiver: Receiver) -> list[tuple[str, str]]:
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [(body["data"]["id"], body["type"]) for body in bodies]


@anyio_test
async def test_a_job_that_was_deleted_before_it_ended_is_not_told_of_and_one_deleted_later_is(shop: Workshop) -> None:
    with Receiver() as receiver:
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            unwanted = (await shop.submit("unwanted")).job_id
            await shop.jobs.delete(unwanted)
            await shop.carry_out(unwanted)
            done = await cancelled(shop, "done")
            await shop.jobs.delete(done)
            async with delivering(shop):
                await told(shop, webhooks, endpoint.id, 1)

    assert "cancelled" in await shop.kinds(unwanted)
    assert read(receiver) == [(done, "video.failed")]


@anyio_test
@pytest.mark.both_databases
async def test_two_processes_tell_each_event_once(opened: Open, home: Settings) -> None:
    with Receiver() as receiver:
        async with opened() as shop, post_office(shop) as webhooks, loopback() as http:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            other = await Database.open(home.database_url)
            async with delivering(shop), anyio.create_task_group() as tasks:
                tasks.start_soon(Outbox(other, http).run)
                for n in range(12):
                    await cancelled(shop, f"Cat {n}")
                await told(shop, webhooks, endpoint.id, 12)
                tasks.cancel_scope.cancel()
            other.close()

    assert len(receiver.requests) == len(set(receiver.ids)) == 12


# -- when it does not arrive -----------------------------------------------------------------------


@anyio_test
@pytest.mark.both_databases
async def test_what_did_not_arrive_is_told_again_under_the_same_id_when_its_time_has_come(opened: Open) -> None:
    clock = Clock()
    with Receiver(500, Answer(302, b"", {"location": "/elsewhere"})) as receiver:
        async with opened(clock=clock) as shop, post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            await cancelled(shop)
            async with delivering(shop, chance=lambda: 0.0) as outbox:
                for tries in (1, 2):
                    await until(lambda tries=tries: len(receiver.requests) == tries)
                    await idle(outbox)
                    clock.move(timedelta(seconds=11))
                    outbox.nudge()
                [delivery] = await told(shop, webhooks, endpoint.id, 1)

    assert (delivery.state, delivery.tries) == (DeliveryState.DELIVERED, 3)
    assert set(receiver.ids) == {delivery.id}
    assert len(receiver.requests) == 3
    assert {request.path for request in receiver.requests} == {"/hook"}


async def idle(outbox: Outbox) -> None:
    with anyio.fail_after(20):
        while not await outbox.idle():
            await anyio.sleep(0.01)


@anyio_test
async def test_who_is_gone_is_told_nothing_more(shop: Workshop) -> None:
    with Receiver(410) as receiver:
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            async with delivering(shop):
                await cancelled(shop, "one")
                [delivery] = await told(shop, webhooks, endpoint.id, 1)
                with anyio.fail_after(20):
                    while (await webhooks.get(endpoint.id)).disabled_at is None:
                        await anyio.sleep(0.01)
                await cancelled(shop, "two")
                other = await webhooks.add(receiver.hook, owner="*")
                await cancelled(shop, "three")
                await told(shop, webhooks, other.id, 1)

    assert (delivery.state, delivery.http_status) == (DeliveryState.FAILED, 410)
    assert len(receiver.requests) == 2


@anyio_test
@pytest.mark.both_databases
async def test_a_process_that_dies_between_sending_and_recording_leaves_it_to_be_sent_again(opened: Open) -> None:
    clock = Clock()
    with Receiver() as receiver:
        async with opened(clock=clock, reached=crashing_at("webhook.sent")) as shop, post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            await cancelled(shop)
            with pytest.raises(BaseExceptionGroup) as crashed:
                async with delivering(shop):
                    await anyio.sleep(20)
        async with opened(clock=clock) as shop, post_office(shop) as webhooks, delivering(shop) as outbox:
            await idle(outbox)
            in_the_lease = len(receiver.requests)
            clock.move(LEASE)
            outbox.nudge()
            [delivery] = await told(shop, webhooks, endpoint.id, 1)

    assert crashed.group_contains(Crash)
    assert in_the_lease == 1
    assert receiver.ids == [delivery.id] * 2
    assert receiver.requests[0].body == receiver.requests[1].body
    assert (delivery.state, delivery.tries) == (DeliveryState.DELIVERED, 2)


@anyio_test
async def test_an_outbox_that_stops_gives_back_what_was_not_answered_in_time(shop: Workshop) -> None:
    with Receiver() as receiver:
        receiver.mute = True
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            await cancelled(shop)
            began = anyio.current_time()
            async with delivering(shop):
                await until(lambda: len(receiver.requests) == 1)
            stopped_after_s = anyio.current_time() - began
            [left] = await webhooks.deliveries(endpoint.id)
            receiver.mute = False
            async with delivering(shop):
                [delivery] = await told(shop, webhooks, endpoint.id, 1)

    assert stopped_after_s < 10
    assert (left.state, left.tries) == (DeliveryState.PENDING, 0)
    assert receiver.ids == [delivery.id] * 2


@anyio_test
async def test_an_outbox_that_stops_hears_what_is_answered_soon(shop: Workshop) -> None:
    with Receiver() as receiver:
        receiver.delay_s = 0.5
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            await cancelled(shop)
            async with delivering(shop) as outbox:
                with anyio.fail_after(20):
                    while (await webhooks.deliveries(endpoint.id) or [pending(tries=0)])[0].tries == 0:
                        await anyio.sleep(0.01)
                assert not await outbox.idle()
            [delivery] = await webhooks.deliveries(endpoint.id)

    assert delivery.state is DeliveryState.DELIVERED


@anyio_test
async def test_who_says_nothing_holds_up_nobody_else_and_gets_few_at_once(shop: Workshop) -> None:
    with Receiver() as mute, Receiver() as awake:
        mute.mute = True
        async with post_office(shop) as webhooks:
            await webhooks.add(mute.hook, owner="*")
            endpoint = await webhooks.add(awake.hook, owner="*")
            for n in range(AT_ONCE_TO_ONE * 2):
                await cancelled(shop, f"Cat {n}")
            async with delivering(shop):
                await told(shop, webhooks, endpoint.id, AT_ONCE_TO_ONE * 2)
                await until(lambda: len(mute.requests) == AT_ONCE_TO_ONE)
                in_time = len(awake.requests)

    assert in_time == AT_ONCE_TO_ONE * 2
    assert mute.most_at_once == AT_ONCE_TO_ONE
    assert awake.most_at_once <= AT_ONCE_TO_ONE


@anyio_test
async def test_who_failed_last_is_tried_by_one_message_at_a_time(shop: Workshop) -> None:
    with Receiver(*[500] * 6) as receiver:
        async with post_office(shop) as webhooks:
            await webhooks.add(receiver.hook, owner="*")
            async with delivering(shop) as outbox:
                await cancelled(shop, "the first")
                await until(lambda: len(receiver.requests) == 1)
                await idle(outbox)
                receiver.most_at_once, receiver.delay_s = 0, 0.1
                await completed_at_once(shop, 5)
                await until(lambda: len(receiver.requests) == 6)

    assert receiver.most_at_once == 1


@anyio_test
async def test_no_log_holds_what_may_be_secret_in_an_address(shop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="rushes")
    with Receiver(500, 410) as receiver:
        async with post_office(shop) as webhooks:
            url = receiver.url.replace("//", "//CANARY:CANARY@") + "/CANARY?token=CANARY"
            endpoint = await webhooks.add(url, owner="*")
            async with delivering(shop):
                await cancelled(shop, "CANARY one")
                await cancelled(shop, "CANARY two")
                await told(shop, webhooks, endpoint.id, 2)

    records = [str(record.__dict__) for record in caplog.records if record.name.startswith("rushes")]
    assert any("webhook.disabled" in record for record in records)
    assert not any("CANARY" in record or endpoint.secret in record for record in records)


# -- beside the work -------------------------------------------------------------------------------


@pytest.fixture
def settings(home: Settings, fake: FakeOpenAI) -> Settings:
    return replace(settings_for(home, fake), network=NetworkSettings(allow_hosts=("127.0.0.1",)))


@anyio_test
async def test_a_worker_that_works_until_idle_tells_before_it_ends(settings: Settings) -> None:
    with Receiver(500) as receiver, anyio.fail_after(60):
        receiver.delay_s = GRACE_S + 1
        async with App(settings, leave_worker=False) as app:
            endpoint = await app.webhooks.add(receiver.hook, owner="*")
            wish = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)
            [admission] = await app.submit(await app.plan(wish))
            await app.worker.run(until_idle=True)
            [delivery] = await app.webhooks.deliveries(endpoint.id)

    assert read(receiver) == [(admission.job_id, "video.completed")]
    assert (delivery.tries, delivery.state) == (1, DeliveryState.PENDING)


@anyio_test
async def test_what_never_ends_beside_the_work_is_waited_for_only_so_long(settings: Settings) -> None:
    class Endless:
        ran = False

        async def run(self) -> None:
            self.ran = True
            await anyio.sleep_forever()

        async def idle(self) -> bool:
            return False

        def nudge(self) -> None:
            pass

    endless = Endless()
    async with App(settings, leave_worker=False) as app:
        worker = Worker(app.services, app.changes, beside=[endless], wait_for_the_rest_s=0.5)
        with anyio.fail_after(30):
            await worker.run(until_idle=True)

        assert await worker.has_anything_left()
    assert endless.ran


@anyio_test
async def test_a_process_that_leaves_with_something_untold_leaves_a_worker_behind(settings: Settings) -> None:
    with Receiver() as receiver, anyio.fail_after(60):
        async with App(settings, leave_worker=False) as app:
            endpoint = await app.webhooks.add(receiver.hook, owner="*")
            wish = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)
            [admission] = await app.submit(await app.plan(wish))
            await app.jobs.cancel(admission.job_id)
            await app.worker.run(until_idle=True)
            await app.webhooks.replay(endpoint.id, since=timedelta(hours=1))
        before = len(receiver.requests)
        async with App(settings):
            pass  # nothing to do, but to notice
        await until(lambda: len(receiver.requests) > before)

    assert before == 1
    assert len(set(receiver.ids)) == 1


@anyio_test
async def test_a_kill_after_a_message_was_sent_sends_it_again_under_the_same_id(
    settings: Settings, fake: FakeOpenAI
) -> None:
    rushes = CommandLine(settings.home.parent, {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""})
    (rushes.folder / "rushes.toml").write_text('[network]\nallow_hosts = ["127.0.0.1"]\n')
    with Receiver() as receiver:
        async with App(settings, leave_worker=False) as app:
            endpoint = await app.webhooks.add(receiver.hook, owner="*")
            wish = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)
            [admission] = await app.submit(await app.plan(wish))
        killed = await anyio.to_thread.run_sync(rushes.crash_at, "webhook.sent", "worker", "--until-idle")
        after_the_kill = read(receiver)
        again = await anyio.to_thread.run_sync(rushes.run, "worker", "--until-idle")
        in_the_lease = read(receiver)
        async with App(settings, leave_worker=False) as app, loopback() as http, anyio.create_task_group() as tasks:
            tasks.start_soon(Outbox(app.db, http, now=Clock.ahead(LEASE.total_seconds())).run)
            await until(lambda: len(receiver.requests) == 2)
            with anyio.fail_after(20):
                while (await app.webhooks.deliveries(endpoint.id))[0].state is DeliveryState.PENDING:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert again.returncode == 0, again.stderr
    assert after_the_kill == in_the_lease == [(admission.job_id, "video.completed")]
    assert len(set(receiver.ids)) == 1
    assert unwrapped(receiver.requests[1], endpoint.secret).type == "video.completed"
