"""Fields left out of arguments, or kept, by name or by a dotted path.

A field is an item of a dict under a str, or a field of a dataclass, a NamedTuple or a pydantic model. Lists and tuples
on the way are passed through: a path goes on in each of their items.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ormsgpack import Ext

from hitrate.content.classes import state_of
from hitrate.content.rules import TREES
from hitrate.serde.registry import Refused

Tree = dict[str, "Tree | None"]
"""By the first part of a path what follows it; None where a path ends."""


class _Selected:
    """The content of an instance of which fields were left out."""

    __slots__ = ("state",)

    def __init__(self, state: list[Any]) -> None:
        self.state = state

    def __repr__(self) -> str:
        return ", ".join(repr(each) for each in self.state[1:] if each is not None)


class _LeftOut:
    """Stands for a positional argument, or an item, of which nothing was kept."""

    __slots__ = ()


LEFT_OUT = _LeftOut()
_LEFT_OUT_CODE = 100
TREES[_LeftOut] = lambda obj, pack: Ext(_LEFT_OUT_CODE, b"")
TREES[_Selected] = lambda obj, pack: obj.state

_DICTS = frozenset({dict, OrderedDict, defaultdict, Counter})
_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


def tree_of(option: str, names: str | Iterable[str]) -> Tree:
    """Return the tree of dotted names.

    Raises:
        TypeError: they are neither a str nor an iterable of them.
        ValueError: one is empty, or has an empty part.
    """
    if isinstance(names, str):
        names = [names]
    elif isinstance(names, (bytes, bytearray, Mapping)) or not isinstance(names, Iterable):
        raise TypeError(f"{option}= is a name or an iterable of names, not {names!r}")
    tree: Tree = {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{option}= holds {name!r}, which is no name but a {type(name).__name__}")
        parts = name.split(".")
        if not all(parts):
            raise ValueError(f"{option}= holds {name!r}: a name, or names with a dot between them, are expected")
        branch: Tree | None = None
        for part in reversed(parts):
            branch = {part: branch}
        assert branch is not None
        tree = merged(tree, branch)
    return tree


def merged(one: Tree, other: Tree) -> Tree:
    """Return the tree of the paths of both; where one ends, longer ones say nothing more."""
    made = dict(one)
    for name, sub in other.items():
        old = made.get(name, {})
        made[name] = None if old is None or sub is None else merged(old, sub)
    return made


def without(value: Any, tree: Tree) -> Any:
    """Return a value with the fields of a tree left out."""
    cls = type(value)
    if cls in _ATOMS:
        return value
    if cls is list or cls is tuple:
        return cls([without(each, tree) for each in value])
    if cls in _DICTS:
        made = value.copy()
        for name, sub in tree.items():
            if name in made:
                if sub is None:
                    del made[name]
                else:
                    made[name] = without(made[name], sub)
        return made
    try:
        state = state_of(cls)(value, None)
    except Refused:
        return value  # it cannot be read: encoding it raises, and says why
    return _Selected([without(each, tree) if type(each) is dict else each for each in state])


def kept(value: Any, tree: Tree) -> Any:
    """Return a value with nothing but the fields of a tree, ``LEFT_OUT`` if it has none of them."""
    cls = type(value)
    if cls in _ATOMS:
        return LEFT_OUT
    if cls is list or cls is tuple:
        items = [kept(each, tree) for each in value]
        return LEFT_OUT if items and all(each is LEFT_OUT for each in items) else cls(items)
    if cls in _DICTS:
        made = value.copy()
        for name in value:
            if name not in tree:
                del made[name]
                continue
            sub = tree[name]
            if sub is not None:
                made[name] = kept(made[name], sub)
                if made[name] is LEFT_OUT:
                    del made[name]
        return made or LEFT_OUT
    try:
        state = state_of(cls)(value, None)
    except Refused:
        return LEFT_OUT
    content = [kept(each, tree) if type(each) is dict else None for each in state[1:]]
    if all(each is None or each is LEFT_OUT for each in content):
        return LEFT_OUT
    return _Selected([state[0], *(None if each is LEFT_OUT else each for each in content)])
