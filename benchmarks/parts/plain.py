"""The floor: a plain asyncio script that only creates, polls each second and saves. It remembers and checks nothing.

python benchmarks/parts/plain.py URL JOBS FOLDER
"""

import asyncio
import sys
from pathlib import Path

import httpx2


async def one(client: httpx2.AsyncClient, n: int, folder: Path) -> None:
    fields = {"prompt": f"plain {n}", "model": "sora-2", "seconds": "4", "size": "1280x720"}
    files = {name: (None, value.encode()) for name, value in fields.items()}
    created = await client.post("videos", files=files)
    remote_id = created.raise_for_status().json()["id"]
    while (await client.get(f"videos/{remote_id}")).json()["status"] != "completed":
        await asyncio.sleep(1.0)
    async with client.stream("GET", f"videos/{remote_id}/content") as reply:
        with (folder / f"{n}.mp4").open("wb") as file:
            async for chunk in reply.aiter_bytes(1 << 18):
                file.write(chunk)


async def main(url: str, jobs: int, folder: Path) -> None:
    async with httpx2.AsyncClient(base_url=f"{url}/", timeout=120) as client:
        await asyncio.gather(*(one(client, n, folder) for n in range(jobs)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
