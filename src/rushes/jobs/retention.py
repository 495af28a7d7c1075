"""Retention: which files may go, and their going.

The decision is a pure function of what lies in the store, what the ledger refers to, and what was asked. Two kinds
of file go: those that nothing refers to, once they are old enough that nobody can be about to; and, only when an age
or a size is named, the files of finished videos, oldest first. Of a collected video everything stays but its files:
the ledger keeps prompt, cost and history.

What goes is marked in the ledger, in one transaction together with the decision, and removed after it. So nobody is
ever promised a file that is about to go, and a crash in between leaves files that nothing refers to: the next run
removes those.

A media store belongs to one database. A database without any video removes nothing that it does not know, because
most likely it is the wrong one.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from rushes.errors import MediaError
from rushes.jobs import shelf, store
from rushes.jobs.inventory import (
    Amount,
    Found,
    Kind,
    amounts,
    amounts_by_model,
    disks,
    inventory,
)
from rushes.jobs.services import Services
from rushes.jobs.shelf import Holding
from rushes.media.disk import disk_error
from rushes.media.store import video_prefix
from rushes.video import ModelId

REMOVED_TOGETHER = 250  # of a bucket: four files a video, a thousand files a request
SAFETY_AGE = timedelta(hours=1)
"""Somebody may be about to refer to what is younger: a picture is stored before the job that uses it is admitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may go besides what nothing refers to. Both limits hold: nothing older stays, and no more than that."""

    older_than: timedelta | None = None
    keep_bytes: int | None = None
    tagged: bool = False  # tagged videos may go, too
    keep_unknown: bool = False  # what this database does not know stays


class Why(StrEnum):
    OLD = "older than asked"
    TOO_MUCH = "over the size asked"
    COLLECTED = "collected, but left behind"
    DELETED = "of a deleted or failed job"
    UNKNOWN = "unknown to this database"
    UNUSED_INPUT = "input of no job"
    STALE = "left over from work"

    @property
    def of_the_library(self) -> bool:
        """Whether a video goes that somebody could still look at."""
        return self in (Why.OLD, Why.TOO_MUCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that may go: the folder of a video, or a single file."""

    why: Why
    files: tuple[Found, ...]
    folder: str | None = None
    made_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.folder or self.files[0].name

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What may go, and how many bytes of videos stay: `pinned` ones because something refers to them."""

    removals: tuple[Removal, ...] = ()
    staying_bytes: int = 0
    pinned: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.removals)

    def within(self, shown: "Plan") -> "Plan":
        """No more than what somebody agreed to."""
        agreed = {each.name for each in shown.removals}
        kept = tuple(each for each in self.removals if each.name in agreed)
        return Plan(removals=kept, staying_bytes=self.staying_bytes, pinned=self.pinned)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What the ledger says of files at one moment."""

    held: Sequence[Holding]
    inputs: frozenset[str]


# -- the decision ----------------------------------------------------------------------------------


def plan_gc(found: Sequence[Found], refers: References, policy: Policy, now: datetime) -> Plan:
    """Decide what goes. Pure. `found` was listed before `refers` was read, so no file in it lacks its row."""
    folders = _by_folder(found)
    claims = _claims(refers.held)
    orphans = [
        *_orphaned_folders(folders, claims, refers, policy, now),
        *_orphaned_files(found, claims, refers, policy, now),
    ]
    videos, staying_bytes, pinned = _collectable(folders, claims, policy, now)
    return Plan(removals=(*videos, *orphans), staying_bytes=staying_bytes, pinned=pinned)


def _by_folder(found: Sequence[Found]) -> dict[str, tuple[Found, ...]]:
    inside = sorted((each for each in found if each.folder is not None), key=lambda each: str(each.folder))
    return {str(folder): tuple(files) for folder, files in groupby(inside, key=lambda each: each.folder)}


def _claims(held: Sequence[Holding]) -> dict[str, list[Holding]]:
    """Which videos refer to each folder. A job under way refers to the folders that its files will lie in."""
    claims: defaultdict[str, list[Holding]] = defaultdict(list)
    for each in held:
        theirs = set[str | None]()
        if not each.state.final:
            theirs = {each.stored_under, each.video_id}
        elif not each.deleted:
            theirs = {each.stored_under}
        for folder in theirs - {None}:
            claims[str(folder)].append(each)
    return dict(claims)


def _orphaned_folders(
    folders: Mapping[str, tuple[Found, ...]],
    claims: Mapping[str, list[Holding]],
    refers: References,
    policy: Policy,
    now: datetime,
) -> Iterator[Removal]:
    known = {each.video_id: _why_unused(each) for each in refers.held}
    for folder, files in folders.items():
        if folder in claims:
            continue
        why = known.get(folder, Why.UNKNOWN)
        # What was collected was decided upon then; everything else may be in somebody's hands just now.
        young = now - max(each.modified for each in files) < SAFETY_AGE
        if (young and why is not Why.COLLECTED) or (why is Why.UNKNOWN and (policy.keep_unknown or not known)):
            continue
        yield Removal(why=why, files=files, folder=folder)


