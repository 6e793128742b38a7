"""What is the program's own code, and what belongs to Python and to installed packages.

The code of a program counts by what it says; that of a package counts by its name, so that an upgrade of a library does
not put all entries out of reach.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from typing import Any

from hitrate.modules import module_dict
from hitrate.serde.classes import find_in_module

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


def found_in(module: str, qualified_name: str) -> Any:
    """Return the function or class that is under a name in a loaded module, or None; no code of the module runs."""
    found = find_in_module(f"{module}:{qualified_name}")
    return getattr(found, "__func__", found) if type(found) in (classmethod, staticmethod) else found


def public_module(module: str, qualified_name: str, obj: Any) -> str:
    """Return the module in which Python offers what it may define in a private one."""
    public = public_name(module)
    return public if public == module or found_in(public, qualified_name) is obj else module


def public_name(module: str) -> str:
    """Return ``pathlib`` for ``pathlib._local`` and ``io`` for ``_io``; other names as they are.

    In which of them Python defines something changes from one version to the next.
    """
    parent, _, last = module.rpartition(".")
    if not last.startswith("_") or module.partition(".")[0] not in sys.stdlib_module_names:
        return module
    return parent or last.lstrip("_")
