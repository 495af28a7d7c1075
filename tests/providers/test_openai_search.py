"""Looking for a lost create in the server's list: what is found, and what proves that nothing is there."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from rushes.errors import ProviderError
from rushes.providers.catalog import read_table
from rushes.providers.openai.search import Lookout, Window, compare, window_of
from rushes.providers.openai.wire import Listing, WireVideo
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Findings, Search
from rushes.testing.bench import prepared
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from rushes.video import MediaRef, Size, SourceKind, SourceVideo, VideoRequest
from tests.providers.openai_bench import SORA, asked, usual

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def sought(known: frozenset[str] = frozenset(), sent_at: datetime | None = None) -> Search:
    return Search(prepared=asked(), key="key-1", sent_at=sent_at or datetime.now(UTC), known_ids=known)


@pytest.mark.anyio
async def test_a_lost_create_is_found_on_a_later_page(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        lost = await provider.submit(asked(), "key-1")
        for n in range(120):
            await provider.submit(asked(f"another {n}"), f"key-{n}")
        findings = await provider.find(sought())

    assert [remote.id for remote in findings.matches] == [lost.id]
    assert findings.complete
    assert [request.query.get("limit") for request in fake.requests if request.method == "GET"] == ["100", "100"]


@pytest.mark.parametrize("offset_s", [-7200.0, 7200.0])
@pytest.mark.anyio
async def test_a_clock_that_is_wrong_over_there_does_no_harm(offset_s: float, tmp_path: Path) -> None:
    with FakeOpenAI(clock_offset_s=offset_s) as fake:
        async with usual(fake, tmp_path) as provider:
            lost = await provider.submit(asked(), "key-1")
            findings = await provider.find(sought())

    assert [remote.id for remote in findings.matches] == [lost.id]


@pytest.mark.anyio
async def test_equal_creates_in_doubt_are_all_found(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        both = {(await provider.submit(asked(), key)).id for key in ("key-1", "key-2")}
        findings = await provider.find(sought())

    assert {remote.id for remote in findings.matches} == both


@pytest.mark.anyio
async def test_the_search_stops_at_what_is_too_old(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        await provider.submit(asked(), "key-0")
        for job in fake.jobs.values():
            job.created -= 3600
        for n in range(100):
            await provider.submit(asked(f"another {n}"), f"key-{n}")
        findings = await provider.find(sought())

    assert findings == Findings(complete=True)


@pytest.mark.parametrize("fault", ["500*", "html*", "429*"])
@pytest.mark.anyio
async def test_a_list_that_fails_is_an_error_and_no_proof(fault: str, fake: FakeOpenAI, tmp_path: Path) -> None:
    fake.faults.list = [Fault.parse(fault)]
    async with usual(fake, tmp_path) as provider:
        with anyio.fail_after(5), pytest.raises(ProviderError) as caught:
            await provider.find(sought())

    assert caught.value.retryable


WINDOW = Window(NOW - timedelta(minutes=1), NOW + timedelta(minutes=6))


def listed(**changes: Any) -> WireVideo:
    shown = {"id": "video_1", "status": "queued", "created_at": NOW.timestamp(), "prompt": "A cat", "model": "sora-2"}
    return WireVideo.model_validate({**shown, "seconds": "4", "size": "1280x720", **changes})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, True),
        ({"prompt": "A  cat\n"}, True),
        ({"seconds": None, "size": None, "model": None}, True),
        ({"prompt": "A dog"}, None),
        ({"prompt": None}, False),
        ({"prompt": None, "seconds": "8"}, None),
        ({"prompt": None, "seconds": 4.9, "size": "1264x720"}, False),
        ({"prompt": None, "model": "sora-2-2025-12-08"}, False),
        ({"prompt": None, "model": "kling"}, None),
        ({"seconds": "8"}, False),
        ({"model": "sora-2-2025-12-08"}, False),
        ({"created_at": None}, False),
        ({"created_at": (NOW - timedelta(hours=1)).timestamp()}, None),
        ({"created_at": (NOW + timedelta(hours=1)).timestamp()}, False),
    ],
)
def test_which_listed_jobs_are_ours(changes: dict[str, Any], verdict: bool | None) -> None:
    assert compare(listed(**changes), asked(), WINDOW) is verdict


ONE, TWO = f"video_{'1' * 48}", f"video_{'2' * 48}"
PACKED = f"video_{base64.b64encode(f'litellm:custom_llm_provider:openai;model_id:;video_id:{ONE}'.encode()).decode()}"


def from_video(kind: SourceKind, seconds: int | None = None, remote_id: str | None = ONE) -> Prepared:
    """Asked of an earlier video of 8 seconds."""
    media = None if remote_id else MediaRef(sha256="c", mime="video/mp4", size_bytes=1, width=1280, height=720)
    source = SourceVideo(kind=kind, video_id="ours", size=Size(1280, 720), seconds=8, remote_id=remote_id, media=media)
    model = next(model for model in read_table("openai") if model.id == SORA)
    return prepared(VideoRequest(prompt="A cat", model=SORA, seconds=seconds, source=source), model)


REMIX = from_video(SourceKind.REMIX)
EDIT = from_video(SourceKind.EDIT)
EXTENSION = from_video(SourceKind.EXTEND, 4)


@pytest.mark.parametrize(
    ("wanted", "changes", "verdict"),
    [
        (REMIX, {"seconds": "8", "remixed_from_video_id": ONE}, True),
        (REMIX, {"seconds": "8", "remixed_from_video_id": TWO}, None),
        (REMIX, {"seconds": "8", "remixed_from_video_id": PACKED}, True),
        (REMIX, {"seconds": "8", "remixed_from_video_id": "another form"}, False),
        (REMIX, {"seconds": "8", "remixed_from_video_id": None}, False),  # a plain create, or a server that tells none
        (REMIX, {"seconds": "7", "remixed_from_video_id": ONE}, False),
        (REMIX, {"prompt": None, "seconds": "5", "model": "of the source", "remixed_from_video_id": ONE}, False),
        (REMIX, {"prompt": None, "remixed_from_video_id": TWO}, None),
        (from_video(SourceKind.REMIX, remote_id=PACKED), {"seconds": "8", "remixed_from_video_id": ONE}, True),
        (from_video(SourceKind.REMIX, remote_id=PACKED), {"seconds": "8", "remixed_from_video_id": TWO}, None),
        (from_video(SourceKind.REMIX, remote_id="17"), {"seconds": "8", "remixed_from_video_id": TWO}, False),
        (EDIT, {"seconds": "8"}, True),
        (EDIT, {"seconds": "8", "remixed_from_video_id": ONE}, True),
        (EDIT, {"seconds": "8", "remixed_from_video_id": TWO}, False),
        (EDIT, {"seconds": "7"}, False),
        (EDIT, {"prompt": None, "seconds": "5"}, False),
        (EXTENSION, {"seconds": "12"}, True),
        (EXTENSION, {"seconds": "4"}, False),  # the new part alone; or a plain create in the same words
        (EXTENSION, {"seconds": "12", "remixed_from_video_id": TWO}, False),
        (EXTENSION, {"prompt": None, "seconds": "12"}, False),
        (EXTENSION, {"prompt": None, "seconds": "4"}, False),
        (EXTENSION, {"prompt": None, "seconds": "8"}, None),
        (EXTENSION, {"prompt": "A dog", "seconds": "12"}, None),
        (from_video(SourceKind.EXTEND, 4, None), {"seconds": "12"}, True),
        (asked(), {"seconds": "4", "remixed_from_video_id": ONE}, False),  # a remix; but who knows what others write
    ],
)
def test_which_listed_jobs_came_from_our_video(wanted: Prepared, changes: dict[str, Any], verdict: bool | None) -> None:
    assert compare(listed(**changes), wanted, WINDOW) is verdict


@pytest.mark.parametrize(
    ("kind", "matches"),
    [(SourceKind.REMIX, 1), (SourceKind.EDIT, 2), (SourceKind.EXTEND, 2)],  # only of remixes the list tells the source
)
@pytest.mark.anyio
async def test_a_lost_create_from_an_earlier_video_is_found(
    kind: SourceKind, matches: int, fake: FakeOpenAI, tmp_path: Path
) -> None:
    async with usual(fake, tmp_path) as provider:

        async def submitted(from_prompt: str) -> tuple[Prepared, str]:
            earlier = await provider.submit(asked(from_prompt, seconds=8), "key-0")
            wanted = from_video(kind, 4 if kind is SourceKind.EXTEND else None, earlier.id)
            return wanted, (await provider.submit(wanted, "key-1")).id

        await submitted("One")
        wanted, lost = await submitted("Two")
        search = Search(prepared=wanted, key="key-1", sent_at=datetime.now(UTC), known_ids=frozenset())
        findings = await provider.find(search)

    found = {remote.id for remote in findings.matches}
    assert lost in found
    assert len(found) == matches
    assert findings.complete


def test_a_shortened_prompt_is_only_a_perhaps() -> None:
    long = asked("A cat that walks along a fence in the rain, seen from below")

    assert compare(listed(prompt="A cat that walks along a fence…"), long, WINDOW) is False


def page(*moments: datetime | None, has_more: bool | None, **changes: Any) -> Listing:
    data = [
        {"id": f"video_{n}", "prompt": "other", "created_at": moment.timestamp() if moment else None}
        for n, moment in enumerate(moments)
    ]
    return Listing.model_validate({"data": data, "has_more": has_more, "last_id": "last", **changes})


OLD, YOUNG = NOW - timedelta(hours=1), NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("seen", "complete", "goes_on"),
    [
        (page(YOUNG, NOW, has_more=False), True, False),
        (page(has_more=False), True, False),
        (page(YOUNG, OLD, has_more=True), True, False),
        (page(YOUNG, OLD, has_more=None), True, False),
        (page(YOUNG, NOW, has_more=True), False, True),
        (page(OLD, NOW, YOUNG, has_more=True), False, True),  # oldest first: an old one proves nothing
        (page(YOUNG, None, OLD, has_more=True), False, True),  # undated: the order cannot be known
        (page(YOUNG, NOW, has_more=None), False, False),  # it does not say whether it goes on
        (page(has_more=True), False, False),
        (Listing.model_validate({"data": [{"id": "a"}, None], "has_more": False}), False, False),
    ],
)
def test_when_a_list_proves_absence(seen: Listing, complete: bool, goes_on: bool) -> None:
    lookout = Lookout(sought(), WINDOW)

    after = lookout.read(seen)

    assert lookout.findings().complete is complete
    assert (after is not None) is goes_on


def test_a_list_that_goes_in_circles_ends() -> None:
    lookout = Lookout(sought(), WINDOW)

    assert lookout.read(page(NOW, has_more=True)) == "last"
    assert lookout.read(page(NOW, has_more=True)) is None
    assert not lookout.findings().complete


def test_without_a_date_the_window_is_wide() -> None:
    dated = window_of(NOW, 60, {"date": "Fri, 20 Nov 2026 14:00:00 GMT"}, NOW)
    undated = window_of(NOW, 60, {}, NOW)

    assert dated.opens == NOW + timedelta(hours=2, minutes=-1)
    assert undated.opens == NOW - timedelta(minutes=5)
