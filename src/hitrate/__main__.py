"""``python -m hitrate``: the command ``hitrate``."""

from __future__ import annotations

from hitrate.cli import main

if __name__ == "__main__":
    main()
