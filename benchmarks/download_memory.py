"""How much memory, time and CPU a large download takes: `python benchmarks/download_memory.py [MB]`.

The server is another process, so that the numbers are the downloader's own. The bar is less than 30 MB of growth,
whatever the size of the file.
"""

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

SERVER = """
import http.server, sys
size = int(sys.argv[1])
block = b"\\0\\0\\0\\x18ftypisom" + bytes(range(256)) * 4096
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(size))
        self.send_header("content-type", "video/mp4")
        self.end_headers()
        left = size
        while left > 0:
            left -= self.wfile.write(block[:min(left, len(block))])
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
BAR_MB = 30


def memory_mb() -> float:
    """What is resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    import anyio

    from rushes.config import Settings
    from rushes.http import Http
    from rushes.media.download import Downloaded, download

    size = int(float(sys.argv[1]) if len(sys.argv) > 1 else 500) * 1_000_000

    async def fetch(url: str, folder: Path) -> Downloaded:
        http = Http(Settings(home=folder, database_url="", media_url=""))
        try:
            return await download(
                lambda offset, etag: http.fetch(url, offset=offset, etag=etag, trusted=[urlsplit(url).netloc]),
                folder / "a.part",
                max_bytes=size,
            )
        finally:
            await http.aclose()

    server = subprocess.Popen([sys.executable, "-c", SERVER, str(size)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/video.mp4"
    before = peak = memory_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            started, used = time.monotonic(), cpu_s()
            got = anyio.run(fetch, url, Path(folder))
            took_s, used_s = time.monotonic() - started, cpu_s() - used
            with got.path.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == got.sha256
    finally:
        done.set()
        watcher.join()
        server.kill()
        server.wait()
    growth = peak - before
    print("| file MB | growth of memory MB (bar 30) | MB/s | CPU s/GB |")
    print("|---|---|---|---|")
    print(f"| {size / 1e6:.0f} | {growth:.1f} | {size / 1e6 / took_s:.0f} | {used_s / (size / 1e9):.2f} |")
    return 0 if growth < BAR_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
