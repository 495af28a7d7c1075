"""Bodies that real clients send are understood, in every encoding; bodies that nobody should send are refused."""

import base64
import hashlib
import json
import os
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.errors import StoreTrouble
from rushes.gateway.forms import LEFT_BEHIND_S, discard_left_behind, kind_of, read_form
from rushes.gateway.problems import Problem
from tests.gateway.bodies import (
    BOUNDARY,
    FORM_TYPE,
    JSON_TYPE,
    LIMITS,
    MULTIPART_TYPE,
    PNG,
    Body,
    File,
    as_json,
    left_in,
    multipart,
    open_form,
    part,
    read,
    receive_all,
    request_of,
    urlencoded,
)
from tests.gateway.test_brackets import flatten, objects

pytestmark = pytest.mark.anyio

CLOSING = f"--{BOUNDARY}--\r\n".encode()
ID_OF = {"id": "video_1"}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


# -- encodings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (multipart([("prompt", "a"), ("seconds", "8")]), {"prompt": "a", "seconds": "8"}),
        (as_json({"prompt": "a", "seconds": 8}), {"prompt": "a", "seconds": 8}),
        (urlencoded([("prompt", "a & ü"), ("video[id]", "video_1")]), {"prompt": "a & ü", "video": ID_OF}),
        (Body(FORM_TYPE, "prompt=ü".encode()), {"prompt": "ü"}),
        (Body("application/json; charset=utf-8", b'{"prompt": "a"}'), {"prompt": "a"}),
        (Body("application/vnd.api+json", b'{"prompt": "a"}'), {"prompt": "a"}),
        (Body(None, b' {"prompt": "a"}'), {"prompt": "a"}),
        (Body("text/plain;charset=UTF-8", b'{"prompt": "a"}'), {"prompt": "a"}),
        (Body(JSON_TYPE, b""), {}),  # as the Python package sends with a delete
        (Body(None, b""), {}),
        (Body("image/png", b""), {}),
        (Body(MULTIPART_TYPE, b""), {}),
        (Body(MULTIPART_TYPE, CLOSING), {}),
        (multipart([("input_reference[image_url]", "u")]), {"input_reference": {"image_url": "u"}}),
        (multipart([("input_reference", '{"file_id": "file-1"}')]), {"input_reference": {"file_id": "file-1"}}),
        (multipart([("input_reference", '"https://a.example/b.png"')]), {"input_reference": "https://a.example/b.png"}),
        (multipart([("input_reference", "https://a.example/b.png")]), {"input_reference": "https://a.example/b.png"}),
        (multipart([("characters", '[{"id": "1"}, {"id": "2"}]')]), {"characters": [{"id": "1"}, {"id": "2"}]}),
        (multipart([("characters[][id]", "1"), ("characters[][id]", "2")]), {"characters": [{"id": "1"}, {"id": "2"}]}),
        (multipart([("characters[0][id]", "1")]), {"characters": [{"id": "1"}]}),
        (multipart([("video[id]", "video_1")]), {"video": ID_OF}),
        (multipart([("video", '{"id": "video_1"}')]), {"video": ID_OF}),
        (multipart([("prompt", '{"id": 1}')]), {"prompt": '{"id": 1}'}),  # a prompt may look like JSON
        (multipart([("images", "a"), ("images", "b")]), {"images": ["a", "b"]}),
        (multipart([("prompt", ""), ("whatever", "x")]), {"prompt": "", "whatever": "x"}),
        (multipart([], [File("metadata", b'{"a": 1}', "blob", JSON_TYPE)]), {"metadata": {"a": 1}}),
    ],
)
async def test_each_encoding_is_read_by_its_content_type(body: Body, expected: object, spool: Path) -> None:
    found = await read(body, spool)

    assert found.form.fields == expected
    assert found.form.uploads == ()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (File("input_reference", PNG, "first.png", "image/png"), "first.png"),
        (File("input_reference", PNG), "upload"),
        (File("input_reference[]", PNG, "a.png", "image/jpeg"), "a.png"),
        (File("input_reference", PNG, "first.png", None), "first.png"),
        (File("input_reference", PNG, None, "image/png"), None),
        (File("input_reference", PNG, "../../etc/passwd", "image/png"), "../../etc/passwd"),
        (File("input_reference", PNG, "\u6f22.png", "image/png"), "\u6f22.png"),
        (File("input_reference", PNG, "x" * 255, "image/png"), "x" * 255),
        (File("input_reference", PNG, "x" * 300, "image/png"), "x" * 254 + "…"),
    ],
)
async def test_a_file_is_known_by_its_bytes_whatever_the_client_calls_it(
    file: File, name: str | None, spool: Path
) -> None:
    async with open_form(multipart([("prompt", "a")], [file]), spool) as form:
        (upload,) = form.uploads

        assert (upload.field, upload.name, upload.mime) == ("input_reference", name, file.mime)
        assert (upload.size_bytes, upload.sha256) == (len(PNG), hashlib.sha256(PNG).hexdigest())
        assert upload.path.read_bytes() == PNG
        assert upload.path.resolve().is_relative_to(spool.resolve())
        assert kind_of(upload).mime == "image/png"
    assert left_in(spool) == []


