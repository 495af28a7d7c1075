"""What goes over the wire to each vendor is what was read beside its documentation, to the letter."""

import pytest

from rushes.testing.vendor_bench import VendorBench, benches
from tests.providers.wire_goldens import path_of, written

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("bench", benches(), ids=lambda bench: bench.kind.name)
async def test_what_is_sent_is_the_golden(bench: type[VendorBench]) -> None:
    assert await written(bench) == path_of(bench).read_text(encoding="utf-8")
