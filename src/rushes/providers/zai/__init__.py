"""Z.ai and its mainland twin, BigModel."""

from rushes.providers.zai.provider import PROVIDER as PROVIDER