async def test_a_file_name_in_the_extended_notation_alone_makes_a_file(spool: Path) -> None:
    data = part("video", b"\0\0", "; filename*=UTF-8''%E6%BC%A2.mp4") + CLOSING

    found = await read(Body(MULTIPART_TYPE, data), spool)

    assert [(upload.field, upload.name) for upload in found.form.uploads] == [("video", "漢.mp4")]


async def test_several_files_of_one_field_stay_in_order(spool: Path) -> None:
    files = [File("input_reference", b"one"), File("input_reference", b"two"), File("video", b"")]

    found = await read(multipart([], files), spool)

    assert found.contents == (b"one", b"two", b"")


async def test_what_one_part_says_of_itself_says_nothing_of_the_next(spool: Path) -> None:
    file = part("video", b"x", '; filename="a.mp4"', "Content-Type: video/mp4")

    found = await read(Body(MULTIPART_TYPE, file + part("prompt", b"a") + CLOSING), spool)

    assert found.form.fields == {"prompt": "a"}
    assert len(found.form.uploads) == 1


async def test_a_file_that_nobody_chose_is_no_file(spool: Path) -> None:
    found = await read(multipart([("prompt", "a")], [File("input_reference", b"", "")]), spool)

    assert found.form.uploads == ()


@pytest.mark.parametrize("chunk_bytes", [1, 2, 7, 64])
async def test_it_does_not_matter_where_the_network_cuts(chunk_bytes: int, spool: Path) -> None:
    tricky = f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n-".encode() * 3
    body = multipart([("prompt", "ü"), ("video[id]", "1")], [File("input_reference", tricky)])

    found = await read(body, spool, chunk_bytes=chunk_bytes)

    assert found.contents == (tricky,)
    assert found.form.fields == {"prompt": "ü", "video": {"id": "1"}}


