"""What each named server is sent, exactly: path, encoding, every field with its type, and nothing beside."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.errors import ConfigError, Unsupported
from rushes.providers.catalog import open_model
from rushes.providers.openai.provider import OpenAI
from rushes.providers.openai.servers import SERVERS, ServerName
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.server import Received
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.dynamo import FakeDynamo
from rushes.testing.servers.litellm import FakeLiteLlm
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.new_api import FakeNewApi
from rushes.testing.servers.sglang import FakeSglang
from rushes.testing.servers.tensorrt_llm import FakeTensorrtLlm
from rushes.testing.servers.vllm_omni import FakeVllmOmni
from rushes.video import Crop, MediaRef, ModelId, Reference, Size, VideoRequest

WAN = ModelId("mybox", "wan")
PNG = picture(320, 180, "PNG")
JPEG = picture(320, 180, "JPEG")
PNG64 = base64.b64encode(PNG).decode()
JPEG64 = base64.b64encode(JPEG).decode()

FAKES: dict[ServerName, Callable[[], FakeBox]] = {
    "vllm-omni": lambda: FakeVllmOmni(job_s=0.0),
    "sglang": lambda: FakeSglang(job_s=0.0),
    "tensorrt-llm": lambda: FakeTensorrtLlm(job_s=0.0),
    "litellm": lambda: FakeLiteLlm(job_s=0.0),
    "new-api": lambda: FakeNewApi(job_s=0.0),
    "localai": lambda: FakeLocalAI(job_s=0.0),
    "dynamo": lambda: FakeDynamo(job_s=0.0),
}


def ref(data: bytes, mime: str) -> MediaRef:
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    return MediaRef(sha256=digest, mime=mime, size_bytes=len(data), width=320, height=180)


FIRST, LAST = ref(PNG, "image/png"), ref(JPEG, "image/jpeg")


def asked(**changes: Any) -> Prepared:
    fields: dict[str, Any] = {"prompt": "Eine Katze", "model": WAN, "seconds": 2, "size": Size(320, 180), **changes}
    return prepared(VideoRequest(**fields), open_model(WAN, None))


def form(*fields: tuple[str, str], files: tuple[tuple[str, str, str, bytes], ...] = ()) -> list[Any]:
    usual = [("prompt", "Eine Katze"), ("model", "wan"), ("seconds", "2"), ("size", "320x180")]
    return [*usual, *fields, *files]


def body(**fields: Any) -> dict[str, Any]:
    return {"prompt": "Eine Katze", "model": "wan", "seconds": 2, "size": "320x180", **fields}


def localai(**fields: Any) -> dict[str, Any]:
    return {
        "model": "wan", "prompt": "Eine Katze", "width": 320, "height": 180, "fps": 24, "num_frames": 48, **fields
    }  # fmt: skip


PNG_FILE = ("input_reference", "input_reference.png", "image/png", PNG)
JPEG_FILE = ("input_reference", "input_reference.jpg", "image/jpeg", JPEG)

PLAIN: dict[str, Any] = {}
WITH_PICTURE: dict[str, Any] = {"first_frame": FIRST}
SEEDED: dict[str, Any] = {"seed": 7, "negative_prompt": "blur"}

GOLDENS: list[tuple[ServerName, str, dict[str, Any], Any]] = [
    # vLLM-Omni: multipart only
    ("vllm-omni", "text only", PLAIN, form()),
    ("vllm-omni", "with picture", WITH_PICTURE, form(files=(PNG_FILE,))),
    ("vllm-omni", "seed and negative prompt", SEEDED, form(("seed", "7"), ("negative_prompt", "blur"))),
    (
        "vllm-omni",
        "with extras",
        {"extra": {"fps": 16, "num_inference_steps": 30, "lora": {"name": "ink"}, "enable_frame_interpolation": True}},
        form(
            ("fps", "16.0"),
            ("num_inference_steps", "30"),
            ("enable_frame_interpolation", "true"),
            ("lora", '{"name": "ink"}'),
        ),
    ),
    ("vllm-omni", "without sound", {"audio": False}, form(("generate_sound", "false"))),
    (
        "vllm-omni",
        "with reference pictures",
        {"references": (Reference(media=FIRST), Reference(media=LAST))},
        form(
            files=(
                ("input_references", "input_references.png", "image/png", PNG),
                ("input_references", "input_references.jpg", "image/jpeg", JPEG),
            )
        ),
    ),
    # SGLang: JSON, whole seconds, a data URL
    ("sglang", "text only", PLAIN, body()),
    ("sglang", "with picture", WITH_PICTURE, body(reference_url=f"data:image/png;base64,{PNG64}")),
    ("sglang", "seed and negative prompt", SEEDED, body(seed=7, negative_prompt="blur")),
    (
        "sglang",
        "with extras",
        {"extra": {"n": 2, "guidance_scale": 4.5, "enable_upscaling": True, "diffusers_kwargs": {"eta": 0.5}}},
        body(n=2, guidance_scale=4.5, enable_upscaling=True, diffusers_kwargs={"eta": 0.5}),
    ),
    # TensorRT-LLM: JSON, nothing that it does not know
    ("tensorrt-llm", "text only", PLAIN, body()),
    ("tensorrt-llm", "with picture", WITH_PICTURE, body(image_reference=f"data:image/png;base64,{PNG64}")),
    ("tensorrt-llm", "seed and negative prompt", SEEDED, body(seed=7, negative_prompt="blur")),
    (
        "tensorrt-llm",
        "with extras",
        {"extra": {"frame_rate": 16, "guidance_scale": 5, "extra_params": {"a": 1}}},
        body(frame_rate=16.0, guidance_scale=5.0, extra_params={"a": 1}),
    ),
    # LiteLLM: the dialect's own body, and whatever its upstream takes
    ("litellm", "text only", PLAIN, form()),
    ("litellm", "with picture", WITH_PICTURE, form(files=(PNG_FILE,))),
    ("litellm", "seed and negative prompt", SEEDED, form(("seed", "7"), ("negative_prompt", "blur"))),
    (
        "litellm",
        "with extras",
        {"extra": {"custom_llm_provider": "gemini", "parameters": {"resolution": "720p"}, "user": None}},
        form(("custom_llm_provider", "gemini"), ("parameters", '{"resolution": "720p"}')),
    ),
    # new-api: the same; a second file is the last frame
    ("new-api", "text only", PLAIN, form()),
    ("new-api", "with picture", WITH_PICTURE, form(files=(PNG_FILE,))),
    ("new-api", "seed and negative prompt", SEEDED, form(("seed", "7"), ("negative_prompt", "blur"))),
    (
        "new-api",
        "with extras",
        {"extra": {"metadata": {"mode": "pro"}, "images": ["https://pictures.example/a.png"]}},
        form(("metadata", '{"mode": "pro"}'), ("images", '["https://pictures.example/a.png"]')),
    ),
    (
        "new-api",
        "with both frames",
        {"first_frame": FIRST, "last_frame": LAST},
        form(files=(PNG_FILE, JPEG_FILE)),
    ),
    # LocalAI: JSON; frames and sides, bare base64
    ("localai", "text only", PLAIN, localai()),
    ("localai", "with picture", WITH_PICTURE, localai(start_image=PNG64)),
    ("localai", "seed and negative prompt", SEEDED, localai(seed=7, negative_prompt="blur")),
    (
        "localai",
        "with extras",
        {"extra": {"fps": 16, "cfg_scale": 4.5, "step": 20, "params": {"sampler": "euler"}}},
        localai(fps=16, num_frames=32, cfg_scale=4.5, step=20, params={"sampler": "euler"}),
    ),
    (
        "localai",
        "with both frames",
        {"first_frame": FIRST, "last_frame": LAST},
        localai(start_image=PNG64, end_image=JPEG64),
    ),
    (
        "localai",
        "with a number of frames of one's own",
        {"extra": {"num_frames": 81}},
        {"model": "wan", "prompt": "Eine Katze", "width": 320, "height": 180, "num_frames": 81},
    ),
    # Dynamo: JSON; what is beyond the dialect goes into `nvext`
    ("dynamo", "text only", PLAIN, body()),
    ("dynamo", "with picture", WITH_PICTURE, body(input_reference=f"data:image/png;base64,{PNG64}")),
    ("dynamo", "seed and negative prompt", SEEDED, body(nvext={"negative_prompt": "blur", "seed": 7})),
    (
        "dynamo",
        "with extras",
        {"extra": {"fps": 16, "guidance_scale": 5, "response_format": "b64_json", "user": "me"}},
        body(user="me", response_format="b64_json", nvext={"fps": 16, "guidance_scale": 5.0}),
    ),
]


def read(sent: Received) -> Any:
    """The body, with every type that the wire has: text and files of a form, or the JSON object."""
    if sent.mime == "multipart/form-data":
        return [
            (part.name, part.text) if part.filename is None else (part.name, part.filename, part.mime, part.data)
            for part in sent.parts
        ]
    assert sent.mime == "application/json"
    return json.loads(sent.body)


def same_types(one: Any, other: Any) -> bool:
    """`2` and `2.0` are equal in Python and not the same on the wire."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("server", "changes", "golden"),
    [(server, changes, golden) for server, _, changes, golden in GOLDENS],
    ids=[f"{server}: {name}" for server, name, _, _ in GOLDENS],
)
async def test_a_create_is_sent_just_so(
    server: ServerName, changes: dict[str, Any], golden: Any, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    inputs.add(PNG, "image/png", 320, 180)
    inputs.add(JPEG, "image/jpeg", 320, 180)
    with FAKES[server]() as fake:
        section = ProviderSettings.model_validate(
            {"kind": "openai", "base_url": fake.base_url, "server": server, "api_key_env": "BOX_KEY"}
        )
        variables = {"BOX_KEY": fake.api_key or ""}
        async with opened(
            OpenAI, name="mybox", folder=tmp_path, environment=variables, section=section, inputs=inputs
        ) as provider:
            await provider.submit(asked(**changes), "key-1")

    assert len(fake.requests) == 1
    sent = fake.requests[0]
    assert (sent.method, sent.raw_path) == ("POST", "/video" if server == "localai" else "/v1/videos")
    assert sent.headers["authorization"] == f"Bearer {fake.api_key}"
    assert sent.headers["idempotency-key"] == "key-1"
    assert same_types(read(sent), golden)
    assert fake.overlooked == []
    assert fake.book.charged == 1


# -- what is refused before it is sent ---------------------------------------------------------------------------------

REFUSED: list[tuple[ServerName, dict[str, Any], str]] = [
    ("vllm-omni", {"last_frame": LAST}, "a last frame: vLLM-Omni has no field"),
    ("vllm-omni", {"first_frame": FIRST, "references": (Reference(media=LAST),)}, "not with a first frame"),
    ("vllm-omni", {"first_frame": FIRST, "extra": {"image_reference": {"file_id": "f"}}}, "either a first frame or"),
    (
        "vllm-omni",
        {"references": (Reference(media=FIRST),), "extra": {"audio_reference": {"audio_url": "https://a/1"}}},
        "not with audio_reference",
    ),
    ("vllm-omni", {"extra": {"generate_sound": True}}, "may not set generate_sound"),
    ("vllm-omni", {"references": (Reference(media=FIRST, frame_index=3),)}, "without a frame or a crop"),
    ("vllm-omni", {"references": (Reference(media=FIRST, crop=Crop(left=0.5)),)}, "without a frame or a crop"),
    ("vllm-omni", {"extra": {"guidence_scale": 3}}, "Did you mean guidance_scale"),
    ("vllm-omni", {"extra": {"guidance_scale": 21}}, "guidance_scale: Input should be less than or equal to 20"),
    ("vllm-omni", {"extra": {"num_inference_steps": 201}}, "num_inference_steps"),
    ("vllm-omni", {"prompt": "A cat \udce4"}, "cannot be sent as text"),
    ("new-api", {"negative_prompt": "blur \udce4"}, "cannot be sent as text"),
    ("sglang", {"extra": {"guidance_scale": "nan"}}, "guidance_scale: Input should be a finite number"),
    ("sglang", {"extra": {"diffusers_kwargs": {"eta": float("inf")}}}, "cannot be sent as text"),
    ("dynamo", {"prompt": "A cat \udce4"}, "cannot be sent as text"),
    ("vllm-omni", {"extra": {"quality": "low"}}, "lossless"),
    ("vllm-omni", {"extra": {"num_outputs_per_prompt": 2}}, "one video per job"),
    ("vllm-omni", {"extra": {"width": 640}}, "may not set width"),
    ("vllm-omni", {"seed": 2**63}, "takes seeds"),
    ("sglang", {"audio": True}, "a switch for sound"),
    ("sglang", {"extra": {"n": 11}}, "less than or equal to 10"),
    ("sglang", {"extra": {"n": 2, "num_outputs_per_prompt": 3}}, "another number"),
    ("sglang", {"extra": {"seed": [1, 2]}}, "may not set seed"),
    ("sglang", {"extra": {"input_reference": "/etc/passwd"}}, "may not set input_reference"),
    ("sglang", {"references": (Reference(media=FIRST),)}, "reference pictures"),
    ("tensorrt-llm", {"seconds": 61}, "at most 60 seconds"),
    ("tensorrt-llm", {"extra": {"response_format": "path"}}, "no field 'response_format'"),
    ("tensorrt-llm", {"extra": {"flow_shift": 3}}, "It takes: fps, frame_rate"),
    ("tensorrt-llm", {"characters": ("char_1",)}, "characters"),
    ("litellm", {"last_frame": LAST}, "a last frame"),
    ("litellm", {"extra": {"seconds": "9"}}, "may not set seconds"),
    ("new-api", {"last_frame": LAST}, "only behind a first one"),
    ("new-api", {"first_frame": ref(b"GIF8", "image/gif")}, "Convert it"),
    ("localai", {"seed": 2**31}, "takes seeds"),
    ("localai", {"extra": {"cfg-scale": 3}}, "Did you mean cfg_scale"),
    ("localai", {"extra": {"params": {"a": 1}}}, "params.a"),
    ("dynamo", {"last_frame": LAST}, "a last frame"),
    ("dynamo", {"extra": {"nvext": {"fps": 3}}}, "may not set nvext"),
    ("dynamo", {"extra": {"fps": "quick"}}, "fps"),
]


@pytest.mark.parametrize(("server", "changes", "words"), REFUSED, ids=[f"{s}: {w}" for s, _, w in REFUSED])
def test_what_a_server_has_no_field_for_is_refused_before_it_is_sent(
    server: ServerName, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unsupported, match=words):
        SERVERS[server].check(asked(**changes))


@pytest.mark.anyio
@pytest.mark.parametrize("server", FAKES)
async def test_a_provider_refuses_what_its_server_does(server: ServerName, tmp_path: Path) -> None:
    with FAKES[server]() as fake:
        section = ProviderSettings.model_validate({"kind": "openai", "base_url": fake.base_url, "server": server})
        async with opened(OpenAI, name="mybox", folder=tmp_path, environment={}, section=section) as provider:
            for changes in ({"extra": {"model": "other"}}, {"references": (Reference(media=FIRST, frame_index=1),)}):
                with pytest.raises(Unsupported):
                    provider.check(asked(**changes))
                with pytest.raises(Unsupported):
                    await provider.submit(asked(**changes), "key-1")

    assert fake.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"server": "vllm"}, "'vllm-omni', 'sglang'"),
        ({"servr": "sglang"}, "Did you mean server"),
        ({"server": "sglang", "encoding": "json"}, "leave encoding out"),
    ],
)
async def test_a_section_that_names_no_server_says_so(written: dict[str, Any], words: str, tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"kind": "openai", "base_url": "http://box:1", **written})
    with pytest.raises(ConfigError, match=words):
        async with opened(OpenAI, name="mybox", folder=tmp_path, environment={}, section=section):
            pass
