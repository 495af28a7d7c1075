import base64
import hashlib
import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import clips
import pytest
from far_side import Answer, FarSide
from PIL import Image

from rushes.config import LimitSettings, NetworkSettings, Settings
from rushes.errors import MediaError, RequestError
from rushes.http import Http
from rushes.media.children import Children
from rushes.media.inputs import Inputs
from rushes.media.store import MediaStore, input_key
from rushes.video import Size
from tests.users import ordinary_user

pytestmark = pytest.mark.anyio


@pytest.fixture
def inputs(store: MediaStore, children: Children, http: Http) -> Inputs:
    return Inputs(store, children, http, LimitSettings())


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return clips.picture(tmp_path / "first.png")


def as_bytes(path: Path) -> bytes:
    return path.read_bytes()


def as_path(path: Path) -> Path:
    return path


def as_text(path: Path) -> str:
    return str(path)


def as_file_url(path: Path) -> str:
    return path.as_uri()


def as_data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def as_percent_data_uri(path: Path) -> str:
    return "data:application/octet-stream," + "".join(f"%{byte:02x}" for byte in path.read_bytes())


def as_base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def as_base64_lines(path: Path) -> str:
    return base64.encodebytes(path.read_bytes()).decode()


def as_urlsafe_base64(path: Path) -> str:
    return base64.urlsafe_b64encode(path.read_bytes()).decode().rstrip("=")


WAYS = [as_bytes, as_text, as_file_url, as_data_uri, as_percent_data_uri, as_base64, as_base64_lines, as_urlsafe_base64]


@pytest.mark.parametrize("way", WAYS)
async def test_a_picture_may_be_given_in_many_ways(
    inputs: Inputs, store: MediaStore, png: Path, way: Callable[[Path], bytes | str]
) -> None:
    ref = await inputs.add(way(png))

    assert (ref.mime, ref.size, ref.size_bytes) == ("image/png", Size(64, 36), png.stat().st_size)
    assert ref.sha256 == hashlib.sha256(png.read_bytes()).hexdigest()
    assert await inputs.read(ref) == png.read_bytes()
    assert await inputs.path(ref) == store.local_path(input_key(ref.sha256))
    assert png.exists()


async def test_a_path_object_works_too(inputs: Inputs, png: Path) -> None:
    assert (await inputs.add(png)).mime == "image/png"


@pytest.mark.parametrize("text", ["file://sub/a b.png", "file://sub/a%20b.png", "sub/a b.png", "file:sub/a b.png"])
async def test_a_relative_path_starts_at_the_file_that_names_it(inputs: Inputs, tmp_path: Path, text: str) -> None:
    (tmp_path / "suite" / "sub").mkdir(parents=True)
    suite = tmp_path / "suite" / "suite.yaml"
    suite.write_text("…")
    clips.picture(tmp_path / "suite" / "sub" / "a b.png")

    assert (await inputs.add(text, relative_to=suite)).width == 64
    assert (await inputs.add(text, relative_to=suite.parent)).width == 64


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
async def test_the_content_decides_and_not_the_name(inputs: Inputs, tmp_path: Path, kind: str, mime: str) -> None:
    path = clips.picture(tmp_path / "misnamed.gif", kind=kind)

    assert (await inputs.add(path)).mime == mime


async def test_the_size_is_as_displayed_by_exif(inputs: Inputs, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    ref = await inputs.add(clips.picture(tmp_path / "a.jpg", kind="JPEG", exif=exif))

    assert ref.size == Size(36, 64)


async def test_equal_bytes_are_stored_once(inputs: Inputs, store: MediaStore, png: Path) -> None:
    first = await inputs.add(png)
    path = await inputs.path(first)
    before = path.stat()

    assert await inputs.add(png.read_bytes()) == first
    assert path.stat().st_ino == before.st_ino
    assert store.folder
    assert list((store.folder / "spool").iterdir()) == []


async def test_a_picture_that_was_removed_from_the_store_is_stored_again(inputs: Inputs, png: Path) -> None:
    ref = await inputs.add(png)
    (await inputs.path(ref)).unlink()
    with pytest.raises(MediaError, match="not in the media store"):
        await inputs.path(ref)

    assert await inputs.add(png) == ref
    assert (await inputs.path(ref)).is_file()


def png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, data, b"IEND")
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a.png is empty"),
        (bytes(1000), "a.png: That is data of no known kind. Pictures may be PNG, JPEG or WebP"),
        (b"<html><body>Not found", "a.png: That is an HTML page.*Not found"),
        (b"<svg xmlns='x'/>", "a.png: That is an SVG drawing"),
        (b"GIF89a" + bytes(100), "a.png: That is a GIF picture"),
        (b"\0\0\0\x18ftypisom" + bytes(50), "a.png: That is an MP4 video"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "a.png: That is a HEIC picture"),
        (b"%PDF-1.7" + bytes(50), "a.png: That is a PDF document"),
        (png_header(60000, 60000), "a.png: The picture has 60000x60000 pixels, over the limit of 100 megapixels"),
        (png_header(64, 36), "a.png: The picture is damaged"),
        (b"\x89PNG\r\n\x1a\n", "a.png: The picture is damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "a.png: The picture is damaged"),
    ],
)
async def test_what_is_no_picture_is_refused_by_its_name(
    inputs: Inputs, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)

    with pytest.raises(MediaError, match=words) as caught:
        await inputs.add(f"{path.name}", relative_to=tmp_path)
    assert "\n" not in str(caught.value)


