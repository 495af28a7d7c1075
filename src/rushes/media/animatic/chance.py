"""Chance: where every random choice of an animatic comes from.

Each part of the picture and of the sound asks for a generator by name, so that adding a cloud never moves a
tree: streams are independent, and equal (VERSION, prompt, seed, name) give equal numbers on every machine.
Python's `hash()` and numpy's global state are never used.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

# Raise it whenever the same board would look or sound different: caches of rendered boards go by it.
VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """A family of random streams for one prompt and seed."""

    prompt: str
    seed: int

    def stream(self, name: str) -> np.random.Generator:
        """A fresh generator for the part called `name`; asking twice gives the same numbers twice."""
        text = "\x1f".join((VERSION, self.prompt, str(self.seed), name))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:16], "big"))
