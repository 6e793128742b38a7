"""What happens at a fork, in which order.

A child has the memory of its parent, and of its threads only the one that forked. So all locks are taken before a fork:
otherwise the child could inherit one that another thread holds and nobody releases. In the child, connections and
threads are made anew. On a system without forks nothing of this happens.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Protocol

# The module `logging`, imported above, holds its lock over a fork, too. It takes it after ours, as we do when we log.
log = logging.getLogger("hitrate")


class Turn(IntEnum):
    """The order of hooks: from last to first before a fork, and from first to last after it.

    Before a fork that is the order in which locks are always taken (``exclusive.py``), so that no thread waits for a
    lock whose holder waits for one that is already held.
    """

    LINES = 0
    """The lock ``a_few_lines``, which is taken within all others."""
    FILES = 1
    """Connections to files, which are closed before a fork, and the lock of opening them."""
    STORES = 2
    """Connections to servers, threads, and what else a store begins anew in a child; for stores of others, too."""
    MEMORY = 3
    """The locks of stores in memory."""
    TIERS = 4
    """The locks of tiers, which are held around those of their stores; in a child they drop their copies."""
    CACHES = 5
    """What a cache knows of its own calls: what is withheld, and who computes what."""


class Forked(Protocol):
    """An object that begins anew in a forked child."""

    def after_fork_in_child(self) -> None:
        """Forget the threads, locks and connections of the parent; no other thread is there yet."""


_Hook = Callable[[], object]

_before: dict[Turn, list[_Hook]] = {turn: [] for turn in Turn}
_after_in_parent: dict[Turn, list[_Hook]] = {turn: [] for turn in Turn}
_after_in_child: dict[Turn, list[_Hook]] = {turn: [] for turn in Turn}
_begun_anew: dict[Turn, weakref.WeakSet[Forked]] = {turn: weakref.WeakSet() for turn in Turn}


def at_fork(
    turn: Turn,
    *,
    before: _Hook | None = None,
    after_in_parent: _Hook | None = None,
    after_in_child: _Hook | None = None,
) -> None:
    """Have functions called at each fork of this process, those of one turn as ``os.register_at_fork`` orders them.

    Args:
        turn: when, in relation to others.
        before: called before a fork.
        after_in_parent: called in the parent after it.
        after_in_child: called in the child after it.
    """
    if before is not None:
        _before[turn].insert(0, before)
    if after_in_parent is not None:
        _after_in_parent[turn].append(after_in_parent)
    if after_in_child is not None:
        _after_in_child[turn].append(after_in_child)


def begin_anew(member: Forked, turn: Turn = Turn.STORES) -> None:
    """Have ``after_fork_in_child`` of an object called in each child that is forked while the object is alive.

    Args:
        member: such as a store; it is not kept alive by this.
        turn: when, in relation to others.
    """
    _begun_anew[turn].add(member)


def _run_before() -> None:
    for turn in reversed(Turn):
        _run(_before[turn])


def _run_after_in_parent() -> None:
    for turn in Turn:
        _run(_after_in_parent[turn])


def _run_after_in_child() -> None:
    for turn in Turn:
        _run(_after_in_child[turn])
        _run([member.after_fork_in_child for member in list(_begun_anew[turn])])


def _run(hooks: Iterable[_Hook]) -> None:
    """Call each, though another failed: a fork cannot be called off, and locks that are held are to be released."""
    for hook in hooks:
        try:
            hook()
        except BaseException:
            log.warning("%r failed at a fork", hook, exc_info=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_run_before, after_in_parent=_run_after_in_parent, after_in_child=_run_after_in_child)
