"""`rushes webhooks`: what a person types to have a server told, and what the server gets."""

import json
from collections.abc import Iterator

import pytest

from rushes.testing.server import Answer
from tests.command_line import CommandLine
from tests.receiver import Receiver, unwrapped
from tests.running import until

CAT = ("generate", "A cat", "-m", "openai:video:sora-2", "--seconds", "4")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def at_home(rushes: CommandLine) -> CommandLine:
    """A command line that may tell this machine."""
    (rushes.folder / "rushes.toml").write_text('[network]\nallow_hosts = ["127.0.0.1"]\n')
    return rushes


def added(line: CommandLine, *args: str) -> tuple[str, str]:
    """The id and the secret of a new webhook."""
    done = line.run("webhooks", "add", *args)
    assert done.returncode == 0, done.stderr
    webhook_id, secret = done.stdout.split()
    return webhook_id, secret


def test_a_video_that_is_generated_is_told_and_its_delivery_is_listed(at_home: CommandLine, receiver: Receiver) -> None:
    webhook_id, secret = added(at_home, receiver.hook)

    made = at_home.run(*CAT)
    assert made.returncode == 0, made.stderr
    until(lambda: len(receiver.requests) == 1)
    until(lambda: deliveries(at_home, webhook_id)[0]["state"] == "delivered")

    [job] = json.loads(at_home.run("jobs", "list", "--json").stdout)
    assert unwrapped(receiver.requests[0], secret).type == "video.completed"
    assert json.loads(receiver.requests[0].body)["data"]["id"] == job["id"]
    [delivery] = deliveries(at_home, webhook_id)
    assert (delivery["job_id"], delivery["event"], delivery["test"]) == (job["id"], "video.completed", False)
    assert job["id"] in at_home.run("webhooks", "deliveries", webhook_id).stdout

    again = at_home.run("webhooks", "replay", webhook_id, "--since", "1h")
    until(lambda: len(receiver.requests) == 2)

    assert again.stdout.strip() == "1", again.stderr
    assert receiver.ids[0] == receiver.ids[1] == delivery["id"]
    assert at_home.run("webhooks", "replay", webhook_id, "--failed").stdout.strip() == "0"


def deliveries(line: CommandLine, webhook_id: str) -> list[dict[str, object]]:
    return json.loads(line.run("webhooks", "deliveries", webhook_id, "--json").stdout)


def test_webhooks_are_listed_without_their_secrets_and_removed(at_home: CommandLine, receiver: Receiver) -> None:
    url = receiver.url.replace("//", "//me:CANARY@") + "/hook?token=CANARY"
    webhook_id, secret = added(at_home, url, "--owner", "ann", "--event", "video.failed")

    [listed] = json.loads(at_home.run("webhooks", "list", "--json").stdout)
    table = at_home.run("webhooks", "list").stdout
    removed = at_home.run("webhooks", "remove", webhook_id)
    [afterwards] = json.loads(at_home.run("webhooks", "list", "--json").stdout)

    assert (listed["id"], listed["owner"], listed["events"]) == (webhook_id, "ann", ["video.failed"])
    assert listed["url"] == receiver.hook
    assert not any(word in json.dumps(listed) + table for word in (secret, "CANARY"))
    assert listed["disabled_at"] is None
    assert removed.returncode == 0
    assert afterwards["disabled_at"] is not None
    assert " off " in at_home.run("webhooks", "list").stdout


def test_a_test_message_prints_the_answer(at_home: CommandLine, receiver: Receiver) -> None:
    receiver.answers = [Answer(200, b"thank you"), Answer(500, b"oh no")]
    webhook_id, secret = added(at_home, receiver.hook)

    good = at_home.run("webhooks", "test", webhook_id)
    bad = at_home.run("webhooks", "test", webhook_id, "--json")

    assert good.returncode == 0
    assert "HTTP 200" in good.stdout
    assert "thank you" in good.stdout
    assert unwrapped(receiver.requests[0], secret).type == "video.completed"
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["answer"] == "oh no"
    assert "The receiver answered 500." in bad.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("add", "http://93.184.216.34/hook"), "not https"),
        (("add", "https://192.168.1.2/hook"), "allow_hosts"),
        (("add", "https://93.184.216.34/hook", "--event", "video.complete"), "Did you mean video.completed?"),
        (("test", "we_0"), "rushes webhooks list"),
        (("replay", "we_0"), "rushes webhooks list"),
        (("deliveries", "we_0"), "rushes webhooks list"),
        (("remove", "we_0"), "rushes webhooks list"),
        (("replay", "we_0", "--since", "1"), "is not an age"),
    ],
)
def test_what_cannot_be_done_says_why(args: tuple[str, ...], words: str, offline: CommandLine) -> None:
    refused = offline.run("webhooks", *args)

    assert refused.returncode in (1, 2)
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_webhooks_the_list_says_how_to_add_one(offline: CommandLine) -> None:
    listed = offline.run("webhooks", "list")

    assert (listed.returncode, listed.stdout) == (0, "")
    assert "rushes webhooks add" in listed.stderr
