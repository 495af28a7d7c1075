"""A way to the database that breaks where it hurts: the server hears a COMMIT, and nobody hears its answer."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

COMMIT = b"COMMIT\x00"  # as it goes over the wire; without its end it would also be found in READ COMMITTED


class CuttingProxy:
    """Passes everything on. While `armed`, the connection that commits is cut as soon as the server has answered."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.armed = False
        self.cuts = 0

    @contextmanager
    def running(self) -> Generator["CuttingProxy"]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, suppress(OSError):
            threading.Thread(target=_pour, args=(server, client), daemon=True).start()
            while data := client.recv(65536):
                cut = self.armed and COMMIT in data
                if cut:
                    # Only what goes to the client is shut: the server must hear, and do, what it was told.
                    client.shutdown(socket.SHUT_WR)
                server.sendall(data)
                if cut:
                    self.armed = False
                    self.cuts += 1


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
