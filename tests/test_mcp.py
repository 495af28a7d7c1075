"""rushes as an assistant meets it: the library's own client, over stdio, against the real command."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent

from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from tests.command_line import TIMEOUT_S, CommandLine

DRAFT = {"model": "draft", "size": "320x180", "seconds": 1}
SORA = {"model": "openai:video:sora-2", "seconds": 4}  # $0.40
BOX = '[providers.mybox]\nkind = "openai"\nbase_url = "{url}"\n'
READING = {"price", "status", "list", "models"}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.3) as fake:
        yield fake


@pytest.fixture
def rushes(tmp_path: Path, fake: FakeOpenAI) -> CommandLine:
    return CommandLine(tmp_path, {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""})


@pytest.fixture
def offline(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@asynccontextmanager
async def assistant(rushes: CommandLine, *options: str) -> AsyncGenerator[Client]:
    """A client of a server of its own. What that says on stderr is in `stderr.txt`."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "rushes", "mcp", *options],
        env=rushes.environment(),
        cwd=rushes.folder,
    )
    with (rushes.folder / "stderr.txt").open("a") as errors, anyio.fail_after(TIMEOUT_S):
        async with Client(stdio_client(server, errlog=errors), read_timeout_seconds=TIMEOUT_S) as client:
            yield client


def data(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    return cast(dict[str, Any], result.structured_content)


def refusal(result: CallToolResult) -> str:
    """The one line that a refused call answers."""
    [words] = result.content
    assert result.is_error
    assert isinstance(words, TextContent)
    assert "\n" not in words.text
    assert "Traceback" not in words.text
    return words.text


# -- what is offered -------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_each_tool_tells_what_it_takes_answers_and_may_do(offline: CommandLine) -> None:
    async with assistant(offline) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == {*READING, "generate", "download", "cancel"}
    for name, tool in tools.items():
        assert tool.description
        assert "\n" not in tool.description
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert "ctx" not in tool.input_schema["properties"]
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in READING)
    assert [name for name, tool in tools.items() if tool.annotations and tool.annotations.destructive_hint] == [
        "cancel"
    ]
    assert tools["generate"].input_schema["required"] == ["prompt"]
    assert tools["generate"].input_schema["properties"]["n"]["maximum"] == 20


@pytest.mark.anyio
async def test_models_tell_what_they_can_do_cost_and_lack(offline: CommandLine) -> None:
    async with assistant(offline) as client:
        every = data(await client.call_tool("models"))["models"]
        usable = data(await client.call_tool("models", {"usable_only": True}))["models"]
        sora = data(await client.call_tool("models", {"search": "SORA-2"}))["models"]

    assert [model["id"] for model in usable] == ["draft"]
    assert (usable[0]["seconds"], usable[0]["prices"][0]["usd_per_second"]) == ("1 to 60", 0)
    assert len(every) > len(sora) > 1
    unset = next(model for model in sora if model["id"] == "openai:video:sora-2")
    assert not unset["usable"]
    assert "OPENAI_BASE_URL" in unset["why_not"]
    assert unset["prices"][0]["usd_per_second"] == 0.1


