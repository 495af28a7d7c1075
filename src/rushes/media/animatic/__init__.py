"""Animatics: a prompt becomes a moving storyboard with sound, offline and in seconds.

Imported in media child processes only: it loads av, numpy and Pillow.
"""

from rushes.media.animatic.board import Board, Card, Source, Start
from rushes.media.animatic.chance import VERSION
from rushes.media.animatic.reel import render_animatic
from rushes.media.animatic.references import Reference
from rushes.media.animatic.words import Scene, read_prompt

__all__ = ["VERSION", "Board", "Card", "Reference", "Scene", "Source", "Start", "read_prompt", "render_animatic"]
