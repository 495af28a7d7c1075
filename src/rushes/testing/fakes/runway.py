"""A fake of Runway's API: which fields each model takes on which address, what it charges, and how a task ends.

Source: docs.dev.runwayml.com `api` and `guides/pricing`, the types of the package `runwayml` 5.24.0, read 2026-11-20.
"""

import base64
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar, cast

from rushes.providers.catalog import Model
from rushes.providers.runway import Runway
from rushes.testing.faults import Fault
from rushes.testing.given import measured, nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

VERSION = "2024-11-06"
WIDE_TALL = ("1280:720", "720:1280")
GEN4 = (*WIDE_TALL, "1104:832", "960:960", "832:1104", "1584:672")
VEO = (*WIDE_TALL, "1920:1080", "1080:1920")
SEEDANCE_480 = ("992:432", "864:496", "752:560", "640:640", "560:752", "496:864")
SEEDANCE_720 = ("1470:630", "1280:720", "1112:834", "960:960", "834:1112", "720:1280")
SEEDANCE_1080 = ("2206:946", "1920:1080", "1664:1248", "1440:1440", "1248:1664", "1080:1920")
SEEDANCE_4K = ("3840:1646", "3840:2160", "3840:2880", "3840:3840", "2880:3840", "2160:3840")
SEEDANCE_25_480 = ("992:432", "854:480", "752:560", "640:640", "560:752", "480:854")
WAN_480 = ("832:480", "720:544", "624:624", "544:720", "480:832")
WAN_720 = ("1280:720", "1104:832", "960:960", "832:1104", "720:1280")
WAN_1080 = ("1920:1080", "1648:1248", "1440:1440", "1248:1648", "1080:1920")
LITE_480 = ("848:480", "480:848", "480:480", "640:480", "480:640", "720:480", "480:720")
LITE_720 = ("1280:720", "720:1280", "720:720", "960:720", "720:960", "1088:720", "720:1088")
LITE_1080 = ("1904:1072", "1072:1904", "1424:1424", "1648:1232", "1232:1648", "1744:1152", "1152:1744")
OMNI_11 = ("640:360", "360:640", *VEO, "3840:2160", "2160:3840")
HORSE_720 = ("1280:720", "720:1280", "960:960", "1108:832", "832:1108")
HORSE_1080 = ("1920:1080", "1080:1920", "1440:1440", "1662:1248", "1248:1662")
KLING_25 = ("1920:1080", "1440:1440", "1080:1920", "1280:720", "720:720", "720:1280")
KLING = {
    "standard": ("1280:720", "720:1280", "960:960"),
    "pro": ("1920:1080", "1080:1920", "1440:1440"),
    "4k": ("3840:2160", "2160:3840", "2880:2880"),
}
KLING_4 = ("1280:720", "720:1280", "940:940", "1460:624", "1920:1080", "1080:1920", "1440:1440", "2200:940")
H3_RATIOS = ("adaptive", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
GROK_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
AUTO = ("auto_480p", "auto_720p", "auto_1080p")
TIERS = {"480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "2k": 1440}
NOBODY_KNOWS = 7
"""Credits a second where the price list has none that is known: the fake has to take something."""
DATA_URI_BYTES = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How one address of one model is told the size. What it does not name is an unknown field there."""

    ratio: tuple[str, ...] = ()
    resolution: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Offer:
    text: Sizes | None = None
    image: Sizes | None = None
    seconds: Sequence[int]
    fields: tuple[str, ...] = ()  # beside model, promptText and duration
    ends: tuple[str, ...] = ("first",)
    references: int = 0  # pictures
    rates: Mapping[str, float] = field(default_factory=dict[str, float])  # by ratio or resolution; "" for all
    silent: float | None = None
    each_reference: int = 0
    least: int = 0
    prompt_max: int = 32000


def _by(*prices: tuple[Sequence[str], float]) -> dict[str, float]:
    return {name: rate for names, rate in prices for name in names}


def _seedance(sizes: tuple[str, ...], rates: dict[str, float], **more: Any) -> Offer:
    told = Sizes(ratio=sizes)
    given: dict[str, Any] = {"seconds": range(4, 16), "references": 9, "prompt_max": 3500, "ends": BOTH, **more}
    given["fields"] = ("audio", "seed", "references", "referenceVideos", *given.get("fields", ()))
    return Offer(text=told, image=told, rates=rates, **given)


def _kling(name: str, **more: Any) -> Offer:
    sizes = KLING[name.partition("_")[2]]
    asked = Sizes(ratio=sizes, required=True)
    return Offer(text=asked, image=Sizes(ratio=sizes), seconds=range(3, 16), ends=BOTH, **more)


BOTH = ("first", "last")
SEEDANCE_LOW = (*SEEDANCE_480, *SEEDANCE_720)
WAN = Offer(
    text=Sizes(ratio=(*WAN_480, *WAN_720, *WAN_1080, *AUTO)),
    image=Sizes(ratio=AUTO),  # by the docstrings of the types: with frames the shape follows the first
    seconds=range(2, 31),
    fields=("audio", "references", "referenceVideos"),
    ends=BOTH,
    references=10,
)
GEN_45 = Offer(
    text=Sizes(ratio=WIDE_TALL, required=True),
    image=Sizes(ratio=GEN4, required=True),
    seconds=range(2, 11),
    fields=("seed", "contentModeration"),
    rates={"": 12},
    prompt_max=1000,
)
VEO_31 = Offer(
    text=Sizes(ratio=VEO, required=True),
    image=Sizes(ratio=VEO, required=True),
    seconds=(4, 6, 8),
    fields=("audio", "seed", "negativePrompt"),
    ends=BOTH,
    rates={"": 40},
    silent=20,
    prompt_max=1000,
)
OFFERS: Mapping[str, Offer] = {
    "gen4.5": GEN_45,
    "gen4_turbo": replace(GEN_45, text=None, rates={"": 5}),
    "veo3.1": VEO_31,
    "veo3.1_fast": replace(VEO_31, rates={"": 15}, silent=10),
    "seedance2": _seedance(
        (*SEEDANCE_LOW, *SEEDANCE_1080, *SEEDANCE_4K),
        _by((SEEDANCE_LOW, 36), (SEEDANCE_1080, 40), (SEEDANCE_4K, 150)),
    ),
    "seedance2_fast": _seedance(SEEDANCE_LOW, {"": 29}),
    "seedance2_mini": _seedance(SEEDANCE_LOW, {"": 16}, least=64),
    "seedance2_5": _seedance(
        (*SEEDANCE_25_480, *SEEDANCE_720, *SEEDANCE_1080),
        _by((SEEDANCE_25_480, 20), (SEEDANCE_720, 30), (SEEDANCE_1080, 68)),
        seconds=range(4, 31),
        fields=("draft",),
        references=30,
        least=80,
        prompt_max=15000,
    ),
    "hailuo3": Offer(
        text=Sizes(ratio=H3_RATIOS, resolution=("768p", "2k")),
        image=Sizes(ratio=H3_RATIOS, resolution=("768p", "2k")),
        seconds=range(5, 16),
        fields=("references", "referenceVideos"),
        ends=BOTH,
        references=9,
        rates={"768p": 10, "2k": 15},
        each_reference=2,
    ),
    "h3_max": Offer(
        text=Sizes(resolution=("480p", "768p")),
        image=Sizes(resolution=("480p", "768p")),
        seconds=range(5, 16),
        fields=("seed", "promptExpansionMode"),
        rates={"480p": 5, "768p": 8},
    ),
    "wan3": replace(WAN, rates=_by(((*WAN_480, AUTO[0]), 5), ((*WAN_720, AUTO[1]), 10), ((*WAN_1080, AUTO[2]), 20))),
    "wan3_prime": WAN,
    "grok_imagine_1_5": Offer(
        text=Sizes(ratio=GROK_RATIOS, resolution=("480p", "720p", "1080p")),
        image=Sizes(resolution=("480p", "720p", "1080p")),
        seconds=range(1, 16),
        fields=("references",),
        references=7,
        rates={"480p": 10, "720p": 16, "1080p": 29},
        each_reference=1,
    ),
    "grok_imagine_1_5_lite": Offer(
        text=Sizes(ratio=(*LITE_480, *LITE_720, *LITE_1080)), image=Sizes(ratio=AUTO), seconds=range(1, 16)
    ),
    "gemini_omni_flash": Offer(
        text=Sizes(ratio=WIDE_TALL), image=Sizes(ratio=WIDE_TALL), seconds=range(3, 11), rates={"": 10}
    ),
    "gemini_omni_flash_1.1": Offer(
        text=Sizes(ratio=OMNI_11),
        image=Sizes(ratio=OMNI_11),
        seconds=range(3, 11),
        fields=("references", "referenceVideos"),
        ends=BOTH,
        references=10,
    ),
    "happyhorse_1_0": Offer(
        text=Sizes(ratio=(*HORSE_720, *HORSE_1080)),
        image=Sizes(resolution=("720p", "1080p")),
        seconds=range(3, 16),
        rates=_by((HORSE_720, 15), (HORSE_1080, 30), (("720p",), 15), (("1080p",), 30)),
        prompt_max=2500,
    ),
    "kling2.5_turbo_pro": Offer(text=Sizes(ratio=KLING_25), image=Sizes(), seconds=(5, 10), fields=("cfgScale",)),
    **{
        name: _kling(name, fields=("audio", "cfgScale", "providerSettings"))
        for name in ("kling3.0_standard", "kling3.0_pro", "kling3.0_4k")
    },
    **{
        name: _kling(name, fields=("audio", "references", "providerSettings"), references=7)
        for name in ("klingO3_standard", "klingO3_pro", "klingO3_4k")
    },
    "kling_4": Offer(
        text=Sizes(ratio=(*KLING_4, "auto_720p", "auto_1080p")),
        image=Sizes(ratio=("auto_720p", "auto_1080p")),
        seconds=range(3, 31),
        fields=("references",),
        ends=BOTH,
        references=10,
    ),
}
BESIDE_FRAME = ("klingO3_standard", "klingO3_pro", "klingO3_4k", "kling_4")
"""Models that take references on image_to_video; the first three of them take them there alone."""
EDITS: Mapping[str, tuple[tuple[str, ...], float, int]] = {
    "aleph2": (("contentModeration",), 28, 56),
    "gemini_omni_flash": (("references",), 10, 0),
    "gemini_omni_flash_1.1": (("references", "mode"), NOBODY_KNOWS, 0),
}
"""What changes videos: its fields beside model, promptText and videoUri, credits a second, and the least."""


class FakeRunway(VendorFake):
    keyless: ClassVar[frozenset[str]] = frozenset({"download", "put"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.promised: dict[str, dict[str, str]] = {}  # fields that a file has to come with, by its name
        self.refunded: list[str] = []

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["v1", "text_to_video" | "image_to_video" | "video_to_video"]:
                return "create"
            case "GET", ["v1", "tasks", _]:
                return "poll"
            case "DELETE", ["v1", "tasks", _]:
                return "delete"
            case "POST", ["v1", "uploads"]:
                return "upload"
            case "GET", ["v1", "organization"]:
                return "organization"
            case "POST", ["bucket", _]:
                return "put"
            case _:
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return str(uuid.uuid4())

    def error(self, status: int, words: str) -> Refused:
        return Refused(Answer.json({"error": words}, status))

    def moderated(self) -> Refused:
        return self.error(400, "The prompt was rejected by content moderation.")

    def check_key(self, received: Received, operation: str | None) -> None:
        super().check_key(received, operation)
        if operation not in self.keyless and received.headers.get("x-runway-version") != VERSION:
            raise self.error(400, "The header X-Runway-Version is missing, or names no version.")

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "delete":
                job = self.job_of(received)
                if waits(job):
                    self.refunded.append(job.id)
                del self.jobs[job.id]
                return Answer(204)
            case "upload":
                wanted = self.body_of(received)
                if set(wanted) != {"filename", "type"} or wanted["type"] != "ephemeral":
                    raise self.error(400, "An upload has a filename, and the type ephemeral.")
                name = f"{secrets.token_hex(8)}-{wanted['filename']}"
                self.promised[name] = {"key": name, "policy": secrets.token_hex(8)}
                told = {"uploadUrl": f"{self.url}/bucket/{name}", "fields": self.promised[name]}
                return Answer.json({**told, "runwayUri": f"runway://{name}"})
            case "put":
                name, parts = self.remote_id_of(received), received.parts
                if not parts or parts[-1].name != "file" or received.fields() != self.promised.get(name):
                    raise self.error(403, "The form is not the one that was given out.")
                self.uploads[f"runway://{name}"] = parts[-1].data
                return Answer(204)
            case "organization":
                return Answer.json({"creditBalance": 1234, "tier": {"models": {}}, "usage": {"models": {}}})
            case _:
                raise self.no_route(received)

    # -- what is ordered ---------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        address = received.path.rpartition("/")[2]
        prompt = body.get("promptText")
        if not isinstance(prompt, str) or not prompt:
            raise self.error(400, "promptText is a text that is not empty.")
        if address == "video_to_video":
            return self._edit(body)
        offer = OFFERS.get(body.get("model", ""))
        sizes = None if offer is None else offer.text if address == "text_to_video" else offer.image
        if offer is None or sizes is None:
            raise self.error(400, f"{body.get('model')} is not offered on {address}.")
        if len(prompt.encode("utf-16-le")) // 2 > offer.prompt_max:
            raise self.error(400, f"promptText has at most {offer.prompt_max} UTF-16 units.")
        self._check_fields(body, offer, sizes, framed=address == "image_to_video")
        seconds = body.get("duration", None if body["model"] == "gen4.5" else offer.seconds[0])
        if type(seconds) is not int or seconds not in offer.seconds:
            raise self.error(400, f"duration is one of {offer.seconds}.")
        first = None
        if address == "image_to_video":
            first = self._first_of(body.get("promptImage"), offer)
        size, rate = self._sized(body, offer, sizes, first)
        usd = Decimal(str(self._credits(body, offer, rate, seconds))) / 100
        return Ordered(model=body["model"], prompt=prompt, seconds=seconds, size=size, usd=usd, body=body)

    def _check_fields(self, body: Mapping[str, Any], offer: Offer, sizes: Sizes, *, framed: bool) -> None:
        known = {"model", "promptText", "duration", *offer.fields}
        referring = {"references", "referenceVideos"}
        model = body["model"]
        if framed:
            known = {*known, "promptImage"} - (referring if model not in BESIDE_FRAME else {"referenceVideos"})
        elif model in BESIDE_FRAME and model != "kling_4":
            known -= referring
        known |= {name for name in ("ratio", "resolution") if getattr(sizes, name)}
        if unknown := next((name for name in body if name not in known), None):
            raise self.error(400, f"Unknown field {unknown} for {model}.")
        seed, audio = body.get("seed", 0), body.get("audio", True)
        if type(seed) is not int or not 0 <= seed <= 4_294_967_295 or type(audio) is not bool:
            raise self.error(400, "seed is 0 to 4294967295, audio is true or false.")
        self._check_settings(body)

    def _check_settings(self, body: Mapping[str, Any]) -> None:
        threshold = body.get("contentModeration", {"publicFigureThreshold": "auto"})
        if threshold not in ({"publicFigureThreshold": "auto"}, {"publicFigureThreshold": "low"}):
            raise self.error(400, "contentModeration has a publicFigureThreshold of auto or low.")
        if body.get("promptExpansionMode", "balanced") not in ("disabled", "balanced", "quality"):
            raise self.error(400, "promptExpansionMode is disabled, balanced or quality.")
        settings = body.get("providerSettings", {})
        shots = settings.get("multiPrompt", [])
        if set(settings) - {"multiPrompt", "shotType"} or any(set(shot) != {"prompt", "duration"} for shot in shots):
            raise self.error(400, "providerSettings have multiPrompt and shotType.")
        if shots and sum(shot["duration"] for shot in shots) != body["duration"]:
            raise self.error(400, "The shots last as long as the video.")
        if body.get("draft") and body.get("ratio") not in SEEDANCE_25_480:
            raise self.error(400, "A draft has 480p.")

    def _first_of(self, given: Any, offer: Offer) -> tuple[int, int]:
        """Width and height of the first frame. Raises Refused."""
        if not isinstance(given, list) or not given:
            raise self.error(400, "promptImage is missing.")
        frames = cast(list[dict[str, str]], given)
        places = [frame.get("position") for frame in frames]
        if places not in (["first"], ["first", "last"]) or places[-1] not in offer.ends:
            raise self.error(400, f"promptImage has the positions {offer.ends}.")
        try:
            first, *_ = [size_of(self._data(frame["uri"], "image")) for frame in frames]
        except ValueError as error:
            raise self.error(400, f"promptImage: {error}") from None
        return first

    def _sized(
        self, body: Mapping[str, Any], offer: Offer, sizes: Sizes, first: tuple[int, int] | None
    ) -> tuple[tuple[int, int], float]:
        """Pixels and credits a second."""
        ratio, resolution = body.get("ratio"), body.get("resolution")
        if (sizes.required and ratio is None) or (ratio is not None and ratio not in sizes.ratio):
            raise self.error(400, f"ratio is one of {sizes.ratio}.")
        if resolution is not None and resolution not in sizes.resolution:
            raise self.error(400, f"resolution is one of {sizes.resolution}.")
        if ratio == "adaptive" or (
            body["model"] == "grok_imagine_1_5" and "references" in body and resolution == "1080p"
        ):
            raise self.error(400, "This is not offered in this case.")
        word = resolution or ratio or next(iter((*sizes.resolution, *sizes.ratio)), "")
        rate = offer.rates.get(word, offer.rates.get("", NOBODY_KNOWS))
        made = pixels(ratio, resolution) if first is None else following(first, ratio, resolution, offer)
        return made, offer.silent if offer.silent and not body.get("audio", True) else rate

    def _credits(self, body: Mapping[str, Any], offer: Offer, rate: float, seconds: int) -> float:
        pictures = body.get("references", [])
        if len(pictures) > offer.references:
            raise self.error(400, f"At most {offer.references} references.")
        for each in pictures:
            if set(each) != {"uri"}:
                raise self.error(400, "A reference has a uri alone.")
            self._data(each["uri"], "image")
        clips_s = 0
        for each in body.get("referenceVideos", []):
            plain = body["model"] == "gemini_omni_flash_1.1"
            if set(each) != ({"uri"} if plain else {"uri", "type"}) or each.get("type", "video") != "video":
                raise self.error(400, "A reference clip has a uri, and mostly the type video.")
            clips_s += measured(self._data(each["uri"], "video"))[1]
        made = rate * seconds + offer.each_reference * len(pictures)
        half = rate / 2 * clips_s if body["model"] == "seedance2_5" else 0
        return max(offer.least, made + half)

    def _edit(self, body: dict[str, Any]) -> Ordered:
        fields, rate, least = EDITS.get(body.get("model", ""), ((), 0, 0))
        if not rate:
            raise self.error(400, f"{body.get('model')} is not offered on video_to_video.")
        if unknown := next((name for name in body if name not in ("model", "promptText", "videoUri", *fields)), None):
            raise self.error(400, f"Unknown field {unknown} for {body['model']}.")
        if body.get("mode", "edit") != "edit" or ("mode" in fields and "mode" not in body):
            raise self.error(400, "Without the mode edit it would make another video.")
        self._check_settings(body)
        size, seconds = measured(self._data(body.get("videoUri", ""), "video"))
        if job := self.jobs.get(_result_id(body["videoUri"])):
            size = job.ordered.size  # what is served is smaller
        usd = Decimal(str(max(least, rate * seconds))) / 100
        return Ordered(model=body["model"], prompt=body["promptText"], seconds=seconds, size=size, usd=usd, body=body)

    def _data(self, uri: str, kind: str) -> bytes:
        """What lies behind a uri that was given. Raises Refused."""
        if uri.startswith(f"data:{kind}/") and ";base64," in uri and len(uri) <= DATA_URI_BYTES:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        if uri in self.uploads:
            return self.uploads[uri]
        job = self.jobs.get(_result_id(uri))
        if job is None or job.state is not State.DONE:
            raise self.error(400, f"The {kind} cannot be fetched, or is too large.")
        return self.content_of(job.id)

    # -- what is told ------------------------------------------------------------------------------------------------

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"id": job.id, "estimatedCost": {"credits": float(job.ordered.usd * 100)}}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        shown: dict[str, Any] = {"id": job.id, "createdAt": "2026-11-20T12:00:00.000Z"}
        estimate = {"estimatedCost": (cost := {"credits": int(job.ordered.usd * 100)})}
        if seen.word is not None:
            return Answer.json({**shown, **estimate, "status": seen.word})
        match seen.state:
            case State.QUEUED | State.RUNNING if waits(job):
                status = "PENDING" if seen.state is State.QUEUED else "THROTTLED"
                return Answer.json({**shown, **estimate, "status": status})
            case State.QUEUED | State.RUNNING:
                return Answer.json({**shown, **estimate, "status": "RUNNING", "progress": round(seen.share, 3)})
            case State.MODERATED:
                failed = {"failure": "Your input was moderated.", "failureCode": "SAFETY.INPUT.TEXT"}
                return Answer.json({**shown, **failed, "status": "FAILED", "cost": cost})
            case State.FAILED | State.CANCELLED:
                failed = {"failure": "An unexpected error occurred.", "failureCode": "INTERNAL.BAD_OUTPUT.CODE01"}
                return Answer.json({**shown, **failed, "status": "FAILED", "cost": {"credits": 0}})
            case State.DONE:
                output = [] if seen.url is None else [f"{seen.url}?_jwt={secrets.token_hex(8)}"]
                return Answer.json({**shown, "status": "SUCCEEDED", "output": output, "cost": cost})


def waits(job: VendorJob) -> bool:
    """Whether it would be refunded: half of its time goes by in the queue."""
    return job.ended is None and job.share() < 0.5


def _result_id(uri: str) -> str:
    return uri.partition("?")[0].rpartition("/")[2].removesuffix(".mp4")


def pixels(ratio: str | None, resolution: str | None) -> tuple[int, int]:
    if ratio is None or ratio.startswith("auto_"):
        ratio, resolution = "16:9", resolution or (ratio or "auto_720p").removeprefix("auto_")
    width, height = (int(side) for side in ratio.split(":"))
    if resolution is None:
        return width, height
    short = TIERS[resolution]
    longer = round(short * max(width, height) / min(width, height) / 2) * 2
    return (longer, short) if width >= height else (short, longer)


def following(first: tuple[int, int], ratio: str | None, resolution: str | None, offer: Offer) -> tuple[int, int]:
    """Pixels of a video that starts from a picture: in the picture's shape, where the request names none."""
    if ratio is not None and not ratio.startswith("auto_"):
        return pixels(ratio, resolution)
    tier = resolution or (ratio or "auto_720p").removeprefix("auto_")
    named = [each for each in (offer.text.ratio if offer.text else ()) if not each.startswith(("auto_", "adaptive"))]
    area = TIERS[tier] ** 2 * 16 / 9
    made = [pair for pair in (pixels(each, None) for each in named) if area / 2 < pair[0] * pair[1] < area * 1.5]
    if made:
        return pixels(nearest_ratio(first, (f"{width}:{height}" for width, height in made)), None)
    return pixels(nearest_ratio(first, ("16:9", "9:16", "1:1", "4:3", "3:4")), tier)


class RunwayBench(VendorBench):
    kind = Runway
    model = "gemini_omni_flash"
    key_variable = "RUNWAYML_API_SECRET"
    fake_kind: ClassVar[type[VendorFake]] = FakeRunway
    misspelt_extra = ("public_figure_treshold", "public_figure_threshold")
    golden_models = ("gen4.5", "seedance2_5", "hailuo3", "kling3.0_pro", "wan3", "grok_imagine_1_5_lite")
    golden_headers = ("x-runway-version",)

    def make_fake(self, **options: Any) -> VendorFake:
        return super().make_fake(**{"job_s": 1.0, **options})  # long enough in its queue to be cancelled there

    def models(self) -> list[Model]:
        """But those that only change videos: there is nothing to be bought of them by a prompt."""
        return [model for model in super().models() if model.id.model != "aleph2"]


BENCH = RunwayBench
