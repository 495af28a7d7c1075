"""Finding plugins: a built-in by its file name, anybody else's by an entry point.

Nothing is imported until it is asked for: listing the providers must stay cheap, and one broken plugin must not
take the others with it.
"""

import importlib
import importlib.metadata
import pkgutil
from dataclasses import dataclass

from rushes.config import nearest
from rushes.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin that could be loaded. `target` is `module:attribute`."""

    name: str
    target: str
    distribution: str | None = None  # None: ours

    @property
    def package(self) -> str:
        """The package that its module lies in, and its table beside it."""
        module = self.target.partition(":")[0]
        return module.rpartition(".")[0] or module

    def load(self) -> object:
        """Import it. Raises ConfigError when the plugin is broken."""
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            owner = f" of {self.distribution}" if self.distribution else ""
            raise ConfigError(
                f"The plugin {self.name}{owner} cannot be loaded: {type(error).__name__}: {error}"
            ) from error


def find(group: str, package: str, attribute: str) -> dict[str, Plugin]:
    """All plugins of a group by name: modules of `package` that have a table beside them, then entry points.

    A built-in cannot be replaced from outside: whoever installs a package must not be able to redirect keys.
    """
    root = importlib.import_module(package)
    found: dict[str, Plugin] = {}
    for point in importlib.metadata.entry_points(group=group):
        distribution = point.dist.name if point.dist else "unknown"
        found[point.name] = Plugin(point.name, point.value, distribution)
    from importlib.resources import files

    tables = {entry.name.removesuffix(".toml") for entry in files(package).iterdir() if entry.name.endswith(".toml")}
    for module in pkgutil.iter_modules(root.__path__):
        if module.name in tables:
            found[module.name] = Plugin(module.name, f"{package}.{module.name}:{attribute}")
    return found


def pick(name: str, plugins: dict[str, Plugin], noun: str) -> Plugin:
    """The plugin of that name; raises ConfigError naming the nearest."""
    if name in plugins:
        return plugins[name]
    guess = nearest(name, plugins)
    hint = f"Did you mean {guess}?" if guess else f"There are: {', '.join(sorted(plugins))}."
    raise ConfigError(f"There is no {noun} {name!r}. {hint}")
