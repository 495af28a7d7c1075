"""`python -m rushes`, and the `rushes` command."""

import sys


def main() -> None:
    """Run the command line. An error of ours is one line on stderr and an exit code; a traceback is a bug."""
    from rushes.cli import cli
    from rushes.errors import RushesError

    try:
        cli.main(prog_name="rushes", standalone_mode=True)
    except RushesError as error:
        from rushes.logs import without_secrets

        sys.stderr.write(f"rushes: {without_secrets(str(error))}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