# -- from the prompt to the file -------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_video_is_priced_made_while_waiting_seen_listed_and_copied(offline: CommandLine) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with assistant(offline) as client:
        quote = data(await client.call_tool("price", {"prompt": "A lighthouse", **DRAFT}))
        made = await client.call_tool(
            "generate", {"prompt": "A lighthouse", **DRAFT, "wait": True, "wait_s": 120}, progress_callback=tell
        )
        [job] = data(made)["jobs"]
        [video] = job["videos"]
        seen = await client.call_tool("status", {"job_id": job["id"][:14]})
        plain = await client.call_tool("status", {"job_id": job["id"], "thumbnail": False})
        videos = data(await client.call_tool("list", {"kind": "videos", "search": "lighthouse"}))
        none = data(await client.call_tool("list", {"search": "submarine"}))
        kept = data(await client.call_tool("download", {"video_id": video["id"]}))
        copy = {"video_id": video["id"], "path": str(offline.folder)}
        copied = data(await client.call_tool("download", copy))
        again = await client.call_tool("download", copy)
        sheet = data(await client.call_tool("download", {**copy, "variant": "spritesheet"}))

    assert (quote["model"], quote["size"], quote["seconds"], quote["price_usd"]) == ("draft", "320x180", 1, 0)
    assert data(made)["done"]
    assert (job["status"], job["percent"], job["cost_usd"], job["failure"]) == ("completed", 100, 0, None)
    assert Path(video["path"]).is_file()
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1] == (100.0, 100.0, f"{job['id']} completed")
    for result in (made, seen):
        picture = result.content[-1]
        assert isinstance(picture, ImageContent)
        assert picture.mime_type == "image/webp"
        assert base64.b64decode(picture.data)[8:12] == b"WEBP"
    assert data(seen) == data(plain) == job
    assert [type(part) for part in plain.content] == [TextContent]
    assert videos == {"jobs": [], "videos": [video]}
    assert none == {"jobs": [], "videos": []}
    assert (kept["path"], kept["copied"]) == (video["path"], False)
    assert copied["path"] == str(offline.folder / f"{video['id']}.mp4")
    assert Path(copied["path"]).read_bytes() == Path(video["path"]).read_bytes()
    assert "is there already, and is not replaced" in refusal(again)
    assert Path(sheet["path"]).read_bytes().startswith(b"\xff\xd8")


