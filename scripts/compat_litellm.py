"""Every video call that LiteLLM has, made against a gateway; prints a JSON line for each.

    python scripts/compat_litellm.py openai http://127.0.0.1:8000/v1 KEY FOLDER
    python scripts/compat_litellm.py azure http://127.0.0.1:8000 KEY FOLDER

FOLDER holds `first.png` and `clip.mp4`. `scripts/compat.py` runs it with the package on the path.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

litellm: Any = importlib.import_module("litellm")

PROMPT = "A lighthouse at dusk"
SHORT = {"size": "320x180", "seconds": "1"}
TIMEOUT_S = 120.0
NOBODY = "video_" + "0" * 32


class Wrong(Exception):
    """What came back is not what was asked for."""


def main() -> int:
    provider, api_base, key, folder = sys.argv[1:]
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    where = {"api_base": api_base, "api_key": key}
    walk(provider, where, Path(folder))
    return 0


def walk(provider: str, where: dict[str, Any], folder: Path) -> None:
    """From the first create to every call that starts from a finished video."""
    create = {"model": f"{provider}/sora-2", "prompt": PROMPT, **SHORT, **where}
    anew = {"custom_llm_provider": provider, **where}
    picture = folder / "first.png"

    made = step("video_generation", lambda: litellm.video_generation(**create))
    if made is None:
        return
    video = {"video_id": made.id, **where}
    step("video_status", lambda: completed(video))
    step("video_content", lambda: content(video, b"ftyp"))
    step("video_content, thumbnail", lambda: content({**video, "variant": "thumbnail"}, b"WEBP"))
    step("video_list", lambda: listed(anew, made.id))
    step("video_remix", lambda: litellm.video_remix(**video, prompt="In a storm"))
    step("video_edit", lambda: litellm.video_edit(**video, prompt="Give it a red roof"))
    step("video_extension", lambda: litellm.video_extension(**video, prompt="A boat comes in", seconds="1"))
    with picture.open("rb") as file:
        step("video_generation, a file", lambda: litellm.video_generation(**create, input_reference=file))
    bare = picture.read_bytes()
    step("video_generation, bytes", lambda: litellm.video_generation(**create, input_reference=bare))
    step("video_generation, extra_body", lambda: litellm.video_generation(**create, extra_body={"seed": 7}))
    with (folder / "clip.mp4").open("rb") as file:
        mira = step("video_create_character", lambda: litellm.video_create_character("Mira", file, **anew))
    if mira is not None:
        step("video_get_character", lambda: litellm.video_get_character(mira.id, **anew))
        if provider == "openai":  # LiteLLM takes no characters for Azure
            filmed = [{"id": mira.id}]
            step("video_generation, characters", lambda: litellm.video_generation(**create, characters=filmed))
    step("an unknown video", lambda: refused({"video_id": NOBODY, **anew}))


def step(name: str, call: Callable[[], Any]) -> Any:
    """Make a call and tell how it went."""
    try:
        found = call()
    except Exception as error:  # whatever a call raises is told, and the next one has its turn
        print(json.dumps({"step": name, "error": f"{type(error).__name__}: {error}"}), flush=True)
        return None
    print(json.dumps({"step": name, "error": None}), flush=True)
    return found


def completed(video: dict[str, Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        found = litellm.video_status(**video)
        if found.status == "completed":
            return found
        if found.status not in ("queued", "in_progress"):
            raise Wrong(f"{found.status}: {found.error}")
        time.sleep(0.2)
    raise Wrong(f"not completed within {TIMEOUT_S:.0f} s")


def content(video: dict[str, Any], mark: bytes) -> bytes:
    found = litellm.video_content(**video)
    if mark not in found[:12]:
        raise Wrong(f"the content begins with {found[:12]!r}")
    return found


def listed(anew: dict[str, Any], video_id: str) -> Any:
    found = litellm.video_list(limit=20, **anew)
    if video_id not in [each["id"] for each in found["data"]]:
        raise Wrong(f"{video_id} is not in the list")
    return found


def refused(video: dict[str, Any]) -> None:
    try:
        litellm.video_status(**video)
    except litellm.exceptions.APIError as error:
        raise Wrong(f"{type(error).__name__}: {error}") from error
    except Exception as error:  # its class differs between releases; its words are the gateway's
        if "No video found" not in str(error):
            raise Wrong(str(error)) from error
    else:
        raise Wrong("it was found")


if __name__ == "__main__":
    sys.exit(main())
