"""A far side for many jobs: the Videos dialect on one event loop, as little of it as a benchmark needs.

    python benchmarks/parts/far_side.py --job-seconds 2 --video-bytes 500000

It prints its address, creates, shows, lists and serves jobs, and keeps count of what it charged. It checks nothing:
whether rushes speaks the dialect well is proven against the real fakes. With `--hold` all jobs end at
`POST /_fake/release` and none before, so that a benchmark decides when the waiting is over.
`GET /_fake/book` tells the counts.
"""

import argparse
import asyncio
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

BLOCK = 1 << 18
PROMPT = re.compile(rb'name="prompt"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)


@dataclass(slots=True)
class RemoteJob:
    id: str
    prompt: str
    started: float  # monotonic
    created_at: int


@dataclass(slots=True)
class FarSide:
    """All jobs, and how they are told of."""

    job_s: float
    files: dict[str, tuple[str, bytes]]  # by variant: type and bytes
    held: bool
    says_progress: bool
    ends_at_release: bool = False
    jobs: dict[str, RemoteJob] = field(default_factory=dict)
    polls: int = 0
    downloads: int = 0
    prompts: dict[str, int] = field(default_factory=dict)

    def create(self, body: bytes) -> dict[str, Any]:
        found = PROMPT.search(body)
        prompt = found.group(1).decode() if found else str(json.loads(body)["prompt"])
        job = RemoteJob(f"video_{secrets.token_hex(16)}", prompt, time.monotonic(), int(time.time()))
        self.jobs[job.id] = job
        self.prompts[prompt] = self.prompts.get(prompt, 0) + 1
        return self.shown(job)

    def shown(self, job: RemoteJob) -> dict[str, Any]:
        age_s = time.monotonic() - job.started
        done = not self.held and (self.ends_at_release or age_s >= self.job_s)
        share = 1.0 if self.job_s <= 0 else min(0.99, age_s / self.job_s)
        return {
            "id": job.id,
            "object": "video",
            "created_at": job.created_at,
            "completed_at": int(time.time()) if done else None,
            "status": "completed" if done else "in_progress",
            "model": "sora-2",
            "progress": 100 if done else int(share * 100) if self.says_progress else None,
            "prompt": job.prompt,
            "seconds": "4",
            "size": "1280x720",
        }

    def listed(self, limit: int, after: str | None) -> dict[str, Any]:
        newest_first = list(reversed(self.jobs.values()))
        if after is not None:
            places = [n for n, job in enumerate(newest_first) if job.id == after]
            newest_first = newest_first[places[0] + 1 :] if places else []
        page = [self.shown(job) for job in newest_first[:limit]]
        return {"object": "list", "data": page, "has_more": len(newest_first) > limit}

    def book(self) -> dict[str, int]:
        return {
            "charged": len(self.jobs),
            "paid_twice": sum(1 for count in self.prompts.values() if count > 1),
            "polls": self.polls,
            "downloads": self.downloads,
        }


@dataclass(slots=True)
class Connection:
    """One connection that stays open: request after request."""

    far_side: FarSide
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def serve(self) -> None:
        try:
            while await self._one():
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writer.close()

    async def _one(self) -> bool:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await self._body(headers)
        steps = urlsplit(target).path.strip("/").split("/")
        far_side = self.far_side
        match method, steps:
            case "POST", ["v1", "videos"]:
                self._say(far_side.create(body))
            case "GET", ["v1", "videos"]:
                query = parse_qs(urlsplit(target).query)
                self._say(far_side.listed(int(query.get("limit", ["20"])[0]), query.get("after", [None])[0]))
            case "GET", ["v1", "videos", remote_id] if remote_id in far_side.jobs:
                far_side.polls += 1
                self._say(far_side.shown(far_side.jobs[remote_id]))
            case "GET", ["v1", "videos", remote_id, "content"] if remote_id in far_side.jobs:
                variant = parse_qs(urlsplit(target).query).get("variant", ["video"])[0]
                far_side.downloads += variant == "video"
                await self._content(headers, variant)
            case "POST", ["_fake", "release"]:
                far_side.held = False
                self._say(far_side.book())
            case "GET", ["_fake", "book"]:
                self._say(far_side.book())
            case _:
                self._say({"error": {"message": "not found"}}, status="404 Not Found")
        await self.writer.drain()
        return headers.get("connection", "").lower() != "close"

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts: list[bytes] = []
            while size := int(await self.reader.readline(), 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readline()
            await self.reader.readline()
            return b"".join(parts)
        return await self.reader.readexactly(int(headers.get("content-length", "0")))

    def _say(self, value: dict[str, Any], status: str = "200 OK") -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def _content(self, headers: dict[str, str], variant: str) -> None:
        mime, video = self.far_side.files[variant]
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = "206 Partial Content" if "range" in headers else "200 OK"
        lines = [f"HTTP/1.1 {status}", f"content-type: {mime}", f"content-length: {len(video) - start}"]
        if "range" in headers:
            lines.append(f"content-range: bytes {start}-{len(video) - 1}/{len(video)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        view = memoryview(video)
        for place in range(start, len(video), BLOCK):
            self.writer.write(view[place : place + BLOCK])
            await self.writer.drain()


async def serve(far_side: FarSide) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(far_side, reader, writer).serve()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def files(size_bytes: int) -> dict[str, tuple[str, bytes]]:
    """A real, playable clip of about that size, from the cache of the test clips, and its pictures."""
    from rushes.testing import clips

    return {
        "video": ("video/mp4", clips.clip(1280, 720, 4.0, size_bytes=size_bytes)),
        "thumbnail": ("image/webp", clips.picture(320, 180, "WEBP")),
        "spritesheet": ("image/jpeg", clips.picture(640, 360, "JPEG")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="A lean far side that speaks the Videos dialect.")
    parser.add_argument("--job-seconds", type=float, default=2.0)
    parser.add_argument("--video-bytes", type=int, default=0)
    parser.add_argument("--hold", action="store_true", help="all jobs end at POST /_fake/release, none before")
    parser.add_argument("--no-progress", action="store_true", help="never tell a percentage")
    chosen = parser.parse_args()
    far_side = FarSide(
        job_s=chosen.job_seconds,
        files=files(chosen.video_bytes),
        held=chosen.hold,
        says_progress=not chosen.no_progress,
        ends_at_release=chosen.hold,
    )
    asyncio.run(serve(far_side))


if __name__ == "__main__":
    main()
