"""An S3 of our own on loopback: moto's server in a thread of the test run, with troubles on order.

What it holds is in memory and shared by every server of the process, so each bucket gets a name of its own. Needs
moto, which only the developers' extra installs.
"""

import http.client
import logging
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self
from wsgiref.types import StartResponse, WSGIEnvironment

from rushes.errors import ConfigError

HOST = "127.0.0.1"
ACCESS_KEY = "an-access-key-of-the-tests"
SECRET_KEY = "a-secret-key-that-nobody-may-ever-see"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as troubles are chosen by it."""

    method: str
    path: str
    query: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of S3's that is no success."""

    status: int
    code: str = ""
    message: str = "No."

    def body(self) -> bytes:
        error = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        return f'<?xml version="1.0" encoding="UTF-8"?>{error}'.encode() if self.code else b""


Trouble = Callable[[Asked], Refusal | None]
"""Decides what is refused. May wait, for what is slow."""


class S3:
    """A server, for as long as the block lasts.

    with S3() as s3:
        store = MediaStore(s3.bucket(), Settings(…, environment=s3.environment))
    """

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self.asked: list[Asked] = []
        self._app = _moto()
        self._port = 0
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Serve. After `stop` it goes on at the same address, with all that it held."""
        from werkzeug.serving import make_server

        self._server = make_server(HOST, self._port, self._answer, threaded=True)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be gone from the network."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._thread = None

    def bucket(self) -> str:
        """Make a bucket, and return its URL."""
        name = f"rushes-{secrets.token_hex(6)}"
        assert self._call("PUT", f"/{name}").status == 200
        return f"s3://{name}"

    def drop(self, bucket: str) -> None:
        """Remove a bucket that is empty."""
        assert self._call("DELETE", f"/{_name(bucket)}").status == 204

    def keys(self, bucket: str) -> list[str]:
        """What a bucket shows, up to a thousand, by key."""
        return sorted(re.findall(r"<Key>([^<]+)</Key>", self._call("GET", f"/{_name(bucket)}?list-type=2").text))

    def open_uploads(self, bucket: str) -> int:
        """How many uploads were begun, and neither finished nor taken back: their parts are paid for."""
        return self._call("GET", f"/{_name(bucket)}?uploads").text.count("<UploadId>")

    def _call(self, method: str, path: str) -> "_Answer":
        """Past the troubles, which are the client's."""
        trouble, self.trouble = self.trouble, None
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.read().decode())
        finally:
            connection.close()
            self.trouble = trouble

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = Asked(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        self.asked.append(asked)
        refusal = self.trouble(asked) if self.trouble else None
        if refusal is None:
            return self._app(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = refusal.body() if asked.method != "HEAD" else b""
        start_response(f"{refusal.status} No", [("Content-Length", str(len(body)))])
        return [body]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str


def refusing(refusal: Refusal, *methods: str) -> Trouble:
    """Refuse all requests, or those of these methods."""
    return lambda asked: refusal if not methods or asked.method in methods else None


def _name(bucket: str) -> str:
    return bucket.removeprefix("s3://").partition("/")[0]


def _moto() -> Any:
    try:
        from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs]: it ships none
            DomainDispatcherApplication,
            create_backend_app,
        )
    except ImportError as error:
        raise ConfigError("The S3 of the tests needs moto: pip install -e '.[dev]'") from error
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    return DomainDispatcherApplication(create_backend_app)
