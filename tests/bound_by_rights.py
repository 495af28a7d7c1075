"""Run `rushes …` so that the rights of files bind it, also where the tests run as root, whom nothing is forbidden.

python -m tests.bound_by_rights jobs list
"""

import ctypes
import os
import sys

PR_CAPBSET_DROP = 24
POWERS_OVER_FILES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def give_up_powers() -> None:
    """From the next program on, root is an owner like any other."""
    libc = ctypes.CDLL(None, use_errno=True)
    for power in POWERS_OVER_FILES:
        if libc.prctl(PR_CAPBSET_DROP, power, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the powers of root cannot be given up")


if __name__ == "__main__":
    if os.geteuid() == 0:
        give_up_powers()
    os.execv(sys.executable, [sys.executable, "-m", "rushes", *sys.argv[1:]])
