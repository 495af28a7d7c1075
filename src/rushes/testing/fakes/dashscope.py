"""A fake of Alibaba's Model Studio: what it refuses, what it charges, and where files are uploaded to.

Source: alibabacloud.com/help/en/model-studio `wan3-video-generation-api-reference`, `models`, read 2026-11-20.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlsplit

from rushes.providers.dashscope.provider import DashScope
from rushes.testing.faults import Fault
from rushes.testing.given import bytes_of, measured, nearest_ratio, size_of
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

PIXELS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "480P": {"16:9": (832, 480), "9:16": (480, 832), "1:1": (624, 624)},
    "720P": {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1088, 832), "3:4": (832, 1088)},
    "1080P": {
        "16:9": (1920, 1080),
        "9:16": (1080, 1920),
        "1:1": (1440, 1440),
        "4:3": (1632, 1248),
        "3:4": (1248, 1632),
    },
}
WAN3 = {"480P": "0.05", "720P": "0.10", "1080P": "0.20"}
PRIME = {"480P": "0.068", "720P": "0.14", "1080P": "0.28"}
WAN27 = {"720P": "0.10", "1080P": "0.15"}
HORSE11 = {"480P": "0.07", "720P": "0.14", "1080P": "0.18"}
HORSE10 = {"720P": "0.14", "1080P": "0.24"}
FRAMES = frozenset({"first_frame", "last_frame"})
REFERENCES = frozenset({"reference_image", "reference_video"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one model takes. `needs`: one of these kinds of media has to go along."""

    usd: Mapping[str, str]
    seconds: tuple[int, int]
    media: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ("prompt", "media")
    parameters: tuple[str, ...] = ("resolution", "ratio", "duration", "seed", "watermark")
    bills_clips: bool = True


def _family(usd: Mapping[str, str], seconds: tuple[int, int], wan: bool) -> dict[str, Rules]:
    inputs = ("prompt", "negative_prompt", "media") if wan else ("prompt", "media")
    more = ("prompt_extend",) if wan else ()
    full = ("resolution", "ratio", "duration", "seed", "watermark", *more)
    frames = FRAMES if wan else frozenset({"first_frame"})
    references = REFERENCES if wan else frozenset({"reference_image"})
    without_ratio = tuple(name for name in full if name != "ratio")
    needs = frozenset({"first_frame"})
    return {
        "t2v": Rules(usd=usd, seconds=seconds, inputs=inputs[:-1], parameters=full),
        "i2v": Rules(usd=usd, seconds=seconds, media=frames, needs=needs, inputs=inputs, parameters=without_ratio),
        "r2v": Rules(usd=usd, seconds=seconds, media=references, needs=references, inputs=inputs, parameters=full),
    }


ALL = ("resolution", "ratio", "duration", "audio", "seed", "watermark", "prompt_extend")
RULES: Mapping[str, Rules] = {
    "wan3.0-video": Rules(usd=WAN3, seconds=(2, 30), media=FRAMES | REFERENCES, parameters=ALL),
    "wan3.0-video-prime": Rules(usd=PRIME, seconds=(2, 30), media=FRAMES | REFERENCES, parameters=ALL),
    **{f"wan2.7-{mode}": rules for mode, rules in _family(WAN27, (2, 15), True).items()},
    **{f"happyhorse-1.1-{mode}": rules for mode, rules in _family(HORSE11, (3, 15), False).items()},
    **{f"happyhorse-1.0-{mode}": rules for mode, rules in _family(HORSE10, (3, 15), False).items()},
}


