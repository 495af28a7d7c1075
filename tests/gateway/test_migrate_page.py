"""The page for people who come from Sora: every snippet on it is run, against the real gateway with draft behind.

Those of promptfoo and LiteLLM need these packages: `make compat` runs them, and `test_recorded_compat.py` replays what
they send.
"""

import json
import re
import tomllib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from rushes.providers.catalog import read_table
from rushes.providers.replacements import Clip, price_of
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_zai import FakeZai
from rushes.testing.server import Received
from rushes.testing.vendor_bench import benches
from rushes.video import Size
from tests.gateway.running import SHORT, Running, running
from tests.gateway.snippets import (
    KEY,
    VIDEO_ID,
    Snippet,
    commands,
    play_shell,
    run_node,
    run_python,
    run_shell,
    snippets,
)
from tests.receiver import Receiver

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrate-from-sora.md"
SNIPPETS = snippets(PAGE)
MODELS = "Which model makes the video"
STRICT = "Just what was asked, or nearly"
EARLIER = "Remix, edit, extend, characters"
BY_COMPAT = {("promptfoo", "yaml"), ("LiteLLM", "python")}
BY_TESTS = {
    ("One minute", "sh"),
    ("Python", "python"),
    ("Node", "js"),
    ("curl", "sh"),
    ("Azure", "python"),
    ("Azure", "sh"),
    ("From a picture", "python"),
    (EARLIER, "js"),
    (EARLIER, "python"),
    (MODELS, "toml"),
    (MODELS, "python"),
    (MODELS, "sh"),
    (STRICT, "sh"),
    ("Keys for a team", "sh"),
    ("Webhooks", "sh"),
    ("Webhooks", "python"),
}
PLAIN = {"diff", "text"}  # to be read; what a diff adds is in the snippet below it


def snippet(section: str, language: str) -> Snippet:
    [found] = [each for each in SNIPPETS if (each.section, each.language) == (section, language)]
    return found


@dataclass(frozen=True)
class Desk:
    """A gateway in another thread, and the folder of somebody who uses it."""

    portal: BlockingPortal
    gateway: Running
    folder: Path
    key: str

    def text(self, section: str, language: str, video_id: str = VIDEO_ID) -> str:
        """A snippet, as it is run here."""
        return snippet(section, language).at(self.gateway.url, self.key, video_id)

    def python(self, section: str, video_id: str = VIDEO_ID) -> str:
        return run_python(self.text(section, "python", video_id), self.folder)

    def node(self, section: str, video_id: str = VIDEO_ID) -> str:
        return run_node(self.text(section, "js", video_id), self.folder)

    def shell(self, section: str) -> list[str]:
        return play_shell(self.text(section, "sh"), self.folder, self.completed)

    def ended(self, video_id: str) -> dict[str, object]:
        return self.portal.call(self.gateway.until_ended, video_id)

    def completed(self, video_id: str) -> None:
        video = self.ended(video_id)
        assert video["status"] == "completed", video

    def create(self, **fields: str) -> httpx2.Response:
        async def post() -> httpx2.Response:
            return await self.gateway.client.post("/v1/videos", json={**SHORT, **fields})

        return self.portal.call(post)

    def served(self, **fields: str) -> str:
        """Which model takes a create."""
        return self.create(**fields).headers["x-rushes-model"]

    def took(self, name: str) -> bool:
        """Whether there is a file of a video under that name; it is removed."""
        path = self.folder / name
        return path.read_bytes()[4:8] == b"ftyp" and not path.unlink()


