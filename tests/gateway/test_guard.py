"""The guard: under which name we are called, from which page, how often, and with which headers an answer leaves."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.config import GatewaySettings
from rushes.errors import ConfigError
from rushes.gateway.buckets import Buckets, take
from rushes.gateway.guard import (
    Application,
    Guard,
    Message,
    Receive,
    Scope,
    Send,
    host_name,
    request_id,
    visit_of,
    whose,
)
from rushes.gateway.problems import Problem

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1:8000"
ANYWHERE = ".".join("0000")


def render(problem: Problem, scope: Scope) -> Application:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"code": problem.error_code}).encode()})

    return answer


@dataclass
class Answer:
    status: int
    pairs: list[tuple[str, str]]
    body: bytes = b""

    @property
    def headers(self) -> Mapping[str, str]:
        """Each header, once."""
        assert len({name for name, _ in self.pairs if name != "vary"}) == len([n for n, _ in self.pairs if n != "vary"])
        return dict(self.pairs)

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


@dataclass
class Gate:
    """A guard before an application that answers everything, and remembers what reached it."""

    settings: GatewaySettings = field(default_factory=GatewaySettings)
    host: str = "127.0.0.1"
    trust_proxy: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    seconds: float = 1000.0
    reached: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.guard = Guard(
            self._app,
            self.settings,
            host=self.host,
            render=render,
            trust_proxy=self.trust_proxy,
            clock=lambda: self.seconds,
        )

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(visit_of(scope).address)
        self.seconds += 0.25
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask(
        self,
        method: str = "GET",
        path: str = "/v1/videos",
        *,
        host: str | None = HERE,
        client: str = "127.0.0.1",
        scheme: str = "http",
        more: tuple[tuple[str, str], ...] = (),
        **headers: str,
    ) -> Answer:
        named = [*((name.replace("_", "-"), value) for name, value in headers.items()), *more]
        if host is not None:
            named.insert(0, ("host", host))
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "scheme": scheme,
            "client": (client, 55555),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
        }
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        await self.guard(scope, receive, send)
        pairs = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return Answer(sent[0]["status"], pairs, sent[1]["body"])


def gate(host: str = "127.0.0.1", *, trust_proxy: bool = False, **settings: Any) -> Gate:
    return Gate(GatewaySettings.model_validate(settings), host, trust_proxy)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "[::1]", "localhost.:80", "video.example:8000"]
)
async def test_on_loopback_it_answers_to_the_names_of_this_machine_and_those_of_the_settings(host: str) -> None:
    assert (await gate(hosts=("Video.Example",)).ask(host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "[::2]:8000",
        "192.168.1.5",
        ANYWHERE,
        "",
        None,
        "localhost, evil.example",
        "localhost:8000:1",
        "local\u00adhost",
    ],
)
async def test_a_page_that_comes_under_a_name_of_its_own_is_refused(host: str | None) -> None:
    door = gate()

    answer = await door.ask("POST", host=host)

    assert (answer.status, answer.code, door.reached) == (421, "unknown_host", [])


async def test_two_host_headers_are_no_host() -> None:
    assert (await gate().ask(host="localhost", more=(("host", "localhost"),))).status == 421


async def test_beyond_loopback_any_name_will_do_unless_names_are_set() -> None:
    assert (await gate(ANYWHERE).ask(host="anything.example")).status == 200

    named = gate(ANYWHERE, hosts=("video.example",))
    assert (await named.ask(host="video.example")).status == 200
    assert (await named.ask(host="localhost:8000")).status == 200
    assert (await named.ask(host="anything.example")).status == 421
    assert (await named.ask(host=ANYWHERE)).status == 421


async def test_the_bound_address_is_a_name_of_ours() -> None:
    assert (await gate("127.0.0.2").ask(host="127.0.0.2:8000")).status == 200
    assert (await gate("10.0.0.5", hosts=("video.example",)).ask(host="10.0.0.5:8000")).status == 200


@pytest.mark.parametrize("name", ["https://video.example", "video.example/v1", "", "*", "a b"])
def test_what_is_no_name_in_the_settings_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match="host name"):
        gate(hosts=(name,))


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:8001", "http://localhost:8000", ""]
)
async def test_a_foreign_page_is_refused_whatever_it_asks(method: str, origin: str) -> None:
    door = gate()

    answer = await door.ask(method, origin=origin, access_control_request_method="POST")

    assert (answer.status, door.reached) == (403, [])
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("127.0.0.1:8000", "http", "http://127.0.0.1:8000"),
        ("LocalHost:8000", "http", "http://localhost:8000"),
        ("[::1]:8000", "http", "http://[::1]:8000"),
        ("localhost:80", "http", "http://localhost"),
        ("localhost", "https", "https://localhost"),
        ("localhost:443", "https", "https://localhost"),
    ],
)
async def test_our_own_page_may_do_everything(host: str, scheme: str, origin: str) -> None:
    answer = await gate().ask("POST", host=host, scheme=scheme, origin=origin)

    assert answer.status == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_programs_and_what_a_page_of_ours_only_shows_send_no_origin_and_pass() -> None:
    assert (await gate().ask("POST")).status == 200
    assert (await gate().ask("GET", "/api/events", accept="text/event-stream")).status == 200


async def test_two_origins_are_nobodys() -> None:
    own = "http://127.0.0.1:8000"

    assert (await gate().ask("POST", more=(("origin", own), ("origin", own)))).status == 403


async def test_a_page_that_the_settings_name_may_call_and_read() -> None:
    door = gate(cors_origins=("https://app.example/", "HTTP://other.example:80"))

    for origin in ("https://app.example", "http://other.example"):
        answer = await door.ask("POST", origin=origin)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert ("vary", "Origin") in answer.pairs
    assert (await door.ask("POST", origin="https://app.example.evil.example")).status == 403
    assert ("vary", "Origin") in (await door.ask()).pairs  # what a cache keeps for programs is not for pages


async def test_such_a_page_may_ask_before_it_sends() -> None:
    door = gate(cors_origins=("https://app.example",))

    answer = await door.ask(
        "OPTIONS",
        origin="https://app.example",
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type,x-stainless-os",
    )

    assert (answer.status, answer.body, door.reached) == (204, b"", [])
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_headers_that_are_asked_for_are_not_repeated_unread() -> None:
    answer = await gate(cors_origins=("https://app.example",)).ask(
        "OPTIONS",
        origin="https://app.example",
        access_control_request_method="POST",
        access_control_request_headers="a\r\nset-cookie: b=c",
    )

    assert "access-control-allow-headers" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "app.example", "https://app.example/path", "https://*.example", "https://", "null"]
)
def test_what_is_no_origin_in_the_settings_is_told(origin: str) -> None:
    with pytest.raises(ConfigError, match="no way to allow all"):
        gate(cors_origins=(origin,))


async def test_nobody_opens_a_websocket() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await gate().guard({"type": "websocket", "headers": []}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


# -- proxies -----------------------------------------------------------------------------------------------------------


PROXIED = (
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "video.example"),
    ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
)


async def test_a_trusted_proxy_tells_where_a_request_comes_from_and_what_we_are_called() -> None:
    door = gate(trust_proxy=True, hosts=("video.example",))

    answer = await door.ask("POST", origin="https://video.example", more=PROXIED)

    assert answer.status == 200
    assert door.reached == ["203.0.113.9"]  # the last: the others are what the client says


async def test_without_trust_anybody_could_write_what_a_proxy_tells() -> None:
    door = gate(hosts=("video.example",))

    assert (await door.ask("POST", origin="https://video.example", more=PROXIED)).status == 403
    assert (await door.ask(host="evil.example", more=PROXIED)).status == 421
    await door.ask(more=PROXIED)
    assert door.reached == ["127.0.0.1"]


async def test_a_proxy_that_passes_the_host_on_needs_no_other_header_for_it() -> None:
    door = gate(trust_proxy=True, hosts=("video.example",))

    answer = await door.ask("POST", host="video.example", origin="https://video.example", x_forwarded_proto="https")

    assert answer.status == 200
    assert door.reached == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", None),
        ("", None),
    ],
)
def test_addresses_are_counted_by_whoever_has_them(text: str, counted: str | None) -> None:
    assert whose(text) == counted


# -- how often ---------------------------------------------------------------------------------------------------------


async def test_an_address_that_calls_too_often_is_told_when_to_come_back_and_others_are_not() -> None:
    door = gate(requests_per_second=0.5, requests_burst=3)
    door.seconds = 0.0
    statuses = [(await door.ask(client="10.0.0.1", path="/health")).status for _ in range(3)]
    door.seconds = 0.0

    refused = await door.ask(client="10.0.0.1")

    assert statuses == [200] * 3
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    wait_ms = int(refused.headers["retry-after-ms"])
    assert (await door.ask(client="10.0.0.2")).status == 200
    door.seconds = wait_ms / 1000 + 0.001
    assert (await door.ask(client="10.0.0.1")).status == 200


@given(
    per_second=st.floats(0.01, 1000),
    burst=st.integers(1, 500),
    pauses_s=st.lists(st.floats(0, 5), max_size=200),
)
def test_never_more_calls_pass_than_the_bucket_held_and_took_in(
    per_second: float, burst: int, pauses_s: list[float]
) -> None:
    full_at, now, passed = 0.0, 100.0, 0
    for pause_s in pauses_s:
        now += pause_s
        taken = take(full_at, now, per_second, burst)
        full_at = taken.full_at
        if taken.wait_s == 0:
            passed += 1
        else:  # and who comes back when told passes
            assert take(full_at, now + taken.wait_s * (1 + 1e-9), per_second, burst).wait_s == 0
        assert 0 <= taken.left < burst
        assert passed <= burst + (now - 100.0) * per_second + 0.01


def test_however_many_addresses_call_the_memory_is_bounded_and_the_busiest_are_remembered() -> None:
    buckets = Buckets(most=100, clock=lambda: 50.0)
    for _ in range(5):
        buckets.take("busy", 1, 5)
    for n in range(10_000):
        buckets.take(f"10.0.{n // 256}.{n % 256}", 1, 5)

    assert len(buckets) <= 100
    assert buckets.take("busy", 1, 5).wait_s > 0


# -- what an answer says -----------------------------------------------------------------------------------------------


async def test_every_answer_tells_browsers_to_make_nothing_of_it() -> None:
    door = gate()
    for answer in (await door.ask(), await door.ask(host="evil.example"), await door.ask(origin="null")):
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])


async def test_a_page_keeps_the_policy_that_it_brings() -> None:
    own = ((b"content-security-policy", b"default-src 'self'"), (b"x-frame-options", b"SAMEORIGIN"))

    headers = (await Gate(headers=own).ask(path="/")).headers

    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("mime", [b"video/mp4", b"image/webp"])
async def test_a_video_can_be_watched_alone_in_a_tab_and_still_runs_nothing(mime: bytes) -> None:
    policy = (await Gate(headers=((b"content-type", mime),)).ask()).headers["content-security-policy"]

    assert "media-src 'self'" in policy
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


@pytest.mark.parametrize(
    ("path", "told"),
    [("/v1/videos", True), ("/openai/v1/videos", True), ("/videos/video_1", True), ("/api/jobs", False), ("/", False)],
)
async def test_the_dialects_say_their_version_and_how_long_it_took(path: str, told: bool) -> None:
    headers = (await gate().ask(path=path)).headers

    assert headers.get("openai-version") == ("2020-10-01" if told else None)
    assert headers.get("openai-processing-ms") == ("250" if told else None)


async def test_a_clients_own_request_id_is_kept_if_it_can_be_logged() -> None:
    assert (await gate().ask(x_request_id="my-id:42")).headers["x-request-id"] == "my-id:42"
    for odd in ("", "a b", "a\r\nb", "x" * 129, "ü", "<script>"):
        assert (await gate().ask(x_request_id=odd)).headers["x-request-id"].startswith("req_")


async def test_each_request_has_an_id_of_its_own() -> None:
    assert len({request_id(None) for _ in range(100)}) == 100


async def test_headers_that_are_added_to_a_visit_go_out_with_its_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        visit_of(scope).headers.append((b"x-ratelimit-limit-requests", b"60"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = gate()
    door.guard = Guard(app, GatewaySettings(), host="127.0.0.1", render=render)

    assert (await door.ask()).headers["x-ratelimit-limit-requests"] == "60"


@given(text=st.text(max_size=300))
def test_no_text_upsets_the_readers_of_names_and_addresses(text: str) -> None:
    name = host_name(text)
    assert name is None or re.fullmatch(r"[a-z0-9_.:-]+", name)
    counted = whose(text)
    assert counted is None or re.fullmatch(r"[0-9a-f.:/]+", counted)
