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
INSTALL = (("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "chromium"))


def main() -> None:
    if any(shutil.which(name) for name in NAMES):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        for command in INSTALL:
            done = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
            if done.returncode:
                sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return
    sys.exit("The tests of the pages need Chromium. Install it, such as by: sudo apt-get install chromium")


if __name__ == "__main__":
    main()
