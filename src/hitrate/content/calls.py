"""The key of a call: its arguments in the canonical encoding, and the BLAKE2b hash of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from ormsgpack import packb

from hitrate.content import parts as noting
from hitrate.content.canonical import encode, encode_call
from hitrate.content.options import PLAIN, KeyOptions
from hitrate.content.selection import LEFT_OUT, Tree, kept, without
from hitrate.runs import current_scope

_DIGEST_SIZE = 16


def stable_key(
    *args: Any,
    ignore: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    scope: Any = None,
    **kwargs: Any,
) -> str:
    """Return a key of the content of arguments: equal for equal ones, in every process and on every run.

    Equal means equal in value and type, all the way down: ``1``, ``1.0``, ``True`` and ``"1"`` have different keys. The
    order of dicts and sets does not count, nor does the identity of objects. LangChain messages count by role, content
    and tool calls. Keyword arguments count by their name. A scope that is open (``hitrate.scope``) counts, too. See
    ``docs/stable-keys.md`` for each type.

    Args:
        args: any values that hitrate's serializer understands.
        ignore: names of keyword arguments, and of fields of the arguments themselves (items of a dict, fields of a
            dataclass, NamedTuple or pydantic model), that do not count; ``"state.meta.time"`` goes deeper.
        only: names of those that count, and no others.
        scope: whatever else the key is to depend on, such as a tenant, a user, a model or a version of code, or a
            tuple of them; None is no scope.
        kwargs: as ``args``.

    Returns:
        32 hexadecimal digits.

    Raises:
        TypeError: an argument holds what cannot be part of a key, and the message names the argument, the place in it
            and the type; or an option is of the wrong type, or ``ignore`` and ``only`` are given together.
        ValueError: ``only`` or ``ignore`` holds what is no name, or ``only`` names nothing that is there.
    """
    if scope is None and only is None and not ignore and type(ignore) is tuple:
        return key_of((), args, kwargs, PLAIN)
    return key_of((), args, kwargs, KeyOptions.of(ignore, only, scope))


def content_key(*args: Any) -> str:
    """Return the ``stable_key`` of arguments by their content alone, whatever scope is open."""
    return key_of((), args, {}, PLAIN, run="")


def key_of(
    names: tuple[str, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: KeyOptions,
    run: str | None = None,
    told: Callable[[], Mapping[str, Any]] | None = None,
) -> str:
    """Return the key of a call.

    Args:
        names: of the positional arguments, as far as they have any. An argument counts by its name, so that it makes
            no difference whether it was given by position.
        args: the positional arguments.
        kwargs: the keyword arguments.
        options: what counts.
        run: the scope of the run, that which is open when not given.
        told: returns what the key is made of as ``explain`` is to tell it, by names; the arguments when not given.

    Returns:
        32 hexadecimal digits.

    Raises:
        TypeError: as ``stable_key``.
        ValueError: ``only`` names nothing that is there.
    """
    named: dict[str, Any] = kwargs if type(kwargs) is dict else dict(kwargs)
    parts: list[Any]
    if not names:
        parts = [[*args], named]
    else:
        parameters = dict(zip(names, args))  # noqa: B905 - either may be the shorter
        if named and not parameters.keys().isdisjoint(named):
            # Keyword arguments that have the name of a positional-only parameter.
            parts = [[*args[len(names) :]], parameters, named]
        else:
            parameters.update(named)
            parts = [[*args[len(names) :]], parameters]
    if options.ignore is not None:
        parts = _without(parts, options.ignore, options.of_argument)
    elif options.only is not None:
        parts = _kept(parts, options.only, options.of_argument, names)
    packed = encode_call(parts, len(names))
    run = current_scope() if run is None else run
    header = options.header + packb(run) if run else options.header
    key = blake2b(header + packed, digest_size=_DIGEST_SIZE).hexdigest()
    if noting.is_used:
        noting.note(key, parts, encode, told=told, function=options.function, scope=options.scope, run=run)
    return key


def _without(parts: list[Any], tree: Tree, of_argument: dict[str, Tree]) -> list[Any]:
    positional, *more = parts
    counting: list[Any] = [[without(each, tree) for each in positional]]
    for named in more:
        counting.append(
            {
                name: without(value, of_argument.get(name, tree))
                for name, value in named.items()
                if tree.get(name, tree) is not None
            }
        )
    return counting


def _kept(parts: list[Any], tree: Tree, of_argument: dict[str, Tree], names: tuple[str, ...]) -> list[Any]:
    positional, *more = parts
    counting: list[Any] = [[kept(each, tree) for each in positional]]
    for named in more:
        selected = {
            name: value if tree.get(name, tree) is None else kept(value, of_argument.get(name, tree))
            for name, value in named.items()
        }
        counting.append({name: value for name, value in selected.items() if value is not LEFT_OUT})
    is_nothing_left = not any(counting[1:]) and all(each is LEFT_OUT for each in counting[0])
    if is_nothing_left and any(parts) and tree.keys().isdisjoint(names):
        raise ValueError(
            f"only= names nothing that these arguments have, so that any others would have the same key: "
            f"{', '.join(map(repr, tree))}"
        )
    return counting