def _why_unused(held: Holding) -> Why:
    return Why.COLLECTED if held.gone and held.stored_under is None else Why.DELETED


def _orphaned_files(
    found: Sequence[Found],
    claims: Mapping[str, list[Holding]],
    refers: References,
    policy: Policy,
    now: datetime,
) -> Iterator[Removal]:
    known = {each.job_id for each in refers.held}
    unfinished = [each for each in refers.held if not each.state.final]
    open_jobs = {each.job_id for each in unfinished}
    busy = {ModelId.parse(each.model).provider for each in unfinished}
    for each in found:
        if now - each.modified < SAFETY_AGE:
            continue
        if each.kind is Kind.INPUT and known and str(each.key).removeprefix("inputs/") not in refers.inputs:
            yield Removal(why=Why.UNUSED_INPUT, files=(each,))
        elif each.kind is Kind.LEFTOVER and (each.folder is None or each.folder in claims):
            yield Removal(why=Why.STALE, files=(each,))
        elif each.kind is Kind.SPOOL and each.job_id not in open_jobs and each.provider not in busy:
            unknown = each.job_id is not None and each.job_id not in known
            if not unknown or (known and not policy.keep_unknown):
                yield Removal(why=Why.STALE, files=(each,))


@dataclass(slots=True)
class _Bundle:
    """The folder of a finished video, shared by all videos that were served from it."""

    folder: str
    files: tuple[Found, ...]
    users: list[Holding]
    born_from: set[str]  # the folders of the videos that its videos started from
    led_to: set[str]  # those of the videos that started from its videos

    @property
    def made_at(self) -> datetime:
        """When it was last of use: made, or served again from the library."""
        return max((each.made_at for each in self.users if each.made_at), default=self.files[0].modified)

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.files)

    def pinned(self, policy: Policy) -> str | None:
        if any(not each.state.final for each in self.users):
            return "of an open job"
        if any(each.tagged for each in self.users) and not policy.tagged:
            return "tagged"
        return None


def _collectable(
    folders: Mapping[str, tuple[Found, ...]], claims: Mapping[str, list[Holding]], policy: Policy, now: datetime
) -> tuple[list[Removal], int, Mapping[str, int]]:
    """Finished videos to collect, oldest first. A video that another one started from goes only after that one."""
    bundles = _bundles(folders, claims)
    staying_bytes = sum(each.size_bytes for each in bundles.values())
    pinned = {folder: why for folder, each in bundles.items() if (why := each.pinned(policy))}
    ready = [(each.made_at, folder) for folder, each in bundles.items() if not each.led_to and folder not in pinned]
    heapq.heapify(ready)
    chosen: dict[str, Removal] = {}
    spared = set[str]()
    while ready:
        made_at, folder = heapq.heappop(ready)
        why = _why_collect(made_at, staying_bytes, policy, now)
        if why is None:
            spared.add(folder)
            continue
        bundle = bundles[folder]
        chosen[folder] = Removal(why=why, files=bundle.files, folder=folder, made_at=made_at)
        staying_bytes -= bundle.size_bytes
        for source in bundle.born_from & bundles.keys():
            bundles[source].led_to.discard(folder)
            if not bundles[source].led_to and source not in pinned:
                heapq.heappush(ready, (bundles[source].made_at, source))
    reasons = [pinned.get(each, "source of another") for each in bundles.keys() - chosen.keys() - spared]
    return list(chosen.values()), staying_bytes, dict(sorted(Counter(reasons).items()))


def _bundles(folders: Mapping[str, tuple[Found, ...]], claims: Mapping[str, list[Holding]]) -> dict[str, _Bundle]:
    """The folders that videos refer to and that exist, with their descent."""
    homes = {each.video_id: folder for folder, users in claims.items() for each in users}
    bundles = {
        folder: _Bundle(folder, folders[folder], users, set(), set())
        for folder, users in claims.items()
        if folder in folders
    }
    for folder, users in claims.items():
        if folder not in bundles and all(each.gone for each in users):
            continue  # found missing: nothing there could need what it started from
        for each in users:
            source = homes.get(each.source_video or "")
            if source in bundles and source != folder:
                bundles[source].led_to.add(folder)
                if folder in bundles:
                    bundles[folder].born_from.add(source)
    return bundles


def _why_collect(made_at: datetime, staying_bytes: int, policy: Policy, now: datetime) -> Why | None:
    age = now - made_at
    if policy.older_than is not None and age > policy.older_than:
        return Why.OLD
    # Whoever waits for a video that was just made has not copied it yet.
    if policy.keep_bytes is not None and staying_bytes > policy.keep_bytes and age >= SAFETY_AGE:
        return Why.TOO_MUCH
    return None


