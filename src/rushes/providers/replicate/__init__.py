"""Replicate: models of many labs behind one API."""

from rushes.providers.replicate.provider import PROVIDER as PROVIDER
