"""The live smoke test, driven against a fake: what it buys, what it asks first, and where it finds us wrong."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model, Price, read_table
from rushes.providers.xai import XAI, WireJob
from rushes.testing import clips
from rushes.testing.fakes.xai import FakeXAI
from rushes.testing.faults import Fault, Trouble
from rushes.testing.live.plan import Choice, cheapest, wanted
from rushes.testing.live.record import Record, known_words, status_words
from rushes.testing.server import Answer
from rushes.testing.vendor import Seen, State, VendorJob
from rushes.video import MediaRef, ModelId, Size
from tests.command_line import CommandLine

TODAY = date(2026, 11, 20)
LITE = "xai:video:grok-imagine-video-1.5-lite"


class OtherXAI(FakeXAI):
    """The vendor as it may be one day: with fields that nobody knows, and clips of another size and length."""

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        answer = super().look(job, seen)
        shown = json.loads(answer.body)
        shown["queue_position"] = 3
        if seen.state is State.DONE:
            shown["video"]["watermark_url"] = f"{self.url}/secret?sig=abc"
            shown["usage"]["cost_in_usd_ticks"] *= 2
        return Answer.json(shown, answer.status)

    def content_of(self, remote_id: str) -> bytes:
        return clips.marked(clips.clip(640, 360, 2.0, fps=5), remote_id)


def live(folder: Path, fake: FakeXAI, *args: str, key: str | None = None) -> "subprocess.CompletedProcess[str]":
    line = CommandLine(folder, {"XAI_API_KEY": key or fake.api_key, "XAI_BASE_URL": fake.base_url})
    return line.run("xai", *args, module="rushes.testing.live")


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_provider_that_is_as_we_have_it_is_found_so(tmp_path: Path) -> None:
    with FakeXAI(job_s=1.5, largest_side=2000) as fake:
        done = live(tmp_path, fake, "--yes", "--json", "report.json", "--out", "clip.mp4")

    made = report_of(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Where the contract is wrong\n  nowhere" in done.stdout
    assert f"for $0.02: {LITE}, 480x480, 1 s." in done.stderr
    assert fake.book.total_usd == Decimal("0.02") == Decimal(made["told_usd"])
    assert (tmp_path / "clip.mp4").read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert made["outcome"] == "completed"
    assert made["remote_id"] == fake.book.entries[0].remote_id
    assert made["file"] == {**made["file"], "size": "480x480", "seconds": 1.0, "fps": 5.0, "has_audio": True}
    assert [(word["word"], word["taken_for"], word["known"]) for word in made["words"]] == [
        ("pending", "in_progress", True),
        ("done", "completed", True),
    ]
    assert [step for step, *_ in made["calls"]][:2] == ["create", "poll"]
    assert made["links"] == [{"host": f"127.0.0.1:{fake.port}", "needs_key": False}]
    assert [each["seen"].partition(":")[0] for each in made["refusals"]] == ["Vanished", "AccessDenied"]
    assert made["unknown_fields"] == {}
    assert "error" in made["absent_fields"]["WireJob"]


def test_what_nobody_has_verified_yet_is_told_at_the_end(tmp_path: Path) -> None:
    with FakeXAI(job_s=0.1, largest_side=2000) as fake:
        done = live(tmp_path, fake, "--yes", "--json", "report.json")

    made = report_of(tmp_path)
    assert made["unverified"] == list(next(m for m in read_table("xai") if str(m.id) == LITE).unverified)
    assert made["never_tried"].startswith("how long links live")
    assert "Still unverified\n  the last frame\n  how long links live" in done.stdout


def test_a_provider_that_is_otherwise_is_told_point_by_point(tmp_path: Path) -> None:
    with OtherXAI(job_s=1.5) as fake:
        fake.faults.poll = [Fault.of(Trouble.WORD, "warming_up")]
        done = live(tmp_path, fake, "--yes", "--json", "report.json")

    made = report_of(tmp_path)
    assert done.returncode == 100
    assert made["deviations"] == [
        "The status word 'warming_up' is new to us. It was taken for in_progress.",
        "The clip is 640x360, not 480x480 as it was asked for and as the table has it.",
        "The clip lasts 2.00 s, not 1.",
        "It says that it cost $0.04; the table makes it $0.02.",
    ]
    assert made["unknown_fields"] == {"WireJob": ["queue_position", "video.watermark_url"]}
    assert "Fields that nobody reads\n  WireJob: queue_position, video.watermark_url" in done.stdout
    assert "warming_up: in_progress (new)" in done.stdout


def test_no_key_and_no_link_is_in_a_report(tmp_path: Path) -> None:
    with OtherXAI(job_s=0.1) as fake:
        done = live(tmp_path, fake, "--yes", "--json", "report.json")

    told = done.stdout + done.stderr + (tmp_path / "report.json").read_text(encoding="utf-8")
    assert "Invalid API key" in told  # the fake quotes the key back in full
    for secret in (fake.api_key, "rushes-live-test-of-a-wrong-key", "sig=", "/results/"):
        assert secret not in told


def test_a_job_that_fails_is_a_finding_and_says_whether_it_is_billed(tmp_path: Path) -> None:
    with FakeXAI(job_s=0.1) as fake:
        fake.faults.poll = [Fault.of(Trouble.MODERATED)]
        live(tmp_path, fake, "--yes", "--json", "report.json")

    assert report_of(tmp_path)["deviations"] == ["The job failed (moderation_blocked). It may be billed."]


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        (Fault.status(402), "refused", "HTTP 402"),
        (Fault.status(500, accepted=True), "in doubt", "It may have been accepted: look into the account."),
    ],
)
def test_a_create_that_fails_says_whether_something_may_have_been_bought(
    fault: Fault, outcome: str, words: str, tmp_path: Path
) -> None:
    with FakeXAI(job_s=0.1) as fake:
        fake.faults.create = [fault]
        done = live(tmp_path, fake, "--yes", "--json", "report.json")

    made = report_of(tmp_path)
    assert (done.returncode, made["outcome"]) == (100, outcome)
    assert words in made["deviations"][0]
    assert fake.book.creates <= 1


def test_a_job_that_takes_too_long_is_left_with_its_id(tmp_path: Path) -> None:
    with FakeXAI(job_s=60) as fake:
        done = live(tmp_path, fake, "--yes", "--minutes", "0.03", "--json", "report.json")

    [entry] = fake.book.entries
    assert report_of(tmp_path)["outcome"] == "not seen to its end"
    assert f"Accepted as {entry.remote_id}." in done.stderr


# -- before anything is paid ---------------------------------------------------------------------------


def test_without_a_terminal_nothing_is_bought_unless_that_was_agreed_to(tmp_path: Path) -> None:
    with FakeXAI() as fake:
        done = live(tmp_path, fake)

    assert done.returncode == 1
    assert "There is no terminal to ask at. Pass --yes to agree beforehand." in done.stderr
    assert fake.requests == []


@pytest.mark.parametrize(("typed", "bought"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_at_a_terminal_it_asks_and_takes_nothing_but_yes_for_yes(typed: str, bought: int, tmp_path: Path) -> None:
    with FakeXAI(job_s=0.1, largest_side=2000) as fake:
        line = CommandLine(tmp_path, {"XAI_API_KEY": fake.api_key, "XAI_BASE_URL": fake.base_url})
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "rushes.testing.live", "xai"],
            cwd=tmp_path,
            env=line.environment(),
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(master, typed.encode())
        _, said = process.communicate(timeout=60)
        os.close(master)
        os.close(slave)

    assert "Buy it? [y/N]" in said
    assert fake.book.creates == bought
    assert process.returncode == (0 if bought else 1)


def test_an_unknown_price_has_to_be_agreed_to_by_name(tmp_path: Path) -> None:
    (tmp_path / "newer.toml").write_text(
        '[[providers.xai.models]]\nname = "next"\ntitle = "Next"\nsizes = ["848x480"]\nseconds = [2]\n'
        'default_size = "848x480"\ndefault_seconds = 2\n'
    )
    (tmp_path / "rushes.toml").write_text('[catalog]\nextra = "newer.toml"\n')
    with FakeXAI() as fake:
        done = live(tmp_path, fake, "--model", "next", "--yes")

    assert done.returncode == 1
    assert "at a price that rushes does not know: xai:video:next" in done.stderr
    assert "pass --allow-unknown-price" in done.stderr
    assert fake.requests == []


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--model", "grok-imagine-video-1.5", "--max-cost", "0.05", "--yes"], 1, "more than --max-cost 0.05"),
        (["--model", "nothing-like-it", "--yes"], 2, "xai has no model 'nothing-like-it'"),
    ],
)
def test_what_is_not_wanted_is_not_bought(args: list[str], code: int, words: str, tmp_path: Path) -> None:
    with FakeXAI() as fake:
        done = live(tmp_path, fake, *args)

    assert (done.returncode, fake.requests) == (code, [])
    assert words in done.stderr


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    done = CommandLine(tmp_path).run("xai", "--yes", module="rushes.testing.live")

    assert done.returncode == 1
    assert "xAI has no key. Set XAI_API_KEY." in done.stderr


# -- what it buys ----------------------------------------------------------------------------------------


def priced(name: str, usd: str | None, **changes: Any) -> Model:
    base = Model(
        id=ModelId("acme", name),
        title=name,
        sizes=(Size(1280, 720), Size(640, 360)),
        seconds=(4, 8),
        default_size=Size(1280, 720),
        default_seconds=8,
        features=frozenset(Feature),
        prices=() if usd is None else (Price(usd_per_video=Decimal(usd)),),
    )
    return replace(base, **changes)


def test_the_cheapest_clip_is_the_shortest_and_smallest_of_the_cheapest_model() -> None:
    found = cheapest([priced("dear", "1"), priced("cheap", "0.5"), priced("unknown", None)], TODAY)

    assert (found.model.id.model, found.size, found.seconds, found.usd) == ("cheap", Size(640, 360), 4, Decimal("0.5"))


def test_a_model_that_makes_clips_from_text_is_tried_before_one_that_needs_a_picture() -> None:
    from_picture = priced("from-picture", "0.1", requires=(Feature.FIRST_FRAME,))

    assert cheapest([from_picture, priced("from-text", "0.5")], TODAY).model.id.model == "from-text"
    assert cheapest([from_picture], TODAY).model.id.model == "from-picture"


def test_retired_models_are_not_tried() -> None:
    with pytest.raises(Unsupported, match="no model to try"):
        cheapest([priced("gone", "0.1", retired=TODAY)], TODAY)


def test_a_model_that_needs_pictures_is_given_them() -> None:
    model = priced("m", "0.1", requires=(Feature.FIRST_FRAME, Feature.REFERENCES))
    picture = MediaRef(sha256="0" * 64, mime="image/png", size_bytes=9, width=640, height=360)

    request = wanted(Choice(model=model, size=Size(640, 360), seconds=4, usd=None), picture, TODAY).request

    assert (request.first_frame, request.last_frame) == (picture, None)
    assert [each.media for each in request.references] == [picture]


# -- what it notes ---------------------------------------------------------------------------------------


def test_an_answer_is_held_beside_the_shape_that_reads_it() -> None:
    record = Record()

    record.note_shape(WireJob, {"status": "done", "video": {"url": "u", "codec": "av1"}, "error": "no object"})
    record.note_shape(WireJob, {"progress": 5, "eta": 3})

    assert record.unknown == {"WireJob": {"video.codec", "eta"}}
    assert "progress" not in record.absent["WireJob"]
    assert {"usage", "video.duration"} <= set(record.absent["WireJob"])


def test_words_of_status_are_found_wherever_they_stand() -> None:
    data = {"code": 0, "data": {"task_status": "RUNNING", "results": [{"state": "queued"}]}, "status": 200}

    assert list(status_words(data)) == ["RUNNING", "queued"]


def test_words_that_the_provider_or_its_fake_knows_are_not_new() -> None:
    assert {"done", "expired", "pending"} <= known_words(XAI)
    assert "warming_up" not in known_words(XAI)
