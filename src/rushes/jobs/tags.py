"""Tags: words by which a person finds jobs and their videos again. A tagged video is not collected unless asked."""

from collections.abc import Iterable, Sequence

from rushes.errors import NotFound, Unsupported
from rushes.jobs import shelf
from rushes.jobs.services import Services

TAG_MAX = 80


class Tags:
    """Set, remove and look up the tags of jobs."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def of(self, job_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags of each job, sorted; every id is a key."""
        return await self._s.db.read(lambda connection: shelf.tags_of_jobs(connection, job_ids))

    async def add(self, job_id: str, tags: Iterable[str]) -> list[str]:
        """Tag a job. Returns all its tags. Raises Unsupported for what is no tag, NotFound for a deleted job."""
        wanted = checked_tags(tags)
        await self._check_shown(job_id)
        await self._s.db.write(lambda connection: shelf.add_tags(connection, job_id, wanted))
        return (await self.of([job_id]))[job_id]

    async def remove(self, job_id: str, tags: Iterable[str]) -> list[str]:
        """Take tags off a job. Returns those that stay. Raises NotFound, and then takes none, if it lacks one."""
        unwanted = checked_tags(tags)
        await self._check_shown(job_id)
        have = (await self.of([job_id]))[job_id]
        if missing := [tag for tag in unwanted if tag not in have]:
            its = f"Its tags: {', '.join(have)}." if have else "It has none."
            raise NotFound(f"{job_id} has no tag {missing[0]!r}. {its}")
        await self._s.db.write(lambda connection: shelf.remove_tags(connection, job_id, unwanted))
        return (await self.of([job_id]))[job_id]

    async def _check_shown(self, job_id: str) -> None:
        if (await self._s.load(job_id)).job.deleted_at is not None:
            raise NotFound(f"{job_id} is deleted.")


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, each once, if all of them may be tags. Raises Unsupported. Pure."""
    wanted = tuple(dict.fromkeys(tags))
    for tag in wanted:
        if not 1 <= len(tag) <= TAG_MAX:
            raise Unsupported(f"A tag has 1 to {TAG_MAX} characters, not {len(tag)}.")
        if not tag.isprintable() or "," in tag:
            raise Unsupported(f"{tag!r} is not a tag: commas, line breaks and control characters have no place in one.")
        if tag != tag.strip():
            raise Unsupported(f"{tag!r} is not a tag: it begins or ends with a blank.")
    return wanted
