"""Scenarios through the official OpenAI package for Python, whichever version is on the path; prints JSON lines.

    python python_driver.py BASE_URL API_KEY '[["create_text", {"seconds": "8"}], ["delete", {"video_id": "video_…"}]]'

The first line is the version. Each further line is one thing that came back: `{"call": "create", "video": {…}}`, or
`{"call": "create_text", "error": {"class": …}}` for what the package raised; then the next scenario has its turn. It
imports nothing but the package, so it runs under any version of it.
"""

import hashlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
from openai import AzureOpenAI, OpenAI
from openai.types import Video

warnings.simplefilter("ignore", DeprecationWarning)  # the package warns on each call that the vendor has shut down

Scenario = Callable[[Any, dict[str, Any]], None]
PROMPT = "A lighthouse at dusk"


def say(call: str, **what: Any) -> None:
    print(json.dumps({"call": call, **what}), flush=True)


def said(call: str, found: Any, name: str = "video") -> Any:
    """Print an object of the package, with every field that came, known to it or not."""
    say(call, **{name: found.model_dump(mode="json"), "request_id": getattr(found, "_request_id", None)})
    return found


def asked(args: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a create is called with: what the test gives, and what the scenario adds."""
    names = ("model", "seconds", "size", "extra_headers", "extra_body")
    given = {name: args[name] for name in names if name in args}
    return {"prompt": args.get("prompt", PROMPT), **given, **more}


def file_of(args: dict[str, Any], mime: str = "image/png") -> tuple[str, bytes, str]:
    path = Path(args["file"])
    return (path.name, path.read_bytes(), args.get("mime", mime))


def words(args: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What an edit or an extension is called with, besides its video."""
    given = {"extra_body": args["extra_body"]} if "extra_body" in args else {}
    return {"prompt": args.get("prompt", PROMPT), **given, **more}


# -- creating ----------------------------------------------------------------------------------------------------------


def create_text(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args)))


def create_number(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args, seconds=int(args.get("seconds", 8)))))


def create_file(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args, input_reference=file_of(args))))


def create_bytes(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args, input_reference=Path(args["file"]).read_bytes())))


def create_handle(client: Any, args: dict[str, Any]) -> None:
    with Path(args["file"]).open("rb") as handle:
        said("create", client.videos.create(**asked(args, input_reference=handle)))


def create_object(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args, input_reference={"image_url": args["image_url"]})))


def create_json(client: Any, args: dict[str, Any]) -> None:
    """The way around for who wants to send an object: force the body to be JSON."""
    body = {"input_reference": {"image_url": args["image_url"]}, **args.get("extra_body", {})}
    headers = {"Content-Type": "application/json"}
    said("create", client.videos.create(**asked(args, extra_headers=headers, extra_body=body)))


def create_extra(client: Any, args: dict[str, Any]) -> None:
    """Fields that the package does not know."""
    characters = [{"id": "char_1"}, {"id": "char_2"}]
    extra = {"characters": characters, "seed": 7, "generate_audio": True, "guidance": 7.5, "nothing": None}
    said("create", client.videos.create(**asked(args, extra_body=args.get("extra_body", extra))))


def create_and_poll(client: Any, args: dict[str, Any]) -> None:
    more = {"poll_interval_ms": args["poll_interval_ms"]} if "poll_interval_ms" in args else {}
    said("create_and_poll", client.videos.create_and_poll(**asked(args, **more)))


def remix(client: Any, args: dict[str, Any]) -> None:
    said("remix", client.videos.remix(args["video_id"], prompt=args.get("prompt", PROMPT)))


def edit_file(client: Any, args: dict[str, Any]) -> None:
    said("edit", client.videos.edit(**words(args), video=file_of(args, "video/mp4")))


def edit_id(client: Any, args: dict[str, Any]) -> None:
    said("edit", client.videos.edit(**words(args), video={"id": args["video_id"]}))


def edit_post(client: Any, args: dict[str, Any]) -> None:
    """The way around for who wants to name the video: the package's own `post`."""
    body = {"prompt": args.get("prompt", PROMPT), "video": {"id": args["video_id"]}}
    said("edit", client.post("/videos/edits", body=body, cast_to=Video))


def extend_file(client: Any, args: dict[str, Any]) -> None:
    said(
        "extend",
        client.videos.extend(video=file_of(args, "video/mp4"), **words(args, seconds=args.get("seconds", "4"))),
    )


def extend_id(client: Any, args: dict[str, Any]) -> None:
    said(
        "extend", client.videos.extend(video={"id": args["video_id"]}, **words(args, seconds=args.get("seconds", "4")))
    )


def create_character(client: Any, args: dict[str, Any]) -> None:
    made = client.videos.create_character(name=args.get("name", "Mira"), video=file_of(args, "video/mp4"))
    said("create_character", made, "character")


# -- reading -----------------------------------------------------------------------------------------------------------


