"""OpenRouter: video models of many labs behind one API."""

from rushes.providers.openrouter.provider import PROVIDER as PROVIDER
