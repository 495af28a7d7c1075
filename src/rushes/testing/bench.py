"""A provider by itself, without an App: for contract suites and for trying one out."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from importlib.resources import files
from pathlib import Path

import anyio

from rushes.config import GatewaySettings, ProviderSettings, Settings
from rushes.http import Http
from rushes.media.children import Children
from rushes.providers.base import Provider
from rushes.providers.catalog import Model, open_model, read_table
from rushes.providers.prepare import Misfit, Prepared, prepare
from rushes.providers.terms import Asset, Context
from rushes.video import MediaRef, VideoRequest

TODAY = date(2026, 11, 20)


class Inputs:
    """Pictures that requests refer to, as the store would hold them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, bytes] = {}

    def add(self, data: bytes, mime: str, width: int, height: int) -> MediaRef:
        sha256 = hashlib.sha256(data).hexdigest()
        self._held[sha256] = data
        return MediaRef(sha256=sha256, mime=mime, size_bytes=len(data), width=width, height=height)

    async def read(self, ref: MediaRef) -> bytes:
        return self._held[ref.sha256]

    async def path(self, ref: MediaRef) -> Path:
        path = self._folder / ref.sha256
        path.write_bytes(self._held[ref.sha256])
        return path


@asynccontextmanager
async def opened(
    kind: type[Provider],
    *,
    folder: Path,
    environment: Mapping[str, str],
    name: str | None = None,
    section: ProviderSettings | None = None,
    inputs: Inputs | None = None,
    models: Iterable[Model] = (),
    public_url: str | None = None,
) -> AsyncGenerator[Provider]:
    """The provider, configured by these variables and this section, with connections of its own.

    It knows the models of its table and the given ones; of any other, that everything is allowed.
    """
    name = name or kind.name
    inputs = inputs or Inputs(folder)
    settings = Settings(
        home=folder,
        database_url=f"sqlite:///{folder / 'rushes.db'}",
        media_url=str(folder / "media"),
        environment=environment,
        providers={name: section} if section else {},
        gateway=GatewaySettings(public_url=public_url),
    )
    known = {model.id: model for model in [*tables_of(kind), *models]}
    http = Http(settings)
    try:
        async with Children() as children, anyio.create_task_group() as tasks:

            def start_soon(work: Callable[..., Awaitable[object]], *arguments: object) -> None:
                tasks.start_soon(_awaiting, work, arguments)

            context = Context(
                name=name,
                settings=settings,
                http=http,
                folder=folder,
                model=lambda model_id: known.get(model_id) or open_model(model_id, None),
                read_input=inputs.read,
                input_path=inputs.path,
                children=children,
                start_soon=start_soon,
            )
            yield kind(context)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The task group wraps what a test raises; alone it reads better, and `pytest.raises` knows it.
        raise group.exceptions[0] if len(group.exceptions) == 1 else group  # noqa: B904 - "from" would lose its cause
    finally:
        with anyio.move_on_after(5, shield=True):
            await http.aclose()


def tables_of(kind: type[Provider]) -> list[Model]:
    """The table beside a provider, as its own name has it; none where it has none."""
    package = kind.__module__.rpartition(".")[0]
    for place in (package, package.rpartition(".")[0]):
        if place and files(place).joinpath(f"{kind.name}.toml").is_file():
            return read_table(kind.name, place)
    return []


async def _awaiting(work: Callable[..., Awaitable[object]], arguments: tuple[object, ...]) -> None:
    await work(*arguments)


async def fetched(provider: Provider, asset: Asset, offset: int = 0, etag: str | None = None) -> bytes:
    """All bytes of an asset, from `offset` on."""
    async with provider.open(asset, offset=offset, etag=etag) as body:
        skip = offset - body.offset  # a far side without ranges sends everything
        return b"".join([chunk async for chunk in body.chunks])[skip:]


def prepared(request: VideoRequest, model: Model, misfit: Misfit = Misfit.STRICT) -> Prepared:
    """A request made ready, on a day that does not move."""
    return prepare(request, model, misfit=misfit, today=TODAY)
