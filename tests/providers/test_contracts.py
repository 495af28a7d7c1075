"""Every vendor that has a fake keeps the provider contract. They are found, not listed: see `rushes.testing.fakes`."""

from rushes.testing.contract import ProviderContract
from rushes.testing.vendor_bench import benches

for bench in benches():
    name = f"Test{bench.kind.__name__}"
    globals()[name] = type(name, (bench, ProviderContract), {"__module__": __name__})
