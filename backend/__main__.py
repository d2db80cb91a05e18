"""`python -m backend`, which is what the command `autoweave` runs."""

import sys


def main(arguments: list[str]) -> int:
    """Return the exit code. Processes that stay (`run …`) must not pay for what only commands for people need."""
    if arguments[:1] == ["run"]:
        from backend.cli.run import main as run

        return run(arguments[1:])
    from backend.cli.app import main as command

    return command(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
