"""Google: Gemini Omni on the Gemini API, and what is left of Veo on Vertex AI."""

from rushes.providers.google.provider import PROVIDER as PROVIDER