# -- carrying it out -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What went, and what would not."""

    plan: Plan
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What takes how much room."""

    kinds: Mapping[Kind, Amount]
    models: Mapping[str, Amount]
    free_bytes: Mapping[str, int]  # by folder; one for each disk
    orphan_bytes: int  # what nothing refers to
    collectable_bytes: int  # finished videos that may go if an age or a size asks for it

    @property
    def total(self) -> Amount:
        each = self.kinds.values()
        return Amount(sum(a.files for a in each), sum(a.size_bytes for a in each))


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Since when a video's file is not in the library any more, and whether by our doing."""

    at: datetime
    collected: bool


class Retention:
    """Plans and carries out what goes. `home` is the folder with our temporary files."""

    def __init__(self, services: Services, home: Path) -> None:
        self._s = services
        self._home = home

    async def plan(self, policy: Policy) -> Plan:
        """What would go now."""
        found = await inventory(self._s, self._home)
        refers = await self._s.db.read(references)
        return plan_gc(found, refers, policy, self._s.now())

    async def collect(self, policy: Policy, *, agreed: Plan | None = None) -> Collected:
        """Remove what may go at this moment; of that no more than `agreed`. May be repeated after a crash."""
        found = await inventory(self._s, self._home)
        now = self._s.now()

        def work(connection: sa.Connection) -> Plan:
            plan = plan_gc(found, references(connection), policy, now)
            plan = plan.within(agreed) if agreed else plan
            for removal in plan.removals:
                if removal.why.of_the_library:
                    mark(connection, removal, now)
            return plan

        plan = await self._s.db.write(work)
        self._s.reached("gc.marked")
        problems: list[str] = []
        for removals in self._portions(plan.removals):
            try:
                await self._remove_all(removals, now)
            except MediaError as error:
                more = f" and {len(removals) - 1} more" if len(removals) > 1 else ""
                problems.append(f"{removals[0].name}{more}: {error}")
        return Collected(plan=plan, problems=tuple(problems))

    def _portions(self, removals: Sequence[Removal]) -> Iterator[Sequence[Removal]]:
        """What is removed together: each by itself in a folder, many by one request in a bucket."""
        count = 1 if self._s.media.folder is not None else REMOVED_TOGETHER
        return (removals[start : start + count] for start in range(0, len(removals), count))

    async def _remove_all(self, removals: Sequence[Removal], now: datetime) -> None:
        if len(removals) == 1:
            await self.remove(removals[0], now)
            return
        keys: list[str] = []
        for each in (each for removal in removals for each in removal.files):
            if each.path is not None:
                await anyio.to_thread.run_sync(_unlink, each.path)
            elif each.key is not None and not (each.kind is Kind.INPUT and await self._renewed(each.key, now)):
                keys.append(each.key)
        await self._s.media.remove_all_listed(keys)

    async def remove(self, removal: Removal, now: datetime) -> None:
        if removal.folder is not None:
            await self._s.media.delete_all(video_prefix(removal.folder))
            return
        for each in removal.files:
            if each.path is not None:
                await anyio.to_thread.run_sync(_unlink, each.path)
            elif each.key is not None and not (each.kind is Kind.INPUT and await self._renewed(each.key, now)):
                await self._s.media.remove_listed(each.key)

    async def _renewed(self, key: str, now: datetime) -> bool:
        """Whether somebody took up an unused input again since the listing."""
        stored = await self._s.media.head(key)
        return stored is not None and now - stored.modified < SAFETY_AGE

    async def usage(self) -> Usage:
        found = await inventory(self._s, self._home)
        refers = await self._s.db.read(references)
        now = self._s.now()
        everything = plan_gc(found, refers, Policy(keep_bytes=0), now)
        orphans = [each.size_bytes for each in everything.removals if not each.why.of_the_library]
        return Usage(
            kinds=amounts(found),
            models=amounts_by_model(found, refers.held),
            free_bytes=await disks(self._s, self._home),
            orphan_bytes=sum(orphans),
            collectable_bytes=everything.size_bytes - sum(orphans),
        )

    async def absences(self, video_ids: Sequence[str]) -> Mapping[str, Absence]:
        """Which of these videos have no file in the library any more."""
        rows = await self._s.db.read(lambda connection: shelf.videos_gone(connection, video_ids))
        return {row.id: Absence(at=row.gone_at, collected=row.stored_under is None) for row in rows if row.gone_at}


def references(connection: sa.Connection) -> References:
    return References(held=shelf.holdings(connection), inputs=shelf.inputs_in_use(connection))


def mark(connection: sa.Connection, removal: Removal, now: datetime) -> None:
    """Say in the ledger, and in the history of each job, that these files are collected."""
    assert removal.folder is not None
    for holder in shelf.mark_collected(connection, removal.folder, now):
        store.insert_event(
            connection, holder.job_id, "collected", now, video_id=holder.video_id, size_bytes=removal.size_bytes
        )


def _unlink(path: Path) -> None:
    """Remove a temporary file, and the folder of its own that it may have lain in."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.name.startswith("tmp"):
            with suppress(OSError):  # other files may still lie in it
                path.parent.rmdir()
    except OSError as error:
        raise disk_error(error, path) from error
