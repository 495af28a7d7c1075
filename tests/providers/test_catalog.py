"""The tables of models: that ours are right, and that a wrong one names its mistake."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes import plugins
from rushes.errors import ConfigError
from rushes.providers.catalog import Catalog, Feature, Model, open_model, parse_table, read_extra, read_table
from rushes.providers.registry import GROUP, PACKAGE
from rushes.video import ModelId, Size

ROW: dict[str, Any] = {
    "name": "boat-1",
    "title": "Boat 1",
    "sizes": ["1280x720"],
    "seconds": [8, 4],
    "default_size": "1280x720",
    "default_seconds": 8,
}


def parsed(**changes: Any) -> Model:
    return parse_table("acme", {"models": [{**ROW, **changes}]}, "acme.toml")[0]


def sora(name: str) -> Model:
    return next(model for model in read_table("openai") if model.id.model == name)


@pytest.mark.parametrize(
    ("name", "size", "seconds", "usd"),
    [
        ("sora-2", "1280x720", 8, "0.80"),
        ("sora-2", "720x1280", 20, "2.00"),
        ("sora-2-2025-10-06", "1280x720", 4, "0.40"),
        ("sora-2-2025-12-08", "1280x720", 4, "0.40"),
        ("sora-2-pro", "1280x720", 8, "2.40"),
        ("sora-2-pro", "1024x1792", 8, "4.00"),
        ("sora-2-pro", "1920x1080", 8, "5.60"),
        ("sora-2-pro-2025-10-06", "1080x1920", 4, "2.80"),
    ],
)
def test_the_prices_of_sora(name: str, size: str, seconds: int, usd: str) -> None:
    assert sora(name).price_of(Size.parse(size), seconds) == Decimal(usd)


def test_what_sora_makes() -> None:
    model = sora("sora-2")

    assert model.sizes == (Size(1280, 720), Size(720, 1280))
    assert model.seconds == (4, 8, 12, 16, 20)
    assert (model.default_size, model.default_seconds) == (Size(1280, 720), 8)
    assert model.features == {
        Feature.FIRST_FRAME,
        Feature.CHARACTERS,
        Feature.REMIX,
        Feature.EDIT,
        Feature.EXTEND,
    }
    assert model.first_frame_exact
    assert "24 September 2026" in (model.note or "")
    assert model.source.startswith("https://")
    assert model.read == date(2026, 11, 20)


def test_the_tables_of_all_built_in_providers_can_be_read() -> None:
    for name in plugins.find(GROUP, PACKAGE, "PROVIDER"):
        for model in read_table(name):
            assert model.id.provider == name
            assert name == "draft" or (model.source and model.read), f"{model.id} has no source or date"


def test_a_row_becomes_a_model() -> None:
    model = parsed(seconds={"min": 5, "max": 15, "step": 5}, default_seconds=10, features=["seed"])

    assert model.id == ModelId("acme", "boat-1")
    assert model.seconds == (5, 10, 15)
    assert model.features == {Feature.SEED}
    assert model.price_of(Size(1280, 720), 5) is None


def test_a_price_may_be_for_each_video_as_well_as_for_each_second() -> None:
    model = parsed(prices=[{"usd_per_video": "0.05", "usd_per_second": "0.10"}])

    assert model.price_of(Size(1280, 720), 8) == Decimal("0.85")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"secondz": [4]}, ["acme.toml", "secondz", "Did you mean seconds?"]),
        ({"features": ["first_fame"]}, ["acme.toml", "features"]),
        ({"sizes": ["720p"]}, ["acme.toml", "boat-1", "720p"]),
        ({"default_seconds": 5}, ["acme.toml", "boat-1", "default"]),
        ({"default_size": "720x1280"}, ["acme.toml", "boat-1", "default"]),
        pytest.param({"prices": [{"usd_per_secnd": "1"}]}, ["acme.toml", "usd_per_secnd", "usd_per_second?"]),
    ],
)
def test_a_mistake_in_a_table_is_named(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(**changes)

    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_an_extra_file_adds_models_and_replaces_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text(
        """
        [[providers.openai.models]]
        name = "sora-2"
        title = "Sora 2, cheaper"
        sizes = ["1280x720"]
        seconds = [8]
        default_size = "1280x720"
        default_seconds = 8
        prices = [{ usd_per_second = "0.05" }]
        """,
        encoding="utf-8",
    )

    catalog = Catalog().merged(read_table("openai")).merged(read_extra(path))

    assert catalog.models[ModelId("openai", "sora-2")].price_of(Size(1280, 720), 8) == Decimal("0.40")
    assert len(catalog.of("openai")) == len(read_table("openai"))


@pytest.mark.parametrize("text", ["[[providers.acme.models]]\nname = 'x'", "= =", "[provider]"])
def test_a_broken_extra_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"more\.toml"):
        read_extra(path)


def test_a_missing_extra_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[catalog\] extra: .*more\.toml"):
        read_extra(tmp_path / "more.toml")


def test_a_model_of_ones_own_server_has_the_price_that_was_configured() -> None:
    free, unknown = open_model(ModelId("mybox", "wan"), Decimal(0)), open_model(ModelId("mybox", "wan"), None)

    assert free.price_of(Size(640, 480), 10) == 0
    assert unknown.price_of(Size(640, 480), 10) is None
