"""`rushes provenance`, and what the other commands tell and carry along of where a video comes from."""

import json
from pathlib import Path
from typing import Any

import pytest

from rushes.testing.clips import clip
from tests.command_line import CommandLine

SORA = ("generate", "A lighthouse", "-m", "openai:video:sora-2", "--seconds", "4", "--json")
DRAFT = ("generate", "A lighthouse", "-m", "draft", "--seconds", "1", "--size", "160x90", "--json")


def made(rushes: CommandLine, command: tuple[str, ...] = SORA) -> dict[str, Any]:
    done = rushes.run(*command)
    assert done.returncode == 0, done.stderr
    data: Any = json.loads(done.stdout)
    return data[0] if isinstance(data, list) else data  # pyright: ignore[reportUnknownVariableType]


def test_a_video_of_the_library_tells_where_it_comes_from(rushes: CommandLine) -> None:
    video = made(rushes)

    shown = rushes.run("videos", "show", video["id"])
    told = rushes.run("provenance", video["id"])

    assert "provenance   valid, beside the file, signed by this installation" in shown.stdout
    assert "openai sora-2, trainedAlgorithmicMedia" in shown.stdout
    assert told.returncode == 0
    assert "valid: nothing was changed since it was signed (manifest beside the file)" in told.stdout
    assert f"video: {video['id']}, by openai sora-2" in told.stdout
    assert "A lighthouse" not in told.stdout, "prompts are not in manifests"


def test_the_same_as_json(rushes: CommandLine) -> None:
    video = made(rushes)

    shown = json.loads(rushes.run("videos", "show", video["id"], "--json").stdout)
    told = json.loads(rushes.run("provenance", video["id"], "--json").stdout)

    assert shown["provenance"] == told
    assert (told["state"], told["beside"]) == ("valid", True)
    assert told["manifests"][0]["signer"] == "this installation"


def test_a_copy_carries_its_manifest_if_asked_and_tells_when_it_was_changed(
    rushes: CommandLine, tmp_path: Path
) -> None:
    video, copy = made(rushes), tmp_path / "copy.mp4"

    exported = rushes.run("videos", "export", video["id"], str(copy), "--embed")
    whole = rushes.run("provenance", str(copy))
    data = bytearray(copy.read_bytes())
    data[data.rindex(b"mdat") + 100] ^= 1
    copy.write_bytes(data)
    changed = rushes.run("provenance", str(copy))

    assert exported.returncode == 0, exported.stderr
    assert (whole.returncode, changed.returncode) == (0, 1)
    assert "(manifest inside the file)" in whole.stdout
    assert "see 2" in whole.stdout
    assert "INVALID: The content was changed after signing." in changed.stdout


def test_no_manifest_is_a_clear_answer_and_no_error(offline: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "plain.mp4").write_bytes(clip())
    (tmp_path / "notes.txt").write_text("hello")

    for name in ("plain.mp4", "notes.txt"):
        done = offline.run("provenance", name)
        assert (done.returncode, done.stdout) == (
            0,
            f"{name}: no manifest: nothing is known of where it comes from\n",
        )


def test_a_file_that_is_not_there_is_an_error(offline: CommandLine) -> None:
    done = offline.run("provenance", "no.mp4")

    assert (done.returncode, done.stdout) == (1, "")
    assert "no.mp4: no such file" in done.stderr


@pytest.mark.parametrize("point", ["download.published", "download.recorded"])
def test_a_draft_whose_process_was_killed_is_signed_all_the_same(point: str, offline: CommandLine) -> None:
    offline.crash_at(point, *DRAFT)

    video = made(offline, DRAFT)

    report = json.loads(offline.run("provenance", video["path"], "--json").stdout)
    assert (report["state"], report["beside"]) == ("valid", False)
    assert report["manifests"][0]["source_types"] == ["algorithmicMedia"]


def test_a_certificate_that_is_not_there_is_said_before_anything_is_bought(rushes: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "rushes.toml").write_text('[provenance]\ncertificate = "no.pem"\nkey = "no.pem"\n')

    done = rushes.run(*SORA)

    assert done.returncode == 1
    assert f"[provenance] certificate: {tmp_path / 'no.pem'} cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
