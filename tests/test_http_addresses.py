"""Which addresses may be fetched, to which our key goes, how they are shown, and through which proxy."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rushes.config import NetworkSettings, Settings
from rushes.errors import RequestError, Unreachable
from rushes.http import Api, Http, is_public, proxy_for, redact
from rushes.testing.server import Answer, Exchange, FakeServer, Received, ranged

FILE = bytes(range(256)) * 400
anyio_test = pytest.mark.anyio


class Server(FakeServer):
    def __init__(self, reply: Callable[[Received], Answer] | None = None) -> None:
        super().__init__()
        self.reply = reply or the_file

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(self.reply(received))


def the_file(received: Received) -> Answer:
    return ranged(received, FILE, '"v1"', {"content-type": "video/mp4"})


@asynccontextmanager
async def opened(
    environment: Mapping[str, str] | None = None, network: NetworkSettings | None = None
) -> AsyncGenerator[Http]:
    network = network or NetworkSettings()
    settings = Settings(home=Path(), database_url="", media_url="", environment=environment or {}, network=network)
    http = Http(settings)
    try:
        yield http
    finally:
        await http.aclose()


def api(http: Http, base_url: str) -> Api:
    async def auth() -> Mapping[str, str]:
        return {"authorization": "Bearer sk-secret"}

    return http.api(base_url, {}, auth)


def closed() -> Http:
    """For what needs no connection."""
    return Http(Settings(home=Path(), database_url="", media_url=""))


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://api.example/v1/file", True),
        ("https://api.example:443/file", True),
        ("https://API.example/file", True),
        ("http://api.example/file", False),
        ("https://api.example:8443/file", False),
        ("https://api.example.evil/file", False),
        ("https://api.example@evil/file", False),
        ("https://api.example\\@evil/file", False),
        ("https://api.example:x/file", False),
    ],
)
def test_the_key_goes_to_just_the_configured_origin(url: str, ours: bool) -> None:
    assert api(closed(), "https://api.example/v1").owns(url) is ours


async def fetched(http: Http, url: str, **options: Any) -> bytes:
    async with http.fetch(url, **options) as body:
        return b"".join([chunk async for chunk in body.chunks])


@anyio_test
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",  # noqa: S104 - an address to refuse, not to bind
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_an_address_inside_is_refused(host: str) -> None:
    async with opened() as http:
        with pytest.raises((RequestError, Unreachable)) as caught:
            await fetched(http, f"https://{host}/secret?token=abc")

    assert "abc" not in str(caught.value)


@anyio_test
@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "//x",
        "x",
        "",
        "https://",
        "https://h:99999/",
    ],
)
async def test_only_https_is_fetched(url: str) -> None:
    async with opened() as http:
        with pytest.raises(RequestError, match="not https"):
            await fetched(http, url)


@anyio_test
async def test_the_providers_own_origin_and_named_hosts_are_allowed() -> None:
    with Server() as server:
        async with opened() as http:
            assert await fetched(http, f"{server.url}/file", trusted=[f"127.0.0.1:{server.port}"]) == FILE
            with pytest.raises(RequestError):
                await fetched(http, f"{server.url}/file", trusted=[f"127.0.0.1:{server.port + 1}"])
        async with opened(network=NetworkSettings(allow_hosts=("127.0.0.1",))) as http:
            assert await fetched(http, f"{server.url}/file", offset=5) == FILE[5:]

    assert all("authorization" not in request.headers for request in server.requests)


@anyio_test
async def test_a_redirect_into_the_inside_is_refused_too() -> None:
    with Server() as inside, Server(lambda _: Answer(302, b"", {"location": f"{inside.url}/secret"})) as server:
        async with opened() as http:
            with pytest.raises(RequestError):
                await fetched(http, f"{server.url}/file", trusted=[f"127.0.0.1:{server.port}"])

    assert inside.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("10.0.0.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("::", False),
        ("64:ff9b::a00:1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:a00:1::", False),
    ],
)
def test_which_addresses_are_out_on_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@bucket.example/a/b.mp4?sig=1#x", "https://bucket.example/a/b.mp4"),
        ("https://bucket.example:8443/a", "https://bucket.example:8443/a"),
        ("data:video/mp4;base64,AAAA", "(not an address)"),
        ("", "(not an address)"),
    ],
)
def test_addresses_are_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert redact(url) == shown


# -- proxies -------------------------------------------------------------------------------------------------------

PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://api.example/v1", {}, None),
        ("https://api.example/v1", PROXY, "http://proxy:3128"),
        ("http://api.example/v1", PROXY, None),
        ("http://api.example/v1", {"HTTP_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ("https://api.example/v1", {"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ("https://api.example/v1", {"https_proxy": "http://small:1", **PROXY}, "http://small:1"),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "api.example"}, None),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "localhost, .example"}, None),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "example"}, None),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "*.example"}, None),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "*"}, None),
        ("https://api.example:8443/v1", {**PROXY, "NO_PROXY": "api.example:8443"}, None),
        ("https://api.example:8443/v1", {**PROXY, "NO_PROXY": "api.example:9"}, "http://proxy:3128"),
        ("https://api.example/v1", {**PROXY, "NO_PROXY": "i.example,other"}, "http://proxy:3128"),
        ("https://10.1.2.3/v1", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3/v1", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, "http://proxy:3128"),
        ("https://[::1]/v1", {**PROXY, "NO_PROXY": "::1"}, None),
        ("https://user:pw@api.example/v1", {**PROXY, "no_proxy": "api.example"}, None),
    ],
)
def test_which_proxy_is_used(url: str, environment: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environment) == proxy


@anyio_test
async def test_a_call_goes_through_the_proxy() -> None:
    with Server(lambda _: Answer.json({"by": "proxy"})) as proxy:
        async with opened({"HTTP_PROXY": proxy.url}) as http:
            reply = await api(http, "http://api.invalid/v1").send("GET", "/videos", step="list")

    assert reply.json() == {"by": "proxy"}
    assert proxy.requests[0].raw_path == "http://api.invalid/v1/videos"
