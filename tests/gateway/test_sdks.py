"""The official OpenAI SDKs, old and new, against the real gateway: every `videos` call that each of them can make.

The calls come from processes of their own (`sdk/clients.py`). Each SDK comes twice: as the OpenAI client, and as the
Azure one with its own address, key header and `api-version`. A gateway that works makes what is needed and lets clients
wait for a video; on one where nobody works the creates stay queued, which keeps this quick.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal, start_blocking_portal

from rushes.jobs import shelf
from rushes.jobs.keys import Grant
from rushes.testing import clips
from tests.gateway.running import SHORT, Running, running
from tests.gateway.sdk.clients import ALL, Line, Sdk

FOX = {"prompt": "A fox in the snow", "model": "sora-2", **SHORT}
NO_CHARACTERS = "2.20.0"
"""A release from before edits, extensions and characters."""

Step = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Client:
    """One SDK as one of its two classes."""

    sdk: Sdk
    azure: bool

    @property
    def name(self) -> str:
        return f"{self.sdk.name}{'-azure' if self.azure else ''}"

    @property
    def python(self) -> bool:
        return self.sdk.language == "python"

    @property
    def has_characters(self) -> bool:
        return self.sdk.version != NO_CHARACTERS

    def run(self, url: str, key: str, *steps: Step) -> list[Line]:
        """What came back of each step."""
        base_url = url if self.azure else f"{url}/v1"
        more = {"azure": True} if self.azure else {}
        _, *lines = self.sdk.run_all([(name, {**args, **more}) for name, args in steps], base_url, key)
        return lines


CLIENTS = [Client(sdk, azure) for sdk in ALL for azure in (False, True)]


def each(clients: list[Client]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", clients, ids=[client.name for client in clients])


# -- the gateways ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shop:
    """A gateway on which nobody works, over a library with a finished video in it."""

    url: str
    video_id: str
    collected_id: str
    sha256: str
    clip: str
    picture: str
    character_id: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A gateway that asks for keys, with a model behind it that costs money. The keys are secrets."""

    url: str
    poor: str
    lister: str
    listed: list[str]
    admin: str


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def serving(portal: BlockingPortal, home: Path, **options: Any) -> AbstractContextManager[Running]:
    return portal.wrap_async_context_manager(running(home, **options))