class FakeDashScope(VendorFake):
    root = "/api/v1"
    id_path = ("output", "task_id")
    uploads_offered = True  # False: a region that has no temporary storage

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stored_for: dict[str, str] = {}  # the model that an upload belongs to

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["services", "aigc", "video-generation", "video-synthesis"]:
                return "create"
            case "GET", ["tasks", _]:
                return "poll"
            case "POST", ["tasks", _, "cancel"]:
                return "cancel"
            case "GET", ["uploads"]:
                return "policy"
            case _:
                if received.method == "POST" and received.path == "/bucket":
                    return "put"
                return "download" if self.is_result(received) else None

    def remote_id_of(self, received: Received) -> str:
        steps = self.steps(received)
        return steps[1] if steps and steps[0] == "tasks" and len(steps) > 1 else super().remote_id_of(received)

    def new_id(self, ordered: Ordered) -> str:
        return str(uuid.uuid4())

    def error(self, status: int, words: str, code: str | None = None) -> Refused:
        usual = {401: "InvalidApiKey", 403: "AccessDenied", 429: "Throttling", 404: "ModelNotFound"}
        told = code or usual.get(status) or ("InternalError" if status >= 500 else "InvalidParameter")
        return Refused(Answer.json({"code": told, "message": words, "request_id": "r-1"}, status))

    def moderated(self) -> Refused:
        return self.error(400, "Input data may contain inappropriate content.", "data_inspection_failed")

    def unknown(self, remote_id: str) -> Refused:
        return Refused(Answer.json({"request_id": "r-1", "output": {"task_id": remote_id, "task_status": "UNKNOWN"}}))

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "cancel":
                job = self.job_of(received)
                if job.state is not State.QUEUED:
                    raise self.error(400, "Only a task that is PENDING can be cancelled.", "UnsupportedOperation")
                job.ended = State.CANCELLED
                return Answer.json({"request_id": "r-1"})
            case "policy":
                return self._policy(received)
            case "put":
                return self._put(received)
            case _:
                raise self.no_route(received)

    # -- files -------------------------------------------------------------------------------------------------------

    def _policy(self, received: Received) -> Answer:
        if not self.uploads_offered:
            raise self.error(403, "Uploads are not offered in this region.")
        if received.query.get("action") != "getPolicy" or received.query.get("model") not in RULES:
            raise self.error(400, "action is getPolicy, and model is the one that the file is for.")
        data = {
            "policy": "cG9saWN5",
            "signature": "c2lnbmF0dXJl",
            "upload_dir": f"dashscope-instant/day/{received.query['model']}",
            "upload_host": f"{self.url}/bucket",
            "expire_in_seconds": 300,
            "max_file_size_mb": 100,
            "oss_access_key_id": "key-id",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return Answer.json({"request_id": "r-1", "data": data})

    def _put(self, received: Received) -> Answer:
        told = received.fields()
        expected = {
            "OSSAccessKeyId": "key-id",
            "Signature": "c2lnbmF0dXJl",
            "policy": "cG9saWN5",
            "x-oss-object-acl": "private",
            "x-oss-forbid-overwrite": "true",
            "success_action_status": "200",
        }
        key = told.pop("key", "")
        files = [part for part in received.parts if part.filename is not None]
        # The file has to come last: what follows it is not read.
        if told != expected or [part.name for part in files] != ["file"] or received.parts[-1].filename is None:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        if not key.startswith("dashscope-instant/day/") or key in self.uploads:
            return Answer(409, b"<Error><Code>FileAlreadyExists</Code></Error>")
        self.uploads[key] = files[0].data
        self.stored_for[key] = key.split("/")[2]
        return Answer(200)

    # -- creates -----------------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        if received.headers.get("x-dashscope-async") != "enable":
            raise self.error(403, "current user api does not support synchronous calls")
        rules = RULES.get(body.get("model", ""))
        if rules is None:
            raise self.error(404, "Model not exist.")
        told, parameters = body.get("input", {}), body.get("parameters", {})
        unknown = [*set(body) - {"model", "input", "parameters"}, *set(told) - set(rules.inputs)]
        unknown += set(parameters) - set(rules.parameters)
        if unknown or not told.get("prompt"):
            raise self.error(400, f"Unknown: {', '.join(unknown)}; or there is no prompt.")
        seconds, resolution = parameters.get("duration", 5), parameters.get("resolution", "1080P")
        if type(seconds) is not int or not rules.seconds[0] <= seconds <= rules.seconds[1]:
            raise self.error(400, f"duration is {rules.seconds}, not {seconds!r}.")
        if resolution not in rules.usd or parameters.get("ratio", "16:9") not in PIXELS[resolution]:
            raise self.error(400, "This resolution or ratio is not offered.")
        if not 0 <= parameters.get("seed", 0) < 2**31 or type(parameters.get("watermark", False)) is not bool:
            raise self.error(400, "seed is 0 to 2147483647, watermark is true or false.")
        clip_s = self._check_media(received, body["model"], rules, told.get("media", []))
        if clip_s and clip_s + seconds > 30:
            raise self.error(400, "Input and output last more than 30 seconds.")
        usd = Decimal(rules.usd[resolution]) * (seconds + clip_s)
        return Ordered(
            model=body["model"],
            prompt=told["prompt"],
            seconds=seconds,
            size=PIXELS[resolution][self._ratio(rules, resolution, parameters, told.get("media", []))],
            usd=usd,
            audio=parameters.get("audio", True),
            body=body,
        )

    def _ratio(
        self, rules: Rules, resolution: str, parameters: Mapping[str, Any], media: Sequence[dict[str, Any]]
    ) -> str:
        """A model that cannot be told the shape takes that of the first frame."""
        if "ratio" in rules.parameters:
            return parameters.get("ratio", "16:9")
        url = next(each["url"] for each in media if each["type"] == "first_frame")
        data = self.uploads[url.removeprefix("oss://")] if url.startswith("oss://") else bytes_of(url)
        return nearest_ratio(size_of(data), PIXELS[resolution])

    def _check_media(self, received: Received, model: str, rules: Rules, media: Sequence[dict[str, Any]]) -> int:
        """Returns the seconds of the clips among them."""
        kinds = [each.get("type", "") for each in media]
        if not set(kinds) <= rules.media or (rules.needs and not set(kinds) & rules.needs):
            raise self.error(400, f"{model} does not take the media {kinds}.")
        if set(kinds) & FRAMES and set(kinds) & REFERENCES:
            raise self.error(400, "Frames and references exclude each other.")
        if any(kinds.count(each) > 1 for each in FRAMES) or kinds.count("reference_image") > 10:
            raise self.error(400, "There are too many pictures.")
        if kinds.count("reference_video") > 5:
            raise self.error(400, "There are too many videos.")
        resolves = received.headers.get("x-dashscope-ossresourceresolve") == "enable"
        return sum(self._read_media(each["type"], each["url"], model, resolves) for each in media)

    def _read_media(self, kind: str, url: str, model: str, resolves: bool) -> int:
        """Seconds of one clip; 0 of a picture."""
        if kind != "reference_video" and url.startswith("data:image/"):
            return 0
        if url.startswith("oss://"):
            key = url.removeprefix("oss://")
            if not resolves or self.stored_for.get(key) != model:
                raise self.error(400, "The file cannot be read.", "InvalidParameter.DataInspection")
            return measured(self.uploads[key])[1] if kind == "reference_video" else 0
        source = self.jobs.get(urlsplit(url).path.rpartition("/")[2].removesuffix(".mp4"))
        if source is None or kind != "reference_video":
            raise self.error(400, "Unable to download the media.", "InvalidParameter.DataInspection")
        return source.ordered.seconds

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {"output": {"task_id": job.id, "task_status": "PENDING"}, "request_id": "r-1"}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        output: dict[str, Any] = {"task_id": job.id, "task_status": seen.word}
        shown: dict[str, Any] = {"request_id": "r-1", "output": output}
        if seen.word is not None:
            return Answer.json(shown)
        words = {State.QUEUED: "PENDING", State.RUNNING: "RUNNING", State.DONE: "SUCCEEDED"}
        output["task_status"] = words.get(seen.state, "CANCELED" if seen.state is State.CANCELLED else "FAILED")
        if seen.state is State.MODERATED:
            output |= {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."}
        elif seen.state is State.FAILED:
            output |= {"code": "InternalError", "message": "The generation failed."}
        elif seen.state is State.DONE:
            output |= {"orig_prompt": job.ordered.prompt} | ({"video_url": seen.url} if seen.url else {})
            shown["usage"] = {"duration": job.ordered.seconds, "output_video_duration": job.ordered.seconds, "fps": 30}
        return Answer.json(shown)


class DashScopeBench(VendorBench):
    kind = DashScope
    model = "wan3.0-video"
    key_variable = "DASHSCOPE_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeDashScope
    misspelt_extra = ("prompt_extends", "prompt_extend")
    golden_models = ("wan2.7", "happyhorse-1.1")
    golden_headers = ("x-dashscope-async", "x-dashscope-ossresourceresolve")

    def make_fake(self, **options: Any) -> VendorFake:
        return super().make_fake(**{"job_s": 0.6, **options})  # long enough in its queue to be cancelled there


BENCH = DashScopeBench
