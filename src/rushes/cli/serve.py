"""`rushes serve`: the gateway, in the foreground."""

import sys
from pathlib import Path

import anyio
import click

from rushes.app import App
from rushes.cli.run import Interrupted, common_options, run, settings_of


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a key first.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes; on PostgreSQL.")
@click.option("--no-worker", is_flag=True, help="Only answer: `rushes worker` works elsewhere.")
@click.option("--reload", is_flag=True, help="Start anew when the code or rushes.toml changes.")
@click.option("--ssl-certfile", help="Certificate in PEM, with its chain.")
@click.option("--ssl-keyfile", help="Its key in PEM.")
@click.option("--trust-proxy", is_flag=True, help="Believe the X-Forwarded headers: a proxy of yours sets them.")
@click.option("--inherited", "handed_on", hidden=True, help="Used by rushes itself, between its processes.")
@common_options
def serve(
    host: str,
    port: int,
    workers: int,
    no_worker: bool,
    reload: bool,
    ssl_certfile: str | None,
    ssl_keyfile: str | None,
    trust_proxy: bool,
    handed_on: str | None,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """Serve the OpenAI Videos API, Azure's, and our own, over any model.

    Point a client at it: base_url="http://127.0.0.1:8000/v1". Without keys it answers this machine alone; make one with
    `rushes keys create NAME`. It also works on the jobs, unless another worker does.
    """
    from rushes.gateway.listen import Listen
    from rushes.gateway.process import Serving, check_workers, serve_here
    from rushes.gateway.supervisor import inherited, supervise

    settings = settings_of(env_file, log_level)
    check_workers(settings.database_url, workers)
    listen = Listen(
        host=host,
        port=port,
        workers=workers,
        reload=reload,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        inherited=inherited(handed_on) if handed_on else (),
    )

    def ready(url: str) -> None:
        click.echo(f"Serving on {url}", err=True)

    if (workers > 1 or reload) and not handed_on:
        places = [Path(__file__).parents[1], *([settings.config_path] if settings.config_path else [])]

        def command(handed: str) -> list[str]:
            return [sys.executable, "-m", "rushes", *sys.argv[1:], "--inherited", handed]

        anyio.run(lambda: supervise(command, listen, ready=ready, watch=places if reload else ()))
        return
    serving = Serving(listen=listen, works=not no_worker, trust_proxy=trust_proxy)

    async def work(app: App) -> None:
        await serve_here(app, serving, ready)

    try:
        run(settings, work)
    except Interrupted:
        return
