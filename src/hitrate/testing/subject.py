"""A cache to be tried, named on the command line: how to find it, and how to make one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from hitrate.testing.clock import Clock, WallClock

DOCUMENTED = ("get", "aget", "set", "aset", "clear", "aclear")


class UnusableError(Exception):
    """The subject cannot be found, or no cache can be made of it; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A cache class, or a function that makes a new, empty cache.

    Args:
        target: ``module:Class`` or ``module:function``.
        options: passed to it each time.
        contract: ``documented``, ``full``, or ``auto``: the full one if it takes a ``clock``.
    """

    target: str
    options: dict[str, Any] = field(default_factory=dict)
    contract: Literal["auto", "documented", "full"] = "auto"

    def factory(self) -> Callable[..., Any]:
        """Return the class or function that the target names; an ``UnusableError`` if there is none."""
        module_name, _, path = self.target.partition(":")
        if not module_name or not path:
            raise UnusableError(f"{self.target!r} is not of the form module:Class")
        try:
            found: Any = import_module(module_name)
            for name in path.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError) as error:
            raise UnusableError(f"{self.target} cannot be found: {error}") from error
        if not callable(found):
            raise UnusableError(f"{self.target} is neither a class nor a function")
        made: Callable[..., Any] = found
        return made

    def takes(self, option: str) -> bool:
        """Tell whether the factory has a parameter of this name."""
        return option in self._parameters

    def needs(self, option: str) -> bool:
        """Tell whether the factory has a parameter of this name and no default for it."""
        parameter = self._parameters.get(option)
        return parameter is not None and parameter.default is inspect.Parameter.empty

    def lacks(self, option: str) -> bool:
        """Tell whether it is a function that has no way to take this option; a class is held to the documented ones."""
        any_name = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in self._parameters.values())
        return not (inspect.isclass(self.factory()) or self.takes(option) or any_name)

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        try:
            return inspect.signature(self.factory()).parameters
        except (TypeError, ValueError):  # a builtin without a signature
            return {}

    def is_full(self) -> bool:
        """Tell whether the full contract is the one to try."""
        return self.takes("clock") if self.contract == "auto" else self.contract == "full"

    def new_clock(self) -> Clock:
        """Return the clock to try it with: one that tests move, or the machine's if it takes none."""
        return Clock() if self.takes("clock") else WallClock()

    def make(self, clock: Clock, directory: Path, **options: Any) -> Any:
        """Make a new, empty cache; one that needs a ``path`` is given a new one in ``directory``."""
        given = {**self.options, **options}
        if self.takes("clock"):
            given["clock"] = clock
        if self.needs("path"):
            given.setdefault("path", str(directory / f"{uuid4().hex}.db"))
        return self.factory()(**given)

    def check(self, directory: Path) -> None:
        """Make one cache, to see that it can be done; an ``UnusableError`` if it cannot."""
        try:
            cache = self.make(self.new_clock(), directory)
        except UnusableError:
            raise
        except Exception as error:
            raise UnusableError(f"{self.target} cannot be made: {type(error).__name__}: {error}") from error
        if absent := [method for method in DOCUMENTED if not callable(getattr(cache, method, None))]:
            raise UnusableError(f"{self.target} makes no cache: it has no {', '.join(absent)}")
        if close := getattr(cache, "close", None):
            close()