@contextmanager
def desk_of(
    folder: Path, toml: str = "", *, key: str | None = None, works: bool = True, **environment: str
) -> Generator[Desk]:
    (folder / "desk").mkdir()
    with start_blocking_portal() as portal:
        serving = running(folder / "home", toml, works=works, key=key, environment=environment)
        with portal.wrap_async_context_manager(serving) as gateway:
            yield Desk(portal, gateway, folder / "desk", key or KEY)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for the whole page. Its key gets what is there already, as most snippets make the same video."""
    folder = tmp_path_factory.mktemp("page")
    home = {"RUSHES_HOME": str(folder / "home")}
    key = run_shell("rushes keys create page --cache use", folder, home).strip()
    with desk_of(folder, '[network]\nallow_hosts = ["127.0.0.1"]\n', key=key) as desk:
        (desk.folder / "first-frame.png").write_bytes(clips.picture(1280, 720))
        (desk.folder / "mira.mp4").write_bytes(clips.clip(1280, 720, 2.0))
        yield desk


@pytest.fixture(scope="module")
def lighthouse(desk: Desk) -> str:
    """The video that most of the page is about, made as the section on Python says."""
    return finished(desk.python("Python"))


def finished(printed: str) -> str:
    """The id that a snippet printed; it also says that the video is done."""
    video_id, status = printed.split()
    assert status == "completed"
    return video_id


def test_every_snippet_of_the_page_is_run_here_or_by_make_compat() -> None:
    shown = [(each.section, each.language) for each in SNIPPETS if each.language not in PLAIN]

    assert sorted(shown) == sorted(BY_TESTS | BY_COMPAT)


def test_what_a_diff_adds_is_what_is_run() -> None:
    diffs = [each for each in SNIPPETS if each.language == "diff"]
    run = {each.section: each.text for each in reversed(SNIPPETS) if each.language not in PLAIN}

    for diff in diffs:
        added = [line[1:].strip() for line in diff.text.splitlines() if line.startswith("+")]
        assert added
        assert [line for line in added if line not in run[diff.section]] == []
    assert [each.section for each in diffs] == ["Python", "Node", "curl", "Azure", "promptfoo", "LiteLLM"]


def test_python(desk: Desk, lighthouse: str) -> None:
    assert desk.ended(lighthouse)["size"] == "1280x720"
    assert desk.took("lighthouse.mp4")
    assert (desk.folder / "lighthouse.webp").read_bytes()[8:12] == b"WEBP"


def test_code_that_names_no_address_is_led_here_by_two_variables(desk: Desk) -> None:
    variables = dict(re.findall(r"^export (\w+)=(\S+)$", desk.text("One minute", "sh"), re.MULTILINE))

    assert len(variables) == 2
    desk.completed(finished(run_python(before("Python", "python"), desk.folder, variables)))
    desk.completed(finished(run_node(before("Node", "js"), desk.folder, variables)))


def before(section: str, language: str) -> str:
    """A snippet as it was before the diff of its section."""
    old, new = (line[1:] for line in snippet(section, "diff").text.splitlines())
    text = snippet(section, language).text
    assert text.count(new) == 1
    return text.replace(new, old)


def test_node(desk: Desk) -> None:
    desk.completed(finished(desk.node("Node")))

    assert desk.took("lighthouse.mp4")


def test_curl(desk: Desk) -> None:
    created, retrieved, _ = desk.shell("curl")

    assert json.loads(created)["id"] == json.loads(retrieved)["id"]
    assert json.loads(retrieved)["status"] == "completed"
    assert desk.took("lighthouse.mp4")


def test_the_azure_class(desk: Desk) -> None:
    desk.completed(finished(desk.python("Azure")))

    assert desk.took("lighthouse.mp4")


def test_the_jobs_api_of_azure(desk: Desk) -> None:
    created, job, _ = desk.shell("Azure")

    assert json.loads(created)["object"] == "video.generation.job"
    assert json.loads(job)["status"] == "succeeded"
    assert desk.took("lighthouse-480.mp4")


def test_from_a_picture(desk: Desk) -> None:
    desk.completed(desk.python("From a picture").strip())


def test_from_one_video_to_the_next_in_node(desk: Desk, lighthouse: str) -> None:
    made = desk.node(EARLIER, lighthouse).split()

    assert len(set(made)) == 4
    for video_id in made:
        desk.completed(video_id)
    assert desk.ended(made[0])["remixed_from_video_id"] == lighthouse
    assert desk.ended(made[2])["seconds"] == "8"  # the whole


def test_from_one_video_to_the_next_in_python(desk: Desk, lighthouse: str) -> None:
    source, edited = desk.python(EARLIER, lighthouse).split()

    assert source == lighthouse
    desk.completed(edited)


ONE_MODEL = '[aliases]\n"sora-2" = "zai:video:cogvideox-3"\n'


def test_what_could_stand_in_for_sora_is_one_command(tmp_path: Path) -> None:
    by_features, by_price, data = (
        run_shell(command, tmp_path, {"RUSHES_HOME": str(tmp_path / "home")})
        for command in commands(snippet(MODELS, "sh").text)
    )

    def named(said: str) -> list[str]:
        return [line.split()[0] for line in said.splitlines()[1:]]

    assert {"google:video:gemini-omni-1.1-flash", "dashscope:video:wan3.0-video"} <= set(named(by_features))
    assert len(named(by_price)) == len(named(by_features)) > 20
    assert set(named(by_price)) != set(named(by_features))
    assert {each["model"].split(":")[0] for each in json.loads(data)["replacements"]} == {"xai"}


def test_the_models_that_the_page_begins_with_cost_what_sora_did() -> None:
    sora = next(model for model in read_table("openai") if model.id.model == "sora-2")
    clip = Clip(size=Size(1280, 720), seconds=8, audio=True)
    named = tomllib.loads(snippet(MODELS, "toml").text)["aliases"]["sora-2"]

    prices = {
        price_of(model, clip) for name in named for model in read_table(name.split(":")[0]) if str(model.id) == name
    }

    assert prices == {price_of(sora, clip)} == {Decimal("0.80")}


def test_the_headers_tell_which_model_made_it_and_what_was_made_otherwise(tmp_path: Path) -> None:
    with FakeZai() as zai:
        keys = {"ZAI_API_KEY": zai.api_key, "ZAI_BASE_URL": zai.base_url}
        with desk_of(tmp_path, ONE_MODEL, works=False, **keys) as desk:
            model, *adjusted = desk.python(MODELS).splitlines()
            [refused] = desk.shell(STRICT)

    assert model == "zai:video:cogvideox-3"
    assert [line.split()[:4] for line in adjusted] == [["seconds", "4", "->", "5"]]
    assert json.loads(refused)["error"]["param"] == "seconds"


def test_the_aliases_of_the_page_lead_to_the_model_that_fits_and_a_deployments_name_is_one(tmp_path: Path) -> None:
    vendors = {bench.kind.name: bench() for bench in benches()}
    with ExitStack() as stack:
        keys: dict[str, str] = {}
        for name in ("google", "dashscope"):
            keys |= vendors[name].environment(stack.enter_context(vendors[name].make_fake()))
        mybox = stack.enter_context(FakeOpenAI(strict=False, api_key=None))
        toml = snippet(MODELS, "toml").text.replace("http://10.0.0.5:8000", mybox.base_url)
        with desk_of(tmp_path, toml, works=False, **keys) as desk:
            sora, longer = (
                desk.served(prompt="A boat", seconds=seconds, size="1280x720", model="sora-2")
                for seconds in ("8", "12")
            )
            pro = desk.served(prompt="A boat", seconds="8", size="1792x1024", model="sora-2-pro")
            deployment = desk.served(prompt="A boat", model="film-team")

    assert (sora, longer) == ("google:video:gemini-omni-1.1-flash", "dashscope:video:wan3.0-video")
    assert (pro, deployment) == ("mybox:video:wan-2.2", "mybox:video:wan-2.2")


def test_the_keys_that_the_page_names_are_those_of_its_models() -> None:
    kinds = {bench.kind.name: bench.kind for bench in benches()}

    for name in ("google", "dashscope"):
        assert kinds[name].key_vars[0] in PAGE.read_text(encoding="utf-8")


def test_a_key_for_a_team(tmp_path: Path) -> None:
    with desk_of(tmp_path, works=False) as desk:
        home = {"RUSHES_HOME": str(tmp_path / "home")}
        key = run_shell(snippet("Keys for a team", "sh").text, desk.folder, home).strip()
        create = desk.text("Python", "python").replace("create_and_poll", "create").partition("if video")[0]

        run_python(create.replace(KEY, key), desk.folder)
        with pytest.raises(AssertionError, match="AuthenticationError"):
            for _ in range(100):  # it is noticed within seconds that there is a key now
                run_python(create, desk.folder)


def test_webhooks_in_place_of_openais(desk: Desk) -> None:
    with Receiver() as receiver:
        [command] = commands(snippet("Webhooks", "sh").text)
        command = command.replace("https://app.example/sora-events", receiver.hook)
        home = {"RUSHES_HOME": str(desk.folder.parent / "home")}
        [secret] = [word for word in run_shell(command, desk.folder, home).split() if word.startswith("whsec_")]
        video_id = str(desk.create(prompt="A boat").json()["id"])
        message = desk.portal.call(told_of, receiver, video_id)
    text = snippet("Webhooks", "python").text.replace("whsec_…", secret)
    call = f"on_event({message.body!r}, {dict(message.headers)!r})"

    assert run_python(f"{text}\n{call}\n", desk.folder).split() == ["video.completed", video_id]


async def told_of(receiver: Receiver, video_id: str) -> Received:
    with anyio.fail_after(60):
        while True:
            for message in receiver.requests:
                if video_id.encode() in message.body:
                    return message
            await anyio.sleep(0.05)
