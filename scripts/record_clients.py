"""Record what the official SDKs put on the wire, for the tests of the gateway's parsing.

    python scripts/record_clients.py

Each request becomes a file of tests/gateway/recorded, byte for byte, but for what differs from one run to the next: the
address, the key and the random part of a multipart boundary are replaced by fixed ones. The one request that may differ
still is Node's of a stream, whose boundary has no fixed length. Install the SDKs first: scripts/sdks.py.
"""

import re
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.gateway.sdk import clients  # noqa: E402 - the tests are no package of the environment

RECORDED = ROOT / "tests" / "gateway" / "recorded"
KEY = "sk-to-be-replaced"
VIDEO_ID = "video_" + "5" * 32
PICTURE_URL = "data:image/png;base64,iVBORw0KGgo="
ANSWER = b'{"id": "video_1", "object": "video", "status": "queued", "data": []}'
PICTURE = bytes.fromhex(  # 1x1, white
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63f80f0001010100"
    "1bb6ee560000000049454e44ae426082"
)
CLIP = bytes.fromhex("000000186674797069736f6d0000020069736f6d69736f32") + b"\0\0\0\x08free" + b"\0\0\0\x08mdat"

SHARED = {"model": "sora-2", "seconds": "8", "size": "1280x720"}
SCENARIOS: Mapping[str, Mapping[str, Any]] = {
    "create_text": SHARED,
    "create_number": SHARED,
    "create_file": SHARED,
    "create_bytes": SHARED,
    "create_handle": SHARED,
    "create_stream": SHARED,
    "create_object": {**SHARED, "image_url": PICTURE_URL},
    "create_file_id": SHARED,
    "create_json": {**SHARED, "image_url": PICTURE_URL, "extra_body": {"seconds": 8}},
    "create_extra": SHARED,
    "remix": {"video_id": VIDEO_ID},
    "edit_file": {"extra_body": {"model": "sora-2"}},
    "edit_id": {"video_id": VIDEO_ID},
    "edit_post": {"video_id": VIDEO_ID},
    "extend_file": {},
    "extend_id": {"video_id": VIDEO_ID},
    "create_character": {},
    "delete": {"video_id": VIDEO_ID},
}


def main() -> int:
    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        picture, clip = Path(folder) / "first.png", Path(folder) / "clip.mp4"
        picture.write_bytes(PICTURE)
        clip.write_bytes(CLIP)
        for sdk in clients.ALL:
            for scenario, args in SCENARIOS.items():
                file = picture if scenario.startswith("create") and scenario != "create_character" else clip
                request = recorded(sdk, scenario, {**args, "file": str(file)})
                if request:  # else: this package has no such call, or refuses it before anything is sent
                    (RECORDED / f"{sdk.name}-{scenario}.http").write_bytes(request)
    print(f"{len(list(RECORDED.glob('*.http')))} requests in {RECORDED.relative_to(ROOT)}")
    return 0


def recorded(sdk: clients.Sdk, scenario: str, args: Mapping[str, Any]) -> bytes:
    """The one request that a scenario makes; nothing, if it makes none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[bytes] = []
        listener = threading.Thread(target=listen, args=(server, heard))
        listener.start()
        port = server.getsockname()[1]
        try:
            sdk.run(scenario, f"http://127.0.0.1:{port}/v1", KEY, **args)
        finally:
            socket.create_connection(("127.0.0.1", port)).close()  # tells the listener that no more comes
            listener.join()
    return impersonal(heard[0]) if heard else b""


def listen(server: socket.socket, heard: list[bytes]) -> None:
    """Answer requests, each on a connection of its own, until a connection says nothing."""
    while True:
        connection, _ = server.accept()
        with connection:
            request = read_request(connection)
            if not request:
                return
            heard.append(request)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n"
            connection.sendall(f"{head}connection: close\r\n\r\n".encode() + ANSWER)


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while not complete(request) and (data := connection.recv(65536)):
        request += data
    return request


def complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return False
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        return body.endswith(b"\r\n0\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return len(body) >= (int(length[1]) if length else 0)


def impersonal(request: bytes) -> bytes:
    """Without what is one run's own. Lengths stay as they are, so the framing holds."""
    request = request.replace(KEY.encode(), b"sk-recorded")
    request = re.sub(rb"(?im)^(host: *)127\.0\.0\.1:\d+", rb"\1gateway.example", request)
    request = re.sub(rb"(?im)^(x-stainless-(os|arch|runtime-version): *)[^\r]*", rb"\1any", request)
    boundary = re.search(rb"boundary=([^\r\n;]+)", request)
    if boundary:
        random = boundary[1].lstrip(b"-").removeprefix(b"formdata-undici-")
        request = request.replace(random, (b"0123456789" * 10)[: len(random)])
    return request


if __name__ == "__main__":
    sys.exit(main())
