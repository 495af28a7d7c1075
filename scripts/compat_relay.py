"""A relay between a client and a gateway, which keeps what was asked and what came back.

Its files are requests as they were on the wire, but for the address, the key, random boundaries and ids: the video that
the first create made is `video_` and 31 zeros and a 1 wherever it is named, the next one ends in 2. So they can be
replayed in their order against any gateway. A request that is asked again, as while polling, is kept once.
"""

import http.client
import json
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from record_clients import impersonal, read_request

ID = re.compile(rb"(?:video|char)_[0-9a-f]{32}")
HOP = ("connection", "content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Exchange:
    request: bytes
    status: int
    answer: bytes


class Relay:
    """Listens on a port of its own from `with` on."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._gateway = (where.hostname or "127.0.0.1", where.port or 80)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.exchanges: list[Exchange] = []

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed: nobody is expected any more
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while request := read_request(client):
                client.sendall(self._passed_on(request))

    def _passed_on(self, request: bytes) -> bytes:
        method = request.partition(b" ")[0].decode()
        with socket.create_connection(self._gateway) as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            body = answer.read()
        self.exchanges.append(Exchange(request, answer.status, body))
        head = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        head += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in HOP]
        return "\r\n".join([*head, f"content-length: {len(body)}", "\r\n"]).encode() + body

    def write(self, folder: Path, series: str) -> None:
        """One file for each request that went well, numbered in their order."""
        good = [exchange for exchange in self.exchanges if exchange.status == 200]
        names = placeholders(good)
        kept: list[bytes] = []
        for exchange in good:
            request = ID.sub(lambda found: names.setdefault(found[0], found[0]), impersonal(exchange.request))
            if request not in kept:
                kept.append(request)
        for number, request in enumerate(kept, 1):
            (folder / f"{series}-{number:02}-{call_of(request)}.http").write_bytes(request)


def placeholders(exchanges: list[Exchange]) -> dict[bytes, bytes]:
    """For each id the one that stands for it: those made here are counted, those that were brought along are 0."""
    names: dict[bytes, bytes] = {}
    counted = {b"video": 0, b"char": 0}
    for exchange in exchanges:
        if exchange.request.startswith(b"POST"):
            made = json.loads(exchange.answer)["id"].encode()
            kind = made.partition(b"_")[0]
            counted[kind] += 1
            names[made] = b"%s_%032d" % (kind, counted[kind])
    for exchange in exchanges:
        for found in ID.findall(exchange.request):
            names.setdefault(found, b"%s_%032d" % (found.partition(b"_")[0], 0))
    return names


def call_of(request: bytes) -> str:
    """The operation that a request asks for, and in which form."""
    line, _, rest = request.partition(b"\r\n")
    method, target, _ = line.decode().split()
    path, _, query = target.partition("?")
    pieces = ["id" if ID.fullmatch(piece.encode()) else piece for piece in path.split("/")]
    last = "_".join(pieces[pieces.index("video" if "video" in pieces else "videos") :])
    variant = re.search(r"variant=(\w+)", query)
    form = ""
    if method == "POST" and last == "videos":
        form = "_json" if re.search(rb"(?im)^content-type: *application/json", rest) else "_form"
        form = "_file" if b'filename="' in rest else form
    return f"{method.lower()}_{last}{form}{'_' + variant[1] if variant else ''}"
