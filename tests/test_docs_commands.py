"""Every command that a page shows is run: on the fake of the API that the page is about, or on draft.

A page gives the commands, the variables and the settings; only addresses and keys are changed, to the fake's own.
"""

import json
import re
import shlex
import time
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from rushes.config import ConfigFile, read_written
from rushes.providers.azure.provider import Azure
from rushes.providers.base import Provider
from rushes.providers.draft import Draft
from rushes.providers.openai.provider import OpenAI
from rushes.providers.zai.provider import Zai
from rushes.testing import clips
from rushes.testing.account_book import AccountBook
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_zai import FakeZai
from rushes.testing.vendor_bench import benches
from tests.command_line import CommandLine
from tests.pages import Page, read_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", *sorted(f"docs/providers/{page.name}" for page in (ROOT / "docs" / "providers").glob("*.md"))]
VENDORS = {bench.kind.name: bench for bench in benches()}
FAILS_ON_PURPOSE = re.compile(r"--extra fail=")


@dataclass
class Stage:
    """Where a page is played: variables that lead to fakes, and what the fakes charge."""

    env: dict[str, str] = field(default_factory=dict[str, str])
    base_url: str = "http://127.0.0.1:9"  # put for every base_url in the settings
    books: list[AccountBook] = field(default_factory=list[AccountBook])


def stage_for(page: str, stack: ExitStack) -> Stage:
    match Path(page).stem:
        case "azure":
            azure = stack.enter_context(FakeAzure(job_s=0.1, deployments={"city-films": "sora", "sora-2": "sora-2"}))
            env = {"AZURE_OPENAI_ENDPOINT": azure.url, "AZURE_OPENAI_API_KEY": azure.api_key or ""}
            return Stage(env, azure.url, [azure.book])
        case "zai":
            zai = stack.enter_context(FakeZai(job_s=0.1))
            return Stage({"ZAI_API_KEY": zai.api_key, "ZAI_BASE_URL": zai.base_url}, zai.base_url, [zai.book])
        case "draft":
            return Stage()
        case name if name in VENDORS:
            bench = VENDORS[name]()
            far_side = stack.enter_context(bench.make_fake(job_s=0.1, largest_side=320))
            return Stage(dict(bench.environment(far_side)), far_side.base_url, [far_side.book])
        case _:
            vendor = stack.enter_context(FakeOpenAI(job_s=0.1))
            own = stack.enter_context(FakeOpenAI(job_s=0.1, strict=False, api_key=None))
            env = {"OPENAI_BASE_URL": vendor.base_url, "OPENAI_API_KEY": vendor.api_key or ""}
            return Stage(env, own.base_url, [vendor.book, own.book])


@dataclass(frozen=True)
class Played:
    """What came of the commands of a page, in their order, and what the library says that it all cost."""

    said: tuple[tuple[str, int, str], ...]  # command, exit code, stderr
    cost_usd: Decimal


def play(page: Page, stage: Stage, folder: Path) -> Played:
    """Run all commands of a page in one home."""
    (folder / "first-frame.png").write_bytes(clips.picture(1280, 720))
    (folder / "last-frame.png").write_bytes(clips.picture(1280, 720))
    (folder / "fox.mp4").write_bytes(clips.clip(1280, 720, 2))
    settings = re.sub(r'^base_url = ".*"', f'base_url = "{stage.base_url}"', page.settings, flags=re.MULTILINE)
    (folder / "rushes.toml").write_text(settings, encoding="utf-8")
    (folder / "commands.json").write_text(json.dumps(page.commands), encoding="utf-8")
    line = CommandLine(folder, {**stage.env, "PYTHONPATH": str(ROOT)})
    done = line.run("commands.json", module="tests.commands_in_a_process")
    assert done.returncode == 0, done.stderr
    _wait_for_the_background(line)
    jobs = json.loads(line.run("jobs", "list", "--limit", "1000", "--json").stdout)
    said = zip(page.commands, json.loads(done.stdout.splitlines()[-1]), strict=True)
    return Played(
        tuple((shlex.join(("rushes", *words)), code, stderr) for words, (code, _, stderr) in said),
        sum((Decimal(job["cost_usd"]) for job in jobs), Decimal(0)),
    )


def _wait_for_the_background(line: CommandLine) -> None:
    """A command with --detach leaves a worker behind, which ends by itself when all is made."""
    deadline = time.monotonic() + 30
    while line.somebody_works():
        assert time.monotonic() < deadline, "the worker in the background does not end"
        time.sleep(0.05)


@dataclass(frozen=True)
class Performance:
    page: Page
    stage: Stage
    played: Played


def perform(name: str, folder: Path) -> Performance:
    page = read_page((ROOT / name).read_text(encoding="utf-8"))
    with ExitStack() as stack:
        stage = stage_for(name, stack)
        return Performance(page, stage, play(page, stage, folder))


@pytest.fixture(scope="module")
def performances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Performance]]]:
    """All pages, played side by side: most of their time they wait for a far side."""
    folders = {name: tmp_path_factory.mktemp("page") for name in PAGES}
    with ThreadPoolExecutor(len(PAGES)) as threads:
        yield {name: threads.submit(perform, name, folder) for name, folder in folders.items()}


@pytest.fixture
def performance(name: str, performances: Mapping[str, Future[Performance]]) -> Performance:
    return performances[name].result()


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_do_what_it_says(name: str, performance: Performance) -> None:
    for command, code, stderr in performance.played.said:
        assert code == (1 if FAILS_ON_PURPOSE.search(command) else 0), f"{command}\n{stderr}"
    assert performance.page.unknown == (), f"{name} shows commands that nobody runs"
    assert any(command.startswith("rushes generate") for command, _, _ in performance.played.said)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_sets_what_its_far_side_needs_and_pays_what_is_charged_there(
    name: str, performance: Performance
) -> None:
    stage = performance.stage

    assert performance.page.variables <= stage.env.keys()
    assert all(book.charged for book in stage.books), f"{name} shows nothing that is bought there"
    assert sum((book.total_usd for book in stage.books), Decimal(0)) == performance.played.cost_usd


@pytest.mark.parametrize("name", PAGES)
def test_the_settings_of_a_page_are_settings(name: str) -> None:
    page = read_page((ROOT / name).read_text(encoding="utf-8"))

    read_written(ConfigFile, tomllib.loads(page.settings), name)


def test_a_page_whose_command_is_wrong_is_found_out(tmp_path: Path) -> None:
    page = read_page("```sh\nrushes models drfat # a slip\nmagic wand\n```\n```\nmake demo\nrushes models\n```\n")

    said = play(page, Stage(), tmp_path).said

    assert page.unknown == ("magic wand",)
    assert [(command, code) for command, code, _ in said] == [("rushes models drfat", 2), ("rushes models", 0)]


@pytest.mark.parametrize("provider", [OpenAI, Azure, Zai, Draft, *(bench.kind for bench in benches())])
def test_a_providers_page_names_every_option_it_has(provider: type[Provider]) -> None:
    page = (ROOT / "docs" / "providers" / f"{provider.name}.md").read_text(encoding="utf-8")

    options = {*provider.options_shape.model_fields, *provider.extra_shape.model_fields}

    assert {name for name in options if not re.search(rf"\b{name}\b", page)} == set()