async def test_a_cut_picture_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    whole = clips.picture(tmp_path / "a.jpg", kind="JPEG", width=640, height=360)

    with pytest.raises(MediaError, match="The picture: The picture is damaged"):
        await inputs.add(whole.read_bytes()[:2000])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_an_animated_picture_is_refused(inputs: Inputs, tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:], duration=100)

    with pytest.raises(MediaError, match=r"animated. Give a still one"):
        await inputs.add(tmp_path / "a")


async def test_a_large_file_is_refused_before_it_is_read(inputs: Inputs, tmp_path: Path, store: MediaStore) -> None:
    huge = tmp_path / "zeros.png"
    with huge.open("wb") as file:
        file.truncate(60_000_000)

    with pytest.raises(MediaError, match=r"zeros.png has 60.0 MB, over the limit of 50 MB \(\[limits\] input_mb\)"):
        await inputs.add(huge)
    assert store.folder and not any((store.folder / "spool").iterdir())


@pytest.mark.parametrize("way", [as_bytes, as_data_uri, as_base64, as_percent_data_uri])
async def test_every_way_in_is_bounded(
    store: MediaStore, children: Children, http: Http, tmp_path: Path, way: Callable[[Path], bytes | str]
) -> None:
    tight = Inputs(store, children, http, LimitSettings(input_mb=0.01))
    path = clips.picture(tmp_path / "a.png", width=300, height=300, kind="PNG", compress_level=0)

    with pytest.raises(MediaError, match=r"over the limit of 0.01 MB"):
        await tight.add(way(path))


async def test_the_pixel_limit_can_be_set(store: MediaStore, http: Http, png: Path) -> None:
    limits = LimitSettings(input_megapixels=0.002)
    async with Children(limits=limits) as children:
        with pytest.raises(MediaError, match=r"64x36 pixels, over the limit of 0.002 megapixels"):
            await Inputs(store, children, http, limits).add(png)


async def test_paths_that_are_no_files_are_named(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=rf"none.png: no such file \(looked for {tmp_path}/none.png\)"):
        await inputs.add("none.png", relative_to=tmp_path)
    with pytest.raises(MediaError, match=r"is a folder. Give one picture in it"):
        await inputs.add(tmp_path)
    with pytest.raises(MediaError, match="not a regular file"):
        await inputs.add("/dev/zero")


