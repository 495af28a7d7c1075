"""A fake of Kling's two video APIs: what they refuse, what they charge, and how a task ends.

The current API wants the plain key, the old one (`/v1/videos`) a token signed with a secret. An `external_task_id` is
taken once.

Source: kling.ai/document-api (quick start, the pages of 3.0, turbo and omni, error codes, callbacks, prices), read
2026-11-20.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from rushes.providers.base import Provider
from rushes.providers.kling import PROVIDER
from rushes.testing.contract_bench import ProtocolFake
from rushes.testing.faults import Fault
from rushes.testing.given import nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

ACCESS_KEY, SECRET_KEY = "fake-access-key", "fake-secret-key-0123456789"
HEIGHTS = {"720p": 720, "1080p": 1080, "4k": 2160}
MODES = {"std": "720p", "pro": "1080p", "4k": "4k"}
CODES = {401: 1000, 403: 1103, 404: 1203, 429: 1302}
WORDS = {
    State.QUEUED: "submitted",
    State.RUNNING: "processing",
    State.DONE: "succeeded",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELLED: "failed",
}
REASONS = {State.MODERATED: "The result did not pass the content security review.", State.FAILED: "It went wrong."}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a model takes. Dollars a second: silent, with sound, with a video as input."""

    silent: Mapping[str, str]
    sounding: Mapping[str, str]
    from_video: Mapping[str, str] | None = None
    longest_s: int = 15
    lengths: tuple[int, ...] = ()
    wide: bool = False  # 21:9, too
    side: int = 960  # of a square 720p video
    always_sounds: bool = False
    prompt_outside: bool = False
    families: tuple[str, ...] = ("text-to-video", "image-to-video")


THREE, THREE_LOUD = {"720p": "0.084", "1080p": "0.112", "4k": "0.42"}, {"720p": "0.126", "1080p": "0.168", "4k": "0.42"}
TURBO = {"720p": "0.112", "1080p": "0.14"}
OMNI, OMNI_FROM_VIDEO = {"720p": "0.084", "1080p": "0.112"}, {"720p": "0.126", "1080p": "0.168"}
FOUR, FLASH = {"720p": "0.17", "1080p": "0.25"}, {"720p": "0.1"}  # made up: nobody tells them
OLD, OLD_LOUD = {"720p": "0.042", "1080p": "0.07"}, {"720p": "0.09", "1080p": "0.15"}  # the louder ones are made up

MODELS: Mapping[str, Rules] = {
    "kling-3.0": Rules(silent=THREE, sounding=THREE_LOUD),
    "kling-3.0-turbo": Rules(silent=TURBO, sounding=TURBO, always_sounds=True, prompt_outside=True),
    "kling-3.0-omni": Rules(silent=OMNI, sounding=TURBO, from_video=OMNI_FROM_VIDEO, families=("omni-video",)),
    "kling-4.0": Rules(
        silent=FOUR,
        sounding=FOUR,
        from_video=FOUR,
        longest_s=30,
        wide=True,
        side=940,
        always_sounds=True,
        families=("text-to-video", "image-to-video", "omni-video"),
    ),
    "kling-4.0-flash": Rules(silent=FLASH, sounding=FLASH, longest_s=20, wide=True, side=940, always_sounds=True),
}
OLD_MODELS: Mapping[str, Rules] = {
    "kling-v3": Rules(silent=THREE, sounding=THREE_LOUD),
    "kling-v2-6": Rules(silent=OLD, sounding=OLD_LOUD, lengths=(5, 10), side=720),
    "kling-v2-5-turbo": Rules(silent=OLD, sounding=OLD, lengths=(5, 10), side=720),
}
OLD_FIELDS = (
    "model_name", "prompt", "negative_prompt", "mode", "duration", "sound", "cfg_scale", "callback_url",
    "external_task_id",
)  # fmt: skip