@settings(max_examples=40, deadline=None)
@given(tree=objects)
def test_the_digest_does_not_depend_on_the_encoding(
    tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = tmp_path_factory.getbasetemp() / "digests"
    pairs = list(flatten(tree))
    bodies = [as_json(tree), urlencoded(pairs), multipart(pairs), multipart(pairs, boundary="another")]
    limits = replace(LIMITS, parts=100)

    async def digests() -> set[str]:
        return {(await read(body, spool, limits=limits)).form.digest for body in bodies}

    assert len(anyio.run(digests)) == 1


async def test_the_digest_knows_numbers_in_any_encoding_and_the_content_of_files(spool: Path) -> None:
    async def digest(body: Body) -> str:
        return (await read(body, spool)).form.digest

    pairs = [("prompt", "a"), ("seconds", "8")]
    with_file = await digest(multipart(pairs, [File("input_reference", PNG)]))

    assert await digest(as_json({"prompt": "a", "seconds": 8})) == await digest(multipart(pairs))
    assert with_file == await digest(multipart(pairs, [File("input_reference", PNG, "x.png", "image/png")], "other"))
    assert with_file != await digest(multipart(pairs, [File("input_reference", PNG + b"\0")]))
    assert with_file != await digest(multipart(pairs))


@pytest.mark.parametrize("name", ["input_reference", "input_reference[image_url]", "video", "first_frame"])
async def test_a_data_url_may_be_as_long_as_a_file(name: str, spool: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(b"x" * LIMITS.file_bytes).decode()

    assert (await read(multipart([(name, url)]), spool)).form.fields
    assert (await read(as_json({name.partition("[")[0]: {"image_url": url}}), spool)).form.fields


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED: list[tuple[Body, int, str | None]] = [
    (Body("multipart/form-data", b"--x\r\n"), 400, None),
    (Body("multipart/form-data; boundary=", b"--x\r\n"), 400, None),
    (Body("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"), 400, None),
    (Body(MULTIPART_TYPE, b'{"prompt": "a"}'), 400, None),
    (Body(MULTIPART_TYPE, b"--another\r\n"), 400, None),
    (Body(MULTIPART_TYPE, part("prompt", b"a")), 400, "prompt"),
    (Body(MULTIPART_TYPE, part("prompt", b"a")[:-4]), 400, None),
    (
        Body(MULTIPART_TYPE, part("prompt", b"a") + part("video", b"a", "", "X: " + "y" * 100_000) + CLOSING),
        400,
        "prompt",
    ),
    (Body(MULTIPART_TYPE, part("prompt", b"a", "", *["X: y"] * 100) + CLOSING), 400, None),
    (Body(MULTIPART_TYPE, f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\na\r\n".encode() + CLOSING), 400, None),
    (Body(MULTIPART_TYPE, f"--{BOUNDARY}\r\n\r\na\r\n".encode() + CLOSING), 400, None),
    (Body(MULTIPART_TYPE, f"--{BOUNDARY}\r\nno header at all\r\n\r\na\r\n".encode() + CLOSING), 400, None),
    (Body(MULTIPART_TYPE, part("prompt", b"YQ==", "", "Content-Transfer-Encoding: base64") + CLOSING), 400, "prompt"),
    (Body(MULTIPART_TYPE, part("prompt", b"a\xff") + CLOSING), 400, "prompt"),
    (Body(MULTIPART_TYPE, part("prompt", b"a\0") + CLOSING), 400, "prompt"),
    (Body(MULTIPART_TYPE, part("prompt", b"a").replace(b"prompt", b"pr\xffmpt") + CLOSING), 400, None),
    (Body(MULTIPART_TYPE, part("pro\0mpt", b"a") + CLOSING), 400, "pro\ufffdmpt"),
    (multipart([(f"f{number}", "x") for number in range(10_000)]), 400, "f19"),
    (multipart([("a" + "[" * 200, "x")]), 400, "a" + "[" * 78 + "…"),
    (multipart([("prompt[id", "x")]), 400, "prompt[id"),
    (multipart([("video", "x"), ("video[id]", "x")]), 400, "video[id]"),
    (multipart([("video[id]", "x"), ("video[id]", "y")]), 400, "video[id]"),
    (multipart([("a" + "[b]" * 9, "x")]), 400, "a" + "[b]" * 9),
    (multipart([("characters", '[{"id": ')]), 400, "characters"),
    (multipart([("characters", '[{"id": NaN}]')]), 400, "characters.0.id"),
    (multipart([("video", "[" * 5000)]), 400, "video"),
    (multipart([], [File("a[", PNG)]), 400, "a["),
    (Body(FORM_TYPE, b"a=%ff"), 400, None),
    (Body(FORM_TYPE, b"a=\xff"), 400, None),
    (Body(FORM_TYPE, b"a=%00"), 400, "a"),
    (Body(FORM_TYPE, b"a[=x"), 400, "a["),
    (Body(FORM_TYPE, b"&".join([b"a=b"] * 10_000)), 400, None),
    (Body(JSON_TYPE, b"[]"), 400, None),
    (Body(JSON_TYPE, b'"prompt"'), 400, None),
    (Body(JSON_TYPE, b"null"), 400, None),
    (Body(JSON_TYPE, b"{"), 400, None),
    (Body(JSON_TYPE, b'{"a": 1, "a": 2}'), 400, "a"),
    (Body(JSON_TYPE, b'{"a":' * 10_000), 400, None),
    (Body(JSON_TYPE, b'{"seconds": Infinity}'), 400, "seconds"),
    (Body(None, b'[{"prompt": "a"}]'), 400, None),
    (Body(None, b"prompt=a"), 415, None),
    (Body("text/plain", b"A lighthouse"), 415, None),
    (Body("image/png", PNG), 415, None),
    (Body("multipart/mixed; boundary=x", b"--x\r\n"), 415, None),
    (multipart([], [File("input_reference", b"x" * (LIMITS.file_bytes + 1))]), 413, "input_reference"),
    (multipart([("prompt", "x" * (LIMITS.field_bytes + 1))]), 413, "prompt"),
    (multipart([("video[id]", "x" * (LIMITS.file_bytes * 2))]), 413, "video[id]"),
    (Body(MULTIPART_TYPE, part("prompt", b"x" * 2 * LIMITS.field_bytes)[:-2]), 413, "prompt"),  # before its end is seen
    (as_json({"prompt": "x" * (LIMITS.field_bytes + 1)}), 413, "prompt"),
    (urlencoded([("prompt", "x" * (LIMITS.field_bytes + 1))]), 413, "prompt"),
]


@pytest.mark.parametrize(("body", "status", "param"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
async def test_a_hostile_body_is_refused_by_the_part_at_fault(
    body: Body, status: int, param: str | None, spool: Path
) -> None:
    with pytest.raises(Problem) as caught:
        await read(body, spool)

    assert (caught.value.status, caught.value.param) == (status, param)
    assert len(caught.value.message) < 300
    assert left_in(spool) == []


async def test_a_compressed_body_is_refused(spool: Path) -> None:
    with pytest.raises(Problem) as caught:
        await read(as_json({}), spool, headers={"content-encoding": "gzip"})

    assert caught.value.status == 415


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from([MULTIPART_TYPE, JSON_TYPE, FORM_TYPE, "multipart/form-data", "text/plain", None]),
    data=st.lists(
        st.binary(max_size=30)
        | st.sampled_from(
            [b"--" + BOUNDARY.encode(), b"--", b"\r\n", b'Content-Disposition: form-data; name="a"', b"{"]
        )
        | st.sampled_from(
            [part("a[]", b"1"), part("video", PNG, '; filename="x"'), CLOSING, b'"a":', b"[", b"}", b"&"]
        ),
        max_size=12,
    ),
)
def test_no_bytes_end_in_anything_but_a_form_or_a_refusal(
    kind: str | None, data: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = tmp_path_factory.getbasetemp() / "fuzzed"
    try:
        anyio.run(lambda: read(Body(kind, b"".join(data)), spool))
    except Problem as problem:
        assert problem.status in (400, 413, 415)
    assert left_in(spool) == []


# -- limits of size and time -------------------------------------------------------------------------------------------


async def never() -> dict[str, Any]:
    raise AssertionError("the body was asked for")


async def refused(receive: Callable[[], Awaitable[dict[str, Any]]], spool: Path, **headers: str) -> Problem:
    request = request_of(MULTIPART_TYPE, receive, {name.replace("_", "-"): value for name, value in headers.items()})
    with pytest.raises(Problem) as caught:
        async with read_form(request, replace(LIMITS, timeout_s=0.2), spool):
            raise AssertionError("the form was read")
    assert left_in(spool) == []
    return caught.value


@pytest.mark.parametrize("length", ["2000001", "9" * 400])
async def test_a_body_that_announces_too_much_is_refused_unread(length: str, spool: Path) -> None:
    assert (await refused(never, spool, content_length=length)).status == 413


async def test_a_body_that_announces_nothing_is_refused_once_it_is_too_much(spool: Path) -> None:
    given_bytes = 0

    async def receive() -> dict[str, Any]:
        nonlocal given_bytes
        chunk = b"x" * 65_536 if given_bytes else part("video", b"", '; filename="a"')
        given_bytes += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    limits = replace(LIMITS, file_bytes=10**9, body_bytes=1_000_000)
    with pytest.raises(Problem) as caught:
        async with read_form(request_of(MULTIPART_TYPE, receive), limits, spool):
            raise AssertionError("the form was read")

    assert caught.value.status == 413
    assert given_bytes < 1_200_000
    assert left_in(spool) == []


async def test_a_body_that_does_not_come_is_given_up(spool: Path) -> None:
    start = [part("prompt", b"a"), part("video", b"xx", '; filename="a"')]
    receive_start = receive_all(start)

    async def trickle() -> dict[str, Any]:
        if start:
            start.pop()
            return await receive_start()
        await anyio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert (await refused(trickle, spool)).status == 408


async def test_a_client_that_goes_away_leaves_nothing_on_disk(spool: Path) -> None:
    file = part("video", b"x" * 300_000, '; filename="a"')
    receive = receive_all([file], then={"type": "http.disconnect"})
    seen: list[list[Path]] = []

    async def watched() -> dict[str, Any]:
        seen.append(left_in(spool))
        return await receive()

    request = request_of(MULTIPART_TYPE, watched)
    with pytest.raises(Problem) as caught:
        async with read_form(request, replace(LIMITS, file_bytes=10**6), spool):
            raise AssertionError("the form was read")

    assert caught.value.error_code == "disconnected"
    assert [len(paths) for paths in seen] == [0, 2]  # meanwhile there were a folder and a file
    assert left_in(spool) == []


async def test_a_cancelled_request_leaves_nothing_on_disk(spool: Path) -> None:
    receive = receive_all([part("video", b"x" * 300_000, '; filename="a"')])
    waiting = anyio.Event()

    async def stuck() -> dict[str, Any]:
        if left_in(spool):
            waiting.set()
            await anyio.sleep_forever()
        return await receive()

    async def handle() -> None:
        async with read_form(request_of(MULTIPART_TYPE, stuck), replace(LIMITS, file_bytes=10**6), spool):
            raise AssertionError("the form was read")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await waiting.wait()
            tasks.cancel_scope.cancel()

    assert left_in(spool) == []


async def test_a_handler_that_fails_leaves_nothing_on_disk(spool: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_form(multipart([], [File("video", b"x")]), spool) as form:
            assert form.uploads[0].path.exists()
            raise ZeroDivisionError

    assert left_in(spool) == []


async def test_a_disk_that_takes_nothing_is_our_trouble_and_not_the_clients(spool: Path) -> None:
    spool.write_bytes(b"a file where the folder should be")

    with pytest.raises(StoreTrouble):
        await read(multipart([], [File("video", b"x")]), spool)


async def test_a_large_file_takes_little_memory(spool: Path) -> None:
    size_bytes, chunk = 48 * 1024 * 1024, b"x" * 65_536
    head = [part("video", b"", '; filename="a"')[:-2]]
    left = size_bytes // len(chunk)

    async def receive() -> dict[str, Any]:
        nonlocal left
        if head:
            return {"type": "http.request", "body": head.pop(), "more_body": True}
        left -= 1
        body = chunk if left >= 0 else b"\r\n" + CLOSING
        return {"type": "http.request", "body": body, "more_body": left >= 0}

    limits = replace(LIMITS, body_bytes=10**9, file_bytes=10**9)
    tracemalloc.start()
    async with read_form(request_of(MULTIPART_TYPE, receive), limits, spool) as form:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert form.uploads[0].size_bytes == size_bytes
        assert form.uploads[0].sha256 == hashlib.sha256(b"x" * size_bytes).hexdigest()
    assert peak_bytes < 4_000_000


async def test_json_texts_of_a_form_are_not_mistaken_for_fields(spool: Path) -> None:
    items = [{"frame_index": 0, "type": "image", "file_name": "a.png"}]

    found = await read(multipart([("inpaint_items", json.dumps(items))], [File("files", PNG, "a.png")]), spool)

    assert found.form.fields == {"inpaint_items": items}
    assert found.form.uploads[0].name == "a.png"


def test_only_what_a_killed_process_left_long_ago_is_removed(tmp_path: Path) -> None:
    for name in ("form-old", "form-new", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_bytes(b"x")
    long_ago = time.time() - 2 * LEFT_BEHIND_S
    for name in ("form-old", "other"):
        os.utime(tmp_path / name, (long_ago, long_ago))

    discard_left_behind(tmp_path)

    assert {each.name for each in tmp_path.iterdir()} == {"form-new", "other"}