async def test_a_file_that_may_not_be_read_is_named(store: MediaStore, children: Children, http: Http) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        picture = clips.picture(Path(folder) / "secret.png")
        picture.chmod(0)
        inputs = Inputs(store, children, http, LimitSettings(), spool=Path(folder))

        with ordinary_user(), pytest.raises(MediaError, match=r"No permission for .*secret\.png"):
            await inputs.add(picture)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty text"),
        ("data:image/png;base64", "has no comma"),
        ("data:image/png;base64,####", "no valid base64"),
        ("data:image/png;base64,", "The data URI is empty"),
        ("ftp://host/a.png", "links of the kind ftp: are not read"),
        ("?" * 5000, "no valid base64"),
    ],
)
async def test_texts_that_cannot_be_a_picture_are_explained(inputs: Inputs, text: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        await inputs.add(text)


@pytest.mark.parametrize("way", [as_text, as_file_url, as_path])
async def test_files_are_not_read_for_who_speaks_over_http(
    inputs: Inputs, png: Path, way: Callable[[Path], str | Path]
) -> None:
    with pytest.raises(MediaError, match="files are not read from here"):
        await inputs.add(way(png), files=False)
    assert (await inputs.add(as_data_uri(png), files=False)).width == 64


@pytest.mark.parametrize("url", ["http://example.com/a.png", "https://127.0.0.1/a.png", "https://localhost/a.png"])
async def test_links_that_lead_inside_are_not_followed(inputs: Inputs, url: str) -> None:
    with pytest.raises(RequestError):
        await inputs.add(url)


@pytest.fixture
async def linked(store: MediaStore, children: Children, tmp_path: Path) -> Inputs:
    """Inputs that may fetch from loopback."""
    network = NetworkSettings(allow_hosts=("127.0.0.1",))
    settings = Settings(home=tmp_path, database_url="", media_url="", network=network)
    return Inputs(store, children, Http(settings), LimitSettings(input_mb=1))


async def test_a_link_is_fetched(linked: Inputs, png: Path) -> None:
    async with FarSide(png.read_bytes(), Answer(mime="text/plain", cut_after=100), Answer()).serving() as far:
        ref = await linked.add(far.url)

    assert (ref.mime, ref.size) == ("image/png", Size(64, 36))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=404, body=b""), "cannot be fetched: The file is not there"),
        (Answer(body=b"<!doctype html><p>Log in"), "cannot be fetched: .*an HTML page.*Log in"),
        (Answer(body=bytes(2_000_000)), "cannot be fetched: .*over the limit of 1 MB"),
        (Answer(body=bytes(2_000_000), no_length=True), "cannot be fetched: .*over the limit of 1 MB"),
        (Answer(body=b"\0\0\0\x18ftypisom" + bytes(50)), "That is an MP4 video"),
    ],
)
async def test_a_link_that_leads_to_no_picture_is_explained(linked: Inputs, answer: Answer, words: str) -> None:
    async with FarSide(b"", answer).serving() as far:
        with pytest.raises(MediaError, match=f"{far.url}.*{words}"):
            await linked.add(far.url + "?secret=1")


async def test_a_picture_is_fitted_by_cutting_its_middle(inputs: Inputs, tmp_path: Path) -> None:
    ref = await inputs.add(clips.picture(tmp_path / "a.jpg", kind="JPEG", width=400, height=100))

    fitted = await inputs.fitted(ref, Size(128, 72))

    assert (fitted.mime, fitted.size) == ("image/png", Size(128, 72))
    assert fitted.sha256 == hashlib.sha256((await inputs.path(fitted)).read_bytes()).hexdigest()


async def test_fitting_is_deterministic(inputs: Inputs, png: Path, children: Children, tmp_path: Path) -> None:
    ref = await inputs.add(png)
    first = await inputs.fitted(ref, Size(48, 48))
    elsewhere = tmp_path / "again.png"
    await children.fit_image(png, elsewhere, Size(48, 48))

    assert await inputs.fitted(ref, Size(48, 48)) == first
    assert elsewhere.read_bytes() == (await inputs.path(first)).read_bytes()


async def test_a_picture_that_fits_is_left_as_it_is(inputs: Inputs, png: Path) -> None:
    ref = await inputs.add(png)

    assert await inputs.fitted(ref, Size(64, 36)) == ref


async def test_transparency_becomes_white(inputs: Inputs, tmp_path: Path) -> None:
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(tmp_path / "a.png")

    fitted = await inputs.fitted(await inputs.add(tmp_path / "a.png"), Size(20, 20))

    with Image.open(await inputs.path(fitted)) as picture:
        assert picture.mode == "RGB"
        assert picture.getpixel((10, 10)) == (255, 255, 255)


async def test_a_store_without_files_here_works_too(children: Children, http: Http, png: Path, tmp_path: Path) -> None:
    remote = Inputs(MediaStore("memory:///"), children, http, LimitSettings(), spool=tmp_path / "spool")
    ref = await remote.add(png)
    fitted = await remote.fitted(ref, Size(16, 16))

    assert await remote.read(ref) == png.read_bytes()
    assert fitted.size == Size(16, 16)
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_picture_can_be_padded_instead_of_cut(inputs: Inputs, tmp_path: Path) -> None:
    wide = await inputs.add(clips.picture(tmp_path / "wide.png", width=400, height=100))

    cut, padded = await inputs.fitted(wide, Size(100, 100)), await inputs.fitted(wide, Size(100, 100), pad=True)

    assert cut.size == padded.size == Size(100, 100)
    assert cut.sha256 != padded.sha256
    with Image.open(io.BytesIO(await inputs.read(padded))) as shown:
        assert shown.getpixel((50, 5)) == (0, 0, 0)
        assert shown.getpixel((50, 50)) != (0, 0, 0)
