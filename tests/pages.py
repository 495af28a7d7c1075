"""Pages of the docs, read for what they tell a reader to do.

In ```sh every line is a command, and one that nobody knows how to run is told as unknown; in ```console, and in a block
without a language, only the `rushes …` lines are.
"""

import re
import shlex
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = ("sh", "console")


@dataclass(frozen=True)
class Page:
    """What a page tells a reader to do."""

    commands: tuple[tuple[str, ...], ...]
    variables: frozenset[str]  # that it says to set
    settings: str  # every block of TOML in it, as one rushes.toml
    unknown: tuple[str, ...]  # lines in shell blocks that are neither


def read_page(text: str) -> Page:
    commands: list[tuple[str, ...]] = []
    variables: set[str] = set()
    settings: list[str] = []
    unknown: list[str] = []
    for language, body in FENCE.findall(text):
        if language == "toml":
            settings.append(body)
        if language not in ("", *SHELLS):
            continue
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["rushes"]:
                commands.append(tuple(words[1:]))
            elif words[:1] == ["export"] and len(words) == 2:
                variables.add(words[1].partition("=")[0])
            elif words and language == "sh":
                unknown.append(line)
    return Page(tuple(commands), frozenset(variables), "\n".join(settings), tuple(unknown))
