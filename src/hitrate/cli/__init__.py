"""The command ``hitrate``: what is in a cache, and tidying it up, from a shell.

Exit codes, which scripts may go by: see ``hitrate.cli.exits``.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    try:
        try:
            import click as click
        except ModuleNotFoundError:
            sys.exit(
                _misuse("the command needs click, which is not installed: pip install '.[cli]' in hitrate's folder")
            )
        from hitrate.cli.app import run
    except KeyboardInterrupt:  # ``run`` sees to those that come later
        sys.exit(130)
    sys.exit(run())


def _misuse(message: str) -> int:
    print(f"hitrate: {message}", file=sys.stderr)
    return 2
