"""Scenery: painters of what surrounds the subject, a module per family, and `compose`, which puts them together."""

from rushes.media.animatic.scenery.compose import compose

__all__ = ["compose"]
