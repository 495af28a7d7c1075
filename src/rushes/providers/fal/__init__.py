"""fal.ai: the models of many labs behind one queue."""

from rushes.providers.fal.provider import PROVIDER as PROVIDER
