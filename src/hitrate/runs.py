"""What holds for a run: a scope that counts in its keys, and whether the run passes the cache by.

Each is told by a context variable, which asyncio hands on to tasks and LangGraph to the threads that it starts.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

USE: Final = 0
BYPASS: Final = 1
REFRESH: Final = 2

_scope: ContextVar[str] = ContextVar("hitrate_scope", default="")
_mode: ContextVar[int] = ContextVar("hitrate_mode", default=USE)

is_used = False
"""True once a scope, a bypass or a refresh was opened in this process: until then hits need not ask for any."""


def current_scope() -> str:
    """Return a digest of the scopes that are open, the outer ones first; empty if none is."""
    return _scope.get()


def current_mode() -> int:
    """Return whether this run uses the cache (``USE``), passes it by (``BYPASS``) or only writes (``REFRESH``)."""
    return _mode.get()


def is_particular() -> bool:
    """Tell whether a scope, a bypass or a refresh is open."""
    return bool(_scope.get()) or _mode.get() != USE


class _Setting(Generic[T]):
    """Sets a context variable for a ``with`` block."""

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value
        self._tokens: list[Token[T]] = []  # one object may be entered again, by a recursion

    def __enter__(self) -> None:
        global is_used  # noqa: PLW0603
        is_used = True
        self._tokens.append(self._variable.set(self._value_now()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token = self._tokens.pop()
        try:
            self._variable.reset(token)
        except ValueError:
            # An async generator that is closed by another task than the one that ran it: the variable was never set in
            # that task's context, and the context in which it was set has ended.
            pass

    def _value_now(self) -> T:
        return self._value


class scope(_Setting[str]):
    """Count in every key that hitrate makes while this is open: ``with hitrate.scope(tenant): ...``.

    It counts for policies, cached functions, middleware, the LLM cache and ``stable_key``, also in the threads and
    tasks that LangGraph and asyncio start meanwhile. Scopes within scopes add up. Keys that the program makes itself
    for ``get``, ``set`` and ``get_or_compute`` are not changed.

    Args:
        parts: a tenant, a user, a locale or whatever else results depend on; anything with a stable key.

    Raises:
        TypeError: a part cannot be part of a key.
    """

    def __init__(self, *parts: Any) -> None:
        from hitrate.content.calls import content_key

        super().__init__(_scope, content_key(*parts))

    def _value_now(self) -> str:
        outer = _scope.get()
        return f"{outer}/{self._value}" if outer else self._value


class bypass(_Setting[int]):
    """For this run read nothing from caches and write nothing: ``with hitrate.bypass(): graph.invoke(...)``.

    It holds for graphs with a cache of ``hitrate.langgraph``, cached functions, ``get_or_compute`` and the adapters;
    plain ``get`` and ``set`` of a cache do what they are told.
    """

    def __init__(self) -> None:
        super().__init__(_mode, BYPASS)


class refresh(_Setting[int]):
    """For this run read nothing from caches and overwrite them: ``with hitrate.refresh(): graph.invoke(...)``.

    It holds where ``bypass`` does.
    """

    def __init__(self) -> None:
        super().__init__(_mode, REFRESH)
