"""Looking for a create in doubt in a list of jobs: which is ours, and when is it proven that none is.

Pure, but for `look_through`, which asks for the pages.

Two mistakes are possible, and they do not weigh the same: a wrong "not there" buys a video twice, a wrong "perhaps"
asks a person. So every doubt here goes to "perhaps".
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from rushes.errors import NotOffered, Rejected, Vanished
from rushes.providers.openai.wire import Listing, WireVideo
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Findings, RemoteJob, Search
from rushes.video import Size, SourceKind, SourceVideo, made_seconds

SKEW_KNOWN = timedelta(seconds=60)  # clocks compared by the Date header: what is left is its resolution and latency
SKEW_UNKNOWN = timedelta(minutes=5)
LATE = timedelta(minutes=5)  # a slow server may accept long after we stopped waiting
VENDOR_ID = re.compile(r"video_[0-9a-f]{48}")
MAX_PAGES = 50
SHORTENED = 20  # characters that a shortened prompt still has, to be taken for the beginning of ours


class Window(NamedTuple):
    """When a create in doubt must have been accepted, by the far side's clock."""

    opens: datetime
    closes: datetime


class Lookout:
    """Reads pages of a list, newest jobs first, until nothing of the create in doubt can lie further back."""

    def __init__(self, search: Search, window: Window) -> None:
        self._search = search
        self._window = window
        self._matches: dict[str, RemoteJob] = {}
        self._candidates: dict[str, RemoteJob] = {}
        self._in_order = True  # so far each job was older than the one before: only then does an old one end the search
        self._well_formed = True
        self._previous: datetime | None = None
        self._asked_after: set[str] = set()
        self._complete = False

    def read(self, page: Listing) -> str | None:
        """Take in a page; returns the id after which the next one begins, None when there is nothing more to see."""
        self._well_formed = self._well_formed and page.well_formed
        for video in page.data:
            self._see(video)
        reached = self._in_order and self._previous is not None and self._previous < self._window.opens
        if reached or page.has_more is False:
            self._complete = self._well_formed
            return None
        after = page.last_id or (page.data[-1].id if page.data else None)
        # A list that does not say whether it goes on, or that goes in circles, proves nothing.
        if page.has_more is None or not page.data or after is None or after in self._asked_after:
            return None
        self._asked_after.add(after)
        return after

    def _see(self, video: WireVideo) -> None:
        created = video.created_at
        older = created is not None and (self._previous is None or created <= self._previous)
        self._in_order = self._in_order and older
        self._previous = created
        if video.id is None or video.id in self._search.known_ids:
            return
        verdict = compare(video, self._search.prepared, self._window)
        if verdict is not None:
            found = self._matches if verdict else self._candidates
            found[video.id] = RemoteJob(id=video.id, expires_at=video.expires_at)

    def findings(self) -> Findings:
        return Findings(
            matches=tuple(self._matches.values()),
            candidates=tuple(self._candidates.values()),
            complete=self._complete,
        )


Page = Callable[[str | None], Awaitable[tuple[Mapping[str, str], Listing]]]
"""Gives the headers and the jobs of the page after an id, or of the first one."""


async def look_through(search: Search, timeout_s: float, page: Page) -> Findings:
    """Read a list, newest jobs first, as far back as the create in doubt can lie."""
    lookout: Lookout | None = None
    after: str | None = None
    for _ in range(MAX_PAGES):
        try:
            headers, listing = await page(after)
        except (NotOffered, Vanished, Rejected):
            break  # no list here, or none that can be asked for like this: nothing is proven
        if lookout is None:
            lookout = Lookout(
                search, window_of(search.sent_at, timeout_s, headers, datetime.now(UTC), until=search.until)
            )
        after = lookout.read(listing)
        if after is None:
            break
    return lookout.findings() if lookout else Findings()


