"""A fake of OpenRouter's video API: its feed of models, what it refuses, and what it charges.

Source: openrouter.ai/docs (video generation guide, API reference), read 2026-11-20; the feed as a public copy of
2026-10-09 has it, with the 768p of Hailuo 3 that is sold since.
"""

import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.openrouter.provider import OpenRouter
from rushes.testing.faults import Fault
from rushes.testing.given import measured
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

RATIOS = ["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3"]
SIX = ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]
SEEDANCE_25 = "854x480 752x560 640x640 560x752 480x854 992x432 1280x720 1112x834 960x960 834x1112 720x1280 1470x630"
SEEDANCE_20 = (
    "480x480 480x640 480x854 640x480 854x480 1120x480 720x720 720x960 720x1280 720x1680 960x720 1280x720 1680x720 "
    "1080x1080 1080x1440 1080x1920 1440x1080 1920x1080 2520x1080 3840x2160 2160x3840 2160x2160 2880x2160 2160x2880 "
    "5040x2160"
)
GROK = (
    "854x480 1280x720 480x854 720x1280 480x480 720x720 640x480 960x720 480x640 720x960 720x480 1080x720 480x720 "
    "720x1080"
)


def _told(
    name: str,
    title: str,
    seconds: range,
    resolutions: Sequence[str],
    prices: Mapping[str, str],
    *,
    ratios: Sequence[str] = RATIOS,
    sizes: str = "",
    frames: Sequence[str] = ("first_frame",),
    audio: bool | None = True,
    seed: bool | None = True,
    clips: bool = False,
) -> dict[str, Any]:
    return {
        "id": name,
        "canonical_slug": f"{name}-20261009",
        "name": title,
        "created": 1791500000,
        "supported_durations": list(seconds),
        "supported_resolutions": list(resolutions),
        "supported_aspect_ratios": list(ratios),
        "supported_sizes": sizes.split() or None,
        "supported_frame_images": list(frames),
        "generate_audio": audio,
        "seed": seed,
        "allowed_passthrough_parameters": ["watermark"],
        "pricing_skus": dict(prices),
        "input_modalities": ["text", "image", *(["video", "audio"] if clips else [])],
    }


