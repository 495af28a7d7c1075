"""A fake of fal's queue: what each endpoint takes and charges, how a request ends, uploads, keys, and its schemas.

Source: fal.ai/docs/model-endpoints/queue, /webhooks, docs/documentation/model-apis/errors, the pages of the models,
read 2026-11-20. What it has of each endpoint is its own copy. How a cancelled request is told of is made up.
"""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rushes.providers.fal.provider import Fal
from rushes.testing.faults import Fault
from rushes.testing.given import bytes_of, nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

LARGEST_DATA_URI = 4_000_000
UNTOLD = "0.11"
"""A second, where the page does not say what it costs: nobody may come to know it, and it is not nothing."""
BOTH = ("text-to-video", "image-to-video")
THREE = (*BOTH, "reference-to-video")
SIDES: Mapping[str, int] = {
    "480p": 480,
    "480P": 480,
    "540p": 540,
    "720p": 720,
    "768P": 768,
    "1080p": 1080,
    "1440p": 1440,
    "2K": 1440,
    "2160p": 2160,
    "4K": 2160,
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the endpoints of one model share. `usd` is a second of each resolution; None: the page does not say."""

    usd: Mapping[str, str | None]
    lengths: range
    ends: tuple[str, ...] = THREE
    length_as: str = "{}"  # how a length is spelt; "": as a number
    first: str = "image_url"
    last: str | None = "end_image_url"
    sound: str | None = None
    more: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ("16:9", "9:16", "1:1")
    fixed: str | None = None  # its one resolution, which is not asked for
    ratio_with_picture: bool = False
    usd_silent: str | None = None
    usd_picture: str = "0"
    shape_area: bool = False
    longest: Mapping[str, int] = field(default_factory=dict[str, int])
    with_picture: tuple[str, ...] | None = None  # resolutions

    def lengths_spelt(self) -> dict[Any, int]:
        return {self.length_as.format(each) if self.length_as else each: each for each in self.lengths}


WAN = Family(
    usd={"480p": "0.05", "720p": "0.10", "1080p": "0.20"},
    lengths=range(2, 31),
    length_as="",
    first="start_image_url",
    sound="generate_audio",
    more=("seed",),
    shape_area=True,
)
H3 = Family(
    usd={"480P": "0.05", "768P": "0.06", "2K": "0.13", "4K": "0.16"}, lengths=range(4, 16), length_as=""
)  # always with sound
SEEDANCE = Family(
    usd={"480p": "0.2205", "720p": "0.473", "1080p": "1.16"},
    lengths=range(4, 31),
    sound="generate_audio",
    more=("seed",),
    ratio_with_picture=True,
)
SEEDANCE_2 = replace(SEEDANCE, usd={"480p": "0.135", "720p": "0.303", "1080p": "0.682"}, lengths=range(4, 16))
KLING_3 = Family(
    usd={"1080p": "0.168"},
    usd_silent="0.112",
    fixed="1080p",
    lengths=range(3, 16),
    ends=BOTH,
    first="start_image_url",
    sound="generate_audio",
    more=("negative_prompt",),
)
LTX = Family(
    usd={"720p": "0.09", "1080p": "0.13", "1440p": "0.19", "2160p": "0.30"},
    lengths=range(6, 21, 2),
    length_as="",
    ends=("text-to-video/fast", "image-to-video/fast"),
    sound="generate_audio",
    ratios=("16:9", "9:16"),
    longest={"1440p": 10, "2160p": 10},
)
FAMILIES: Mapping[str, Family] = {
    "alibaba/wan-3.0": WAN,
    "alibaba/wan-3.0-prime": replace(WAN, usd={"480p": "0.068", "720p": "0.14", "1080p": "0.28"}),
    "minimax/h3": H3,
    "minimax/h3-max": replace(H3, usd={"480P": "0.05", "768P": "0.08"}, lengths=range(5, 16)),
    "minimax/h3-max-turbo": replace(H3, usd={"768P": "0.04"}, lengths=range(5, 16)),
    "bytedance/seedance-2.5": SEEDANCE,
    "bytedance/seedance-2.5/us": replace(SEEDANCE, usd={"480p": "0.2205", "720p": "0.473"}),
    "bytedance/seedance-2.0": SEEDANCE_2,
    "bytedance/seedance-2.0/fast": replace(SEEDANCE_2, usd={"480p": None, "720p": None}),
    "bytedance/seedance-2.0/mini": replace(SEEDANCE_2, usd={"720p": "0.155"}),
    "kling/v4": Family(
        usd={"720p": "0.157", "1080p": "0.235"},
        lengths=range(3, 31),
        ends=(*THREE, "video-to-video/edit"),
        first="start_image_url",
    ),
    "fal-ai/kling-video/v3/pro": KLING_3,
    "fal-ai/kling-video/v3/standard": replace(KLING_3, usd={"720p": None}, usd_silent=None, fixed="720p"),
    "fal-ai/kling-video/v3/4k": replace(KLING_3, usd={"2160p": None}, usd_silent=None, fixed="2160p"),
    "fal-ai/kling-video/v3/turbo/pro": replace(KLING_3, usd={"1080p": "0.14"}, usd_silent=None, sound=None, more=()),
    "xai/grok-imagine-video/v1.5": Family(
        usd={"480p": "0.08", "720p": "0.14", "1080p": "0.25"},
        usd_picture="0.01",
        lengths=range(1, 16),
        length_as="",
        ends=BOTH,
        last=None,
        ratios=("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3"),
        with_picture=("480p", "720p"),
    ),
    "google/gemini-omni-flash/v1.1": Family(
        usd={"720p": "0.125"},
        lengths=range(3, 11),
        length_as="{}s",
        ratios=("16:9", "9:16"),
        ratio_with_picture=True,
    ),
    "lightricks/ltx-2.5": LTX,
    "lightricks/ltx-2.5/pro": replace(
        LTX,
        usd={"720p": "0.12", "1080p": "0.17"},
        lengths=range(6, 11, 2),
        ends=("text-to-video/pro", "image-to-video/pro"),
    ),
    "fal-ai/vidu/q3": Family(
        usd={"540p": None, "720p": None, "1080p": None},
        lengths=range(1, 17),
        length_as="",
        ends=BOTH,
        sound="audio",
        more=("seed",),
    ),
}
EDITS_USD = {"720p": Decimal("0.094"), "1080p": Decimal("0.141")}
"""A second of an edit, of its source and of what is made alike."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: its family, and the fields that it takes, with what it demands of each."""

    id: str
    family: Family

    @property
    def kind(self) -> str:
        return next(end for end in (*THREE, "video-to-video/edit") if end in self.id)

    def properties(self) -> dict[str, dict[str, Any]]:
        """Its fields, as its schema tells them."""
        text, url = {"type": "string"}, {"type": "string"}
        urls: dict[str, Any] = {"type": "array", "items": url}
        family, kind = self.family, self.kind
        with_picture = kind == "image-to-video"
        fields: dict[str, dict[str, Any]] = {"prompt": text}
        if family.fixed is None:
            words = family.with_picture if with_picture and family.with_picture else tuple(family.usd)
            fields["resolution"] = {"type": "string", "enum": list(words)}
        if kind == "video-to-video/edit":
            return {**fields, "video_url": url, "image_urls": urls}
        fields["duration"] = {"enum": list(family.lengths_spelt())}
        if not with_picture or family.ratio_with_picture:
            fields["aspect_ratio"] = {"type": "string", "enum": list(family.ratios)}
        if family.sound:
            fields[family.sound] = {"type": "boolean"}
        fields |= {name: {"type": "integer"} if name == "seed" else text for name in family.more}
        if with_picture:
            fields |= {name: url for name in (family.first, family.last) if name}
        if kind == "reference-to-video":
            fields |= {"image_urls": urls}
        return fields

    @property
    def needed(self) -> list[str]:
        asked = {"image-to-video": [self.family.first], "video-to-video/edit": ["video_url"]}
        return ["prompt", *asked.get(self.kind, [])]

    def document(self) -> dict[str, Any]:
        """Its OpenAPI document."""
        schema = {"type": "object", "properties": self.properties(), "required": self.needed}
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}
        post = {"post": {"requestBody": {"required": True, "content": content}}}
        status: dict[str, Any] = {"get": {"responses": {}}}
        paths: dict[str, Any] = {f"/{self.id}/requests/{{request_id}}/status": status, f"/{self.id}": post}
        return {"openapi": "3.0.4", "components": {"schemas": {"Input": schema}}, "paths": paths}


