"""Run many `rushes …` commands one after the other in one process, and write what each said as JSON.

    python -m tests.commands_in_a_process COMMANDS.json

Most of the time of a short command goes into starting. The file holds lists of arguments; `VIDEO_ID` among them
stands for the newest video of the library, as a person would copy it from `rushes videos list`.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import NamedTuple

from rushes import __main__ as front_door


class Said(NamedTuple):
    code: int
    stdout: str
    stderr: str


def run(arguments: list[str]) -> Said:
    """One command, through the front door."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["rushes", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = front_door.run()
    return Said(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


def newest_video() -> str:
    return str(json.loads(run(["videos", "list", "--limit", "1", "--json"]).stdout)[0]["id"])


def run_all(commands: list[list[str]]) -> list[Said]:
    said: list[Said] = []
    for arguments in commands:
        known = {"VIDEO_ID": newest_video()} if "VIDEO_ID" in arguments else {}
        said.append(run([known.get(word, word) for word in arguments]))
    return said


if __name__ == "__main__":
    print(json.dumps(run_all(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
