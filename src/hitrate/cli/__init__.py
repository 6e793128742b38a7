"""The command ``hitrate``: what is in a cache, and tidying it up, from a shell.

Exit codes, which scripts may go by: see ``hitrate.cli.exits``.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    try:
        import click as click
    except ModuleNotFoundError:
        print("hitrate: the command needs click, which is not installed: pip install 'hitrate[cli]'", file=sys.stderr)
        sys.exit(2)
    from hitrate.cli.app import run

    sys.exit(run())