ENDPOINTS: Mapping[str, Endpoint] = {
    f"{name.removesuffix('/pro') if name.startswith('lightricks') else name}/{end}": Endpoint(
        f"{name.removesuffix('/pro') if name.startswith('lightricks') else name}/{end}", family
    )
    for name, family in FAMILIES.items()
    for end in family.ends
}


class FakeFal(VendorFake):
    id_path = ("request_id",)
    scheme = "Key "
    keyless = frozenset({"download", "put", "file", "keys", "schema"})

    stops_running = True
    """Whether a model obeys when it is asked to stop."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.signing_key = Ed25519PrivateKey.generate()
        self.scripted: dict[str, list[Answer]] = {}  # answers to results that come before the real ones
        self.answers_cancel: Answer | None = None

    def operation_of(self, received: Received) -> str | None:
        steps = self.steps(received) or []
        if "requests" in steps:
            match received.method, steps[steps.index("requests") + 1 :]:
                case "GET", [_, "status"]:
                    return "poll"
                case "GET", [_]:
                    return "result"
                case "PUT", [_, "cancel"]:
                    return "cancel"
                case _:
                    return None
        match received.method, steps:
            case "POST", ["storage", "upload", "initiate"]:
                return "initiate"
            case "PUT", ["put", _]:
                return "put"
            case "GET", ["files", _]:
                return "file"
            case "GET", [".well-known", "jwks.json"]:
                return "keys"
            case "GET", ["api", "openapi", "queue", "openapi.json"]:
                return "schema"
            case "POST", _ if not self.is_result(received):
                return "create"
            case _:
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return str(uuid.uuid4())

    def error(self, status: int, words: str, kind: str | None = None) -> Refused:
        if status == 422:
            complaint = {"loc": ["body"], "msg": words, "type": kind or "value_error"}
            return Refused(Answer.json({"detail": [complaint]}, 422))
        return Refused(Answer.json({"detail": words, **({"error_type": kind} if kind else {})}, status))

    def moderated(self) -> Refused:
        return self.error(422, "The content was flagged by a content checker.", "content_policy_violation")

    # -- create ------------------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        endpoint = ENDPOINTS.get("/".join(self.steps(received) or []))
        if endpoint is None:
            raise self.error(404, f"Application {received.path} not found.")
        for name in received.query:
            if name != "fal_webhook":
                raise self.error(422, f"Unknown parameter {name}.")
        body = self.body_of(received)
        family, known = endpoint.family, endpoint.properties()
        if unknown := next((name for name in body if name not in known), None):
            raise self.error(422, f"Unknown field {unknown}.")
        if missing := next((name for name in endpoint.needed if not body.get(name)), None):
            raise self.error(422, f"{missing}: field required.")
        for name, value in body.items():
            allowed = known[name].get("enum")
            if allowed is not None and not any(value == each and type(value) is type(each) for each in allowed):
                raise self.error(422, f"{name}: {value!r} is not one of {allowed}.")
        pictures = [
            *(body[name] for name in (family.first, family.last) if name and name in body),
            *body.get("image_urls", []),
        ]
        for url in pictures:
            self.check_link(url, inline=True)
        word = body.get("resolution") or family.fixed
        if word is None:
            raise self.error(422, "resolution: the dear default would apply.")
        if endpoint.kind == "video-to-video/edit":
            return self._edit(endpoint, body, word)
        if "duration" not in body or (family.sound and family.sound not in body):
            raise self.error(422, "duration and sound: the default would apply.")
        seconds = family.lengths_spelt()[body["duration"]]
        if seconds > family.longest.get(word, seconds):
            raise self.error(422, f"duration: {word} is made to {family.longest[word]} seconds.")
        audio = bool(body.get(family.sound or "", True))
        rate = Decimal((family.usd_silent if family.usd_silent and not audio else family.usd[word]) or UNTOLD)
        usd = rate * seconds + Decimal(family.usd_picture) * len(pictures)
        first = body.get(family.first or "")
        # A video takes the shape of its first frame, whatever else is said.
        ratio = body.get("aspect_ratio", "16:9") if first is None else self._ratio_of(first)
        size = _pixels(word, ratio, family.shape_area)
        return Ordered(
            model=endpoint.id, prompt=body["prompt"], seconds=seconds, size=size, usd=usd, audio=audio, body=body
        )

    def _edit(self, endpoint: Endpoint, body: dict[str, Any], word: str) -> Ordered:
        url = body["video_url"]
        self.check_link(url, inline=False)
        source = self.jobs.get(url.rpartition("/")[2].removesuffix(".mp4"))
        seconds, size = (source.ordered.seconds, source.ordered.size) if source else (4, (1280, 720))
        usd = EDITS_USD[word] * seconds * 2
        return Ordered(model=endpoint.id, prompt=body["prompt"], seconds=seconds, size=size, usd=usd, body=body)

    def check_link(self, url: str, *, inline: bool) -> None:
        """Whether the model could read a file. Raises Refused."""
        if inline and url.startswith("data:image/"):
            if len(url) > LARGEST_DATA_URI:
                raise self.error(422, "The file is too large for a data URI.", "file_too_large")
            return
        name = url.rpartition("/")[2]
        lies_here = url.startswith(self.url) and (name in self.uploads or name.removesuffix(".mp4") in self.jobs)
        if not (lies_here or url.startswith("https://")):
            raise self.error(422, f"{url[:60]} cannot be downloaded.", "file_download_error")

    def _ratio_of(self, link: str) -> str:
        """The ratio of a picture that lies here, or came along; of one elsewhere nothing is known."""
        name = link.rpartition("/")[2]
        data = bytes_of(link) if link.startswith("data:") else self.uploads.get(name)
        return nearest_ratio(size_of(data), ("16:9", "9:16", "1:1", "4:3", "3:4")) if data else "16:9"

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        at = f"{self.url}/{self.app_of(job)}/requests/{job.id}"
        urls = {"response_url": at, "status_url": f"{at}/status", "cancel_url": f"{at}/cancel"}
        return {"request_id": job.id, **urls, "queue_position": 0}

    @staticmethod
    def app_of(job: VendorJob) -> str:
        return "/".join(job.ordered.model.split("/")[:2])

    # -- look --------------------------------------------------------------------------------------------------------

    def remote_id_of(self, received: Received) -> str:
        steps = self.steps(received) or [""]
        return steps[steps.index("requests") + 1] if "requests" in steps else steps[-1]

    def job_of(self, received: Received) -> VendorJob:
        job = super().job_of(received)
        steps = self.steps(received) or []
        if "/".join(steps[: steps.index("requests")]) != self.app_of(job):
            raise self.unknown(job.id)
        return job

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        answer = super().answer(received, operation, fault)
        # A failure is told by the result: the look at it is always well.
        return replace(answer, status=200) if operation == "poll" else answer

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        words = {State.QUEUED: "IN_QUEUE", State.RUNNING: "IN_PROGRESS"}
        shown: dict[str, Any] = {"status": seen.word or words.get(seen.state, "COMPLETED"), "request_id": job.id}
        if shown["status"] == "IN_QUEUE":
            shown["queue_position"] = 0
        if seen.state is State.CANCELLED:
            shown |= {"error": "The request was cancelled.", "error_type": "request_cancelled"}
        return Answer.json(shown)

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "result":
                return self._result(received)
            case "cancel":
                return self._cancel(received)
            case "initiate":
                return self._initiate(received)
            case "put":
                self.uploads[(self.steps(received) or [""])[-1]] = received.body
                return Answer(200)
            case "file":
                return Answer(200, self.uploads[(self.steps(received) or [""])[-1]])
            case "keys":
                raw = self.signing_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
                x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
                return Answer.json({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})
            case "schema":
                endpoint = ENDPOINTS.get(received.query.get("endpoint_id", ""))
                return Answer.json(endpoint.document()) if endpoint else Answer.json({"detail": "Not found"}, 404)
            case _:
                raise self.no_route(received)

    def _result(self, received: Received) -> Answer:
        job = self.job_of(received)
        if answers := self.scripted.get(job.id):
            return answers.pop(0)
        match job.state:
            case State.QUEUED | State.RUNNING:
                raise self.error(400, "Request is still in progress.")
            case State.MODERATED:
                raise self.moderated()
            case State.FAILED:
                answer = self.error(500, "The runner failed.", "runner_server_error").answer
                raise Refused(replace(answer, headers={**answer.headers, "x-fal-retryable": "true"}))
            case State.CANCELLED:
                raise self.error(404, "The request was cancelled.")
            case State.DONE:
                file = {"url": self.url_of(job), "content_type": "video/mp4", "file_name": f"{job.id}.mp4"}
                return Answer.json({"seed": 7} if job.empty else {"video": file, "seed": 7})

    def _cancel(self, received: Received) -> Answer:
        job = self.job_of(received)
        if self.answers_cancel is not None:
            return self.answers_cancel
        if job.state not in (State.QUEUED, State.RUNNING):
            return Answer.json({"status": "ALREADY_COMPLETED"}, 400)
        if job.state is State.QUEUED or self.stops_running:
            job.ended = State.CANCELLED
        return Answer.json({"status": "CANCELLATION_REQUESTED"}, 202)

    # -- uploads and webhooks ----------------------------------------------------------------------------------------

    def _initiate(self, received: Received) -> Answer:
        body = self.body_of(received)
        if received.query.get("storage_type") != "fal-cdn-v3" or set(body) != {"content_type", "file_name"}:
            raise self.error(422, "An upload is a content_type and a file_name.")
        name = f"{uuid.uuid4().hex}-{body['file_name']}"
        return Answer.json({"upload_url": f"{self.url}/put/{name}", "file_url": f"{self.url}/files/{name}"})

    def webhook(self, remote_id: str, *, at: float | None = None) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a message about a request, signed."""
        shown: dict[str, Any] = {
            "request_id": remote_id,
            "gateway_request_id": remote_id,
            "status": "OK",
            "payload": {},
        }
        body = json.dumps(shown).encode()
        sent = {
            "x-fal-webhook-request-id": remote_id,
            "x-fal-webhook-user-id": "user-1",
            "x-fal-webhook-timestamp": str(int(time.time() if at is None else at)),
        }
        lines = [*sent.values(), hashlib.sha256(body).hexdigest()]
        return {**sent, "x-fal-webhook-signature": self.signing_key.sign("\n".join(lines).encode()).hex()}, body


def _pixels(word: str, ratio: str, by_area: bool) -> tuple[int, int]:
    width, height = (int(side) for side in ratio.split(":"))
    short = SIDES[word]
    if by_area and width == height:
        return (round(short * 4 / 3), round(short * 4 / 3))
    longer = round(short * max(width, height) / min(width, height) / 2) * 2
    return (longer, short) if width >= height else (short, longer)


class FalBench(VendorBench):
    kind = Fal
    model = "kling/v4"
    key_variable = "FAL_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeFal
    misspelt_extra = ("priorty", "priority")
    golden_models = (
        "alibaba/wan-3.0",
        "bytedance/seedance-2.5",
        "fal-ai/kling-video/v3/pro",
        "lightricks/ltx-2.5/fast",
        "xai/grok-imagine-video/v1.5",
    )


BENCH = FalBench
