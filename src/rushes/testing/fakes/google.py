"""A fake of Google's two video APIs: Gemini Omni with its Files API, and Veo on Vertex AI, on one address.

Each has its own key. How a create is answered, and what a later look holds, differ on the real host as well: set
`blocks` for a server that waits with its answer until the video is there, `inline` for one that puts videos into its
answers, and `settling` for files that are not ready at first.

Source: ai.google.dev `gemini-api/docs/omni`, `files`, `pricing`, docs.cloud.google.com on Veo, read 2026-11-20.
"""

import base64
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from rushes.providers.google.provider import Google
from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received, Refused
from rushes.testing.vendor import Ordered, Seen, State, VendorFake, VendorJob
from rushes.testing.vendor_bench import VendorBench

ACCESS_TOKEN = "ya29.test-token-0123456789abcdef"
PROJECT = "film-project"
PRICES: Mapping[str, Mapping[str, str]] = {
    "gemini-omni-1.1-flash": {"360p": "0.03", "720p": "0.10", "1080p": "0.15", "4k": "0.30"},
    "gemini-omni-1.2-flash": {"360p": "0.023", "720p": "0.07", "1080p": "0.105", "4k": "0.21"},
    "veo-3.1-generate-001": {"720p": "0.40", "1080p": "0.40", "4k": "0.60"},
    "veo-3.1-fast-generate-001": {"720p": "0.10", "1080p": "0.12", "4k": "0.30"},
    "veo-3.1-lite-generate-001": {"720p": "0.05", "1080p": "0.08"},
}
LONGEST = {"gemini-omni-1.1-flash": 10, "gemini-omni-1.2-flash": 15}
LONGEST_IN_ALL = {"gemini-omni-1.1-flash": 40, "gemini-omni-1.2-flash": 30}
SIDES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
FIELDS = frozenset(
    {
        "model",
        "input",
        "previous_interaction_id",
        "generation_config",
        "response_format",
        "background",
        "store",
        "webhook_config",
        "labels",
    }
)
FORMAT = frozenset({"type", "aspect_ratio", "resolution", "duration", "delivery"})
VEO_INSTANCE = frozenset({"prompt", "image", "lastFrame"})
VEO_PARAMETERS = frozenset(
    {
        "aspectRatio",
        "resolution",
        "durationSeconds",
        "generateAudio",
        "negativePrompt",
        "personGeneration",
        "sampleCount",
        "seed",
    }
)
WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
STATUSES = {
    State.QUEUED: "queued",
    State.RUNNING: "in_progress",
    State.DONE: "completed",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELLED: "cancelled",
}
BLOCKED = "The video was blocked: it violates our usage guidelines."


@dataclass(frozen=True)
class Clip:
    size: tuple[int, int]
    seconds: int


