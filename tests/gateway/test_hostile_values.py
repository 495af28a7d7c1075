"""Values that mean harm: ids, names, numbers, addresses, pictures; none reads this machine or becomes a bug of ours."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from rushes.testing import clips
from tests.gateway.hostile import (
    AZURE,
    AZURE_JOBS,
    FOX,
    JSON,
    NATIVE,
    jobs_of,
    refused,
    two,
)
from tests.gateway.running import Running

pytestmark = pytest.mark.anyio


# -- ids, names, numbers -------------------------------------------------------------------------------


IDS = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%00",
    "a%00b",
    "video_" + "0" * 31 + "%00",
    "%ff%fe",
    "%ed%a0%80",
    "%0d%0aSet-Cookie:%20a=b",
    "x" * 20_000,
    "\u200b\u202e\ufeff",
    "\uff11" * 32,
    "0x" + "1" * 30,
    "urn:uuid:8c6bb3a0-0d5c-4b39-9a54-6e1f3d1c9a10",
    "{8c6bb3a0-0d5c-4b39-9a54-6e1f3d1c9a10}",
    "'%20OR%20'1'='1",
    "*",
    "99999999999999999999999999",
    "video_",
    "%25%25%7B%7D",
]
ID_PATHS = [
    "/v1/videos/{}",
    "/v1/videos/{}/content",
    "/v1/videos/characters/{}",
    "/api/status/{}",
    "/api/download/{}",
    "/api/output/video/{}/video.mp4",
    "/api/jobs/{}",
    f"{AZURE_JOBS}/{{}}",
    "/openai/v1/video/generations/{}/content/video",
    "/v1/models/{}",
    "/docs/{}",
]


@pytest.mark.parametrize("text", IDS, ids=range(len(IDS)))
async def test_no_id_is_more_than_an_unknown_one(door: Running, text: str) -> None:
    for path in ID_PATHS:
        answer = await door.client.get(path.format(text))
        await refused(door, answer, 400, 404, 422)
        assert "set-cookie" not in answer.headers
        assert "root:" not in answer.text
    for method, path in (("DELETE", "/v1/videos/{}"), ("POST", "/api/jobs/{}/cancel"), ("DELETE", "/api/jobs/{}")):
        await refused(door, await door.client.request(method, path.format(text)), 400, 404, 422)


NUMBERS: list[Any] = [
    2**63,
    -(2**63) - 1,
    10**25,
    10**400,
    1e308,
    -1,
    0,
    1.5,
    True,
    [],
    {},
    "1e9",
    "\uff11",
    "NaN",
    "9" * 5000,
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: str(number)[:20])
async def test_a_number_that_cannot_be_meant_is_refused_in_every_field(open_door: Running, number: Any) -> None:
    client = open_door.client
    fields = {
        "/v1/videos": (FOX, ("seconds", "width", "n", "size", "duration")),
        "/api/generate": (NATIVE, ("duration", "width", "height", "max_cost_usd")),
        AZURE_JOBS: (AZURE, ("n_seconds", "width", "n_variants")),
    }
    for path, (body, names) in fields.items():
        for name in names:
            told = {**body, name: number}
            answer = await client.post(path, content=json.dumps(told), headers=JSON)
            if answer.status_code != 200:  # some mean a number after all, or nothing
                await refused(open_door, answer, 400, 413, 422)
    if isinstance(number, dict | list):
        return
    for query in ("/v1/videos?limit={}", "/api/jobs?limit={}", "/api/events?after={}", f"{AZURE_JOBS}?limit={{}}"):
        if "events" in query and str(number) in ("0", "True"):
            continue  # a place to begin at: an answer without an end
        answer = await client.get(query.format(str(number)[:5000]))
        if answer.status_code != 200:
            await refused(open_door, answer, 400, 422)


@pytest.mark.parametrize(
    "query",
    [
        "since=9999-12-31",
        "until=9999-12-31",
        "since=0001-01-01&until=9999-12-31",
        "until=0001-01-01",
        "since=-9999-01-01",
        "since=99999999999999999999",
        "until=2026-02-30",
        "by=%00",
    ],
)
async def test_spending_of_any_days_is_an_answer_or_a_refusal(door: Running, query: str) -> None:
    answer = await door.client.get(f"/api/spend?{query}")

    assert answer.status_code in (200, 422), answer.text


async def test_a_create_for_less_than_nothing_that_can_be_paid_is_held_to_it(tmp_path: Path) -> None:
    async with two(tmp_path / "home") as (gateway, one, _, _):
        for limit in ("0", "-0", "0.000001", "1e-300", "1e-999999", "0.39"):
            body = {"prompt": "x", "model": "paid", "width": 1280, "height": 720, "duration": 4, "max_cost_usd": limit}
            await refused(gateway, await gateway.client.post("/api/generate", json=body, headers=one), 422, 429)


PROMPTS = [
    "\u202eright to left\u202c",
    "\U0001f9d1\u200d\U0001f680" * 50,
    "\ud7ff\ue000\ufffd\uffff\U0010ffff",
    "a\u0301" * 500,
    "line\r\nSet-Cookie: a=b\r\n\r\nbody",
    "<script>alert(1)</script>",
    "\x01\x02\x1b[31mred\x1b[0m",
    "'; DROP TABLE jobs; --",
    "%s%n{0}{{}}${jndi:ldap://x}",
]


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
async def test_any_text_can_be_a_prompt_and_comes_back_as_it_was(open_door: Running, prompt: str) -> None:
    answer = await open_door.client.post("/v1/videos", json={**FOX, "prompt": prompt, "strange\r\nname": prompt})
    video = answer.json()

    assert answer.status_code == 200, answer.text
    assert "set-cookie" not in answer.headers
    for path in (f"/v1/videos/{video['id']}", f"/api/jobs/{video['id']}"):
        assert (await open_door.client.get(path)).json()["prompt"] == prompt
    assert (await open_door.client.get("/v1/videos")).json()["data"][0]["prompt"] == prompt


@pytest.mark.parametrize(
    "changes",
    [
        '"prompt":"\\ud800"',
        '"prompt":"a\\u0000b"',
        '"model":"\\ud800"',
        '"model":"a\\r\\nb"',
        '"model":"draft\\u0000"',
        '"model":["draft"]',
        '"extra":"[[[["',
        '"extra":"\\"text\\""',
        '"extra":{"fail":"\\ud800"}',
        '"extra":{"inpaint_items":[{"file_name":"/etc/passwd"}]}',
        '"prompt":"a","prompt":"b"',
        '"seconds":NaN',
        '"seconds":1e999',
        '"characters":[[]]',
        '"characters":[{"id":{}}]',
        '"input_reference":[[[]]]',
        '"input_reference":{"image_url":{"url":{}}}',
        '"input_reference":{"file_id":"file-1"}',
        '"remix_video_id":"\\ud800"',
        '"cache":"drop"',
    ],
)
async def test_json_that_nobody_can_mean_is_refused(door: Running, changes: str) -> None:
    body = '{"prompt":"A fox","model":"draft",' + changes + "}"
    if changes.startswith('"prompt"'):
        body = '{"model":"draft",' + changes + "}"
    answer = await door.client.post("/v1/videos", content=body, headers=JSON)

    await refused(door, answer, 400, 404)
    assert await jobs_of(door) == 0


@pytest.mark.parametrize("extra", ["[" * 100_000, '{"a":' * 50_000, '{"fail":"\\ud800"}', '{"latency_s":NaN}', "\x00"])
async def test_options_that_come_as_text_are_read_as_carefully(door: Running, extra: str) -> None:
    answer = await door.client.post("/v1/videos", data={**FOX, "extra": extra})

    await refused(door, answer, 400)


async def test_a_long_name_in_a_refusal_is_cut(door: Running) -> None:
    for value in ("https://" + "a" * 3_000, "a" * 3_000 + "://x", "ftp://" + "a" * 3_000, "a" * 4_000):
        answer = await door.client.post("/v1/videos", json={**FOX, "input_reference": value})
        error = await refused(door, answer, 400)
        assert len(error["message"]) < 1_000


# -- this machine and its network ------------------------------------------------------------------------


INSIDE = [
    "http://127.0.0.1/a.png",
    "https://127.0.0.1/a.png",
    "https://localhost/a.png",
    "https://LOCALHOST./a.png",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1%25lo]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.1/",
    "https://user:password@127.0.0.1/",
    "https://example.com@127.0.0.1:8443/",
    "https://127\u30020\u30020\u30021/",
    "https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1:99999/",
    "https://[",
    "https://",
    "https:127.0.0.1",
    "//127.0.0.1/a.png",
    "\\\\127.0.0.1\\a.png",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:25/_x",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "file:/etc/passwd",
    "/etc/passwd",
    "../../../../etc/passwd",
    "~/.ssh/id_rsa",
    "/proc/self/environ",
    "/dev/zero",
    "rushes.toml",
    "data:",
    "data:,",
    "data:image/png;base64,",
    "data:image/png;base64,!!",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "data:application/x-mpegurl,%23EXTM3U%0Afile:///etc/passwd",
]


UNFOUND = ("LOCALHOST./a.png", "%25lo]/", "https://[", "%31%32%37.0.0.1/")
"""Names that there are not: a look-up of them is tried again, which takes its time."""


def _ways_in(where: str) -> list[tuple[str, Any]]:
    item = {"frame_index": 0, "type": "image", "file_name": where}
    return [
        ("/v1/videos", {**FOX, "input_reference": where}),
        ("/v1/videos", {**FOX, "input_reference": {"image_url": where}}),
        ("/v1/videos", {**FOX, "input_reference": {"image_url": {"url": where}}}),
        ("/v1/videos", {**FOX, "last_frame": where}),
        ("/v1/videos", {**FOX, "extra": {"inpaint_items": [item]}}),
        ("/v1/videos", {**FOX, "extra": json.dumps({"inpaint_items": [item]})}),
        ("/v1/videos/edits", {"prompt": "x", "model": "draft", "video": where}),
        ("/v1/videos/extensions", {"prompt": "x", "seconds": "1", "video": {"id": where}}),
        ("/api/generate", {**NATIVE, "image": where}),
        ("/api/generate", {**NATIVE, "last_image": where}),
        ("/api/generate", {**NATIVE, "extra": {"inpaint_items": [item]}}),
        ("/api/generate", {**NATIVE, "edit": where[:80]}),
        (AZURE_JOBS, {**AZURE, "inpaint_items": [item]}),
    ]


@pytest.mark.parametrize("where", INSIDE, ids=range(len(INSIDE)))
async def test_nothing_of_this_machine_or_its_network_is_read(door: Running, where: str) -> None:
    for path, body in _ways_in(where)[: 1 if where.endswith(UNFOUND) else None]:
        answer = await door.client.post(path, json=body)
        await refused(door, answer, 400, 404, 422)
        assert "root:" not in answer.text
        assert "password@" not in answer.text
    assert await jobs_of(door) == 0


async def test_a_name_inside_is_refused_without_telling_where_it_leads(door: Running) -> None:
    """Who may not enter a network must not learn its addresses by asking for names."""
    body = {**FOX, "input_reference": {"image_url": "https://localhost/a.png"}}
    error = await refused(door, await door.client.post("/v1/videos", json=body), 400)

    assert "127.0.0.1" not in error["message"]
    assert "::1" not in error["message"]


# -- pictures and clips --------------------------------------------------------------------------------


def png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG whose header says this size, whatever is in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    """Few bytes that become many pixels."""
    packer, row = zlib.compressobj(9), bytes(width // 8 + 1)
    return png(width, height, b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


FILES = {
    "a bomb": lambda: bomb(20_000, 20_000),
    "more than can be": lambda: png(2**31 - 1, 2**31 - 1, b"x"),
    "no size": lambda: png(0, 0, b""),
    "cut off": lambda: clips.picture(64, 64)[:60],
    "nothing": lambda: b"\x89PNG\r\n\x1a\n",
    "zeros": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1_000_000),
    "a GIF": lambda: (
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    ),
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a playlist": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a session": lambda: b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 1234 RTP/AVP 96\n",
    "a program": lambda: b"\x7fELF" + bytes(1000),
    "an MP4 cut off": lambda: clips.clip()[:2000],
    "an MP4 of boxes": lambda: b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2mp41" + b"\x00\x00\x00\x08moov" * 5000,
    "an endless MP4": lambda: (
        b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2mp41" + b"\x7f\xff\xff\xffmdat" + bytes(99)
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("path", ["/v1/videos", "/v1/videos/edits", "/api/generate", AZURE_JOBS])
async def test_a_file_that_is_no_picture_or_clip_is_refused_and_forgotten(door: Running, name: str, path: str) -> None:
    body, field = {
        "/v1/videos": (FOX, "input_reference"),
        "/v1/videos/edits": ({"prompt": "x", "model": "draft"}, "video"),
        "/api/generate": (NATIVE, "image"),
        AZURE_JOBS: ({**AZURE, "inpaint_items": '[{"frame_index":0,"type":"image","file_name":"x.png"}]'}, "files"),
    }[path]
    texts = {name: str(value) for name, value in body.items()}

    answer = await door.client.post(path, data=texts, files={field: ("x.png", FILES[name](), "image/png")})

    error = await refused(door, answer, 400, 413, 422)
    assert error["message"]
    assert await jobs_of(door) == 0


@pytest.mark.parametrize(
    "name", ["../../x.png", "..\\x", "/etc/passwd", "a\x00b", "x" * 5000, '"; x=', "%0d%0aA: b", ""]
)
async def test_the_name_of_a_file_is_only_a_name(open_door: Running, name: str) -> None:
    files = {"input_reference": (name, clips.picture(64, 64), "image/png")}
    home = open_door.app.settings.home
    before = {each.name for each in home.iterdir()}

    answer = await open_door.client.post("/v1/videos", data=FOX, files=files)

    assert answer.status_code in (200, 400), answer.text
    assert {each.name for each in home.iterdir()} <= before | {"media"}
    assert list((home / "spool").iterdir()) == []
