"""Signing and reading C2PA manifests, with the c2pa library. Runs in a media child; `provenance.py` says what is told.

A file that is not ours to change gets its manifest beside it, and the library must not notice what already lies inside:
a provider's own manifest it would cut out of the copy that it hashes, and the hash would not fit the file. So the box
of that manifest is shown to it as a `free` box, which the hash leaves out just as it leaves out manifests; the
validator, which sees the file as it is, comes to the same hash.

Large files are hashed in pieces (a Merkle tree, whose leaves all lie in the manifest): in one piece the library reads
up to 512 MB into memory, here as well as wherever the file is validated. Files of fragments, and those with more than
one `mdat` box, are hashed in one piece all the same. Source: c2pa-python 0.38.1 and the c2pa-rs
0.91.3 in it, both measured and read 2026-11-21; C2PA specification 2.2, section 18.7 (BMFF hash).
"""

import io
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rushes.errors import MediaError
from rushes.media.certificates import ALLOWED_USES
from rushes.media.disk import disk_error
from rushes.media.mp4 import C2PA_UUID, Layout, read_layout

if TYPE_CHECKING:
    import c2pa

    from rushes.media.reports import Report

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# (c2pa-python is annotated, but brings no py.typed, and leaves its dictionaries open)

IN_PIECES_FROM_BYTES = 16 << 20
PIECE_KB = 1024
IN_MEMORY_MB = 16  # of the library's own copy of the file; above that it lies in TMPDIR, without a name
FREE = b"free"
MIME = "application/c2pa"
NO_PLACE = ("NotSupported", "Other", "Io", "RemoteManifest")
"""How the library's words begin for a file of no kind it knows, or whose manifest lies somewhere on the network."""
SOUND_STATES = ("Valid", "Trusted")
MAY_SIGN = "\n".join(ALLOWED_USES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An ingredient's file. `about` is what our manifest says of it; its own `manifest` lies beside it."""

    about: Mapping[str, Any]
    path: Path
    mime: str
    manifest: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What to sign, with what. The manifest goes into `inside`, a new file, or into `beside`; one of the two is set."""

    video: Path
    inside: Path | None
    beside: Path | None
    definition: Mapping[str, Any]
    parts: Sequence[Part]
    certificate: Path
    key: Path
    algorithm: str
    timestamp_url: str | None


def sign(order: Signing) -> None:
    """Sign, and see that the result holds. Raises MediaError; nothing is left behind then."""
    import c2pa

    out = order.inside or order.beside
    assert out is not None
    os.environ["TMPDIR"] = str(out.parent)  # where the library puts its copy of a large file
    try:
        with order.video.open("rb") as file:
            layout = read_layout(file)
        if not layout.boxes or layout.boxes[0].kind != "ftyp":
            raise MediaError(f"{order.video.name} is no MP4 or QuickTime file: C2PA has no place for a manifest there.")
        in_pieces = layout.size_bytes >= IN_PIECES_FROM_BYTES and _can_be_hashed_in_pieces(layout)
        manifest = _sign(order, layout, in_pieces)
        if order.beside is not None:
            order.beside.write_bytes(manifest)
        _see_that_it_holds(order, manifest)
    except OSError as error:
        _remove(out)
        raise disk_error(error, out) from error
    except c2pa.C2paError as error:
        _remove(out)
        raise MediaError(f"{order.video.name} cannot be signed: {_words(error)}") from error
    except BaseException:
        _remove(out)
        raise


def read(path: Path, manifest: Path | None, roots: str, serials: frozenset[str]) -> "Report":
    """What the manifest of a file says, and whether it holds; `manifest` lies beside it, else it is looked for inside.

    Raises MediaError only for what cannot be read from disk: anything wrong with the manifest is in the report.
    """
    import c2pa

    from rushes.media.reports import NOTHING, damaged, report_of

    try:
        with _context(roots=roots) as context, path.open("rb") as file:
            data = manifest.read_bytes() if manifest else None
            reader = c2pa.Reader.try_create(None, file, data, context=context)
            if reader is None:
                return NOTHING
            with reader:
                return report_of(json.loads(reader.json()), beside=manifest is not None, serials=serials)
    except OSError as error:
        raise disk_error(error, path) from error
    except c2pa.C2paError as error:
        if manifest is None and _words(error).startswith(NO_PLACE) and not _has_manifest(path):
            return NOTHING
        return damaged(_words(error), beside=manifest is not None)


def _has_manifest(path: Path) -> bool:
    with path.open("rb") as file:
        return read_layout(file).has_c2pa


def _sign(order: Signing, layout: Layout, in_pieces: bool) -> bytes:
    import c2pa

    with ExitStack() as stack:
        context = stack.enter_context(_context(in_pieces=in_pieces))
        builder = stack.enter_context(c2pa.Builder(dict(order.definition), context=context))
        if order.beside is not None:
            builder.set_no_embed()
        for n, part in enumerate(order.parts):
            _add(builder, part, n)
        signer = stack.enter_context(c2pa.Signer.from_info(_signer_info(order)))
        if order.inside is not None:
            source: Any = stack.enter_context(order.video.open("rb"))
            out: Any = stack.enter_context(order.inside.open("w+b"))
        else:
            source = stack.enter_context(_as_is(order.video, layout))
            out = _Nowhere()
        manifest = builder.sign(signer, "video/mp4", source, out)
        if order.inside is not None:
            out.flush()
            os.fsync(out.fileno())
        elif out.size_bytes != layout.size_bytes:
            raise MediaError(f"{order.video.name} cannot be signed without changing it.")
        return manifest


def _signer_info(order: Signing) -> "c2pa.C2paSignerInfo":
    import c2pa

    return c2pa.C2paSignerInfo(
        order.algorithm, _blocks(order.certificate, "CERTIFICATE"), _blocks(order.key, "KEY"), order.timestamp_url
    )


def _blocks(path: Path, kind: str) -> bytes:
    """The PEM blocks of one kind: chain and key may lie in one file."""
    kept: list[bytes] = []
    inside = False
    for line in path.read_bytes().splitlines(keepends=True):
        if line.startswith(b"-----BEGIN"):
            inside = line.strip().endswith(f"{kind}-----".encode())
        if inside:
            kept.append(line)
    return b"".join(kept)


def _add(builder: "c2pa.Builder", part: Part, n: int) -> None:
    """Add an ingredient with the manifest that belongs to it, validated, if it has one."""
    import c2pa

    about = dict(part.about)
    if part.manifest is not None:
        try:
            with part.path.open("rb") as file, _context() as context:
                data = part.manifest.read_bytes()
                with c2pa.Reader(part.mime, file, data, context=context) as reader:
                    found = json.loads(reader.json())
        except c2pa.C2paError:
            pass  # a damaged manifest says nothing; the file itself is named all the same
        else:
            name = f"ingredient-{n}.c2pa"
            builder.add_resource(name, io.BytesIO(data))
            about |= {
                "manifest_data": {"format": MIME, "identifier": name},
                "active_manifest": found["active_manifest"],
                "validation_results": found["validation_results"],
            }
            # The manifest beside names the one inside, if there is one; the library would take that one instead.
            with part.path.open("rb") as file, _as_is(part.path, read_layout(file)) as stream:
                builder.add_ingredient(about, part.mime, stream)
            return
    with part.path.open("rb") as file:
        builder.add_ingredient(about, part.mime, file)


def _see_that_it_holds(order: Signing, manifest: bytes) -> None:
    """What was signed must validate: a manifest that calls an untouched file changed is worse than none."""
    import c2pa

    with _context() as context, (order.inside or order.video).open("rb") as file:
        data = manifest if order.beside is not None else None
        with c2pa.Reader("video/mp4", file, data, context=context) as reader:
            state = reader.get_validation_state()
    if state not in SOUND_STATES:
        raise MediaError(f"{order.video.name} cannot be signed: the result does not validate ({state}).")


@contextmanager
def _context(*, in_pieces: bool = False, roots: str = "") -> "Generator[c2pa.Context]":
    """The library's settings: nothing is fetched from anywhere, nothing is decoded, memory stays flat."""
    import c2pa

    core: dict[str, Any] = {"backing_store_memory_threshold_in_mb": IN_MEMORY_MB}
    if in_pieces:
        # No proofs: they would be boxes inside the file.
        core |= {"merkle_tree_chunk_size_in_kb": PIECE_KB, "merkle_tree_max_proofs": 0}
    settings: dict[str, Any] = {
        "core": core,
        # what was signed is validated here below, with the file as it is
        "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if roots:
        settings["trust"] = {"user_anchors": roots, "trust_config": MAY_SIGN}
    with c2pa.Context.from_dict(settings) as context:
        yield context


def _can_be_hashed_in_pieces(layout: Layout) -> bool:
    """This version of the library mixes up the trees of several `mdat` boxes now and then, and those of fragments."""
    kinds = [box.kind for box in layout.boxes]
    return kinds.count("mdat") == 1 and "moof" not in kinds


@contextmanager
def _as_is(path: Path, layout: Layout) -> Generator[Any]:
    """A file to read, with the manifests inside it shown as `free` boxes."""
    spots = [box.start + 4 for box in layout.boxes if box.usertype == C2PA_UUID]
    with path.open("rb") as file:
        yield _Disguised(file, spots) if spots else file


class _Disguised:
    """A file of which a few words of four bytes read as `free`. Has what the library asks of a stream."""

    def __init__(self, file: BinaryIO, spots: Sequence[int]) -> None:
        self._file = file
        self._spots = spots

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: bytes) -> int:
        raise OSError("this file is only read")

    def flush(self) -> None:
        pass

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()
        data = bytearray(self._file.read(size))
        for spot in self._spots:
            for n in range(4):
                if 0 <= (at := spot + n - start) < len(data):
                    data[at] = FREE[n]
        return bytes(data)


class _Nowhere:
    """Takes the library's copy of a file that is not to be copied, and counts it."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._position = 0

    def write(self, data: bytes) -> int:
        self._position += len(data)
        self.size_bytes = max(self.size_bytes, self._position)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        raise OSError("what was written here is not kept")

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + {0: 0, 1: self._position, 2: self.size_bytes}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _words(error: Exception) -> str:
    """The library's own first line, cut to a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