def window_of(
    sent_at: datetime, timeout_s: float, headers: Mapping[str, str], now: datetime, *, until: datetime | None = None
) -> Window:
    """When a create in doubt must have been accepted, by the clock that dates the list. Pure."""
    skew, allowance = timedelta(0), SKEW_UNKNOWN
    with suppress(KeyError, ValueError, TypeError):
        skew, allowance = parsedate_to_datetime(headers["date"]) - now, SKEW_KNOWN
    opens = sent_at + skew - allowance
    return Window(opens, (until or sent_at) + skew + allowance + timedelta(seconds=timeout_s) + LATE)


def compare(video: WireVideo, prepared: Prepared, window: Window) -> bool | None:
    """Whether a listed job is the one in doubt: True certain, False perhaps, None no. Pure.

    Where prompts are not told, or a detail differs that servers are known to rewrite, it stays at perhaps: a wrong
    "no" buys a video twice, a wrong "perhaps" asks a person.
    """
    request = prepared.request
    if video.created_at is not None and video.created_at < window.opens:
        return None
    same_prompt = _same_prompt(video.prompt, request.prompt)
    if same_prompt is None:
        return None
    same_origin = _same_origin(video.remixed_from_video_id, request.source)
    if same_origin is None:
        return None
    same_model = video.model is None or video.model == request.model.model
    same_seconds = video.seconds is None or video.seconds == made_seconds(request)
    same_size = video.size is None or video.size == request.size
    if not same_prompt:
        if request.source is not None and request.source.kind is not SourceKind.EXTEND:
            return False  # model, size and length are those that the server took from the source
        # Self-hosted servers count the frames they made: near the length and size asked for is near enough.
        # Of an extension some may tell the length of the new part alone.
        lengths = (made_seconds(request) or 0, request.seconds or 0)
        close_seconds = same_seconds or any(abs((video.seconds or 0) - length) <= 1 for length in lengths)
        close_size = same_size or _close(video.size, request.size)
        return False if close_seconds and close_size and _related(video.model, request.model.model) else None
    dated = video.created_at is not None and video.created_at <= window.closes
    return dated and same_origin and same_model and same_seconds and same_size


def _same_prompt(said: str | None, asked: str) -> bool | None:
    """True: the same words; False: not told, or only how they begin; None: others."""
    if said is None:
        return False
    said, asked = " ".join(said.split()), " ".join(asked.split())
    if said == asked:
        return True
    beginning = said.rstrip(".…")
    return False if len(beginning) >= SHORTENED and asked.startswith(beginning) else None


def _same_origin(said: str | None, source: SourceVideo | None) -> bool | None:
    """Whether the job that a listed one was remixed from is ours: True fits; False not told, or not to be compared;
    None another.

    The vendor tells it of remixes alone: nothing is documented for edits and extensions, so what is told of them
    proves nothing, and neither does silence.
    """
    if source is None or source.kind is not SourceKind.REMIX:
        return said is None or (source is not None and said == source.remote_id)
    if said is None or source.remote_id is None:
        return False
    said, ours = _original_id(said), _original_id(source.remote_id)
    if said == ours:
        return True
    # Ids of one form can be compared. A relay may tell the id of whoever works behind it, in another form.
    return None if VENDOR_ID.fullmatch(said) and VENDOR_ID.fullmatch(ours) else False


def _original_id(remote_id: str) -> str:
    """LiteLLM packs the id of the provider behind it into its own, and not always in the same way."""
    with suppress(ValueError):
        packed = base64.b64decode(remote_id.removeprefix("video_"), validate=True).decode()
        if match := re.search(r"(?:^|;)video_id:([^;]+)", packed):
            return match[1]
    return remote_id


def _close(one: Size | None, other: Size | None) -> bool:
    return one is None or other is None or all(abs(a - b) <= 32 for a, b in zip(one, other, strict=True))


def _related(said: str | None, asked: str) -> bool:
    return said is None or said in asked or asked in said
