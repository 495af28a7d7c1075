"""The page of the API: its files are those that were released, and it works in a browser under a strict policy."""

import hashlib
import re
import shutil
from pathlib import Path

import anyio
import pytest

from rushes.gateway import pages
from tests.gateway.running import Running

pytestmark = pytest.mark.anyio

OPERATIONS = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--dump-dom",
)


def test_swagger_ui_is_what_was_released() -> None:
    sums = dict(line.split("  ")[::-1] for line in (pages.SWAGGER / "SHA256SUMS").read_text().splitlines())

    found = {path.name for path in pages.SWAGGER.iterdir()} - {"SHA256SUMS", "README.md"}
    assert found == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((pages.SWAGGER / name).read_bytes()).hexdigest() == digest, name
    assert "LICENSE" in sums


async def test_the_page_has_no_script_and_no_style_inside_it(idle_gateway: Running) -> None:
    answer = await idle_gateway.client.get("/docs")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|\sstyle=|javascript:", answer.text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text)


async def test_every_file_of_the_page_is_kept_by_its_version(idle_gateway: Running) -> None:
    page = (await idle_gateway.client.get("/docs")).text
    links = re.findall(r"(?:src|href)=\"(docs/[^\"]+)\"", page)

    assert len(links) == len(pages.FILES)
    for link in links:
        answer = await idle_gateway.client.get(f"/{link}")
        assert answer.status_code == 200, link
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        bare = await idle_gateway.client.get(f"/{link.partition('?')[0]}")
        assert bare.headers["cache-control"] == "no-cache"
        assert bare.content == answer.content
        known = await idle_gateway.client.get(f"/{link}", headers={"if-none-match": answer.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize("name", ["SHA256SUMS", "none.js", "..%2Fpages.py", "%2e%2e%2fpages.py"])
async def test_no_other_file_is_served(idle_gateway: Running, name: str) -> None:
    answer = await idle_gateway.client.get(f"/docs/{name}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_the_document_of_the_native_api_is_complete(idle_gateway: Running) -> None:
    document = (await idle_gateway.client.get("/openapi.json")).json()
    operations = {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    native = {name: of for name, of in operations.items() if " /api/" in name}

    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert {path.split("/")[1] for path in document["paths"]} <= {"v1", "openai", "api", "health", "ready", "metrics"}
    assert len(native) == 14
    for name, operation in native.items():
        assert operation["tags"], name
        assert operation["description"], name
        assert operation["security"] == [{"bearer": []}], name
        failing = {code: answer for code, answer in operation["responses"].items() if int(code) >= 400}
        assert {"401", "422", "429", "503"} <= set(failing), name
        for answer in failing.values():
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}, name


async def test_a_browser_shows_the_operations_and_breaks_no_policy(idle_gateway: Running, tmp_path: Path) -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    assert browser is not None, "This test needs Chromium: apt-get install chromium"
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"{idle_gateway.url}/docs"]

    with anyio.fail_after(90):
        done = await anyio.run_process(command, check=False)

    dom, said = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert dom.count('class="opblock ') >= OPERATIONS, said[-2000:]
    for path in ("/v1/videos", "/api/generate", "/api/events"):
        assert f'data-path="{path}"' in dom
    assert "Content Security Policy" not in said
    assert "CONSOLE" not in said, said[-2000:]
