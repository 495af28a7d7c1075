"""Options that servers of the OpenAI Videos dialect take in a request's `extra`, named and typed per server.

Only what a server's own source lists, without what a request has fields of its own for. What is misspelt is refused
before it is sent: several of these servers overlook unknown fields, and would bill a video without what was asked.

Source: see `openai/servers.py`. Of fields that name other media (`control_reference`, `source_video`, …) the kind of
value is a guess: text, as an address.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Extra(BaseModel):
    """Options of one server."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)  # JSON has no word for either


Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=1, le=200)]
Several = Annotated[int, Field(ge=1, le=10)]
Rate = Annotated[float, Field(gt=0)]
Reference = dict[str, Any] | list[dict[str, Any]]


class VllmOmniExtra(Extra):
    fps: Rate | None = None
    num_frames: Count | None = None
    aspect_ratio: str | None = None
    short_edge: Count | None = None
    num_outputs_per_prompt: Several | None = None
    start_time_seconds: Annotated[float, Field(ge=0)] | None = None
    quality: Literal["lossless", "high"] | None = None
    num_inference_steps: Steps | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=20)] | None = None
    guidance_scale_2: Annotated[float, Field(ge=0, le=20)] | None = None
    boundary_ratio: float | None = None
    flow_shift: float | None = None
    true_cfg_scale: float | None = None
    sound_duration: Rate | None = None
    enable_frame_interpolation: bool | None = None
    frame_interpolation_exp: int | None = None
    frame_interpolation_scale: float | None = None
    frame_interpolation_model_path: str | None = None
    lora: dict[str, Any] | None = None
    extra_params: dict[str, Any] | None = None
    return_stage_metrics: bool | None = None
    image_reference: Reference | None = None
    video_reference: Reference | None = None
    audio_reference: Reference | None = None
    control_reference: str | None = None
    control_type: str | None = None
    source_video: str | None = None
    source_audio: str | None = None
    video_noise_mask: str | None = None
    audio_noise_mask: str | None = None
    user: str | None = None

    @field_validator("num_outputs_per_prompt")
    @classmethod
    def _only_one_can_be_fetched(cls, value: int | None) -> int | None:
        # Its `/content` has no number: the others would be rendered and never seen.
        if value is not None and value > 1:
            raise ValueError("this server hands out one video per job. Ask for several jobs instead: -n")
        return value


class SglangExtra(Extra):
    n: Several | None = None
    num_outputs_per_prompt: Several | None = None
    fps: Count | None = None
    num_frames: Count | None = None
    num_inference_steps: Count | None = None
    guidance_scale: float | None = None
    guidance_scale_2: float | None = None
    true_cfg_scale: float | None = None
    flow_shift: float | None = None
    enable_teacache: bool | None = None
    enable_frame_interpolation: bool | None = None
    frame_interpolation_exp: int | None = None
    frame_interpolation_scale: float | None = None
    frame_interpolation_model_path: str | None = None
    enable_upscaling: bool | None = None
    upscaling_model_path: str | None = None
    upscaling_scale: int | None = None
    output_quality: str | None = None
    output_compression: int | None = None
    output_path: str | None = None
    enhance_prompt: bool | None = None
    task_type: str | None = None
    video_url: str | None = None
    diffusers_kwargs: dict[str, Any] | None = None
    extra_params: dict[str, Any] | None = None

    @field_validator("num_outputs_per_prompt")
    @classmethod
    def _said_once(cls, value: int | None, info: Any) -> int | None:
        if value is not None and info.data.get("n") not in (None, value):
            raise ValueError("n says another number. Leave one of them out")
        return value


class TensorrtLlmExtra(Extra):
    fps: Rate | None = None
    frame_rate: Rate | None = None
    num_frames: Count | None = None
    num_inference_steps: Count | None = None
    guidance_scale: float | None = None
    video_reference: str | dict[str, Any] | None = None
    audio_reference: str | dict[str, Any] | None = None
    extra_params: dict[str, Any] | None = None


class LocalAIExtra(Extra):
    fps: Count | None = None
    num_frames: Count | None = None
    cfg_scale: float | None = None
    step: Count | None = None
    audio: str | None = None
    ref_images: list[str] | None = None
    params: dict[str, str] | None = None
    response_format: Literal["url", "b64_json"] | None = None


class DynamoExtra(Extra):
    """Flat here; those that Dynamo keeps in `nvext` are put there."""

    fps: Count | None = None
    num_frames: Count | None = None
    num_inference_steps: Count | None = None
    guidance_scale: float | None = None
    guidance_scale_2: float | None = None
    boundary_ratio: float | None = None
    annotations: list[str] | None = None
    user: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: str | None = None


DYNAMO_OUTER = frozenset({"user", "response_format", "output_format"})
