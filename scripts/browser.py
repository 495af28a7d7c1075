"""See that Chromium is there, for the tests that look at pages: run by make before the tests.

    python scripts/browser.py

Where it is missing and this is root on a Debian system, it is installed from Debian's packages. Else it is said what to
install; nothing is skipped in silence.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")
UPDATE = ("apt-get", "update")


def apt(*command: str) -> "subprocess.CompletedProcess[str]":
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, capture_output=True, text=True, env=quietly)


def main() -> None:
    if any(shutil.which(name) for name in NAMES):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        done = apt(*INSTALL)
        if done.returncode:  # lists of packages that are old, or were never fetched
            apt(*UPDATE)
            done = apt(*INSTALL)
        if done.returncode:
            sys.exit(f"{' '.join(INSTALL)} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return
    sys.exit("The tests of the pages need Chromium. Install it, such as by: sudo apt-get install chromium")


if __name__ == "__main__":
    main()