class FakeGoogle(VendorFake):
    keyless: ClassVar[frozenset[str]] = frozenset({"put"})

    def __init__(self, *, blocks: bool = False, inline: bool = False, settling: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = blocks
        self.inline = inline
        self.settling = settling  # how often a file says that it is still being worked on
        self.settled = "ACTIVE"  # what it says then
        self.bucket: str | None = None  # where Veo puts its videos, if not into its answers
        self.access_token = ACCESS_TOKEN
        self.deleted: set[str] = set()
        self._uploading: dict[str, str] = {}  # kind of file by upload
        self._kinds: dict[str, str] = {}  # of uploaded files
        self._looks: dict[str, int] = {}

    def operation_of(self, received: Received) -> str | None:
        match received.method, self.steps(received):
            case "POST", ["v1beta", "interactions"]:
                return "create"
            case "GET", ["v1beta", "interactions", _]:
                return "poll"
            case "DELETE", ["v1beta", "interactions", _]:
                return "delete"
            case "POST", ["v1beta", "interactions", _, "cancel"]:
                return "cancel"
            case "GET" | "HEAD", ["v1beta", "files", name]:
                return "download" if name.endswith(":download") else "state"
            case "POST", ["upload", "v1beta", "files"]:
                return "put" if "upload_id" in received.query else "start"
            case "POST", ["v1", "projects", _, "locations", _, "publishers", "google", "models", asked]:
                return {"predictLongRunning": "create", "fetchPredictOperation": "poll"}.get(asked.partition(":")[2])
            case _:
                return None

    def is_vertex(self, received: Received) -> bool:
        return received.raw_path.startswith("/v1/projects/")

    def check_key(self, received: Received, operation: str | None) -> None:
        if operation in self.keyless:
            return
        if self.is_vertex(received):
            given, right = received.headers.get("authorization", ""), f"Bearer {self.access_token}"
        else:
            given, right = received.headers.get("x-goog-api-key", ""), self.api_key
        if given != right:
            raise self.error(401, f"Request had invalid authentication credentials: {given}.")

    def error(self, status: int, words: str) -> Refused:
        error = {"code": status, "message": words, "status": WORDS.get(status, "UNKNOWN")}
        return Refused(Answer.json({"error": error}, status))

    def moderated(self) -> Refused:
        return self.error(400, "The prompt could not be submitted: it violates our usage guidelines.")

    def new_id(self, ordered: Ordered) -> str:
        if ordered.model.startswith("veo"):
            place = f"projects/{PROJECT}/locations/us-central1/publishers/google/models/{ordered.model}"
            return f"{place}/operations/{secrets.token_hex(8)}"
        return f"v1_{secrets.token_hex(12)}"

    def remote_id_of(self, received: Received) -> str:
        if self.is_vertex(received):
            return str(self.body_of(received).get("operationName", ""))
        steps = self.steps(received) or [""]
        if steps[1] == "files":
            return f"v1_{steps[2].removesuffix(':download')}"
        return steps[2]

    # -- what is asked for -------------------------------------------------------------------------------------------

    def read_order(self, received: Received) -> Ordered:
        body = self.body_of(received)
        if self.is_vertex(received):
            return self._veo((self.steps(received) or [""])[-1].partition(":")[0], body)
        self._only(body, FIELDS, "")
        model = body.get("model", "")
        if model not in LONGEST:
            raise self.error(404, f"models/{model} is not found for this API version.")
        wanted = body.get("response_format", {})
        self._only(wanted, FORMAT, "response_format.")
        if wanted.get("type") != "video" or wanted.get("resolution", "720p") not in SIDES:
            raise self.error(400, "Unknown type or resolution in response format.")
        if wanted.get("delivery", "inline") not in ("inline", "uri"):
            raise self.error(400, "Unknown delivery in response format.")
        hook = body.get("webhook_config", {"uris": []})
        if set(hook) != {"uris"} or not all(uri.startswith("http") for uri in hook["uris"]):
            raise self.error(400, "webhook_config has uris.")
        if body.get("background") and body.get("store") is not True:
            raise self.error(400, "background needs store.")
        config = body.get("generation_config", {})
        self._only(config, frozenset({"video_config"}), "generation_config.")
        task, previous = config.get("video_config", {}).get("task"), body.get("previous_interaction_id")
        if previous is not None and task is not None:
            raise self.error(400, "previous_interaction_id is not allowed when video task is set.")
        prompt = "".join(part["text"] for part in body["input"] if part["type"] == "text")
        if previous is not None:
            # Without a task the words decide.
            task = "extend" if prompt.lower().startswith(("extend", "continue")) else "edit"
            return self._from_clip(body, task, prompt, self._earlier(previous), self._pictures(body))
        return self._new(body, task, prompt)

    def _only(self, fields: Mapping[str, Any], known: frozenset[str], where: str) -> None:
        if unknown := next((name for name in fields if name not in known), None):
            raise self.error(400, f'Invalid JSON payload received. Unknown name "{where}{unknown}".')

    def _new(self, body: dict[str, Any], task: str | None, prompt: str) -> Ordered:
        wanted, model = body["response_format"], body["model"]
        pictures, videos = self._pictures(body), [part for part in body["input"] if part["type"] == "video"]
        fits = {
            "text_to_video": not pictures and not videos,
            "image_to_video": len(pictures) in (1, 2) and not videos,
            "reference_to_video": bool(pictures or videos) and len(pictures) <= 6 and len(videos) <= 3,
            "edit": len(videos) == 1,
            "extend": len(videos) == 1,
        }
        if task is None or not fits.get(task, False):
            raise self.error(400, f"These inputs do not fit the task {task}.")
        clips = [self._uploaded(video) for video in videos]
        if task in ("edit", "extend"):
            return self._from_clip(body, task, prompt, clips[0], pictures)
        if any(each.seconds > 3 for each in clips):
            raise self.error(400, "Reference videos have at most 3 seconds.")
        if wanted.get("aspect_ratio", "16:9") not in ("16:9", "9:16"):
            raise self.error(400, "Unknown aspect ratio in response format.")
        seconds = self._seconds(wanted, LONGEST[model])
        width, height = SIDES[wanted.get("resolution", "720p")]
        size = (width, height) if wanted.get("aspect_ratio", "16:9") == "16:9" else (height, width)
        return self._ordered(body, prompt, seconds, size, seconds)

    def _from_clip(
        self, body: dict[str, Any], task: str, prompt: str, clip: Clip, pictures: list[dict[str, Any]]
    ) -> Ordered:
        wanted, model = body["response_format"], body["model"]
        if "aspect_ratio" in wanted:
            raise self.error(400, f"Aspect ratio cannot be set in response format for {task} task.")
        if task == "edit":
            if "duration" in wanted:
                raise self.error(400, "Duration cannot be set in response format for edit task.")
            if not 3 <= clip.seconds <= LONGEST[model] or (pictures and model != "gemini-omni-1.2-flash"):
                raise self.error(400, "This video cannot be edited, or not with these pictures.")
            return self._ordered(body, prompt, clip.seconds, clip.size, clip.seconds)
        added = self._seconds(wanted, 10)
        if clip.seconds + added > LONGEST_IN_ALL[model]:
            raise self.error(400, "The extended video would be too long.")
        return self._ordered(body, prompt, clip.seconds + added, clip.size, added)

    def _ordered(
        self, body: dict[str, Any], prompt: str, seconds: int, size: tuple[int, int], billed_s: int
    ) -> Ordered:
        usd = Decimal(PRICES[body["model"]][body["response_format"].get("resolution", "720p")]) * billed_s
        if not prompt:
            raise self.error(400, "There is no prompt.")
        return Ordered(model=body["model"], prompt=prompt, seconds=seconds, size=size, usd=usd, body=body)

    def _seconds(self, wanted: dict[str, Any], longest: int) -> int:
        text = str(wanted.get("duration", f"{longest}s"))
        seconds = int(text[:-1]) if text.endswith("s") and text[:-1].isdigit() else 0
        if not 3 <= seconds <= longest:
            raise self.error(400, f"Duration {text} is below 3s or exceeds the maximum allowed {longest}s.")
        return seconds

    def _pictures(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        pictures = [part for part in body["input"] if part["type"] == "image"]
        for part in pictures:
            held = "data" in part and part.get("mime_type", "").startswith("image/")
            if not held and self._kind_of(part).partition("/")[0] != "image":
                raise self.error(400, "A picture has neither data nor a file.")
            if "data" in part:
                base64.b64decode(part["data"], validate=True)
        return pictures

    def _kind_of(self, part: dict[str, Any]) -> str:
        return self._kinds.get(part.get("uri", "").rpartition("/")[2], "")

    def _earlier(self, remote_id: str) -> Clip:
        job = self.jobs.get(remote_id)
        if job is None or remote_id in self.deleted:
            raise self.error(404, f"Interaction {remote_id} is not found.")
        if not job.ordered.body.get("store"):
            raise self.error(400, f"Interaction {remote_id} was not stored.")
        return Clip(job.ordered.size, job.ordered.seconds)

    def _uploaded(self, part: dict[str, Any]) -> Clip:
        import av

        name = part.get("uri", "").rpartition("/")[2]
        if self._kind_of(part) != "video/mp4" or part.get("mime_type") != "video/mp4":
            raise self.error(400, "A video is a file that was uploaded, with its mime_type.")
        if self._looks.get(name, 0) <= self.settling > 0:
            raise self.error(400, f"The file {name} is not in an ACTIVE state.")
        with av.open(io.BytesIO(self.uploads[name]), "r") as container:
            stream = container.streams.video[0]
            return Clip((stream.width, stream.height), round((container.duration or 0) / 1_000_000))

    def _veo(self, model: str, body: dict[str, Any]) -> Ordered:
        if model not in PRICES or model in LONGEST:
            raise self.error(404, f"Publisher Model {model} is not found.")
        instances, parameters = body.get("instances", []), body.get("parameters", {})
        if len(instances) != 1 or not instances[0].get("prompt"):
            raise self.error(400, "There is one instance, and it has a prompt.")
        self._only(instances[0], VEO_INSTANCE, "instances[0].")
        self._only(parameters, VEO_PARAMETERS, "parameters.")
        if "lastFrame" in instances[0] and "image" not in instances[0]:
            raise self.error(400, "lastFrame needs image.")
        for name in ("image", "lastFrame"):
            if name in instances[0]:
                base64.b64decode(instances[0][name]["bytesBase64Encoded"], validate=True)
        seconds, resolution = parameters.get("durationSeconds", 8), parameters.get("resolution", "720p")
        ratio, person = parameters.get("aspectRatio", "16:9"), parameters.get("personGeneration", "allow_adult")
        if (
            seconds not in (4, 6, 8)
            or resolution not in PRICES[model]
            or ratio not in ("16:9", "9:16")
            or person not in ("allow_adult", "disallow")
            or parameters.get("sampleCount") != 1
        ):
            raise self.error(400, "A parameter is not supported.")
        width, height = SIDES[resolution]
        size = (width, height) if ratio == "16:9" else (height, width)
        usd = Decimal(PRICES[model][resolution]) * seconds
        return Ordered(model=model, prompt=instances[0]["prompt"], seconds=seconds, size=size, usd=usd, body=body)

    # -- what is answered --------------------------------------------------------------------------------------------

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        if job.ordered.model.startswith("veo"):
            return {"name": job.id}
        if self.blocks or not job.ordered.body.get("background"):
            job.job_s = 0.0
            return self._interaction(job, State.DONE, self.url_of(job))
        return self._interaction(job, job.state, None)

    def look(self, job: VendorJob, seen: Seen) -> Answer:
        if job.id in self.deleted:
            raise self.unknown(job.id)
        if job.ordered.model.startswith("veo"):
            return Answer.json(self._operation(job, seen))
        shown = self._interaction(job, seen.state, seen.url)
        if seen.word is not None:
            shown["status"] = seen.word
        return Answer.json(shown)

    def _interaction(self, job: VendorJob, state: State, url: str | None) -> dict[str, Any]:
        given = [part for part in job.ordered.body["input"] if part["type"] == "text"]
        steps: list[dict[str, Any]] = [{"type": "user_input", "content": given}]
        shown: dict[str, Any] = {"id": job.id, "object": "interaction", "status": STATUSES[state]}
        if url is not None:
            video: dict[str, Any] = {"type": "video", "mime_type": "video/mp4"}
            if self.inline:
                video["data"] = base64.b64encode(self.content_of(job.id)).decode("ascii")
            else:
                video["uri"] = url
            steps.append({"type": "model_output", "content": [video]})
        if state is State.MODERATED:
            shown["errors"] = [{"code": "invalid_request", "message": BLOCKED}]
        elif state is State.FAILED:
            shown["errors"] = [{"code": "internal", "message": "The generation failed."}]
        return {**shown, "steps": steps}

    def _operation(self, job: VendorJob, seen: Seen) -> dict[str, Any]:
        if seen.state in (State.QUEUED, State.RUNNING):
            return {"name": job.id}
        shown: dict[str, Any] = {"name": job.id, "done": True}
        if seen.state is State.FAILED:
            return {**shown, "error": {"code": 13, "message": "The generation failed."}}
        response: dict[str, Any] = {}
        if seen.state is State.MODERATED:
            response = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["The video was filtered out."]}
        elif seen.url is not None and self.bucket is not None:
            response = {"videos": [{"gcsUri": f"{self.bucket}/1.mp4", "mimeType": "video/mp4"}]}
        elif seen.url is not None:
            data = base64.b64encode(self.content_of(job.id)).decode("ascii")
            response = {"videos": [{"bytesBase64Encoded": data, "mimeType": "video/mp4"}]}
        return {**shown, "response": response}

    def url_of(self, job: VendorJob) -> str:
        return f"{self.url}/v1beta/files/{job.id.removeprefix('v1_')}:download?alt=media"

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        match operation:
            case "state":
                return self._state((self.steps(received) or [""])[2])
            case "start":
                return self._start(received)
            case "put":
                return self._put(received)
            case "cancel":
                job = self.job_of(received)
                if job.done or job.ended is not None:
                    raise self.error(400, "Only an interaction that runs in the background can be cancelled.")
                job.ended = State.CANCELLED
                return Answer.json(self._interaction(job, State.CANCELLED, None))
            case "delete":
                job = self.job_of(received)
                if job.id in self.deleted:
                    raise self.unknown(job.id)
                self.deleted.add(job.id)
                return Answer.json({})
            case _:
                raise self.no_route(received)

    def _state(self, name: str) -> Answer:
        job = self.jobs.get(f"v1_{name}")
        if name not in self.uploads and (job is None or not job.done):
            raise self.error(403, "You do not have permission to access the file, or it may not exist.")
        return Answer.json(self._file(name))

    def _file(self, name: str) -> dict[str, Any]:
        self._looks[name] = self._looks.get(name, 0) + 1
        state = "PROCESSING" if self._looks[name] <= self.settling else self.settled
        return {"name": f"files/{name}", "uri": f"{self.url}/v1beta/files/{name}", "state": state}

    def _start(self, received: Received) -> Answer:
        sent = received.headers
        known = sent.get("x-goog-upload-protocol") == "resumable" and sent.get("x-goog-upload-command") == "start"
        kind, length = sent.get("x-goog-upload-header-content-type"), sent.get("x-goog-upload-header-content-length")
        if not known or kind is None or length is None or not length.isdigit():
            raise self.error(400, "An upload begins with its protocol, command, type and length.")
        upload = secrets.token_hex(8)
        self._uploading[upload] = kind
        address = f"{self.url}/upload/v1beta/files?upload_id={upload}&upload_protocol=resumable"
        return Answer(200, b"", {"x-goog-upload-url": address, "x-goog-upload-status": "active"})

    def _put(self, received: Received) -> Answer:
        kind = self._uploading.pop(received.query["upload_id"], None)
        ended = received.headers.get("x-goog-upload-command") == "upload, finalize"
        if kind is None or not ended or received.headers.get("x-goog-upload-offset") != "0" or not received.body:
            raise self.error(400, "There is no such upload, or it does not end here.")
        name = secrets.token_hex(6)
        self.uploads[name], self._kinds[name] = received.body, kind
        return Answer.json({"file": self._file(name)})


class GoogleBench(VendorBench):
    kind = Google
    model = "gemini-omni-1.1-flash"
    golden_models = ("gemini-omni-1.2-flash",)
    golden_headers = ("x-goog-upload-protocol", "x-goog-upload-command", "x-goog-upload-header-content-type")
    key_variable = "GEMINI_API_KEY"
    fake_kind: ClassVar[type[VendorFake]] = FakeGoogle
    misspelt_extra = ("label", "labels")

    def environment(self, fake: Any) -> Mapping[str, str]:
        vertex = {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "GOOGLE_ACCESS_TOKEN": fake.access_token,
            "GOOGLE_VERTEX_BASE_URL": fake.url,
        }
        return {**super().environment(fake), **vertex}


BENCH = GoogleBench
