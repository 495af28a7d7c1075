"""Run by the download tests as a process of its own, to be killed or squeezed.

Arguments: address, part file, and a limit on the size of files it may write (0: none). Prints the outcome as JSON.
"""

import json
import resource
import sys
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from rushes.config import Settings
from rushes.errors import RushesError
from rushes.http import Http
from rushes.media.download import download


async def main(url: str, part: Path, limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    http = Http(Settings(home=part.parent, database_url="", media_url=""))
    origin = urlsplit(url).netloc
    try:
        got = await download(
            lambda offset, etag: http.fetch(url, offset=offset, etag=etag, trusted=[origin]), part, max_bytes=1 << 30
        )
        print(json.dumps({"sha256": got.sha256, "resumed": got.resumed}))
    except RushesError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
    finally:
        await http.aclose()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
