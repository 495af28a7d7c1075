"""The library on the command line: found by tags, drawn as a family, measured, and cleared of what may go."""

import json
import os
import pty
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.family import family_data, family_tree
from rushes.cli.units import parse_age, parse_size, show_bytes
from rushes.jobs.ledger import JobState
from rushes.jobs.lineage import Member
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import SourceKind
from tests.command_line import CommandLine

SORA = ("-m", "openai:video:sora-2", "--seconds", "4")
SMALL = ("-m", "draft", "--seconds", "1", "--size", "160x90")


def made(rushes: CommandLine, *args: str) -> str:
    """Make a video and return its id."""
    result = rushes.run("generate", *args)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip()).parent.name


def answer(rushes: CommandLine, *args: str) -> Any:
    result = rushes.run(*args, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def said(result: "subprocess.CompletedProcess[str]") -> list[str]:
    """What it complained about, without click's two lines of usage."""
    return [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(("Usage:", "Try "))]


# -- finding ---------------------------------------------------------------------------------------


def test_videos_are_found_by_tag_model_and_words(offline: CommandLine) -> None:
    one = made(offline, "a lighthouse", *SMALL, "--tag", "sea", "--tag", "night")
    two = made(offline, "a harbour", *SMALL)

    tagged = offline.run("videos", "tag", two, "sea")
    both = [each["id"] for each in answer(offline, "videos", "list", "--tag", "sea", "--model", "draft")]
    dark = answer(offline, "videos", "list", "--tag", "sea", "--tag", "night")
    untagged = offline.run("videos", "tag", two, "sea", "--remove")
    jobs = [each["id"] for each in answer(offline, "jobs", "list", "--tag", "sea")]
    table = offline.run("videos", "list", "--search", "LIGHT").stdout

    assert (tagged.stdout, untagged.stdout) == ("sea\n", "")
    assert both == [two, one]
    assert [(each["id"], each["tags"]) for each in dark] == [(one, ["night", "sea"])]
    assert jobs == [one]
    assert "night, sea" in table
    assert two not in table


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["tag", "video_0123456789abcdef", "a,b"], "commas"),
        (["tag", "video_0123456789abcdef", "x" * 81], "1 to 80"),
        (["tag", "video_0123456789abcdef", "--remove"], "Name the tags"),
        (["tag", "ID", "sea", "--remove"], "no tag 'sea'. It has none."),
        (["tag", "video_0123456789abcdef", "sea"], "There is no job"),
        (["show", "video_0123456789abcdef"], "There is no job"),
        (["list", "--tag", ""], "1 to 80"),
        (["gc", "--older-than", "30"], "'30' is not an age"),
        (["gc", "--older-than", "1.5d"], "12h, 30d or 2w"),
        (["gc", "--older-than", "-3d"], "'-3d' is not an age"),
        (["gc", "--keep-bytes", "10"], "'10' is not a size"),
        (["gc", "--max-size", "10 gigs"], "500MB or 10GB"),
    ],
    ids=str,
)
def test_bad_input_is_refused_in_one_line(command: list[str], words: str, offline: CommandLine) -> None:
    video_id = made(offline, "a lighthouse", *SMALL) if "ID" in command else ""

    result = offline.run("videos", *[video_id if each == "ID" else each for each in command])

    assert result.returncode in (1, 2)
    assert result.stdout == ""
    assert len(said(result)) == 1, result.stderr
    assert words in result.stderr


def test_a_tag_of_a_new_video_is_checked_before_anything_is_bought(rushes: CommandLine, fake: FakeOpenAI) -> None:
    result = rushes.run("generate", "A cat", *SORA, "--tag", "a,b")

    assert (result.returncode, len(said(result))) == (2, 1)
    assert fake.requests == []


