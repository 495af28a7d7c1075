"""The page on servers of one's own: every section and every command of it is played against the fake of its server."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ConfigFile, read_written
from rushes.testing import clips
from rushes.testing.fakes.xai import FakeXAI
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.sglang import FakeSglang
from rushes.testing.servers.tensorrt_llm import FakeTensorrtLlm
from rushes.testing.servers.vllm_omni import FakeVllmOmni
from tests.command_line import CommandLine
from tests.pages import Page, read_page

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "self-hosted.md").read_text(encoding="utf-8")
SECTIONS: Mapping[str, str] = {
    title.strip(): body
    for title, _, body in (part.partition("\n") for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])
}
FAKES: Mapping[str, FakeBox] = {
    "vLLM-Omni": FakeVllmOmni(job_s=0.1, api_key=None, served_model="Wan-AI/Wan2.2-TI2V-5B-Diffusers"),
    "SGLang Diffusion": FakeSglang(job_s=0.1, api_key=None),
    "TensorRT-LLM": FakeTensorrtLlm(job_s=0.1, api_key=None),
    "LocalAI": FakeLocalAI(job_s=0.1, api_key=None),
}
STAND_IN = "As a stand-in for a paid model"


@dataclass(frozen=True)
class Played:
    page: Page
    fake: FakeBox
    folder: Path
    said: tuple[tuple[int, str], ...]  # exit code and stderr of each command
    jobs: tuple[Any, ...]  # oldest first


def play(section: str, fake: FakeBox, folder: Path) -> Played:
    """Run the commands of a section with its settings; only the address is another."""
    page = read_page(SECTIONS[section])
    (folder / "first-frame.png").write_bytes(clips.picture(1280, 720))
    (folder / "last-frame.png").write_bytes(clips.picture(1280, 720))
    settings = re.sub(r'^base_url = ".*"', f'base_url = "{fake.base_url}"', page.settings, flags=re.MULTILINE)
    (folder / "rushes.toml").write_text(settings, encoding="utf-8")
    (folder / "commands.json").write_text(json.dumps(page.commands), encoding="utf-8")
    line = CommandLine(folder, {"PYTHONPATH": str(ROOT)})
    done = line.run("commands.json", module="tests.commands_in_a_process")
    assert done.returncode == 0, done.stderr
    jobs = json.loads(line.run("jobs", "list", "--json").stdout)
    said = tuple((code, stderr) for code, _, stderr in json.loads(done.stdout.splitlines()[-1]))
    return Played(page, fake, folder, said, tuple(reversed(jobs)))


@pytest.fixture(scope="module", params=list(FAKES))
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with FAKES[request.param] as fake:
        yield play(request.param, fake, tmp_path_factory.mktemp("page"))


def test_every_command_of_a_section_brings_its_file_home(played: Played) -> None:
    outs = [words[words.index("-o") + 1] for words in played.page.commands if "-o" in words]

    assert played.page.unknown == ()
    assert [stderr for code, stderr in played.said if code != 0] == []
    assert len(outs) == len(played.page.commands) == 2
    made = [played.fake.content_of(entry.remote_id) for entry in played.fake.book.entries]
    assert [(played.folder / out).read_bytes() for out in outs] == made


def test_what_is_asked_for_reaches_the_server_under_names_that_it_reads(played: Played) -> None:
    orders = [job.order for job in played.fake.jobs.values()]

    assert played.fake.overlooked == []
    assert [order.size for order in orders] == ["832x480", "832x480"]
    assert [order.seconds for order in orders] == [3.0, 3.0]
    assert str(orders[0].said["seed"]) == "7"
    assert {order.model for order in orders} <= {
        words[words.index("-m") + 1].split(":", 2)[2] for words in played.page.commands
    }


def test_the_pictures_of_a_section_go_along(played: Played) -> None:
    bodies = [request.body for request in played.fake.requests if played.fake.operation_of(request) == "create"]
    said = [{*json.loads(body)} if body.startswith(b"{") else {*re.findall(rb'name="(\w+)"', body)} for body in bodies]
    names = {"input_reference", "reference_url", "image_reference", "start_image"}
    with_picture = [bool(names & {n.decode() if isinstance(n, bytes) else n for n in each}) for each in said]

    assert with_picture == ["--image" in words for words in played.page.commands] == [False, True]
    if played.page.commands[1].count("--last-image"):
        assert "end_image" in said[1]


def test_a_clip_costs_what_its_owner_reckons(played: Played) -> None:
    [section] = tomllib.loads(played.page.settings)["providers"].values()

    assert [Decimal(job["cost_usd"]) for job in played.jobs] == [Decimal(section["usd_per_second"]) * 3] * 2


def test_the_page_has_a_section_for_each_server_and_its_settings_are_settings() -> None:
    page = read_page(TEXT)

    written = read_written(ConfigFile, tomllib.loads(page.settings), "docs/self-hosted.md")

    assert FAKES.keys() <= SECTIONS.keys()
    assert page.unknown == ()
    assert len(written.providers) == len(FAKES)


def test_the_alias_of_the_page_buys_where_the_own_machine_is_off(tmp_path: Path) -> None:
    own = read_page(SECTIONS["vLLM-Omni"]).settings + read_page(SECTIONS[STAND_IN]).settings
    (tmp_path / "rushes.toml").write_text(re.sub(r'base_url = ".*"', 'base_url = "http://127.0.0.1:9"', own))
    with FakeXAI(job_s=0.1) as xai:
        line = CommandLine(tmp_path, {"XAI_API_KEY": xai.api_key, "XAI_BASE_URL": xai.base_url})
        done = line.run("generate", "A boat", "-m", "sora-2", "--seconds", "4", "--size", "1280x720", "--json")

    assert done.returncode == 0, done.stderr
    assert [entry.model for entry in xai.book.entries] == ["grok-imagine-video-1.5-lite"]


def test_an_extension_is_joined_here_and_a_remix_told_anew(tmp_path: Path) -> None:
    with FakeVllmOmni(job_s=0.1, api_key=None, served_model="wan") as fake:
        section = read_page(SECTIONS["vLLM-Omni"]).settings
        (tmp_path / "rushes.toml").write_text(re.sub(r'base_url = ".*"', f'base_url = "{fake.base_url}"', section))
        wish = ["generate", "A boat", "-m", "wanbox:video:wan", "--seconds", "2", "--size", "320x180", "--json"]
        remix = ["generate", "In snow", "-m", "wanbox:video:wan", "--remix", "VIDEO_ID", "--nearest"]
        commands = [wish, [*wish, "--extend", "VIDEO_ID"], remix]
        (tmp_path / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
        done = CommandLine(tmp_path, {"PYTHONPATH": str(ROOT)}).run(
            "commands.json", module="tests.commands_in_a_process"
        )

    made, extended, remixed = json.loads(done.stdout.splitlines()[-1])
    assert [code for code, _, _ in (made, extended, remixed)] == [0, 0, 0], done.stdout
    assert '"seconds": 4.0' in extended[1]