class FakeKling(VendorFake):
    id_path = ("data", "id")
    v1_root = "/v1/videos/"

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["text-to-video" | "image-to-video" | "omni-video", _]:
                return "create"
            case "POST", ["v1", "videos", "text2video" | "image2video"]:
                return "create"
            case "GET", ["tasks"]:
                return "list" if "external_task_ids" in received.query else "poll"
            case "GET", ["v1", "videos", "text2video" | "image2video", _]:
                return "poll"
            case _:
                return "download" if self.is_result(received) else None

    def remote_id_of(self, received: Received) -> str:
        return received.query.get("task_ids") or super().remote_id_of(received)

    def check_key(self, received: Received, operation: str | None) -> None:
        if not received.raw_path.startswith(self.v1_root):
            super().check_key(received, operation)
        elif not _is_signed(received.headers.get("authorization", "").removeprefix("Bearer ")):
            raise self.error(401, "The token is missing, over or not signed with our secret.")

    def error(self, status: int, words: str, code: int | None = None) -> Refused:
        code = code or CODES.get(status, 5000 if status >= 500 else 1201)
        return Refused(Answer.json({"code": code, "message": words, "request_id": "req-1"}, status))

    def moderated(self) -> Refused:
        return self.error(400, "The content violates our policy.", 1301)

    def unknown(self, remote_id: str) -> Refused:
        return Refused(self._good([]))

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        keys = received.query.get("external_task_ids", "").split(",")
        found = [job for job in self.jobs.values() if job.ordered.key in keys]
        return self._good([self._shown(job, Seen(state=job.state, share=job.share())) for job in found])

    # -- creates -----------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        if received.raw_path.startswith(self.v1_root):
            ordered = self._old_order(received.path.rpartition("/")[2], body)
        else:
            _, family, model = received.path.split("/")
            rules = MODELS.get(model)
            if rules is None or family not in rules.families:
                raise self.error(404, f"There is no {model} for {family}.")
            ordered = self._order(family, model, rules, body)
        if ordered.key is not None and any(job.ordered.key == ordered.key for job in self.jobs.values()):
            raise self.error(400, f"external_task_id {ordered.key} exists already.")
        return ordered

    def _order(self, family: str, model: str, rules: Rules, body: dict[str, Any]) -> Ordered:
        outside = rules.prompt_outside and family == "text-to-video"
        prompt_field = "prompt" if outside else "contents"
        self._no_others("field", body, (prompt_field, "settings", "options"))
        settings, options = body.get("settings", {}), body.get("options", {})
        self._no_others("setting", settings, ("resolution", "aspect_ratio", "duration", "audio", "multi_shot"))
        self._no_others("option", options, ("callback_url", "external_task_id", "watermark_info"))
        contents = [{"type": "prompt", "text": body.get("prompt")}] if outside else body.get("contents", [])
        given = self._given(family, contents)
        prompt = given["prompt"][0]
        if not isinstance(prompt, str) or not prompt or (model.startswith("kling-3") and len(prompt) > 3072):
            raise self.error(400, "A prompt has 1 to 3072 characters.")
        source = self._source_of(given.get("base_video", []))
        resolution, ratio = settings.get("resolution", "720p"), settings.get("aspect_ratio", "16:9")
        seconds, audio = settings.get("duration", 5), settings.get("audio", "off")
        if resolution not in rules.silent or ratio not in ("16:9", "9:16", "1:1", *(["21:9"] if rules.wide else [])):
            raise self.error(400, "This resolution or aspect_ratio is not offered.")
        if type(seconds) is not int or not 3 <= seconds <= rules.longest_s:
            raise self.error(400, f"duration is 3 to {rules.longest_s}.")
        if audio not in ("native", "original", "off") or ("audio" in settings and rules.always_sounds):
            raise self.error(400, "audio is native, original or off, where there is a choice.")
        sounds = rules.always_sounds or audio != "off"
        if first := given.get("first_frame"):
            ratio = self._shape_of(first[0])  # whatever was asked for
        size = _pixels(resolution, ratio, rules.side)
        prices = rules.sounding if sounds else rules.silent
        if source is not None:
            assert rules.from_video is not None
            prices, size, seconds = rules.from_video, source.ordered.size, source.ordered.seconds
        return Ordered(
            model=model,
            prompt=prompt,
            seconds=seconds,
            size=size,
            usd=Decimal(prices[resolution]) * seconds,
            audio=sounds,
            key=options.get("external_task_id"),
            body=body,
        )

    def _given(self, family: str, contents: list[dict[str, Any]]) -> dict[str, list[Any]]:
        """What `contents` holds, by its types."""
        found: dict[str, list[Any]] = {}
        for entry in contents:
            place = "text" if entry.get("type") == "prompt" else "url"
            self._no_others("field", entry, ("type", place))
            found.setdefault(entry["type"], []).append(entry.get(place))
        allowed = {
            "text-to-video": {"prompt"},
            "image-to-video": {"prompt", "first_frame", "last_frame"},
            "omni-video": {"prompt", "first_frame", "last_frame", "refer_image", "base_video"},
        }[family]
        singles = [kind for kind, entries in found.items() if kind != "refer_image" and len(entries) > 1]
        if not found.keys() <= allowed or "prompt" not in found or singles:
            raise self.error(400, f"{family} takes a prompt, and {sorted(allowed)}.")
        if (family == "image-to-video" or "last_frame" in found) and "first_frame" not in found:
            raise self.error(400, "A first_frame is missing.")
        for kind in ("first_frame", "last_frame", "refer_image"):
            for picture in found.get(kind, []):
                self._shape_of(picture)
        return found

    def _shape_of(self, picture: Any) -> str:
        """The shape that a video from this picture has. Raises Refused."""
        try:
            data = base64.b64decode(picture, validate=True)
            shorter, longer = sorted(size := size_of(data))
        except (TypeError, ValueError):
            data, size, shorter, longer = b"", (0, 0), 0, 0
        if not data.startswith((b"\x89PNG", b"\xff\xd8")):
            # A link would do as well, but none is ever sent.
            raise self.error(400, "A picture is base64 without a prefix, of a JPEG or PNG.")
        if len(data) > 10_000_000 or shorter < 300 or longer > 2.5 * shorter:
            raise self.error(400, "A picture has 10 MB at most, sides of 300 pixels, and a shape of 1:2.5 to 2.5:1.")
        return nearest_ratio(size, ("16:9", "9:16", "1:1", "21:9"))

    def _source_of(self, links: list[Any]) -> VendorJob | None:
        if not links:
            return None
        job = self.jobs.get(str(links[0]).rpartition("/")[2].removesuffix(".mp4"))
        if job is None:
            raise self.error(400, "The base_video cannot be fetched.")
        return job

    def _old_order(self, operation: str, body: dict[str, Any]) -> Ordered:
        pictured = operation == "image2video"
        self._no_others("field", body, (*OLD_FIELDS, *(("image", "image_tail") if pictured else ("aspect_ratio",))))
        rules = OLD_MODELS.get(body.get("model_name", ""))
        if rules is None or not body.get("prompt") or pictured != ("image" in body):
            raise self.error(400, "There is no such model, or no prompt, or no image.")
        resolution, ratio = MODES.get(body.get("mode", "std"), ""), body.get("aspect_ratio", "16:9")
        for name in ("image_tail", "image"):
            if name in body:
                ratio = self._shape_of(body[name])
        told, sound = body.get("duration", "5"), body.get("sound", "off")
        lengths = rules.lengths or range(3, 16)
        if resolution not in rules.silent or ratio not in ("16:9", "9:16", "1:1"):
            raise self.error(400, "This mode or aspect_ratio is not offered.")
        if not isinstance(told, str) or int(told) not in lengths or sound not in ("on", "off"):
            raise self.error(400, "duration is a text, and sound is on or off.")
        if "sound" in body and body["model_name"] == "kling-v2-5-turbo":
            raise self.error(400, "This model has no sound.")
        prices = rules.sounding if sound == "on" else rules.silent
        return Ordered(
            model=body["model_name"],
            prompt=body["prompt"],
            seconds=int(told),
            size=_pixels(resolution, ratio, rules.side),
            usd=Decimal(prices[resolution]) * int(told),
            audio=sound == "on",
            key=body.get("external_task_id"),
            body=body,
        )

    def _no_others(self, what: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
        if unknown := next((name for name in given if name not in known), None):
            raise self.error(400, f"Unknown {what} {unknown}.")

    # -- answers -----------------------------------------------------------------------------------

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        data: dict[str, Any] = {"id": job.id, "status": "submitted"}
        if "model_name" in job.ordered.body:
            data = {"task_id": job.id, "task_status": "submitted"}
        return {"code": 0, "message": "SUCCEED", "request_id": "req-1", "data": data}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        return self._good(self._old_shown(job, seen) if "model_name" in job.ordered.body else [self._shown(job, seen)])

    def _good(self, data: Any) -> Answer:
        return Answer.json({"code": 0, "message": "SUCCEED", "request_id": "req-1", "data": data})

    def _shown(self, job: VendorJob, seen: Seen) -> dict[str, Any]:
        outputs = [{"type": "video", "url": seen.url, "duration": str(job.ordered.seconds)}] if seen.url else []
        return {
            "id": job.id,
            "status": seen.word or WORDS[seen.state],
            "message": REASONS.get(seen.state, ""),
            "outputs": outputs,
            "billing": [{"charge_type": "unit", "amount": str(job.ordered.usd / Decimal("0.14"))}],
            "create_time": int(job.created_at * 1000),
        }

    def _old_shown(self, job: VendorJob, seen: Seen) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "task_id": job.id,
            "task_status": seen.word or ("succeed" if seen.state is State.DONE else WORDS[seen.state]),
            "task_status_msg": REASONS.get(seen.state, ""),
        }
        if seen.url:
            shown["task_result"] = {"videos": [{"id": "v", "url": seen.url, "duration": str(job.ordered.seconds)}]}
        return shown


