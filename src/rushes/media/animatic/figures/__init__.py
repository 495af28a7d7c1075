"""Figures: animals, people, vehicles and lone buildings as lit silhouettes, and where they stand in a scene."""

from rushes.media.animatic.figures.placing import Stand, cast

__all__ = ["Stand", "cast"]
