"""What a job costs around a provider that answers at once: CPU of this process for each job, media left out.

    python benchmarks/job_overhead.py

The bar: at most 40 ms of CPU a job, after start. The fake runs in another process; its videos are tiny, and the check
and the pictures of them are made in media children, which are not counted. Beside it: a bare script that only creates,
polls and downloads, to know the floor.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
import httpx2

from rushes import App, Wish, config

JOBS = 60
BAR_MS = 40.0


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def through_rushes(home: Path, url: str, key: str) -> float:
    """CPU seconds for each job, measured over JOBS of them after one to warm up."""
    environment = {"RUSHES_HOME": str(home), "OPENAI_BASE_URL": url, "OPENAI_API_KEY": key, "PATH": os.environ["PATH"]}
    settings = config.load(environment=environment, folder=home)
    async with App(settings, leave_worker=False) as app:

        async def make(prompt: str, n: int) -> None:
            wish = Wish(prompt=prompt, model="openai:video:sora-2", seconds=4, n=n, thumbnail=False, spritesheet=False)
            for admission in await app.submit(await app.plan(wish)):
                await app.jobs.wait(admission.job_id)

        app.work()
        await make("warm up", 1)
        before = cpu_s()
        await make("measured", JOBS)
        return (cpu_s() - before) / JOBS


async def bare(url: str, key: str) -> float:
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}) as client:

        async def one() -> None:
            fields = {"prompt": (None, b"bare"), "model": (None, b"sora-2"), "seconds": (None, b"4")}
            fields["size"] = (None, b"1280x720")
            created = await client.post("/videos", files=fields)
            remote_id = created.raise_for_status().json()["id"]
            while (await client.get(f"/videos/{remote_id}")).json()["status"] != "completed":
                await anyio.sleep(1.0)
            await client.get(f"/videos/{remote_id}/content")

        await one()
        before = cpu_s()
        async with anyio.create_task_group() as tasks:
            for _ in range(JOBS):
                tasks.start_soon(one)
        return (cpu_s() - before) / JOBS


def main() -> None:
    command = [sys.executable, "-m", "rushes.testing.fake_openai", "--job-seconds", "0", "--api-key", "sk-bench"]
    with tempfile.TemporaryDirectory() as folder:
        fake = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert fake.stdout is not None
            url = fake.stdout.readline().strip()
            floor_s = anyio.run(bare, url, "sk-bench")
            started = time.monotonic()
            job_s = anyio.run(through_rushes, Path(folder), url, "sk-bench")
            took_s = time.monotonic() - started
        finally:
            fake.terminate()
            fake.wait()
    print(f"{os.cpu_count()} cores; {JOBS} jobs at once")
    print(f"{'what':<34} {'CPU ms a job':>13} {'x bare':>8}")
    print(f"{'bare script, nothing remembered':<34} {floor_s * 1000:>13.1f} {1:>8.1f}")
    print(f"{'rushes, durable':<34} {job_s * 1000:>13.1f} {job_s / floor_s:>8.1f}   ({took_s:.1f} s in all)")
    met = "met" if job_s * 1000 <= BAR_MS else "MISSED"
    print(f"bar: at most {BAR_MS:g} ms of CPU a job: {met} with {job_s * 1000:.1f}")


if __name__ == "__main__":
    main()
