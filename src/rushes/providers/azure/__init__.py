"""Azure OpenAI: two video APIs on deployments of one's own."""

from rushes.providers.azure.provider import PROVIDER as PROVIDER
