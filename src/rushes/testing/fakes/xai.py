"""A fake of xAI's video API: what it refuses, what it charges, and how a job ends.

Source: docs.x.ai `developers/rest-api-reference` and `developers/pricing`, read 2026-11-20.
"""

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.xai import XAI
from rushes.testing.given import bytes_of, nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

PRICES: Mapping[str, Mapping[str, str]] = {
    "grok-imagine-video-1.5": {"480p": "0.08", "720p": "0.14", "1080p": "0.25"},
    "grok-imagine-video-1.5-lite": {"480p": "0.02", "720p": "0.03", "1080p": "0.14"},
    "grok-imagine-video": {"480p": "0.05", "720p": "0.07"},
}
A_PICTURE: Mapping[str, str] = {"grok-imagine-video-1.5": "0.01", "grok-imagine-video": "0.002"}
SIDES = {"480p": 480, "720p": 720, "1080p": 1080}
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
CREATE = ("model", "prompt", "duration", "aspect_ratio", "resolution", "generate_audio", "user", "storage_options")
PICTURES = ("image", "last_frame", "reference_images")
SOURCED = ("model", "prompt", "video", "user", "storage_options")


class FakeXAI(VendorFake):
    root = "/v1"
    id_path = ("request_id",)

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["videos", "generations" | "edits" | "extensions"]:
                return "create"
            case "GET", ["videos", _]:
                return "poll"
            case _:
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"

    def error(self, status: int, words: str) -> Refused:
        return Refused(Answer.json({"code": "The request was not carried out", "error": words}, status))

    def moderated(self) -> Refused:
        return self.error(400, "The prompt was rejected by content moderation.")

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        kind = (self.steps(received) or [""])[-1]
        known = (*CREATE, *PICTURES) if kind == "generations" else SOURCED
        if kind == "extensions":
            known = (*known, "duration")
        if unknown := next((name for name in body if name not in known), None):
            raise self.error(422, f"Unknown field {unknown}.")
        prices = PRICES.get(body.get("model", ""))
        if prices is None or not body.get("prompt"):
            raise self.error(400, "There is no such model, or no prompt.")
        return self._generation(body, prices) if kind == "generations" else self._sourced(kind, body, prices)

    def _generation(self, body: dict[str, Any], prices: Mapping[str, str]) -> Ordered:
        seconds, resolution = body.get("duration", 8), body.get("resolution", "480p")
        ratio = body.get("aspect_ratio", "16:9")
        references = body.get("reference_images", [])
        longest = 10 if references else 15
        if type(seconds) is not int or not 1 <= seconds <= longest:
            raise self.error(400, f"duration is 1 to {longest}.")
        if resolution not in prices or (references and resolution == "1080p") or ratio not in RATIOS:
            raise self.error(400, "This resolution or aspect_ratio is not offered.")
        if references and ("image" in body or len(references) > 7):
            raise self.error(400, "reference_images exclude image, and are at most 7.")
        if "last_frame" in body and ("image" not in body or body["model"] == "grok-imagine-video"):
            raise self.error(400, "last_frame needs image, and a model of the 1.5 family.")
        pictures = [body[name] for name in ("image", "last_frame") if name in body] + references
        try:
            shapes = [size_of(bytes_of(picture["url"])) for picture in pictures]
        except ValueError as error:
            raise self.error(400, str(error)) from None  # a link would do as well, but none is ever sent
        if "image" in body:
            ratio = nearest_ratio(shapes[0], RATIOS)  # whatever was asked for
        if type(body.get("generate_audio", True)) is not bool:
            raise self.error(400, "generate_audio is true or false.")
        usd = Decimal(prices[resolution]) * seconds + Decimal(A_PICTURE.get(body["model"], "0")) * len(pictures)
        return self._ordered(body, seconds, _pixels(resolution, ratio), usd)

    def _sourced(self, kind: str, body: dict[str, Any], prices: Mapping[str, str]) -> Ordered:
        url = body.get("video", {}).get("url", "")
        source = self.jobs.get(url.rpartition("/")[2].removesuffix(".mp4"))
        if source is None:
            raise self.error(400, "The video cannot be fetched.")
        resolution = next(word for word, side in SIDES.items() if side == min(source.ordered.size))
        seconds = source.ordered.seconds
        if kind == "extensions":
            added = body.get("duration", 6)
            if type(added) is not int or not 1 <= added <= 10:
                raise self.error(400, "duration is 1 to 10.")
            usd = Decimal(prices[resolution]) * added
            seconds += added
        else:
            usd = Decimal(prices[resolution]) * seconds
        return self._ordered(body, seconds, source.ordered.size, usd)

    def _ordered(self, body: dict[str, Any], seconds: int, size: tuple[int, int], usd: Decimal) -> Ordered:
        return Ordered(model=body["model"], prompt=body["prompt"], seconds=seconds, size=size, usd=usd, body=body)

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"request_id": job.id}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        if seen.word is not None:
            return Answer.json({"status": seen.word}, 202)
        match seen.state:
            case State.QUEUED | State.RUNNING:
                return Answer.json({"status": "pending", "progress": round(seen.share * 100)}, 202)
            case State.MODERATED:
                return Answer.json({"status": "done", "progress": 100, "video": {"respect_moderation": False}})
            case State.FAILED | State.CANCELLED:
                error = {"code": "internal_error", "message": "The generation failed."}
                return Answer.json({"status": "failed", "error": error})
            case State.DONE:
                ticks = int(job.ordered.usd * 10**10)
                video: dict[str, Any] = {"duration": job.ordered.seconds, "respect_moderation": True}
                shown = {"status": "done", "progress": 100, "video": video, "usage": {"cost_in_usd_ticks": ticks}}
                if seen.url is not None:
                    video["url"] = seen.url
                return Answer.json(shown)


def _pixels(resolution: str, ratio: str) -> tuple[int, int]:
    if resolution == "480p" and ratio in ("16:9", "9:16"):
        return (848, 480) if ratio == "16:9" else (480, 848)
    width, height = (int(side) for side in ratio.split(":"))
    short = SIDES[resolution]
    longer = round(short * max(width, height) / min(width, height) / 2) * 2
    return (longer, short) if width >= height else (short, longer)


class XAIBench(VendorBench):
    kind = XAI
    model = "grok-imagine-video-1.5"
    key_variable = "XAI_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeXAI
    misspelt_extra = ("usr", "user")


BENCH = XAIBench
