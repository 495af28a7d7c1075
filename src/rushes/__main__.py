"""`python -m rushes`, and the `rushes` command."""

import os
import sys
from contextlib import suppress
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, and end the process."""
    _leave(run())


def run() -> str | int | None:
    """Run the command line and return its exit code.

    An error of ours is one line on stderr and a code; a traceback is a bug.
    """
    from rushes.cli import cli
    from rushes.errors import RushesError

    code: str | int | None = 0
    try:
        cli.main(prog_name="rushes", standalone_mode=True)
    except SystemExit as ended:
        code = ended.code
    except RushesError as error:
        from rushes.logs import without_secrets

        sys.stderr.write(f"rushes: {without_secrets(str(error))}\n")
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody left to tell.
        sys.stderr.close()
        code = 1
    return code


def _leave(code: str | int | None) -> NoReturn:
    """End, without taking the process apart where obstore was loaded: all is done, and its threads may abort it then.

    Seen once, as SIGABRT after a finished `videos export` out of a bucket.
    """
    if "obstore" in sys.modules and isinstance(code, int | None):
        with suppress(OSError, ValueError):  # nobody reads, or it is closed already
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code)


if __name__ == "__main__":
    main()
