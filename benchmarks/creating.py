"""What it costs the gateway to take a create, durably: CPU of its whole tree of processes for each answer.

    python benchmarks/creating.py

The bar: at most 4 ms of CPU, the commit included. `rushes serve --no-worker` answers, so that no job is begun while
creates are counted; the client is a bare connection in this process. Once as JSON, once as the form that the OpenAI
libraries send, once with a picture of 100 KB in it; beside it a look at a job, which costs no question to the database.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from parts import measuring

CREATES = 500
LOOKS = 3000
BAR_MS = 4.0
FIELDS = {"model": "sora-2", "seconds": "4", "size": "720x1280"}
Body = tuple[str, bytes]


def as_json(n: int) -> Body:
    return "application/json", json.dumps({"prompt": f"A fox, take {n}", **FIELDS}).encode()


def as_form(n: int, picture: bytes = b"") -> Body:
    boundary = uuid.uuid4().hex
    fields = {"prompt": f"A fox, take {n}", **FIELDS}
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join(parts).encode()
    if picture:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="input_reference"; filename="a.png"\r\n'
        body += head.encode() + b"Content-Type: image/png\r\n\r\n" + picture + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def picture() -> bytes:
    out = BytesIO()
    Image.effect_noise((320, 320), 100).save(out, "PNG")
    return out.getvalue()


def cpu_ms(pid: int, count: int, once: Callable[[int], None]) -> tuple[float, float]:
    """CPU and time for each of so many calls, in milliseconds."""

    def used() -> float:
        return measuring.cpu_with_children_s(pid, list(measuring.pids_of_tree(pid)))

    for n in range(20):
        once(-n - 1)
    before, began = used(), time.perf_counter()
    for n in range(count):
        once(n)
    took_s = time.perf_counter() - began
    return (used() - before) / count * 1000, took_s / count * 1000


def measured(pid: int, url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def answer(method: str, path: str, body: Body | None = None) -> dict[str, str]:
        headers = {"content-type": body[0]} if body else {}
        connection.request(method, path, body=body[1] if body else None, headers=headers)
        response = connection.getresponse()
        said = response.read()
        if response.status != 200:
            raise SystemExit(f"{method} {path} was answered {response.status}: {said[:200]!r}")
        return json.loads(said)

    image = picture()
    known = answer("POST", "/v1/videos", as_json(0))["id"]
    runs: list[tuple[str, int, Callable[[int], None]]] = [
        ("create, JSON", CREATES, lambda n: void(answer("POST", "/v1/videos", as_json(n)))),
        ("create, form", CREATES, lambda n: void(answer("POST", "/v1/videos", as_form(n)))),
        ("create, picture", CREATES, lambda n: void(answer("POST", "/v1/videos", as_form(n, image)))),
        ("status", LOOKS, lambda n: void(answer("GET", f"/v1/videos/{known}"))),
    ]
    print(f"{'':16} {'CPU ms':>8} {'ms':>8}")
    for name, count, once in runs:
        cpu, took = cpu_ms(pid, count, once)
        bar = BAR_MS if name.startswith("create") else 0.5
        print(f"{name:16} {cpu:8.2f} {took:8.2f}   {'within' if cpu <= bar else 'over'} {bar:g}")


def void(_: object) -> None:
    """For calls whose answer is of no interest."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "rushes.toml").write_text("[gateway]\nrequests_per_second = 1000000\nrequests_burst = 1000000\n")
        environment = {"RUSHES_HOME": folder, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "rushes", "serve", "--port", "0", "--no-worker"]
        server = subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        try:
            said = server.stderr.readline().strip()
            if not said.startswith("Serving on "):
                raise SystemExit(said + server.stderr.read())
            measured(server.pid, said.removeprefix("Serving on "))
        finally:
            server.terminate()
            server.communicate(timeout=60)


if __name__ == "__main__":
    main()
