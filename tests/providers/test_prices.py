"""What is shown before buying is, to the cent, what the vendors' price pages say.

`prices/NAME.toml` is copied from the pages and not from our tables: model, size, seconds, dollars, and where the price
hangs on more, a table of `audio`, `pictures`, `clip_s` or `has`.
"""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.providers.catalog import Feature, Order
from rushes.testing.vendor_bench import VendorBench, benches
from rushes.video import Size

FOLDER = Path(__file__).parent / "prices"


def listed(bench: type[VendorBench]) -> list[tuple[str, str, int, str, dict[str, Any]]]:
    data = tomllib.loads((FOLDER / f"{bench.kind.name}.toml").read_text(encoding="utf-8"))
    return [(row[0], row[1], row[2], row[3], row[4] if len(row) > 4 else {}) for row in data["prices"]]


@pytest.mark.parametrize("bench", benches(), ids=lambda bench: bench.kind.name)
def test_estimates_are_those_of_the_price_page(bench: type[VendorBench]) -> None:
    models = {model.id.model: model for model in bench().models()}
    for name, size, seconds, usd, more in listed(bench):
        model = models[name]
        has = frozenset(Feature(each) for each in more.get("has", ()))
        order = Order(
            size=Size.parse(size),
            seconds=seconds,
            has=has,
            audio=more.get("audio", model.has_sound(None)),
            pictures=more.get("pictures", 0),
            clip_s=more.get("clip_s", 0),
        )
        price = model.price(order)
        assert price is not None, (name, size)
        assert round(price, 2) == Decimal(usd), (name, size, seconds, more)
        assert not model.sizes or order.size in model.sizes, (name, size)


@pytest.mark.parametrize("bench", benches(), ids=lambda bench: bench.kind.name)
def test_every_model_with_a_price_is_on_the_page(bench: type[VendorBench]) -> None:
    named = {name for name, *_ in listed(bench)}

    assert {model.id.model for model in bench().models() if model.prices} == named
