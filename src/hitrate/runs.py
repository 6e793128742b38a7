"""What holds for a run: a scope that is part of all its keys, and whether it bypasses or refreshes the cache.

Both are kept in a context variable, which asyncio hands on to tasks and LangGraph to the threads that it starts.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Final, NamedTuple

USE: Final = 0
BYPASS: Final = 1
REFRESH: Final = 2


class _Open(NamedTuple):
    """The ``with`` blocks that are open in one context, the outer ones first, with their scope and mode combined."""

    blocks: tuple[Block, ...] = ()
    scope: str = ""
    mode: int = USE


_NOTHING: Final = _Open()
_open: ContextVar[_Open] = ContextVar("hitrate_run", default=_NOTHING)

is_used = False
"""True once a scope, a bypass or a refresh was opened in this process: until then hits need not ask for any."""


def current_scope() -> str:
    """Return a digest of the scopes that are open, the outer ones first; empty if none is."""
    return _open.get().scope


def is_told_apart() -> bool:
    """Tell whether a scope is open that tells runs apart: ``scope(None)``, for an unknown tenant, does not."""
    return any(block._tells_apart for block in _open.get().blocks)


def current_mode() -> int:
    """Return whether this run uses the cache (``USE``), passes it by (``BYPASS``) or only writes (``REFRESH``)."""
    return _open.get().mode


def is_particular() -> bool:
    """Tell whether a scope, a bypass or a refresh is open."""
    now = _open.get()
    return bool(now.scope) or now.mode != USE


class Block:
    """Something that holds for a ``with`` block, and for nothing after it.

    Blocks need not end in the reverse order: generators that are read in turn end theirs as they finish. So a block
    that ends removes itself from the open blocks, and does not restore those that were open when it began.
    """

    _scope: str = ""
    _tells_apart: bool = False
    _mode: int | None = None

    def __enter__(self) -> None:
        global is_used  # noqa: PLW0603
        is_used = True
        _open_these((*_open.get().blocks, self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        blocks = _open.get().blocks
        for number in reversed(range(len(blocks))):
            if blocks[number] is self:
                _open_these(blocks[:number] + blocks[number + 1 :])
                return
        # The block is not open in this context: another task closed the async generator, and the context of the task
        # that ran it has ended.


def _open_these(blocks: tuple[Block, ...]) -> None:
    modes = [block._mode for block in blocks if block._mode is not None]
    _open.set(_Open(blocks, "/".join(block._scope for block in blocks if block._scope), modes[-1] if modes else USE))


class bypass(Block):
    """For this run read nothing from caches and write nothing: ``with hitrate.bypass(): graph.invoke(...)``.

    It holds for graphs with a cache of ``hitrate.langgraph``, cached functions, ``get_or_compute`` and the adapters;
    plain ``get`` and ``set`` of a cache do what they are told.
    """

    _mode = BYPASS


class refresh(Block):
    """For this run read nothing from caches and overwrite them: ``with hitrate.refresh(): graph.invoke(...)``.

    It holds where ``bypass`` does.
    """

    _mode = REFRESH
