"""The process behind `rushes serve`: one App, one gateway over it, and the server, in one event loop."""

from collections.abc import Callable
from dataclasses import dataclass

from rushes.app import App
from rushes.errors import ConfigError
from rushes.gateway.auth import Doorkeeper, check_bind, only_this_machine
from rushes.gateway.gateway import Gateway
from rushes.gateway.listen import Listen, serve
from rushes.gateway.server import application


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How to serve. `works`: this process also works on the jobs, unless another one does."""

    listen: Listen
    works: bool = True
    trust_proxy: bool = False


async def serve_here(app: App, serving: Serving, ready: Callable[[str], None]) -> None:
    """Answer over an open App until a signal or a cancellation; `ready` gets the URL when connections are taken.

    Raises ConfigError when it cannot or must not listen.
    """
    listen, trust_proxy = serving.listen, serving.trust_proxy
    check_bind(listen.host, has_keys=await app.keys.any(), trust_proxy=trust_proxy)
    alone = only_this_machine(listen.host, trust_proxy=trust_proxy)
    doorkeeper = Doorkeeper(app.keys, loopback=alone)
    gateway = Gateway(app, doorkeeper, loopback=alone)
    wrapped = application(gateway, host=listen.host, trust_proxy=trust_proxy)
    if serving.works:
        app.work()
    failed: Exception | None = None
    async with doorkeeper.on_duty(), gateway.running():
        try:
            await serve(wrapped, listen, ready=ready, stopping=gateway.stop)
        except ConfigError as error:
            failed = error  # raised below, so that it does not come wrapped into a group
    if failed is not None:
        raise failed


def check_workers(database_url: str, workers: int) -> None:
    """Several processes need a database that is made for it. Raises ConfigError."""
    if workers > 1 and not database_url.startswith("postgres"):
        raise ConfigError(
            "--workers needs PostgreSQL: set RUSHES_DATABASE_URL. On an SQLite file one process answers, and quickly."
        )