def _is_signed(token: str) -> bool:
    """Whether a token of the old API is ours, and good now."""
    try:
        head, claims, signature = token.split(".")
        right = hmac.digest(SECRET_KEY.encode(), f"{head}.{claims}".encode(), hashlib.sha256)
        told = json.loads(_decoded(claims))
        return (
            hmac.compare_digest(right, _decoded(signature))
            and json.loads(_decoded(head)) == {"alg": "HS256", "typ": "JWT"}
            and told["iss"] == ACCESS_KEY
            and told["nbf"] <= time.time() < told["exp"] <= time.time() + 1800
        )
    except (ValueError, KeyError, TypeError):
        return False


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _pixels(resolution: str, ratio: str, side: int) -> tuple[int, int]:
    height = HEIGHTS[resolution]
    width = height * 16 // 9
    squares = {"720p": side, "1080p": 1440, "4k": 2880}
    wides = {"720p": (1460, 624), "1080p": (2200, 940), "4k": (4400, 1880)}
    match ratio:
        case "16:9":
            return width, height
        case "9:16":
            return height, width
        case "21:9":
            return wides[resolution]
        case _:
            return squares[resolution], squares[resolution]


class KlingBench(VendorBench):
    kind = PROVIDER
    model = "kling-3.0"
    key_variable = "KLING_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeKling
    golden_models = ("kling-3.0-turbo", "kling-3.0-omni", "kling-4.0", "kling-v3")
    misspelt_extra = ("multishot", "multi_shot")
    finds_by_key = True

    def environment(self, fake: Any) -> Mapping[str, str]:
        return {**super().environment(fake), "KLING_ACCESS_KEY": ACCESS_KEY, "KLING_SECRET_KEY": SECRET_KEY}

    def opened(
        self,
        fake: ProtocolFake,
        folder: Path,
        *,
        create_timeout_s: float | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[Provider]:
        """Where the key is taken away or spoilt, the two keys of the old API do not stand in for it."""
        if changes and self.key_variable in changes:
            changes = {"KLING_ACCESS_KEY": "", "KLING_SECRET_KEY": "", **changes}
        return super().opened(fake, folder, create_timeout_s=create_timeout_s, changes=changes)


BENCH = KlingBench