def test_an_empty_library_says_so(offline: CommandLine) -> None:
    usage = answer(offline, "videos", "du")

    assert "No videos yet" in offline.run("videos", "list").stderr
    assert "No video fits" in offline.run("videos", "list", "--tag", "sea").stderr
    assert offline.run("videos", "gc").stdout == "Nothing to remove.\n"
    assert (usage["models"], usage["kinds"]["video"], usage["orphan_bytes"]) == ({}, {"files": 0, "size_bytes": 0}, 0)
    assert all(free > 0 for free in usage["free_bytes"].values())


# -- the family ------------------------------------------------------------------------------------


def test_a_family_is_drawn_and_listed_from_any_of_its_members(rushes: CommandLine) -> None:
    first = made(rushes, "A cat", *SORA)
    red = made(rushes, "In red", "--remix", first)
    night = made(rushes, "At night", "--remix", red)
    blue = made(rushes, "In blue", "--remix", first)
    rushes.run("videos", "delete", blue, "--yes")

    drawn = rushes.run("videos", "show", red).stdout
    listed = answer(rushes, "videos", "show", night)["lineage"]
    alone = made(rushes, "A dog", *SORA)

    tree = drawn[drawn.index("lineage\n") :].splitlines()[1:]
    assert [re.sub(r"video_[0-9a-f]{32}", "ID", line) for line in tree] == [
        "  ID  completed  openai:video:sora-2  A cat",
        "  ├─ * remix ID  completed  openai:video:sora-2  In red",
        "  │  └─ remix ID  completed  openai:video:sora-2  At night",
        "  └─ remix ID  completed  openai:video:sora-2  (deleted)",
    ]
    assert [(each["id"], each["parent"], each["shown"]) for each in listed] == [
        (first, None, False),
        (red, first, False),
        (night, red, True),
        (blue, first, False),
    ]
    assert listed[3]["prompt"] is None
    assert "lineage" not in rushes.run("videos", "show", alone).stdout


@st.composite
def families(draw: st.DrawFn) -> list[Member]:
    """Depths as a walk through a tree gives them: never more than one step deeper than before."""
    depths = [0]
    for _ in range(draw(st.integers(0, 12))):
        depths.append(draw(st.integers(1, depths[-1] + 1)))
    kind = SourceKind.REMIX
    return [
        Member(job_id=f"m{n}", kind=kind if d else None, prompt="p", state=JobState.QUEUED, model="m", depth=d)
        for n, d in enumerate(depths)
    ]


@given(family=families())
def test_every_branch_begins_under_its_parent_and_is_never_broken(family: list[Member]) -> None:
    lines = family_tree(family, "m0")

    parents = [each["parent"] for each in family_data(family, "m0")]
    for n, (member, line) in enumerate(zip(family, lines, strict=True)):
        assert f"m{n}  queued" in line
        if n == 0:
            continue
        parent, column = int(str(parents[n])[1:]), 3 * (member.depth - 1)
        assert family[parent].depth == member.depth - 1
        assert line[column] == ("├" if parents[n] in parents[n + 1 :] else "└")
        assert all(between[column] in "├│" for between in lines[parent + 1 : n])


# -- room ------------------------------------------------------------------------------------------


def test_du_counts_by_kind_and_by_model(offline: CommandLine) -> None:
    video_id = made(offline, "a lighthouse", *SMALL)
    folder = offline.home / "media" / "videos" / video_id

    usage = answer(offline, "videos", "du")
    table = offline.run("videos", "du").stdout

    video = (folder / "video.mp4").stat().st_size
    everything = sum(each.stat().st_size for each in folder.iterdir())
    assert usage["kinds"]["video"] == {"files": 1, "size_bytes": video}
    assert usage["models"] == {"draft": {"videos": 1, "size_bytes": everything}}
    assert usage["size_bytes"] > everything + offline.database.stat().st_size - 1
    assert "database" in table
    assert "free on the disk" in table


