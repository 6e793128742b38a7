"""The command ``hitrate``: what is in a cache, and tidying it up, from a shell.

Exit codes, which scripts may go by: see ``hitrate.cli.exits``.

================  ======================================================================================================
``app.py``        the group of commands; ``exits.py``: exit codes, and failures as sentences; ``ending.py``: signals
``looking.py``    ``stats``, ``ls``, ``keys`` and ``show``; ``tree.py``: namespaces as a tree, ``values.py``: a value as
                  text
``clearing.py``   ``clear``
``keeping.py``    ``check`` and ``compact``
``moving.py``     ``export`` and ``import``
``serving.py``    ``serve``
``arguments.py``  what the commands are given; ``caches.py`` opens the cache
``printing.py``   JSON, tables, sizes and ages; ``progress.py``: how far long work has come
================  ======================================================================================================
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    try:
        try:
            import click as click
        except ModuleNotFoundError:
            needed = "the command needs click, which is not installed: pip install '.[cli]' in hitrate's folder"
            print(f"hitrate: {needed}", file=sys.stderr)
            sys.exit(2)
        from hitrate.cli.app import run
        from hitrate.cli.ending import Ending
    except KeyboardInterrupt:  # ``run`` sees to those that come later
        sys.exit(130)
    ending = Ending()
    try:
        ending.watch()
        code = run()
    except KeyboardInterrupt:
        code = 130
    ending.end()
    sys.exit(code)
