"""``python -m collocode``, and the command of that name."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it as quietly while it is still being imported."""
    try:
        from .cli.main import app

        app(prog_name="collocode")
    except KeyboardInterrupt:  # before a command looks after it itself
        print("error: interrupted; nothing was begun.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
