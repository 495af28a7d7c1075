"""Kling by Kuaishou."""

from rushes.providers.kling.provider import PROVIDER as PROVIDER
