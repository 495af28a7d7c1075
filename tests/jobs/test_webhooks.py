"""Endpoints of webhooks: who is told, what a message says, and what can be done by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mail import cancelled, completed, delivering, failed, post_office, told, until
from workshop import Clock, Open, Workshop

from rushes.config import Settings
from rushes.errors import Conflict, NotFound, RequestError, Unsupported
from rushes.http import Http
from rushes.jobs.webhook_store import DeliveryState
from rushes.jobs.webhooks import TYPES, Webhooks, event_name, message
from rushes.signatures import key_of
from tests.receiver import Receiver, unwrapped

pytestmark = pytest.mark.anyio

DAY = timedelta(hours=24)


def test_a_message_holds_the_id_of_the_video_and_no_more() -> None:
    at = datetime.fromtimestamp(1758941485, UTC)

    body = message("video.completed", 7, "video_1", at)

    name = event_name(7, "video_1")
    assert body == (
        f'{{"id":"{name}","object":"event","created_at":1758941485,"type":"video.completed","data":{{"id":"video_1"}}}}'
    )


def test_an_event_has_one_name_for_ever_and_it_is_not_that_of_another() -> None:
    names = {event_name(number, job) for number in (0, 1, 2) for job in ("video_1", "video_2")}

    assert len(names) == 6
    assert event_name(1, "video_1") in names
    assert all(name.startswith("evt_") for name in names)


async def test_an_endpoint_is_added_with_a_secret_of_its_own_and_found_again(shop: Workshop) -> None:
    async with post_office(shop) as webhooks:
        first = await webhooks.add("https://127.0.0.1/a", owner="ann")
        second = await webhooks.add("https://127.0.0.1/b", owner="*", events=["video.failed"])

        assert await webhooks.get(first.id) == first
        assert list(await webhooks.list()) == [first, second]
        assert list(await webhooks.list("ann")) == [first]
    assert (first.events, second.events) == (TYPES, ("video.failed",))
    assert len(key_of(first.secret)) >= 24
    assert first.secret != second.secret
    assert first.secret not in repr(first)
    assert "127.0.0.1" not in repr(first)


async def test_another_owners_endpoint_is_as_if_it_were_not_there(shop: Workshop) -> None:
    async with post_office(shop) as webhooks:
        anns = await webhooks.add("https://127.0.0.1/a", owner="ann")

        with pytest.raises(NotFound):
            await webhooks.get(anns.id, owner="bob")
        with pytest.raises(NotFound):
            await webhooks.remove(anns.id, owner="bob")
        with pytest.raises(NotFound):
            await webhooks.test(anns.id, owner="bob")
        with pytest.raises(NotFound):
            await webhooks.replay(anns.id, since=DAY, owner="bob")
        with pytest.raises(NotFound):
            await webhooks.deliveries(anns.id, owner="bob")
        assert (await webhooks.get(anns.id, owner="ann")).disabled_at is None


@pytest.mark.parametrize("url", ["http://93.184.216.34/hook", "https://10.0.0.1/hook", "nowhere", "https://a\n/b"])
async def test_an_address_that_could_never_be_told_is_refused_when_it_is_added(url: str, shop: Workshop) -> None:
    http = Http(Settings(home=Path(), database_url="", media_url=""))
    webhooks = Webhooks(shop.db, http)

    with pytest.raises(RequestError):
        await webhooks.add(url, owner="*")

    assert list(await webhooks.list()) == []
    await http.aclose()


@pytest.mark.parametrize(
    ("events", "hint"), [(["video.complete"], "Did you mean video.completed"), ([], "without events")]
)
async def test_events_that_there_are_not_are_refused(events: list[str], hint: str, shop: Workshop) -> None:
    async with post_office(shop) as webhooks:
        with pytest.raises(Unsupported, match=hint):
            await webhooks.add("https://127.0.0.1/a", owner="*", events=events)


async def test_a_removed_endpoint_is_told_no_more_nor_what_was_to_be_told_again(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop, post_office(shop) as webhooks:
        with Receiver(500) as receiver:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            await cancelled(shop, "one")
            async with delivering(shop):
                await until(lambda: len(receiver.requests) == 1)
                await webhooks.remove(endpoint.id)
                clock.move(timedelta(minutes=5))
                await cancelled(shop, "two")
                other = await webhooks.add(receiver.hook, owner="*")
                await cancelled(shop, "three")
                await told(shop, webhooks, other.id, 1)

        [delivery] = await webhooks.deliveries(endpoint.id)
        assert delivery.state is DeliveryState.FAILED
        assert len(receiver.requests) == 2
        assert (await webhooks.get(endpoint.id)).disabled_at is not None
        with pytest.raises(Conflict, match="told no more"):
            await webhooks.replay(endpoint.id, since=DAY)


async def test_a_test_message_is_signed_and_its_answer_is_told(shop: Workshop) -> None:
    with Receiver(200, 503) as receiver:
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            good, bad = await webhooks.test(endpoint.id), await webhooks.test(endpoint.id)
            kept = await webhooks.deliveries(endpoint.id)

    event = unwrapped(receiver.requests[0], endpoint.secret)
    assert event.type == "video.completed"
    assert (good.good, good.http_status) == (True, 200)
    assert (bad.good, bad.http_status, bad.error) == (False, 503, "The receiver answered 503.")
    assert [each.state.value for each in kept] == ["failed", "delivered"]
    assert len(set(receiver.ids)) == 2


async def test_a_test_of_who_is_not_there_says_so(shop: Workshop) -> None:
    with Receiver() as receiver:
        receiver.refuse()
        async with post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            tried = await webhooks.test(endpoint.id)

    assert tried.http_status is None
    assert tried.error is not None
    assert "No connection could be made" in tried.error


@pytest.mark.both_databases
async def test_a_replay_tells_all_of_a_time_again_under_the_same_ids_and_what_was_never_told(opened: Open) -> None:
    clock = Clock()
    with Receiver() as receiver:
        async with opened(clock=clock) as shop, post_office(shop) as webhooks:
            await completed(shop, "long ago")
            clock.move(timedelta(days=3))
            missed = await completed(shop, "before it was added")
            endpoint = await webhooks.add(receiver.hook, owner="*")
            seen = await completed(shop, "after")
            async with delivering(shop) as outbox:
                await told(shop, webhooks, endpoint.id, 1)
                count = await webhooks.replay(endpoint.id, since=DAY)
                outbox.nudge()
                await until(lambda: len(receiver.requests) == 3)
                await told(shop, webhooks, endpoint.id, 2)

    bodies = [json.loads(request.body) for request in receiver.requests]
    assert count == 2
    assert bodies[0]["data"]["id"] == seen
    assert sorted(body["data"]["id"] for body in bodies[1:]) == sorted([missed, seen])
    again = next(body for body in bodies[1:] if body["data"]["id"] == seen)
    assert again == bodies[0]
    assert len(set(receiver.ids)) == 2


async def test_a_replay_of_what_failed_leaves_the_rest(opened: Open) -> None:
    clock = Clock()
    with Receiver(500) as receiver:
        async with opened(clock=clock) as shop, post_office(shop) as webhooks:
            endpoint = await webhooks.add(receiver.hook, owner="*")
            async with delivering(shop) as outbox:
                lost = await failed(shop, "lost")
                await until(lambda: len(receiver.requests) == 1)
                await completed(shop, "arrived")
                await until(lambda: len(receiver.requests) == 2)
                receiver.refuse()
                clock.move(timedelta(hours=73))
                await told(shop, webhooks, endpoint.id, 2)
                receiver.start()
                count = await webhooks.replay(endpoint.id, since=timedelta(days=7), only_failed=True)
                outbox.nudge()
                await until(lambda: len(receiver.requests) == 3)

    assert count == 1
    assert json.loads(receiver.requests[2].body)["data"]["id"] == lost
    assert receiver.ids[2] == receiver.ids[0]
