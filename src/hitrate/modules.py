"""Names of modules that hold in every process: a program counts as the module or file it is, not as ``__main__``.

The functions and classes of ``job.py`` have one name, whether it is run as a script, imported, or run once more as
``__mp_main__`` by the workers of a spawn pool; those of ``python -m pkg.mod`` are the ones of ``pkg.mod``.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_PROGRAMS = ("__main__", "__mp_main__")

# The slot of the C type itself: a module's __getattr__ or a lazy module's __getattribute__ is not asked.
module_dict: Callable[[Any], dict[str, Any]] = vars(types.ModuleType)["__dict__"].__get__


def canonical_name(name: str | None, space: Mapping[str, Any] | None = None) -> str:
    """Return the name by which a module counts.

    Args:
        name: its name in this process, as ``__module__`` has it; None for code that was run in a dict without one.
        space: the globals of a function of the module; what is loaded under the name when not given.

    Returns:
        The name itself, and for a program the name by which it could be imported; ``__main__`` if it has no file, as in
        an interactive session or with ``python -c``.
    """
    if name is None:
        return "__main__"
    if name not in _PROGRAMS:
        return name
    if space is None or space.get("__name__") not in _PROGRAMS:
        module = sys.modules.get(name) or sys.modules.get("__main__")
        space = module_dict(module) if issubclass(type(module), types.ModuleType) else {}
    name_in_spec = getattr(space.get("__spec__"), "name", None)
    if type(name_in_spec) is str and name_in_spec not in _PROGRAMS:
        return name_in_spec
    file = space.get("__file__")
    return _name_of_file(file) if type(file) is str and file else "__main__"


def loaded_name(name: str) -> str:
    """Return the name in ``sys.modules`` of the module that counts by a name; the name itself if there is none.

    Nothing is imported.
    """
    if name not in sys.modules:
        for each in _PROGRAMS:
            if each in sys.modules and canonical_name(each) == name:
                return each
    return name


@lru_cache(64)
def _name_of_file(file: str) -> str:
    """Return the name by which a file could be imported: that of its package, if it is in one, and its own."""
    directory, base = os.path.split(os.path.abspath(file))
    stem = os.path.splitext(base)[0]
    parts = [stem]
    if stem == "__main__":  # of a directory that is run as a program
        directory, base = os.path.split(directory)
        parts.insert(0, os.path.splitext(base)[0])
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, base = os.path.split(directory)
        if not base:
            break
        parts.insert(0, base)
    return ".".join(parts)
