"""Turns OpenRouter's feed of models into a file for `[catalog] extra`, and says what has changed since this release.

    curl https://openrouter.ai/api/v1/videos/models | python -m rushes.providers.openrouter > models.toml

Words after it are ids of models, where not all are wanted.
"""

import json
import sys
from datetime import UTC, datetime
from typing import TextIO

from rushes.providers.catalog import parse_table, read_table
from rushes.providers.openrouter.feed import changes, read_feed, rows_of, to_toml


def main(wanted: list[str], source: TextIO) -> int:
    """Read a feed, write its rows; returns the exit code."""
    try:
        feed = read_feed(json.load(source))
    except ValueError as error:
        sys.stderr.write(f"This is not the feed of OpenRouter's video models: {error}\n")
        return 1
    rows = [row for row in rows_of(feed, datetime.now(UTC).date()) if not wanted or row["name"] in wanted]
    newer = parse_table("openrouter", {"models": rows}, "the feed")
    sys.stderr.writelines(f"{line}\n" for line in changes(read_table("openrouter"), newer))
    sys.stdout.write(to_toml(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
