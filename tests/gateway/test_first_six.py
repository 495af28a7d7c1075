"""The script of the page for people who come from Sora, unchanged, with `sora-2` standing for models of six providers.

It runs to a file at 4, 8 and 12 seconds, lying and upright, from words and from a picture.
"""

import itertools
import json
from decimal import Decimal
from pathlib import Path

import anyio.to_thread
import pytest

from rushes.jobs.store import Filter
from rushes.providers.catalog import Feature
from rushes.testing import clips
from rushes.testing.vendor_bench import VendorBench, benches
from rushes.video import Size
from tests.gateway.running import running
from tests.gateway.snippets import run_python, snippets

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrate-from-sora.md"
SIX = ("dashscope", "fal", "google", "minimax", "runway", "xai")
LENGTHS = (4, 8, 12)
SIZES = ("1280x720", "720x1280")
DRIVER = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from warnings import simplefilter

simplefilter("ignore")
scripts = json.load(open("scripts.json"))

def play(script):
    exec(compile(script, "page", "exec"), {"__name__": "page"})

with ThreadPoolExecutor(6) as threads:
    list(threads.map(play, scripts))
"""


def scripts(url: str) -> dict[str, str]:
    """The page's script with other lengths, shapes and file names, and with a picture or none: nothing else changed."""
    [page] = [each.at(url) for each in snippets(PAGE) if (each.section, each.language) == ("Python", "python")]
    made: dict[str, str] = {}
    for kind, seconds, size in itertools.product(("words", "picture"), LENGTHS, SIZES):
        name = f"{kind}-{seconds}-{size}"
        picture = f', input_reference=open("{size}.png", "rb")' if kind == "picture" else ""
        text = page
        for old, new in (
            ('seconds="4"', f'seconds="{seconds}"'),
            ('size="1280x720"', f'size="{size}"{picture}'),
            ('"lighthouse', f'"{name}'),
        ):
            assert old in text, "the page has changed: change this test with it"
            text = text.replace(old, new)
        made[name] = text
    return made


def choose(bench: type[VendorBench]) -> str:
    """The first model of the table that can start from a picture and last for 12 seconds."""
    able = [
        model
        for model in bench().models()
        if Feature.FIRST_FRAME in model.features and not model.requires and max(model.seconds) >= max(LENGTHS)
    ]
    return str(able[0].id)


@pytest.mark.parametrize("bench", [each for each in benches() if each.kind.name in SIX], ids=lambda b: b.kind.name)
async def test_the_script_of_the_page_runs_to_a_file(bench: type[VendorBench], tmp_path: Path) -> None:
    toml = f'[aliases]\nsora-2 = "{choose(bench)}"\n[gateway]\npoll_after_ms = 200\n'
    toml += f"[providers.{bench.kind.name}]\npoll_interval_ms = 100\n"
    for size in SIZES:
        (tmp_path / f"{size}.png").write_bytes(clips.picture(*Size.parse(size)))
    with bench().make_fake(job_s=0.3, largest_side=4096) as fake:
        async with running(tmp_path / "home", toml, environment=dict(bench().environment(fake))) as gateway:
            told = scripts(gateway.url)
            (tmp_path / "scripts.json").write_text(json.dumps(list(told.values())), encoding="utf-8")
            await anyio.to_thread.run_sync(run_python, DRIVER, tmp_path)

            for name in told:
                _, seconds, size = name.split("-")
                probe = await gateway.app.children.probe(tmp_path / f"{name}.mp4")
                assert (str(probe.size), round(probe.seconds)) == (size, int(seconds)), name
            made = await gateway.app.jobs.matching(Filter())

        assert fake.book.charged == len(told)
        assert fake.book.total_usd == sum((each.cost_usd or Decimal(0) for each in made), Decimal(0)) > 0


def test_all_six_are_there() -> None:
    assert {bench.kind.name for bench in benches()} >= set(SIX)
