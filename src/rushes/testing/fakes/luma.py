"""A fake of Luma's Agents API: what it refuses, what it charges, how files come to it, and how a job ends.

Source: docs.lumalabs.ai, the types of the package `luma-agents` 0.5.0, read 2026-11-20.
"""

import base64
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, cast

from rushes.providers.luma import Luma
from rushes.providers.prepare import Prepared
from rushes.testing.faults import Fault
from rushes.testing.given import measured
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench
from rushes.video import Size

CLIPS: Mapping[str, Mapping[str, str]] = {
    "5s": {"540p": "0.15", "720p": "0.30", "1080p": "1.20"},
    "10s": {"540p": "0.45", "720p": "0.90", "1080p": "3.60"},
}
EDITS_OF_5_S: Mapping[str, str] = {"540p": "0.72", "720p": "1.08", "1080p": "2.16"}
NOBODY_KNOWS = Decimal("0.07")
"""What 360p costs here: the price list does not tell it, and the fake has to take something."""
SIDES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
RATIOS = ("9:16", "3:4", "1:1", "4:3", "16:9", "21:9")
STRENGTHS = tuple(f"{word}_{n}" for word in ("adhere", "flex", "reimagine") for n in (1, 2, 3))
CONTROLS = {"depth", "face", "normals", "pose", "trajectory"}
FIELDS = ("model", "type", "prompt", "aspect_ratio", "user_id", "source", "video")
OF_CLIPS = ("resolution", "duration", "start_frame", "end_frame", "keyframes", "keyframe_indexes", "loop")
LONGEST_EDIT_S = 18
INLINE_BYTES = 32 << 20


