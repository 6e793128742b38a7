"""The middleware: which calls of an agent are answered from a cache."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from langchain.agents.middleware.types import AgentMiddleware, ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool
from langgraph.types import Command

from hitrate.base import TTL
from hitrate.callables import refuse_coroutine_function
from hitrate.compute.cache import ComputingCache
from hitrate.compute.control_flow import holds_answers
from hitrate.compute.terms import Terms, agreed
from hitrate.content.calls import key_of
from hitrate.content.options import PLAIN
from hitrate.content.walking import ADVICE, ADVICE_FOR_A_SCOPE
from hitrate.failsafe import LoggedOnce, log
from hitrate.langchain.model_calls import kept_of_response, key_of_model_call, response_of
from hitrate.langchain.saved import Prices, Savings, checked, savings
from hitrate.langchain.spared import SparedCall
from hitrate.langchain.tool_calls import ToolResults, key_of_tool_call
from hitrate.memory import InMemoryCache


class CacheMiddleware(AgentMiddleware[Any, Any, Any]):
    """Answers the model and tool calls of ``create_agent`` from a cache: ``middleware=[CacheMiddleware(cache)]``.

    A call of a model is found again by what its messages say, the system prompt, the tools' schemas, the tool choice,
    the response format, and the model with its settings. The ids of messages and tool calls do not count. An answer
    that was cut off, filtered or empty is not kept. The messages of a hit have new ids.

    A call of a tool is found again by the tool and its arguments. What a tool reads from the state, the context or the
    store is not among these: ``key`` says it. A tool that holds something without content, as a client, is found in
    this process alone, unless ``key`` or ``scope`` tells it from others. Failures and commands are not kept, nor is the
    result of a call that was interrupted to ask a person.

    Equal calls that are made at the same time run once. Whatever the cache does, the model or tool runs, at most once
    for a call, and raises what it raises.

    Put it last among the middleware, next to the model: what is outside of it (fallback, retry, what changes the
    request) sees each call, and what it tries is found by what was tried. Entries are in the namespaces ``("langchain",
    "model", name of the model)`` and ``("langchain", "tool", name of the tool)``.

    Args:
        cache: a hitrate cache.
        models: whether calls of models are cached.
        tools: the names of the tools that are cached, or the tools, or a mapping of them to the TTL of each. A tool
            whose ``metadata["cacheable"]`` is true is cached besides.
        ttl: seconds that a result stays fresh; None for ever, or for the cache's ``default_ttl``.
        scope: what else counts in each key, such as a version; or a function that is given the request and returns it,
            as ``lambda request: request.runtime.context.tenant``.
        lease: seconds that other processes on the same backend wait for this one to make an equal call; None if they
            need not wait.
        key: is given the request of a tool call and returns what else counts in its key.
        keep_errors: whether the message of a tool that failed is kept.
        keep_commands: whether a ``Command`` that a tool returns is kept; the result of the call within it then belongs
            to the call that is answered.
        prices: by model, dollars for a million input tokens and for a million output tokens; see ``savings``.
        name: the middleware's name; an agent with two of them needs one for each.

    Raises:
        TypeError: an argument has the wrong type, or the scope cannot be part of a key.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        cache: ComputingCache[Any],
        *,
        models: bool = True,
        tools: Iterable[str | BaseTool] | Mapping[str, TTL | None] = (),
        ttl: TTL | None = None,
        scope: Any = None,
        lease: TTL | None = None,
        key: Callable[[ToolCallRequest], Any] | None = None,
        keep_errors: bool = False,
        keep_commands: bool = False,
        prices: Prices | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cache, ComputingCache):
            raise TypeError(
                f"CacheMiddleware takes a hitrate cache, as in CacheMiddleware(hitrate.InMemoryCache()), not {cache!r} "
                f"of type {type(cache).__name__}"
            )
        if key is not None and not callable(key):
            raise TypeError(f"key is a function of the request of a tool call; {key!r} cannot be called")
        for argument, function in (("key", key), ("scope", scope)):
            refuse_coroutine_function(argument, function)
        for option, given in (("models", models), ("keep_errors", keep_errors), ("keep_commands", keep_commands)):
            if type(given) is not bool:
                raise TypeError(f"{option} is True or False, not {given!r} of type {type(given).__name__}")
        self.tools: Sequence[BaseTool] = ()  # LangChain reads this: a middleware may bring tools of its own
        self._cache = cache
        self._models = models
        self._terms = agreed(ttl=ttl, lease=lease, cache_if=_is_kept)
        self._of_tool = {
            name: self._terms if of_tool is None else agreed(ttl=of_tool, lease=lease, cache_if=_is_kept)
            for name, of_tool in _named(tools).items()
        }
        if name is not None and type(name) is not str:
            raise TypeError(f"the name of a middleware is a str, not {name!r} of type {type(name).__name__}")
        self._scope = scope if callable(scope) or scope is None else _key_of_scope(scope)
        self._key = key
        # until the first request, whose tools tell whether a name is misspelt
        self._compares = bool(self._of_tool)
        results = ToolResults(errors=keep_errors, commands=keep_commands)
        self._kept_of_tool, self._result_of_tool = results.kept, results.result_of
        self._prices = checked(prices)
        self._name = name
        self._ledger = cache._counters.ledger
        self._once = LoggedOnce()
        self._spared = partial(SparedCall, cache, self._once)
        # Logs that a tool is answered in this process alone; not of memory, which no other process reads anyhow.
        self._of_others = None if isinstance(cache, InMemoryCache) else self._once

    @property
    def name(self) -> str:
        """The name of the middleware."""
        return self._name or type(self).__name__

    def savings(self) -> list[Savings]:
        """Return what hits of this cache spared, by model and tool; see ``hitrate.langchain.savings``."""
        return savings(self._cache, prices=self._prices)

    # Models

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Return the response to a request: from the cache, or what the handler returns."""
        call = self._model_call(request, handler)
        result: ModelResponse[Any] = handler(request) if call is None else call.run()
        return result

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Return the response to a request; as ``wrap_model_call``."""
        call = self._model_call(request, handler)
        result: ModelResponse[Any] = await handler(request) if call is None else await call.arun()
        return result

    def _model_call(self, request: ModelRequest[Any], handler: Callable[[Any], Any]) -> SparedCall | None:
        """Return a call of a model that is cached; None if it is not."""
        started = perf_counter()
        if self._compares:
            self._compares = False
            _log_misspelt(self._of_tool, request.tools or ())
        if not self._models:
            return None
        try:
            if holds_answers(var_child_runnable_config.get()):
                return None
            full_key = key_of_model_call(request, self._scope_of(request))
        except Exception as error:
            self._once.log(f"the model {type(request.model).__name__}", _said(error))
            return None
        account = self._ledger.account(full_key[0], full_key[0][-1])
        return self._spared(full_key, self._terms, handler, request, kept_of_response, response_of, account, started)

    # Tools

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Return the result of a tool call: from the cache, or what the handler returns."""
        call = self._tool_call(request, handler)
        result: ToolMessage | Command[Any] = handler(request) if call is None else call.run()
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Return the result of a tool call; as ``wrap_tool_call``."""
        call = self._tool_call(request, handler)
        result: ToolMessage | Command[Any] = await handler(request) if call is None else await call.arun()
        return result

    def _tool_call(self, request: ToolCallRequest, handler: Callable[[Any], Any]) -> SparedCall | None:
        """Return a call of a tool that is cached; None if it is not."""
        started = perf_counter()
        try:
            terms = self._terms_of(request)
            if terms is None or holds_answers(request.runtime.config if request.runtime else None):
                return None
            full_key = key_of_tool_call(request, self._scope_of(request), self._key, self._of_others)
        except Exception as error:
            self._once.log(f"the tool {request.tool_call.get('name')!r}", _said(error))
            return None
        account = self._ledger.account(full_key[0])
        keep = partial(self._kept_of_tool, request)
        return self._spared(full_key, terms, handler, request, keep, self._result_of_tool, account, started)

    def _terms_of(self, request: ToolCallRequest) -> Terms | None:
        """Return how results of a tool are kept; None if they are not."""
        tool = request.tool
        if tool is None:
            return None
        named = self._of_tool.get(request.tool_call["name"])
        if named is not None:
            return named
        metadata = tool.metadata
        return self._terms if metadata and metadata.get("cacheable") is True else None

    # Both

    def _scope_of(self, request: Any) -> Any:
        return self._scope(request) if callable(self._scope) else self._scope