def poll(client: Any, args: dict[str, Any]) -> None:
    more = {"poll_interval_ms": args["poll_interval_ms"]} if "poll_interval_ms" in args else {}
    said("poll", client.videos.poll(args["video_id"], **more))


def retrieve(client: Any, args: dict[str, Any]) -> None:
    said("retrieve", client.videos.retrieve(args["video_id"]))


def retrieve_raw(client: Any, args: dict[str, Any]) -> None:
    """The answer's status, headers and body, as the package hands them on."""
    raw = client.videos.with_raw_response.retrieve(args["video_id"])
    say("retrieve_raw", status=raw.status_code, headers=dict(raw.headers), body=json.loads(raw.text))


def list_all(client: Any, args: dict[str, Any]) -> None:
    """Every page, as the package's own paging fetches them."""
    query = {name: args[name] for name in ("limit", "order", "after") if name in args}
    page = client.videos.list(**query)
    while True:
        say("list", ids=[each.id for each in page.data], has_more=page.has_more, last_id=page.last_id)
        if not page.has_next_page():
            break
        page = page.get_next_page()


def list_iterate(client: Any, args: dict[str, Any]) -> None:
    query = {name: args[name] for name in ("limit", "order", "after") if name in args}
    say("list_iterate", ids=[each.id for each in client.videos.list(**query)])


def delete(client: Any, args: dict[str, Any]) -> None:
    said("delete", client.videos.delete(args["video_id"]), "deleted")


def get_character(client: Any, args: dict[str, Any]) -> None:
    said("get_character", client.videos.get_character(args["character_id"]), "character")


# -- content -----------------------------------------------------------------------------------------------------------


def say_content(call: str, headers: Any, content: bytes) -> None:
    found = {"mime": headers.get("content-type"), "size_bytes": len(content)}
    say(call, **found, sha256=hashlib.sha256(content).hexdigest(), start=content[:12].hex())


def download(client: Any, args: dict[str, Any]) -> None:
    more = {"variant": args["variant"]} if "variant" in args else {}
    answer = client.videos.download_content(args["video_id"], **more)
    say_content("download", answer.response.headers, answer.read())


def download_streaming(client: Any, args: dict[str, Any]) -> None:
    with client.videos.with_streaming_response.download_content(args["video_id"]) as answer:
        content = b"".join(answer.iter_bytes(65536))
        say_content("download_streaming", answer.headers, content)


def thumbnail(client: Any, args: dict[str, Any]) -> None:
    download(client, {**args, "variant": "thumbnail"})


def spritesheet(client: Any, args: dict[str, Any]) -> None:
    download(client, {**args, "variant": "spritesheet"})


# -- what goes wrong, and webhooks -------------------------------------------------------------------------------------


def missing(client: Any, args: dict[str, Any]) -> None:
    client.videos.retrieve(args.get("video_id", "video_" + "0" * 32))


def wrong_key(client: Any, args: dict[str, Any]) -> None:
    client.with_options(api_key="sk-wrong").videos.retrieve(args.get("video_id", "video_" + "0" * 32))


def bad_seconds(client: Any, args: dict[str, Any]) -> None:
    said("create", client.videos.create(**asked(args, seconds="7x")))


def unwrap(client: Any, args: dict[str, Any]) -> None:
    event = client.webhooks.unwrap(args["payload"], args["headers"], secret=args["secret"])
    say("unwrap", type=event.type, id=event.id, data_id=event.data.id)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        *(create_text, create_number, create_file, create_bytes, create_handle, create_object, create_json),
        *(create_extra, create_and_poll, remix, edit_file, edit_id, edit_post, extend_file, extend_id),
        *(create_character, poll, retrieve, retrieve_raw, list_all, list_iterate, delete, get_character),
        *(download, download_streaming, thumbnail, spritesheet, missing, wrong_key, bad_seconds, unwrap),
    )
}


def said_error(error: Exception) -> dict[str, Any]:
    names = ("status_code", "code", "param", "type", "request_id")
    return {
        "class": type(error).__name__,
        "message": str(error),
        **{name: getattr(error, name, None) for name in names},
    }


def client_for(base_url: str, key: str, args: dict[str, Any]) -> Any:
    options: dict[str, Any] = {
        "api_key": key,
        "max_retries": args.get("max_retries", 0),
        "timeout": args.get("timeout_s", 30),
    }
    if args.get("azure"):
        # Its resource's address has no path; the package adds /openai and the version.
        return AzureOpenAI(
            azure_endpoint=base_url, api_version=args.get("api_version", "2025-04-01-preview"), **options
        )
    return OpenAI(base_url=base_url, **options)


def main() -> int:
    base_url, key, steps = sys.argv[1:]
    say("version", version=openai.__version__)
    for name, args in json.loads(steps):
        try:
            SCENARIOS[name](client_for(base_url, key, args), args)
        except Exception as error:
            say(name, error=said_error(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
