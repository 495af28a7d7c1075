"""All providers of one App: which there are, which is meant by a model id, which to take when none is named."""

import difflib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rushes import plugins
from rushes.config import Settings
from rushes.errors import ConfigError, RushesError, UnknownModel
from rushes.http import Http
from rushes.media.children import Children
from rushes.providers.base import Provider
from rushes.providers.catalog import Catalog, Model, Price, open_model, read_extra, read_table
from rushes.providers.terms import Availability, Context
from rushes.video import SHORT_NAMES, MediaRef, ModelId

log = logging.getLogger(__name__)

GROUP = "rushes.providers"
PACKAGE = "rushes.providers"
SLIP_CUTOFF = 0.8
"""A name this near to a listed one counts as a slip of the pen, although the server might have it."""
DRAFT = ModelId("draft", "animatic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The model that will serve, the name it was asked by, and what the user should be told about it."""

    model: Model
    asked: str
    fallbacks: tuple[Model, ...] = ()  # to be tried in this order when the one before provably did not accept
    notes: tuple[str, ...] = ()


class Registry:
    """Finds providers and models. Building one imports no provider; each is loaded on first use."""

    def __init__(
        self,
        settings: Settings,
        http: Http,
        folder: Path,
        read_input: Callable[[MediaRef], Awaitable[bytes]],
        input_path: Callable[[MediaRef], Awaitable[Path]],
        children: Children,
        start_soon: Callable[..., None],
    ) -> None:
        self._settings = settings
        self._http = http
        self._folder = folder
        self._read_input = read_input
        self._input_path = input_path
        self._children = children
        self._start_soon = start_soon
        self._loaded: dict[str, Provider] = {}
        self._processes = 1

    @property
    def settings(self) -> Settings:
        return self._settings

    @cached_property
    def _plugins(self) -> dict[str, plugins.Plugin]:
        return plugins.find(GROUP, PACKAGE, "PROVIDER")

    @cached_property
    def catalog(self) -> Catalog:
        """The models of every table, then those of `[catalog] extra`, which may replace them."""
        known = Catalog().merged(model for plugin in self._ordered() for model in _models_of(plugin))
        extra = self._settings.catalog.extra
        return known.merged(read_extra(Path(extra).expanduser())) if extra else known

    def _ordered(self) -> list[plugins.Plugin]:
        order = {name: place for place, name in enumerate(self._settings.defaults.order)}
        names = sorted(self._plugins, key=lambda name: (name == "draft", order.get(name, len(order)), name))
        return [self._plugins[name] for name in names]

    def names(self) -> list[str]:
        """Every provider: the built-in and installed ones in the order of choice, then the servers of `rushes.toml`."""
        own = [name for name, section in self._settings.providers.items() if section.kind and name not in self._plugins]
        return [*own, *(plugin.name for plugin in self._ordered())]

    def provider(self, name: str) -> Provider:
        """The provider of that name, loaded and configured. Raises ConfigError."""
        if name not in self._loaded:
            kind = self._settings.provider(name).kind or name
            if name not in self._plugins and kind == name:
                raise self._unknown_provider(name)
            plugin = plugins.pick(kind, self._plugins, "kind of provider")
            loaded = plugin.load()
            if not (isinstance(loaded, type) and issubclass(loaded, Provider)):
                raise ConfigError(f"The plugin {kind} of {plugin.distribution} names {plugin.target}: no Provider.")
            context = Context(
                name=name,
                settings=self._settings,
                http=self._http,
                folder=self._folder / name,
                model=self.model,
                read_input=self._read_input,
                input_path=self._input_path,
                children=self._children,
                start_soon=self._start_soon,
            )
            provider = self._loaded[name] = loaded(context)
            provider.turns.set_share(self._processes)
        return self._loaded[name]

    def availability(self, name: str) -> Availability:
        """Whether a provider can serve; one whose section is wrong cannot, and says why."""
        try:
            return self.provider(name).availability()
        except RushesError as error:
            return Availability(usable=False, reason=str(error))

    def share_accounts(self, processes: int) -> None:
        """Say how many processes call the accounts: each takes its part of what an account allows."""
        if processes != self._processes:
            self._processes = processes
            for provider in self._loaded.values():
                provider.turns.set_share(processes)

    def max_jobs(self, name: str) -> int | None:
        """How many jobs may be in flight at a provider, as far as the settings say it."""
        return self._settings.provider(name).max_jobs

    def model(self, model_id: ModelId) -> Model:
        """What is known of a model. Raises UnknownModel naming the nearest, ConfigError for an unknown provider."""
        provider = self.provider(model_id.provider)
        if (own := provider.model_of(model_id, self.catalog)) is not None:
            return own
        kind = provider.name
        section = self._settings.provider(model_id.provider)
        known = self.catalog.models.get(model_id) or self.catalog.models.get(ModelId(kind, model_id.model))
        if known is None:
            slip = model_id.provider == kind and self._nearest_model(model_id, kind, SLIP_CUTOFF)
            if slip or not provider.serves_unlisted:
                raise self._unknown_model(model_id, kind)
            return provider.offered(open_model(model_id, section.usd_per_second))
        known = provider.offered(replace(known, id=model_id))
        if section.usd_per_second is not None:
            known = replace(known, prices=(Price(usd_per_second=section.usd_per_second),))
        return known

    def choose(self, asked: str | None, fallback: Sequence[str] = ()) -> Choice:
        """The model for a name, an alias, or nothing at all, and those to fall back to. Raises ConfigError.

        When none is named: the default of the settings, else the first provider in order that can serve, then the
        others that are named in `[defaults] order`; else draft. Raises UnknownModel for any name that is not known.
        """
        further = [model for name in fallback for model in self._named(name)]
        if name := asked or self._settings.defaults.model:
            first, *others = [*self._named(name), *further]
            return Choice(model=first, asked=name, fallbacks=_others(first, others))
        notes: list[str] = []
        found: list[Model] = []
        for provider_name in self.names():
            if provider_name == DRAFT.provider or (found and provider_name not in self._settings.defaults.order):
                continue
            can = self.provider(provider_name).availability()
            default = self._default_model(provider_name)
            if can.usable and default is not None:
                found.append(default)
            elif can.configured and can.reason and not found:
                notes.append(can.reason)
        if not found:
            notes.append("No provider is set up, so this is made by draft, the offline animatic. See: rushes providers")
            found.append(self.model(DRAFT))
        first, *others = [*found, *further]
        return Choice(model=first, asked=str(first.id), fallbacks=_others(first, others), notes=tuple(notes))

    def _named(self, name: str) -> list[Model]:
        """The model of a name, or the models of an alias that names several."""
        stands_for = self._settings.aliases.get(name, name)
        names = (stands_for,) if isinstance(stands_for, str) else stands_for
        if not names:
            raise ConfigError(f"The alias {name!r} in [aliases] names no model.")
        return [self.model(self._parse(each)) for each in names]

    def _default_model(self, provider_name: str) -> Model | None:
        short = SHORT_NAMES.get(provider_name)
        if short:
            return self.model(ModelId(provider_name, short))
        return next(iter(self.catalog.of(provider_name)), None)

    def _parse(self, name: str) -> ModelId:
        try:
            return ModelId.parse(name)
        except ValueError as error:
            if ":" in name:
                raise UnknownModel(str(error)) from None
            bare = [str(model_id) for model_id in self.catalog.models if model_id.model == name]
            names = [*self._settings.aliases, *(str(model_id) for model_id in self.catalog.models)]
            if near := bare or difflib.get_close_matches(name, names, n=1, cutoff=0.5):
                raise UnknownModel(f"There is no model {name!r}. Did you mean {near[0]}?") from None
            raise UnknownModel(str(error)) from None

    def _unknown_provider(self, name: str) -> ConfigError:
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(self.names())}."
        return UnknownProvider(
            f"There is no provider {name!r}. {hint} A server of your own is named by [providers.{name}] in rushes.toml."
        )

    def _nearest_model(self, model_id: ModelId, kind: str, cutoff: float) -> str | None:
        offered = [model.id.model for model in self.catalog.of(kind)]
        return next(iter(difflib.get_close_matches(model_id.model, offered, n=1, cutoff=cutoff)), None)

    def _unknown_model(self, model_id: ModelId, kind: str) -> UnknownModel:
        offered = [model.id.model for model in self.catalog.of(kind)]
        near = self._nearest_model(model_id, kind, 0.4)
        hint = f"Did you mean {ModelId(model_id.provider, near)}?" if near else f"It has: {', '.join(offered)}."
        return UnknownModel(f"{model_id.provider} has no model {model_id.model!r}. {hint}")


def _models_of(plugin: plugins.Plugin) -> list[Model]:
    """The table of a plugin. A broken one of somebody else's takes nothing from the others: it has no models."""
    try:
        return read_table(plugin.name, plugin.package)
    except Exception as error:
        if plugin.distribution is None:
            raise
        facts = {"plugin": plugin.name, "distribution": plugin.distribution, "cause": str(error)}
        log.warning("plugin.table_unreadable", extra=facts)
        return []


def _others(first: Model, models: Iterable[Model]) -> tuple[Model, ...]:
    """The models beside the first, each once, in order."""
    return tuple({model.id: model for model in models if model.id != first.id}.values())


class UnknownProvider(ConfigError, UnknownModel):
    """No provider of that name: a slip in the model id or in the settings."""

    code = "unknown_provider"
    exit_code = 2
