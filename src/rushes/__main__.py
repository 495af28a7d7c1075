"""`python -m rushes`, and the `rushes` command."""

import os
import sys


def main() -> None:
    """Run the command line. An error of ours is one line on stderr and an exit code; a traceback is a bug."""
    from rushes.cli import cli
    from rushes.errors import RushesError

    try:
        try:
            cli.main(prog_name="rushes", standalone_mode=True)
        except SystemExit as ended:
            _leave(ended)
            raise
    except RushesError as error:
        from rushes.logs import without_secrets

        sys.stderr.write(f"rushes: {without_secrets(str(error))}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)


def _leave(ended: SystemExit) -> None:
    """End at once where a bucket was spoken to: its library's threads may abort a process that takes itself apart."""
    if "obstore" in sys.modules and isinstance(ended.code, int | None):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)


if __name__ == "__main__":
    main()
