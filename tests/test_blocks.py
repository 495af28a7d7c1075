"""The made blocks of the docs: prices of every kind in words that stay true, and what a provider promises."""

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.providers.catalog import Model, parse_table

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def blocks() -> Any:
    spec = importlib.util.spec_from_file_location("blocks", ROOT / "scripts" / "blocks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def model(*prices: dict[str, Any], sizes: tuple[str, ...] = ("1280x720", "720x1280", "720x720"), **more: Any) -> Model:
    row = {
        "name": "m",
        "title": "M",
        "sizes": sizes,
        "seconds": [5, 10],
        "default_size": sizes[0],
        "default_seconds": 5,
        "prices": prices,
        "source": "https://acme.example/prices, bottom",
        "read": "2026-11-20",
        **more,
    }
    return parse_table("acme", {"models": [row]}, "acme.toml")[0]


SD, HD = ["848x480", "480x848", "480x480"], ["1280x720", "720x1280", "720x720"]
BOTH: tuple[str, ...] = (*SD, *HD)
SECOND, VIDEO = "usd_per_second", "usd_per_video"


@pytest.mark.parametrize(
    ("sizes", "prices", "words"),
    [
        (BOTH, [], "not known"),
        (BOTH, [{SECOND: "0"}], "free"),
        (BOTH, [{SECOND: "0.10"}], "$0.10 a second"),
        (BOTH, [{VIDEO: "0.20"}], "$0.20 a video"),
        (BOTH, [{SECOND: "0.05", VIDEO: "0.10"}], "$0.10 a video and $0.05 a second"),
        (BOTH, [{SECOND: "0.1", "sizes": SD}, {SECOND: "0.2", "sizes": HD}], "$0.1 a second at 480p, $0.2 at 720p"),
        (BOTH, [{SECOND: "0.4", "sizes": SD}, {SECOND: "0.4", "sizes": HD}], "$0.4 a second"),
        (
            (*BOTH, "1920x1080"),
            [{SECOND: "0.4", "sizes": SD}, {SECOND: "0.4", "sizes": HD}, {SECOND: "1", "sizes": ["1920x1080"]}],
            "$0.4 a second at 480p and 720p, $1 at 1920x1080",
        ),
        (
            ("1280x720", "720x1280", "1112x834"),
            [
                {SECOND: "0.1512", "sizes": ["1280x720", "720x1280"], "audio": True},
                {SECOND: "0.152152875", "sizes": ["1112x834"], "audio": True},
                {SECOND: "0.08"},
            ],
            "$0.08 a second; with sound: $0.1512 to $0.1522 a second",
        ),
        (
            BOTH,
            [{SECOND: "0.2", "audio": True}, {SECOND: "0.1", "audio": False}],
            "with sound: $0.2 a second; silent: $0.1 a second",
        ),
        (
            BOTH,
            [{SECOND: "0.3", "has": ["edit"]}, {SECOND: "0.3", "has": ["remix"]}, {SECOND: "0.1"}],
            "$0.1 a second; for an edit or for a remix: $0.3 a second",
        ),
        (BOTH, [{SECOND: "0.1", "has": ["references"]}, {SECOND: "0.1"}], "$0.1 a second"),
        (BOTH, [{SECOND: "0.3", "clips": True}, {SECOND: "0.1"}], "$0.1 a second; with a given clip: $0.3 a second"),
        (
            BOTH,
            [{VIDEO: "0.28", "seconds": [5]}, {VIDEO: "0.52", "seconds": [10]}],
            "$0.28 a video for 5 s, $0.52 for 10 s",
        ),
        (
            BOTH,
            [{SECOND: "0.1", "usd_per_picture": "0.04", "pictures_free": 5, "least_usd": "0.56"}],
            "$0.1 a second; $0.04 for each picture that goes along beyond 5; at least $0.56",
        ),
        (
            BOTH,
            [{SECOND: "0.1", "usd_per_clip_second": "0.1"}],
            "$0.1 a second; each second of a given clip costs as much as one that is made",
        ),
        (BOTH, [{SECOND: "0.3", "usd_per_clip_second": "0.1"}], "$0.3 a second; $0.1 for each second of a given clip"),
    ],
)
def test_the_price_column_says_every_condition_of_the_list(
    blocks: Any, sizes: tuple[str, ...], prices: list[dict[str, Any]], words: str
) -> None:
    table = blocks.models_block([model(*prices, sizes=sizes)])

    assert f"| {words} |" in table


def test_a_price_is_rounded_to_a_hundredth_of_a_cent_and_never_to_nothing(blocks: Any) -> None:
    assert blocks.models_block([model({SECOND: Decimal("0.0934653375")})]).count("| $0.0935 a second |") == 1


def test_a_table_tells_where_and_when_it_was_read(blocks: Any) -> None:
    assert "Read on 2026-11-20: <https://acme.example/prices>, bottom." in blocks.models_block([model()])


def test_a_provider_is_told_by_what_its_class_promises(blocks: Any) -> None:
    told = blocks.provider_block("xai")

    assert "| key | `XAI_API_KEY` |" in told
    assert "| address | <https://api.x.ai/v1>, or what `XAI_BASE_URL` says |" in told
    assert "| a create whose answer was lost | put to you (`rushes jobs resolve`)" in told
    assert "| cancel | not offered |" in told
    assert "| a result is taken to be there for | 1 hour |" in told
    assert "| a job refused for its content | is billed |" in told
    assert "| its webhooks | none: rushes looks by itself |" in told
    assert "Never tried live: how long links live" in told
    assert "- references to 10 seconds: `grok-imagine-video-1.5`" in told


def test_whether_webhooks_are_believed_is_told_by_what_the_code_makes_of_them(blocks: Any, tmp_path: Path) -> None:
    signed, unsigned = tmp_path / "signed.py", tmp_path / "unsigned.py"
    signed.write_text("return Hint(remote_id=x, trusted=secret is not None)")
    unsigned.write_text("return Hint(remote_id=x, trusted=False)")

    assert [value.__class__.__name__ for value in blocks._hints(signed)] == ["Compare"]
    assert [value.value for value in blocks._hints(unsigned)] == [False]
    assert "signed ones are believed" in blocks.provider_block("openai")


def test_the_named_servers_are_told_as_they_are(blocks: Any) -> None:
    told = blocks.servers_block()

    assert (
        "| `vllm-omni` | first frame, references, seed, negative prompt, audio switch | - | yes | yes "
        "| looked for in its list |" in told
    )
    assert "| `localai` | first frame, last frame, seed, negative prompt | - | - | - | put to you |" in told


def test_a_page_is_rewritten_where_it_asks_for_it_and_only_there(blocks: Any) -> None:
    page = "# T\n\n<!-- provider xai -->\nold\n<!-- /provider -->\n\n<!-- servers -->\n<!-- /servers -->\nby hand\n"

    once = blocks.rewritten(page)

    assert "old" not in once
    assert "`XAI_API_KEY`" in once
    assert "`sglang`" in once
    assert once.endswith("<!-- /servers -->\nby hand\n")
    assert blocks.rewritten(once) == once


def test_a_piece_of_code_is_shown_to_its_end_and_a_missing_one_is_found(blocks: Any) -> None:
    page = "<!-- code src/rushes/version.py: VERSION -->\n<!-- /code -->"

    assert "```python\nVERSION = " in blocks.rewritten(page)
    with pytest.raises(LookupError, match="no line that begins with 'NOTHING'"):
        blocks.rewritten(page.replace(": VERSION", ": NOTHING"))
