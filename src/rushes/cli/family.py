"""The family of a video, as a tree for people and as a list for `--json`."""

from collections.abc import Sequence
from typing import Any

from rushes.cli.show import short
from rushes.jobs.lineage import Member

PROMPT_CHARACTERS = 50


def family_data(members: Sequence[Member], shown: str) -> list[dict[str, Any]]:
    """Each member after the one it came from; `parent` is null for the one that began the family."""
    parents = parents_of(members)
    return [
        {
            "id": member.job_id,
            "parent": None if parent is None else members[parent].job_id,
            "kind": member.kind.value if member.kind else None,
            "depth": member.depth,
            "state": member.state.value,
            "model": member.model,
            "prompt": None if member.deleted else member.prompt,
            "deleted": member.deleted,
            "shown": member.job_id == shown,
        }
        for member, parent in zip(members, parents, strict=True)
    ]


def family_tree(members: Sequence[Member], shown: str) -> list[str]:
    """One line for each member, with branches drawn before it and a mark before the one that is shown. Pure."""
    return [
        f"{branch}{_facts(member, marked=member.job_id == shown)}"
        for member, branch in zip(members, _branches([member.depth for member in members]), strict=True)
    ]


def parents_of(members: Sequence[Member]) -> list[int | None]:
    """The place of each member's parent in the list: the last one before it that is one step less deep."""
    path: list[int] = []
    parents: list[int | None] = []
    for place, member in enumerate(members):
        del path[member.depth :]
        parents.append(path[-1] if path else None)
        path.append(place)
    return parents


def _branches(depths: Sequence[int]) -> list[str]:
    """What is drawn before each line, from the depths in drawing order."""
    drawn: list[str] = []
    open_below = set[int]()  # depths at which a younger sibling is still to come; read from the end
    for depth in reversed(depths):
        open_below = {each for each in open_below if each <= depth}
        if depth == 0:
            drawn.append("")
        else:
            trunk = "".join("│  " if level in open_below else "   " for level in range(1, depth))
            drawn.append(trunk + ("├─ " if depth in open_below else "└─ "))
        open_below.add(depth)
    return drawn[::-1]


def _facts(member: Member, *, marked: bool) -> str:
    kind = f"{member.kind.value} " if member.kind else ""
    words = "(deleted)" if member.deleted else short(member.prompt, PROMPT_CHARACTERS)
    return f"{'* ' if marked else ''}{kind}{member.job_id}  {member.state.value}  {member.model}  {words}"