@pytest.mark.anyio
async def test_without_waiting_ids_come_at_once_and_status_waits_for_the_rest(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    async with assistant(rushes) as client:
        ordered = data(await client.call_tool("generate", {"prompt": "A cat", **SORA, "n": 2}))
        assert not ordered["done"]
        assert ordered["quote"]["price_usd"] == 0.8
        ended = [data(await client.call_tool("status", {"job_id": job["id"], "wait_s": 60})) for job in ordered["jobs"]]
        still_open = data(await client.call_tool("list", {"open_only": True}))["jobs"]

    assert [job["status"] for job in ended] == ["completed", "completed"]
    assert [job["cost_usd"] for job in ended] == [0.4, 0.4]
    assert still_open == []
    assert fake.book.charged == 2


@pytest.mark.anyio
async def test_a_wait_ends_after_its_time_and_an_open_job_can_be_cancelled(offline: CommandLine) -> None:
    long = {"prompt": "A cat", "model": "draft", "size": "1920x1080", "seconds": 60}
    async with assistant(offline) as client:
        ordered = data(await client.call_tool("generate", {**long, "wait": True, "wait_s": 0.1}))
        job_id = ordered["jobs"][0]["id"]
        ended = data(await client.call_tool("cancel", {"job_id": job_id}))
        again = refusal(await client.call_tool("cancel", {"job_id": job_id}))

    assert not ordered["done"]
    assert ordered["jobs"][0]["status"] in ("queued", "in_progress")
    assert (ended["id"], ended["state"]) == (job_id, "cancelled")
    assert again == f"{job_id} is already cancelled."


# -- what is wrong ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_is_wrong_is_answered_in_one_line_that_says_what_to_do(offline: CommandLine) -> None:
    wrong: list[tuple[str, Mapping[str, Any], str]] = [
        ("generate", {"prompt": "A cat", "max_cost": 1}, "Did you mean max_cost_usd?"),
        ("generate", {"prompt": "A cat", "seconds": 0}, "seconds: Input should be greater than or equal to 1"),
        ("generate", {}, "prompt: Field required"),
        ("generate", {"prompt": "A cat", "n": 21, "seed": -1}, "seed: Input should be greater"),
        ("generate", {"prompt": "A cat", "model": "openai:video:sora-3"}, "sora"),
        ("generate", {"prompt": "A cat", "size": "big"}, "'big' is not a size"),
        ("generate", {"prompt": "A cat", "image": "/nowhere/cat.png"}, "/nowhere/cat.png"),
        ("price", {"prompt": "A cat", **SORA}, "OPENAI_BASE_URL"),
        ("status", {"job_id": "video_0000"}, "There is no job 'video_0000'"),
        ("download", {"video_id": "video_0000", "path": "cat.mp4"}, "Pass an absolute path"),
        ("download", {"video_id": "video_0000", "path": "/nowhere/cat.mp4"}, "/nowhere does not exist"),
        ("cancel", {"job_id": "video_0000"}, "There is no job 'video_0000'"),
        ("paint", {}, "paint"),
    ]
    async with assistant(offline) as client:
        for tool, arguments, words in wrong:
            assert words in refusal(await client.call_tool(tool, dict(arguments))), (tool, arguments)
        assert data(await client.call_tool("list"))["jobs"] == []

    assert "Traceback" not in (offline.folder / "stderr.txt").read_text()


def test_without_the_library_the_command_says_how_to_install_it(offline: CommandLine) -> None:
    script = (
        "import sys; sys.modules['mcp'] = None; sys.argv = ['rushes', 'mcp']; import rushes.__main__ as r; r.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=offline.folder,
        env=offline.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "rushes: rushes mcp needs the MCP library, version 2. Install it: pip install 'rushes[mcp]'\n"
    )


# -- money -----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_session_never_spends_more_than_it_may_in_all(rushes: CommandLine, fake: FakeOpenAI) -> None:
    async with assistant(rushes, "--max-cost-usd", "1.00") as client:
        first = data(await client.call_tool("generate", {"prompt": "one", **SORA, "wait": True, "wait_s": 120}))
        whole = refusal(await client.call_tool("generate", {"prompt": "two", **SORA, "n": 2}))
        second = data(await client.call_tool("generate", {"prompt": "two", **SORA}))
        third = refusal(await client.call_tool("generate", {"prompt": "three", **SORA, "max_cost_usd": 50}))
        served = data(await client.call_tool("generate", {"prompt": "one", **SORA}))
        quote = data(await client.call_tool("price", {"prompt": "three", **SORA}))
        await client.call_tool("status", {"job_id": second["jobs"][0]["id"], "wait_s": 60})

    assert first["quote"]["session_free_usd"] == 0.6
    assert "This would cost $0.80, and this session may spend $1.00 in all: $0.60 is free. It is not bought." in whole
    assert "This would cost $0.40, and this session may spend $1.00 in all: $0.20 is free." in third
    assert served["jobs"][0]["videos"][0]["cached"]
    assert (quote["price_usd"], quote["session_free_usd"]) == (0.4, 0.2)
    assert fake.book.charged == 2


@pytest.mark.anyio
async def test_calls_at_the_same_time_do_not_spend_the_same_money(rushes: CommandLine, fake: FakeOpenAI) -> None:
    results: list[CallToolResult] = []

    async with assistant(rushes, "--max-cost-usd", "0.50") as client:

        async def order(prompt: str) -> None:
            results.append(await client.call_tool("generate", {"prompt": prompt, **SORA, "wait": True, "wait_s": 120}))

        async with anyio.create_task_group() as tasks:
            for n in range(5):
                tasks.start_soon(order, f"cat {n}")

    assert sorted(result.is_error or False for result in results) == [False, True, True, True, True]
    assert fake.book.charged == 1


@pytest.mark.anyio
async def test_what_a_refused_job_did_not_cost_is_free_again(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault(Trouble.MODERATED)]
    async with assistant(rushes, "--max-cost-usd", "0.40") as client:
        refused = data(await client.call_tool("generate", {"prompt": "one", **SORA, "wait": True, "wait_s": 120}))
        made = data(await client.call_tool("generate", {"prompt": "two", **SORA, "wait": True, "wait_s": 120}))

    assert refused["jobs"][0]["status"] == "failed"
    assert refused["jobs"][0]["failure"]["code"] == "moderation_blocked"
    assert refused["quote"]["session_free_usd"] == 0.4
    assert (made["jobs"][0]["status"], made["quote"]["session_free_usd"]) == ("completed", 0)
    assert fake.book.charged == 1


@pytest.mark.anyio
async def test_one_call_may_cost_no_more_than_it_says(rushes: CommandLine, fake: FakeOpenAI) -> None:
    async with assistant(rushes) as client:
        words = refusal(await client.call_tool("generate", {"prompt": "A cat", **SORA, "max_cost_usd": 0.39}))

    assert "This would cost $0.40, and max_cost_usd is $0.39. It is not bought." in words
    assert fake.book.creates == 0


@pytest.mark.anyio
async def test_an_unknown_price_is_bought_only_if_allowed_and_never_by_a_limited_session(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    (rushes.folder / "rushes.toml").write_text(BOX.format(url=fake.base_url), encoding="utf-8")
    wan = {"prompt": "A cat", "model": "mybox:video:wan", "seconds": 4, "size": "320x180"}

    async with assistant(rushes) as client:
        quote = data(await client.call_tool("price", wan))
        asked = refusal(await client.call_tool("generate", wan))
    async with assistant(rushes, "--max-cost-usd", "100") as client:
        limited = refusal(await client.call_tool("generate", {**wan, "allow_unknown_price": True}))
    assert fake.book.creates == 0
    async with assistant(rushes) as client:
        allowed = data(await client.call_tool("generate", {**wan, "allow_unknown_price": True, "wait": True}))

    assert quote["price_usd"] is None
    assert "The price of mybox:video:wan is unknown, so it is not bought. Pass allow_unknown_price" in asked
    assert "This session is limited to $100.00 in all." in limited
    assert allowed["quote"]["price_usd"] is None
    assert allowed["jobs"][0]["id"]


# -- the wire --------------------------------------------------------------------------------------


@contextmanager
def server(rushes: CommandLine, *options: str) -> Generator["subprocess.Popen[str]"]:
    """The bare process, greeted."""
    with subprocess.Popen(
        [sys.executable, "-m", "rushes", "mcp", *options],
        cwd=rushes.folder,
        env=rushes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            send(process, method="initialize", id=1, params=client)
            assert answer(process, 1)["serverInfo"]["name"] == "rushes"
            send(process, method="notifications/initialized")
            yield process
        finally:
            process.kill()


def send(process: "subprocess.Popen[str]", **message: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]", id_: int) -> dict[str, Any]:
    """The answer to a request; every line before it must be of the protocol."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if message.get("id") == id_:
            return message["result"]
    raise AssertionError("The server ended without an answer.")


def order(process: "subprocess.Popen[str]", id_: int = 2) -> str:
    """Order a video without waiting, and return the job's id."""
    send(
        process,
        method="tools/call",
        id=id_,
        params={"name": "generate", "arguments": {"prompt": "A cat", **SORA, "wait": False}},
    )
    return answer(process, id_)["structuredContent"]["jobs"][0]["id"]


def completed(rushes: CommandLine, job_id: str) -> bool:
    """Look, without working, until a job is completed; bounded."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        told = json.loads(rushes.run("jobs", "show", job_id, "--json").stdout)
        if told["state"] == "completed":
            return True
        time.sleep(0.2)
    return False


def test_nothing_but_the_protocol_is_on_stdout_however_much_is_logged(rushes: CommandLine) -> None:
    with server(rushes, "--log-level", "debug") as process:
        job_id = order(process)
        arguments = {"job_id": job_id, "wait_s": 60}
        send(process, method="tools/call", id=3, params={"name": "status", "arguments": arguments})
        assert answer(process, 3)["structuredContent"]["status"] == "completed"
        rest, errors = process.communicate(timeout=TIMEOUT_S)

    assert [json.loads(line)["jsonrpc"] for line in rest.splitlines()] == ["2.0"] * len(rest.splitlines())
    assert process.returncode == 0
    assert "mcp.call tool=generate" in errors
    assert "A cat" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("by", ["the client's leaving", "SIGTERM", "SIGINT"])
def test_who_ends_a_session_leaves_open_jobs_to_a_background_worker(by: str, tmp_path: Path) -> None:
    with FakeOpenAI(job_s=3) as fake:
        rushes = CommandLine(tmp_path, {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""})
        with server(rushes) as process:
            job_id = order(process)
            if by == "the client's leaving":
                assert process.stdin is not None
                process.stdin.close()
            else:
                process.send_signal(signal.Signals[by])  # the client still holds its end
            assert process.wait(TIMEOUT_S) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()

        assert completed(rushes, job_id)
        assert fake.book.charged == 1


def test_a_client_that_dies_in_a_call_takes_no_job_with_it(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=3) as fake:
        rushes = CommandLine(tmp_path, {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""})
        with server(rushes) as process:
            job_id = order(process)
            waiting = {"name": "status", "arguments": {"job_id": job_id, "wait_s": 600}, "_meta": {"progressToken": 1}}
            send(process, method="tools/call", id=3, params=waiting)
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["method"] == "notifications/progress"
            process.stdout.close()
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(TIMEOUT_S) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()

        assert completed(rushes, job_id)
        assert fake.book.charged == 1
        assert fake.book.total_usd == Decimal("0.40")
