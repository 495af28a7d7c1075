"""Manifests beside and inside real files: they verify, they stop verifying when a byte changes, and they chain."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import clips
import pytest
from authority import KINDS, issue

from rushes.errors import MediaError
from rushes.media.certificates import Credentials, identity, local_credentials, own_credentials
from rushes.media.children import Children
from rushes.media.disk import digest_now
from rushes.media.provenance import Claim, Ingredient, Role
from rushes.media.reports import CHANGED, Report, Signer, State
from rushes.testing.clips import clip as streamable_clip
from rushes.testing.clips import padded
from rushes.video import SourceKind

# pyright: reportUnknownMemberType=false
# (PyAV leaves the packets of its own methods untyped)

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
CLAIM = Claim(
    video_id="video_" + "1" * 32, title="video.mp4", provider="openai", model="sora-2", made_at=NOW, trained=True
)
LARGE_BYTES = 150_000_000


@pytest.fixture(scope="module")
async def children(anyio_backend: str) -> AsyncIterator[Children]:
    async with Children() as pool:
        yield pool


@pytest.fixture
def ours(tmp_path: Path) -> Credentials:
    return local_credentials(tmp_path / "ours", NOW)


@pytest.fixture
def theirs(tmp_path: Path) -> Credentials:
    """Of somebody whom nobody here knows."""
    return local_credentials(tmp_path / "theirs", NOW)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.video(tmp_path / "clip.mp4", frames=12)


async def look(children: Children, ours: Credentials, path: Path, manifest: Path | None = None) -> Report:
    known = identity([ours.certificate])
    return await children.provenance(path, manifest, known.roots, known.serials)


def with_one_byte_changed(path: Path, target: Path) -> Path:
    """Another byte in the middle of the pictures."""
    data = bytearray(path.read_bytes())
    data[data.rindex(b"mdat") + 300] ^= 1
    target.write_bytes(data)
    return target


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def ingredient(role: Role, path: Path, manifest: Path | None = None) -> Ingredient:
    return Ingredient(role=role, mime="video/mp4", path=path, manifest=manifest)


# -- beside ----------------------------------------------------------------------------------------


async def test_a_manifest_beside_verifies_against_the_untouched_file(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    before = digest_now(clip)

    await children.sign(clip, CLAIM, ours, beside=tmp_path / "clip.c2pa")

    report = await look(children, ours, clip, tmp_path / "clip.c2pa")
    assert digest_now(clip) == before
    assert (report.state, report.ours, report.beside, report.problems) == (State.VALID, True, True, ())
    assert report.active is not None
    assert (report.active.model, report.active.source_types) == ("sora-2", ("trainedAlgorithmicMedia",))
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "clip.c2pa", "ours"}, "no copy is left"


async def test_one_changed_byte_is_noticed(children: Children, ours: Credentials, clip: Path, tmp_path: Path) -> None:
    await children.sign(clip, CLAIM, ours, beside=tmp_path / "clip.c2pa")
    changed = with_one_byte_changed(clip, tmp_path / "changed.mp4")

    report = await look(children, ours, changed, tmp_path / "clip.c2pa")

    assert (report.state, report.problems) == (State.INVALID, (CHANGED,))


async def test_a_manifest_of_another_file_does_not_fit(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    other = clips.video(tmp_path / "other.mp4", frames=11)
    await children.sign(clip, CLAIM, ours, beside=tmp_path / "clip.c2pa")

    assert (await look(children, ours, other, tmp_path / "clip.c2pa")).state is State.INVALID


@pytest.mark.parametrize("damage", ["a changed byte", "half of it", "junk", "nothing"])
async def test_a_damaged_manifest_is_told_as_such(
    damage: str, children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "clip.c2pa"
    await children.sign(clip, CLAIM, ours, beside=manifest)
    data = bytearray(manifest.read_bytes())
    data[len(data) // 3] ^= 0xFF
    manifest.write_bytes(
        {"a changed byte": bytes(data), "half of it": bytes(data[: len(data) // 2]), "junk": b"hello"}.get(damage, b"")
    )

    report = await look(children, ours, clip, manifest)

    assert report.state is State.INVALID
    assert report.problems


FORMS = {"mov": {}, "mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}


@pytest.mark.parametrize("suffix", FORMS)
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_every_form_that_a_provider_may_send_is_signed(
    suffix: str, large: bool, children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"other.{suffix}"
    with av.open(str(clip)) as source, av.open(str(path), "w", format=suffix, options=FORMS[suffix]) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    if large:
        path.write_bytes(padded(path.read_bytes(), 34 << 20))

    await children.sign(path, CLAIM, ours, beside=tmp_path / "other.c2pa")

    assert (await look(children, ours, path, tmp_path / "other.c2pa")).ours


async def test_a_file_that_has_no_place_for_a_manifest_is_refused_and_nothing_is_left(
    children: Children, ours: Credentials, tmp_path: Path
) -> None:
    webm = tmp_path / "clip.webm"
    webm.write_bytes(b"\x1aE\xdf\xa3" + bytes(2000))

    with pytest.raises(MediaError, match="C2PA has no place for a manifest there"):
        await children.sign(webm, CLAIM, ours, beside=tmp_path / "clip.c2pa")

    assert not (tmp_path / "clip.c2pa").exists()
    assert (await look(children, ours, webm)).state is State.NONE


# -- inside ----------------------------------------------------------------------------------------


async def test_a_manifest_inside_verifies_and_the_video_plays_the_same(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    signed = tmp_path / "signed.mp4"

    await children.sign(clip, CLAIM, ours, inside=signed)

    report, probe, before = await look(children, ours, signed), await children.probe(signed), await children.probe(clip)
    assert (report.ours, report.beside) == (True, False)
    assert (probe.frames, probe.seconds, probe.size, probe.faststart) == (
        before.frames,
        before.seconds,
        before.size,
        before.faststart,
    )
    assert (before.embedded_c2pa, probe.embedded_c2pa) == (False, True)
    assert pictures(signed) == pictures(clip)


async def test_one_changed_byte_of_a_signed_file_is_noticed(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    signed = tmp_path / "signed.mp4"
    await children.sign(clip, CLAIM, ours, inside=signed)

    report = await look(children, ours, with_one_byte_changed(signed, tmp_path / "changed.mp4"))

    assert (report.state, report.problems) == (State.INVALID, (CHANGED,))


async def test_a_file_without_a_manifest_has_none(children: Children, ours: Credentials, clip: Path) -> None:
    assert (await look(children, ours, clip)).state is State.NONE


# -- signers ---------------------------------------------------------------------------------------


async def test_another_installation_is_an_unknown_signer(
    children: Children, ours: Credentials, theirs: Credentials, clip: Path, tmp_path: Path
) -> None:
    await children.sign(clip, CLAIM, theirs, beside=tmp_path / "clip.c2pa")

    report = await look(children, ours, clip, tmp_path / "clip.c2pa")

    assert report.active is not None
    assert (report.state, report.ours, report.active.signer) == (State.VALID, False, Signer.UNKNOWN)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_own_certificate_signs(kind: str, children: Children, clip: Path, tmp_path: Path) -> None:
    issued = issue(tmp_path / "own", kind=kind)
    own = own_credentials(issued.certificate, issued.key, None, NOW)

    await children.sign(clip, CLAIM, own, beside=tmp_path / "clip.c2pa")

    report = await look(children, own, clip, tmp_path / "clip.c2pa")
    assert report.active is not None
    assert (report.ours, report.active.signed_by) == (True, "Example Studio / Example")


async def test_a_signer_of_the_trust_list_is_trusted_and_not_called_ours(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    issued = issue(tmp_path / "company")
    company = own_credentials(issued.certificate, issued.key, None, NOW)
    await children.sign(clip, CLAIM, company, beside=tmp_path / "clip.c2pa")
    known = identity([ours.certificate])

    report = await children.provenance(
        clip, tmp_path / "clip.c2pa", known.roots + issued.root.read_text(), known.serials
    )

    assert report.active is not None
    assert (report.active.signer, report.ours) == (Signer.TRUSTED, False)


async def test_a_key_that_cannot_be_read_leaves_nothing_behind(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(MediaError):
        await children.sign(clip, CLAIM, replace(ours, key=tmp_path / "no.pem"), inside=tmp_path / "signed.mp4")

    assert not (tmp_path / "signed.mp4").exists()


# -- chains ----------------------------------------------------------------------------------------


async def test_a_remix_of_a_remix_is_a_chain_of_three(children: Children, ours: Credentials, tmp_path: Path) -> None:
    before: Ingredient | None = None
    for n in range(3):
        path = clips.video(tmp_path / f"{n}.mp4", frames=10 + n)
        parts = (before,) if before else ()
        claim = replace(CLAIM, video_id=f"video_{n}", kind=SourceKind.REMIX if n else None, ingredients=parts)
        await children.sign(path, claim, ours, beside=tmp_path / f"{n}.c2pa")
        before = ingredient(Role.SOURCE, path, tmp_path / f"{n}.c2pa")

    report = await look(children, ours, tmp_path / "2.mp4", tmp_path / "2.c2pa")

    assert report.state is State.VALID
    assert [told.video_id for told in report.manifests] == ["video_2", "video_1", "video_0"]
    assert [told.signer for told in report.manifests] == [Signer.OURS] * 3
    assert [told.actions[0] for told in report.manifests] == ["c2pa.opened", "c2pa.opened", "c2pa.created"]
    assert [each.relationship for told in report.manifests for each in told.ingredients] == ["parentOf"] * 2


async def test_a_providers_own_manifest_is_kept_and_named(
    children: Children, ours: Credentials, theirs: Credentials, clip: Path, tmp_path: Path
) -> None:
    delivered = tmp_path / "delivered.mp4"
    await children.sign(clip, replace(CLAIM, video_id="theirs"), theirs, inside=delivered)
    before = digest_now(delivered)
    claim = replace(CLAIM, video_id="ours", ingredients=(ingredient(Role.DELIVERED, delivered),))

    await children.sign(delivered, claim, ours, beside=tmp_path / "delivered.c2pa")

    beside = await look(children, ours, delivered, tmp_path / "delivered.c2pa")
    inside = await look(children, ours, delivered)
    changed = await look(
        children, ours, with_one_byte_changed(delivered, tmp_path / "x.mp4"), tmp_path / "delivered.c2pa"
    )
    assert digest_now(delivered) == before
    assert [(told.video_id, told.signer) for told in beside.manifests] == [
        ("ours", Signer.OURS),
        ("theirs", Signer.UNKNOWN),
    ]
    assert (beside.state, inside.state, changed.state) == (State.VALID, State.VALID, State.INVALID)
    assert [told.video_id for told in inside.manifests] == ["theirs"]


async def test_a_remix_of_a_file_with_two_manifests_names_the_one_beside(
    children: Children, ours: Credentials, theirs: Credentials, clip: Path, tmp_path: Path
) -> None:
    delivered, beside = tmp_path / "delivered.mp4", tmp_path / "delivered.c2pa"
    await children.sign(clip, replace(CLAIM, video_id="theirs"), theirs, inside=delivered)
    claim = replace(CLAIM, video_id="ours", ingredients=(ingredient(Role.DELIVERED, delivered),))
    await children.sign(delivered, claim, ours, beside=beside)
    remix = clips.video(tmp_path / "remix.mp4", frames=11)
    claim = replace(CLAIM, video_id="remix", ingredients=(ingredient(Role.SOURCE, delivered, beside),))

    await children.sign(remix, claim, ours, beside=tmp_path / "remix.c2pa")

    report = await look(children, ours, remix, tmp_path / "remix.c2pa")
    assert report.state is State.VALID
    assert [told.video_id for told in report.manifests] == ["remix", "ours", "theirs"]


async def test_a_source_whose_manifest_is_damaged_is_named_without_it(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.c2pa"
    junk.write_bytes(b"hello")
    remix = clips.video(tmp_path / "remix.mp4", frames=11)

    await children.sign(
        remix,
        replace(CLAIM, ingredients=(ingredient(Role.SOURCE, clip, junk),)),
        ours,
        beside=tmp_path / "remix.c2pa",
    )

    report = await look(children, ours, remix, tmp_path / "remix.c2pa")
    assert (report.state, len(report.manifests)) == (State.VALID, 1)
    assert [each.title for each in report.ingredients] == ["the earlier video"]


async def test_a_source_that_was_changed_after_signing_is_told_in_the_chain(
    children: Children, ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    await children.sign(clip, CLAIM, ours, beside=tmp_path / "clip.c2pa")
    changed = with_one_byte_changed(clip, tmp_path / "changed.mp4")
    remix = clips.video(tmp_path / "remix.mp4", frames=11)
    claim = replace(CLAIM, ingredients=(ingredient(Role.SOURCE, changed, tmp_path / "clip.c2pa"),))

    await children.sign(remix, claim, ours, beside=tmp_path / "remix.c2pa")

    report = await look(children, ours, remix, tmp_path / "remix.c2pa")
    assert report.active is not None
    assert report.active.problems == (f"Of an ingredient, found when it was signed: {CHANGED}",)


async def test_a_picture_is_an_input(children: Children, ours: Credentials, clip: Path, tmp_path: Path) -> None:
    picture = clips.picture(tmp_path / "frame.png")
    frame = Ingredient(role=Role.FIRST_FRAME, mime="image/png", path=picture, sha256=digest_now(picture)[0])
    far = Ingredient(role=Role.REFERENCE, mime="image/jpeg", sha256="ab" * 32)

    await children.sign(clip, replace(CLAIM, ingredients=(frame, far)), ours, beside=tmp_path / "clip.c2pa")

    report = await look(children, ours, clip, tmp_path / "clip.c2pa")
    assert report.state is State.VALID
    assert sorted((each.title, each.relationship) for each in report.ingredients) == [
        ("a reference", "inputTo"),
        ("the first frame", "inputTo"),
    ]


# -- memory and keys -------------------------------------------------------------------------------


def peak_mb(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def with_long_media(target: Path, size_bytes: int) -> Path:
    """A video with so many bytes behind the last frame, in the box of the frames."""
    data = streamable_clip()
    start = data.rindex(b"mdat") - 4
    assert start + int.from_bytes(data[start : start + 4], "big") == len(data), "the media are the last box"
    with target.open("wb") as file:
        file.write(data[:start] + (size_bytes - start).to_bytes(4, "big") + data[start + 4 :])
        for n in range((size_bytes - len(data)) >> 20):
            file.write(n.to_bytes(4, "big") * (1 << 18))  # no two pieces are equal
        file.truncate(size_bytes)
    return target


@pytest.mark.slow
async def test_a_large_file_is_signed_and_read_in_little_memory(ours: Credentials, tmp_path: Path) -> None:
    large = with_long_media(tmp_path / "large.mp4", LARGE_BYTES)
    async with Children() as children:
        await children.sign(large, CLAIM, ours, beside=tmp_path / "large.c2pa")
        [signer] = children.pids
        assert peak_mb(signer) < 100

        report = await look(children, ours, large, tmp_path / "large.c2pa")
        [reader] = children.pids - {signer}
        assert peak_mb(reader) < 120
        assert report.ours

        with large.open("r+b") as file:
            file.seek(LARGE_BYTES // 2)
            file.write(b"\xff")
        assert (await look(children, ours, large, tmp_path / "large.c2pa")).problems == (CHANGED,)


async def test_the_process_that_signs_is_not_the_one_that_decodes(
    ours: Credentials, clip: Path, tmp_path: Path
) -> None:
    async with Children(size=1) as children:
        await children.probe(clip)
        [reader] = children.pids
        await children.sign(clip, CLAIM, ours, beside=tmp_path / "clip.c2pa")
        [signer] = children.pids - {reader}
        await children.probe(clip)
        await children.thumbnail(clip, tmp_path / "t.webp")

        assert children.pids == {reader, signer}
        assert "libavcodec" not in Path(f"/proc/{signer}/maps").read_text()
