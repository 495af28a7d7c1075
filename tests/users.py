"""Permissions as an ordinary user meets them, also where the tests run as root, whom nothing is forbidden."""

import os
from collections.abc import Generator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def ordinary_user() -> Generator[None]:
    """Inside, this process has no rights but an ordinary user's."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