@pytest.fixture(scope="module")
def live(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway that works."""
    with serving(portal, tmp_path_factory.mktemp("live") / "home") as served:
        yield served.url


@pytest.fixture(scope="module")
def shop(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    clip, picture = folder / "clip.mp4", folder / "first.png"
    picture.write_bytes(clips.picture(320, 180, "PNG"))
    with serving(portal, folder / "home") as working:
        ids = [made(working.url), made(working.url)]
        for video_id in ids:
            portal.call(working.until_ended, video_id)
        path = portal.call(path_of, working, ids[0])
        clip.write_bytes(path.read_bytes())
        portal.call(collect, working, ids[1])
        parts = {"video": ("clip.mp4", clip.read_bytes(), "video/mp4")}
        character = httpx2.post(f"{working.url}/v1/videos/characters", data={"name": "Mossy"}, files=parts).json()
    with serving(portal, folder / "home", works=False) as still:
        sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
        yield Shop(still.url, ids[0], ids[1], sha256, str(clip), str(picture), character["id"])


@pytest.fixture(scope="module")
def locked(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    priced = {"OPENAI_API_KEY": "sk-never-sent", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    home = tmp_path_factory.mktemp("locked") / "home"
    with serving(portal, home, works=False, environment=priced) as served:

        def key(name: str, grant: Grant) -> str:
            return portal.call(served.app.keys.create, name, grant).secret

        lister = key("lister", Grant())
        listed = [made(served.url, lister, size="1280x720", seconds="4") for _ in range(5)]
        poor, admin = key("poor", Grant(budget_usd=Decimal("0.01"))), key("admin", Grant(admin=True))
        yield Locked(served.url, poor, lister, listed, admin)


def made(url: str, key: str = "any", **fields: Any) -> str:
    answer = httpx2.post(f"{url}/v1/videos", json={**FOX, **fields}, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def path_of(served: Running, video_id: str) -> Path:
    [video] = await served.app.jobs.videos(video_id)
    assert video.path is not None
    return video.path


async def collect(served: Running, video_id: str) -> None:
    """Take its file out of the library, as its age would."""
    now = served.app.jobs.now()

    def work(connection: sa.Connection) -> None:
        shelf.mark_collected(connection, video_id, now)

    await served.app.db.write(work)


def video_of(line: Line) -> dict[str, Any]:
    """The Video object of a good answer, which also had a request id."""
    assert "error" not in line, line
    assert line["request_id"].startswith("req_")
    return line["video"]


# -- the calls -------------------------------------------------------------------------------------------------------


@each(CLIENTS)
def test_creates_are_taken_in_every_form(client: Client, shop: Shop) -> None:
    with_file = {**FOX, "file": shop.picture}
    encoded = base64.b64encode(Path(shop.picture).read_bytes()).decode()
    with_object = {**FOX, "image_url": f"data:image/png;base64,{encoded}"}
    extra = {**FOX, "extra_body": {"characters": [{"id": shop.character_id}], "seed": 7, "generate_audio": True}}
    own = ("create_handle", "create_bytes") if client.python else ("create_stream",)
    as_object = "create_json" if client.python else "create_object"

    lines = client.run(
        *(shop.url, "any", ("create_text", FOX), ("create_number", FOX), ("create_file", with_file)),
        *((name, with_file) for name in own),
        *((as_object, with_object), ("create_extra", extra)),
    )

    found = [video_of(line) for line in lines]
    assert {(video["object"], video["status"], video["model"]) for video in found} == {("video", "queued", "sora-2")}
    assert {(video["size"], video["seconds"]) for video in found} == {("320x180", "1")}
    assert len({video["id"] for video in found}) == len(lines) == 5 + len(own)


@each(CLIENTS)
def test_a_finished_video_is_looked_at_fetched_and_deleted(client: Client, shop: Shop) -> None:
    of_it, doomed = {"video_id": shop.video_id}, {"video_id": made(shop.url)}
    reading = ("retrieve", "retrieve_raw", "download", "download_streaming", "thumbnail", "spritesheet")

    lines = client.run(
        *(shop.url, "any", *((name, of_it) for name in reading)),
        *(("delete", doomed), ("missing", doomed), ("download", {"video_id": shop.collected_id})),
    )

    retrieved, raw, whole, streamed, thumbnail, spritesheet, deleted, missing, collected = lines
    assert video_of(retrieved) == raw["body"]
    assert (raw["status"], raw["body"]["status"], raw["body"]["progress"]) == (200, "completed", 100)
    assert raw["headers"]["x-request-id"].startswith("req_")
    assert whole["sha256"] == streamed["sha256"] == shop.sha256
    assert [each["mime"] for each in (whole, streamed)] == ["video/mp4"] * 2
    assert (thumbnail["mime"], spritesheet["mime"]) == ("image/webp", "image/jpeg")
    assert deleted["deleted"] == {"id": doomed["video_id"], "object": "video.deleted", "deleted": True}
    assert (missing["error"]["class"], missing["error"]["code"]) == ("NotFoundError", "not_found")
    assert missing["error"]["request_id"].startswith("req_")
    assert (collected["error"]["status_code"], collected["error"]["code"]) == (410, "expired")


@each(CLIENTS)
def test_one_video_leads_to_the_next(client: Client, shop: Shop) -> None:
    """Remix, edit and extend, as far as each SDK can name or send a video."""
    of_it = {"video_id": shop.video_id}
    steps: list[Step] = [("remix", of_it), ("edit_post" if client.python else "edit_id", of_it)]
    if client.has_characters:
        from_file = {"file": shop.clip, "seconds": "1", "extra_body": {"model": "sora-2"}}
        steps += [("edit_file", from_file), ("extend_file", from_file)]
    if not client.python:  # the Python package cannot send the name of a video
        steps += [("extend_id", {**of_it, "seconds": "1"}), ("edit_stream", {"file": shop.clip})]

    remixed, *others = map(video_of, client.run(shop.url, "any", *steps))

    assert (remixed["remixed_from_video_id"], remixed["size"], remixed["seconds"]) == (shop.video_id, "320x180", "1")
    assert [(video["object"], video["status"]) for video in others] == [("video", "queued")] * (len(steps) - 1)
    assert len({video["id"] for video in (remixed, *others)}) == len(steps)


@each([client for client in CLIENTS if client.has_characters])
def test_a_character_is_made_and_looked_up(client: Client, shop: Shop) -> None:
    making = {"file": shop.clip, "name": "Mira"}

    made_one, seen = client.run(
        *(shop.url, "any", ("create_character", making), ("get_character", {"character_id": shop.character_id})),
    )

    assert made_one["character"]["id"].startswith("char_")
    assert (made_one["character"]["name"], seen["character"]["name"]) == ("Mira", "Mossy")


@each(CLIENTS)
def test_lists_are_paged_by_the_sdk_itself(client: Client, locked: Locked) -> None:
    newest_first = locked.listed[::-1]

    *pages, iterated, oldest_first = client.run(
        *(locked.url, locked.lister, ("list_all", {"limit": 2}), ("list_iterate", {"limit": 2})),
        ("list_iterate", {"limit": 2, "order": "asc"}),
    )

    assert [page["ids"] for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert (iterated["ids"], oldest_first["ids"]) == (newest_first, locked.listed)


@each(CLIENTS)
def test_what_is_refused_is_told_and_what_repetition_cannot_mend_is_not_repeated(
    client: Client, locked: Locked
) -> None:
    theirs = {"video_id": locked.listed[0]}
    before = creates_refused(locked)

    lines = client.run(locked.url, "sk-wrong", ("missing", theirs))
    lines += client.run(
        *(locked.url, locked.poor, ("missing", theirs), ("bad_seconds", FOX)),
        ("create_text", {**FOX, "size": "1280x720", "seconds": "4", "max_retries": 2}),
    )

    wrong_key, theirs_seen, seconds, quota = (line["error"] for line in lines)

    assert (wrong_key["class"], wrong_key["code"]) == ("AuthenticationError", "invalid_api_key")
    assert (theirs_seen["class"], theirs_seen["code"]) == ("NotFoundError", "not_found")
    assert (seconds["class"], seconds["param"], seconds["code"]) == ("BadRequestError", "seconds", "invalid_value")
    assert (quota["class"], quota["code"], quota["type"]) == ("RateLimitError", *["insufficient_quota"] * 2)
    assert all(error["request_id"].startswith("req_") for error in (wrong_key, theirs_seen, seconds, quota))
    assert creates_refused(locked) == before + 1


def creates_refused(locked: Locked) -> float:
    """How many creates were answered with 429, as the gateway counts them itself."""
    told = httpx2.get(f"{locked.url}/metrics", headers={"authorization": f"Bearer {locked.admin}"}).text
    lines = [line for line in told.splitlines() if line.startswith("rushes_http_requests_total{")]
    return sum(float(line.split()[-1]) for line in lines if 'status="429"' in line and 'method="POST"' in line)


# -- polling ---------------------------------------------------------------------------------------------------------


@each([client for client in CLIENTS if client.python])
def test_the_python_package_waits_for_the_end_good_or_bad(client: Client, live: str) -> None:
    doomed = made(live, extra={"fail": "moderation"})

    good, failed = map(video_of, client.run(live, "any", ("create_and_poll", FOX), ("poll", {"video_id": doomed})))

    assert (good["status"], good["progress"], good["error"]) == ("completed", 100, None)
    assert (failed["id"], failed["status"], failed["error"]["code"]) == (doomed, "failed", "moderation_blocked")