BOTH = ("first_frame", "last_frame")
FEED: list[dict[str, Any]] = [
    _told(
        "alibaba/wan-3.0",
        "Alibaba: Wan 3.0",
        range(2, 31),
        ["480p", "720p", "1080p"],
        {"duration_seconds_480p": "0.05", "duration_seconds_720p": "0.1", "duration_seconds_1080p": "0.2"},
        ratios=["16:9", "4:3", "1:1", "3:4", "9:16"],
    ),
    _told(
        "bytedance/seedance-2.5",
        "ByteDance: Seedance 2.5",
        range(4, 31),
        ["480p", "720p"],
        {
            "video_tokens": "0.0000107",
            "video_tokens_without_audio": "0.0000107",
            "video_tokens_with_video_input": "0.0000064",
        },
        ratios=["16:9", "4:3", "1:1", "3:4", "9:16", "21:9"],
        sizes=SEEDANCE_25,
        frames=BOTH,
        clips=True,
    ),
    _told(
        "bytedance/seedance-2.0",
        "ByteDance: Seedance 2.0",
        range(4, 16),
        ["480p", "720p", "1080p", "4K"],
        {
            "video_tokens": "0.000007",
            "video_tokens_4k": "0.000004",
            "video_tokens_1080p": "0.0000077",
            "video_tokens_without_audio": "0.000007",
            "video_tokens_with_video_input": "0.0000043",
            "video_tokens_4k_with_video_input": "0.0000024",
            "video_tokens_1080p_with_video_input": "0.0000047",
        },
        ratios=["1:1", "3:4", "9:16", "4:3", "16:9", "21:9", "9:21"],
        sizes=SEEDANCE_20,
        frames=BOTH,
        clips=True,
    ),
    _told(
        "minimax/hailuo-3",
        "MiniMax: H3",
        range(5, 16),
        ["768p", "2K"],
        {"duration_seconds": "0.13", "duration_seconds_768p": "0.08", "reference_images": "0.04"},
        ratios=SIX,
        frames=BOTH,
        seed=False,
        clips=True,
    ),
    _told(
        "minimax/hailuo-3-max",
        "MiniMax: H3 Max",
        range(5, 16),
        ["768p", "480p"],
        {"duration_seconds": "0.08", "duration_seconds_480p": "0.05", "duration_seconds_768p": "0.08"},
        ratios=SIX,
        frames=BOTH,
        audio=False,
        seed=False,
    ),
    _told(
        "x-ai/grok-imagine-video-1.5",
        "xAI: Grok Imagine Video 1.5",
        range(1, 16),
        ["480p", "720p", "1080p"],
        {
            "cents_per_image_input": "1",
            "cents_per_video_output_second_480p": "8",
            "cents_per_video_output_second_720p": "14",
            "cents_per_video_output_second_1080p": "25",
        },
        audio=None,
        seed=None,
    ),
    _told(
        "x-ai/grok-imagine-video",
        "xAI: Grok Imagine Video",
        range(1, 16),
        ["480p", "720p"],
        {
            "cents_per_image_input": "0.2",
            "cents_per_video_output_second_480p": "5",
            "cents_per_video_output_second_720p": "7",
        },
        sizes=GROK,
        audio=None,
        seed=None,
    ),
]
SIDES = {"480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "2K": 1440, "4K": 2160}
A_SECOND: Mapping[str, Mapping[str, str]] = {
    "alibaba/wan-3.0": {"480p": "0.05", "720p": "0.10", "1080p": "0.20"},
    "minimax/hailuo-3": {"768p": "0.08", "2K": "0.13"},
    "minimax/hailuo-3-max": {"480p": "0.05", "768p": "0.08"},
    "x-ai/grok-imagine-video-1.5": {"480p": "0.08", "720p": "0.14", "1080p": "0.25"},
    "x-ai/grok-imagine-video": {"480p": "0.05", "720p": "0.07"},
}
A_MILLION_TOKENS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "bytedance/seedance-2.5": {"480p": ("10.7", "6.4"), "720p": ("10.7", "6.4")},
    "bytedance/seedance-2.0": {
        "480p": ("7", "4.3"),
        "720p": ("7", "4.3"),
        "1080p": ("7.7", "4.7"),
        "4K": ("4", "2.4"),
    },
}
"""Without and with a clip that goes along, whose tokens are then counted as well."""
A_PICTURE = {"x-ai/grok-imagine-video-1.5": "0.01", "x-ai/grok-imagine-video": "0.002"}
A_REFERENCE = {"minimax/hailuo-3": "0.04"}
FIELDS = frozenset(
    {
        "model",
        "prompt",
        "duration",
        "resolution",
        "aspect_ratio",
        "size",
        "frame_images",
        "input_references",
        "generate_audio",
        "seed",
        "previous_job_id",
        "callback_url",
        "provider",
        "user",
        "session_id",
    }
)