class FakeLuma(VendorFake):
    root = "/v1"
    keyless: ClassVar[frozenset[str]] = frozenset({"download", "put"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.files: dict[str, dict[str, Any]] = {}

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["generations"]:
                return "create"
            case "GET", ["generations", _]:
                return "poll"
            case "POST", ["files"]:
                return "file"
            case "POST", ["files", _, "complete"]:
                return "complete"
            case "GET", ["files", _]:
                return "look at file"
            case _:
                if received.method == "PUT" and received.path.startswith("/store/"):
                    return "put"
                return "download" if self.is_result(received) else None

    def new_id(self, ordered: Ordered) -> str:
        return str(uuid.uuid4())

    def error(self, status: int, words: str) -> Refused:
        return Refused(Answer.json({"detail": words}, status))

    def moderated(self) -> Refused:
        return self.error(400, "content_moderated: the prompt was refused.")

    # -- files -------------------------------------------------------------------------------------------------------

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "file":
                return self._new_file(self.body_of(received))
            case "put":
                file = self.files.get(self.remote_id_of(received), {})
                if received.headers.get("content-type") != file.get("mime_type"):
                    return Answer(403)
                file["data"] = received.body
                return Answer(200)
            case "complete":
                file = self._file((self.steps(received) or [])[1])
                if len(file.get("data", b"")) != file["size_bytes"]:
                    raise self.error(400, "The file has another size than was told.")
                return Answer.json(self._shown(file))
            case "look at file":
                file = self._file(self.remote_id_of(received))
                file["state"] = "ready"
                return Answer.json(self._shown(file))
            case _:
                raise self.no_route(received)

    def _new_file(self, wanted: dict[str, Any]) -> Answer:
        if (
            not {"mime_type", "size_bytes", "purpose"}
            <= set(wanted)
            <= {
                "mime_type",
                "size_bytes",
                "purpose",
                "expires_at",
            }
        ):
            raise self.error(422, "A file has mime_type, size_bytes, purpose, and perhaps expires_at.")
        if wanted["purpose"] not in ("input", "reference"):
            raise self.error(422, "purpose is input or reference.")
        file = {**wanted, "id": str(uuid.uuid4()), "state": "pending"}
        self.files[file["id"]] = file
        put = {
            "method": "PUT",
            "url": f"{self.url}/store/{file['id']}",
            "headers": {"content-type": wanted["mime_type"]},
            "expires_at": "2026-11-20T13:00:00Z",
        }
        return Answer.json({"id": file["id"], "state": "pending", "file": self._shown(file), "upload": put}, 201)

    def _file(self, file_id: str) -> dict[str, Any]:
        if file_id not in self.files:
            raise self.error(404, "There is no such file.")
        return self.files[file_id]

    def _shown(self, file: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in file.items() if name != "data"}

    # -- what is ordered ---------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        video = body.get("video", {})
        prompt = body.get("prompt")
        if unknown := next((name for name in body if name not in FIELDS), None):
            raise self.error(422, f"invalid_request: unknown field {unknown}.")
        if body.get("model") != "ray-3.2" or not isinstance(prompt, str) or not 1 <= len(prompt) <= 6000:
            raise self.error(422, "invalid_request: no such model, or no prompt of 1 to 6000 characters.")
        if video.get("resolution", "720p") not in SIDES:
            raise self.error(422, f"invalid_request: resolution is one of {', '.join(SIDES)}.")
        match body.get("type"):
            case "video":
                return self._clip(body, video)
            case "video_edit":
                return self._edit(body, video)
            case _:
                raise self.error(422, "invalid_request: type is video or video_edit here.")

    def _clip(self, body: dict[str, Any], video: dict[str, Any]) -> Ordered:
        if unknown := next((name for name in video if name not in OF_CLIPS), None):
            raise self.error(422, f"invalid_request: unknown field video.{unknown}.")
        duration, resolution = video.get("duration", "5s"), video.get("resolution", "720p")
        ratio = body.get("aspect_ratio", "16:9")
        if "source" in body or duration not in CLIPS or ratio not in RATIOS:
            raise self.error(422, "invalid_request: no source; duration 5s or 10s; one of the ratios.")
        ends = [name for name in ("start_frame", "end_frame") if name in video]
        if duration == "10s" and (ends or video.get("loop")):
            raise self.error(422, "invalid_request: in 10s there is no loop, and pictures are keyframes.")
        if ends == ["end_frame"] or ("keyframes" in video and (ends or video.get("loop"))):
            raise self.error(422, "invalid_request: end_frame needs start_frame; keyframes exclude them and loop.")
        for name in ends:
            self._data(video[name], "image")
        seconds = int(duration.removesuffix("s"))
        self._check_keyframes(video, seconds)
        width, height = (int(side) for side in ratio.split(":"))
        short = SIDES[resolution]
        longer = round(short * max(width, height) / min(width, height) / 2) * 2
        size = (longer, short) if width >= height else (short, longer)
        usd = Decimal(CLIPS[duration].get(resolution, NOBODY_KNOWS))
        return self._ordered(body, seconds, size, usd)

    def _check_keyframes(self, video: Mapping[str, Any], seconds: int) -> None:
        pictures, places = video.get("keyframes", []), video.get("keyframe_indexes", [])
        if len(pictures) != len(places) or len(set(places)) < len(places) or len(places) > 64:
            raise self.error(422, "invalid_request: to 64 keyframes, each with a keyframe_index of its own.")
        if any(type(place) is not int or not 0 <= place <= 24 * seconds for place in places):
            raise self.error(422, f"invalid_request: keyframe_indexes are 0 to {24 * seconds}.")
        for picture in pictures:
            self._data(picture, "image")

    def _edit(self, body: dict[str, Any], video: dict[str, Any]) -> Ordered:
        edit = video.get("edit", {})
        wrong = set(video) - {"resolution", "edit"} or set(edit) - {"strength", "auto_controls", "controls"}
        if wrong or "aspect_ratio" in body:
            raise self.error(422, f"invalid_request: an edit takes no {wrong or 'aspect_ratio'}.")
        if edit.get("strength", "flex_1") not in STRENGTHS or set(edit.get("controls", {})) - CONTROLS:
            raise self.error(422, "invalid_request: no such strength or control.")
        source = body.get("source", {})
        earlier = self.jobs.get(source.get("generation_id", ""))
        if "generation_id" in source and (earlier is None or earlier.state is not State.DONE):
            raise self.error(404, "invalid_request: there is no such generation.")
        if earlier is not None:
            size, seconds = earlier.ordered.size, earlier.ordered.seconds
        else:
            size, seconds = measured(self._data(source, "video"))
        if seconds > LONGEST_EDIT_S:
            raise self.error(422, f"invalid_request: a source has at most {LONGEST_EDIT_S} seconds.")
        price = EDITS_OF_5_S.get(video.get("resolution", "720p"))
        usd = NOBODY_KNOWS if price is None else Decimal(price) / 5 * seconds
        return self._ordered(body, seconds, size, usd)

    def _data(self, reference: Any, kind: str) -> bytes:
        """The bytes of an ImageRef. Raises Refused."""
        match cast(dict[str, Any], reference):
            case {"data": str(data), "media_type": str(mime), **rest} if not rest and mime.startswith(f"{kind}/"):
                if len(data) <= INLINE_BYTES:
                    return base64.b64decode(data, validate=True)
                raise self.error(413, "image_too_large: upload it.")
            case {"file_id": str(file_id), **rest} if not rest:
                file = self._file(file_id)
                if file["state"] == "ready" and file["mime_type"].startswith(f"{kind}/"):
                    return file["data"]
            case _:
                pass
        raise self.error(422, f"unsupported_format: this is no {kind} that can be read.")

    def _ordered(self, body: dict[str, Any], seconds: int, size: tuple[int, int], usd: Decimal) -> Ordered:
        return Ordered(
            model=body["model"], prompt=body["prompt"], seconds=seconds, size=size, usd=usd, audio=False, body=body
        )

    # -- what is told ------------------------------------------------------------------------------------------------

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        return {**self._head(job), "state": "queued"}

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        words = {State.QUEUED: "queued", State.RUNNING: "processing", State.DONE: "completed"}
        shown = {**self._head(job), "state": seen.word or words.get(seen.state, "failed")}
        if seen.word is None and seen.state is State.MODERATED:
            shown |= {"failure_code": "content_moderated", "failure_reason": "The content was refused."}
        elif seen.word is None and seen.state in (State.FAILED, State.CANCELLED):
            shown |= {"failure_code": "generation_failed", "failure_reason": "The generation failed."}
        elif seen.state is State.DONE:
            signed = None if seen.url is None else f"{seen.url}?X-Amz-Signature={uuid.uuid4().hex}"
            shown["output"] = [{"type": "video", "url": signed}] if signed else []
        return Answer.json(shown)

    def _head(self, job: VendorJob) -> dict[str, Any]:
        kind = job.ordered.body["type"]
        return {"id": job.id, "created_at": "2026-11-20T12:00:00Z", "model": job.ordered.model, "type": kind}


class LumaBench(VendorBench):
    kind = Luma
    model = "ray-3.2"
    key_variable = "LUMA_AGENTS_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeLuma
    misspelt_extra = ("strenght", "strength")

    def prepared(self, prompt: str = "A paper boat on a puddle, slow pan", **changes: Any) -> Prepared:
        """The smallest size is one whose price nobody knows."""
        return super().prepared(prompt, **{"size": Size(960, 540), **changes})


BENCH = LumaBench
