"""Callers: for whom something is done, and what he may have. Pure.

The person at this machine is one caller; each key of the gateway makes another. A job belongs to its caller's owner for
good. Every face passes the caller on; nothing below asks who it was in another way.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from rushes.jobs.budget import Limit
from rushes.jobs.ledger import LOCAL_OWNER


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    `models` are names and patterns (`fal:video:*`, `sora-2`) of what may be asked for; none: everything. `limits` are
    of his own, beside those of the settings. `cache` is how his creates use the library unless he says otherwise.
    """

    owner: str = LOCAL_OWNER
    key_id: str | None = None
    models: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    unknown_price_hold_usd: Decimal | None = None
    most_open_jobs: int | None = None
    cache: str | None = None
    admin: bool = False  # sees the numbers of all owners
    reads_files: bool = False  # may name files of this machine as inputs

    def may_use(self, names: Collection[str]) -> bool:
        """Whether a model may be used that goes by any of these names: an alias, its id."""
        return not self.models or any(fnmatchcase(name, pattern) for name in names for pattern in self.models)


LOCAL = Caller(admin=True, reads_files=True)
"""Whoever sits at this machine."""