class FakeOpenRouter(VendorFake):
    root = "/api/v1"
    keyless = frozenset({"models"})  # results lie behind the key

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["videos"]:
                return "create"
            case "GET", ["videos", "models"]:
                return "models"
            case "GET", ["videos", _]:
                return "poll"
            case (("GET" | "HEAD"), ["videos", _, "content"]) if received.query.get("index") == "0":
                return "download"
            case _:
                return None

    def remote_id_of(self, received: Received) -> str:
        return (self.steps(received) or ["", ""])[1]

    def url_of(self, job: VendorJob) -> str:
        return f"{self.base_url}/videos/{job.id}/content?index=0"

    def new_id(self, ordered: Ordered) -> str:
        return f"gen-vid-{int(time.time())}-{secrets.token_hex(10)}"

    def error(self, status: int, words: str, **metadata: Any) -> Refused:
        error = {"code": status, "message": words} | ({"metadata": metadata} if metadata else {})
        return Refused(Answer.json({"error": error}, status))

    def moderated(self) -> Refused:
        return self.error(403, "Your input was flagged.", reasons=["violence"], flagged_input="A boat")

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        if operation == "models":
            return Answer.json({"data": FEED})
        raise self.no_route(received)

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        model = next((each for each in FEED if each["id"] == body.get("model")), None)
        if model is None or not body.get("prompt"):
            raise self.error(404 if model is None else 400, "There is no such model, or no prompt.")
        if unknown := set(body) - FIELDS:
            raise self.error(400, f"Unknown: {', '.join(sorted(unknown))}.")
        if not body.get("callback_url", "https://").startswith("https://"):
            raise self.error(400, "callback_url is https.")
        seconds = body.get("duration")
        if type(seconds) is not int or seconds not in model["supported_durations"]:
            raise self.error(400, f"duration is one of {model['supported_durations']}.")
        for name, value in (("generate_audio", "generate_audio"), ("seed", "seed")):
            if name in body and not model[value]:
                raise self.error(400, f"{model['id']} does not take {name}.")
        if "previous_job_id" in body and body["previous_job_id"] not in self.jobs:
            raise self.error(400, "There is no previous job of that id.")
        size, tier = self._format(body, model)
        clip_s, frames, references = self._media(body, model)
        usd = self._usd(model["id"], tier, size, seconds, clip_s)
        usd += Decimal(A_PICTURE.get(model["id"], "0")) * (frames + references)
        usd += Decimal(A_REFERENCE.get(model["id"], "0")) * references
        return Ordered(
            model=model["id"],
            prompt=body["prompt"],
            seconds=seconds,
            size=size,
            usd=usd,
            audio=body.get("generate_audio", True),
            body=body,
        )

    def _format(self, body: dict[str, Any], model: dict[str, Any]) -> tuple[tuple[int, int], str]:
        tiers = model["supported_resolutions"]
        if "size" in body:
            if body["size"] not in (model["supported_sizes"] or []) or {"resolution", "aspect_ratio"} & set(body):
                raise self.error(400, "This size is not offered, or is told twice.")
            width, height = (int(side) for side in body["size"].split("x"))
            return (width, height), min(tiers, key=lambda each: abs(SIDES[each] - min(width, height)))
        tier, ratio = body.get("resolution", ""), body.get("aspect_ratio", "")
        if tier not in tiers or ratio not in model["supported_aspect_ratios"]:
            raise self.error(400, "This resolution or aspect_ratio is not offered.")
        across, down = (int(part) for part in ratio.split(":"))
        longer = round(SIDES[tier] * max(across, down) / min(across, down) / 2) * 2
        return ((longer, SIDES[tier]) if across >= down else (SIDES[tier], longer)), tier

    def _media(self, body: dict[str, Any], model: dict[str, Any]) -> tuple[int, int, int]:
        """Seconds of clips, and how many frames and reference pictures there are."""
        frames, references = body.get("frame_images", []), body.get("input_references", [])
        kinds = [each.get("frame_type") for each in frames]
        if not set(kinds) <= set(model["supported_frame_images"]) or len(set(kinds)) < len(kinds):
            raise self.error(400, "These frames are not offered.")
        if frames and references:
            raise self.error(400, "frame_images exclude input_references.")
        for each in (*frames, *references):
            kind = each.get("type")
            if kind not in ("image_url", "video_url") or not each[kind]["url"].startswith("data:"):
                raise self.error(400, "A part has a type, and an object with a url.")
            if kind == "video_url" and "video" not in model["input_modalities"]:
                raise self.error(400, "This model takes no clips.")
        clips = [each["video_url"]["url"] for each in references if each["type"] == "video_url"]
        clip_s = sum(measured(_bytes_of(uri))[1] for uri in clips)
        return clip_s, len(frames), len(references) - len(clips)

    def _usd(self, model: str, tier: str, size: tuple[int, int], seconds: int, clip_s: int) -> Decimal:
        if model in A_SECOND:
            return Decimal(A_SECOND[model][tier]) * seconds
        usd = Decimal(A_MILLION_TOKENS[model][tier][1 if clip_s else 0]) / 1_000_000
        return usd * size[0] * size[1] * 24 / 1024 * (seconds + clip_s)

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"id": job.id, "polling_url": f"/api/v1/videos/{job.id}", "status": "pending"}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        shown: dict[str, Any] = {"id": job.id, "polling_url": f"/api/v1/videos/{job.id}", "status": seen.word}
        if seen.word is not None:
            return Answer.json(shown)
        words = {State.QUEUED: "pending", State.RUNNING: "in_progress", State.DONE: "completed"}
        shown["status"] = words.get(seen.state, "failed")
        if seen.state is State.MODERATED:
            shown["error"] = "The video was rejected by the provider's content moderation."
        elif seen.state is State.FAILED:
            shown["error"] = "The generation failed."
        elif seen.state is State.DONE:
            usage = {"cost": float(job.ordered.usd), "is_byok": False}
            shown |= {"generation_id": "gen-1", "usage": usage, "expires_at": int(time.time()) + 86400}
            if seen.url is not None:
                shown["unsigned_urls"] = [seen.url]
        return Answer.json(shown)


def _bytes_of(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


class OpenRouterBench(VendorBench):
    kind = OpenRouter
    model = "alibaba/wan-3.0"
    key_variable = "OPENROUTER_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeOpenRouter
    misspelt_extra = ("provider_option", "provider_options")
    golden_models = ("bytedance/seedance-2.5", "minimax/hailuo-3")


BENCH = OpenRouterBench
