"""Policies: by what of its input a node's or a task's result is found again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.types import CachePolicy
from xxhash import xxh3_128_hexdigest

from hitrate.base import TTL
from hitrate.compute.identity import NAMESPACE_ADVICE, identity_of
from hitrate.content import parts
from hitrate.content.calls import key_of
from hitrate.content.canonical import encode
from hitrate.content.options import KeyOptions
from hitrate.content.selection import tree_of
from hitrate.entry import expiry_of
from hitrate.failsafe import LoggedOnce
from hitrate.langgraph.fields import FieldNames, last_messages
from hitrate.langgraph.unkeyed import unkeyed
from hitrate.runs import is_told_apart


def policy(
    func: Callable[..., Any] | Runnable[Any, Any] | None = None,
    *,
    only: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] = (),
    scope: Any = None,
    version: str | int | None = None,
    ttl: TTL | None = None,
    messages: int | None = None,
    require_scope: bool = False,
) -> CachePolicy[Callable[..., str | bytes]]:  # LangGraph's `task` takes exactly this type (CachePolicy is invariant)
    """Return a policy by content: ``builder.add_node("ask", ask, cache_policy=policy(ask, only="question"))``.

    It never fails a run: an input that has no stable key runs uncached, which is logged once for each place in it.
    Messages count by what they say, and not by their ids.

    Args:
        func: the node's or task's function or Runnable, which counts as for ``hitrate.cached``. It tells apart nodes
            that LangGraph has under one name: every coroutine function, partial objects and objects that can be called;
            also two functions made by one ``def``.
        only: names of the fields of the input, or of the parameters of a task, that alone count.
        ignore: names of those that do not count, or of variables that ``func`` closes over.
        scope: what else counts, such as a model; what is to count for a run is for ``hitrate.scope``. True, which would
            tell nothing apart, is ``require_scope=True``.
        version: the results of other versions are out of reach. With it the code of ``func`` does not count.
        ttl: seconds that a result stays fresh, as a number or a timedelta; None for ever, or for the cache's
            ``default_ttl``.
        messages: how many messages of each list of messages in the input count, the last ones; None for all.
        require_scope: whether a run without an open ``hitrate.scope`` is not cached, which is logged once.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of its range. Raised by the first run: a name in ``only`` or ``ignore`` is not
            that of a field or parameter.
    """
    expiry_of(ttl, 0.0)  # raises
    if scope is True:
        scope, require_scope = None, True
    _check(func, version)
    function: Any = func
    names = FieldNames(function, only, ignore)
    if messages is not None and (type(messages) is not int or messages < 1):
        raise ValueError(f"messages is a number of messages from 1 up, or None for all, not {messages!r}")
    left_out = tree_of("ignore", ignore)
    try:
        identity = (
            None
            if func is None
            else identity_of(function, version=version, ignore=left_out, is_lenient=scope is not None)
        )
    except TypeError as error:
        if not isinstance(func, Runnable):
            raise TypeError(str(error).removesuffix(NAMESPACE_ADVICE)) from error
        raise TypeError(
            f"nothing tells {func.get_name()!r} of type {type(func).__name__} from another of its kind: "
            "say with scope= what does, as scope='draft, 2'"
        ) from error
    # With only= the fields are named already, and what is left can be variables alone.
    of_input = ignore if only is None else [name for name in left_out if name not in names.closed_over]
    once = LoggedOnce()

    @lru_cache(1)  # made anew only while a variable that the function closes over has no value yet
    def options_for(identity_digest: bytes) -> KeyOptions:
        options = KeyOptions.of(of_input, only, (identity_digest, version, scope))
        options.function = identity_digest
        options.scope = None if version is scope is None else (encode((version, scope), "the scope"), (version, scope))
        return options

    def key(*args: Any, **kwargs: Any) -> str:
        if require_scope and not is_told_apart():
            once.log(names.of_function, "no hitrate.scope is open with a part, and this policy demands it")
            return unkeyed()
        positional, keywords = names.bound(args, kwargs)
        names.check(positional, keywords)
        if unknown := names.unknown(positional, keywords):
            option, why = unknown
            if option == "only":  # else what it does not find would not count
                once.log(names.of_function, why)
                return unkeyed()
            once.log(names.of_function, why, "is cached by all of its arguments")
        positional = tuple(map(names.selected, positional))
        if messages is not None:
            positional = tuple(last_messages(each, messages) for each in positional)
            keywords = {name: last_messages(each, messages) for name, each in keywords.items()}
        try:
            options = options_for(b"" if identity is None else identity.digest())
            made = key_of(names.positional, positional, keywords, options)
            if parts.is_used:
                parts.note_alias(xxh3_128_hexdigest(made.encode()), made)  # LangGraph stores the result under this hash
            return made
        except Exception as error:  # the run goes on, whatever its input is
            once.log(names.of_function, str(error))  # a record that a handler keeps would keep the node's input, too
            return unkeyed()

    encode(scope, "the scope")  # raises
    options_for(b"")  # likewise, for the other options
    return CachePolicy(key_func=key, ttl=ttl)  # type: ignore[arg-type]  # the cache also takes floats and timedeltas


def _check(func: object, version: object) -> None:
    if not (func is None or callable(func) or isinstance(func, Runnable)):
        raise TypeError(f"policy takes the function of a node or task, not {func!r} of type {type(func).__name__}")
    if version is not None and (isinstance(version, bool) or not isinstance(version, (str, int))):
        raise TypeError(f"version is a str, an int or None, not {version!r} of type {type(version).__name__}")
