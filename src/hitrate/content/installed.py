"""What is the program's own code, and what belongs to Python and to installed packages.

The code of a program counts by what it says; that of a package counts by its name, so that an upgrade of a library does
not put all entries out of reach.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache

from hitrate.modules import module_dict

_PLACES = frozenset({"site-packages", "dist-packages"})
_PATHS = sysconfig.get_paths()
_ROOTS = tuple(
    {
        os.path.join(root, "")
        for path in (
            *(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in _PATHS),
            os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        )
        for root in (path, os.path.realpath(path))
    }
)


@lru_cache(4096)
def is_installed(file: str) -> bool:
    """Tell whether a file is of Python's library or an installed package, by the name that its code has."""
    if file.startswith("<"):
        return file.startswith("<frozen ")
    path = os.path.abspath(file)
    return path.startswith(_ROOTS) or not _PLACES.isdisjoint(path.split(os.sep))


def is_installed_module(name: str) -> bool:
    """Tell whether a loaded module is of Python or an installed package."""
    module = sys.modules.get(name)
    if module is None:
        return False
    space = module_dict(module)
    file = space.get("__file__")
    if type(file) is str:
        return is_installed(file)
    # Without a file is what is built in, and the __main__ of a notebook, of a prompt or of `python -c`.
    return name in sys.builtin_module_names or getattr(space.get("__spec__"), "origin", None) == "frozen"
