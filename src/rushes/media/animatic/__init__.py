"""Animatics: a prompt becomes a moving storyboard with sound, offline and in seconds.

Imported in media child processes only: it loads av, numpy and Pillow.
"""

from rushes.media.animatic.board import Board, Card, render_animatic
from rushes.media.animatic.chance import VERSION
from rushes.media.animatic.words import Scene, read_prompt

__all__ = ["VERSION", "Board", "Card", "Scene", "read_prompt", "render_animatic"]