def _key_of_scope(scope: Any) -> str:
    try:
        return key_of(("scope",), (scope,), {}, PLAIN, run="")
    except TypeError as error:
        raise TypeError(f"{_said(error)}. {ADVICE_FOR_A_SCOPE}") from error


def _said(error: Exception) -> str:
    if isinstance(error, TypeError):
        return str(error).removesuffix(f". {ADVICE}")  # the advice is for cached functions, which have such options
    return f"its key cannot be made: {error!r}"


def _is_kept(stored: Any) -> bool:
    return stored is not None


def _named(tools: Any) -> dict[str, Any]:
    """Return the TTL of each tool by its name, None for that of the middleware."""
    if isinstance(tools, (str, bytes)) or not isinstance(tools, Iterable):
        raise TypeError(f"tools is a list of names of tools, or a mapping of names to TTLs, not {tools!r}")
    named = {}
    for each in tools:
        name = each.name if isinstance(each, BaseTool) else each
        if type(name) is not str:
            raise TypeError(f"a tool is given by its name, or is one; {each!r} is of type {type(each).__name__}")
        named[name] = tools[each] if isinstance(tools, Mapping) else None
    return named


def _log_misspelt(named: Iterable[str], tools: Iterable[Any]) -> None:
    """Log the names that no tool of an agent has, if one is called nearly so: another agent may have the others."""
    there = {each.name for each in tools if isinstance(each, BaseTool)}
    for name in named if there else ():
        near = [] if name in there else difflib.get_close_matches(name, there.difference(named), 1)
        if near:
            log.warning(
                "CacheMiddleware caches the tool %r, which the agent does not have (logged once): did you mean %r?",
                name,
                near[0],
            )
