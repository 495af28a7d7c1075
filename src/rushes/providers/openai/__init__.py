"""The OpenAI Videos dialect, and the servers that speak it."""

from rushes.providers.openai.provider import PROVIDER as PROVIDER
