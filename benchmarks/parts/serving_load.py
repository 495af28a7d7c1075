"""Clients for `benchmarks/serving.py`, as bare as a socket allows, so that the numbers are the server's.

    python benchmarks/parts/serving_load.py URL SECONDS

As a script it downloads the URL again and again for so long: the load under which others are timed.
"""

import http.client
import socket
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

BUFFER = bytearray(1 << 20)


@dataclass(frozen=True, slots=True)
class Download:
    body_bytes: int
    first_byte_s: float  # of the body, from the moment the request leaves
    took_s: float


def opened(url: str, *, receive_bytes: int | None = None) -> socket.socket:
    """A connection on which the GET was sent. A small receive buffer makes a reader that takes little at a time."""
    place = urlsplit(url)
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(30)
    connection.connect((place.hostname, place.port))
    connection.sendall(f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
    return connection


def downloaded(url: str) -> Download:
    began = time.perf_counter()
    with opened(url) as connection:
        head = b""
        while b"\r\n\r\n" not in head or head.endswith(b"\r\n\r\n"):
            head += (got := connection.recv(1 << 16))
            if not got:
                break
        first_byte_s = time.perf_counter() - began
        head, _, begun = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{url} answered {head[:200]!r}")
        body_bytes = len(begun)
        while got := connection.recv_into(BUFFER):
            body_bytes += got
    return Download(body_bytes, first_byte_s, time.perf_counter() - began)


def answer_times_s(url: str, count: int, pause_s: float = 0.0) -> list[float]:
    """How long each of so many GETs over one connection took."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=30)
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", place.path)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{url} answered {answer.status}")
        if pause_s:
            time.sleep(pause_s)
    connection.close()
    return times


def main() -> None:
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        downloaded(sys.argv[1])


if __name__ == "__main__":
    main()
