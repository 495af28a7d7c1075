"""The workbench for AI video: one request, any model, durable jobs that are never paid twice.

    import rushes
    video = rushes.generate("a lighthouse at dusk", model="draft", seconds=4)
    video.save("lighthouse.mp4")

Names are loaded on first use, so that importing rushes costs next to nothing.
"""

from typing import TYPE_CHECKING

from rushes.version import VERSION as __version__

if TYPE_CHECKING:
    from rushes.app import App, generate
    from rushes.config import Settings
    from rushes.errors import (
        ConfigError,
        JobFailed,
        MediaError,
        NeedsAttention,
        OverBudget,
        ProviderError,
        RequestError,
        RushesError,
        TimedOut,
        Unsupported,
    )
    from rushes.jobs.service import Snapshot
    from rushes.planning import Given, Plan, Wish
    from rushes.video import Adjustment, Crop, ModelId, Size, Status, Video, VideoRequest

_HOMES = {
    "rushes.app": ("App", "generate"),
    "rushes.config": ("Settings",),
    "rushes.errors": (
        "ConfigError",
        "JobFailed",
        "MediaError",
        "NeedsAttention",
        "OverBudget",
        "ProviderError",
        "RequestError",
        "RushesError",
        "TimedOut",
        "Unsupported",
    ),
    "rushes.jobs.service": ("Snapshot",),
    "rushes.planning": ("Given", "Plan", "Wish"),
    "rushes.video": ("Adjustment", "Crop", "ModelId", "Size", "Status", "Video", "VideoRequest"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Adjustment",
    "App",
    "ConfigError",
    "Crop",
    "Given",
    "JobFailed",
    "MediaError",
    "ModelId",
    "NeedsAttention",
    "OverBudget",
    "Plan",
    "ProviderError",
    "RequestError",
    "RushesError",
    "Settings",
    "Size",
    "Snapshot",
    "Status",
    "TimedOut",
    "Unsupported",
    "Video",
    "VideoRequest",
    "Wish",
    "__version__",
    "generate",
]


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOME_OF:
        raise AttributeError(f"module 'rushes' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
