"""`GET /docs`: the OpenAPI document to read and to try, by Swagger UI; and the files that the page is made of.

Swagger UI lies in `static/swagger` as it was released, with checksums: nothing is fetched from elsewhere. The page has
no script and no style of its own inside it, so it works under a policy that allows neither.
"""

import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.gateway.problems import not_found

STATIC = Path(__file__).with_name("static")
SWAGGER = STATIC / "swagger"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png"}
FILES = {
    "swagger-ui-bundle.js": SWAGGER,
    "swagger-ui.css": SWAGGER,
    "favicon-32x32.png": SWAGGER,
    "docs.js": STATIC,
    "docs.css": STATIC,
}
VERSION_LENGTH = 12

router = APIRouter(include_in_schema=False)


class Asset(NamedTuple):
    """A file of the page. `version` is the beginning of its sha256."""

    path: Path
    mime: str
    sha256: str

    @property
    def version(self) -> str:
        return self.sha256[:VERSION_LENGTH]

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


@cache
def assets() -> dict[str, Asset]:
    """The files by their names. Hashed once; what is in them is read at each request, which are few."""
    found: dict[str, Asset] = {}
    for name, folder in FILES.items():
        path = folder / name
        found[name] = Asset(path, TYPES[path.suffix], hashlib.sha256(path.read_bytes()).hexdigest())
    return found


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page. Its addresses are relative, so that it works below any prefix of a proxy."""
    files = await anyio.to_thread.run_sync(assets)
    urls = {name: f"docs/{name}?v={asset.version}" for name, asset in files.items()}
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(request.app.title)}: the API</title>
<link rel="icon" type="image/png" href="{urls["favicon-32x32.png"]}">
<link rel="stylesheet" href="{urls["swagger-ui.css"]}">
<link rel="stylesheet" href="{urls["docs.css"]}">
<script src="{urls["swagger-ui-bundle.js"]}" defer></script>
<script src="{urls["docs.js"]}" defer></script>
</head>
<body>
<div id="swagger-ui" data-url="openapi.json"></div>
<noscript>This page needs JavaScript. The document itself: <a href="openapi.json">openapi.json</a></noscript>
</body>
</html>
"""
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return Response(page, media_type="text/html", headers=headers)


@router.get("/docs/{name}")
async def docs_file(request: Request, name: str) -> Response:
    """A file of the page: kept for ever if it was asked for by its version, else asked for again each time."""
    asset = (await anyio.to_thread.run_sync(assets)).get(name)
    if asset is None:
        raise not_found("page", name)
    versioned = request.query_params.get("v") == asset.version
    headers = {"etag": asset.etag, "cache-control": FOR_EVER if versioned else "no-cache"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    body = await anyio.to_thread.run_sync(asset.path.read_bytes)
    return Response(body, headers={**headers, "content-type": asset.mime})