def test_gc_shows_first_and_removes_only_when_told_to(offline: CommandLine) -> None:
    video_id = made(offline, "a lighthouse", *SMALL)
    path = offline.home / "media" / "videos" / video_id / "video.mp4"

    shown = offline.run("videos", "gc", "--older-than", "0s", "--dry-run")
    refused = offline.run("videos", "gc", "--older-than", "0s")
    there = path.exists()
    done = answer(offline, "videos", "gc", "--older-than", "0s", "--yes")

    assert video_id in shown.stdout
    assert "Would free" in shown.stdout
    assert (refused.returncode, len(said(refused))) == (2, 1)
    assert "--yes" in refused.stderr
    assert there
    assert not path.parent.exists()
    assert [(each["what"], each["why"]) for each in done["removals"]] == [(video_id, "old")]


def test_a_collected_video_is_shown_with_the_day_and_made_again_when_asked_for(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    video_id = made(rushes, "A cat", *SORA)
    rushes.run("videos", "gc", "--older-than", "0s", "--yes")

    shown = rushes.run("videos", "show", video_id)
    data = answer(rushes, "videos", "show", video_id)
    listed = rushes.run("videos", "list").stdout
    exported = rushes.run("videos", "export", video_id, "cat.mp4")
    again = rushes.run("generate", "A cat", *SORA)

    assert re.search(r"^file +collected by rushes videos gc on \d{4}-\d\d-\d\d \d\d:\d\d UTC$", shown.stdout, re.M)
    assert shown.stderr == ""
    assert (data["path"], data["thumbnail"], data["collected"], data["prompt"]) == (None, None, True, "A cat")
    assert "gone" in listed
    assert exported.returncode == 1
    assert "no longer in the library" in exported.stderr
    assert Path(again.stdout.strip()).is_file()
    assert "$0.40" in again.stderr
    assert fake.book.charged == 2


def test_a_gc_that_was_killed_half_way_is_finished_by_the_next(offline: CommandLine) -> None:
    video_id = made(offline, "a lighthouse", *SMALL)
    folder = offline.home / "media" / "videos" / video_id

    offline.crash_at("gc.marked", "videos", "gc", "--older-than", "0s", "--yes")
    left = folder.exists()
    done = answer(offline, "videos", "gc", "--yes")

    assert left
    assert not folder.exists()
    assert [each["why"] for each in done["removals"]] == ["collected"]


@pytest.mark.parametrize(("reply", "stays"), [("n\n", True), ("y\n", False)])
def test_a_person_is_asked_and_heeded(reply: str, stays: bool, offline: CommandLine) -> None:
    video_id = made(offline, "a lighthouse", *SMALL)
    ours, theirs = pty.openpty()
    os.write(ours, reply.encode())

    result = subprocess.run(
        [sys.executable, "-m", "rushes", "videos", "gc", "--older-than", "0s"],
        cwd=offline.folder,
        env=offline.environment(),
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)

    assert "1 video" in result.stderr
    assert (offline.home / "media" / "videos" / video_id).exists() == stays
    assert (result.returncode == 0) != stays


# -- sizes and ages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("10GB", 10_000_000_000), ("500 mb", 500_000_000), ("1.5KB", 1500), ("0B", 0), ("2GiB", 2 << 30), ("1tb", 10**12)],
)
def test_sizes_are_read_with_their_unit(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "10", "GB", "-1GB", "1e9B", "10 gigs", "1,5GB", "10GB 5MB", "٣GB", "9" * 400 + "B"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("90m", timedelta(minutes=90)),
        ("0s", timedelta(0)),
    ],
)
def test_ages_are_read_with_their_unit(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1y", "30 days", "30D", "1d12h", "9999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an age"):
        parse_age(text)


@given(size=st.integers(0, 10**15))
def test_a_shown_size_is_near_the_real_one(size: int) -> None:
    assert abs(parse_size(show_bytes(size)) - size) <= max(size * 0.051, 0)
