"""The contract bench of a vendor that has a fake of `vendor.py`: what `rushes.testing.fakes.NAME.BENCH` inherits.

From it the contract suite, the goldens of the wire, the price check and the fault matrix find their way: whoever adds
a provider adds its file, its table and its fake, and edits nothing else.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar

from rushes.testing import fakes
from rushes.testing.contract_bench import ContractBench
from rushes.testing.vendor import VendorFake


class VendorBench(ContractBench):
    """Fill in `kind`, `model`, `key_variable` and `fake_kind`."""

    fake_kind: ClassVar[type[VendorFake]]
    golden_models: ClassVar[tuple[str, ...]] = ()
    """Models beside `model` whose every kind of request has its golden; of the others, two do."""
    golden_headers: ClassVar[tuple[str, ...]] = ()
    """Headers of creates, in lower case, that are part of the contract, beside the content type."""

    def make_fake(self, **options: Any) -> VendorFake:
        given: dict[str, Any] = {"job_s": 0.2, **options}
        return self.fake_kind(**given)

    def environment(self, fake: Any) -> Mapping[str, str]:
        kind = self.kind
        return {kind.key_vars[0]: fake.api_key, kind.base_url_vars[0]: fake.base_url}


def benches() -> list[type[VendorBench]]:
    """The bench of every vendor, in the order of their names."""
    names = sorted(found.name for found in iter_modules(fakes.__path__))
    return [import_module(f"{fakes.__name__}.{name}").BENCH for name in names]
